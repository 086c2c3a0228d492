//! How many tokens a text has by the one vocabulary that is public and close: `o200k_base`.
//!
//! No vocabulary of today's Claude models is public, so shares carry over and absolute numbers do not; only a
//! provider's own count is exact.

/// Tokens of a text. Time in proportion to its length, whatever is in it; the first call reads the vocabulary
/// from the program, which takes some milliseconds.
pub fn count(text: &str) -> usize {
    bpe_openai::o200k_base().count(text)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn words_have_the_known_counts() {
        // Known from the vocabulary's own makers: "hello world" is [24912, 2375].
        for (text, tokens) in [("", 0), ("hello world", 2), ("{\"type\":\"string\"}", 5)] {
            assert_eq!(count(text), tokens, "{text}");
        }
    }
}
