//! The MCP side of a config: what holds, and what a `.mcp.json` becomes.

use std::time::Duration;

use crate::call::{Class, ToolChoice, ToolMode};
use crate::config::environment::Environment;
use crate::config::load::{Keys, Loaded, load_in};
use crate::config::pinning::Pinning;
use crate::config::reload::{Watch, reload_in};
use crate::config::snapshot::Mcp;
use crate::config::tests::{Folder, faults, good, load_text};
use crate::ids::{ServerName, TeamName};
use crate::limits;
use crate::mcp::presentation::{Prefix, Presentation, ToolOverride};
use crate::policy::decide::ToolCall;
use crate::policy::rights::Answer;
use crate::upstream::mcp::server::{Api, Document, EraChoice, Program, Remote, Sharing, Transport};

/// Every key of `mcp_servers:` and `mcp:`.
const WHOLE: &str = r#"
mcp_servers:
  github:
    url: https://MCP.example.com/mcp/?team=a
    headers: { Authorization: "Bearer ${env:TOKEN}", X-Both: "${file:secret}/${env:TOKEN}", x-plain: a b }
    era: modern
    trusted: true
    call_timeout_ms: 5000
    sharing: per_caller
    idle_s: 7
    prefix: always
    proxy: http://u:hidden-password@proxy:3128
    tools:
      delete_*: { hide: true }
      search: { rename: find, description: "Finds\nthings.", mode: raw }
  files:
    command: ./bin/files
    args: [-y, "@modelcontextprotocol/server-filesystem", /srv/docs, ""]
    env: { API_KEY: "${env:TOKEN}", LEVEL: debug, EMPTY: "" }
    cwd: work
    prefix: fs
    tools: lean
  old: { url: "http://127.0.0.1:9/sse", type: sse, era: legacy, prefix: never }
  inline: { url: "${env:WHERE}" }
  pets: { openapi: pets.yaml, headers: { x-api-key: "${env:TOKEN}" } }
  shop: { openapi: "https://api.example.com/spec?v=3", base_url: "https://api.example.com/v1/" }
mcp:
  allowed_origins: ["https://*.Example.com", "*"]
  allowed_hosts: [mcp.example.com, "10.0.0.1:4000"]
  legacy_sse: true
  endpoint_key: gate
  tools: raw
teams:
  platform: { servers: { github: ["*"], f*: ["read_*", "list_*"] } }
  all: { tools: lean }
keys:
  - { name: dev, secret: "${env:DEV}", team: platform, servers: { files: ["read_file"] } }
"#;

const PETS: &str = "openapi: 3.1.0\ninfo: { title: 'Pets', version: 1.10, 'x-no': no }\n\
                    servers: [{ url: 'https://pets.example.com/api/' }]\n\
                    paths:\n  /pets:\n    get:\n      deprecated: true\n      responses: { 200: {}, x: ~ }\n";

const VARIABLES: &[(&str, &str)] = &[
    ("TOKEN", "hidden-token"),
    ("DEV", "tg_hidden-and-long-enough"),
    ("WHERE", "https://hooks.example.com/hidden-part/mcp"),
];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("secret", "hidden-file\n");
    folder.write("pets.yaml", PETS);
    folder
}

fn whole(folder: &Folder) -> Loaded {
    load_text(folder, WHOLE, VARIABLES, &Keys::Read).unwrap_or_else(|faults| panic!("{faults}"))
}

fn transport<'l>(loaded: &'l Loaded, name: &str) -> &'l Transport {
    let mut servers = loaded.snapshot.mcp.servers.iter();
    &servers.find(|one| one.server.name.as_str() == name).unwrap().server.transport
}

fn headers(remote: &Remote) -> Vec<(&str, &str)> {
    remote.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect()
}

