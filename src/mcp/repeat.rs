//! Calls that a client may send again under the same tool-use id: each is made once, and told twice.
//!
//! Claude Code repeats a call under its `claudecode/toolUseId` when its connection or session is lost, and
//! does not know whether the first one ran. Whoever comes second with the same id, key, server, tool and
//! arguments gets the first one's response.

use std::time::Instant;

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use xxhash_rust::xxh3::xxh3_128;

use crate::limits;

/// The calls of all cores, sharded so that none waits for another's.
#[derive(Debug, Default)]
pub struct Repeats {
    calls: DashMap<u128, State>,
}

/// How far a call has come.
#[derive(Clone, Debug)]
struct State {
    /// Its response, once there is one.
    response: Option<Bytes>,
    /// Until when it is remembered.
    until: Instant,
}

/// What a call is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is the first of its kind, and has to be settled.
    First,
    /// The same one is under way.
    Running,
    /// The same one has had this response.
    Done(Bytes),
    /// Too many are remembered: it goes its way, and need not be settled.
    Unknown,
}

/// What makes two calls the same, as one number: the key that calls, server and tool, the arguments as
/// written, and the client's id of the tool use. A caller who finds two that fall together finds its own
/// only.
pub fn key(parts: [&[u8]; 5]) -> u128 {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_le_bytes());
        joined.extend_from_slice(part);
    }
    xxh3_128(&joined)
}

impl Repeats {
    /// Says what the call of this key is to do at `now`; a first one is noted as running.
    pub fn begin(&self, key: u128, now: Instant) -> Turn {
        let full = self.calls.len() >= limits::MCP_REPEATS_MAX;
        match self.calls.entry(key) {
            Entry::Occupied(mut held) => {
                let state = held.get();
                if state.until > now {
                    return state.response.clone().map_or(Turn::Running, Turn::Done);
                }
                held.insert(State { response: None, until: now + limits::MCP_REPEAT_RUNNING });
                Turn::First
            }
            Entry::Vacant(_) if full => Turn::Unknown,
            Entry::Vacant(free) => {
                free.insert(State { response: None, until: now + limits::MCP_REPEAT_RUNNING });
                Turn::First
            }
        }
    }

    /// Remembers the response of a first call; `None`, or one over `limits::MCP_REPEAT_BYTES_MAX`, makes the
    /// next one a first again.
    pub fn settle(&self, key: u128, response: Option<Bytes>, now: Instant) {
        match response.filter(|response| response.len() <= limits::MCP_REPEAT_BYTES_MAX) {
            None => drop(self.calls.remove(&key)),
            Some(response) => {
                let until = now + limits::MCP_REPEAT_TTL;
                drop(self.calls.insert(key, State { response: Some(response), until }));
            }
        }
    }

    /// Forgets what is over; to be called about once a second.
    pub fn sweep(&self, now: Instant) {
        self.calls.retain(|_, state| state.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::{Repeats, Turn, key};
    use crate::clock;
    use crate::limits;
    use bytes::Bytes;
    use std::time::Duration;

    #[test]
    fn a_call_is_made_once_and_told_twice() {
        let (repeats, now) = (Repeats::default(), clock::now());
        let one = key([b"key", b"server", b"tool", b"{}", b"toolu_1"]);
        assert_eq!(repeats.begin(one, now), Turn::First);
        assert_eq!(repeats.begin(one, now), Turn::Running);
        repeats.settle(one, Some(Bytes::from_static(b"done")), now);
        assert_eq!(repeats.begin(one, now), Turn::Done(Bytes::from_static(b"done")));
        let later = now + limits::MCP_REPEAT_TTL + Duration::from_millis(1);
        assert_eq!(repeats.begin(one, later), Turn::First, "it is forgotten in time");
        repeats.settle(one, None, later);
        assert_eq!(repeats.begin(one, later), Turn::First, "nothing came of it");
        repeats.sweep(later + limits::MCP_REPEAT_RUNNING * 2);
        assert_eq!(repeats.begin(one, later), Turn::First);
    }

    #[test]
    fn large_responses_are_not_kept() {
        let (repeats, now) = (Repeats::default(), clock::now());
        assert_eq!(repeats.begin(1, now), Turn::First);
        repeats.settle(1, Some(vec![0; limits::MCP_REPEAT_BYTES_MAX + 1].into()), now);
        assert_eq!(repeats.begin(1, now), Turn::First);
    }

    #[test]
    fn parts_cannot_be_shifted() {
        let one = key([b"ab", b"c", b"", b"", b""]);
        assert_ne!(one, key([b"a", b"bc", b"", b"", b""]));
        assert_ne!(one, key([b"ab", b"", b"c", b"", b""]));
    }

    #[test]
    fn there_is_a_bound() {
        let (repeats, now) = (Repeats::default(), clock::now());
        for call in 0..limits::MCP_REPEATS_MAX {
            assert_eq!(repeats.begin(call as u128, now), Turn::First);
        }
        assert_eq!(repeats.begin(u128::MAX, now), Turn::Unknown);
        assert_eq!(repeats.begin(0, now), Turn::Running);
    }
}
