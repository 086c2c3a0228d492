//! Arguments and results of calls arrive byte for byte, whichever eras meet and whatever lies between.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::gateway::{Folder, for_each_engine};
use crate::mcp_caller::{Caller, assert_member, gateway, one_server};
use crate::peer::After;
use crate::peer::speaks_mcp::{self, Era, event};

/// How many calls are made of each pair of eras.
const CALLS: usize = 200;

/// Every pair: the caller's era, then the server's.
const PAIRS: [(Era, Era); 4] = [
    (Era::Modern, Era::Modern),
    (Era::Legacy, Era::Legacy),
    (Era::Modern, Era::Legacy),
    (Era::Legacy, Era::Modern),
];

/// Objects that somebody who reads and writes again would not write as they are.
const ODD: &[&str] = &[
    "{}",
    "{ }",
    "{\n}",
    r#"{"a":1.0,"b":1e5,"c":-0,"d":-0.0,"e":1E+2,"f":0.10,"g":1e400,"h":1e-400}"#,
    r#"{"big":123456789012345678901234567890,"more":18446744073709551616,"small":-9223372036854775809}"#,
    r#"{"z":1,"a":2,"m":{"z":1,"a":2},"A":3}"#,
    r#"{"\u00e9":"\u00E9\ud83d\ude00 \/ \b\f\n\r\t \\ \" \u0022"}"#,
    r#"{"nul":"\u0000","bom":"\ufeff","sep":"\u2028\u2029","del":"\u007f"}"#,
    "{\"raw\":\"日本語 😀 é \u{2028} \u{7f}\"}",
    r#"{"":"","  ":" ","\t":"\t"}"#,
    "{\n  \"pretty\": [\n    1,\r\n\t{ \"x\" : null }\n  ]\n}",
    r#"{"method":"tools/list","id":7,"jsonrpc":"1.0","params":{"name":"x"},"result":{},"error":null}"#,
    r#"{"_meta":{"progressToken":9},"name":"other","arguments":{},"resultType":"input_required"}"#,
    r#"{"text":"{\"id\":1,\"result\":{}}","more":"]}],\"id\":5}"}"#,
    r#"{"all":[true,false,null,[],{},"",0]}"#,
    "{\"a\" :1 ,\"b\": 2 , \"c\"\t:\t3}",
];

/// Ids that have to come back as they were.
const IDS: &[&str] = &["3", "\"3\"", "3.0", "0", "-7", "\"\"", "\"listen:0\"", "\"\\u0041\"", "\"é\"", "1e2"];

/// Object number `n`: the odd ones first, then large ones, then random ones.
fn object(n: usize) -> String {
    if let Some(odd) = ODD.get(n) {
        return (*odd).to_owned();
    }
    match n - ODD.len() {
        0 => format!("{{\"large\":\"{}\"}}", "0123456789abcde\\n".repeat(100 * 1024 / 17)),
        1 => format!("{{\"many\":[{}]}}", "1.0, ".repeat(20_000) + "2"),
        2 => format!("{{\"deep\":{}{}}}", "[".repeat(100), "]".repeat(100)),
        3 => format!("{{\"deep\":{}1{}}}", "{\"a\":".repeat(100), "}".repeat(100)),
        _ => {
            let mut random = Random(n as u64 + 1);
            let mut out = String::new();
            random.object(&mut out, 0);
            out
        }
    }
}

/// Small and the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[usize::try_from(self.below(words.len() as u64)).expect("a small number")]
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(self.one_of(&["", "", "", " ", "  ", "\n", "\t", "\r\n "]));
    }

    fn object(&mut self, out: &mut String, depth: u32) {
        out.push('{');
        for member in 0..self.below(5) {
            out.push_str(if member == 0 { "" } else { "," });
            self.space(out);
            out.push_str(&format!(
                "\"{}{member}\"",
                self.one_of(&["k", "\\u006b", "é", "id", "result", " "])
            ));
            self.space(out);
            out.push(':');
            self.value(out, depth + 1);
        }
        self.space(out);
        out.push('}');
    }

    fn value(&mut self, out: &mut String, depth: u32) {
        self.space(out);
        match self.below(if depth > 5 { 2 } else { 4 }) {
            0 => out.push_str(self.one_of(&["0", "-0", "1.0", "1e5", "1E-7", "-12.50", "true", "null"])),
            1 => out.push_str(self.one_of(&[
                "\"\"",
                "\"\\u0000\"",
                "\"a\\/b\"",
                "\"😀\"",
                "\"\\ud83d\\ude00\"",
            ])),
            2 => self.object(out, depth),
            _ => {
                out.push('[');
                self.value(out, depth + 1);
                out.push(',');
                self.value(out, depth + 1);
                out.push(']');
            }
        }
        self.space(out);
    }
}

