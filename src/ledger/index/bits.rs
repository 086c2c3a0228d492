//! Sets of places inside of one part: lists as they are kept, and bits as they are reckoned with.

use crate::ledger::index::block::Edge;
use crate::ledger::index::columns::{put, take};
use crate::ledger::index::schema::PART_BITS;

/// Places of one part.
pub(super) const PLACES: u32 = 1 << PART_BITS;

/// Bytes of a list that is kept as bits, because its numbers would take no less.
const BITS_BYTES: usize = 1 << (PART_BITS - 3);

/// A list that grows: for each place how many are left out before it.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    /// The place behind the last one.
    next: u32,
    bytes: Vec<u8>,
}

impl List {
    /// Appends a place, which is none before the last one; the last one again changes nothing.
    pub(super) fn push(&mut self, place: u32) {
        if let Some(left_out) = place.checked_sub(self.next) {
            put(u64::from(left_out), &mut self.bytes);
            self.next = place.saturating_add(1);
        }
    }

    /// Appends the list as it is kept.
    pub(super) fn keep(&self, out: &mut Vec<u8>) {
        let mut bits = Bits::default();
        let long = self.bytes.len() >= BITS_BYTES && bits.add(&self.bytes).is_some();
        put(u64::try_from(if long { BITS_BYTES } else { self.bytes.len() }).unwrap_or(0), out);
        if long {
            bits.0.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        } else {
            out.extend_from_slice(&self.bytes);
        }
    }
}

/// The list that bytes begin with, as it is kept.
pub(super) fn take_list<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take(rest)?).ok()?;
    let (list, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(list)
}

/// A set of places.
#[derive(Clone, Debug)]
pub(super) struct Bits(Vec<u64>);

impl Default for Bits {
    fn default() -> Self {
        Self(vec![0; BITS_BYTES / 8])
    }
}

impl Bits {
    /// Adds a place; `None` for one that no part has.
    pub(super) fn insert(&mut self, place: u32) -> Option<()> {
        let word = self.0.get_mut(usize::try_from(place >> 6).ok()?)?;
        *word |= 1 << (place & 63);
        Some(())
    }

    /// Adds the places of a list; `None` for bytes that are none.
    pub(super) fn add_list(&mut self, list: &[u8]) -> Option<()> {
        if list.len() < BITS_BYTES {
            return self.add(list);
        }
        for (word, bytes) in self.0.iter_mut().zip(list.as_chunks().0) {
            *word |= u64::from_le_bytes(*bytes);
        }
        (list.len() == BITS_BYTES).then_some(())
    }

    fn add(&mut self, mut numbers: &[u8]) -> Option<()> {
        let mut next = 0_u32;
        while !numbers.is_empty() {
            let place = next.checked_add(u32::try_from(take(&mut numbers)?).ok()?)?;
            self.insert(place)?;
            next = place.checked_add(1)?;
        }
        Some(())
    }

    /// Takes away what the other set has not.
    pub(super) fn keep_only(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    /// Takes away what the other set has.
    pub(super) fn take_away(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Up to `most` places from the first to before the second, newest or oldest first.
    pub(super) fn places(&self, (low, high): (u32, u32), edge: Edge, most: usize) -> Vec<u32> {
        let words = (0_u32..).step_by(64).zip(&self.0);
        let within = words.filter(|(first, _)| *first < high && first.saturating_add(64) > low);
        let mut found = Vec::new();
        let mut of_word = |(first, word): (u32, &u64)| {
            let mut left = *word;
            while left != 0 && found.len() < most {
                let bit =
                    if edge == Edge::Newest { 63 - left.leading_zeros() } else { left.trailing_zeros() };
                left &= !(1 << bit);
                let place = first + bit;
                if (low..high).contains(&place) {
                    found.push(place);
                }
            }
        };
        match edge {
            Edge::Newest => within.collect::<Vec<_>>().into_iter().rev().for_each(&mut of_word),
            Edge::Oldest => within.for_each(&mut of_word),
        }
        found
    }
}
