//! Large texts that a session has been given before: it is told so instead, and how to get them once more.
//!
//! Whether a text is still before a model nobody can know here: conversations are cut short, and several of
//! them may share a session. So every reference has a handle. Nor can it be known whether a person lets the
//! client call what reads on. So until a session has done that once, it is referred to a text one time for
//! each time that it was given it: who calls again gets the text, and no model goes round in a circle.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::json::write_string;
use crate::limits;
use crate::mcp::lean::results::READ_MORE;

/// The hash of a text. No server can make two texts that have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// That of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

/// The call whose result a text was in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The tool, as its caller calls it; at most `limits::MCP_NAME_BYTES_MAX`.
    tool: Box<str>,
    /// Claude Code's id of the call; empty where there is none, or none that a model would be shown.
    tool_use_id: Box<str>,
}

impl Origin {
    /// A call of a tool, as its caller calls it, with Claude Code's id of the call, if it has one.
    pub fn new(tool: &str, tool_use_id: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = tool_use_id.len() <= limits::RESULT_ORIGIN_ID_BYTES_MAX && tool_use_id.bytes().all(plain);
        Self { tool: tool.into(), tool_use_id: if fits { tool_use_id.into() } else { "".into() } }
    }
}

/// When a text was given before, and in the result of which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The call.
    pub origin: Origin,
    /// How long ago that was.
    pub ago: Duration,
}

impl Earlier {
    /// What stands in the place of a text of so many bytes that is kept under this handle.
    pub(super) fn words(&self, bytes: usize, handle: &str) -> String {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            write_string(&mut out, text);
            String::from_utf8_lossy(&out).into_owned()
        };
        let Origin { tool, tool_use_id } = &self.origin;
        let use_id = if tool_use_id.is_empty() { String::new() } else { format!(" ({tool_use_id})") };
        let ago = match self.ago.as_secs() {
            seconds @ ..120 => format!("{seconds} s"),
            seconds => format!("{} min", seconds / 60),
        };
        format!(
            "[Not repeated: these {bytes} bytes are the same as in the result of {}{use_id}, {ago} ago. \
             If they are not before you any more, call {READ_MORE} with {{\"handle\":{},\"from\":0}}.]",
            quoted(tool),
            quoted(handle)
        )
    }
}

/// The large texts that one session was given last; at most `limits::RESULTS_REMEMBERED_MAX`.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Whether the tool that reads on stands in the list that the session got last.
    can_read_on: bool,
    /// Whether the session has read on.
    has_read_on: bool,
    /// The one that was given last at the end.
    given: VecDeque<Given>,
}

#[derive(Clone, Debug)]
struct Given {
    digest: Digest,
    origin: Origin,
    at: Instant,
    /// Under which handle it is kept, if it was referred to since.
    referred: Option<String>,
}

impl Texts {
    /// The session gets a list of tools, with the one that reads on or without it.
    pub const fn listed(&mut self, can_read_on: bool) {
        self.can_read_on = can_read_on;
    }

    /// The session has read on, in whatever it was.
    pub const fn read_on(&mut self) {
        self.has_read_on = true;
    }

    /// When the session was given a text before, where it can be referred to that. It cannot where the same
    /// call is told its result once more.
    pub fn earlier(&self, digest: &Digest, origin: &Origin, now: Instant) -> Option<Earlier> {
        let given = self.given.iter().find(|given| given.digest == *digest)?;
        let same = !origin.tool_use_id.is_empty() && given.origin.tool_use_id == origin.tool_use_id;
        let fits = self.can_read_on && (self.has_read_on || given.referred.is_none()) && !same;
        let ago = now.saturating_duration_since(given.at);
        fits.then(|| Earlier { origin: given.origin.clone(), ago })
    }

    /// The session is given a text.
    pub fn give(&mut self, digest: Digest, origin: &Origin, now: Instant) {
        self.given.retain(|given| given.digest != digest);
        if self.given.len() >= limits::RESULTS_REMEMBERED_MAX {
            self.given.pop_front();
        }
        self.given.push_back(Given { digest, origin: origin.clone(), at: now, referred: None });
    }