#[test]
fn servers_behind_http() {
    let folder = folder();
    let loaded = whole(&folder);
    assert_eq!(loaded.warnings.len(), 1, "only that there is no provider: {:?}", loaded.warnings);
    let names: Vec<&str> = loaded.snapshot.mcp.servers.iter().map(|one| one.server.name.as_str()).collect();
    assert_eq!(names, ["github", "files", "old", "inline", "pets", "shop"]);
    let github = &loaded.snapshot.mcp.servers[0];
    let Transport::Http(remote) = &github.server.transport else { panic!("{github:?}") };
    assert_eq!((remote.site.host.as_str(), remote.path.as_str()), ("mcp.example.com", "/mcp/?team=a"));
    let (bearer, both) = ("Bearer hidden-token", "hidden-file/hidden-token");
    assert_eq!(headers(remote), [("authorization", bearer), ("x-both", both), ("x-plain", "a b")]);
    assert!(remote.site.tls.is_some() && remote.site.proxy.as_ref().unwrap().authorization.is_some());
    let server = &github.server;
    assert_eq!((server.era, server.trusted, server.sharing), (EraChoice::Modern, true, Sharing::PerCaller));
    assert_eq!((server.call_deadline, server.idle), (Duration::from_secs(5), Duration::from_secs(7)));
    let hidden = ToolOverride { name: "delete_*".to_owned(), hide: true, ..ToolOverride::default() };
    let search = ToolOverride {
        name: "search".to_owned(),
        rename: Some("find".to_owned()),
        hide: false,
        description: Some("Finds\nthings.".to_owned()),
        class: None,
        mode: Some(ToolMode::Raw),
        results: None,
    };
    let expected =
        Presentation { prefix: Prefix::Always, tools: vec![hidden, search], ..Presentation::default() };
    assert_eq!(github.presentation, expected);
    let old = &loaded.snapshot.mcp.servers[2];
    assert!(matches!(&old.server.transport, Transport::Sse(remote) if remote.path == "/sse"), "{old:?}");
    assert_eq!((old.server.era, &old.presentation.prefix), (EraChoice::Legacy, &Prefix::Never));
    assert_eq!((old.server.call_deadline, old.server.idle), (limits::MCP_CALL_DEADLINE, limits::MCP_IDLE));
    let Transport::Http(inline) = transport(&loaded, "inline") else { panic!() };
    assert_eq!((inline.site.host.as_str(), inline.path.as_str()), ("hooks.example.com", "/hidden-part/mcp"));
    assert!(loaded.watched.contains(&folder.path().join("secret")));
}

#[test]
fn programs() {
    let folder = folder();
    let loaded = whole(&folder);
    let Transport::Stdio(Program { command, args, env, cwd, .. }) = transport(&loaded, "files") else {
        panic!()
    };
    assert_eq!(*command, folder.path().join("bin/files").display().to_string());
    assert_eq!(args[..], ["-y", "@modelcontextprotocol/server-filesystem", "/srv/docs", ""]);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(env, [("API_KEY", "hidden-token"), ("LEVEL", "debug"), ("EMPTY", "")]);
    assert_eq!(*cwd, folder.path().join("work"));
    assert_eq!(loaded.snapshot.mcp.servers[1].presentation.prefix, Prefix::Fixed("fs".to_owned()));
    let bare = good("mcp_servers: { a: { command: npx, type: stdio } }", &[]);
    let Transport::Stdio(program) = transport(&bare, "a") else { panic!() };
    assert_eq!(program.command, "npx");
    assert!(program.cwd.is_absolute() && program.args.is_empty());
}

