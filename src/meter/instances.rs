//! Instances by name: a table that all cores share, and lock only to meet a name for the first time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many instances many tables may hold together.
#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicUsize,
    most: usize,
}

/// What is full: the instances of all tables together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Room {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), most })
    }

    fn take(&self) -> bool {
        self.taken
            .try_update(Ordering::AcqRel, Ordering::Relaxed, |taken| (taken < self.most).then_some(taken + 1))
            .is_ok()
    }

    fn give_back(&self, count: usize) {
        self.taken.fetch_sub(count, Ordering::AcqRel);
    }
}

/// The instances of one budget or rate limit. Whoever holds one keeps it, so that cores ask once.
#[derive(Debug)]
pub(super) struct Table<T> {
    held: Mutex<HashMap<Box<str>, Arc<T>>>,
    room: Arc<Room>,
}

impl<T> Table<T> {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self { held: Mutex::new(HashMap::new()), room }
    }

    /// The instance of this name, made when there is none. When there is no room for it, those that
    /// `retire` gives up are forgotten first.
    pub(super) fn meet(
        &self,
        name: &str,
        make: impl FnOnce() -> T,
        retire: impl Fn(&T) -> bool,
    ) -> Result<Arc<T>, Crowded> {
        let mut held = self.lock();
        if let Some(known) = held.get(name) {
            return Ok(Arc::clone(known));
        }
        if !self.room.take() {
            let before = held.len();
            held.retain(|_, instance| !retire(instance));
            self.room.give_back(before.saturating_sub(held.len()));
            if !self.room.take() {
                return Err(Crowded);
            }
        }
        let made = Arc::new(make());
        held.insert(name.into(), Arc::clone(&made));
        Ok(made)
    }

    /// All instances with their names, sorted.
    pub(super) fn all(&self) -> Vec<(Box<str>, Arc<T>)> {
        let mut all: Vec<_> =
            self.lock().iter().map(|(name, instance)| (name.clone(), Arc::clone(instance))).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<T>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner).len();
        self.room.give_back(held);
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowded, Room, Table};
    use std::sync::Arc;

    #[test]
    fn tables_share_their_room_and_give_it_back() {
        let room = Room::new(2);
        let one: Table<u32> = Table::new(Arc::clone(&room));
        let other: Table<u32> = Table::new(Arc::clone(&room));
        assert_eq!(one.meet("a", || 1, |_| false).map(|held| *held), Ok(1));
        assert_eq!(one.meet("a", || 2, |_| false).map(|held| *held), Ok(1), "it is made once");
        assert!(other.meet("b", || 3, |_| false).is_ok());
        assert_eq!(one.meet("c", || 4, |_| false), Err(Crowded));
        assert_eq!(one.meet("c", || 4, |&held| held == 1).map(|held| *held), Ok(4), "`a` made room");
        assert_eq!(other.meet("d", || 5, |_| false), Err(Crowded));
        drop(one);
        assert!(other.meet("e", || 6, |_| false).is_ok());
        assert_eq!(other.all().iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["b", "e"]);
    }
}