    /// The handle under which a text was kept when the session was last referred to it.
    pub fn handle(&self, digest: &Digest) -> Option<&str> {
        self.given.iter().find(|given| given.digest == *digest)?.referred.as_deref()
    }

    /// The session is referred to a text that it was given, which is kept under this handle.
    pub fn refer(&mut self, digest: &Digest, handle: &str) {
        if let Some(given) = self.given.iter_mut().find(|given| given.digest == *digest) {
            given.referred = Some(handle.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Digest, Origin, Texts};
    use crate::clock;
    use crate::limits;

    fn session(now: Instant) -> (Texts, Digest) {
        let (mut texts, digest) = (Texts::default(), Digest::of("long"));
        texts.listed(true);
        texts.give(digest, &Origin::new("first", "toolu_1"), now);
        (texts, digest)
    }

    #[test]
    fn a_session_is_told_where_it_was_given_a_text() {
        let now = clock::now();
        let (texts, digest) = session(now);
        let later = now + Duration::from_secs(40);
        let earlier = texts.earlier(&digest, &Origin::new("second", "toolu_2"), later).unwrap();
        assert_eq!((&earlier.origin, earlier.ago.as_secs()), (&Origin::new("first", "toolu_1"), 40));
        let words = earlier.words(9000, "h1");
        assert_eq!(
            words,
            "[Not repeated: these 9000 bytes are the same as in the result of \"first\" (toolu_1), 40 s ago. \
             If they are not before you any more, call read_more with {\"handle\":\"h1\",\"from\":0}.]"
        );
        assert!(texts.earlier(&Digest::of("other"), &Origin::default(), later).is_none());
        let hours = texts.earlier(&digest, &Origin::default(), now + Duration::from_secs(7205)).unwrap();
        assert!(hours.words(1, "h").contains(", 120 min ago."));
    }

    #[test]
    fn a_use_that_is_told_once_more_is_told_whole() {
        let now = clock::now();
        let (mut texts, digest) = session(now);
        assert!(texts.earlier(&digest, &Origin::new("first", "toolu_1"), now).is_none());
        texts.give(digest, &Origin::new("first", ""), now);
        assert!(
            texts.earlier(&digest, &Origin::new("first", ""), now).is_some(),
            "nobody says it is the same"
        );
    }

    #[test]
    fn who_cannot_read_on_is_referred_to_nothing() {
        let now = clock::now();
        let (mut texts, digest) = session(now);
        texts.listed(false);
        assert!(texts.earlier(&digest, &Origin::default(), now).is_none());
    }

    #[test]
    fn who_calls_again_without_reading_on_gets_the_text() {
        let now = clock::now();
        let (mut texts, digest) = session(now);
        let call = Origin::new("first", "toolu_9");
        let is_referred = |texts: &Texts| texts.earlier(&digest, &call, now).is_some();
        assert!(is_referred(&texts));
        texts.refer(&digest, "h1");
        assert!(!is_referred(&texts), "perhaps it cannot read on");
        texts.give(digest, &Origin::new("first", "toolu_3"), now);
        assert!(is_referred(&texts));
        texts.refer(&digest, "h1");
        texts.read_on();
        assert!(is_referred(&texts), "it can");
        assert_eq!(texts.handle(&digest), Some("h1"));
    }

    #[test]
    fn so_many_texts_are_remembered_and_no_more() {
        let now = clock::now();
        let (mut texts, first) = session(now);
        let more = limits::RESULTS_REMEMBERED_MAX - 1;
        (0..more).for_each(|number| texts.give(Digest::of(&number.to_string()), &Origin::default(), now));
        assert!(texts.earlier(&first, &Origin::default(), now).is_some());
        texts.give(Digest::of("one too many"), &Origin::default(), now);
        assert!(texts.earlier(&first, &Origin::default(), now).is_none());
        assert_eq!(texts.given.len(), limits::RESULTS_REMEMBERED_MAX);
    }

    #[test]
    fn an_id_that_is_none_is_not_told() {
        let long = "x".repeat(limits::RESULT_ORIGIN_ID_BYTES_MAX + 1);
        for id in ["toolu 1", "]\n", "ż", &long] {
            assert_eq!(Origin::new("t", id), Origin::new("t", ""), "{id}");
        }
    }
}