#[test]
fn apis() {
    let folder = folder();
    let loaded = whole(&folder);
    let Transport::OpenApi(Api { document: Document::Text(text), base }) = transport(&loaded, "pets") else {
        panic!()
    };
    assert_eq!(
        &**text,
        "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Pets\",\"version\":1.10,\"x-no\":\"no\"},\
         \"servers\":[{\"url\":\"https://pets.example.com/api/\"}],\
         \"paths\":{\"/pets\":{\"get\":{\"deprecated\":true,\"responses\":{\"200\":{},\"x\":null}}}}}"
    );
    assert_eq!((base.site.host.as_str(), base.path.as_str()), ("pets.example.com", "/api"));
    assert_eq!(headers(base), [("x-api-key", "hidden-token")]);
    assert!(loaded.watched.contains(&folder.path().join("pets.yaml")));
    let Transport::OpenApi(Api { document: Document::Remote(document), base }) = transport(&loaded, "shop")
    else {
        panic!()
    };
    assert_eq!((document.path.as_str(), base.path.as_str()), ("/spec?v=3", "/v1"));
    folder.write("root.json", r#" {"openapi":"3.0.0","servers":[{"url":"/relative"}],"paths":{}}"#);
    let config = "mcp_servers: { r: { openapi: root.json, base_url: 'http://h:1/' } }";
    let loaded = load_text(&folder, config, &[], &Keys::Read).unwrap();
    let Transport::OpenApi(api) = transport(&loaded, "r") else { panic!() };
    assert_eq!(api.base.path, "");
}

#[test]
fn what_opens_an_api_stays_with_it() {
    let config = "mcp_servers: { a: { openapi: 'http://docs/x', base_url: 'http://127.0.0.1:1', \
                  headers: { x-api-key: '${env:TOKEN}' } } }";
    let loaded = good(config, VARIABLES);
    let Transport::OpenApi(Api { document: Document::Remote(document), base }) = transport(&loaded, "a")
    else {
        panic!()
    };
    assert!(document.headers.is_empty() && base.headers.len() == 1);
}

#[test]
fn the_endpoint() {
    let loaded = whole(&folder());
    let mcp = &loaded.snapshot.mcp;
    assert!(mcp.allowed_origins[0].matches("https://app.example.com"));
    assert_eq!(mcp.allowed_hosts[1].as_str(), "10.0.0.1:4000");
    assert_eq!((mcp.legacy_sse, mcp.endpoint_key.as_str()), (true, "gate"));
    let Mcp { servers, allowed_origins, allowed_hosts, legacy_sse, endpoint_key, pinning, tools, embedding } =
        good("drain_s: 1", &[]).snapshot.mcp;
    assert!(servers.is_empty() && allowed_origins.is_empty() && allowed_hosts.is_empty() && !legacy_sse);
    assert_eq!(endpoint_key, "tollgate");
    assert_eq!((pinning, tools, embedding.is_none()), (Pinning::default(), ToolChoice::Auto, true));
}

#[test]
fn how_definitions_are_written_is_said_of_all_of_teams_of_servers_and_of_tools() {
    let loaded = whole(&folder());
    let snapshot = &loaded.snapshot;
    assert_eq!(snapshot.mcp.tools, ToolChoice::Set(ToolMode::Raw));
    let team = |name: &str| snapshot.rules.team(&TeamName::new(name)).unwrap().tools;
    assert_eq!((team("platform"), team("all")), (None, Some(ToolChoice::Set(ToolMode::Lean))));
    let files = &snapshot.mcp.servers[1].presentation;
    assert_eq!((files.mode, files.tools.len()), (Some(ToolMode::Lean), 0));
    let github = &snapshot.mcp.servers[0].presentation;
    assert_eq!((github.mode, github.tools[1].mode), (None, Some(ToolMode::Raw)));
    let json = serde_json::to_value(&loaded.shown).unwrap();
    assert_eq!((&json["mcp"]["tools"], &json["teams"][1]["tools"]), (&"raw".into(), &"lean".into()));
    assert_eq!(json["mcp_servers"][1]["tool_mode"], "lean");
    assert_eq!(json["mcp_servers"][0]["tools"][1]["mode"], "raw");
}

#[test]
fn grants_reach_those_who_decide() {
    let loaded = whole(&folder());
    let snapshot = &loaded.snapshot;
    let dev = snapshot.keys.find(b"tg_hidden-and-long-enough", 0).unwrap();
    let files = ServerName::new("files");
    let call = ToolCall { server: &files, tool: "read_file", class: Class::Unknown, can_ask: false };
    let permit = snapshot.rules.decide_tool(dev, &call).unwrap();
    assert_eq!(permit.to_string(), "key dev: servers files: read_file, team platform: servers f*: read_*");
    assert_eq!(snapshot.rules.may_call(dev, &files, "list_files", Class::Read), Answer::Deny);
    assert!(snapshot.rules.may_see(dev, &ServerName::new("github")).is_err());
    let idle =
        good("teams: { t: { servers: { githb: ['*'] } } }\nmcp_servers: { github: { command: a } }", &[]);
    assert_eq!(idle.warnings[1..], ["teams.t.servers: no server has the name \"githb\", line 1"]);
}

#[test]
fn nothing_secret_is_shown_and_what_is_shown_can_be_read_again() {
    let folder = folder();
    let loaded = whole(&folder);
    let shown = loaded.shown.to_string();
    let json = serde_json::to_string(&loaded.shown).unwrap();
    let all = format!("{loaded:?}\n{shown}\n{json}");
    for secret in ["hidden", "aGlkZGVu", "team=a"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    let cwd = folder.path().join("work");
    let line = format!(
        "  files: {{ command: ./bin/files, cwd: {}, args: [\"-y\", {package}, /srv/docs, \"\"], \
         env: {{ {env} }}, \
         era: auto, sharing: shared, idle_s: 600, trusted: false, call_timeout_ms: 300000, prefix: fs, \
         pin: trust_on_first_use, tools: lean }}",
        cwd.display(),
        package = "\"@modelcontextprotocol/server-filesystem\"",
        env = "API_KEY: \"***\", EMPTY: \"***\", LEVEL: \"***\"",
    );
    assert!(shown.lines().any(|found| found == line), "{line}\n{shown}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["mcp_servers"][0]["headers"]["authorization"], "***");
    assert_eq!(json["mcp_servers"][0]["tools"][1]["rename"], "find");
    assert_eq!(json["mcp_servers"][4]["openapi"], "pets.yaml");
    assert_eq!(json["teams"][0]["servers"][1]["tools"][0], "read_*");

    // Secrets that stand in a path are gone for good; all else is the same again.
    let again = shown
        .replace("secret: \"***\"", "secret: \"${env:DEV}\"")
        .replace("url: \"***\"", "url: \"${env:WHERE}\"")
        .replace("http://***@", "http://u:p@");
    let second =
        load_text(&folder, &again, VARIABLES, &Keys::Read).unwrap_or_else(|why| panic!("{why}\n{again}"));
    let second = second.shown.to_string();
    let without_version = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_version(&shown), without_version(&second));
}

#[test]
fn the_version_follows_every_fact_of_a_server() {
    let folder = folder();
    let version = |config: &str, token: &str| {
        let variables = [("TOKEN", token), VARIABLES[1], VARIABLES[2]];
        load_text(&folder, config, &variables, &Keys::Read)
            .unwrap_or_else(|why| panic!("{why}"))
            .snapshot
            .version
    };
    let first = version(WHOLE, "hidden-token");
    assert_eq!(first, version(WHOLE, "hidden-token"));
    assert_ne!(first, version(WHOLE, "other-token"));
    for (old, new) in [
        ("team=a", "team=b"),
        ("x-plain: a b", "x-plain: a c"),
        ("era: modern", "era: legacy"),
        ("trusted: true", "trusted: false"),
        ("call_timeout_ms: 5000", "call_timeout_ms: 5001"),
        ("sharing: per_caller", "sharing: shared"),
        ("idle_s: 7", "idle_s: 8"),
        ("prefix: always", "prefix: never"),
        ("hidden-password", "hidden-passwore"),
        ("hide: true", "hide: false"),
        ("rename: find", "rename: fund"),
        ("things.", "things!"),
        ("/srv/docs", "/srv/docx"),
        ("LEVEL: debug", "LEVEL: error"),
        ("cwd: work", "cwd: wörk"),
        ("type: sse", "type: http"),
        ("/v1/", "/v2/"),
        ("spec?v=3", "spec?v=4"),
        ("\"https://*.Example.com\"", "\"https://*.example.org\""),
        ("10.0.0.1:4000", "10.0.0.1:4001"),
        ("legacy_sse: true", "legacy_sse: false"),
        ("endpoint_key: gate", "endpoint_key: gata"),
        ("list_*", "lisp_*"),
        ("read_file", "read_dir"),
        ("mode: raw", "mode: lean"),
        ("prefix: fs\n    tools: lean", "prefix: fs\n    tools: raw"),
        ("  tools: raw\nteams", "  tools: native\nteams"),
        ("all: { tools: lean }", "all: { tools: raw }"),
    ] {
        assert!(WHOLE.contains(old), "{old}");
        assert_ne!(first, version(&WHOLE.replace(old, new), "hidden-token"), "{old}");
    }
    folder.write("pets.yaml", PETS.replace("Pets", "Pest"));
    assert_ne!(first, version(WHOLE, "hidden-token"));
}

#[test]
fn secrets_in_the_file_and_on_the_wire_are_told() {
    let config = "
keys: [{ name: k, secret: '${env:DEV}' }]
providers: { d: { dialect: demo } }
mcp_servers:
  a: { url: 'http://h.example', headers: { Authorization: hidden, accept-language: de } }
  b: { command: b, env: { GITHUB_TOKEN: hidden, LEVEL: debug, API_KEY: '${env:TOKEN}', PASSWORD: '' } }
";
    let hint = "write `${env:NAME}` or `${file:PATH}` to keep it out";
    assert_eq!(
        good(config, VARIABLES).warnings,
        [
            format!("mcp_servers.a.headers.authorization: it stands in the config itself, line 5; {hint}"),
            "mcp_servers.a: its headers go over the network unencrypted (http)".to_owned(),
            format!("mcp_servers.b.env.GITHUB_TOKEN: it stands in the config itself, line 6; {hint}"),
        ]
    );
}

const MCP_JSON: &str = r#"{ "mcpServers": {
  "Git Hub!": { "type": "http", "url": "${BASE:-https://mcp.example.com}/mcp",
                "headers": { "Authorization": "Bearer ${TOKEN}" } },
  "files": { "command": "npx", "args": ["-y", "--key=${TOKEN}", "${DIR:-/srv}"], "env": { "N": 1 }, "x": {} },
  "sse": { "type": "sse", "url": "http://127.0.0.1:9/" },
  "unset": { "command": "${NOWHERE}" },
  "nested": { "command": "${A:-${B}}" },
  "socket": { "type": "ws", "url": "ws://h" },
  "us": { "type": "http", "url": "http://localhost:4000/mcp" },
  "git-hub": { "command": "true", "env": null },
  "nothing": 1
} }"#;

