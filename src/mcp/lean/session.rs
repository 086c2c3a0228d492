//! What the tools of a catalog cost in a session of a client, its prompt cache priced in.
//!
//! A model and no measurement: sums of tokens that were counted, by the assumptions that stand here. It is
//! the same for a session that nobody has had yet ([`Session::USUAL`]) and for those that the ledger knows.
//! What the model writes, wrong picks and repeated tries are not in it. Of a session in which tools were
//! searched for, these searches stay among its requests.

use crate::call::ToolMode;
use crate::mcp::definition::ItemKind;
use crate::mcp::doors::{self, Door};
use crate::mcp::lean::cost::Cost;
use crate::mcp::store::Store;

/// Calls of the model in a usual session, searches not counted.
pub const CALLS: usize = 20;

/// Tools that it needs, each searched for once where it is in no list.
pub const NEEDED: usize = 3;

/// What input costs that is written into the cache, in hundredths of fresh input.
pub const WRITE: usize = 125;

/// What input costs that is read from it, in hundredths of fresh input.
pub const READ: usize = 10;

/// Calls of the model that read again what a search has brought: of [`CALLS`], tools are needed in the 4th,
/// 8th and 12th. Of a session with more or fewer calls it is the same share.
pub const LATER: usize = 12;

/// Tokens of the prompt that the additional call reads which a search is, in a usual session.
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

/// A session, as far as tools matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Calls that a model has answered.
    pub requests: u64,
    /// Tokens of a prompt, on average.
    pub prompt_tokens: u64,
    /// Different tools that it called.
    pub tools: u64,
}

