//! The choice between the two ways of doing I/O.

use std::fmt;

/// What the config asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where the kernel and the container allow it, else epoll.
    #[default]
    Auto,
    /// io_uring or do not start.
    IoUring,
    /// epoll.
    Epoll,
}

/// What a worker runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Completion-based, one ring per core.
    IoUring,
    /// Readiness-based.
    Epoll,
}

impl Engine {
    /// The name used in the config, in logs and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
