//! A reader that does not read holds the upstream, and costs no memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{Client, messages};
use crate::gateway::{Gateway, KEY, for_each_engine};
use crate::peer::never_stops_sending;

/// Readers that do not read. So many that what they hold stands out from what a ledger's threads take once.
const READERS: u64 = 16;

/// What the gateway may hold for one of them, in KiB: 256 KiB, and twice that for what an allocator keeps.
const HELD_KIB_MAX: u64 = 512;

/// What the four socket buffers between the two ends of one stream may hold, as the kernel is set here.
fn held_bytes_max() -> u64 {
    let largest = |name: &str| -> u64 {
        let line = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).expect("the kernel tells");
        let last = line.split_whitespace().last().expect("there are three numbers");
        last.parse().expect("the kernel writes numbers")
    };
    2 * (largest("tcp_rmem") + largest("tcp_wmem"))
}

/// Waits until nothing has been taken from the upstream for a second, and tells how much was.
#[track_caller]
fn held(sent: &AtomicU64) -> u64 {
    let (mut last, mut still) = (0, 0);
    for _ in 0..240 {
        thread::sleep(Duration::from_millis(250));
        let now = sent.load(Ordering::SeqCst);
        still = if now == last && now > 0 { still + 1 } else { 0 };
        if still == 4 {
            return now;
        }
        last = now;
    }
    panic!("the upstream is still being read: {last} bytes so far");
}

fn reader(gateway: &Gateway) -> Client {
    let mut reader = Client::connect(gateway.addr());
    reader.send(&messages(KEY, "claude-any", true));
    reader.head();
    reader
}

#[test]
fn a_reader_that_does_not_read_holds_the_upstream() {
    for_each_engine(|engine| {
        let (upstream, sent) = never_stops_sending::start();
        let gateway = Gateway::start(engine, &upstream.url());
        // The first call is the one for which the ledger's index opens its files.
        let _first = reader(&gateway);
        let already = held(&sent);
        let before = gateway.rss_kib();
        let mut readers: Vec<Client> = (0..READERS).map(|_| reader(&gateway)).collect();
        let held = held(&sent);
        assert!(held - already < READERS * held_bytes_max(), "{held} bytes are on their way to nobody");
        let grown = gateway.rss_kib().saturating_sub(before);
        eprintln!("{READERS} unread streams: {held} bytes held by sockets, {grown} KiB more memory");
        assert!(grown < READERS * HELD_KIB_MAX, "the gateway holds {grown} KiB for {READERS} unread streams");

        // Reading again moves the upstream again.
        let reader = &mut readers[0];
        let mut read = 0;
        while sent.load(Ordering::SeqCst) == held && read < held_bytes_max() {
            let part = reader.part().expect("the stream goes on").expect("the stream does not end");
            read += u64::try_from(part.len()).expect("a part is small");
        }
        assert!(sent.load(Ordering::SeqCst) > held, "the upstream goes on");
    });
}
