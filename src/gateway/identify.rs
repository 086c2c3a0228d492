//! Who calls: a key, or somebody who has signed in at an issuer.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use crate::call::Endpoint;
use crate::config::key_terms;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::metadata;
use crate::gateway::record::Record;
use crate::gateway::sign_ins::SignedIn;
use crate::gateway::worker::Worker;
use crate::identity::jwt::{Fault, token};
use crate::identity::principal::Principal;
use crate::identity::token::Presented;
use crate::identity::virtual_keys::Unfit;

/// The one who calls. Nothing is counted that other cores count.
#[derive(Debug)]
pub(super) enum Known<'a> {
    /// By a key of the snapshot.
    Key(&'a Principal),
    /// By a token of an issuer.
    SignedIn(Rc<Principal>),
}

impl Deref for Known<'_> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        match self {
            Self::Key(who) => who,
            Self::SignedIn(who) => who,
        }
    }
}

/// Finds out who calls.
///
/// # Errors
/// 401 without a valid key or token, 403 under another team's prefix, without a team, with an administrator's
/// key anywhere but at `/admin`, and there with any other; 503 while the keys of an issuer are not to be had.
pub(super) async fn identify<'a>(
    worker: &Worker,
    snapshot: &'a Snapshot,
    caller: &Caller,
    team: Option<&str>,
    record: &mut Record,
) -> Result<Known<'a>, CallError> {
    let input = caller.stream.input();
    let mut presented = Presented::default();
    for (name, value) in caller.head.headers.iter(input) {
        let place = match name.len() {
            9 if name.eq_ignore_ascii_case(b"x-api-key") => &mut presented.api_key,
            13 if name.eq_ignore_ascii_case(b"authorization") => &mut presented.authorization,
            14 if name.eq_ignore_ascii_case(b"x-tollgate-key") => &mut presented.tollgate_key,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    record.rules = snapshot.rules.version();
    let found = snapshot.keys.find_any(presented.candidates(), record.at_ms);
    let (known, first) = match found {
        Ok(principal) => (Known::Key(principal), false),
        Err(unfit) => match signed_in(worker, snapshot, &presented, record.at_ms).await {
            Some(Ok(SignedIn { who, first })) => (Known::SignedIn(who), first),
            Some(Err(fault)) => return Err(metadata::challenged(caller, snapshot, not_in(&fault))),
            None => {
                note_former(record, unfit);
                return Err(metadata::challenged(caller, snapshot, unfit_key(unfit)));
            }
        },
    };
    // What strangers say of themselves fills no ledger.
    record.note_client(&caller.head, input);
    record.key = Some(known.key.clone());
    record.key_id = Some(Arc::clone(&known.key_id));
    record.team.clone_from(&known.team);
    record.user.clone_from(&known.user);
    record.policy = snapshot.contents.of(known.team.as_ref());
    if first {
        worker.note_sign_in(record, &known).await;
    }
    match team {
        Some(asked) if known.team.as_ref().is_none_or(|own| own.as_str() != asked) => {
            let text = format!("key \"{}\" does not belong to the team of this address", known.key);
            Err(CallError::new(Code::Forbidden).context(text))
        }
        _ if known.role.is_some() != (record.endpoint == Endpoint::Admin) => {
            let text = match known.role {
                Some(_) => {
                    "is an administrator's: it opens /admin alone; take one of your own for models and tools"
                }
                None => "is no administrator's; make one with `tollgate key create --role`",
            };
            Err(CallError::new(Code::Forbidden).context(format!("key \"{}\" {text}", known.key)))
        }
        _ => Ok(known),
    }
}

/// Looks for a token of an issuer; nothing where none was presented, or none is taken here. A key that is not
/// known yet may be a new one: then its issuer is asked, once.
async fn signed_in(
    worker: &Worker,
    snapshot: &Snapshot,
    presented: &Presented<'_>,
    now_ms: u64,
) -> Option<Result<SignedIn, Fault>> {
    let identity = &snapshot.identity;
    if identity.issuers.is_empty() {
        return None;
    }
    let mut why: Option<Fault> = None;
    let mut before: &[u8] = b"";
    // A client with a helper sends the same token in two headers.
    for text in presented.texts().filter(|text| token::looks_like_one(text)) {
        if text == before {
            continue;
        }
        before = text;
        let mut found = worker.sign_ins.find(identity, text, now_ms);
        if let Err(not_in) = &found
            && let Some(source) = not_in.source.clone()
            && worker.sign_ins.sets.fresher(&source).await
        {
            found = worker.sign_ins.find(identity, text, now_ms);
        }
        match found {
            Ok(signed_in) => return Some(Ok(signed_in)),
            Err(not_in) => why = Some(why.unwrap_or(not_in.fault)),
        }
    }
    why.map(Err)
}

/// Notes whose key it was once: the ledger says who tries to come back.
fn note_former(record: &mut Record, unfit: Unfit<'_>) {
    if let Unfit::Expired(who) | Unfit::Revoked(who) = unfit {
        record.key = Some(who.key.clone());
        record.key_id = Some(Arc::clone(&who.key_id));
        record.team.clone_from(&who.team);
        record.user.clone_from(&who.user);
    }
}

fn unfit_key(unfit: Unfit<'_>) -> CallError {
    let refused = CallError::new(Code::Unauthenticated);
    match unfit {
        Unfit::Unknown => refused,
        Unfit::Revoked(who) => {
            let text = format!("key \"{}\" was revoked: ask an administrator for another one", who.key);
            refused.context(text)
        }
        Unfit::Expired(who) => {
            let text = format!(
                "key \"{}\" has expired, it was good until {}: ask for another one, or have it rotated with \
                 `tollgate key rotate`",
                who.key,
                key_terms::text_ms(who.until_ms.unwrap_or_default())
            );
            refused.context(text)
        }
    }
}

fn not_in(fault: &Fault) -> CallError {
    let code = match fault {
        Fault::NoKeys => Code::Overloaded,
        Fault::NoTeam(_) => Code::Forbidden,
        _ => Code::Unauthenticated,
    };
    CallError::new(code).context(fault.to_string())
}
