//! The readiness-based link: the same face as the ring's, over `tokio`'s own sockets.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::net::buffer::Buffer;
use crate::net::outgoing::{Outgoing, PIECES_MAX};

/// A connected socket that is asked when it is ready.
pub(super) struct EpollLink {
    socket: TcpStream,
    send: Option<Outgoing>,
}

impl EpollLink {
    /// Takes over a connected socket.
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::over(TcpStream::from_std(socket.into())?))
    }

    /// Takes over a socket that the runtime already watches.
    pub(super) const fn over(socket: TcpStream) -> Self {
        Self { socket, send: None }
    }

    /// Receives into `input` at least a byte, 0 at the end of the stream.
    pub(super) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        fresh: impl FnOnce(&mut Buffer) -> Buffer,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = fresh(input);
        let mut room = ReadBuf::new(buffer.readable_room());
        let polled = Pin::new(&mut self.socket).poll_read(cx, &mut room);
        let bytes = room.filled().len();
        buffer.advance(bytes);
        if input.is_empty() {
            *input = buffer;
        } else {
            input.extend(buffer.filled());
        }
        ready!(polled)?;
        Poll::Ready(Ok(bytes))
    }

    /// Remembers what is to be sent; nothing may be on its way out.
    pub(super) fn start_send(&mut self, outgoing: Outgoing) {
        debug_assert!(self.send.is_none(), "one send at a time");
        self.send = Some(outgoing);
    }

    /// Whether a send is on its way out.
    pub(super) const fn sending(&self) -> bool {
        self.send.is_some()
    }

    /// Waits until all of the send has left and hands its buffers back.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Outgoing>> {
        let Some(outgoing) = &mut self.send else { return Poll::Ready(Ok(Outgoing::default())) };
        while outgoing.left() > 0 {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let count = outgoing.slices(&mut slices);
            let list = slices.get(..count).unwrap_or_default();
            let bytes = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, list))?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            outgoing.advance(bytes);
        }
        Poll::Ready(Ok(self.send.take().unwrap_or_default()))
    }

    /// Ends our direction, so that the peer reads the end of the stream.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.socket).shutdown(Shutdown::Write)
    }
}
