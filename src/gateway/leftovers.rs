//! What was cut from results, kept for a while so that the same caller can read on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::ids::ServerName;
use crate::limits;
use crate::mcp::lean::results::{self, Kept};

/// The rests of all results that were cut not long ago. Its lock is taken only for a result that is cut, and
/// by who reads on.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    all: HashMap<String, Left>,
    /// The handles by their turns, the oldest first.
    order: BTreeMap<u64, String>,
    of_keys: HashMap<Arc<str>, Share>,
    /// The turn of the next.
    next: u64,
    bytes: usize,
}

/// What is kept for one key; nothing of keys for which nothing is.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// The turns of its handles.
    turns: BTreeSet<u64>,
}

/// One rest, whole.
#[derive(Debug)]
struct Left {
    key_id: Arc<str>,
    of: Whose,
    kept: Kept,
    until: Instant,
    turn: u64,
}

/// The tool whose result it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) server: ServerName,
    /// By the server's own name.
    pub(super) tool: String,
}

impl Leftovers {
    /// Keeps a rest for a caller under a handle that nobody can guess; its own oldest go when it has too
    /// many, and the oldest of all when there are too many. Nothing where the system has no randomness, or it
    /// is larger than what one caller may have.
    pub(super) fn keep(&self, key_id: &Arc<str>, of: &Whose, kept: Kept, now: Instant) -> Option<String> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).ok()?;
        let handle = format!("{:016x}", u64::from_le_bytes(bytes));
        if kept.bytes() > limits::RESULTS_KEPT_OF_KEY_BYTES_MAX {
            return None;
        }
        let mut store = self.store();
        let until = now + limits::RESULTS_KEPT_FOR;
        store.put(&handle, Left { key_id: Arc::clone(key_id), of: of.clone(), kept, until, turn: 0 });
        store.clear(now, key_id);
        Some(handle)
    }

    /// Keeps what a handle of this caller stands for as long as if it came now; false where it is not kept
    /// any more, or is another tool's.
    pub(super) fn renew(&self, key_id: &str, of: &Whose, handle: &str, now: Instant) -> bool {
        let mut store = self.store();
        let fits = |left: &&mut Left| *left.key_id == *key_id && left.of == *of && now < left.until;
        if store.all.get_mut(handle).filter(fits).is_none() {
            return false;
        }
        if let Some(left) = store.take(handle) {
            store.put(handle, Left { until: now + limits::RESULTS_KEPT_FOR, ..left });
        }
        true
    }

    /// Whose result a handle of this caller stands for, and the piece of it that begins at `from` as the
    /// result of a tool, if there is one.
    pub(super) fn piece(
        &self,
        key_id: &str,
        handle: &str,
        from: usize,
        now: Instant,
    ) -> Option<(Whose, Option<Vec<u8>>)> {
        let store = self.store();
        let left = store.all.get(handle).filter(|left| *left.key_id == *key_id && now < left.until)?;
        Some((left.of.clone(), results::more(&left.kept, handle, from)))
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Puts a rest behind all others.
    fn put(&mut self, handle: &str, left: Left) {
        let (turn, bytes) = (self.next, left.kept.bytes());
        self.next += 1;
        self.bytes += bytes;
        self.order.insert(turn, handle.to_owned());
        let share = self.of_keys.entry(Arc::clone(&left.key_id)).or_default();
        share.bytes += bytes;
        share.turns.insert(turn);
        self.all.insert(handle.to_owned(), Left { turn, ..left });
    }

    fn take(&mut self, handle: &str) -> Option<Left> {
        let left = self.all.remove(handle)?;
        self.order.remove(&left.turn);
        self.bytes = self.bytes.saturating_sub(left.kept.bytes());
        if let Some(share) = self.of_keys.get_mut(&left.key_id) {
            share.bytes = share.bytes.saturating_sub(left.kept.bytes());
            share.turns.remove(&left.turn);
            if share.turns.is_empty() {
                self.of_keys.remove(&left.key_id);
            }
        }
        Some(left)
    }

    /// Takes away what is over, and the oldest of what is too much of this key or of all.
    fn clear(&mut self, now: Instant, key_id: &str) {
        while let Some(oldest) = self.oldest_to_go(now, key_id) {
            self.take(&oldest);
        }
    }

    fn oldest_to_go(&self, now: Instant, key_id: &str) -> Option<String> {
        let (_, oldest) = self.order.first_key_value()?;
        let is_over = self.all.get(oldest).is_some_and(|left| left.until <= now);
        if is_over || self.bytes > limits::RESULTS_KEPT_BYTES_MAX {
            return Some(oldest.clone());
        }
        let share = self.of_keys.get(key_id)?;
        let most = limits::RESULTS_KEPT_OF_KEY_BYTES_MAX;
        let own = share.turns.first().filter(|_| share.bytes > most)?;
        self.order.get(own).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Leftovers, Whose};
    use crate::clock;
    use crate::ids::ServerName;
    use crate::limits;
    use crate::mcp::lean::results::{Caps, Kept};

    fn kept(bytes: usize) -> Kept {
        Kept::of("x".repeat(bytes), Caps { rows_max: None, bytes_max: Some(300) }).unwrap()
    }

    fn whose() -> Whose {
        Whose { server: ServerName::new("s"), tool: "t".to_owned() }
    }

    #[test]
    fn only_who_was_given_a_handle_reads_on_and_not_for_ever() {
        let (left, now) = (Leftovers::default(), clock::now());
        let (mine, other): (Arc<str>, &str) = ("mine".into(), "other");
        let handle = left.keep(&mine, &whose(), kept(1000), now).unwrap();
        let (of, piece) = left.piece(&mine, &handle, 300, now).unwrap();
        let piece = String::from_utf8(piece.unwrap()).unwrap();
        assert_eq!(of, whose());
        assert!(piece.contains("[bytes 300 to 600 of 1000. For the rest call read_more"), "{piece}");
        assert_eq!(left.piece(&mine, &handle, 1000, now).unwrap().1, None, "there is nothing behind it");
        assert!(left.piece(other, &handle, 300, now).is_none());
        assert!(left.piece(&mine, "0000000000000000", 300, now).is_none());
        let later = now + limits::RESULTS_KEPT_FOR;
        assert!(left.piece(&mine, &handle, 300, later).is_none());
        left.keep(&mine, &whose(), kept(400), later + Duration::from_secs(1)).unwrap();
        assert_eq!(left.store().all.len(), 1, "what is over is cleared away");
    }

    #[test]
    fn what_is_wanted_again_is_kept_longer() {
        let (left, now) = (Leftovers::default(), clock::now());
        let key: Arc<str> = "key".into();
        let handles = [1, 2].map(|_| left.keep(&key, &whose(), kept(400), now).unwrap());
        let later = now + limits::RESULTS_KEPT_FOR / 2;
        let other = Whose { tool: "other".to_owned(), ..whose() };
        assert!(!left.renew("other", &whose(), &handles[0], later), "it is not its own");
        assert!(!left.renew(&key, &other, &handles[0], later), "who may not see one may see the other");
        assert!(left.renew(&key, &whose(), &handles[0], later));
        let later = now + limits::RESULTS_KEPT_FOR;
        let there = |handle: &String| left.piece(&key, handle, 0, later).is_some();
        assert_eq!(handles.each_ref().map(there), [true, false]);
        assert!(!left.renew(&key, &whose(), &handles[1], later));
        left.keep(&key, &whose(), kept(400), later).unwrap();
        let store = left.store();
        assert_eq!((store.all.len(), store.order.len()), (2, 2), "what is over is cleared away");
    }

    #[test]
    fn the_oldest_of_a_key_go_when_it_has_too_many() {
        let (left, now) = (Leftovers::default(), clock::now());
        let (key, other): (Arc<str>, Arc<str>) = ("key".into(), "other".into());
        let part = limits::RESULTS_KEPT_OF_KEY_BYTES_MAX / 4;
        let older = left.keep(&other, &whose(), kept(part), now).unwrap();
        let handles: Vec<String> =
            (0..6).map(|_| left.keep(&key, &whose(), kept(part), now).unwrap()).collect();
        let there = |handle: &String| left.piece(&key, handle, 0, now).is_some();
        assert_eq!(handles.iter().map(there).collect::<Vec<_>>(), [false, false, true, true, true, true]);
        assert!(left.piece(&other, &older, 0, now).is_some(), "nothing of others goes for it");
        assert_eq!(left.store().bytes, 5 * part);
        assert!(left.keep(&key, &whose(), kept(5 * part), now).is_none());
    }

    #[test]
    fn the_oldest_of_all_go_when_there_are_too_many() {
        let (left, now) = (Leftovers::default(), clock::now());
        let part = limits::RESULTS_KEPT_OF_KEY_BYTES_MAX;
        let keys: Vec<Arc<str>> = (0..6).map(|at| format!("key {at}").into()).collect();
        let keep = |key: &Arc<str>| left.keep(key, &whose(), kept(part), now).unwrap();
        let handles: Vec<String> = keys.iter().map(keep).collect();
        let there = |at: usize| left.piece(&keys[at], &handles[at], 0, now).is_some();
        assert_eq!([0, 1, 2, 3, 4, 5].map(there), [false, false, true, true, true, true]);
        let store = left.store();
        assert_eq!((store.bytes, store.of_keys.len()), (limits::RESULTS_KEPT_BYTES_MAX, 4));
    }
}
