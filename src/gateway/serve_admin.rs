//! `/admin`: what has been spent and what has happened, and what can be changed, for those whose key says so.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::api::document::document;
use crate::admin::api::explain::{self, About};
use crate::admin::api::routes::{Operation, Route};
use crate::call::{Class, Outcome};
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::admin_view;
use crate::gateway::caller::{Caller, poll_hung_up};
use crate::gateway::clerk::Asked;
use crate::gateway::identify::identify;
use crate::gateway::office::change::Told;
use crate::gateway::office::{door, keys, settings, tools};
use crate::gateway::record::{Record, kept};
use crate::gateway::trial::{Call, PlaceVerdict, Trial};
use crate::gateway::worker::{Phase, Worker};
use crate::identity::principal::Principal;
use crate::identity::role::{Permission, Role};
use crate::ids::TeamName;
use crate::ledger::entry::Kind;
use crate::ledger::index::answer::Answer;
use crate::ledger::redact;
use crate::limits;
use crate::meter::book;

/// Serves what `admin::api::routes` has.
///
/// # Errors
/// 401 and 403 without an administrator's key, or with one whose role does not allow it, 404 for what there
/// is not, 400 for a question that cannot be understood, and what stands in the way of a change.
pub(super) async fn serve(
    worker: &Worker,
    caller: &mut Caller,
    what: &str,
    record: &mut Record,
) -> Result<(), CallError> {
    let snapshot = worker.snapshot();
    let known =
        identify(worker, &snapshot, caller, None, record).await.map_err(|error| match error.code() {
            Code::Unauthenticated if error.message() == Code::Unauthenticated.text() => error.context(NO_KEY),
            _ => error,
        })?;
    let principal = &*known;
    let wish = door::enter(worker, caller, &snapshot, principal, what)?;
    let (_, query) = caller.head.path_and_query(caller.stream.input());
    let parameters = parameters(query.unwrap_or_default())?;
    let said: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    record.decision = kept(redact::redact_text(&format!("/admin/{what} {}", said.join(" "))).as_bytes());
    known_parameters(wish.route, &parameters)?;
    let shown = |body: Value| Told { status: 200, etag: String::new(), body };
    let answer = match wish.route.operation {
        Operation::Ledger => {
            return look_up(worker, (caller, principal), record, Asked::Ledger, parameters).await;
        }
        Operation::Spend => {
            return look_up(worker, (caller, principal), record, Asked::Spend, parameters).await;
        }
        Operation::Budgets => shown(budgets(worker)),
        Operation::Whoami => shown(whoami(principal)),
        Operation::Document => shown(document()),
        Operation::Config => {
            Told { etag: format!("\"{}\"", snapshot.version), ..shown(settings::shown(&snapshot)) }
        }
        Operation::Explain => shown(explained(&snapshot, &parameters, record.at_ms)?),
        Operation::Keys => keys::list(worker, &snapshot).await?,
        Operation::CheckConfig => {
            let body = door::body(worker, caller, &snapshot, &wish, record).await?;
            shown(settings::check(worker, &snapshot, body).await?)
        }
        Operation::CreateKey => {
            let body = door::body(worker, caller, &snapshot, &wish, record).await?;
            keys::create((worker, principal), &snapshot, &wish, body, record).await?
        }
        Operation::RotateKey => {
            let body = door::body(worker, caller, &snapshot, &wish, record).await?;
            keys::rotate((worker, principal), &wish, &body, record).await?
        }
        Operation::Tools => tools::list(worker, &parameters).await?,
        Operation::ApproveTool | Operation::RejectTool => {
            door::body(worker, caller, &snapshot, &wish, record).await?;
            tools::decide((worker, principal), &snapshot, &wish, record).await?
        }
        Operation::RevokeKey => {
            door::body(worker, caller, &snapshot, &wish, record).await?;
            keys::revoke((worker, principal), &snapshot, &wish, record).await?
        }
    };
    reply(caller, record, &answer).await
}

const NO_KEY: &str = "no administrator's key was sent: send one as `Authorization: Bearer KEY` or \
    `x-api-key: KEY`; make one with `tollgate key create --admin`";

/// Refuses parameters that the row does not have: what is misspelt would be passed over in silence.
fn known_parameters(route: &Route, parameters: &[(String, String)]) -> Result<(), CallError> {
    // The questions about the ledger know their own.
    if matches!(route.operation, Operation::Ledger | Operation::Spend) {
        return Ok(());
    }
    let known = |name: &str| route.query.iter().any(|parameter| parameter.name == name);
    let Some((unknown, _)) = parameters.iter().find(|(name, _)| !known(name)) else { return Ok(()) };
    let names: Vec<&str> = route.query.iter().map(|parameter| parameter.name).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let text = format!("{unknown:?} is no parameter here; known: {names}");
    Err(CallError::new(Code::BadRequest).context(text))
}

