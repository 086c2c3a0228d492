//! MCP servers that die, hang, talk nonsense or never stop: their callers are told which one it was and what
//! happened, the others notice nothing, and the gateway does not grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::{Folder, Gateway, for_each_engine};
use crate::mcp_caller::{Caller, gateway, one_pipe, one_server, pipe_entry};
use crate::peer::breaks_mcp::{self, SECRET};
use crate::peer::speaks_mcp::{self, Era, event, tool, tools_changed};
use crate::peer::{After, Peer};

/// Ways to break over HTTP, and what callers read.
const BREAKS: &[(&str, &str)] = &[
    ("die", "it ended before it answered; the call may have run"),
    ("half_document", "it ended before it answered; the call may have run"),
    ("half_event", "it ended before it answered; the call may have run"),
    ("garbage", "its answer cannot be understood"),
    // Whether the bytes or the end of the connection are seen first is up to the kernel.
    ("no_http", "MCP server faulty: it"),
    ("big", "its answer is larger than 8 MiB"),
    ("big_line", "its answer is larger than 8 MiB"),
    ("page", "status 500: Oops"),
    ("denied", "it refuses the gateway's credential; the platform team has to renew it"),
];

/// How much the gateway may grow while the same happens again and again: less than a fifth of what would
/// stay if each large answer were kept.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

/// Waits until the gateway is hardly larger than `before`: an allocator gives back what is free when it is
/// asked for the next piece, and not at once.
#[track_caller]
fn no_larger(gateway: &Gateway, before: u64) {
    let began = Instant::now();
    loop {
        let after = gateway.rss_kib();
        if after < before + GROWTH_KIB_MAX {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{before} KiB became {after} KiB");
        crate::client::once(gateway.addr(), &crate::client::get("GET", "/healthz", &[]));
        thread::sleep(Duration::from_millis(50));
    }
}

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

/// One call that breaks.
#[track_caller]
fn breaks(caller: &mut Caller, server: &str, way: &str, told: &str) {
    let id = format!("\"{way}\"");
    let answer = caller.call(&id, "echo", &format!("{{\"do\":\"{way}\"}}"));
    assert_eq!(answer.json()["id"], way);
    let error = answer.error();
    assert!(error.contains(server), "{error:?} does not name the server");
    assert!(error.contains(told), "{way}: {error:?}");
    let whole = format!("{:?} {}", answer.head, String::from_utf8_lossy(answer.raw()));
    assert!(!whole.contains("sk-live") && !whole.contains("51HxYz"), "{whole}");
    assert!(!whole.contains("127.0.0.1"), "{whole} shows where the server is");
}

#[test]
fn a_call_that_breaks_over_http_is_told_as_an_error_of_its_server() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let server = breaks_mcp::start(server_era);
            let config = one_server("faulty", &server.url(), server_era, "")
                + &format!("  impatient: {{ url: \"{}/mcp\", call_timeout_ms: 150 }}\n", server.url());
            let gateway = gateway(engine, &config);
            for caller_era in BOTH {
                let mut hung = Caller::new(&gateway, caller_era, "/mcp/impatient");
                breaks(&mut hung, "impatient", "hang", "did not answer in time");
                let mut caller = Caller::new(&gateway, caller_era, "/mcp/faulty");
                let mut round = || {
                    for (way, told) in BREAKS {
                        breaks(&mut caller, "faulty", way, told);
                    }
                };
                (0..2).for_each(|_| round());
                let before = gateway.rss_kib();
                (0..4).for_each(|_| round());
                no_larger(&gateway, before);
                // After all of that it still is of use.
                assert!(caller.call("1", "echo", "{}").result()["content"].is_array());
            }
            assert!(!gateway.log().text().contains(SECRET), "the log shows the secret");
        }
    });
}

/// Ways to break over a pipe, and what callers read.
const PIPE_BREAKS: &[(&str, &str)] = &[
    ("hang", "did not answer in time"),
    ("big", "larger than"),
    ("garbage", "its answer cannot be understood"),
    ("die", "it ended before it answered; the call may have run"),
];

#[test]
fn a_call_that_breaks_over_a_pipe_is_told_as_an_error_of_its_server() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let folder = Folder::new();
            let config = one_pipe("faulty", &folder, server_era, ", call_timeout_ms: 4000");
            let gateway = gateway(engine, &config);
            let caller_era = if server_era == Era::Modern { Era::Legacy } else { Era::Modern };
            let mut caller = Caller::new(&gateway, caller_era, "/mcp");
            for _ in 0..2 {
                breaks(&mut caller, "faulty", "big", "larger than");
            }
            let before = gateway.rss_kib();
            for _ in 0..4 {
                breaks(&mut caller, "faulty", "big", "larger than");
            }
            no_larger(&gateway, before);
            for (way, told) in PIPE_BREAKS {
                breaks(&mut caller, "faulty", way, told);
                works_again(&mut caller);
            }
        }
    });
}

