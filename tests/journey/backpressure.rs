//! A reader that does not read holds the upstream, and costs no memory.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::client::{Client, messages, once};
use crate::gateway::{Gateway, KEY, for_each_engine};
use crate::peer::never_stops_sending;

/// What the four socket buffers between the two ends may hold, and some room.
const HELD_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Readers that do not read.
const READERS: u64 = 4;

#[test]
fn a_reader_that_does_not_read_holds_the_upstream() {
    for_each_engine(|engine| {
        let (upstream, sent) = never_stops_sending::start();
        let gateway = Gateway::start(engine, &upstream.url());
        once(gateway.addr(), &messages("tg_nobody", "claude-any", true)).refusal(401, "authentication_error");
        let before = gateway.rss_kib();
        let mut readers: Vec<Client> = (0..READERS).map(|_| Client::connect(gateway.addr())).collect();
        for reader in &mut readers {
            reader.send(&messages(KEY, "claude-any", true));
            reader.head();
        }
        let mut last = 0;
        for _ in 0..40 {
            thread::sleep(Duration::from_millis(250));
            let now = sent.load(Ordering::SeqCst);
            if now == last && now > 0 {
                break;
            }
            last = now;
        }
        let held = sent.load(Ordering::SeqCst);
        assert_eq!(held, last, "the upstream is still being read");
        assert!(held < READERS * HELD_BYTES_MAX, "{held} bytes are on their way to nobody");
        let grown = gateway.rss_kib().saturating_sub(before);
        eprintln!("{READERS} unread streams: {held} bytes held by sockets, {grown} KiB more memory");
        // 256 KiB a stream, twice that for what an allocator keeps.
        assert!(grown < READERS * 512 + 1_024, "the gateway holds {grown} KiB for {READERS} unread streams");

        // Reading again moves the upstream again.
        let reader = &mut readers[0];
        let mut read = 0;
        while read < HELD_BYTES_MAX {
            let part = reader.part().expect("the stream goes on").expect("the stream does not end");
            read += u64::try_from(part.len()).expect("a part is small");
        }
        assert!(sent.load(Ordering::SeqCst) > held, "the upstream goes on");
    });
}