fn whoami(principal: &Principal) -> Value {
    let allowed = Permission::ALL.iter().filter(|what| principal.role.is_some_and(|role| role.may(**what)));
    json!({
        "key": principal.key.as_str(),
        "id": &*principal.key_id,
        "team": principal.team.as_ref().map(TeamName::as_str),
        "user": principal.user.as_deref(),
        "role": principal.role.map(Role::name),
        "permissions": allowed.map(|permission| permission.name()).collect::<Vec<_>>(),
    })
}

fn explained(snapshot: &Snapshot, parameters: &[(String, String)], now_ms: u64) -> Result<Value, CallError> {
    let asked = explain::question(parameters);
    let (key, about) = asked.map_err(|text| CallError::new(Code::BadRequest).context(text))?;
    let trial = Trial::of(snapshot);
    let Some(principal) = trial.key(key) else {
        let text = format!("no valid key has the name or id {key:?}: see GET /admin/keys");
        return Err(CallError::new(Code::NotFound).context(text));
    };
    let call = match about {
        About::Model(model) => Call::Model(model),
        About::Tool(server, tool) => Call::Tool { server, tool, class: Class::Unknown },
    };
    let verdict = trial.verdict(principal, call, now_ms);
    let opens_admin = principal.role.is_some();
    let note = "it is an administrator's key: it opens /admin and nothing else";
    Ok(json!({
        "allowed": verdict.allowed && !opens_admin,
        "why": if opens_admin { note } else { &verdict.why },
        "meant": verdict.meant,
        "deprecated": verdict.deprecated,
        "places": verdict.places.iter().map(told_of).collect::<Vec<_>>(),
        "key": principal.key.as_str(),
        "team": principal.team.as_ref().map(TeamName::as_str),
        "policy": &*snapshot.rules.version(),
        "config": snapshot.version,
    }))
}

fn told_of(place: &PlaceVerdict) -> Value {
    let PlaceVerdict { place, model, allowed } = place;
    json!({ "place": place, "model": model, "allowed": allowed })
}

/// Asks the ledger's index.
async fn look_up(
    worker: &Worker,
    (caller, who): (&mut Caller, &Principal),
    record: &mut Record,
    asked: Asked,
    mut parameters: Vec<(String, String)>,
) -> Result<(), CallError> {
    let whole = match asked {
        Asked::Spend => true,
        Asked::Ledger => admin_view::sees_contents(who, &parameters)?,
    };
    let answer = match waiting(asked, &mut parameters)? {
        None => worker.clerk.ask(asked, parameters).await?,
        Some(wait) => match tail(worker, caller, parameters, wait).await? {
            Some(answer) => answer,
            None => {
                record.outcome = Outcome::CallerGone;
                caller.keep_alive = false;
                return Ok(());
            }
        },
    };
    let code = match answer.status {
        200 if whole => return send(caller, record, (200, ""), &answer.body).await,
        200 => {
            let body = admin_view::without_contents(&answer.body);
            return send(caller, record, (200, ""), &body).await;
        }
        400 => Code::BadRequest,
        404 => Code::NotFound,
        _ => Code::Overloaded,
    };
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = told.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    Err(CallError::new(code).context(text.to_owned()))
}

/// Takes `wait` out of the parameters: how long to wait for entries to come.
///
/// # Errors
/// 400 for a time that is too long, and where it is not said from where on.
fn waiting(asked: Asked, parameters: &mut Vec<(String, String)>) -> Result<Option<Duration>, CallError> {
    let bad = |text: String| CallError::new(Code::BadRequest).context(text);
    let named = |wanted: &'static str| move |(name, _): &(String, String)| name == wanted;
    let Some(place) = parameters.iter().position(named("wait")).filter(|_| asked == Asked::Ledger) else {
        return Ok(None);
    };
    let (_, text) = parameters.remove(place);
    let most = limits::ADMIN_WAIT_S_MAX;
    let seconds = text.parse().ok().filter(|seconds| (1..=most).contains(seconds));
    let seconds = seconds.ok_or_else(|| bad(format!("wait: seconds from 1 to {most}")))?;
    if !parameters.iter().any(named("from")) {
        return Err(bad(
            "wait: it goes with `from`, the `next` of the answer before, or `from=end`".to_owned()
        ));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

/// Asks for entries until some are there or the time is over; nothing when the caller leaves meanwhile.
///
/// Looks of administrators alone end no wait: this one will be such a look, and would end the next. They are
/// told with what comes after them, or at the end.
async fn tail(
    worker: &Worker,
    caller: &mut Caller,
    mut parameters: Vec<(String, String)>,
    wait: Duration,
) -> Result<Option<Answer>, CallError> {
    let _place = worker.clerk.place()?;
    let until = clock::now() + wait;
    loop {
        let answer = worker.clerk.ask(Asked::Ledger, parameters.clone()).await?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let entries = told.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let news = entries.iter().any(|entry| entry["kind"] != Kind::Admin.name());
        let over = clock::now() >= until || worker.phase.get() != Phase::Running;
        if answer.status != 200 || news || over {
            return Ok(Some(answer));
        }
        if let Some(next) = told.get("next").and_then(Value::as_u64).filter(|_| entries.is_empty()) {
            // What has been looked through in vain need not be looked through again.
            let from = parameters.iter_mut().find(|(name, _)| name == "from");
            from.into_iter().for_each(|(_, from)| *from = next.to_string());
        }
        let mut pause = pin!(tokio::time::sleep(limits::INDEX_TAIL_EVERY));
        let gone = poll_fn(|cx| match pause.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => poll_hung_up(&mut caller.stream, cx).map(|()| true),
        });
        if gone.await {
            return Ok(None);
        }
    }
}

async fn reply(caller: &mut Caller, record: &mut Record, answer: &Told) -> Result<(), CallError> {
    send(caller, record, (answer.status, &answer.etag), answer.body.to_string().as_bytes()).await
}

async fn send(
    caller: &mut Caller,
    record: &mut Record,
    (status, etag): (u16, &str),
    body: &[u8],
) -> Result<(), CallError> {
    let mut extra: Vec<(&str, &[u8])> = vec![("cache-control", b"no-store")];
    if !etag.is_empty() {
        extra.push(("etag", etag.as_bytes()));
    }
    let sent = caller.reply(record, status, "application/json", &extra, body).await;
    sent.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))
}

