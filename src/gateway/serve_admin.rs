//! `/admin`: what has been spent and what has happened, for those whose key says that they may know.

use serde_json::{Value, json};

use crate::clock;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::clerk::Asked;
use crate::gateway::record::{Record, kept};
use crate::gateway::serve_llm::identify;
use crate::gateway::worker::Worker;
use crate::ledger::redact;
use crate::limits;
use crate::meter::book;

/// Serves `GET /admin/ledger`, `/admin/spend` and `/admin/budgets`.
///
/// # Errors
/// 401 and 403 without an administrator's key, 404 for what there is not, 400 for a question that cannot be
/// understood.
pub(super) async fn serve(
    worker: &Worker,
    caller: &mut Caller,
    what: &str,
    record: &mut Record,
) -> Result<(), CallError> {
    let snapshot = worker.snapshot();
    identify(&snapshot, caller, None, record)?;
    let (_, query) = caller.head.path_and_query(caller.stream.input());
    let query = query.unwrap_or_default();
    let parameters = parameters(query)?;
    let said: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    record.decision = kept(redact::redact_text(&format!("/admin/{what} {}", said.join(" "))).as_bytes());
    let asked = match what {
        "budgets" => return reply(caller, record, &budgets(worker)).await,
        "ledger" => Asked::Ledger,
        "spend" => Asked::Spend,
        _ => {
            let text = "there are /admin/ledger, /admin/spend and /admin/budgets";
            return Err(CallError::new(Code::NotFound).context(text));
        }
    };
    let answer = worker.clerk.ask(asked, parameters).await?;
    let code = match answer.status {
        200 => return reply(caller, record, &answer.body).await,
        400 => Code::BadRequest,
        404 => Code::NotFound,
        _ => Code::Overloaded,
    };
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = told.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    Err(CallError::new(code).context(text.to_owned()))
}

async fn reply(caller: &mut Caller, record: &mut Record, body: &[u8]) -> Result<(), CallError> {
    let sent = caller.reply(record, 200, "application/json", &[], body).await;
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
fn decoded(bytes: &[u8]) -> Option<String> {
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
fn budgets(worker: &Worker) -> Vec<u8> {
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
    json!({ "budgets": shown }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{decoded, parameters};

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
