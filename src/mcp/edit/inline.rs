//! A list whose first items stand in itself: most messages get a few short edits, and a list on the heap for
//! them costs more than to find their places.

use std::ops::Range;

/// A list that goes to the heap when it has more than `N` items.
#[derive(Clone, Debug)]
pub(super) struct Inline<T, const N: usize> {
    /// The items, while `many` is empty.
    few: [T; N],
    /// Of `few`; <= N.
    len: usize,
    /// All items, once they were more than `N`.
    many: Vec<T>,
}

impl<T: Copy + Default, const N: usize> Inline<T, N> {
    pub(super) fn new() -> Self {
        Self { few: [T::default(); N], len: 0, many: Vec::new() }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        if self.many.is_empty() { self.few.get(..self.len).unwrap_or_default() } else { &self.many }
    }

    /// Puts items at the end, and says where.
    pub(super) fn extend(&mut self, items: &[T]) -> Range<usize> {
        let start = self.as_slice().len();
        let end = start + items.len();
        if self.many.is_empty()
            && let Some(room) = self.few.get_mut(start..end)
        {
            room.copy_from_slice(items);
            self.len = end;
        } else {
            self.spill(items.len()).extend_from_slice(items);
        }
        start..end
    }

    /// Puts an item before the one at `place`, or at the end where there is none.
    pub(super) fn insert(&mut self, place: usize, item: T) {
        let end = self.extend(&[item]).end;
        let all = if self.many.is_empty() { self.few.get_mut(..end) } else { self.many.get_mut(..) };
        if let Some([first, behind @ ..]) = all.and_then(|all| all.get_mut(place..)) {
            let mut moved = std::mem::replace(first, item);
            for place in behind {
                std::mem::swap(place, &mut moved);
            }
        }
    }

    fn spill(&mut self, more: usize) -> &mut Vec<T> {
        if self.many.is_empty() {
            self.many.reserve(self.len + more);
            self.many.extend_from_slice(self.few.get(..self.len).unwrap_or_default());
        }
        &mut self.many
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use crate::mcp::edit::inline::Inline;

    proptest! {
        #[test]
        fn it_is_as_a_plain_list(steps in prop::collection::vec((any::<Index>(), 0_u8..9), 0..12)) {
            let (mut list, mut plain) = (Inline::<u8, 4>::new(), Vec::new());
            for (place, item) in steps {
                if item < 3 {
                    let items = vec![item; item.into()];
                    prop_assert_eq!(list.extend(&items), plain.len()..plain.len() + items.len());
                    plain.extend(items);
                } else {
                    let place = place.index(plain.len() + 1);
                    list.insert(place, item);
                    plain.insert(place, item);
                }
                prop_assert_eq!(list.as_slice(), plain.as_slice());
            }
        }
    }
}
