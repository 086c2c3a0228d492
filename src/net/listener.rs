//! Listening sockets: one per core on the same address, the kernel shares out the connections.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::limits;
use crate::net::engine::Engine;
use crate::net::epoll::EpollLink;
use crate::net::stream::Stream;

/// Binds `address` with `SO_REUSEPORT`, so that every core can bind it. Done before a worker starts, so
/// that a taken port is an error of the start.
///
/// # Errors
/// The system's: the address is in use, not ours, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    Ok(socket)
}

/// A listening socket of this thread. Both engines accept by readiness: an accept that is given up at
/// shutdown loses nothing then, and connections are rare beside requests.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    engine: Engine,
}

impl Listener {
    /// Watches a bound socket.
    ///
    /// # Errors
    /// The system's, when the socket cannot be watched.
    pub fn new(socket: Socket, engine: Engine) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::from_std(socket.into())?, engine })
    }

    /// Waits for a connection. Small packets leave at once: an event must not wait for the next.
    ///
    /// # Errors
    /// The system's: a connection that was reset meanwhile, or no descriptors left.
    pub async fn accept(&self) -> io::Result<Stream> {
        let (accepted, peer) = self.socket.accept().await?;
        accepted.set_nodelay(true)?;
        match self.engine {
            Engine::Epoll => Ok(Stream::over_epoll(EpollLink::over(accepted), peer)),
            Engine::IoUring => Stream::new(self.engine, Socket::from(accepted.into_std()?)),
        }
    }
}
