//! How many scripts run at once, who waits for a turn, what starts their processes, and the pace of what the
//! hub does for them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
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
    of_keys: RefCell<HashMap<Arc<str>, Share>>,
    /// Processes that are started.
    starts: Line,
    /// Calls that begin.
    calls: Line,
    /// Large frames.
    large: Line,
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
            starts: Line::default(),
            calls: Line::default(),
            large: Line::default(),
            starter: RefCell::default(),
        }
    }
}

/// What one key has of the gate.
struct Share {
    /// Its scripts that run or wait.
    places: usize,
    turns: Arc<Semaphore>,
}

/// A script's turn, over when it is dropped.
pub(super) struct Turn<'g> {
    _permit: SemaphorePermit<'g>,
    _own: OwnedSemaphorePermit,
    _place: Place<'g>,
}

impl Gate {
    /// Waits for a turn, not for long: first for one of its key's own, so that who waits for those keeps
    /// nobody else.
    ///
    /// # Errors
    /// What the caller is told: too many of its key or of all keys, or none came in time.
    pub(super) async fn enter<'g>(&'g self, key_id: &Arc<str>) -> Result<Turn<'g>, RpcError> {
        let (place, own) = self.place(key_id)?;
        let both = async {
            let own = own.acquire_owned().await.ok()?;
            Some((self.turns.acquire().await.ok()?, own))
        };
        match timeout(limits::CODE_WAIT, both).await {
            Ok(Some((permit, own))) => Ok(Turn { _permit: permit, _own: own, _place: place }),
            Ok(None) | Err(_) => Err(RpcError::overloaded("too many scripts run now: try again in a while")),
        }
    }

    /// A process for a script, once it has started.
    ///
    /// # Errors
    /// The system's, or that too many wait for theirs.
    pub(super) async fn process(&self) -> io::Result<Started> {
        self.starts.wait(limits::CODE_START_EVERY).await;
        self.starter()?.start().await
    }

    /// Waits until a call of a script may begin. All scripts together begin calls one after the other, with
    /// time for others between two: the hub serves them, too.
    pub(super) async fn begin_call(&self) {
        self.calls.wait(limits::CODE_CALL_EVERY).await;
    }

    /// Waits until a frame of so many bytes may be worked on, if it is large.
    pub(super) async fn begin_frame(&self, bytes: usize) {
        if bytes >= limits::CODE_LARGE_BYTES {
            self.large.wait(gap(bytes)).await;
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

    fn place(&self, key_id: &Arc<str>) -> Result<(Place<'_>, Arc<Semaphore>), RpcError> {
        if self.all.get() >= limits::CODE_RUNS_MAX + limits::CODE_WAITING_MAX {
            return Err(RpcError::overloaded("too many scripts wait for their turn: try again in a while"));
        }
        let mut of_keys = self.of_keys.borrow_mut();
        let own = of_keys.entry(Arc::clone(key_id)).or_insert_with(|| Share {
            places: 0,
            turns: Arc::new(Semaphore::new(limits::CODE_RUNS_OF_KEY_MAX)),
        });
        if own.places >= limits::CODE_PLACES_OF_KEY_MAX {
            let places = own.places;
            let text = format!("{places} scripts of your key run or wait already: wait for one to end");
            return Err(RpcError::overloaded(text));
        }
        own.places += 1;
        self.all.set(self.all.get() + 1);
        Ok((Place { gate: self, key_id: Arc::clone(key_id) }, Arc::clone(&own.turns)))
    }
}

/// The time from the begin of a large frame to that of the next.
fn gap(bytes: usize) -> Duration {
    let steps = bytes.div_ceil(limits::CODE_LARGE_BYTES_PER_MS);
    Duration::from_millis(u64::try_from(steps).unwrap_or(u64::MAX))
}

/// What begins one after the other. Who waits and gives up leaves no gap.
struct Line {
    turn: Semaphore,
    /// When the next may begin.
    next: Cell<Option<Instant>>,
}

impl Default for Line {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), next: Cell::default() }
    }
}

impl Line {
    /// Waits to be the next, and has those behind wait for `gap` from then on.
    async fn wait(&self, gap: Duration) {
        // It is never closed.
        let _turn = self.turn.acquire().await;
        if let Some(next) = self.next.get().filter(|next| *next > clock::now()) {
            sleep_until(next.into()).await;
        }
        self.next.set(Some(clock::now() + gap));
    }
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
            own.places = own.places.saturating_sub(1);
            if own.places == 0 {
                of_keys.remove(&self.key_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use std::time::Duration;

    use tokio::time::timeout;

    use super::{Gate, Line, gap};
    use crate::clock;
    use crate::limits;
    use crate::net::engine::EngineChoice;
    use crate::net::runtime::Runtime;

    fn on_epoll<F: Future<Output = ()>>(case: F) {
        let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
        runtime.block_on(async { timeout(Duration::from_secs(60), case).await.expect("the case hangs") });
    }

    #[test]
    fn no_key_has_more_than_its_share_and_places_come_back() {
        on_epoll(async {
            let gate = Gate::default();
            let (one, other) = (Arc::from("one"), Arc::from("other"));
            let mut turns = Vec::new();
            for _ in 0..limits::CODE_RUNS_OF_KEY_MAX {
                turns.push(gate.enter(&one).await.unwrap());
            }
            let mut waiting: Vec<_> =
                (turns.len()..limits::CODE_PLACES_OF_KEY_MAX).map(|_| Box::pin(gate.enter(&one))).collect();
            for script in &mut waiting {
                assert!(soon(script.as_mut()).await.is_none(), "its key has all that it may");
            }
            let refused = gate.enter(&one).await.err().unwrap();
            assert!(refused.message.contains("8 scripts of your key"), "{}", refused.message);
            let last = soon(gate.enter(&other)).await.expect("a turn is left for others").unwrap();
            turns.pop();
            turns.push(soon(waiting.remove(0)).await.expect("the next has its turn").unwrap());
            drop((last, turns, waiting));
            assert_eq!((gate.all.get(), gate.of_keys.borrow().len()), (0, 0));
        });
    }

    /// What comes without waiting for anybody.
    async fn soon<F: Future>(future: F) -> Option<F::Output> {
        timeout(Duration::from_millis(1), future).await.ok()
    }

    #[test]
    fn what_scripts_begin_begins_one_after_the_other() {
        on_epoll(async {
            let (gate, begun) = (Gate::default(), clock::now());
            for _ in 0..20 {
                gate.begin_call().await;
            }
            let waited = clock::now() - begun;
            assert!(waited >= 19 * limits::CODE_CALL_EVERY, "{waited:?}");
            let (begun, large) = (clock::now(), limits::CODE_LARGE_BYTES);
            gate.begin_frame(large).await;
            gate.begin_frame(large - 1).await;
            gate.begin_frame(large).await;
            let waited = clock::now() - begun;
            assert!(waited >= gap(large), "{waited:?}");
        });
        assert_eq!(gap(limits::CODE_LARGE_BYTES_PER_MS), Duration::from_millis(1));
        assert_eq!(gap(3 * limits::CODE_LARGE_BYTES_PER_MS + 1), Duration::from_millis(4));
    }

    #[test]
    fn who_gives_up_waiting_leaves_no_gap() {
        on_epoll(async {
            let (line, hour) = (Line::default(), Duration::from_secs(3600));
            let short = Duration::from_millis(200);
            line.wait(short).await;
            assert!(timeout(Duration::from_millis(1), line.wait(hour)).await.is_err());
            timeout(hour, line.wait(short)).await.unwrap();
        });
    }
}
