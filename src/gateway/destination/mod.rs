//! Where a call of a model may go: the team's name for it, its version, the rules and the places, settled
//! before anybody is asked. Facts in, verdict out.

use std::sync::Arc;

use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::identity::principal::Principal;
use crate::limits;
use crate::llm::anthropic::request::Request;
use crate::policy::decide::{Denial, Permit};
use crate::policy::residency::{Outside, Residency};
use crate::policy::table::Table;
use crate::route::model::{Plan, Target};
use crate::route::version::{Deprecation, Standing};

/// What is settled about a call.
#[derive(Debug)]
pub(super) struct Destination<'s> {
    /// Proof that the caller may name the model.
    pub(super) permit: Permit,
    /// Where the call may run.
    pub(super) residency: Residency<'s>,
    /// Whom to ask, in this order; never empty, and nobody whom the rules about places refuse.
    pub(super) plan: Plan<'s>,
    /// The model that is meant, where that is not the one that was named.
    pub(super) meant: Option<Arc<str>>,
    /// What callers are told of the end of the model that they have named.
    pub(super) notice: Option<&'s Deprecation>,
}

/// A call that goes nowhere.
#[derive(Debug)]
pub(super) struct Refused {
    /// What the caller is told.
    pub(super) error: CallError,
    /// The rule, for the record; empty where none is to be named.
    pub(super) decision: String,
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        Self { error, decision: String::new() }
    }
}

/// Settles where `request` of `principal` may go at `now_ms`, milliseconds since 1970.
///
/// # Errors
/// 403 for a model that the rules do not give, 404 for one that nobody serves or that has ended, 451 when
/// nothing that serves it is where the rules want it, or when the request itself asks to be served elsewhere.
pub(super) fn find<'s>(
    (snapshot, decisions): (&'s Snapshot, &Table),
    principal: &'s Principal,
    request: &Request,
    now_ms: u64,
) -> Result<Destination<'s>, Refused> {
    let Named { permit, mut plan, meant, notice } =
        named((snapshot, decisions), principal, &request.model, now_ms)?;
    for other in &request.beside {
        may_answer((snapshot, decisions), principal, other, now_ms)?;
    }
    let residency = snapshot.rules.residency(principal);
    if residency.is_free() {
        return Ok(Destination { permit, residency, plan, meant, notice });
    }
    let model = meant.as_deref().unwrap_or(&request.model);
    let geo = request.terms.inference_geo.as_deref();
    if request.geo_unreadable || geo.is_some_and(|asked| !residency.allows_region(asked)) {
        let asked = geo.map_or_else(|| "that cannot be read".to_owned(), |geo| format!("{:?}", shown(geo)));
        let text =
            format!("the request asks for an inference_geo {asked}, outside of its regions ({residency})");
        return Err(refused(Code::OutsideRegion, text, &residency.to_string()));
    }
    let place = |target: &Target| snapshot.providers.get(target.provider).map(|one| &one.place);
    let all = plan.targets.clone();
    plan.retain(|target| place(target).is_some_and(|place| residency.allows(place)));
    if plan.targets.is_empty() {
        let places = all.iter().filter_map(place).map(|place| &**place);
        let outside: Outside = residency.outside(&format!("model {:?}", shown(model)), places);
        return Err(refused(Code::OutsideRegion, outside.to_string(), outside.rule()));
    }
    Ok(Destination { permit, residency, plan, meant, notice })
}

/// Whether a model may answer that a request names beside its own. The provider chooses it by the name that
/// stands there, so it has to be one that the caller could have asked for by that name.
fn may_answer(
    (snapshot, decisions): (&Snapshot, &Table),
    principal: &Principal,
    model: &str,
    now_ms: u64,
) -> Result<(), Refused> {
    let denied = |denial: Denial| Refused {
        error: CallError::new(Code::Forbidden).context(format!("beside its own model: {denial}")),
        decision: denial.decision().to_owned(),
    };
    decisions.decide(&snapshot.rules, principal, model).map_err(denied)?;
    let plan = snapshot.routes.plan(model);
    match plan.and_then(|plan| plan.deprecation).map(|end| end.standing(now_ms)) {
        Some(Standing::Ended(end) | Standing::Replaced(end, _)) => Err(ended(model, end)),
        Some(Standing::Current | Standing::Ends(_)) | None => Ok(()),
    }
}

/// Whom a call would be led to if every place were good; nobody where it is refused for another reason.
pub(super) fn targets(
    with: (&Snapshot, &Table),
    principal: &Principal,
    model: &str,
    now_ms: u64,
) -> Vec<Target> {
    named(with, principal, model, now_ms).map(|named| named.plan.targets.into_owned()).unwrap_or_default()
}

/// A model by the name that it goes by at last.
struct Named<'s> {
    permit: Permit,
    plan: Plan<'s>,
    meant: Option<Arc<str>>,
    notice: Option<&'s Deprecation>,
}

/// Follows the team's name for a model, and what has replaced it. Each name on the way that a caller could
/// have written has to be one that it may write.
fn named<'s>(
    (snapshot, decisions): (&'s Snapshot, &Table),
    principal: &'s Principal,
    name: &str,
    now_ms: u64,
) -> Result<Named<'s>, Refused> {
    let mut meant = snapshot.rules.aliases(principal).and_then(|aliases| aliases.model(name)).cloned();
    let mut notice = None;
    for _ in 0..=limits::REPLACEMENTS_MAX {
        let model = meant.as_deref().unwrap_or(name);
        let permit = decisions.decide(&snapshot.rules, principal, model).map_err(|denial| Refused {
            error: CallError::new(Code::Forbidden).context(denial.to_string()),
            decision: denial.decision().to_owned(),
        })?;
        let plan = snapshot.routes.plan(model).ok_or_else(|| nobody(model))?;
        match plan.deprecation.map(|end| end.standing(now_ms)) {
            None | Some(Standing::Current) => return Ok(Named { permit, plan, meant, notice }),
            Some(Standing::Ends(end)) => {
                let notice = notice.or(Some(end));
                return Ok(Named { permit, plan, meant, notice });
            }
            Some(Standing::Replaced(end, other)) => {
                notice = notice.or(Some(end));
                meant = Some(Arc::clone(other));
            }
            Some(Standing::Ended(end)) => return Err(ended(model, end)),
        }
    }
    // The config refuses chains of this length.
    Err(nobody(name).into())
}

fn nobody(model: &str) -> CallError {
    let shown = shown(model);
    let text = format!("no provider serves the model {shown:?}; see /v1/models for those that exist");
    CallError::new(Code::NotFound).context(text)
}

/// 404, as a provider itself answers for a model that it has retired: a client with a model to fall back to
/// takes that one.
fn ended(model: &str, end: &Deprecation) -> Refused {
    let model = shown(model);
    let (date, rule) = (&end.date, format!("deprecated {}", end.notice));
    let text = match &end.replacement {
        Some(other) => format!("the model {model:?} is out of use since {date}; use {other:?}"),
        None => {
            format!("the model {model:?} is out of use since {date}; see /v1/models for those that exist")
        }
    };
    let headers = vec![(NOTICE, end.notice.to_string())];
    let error = CallError::new(Code::NotFound).context(text).headers(headers);
    Refused { error, decision: format!("refused: {rule}") }
}

/// The header that tells a caller that the model it named will end, or has ended.
pub(super) const NOTICE: &str = "x-tollgate-deprecated";

fn refused(code: Code, text: String, rule: &str) -> Refused {
    Refused { error: CallError::new(code).context(text), decision: format!("refused: {rule}") }
}

/// A name of the caller's, cut where nobody would read on.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(limits::MODEL_SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