#[test]
fn a_mcp_json_serves_where_there_is_no_config() {
    let folder = Folder::new();
    folder.write(".mcp.json", MCP_JSON);
    let environment = Environment::given(VARIABLES, folder.path());
    let loaded = load_in(None, &environment, &Keys::Read).unwrap();
    let names: Vec<&str> = loaded.snapshot.mcp.servers.iter().map(|one| one.server.name.as_str()).collect();
    assert_eq!(names, ["git-hub-2", "files", "git-hub", "sse-2"]);
    let Transport::Http(remote) = transport(&loaded, "git-hub-2") else { panic!() };
    assert_eq!((remote.site.host.as_str(), remote.path.as_str()), ("mcp.example.com", "/mcp"));
    assert_eq!(headers(remote), [("authorization", "Bearer hidden-token")]);
    let Transport::Stdio(program) = transport(&loaded, "files") else { panic!() };
    assert_eq!(program.args[..], ["-y", "--key=hidden-token", "/srv"]);
    assert_eq!((program.env[0].1.expose(), &*program.cwd), ("1", folder.path()));
    for line in [
        ".mcp.json: server \"Git Hub!\" is called \"git-hub-2\" here",
        ".mcp.json: server \"files\": \"x\" means nothing here",
        ".mcp.json: server \"unset\" is left out: mcp_servers.unset.command: \
         the environment variable NOWHERE is not set",
        ".mcp.json: server \"nested\" is left out: mcp_servers.nested.command: \
         write a reference as `${NAME}` or `${NAME:-default}`",
        ".mcp.json: server \"us\" is left out: it is this gateway itself",
        ".mcp.json: server \"nothing\" is left out: it is no object",
    ] {
        assert!(loaded.warnings.iter().any(|found| found == line), "{line} in {:#?}", loaded.warnings);
    }
    assert!(loaded.warnings.iter().any(|line| line.contains("\"socket\" is left out: ")));
    assert!(loaded.warnings.iter().any(|line| line.contains("git-hub-2, files, git-hub, sse-2")));
    let all = format!("{loaded:?}\n{}\n{}", loaded.shown, serde_json::to_string(&loaded.shown).unwrap());
    assert!(!all.contains("hidden"), "{all}");
    assert!(all.contains("--key=***"), "{all}");

    // With a config it is not looked at.
    assert!(
        load_text(&folder, "drain_s: 1", VARIABLES, &Keys::Read).unwrap().snapshot.mcp.servers.is_empty()
    );
}

