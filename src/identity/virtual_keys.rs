//! The ring of keys: those that are valid, and those that were and are not to come back.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::identity::principal::Principal;
use crate::identity::token::KeyHash;

/// All known keys by hash. Immutable: a key that is made or revoked means a new ring. Expiry needs none: a
/// look-up is told what time it is.
#[derive(Clone, Default)]
pub struct KeyRing {
    // A bucket has more than one entry only when two hashes agree in their first 8 bytes.
    buckets: HashMap<[u8; 8], Vec<(KeyHash, Held)>>,
}

#[derive(Clone)]
struct Held {
    principal: Arc<Principal>,
    revoked: bool,
}

/// Why a presented text opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit<'r> {
    /// It is no key, or none of ours.
    Unknown,
    /// It was the key of this one, and its time is over.
    Expired(&'r Principal),
    /// It was the key of this one, and was revoked.
    Revoked(&'r Principal),
}

impl KeyRing {
    /// The ids of all keys that are valid at `now_ms`.
    pub fn ids(&self, now_ms: u64) -> impl Iterator<Item = Arc<str>> {
        let valid = self.buckets.values().flatten().filter(move |(_, held)| held.fits(now_ms));
        valid.map(|(_, held)| Arc::clone(&held.principal.key_id))
    }

    /// Those behind all keys that are not revoked, in no order.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        let held = self.buckets.values().flatten().filter(|(_, held)| !held.revoked);
        held.map(|(_, held)| &*held.principal)
    }

    /// Builds the ring of valid keys. Of two entries with the same hash the first one counts.
    pub fn new(entries: impl IntoIterator<Item = (KeyHash, Principal)>) -> Self {
        let mut ring = Self::default();
        for (hash, principal) in entries {
            ring.add(hash, principal, false);
        }
        ring
    }

    /// Adds keys that were revoked, so that whoever presents one is told so.
    #[must_use]
    pub fn with_revoked(mut self, entries: impl IntoIterator<Item = (KeyHash, Principal)>) -> Self {
        for (hash, principal) in entries {
            self.add(hash, principal, true);
        }
        self
    }

    fn add(&mut self, hash: KeyHash, principal: Principal, revoked: bool) {
        let bucket = self.buckets.entry(first_bytes(&hash)).or_default();
        if bucket.iter().all(|(other, _)| *other != hash) {
            bucket.push((hash, Held { principal: Arc::new(principal), revoked }));
        }
    }

    /// Finds the principal of a presented key at `now_ms`, milliseconds since 1970. The time taken tells
    /// nothing about other keys: the look-up goes by the hash of what was sent, and whole hashes are compared
    /// in constant time.
    ///
    /// # Errors
    /// Why it opens nothing.
    pub fn find(&self, presented: &[u8], now_ms: u64) -> Result<&Principal, Unfit<'_>> {
        let hash = KeyHash::of(presented);
        let bucket = self.buckets.get(&first_bytes(&hash)).ok_or(Unfit::Unknown)?;
        let held = bucket.iter().find(|(known, _)| bool::from(known.bytes().ct_eq(hash.bytes())));
        let (_, Held { principal, revoked }) = held.ok_or(Unfit::Unknown)?;
        match () {
            () if *revoked => Err(Unfit::Revoked(principal)),
            () if principal.has_expired(now_ms) => Err(Unfit::Expired(principal)),
            () => Ok(principal),
        }
    }

    /// Finds the first candidate that is a valid key at `now_ms`; takes `Presented::candidates`.
    ///
    /// # Errors
    /// Why none is: of the first that was a key once, if there is one.
    pub fn find_any<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a [u8]>,
        now_ms: u64,
    ) -> Result<&Principal, Unfit<'_>> {
        let mut why = Unfit::Unknown;
        for candidate in candidates {
            match self.find(candidate, now_ms) {
                Ok(found) => return Ok(found),
                Err(unfit) if why == Unfit::Unknown => why = unfit,
                Err(_) => {}
            }
        }
        Err(why)
    }

    /// How many keys are not revoked.
    pub fn len(&self) -> usize {
        self.buckets.values().flatten().filter(|(_, held)| !held.revoked).count()
    }

    /// Whether all keys are revoked or there is none, so that nobody can call with one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Held {
    fn fits(&self, now_ms: u64) -> bool {
        !self.revoked && !self.principal.has_expired(now_ms)
    }
}

/// The number of keys only.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.len())
    }
}

fn first_bytes(hash: &KeyHash) -> [u8; 8] {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(hash.bytes()) {
        *to = *from;
    }
    first
}
