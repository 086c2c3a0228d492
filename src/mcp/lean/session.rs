//! What the tools of a catalog cost in one session of a client, its prompt cache priced in.
//!
//! A model and no measurement: sums of tokens that were counted, by the assumptions that stand here. What the
//! model writes, wrong picks and repeated tries are not in it.

use crate::mcp::definition::ItemKind;
use crate::mcp::doors::{self, Door};
use crate::mcp::lean::cost::Cost;
use crate::mcp::store::Store;

/// Calls of the model in a session, searches not counted.
pub const CALLS: usize = 20;

/// Tools that are needed, each searched for once where it is in no list.
pub const NEEDED: usize = 3;

/// What input costs that is written into the cache, in hundredths of fresh input.
pub const WRITE: usize = 125;

/// What input costs that is read from it, in hundredths of fresh input.
pub const READ: usize = 10;

/// Calls of the model that read again what a search has brought: tools are needed in the 4th, 8th and 12th.
pub const LATER: usize = 12;

/// Tokens of the prompt that the additional call reads which a search is.
pub const PROMPT: usize = 12_000;

/// Tokens of a search besides what it finds: its call, and the frame of its result.
pub const SEARCH: usize = 50;

/// Tokens of the tool by which Claude Code itself searches for those that it has not loaded.
pub const CLIENT_SEARCH: usize = 350;

/// Tools that Claude Code loads by one such search.
pub const CLIENT_FOUND: usize = 5;

/// Tokens of a function's signature for a script beyond those of a signature.
pub const STUB: usize = 6;

/// Tokens by which a line of what was found says what it is called by.
pub const DOOR: usize = 5;

/// Tools that a search of ours finds, in tenths: what labelled questions find by the margin rule among 527
/// tools, and among 2,329.
pub const FOUND_OF_FEW: usize = 34;
/// See [`FOUND_OF_FEW`].
pub const FOUND_OF_MANY: usize = 38;

/// Tools of a catalog up to which it has few.
pub const FEW: usize = 1_000;

/// What is offered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catalog {
    /// Tools.
    pub tools: usize,
    /// Tokens of all their definitions.
    pub cost: Cost,
    /// Tokens of all their names as a client lists them that loads definitions when they are wanted.
    pub names: usize,
    /// Tokens of the tools by which others are found, and those that call what was found.
    pub doors: Doors,
}

/// Tokens of tools of ours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doors {
    /// The one that finds others and adds them to a list.
    pub find: usize,
    /// The one that only finds others, and those that call what was found.
    pub search: usize,
    /// The one that finds functions for scripts, and the one that runs these.
    pub code: usize,
    /// The one that runs scripts.
    pub run: usize,
}

impl Doors {
    /// Those for the tools of these servers.
    pub fn of<'s>(servers: impl IntoIterator<Item = &'s str>) -> Self {
        let store = Store::new();
        // They are ours, and all of them are tools.
        let tokens = |text: &str| {
            let tool = store.intern(ItemKind::Tool, text.as_bytes()).ok();
            tool.map_or(0, |tool| Cost::of(tool.key(), None, &tool).raw)
        };
        let servers: Vec<&str> = servers.into_iter().collect();
        let sum = |all: Vec<(Door, String)>| all.iter().map(|(_, text)| tokens(text)).sum();
        Self {
            find: tokens(&doors::growing(servers.iter().copied())),
            search: sum(doors::search(servers.iter().copied())),
            code: sum(doors::code(servers)),
            run: tokens(&doors::run().1),
        }
    }
}

/// How tools come to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All definitions in every request, as servers wrote them.
    AllRaw,
    /// All, in `native`.
    AllNative,
    /// All, in `lean`.
    AllLean,
    /// Claude Code lists names and loads what its own search finds.
    Deferred,
    /// The same where the model knows the name, and loads that one.
    DeferredByName,
    /// The same by search, of definitions in `native`.
    DeferredNative,
    /// What is found is added to the list.
    Jit,
    /// What is found is called by doors.
    Search,
    /// What is found is called by scripts.
    Code,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AllRaw,
        Self::AllNative,
        Self::AllLean,
        Self::Deferred,
        Self::DeferredByName,
        Self::DeferredNative,
        Self::Jit,
        Self::Search,
        Self::Code,
    ];

    /// For people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllRaw => "all up front",
            Self::AllNative => "all up front, native",
            Self::AllLean => "all up front, lean",
            Self::Deferred => "Claude Code defers",
            Self::DeferredByName => "Claude Code defers, by name",
            Self::DeferredNative => "Claude Code defers, native",
            Self::Jit => "jit",
            Self::Search => "search",
            Self::Code => "code",
        }
    }
}

