//! One timer per connection that costs nothing to move into the future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::clock;

/// A deadline that is moved on every request but hardly ever reached. Moving it further away only
/// stores a number: the timer wakes at the old time, sees that there is more, and is set anew.
#[derive(Debug)]
pub struct Deadline {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
    due: Instant,
}

impl Deadline {
    /// A deadline `after` from now.
    pub fn new(after: Duration) -> Self {
        let due = clock::now() + after;
        Self { sleep: Box::pin(tokio::time::sleep_until(due.into())), armed: due, due }
    }

    /// Moves it to `after` from `now`.
    pub fn set(&mut self, now: Instant, after: Duration) {
        self.set_at(now + after);
    }

    /// Moves it to `due`.
    pub fn set_at(&mut self, due: Instant) {
        self.due = due;
        if due < self.armed {
            self.arm();
        }
    }

    /// Ready once the deadline has passed; wakes the task then.
    pub fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if clock::now() >= self.due {
                return Poll::Ready(());
            }
            self.arm();
        }
        Poll::Pending
    }

    fn arm(&mut self) {
        self.armed = self.due;
        self.sleep.as_mut().reset(self.due.into());
    }
}