/// Takes `a=b&c=d%20e` apart, as forms write it.
///
/// # Errors
/// 400 for more than can be meant, and for what is not text.
fn parameters(query: &[u8]) -> Result<Vec<(String, String)>, CallError> {
    let bad = |text: &str| CallError::new(Code::BadRequest).context(text.to_owned());
    let mut found = Vec::new();
    for pair in query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
        if found.len() >= limits::ADMIN_PARAMETERS_MAX {
            return Err(bad("more parameters than any question has"));
        }
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(at).unwrap_or((pair, b""));
        let value = value.strip_prefix(b"=").unwrap_or(value);
        let text = |bytes| decoded(bytes).ok_or_else(|| bad("a parameter is not percent-encoded UTF-8"));
        found.push((text(name)?, text(value)?));
    }
    Ok(found)
}

/// The text behind percent signs and plus signs.
pub(super) fn decoded(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit =
                    |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                (digit(rest.next()?)? << 4) | digit(rest.next()?)?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// How all budgets stand, in dollars as text, so that nothing is rounded.
fn budgets(worker: &Worker) -> Value {
    let states = worker.meter.budgets().states(clock::unix_ms(clock::wall()));
    let shown: Vec<Value> = states
        .iter()
        .map(|state| {
            json!({
                "name": &*state.name,
                "scope": state.scope,
                "instance": state.instance,
                "limit_usd": book::dollars(state.limit_pico),
                "spent_usd": book::dollars(state.spent_pico),
                "reserved_usd": book::dollars(state.reserved_pico),
                "window_start_ms": state.window_start_ms,
                "resets_at_ms": state.resets_at_ms,
            })
        })
        .collect();
    json!({ "budgets": shown })
}

#[cfg(test)]
mod tests {
    use super::{decoded, parameters, waiting};
    use crate::gateway::clerk::Asked;
    use std::time::Duration;

    #[test]
    fn whoever_waits_says_how_long_and_from_where() {
        let read = |query: &[u8], asked| {
            let mut found = parameters(query).unwrap();
            let wait = waiting(asked, &mut found);
            wait.map(|wait| (wait, found.len())).map_err(|fault| format!("{fault:?}"))
        };
        let found = read(b"q=a&wait=9&from=7", Asked::Ledger);
        assert_eq!(found, Ok((Some(Duration::from_secs(9)), 2)));
        assert_eq!(read(b"q=a&from=7", Asked::Ledger), Ok((None, 2)));
        // Sums know no such word, and say so.
        assert_eq!(read(b"wait=9&from=7", Asked::Spend), Ok((None, 2)));
        for wrong in [&b"wait=0&from=1"[..], b"wait=51&from=1", b"wait=&from=1", b"wait=x&from=1", b"wait=5"]
        {
            assert!(read(wrong, Asked::Ledger).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn parameters_are_read_as_forms_write_them() {
        let read = parameters(b"q=user%3Aana+since:7d&by=team,model&&per=day&flag").unwrap();
        let pairs: Vec<(&str, &str)> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected = [("q", "user:ana since:7d"), ("by", "team,model"), ("per", "day"), ("flag", "")];
        assert_eq!(pairs, expected);
        for wrong in ["q=%", "q=%4", "q=%zz", "q=%ff"] {
            assert!(parameters(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parameters("a=1&".repeat(100).as_bytes()).is_err());
        assert_eq!(decoded(b"%c3%bc").as_deref(), Some("\u{fc}"));
    }
}
