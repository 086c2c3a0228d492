//! Callers that speak one of OpenAI's dialects: their requests in Anthropic's form, on the same way as all
//! others, and as they came where a target speaks as they do.

use std::rc::Rc;

use crate::call::Endpoint;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::foreign;
use crate::gateway::record::Record;
use crate::gateway::request_body::Whole;
use crate::gateway::stream_back::listener::Listener;
use crate::gateway::worker::Worker;
use crate::json::Fault;
use crate::llm::anthropic::request::{self, Request};
use crate::llm::conversation::Refusal;
use crate::llm::inward::passing::{self, Asked};
use crate::llm::inward::{self, Along, Dialect, Inward, Native, Setup, Voice};
use crate::llm::loss::Losses;
use crate::llm::speech::Speech;
use crate::llm::vertex;
use crate::net::buffer::Buffer;
use crate::policy::guards::Act;
use crate::route::model::{Plan, Target};
use crate::secret::Secret;
use crate::upstream::message::{Message, Part};
use crate::upstream::provider::Provider;

/// How a caller speaks that does not speak Anthropic's dialect.
#[derive(Debug)]
pub(super) struct Tongue {
    dialect: Dialect,
    /// What was read of the body as it came.
    request: Request,
    asked: Asked,
    /// Why it cannot be said in Anthropic's form: then only those can be asked who speak as the caller does.
    refusal: Option<Refusal>,
    /// What was lost in Anthropic's form, until it has been told.
    losses: Losses,
    /// The answer has a chunk of usage that only the meter has asked for.
    hides_usage: bool,
}

/// The dialect of an address, where it is not Anthropic's.
pub(super) const fn dialect_of(endpoint: Endpoint) -> Option<Dialect> {
    match endpoint {
        Endpoint::ChatCompletions => Some(Dialect::Chat),
        Endpoint::Responses => Some(Dialect::Responses),
        _ => None,
    }
}

/// Reads a request as it came: what price, place and policy depend on is what the caller has written.
///
/// # Errors
/// 400 for what cannot be read.
pub(super) fn read(whole: &Whole, record: &mut Record) -> Result<Request, CallError> {
    let (dialect, body) = (dialect_of(record.endpoint), whole.body());
    let mut asked = Asked::default();
    let request = match dialect {
        None => request::read(body)?,
        Some(_) => request::read_along(body, |field| asked.see(body, field))?,
    };
    record.model.clone_from(&request.model);
    let Some(dialect) = dialect else { return Ok(request) };
    record.tongue = Some(Box::new(Tongue {
        dialect,
        request: request.clone(),
        asked,
        refusal: None,
        losses: Losses::default(),
        hides_usage: false,
    }));
    Ok(request)
}

/// Says a request in Anthropic's form where it is in another, unless nobody has to read it in that one.
///
/// # Errors
/// 503 without memory for the other form.
pub(super) async fn say(
    worker: &Worker,
    snapshot: &Snapshot,
    (whole, request): (Whole, Request),
    plan: &Plan<'_>,
    record: &mut Record,
) -> Result<(Whole, Request), CallError> {
    let only_passes = only_passes(snapshot, plan, record);
    let Some(tongue) = &mut record.tongue else { return Ok((whole, request)) };
    let as_it_came = Request { max_tokens: tongue.asked.most(), ..request };
    if only_passes {
        return Ok((whole, as_it_came));
    }
    match inward::read(tongue.dialect, whole.body()) {
        Ok(Inward { body, losses }) => {
            tongue.losses = losses;
            let anew = request::read(&body)?;
            let Request { terms, geo_unreadable, beside, .. } = as_it_came;
            let request = Request { terms, geo_unreadable, beside, ..anew };
            let share = worker.budget.take(body.len()).await?;
            Ok((whole.said_anew(&body, share), request))
        }
        Err(refusal) => {
            tongue.refusal = Some(refusal);
            Ok((whole, as_it_came))
        }
    }
}

/// Whether a request will be sent as it came, whoever of the plan takes it, and nobody here looks into what
/// is said in it: no rule that chooses other targets, no target with conditions, no guard.
fn only_passes(snapshot: &Snapshot, plan: &Plan<'_>, record: &Record) -> bool {
    let guarding = snapshot.guards.of(record.team.as_ref());
    guarding.inputs.is_empty()
        && guarding.requests.act == Act::Off
        && snapshot.routes.rules().is_empty()
        && plan.targets.iter().all(|target| target.fit.is_free() && passes(snapshot, target, record))
}

/// Leaves out the targets that could not be told what is asked, where it cannot be said in Anthropic's form.
///
/// # Errors
/// 400 with the field when nobody is left.
pub(super) fn narrow(snapshot: &Snapshot, record: &Record, plan: &mut Plan<'_>) -> Result<(), CallError> {
    let Some(refusal) = record.tongue.as_ref().and_then(|tongue| tongue.refusal.as_ref()) else {
        return Ok(());
    };
    plan.retain(|target| passes(snapshot, target, record));
    if plan.targets.is_empty() { Err(refusal.clone().into()) } else { Ok(()) }
}

/// Whether a request goes to a target as it came. Where uses of tools are watched it does not: they are
/// watched in Anthropic's form.
pub(super) fn passes(snapshot: &Snapshot, target: &Target, record: &Record) -> bool {
    let Some(tongue) = record.tongue.as_ref().filter(|_| record.watch.is_none()) else { return false };
    matches!(
        (tongue.dialect, snapshot.speech(target.provider)),
        (Dialect::Chat, Some(Speech::Chat(_))) | (Dialect::Responses, Some(Speech::Responses(_)))
    )
}

