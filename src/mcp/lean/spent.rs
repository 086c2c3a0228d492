//! What definitions of tools take of the prompts of a session, with the prompt cache priced in.
//!
//! Everything is in hundredths of a token that is read fresh: one that is written into the cache costs 125,
//! one that is read from it 10. Definitions stand first in a prompt, so they are written once and read with
//! each request after that. Where a tool has to be found first, a session has one more request for each that
//! it uses, which reads its prompt once more, and what was found is read with what is left of the session,
//! taken for half of it. It is a model: what a search that finds nothing costs is not in it, and neither is
//! what models write.

use crate::mcp::lean::cost::Cost;

/// A token written into the cache.
const WRITE: u64 = 125;

/// A token read from the cache.
const READ: u64 = 10;

/// Tools that a search gives: those of `limits`, and as many as Claude Code loads.
const FOUND: u64 = 5;

/// The tools that a session can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// How many.
    pub tools: u64,
    /// Their definitions together.
    pub cost: Cost,
    /// The tools that find others and call them.
    pub doors: u64,
}

/// A session, as far as definitions matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Requests that a model has answered.
    pub requests: u64,
    /// Tokens of a prompt, on average.
    pub prompt_tokens: u64,
    /// Different tools that it called.
    pub tools: u64,
}

/// How a session comes to its tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All definitions as their servers wrote them.
    Raw,
    /// All of them, in fewer bytes.
    Native,
    /// All of them, first sentences and types.
    Lean,
    /// The client shows names and loads five definitions for each search, as Claude Code does by itself.
    Deferred,
    /// The tools that find others and call them.
    Search,
}

impl Way {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Native, Self::Lean, Self::Deferred, Self::Search];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Native => "native",
            Self::Lean => "lean",
            Self::Deferred => "deferred",
            Self::Search => "search",
        }
    }

    /// What a session takes, in hundredths of a token that is read fresh.
    pub fn hundredths(self, catalog: &Catalog, session: &Session) -> u64 {
        let Cost { raw, native, lean, signature, name } = catalog.cost;
        let whole = |tokens: usize| u64::try_from(tokens).unwrap_or(u64::MAX);
        let each = |tokens: usize| whole(tokens) / catalog.tools.max(1);
        match self {
            Self::Raw => session.prefix(whole(raw)),
            Self::Native => session.prefix(whole(native)),
            Self::Lean => session.prefix(whole(lean)),
            Self::Deferred => session.prefix(whole(name)).saturating_add(session.found(each(raw))),
            Self::Search => session.prefix(catalog.doors).saturating_add(session.found(each(signature))),
        }
    }
}

impl Session {
    /// What stands before everything in each prompt.
    const fn prefix(&self, tokens: u64) -> u64 {
        let Some(again) = self.requests.checked_sub(1) else { return 0 };
        tokens.saturating_mul(WRITE.saturating_add(again.saturating_mul(READ)))
    }

    /// What finding the tools takes that it called, where `tokens` are shown of each that is found.
    const fn found(&self, tokens: u64) -> u64 {
        if self.requests == 0 {
            return 0;
        }
        let shown = tokens.saturating_mul(FOUND);
        let read = shown.saturating_mul(WRITE.saturating_add((self.requests / 2).saturating_mul(READ)));
        let each = self.prompt_tokens.saturating_mul(READ).saturating_add(read);
        self.tools.saturating_mul(each)
    }
}

#[cfg(test)]
mod tests {
    use super::{Catalog, Session, Way};
    use crate::mcp::lean::cost::Cost;

    /// A catalog of 492 tools of a developer, as measured.
    const DEVELOPER: Catalog = Catalog {
        tools: 492,
        cost: Cost { raw: 139_037, native: 129_000, lean: 80_000, signature: 25_480, name: 5_900 },
        doors: 258,
    };

    const USUAL: Session = Session { requests: 20, prompt_tokens: 12_000, tools: 3 };

    #[test]
    fn a_usual_session_takes_what_was_reckoned_by_hand() {
        let tokens = |way: Way| way.hundredths(&DEVELOPER, &USUAL) / 100;
        // 139,037 written once and read 19 times.
        assert_eq!(tokens(Way::Raw), 437_966);
        // Names the same way; three times a prompt read once more and five definitions of 282 tokens.
        assert_eq!(tokens(Way::Deferred), (5_900 * 315 + 3 * (120_000 + 1_410 * 225)) / 100);
        assert_eq!(tokens(Way::Search), (258 * 315 + 3 * (120_000 + 255 * 225)) / 100);
        assert!(tokens(Way::Search) * 4 < tokens(Way::Deferred) && tokens(Way::Native) < tokens(Way::Raw));
    }

    #[test]
    fn nothing_is_taken_by_sessions_without_requests_and_nothing_runs_over() {
        for way in Way::ALL {
            assert_eq!(way.hundredths(&DEVELOPER, &Session { requests: 0, ..USUAL }), 0);
            let most = Session { requests: u64::MAX, prompt_tokens: u64::MAX, tools: u64::MAX };
            assert!(way.hundredths(&DEVELOPER, &most) > 1 << 60, "{}", way.name());
            assert_eq!(way.hundredths(&Catalog::default(), &Session { tools: 0, ..USUAL }), 0);
        }
    }
}
