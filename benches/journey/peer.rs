//! One side of a connection that never waits: what the other end does not take is kept.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Wait,
    Close,
}

/// A connection without blocking.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    /// Bytes that the other end has not taken yet.
    unsent: Vec<u8>,
}

impl Peer {
    /// Takes a socket that does not block.
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, unsent: Vec::new() }
    }

    /// Whether the other end has not taken everything yet.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads once; `None` when nothing is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Next> {
        match self.socket.read(buffer) {
            Ok(0) => Err(Next::Close),
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(_gone) => Err(Next::Close),
        }
    }

    /// Sends, and keeps what the other end does not take.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Next {
        if self.is_blocked() {
            self.unsent.extend_from_slice(bytes);
            return Next::Wait;
        }
        match self.socket.write(bytes) {
            Ok(count) => {
                self.unsent.extend_from_slice(bytes.get(count..).unwrap_or_default());
                Next::Wait
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.unsent.extend_from_slice(bytes);
                Next::Wait
            }
            Err(_gone) => Next::Close,
        }
    }

    /// Goes on with what was kept.
    pub(crate) fn flush(&mut self) -> Next {
        while self.is_blocked() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Wait,
                Err(_gone) => return Next::Close,
            }
        }
        Next::Wait
    }
}