#[test]
fn no_mcp_json_keeps_us_from_starting() {
    let folder = Folder::new();
    let environment = Environment::given(VARIABLES, folder.path());
    for text in [
        "",
        "[]",
        "{",
        "{\"mcpServers\":[]}",
        "{}",
        "{\"mcpServers\":{\"\":{}}}",
        "\u{0}",
        "{\"mcpServers\":{\"a\":{\"command\":\"\",\"args\":{}}}}",
        "{\"mcpServers\":{\"a\":{\"url\":\"\"}}}",
        "{\"mcpServers\":{\"a\":{\"command\":\"x\",\"env\":{\"\\n\":\"\\u0000\"}}}}",
    ] {
        folder.write(".mcp.json", text);
        let loaded = load_in(None, &environment, &Keys::Read).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert!(loaded.snapshot.mcp.servers.is_empty(), "{text}");
        assert_eq!(loaded.warnings.len(), if text == "{}" { 1 } else { 2 }, "{text}: {:?}", loaded.warnings);
        assert!(loaded.warnings.iter().all(|line| !line.contains(['\n', '\0'])), "{:?}", loaded.warnings);
    }
}

#[test]
fn a_changed_document_or_mcp_json_is_taken_up() {
    let folder = folder();
    let environment = Environment::given(VARIABLES, folder.path());
    folder.write("tollgate.yaml", WHOLE);
    let loaded = load_in(None, &environment, &Keys::Read).unwrap();
    let mut watch = Watch::new(&loaded.watched);
    assert!(watch.changed() && !watch.changed());
    folder.write("pets.yaml", PETS.replace("Pets", "All Pets"));
    assert!(watch.changed());
    let reloaded = reload_in(None, &loaded.fixed, &environment).unwrap();
    assert_ne!(reloaded.snapshot.version, loaded.snapshot.version);
    folder.write("pets.yaml", "{");
    assert!(reload_in(None, &loaded.fixed, &environment).is_err());

    std::fs::remove_file(folder.path().join("tollgate.yaml")).unwrap();
    let loaded = load_in(None, &environment, &Keys::Read).unwrap();
    let mut watch = Watch::new(&loaded.watched);
    assert!(watch.changed() && !watch.changed());
    folder.write(".mcp.json", MCP_JSON);
    assert!(watch.changed());
    assert_eq!(reload_in(None, &loaded.fixed, &environment).unwrap().snapshot.mcp.servers.len(), 4);
}

