//! Scripts from the first frame to the last, with calls answered in between.

use std::cell::RefCell;
use std::io::{BufReader, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::frames::{Fault, Order, Said, cut};
use super::fuzz::fuzz_frames;
use super::worker::serve_for;
use crate::corpus::replay;
use crate::limits;

/// What is answered to each frame of a worker.
type Answer = dyn FnMut(&Said) -> Option<Order>;

/// Both ends in one place: a frame is answered when it has been written whole.
#[derive(Clone)]
struct Gateway {
    inward: Rc<RefCell<Vec<u8>>>,
    said: Rc<RefCell<Vec<Said>>>,
    answer: Rc<RefCell<Box<Answer>>>,
}

impl Read for Gateway {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let mut inward = self.inward.borrow_mut();
        let count = room.len().min(inward.len());
        room[..count].copy_from_slice(&inward[..count]);
        inward.drain(..count);
        Ok(count)
    }
}

impl Write for Gateway {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let said = Said::read(line).unwrap_or_else(|fault| panic!("{fault}: {}", line.escape_ascii()));
        if let Some(order) = (self.answer.borrow_mut())(&said) {
            self.inward.borrow_mut().extend_from_slice(&order.line());
        }
        self.said.borrow_mut().push(said);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// As long as a machine may take that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a script; all that was said.
fn run_with(source: &str, answer: impl FnMut(&Said) -> Option<Order> + 'static) -> Vec<Said> {
    run_for(PATIENCE, source, answer)
}

fn run_for(time: Duration, source: &str, answer: impl FnMut(&Said) -> Option<Order> + 'static) -> Vec<Said> {
    let first = Order::Run { source: source.to_owned() }.line();
    let gateway = Gateway {
        inward: Rc::new(RefCell::new(first)),
        said: Rc::default(),
        answer: Rc::new(RefCell::new(Box::new(answer))),
    };
    serve_for(time, BufReader::new(gateway.clone()), gateway.clone()).unwrap();
    gateway.said.take()
}

/// The same where every call gives its own name and arguments, and what is called `fails` fails.
fn run(source: &str) -> Vec<Said> {
    run_with(source, answered)
}

fn answered(said: &Said) -> Option<Order> {
    match said {
        Said::Call { id, name, .. } if name == "fails" => {
            Some(Order::Refused { id: *id, why: "not yours".to_owned() })
        }
        Said::Call { id, name, arguments } => {
            Some(Order::Given { id: *id, value: format!("{{\"of\":\"{name}\",\"with\":{arguments}}}") })
        }
        _ => None,
    }
}

/// What it has returned.
#[track_caller]
fn done(source: &str) -> String {
    match run(source).pop() {
        Some(Said::Done { value }) => value.unwrap_or_else(|| "nothing".to_owned()),
        other => panic!("{other:?}"),
    }
}

/// Why it has failed.
#[track_caller]
fn failed(source: &str) -> String {
    match run(source).pop() {
        Some(Said::Failed { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_returns_json() {
    assert_eq!(done("return { a: [1, 'é\\n', null, undefined] }"), r#"{"a":[1,"é\n",null,null]}"#);
    assert_eq!(done("return 1 // the end"), "1");
    assert_eq!(done("const x = 1"), "nothing");
    assert_eq!(done("await null; return new Date(0)"), r#""1970-01-01T00:00:00.000Z""#);
    assert!(failed("return 1n").starts_with("what is returned is no JSON: "), "{}", failed("return 1n"));
    assert_eq!(done("return '\\ud800'"), r#""\ud800""#);
}

#[test]
fn calls_are_made_at_once_and_in_turn() {
    assert_eq!(done("return await tools.find({ q: 1 })"), r#"{"of":"find","with":{"q":1}}"#);
    assert_eq!(done("return (await tools['a.b-c']()).of"), r#""a.b-c""#);
    let both = "const all = await Promise.all([1, 2, 3].map(n => tools.get({ n })));
                return all.map(one => one.with.n)";
    assert_eq!(done(both), "[1,2,3]");
    // Answered in another order than made: the second first, and the other when that has been logged.
    let other_way = "const order = [];
        const a = tools.a().then(() => order.push('a'));
        const b = tools.b().then(() => { order.push('b'); console.log('b') });
        await Promise.all([a, b]);
        return order";
    let said = run_with(other_way, |said| match said {
        Said::Call { name, .. } if name == "a" => None,
        Said::Call { id, .. } => Some(Order::Given { id: *id, value: "1".to_owned() }),
        Said::Log { .. } => Some(Order::Given { id: 1, value: "1".to_owned() }),
        _ => None,
    });
    assert_eq!(said.last(), Some(&Said::Done { value: Some("[\"b\",\"a\"]".to_owned()) }));
    let alone = run_with("await tools.x()", |_| None);
    assert!(matches!(&alone[1], Said::Failed { why } if why.contains("nobody answers")), "{alone:?}");
    assert_eq!(done("await tools; return typeof tools.then"), r#""undefined""#);
}

#[test]
fn a_call_that_fails_throws() {
    let caught = "try { await tools.fails() } catch (e) { return [e instanceof Error, e.message] }";
    assert_eq!(done(caught), r#"[true,"not yours"]"#);
    assert_eq!(failed("const a = 1;\nawait tools.fails({})"), "Error: not yours");
    let settled = "return (await Promise.allSettled([tools.fails(), tools.good()])).map(one => one.status)";
    assert_eq!(done(settled), r#"["rejected","fulfilled"]"#);
    for wrong in ["7", "'text'", "[1]", "null", "() => 1"] {
        let why = failed(&format!("await tools.x({wrong})"));
        assert!(why.contains("tools.x takes one object"), "{wrong}: {why}");
    }
}

#[test]
fn what_a_script_logs_is_heard_and_bounded() {
    let log = |source: &str| -> Vec<String> {
        let said = run(source);
        said.into_iter()
            .filter_map(|said| if let Said::Log { text } = said { Some(text) } else { None })
            .collect()
    };
    assert_eq!(
        log("console.log('a', 1, { b: [2] }, new Error('c'), undefined)"),
        [r#"a 1 {"b":[2]} Error: c undefined"#]
    );
    assert_eq!(
        log("const o = {}; o.o = o; console.warn(o); console.error('\\ud800')"),
        ["[object Object]", "\u{fffd}"]
    );
    let flood = log("for (let i = 0; i < 100000; i++) console.log('line ' + i)");
    let bytes: usize = flood.iter().map(String::len).sum();
    assert!(bytes <= limits::CODE_LOG_BYTES_MAX && bytes > limits::CODE_LOG_BYTES_MAX / 2, "{bytes}");
    let one = log("console.log('x'.repeat(1e6))");
    assert!(one.len() == 1 && one[0].len() == limits::CODE_LOG_BYTES_MAX && one[0].ends_with("..."));
}

#[test]
fn faults_are_told_with_their_lines() {
    assert_eq!(failed("let a = 1;\nlet b = c;"), "ReferenceError: c is not defined (line 2)");
    assert!(failed("return [...").starts_with("SyntaxError: "), "{}", failed("return [..."));
    assert!(failed("import x from 'fs'; return x").starts_with("SyntaxError: "));
    assert_eq!(failed("throw { code: 7 }"), r#"thrown: {"code":7}"#);
    for gone in
        ["fetch('http://x')", "require('fs')", "process.env", "setTimeout(() => 1)", "Deno", "std", "os"]
    {
        let why = failed(&format!("return {gone}"));
        assert!(why.contains("is not defined"), "{gone}: {why}");
    }
    assert!(failed("return await import('fs')").contains("rror"), "{}", failed("return await import('fs')"));
    let never = failed("await new Promise(() => 1)");
    assert!(never.contains("waits for something that never comes"), "{never}");
    assert!(failed("throw new Error('x'.repeat(1e6))").len() <= limits::CODE_ERROR_BYTES_MAX);
}

#[test]
fn a_script_cannot_take_away_what_it_was_given() {
    assert!(failed("tools = 1").contains("TypeError"), "{}", failed("tools = 1"));
    assert!(failed("tools.x = 1").contains("TypeError"));
    assert_eq!(
        done("Map.prototype.get = () => 1; JSON.parse = () => 2; return (await tools.x()).of"),
        "\"x\""
    );
}

/// A script that would go on for ever, or take everything.
#[track_caller]
fn bounded(source: &str, expected: &str) {
    let why = failed(source);
    assert!(why.contains(expected), "{source}: {why}");
}

#[test]
fn endless_scripts_end_in_time() {
    for endless in [
        "while (true) {}",
        "for (;;) { try { for (;;); } catch {} }",
        "while (true) await null",
        "await tools.x(); const f = () => Promise.resolve().then(f); await f()",
        "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
        "return { toJSON() { for (;;); } }",
        "const f = async () => { try { for (;;); } finally { await f() } }; await f()",
        "console.log({ toString() { for (;;); }, toJSON() { for (;;); } })",
    ] {
        let said = run_for(Duration::from_millis(300), endless, answered);
        let ended = said.last();
        assert!(
            matches!(ended, Some(Said::Failed { why }) if why.contains("longer than")),
            "{endless}: {ended:?}"
        );
    }
}

#[test]
fn greedy_scripts_get_no_more_memory_than_there_is() {
    for greedy in [
        "let s = 'x'; for (;;) s += s",
        "const a = []; for (;;) a.push(new Array(1000).fill(0))",
        "return 'x'.repeat(2 ** 29)",
        "return new Uint8Array(2 ** 30).length",
        "let o = {}; for (let i = 0; ; i++) o['k' + i] = { o }",
    ] {
        let why = failed(greedy);
        let told = ["wants more than 64 MB", "string too long", "invalid array buffer length"];
        assert!(told.iter().any(|told| why.contains(told)), "{greedy}: {why}");
    }
    bounded("const f = () => f() + 1; return f()", "call stack");
    bounded("return JSON.parse('['.repeat(1e6))", "rror");
}

#[test]
fn a_script_makes_so_many_calls_and_no_more() {
    let all = "const all = await Promise.allSettled(Array.from({ length: 10000 }, () => tools.x()));
               return all.filter(one => one.status === 'fulfilled').length";
    let said = run(all);
    let calls = said.iter().filter(|said| matches!(said, Said::Call { .. })).count();
    assert_eq!(calls, usize::try_from(limits::CODE_CALLS_MAX).unwrap());
    assert_eq!(said.last(), Some(&Said::Done { value: Some(limits::CODE_CALLS_MAX.to_string()) }));
    let why = failed("for (let i = 0; i < 60; i++) await tools.x()");
    assert!(why.contains("at most 50 calls"), "{why}");
    bounded("await tools.x({ a: 'x'.repeat(2e6) })", "the arguments have 2000008 bytes");
    bounded("await tools['x'.repeat(9000)]()", "no tool has such a long name");
    let deep = "let a = {}; for (let i = 0; i < 200; i++) a = { a };";
    assert_eq!(done(&format!("{deep} return a")).len(), 1202);
    bounded("return '\0'", "no NUL");
    bounded("return 'x'.repeat(300000)", "returned 300002 bytes, and at most 262144 can be");
}

#[test]
fn frames_are_held_against_their_bounds() {
    let call =
        |name: &str, arguments: &str| Said::Call { id: 1, name: name.into(), arguments: arguments.into() };
    for good in [
        call("x", "{\"a\": [1]}"),
        Said::Log { text: "\n\u{2028}\"".into() },
        Said::Done { value: None },
        Said::Done { value: Some("\"é\"".into()) },
        Said::Failed { why: String::new() },
    ] {
        assert_eq!(Said::read(&good.line()), Ok(good));
    }
    for (bad, fault) in [
        (call("x", "[1]"), Fault::NoJson),
        (call("x", "{\"a\":}"), Fault::NoJson),
        (call("x", "{},\"b\":{}"), Fault::NoJson),
        (Said::Done { value: Some("{".into()) }, Fault::NoJson),
        (call(&"x".repeat(limits::MCP_NAME_BYTES_MAX + 1), "{}"), Fault::TooLarge),
        (Said::Log { text: "x".repeat(limits::CODE_LOG_BYTES_MAX + 1) }, Fault::TooLarge),
        (Said::Failed { why: "x".repeat(limits::CODE_ERROR_BYTES_MAX + 1) }, Fault::TooLarge),
    ] {
        assert_eq!(Said::read(&bad.line()), Err(fault), "{bad:?}");
    }
    for odd in ["", "{}", "{\"call\":{}}", "{\"done\":{\"value\":null,\"more\":1}}", "\"done\"", "[1]"] {
        assert_eq!(Said::read(odd.as_bytes()), Err(Fault::Unknown), "{odd}");
    }
    assert_eq!(cut("éé".to_owned(), 4), "éé");
    assert_eq!(cut("ééé".to_owned(), 4), "...");
}

#[test]
fn frames_of_the_corpus_are_read() {
    replay("script_frames", 3, fuzz_frames);
}

proptest! {
    #[test]
    fn any_line_is_a_frame_or_none(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_frames(&data);
    }

    #[test]
    fn any_text_survives_a_frame(name in ".{0,20}", text in ".{0,60}") {
        let order = Order::Refused { id: 7, why: text.clone() };
        prop_assert_eq!(Order::read(&order.line()).unwrap(), order);
        fuzz_frames(&Said::Call { id: 1, name, arguments: "{}".to_owned() }.line());
        fuzz_frames(&Said::Failed { why: text }.line());
    }
}
