//! Tests of the command line: what is printed where, and the exit code.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::ordered_json::Json;
use crate::cli::output::Output;
use crate::cli::{claude, run_with};
use crate::ids::CallId;
use crate::ledger::entry::{Entry, Kind};
use crate::ledger::live::{Ledger, Opened};
use crate::ledger::settings::Settings;

/// A folder with a config, which vanishes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(config: &str) -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let path = std::env::temp_dir().join(format!("tollgate-cli-{:016x}", u64::from_ne_bytes(random)));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("tollgate.yaml"), config).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Runs a command with this folder's config: exit code, standard output, standard error.
    fn run(&self, words: &[&str]) -> (u8, String, String) {
        let config = self.0.join("tollgate.yaml").into_os_string();
        let own = ["tollgate".into(), "--config".into(), config];
        run(own.into_iter().chain(words.iter().map(OsString::from)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn run(words: impl IntoIterator<Item = OsString>) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run_with(words, &mut Output::new(&mut out, &mut err));
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

const CONFIG: &str = "\
listen: 0.0.0.0:4100
providers: { demo: { dialect: demo } }
teams: { platform: { models: [claude-*] } }
keys: [{ name: fixed, secret: tg_a-long-enough-hidden-text }]
";

#[test]
fn help_and_version_are_results_and_nonsense_is_not() {
    let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
    let (code, out, err) = run(words("tollgate --help"));
    assert_eq!((code, err.as_str()), (0, ""));
    for word in ["serve", "check", "key", "claude", "Examples:", "./tollgate.yaml"] {
        assert!(out.contains(word), "{word}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 110), "{out}");
    assert_eq!(run(words("tollgate --version")).0, 0);
    for nonsense in ["tollgate nonsense", "tollgate key", "tollgate key create", "tollgate check --yes"] {
        let (code, out, err) = run(words(nonsense));
        assert_eq!((code, out.as_str()), (2, ""), "{nonsense}");
        assert!(!err.is_empty());
    }
}

#[test]
fn check_prints_the_config_or_its_faults() {
    let folder = Folder::new(CONFIG);
    let (code, out, err) = folder.run(&["check"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("listen: [0.0.0.0:4100]") || out.contains("listen: [\"0.0.0.0:4100\"]"), "{out}");
    assert!(out.contains("head_ms: 10000") && out.contains("platform: { models: [\"claude-*\"] }"), "{out}");
    assert!(
        err.starts_with("warning: keys: secret of \"fixed\": it stands in the config itself, line 4"),
        "{err}"
    );
    assert!(!out.contains("hidden") && !err.contains("hidden"));
    let (code, out, _) = folder.run(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["keys"][0]["name"].as_str()), (0, Some("fixed")));
    assert!(!folder.path().join("tollgate-data").exists());

    let broken = Folder::new("lisen: 1\n");
    let (code, out, err) = broken.run(&["check"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.ends_with("tollgate.yaml:1:1: unknown key \"lisen\"; did you mean `listen`?\n"), "{err}");
}

#[test]
fn a_key_lives_and_dies() {
    let folder = Folder::new(CONFIG);
    let (code, out, err) =
        folder.run(&["key", "create", "--name", "ada", "--team", "platform", "--models", "a-*", "b"]);
    assert_eq!(code, 0, "{err}");
    let narrow = ["key", "create", "--name", "lab", "--regions", "eu", "eu-*", "--json"];
    let narrow: serde_json::Value = serde_json::from_str(&folder.run(&narrow).1).unwrap();
    assert_eq!(narrow["regions"], serde_json::json!(["eu", "eu-*"]));
    let key = out.lines().next().unwrap().to_owned();
    assert!(key.starts_with("tg_"));
    assert!(out.contains(&format!("export ANTHROPIC_AUTH_TOKEN={key}\n")));
    assert!(out.contains("export ANTHROPIC_BASE_URL=http://127.0.0.1:4100\n"), "{out}");
    let (_, out, _) = folder.run(&["key", "list"]);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    let head = "NAME ID GEN TEAM USER ROLE MODELS SERVERS REGIONS CREATED EXPIRES STATE";
    assert_eq!(lines[0], head.split(' ').collect::<Vec<_>>());
    assert_eq!((lines[1][0], lines[1][11]), ("fixed", "config"));
    assert_eq!((lines[2][0], lines[2][3], lines[2][6], lines[2][11]), ("ada", "platform", "a-*,b", "valid"));
    assert_eq!((lines[3][0], lines[3][8], lines[2][8]), ("lab", "eu,eu-*", "-"));
    assert!(!out.contains(&key));
    let (_, out, _) = folder.run(&["key", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json[1]["state"].as_str(), Some("valid"));
    let id = lines[2][1].to_owned();
    assert_eq!(folder.run(&["key", "revoke", &id]).0, 0);
    let (_, out, _) = folder.run(&["key", "list"]);
    assert!(out.lines().nth(2).unwrap().contains("revoked 2"), "{out}");
}

#[test]
fn a_service_key_is_narrow_ends_and_is_rotated() {
    let folder = Folder::new(CONFIG);
    let said = "key create --name ci --service --expires 90d --servers github:read_* files --json";
    let json = |said: &str| -> serde_json::Value {
        let (code, out, err) = folder.run(&said.split(' ').collect::<Vec<_>>());
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    let first = json(said);
    assert_eq!((first["service"].as_bool(), first["generation"].as_u64()), (Some(true), Some(1)));
    assert_eq!(first["models"], serde_json::json!([]), "what is not given is not there");
    assert_eq!(first["servers"][0]["tools"], serde_json::json!(["read_*"]));
    let second = json("key rotate ci --overlap 2h --json");
    assert_ne!(second["key"], first["key"]);
    assert_eq!(second["generation"].as_u64(), Some(2));
    assert!(second["expires"].as_str() >= first["expires"].as_str(), "{second} {first}");
    let (_, out, _) = folder.run(&["key", "list"]);
    let states: Vec<&str> = out.lines().skip(2).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(states, ["rotated", "valid"], "{out}");
    json("key rotate ci --overlap 0s --json");
    let (_, out, _) = folder.run(&["key", "list"]);
    assert_eq!(out.matches(" expired").count(), 1, "{out}");
    let (_, out, _) = folder.run(&["key", "revoke", "ci"]);
    assert_eq!(out.lines().count(), 3, "all secrets end: {out}");
    assert!(folder.run(&["key", "revoke", "--user", "ana@example.com"]).1.contains("is revoked"));
    let (_, out, _) = folder.run(&["key", "list"]);
    assert!(out.contains("user ana@example.com is revoked since 2"), "{out}");
    assert_eq!(folder.run(&["key", "revoke", "--user", "ANA@example.com"]).0, 1);
    assert!(folder.run(&["key", "revoke", "--user", "ana@example.com", "--undo"]).1.contains("let in again"));
}

#[test]
fn keys_that_cannot_be_made_or_revoked() {
    let folder = Folder::new(CONFIG);
    assert_eq!(folder.run(&["key", "create", "--name", "ada", "--json"]).0, 0);
    for (words, code, text) in [
        (&["key", "create", "--name", "ada"][..], 1, "there is a valid key named \"ada\" already"),
        (&["key", "create", "--name", "fixed"], 1, "the config has a key named \"fixed\""),
        (
            &["key", "create", "--name", "x", "--team", "nope"],
            1,
            "the config has no team \"nope\"; known: platform",
        ),
        (&["key", "create", "--name", "a b"], 1, "is no name"),
        (&["key", "create", "--name", "x", "--service", "--expires", "1d"], 2, "--models, --servers or both"),
        (&["key", "create", "--name", "x", "--service", "--models", "a"], 2, "--expires"),
        (&["key", "create", "--name", "x", "--expires", "soon"], 2, "is no time"),
        (&["key", "create", "--name", "x", "--expires", "2020-01-01T00:00:00Z"], 2, "not in the next"),
        (&["key", "create", "--name", "x", "--role", "auditor", "--models", "a"], 2, "cannot be used with"),
        (&["key", "create", "--name", "x", "--role", "auditor", "--regions", "eu"], 2, "cannot be used with"),
        (&["key", "create", "--name", "x", "--regions", "eu", "Europe"], 2, "\"Europe\" is no region"),
        (&["key", "create", "--name", "x", "--role", "king"], 2, "owner, operator, auditor, viewer"),
        (&["key", "create", "--name", "x", "--servers", ":x"], 2, "is no server"),
        (&["key", "rotate", "nobody"], 1, "no key has the name or id \"nobody\""),
        (&["key", "rotate", "fixed"], 1, "stands in the config"),
        (&["key", "rotate", "ada", "--overlap", "99d"], 2, "at most"),
        (&["key", "revoke"], 2, "NAME_OR_ID"),
        (&["key", "revoke", "--user", "ana", "--undo"], 1, "is not revoked"),
        (&["key", "create", "--name", "x", "--models", "a b"], 2, "is no model name"),
        (&["key", "revoke", "nobody"], 1, "no key has the name or id \"nobody\""),
        (&["key", "revoke", "fixed"], 1, "the key \"fixed\" stands in the config: change it there"),
    ] {
        let (found, out, err) = folder.run(words);
        assert_eq!((found, out.as_str()), (code, ""), "{words:?}");
        assert!(err.contains(text), "{err}");
    }
}

#[test]
fn what_a_developer_needs() {
    let folder = Folder::new(CONFIG);
    let (code, out, _) = folder.run(&["claude", "--key", "tg_x", "--base-url", "https://gate.example.com/"]);
    let lines = "export ANTHROPIC_BASE_URL=https://gate.example.com\nexport ANTHROPIC_AUTH_TOKEN=tg_x\n";
    assert_eq!((code, out.as_str()), (0, lines));
    let (code, out, err) = folder.run(&["claude"]);
    assert_eq!(code, 0);
    assert!(out.contains("http://127.0.0.1:4100") && out.contains("YOUR_TOLLGATE_KEY"));
    assert!(err.contains("tollgate key create"));
    let (_, out, _) = folder.run(&["claude", "--key", "tg_x", "--format", "settings"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["env"]["ANTHROPIC_AUTH_TOKEN"].as_str(), Some("tg_x"));
    assert!(!err.contains("tg_x"));
    assert_eq!(folder.run(&["claude", "--base-url", "gate"]).0, 2);
    assert_eq!(folder.run(&["claude", "--key", "a b"]).0, 2);
    assert_eq!(folder.run(&["claude", "--key", "a", "--key-env", "B"]).0, 2);
    assert_eq!(folder.run(&["claude", "--key-env", "TOLLGATE_TEST_IS_NEVER_SET"]).0, 1);
    let quoted = claude::exports("http://h/'$(x)", Some("tg_x"));
    assert!(quoted.starts_with(r"export ANTHROPIC_BASE_URL='http://h/'\''$(x)'"), "{quoted}");
}

#[test]
fn what_a_developer_needs_for_the_tools() {
    let folder = Folder::new(&format!("{CONFIG}mcp: {{ endpoint_key: org }}\n"));
    let (code, out, err) = folder.run(&["claude", "--key", "tg_x"]);
    assert!(code == 0 && !out.contains("mcp"), "what is printed is run by a shell: {out}");
    let line = "claude mcp add --transport http org http://127.0.0.1:4100/mcp \
                --header \"Authorization: Bearer $ANTHROPIC_AUTH_TOKEN\"\n";
    assert!(err.ends_with(line) && !err.contains("tg_x"), "{err}");
    let file = |words: &[&str]| {
        let (code, out, _) = folder.run(&[&["claude", "--format", "mcp"], words].concat());
        assert_eq!(code, 0);
        serde_json::from_str::<serde_json::Value>(&out).unwrap()["mcpServers"]["org"].clone()
    };
    let server = |url: &str, header: &str| {
        let headers = serde_json::json!({ "Authorization": header });
        serde_json::json!({ "type": "http", "url": url, "headers": headers })
    };
    let here = "http://127.0.0.1:4100/mcp";
    assert_eq!(file(&["--key", "tg_x"]), server(here, "Bearer tg_x"));
    assert_eq!(file(&["--key-env", "PATH"]), server(here, "Bearer ${PATH}"));
    let there = ["--base-url", "https://gate.example.com/"];
    assert_eq!(file(&there), server("https://gate.example.com/mcp", "Bearer ${TOLLGATE_KEY}"));
    let hidden = ["claude", "--format", "mcp", "--key-env", "ANTHROPIC_AUTH_TOKEN"];
    assert_eq!(folder.run(&hidden).0, 2, "Claude Code would send an empty key");
    assert_eq!(folder.run(&["claude", "--format", "mcp", "--write", "."]).0, 2);

    // A config that cannot be read here does not matter to who names the address.
    std::fs::write(folder.path().join("tollgate.yaml"), "broken: [").unwrap();
    let (code, out, _) = folder.run(&["claude", "--format", "mcp", "--base-url", "https://h"]);
    assert!(code == 0 && out.contains("\"tollgate\": {"), "{out}");
}

#[test]
fn check_prints_servers_without_their_secrets() {
    let servers = "mcp_servers: { s: { url: 'http://127.0.0.1:9/mcp', headers: { x-api-key: hidden } } }\n";
    let folder = Folder::new(&format!("{CONFIG}{servers}"));
    let (code, out, err) = folder.run(&["check"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("  s: { url: http://127.0.0.1:9/mcp, headers: { x-api-key: \"***\" }"), "{out}");
    let (_, json, _) = folder.run(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["mcp_servers"][0]["headers"]["x-api-key"].as_str(), Some("***"));
    let warning = "mcp_servers.s.headers.x-api-key: it stands in the config itself, line 5";
    assert!(err.contains(warning), "{err}");
    assert!(!out.contains("hidden") && !err.contains("hidden"));
}

#[test]
fn settings_are_added_to_and_never_lost() {
    let folder = Folder::new(CONFIG);
    let path = folder.path().join(".claude/settings.json");
    let here = folder.path().to_str().unwrap().to_owned();
    let write = |key: &str| folder.run(&["claude", "--key", key, "--write", &here]);
    assert_eq!(write("tg_one").0, 0);
    let first = std::fs::read_to_string(&path).unwrap();
    assert!(first.contains("\"ANTHROPIC_AUTH_TOKEN\": \"tg_one\""), "{first}");

    let own = "{\n  \"z\": [1, 2.5, null, true],\n  \"env\": {\n    \"B\": \"1\",\n    \
               \"ANTHROPIC_AUTH_TOKEN\": \"old\",\n    \
               \"A\": \"2\"\n  },\n  \"a\": {}\n}";
    std::fs::write(&path, own).unwrap();
    assert_eq!(write("tg_two").0, 0);
    let merged = std::fs::read_to_string(&path).unwrap();
    let place = |text: &str| merged.find(text).unwrap_or_else(|| panic!("{text} in {merged}"));
    let order = ["\"z\"", "2.5", "\"B\"", "tg_two", "\"A\"", "ANTHROPIC_BASE_URL", "\"a\""].map(place);
    assert!(order.is_sorted(), "{merged}");
    assert!(!merged.contains("old"));

    for broken in ["{", "[]", "{\"env\": 1}"] {
        std::fs::write(&path, broken).unwrap();
        let (code, _, err) = write("tg_three");
        assert_eq!(code, 1);
        assert!(err.contains("nothing was written"), "{err}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    }
    let (code, _, _) = folder.run(&["claude", "--key", "k", "--write", "/nonexistent/x"]);
    assert_eq!(code, 1);
}

#[test]
fn objects_keep_their_order() {
    let text = r#"{"b":1,"a":{"d":[{"z":-1,"y":1.5}],"c":"x"},"b2":null}"#;
    let json: Json = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&json).unwrap(), text);
}

/// A pipe whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut err = Vec::new();
    let words = ["tollgate", "--help"].map(OsString::from);
    assert_eq!(run_with(words, &mut Output::new(&mut Closed, &mut err)), 0);
    assert!(err.is_empty());
}

/// A ledger with a few records below a folder.
fn ledger(folder: &Path) -> Vec<CallId> {
    let settings = Settings { journal_bytes: 0, ..Settings::new(folder, 1) };
    let Opened { ledger, mut journals, .. } = Ledger::open(settings, 1_795_000_000_000).unwrap();
    let ids: Vec<_> = (1..=5).map(CallId).collect();
    for id in &ids {
        journals[0].append_event(&Entry::new(*id, Kind::ToolCall, 1_795_000_000_000)).unwrap();
    }
    ledger.stop().unwrap();
    ids
}

#[test]
fn a_ledger_is_verified_and_the_first_bad_record_is_named() {
    let folder = Folder::new("data_dir: ./data\nproviders: { demo: { dialect: demo } }\n");
    let (code, _, err) = folder.run(&["ledger", "verify"]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no ledger"), "{err}");
    let data = folder.path().join("data");
    ledger(&data);
    let (code, out, err) = folder.run(&["ledger", "verify"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("the ledger is sound: 6 records, 1 segment, 1 signed head\n"), "{out}");
    assert!(out.contains("signed up to record 5, 20"), "{out}");
    let dir = data.display().to_string();
    let (code, out, _) = folder.run(&["ledger", "verify", "--dir", &dir, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["ok"], &json["found"]["size"]), (0, &true.into(), &6.into()));

    let segment = data.join("ledger/segments/0000000000000000.seg");
    let whole = std::fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 3] ^= 1;
    std::fs::write(&segment, &damaged).unwrap();
    let (code, out, err) = folder.run(&["ledger", "verify"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("0000000000000000.seg: byte ") && err.contains("checksum"), "{err}");
    let (code, out, _) = folder.run(&["ledger", "verify", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["ok"]), (1, &false.into()));
    assert!(json["bad"]["index"].is_u64() && json["bad"]["offset"].is_u64(), "{out}");
}

#[test]
fn a_record_is_proven_by_id_and_by_index() {
    let folder = Folder::new(CONFIG);
    let dir = folder.path().join("books").display().to_string();
    let ids = ledger(Path::new(&dir));
    let (code, out, _) = folder.run(&["ledger", "prove", "--dir", &dir, &ids[2].to_string()]);
    let by_id: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &by_id["index"]), (0, &2.into()));
    assert_eq!(by_id["entry"]["id"], ids[2].to_string());
    assert_eq!(by_id["head"]["size"], 5);
    let (code, out, _) = folder.run(&["ledger", "prove", "--dir", &dir, "2"]);
    assert_eq!((code, serde_json::from_str::<serde_json::Value>(&out).unwrap()), (0, by_id));
    for (record, expected, why) in [
        ("5", 1, "vouches"),
        ("99", 1, "vouches"),
        ("req_000000000000000000000000000000ff", 1, "no such record"),
        ("req_ff", 2, "neither"),
        ("one", 2, "neither"),
    ] {
        let (code, out, err) = folder.run(&["ledger", "prove", "--dir", &dir, record]);
        assert_eq!((code, out.as_str()), (expected, ""), "{record}: {err}");
        assert!(err.contains(why), "{record}: {err}");
    }
}

#[test]
fn heads_are_listed_and_wrong_ones_told() {
    let folder = Folder::new(CONFIG);
    let data = folder.path().join("books");
    let dir = data.display().to_string();
    ledger(&data);
    ledger(&data);
    let (code, out, err) = folder.run(&["ledger", "heads", "--dir", &dir]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.starts_with("TIME") && out.contains("  ok "), "{out}");
    let (_, out, _) = folder.run(&["ledger", "heads", "--dir", &dir, "--last", "1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["signed"]), (1, &true.into()));
    let path = data.join("ledger/heads.jsonl");
    let text = std::fs::read_to_string(&path).unwrap().replace("\"size\":5", "\"size\":4");
    std::fs::write(&path, text).unwrap();
    let (code, out, err) = folder.run(&["ledger", "heads", "--dir", &dir]);
    assert_eq!(code, 1);
    assert!(out.contains("wrong") && err.contains("1 of 2 heads"), "{out}{err}");
}
