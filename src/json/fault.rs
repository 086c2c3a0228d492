//! What can be wrong with a JSON document, and where.

/// A fault with its place: the offset in bytes from the start of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An object or an array was asked for, something else stands there.
    #[error("another kind of value was expected at byte {at}")]
    WrongKind {
        /// Its place.
        at: usize,
    },
    /// A member of an object has to begin with a name in double quotes.
    #[error("a name in double quotes was expected at byte {at}")]
    Key {
        /// Its place.
        at: usize,
    },
    /// No colon after a name.
    #[error("a colon was expected at byte {at}")]
    Colon {
        /// Its place.
        at: usize,
    },
    /// Neither a comma nor the closing bracket after a value.
    #[error("a comma or the closing bracket was expected at byte {at}")]
    CommaOrEnd {
        /// Its place.
        at: usize,
    },
    /// No value, a misspelt literal or number.
    #[error("a value was expected at byte {at}")]
    Value {
        /// Its place.
        at: usize,
    },
    /// A byte that JSON does not allow where it stands.
    #[error("the character at byte {at} is not allowed there")]
    Byte {
        /// Its place.
        at: usize,
    },
    /// The document ends inside of a string, an object or an array.
    #[error("what opens at byte {at} is never closed")]
    Unterminated {
        /// Where it opens.
        at: usize,
    },
    /// Something stands after the end.
    #[error("there is more after the end, at byte {at}")]
    Trailing {
        /// Its place.
        at: usize,
    },
    /// Nested deeper than `limits::JSON_DEPTH_MAX`.
    #[error("it is nested too deeply at byte {at}")]
    Depth {
        /// Its place.
        at: usize,
    },
    /// Larger than what is put into a tape.
    #[error("it is longer than {at} bytes, too large to be checked whole")]
    TooLarge {
        /// The limit.
        at: usize,
    },
    /// Not UTF-8.
    #[error("the bytes at byte {at} are not UTF-8")]
    Utf8 {
        /// Its place.
        at: usize,
    },
    /// An escape that JSON does not know, or half of a surrogate pair.
    #[error("the escape at byte {at} is not valid")]
    Escape {
        /// Its place.
        at: usize,
    },
}

impl Fault {
    /// The place, in bytes from the start of the document.
    pub const fn at(self) -> usize {
        match self {
            Self::WrongKind { at }
            | Self::Key { at }
            | Self::Colon { at }
            | Self::CommaOrEnd { at }
            | Self::Value { at }
            | Self::Byte { at }
            | Self::Unterminated { at }
            | Self::Trailing { at }
            | Self::Depth { at }
            | Self::TooLarge { at }
            | Self::Utf8 { at }
            | Self::Escape { at } => at,
        }
    }
}
