//! One thread's runtime on either engine, and the probe that chooses between them.

use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream;

use socket2::Socket;

use crate::net::buffer::Buffer;
use crate::net::engine::{Engine, EngineChoice};
use crate::net::outgoing::Outgoing;
use crate::net::stream::Stream;

/// Entries of a ring's submission queue: more than the operations that one turn of the loop starts.
const RING_ENTRIES: u32 = 1024;

/// Why io_uring is not used, in words for the log.
#[derive(Debug, thiserror::Error)]
#[error(
    "io_uring is refused here ({source}); common causes are a container's seccomp profile and \
     kernel.io_uring_disabled"
)]
pub struct RingRefused {
    #[from]
    source: io::Error,
}

/// A runtime for this thread.
pub enum Runtime {
    /// Completions.
    Uring(tokio_uring::Runtime),
    /// Readiness.
    Epoll(tokio::runtime::Runtime, tokio::task::LocalSet),
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Runtime({})", self.engine())
    }
}

impl Runtime {
    /// Makes the runtime that `choice` asks for. With `Auto` a refused ring is reported beside the epoll
    /// runtime that takes its place.
    ///
    /// # Errors
    /// The system's, when not even the engine that was asked for can be had.
    pub fn new(choice: EngineChoice) -> io::Result<(Self, Option<RingRefused>)> {
        match choice {
            EngineChoice::Epoll => Ok((Self::epoll()?, None)),
            EngineChoice::IoUring => Ok((Self::uring().map_err(io::Error::other)?, None)),
            EngineChoice::Auto => match Self::uring() {
                Ok(runtime) => Ok((runtime, None)),
                Err(refused) => Ok((Self::epoll()?, Some(refused))),
            },
        }
    }

    /// What it runs on.
    pub const fn engine(&self) -> Engine {
        match self {
            Self::Uring(_) => Engine::IoUring,
            Self::Epoll(..) => Engine::Epoll,
        }
    }

    /// Runs `main` and what it spawns locally until `main` ends.
    pub fn block_on<F: Future>(&self, main: F) -> F::Output {
        match self {
            Self::Uring(runtime) => runtime.block_on(main),
            Self::Epoll(runtime, local) => local.block_on(runtime, main),
        }
    }

    fn epoll() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self::Epoll(runtime, tokio::task::LocalSet::new()))
    }

    /// Tries the flags from best to plainest. Without `COOP_TASKRUN` and `SINGLE_ISSUER` a request costs
    /// half as much again; `DEFER_TASKRUN` would hang, because nothing wakes the epoll that the ring's
    /// descriptor sits in.
    fn uring() -> Result<Self, RingRefused> {
        let mut last = io::Error::from(io::ErrorKind::Unsupported);
        for (cooperative, single_issuer) in [(true, true), (true, false), (false, false)] {
            let mut flags = tokio_uring::uring_builder();
            if cooperative {
                flags.setup_coop_taskrun();
            }
            if single_issuer {
                flags.setup_single_issuer();
            }
            let made =
                tokio_uring::Runtime::new(tokio_uring::builder().entries(RING_ENTRIES).uring_builder(&flags));
            match made.map(Self::Uring).and_then(Self::probed) {
                Ok(runtime) => return Ok(runtime),
                Err(fault) => last = fault,
            }
        }
        Err(last.into())
    }

    /// Sends a byte through the ring: some sandboxes let a ring be made and then refuse its operations.
    fn probed(self) -> io::Result<Self> {
        self.block_on(async {
            let (near, far) = UnixStream::pair()?;
            let mut near = Stream::new(Engine::IoUring, Socket::from(std::os::fd::OwnedFd::from(near)))?;
            let mut far = Stream::new(Engine::IoUring, Socket::from(std::os::fd::OwnedFd::from(far)))?;
            near.send(Outgoing::one(Buffer::from(&b"?"[..]))).await?;
            far.fill(1).await?;
            if far.input() == b"?" { Ok(()) } else { Err(io::Error::from(io::ErrorKind::InvalidData)) }
        })?;
        Ok(self)
    }
}
