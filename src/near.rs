//! The word that somebody may have meant who has misspelt one.

use crate::limits;

/// The known word nearest to `word`, if it is near enough to be meant: two letters off at most, without
/// regard to case and to which of `-` and `_` is written.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let letters = |word: &str| -> Vec<char> {
        word.chars().take(limits::NAME_CHARS_MAX).map(|c| if c == '-' { '_' } else { c }).collect()
    };
    let word = letters(word);
    let near = known.into_iter().map(|known| (distance(&word, &letters(known)), known)).min()?;
    (near.0 <= 2 && near.0 < word.len()).then_some(near.1)
}

/// Levenshtein distance without regard to case.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b) {
            let cost = usize::from(!from.eq_ignore_ascii_case(to));
            let best = (diagonal + cost).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn what_is_near_enough_is_meant() {
        let known = ["payments", "platform", "data-lake", "ab"];
        for (word, wanted) in [
            ("payment", Some("payments")),
            ("Platfrom", Some("platform")),
            ("data_lake", Some("data-lake")),
            ("date-like", Some("data-lake")),
            ("finance", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
        assert_eq!(nearest("any", []), None);
    }
}
