//! What leaves the ledger as files, read by somebody else's reader.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::client::{messages, once};
use crate::gateway::{Gateway, KEY, NARROW_KEY, for_each_engine, tollgate};
use crate::peer::scripted_upstream;
use crate::peers;
use crate::program;

const SOON: Duration = Duration::from_secs(60);

fn export(gateway: &Gateway, args: &[&str]) -> String {
    let mut command = tollgate(gateway.folder().path());
    program::run(command.args(["ledger", "export"]).args(args), SOON).succeeded().stdout
}

/// The columns of an entry as JSON has it.
fn flat(entry: &Value) -> Map<String, Value> {
    let mut row = entry.as_object().expect("an entry is an object").clone();
    let tokens = row.remove("tokens").unwrap_or_default();
    for kind in ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"] {
        row.insert(format!("tokens_{kind}"), json!(tokens[kind].as_u64().unwrap_or(0)));
    }
    let at = row.remove("at_ms").expect("each entry has a time");
    row.insert("at".to_owned(), at);
    let count = row.get("actions").and_then(Value::as_array).map_or(0, Vec::len);
    row.insert("action_count".to_owned(), json!(count));
    row
}

/// A row of the file, lists read out of their texts, and the dollars beside it.
fn row(read: &Value) -> (Map<String, Value>, f64) {
    let mut row = read.as_object().expect("a row is an object").clone();
    for list in ["budgets", "actions"] {
        if let Some(text) = row.get_mut(list) {
            *text = serde_json::from_str(text.as_str().expect("a list is a text")).expect("of JSON");
        }
    }
    let dollars = row.remove("cost_usd").and_then(|dollars| dollars.as_f64()).expect("dollars");
    (row, dollars)
}

#[test]
fn parquet_says_the_same_as_json() {
    for_each_engine(|engine| {
        let tool = Some(("Bash", json!({ "command": "grep -r \"gr\u{fc}n\" ." })));
        let upstream = scripted_upstream::start(scripted_upstream::Script { tool, text: &["unused"] });
        let more =
            "budgets: [{ name: all, usd: 1000, per: month }, { name: each, each: key, usd: 9, per: day }]\n";
        let mut gateway = Gateway::with(engine, &upstream.url(), more);
        for number in 0..12 {
            let key = if number % 3 == 0 { NARROW_KEY } else { KEY };
            once(gateway.addr(), &messages(key, "claude-any", number % 2 == 0));
        }
        gateway.signal("TERM");
        gateway.wait(Duration::from_secs(20));
        for query in ["", "status:200", "user:nobody"] {
            let lines = export(&gateway, &[query]);
            let entries: Vec<Value> =
                lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
            let path = gateway.folder().join("ledger.parquet");
            let mut command = tollgate(gateway.folder().path());
            command.args(["ledger", "export", "--format", "parquet", query]);
            command.stdout(File::create(&path).expect("a file can be made")).stderr(Stdio::inherit());
            assert!(command.status().expect("it starts").success());
            let mut python = Command::new(peers::arrow_python());
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/read_parquet.py");
            let told = program::run(python.arg(script).arg(&path), SOON).succeeded().stdout;
            let told: Value = serde_json::from_str(&told).expect("it prints JSON");
            let rows = told["rows"].as_array().expect("rows");
            assert_eq!(rows.len(), entries.len(), "{query:?}");
            assert_eq!(rows.is_empty(), query == "user:nobody", "{told}");
            for (read, entry) in rows.iter().zip(&entries) {
                let (row, dollars) = row(read);
                assert_eq!(row, flat(entry));
                let pico = entry["cost_pico"].to_string().parse::<f64>().expect("a number");
                assert!((dollars * 1e12 - pico).abs() < 1.0, "{dollars} of {pico}");
            }
            let types = &told["types"];
            for (column, kind) in [
                ("at", "timestamp[ms, tz=UTC] not null"),
                ("cost_pico", "int64 not null"),
                ("cost_usd", "double not null"),
                ("tokens_input", "int64 not null"),
                ("status", "int64"),
                ("error", "string"),
                ("id", "string not null"),
            ] {
                assert_eq!(types[column], kind, "{column}: {types}");
            }
        }
        let all = export(&gateway, &[]);
        assert!(
            all.contains("\"actions\"") && all.contains("\"budgets\"") && all.contains("gr\u{fc}n"),
            "{all}"
        );
    });
}

#[test]
fn an_export_leaves_out_what_may_not_be_there() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let mut gateway = Gateway::start(engine, &upstream.url());
        for key in [KEY, NARROW_KEY, KEY] {
            once(gateway.addr(), &messages(key, "claude-any", false));
        }
        gateway.signal("TERM");
        gateway.wait(Duration::from_secs(20));
        let all = export(&gateway, &["kind:model_call,refusal"]);
        assert_eq!((all.lines().count(), all.matches("\"team\":\"narrow\"").count()), (3, 1), "{all}");
        let text = std::fs::read_to_string(gateway.folder().join("tollgate.yaml")).expect("it has a config");
        let bound = text.replace("narrow: { models:", "narrow: { regions: [eu], models:");
        gateway.folder().write("tollgate.yaml", &bound);
        let run = |args: &[&str]| {
            let mut command = tollgate(gateway.folder().path());
            program::run(command.args(["ledger", "export", "kind:model_call,refusal"]).args(args), SOON)
        };
        let refused = run(&[]);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{}", refused.stdout);
        assert!(
            refused.stderr.contains("(team narrow: regions eu): say where this export"),
            "{}",
            refused.stderr
        );
        let here = run(&["--region", "eu"]);
        assert_eq!((here.stdout, here.stderr), (all, String::new()));
        for format in ["jsonl", "csv"] {
            let there = run(&["--region", "us", "--format", format]).succeeded();
            assert!(!there.stdout.contains("narrow"), "{}", there.stdout);
            assert!(
                there.stderr.contains("1 entries were left out (team narrow: regions eu)"),
                "{}",
                there.stderr
            );
        }
        let wrong = run(&["--region", "e*"]);
        assert!(!wrong.status.success() && wrong.stderr.contains("--region"), "{}", wrong.stderr);
    });
}
