//! An upstream behind TLS that remembers how each connection was opened.

use std::io::{self, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

use super::{Seen, read_request};

/// What a client offered, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) server_name: Option<String>,
    pub(crate) alpn: Vec<String>,
    pub(crate) resumed: bool,
}

#[derive(Default)]
struct Memory {
    opened: Mutex<Vec<Opened>>,
    seen: Mutex<Vec<Seen>>,
    stopped: AtomicBool,
}

/// A running upstream; stops when dropped.
pub(crate) struct TlsPeer {
    port: u16,
    certificate: String,
    memory: Arc<Memory>,
}

impl TlsPeer {
    /// Starts an upstream for `host` that answers each request with `body` and closes. It may be called at
    /// any address of this machine.
    pub(crate) fn start(host: &str, body: &str) -> Self {
        Self::with_versions(host, body, rustls::ALL_VERSIONS)
    }

    /// The same with some versions of TLS only.
    pub(crate) fn with_versions(
        host: &str,
        body: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let made =
            rcgen::generate_simple_self_signed(vec![host.to_owned()]).expect("a certificate can be made");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key is one");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the versions exist")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("the two belong together");
        // Whatever a careless client would like best.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let any = SocketAddr::from((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
        let listener = TcpListener::bind(any).expect("there is a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let memory = Arc::new(Memory::default());
        let (theirs, config, body) = (Arc::clone(&memory), Arc::new(config), body.to_owned());
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                if theirs.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (memory, config, body) = (Arc::clone(&theirs), Arc::clone(&config), body.clone());
                // An error means that the connection is over, which is what happens next anyway.
                thread::spawn(move || drop(serve(stream, number, &memory, &config, &body)));
            }
        });
        Self { port, certificate: made.cert.pem(), memory }
    }

    /// The port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Its loopback address.
    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The certificate, which is its own authority.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The handshakes so far.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        self.memory.opened.lock().expect("no holder panics").clone()
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.memory.seen.lock().expect("no holder panics").clone()
    }
}

impl Drop for TlsPeer {
    fn drop(&mut self) {
        self.memory.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.addr()));
    }
}

fn serve(
    mut stream: TcpStream,
    number: usize,
    memory: &Memory,
    config: &Arc<ServerConfig>,
    body: &str,
) -> io::Result<()> {
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        if acceptor.read_tls(&mut stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(accepted) = acceptor.accept().map_err(|(why, _alert)| io::Error::other(why))? {
            break accepted;
        }
    };
    let hello = accepted.client_hello();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut opened = Opened {
        server_name: hello.server_name().map(str::to_owned),
        alpn: hello.alpn().into_iter().flatten().map(text).collect(),
        resumed: false,
    };
    let mut session: ServerConnection =
        accepted.into_connection(Arc::clone(config)).map_err(|(why, _alert)| io::Error::other(why))?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    opened.resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    memory.opened.lock().expect("no holder panics").push(opened);
    let mut reader = BufReader::new(StreamOwned::new(session, stream));
    if let Some(seen) = read_request(&mut reader, number)? {
        memory.seen.lock().expect("no holder panics").push(seen);
        let mut stream = reader.into_inner();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
        stream.conn.send_close_notify();
        stream.flush()?;
    }
    Ok(())
}
