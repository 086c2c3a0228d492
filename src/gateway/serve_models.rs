//! `/v1/models`: what this caller may name, from the config and from the providers' own lists.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::destination::{self, Destination};
use crate::gateway::identify::identify;
use crate::gateway::record::Record;
use crate::gateway::serve_llm::{Going, write_head};
use crate::gateway::worker::Worker;
use crate::http::head::{RequestHead, ResponseHead};
use crate::identity::principal::Principal;
use crate::limits;
use crate::llm::anthropic::request::Request;
use crate::net::buffer::Buffer;
use crate::net::deadline::Deadline;
use crate::policy::alias::Aliases;
use crate::policy::residency::PlacedPermit;
use crate::upstream::exchange::Exchange;
use crate::upstream::message::Message;
use crate::upstream::provider::{Dialect, Provider};
use crate::upstream::whole;

/// The lists of providers that a core has read, and until when they are good.
pub(super) type Lists = HashMap<String, (Instant, Rc<Vec<Value>>)>;

/// When a model of the config was made: nobody knows, and the field must be there.
const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";

/// Serves the list, or one entry of it.
///
/// # Errors
/// 401 and 403 as for any call, 404 for a model that the caller may not see.
pub(super) async fn serve(
    worker: &Worker,
    caller: &mut Caller,
    team: Option<&str>,
    model: Option<&str>,
    record: &mut Record,
) -> Result<(), CallError> {
    let snapshot = worker.snapshot();
    let known = identify(worker, &snapshot, caller, team, record).await?;
    let models = listed(worker, &snapshot, &known, record.at_ms).await;
    let body = match model {
        Some(wanted) => models
            .into_iter()
            .find(|entry| id_of(entry) == Some(wanted))
            .ok_or_else(|| CallError::new(Code::NotFound).context("there is no such model for your key"))?,
        None if is_openai(&record.client) => of_openai(&models),
        None => {
            let end = |entry: Option<&Value>| entry.and_then(id_of).map(str::to_owned);
            let (first, last) = (end(models.first()), end(models.last()));
            json!({ "data": models, "has_more": false, "first_id": first, "last_id": last })
        }
    };
    let sent = caller.reply(record, 200, "application/json", &[], body.to_string().as_bytes()).await;
    sent.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))
}

/// Whether a client, by its own word, is an SDK of OpenAI's, which reads lists in another form.
fn is_openai(client: &str) -> bool {
    client.starts_with("OpenAI/") || client.starts_with("AsyncOpenAI/")
}

/// The list as OpenAI has it.
fn of_openai(models: &[Value]) -> Value {
    let entry = |id: &str| json!({ "id": id, "object": "model", "created": 0, "owned_by": "tollgate" });
    let models: Vec<Value> = models.iter().filter_map(id_of).map(entry).collect();
    json!({ "object": "list", "data": models })
}

/// The names that the config writes out, then what the providers of its patterns list themselves. A
/// provider that does not answer in time is left out: a short list now is worth more than a whole one late.
/// Of all these only what the caller could call now: its team's own names for models first.
async fn listed(worker: &Worker, snapshot: &Snapshot, principal: &Principal, now_ms: u64) -> Vec<Value> {
    let mut seen = HashSet::new();
    let mut models = Vec::new();
    let until = clock::now() + limits::MODELS_DEADLINE;
    let residency = snapshot.rules.residency(principal);
    let permit = snapshot.rules.permit_listing(principal);
    let mut offer = |id: &str, mut model: Value| {
        let request = Request { model: id.to_owned(), ..Request::default() };
        if seen.insert(id.to_owned())
            && let Ok(found) = destination::find((snapshot, &worker.decisions), principal, &request, now_ms)
        {
            mark_end(&mut model, &found);
            models.push(model);
        }
    };
    for (name, model) in snapshot.rules.aliases(principal).into_iter().flat_map(Aliases::iter) {
        offer(
            name,
            json!({ "type": "model", "id": name, "display_name": format!("{name} ({model})"),
                            "created_at": UNKNOWN_TIME }),
        );
    }
    for (name, _) in snapshot.routes.exact_names() {
        offer(name, entry(name));
    }
    for (pattern, of_pattern) in snapshot.routes.patterns() {
        for target in &of_pattern.targets {
            let Some(provider) = snapshot.providers.get(target.provider) else { continue };
            // Not even the question for its list goes where a call may not.
            let Ok(permit) = residency.place(&permit, &provider.place) else { continue };
            let own = match provider.dialect {
                Dialect::Demo => Rc::new(vec![entry("claude-demo")]),
                // What the config writes out is what there is of others: their lists hold models for sounds
                // and pictures, too.
                Dialect::OpenAiChat
                | Dialect::OpenAiResponses
                | Dialect::Gemini
                | Dialect::AnthropicLenient
                | Dialect::Bedrock
                | Dialect::BedrockConverse
                | Dialect::Vertex => Rc::default(),
                Dialect::Anthropic => of_provider(worker, snapshot, provider, &permit, until).await,
            };
            for model in own.iter() {
                if let Some(id) = id_of(model).filter(|id| pattern.matches(id)) {
                    offer(id, model.clone());
                }
            }
        }
    }
    models
}