/// The id of call number `n`.
fn id(n: usize) -> String {
    match IDS.get(n % (IDS.len() + 2)) {
        Some(id) => (*id).to_owned(),
        None if n.is_multiple_of(2) => format!("\"{}\"", "long-".repeat(100)),
        None => n.to_string(),
    }
}

/// The result of call number `n`, with an odd object inside. A legacy server knows nothing of `resultType`.
fn said(server: Era, n: usize) -> String {
    let inner = object(n);
    let of_modern = |text: &'static str| if server == Era::Modern { text } else { "" };
    match n % 3 {
        0 => {
            let last = of_modern(",\"resultType\":\"complete\"");
            format!("{{\"content\":[],\"structuredContent\":{inner}{last}}}")
        }
        1 => {
            let first = of_modern(" \"resultType\" : \"complete\",");
            format!("{{{first}\"_meta\":{inner} , \"content\":[ ] }}")
        }
        _ => {
            let first = of_modern("\"resultType\":\"complete\",");
            format!("{{{first}\"odd\":{inner},\"content\":[]}}")
        }
    }
}

/// What the caller has to read of it.
fn expected(caller: Era, server: Era, said: &str) -> String {
    let inserted = (caller, server) == (Era::Modern, Era::Legacy);
    if !inserted {
        return said.to_owned();
    }
    let rest = said.strip_prefix('{').expect("results are objects");
    let comma = if rest.trim() == "}" { "" } else { "," };
    format!("{{\"resultType\":\"complete\"{comma}{rest}")
}

#[test]
fn arguments_and_results_arrive_byte_for_byte_over_http() {
    for_each_engine(|engine| {
        for (caller_era, server_era) in PAIRS {
            let count = Arc::new(AtomicUsize::new(0));
            let theirs = Arc::clone(&count);
            let server = speaks_mcp::start(server_era, move |asked, exchange| {
                if asked.method != "tools/call" {
                    return Ok(None);
                }
                let n = theirs.fetch_add(1, Ordering::SeqCst);
                if n.is_multiple_of(2) {
                    return asked.answer(exchange, &said(server_era, n));
                }
                exchange.start_events()?;
                // Carriage returns end lines of an event stream, so what has them cannot stand in one.
                event(exchange, &asked.response(&said(server_era, n).replace("\r\n", "\n")))?;
                exchange.end_chunks()?;
                Ok(Some(After::KeepOpen))
            });
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, ""));
            let mut caller = Caller::new(&gateway, caller_era, "/mcp/s");
            for n in 0..CALLS {
                let (arguments, id) = (object(n), id(n));
                let answer = caller.call(&id, "echo", &arguments);
                let said = said(server_era, n);
                let said = if n.is_multiple_of(2) { said } else { said.replace("\r\n", "\n") };
                let expected = expected(caller_era, server_era, &said);
                let whole = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{expected}}}");
                let read = String::from_utf8_lossy(answer.raw());
                assert_eq!(read, whole, "{caller_era:?} -> {server_era:?}, call {n}");
            }
            let calls = server.seen();
            let calls: Vec<_> = calls
                .iter()
                .filter(|seen| crate::client::find(&seen.body, b"\"tools/call\"").is_some())
                .collect();
            assert_eq!(calls.len(), CALLS);
            for (n, seen) in calls.iter().enumerate() {
                assert_member(&seen.body, "arguments", object(n).as_bytes());
            }
        }
    });
}

#[test]
fn arguments_and_results_arrive_byte_for_byte_over_a_pipe() {
    // A message is one line of a pipe, so line ends between its members are spaces there.
    let one_line = |text: String| text.replace(['\n', '\r'], " ");
    for_each_engine(|engine| {
        for (caller_era, server_era) in PAIRS {
            let folder = Folder::new();
            let results: Vec<_> = (0..CALLS).map(|n| one_line(said(server_era, n)) + "\n").collect();
            folder.write("results", &results.concat());
            let gateway = gateway(engine, &crate::mcp_caller::one_pipe("s", &folder, server_era, ""));
            let mut caller = Caller::new(&gateway, caller_era, "/mcp/s");
            for n in 0..CALLS {
                let (arguments, id) = (object(n), id(n));
                let answer = caller.call(&id, "echo", &arguments);
                let expected = expected(caller_era, server_era, &one_line(said(server_era, n)));
                let whole = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{expected}}}");
                let read = String::from_utf8_lossy(answer.raw());
                assert_eq!(read, whole, "{caller_era:?} -> {server_era:?}, call {n}");
            }
            let seen = fs::read_to_string(folder.join("seen")).expect("the server writes it");
            let calls: Vec<_> =
                seen.lines().filter(|line| line.contains("\"method\":\"tools/call\"")).collect();
            assert_eq!(calls.len(), CALLS);
            for (n, line) in calls.iter().enumerate() {
                assert_member(line.as_bytes(), "arguments", one_line(object(n)).as_bytes());
            }
        }
    });
}