impl Session {
    /// One of [`CALLS`] calls that needs [`NEEDED`] tools.
    pub const USUAL: Self =
        Self { requests: CALLS as u64, prompt_tokens: PROMPT as u64, tools: NEEDED as u64 };
}

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
    /// The same by search, of definitions in `lean`.
    DeferredLean,
    /// What is found is added to the list.
    Jit,
    /// What is found is called by doors.
    Search,
    /// What is found is called by scripts.
    Code,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::AllRaw,
        Self::AllNative,
        Self::AllLean,
        Self::Deferred,
        Self::DeferredByName,
        Self::DeferredNative,
        Self::DeferredLean,
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
            Self::DeferredLean => "Claude Code defers, lean",
            Self::Jit => "jit",
            Self::Search => "search",
            Self::Code => "code",
        }
    }

    /// One word for it, for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AllRaw => "raw",
            Self::AllNative => "native",
            Self::AllLean => "lean",
            Self::Deferred => "deferred",
            Self::DeferredByName => "deferred_by_name",
            Self::DeferredNative => "deferred_native",
            Self::DeferredLean => "deferred_lean",
            Self::Jit => "jit",
            Self::Search => "search",
            Self::Code => "code",
        }
    }

    /// How tools of a mode come to the model of a client: of one that loads definitions when they are wanted,
    /// or of one that sends all that it lists.
    pub const fn of(mode: ToolMode, defers: bool) -> Self {
        match (mode, defers) {
            (ToolMode::Raw, false) => Self::AllRaw,
            (ToolMode::Raw, true) => Self::Deferred,
            (ToolMode::Native, false) => Self::AllNative,
            (ToolMode::Native, true) => Self::DeferredNative,
            (ToolMode::Lean, false) => Self::AllLean,
            (ToolMode::Lean, true) => Self::DeferredLean,
            (ToolMode::Jit, _) => Self::Jit,
            (ToolMode::Search, _) => Self::Search,
            (ToolMode::Code, _) => Self::Code,
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
    /// A usual session, in tokens of fresh input.
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
            Way::DeferredLean => (deferred, Some(loaded(cost.lean, CLIENT_FOUND))),
            // The result names what was added, and the definitions join the list.
            Way::Jit => (doors.find, Some(ours(cost.native + names))),
            Way::Search => (doors.search, Some(ours(cost.signature + DOOR * tools))),
            Way::Code => (doors.code, Some(ours(cost.signature + STUB * tools))),
        };
        let estimate = Self { way, start, found, session: 0 };
        let usual = estimate.hundredths(&Session::USUAL) / 100;
        Self { session: usize::try_from(usual).unwrap_or(usize::MAX), ..estimate }
    }

    /// What it costs in a session, in hundredths of a token of fresh input; at most what fits.
    ///
    /// What stands in the prompt from the start is written once and read by all other calls; a search is one
    /// more call, and what it brings is written once and read by those that follow.
    pub fn hundredths(&self, session: &Session) -> u128 {
        let Session { requests, prompt_tokens, tools } = *session;
        let Some(again) = requests.checked_sub(1) else { return 0 };
        let [write, read] = [WRITE, READ].map(wide);
        let kept = |tokens: usize, calls: u128| wide(tokens).saturating_mul(write + calls * read);
        let from_start = kept(self.start, again.into());
        let Some(found) = self.found else { return from_start };
        let later = u128::from(requests) * wide(LATER) / wide(CALLS);
        let search = (u128::from(prompt_tokens) * read).saturating_add(kept(found, later));
        from_start.saturating_add(search.saturating_mul(tools.into()))
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

fn wide(number: usize) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::Strategy;
    use proptest::{prop_assert, prop_oneof, proptest};

    use super::{Catalog, Doors, Estimate, Session, Way};
    use crate::call::ToolMode;
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
    fn a_usual_session_is_a_session_like_any_other() {
        for way in Way::ALL {
            let estimate = Estimate::of(way, &catalog());
            let hundredths = estimate.hundredths(&Session::USUAL);
            assert_eq!(u128::try_from(estimate.session).unwrap(), hundredths / 100, "{way:?}");
            let start = u128::try_from(estimate.start).unwrap();
            let one = Session { requests: 1, ..Session::USUAL };
            assert_eq!(
                estimate.hundredths(&Session { tools: 0, ..one }),
                start * 125,
                "nobody reads it again"
            );
            assert_eq!(estimate.hundredths(&Session { requests: 0, ..Session::USUAL }), 0);
            let most = Session { requests: u64::MAX, prompt_tokens: u64::MAX, tools: u64::MAX };
            assert!(estimate.hundredths(&most) > 1 << 64, "nothing runs over");
        }
        // Half as many calls: what a search brings is read by half as many.
        let search = Estimate::of(Way::Search, &catalog());
        let half = Session { requests: 10, prompt_tokens: 6_000, tools: 1 };
        assert_eq!(search.hundredths(&half), 390 * (125 + 9 * 10) + 6_000 * 10 + 237 * (125 + 6 * 10));
    }

    #[test]
    fn a_mode_comes_to_a_client_that_defers_in_another_way_than_to_one_that_does_not() {
        for mode in ToolMode::ALL {
            let [whole, defers] = [false, true].map(|defers| Way::of(mode, defers));
            assert_eq!(whole.word(), mode.name());
            assert_eq!(whole == defers, !mode.is_listed(), "{mode:?}");
        }
        let words: BTreeSet<&str> = Way::ALL.map(Way::word).into_iter().collect();
        let names: BTreeSet<&str> = Way::ALL.map(Way::name).into_iter().collect();
        assert_eq!((words.len(), names.len()), (Way::ALL.len(), Way::ALL.len()));
    }

    /// Any catalog whose definitions are no longer in `native` than as they came, nor in `lean` than in
    /// `native`.
    fn any_catalog() -> impl Strategy<Value = Catalog> {
        let tokens = || 0..2_000_000_usize;
        let cost = (tokens(), tokens(), tokens(), tokens()).prop_map(|(one, other, third, signature)| {
            let mut forms = [one, other, third];
            forms.sort_unstable();
            let [lean, native, raw] = forms;
            Cost { raw, native, lean, signature, name: 0 }
        });
        let doors = vec(0..2_000_usize, 4);
        (0..5_000_usize, cost, 0..100_000_usize, doors).prop_map(|(tools, cost, names, doors)| Catalog {
            tools,
            cost,
            names,
            doors: Doors { find: doors[0], search: doors[1], code: doors[2], run: doors[3] },
        })
    }

    fn any_session() -> impl Strategy<Value = Session> {
        let requests = prop_oneof![0..60_u64, 0..5_000_u64];
        (requests, 0..1_000_000_u64, 0..100_u64).prop_map(|(requests, prompt_tokens, tools)| Session {
            requests,
            prompt_tokens,
            tools,
        })
    }

    proptest! {
        #[test]
        fn more_of_anything_never_costs_less(
            catalog in any_catalog(),
            one in any_session(),
            more in any_session(),
        ) {
            for way in Way::ALL {
                let estimate = Estimate::of(way, &catalog);
                let cost = estimate.hundredths(&one);
                for larger in [
                    Session { requests: one.requests + more.requests, ..one },
                    Session { prompt_tokens: one.prompt_tokens + more.prompt_tokens, ..one },
                    Session { tools: one.tools + more.tools, ..one },
                ] {
                    prop_assert!(estimate.hundredths(&larger) >= cost, "{:?} {:?}", way, larger);
                }
                let Cost { raw, native, lean, signature, name } = catalog.cost;
                let (raw, native, lean, signature) = (raw + 9, native + 9, lean + 9, signature + 9);
                let longer = Cost { raw, native, lean, signature, name };
                for larger in [
                    Catalog { cost: longer, ..catalog },
                    Catalog { names: catalog.names + 9, ..catalog },
                ] {
                    let of_larger = Estimate::of(way, &larger).hundredths(&one);
                    prop_assert!(of_larger >= cost, "{:?} {:?}", way, larger);
                }
            }
        }

        #[test]
        fn fewer_tokens_never_cost_more(catalog in any_catalog(), session in any_session()) {
            let cost = |way| Estimate::of(way, &catalog).hundredths(&session);
            prop_assert!(cost(Way::AllNative) <= cost(Way::AllRaw));
            prop_assert!(cost(Way::AllLean) <= cost(Way::AllNative));
            prop_assert!(cost(Way::DeferredNative) <= cost(Way::Deferred));
            prop_assert!(cost(Way::DeferredLean) <= cost(Way::DeferredNative));
            if catalog.tools > 0 {
                prop_assert!(cost(Way::DeferredByName) <= cost(Way::Deferred));
            }
            // What is searched for costs nothing more where nothing is searched for.
            let idle = Session { tools: 0, ..session };
            let start = |way| Estimate::of(way, &catalog).start;
            for way in Way::ALL {
                let less = Estimate::of(way, &catalog).hundredths(&idle) <= cost(Way::AllRaw);
                prop_assert!(less || start(way) > start(Way::AllRaw), "{:?}", way);
            }
        }
    }

    #[test]
    fn doors_are_counted() {
        let doors = Doors::of(["github", "jira"]);
        assert!(doors.find > 50 && doors.find < doors.search && doors.search < 400, "{doors:?}");
    }
}