/// Tells people who choose a model that it will end, or that another one answers.
fn mark_end(model: &mut Value, found: &Destination<'_>) {
    let Some(end) = found.notice else { return };
    let name = model.get("display_name").and_then(Value::as_str).unwrap_or_default();
    let shown = format!("{name} (deprecated {})", end.notice);
    if let Some(model) = model.as_object_mut() {
        model.insert("display_name".to_owned(), Value::String(shown));
    }
}

async fn of_provider(
    worker: &Worker,
    snapshot: &Snapshot,
    provider: &Arc<Provider>,
    permit: &PlacedPermit,
    until: Instant,
) -> Rc<Vec<Value>> {
    let key = format!("{} {}{}", provider.name, provider.site.origin.authority(), provider.base_path);
    let now = clock::now();
    let known = worker.models.borrow().get(&key).cloned();
    if let Some((good_until, list)) = &known
        && now < *good_until
    {
        return Rc::clone(list);
    }
    // All providers together have one deadline, since the client waits for 3 s in all.
    let patience = until.saturating_duration_since(now);
    let asked = timeout(patience, ask(worker, snapshot, provider, permit)).await.ok().flatten();
    let (list, good_for) = match asked {
        Some(list) => (Rc::new(list), limits::MODELS_TTL),
        // What was known before is better than nothing, and a provider that failed is left in peace.
        None => (known.map(|(_, list)| list).unwrap_or_default(), limits::MODELS_REST),
    };
    worker.models.borrow_mut().insert(key, (clock::now() + good_for, Rc::clone(&list)));
    list
}

async fn ask(
    worker: &Worker,
    snapshot: &Snapshot,
    provider: &Arc<Provider>,
    permit: &PlacedPermit,
) -> Option<Vec<Value>> {
    let mut out = Vec::new();
    let whole = worker.purse.dress(provider).await.ok()?;
    let provider = whole.as_ref().unwrap_or(provider);
    let going = Going { provider, path: "/v1/models", query: Some(b"limit=1000"), length: None };
    write_head(&mut out, &RequestHead::new(), &[], &going);
    // The API asks for its version, and there is no caller's head to take it from.
    let end = out.len().saturating_sub(2);
    out.truncate(end);
    out.extend_from_slice(b"anthropic-version: 2023-06-01\r\n\r\n");
    let message = Message::bare(Buffer::from(&out[..]));
    let mut head = ResponseHead::new();
    let mut deadline = Deadline::new(limits::MODELS_DEADLINE);
    let (site, timeouts) = (&provider.site, &snapshot.timeouts);
    let sent = Cell::default();
    let exchange = Exchange { permit, site, message: &message, timeouts, again: true, sent: &sent };
    let mut connection = exchange.run(&worker.pool, &mut head, &mut deadline).await.ok()?;
    let body = whole::read(&mut connection, &head, limits::MODELS_BYTES_MAX).await.ok()?;
    if head.keep_alive {
        worker.pool.give_back(&provider.site, connection, clock::now());
    }
    if head.status != 200 {
        return None;
    }
    let mut parsed: Value = serde_json::from_slice(&body).ok()?;
    match parsed.get_mut("data").map(Value::take)? {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

fn entry(name: &str) -> Value {
    json!({ "type": "model", "id": name, "display_name": name, "created_at": UNKNOWN_TIME })
}

fn id_of(entry: &Value) -> Option<&str> {
    entry.get("id").and_then(Value::as_str)
}
