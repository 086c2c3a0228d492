//! Lanes: each target once for each key that its provider has.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::limits;
use crate::route::model::Target;

/// One way that a call can take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane {
    /// The place of its target in the plan.
    pub target: usize,
    /// The place of its key among those of the provider; 0 also where it has none.
    pub key: usize,
    /// Who it is, whatever place it has.
    pub names: Names,
    /// Its part of the calls of its priority.
    pub weight: f64,
    /// The lower number first.
    pub priority: u32,
}

/// Hashes of names: the same on every core and every replica, before and after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Names {
    /// Provider and model: what breaks down.
    pub place: u64,
    /// Provider, model and key: what has limits and a prompt cache.
    pub lane: u64,
    /// Provider and key: what is let in or not.
    pub access: u64,
}

impl Names {
    /// Of a provider, the model that it is asked for, and a number that stands for the key.
    pub fn of(provider: &str, model: &str, key: u64) -> Self {
        let provider = xxh3_64_with_seed(provider.as_bytes(), PROVIDER);
        let place = xxh3_64_with_seed(model.as_bytes(), provider);
        Self { place, lane: mixed(place, key), access: mixed(provider, key ^ ACCESS) }
    }
}

/// So that a provider and a key are never taken for a model and a key.
const ACCESS: u64 = 0x9e37_79b9_7f4a_7c15;
const PROVIDER: u64 = 0x746f_6c6c;

/// What two numbers make together.
pub(super) fn mixed(one: u64, other: u64) -> u64 {
    xxh3_64_with_seed(&one.to_le_bytes(), other)
}

/// A session of a caller as one number: its texts in order, which are no one else's when they are not.
pub fn session(texts: &[&str]) -> u64 {
    texts.iter().fold(0, |hash, text| xxh3_64_with_seed(text.as_bytes(), mixed(hash, 1)))
}

/// Makes the lanes of a plan, at most `limits::LANES_MAX`. `provider` tells of each target the name of its
/// provider and the numbers of its keys, `None` where nobody may be asked there; `model` is what the caller
/// means.
pub fn lanes<'a>(
    targets: &[Target],
    provider: impl Fn(&Target) -> Option<(&'a str, &'a [u64])>,
    model: &str,
) -> Vec<Lane> {
    let mut lanes = Vec::with_capacity(targets.len());
    for (place, target) in targets.iter().enumerate() {
        let Some((name, keys)) = provider(target) else { continue };
        let keys = if keys.is_empty() { &[0] } else { keys };
        let sent = target.model.as_deref().unwrap_or(model);
        let parts = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        for (key, number) in keys.iter().enumerate() {
            lanes.push(Lane {
                target: place,
                key,
                names: Names::of(name, sent, *number),
                weight: f64::from(target.weight.max(1)) / f64::from(parts),
                priority: target.priority,
            });
        }
    }
    lanes.truncate(limits::LANES_MAX);
    lanes
}

/// Which lanes of a call have been asked already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried(u64);

impl Tried {
    /// Whether one has been.
    pub const fn has(self, lane: usize) -> bool {
        lane >= limits::LANES_MAX || self.0 & (1 << lane) != 0
    }

    /// Leaves one out from now on.
    pub const fn add(&mut self, lane: usize) {
        if lane < limits::LANES_MAX {
            self.0 |= 1 << lane;
        }
    }

    /// Leaves out all lanes that `refused` names.
    pub fn add_all(&mut self, lanes: &[Lane], refused: impl Fn(&Lane) -> bool) {
        for (place, lane) in lanes.iter().enumerate() {
            if refused(lane) {
                self.add(place);
            }
        }
    }
}