/// Waits until the server, which may have to be started first, answers.
#[track_caller]
fn works_again(caller: &mut Caller) {
    let started = Instant::now();
    loop {
        let answer = caller.call("1", "echo", "{}").json();
        if answer["error"].is_null() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{answer}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A server that gives one tool a page, with the cursors that `next` makes of the number of the page.
fn pages(era: Era, next: fn(usize) -> String) -> (Peer, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&count);
    let server = speaks_mcp::start(era, move |asked, exchange| {
        if asked.method != "tools/list" {
            return Ok(None);
        }
        let n = theirs.fetch_add(1, Ordering::SeqCst);
        let (tool, next) = (tool(&format!("page-{n}")), next(n));
        asked.answer(exchange, &format!("{{\"tools\":[{tool}],\"nextCursor\":\"{next}\"}}"))
    });
    (server, count)
}

#[test]
fn a_list_without_an_end_is_given_up_and_hides_no_other() {
    for_each_engine(|engine| {
        for (era, next) in [
            (Era::Modern, (|n| format!("after-{n}")) as fn(usize) -> String),
            (Era::Legacy, |n| format!("after-{n}")),
            (Era::Modern, |_| "the same".to_owned()),
            (Era::Legacy, |n| format!("one of two: {}", n % 2)),
        ] {
            let (endless, count) = pages(era, next);
            let good = speaks_mcp::start(era, |_, _| Ok(None));
            let config = one_server("endless", &endless.url(), era, "")
                + &format!("  good: {{ url: \"{}/mcp\", era: {} }}\n", good.url(), era.name());
            let gateway = gateway(engine, &config);
            let mut caller = Caller::new(&gateway, era, "/mcp");
            assert_eq!(caller.tools(), ["echo"]);
            let stale = stale(&gateway);
            assert_eq!(stale, ["endless"]);
            let (before, asked) = (gateway.rss_kib(), count.load(Ordering::SeqCst));
            thread::sleep(Duration::from_millis(700));
            let more = count.load(Ordering::SeqCst) - asked;
            // One further try of 512 pages at most, and not one after the other.
            assert!(more <= 600, "{more} further pages in 0.7 s");
            no_larger(&gateway, before);
        }
    });
}

/// The servers whose lists are stale by the metrics.
fn stale(gateway: &Gateway) -> Vec<String> {
    let reply = crate::client::once(gateway.addr(), &crate::client::get("GET", "/metrics", &[]));
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let stale = text.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix("tollgate_mcp_lists_stale{server=\"")?.split_once("\"} ")?;
        (value == "1").then(|| labels.to_owned())
    });
    stale.collect()
}

/// A server that says a thousand times a second that its tools have changed, and means it.
fn restless(era: Era, lists: Arc<AtomicUsize>) -> Peer {
    speaks_mcp::start(era, move |asked, exchange| match (era, &*asked.method) {
        (_, "tools/list") => {
            let n = lists.fetch_add(1, Ordering::SeqCst);
            asked.answer(exchange, &speaks_mcp::tools(&[&format!("a-{n}"), &format!("b-{n}")]))
        }
        (Era::Legacy, "GET") | (Era::Modern, "subscriptions/listen") => {
            exchange.start_events()?;
            if era == Era::Modern {
                event(exchange, &speaks_mcp::acknowledged(asked.id()))?;
            }
            // Ends when the gateway closes.
            loop {
                event(exchange, &tools_changed(era, asked.id()))?;
                thread::sleep(Duration::from_millis(1));
            }
        }
        _ => Ok(None),
    })
}

#[test]
fn a_server_that_changes_all_the_time_is_listed_now_and_then() {
    for_each_engine(|engine| {
        for era in BOTH {
            let lists = Arc::new(AtomicUsize::new(0));
            let server = restless(era, Arc::clone(&lists));
            let gateway = gateway(engine, &one_server("restless", &server.url(), era, ""));
            let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
            let started = Instant::now();
            let before = lists.load(Ordering::SeqCst);
            let listed = || lists.load(Ordering::SeqCst) - before;
            // A slow machine may have more time, but not more lists in it.
            while started.elapsed() < Duration::from_millis(1500)
                || (listed() < 3 && started.elapsed() < Duration::from_secs(20))
            {
                let seen = caller.tools();
                let (a, b) = (seen[0].strip_prefix("a-"), seen[1].strip_prefix("b-"));
                assert!(seen.len() == 2 && a.is_some() && a == b, "{seen:?} are of two lists");
            }
            let (listed, took) = (listed(), started.elapsed());
            // Every 200 ms, and one for either end.
            let most = took.as_millis() / 200 + 3;
            assert!(listed >= 3 && listed as u128 <= most, "listed {listed} times in {took:?}");
        }
    });
}

#[test]
fn a_dead_or_slow_server_takes_nothing_from_the_others() {
    for_each_engine(|engine| {
        let slow = speaks_mcp::start(Era::Modern, |asked, exchange| {
            if asked.method == "tools/list" {
                exchange.wait_for_close(Duration::from_secs(30));
                return Ok(Some(After::Close));
            }
            Ok(None)
        });
        let good = speaks_mcp::start(Era::Modern, |_, _| Ok(None));
        let folder = Folder::new();
        folder.write("dies", "");
        let config = one_server("slow", &slow.url(), Era::Modern, "")
            + "  dead: { url: \"http://127.0.0.1:9/mcp\" }\n"
            + "  missing: { command: /nowhere/at-all }\n"
            + &pipe_entry("dying", &folder, Era::Legacy, ", env: { DIES_AT_ONCE: \"1\" }")
            + &format!("  good: {{ url: \"{}/mcp\" }}\n", good.url());
        let gateway = gateway(engine, &config);
        let started = Instant::now();
        let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
        assert_eq!(caller.tools(), ["echo"]);
        // Only the first list waits for a server that says nothing, and not for long.
        assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
        let started = Instant::now();
        for _ in 0..20 {
            assert_eq!(caller.tools(), ["echo"]);
        }
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        let stale = stale(&gateway);
        for name in ["dead", "missing", "dying", "slow"] {
            assert!(stale.iter().any(|known| known == name), "{name} is not stale: {stale:?}");
        }
        assert!(!stale.iter().any(|name| name == "good"), "{stale:?}");
        assert!(caller.call("1", "echo", "{}").result()["content"].is_array());
    });
}
