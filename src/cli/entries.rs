//! What all commands about entries need: the index of the config's ledger, times, and shapes for people.

use std::path::{Path, PathBuf};

use crate::cli::ledger_args::Zone;
use crate::cli::output::{Failure, Output};
use crate::clock;
use crate::config::outline;
use crate::ledger::follow::Follower;
use crate::ledger::index::IndexFault;
use crate::ledger::index::query::{Now, Query};
use crate::ledger::index::search::Reader;
use crate::ledger::index::store;
use crate::ledger::index::thread::{self, Unbuilt};
use crate::ledger::live;

impl From<IndexFault> for Failure {
    fn from(fault: IndexFault) -> Self {
        Self::Refused(fault.to_string())
    }
}

/// Opens the index, after it has taken what the ledger has more.
pub(crate) fn open(config: Option<&Path>, output: &mut Output<'_>) -> Result<Reader, Failure> {
    let data_dir = data_dir(config)?;
    let path = store::path_in(&data_dir);
    // A gateway that runs keeps it up as well; whoever comes first takes a record, and nobody takes it twice.
    if let Err(fault) = thread::catch_up(&path, |from| Follower::offline(&data_dir, from)) {
        if matches!(fault, Unbuilt::Index(IndexFault::Version { .. })) {
            return Err(Failure::Refused(fault.to_string()));
        }
        output.note(&format!("warning: {fault}; newer entries may be missing"))?;
    }
    Ok(Reader::open(&path)?)
}

/// The data folder, which has a ledger.
fn data_dir(config: Option<&Path>) -> Result<PathBuf, Failure> {
    let data_dir = outline::outline(config)?.data_dir;
    if data_dir.join("ledger").is_dir() {
        return Ok(data_dir);
    }
    Err(Failure::Refused(format!("{} has no ledger yet: a running gateway makes it", data_dir.display())))
}

/// Deletes the index and builds it anew.
pub(crate) fn rebuild(config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failure> {
    let data_dir = data_dir(config)?;
    if live::is_kept(&data_dir) {
        return Err(Failure::Refused(format!(
            "a gateway keeps the ledger of {}, and would go on writing into the index that is deleted: stop \
             it first; it keeps the index up by itself",
            data_dir.display()
        )));
    }
    let path = store::path_in(&data_dir);
    // That standard error is gone is no reason to stop.
    let told = |position| drop(output.note(&format!("  {position} records")));
    let built = thread::rebuild(&path, |from| Follower::offline(&data_dir, from), told);
    let records = built.map_err(|fault| Failure::Refused(fault.to_string()))?;
    output.text(&format!("the index {} has all {records} records", path.display()))
}

/// The time and the zone that searches are read with.
pub(crate) fn now(zone: &Zone) -> Result<Now, Failure> {
    let ms = clock::unix_s(clock::wall()).saturating_mul(1000).saturating_add(999);
    let name = zone.name.as_deref();
    Now::new(ms, name).ok_or_else(|| {
        Failure::Usage(format!("there is no zone {:?}: write Europe/Berlin or UTC", name.unwrap_or_default()))
    })
}

/// Reads a search, which a shell may have cut into words.
pub(crate) fn query(words: &[String], now: &Now) -> Result<Query, Failure> {
    let text = words.join(" ");
    Query::parse(&text, now)
        .map_err(|fault| Failure::Usage(format!("{text}\n{:>at$}\n{fault}", '^', at = fault.at)))
}

/// Dollars for people: cents above a dollar, else what can be seen; nothing for nothing.
pub(crate) fn money(pico: u128) -> String {
    const DOLLAR: u128 = 1_000_000_000_000;
    let decimals = if pico >= DOLLAR { 2 } else { 4 };
    let unit = DOLLAR / 10_u128.pow(decimals);
    match (pico, pico.div_ceil(unit)) {
        (0, _) => "-".to_owned(),
        (_, units) => {
            let (whole, part) = (units / 10_u128.pow(decimals), units % 10_u128.pow(decimals));
            format!("${whole}.{part:0width$}", width = if decimals == 2 { 2 } else { 4 })
        }
    }
}

/// A duration for people.
pub(crate) fn took(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        1..=999_999 => format!("{} ms", us.div_ceil(1000)),
        1_000_000..=119_999_999 => format!("{}.{} s", us / 1_000_000, us / 100_000 % 10),
        _ => format!("{} min", us / 60_000_000),
    }
}

