//! What callers are told about budgets: that one is used up, or how far it is used.

use std::sync::Arc;

use crate::meter::budget::{Series, Standing};
use crate::meter::cells::Cell;
use crate::meter::scope::shown;
use crate::meter::window::{Span, Unit, Window};

/// Pico-dollars of a cent.
const CENT: u64 = 10_000_000_000;

/// Why nothing was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It does not fit into a budget.
    Spent,
    /// More is counted at once than can be: instances of budgets, or reservations.
    Crowded,
    /// The reservation that was to grow is settled, or was never made.
    Gone,
}

/// No: and which budget says so. Of several, the one that begins anew last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub cause: Cause,
    /// Name of the budget; empty when it is not a budget that refuses.
    pub budget: Arc<str>,
    /// What it is about, for people.
    pub scope: String,
    /// What may be spent, pico-dollars.
    pub limit_pico: u64,
    /// What is spent, pico-dollars.
    pub spent_pico: u64,
    /// What is reserved for other calls, pico-dollars.
    pub reserved_pico: u64,
    /// What was to be reserved, pico-dollars.
    pub asked_pico: u64,
    /// When the budget begins anew, or, rolling, when there may be room again; `None` for never.
    pub resets_at_ms: Option<u64>,
    /// Claude Code's word for the window, where it has one.
    pub period: Option<&'static str>,
    /// How the sentence begins and ends.
    words: [String; 2],
}

/// How far the most used budget of a call is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Name of the budget.
    pub budget: Arc<str>,
    /// What it is about, for people.
    pub scope: String,
    /// What may be spent, pico-dollars.
    pub limit_pico: u64,
    /// What is spent, pico-dollars.
    pub spent_pico: u64,
    /// The highest percentage at which it warns that is reached.
    pub threshold_percent: Option<u8>,
    /// When the budget begins anew, or, rolling, when money may be forgotten next; `None` for never.
    pub resets_at_ms: Option<u64>,
}

impl Refused {
    pub(super) fn spent(series: &Series, instance: &str, cell: &Cell, span: Span, asked_pico: u64) -> Self {
        let limit_pico = series.limit_pico();
        let spent_pico = cell.spent();
        let resets_at_ms = match series.window {
            Window::Rolling { .. } => cell.frees_at_ms(asked_pico, limit_pico),
            Window::Total | Window::Calendar { .. } => span.resets_at_ms(),
        };
        let when = resets_at_ms.map(|at_ms| series.window.zone().shown(at_ms));
        let end = match (when, &series.window) {
            (Some(when), Window::Rolling { .. }) => format!("There may be room again on {when}."),
            (Some(when), _) => format!("It begins anew on {when}."),
            (None, _) => "It does not begin anew: an administrator has to raise it.".to_owned(),
        };
        Self {
            cause: Cause::Spent,
            budget: Arc::clone(&series.name),
            scope: shown(&series.scope, series.each, instance),
            limit_pico,
            spent_pico,
            reserved_pico: cell.held().saturating_sub(spent_pico),
            asked_pico,
            resets_at_ms,
            period: series.window.period(),
            words: [adjective(&series.window), end],
        }
    }

    /// A refusal that no budget is to blame for.
    pub(super) fn without_budget(cause: Cause) -> Self {
        Self {
            cause,
            budget: Arc::from(""),
            scope: String::new(),
            limit_pico: 0,
            spent_pico: 0,
            reserved_pico: 0,
            asked_pico: 0,
            resets_at_ms: None,
            period: None,
            words: [const { String::new() }; 2],
        }
    }

    /// Whether the call may fit as soon as others have ended, long before the budget begins anew.
    pub fn is_momentary(&self) -> bool {
        match self.cause {
            Cause::Crowded => true,
            Cause::Gone => false,
            Cause::Spent => {
                u128::from(self.spent_pico) + u128::from(self.asked_pico) <= u128::from(self.limit_pico)
            }
        }
    }

