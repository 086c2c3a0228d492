//! What a translation could not carry over as it was: told beside its result, for the ledger.

use std::borrow::Cow;

use crate::limits;

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// The target has nothing for it, and the answer is the same in kind without it.
    Dropped,
    /// It went over in another form, such as a text that says the same.
    Emulated,
    /// The gateway does it in the target's place.
    Enforced,
    /// It was brought within what the target takes.
    Clamped,
}

/// One kind of loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field or block: `cache_control`, `messages.content.thinking`. Without the caller's own words, but
    /// for the name of a field that nobody knows.
    pub what: Cow<'static, str>,
    /// What has become of it.
    pub treatment: Treatment,
    /// How often; never zero.
    pub times: u32,
}

/// All of one translation, each kind once, at most `limits::LOSSES_MAX` kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    kinds: Vec<Loss>,
    /// Losses of kinds that found no place.
    untold: u32,
}

impl Losses {
    /// Adds one.
    pub fn note(&mut self, what: impl Into<Cow<'static, str>>, treatment: Treatment) {
        let what = what.into();
        let room = self.kinds.len() < limits::LOSSES_MAX;
        let known = self.kinds.iter_mut().find(|loss| loss.what == what && loss.treatment == treatment);
        match known {
            Some(loss) => loss.times = loss.times.saturating_add(1),
            None if room => {
                self.kinds.push(Loss { what, treatment, times: 1 });
            }
            None => self.untold = self.untold.saturating_add(1),
        }
    }

    /// The kinds, in the order in which they were met first.
    pub fn kinds(&self) -> &[Loss] {
        &self.kinds
    }

    /// Losses of kinds that found no place.
    pub const fn untold(&self) -> u32 {
        self.untold
    }
}
