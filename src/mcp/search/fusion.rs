//! Two rankings made one, by the places that a tool has in each: reciprocal rank fusion (Cormack, Clarke and
//! Büttcher, 2009). Scores of different rankings cannot be compared, places can.

use crate::limits;
use crate::mcp::search::Hit;

/// How much less the second place is than the first: one over this and the place, from 1, is what each
/// ranking gives a tool. The customary 60 is for rankings of thousands; 5 to 10 did best here.
const PLACES: f32 = 10.0;

/// What a place by meaning counts against the same by words. Labelled questions lose nothing against words
/// alone by 0.5 to 0.8; questions in other words than the tools' gain more the higher it is.
const MEANING: f32 = 0.75;

/// Merges the hits by words with those by meaning, the best of each first: at most `most` tools, the best
/// first, and of equal ones the first. Of each ranking the first `limits::SEARCH_RANKED_MAX` count.
///
/// Left out are tools that fit much worse than the best both by words and by meaning: see
/// `limits::SEARCH_MARGIN` and `limits::SEARCH_MEANING_MARGIN`. So are those that have no word of the
/// question and are not near it either: see `limits::SEARCH_MEANING_LEAST`.
pub(super) fn merged(by_words: &[Hit], by_meaning: &[Hit], most: usize) -> Vec<Hit> {
    let near = |hits: &[Hit], margin: f32| hits.first().map_or(0.0, |best| best.score * margin);
    let words = near(by_words, limits::SEARCH_MARGIN);
    let meaning = near(by_meaning, limits::SEARCH_MEANING_MARGIN);
    let with_word = by_words.iter().zip(parts(1.0)).map(|(hit, part)| Part {
        hit: Hit { place: hit.place, score: part },
        fits: hit.score >= words,
        is_wordless: false,
    });
    let meant = by_meaning.iter().zip(parts(MEANING)).map(|(hit, part)| Part {
        hit: Hit { place: hit.place, score: part },
        fits: hit.score >= meaning,
        is_wordless: hit.score < limits::SEARCH_MEANING_LEAST,
    });
    let mut parts: Vec<Part> = with_word.chain(meant).collect();
    // Stable: of the two parts of a tool that by words stays first.
    parts.sort_by_key(|part| part.hit.place);
    parts.dedup_by(|meant, part| {
        let same = meant.hit.place == part.hit.place;
        if same {
            part.hit.score += meant.hit.score;
            part.fits |= meant.fits;
        }
        same
    });
    parts.retain(|part| part.fits && !part.is_wordless);
    Hit::first(parts.into_iter().map(|part| part.hit).collect(), most)
}

/// What a ranking, or both, say of a tool.
struct Part {
    hit: Hit,
    /// Whether it fits well enough by one of them.
    fits: bool,
    /// Whether it has no word of the question, and is not near it.
    is_wordless: bool,
}

/// What the places of a ranking give, the first place first.
fn parts(weight: f32) -> impl Iterator<Item = f32> {
    let places = std::iter::successors(Some(PLACES + 1.0), |place| Some(place + 1.0));
    places.take(limits::SEARCH_RANKED_MAX).map(move |place| weight / place)
}

#[cfg(test)]
mod tests {
    use super::merged;
    use crate::limits;
    use crate::mcp::search::Hit;

    fn hits(all: &[(usize, f32)]) -> Vec<Hit> {
        all.iter().map(|(place, score)| Hit { place: *place, score: *score }).collect()
    }

    fn places(words: &[(usize, f32)], meaning: &[(usize, f32)], most: usize) -> Vec<usize> {
        merged(&hits(words), &hits(meaning), most).iter().map(|hit| hit.place).collect()
    }

    #[test]
    fn places_count_and_not_scores() {
        let (words, meaning) = ([(1, 9.0), (2, 8.9), (3, 8.8)], [(3, 0.9), (1, 0.5), (4, 0.9)]);
        let both = merged(&hits(&words), &hits(&meaning), 5);
        let close =
            |hit: &Hit, place: usize, score: f32| hit.place == place && (hit.score - score).abs() < 1e-6;
        // 1 is first and second, 3 third and first, and each is better than all that only one has.
        assert!(close(&both[0], 1, 1.0 / 11.0 + 0.75 / 12.0), "{both:?}");
        assert!(close(&both[1], 3, 1.0 / 13.0 + 0.75 / 11.0), "{both:?}");
        assert!(close(&both[2], 2, 1.0 / 12.0) && close(&both[3], 4, 0.75 / 13.0), "{both:?}");
        assert_eq!(places(&words, &meaning, 2), [1, 3]);
        assert_eq!(places(&words, &[], 5), [1, 2, 3]);
        assert_eq!(places(&[], &meaning, 5), [3, 4], "1 is much further than 3");
        assert_eq!(places(&[], &[], 5), [0; 0]);
    }

    #[test]
    fn equal_ones_stay_in_the_order_of_the_index() {
        let twice = |place| [(place, 0.9)];
        let (left, right) = (places(&twice(7), &twice(7), 5), places(&twice(2), &[], 5));
        assert_eq!((left, right), (vec![7], vec![2]));
        let many: Vec<(usize, f32)> = (0..limits::SEARCH_RANKED_MAX + 50).map(|place| (place, 0.9)).collect();
        assert_eq!(places(&many, &[], 300).len(), limits::SEARCH_RANKED_MAX);
    }

    #[test]
    fn what_fits_much_worse_by_both_is_left_out() {
        let words = [(1, 10.0), (2, 5.0), (3, 4.9), (4, 4.8)];
        assert_eq!(places(&words, &[(3, 0.8), (4, 0.5)], 5), [3, 1, 2], "3 is near, 4 is neither");
        // Without a word of the question nearness has to be more than the least of it.
        assert_eq!(places(&[], &[(5, 0.29), (6, 0.28)], 5), [0; 0]);
        assert_eq!(places(&[(5, 1.0)], &[(5, 0.29), (6, 0.28)], 5), [5]);
        assert_eq!(places(&[(5, 1.0)], &[(5, 0.31), (6, 0.30)], 5), [5, 6]);
    }
}
