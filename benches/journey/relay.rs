//! The null relay: copies bytes both ways over a connection of each caller's own, and looks at none of them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::peer::{Next, Peer};
use crate::sys::{Poll, Watch};
use crate::upstream;

const LISTENER: u64 = 0;

/// Bytes that one read takes.
const READ_BYTES: usize = 64 * 1024;

/// Relays from `address` to `upstream` until the process ends.
pub(crate) fn run(address: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let listener = upstream::listen(address)?;
    let poll = Poll::new()?;
    poll.add(listener.as_raw_fd(), LISTENER, Watch::Level)?;
    let mut relay = Relay { listener, upstream, poll, pairs: Vec::new(), buffer: vec![0; READ_BYTES] };
    let mut ready = Vec::new();
    loop {
        relay.poll.wait(Duration::from_secs(1), &mut ready)?;
        for token in &ready {
            match usize::try_from(*token)? {
                0 => relay.accept()?,
                token => relay.turn(token - 1),
            }
        }
    }
}

struct Relay {
    listener: TcpListener,
    upstream: SocketAddr,
    poll: Poll,
    /// Both ends of each connection; of number `n` the ends are watched as `2 n + 1` and `2 n + 2`.
    pairs: Vec<Option<[Peer; 2]>>,
    buffer: Vec<u8>,
}

impl Relay {
    fn accept(&mut self) -> Result<()> {
        while let Some(caller) = upstream::accept(&self.listener)? {
            let server = TcpStream::connect(self.upstream).context("no upstream")?;
            server.set_nonblocking(true)?;
            server.set_nodelay(true)?;
            let first = u64::try_from(2 * self.pairs.len() + 1)?;
            self.poll.add(caller.as_raw_fd(), first, Watch::Edge)?;
            self.poll.add(server.as_raw_fd(), first + 1, Watch::Edge)?;
            self.pairs.push(Some([Peer::new(caller), Peer::new(server)]));
        }
        Ok(())
    }

    fn turn(&mut self, end: usize) {
        let Some(slot) = self.pairs.get_mut(end / 2) else { return };
        let Some([caller, server]) = slot else { return };
        let (from, to) = if end.is_multiple_of(2) { (caller, server) } else { (server, caller) };
        if from.flush() == Next::Close || copy(from, to, &mut self.buffer) == Next::Close {
            *slot = None;
        }
    }
}

fn copy(from: &mut Peer, to: &mut Peer, buffer: &mut [u8]) -> Next {
    loop {
        let count = match from.read(buffer) {
            Ok(Some(count)) => count,
            Ok(None) => return Next::Wait,
            Err(gone) => return gone,
        };
        if to.send(buffer.get(..count).unwrap_or_default()) == Next::Close {
            return Next::Close;
        }
        if count < buffer.len() {
            return Next::Wait;
        }
    }
}
