//! `tools: auto`: how definitions are written for a client, by what it is and how many tools there are.
//!
//! This is the one place where that is decided. What a view depends on is the client's [`Suit`], so that all
//! clients of one suit share their views.

use crate::call::{ToolChoice, ToolMode, Written};
use crate::json;
use crate::limits;

/// A client, by its own word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// Claude Code, of this version.
    ClaudeCode(Release),
    /// Another, or one that says nothing.
    #[default]
    Other,
}

/// A version: major, minor, patch.
pub type Release = (u32, u32, u32);

/// The first version of Claude Code that was seen to load definitions when they are wanted behind a gateway,
/// and to list anew at once when it is told that a list has changed; some before it pass over that.
const DEFERS_SINCE: Release = (2, 1, 330);

/// What is the same for clients that want the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suit {
    /// It shows its model names, loads definitions when they are wanted, and lists anew when it is told to.
    Defers,
    /// It sends all definitions with each request.
    #[default]
    Whole,
}

impl Suit {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Defers, Self::Whole];

    /// Who they are, for people.
    pub const fn who(self) -> &'static str {
        match self {
            Self::Defers => "Claude Code 2.1.330 and later",
            Self::Whole => "other clients",
        }
    }

    /// The mode for a catalog of this size.
    pub const fn mode(self, size: Size) -> ToolMode {
        match self {
            _ if size.is_small() => ToolMode::Native,
            Self::Defers => ToolMode::Jit,
            Self::Whole => ToolMode::Search,
        }
    }
}

/// How large a catalog is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Tools.
    pub tools: usize,
    /// Bytes of their definitions.
    pub bytes: usize,
}

impl Size {
    /// Whether sending all of it costs less than finding what is wanted.
    const fn is_small(self) -> bool {
        self.tools <= limits::AUTO_TOOLS_MAX && self.bytes <= limits::AUTO_BYTES_MAX
    }
}

/// The names under which Claude Code goes, in `User-Agent` and in `clientInfo`.
const CLAUDE_CODE: [&[u8]; 2] = [b"claude-code", b"claude-cli"];

impl Client {
    /// Reads a `User-Agent`, such as `claude-code/2.1.330 (cli)`.
    pub fn of_agent(agent: &[u8]) -> Self {
        let Some(slash) = agent.iter().position(|byte| *byte == b'/') else { return Self::Other };
        let (name, rest) = (agent.get(..slash), agent.get(slash + 1..));
        Self::named(name.unwrap_or_default(), rest.unwrap_or_default())
    }

    /// The client of a `User-Agent` that has been read, or, where that says nothing, of a `clientInfo`.
    #[must_use]
    pub fn or_of_info(self, info: Option<&[u8]>) -> Self {
        let Some(info) = info.filter(|_| self == Self::Other) else { return self };
        let (mut name, mut version): (&[u8], &[u8]) = (b"", b"");
        let read = json::fields(info, |field| {
            match field.key.raw {
                b"name" => name = field.value.inner(info).unwrap_or_default(),
                b"version" => version = field.value.inner(info).unwrap_or_default(),
                _ => {}
            }
            Ok::<_, json::Fault>(())
        });
        if read.is_err() { Self::Other } else { Self::named(name, version) }
    }

    fn named(name: &[u8], version: &[u8]) -> Self {
        match release(version).filter(|_| CLAUDE_CODE.contains(&name)) {
            Some(release) => Self::ClaudeCode(release),
            None => Self::Other,
        }
    }

    /// What it wants.
    pub fn suit(self) -> Suit {
        match self {
            Self::ClaudeCode(release) if release >= DEFERS_SINCE => Suit::Defers,
            Self::ClaudeCode(_) | Self::Other => Suit::Whole,
        }
    }
}

/// Three numbers at the beginning of a text; what follows them is of no interest.
fn release(text: &[u8]) -> Option<Release> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(text.len());
    let text = str::from_utf8(text.get(..end)?).ok()?;
    let mut numbers = text.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    Some((next()?, next()?, next()?))
}

/// Whether the client of this `clientInfo` is known to list its tools anew at once when it is told that they
/// have changed. Of all others nothing is known.
pub fn lists_anew(info: &[u8]) -> bool {
    Client::default().or_of_info(Some(info)).suit() == Suit::Defers
}

/// What a view depends on beside rules: nothing where the config leaves nothing open.
pub fn suit(choice: ToolChoice, client: Client) -> Option<Suit> {
    (choice == ToolChoice::Auto).then(|| client.suit())
}

/// The mode of a view: what the config says, or what suits.
pub fn mode(choice: ToolChoice, suit: Option<Suit>, size: impl FnOnce() -> Size) -> ToolMode {
    match choice {
        ToolChoice::Set(mode) => mode,
        ToolChoice::Auto => suit.unwrap_or_default().mode(size()),
    }
}