/// The request for a target that speaks as the caller does: its body with at most the model's id replaced,
/// without thoughts that only we can open, and with the wish for usage where the meter would have none.
///
/// # Errors
/// 400 for a body in which such thoughts cannot be found because it is not JSON.
pub(super) fn pass(
    (speech, provider): (Option<&Speech>, &Provider),
    caller: &mut Caller,
    whole: &Whole,
    model: Option<&str>,
    record: &mut Record,
) -> Result<Message, CallError> {
    let whole = whole.as_it_came();
    let Some(tongue) = &mut record.tongue else { return Ok(Message::bare(Buffer::empty())) };
    let stream = tongue.request.stream;
    let tells = matches!(speech, Some(Speech::Chat(chat)) if chat.takes.usage_in_stream);
    tongue.hides_usage = stream && tells && !tongue.asked.usage;
    let own = match tongue.dialect {
        Dialect::Chat if tongue.hides_usage => {
            Some(passing::with_usage(whole.body(), &tongue.request, tongue.asked, model))
        }
        Dialect::Chat => None,
        Dialect::Responses => without_thoughts(whole.body(), model)?,
    };
    let (length, body) = match own {
        Some(body) => {
            let length = body.len();
            (length, [Some((Rc::new(Buffer::from(&body[..])), 0..length)), None, None])
        }
        None => spliced(whole, &tongue.request, model),
    };
    let path = match tongue.dialect {
        Dialect::Chat => "/chat/completions",
        Dialect::Responses => "/responses",
    };
    let betas = betas(caller, whole);
    foreign::write_head_with(&mut caller.out, provider, path, (length as u64, stream), &betas);
    Ok(Message::with_body(Buffer::from(&caller.out[..]), body))
}

/// A body for Responses with another model's id, where one is given, and without thoughts of ours; nothing
/// where there are none.
fn without_thoughts(body: &[u8], model: Option<&str>) -> Result<Option<Vec<u8>>, CallError> {
    let fault = |fault: Fault| CallError::new(Code::BadRequest).context(fault.to_string());
    let Some(body) = inward::without_thoughts(body).map_err(fault)? else { return Ok(None) };
    let request = request::read(&body)?;
    Ok(Some(match model.and_then(|model| request::splice(&body, &request, model)) {
        Some(splice) => [splice.before, splice.model.as_bytes(), splice.after].concat(),
        None => body,
    }))
}

/// What a caller says of the betas that it speaks by. Whose account pays is no word of the caller's: its
/// organisation and project stay here.
fn betas(caller: &Caller, whole: &Whole) -> Vec<(&'static str, Secret)> {
    let lines = caller.head.headers.iter(whole.buffer.filled());
    let lines = lines.filter(|(name, _)| name.eq_ignore_ascii_case(b"openai-beta"));
    lines.filter_map(|(_, value)| Some(("openai-beta", Secret::new(str::from_utf8(value).ok()?)))).collect()
}

/// A body with at most the model's id replaced: its length and its pieces.
pub(super) fn spliced(whole: &Whole, request: &Request, model: Option<&str>) -> (usize, [Option<Part>; 3]) {
    let part = |from: usize, to: usize| Some((Rc::clone(&whole.buffer), from..to));
    let (start, end) = (whole.body.start, whole.body.end);
    match model.and_then(|model| request::splice(whole.body(), request, model)) {
        None => (whole.body().len(), [part(start, end), None, None]),
        Some(splice) => {
            let model = Rc::new(Buffer::from(splice.model.as_bytes()));
            let model_bytes = model.len();
            let (before, after) = (start + splice.before.len(), end - splice.after.len());
            let pieces = [part(start, before), Some((model, 0..model_bytes)), part(after, end)];
            (splice.total_bytes(), pieces)
        }
    }
}

/// Marks on the entry of the ledger, once, what was lost in Anthropic's form.
pub(super) fn mark(record: &mut Record) {
    if let Some(tongue) = &mut record.tongue {
        let losses = std::mem::take(&mut tongue.losses);
        foreign::mark(record, &losses);
    }
}

/// Who listens to an answer in Anthropic's form that has to be said anew; nothing where it passes.
pub(super) fn native<'a>(record: &Record, stream: bool) -> Option<Listener<'a>> {
    record.tongue.as_ref().map(|_| Listener::Native(Box::new(Native::new(stream))))
}

/// The same for an answer of a cloud.
pub(super) fn of_cloud<'a>(listener: Listener<'a>, record: &Record, stream: bool) -> Listener<'a> {
    match listener {
        Listener::Vertex(_) if record.tongue.is_some() => {
            Listener::Native(Box::new(Native::of_cloud(stream, vertex::read_error)))
        }
        listener => listener,
    }
}

/// Who says the answer in the caller's dialect, where that is not Anthropic's.
pub(super) fn voice(record: &Record, stream: bool) -> Option<Box<Voice>> {
    let tongue = record.tongue.as_ref()?;
    let setup = Setup {
        call: record.id,
        model: record.model.as_str().into(),
        created_s: record.at_ms / 1_000,
        stream,
        usage: tongue.asked.usage,
        seals: tongue.asked.seals,
    };
    Some(Box::new(Voice::new(tongue.dialect, setup)))
}

/// Who reads along in an answer that passes in the caller's dialect.
pub(super) fn along(record: &Record) -> Option<Box<Along>> {
    let tongue = record.tongue.as_ref()?;
    Some(Box::new(Along::new(tongue.dialect, tongue.hides_usage)))
}

impl Tongue {
    /// Whether the body is in no form that anybody here can look into.
    pub(super) const fn is_untold(&self) -> bool {
        self.refusal.is_some()
    }
}
