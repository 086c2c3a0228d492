//! A TLS session over a link: ciphertext in and out, plaintext towards us.

use std::io::{self, IoSlice, Read, Write};
use std::task::{Context, Poll, ready};

use rustls::Connection;

use crate::limits;
use crate::net::buffer::{Buffer, TAIL_ROOM};
use crate::net::outgoing::{Outgoing, PIECES_MAX};
use crate::net::stream::{Link, poll_drained};

/// The state of one TLS connection. The library holds at most 64 KiB of plaintext in each direction.
pub(super) struct Session {
    connection: Connection,
    /// Decrypted bytes.
    pub(super) plain: Buffer,
    outgoing: Option<Outgoing>,
    /// Why the handshake fails, while the peer is still to be told.
    refused: Option<io::Error>,
}

impl Session {
    pub(super) const fn new(connection: Connection) -> Self {
        Self { connection, plain: Buffer::empty(), outgoing: None, refused: None }
    }

    /// Speaks until both sides have keys.
    pub(super) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link,
        raw: &mut Buffer,
    ) -> Poll<io::Result<()>> {
        loop {
            let flushed = ready!(self.poll_flush(cx, link));
            // The alert that explains a refusal to the peer has left with the flush.
            if let Some(fault) = self.refused.take() {
                return Poll::Ready(Err(fault));
            }
            flushed?;
            if !self.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if let Err(fault) = self.take_in(raw) {
                self.refused = Some(fault);
                continue;
            }
            if self.connection.is_handshaking() && !self.connection.wants_write() {
                let bytes = ready!(link.poll_recv(cx, raw, limits::IDLE_READ_BYTES - TAIL_ROOM))?;
                if bytes == 0 {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }

    /// Receives at least a byte of plaintext. An end without `close_notify` is an error, so that a cut
    /// answer is never taken for a whole one.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link,
        raw: &mut Buffer,
        least: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.plain.room() == 0 {
                self.plain = Buffer::with_room(limits::IDLE_READ_BYTES.max(least + TAIL_ROOM));
            }
            self.plain.reserve(least + TAIL_ROOM);
            match self.connection.reader().read(self.plain.readable_room()) {
                Ok(bytes) => {
                    self.plain.advance(bytes);
                    return Poll::Ready(Ok(bytes));
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            if !raw.is_empty() {
                self.take_in(raw)?;
                continue;
            }
            let bytes = ready!(link.poll_recv(cx, raw, limits::IDLE_READ_BYTES - TAIL_ROOM))?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.take_in(raw)?;
        }
    }

    pub(super) fn start_send(&mut self, outgoing: Outgoing) {
        debug_assert!(self.outgoing.is_none(), "one send at a time");
        self.outgoing = Some(outgoing);
    }

    pub(super) const fn is_sending(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Encrypts and sends in rounds of at most what the library buffers, until all has left.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, link: &mut Link) -> Poll<io::Result<Outgoing>> {
        loop {
            ready!(self.poll_flush(cx, link))?;
            let Some(outgoing) = &mut self.outgoing else { return Poll::Ready(Ok(Outgoing::default())) };
            if outgoing.left() == 0 {
                return Poll::Ready(Ok(self.outgoing.take().unwrap_or_default()));
            }
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let count = outgoing.slices(&mut slices);
            let bytes = self.connection.writer().write_vectored(slices.get(..count).unwrap_or_default())?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            outgoing.advance(bytes);
        }
    }

    /// Prepares the `close_notify` that ends our direction.
    pub(super) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, link: &mut Link) -> Poll<io::Result<()>> {
        loop {
            ready!(poll_drained(link, cx))?;
            if !self.connection.wants_write() {
                return Poll::Ready(Ok(()));
            }
            let mut sealed = Sealed(Buffer::with_room(limits::STREAM_READ_BYTES));
            while self.connection.wants_write() {
                self.connection.write_tls(&mut sealed)?;
            }
            link.start_send(Outgoing::one(sealed.0));
        }
    }

    fn take_in(&mut self, raw: &mut Buffer) -> io::Result<()> {
        while !raw.is_empty() {
            let bytes = self.connection.read_tls(&mut raw.filled())?;
            raw.consume(bytes);
            let state = self
                .connection
                .process_new_packets()
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            // The rest waits until the caller has read what is there: this bounds the plaintext held.
            if bytes == 0 || state.plaintext_bytes_to_read() > 0 {
                break;
            }
        }
        Ok(())
    }
}

/// Takes the library's records straight into a pooled buffer.
struct Sealed(Buffer);

impl Write for Sealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