/// What is to be said of a list whose view is of this mode, by what the config says of each of its servers.
/// Single tools have words of their own; they are not in it.
pub fn written(
    choice: ToolChoice,
    mode: ToolMode,
    servers: impl IntoIterator<Item = Option<ToolMode>>,
) -> Written {
    let open = Written { mode: Some(mode), chosen: choice == ToolChoice::Auto };
    let mut servers = servers.into_iter();
    let Some(Some(first)) = servers.next() else { return open };
    let mut set = Written { mode: Some(first), chosen: false };
    for server in servers {
        match server {
            None => return open,
            Some(other) if other != first => set.mode = None,
            Some(_) => {}
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::{Client, Size, Suit, lists_anew, mode, suit, written};
    use crate::call::{ToolChoice, ToolMode};
    use crate::limits;

    const SMALL: Size = Size { tools: limits::AUTO_TOOLS_MAX, bytes: limits::AUTO_BYTES_MAX };
    const MANY: Size = Size { tools: limits::AUTO_TOOLS_MAX + 1, bytes: 1000 };
    const LARGE: Size = Size { tools: 3, bytes: limits::AUTO_BYTES_MAX + 1 };

    #[test]
    fn what_suits_whom() {
        let (native, search, jit) = (ToolMode::Native, ToolMode::Search, ToolMode::Jit);
        // Agent, clientInfo, and the mode for a small and for a large catalog.
        let cases = [
            ("claude-code/2.1.330 (cli)", "", native, jit),
            ("claude-code/2.1.331", "", native, jit),
            ("claude-cli/3.0.0 (external, cli)", "", native, jit),
            ("claude-code/2.1.329 (cli)", "", native, search),
            ("claude-code/2.0.400", "", native, search),
            ("claude-code/new", "", native, search),
            ("claude-code", "", native, search),
            ("not-claude-code/9.9.9", "", native, search),
            ("python-httpx/0.28.1", "", native, search),
            ("", "", native, search),
            ("", r#"{"name":"claude-code","version":"2.1.330"}"#, native, jit),
            ("node", r#"{"version":"2.2.0-beta.1","name":"claude-code"}"#, native, jit),
            ("", r#"{"name":"claude-code"}"#, native, search),
            ("", r#"{"name":"cursor","version":"9.9.9"}"#, native, search),
            ("", r#"{"name":"claude-code","version":"2.1.330""#, native, search),
            ("", "[]", native, search),
            // What the connection says goes before what the message says.
            ("claude-code/1.0.0", r#"{"name":"claude-code","version":"2.1.330"}"#, native, search),
        ];
        for (agent, info, small, large) in cases {
            let info = Some(info.as_bytes()).filter(|info| !info.is_empty());
            let client = Client::of_agent(agent.as_bytes()).or_of_info(info);
            let chosen = |size| mode(ToolChoice::Auto, suit(ToolChoice::Auto, client), || size);
            assert_eq!(
                (chosen(SMALL), chosen(MANY), chosen(LARGE)),
                (small, large, large),
                "{agent} {info:?}"
            );
        }
    }

    #[test]
    fn who_lists_anew() {
        let cases = [
            (r#"{"name":"claude-code","version":"2.1.330"}"#, true),
            (r#"{"version":"2.1.330 (Claude Code)","title":"x","name":"claude-code"}"#, true),
            (r#"{"name":"claude-code","version":"2.10.0"}"#, true),
            (r#"{"name":"claude-code","version":"3.0.0-beta.1"}"#, true),
            (r#"{"name":"claude-code","version":"2.1.329"}"#, false),
            (r#"{"name":"claude-code","version":"2.1"}"#, false),
            (r#"{"name":"claude-code","version":"99999999999.1.1"}"#, false),
            (r#"{"name":"Claude Code","version":"2.1.330"}"#, false),
            (r#"{"name":["claude-code"],"version":"2.1.330"}"#, false),
            ("{}", false),
            ("[", false),
        ];
        for (info, expected) in cases {
            assert_eq!(lists_anew(info.as_bytes()), expected, "{info}");
        }
    }

    #[test]
    fn a_list_is_said_to_be_written_as_those_are_that_nothing_more_is_said_of() {
        let (auto, set) = (ToolChoice::Auto, ToolChoice::Set(ToolMode::Lean));
        let (raw, code) = (Some(ToolMode::Raw), Some(ToolMode::Code));
        for (choice, servers, words) in [
            (auto, &[][..], ("jit", "auto")),
            (auto, &[None, None], ("jit", "auto")),
            (auto, &[raw, None], ("jit", "auto")),
            (auto, &[None, raw], ("jit", "auto")),
            (set, &[None], ("jit", "config")),
            (auto, &[raw], ("raw", "config")),
            (auto, &[raw, raw], ("raw", "config")),
            (auto, &[raw, code, raw], ("mixed", "config")),
            (auto, &[raw, code, None], ("jit", "auto")),
        ] {
            let found = written(choice, ToolMode::Jit, servers.iter().copied());
            assert_eq!((found.mode(), found.by()), words, "{choice:?} {servers:?}");
        }
        for mode in ToolMode::ALL {
            assert_eq!(ToolMode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(ToolMode::from_name("mixed"), None);
    }

    #[test]
    fn what_the_config_says_holds_for_everybody() {
        let client = Client::ClaudeCode((9, 0, 0));
        for set in ToolMode::ALL {
            let choice = ToolChoice::Set(set);
            let mut asked = false;
            let size = || {
                asked = true;
                LARGE
            };
            assert_eq!(suit(choice, client), None, "nothing else shares a view");
            assert_eq!(mode(choice, None, size), set);
            assert!(!asked, "nobody counts what does not matter");
        }
        assert_eq!(Suit::default().mode(LARGE), ToolMode::Search);
    }
}
