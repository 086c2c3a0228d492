//! How many scripts run at once, who waits for a turn, and what starts their processes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep_until, timeout};

use crate::clock;
use crate::limits;
use crate::mcp::rpc::RpcError;
use crate::net::again::Again;
use crate::net::child::Started;

/// Where scripts wait for their turn.
pub(in crate::gateway::hub) struct Gate {
    turns: Semaphore,
    /// Scripts that run or wait, of all keys and of each.
    all: Cell<usize>,
    of_keys: RefCell<HashMap<Arc<str>, usize>>,
    /// When the next call of a script may begin.
    next_call: Cell<Option<Instant>>,
    /// Starts processes, from the first script on.
    starter: RefCell<Option<Rc<Again>>>,
}

impl Default for Gate {
    fn default() -> Self {
        let turns = Semaphore::new(limits::CODE_RUNS_MAX);
        Self {
            turns,
            all: Cell::default(),
            of_keys: RefCell::default(),
            next_call: Cell::default(),
            starter: RefCell::default(),
        }
    }
}

/// A script's turn, over when it is dropped.
pub(super) struct Turn<'g> {
    _permit: SemaphorePermit<'g>,
    _place: Place<'g>,
}

impl Gate {
    /// Waits for a turn, not for long.
    ///
    /// # Errors
    /// What the caller is told: too many of its key or of all keys, or none came in time.
    pub(super) async fn enter<'g>(&'g self, key_id: &Arc<str>) -> Result<Turn<'g>, RpcError> {
        let place = self.place(key_id)?;
        let busy = || RpcError::overloaded("too many scripts run now: try again in a while");
        match timeout(limits::CODE_WAIT, self.turns.acquire()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, _place: place }),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// A process for a script, once it has started.
    ///
    /// # Errors
    /// The system's, or that too many wait for theirs.
    pub(super) async fn process(&self) -> io::Result<Started> {
        self.starter()?.start().await
    }

    /// Waits until a call of a script with so many bytes may begin. All scripts together begin calls one
    /// after the other, with time for others between two: the hub serves them, too, and all wait in one line.
    pub(super) async fn pace(&self, bytes: usize) {
        let now = clock::now();
        let begin = self.next_call.get().map_or(now, |next| next.max(now));
        self.next_call.set(Some(begin + gap(bytes)));
        if begin > now {
            sleep_until(begin.into()).await;
        }
    }

    fn starter(&self) -> io::Result<Rc<Again>> {
        let mut starter = self.starter.borrow_mut();
        if let Some(starter) = &*starter {
            return Ok(Rc::clone(starter));
        }
        let lines = [limits::CODE_FRAME_BYTES_MAX, limits::CODE_ERRORS_LINE_BYTES_MAX];
        let made = Rc::new(Again::new("code-worker", limits::CODE_STARTS_MAX, lines)?);
        *starter = Some(Rc::clone(&made));
        Ok(made)
    }

    fn place(&self, key_id: &Arc<str>) -> Result<Place<'_>, RpcError> {
        if self.all.get() >= limits::CODE_RUNS_MAX + limits::CODE_WAITING_MAX {
            return Err(RpcError::overloaded("too many scripts wait for their turn: try again in a while"));
        }
        let mut of_keys = self.of_keys.borrow_mut();
        let own = of_keys.entry(Arc::clone(key_id)).or_default();
        if *own >= limits::CODE_RUNS_OF_KEY_MAX {
            let text = format!("{own} scripts of your key run or wait already: wait for one to end");
            return Err(RpcError::overloaded(text));
        }
        *own += 1;
        self.all.set(self.all.get() + 1);
        Ok(Place { gate: self, key_id: Arc::clone(key_id) })
    }
}

/// The time from the begin of a call with so many bytes to that of the next.
fn gap(bytes: usize) -> Duration {
    let times = u32::try_from(bytes / limits::CODE_CALL_STEP_BYTES).unwrap_or(u32::MAX);
    limits::CODE_CALL_EVERY.saturating_mul(times.saturating_add(1))
}

/// A place among those who run or wait.
struct Place<'g> {
    gate: &'g Gate,
    key_id: Arc<str>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.all.set(self.gate.all.get().saturating_sub(1));
        let mut of_keys = self.gate.of_keys.borrow_mut();
        if let Some(own) = of_keys.get_mut(&self.key_id) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                of_keys.remove(&self.key_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Gate, gap};
    use crate::clock;
    use crate::limits;
    use crate::net::engine::EngineChoice;
    use crate::net::runtime::Runtime;

    #[test]
    fn no_key_has_more_than_its_share_and_places_come_back() {
        let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
        runtime.block_on(async {
            let gate = Gate::default();
            let key = |name: &str| Arc::from(name);
            let mut turns = Vec::new();
            for _ in 0..limits::CODE_RUNS_OF_KEY_MAX {
                turns.push(gate.enter(&key("a")).await.unwrap());
            }
            let refused = gate.enter(&key("a")).await.err().unwrap();
            assert!(refused.message.contains("scripts of your key"), "{}", refused.message);
            turns.pop();
            turns.push(gate.enter(&key("b")).await.unwrap());
            drop(turns);
            assert_eq!((gate.all.get(), gate.of_keys.borrow().len()), (0, 0));
        });
    }
    #[test]
    fn calls_of_scripts_begin_one_after_the_other() {
        assert_eq!(gap(0), limits::CODE_CALL_EVERY);
        assert_eq!(gap(2 * limits::CODE_CALL_STEP_BYTES), 3 * limits::CODE_CALL_EVERY);
        let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
        runtime.block_on(async {
            let (gate, begun) = (Gate::default(), clock::now());
            for _ in 0..20 {
                gate.pace(limits::CODE_CALL_STEP_BYTES).await;
            }
            let waited = clock::now() - begun;
            assert!(waited >= 19 * 2 * limits::CODE_CALL_EVERY, "{waited:?}");
        });
    }
}