#[test]
fn what_is_done_to_results_is_said_of_servers_and_of_tools() {
    let text = "mcp_servers:\n  a:\n    command: a\n    \
                results: { minify: true, drop: ['$..noise', \"$['a b'][0]\"], max_rows: 40 }\n    \
                tools: { list_*: { results: { keep: ['.items[*].name'], max_bytes: 4096 } } }\n";
    let loaded = good(text, &[]);
    let presentation = &loaded.snapshot.mcp.servers[0].presentation;
    let (all, one) =
        (presentation.results.as_ref().unwrap(), presentation.tools[0].results.as_ref().unwrap());
    assert!(all.minify && all.keep.is_empty() && all.drop.len() == 2 && !one.minify && one.keep.len() == 1);
    assert_eq!((all.caps.rows_max, all.caps.bytes_max), (Some(40), None));
    assert_eq!((one.caps.rows_max, one.caps.bytes_max), (None, Some(4096)));
    let json = serde_json::to_value(&loaded.shown).unwrap();
    let shown = &json["mcp_servers"][0]["results"];
    assert_eq!((&shown["drop"][1], &shown["max_rows"]), (&"$['a b'][0]".into(), &40.into()), "{shown}");
    assert_eq!(json["mcp_servers"][0]["tools"][0]["results"]["keep"][0], "$.items[*].name");
    let told = loaded.shown.to_string();
    assert!(
        told.contains("results: { minify: true, drop: [\"$..noise\", \"$['a b'][0]\"], max_rows: 40 }"),
        "{told}"
    );
    // What is shown can be written into a config.
    assert!(
        told.contains("results: { minify: false, keep: [\"$.items[*].name\"], max_bytes: 4096 }"),
        "{told}"
    );
}

