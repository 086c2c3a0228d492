//! How many scripts run at once, and who waits for a turn.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::limits;
use crate::mcp::rpc::RpcError;

/// Where scripts wait for their turn.
pub(in crate::gateway::hub) struct Gate {
    turns: Semaphore,
    /// Scripts that run or wait, of all keys and of each.
    all: Cell<usize>,
    of_keys: RefCell<HashMap<Arc<str>, usize>>,
}

impl Default for Gate {
    fn default() -> Self {
        let turns = Semaphore::new(limits::CODE_RUNS_MAX);
        Self { turns, all: Cell::default(), of_keys: RefCell::default() }
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

    use super::Gate;
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
}
