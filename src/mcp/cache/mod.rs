//! Results of tools that are kept to be told again, and calls under way that those may join who ask the same.
//!
//! What makes two calls the same is one number, [`Key`]; whose they are is said by [`Owner`], so that all of
//! somebody's results of a server can be forgotten at once, as when they change something there. The table
//! does not know what waits for a call: `F` is handed back to whoever ends it.
//!
//! ```text
//! look -> Kept                                  told at once
//!      -> Flying -> follow                      told with the one that is under way
//!      -> Nothing -> lead -> end | alone        made, told, perhaps kept
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::ids::ServerName;
use crate::limits;
use crate::mcp::canonical::canonical;

pub mod rule;
#[cfg(test)]
mod tests;

/// Whose results they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The server that gave them.
    pub server: ServerName,
    /// The key or person that gets them; nobody where all get the same.
    pub key_id: Option<Arc<str>>,
}

/// All that a result depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// The server's own name for the tool.
    pub tool: &'a str,
    /// The hash of the tool's definition: another definition is another tool.
    pub definition: u128,
    /// The number of the config: with other rules nothing is taken for known.
    pub config: u64,
    /// Whether the caller reads results of revision 2026-07-28.
    pub modern: bool,
    /// What its client can do, as written: servers give other results to those who can be asked.
    pub capabilities: &'a [u8],
    /// The arguments, as written.
    pub arguments: &'a [u8],
}

/// What makes two calls the same. A hash that nobody can find two texts for: where results are shared, one
/// caller could choose what another gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a call, however its arguments are spelt; nothing where readers could disagree about them.
    pub fn of(asked: &Asked<'_>) -> Option<Self> {
        let mut arguments = Vec::with_capacity(asked.arguments.len());
        if !asked.arguments.is_empty() {
            canonical(asked.arguments, &mut arguments).ok()?;
        }
        let key_id = asked.owner.key_id.as_deref();
        let flags = [u8::from(asked.modern), u8::from(key_id.is_some())];
        let parts: [&[u8]; 8] = [
            asked.owner.server.as_str().as_bytes(),
            key_id.unwrap_or_default().as_bytes(),
            asked.tool.as_bytes(),
            &asked.definition.to_le_bytes(),
            &asked.config.to_le_bytes(),
            &flags,
            asked.capabilities,
            &arguments,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Some(Self(hash.finalize().into()))
    }
}

/// Its beginning: enough to tell keys apart.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, second, third, ..] = self.0;
        write!(f, "{first:02x}{second:02x}{third:02x}")
    }
}

/// A call under way that others may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlightId(u64);

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// This response.
    Kept(Bytes),
    /// It is under way; whether its server tells how far it is.
    Flying(FlightId, bool),
    /// Nothing.
    Nothing,
}

/// Results and calls under way. Bounded by `limits::CACHE_BYTES_MAX` over all, and for each owner by
/// `limits::CACHE_SHARE_BYTES_MAX`.
#[derive(Debug)]
pub struct Cache<F> {
    kept: HashMap<Key, Kept>,
    /// The keys of `kept` by when they were told last.
    order: BTreeMap<u64, Key>,
    /// No share is empty.
    shares: HashMap<Owner, Share>,
    bytes: usize,
    /// Rises with every use.
    turn: u64,
    flights: HashMap<FlightId, Flight<F>>,
    /// The flights that can be joined.
    open: HashMap<Key, FlightId>,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    owner: Owner,
    response: Bytes,
    until: Instant,
    turn: u64,
}

/// What one owner has of it.
#[derive(Debug, Default)]
struct Share {
    order: BTreeMap<u64, Key>,
    bytes: usize,
}

#[derive(Debug)]
struct Flight<F> {
    key: Key,
    owner: Owner,
    /// Whether its server tells how far it is.
    tells: bool,
    /// Whether what comes of it may be kept.
    keeps: bool,
    followers: Vec<F>,
}

impl<F> Default for Cache<F> {
    fn default() -> Self {
        Self {
            kept: HashMap::new(),
            order: BTreeMap::new(),
            shares: HashMap::new(),
            bytes: 0,
            turn: 0,
            flights: HashMap::new(),
            open: HashMap::new(),
            next: 0,
        }
    }
}

impl<F> Cache<F> {
    /// Says what is known of a call at `now`.
    pub fn look(&mut self, key: Key, now: Instant) -> Look {
        if self.kept.get(&key).is_some_and(|kept| kept.until <= now) {
            self.drop_one(key);
        }
        if let Some(kept) = self.kept.get_mut(&key) {
            self.turn += 1;
            let old = std::mem::replace(&mut kept.turn, self.turn);
            let response = kept.response.clone();
            self.order.remove(&old);
            self.order.insert(self.turn, key);
            if let Some(share) = self.shares.get_mut(&kept.owner) {
                share.order.remove(&old);
                share.order.insert(self.turn, key);
            }
            return Look::Kept(response);
        }
        let flying = self.open.get(&key).and_then(|id| Some((*id, self.flights.get(id)?)));
        match flying {
            Some((id, flight)) if flight.followers.len() < limits::CACHE_FOLLOWERS_MAX => {
                Look::Flying(id, flight.tells)
            }
            _ => Look::Nothing,
        }
    }

