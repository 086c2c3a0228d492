//! How often a key may ask and change at `/admin`. Pure: the time is handed in.
//!
//! Two GCRA words a key, one for looks and one for changes: each says until when what was used is paid for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits;

/// What all keys have used of their pace.
#[derive(Debug, Default)]
pub struct Paces {
    keys: HashMap<Arc<str>, [u64; 2]>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A look.
    Look,
    /// A change.
    Change,
}

impl Step {
    /// Milliseconds that one of them costs, and how many may be made at once.
    const fn price(self) -> (u64, u64) {
        match self {
            Self::Look => (1000 / limits::ADMIN_READS_PER_S, limits::ADMIN_READS_PER_S),
            Self::Change => (1000 / limits::ADMIN_CHANGES_PER_S, limits::ADMIN_CHANGES_BURST),
        }
    }
}

impl Paces {
    /// Takes a step of the key with this id at `now_ms`, milliseconds of any clock that does not go back.
    ///
    /// # Errors
    /// Seconds after which the next step is free, at least 1.
    pub fn step(&mut self, key_id: &Arc<str>, step: Step, now_ms: u64) -> Result<(), u64> {
        if !self.keys.contains_key(key_id) && self.keys.len() >= limits::ADMIN_PACED_KEYS_MAX {
            self.keys.retain(|_, until| until.iter().any(|&until| until > now_ms));
            if self.keys.len() >= limits::ADMIN_PACED_KEYS_MAX {
                return Err(1);
            }
        }
        let [look, change] = self.keys.entry(Arc::clone(key_id)).or_default();
        let until = if step == Step::Look { look } else { change };
        let (cost, burst) = step.price();
        let ahead = until.saturating_sub(now_ms);
        let allowed = cost.saturating_mul(burst.saturating_sub(1));
        if ahead > allowed {
            return Err((ahead - allowed).div_ceil(1000).max(1));
        }
        *until = (*until).max(now_ms).saturating_add(cost);
        Ok(())
    }
}
