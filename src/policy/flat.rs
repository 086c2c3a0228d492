//! A table whose entries stand beside their keys: one look at memory finds what is there.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// How many parts a table has, as a power of two. Each grows by itself, so that none stops its thread for
/// long when it makes room.
const PARTS_BITS: u32 = 6;

/// The first places of a part, as a power of two.
const PLACES_BITS: u32 = 3;

/// Entries by a number that need not be theirs alone. Nothing is ever taken out.
#[derive(Debug)]
pub(super) struct Flat<V> {
    parts: Vec<Part<V>>,
    /// Odd, and drawn anew for each table: nobody outside knows which numbers meet.
    factor: u64,
    len: usize,
}

/// Places, at most half of them taken.
#[derive(Debug)]
struct Part<V> {
    places: Vec<Option<(u64, V)>>,
    /// How many places there are, as a power of two.
    bits: u32,
    taken: usize,
}

impl<V> Default for Flat<V> {
    fn default() -> Self {
        Self { parts: Vec::new(), factor: RandomState::new().hash_one(0_u8) | 1, len: 0 }
    }
}

impl<V> Flat<V> {
    /// How many entries there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The entry of this number that is the one.
    pub(super) fn find(&self, key: u64, is: impl Fn(&V) -> bool) -> Option<&V> {
        let (part, spread) = self.spread(key);
        self.parts.get(part)?.find((key, spread), is)
    }

    /// Adds an entry; one of the same number stays, and is asked first whether it is the one.
    pub(super) fn add(&mut self, key: u64, value: V) {
        if self.parts.is_empty() {
            self.parts.resize_with(1 << PARTS_BITS, || Part { places: Vec::new(), bits: 0, taken: 0 });
        }
        let (factor, (part, spread)) = (self.factor, self.spread(key));
        let Some(part) = self.parts.get_mut(part) else { return };
        if (part.taken + 1) * 2 > part.places.len() {
            part.grow(|key| spread_of(factor, key).1);
        }
        part.put(spread, (key, value));
        self.len += 1;
    }

    fn spread(&self, key: u64) -> (usize, u64) {
        spread_of(self.factor, key)
    }
}

/// The part of a number, and a number whose first bits are its place there.
fn spread_of(factor: u64, key: u64) -> (usize, u64) {
    // The first bits of the product depend on all of both.
    let spread = key.wrapping_mul(factor);
    (usize::try_from(spread >> (u64::BITS - PARTS_BITS)).unwrap_or_default(), spread << PARTS_BITS)
}

impl<V> Part<V> {
    fn find(&self, (key, spread): (u64, u64), is: impl Fn(&V) -> bool) -> Option<&V> {
        let mut place = self.first(spread);
        // It ends: half of all places are free.
        while let Some((known, value)) = self.places.get(place)? {
            if *known == key && is(value) {
                return Some(value);
            }
            place = self.next(place);
        }
        None
    }

    fn put(&mut self, spread: u64, entry: (u64, V)) {
        let mut place = self.first(spread);
        while self.places.get(place).is_some_and(Option::is_some) {
            place = self.next(place);
        }
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(entry);
            self.taken += 1;
        }
    }

    /// Makes twice the room.
    fn grow(&mut self, spread: impl Fn(u64) -> u64) {
        self.bits = if self.places.is_empty() { PLACES_BITS } else { self.bits + 1 };
        let mut places = Vec::new();
        places.resize_with(1 << self.bits, || None);
        let old = std::mem::replace(&mut self.places, places);
        self.taken = 0;
        for (key, value) in old.into_iter().flatten() {
            self.put(spread(key), (key, value));
        }
    }

    fn first(&self, spread: u64) -> usize {
        let shift = u64::BITS - self.bits.max(1);
        usize::try_from(spread >> shift).unwrap_or_default()
    }

    const fn next(&self, place: usize) -> usize {
        (place + 1) & self.places.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_and_nothing_else() {
        let mut flat = Flat::default();
        assert!(flat.find(0, |_| true).is_none());
        for key in 0..10_000_u64 {
            flat.add(key * 64, key);
        }
        assert_eq!(flat.len(), 10_000);
        for key in 0..10_000_u64 {
            assert_eq!(flat.find(key * 64, |_| true), Some(&key));
            assert!(flat.find(key * 64 + 1, |_| true).is_none());
        }
    }

    #[test]
    fn entries_of_one_number_are_told_apart() {
        let mut flat = Flat::default();
        for value in 0..100 {
            flat.add(7, value);
        }
        for value in 0..100 {
            assert_eq!(flat.find(7, |found| *found == value), Some(&value));
        }
        assert!(flat.find(7, |found| *found == 100).is_none());
    }
}