#[test]
fn what_a_client_shows_of_results_is_said_or_follows_from_what_is_cut() {
    let text = "mcp_servers:\n  a:\n    command: a\n    \
                results: { max_bytes: 100000, refer_bytes: 4096 }\n    \
                tools: { dump: { results: { max_result_size_chars: 400000 } } }\n";
    let loaded = good(text, &[]);
    let presentation = &loaded.snapshot.mcp.servers[0].presentation;
    let (all, one) =
        (presentation.results.as_ref().unwrap(), presentation.tools[0].results.as_ref().unwrap());
    assert_eq!((all.client_chars, all.result_chars(), all.refer_bytes), (None, Some(100_256), Some(4096)));
    assert_eq!((one.result_chars(), one.refer_bytes, one.reads_results()), (Some(400_000), None, false));
    let told = loaded.shown.to_string();
    for wanted in [
        "results: { minify: false, max_bytes: 100000, max_result_size_chars: 100256, refer_bytes: 4096 }",
        "results: { minify: false, max_result_size_chars: 400000 }",
    ] {
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn what_is_left_open_is_left_open_for_callers_and_not_for_servers() {
    let loaded = good("mcp: { tools: auto }\nteams: { t: { tools: auto } }\n", &[]);
    assert_eq!(loaded.snapshot.mcp.tools, ToolChoice::Auto);
    let told = loaded.shown.to_string();
    assert_eq!(told.matches("tools: auto").count(), 2, "{told}");
    let found = faults("mcp_servers: { s: { command: a, tools: auto } }\n", &[]);
    assert!(
        found.contains("expected one of native, lean, raw, search, jit, code, found \"auto\""),
        "{found}"
    );
}

#[test]
fn what_is_kept_of_a_server_is_one_rule_or_several() {
    let text = "mcp_servers:\n  a: { command: a, trusted: true, cache: { ttl_s: 60 } }\n  b:\n    \
                command: b\n    trusted: true\n    \
                cache: [{ tools: [get_*, list], shared: true }, { ttl_s: 5 }]\n  c: { command: c }\n";
    let loaded = good(text, &[]);
    let rules = |place: usize| &loaded.snapshot.mcp.servers[place].presentation.cache;
    assert_eq!(rules(0)[0].ttl, Some(Duration::from_secs(60)));
    assert!(rules(0)[0].tools[0].matches("anything") && !rules(0)[0].shared && rules(2).is_empty());
    assert_eq!((rules(1)[0].ttl, rules(1)[0].shared, rules(1)[0].tools.len()), (None, true, 2));
    assert_eq!(rules(1)[1].ttl, Some(Duration::from_secs(5)));
    let told = loaded.shown.to_string();
    let shown = "cache: [{ tools: [\"get_*\", \"list\"], shared: true }, \
                 { ttl_s: 5, tools: [\"*\"], shared: false }]";
    assert!(told.contains(shown), "{told}");
    let json = serde_json::to_value(&loaded.shown).unwrap();
    assert_eq!(json["mcp_servers"][0]["cache"][0]["ttl_s"], 60);
}
