//! A proxy that is asked to `CONNECT`, and leads every name to one server.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::recording_relay::pump;
use super::{Seen, read_request};

/// What it does when it is asked for a tunnel.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Opens one to this server, saying so in these words.
    Tunnels(SocketAddr, &'static str),
    /// Answers this and closes.
    Answers(&'static str),
    /// Says nothing.
    NeverAnswers,
}

/// How proxies usually say that the tunnel stands.
pub(crate) const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// A running proxy; stops when dropped.
pub(crate) struct Proxy {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts it.
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (record, over) = (Arc::clone(&asked), Arc::clone(&stopped));
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let Ok(client) = client else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (record, manner) = (Arc::clone(&record), manner.clone());
                // An error means that the connection is over, which is what happens next anyway.
                thread::spawn(move || drop(serve(client, number, &record, &manner)));
            }
        });
        Self { addr, asked, stopped }
    }

    /// A proxy that tunnels to `server`.
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self::start(Manner::Tunnels(server, ESTABLISHED))
    }

    /// Where it listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it was asked, heads only.
    pub(crate) fn asked(&self) -> Vec<Seen> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.addr));
    }
}

fn serve(mut client: TcpStream, number: usize, record: &Mutex<Vec<Seen>>, manner: &Manner) -> io::Result<()> {
    client.set_nodelay(true)?;
    // Whoever asks for a tunnel waits for the answer, so nothing else is read ahead.
    let Some(seen) = read_request(&mut BufReader::new(client.try_clone()?), number)? else { return Ok(()) };
    record.lock().expect("no holder panics").push(seen);
    match manner {
        Manner::Tunnels(server, words) => {
            let server = TcpStream::connect(server)?;
            server.set_nodelay(true)?;
            client.write_all(words.as_bytes())?;
            let (from, to) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || pump(from, to, |_| {}));
            pump(server, client, |_| {});
            Ok(())
        }
        Manner::Answers(words) => {
            client.write_all(words.as_bytes())?;
            client.shutdown(Shutdown::Both)
        }
        Manner::NeverAnswers => client.read_to_end(&mut Vec::new()).map(drop),
    }
}
