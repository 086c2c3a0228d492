//! Opening connections to other servers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limits;
use crate::net::engine::Engine;
use crate::net::epoll::EpollLink;
use crate::net::stream::Stream;

/// Connects to the first of `addresses` that accepts within `deadline` each.
///
/// The connect itself is done by readiness on both engines: given up, it is closed at once, whereas a
/// connect on the ring keeps its descriptor for as long as the kernel tries.
///
/// # Errors
/// The last address's: refused, unreachable, or `TimedOut`.
pub async fn connect(engine: Engine, addresses: &[SocketAddr], deadline: Duration) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address to connect to");
    for &address in addresses {
        let tried = match timeout(deadline, TcpStream::connect(address)).await {
            Ok(tried) => tried,
            Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the connect")),
        };
        match tried {
            Ok(socket) => return open(engine, socket, address),
            Err(fault) => last = io::Error::new(fault.kind(), format!("{address}: {fault}")),
        }
    }
    Err(last)
}

fn open(engine: Engine, socket: TcpStream, address: SocketAddr) -> io::Result<Stream> {
    socket.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(limits::KEEPALIVE_AFTER).with_interval(limits::KEEPALIVE_EVERY);
    SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
    match engine {
        Engine::Epoll => Ok(Stream::over_epoll(EpollLink::over(socket), address)),
        Engine::IoUring => Stream::new(engine, Socket::from(socket.into_std()?)),
    }
}
