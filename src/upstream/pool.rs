//! Connections of one thread to other servers: opened, kept warm, thrown away in time.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::clock;
use crate::http::head::{Progress, ResponseHead};
use crate::limits;
use crate::net::buffer::Buffer;
use crate::net::connect::connect;
use crate::net::dns::Resolver;
use crate::net::engine::Engine;
use crate::net::outgoing::Outgoing;
use crate::net::stream::Stream;
use crate::upstream::site::{Proxy, Site};

/// A connection to another server.
#[derive(Debug)]
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    born: Instant,
    /// Whether it has carried a request before: then the peer may have closed it meanwhile.
    pub reused: bool,
}

/// The warm connections of one thread.
#[derive(Debug)]
pub struct Pool {
    engine: Engine,
    resolver: Resolver,
    lanes: RefCell<Vec<Lane>>,
}

/// The idle connections to one site, the one used last at the end.
#[derive(Debug)]
struct Lane {
    site: Arc<Site>,
    idle: Vec<(Connection, Instant)>,
}

impl Pool {
    /// A pool without connections.
    pub fn new(engine: Engine) -> Self {
        Self { engine, resolver: Resolver::default(), lanes: RefCell::default() }
    }

    /// Takes the connection to `site` that was used last and that the peer has not closed.
    pub fn take(&self, site: &Arc<Site>, now: Instant) -> Option<Connection> {
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.iter_mut().find(|lane| leads_to(&lane.site, site))?;
        while let Some((mut connection, since)) = lane.idle.pop() {
            if fresh_enough(&connection, since, now) && connection.stream.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose answer has been read to its end, unless there are enough.
    pub fn give_back(&self, site: &Arc<Site>, mut connection: Connection, now: Instant) {
        connection.reused = true;
        // What nobody asked for would be taken for the next answer.
        if !connection.stream.input().is_empty() {
            return;
        }
        connection.stream.put_input(Buffer::empty());
        if !fresh_enough(&connection, now, now) || !connection.stream.is_quiet() {
            return;
        }
        let mut lanes = self.lanes.borrow_mut();
        let lane = match lanes.iter().position(|lane| leads_to(&lane.site, site)) {
            Some(place) => lanes.get_mut(place),
            None => {
                lanes.push(Lane { site: Arc::clone(site), idle: Vec::new() });
                lanes.last_mut()
            }
        };
        if let Some(lane) = lane.filter(|lane| lane.idle.len() < limits::POOL_IDLE_MAX) {
            lane.idle.push((connection, now));
        }
    }

    /// Throws away what has been idle or used for too long or was closed by its peer, and lanes that are
    /// empty; to be called about once a second.
    pub fn reap(&self, now: Instant) {
        self.lanes.borrow_mut().retain_mut(|lane| {
            lane.idle.retain_mut(|(connection, since)| {
                fresh_enough(connection, *since, now) && connection.stream.is_quiet()
            });
            !lane.idle.is_empty()
        });
    }

    /// Number of idle connections.
    pub fn idle(&self) -> usize {
        self.lanes.borrow().iter().map(|lane| lane.idle.len()).sum()
    }

    /// Opens a new connection: through the proxy where there is one, with TLS where the site has it.
    ///
    /// # Errors
    /// What failed, in words for the log: a name that is not known, an address that refuses, a proxy that
    /// declines, a certificate that does not fit.
    pub async fn open(&self, site: &Site, patience: Duration) -> io::Result<Connection> {
        let (host, port) = match &site.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (site.origin.host.as_str(), site.origin.port),
        };
        let addresses = self.resolver.resolve(host, port, clock::now()).await?;
        let mut stream = match connect(self.engine, &addresses, patience).await {
            Ok(stream) => stream,
            Err(fault) => {
                self.resolver.forget(host, port);
                return Err(fault);
            }
        };
        let secured = timeout(limits::HANDSHAKE_DEADLINE, secure(&mut stream, site)).await;
        secured
            .map_err(|_elapsed| io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long"))??;
        Ok(Connection { stream, born: clock::now(), reused: false })
    }
}

async fn secure(stream: &mut Stream, site: &Site) -> io::Result<()> {
    if let Some(proxy) = &site.proxy {
        tunnel(stream, proxy, &site.origin.authority()).await?;
    }
    if let Some(tls) = &site.tls {
        let session = tls.connect(&site.origin.host).map_err(io::Error::other)?;
        stream.secure(session).await?;
    }
    Ok(())
}

/// Asks a proxy for a tunnel (RFC 9110 section 9.3.6).
async fn tunnel(stream: &mut Stream, proxy: &Proxy, authority: &str) -> io::Result<()> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n");
    if let Some(credential) = &proxy.authorization {
        request.push_str("proxy-authorization: ");
        request.push_str(credential.expose());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    drop(stream.send(Outgoing::one(Buffer::from(request.as_bytes()))).await?);
    let mut head = ResponseHead::new();
    loop {
        // A tunnel has no body, as the answer to HEAD has none.
        while head.parse(stream.input(), true).map_err(io::Error::other)? == Progress::Partial {
            if stream.fill(1).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the proxy closed the connection"));
            }
        }
        stream.consume(head.bytes);
        match head.status {
            _ if head.is_interim() => {}
            200..=299 => return Ok(()),
            status => return Err(io::Error::other(format!("the proxy answered {status} to CONNECT"))),
        }
    }
}

/// Whether a connection made for one site serves the other: after a reload both describe the same.
fn leads_to(one: &Arc<Site>, other: &Arc<Site>) -> bool {
    let way = |site: &Site| site.proxy.as_ref().map(|proxy| (proxy.host.clone(), proxy.port));
    Arc::ptr_eq(one, other)
        || (one.name == other.name && one.origin == other.origin && way(one) == way(other))
}

fn fresh_enough(connection: &Connection, since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < limits::POOL_IDLE_DEADLINE
        && now.saturating_duration_since(connection.born) < limits::POOL_LIFETIME
}
