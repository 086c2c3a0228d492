//! Names of things as distinct types, so that two of them cannot be swapped.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Wraps a name that has been checked by whoever read it.
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// The public name of a virtual key, as given in the config or to `tollgate key create`.
    KeyName
}
name! {
    /// The name of a team.
    TeamName
}
name! {
    /// The name of a provider: a key of `providers:` in the config.
    ProviderName
}
name! {
    /// The name of an MCP server: a key of `mcp_servers:` in the config.
    ServerName
}

/// Our id of one call: 128 random bits, shown as `req_` and 32 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CallId(pub u128);

impl CallId {
    /// Length of the shown form in bytes.
    pub const SHOWN_BYTES: usize = 36;

    /// The shown form without an allocation.
    pub fn shown(self) -> [u8; Self::SHOWN_BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = *b"req_00000000000000000000000000000000";
        for (place, byte) in out.iter_mut().rev().take(32).enumerate() {
            let nibble = usize::try_from((self.0 >> (4 * place)) & 15).unwrap_or(0);
            *byte = DIGITS.get(nibble).copied().unwrap_or(b'0');
        }
        out
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req_{:032x}", self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::CallId;

    #[test]
    fn shown_and_display_agree() {
        for id in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            assert_eq!(CallId(id).shown().as_slice(), CallId(id).to_string().as_bytes());
        }
    }
}
