//! Name patterns with `*`, as the config uses them for models.

/// A pattern in which `*` stands for any run of characters, also none. Everything else is literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(Box<str>);

impl Glob {
    /// Makes a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern has no `*`, so that it names one thing.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether `name` fits, in time proportional to both lengths multiplied at worst.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Where to go on when a literal fails: after the last star, one byte further into the name.
        let mut retry: Option<(usize, usize)> = None;
        while seen < name.len() {
            if pattern.get(at) == Some(&b'*') {
                at += 1;
                retry = Some((at, seen));
            } else if pattern.get(at) == name.get(seen) {
                at += 1;
                seen += 1;
            } else if let Some((after_star, from)) = retry {
                at = after_star;
                seen = from + 1;
                retry = Some((after_star, seen));
            } else {
                return false;
            }
        }
        pattern.iter().skip(at).all(|&byte| byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use proptest::prelude::{prop_assert_eq, proptest};

    /// The definition, as slow as it is plain.
    fn oracle(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skip| oracle(rest, &name[skip..])),
            Some((byte, rest)) => name.first() == Some(byte) && oracle(rest, &name[1..]),
        }
    }

    #[test]
    fn names_of_models() {
        assert!(Glob::new("claude-*").matches("claude-sonnet-5"));
        assert!(Glob::new("*").matches(""));
        assert!(Glob::new("*-haiku-*").matches("claude-haiku-4-5"));
        assert!(!Glob::new("claude-*").matches("gpt-6"));
        assert!(!Glob::new("claude").matches("claude-sonnet-5"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(Glob::new(&pattern).matches(&name), oracle(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
