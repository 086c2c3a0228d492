//! A connection as the rest of the product sees it: bytes in, pieces out, TLS or not, ring or not.
//!
//! All calls can be given up at any time without losing bytes: what is pending stays with the stream
//! and is continued by the next call. At most one receive and one send are in flight.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker, ready};

use socket2::Socket;

use crate::limits;
use crate::net::buffer::{Buffer, TAIL_ROOM};
use crate::net::engine::Engine;
use crate::net::epoll::EpollLink;
use crate::net::outgoing::Outgoing;
use crate::net::session::Session;
use crate::net::uring::UringLink;

/// The two engines' sockets behind one face.
pub(super) enum Link {
    Uring(UringLink),
    Epoll(EpollLink),
}

impl Link {
    /// Receives into `input`, which is grown to `least` bytes of room where it has less.
    pub(super) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        least: usize,
    ) -> Poll<io::Result<usize>> {
        let fresh = |input: &mut Buffer| {
            let mut buffer = std::mem::take(input);
            let most = if buffer.room() == 0 { limits::IDLE_READ_BYTES - TAIL_ROOM } else { least };
            buffer.reserve(most.max(least) + TAIL_ROOM);
            buffer
        };
        match self {
            Self::Uring(link) => link.poll_recv(cx, input, fresh),
            Self::Epoll(link) => link.poll_recv(cx, input, fresh),
        }
    }

    pub(super) fn start_send(&mut self, outgoing: Outgoing) {
        match self {
            Self::Uring(link) => link.start_send(outgoing),
            Self::Epoll(link) => link.start_send(outgoing),
        }
    }

    pub(super) const fn sending(&self) -> bool {
        match self {
            Self::Uring(link) => link.sending(),
            Self::Epoll(link) => link.sending(),
        }
    }

    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Outgoing>> {
        match self {
            Self::Uring(link) => link.poll_send(cx),
            Self::Epoll(link) => link.poll_send(cx),
        }
    }

    fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Uring(link) => link.shutdown_write(),
            Self::Epoll(link) => link.shutdown_write(),
        }
    }
}

/// One connection.
pub struct Stream {
    link: Link,
    /// Bytes of the socket: the input itself, or with TLS what is not decrypted yet.
    raw: Buffer,
    session: Option<Box<Session>>,
    peer: Option<SocketAddr>,
}

impl Stream {
    /// Takes over a connected socket for `engine`, which must be the one that this thread runs.
    ///
    /// # Errors
    /// What the system says when the socket cannot be switched to the mode that the engine needs.
    pub fn new(engine: Engine, socket: Socket) -> io::Result<Self> {
        let peer = socket.peer_addr().ok().and_then(|address| address.as_socket());
        let link = match engine {
            Engine::IoUring => Link::Uring(UringLink::new(socket)?),
            Engine::Epoll => Link::Epoll(EpollLink::new(socket)?),
        };
        Ok(Self { link, raw: Buffer::empty(), session: None, peer })
    }

    /// Takes over a socket that the readiness engine already watches, without registering it again.
    pub(super) const fn over_epoll(link: EpollLink, peer: SocketAddr) -> Self {
        Self { link: Link::Epoll(link), raw: Buffer::empty(), session: None, peer: Some(peer) }
    }

    /// The address of the other side.
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Watches for the end of the stream while an answer is on its way out: like `poll_fill`, but what is
    /// already there stays readable while the receive is pending.
    pub fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match (&mut self.session, &mut self.link) {
            (None, Link::Uring(link)) if !self.raw.is_empty() => {
                link.poll_recv(cx, &mut self.raw, |_kept| Buffer::with_room(limits::IDLE_READ_BYTES))
            }
            _ => self.poll_fill(cx, 1),
        }
    }

    /// Performs a TLS handshake; afterwards all bytes are plaintext.
    ///
    /// # Errors
    /// What the peer or the library refused, as `InvalidData`; the alert has been sent.
    pub async fn secure(&mut self, connection: impl Into<rustls::Connection>) -> io::Result<()> {
        let mut session = Box::new(Session::new(connection.into()));
        let (link, raw) = (&mut self.link, &mut self.raw);
        poll_fn(|cx| session.poll_handshake(cx, link, raw)).await?;
        self.session = Some(session);
        Ok(())
    }

    /// Receives at least a byte behind the input, 0 at the end of the stream. The input gets at least
    /// `least` bytes of room first.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, least: usize) -> Poll<io::Result<usize>> {
        match &mut self.session {
            Some(session) => session.poll_fill(cx, &mut self.link, &mut self.raw, least),
            None => self.link.poll_recv(cx, &mut self.raw, least),
        }
    }

    /// Like `poll_fill`, and waits.
    ///
    /// # Errors
    /// Those of the socket and of TLS.
    pub async fn fill(&mut self, least: usize) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx, least)).await
    }

    /// The received bytes that nobody has consumed.
    pub fn input(&self) -> &[u8] {
        self.input_buffer().filled()
    }

    /// Drops `bytes` from the front of the input.
    pub fn consume(&mut self, bytes: usize) {
        self.input_buffer_mut().consume(bytes);
    }

    /// Takes the input away, with its room. No receive may be pending that was started with bytes in it.
    pub fn take_input(&mut self) -> Buffer {
        std::mem::take(self.input_buffer_mut())
    }

    /// Gives the input a buffer: bytes that were not for the taker, or room for the next receive.
    pub fn put_input(&mut self, buffer: Buffer) {
        *self.input_buffer_mut() = buffer;
    }

    /// Starts a send; the one before must be done.
    pub fn start_send(&mut self, outgoing: Outgoing) {
        match &mut self.session {
            Some(session) => session.start_send(outgoing),
            None => self.link.start_send(outgoing),
        }
    }

    /// Waits until the send has been taken by the kernel and hands its buffers back.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Outgoing>> {
        match &mut self.session {
            Some(session) => session.poll_send(cx, &mut self.link),
            None => self.link.poll_send(cx),
        }
    }

    /// Whether something handed to `start_send` has not been taken by the kernel yet.
    pub fn is_sending(&self) -> bool {
        self.link.sending() || self.session.as_ref().is_some_and(|session| session.is_sending())
    }

    /// Sends all of it and waits.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send(&mut self, outgoing: Outgoing) -> io::Result<Outgoing> {
        self.start_send(outgoing);
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// Whether an idle connection is still good: the peer has neither closed it nor sent anything. A
    /// receive is left pending, so that the next call sees what happened meanwhile.
    pub fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.input().is_empty() && self.poll_fill(&mut cx, 1).is_pending()
    }

    /// Tells the peer that nothing more will come: `close_notify` with TLS, then the end of our direction.
    ///
    /// # Errors
    /// Those of the socket; the connection is of no use then.
    pub async fn finish(&mut self) -> io::Result<()> {
        if let Some(session) = &mut self.session {
            session.close();
            let link = &mut self.link;
            drop(poll_fn(|cx| session.poll_send(cx, link)).await?);
        }
        self.link.shutdown_write()
    }

    fn input_buffer(&self) -> &Buffer {
        self.session.as_ref().map_or(&self.raw, |session| &session.plain)
    }

    fn input_buffer_mut(&mut self) -> &mut Buffer {
        match &mut self.session {
            Some(session) => &mut session.plain,
            None => &mut self.raw,
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({:?}, tls: {})", self.peer, self.session.is_some())
    }
}

/// Whether everything handed to the link has left; used by the TLS session, which sends in rounds.
pub(super) fn poll_drained(link: &mut Link, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    if link.sending() {
        drop(ready!(link.poll_send(cx))?);
    }
    Poll::Ready(Ok(()))
}