/// A dash for nothing.
pub(crate) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { crate::cli::table::plain(text) }
}

/// A number, or a dash for none.
pub(crate) fn count(number: u64) -> String {
    match usize::try_from(number) {
        Ok(0) => "-".to_owned(),
        Ok(number) => crate::cli::table::thousands(number),
        Err(_) => number.to_string(),
    }
}

/// A share in thousandths, for people.
pub(crate) fn share(permille: Option<u64>) -> String {
    permille.map_or_else(|| "-".to_owned(), |permille| format!("{}.{} %", permille / 10, permille % 10))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use crate::cli::output::Output;
    use crate::cli::run_with;
    use crate::clock;
    use crate::ids::CallId;
    use crate::ledger::entry::{Action, Class, Entry, Kind, Tokens};
    use crate::ledger::live::Ledger;
    use crate::ledger::settings::Settings;

    use super::{money, took};

    /// A folder with a config and a ledger of one short session.
    struct Folder(PathBuf);

    impl Folder {
        fn new(entries: &[Entry]) -> Self {
            let mut random = [0; 8];
            getrandom::fill(&mut random).unwrap();
            let path = std::env::temp_dir().join(format!("tollgate-cli-{:016x}", u64::from_ne_bytes(random)));
            std::fs::create_dir_all(path.join("data")).unwrap();
            std::fs::write(path.join("tollgate.yaml"), "data_dir: ./data\n").unwrap();
            if !entries.is_empty() {
                let mut opened = Ledger::open(Settings::new(path.join("data"), 1), 1).unwrap();
                for entry in entries {
                    opened.journals[0].append_event(entry).unwrap();
                }
                opened.ledger.stop().unwrap();
            }
            Self(path)
        }

        fn run(&self, words: &[&str]) -> (u8, String, String) {
            let config = self.0.join("tollgate.yaml").into_os_string();
            let own: [OsString; 3] = ["tollgate".into(), "--config".into(), config];
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let words = own.into_iter().chain(words.iter().map(OsString::from));
            let code = run_with(words, &mut Output::new(&mut out, &mut err));
            (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    /// 2026-11-22, 12:00 UTC.
    const NOON: u64 = 1_795_348_800_000;

    /// A prompt: the model answers with two tool uses, one of which comes to us.
    fn entries() -> Vec<Entry> {
        let action = |id: &str, name: &str, class, detail: &str| Action {
            id: id.to_owned(),
            name: name.to_owned(),
            class,
            detail: detail.to_owned(),
        };
        let common = |number: u128, kind, at_ms| Entry {
            key: "ana-laptop".to_owned(),
            team: "platform".to_owned(),
            user: "ana".to_owned(),
            session: "s-1".to_owned(),
            prompt: "p-1".to_owned(),
            status: 200,
            outcome: "done".to_owned(),
            ..Entry::new(CallId(number), kind, at_ms)
        };
        let model = Entry {
            model: "claude-sonnet-5".to_owned(),
            provider: "anthropic".to_owned(),
            took_us: 4_200_000,
            tokens: Tokens { input: 100, output: 345, cache_read: 900, ..Tokens::default() },
            cost_pico: 51_234_000_000,
            actions: vec![
                action("toolu_1", "Bash", Class::Write, "kubectl -n prod get pods \u{1b}[2J"),
                action("toolu_2", "mcp__tollgate__create_issue", Class::Unknown, ""),
            ],
            ..common(1, Kind::ModelCall, NOON)
        };
        let tool = Entry {
            server: "github".to_owned(),
            tool: "create_issue".to_owned(),
            class: Class::Write,
            took_us: 1_300_000,
            tool_use_id: "toolu_2".to_owned(),
            status: 502,
            outcome: "upstream_cut".to_owned(),
            error: "connection refused".to_owned(),
            ..common(2, Kind::ToolCall, NOON + 5000)
        };
        vec![model, tool]
    }

    #[test]
    fn entries_are_found_and_told_in_every_form() {
        let folder = Folder::new(&entries());
        let (code, out, err) = folder.run(&["ledger", "search", "user:ana", "class:write", "--zone", "UTC"]);
        assert_eq!((code, err.as_str()), (0, ""));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3, "{out}");
        assert!(lines[0].starts_with("TIME") && lines[0].contains("COST"));
        assert!(
            lines[1].starts_with("2026-11-22 12:00:05  ana  ") && lines[1].ends_with("connection refused")
        );
        assert!(
            lines[2].contains("claude-sonnet-5")
                && lines[2].contains("$0.0513")
                && lines[2].contains("1,345")
        );
        assert!(!out.contains('\u{1b}'), "what steers terminals is gone");
        let (_, json, _) = folder.run(&["ledger", "search", "prod", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["entries"][0]["model"], "claude-sonnet-5");
        assert_eq!(json["next"], serde_json::Value::Null);
        let (_, csv, _) = folder.run(&["ledger", "search", "tool:github.*", "--csv"]);
        assert!(csv.starts_with("position,time,") && csv.contains("github,create_issue,write,502"), "{csv}");
        let (_, counted, _) = folder.run(&["ledger", "search", "--facets"]);
        assert!(counted.starts_with("2 entries") && counted.contains("tool_call"), "{counted}");
        let (_, page, note) = folder.run(&["ledger", "search", "--limit", "1"]);
        assert!(page.lines().count() == 2 && note.contains("--before 1"), "{note}");
        let (code, out, note) = folder.run(&["ledger", "search", "nothinglikeit"]);
        assert_eq!((code, out.as_str(), note.as_str()), (0, "", "nothing was found\n"));
    }

    #[test]
    fn a_search_that_is_not_understood_is_shown_with_its_place() {
        let folder = Folder::new(&entries());
        let (code, _, err) = folder.run(&["ledger", "search", "user:ana", "colour:red"]);
        assert_eq!(code, 2);
        assert!(
            err.starts_with("user:ana colour:red\n         ^\nat character 10: there is no field"),
            "{err}"
        );
        assert_eq!(folder.run(&["ledger", "search", "--zone", "Moon/Sea"]).0, 2);
        assert_eq!(folder.run(&["ledger", "search", "--limit", "0"]).0, 2);
        assert_eq!(folder.run(&["ledger", "show", "req_7"]).0, 2);
        assert_eq!(folder.run(&["ledger", "show"]).0, 2);
        let (code, _, err) = Folder::new(&[]).run(&["ledger", "search"]);
        assert!(code == 1 && err.contains("has no ledger yet"), "{err}");
    }

    #[test]
    fn a_session_is_one_timeline() {
        let folder = Folder::new(&entries());
        let (code, out, err) = folder.run(&["ledger", "show", "--session", "s-1", "--zone", "UTC"]);
        assert_eq!((code, err.as_str()), (0, ""));
        let expected = "\
session s-1
user    ana
key     ana-laptop
team    platform

prompt p-1
  12:00:00  model_call   claude-sonnet-5  100 in  900 cached  345 out  4.2 s  $0.0513
            - Bash (write) kubectl -n prod get pods \u{fffd}[2J
            - mcp__tollgate__create_issue  called 12:00:05 of github.create_issue
  12:00:05  tool_call    github.create_issue  write  1.3 s  502 upstream_cut  connection refused

1 model calls, 1 tool calls, 2 actions of the client told, 1,345 tokens, 90.0 % cached, $0.051234
";
        assert_eq!(out, expected);
        let id = CallId(1).to_string();
        let (_, one, _) = folder.run(&["ledger", "show", &id, "--zone", "UTC"]);
        assert!(one.starts_with("time            2026-11-22 12:00:00\n"), "{one}");
        assert!(
            one.contains("cost            $0.051234\n") && one.contains("cache read      900\n"),
            "{one}"
        );
        let (_, json, _) = folder.run(&["ledger", "show", &id, "--json"]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["id"], id);
        assert_eq!(folder.run(&["ledger", "show", &CallId(9).to_string()]).0, 1);
        assert_eq!(folder.run(&["ledger", "show", "--session", "s-9"]).0, 1);
    }

    #[test]
    fn everything_is_written_out_and_built_anew() {
        let folder = Folder::new(&entries());
        let (_, lines, _) = folder.run(&["ledger", "export"]);
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!((first["position"].as_u64(), lines.lines().count()), (Some(0), 2));
        let (_, csv, _) = folder.run(&["ledger", "export", "--format", "csv", "kind:model_call"]);
        assert_eq!(csv.lines().count(), 2);
        let (code, out, err) = folder.run(&["ledger", "rebuild"]);
        assert!(code == 0 && out.contains("has all ") && err.contains(" records"), "{out}{err}");
        assert_eq!(folder.run(&["ledger", "export"]).1, lines);
    }

    #[test]
    fn the_index_of_a_running_gateway_is_left_alone() {
        let folder = Folder::new(&entries());
        assert_eq!(folder.run(&["ledger", "rebuild"]).0, 0);
        let index = folder.0.join("data/ledger/index.sqlite");
        let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&index).unwrap());
        let before = inode();
        let running = Ledger::open(Settings::new(folder.0.join("data"), 1), 1).unwrap();
        let (code, _, err) = folder.run(&["ledger", "rebuild"]);
        assert!(
            code == 1 && err.contains("a gateway keeps the ledger") && err.contains("stop it first"),
            "{err}"
        );
        assert_eq!(inode(), before);
        assert_eq!(folder.run(&["ledger", "search", "user:ana"]).0, 0, "it can be searched all the same");
        running.ledger.stop().unwrap();
        drop(running);
        assert_eq!(folder.run(&["ledger", "rebuild"]).0, 0);
    }

    #[test]
    fn what_was_spent_is_told() {
        let folder = Folder::new(&entries());
        let spend = |words: &[&str]| {
            let common = ["spend", "--since", "2026-11-01", "--until", "2026-11-30", "--zone", "UTC"];
            folder.run(&[&common, words].concat())
        };
        let (code, out, _) = spend(&["--by", "team,tool", "--per", "day"]);
        assert_eq!(code, 0);
        let expected = "\
DAY         CALLS  INPUT  FROM CACHE  CACHED  OUTPUT     COST  TEAM, TOOL
2026-11-22      1    100         900  90.0 %     345  $0.0513  platform, -
2026-11-22      1      -           -       -       -        -  platform, github.create_issue
                2    100         900  90.0 %     345  $0.0513  all
";
        assert_eq!(out, expected);
        let (_, out, _) = spend(&["--by", "session"]);
        assert!(out.contains("s-1") && out.contains("90.0 %"), "{out}");
        let (_, csv, _) = spend(&["--by", "user", "--csv"]);
        assert_eq!(csv.lines().nth(1), Some("ana,2,100,345,900,0,0,0.051234"));
        let (_, json, _) = spend(&["--user", "ben", "--json"]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["total"]["calls"], 0);
        assert_eq!(spend(&["--by", "colour"]).0, 2);
        assert_eq!(spend(&["--per", "year"]).0, 2);
    }

    #[test]
    fn tools_that_sessions_used_are_proposed() {
        let now = clock::unix_ms(clock::wall());
        let mut all = Vec::new();
        for number in 0..3 {
            for entry in entries() {
                let use_id = format!("toolu_{number}");
                let mut entry = Entry { id: CallId(entry.id.0 + number * 10), at_ms: now, ..entry };
                match entry.kind {
                    // The server is not told of the session: the use leads there.
                    Kind::ToolCall => (entry.session, entry.tool_use_id) = (String::new(), use_id),
                    _ => {
                        entry.session = format!("s-{number}");
                        entry.actions[1].id = use_id;
                    }
                }
                all.push(entry);
            }
        }
        let folder = Folder::new(&all);
        let (code, out, err) = folder.run(&["tools", "suggest", "--offline"]);
        assert_eq!((code, err.as_str()), (0, ""));
        let expected = "\
TEAM      SESSIONS  SHARE  CALLS  TOKENS  TOOL
platform    3 of 3  100 %      3       -  github.create_issue

# for the config: tools that are always loaded
teams:
  platform:
    core: { github: [create_issue] }
";
        assert_eq!(out, expected);
        let (_, json, _) = folder.run(&["tools", "suggest", "--offline", "--json", "--team", "platform"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["teams"][0]["tools"][0]["sessions"], 3);
        let (code, out, err) = folder.run(&["tools", "cost", "--from-ledger", "--days", "1"]);
        assert!(code == 0 && out.contains(" in the 3 sessions of 1 days"), "{out}{err}");
        for (words, code) in [(&["--days", "1"][..], 2), (&["--from-ledger", "--days", "0"], 2)] {
            assert_eq!(folder.run(&[&["tools", "cost"], words].concat()).0, code, "{words:?}");
        }
    }

    #[test]
    fn numbers_for_people() {
        let dollars = [(0, "-"), (1, "$0.0001"), (51_234_000_000, "$0.0513"), (1_999_000_000_000, "$2.00")];
        for (pico, text) in dollars {
            assert_eq!(money(pico), text);
        }
        for (us, text) in [(0, "-"), (1, "1 ms"), (1_250_000, "1.2 s"), (600_000_000, "10 min")] {
            assert_eq!(took(us), text);
        }
    }
}
