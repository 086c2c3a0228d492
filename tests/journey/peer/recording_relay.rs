//! A relay that passes every byte on untouched and remembers what the client sent.

use std::io::{self, Cursor, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Seen, read_request};
use crate::program::read_some;

/// A running relay.
pub(crate) struct Relay {
    addr: SocketAddr,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    stopped: Arc<AtomicBool>,
}

impl Relay {
    /// Starts a relay in front of `target`.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let sent = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (record, over) = (Arc::clone(&sent), Arc::clone(&stopped));
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let Ok(client) = client else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                record.lock().expect("no holder panics").push(Vec::new());
                // A server that is gone closes the client's connection, as it would without us.
                drop(pair(&client, target, number, &record));
            }
        });
        Self { addr, sent, stopped }
    }

    /// The base URL for a client.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests that the client sent, in order of their connections.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let sent = self.sent.lock().expect("no holder panics").clone();
        let mut all = Vec::new();
        for (number, bytes) in sent.into_iter().enumerate() {
            let mut reader = Cursor::new(bytes);
            while let Ok(Some(seen)) = read_request(&mut reader, number) {
                all.push(seen);
            }
        }
        all
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.addr));
    }
}

fn pair(
    client: &TcpStream,
    target: SocketAddr,
    number: usize,
    record: &Arc<Mutex<Vec<Vec<u8>>>>,
) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let record = Arc::clone(record);
    thread::spawn(move || {
        pump(from, to, |bytes| {
            if let Some(sent) = record.lock().expect("no holder panics").get_mut(number) {
                sent.extend_from_slice(bytes);
            }
        });
    });
    let (from, to) = (server, client.try_clone()?);
    thread::spawn(move || pump(from, to, |_| {}));
    Ok(())
}

/// Passes bytes on until one side ends, and then that end.
pub(super) fn pump(mut from: TcpStream, mut to: TcpStream, note: impl Fn(&[u8])) {
    let mut room = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = read_some(&mut from, &mut room) {
        let Some(bytes) = room.get(..count) else { break };
        note(bytes);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // Either may be closed already.
    drop(to.shutdown(Shutdown::Write));
}