    /// Notes that a call begins which others may join, and which has to be ended; `tells` where its server
    /// says how far it is. The one before it that is the same cannot be joined any more.
    pub fn lead(&mut self, key: Key, owner: Owner, tells: bool) -> FlightId {
        self.next += 1;
        let id = FlightId(self.next);
        self.open.insert(key, id);
        self.flights.insert(id, Flight { key, owner, tells, keeps: true, followers: Vec::new() });
        id
    }

    /// Waits with a call under way; gives `follower` back where that has ended.
    ///
    /// # Errors
    /// The follower itself.
    pub fn follow(&mut self, id: FlightId, follower: F) -> Result<(), F> {
        match self.flights.get_mut(&id) {
            Some(flight) => {
                flight.followers.push(follower);
                Ok(())
            }
            None => Err(follower),
        }
    }

    /// Those who wait with a call.
    pub fn followers(&self, id: FlightId) -> &[F] {
        self.flights.get(&id).map(|flight| flight.followers.as_slice()).unwrap_or_default()
    }

    /// A call has turned out to be its caller's alone: nobody joins it, nothing of it is kept. Gives those
    /// who have waited with it.
    pub fn alone(&mut self, id: FlightId) -> Vec<F> {
        self.shut(id);
        let flight = self.flights.get_mut(&id);
        flight.map(|flight| std::mem::take(&mut flight.followers)).unwrap_or_default()
    }

    /// Ends a call. `response` is kept until its time, unless it was forgotten meanwhile what it was about or
    /// it has more than `limits::CACHE_RESULT_BYTES_MAX`. Gives those who have waited with it.
    pub fn end(&mut self, id: FlightId, response: Option<(Bytes, Instant)>) -> Vec<F> {
        self.shut_open(id);
        let Some(flight) = self.flights.remove(&id) else { return Vec::new() };
        let fits = |(response, _): &(Bytes, Instant)| {
            flight.keeps && response.len() <= limits::CACHE_RESULT_BYTES_MAX
        };
        if let Some((response, until)) = response.filter(fits) {
            self.keep(flight.key, &flight.owner, response, until);
        }
        flight.followers
    }

    /// Forgets all results of an owner; what is under way, but for one, is not kept when it ends, and not
    /// joined.
    pub fn forget(&mut self, owner: &Owner, but: Option<FlightId>) {
        let share = self.shares.get(owner);
        let keys: Vec<Key> = share.map(|share| share.order.values().copied().collect()).unwrap_or_default();
        keys.into_iter().for_each(|key| self.drop_one(key));
        let of = self.flights.iter().filter(|(id, flight)| flight.owner == *owner && Some(**id) != but);
        let flying: Vec<FlightId> = of.map(|(id, _)| *id).collect();
        flying.into_iter().for_each(|id| self.shut(id));
    }

    /// Forgets everything; what is under way is not kept when it ends, and not joined.
    pub fn forget_all(&mut self) {
        self.kept.clear();
        self.order.clear();
        self.shares.clear();
        self.bytes = 0;
        self.open.clear();
        self.flights.values_mut().for_each(|flight| flight.keeps = false);
    }

    /// Forgets what is over; to be called about once a second.
    pub fn sweep(&mut self, now: Instant) {
        let over = self.kept.iter().filter(|(_, kept)| kept.until <= now);
        let over: Vec<Key> = over.map(|(key, _)| *key).collect();
        over.into_iter().for_each(|key| self.drop_one(key));
    }

    /// Bytes of all that is kept, with what keeping it takes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Nobody joins a flight any more, and nothing of it is kept.
    fn shut(&mut self, id: FlightId) {
        self.shut_open(id);
        if let Some(flight) = self.flights.get_mut(&id) {
            flight.keeps = false;
        }
    }

    fn shut_open(&mut self, id: FlightId) {
        if let Some(flight) = self.flights.get(&id)
            && self.open.get(&flight.key) == Some(&id)
        {
            self.open.remove(&flight.key);
        }
    }

    fn keep(&mut self, key: Key, owner: &Owner, response: Bytes, until: Instant) {
        self.drop_one(key);
        self.turn += 1;
        let (turn, bytes) = (self.turn, size(&response));
        self.bytes += bytes;
        self.order.insert(turn, key);
        let share = self.shares.entry(owner.clone()).or_default();
        share.bytes += bytes;
        share.order.insert(turn, key);
        self.kept.insert(key, Kept { owner: owner.clone(), response, until, turn });
        // The new one is the last to go, and fits by itself.
        while let Some(oldest) = self.oldest_over(owner) {
            self.drop_one(oldest);
        }
    }

    /// What has to go: of an owner who has too much, else of all.
    fn oldest_over(&self, owner: &Owner) -> Option<Key> {
        let share = self.shares.get(owner)?;
        let order = match share.bytes > limits::CACHE_SHARE_BYTES_MAX {
            true => &share.order,
            false if self.bytes > limits::CACHE_BYTES_MAX => &self.order,
            false => return None,
        };
        order.first_key_value().map(|(_, key)| *key)
    }

    fn drop_one(&mut self, key: Key) {
        let Some(kept) = self.kept.remove(&key) else { return };
        let bytes = size(&kept.response);
        self.bytes -= bytes;
        self.order.remove(&kept.turn);
        if let Some(share) = self.shares.get_mut(&kept.owner) {
            share.bytes -= bytes;
            share.order.remove(&kept.turn);
            if share.order.is_empty() {
                self.shares.remove(&kept.owner);
            }
        }
    }
}

/// What keeping a response takes.
const fn size(response: &Bytes) -> usize {
    response.len() + limits::CACHE_ENTRY_BYTES
}
