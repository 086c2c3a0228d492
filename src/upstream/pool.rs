//! Connections of one thread to other servers: opened, kept warm, thrown away in time.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
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
use crate::net::reach::{Reach, verdict};
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

    /// A pool whose names are looked up by `answer`.
    #[cfg(test)]
    pub(crate) fn answering(engine: Engine, answer: impl FnMut(&str) -> Vec<SocketAddr> + 'static) -> Self {
        Self { resolver: Resolver::answering(answer), ..Self::new(engine) }
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
        // A proxy looks names up itself, so its own address is all there is to judge; somebody wrote it.
        let (host, port, written) = match &site.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port, true),
            None => (site.origin.host.as_str(), site.origin.port, site.reach.written),
        };
        let reach = Reach { written, allow: Arc::clone(&site.reach.allow) };
        let found = self.resolver.resolve(host, port, clock::now()).await?;
        // What is judged here is what is connected to below: the name is not looked up again.
        let addresses = admitted(host, &found, &reach)?;
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

/// The addresses that may be connected to, in the same order.
///
/// # Errors
/// `PermissionDenied` when there is none, with what to write into the config.
fn admitted(host: &str, found: &[SocketAddr], reach: &Reach) -> io::Result<Vec<SocketAddr>> {
    let mut refused = None;
    let mut addresses = Vec::with_capacity(found.len());
    for &address in found {
        match verdict(host, address.ip(), reach) {
            Ok(()) => addresses.push(address),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        Some(why) if addresses.is_empty() => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
        _ => Ok(addresses),
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
        || (one.name == other.name
            && one.origin == other.origin
            && one.reach == other.reach
            && way(one) == way(other))
}

fn fresh_enough(connection: &Connection, since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < limits::POOL_IDLE_DEADLINE
        && now.saturating_duration_since(connection.born) < limits::POOL_LIFETIME
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Pool;
    use crate::net::engine::EngineChoice;
    use crate::net::reach::{Allow, Network, Reach};
    use crate::net::runtime::Runtime;
    use crate::upstream::site::{Origin, Site};

    const SOON: Duration = Duration::from_secs(20);

    /// Two machines of a private network, at the same port.
    struct Machines {
        port: u16,
        listed: TcpListener,
        other: TcpListener,
    }

    impl Machines {
        fn new() -> Self {
            loop {
                let listed = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 1), 0)).unwrap();
                let port = listed.local_addr().unwrap().port();
                let Ok(other) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)) else { continue };
                listed.set_nonblocking(true).unwrap();
                other.set_nonblocking(true).unwrap();
                return Self { port, listed, other };
            }
        }

        /// How many have come to the listed one and to the other.
        fn reached(&self) -> (usize, usize) {
            let count = |listener: &TcpListener| std::iter::from_fn(|| listener.accept().ok()).count();
            (count(&self.listed), count(&self.other))
        }

        fn site(&self, host: &str, written: bool, names: &[&str]) -> Site {
            let origin = Origin { https: false, host: host.to_owned(), port: self.port };
            let networks = vec![Network::parse("127.0.0.1/32").unwrap()];
            let names = names.iter().map(|name| crate::glob::Glob::new(name)).collect();
            let reach = Reach { written, allow: Arc::new(Allow { networks, names }) };
            Site { name: "s".into(), host: origin.host_header(), origin, tls: None, proxy: None, reach }
        }
    }

    fn on_each<F: Future<Output = ()>>(case: impl Fn(crate::net::engine::Engine) -> F) {
        for choice in [EngineChoice::Epoll, EngineChoice::IoUring] {
            let Ok((runtime, _)) = Runtime::new(choice) else { continue };
            let engine = runtime.engine();
            runtime.block_on(async { timeout(SOON, case(engine)).await.expect("the case hangs") });
        }
    }

    #[test]
    fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
        on_each(|engine| async move {
            let machines = Machines::new();
            let looks = Rc::new(Cell::new(0));
            let (counted, port) = (Rc::clone(&looks), machines.port);
            // The name is good when it is looked up first, and leads inside from then on.
            let pool = Pool::answering(engine, move |_host| {
                counted.set(counted.get() + 1);
                let last = if counted.get() == 1 { 1 } else { 2 };
                vec![SocketAddr::from(([127, 0, 0, last], port))]
            });
            let site = machines.site("rebinds.test", true, &[]);
            let opened = pool.open(&site, SOON).await;
            assert!(opened.is_ok(), "{:?}", opened.err());
            assert_eq!((looks.get(), machines.reached()), (1, (1, 0)));
            pool.resolver.forget("rebinds.test", port);
            let fault = pool.open(&site, SOON).await.unwrap_err();
            assert_eq!(fault.kind(), io::ErrorKind::PermissionDenied);
            assert!(fault.to_string().contains("allow_private: [\"rebinds.test\"]"), "{fault}");
            assert_eq!((looks.get(), machines.reached()), (2, (0, 0)));
        });
    }

    #[test]
    fn of_several_addresses_only_the_good_ones_are_tried() {
        on_each(|engine| async move {
            let machines = Machines::new();
            let port = machines.port;
            let pool = Pool::answering(engine, move |_host| {
                let texts = [format!("127.0.0.2:{port}"), format!("[::ffff:127.0.0.2]:{port}")];
                let good = format!("127.0.0.1:{port}");
                texts.into_iter().chain([good]).map(|text| text.parse().unwrap()).collect()
            });
            assert!(pool.open(&machines.site("mixed.test", true, &[]), SOON).await.is_ok());
            assert_eq!(machines.reached(), (1, 0));
            // A name that is listed may lead wherever it leads.
            assert!(pool.open(&machines.site("mixed.test", false, &["*.test"]), SOON).await.is_ok());
            assert_eq!(machines.reached(), (0, 1));
        });
    }

    #[test]
    fn an_address_that_nobody_wrote_is_no_way_around() {
        on_each(|engine| async move {
            let machines = Machines::new();
            let pool = Pool::new(engine);
            for host in ["127.0.0.2", "::ffff:127.0.0.2"] {
                let fault = pool.open(&machines.site(host, false, &["*"]), SOON).await.unwrap_err();
                assert_eq!(fault.kind(), io::ErrorKind::PermissionDenied, "{fault}");
            }
            assert_eq!(machines.reached(), (0, 0));
            assert!(pool.open(&machines.site("127.0.0.2", true, &[]), SOON).await.is_ok());
            assert!(pool.open(&machines.site("localhost", true, &[]), SOON).await.is_ok());
            assert_eq!(machines.reached(), (1, 1));
        });
    }
}
