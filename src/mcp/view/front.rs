//! What stands before the tools of a view: tools of ours, where any of its own may be in no list, or have its
//! results cut or referred to. That follows from the config, so that no server's mood changes it.

use crate::call::ToolMode;
use crate::mcp::doors::{self, Door};
use crate::mcp::lean::results::Rule;
use crate::mcp::view::{Part, Plan, Reader};

/// What becomes of results of any tool of a view, so that they have to be read on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rests {
    /// Some are cut.
    cuts: bool,
    /// Some are referred to, in sessions.
    pub(super) refers: bool,
}

impl Rests {
    /// Whether a tool of ours stands in the list of such a caller. Who has no session is referred to nothing.
    pub(super) fn has(self, door: Door, reader: Reader) -> bool {
        door != Door::More || self.cuts || (self.refers && reader != Reader::Modern)
    }
}

impl Plan<'_> {
    /// The tools of ours.
    pub(super) fn front(&self) -> Vec<(Door, String)> {
        let has = |part: &Part<'_>, mode: ToolMode| {
            let single = part.presentation.tools.iter().any(|tool| tool.mode == Some(mode));
            single || self.mode(part) == mode
        };
        let parts = || self.servers().map(|(_, part)| part);
        let away = |part: &&Part<'_>| ToolMode::ALL.iter().any(|mode| !mode.is_listed() && has(part, *mode));
        let behind: Vec<&str> = parts().filter(away).map(|part| part.server.as_str()).collect();
        let any = |mode| {
            let nothing_yet = self.mode == mode && parts().next().is_none();
            nothing_yet || parts().any(|part| has(part, mode))
        };
        let mut front = Vec::new();
        match (any(ToolMode::Search) || any(ToolMode::Jit), any(ToolMode::Code)) {
            (true, coded) => {
                front.extend(doors::search(behind));
                front.extend(coded.then(doors::run));
            }
            (false, true) => front.extend(doors::code(behind)),
            (false, false) => {}
        }
        let Rests { cuts, refers } = self.rests();
        if cuts || refers {
            let read_on = self.rules().filter(|rule| rule.caps.is_any() || rule.refer_bytes.is_some());
            front.push(doors::more(read_on.filter_map(Rule::result_chars).max()));
        }
        front
    }

    /// What becomes of results.
    pub(super) fn rests(&self) -> Rests {
        let cuts = self.rules().any(|rule| rule.caps.is_any());
        Rests { cuts, refers: self.rules().any(|rule| rule.refer_bytes.is_some()) }
    }

    /// The rules for results of all servers that take part.
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.servers().flat_map(|(_, part)| {
            let single = part.presentation.tools.iter().map(|tool| &tool.results);
            single.chain([&part.presentation.results]).flatten().map(AsRef::as_ref)
        })
    }
}