/// What one way costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The way.
    pub way: Way,
    /// Tokens in the prompt from the start.
    pub start: usize,
    /// Tokens that one search adds to the prompt; nothing where nothing is searched for.
    pub found: Option<usize>,
    /// The session, in tokens of fresh input.
    pub session: usize,
}

impl Estimate {
    /// That of one way for a catalog.
    pub fn of(way: Way, catalog: &Catalog) -> Self {
        let Catalog { tools, cost, names, doors } = *catalog;
        let tools = tools.max(1);
        let deferred = names + CLIENT_SEARCH;
        // What a search of the client brings: references by name, and definitions.
        let loaded = |tokens: usize, count: usize| SEARCH + (tokens + names) * count / tools;
        let tenths = found_tenths(tools);
        let ours = |tokens: usize| SEARCH + tokens * tenths / tools / 10;
        let (start, found) = match way {
            Way::AllRaw => (cost.raw, None),
            Way::AllNative => (cost.native, None),
            Way::AllLean => (cost.lean, None),
            Way::Deferred => (deferred, Some(loaded(cost.raw, CLIENT_FOUND))),
            Way::DeferredByName => (deferred, Some(loaded(cost.raw, 1))),
            Way::DeferredNative => (deferred, Some(loaded(cost.native, CLIENT_FOUND))),
            // The result names what was added, and the definitions join the list.
            Way::Jit => (doors.find, Some(ours(cost.native + names))),
            Way::Search => (doors.search, Some(ours(cost.signature + DOOR * tools))),
            Way::Code => (doors.code, Some(ours(cost.signature + STUB * tools))),
        };
        Self { way, start, found, session: session(start, found) }
    }

    /// Against another, in thousandths, rounded up.
    pub fn permille_of(&self, other: &Self) -> usize {
        (self.session * 1000).div_ceil(other.session.max(1))
    }
}

/// Tools that a search of ours finds among so many, in tenths.
pub const fn found_tenths(tools: usize) -> usize {
    if tools <= FEW { FOUND_OF_FEW } else { FOUND_OF_MANY }
}

/// What stands in the prompt from the start is written once and read by all other calls; a search is one more
/// call, and what it brings is written once and read by those that follow.
const fn session(start: usize, found: Option<usize>) -> usize {
    let from_start = start * (WRITE + (CALLS - 1) * READ);
    let searches = match found {
        Some(found) => NEEDED * (PROMPT * READ + found * (WRITE + LATER * READ)),
        None => 0,
    };
    (from_start + searches) / 100
}

#[cfg(test)]
mod tests {
    use super::{Catalog, Doors, Estimate, Way};
    use crate::mcp::lean::cost::Cost;

    fn catalog() -> Catalog {
        let cost = Cost { raw: 139_000, native: 116_000, lean: 76_000, signature: 25_000, name: 2_000 };
        Catalog {
            tools: 500,
            cost,
            names: 6_500,
            doors: Doors { find: 150, search: 390, code: 330, run: 130 },
        }
    }

    #[test]
    fn what_is_always_there_is_written_once_and_read_by_all_other_calls() {
        let all = Estimate::of(Way::AllRaw, &catalog());
        assert_eq!((all.start, all.found, all.session), (139_000, None, 139_000 * 315 / 100));
        assert_eq!(all.permille_of(&all), 1000);
    }

    #[test]
    fn a_search_is_one_more_call_and_what_it_brings_is_read_by_those_that_follow() {
        let defers = Estimate::of(Way::Deferred, &catalog());
        let found = 50 + (139_000 + 6_500) * 5 / 500;
        assert_eq!((defers.start, defers.found), (6_850, Some(found)));
        assert_eq!(defers.session, (6_850 * 315 + 3 * (120_000 + found * 245)) / 100);
        let search = Estimate::of(Way::Search, &catalog());
        assert_eq!((search.start, search.found), (390, Some(50 + 27_500 * 34 / 5_000)));
        assert_eq!(search.session, (390 * 315 + 3 * (120_000 + 237 * 245)) / 100);
    }

    #[test]
    fn a_thousand_tools_are_few_and_more_are_many() {
        let found = |tools| Estimate::of(Way::Search, &Catalog { tools, ..catalog() }).found;
        assert_eq!(found(1_000), Some(50 + 30_000 * 34 / 10_000));
        assert_eq!(found(1_250), Some(50 + 31_250 * 38 / 12_500));
        for way in Way::ALL {
            let nothing = Estimate::of(way, &Catalog::default());
            assert!(nothing.session < 10_000, "{nothing:?}");
        }
    }

    #[test]
    fn doors_are_counted() {
        let doors = Doors::of(["github", "jira"]);
        assert!(doors.find > 50 && doors.find < doors.search && doors.search < 400, "{doors:?}");
    }
}