    /// All that the caller needs to know, in one or two short sentences.
    pub fn sentence(&self) -> String {
        match self.cause {
            Cause::Crowded => {
                "the gateway counts as many calls and callers as it can: try again later".to_owned()
            }
            Cause::Gone => "the reservation of this call has ended".to_owned(),
            Cause::Spent => {
                let [kind, end] = &self.words;
                let held = match self.reserved_pico {
                    0 => String::new(),
                    reserved => format!(" and {} is held for calls under way", dollars(reserved)),
                };
                format!(
                    "the {kind}budget `{}` ({}) has {}, of which {} is spent{held}: too little for this \
                     call, which needs up to {}. {end}",
                    self.budget,
                    self.scope,
                    dollars(self.limit_pico),
                    dollars(self.spent_pico),
                    dollars(self.asked_pico),
                )
            }
        }
    }
}

impl Warning {
    pub(super) fn new(standing: &Standing, instance: &str, cell: &Cell, resets_at_ms: Option<u64>) -> Self {
        let (spent_pico, limit_pico) = (cell.spent(), standing.series.limit_pico());
        let reached =
            |percent: &u8| u128::from(spent_pico) * 100 >= u128::from(limit_pico) * u128::from(*percent);
        Self {
            budget: Arc::clone(&standing.series.name),
            scope: shown(&standing.series.scope, standing.series.each, instance),
            limit_pico,
            spent_pico,
            threshold_percent: standing.warn_percents.iter().copied().rfind(reached),
            resets_at_ms,
        }
    }

    /// How much of a hundred is used, rounded down; a budget of nothing is used up.
    pub fn used_percent(&self) -> u64 {
        match u128::from(self.spent_pico).saturating_mul(100).checked_div(u128::from(self.limit_pico)) {
            None => 100,
            Some(percent) => u64::try_from(percent).unwrap_or(u64::MAX),
        }
    }

    /// Whether this budget is used farther than another; of two that are alike, whether it begins anew later.
    pub(super) fn outranks(&self, other: &Self) -> bool {
        let mine = u128::from(self.spent_pico) * u128::from(other.limit_pico);
        let theirs = u128::from(other.spent_pico) * u128::from(self.limit_pico);
        let reset = |warning: &Self| warning.resets_at_ms.unwrap_or(u64::MAX);
        mine > theirs || (mine == theirs && reset(self) > reset(other))
    }
}

/// The window as a word before `budget`, with a space after it.
fn adjective(window: &Window) -> String {
    match window {
        Window::Total => String::new(),
        Window::Calendar { unit: Unit::Hour, .. } => "hourly ".to_owned(),
        Window::Calendar { unit: Unit::Day, .. } => "daily ".to_owned(),
        Window::Calendar { unit: Unit::Week, .. } => "weekly ".to_owned(),
        Window::Calendar { unit: Unit::Month, .. } => "monthly ".to_owned(),
        Window::Rolling { length_ms } => format!("{}-hour ", length_ms / (60 * 60 * 1000)),
    }
}

/// Money as people write it: two decimals, and for less than ten cents as many as show two digits of it.
pub fn dollars(pico: u64) -> String {
    let mut unit = CENT;
    let mut decimals = 2_u32;
    while pico > 0 && pico < unit.saturating_mul(10) && decimals < 12 {
        unit /= 10;
        decimals += 1;
    }
    let rounded = (pico / unit).saturating_add(u64::from(pico % unit >= unit.div_ceil(2)));
    let whole = 10_u64.pow(decimals);
    let fraction = format!("{:0width$}", rounded % whole, width = usize::try_from(decimals).unwrap_or(12));
    let kept = fraction.trim_end_matches('0');
    format!("${}.{kept:0<2}", rounded / whole)
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn money_is_written_as_people_do() {
        for (pico, text) in [
            (0, "$0.00"),
            (1, "$0.000000000001"),
            (1_234_567, "$0.0000012"),
            (30_000_000_000, "$0.03"),
            (34_567_000_000, "$0.035"),
            (99_999_999_999, "$0.10"),
            (1_000_000_000_000, "$1.00"),
            (500_005_000_000_000, "$500.01"),
            (u64::MAX, "$18446744.07"),
        ] {
            assert_eq!(dollars(pico), text, "{pico}");
        }
    }
}
