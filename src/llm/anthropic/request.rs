//! Reads the few fields of a request that the gateway decides by, and puts another model's id into its bytes.
//!
//! The walk sees every field of the top level and refuses what two parsers could read in two ways: a field
//! given twice, also with escapes in its name, or once more in another case (Go's decoder takes that one,
//! too). Otherwise a policy could be asked about one model and a provider for another.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{CallError, Code};
use crate::json::{self, Field, Kind, Value};
use crate::limits;
use crate::llm::usage::Terms;

/// What the gateway knows of a body for `/v1/messages` or `/v1/messages/count_tokens`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The model's name, 1 to `limits::MODEL_NAME_BYTES_MAX` bytes without control characters.
    pub model: String,
    /// Where the name stands in the body, between its quotes.
    pub model_span: Range<usize>,
    /// Whether an event stream is asked for; absent and `null` mean no.
    pub stream: bool,
    /// The most that may be written, where it is a whole number; whether it has to be there is the provider's
    /// say.
    pub max_tokens: Option<u64>,
    /// `thinking.budget_tokens`, where it is a whole number; a part of `max_tokens`, but for interleaved
    /// thinking, where it may be more.
    pub thinking_tokens: Option<u64>,
    /// What is asked for that a price depends on.
    pub terms: Terms,
    /// Whether there is an `inference_geo` that is no text, or too long a one, to be read.
    pub geo_unreadable: bool,
    /// Where the list of `tools` stands in the body, brackets included; [`tools`] reads it.
    ///
    /// [`tools`]: crate::llm::anthropic::tools
    pub tools: Option<Range<usize>>,
    /// The models that it names beside its own, each of which may answer too: in `fallbacks`, and in tools
    /// that are models. At most `limits::MODELS_BESIDE_MAX`.
    pub beside: Vec<String>,
    /// Bytes of the whole body, for an estimate of the tokens to read.
    pub body_bytes: usize,
}

/// Why a body is refused: a sentence for a developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not JSON at all.
    #[error("the body is not valid JSON: {0}")]
    NotJson(json::Fault),
    /// Another kind of JSON.
    #[error("the body must be a JSON object")]
    NotObject,
    /// A name with escapes in a body too large to be checked whole.
    #[error("names of fields must be written without escapes in a body of more than 1 MiB")]
    Escapes,
    /// One of the fields that we read, twice.
    #[error("the field `{0}` is given more than once")]
    Twice(&'static str),
    /// A field whose name another parser may take for one of ours.
    #[error("a field has the name `{0}` but for upper and lower case")]
    Alike(&'static str),
    /// The field has to be there.
    #[error("the field `model` is missing")]
    NoModel,
    /// It has to be a string.
    #[error("the field `model` must be a string")]
    ModelKind,
    /// Empty, too long or with control characters.
    #[error("the field `model` must have 1 to 256 bytes and no control characters")]
    ModelName,
    /// A model beside the request's own that cannot be read in one way only.
    #[error("a `model` in `fallbacks` or `tools` must be a string of 1 to 256 bytes, given once")]
    Beside,
    /// More models beside the request's own than anybody falls back to.
    #[error("`fallbacks` and `tools` name more than 16 models")]
    ManyBeside,
    /// It has to be a truth value.
    #[error("the field `stream` must be true or false")]
    StreamKind,
}

impl From<json::Fault> for Refusal {
    fn from(fault: json::Fault) -> Self {
        Self::NotJson(fault)
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::BadRequest).context(refusal.to_string())
    }
}

/// Reads a body in one pass over it.
///
/// # Errors
/// The first [`Refusal`]. Bodies whose nested values are not quite JSON may pass (see [`json`]); the provider
/// refuses those, and cannot read other top-level fields in them than we do.
pub fn read(body: &[u8]) -> Result<Request, Refusal> {
    read_along(body, |_field| Ok(()))
}

/// The same; `each` is shown every field of the top level on the way, so that nobody has to walk once more.
///
/// # Errors
/// The first [`Refusal`], or the first fault of `each`.
pub fn read_along(
    body: &[u8],
    mut each: impl FnMut(&Field<'_>) -> Result<(), json::Fault>,
) -> Result<Request, Refusal> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::NotObject);
    }
    let mut found = Found::default();
    json::fields(body, |field| {
        each(&field)?;
        found.take(field)
    })?;
    if found.escapes {
        check_whole(body)?;
    }
    let stream = match found.stream.map(|value| value.kind) {
        None | Some(Kind::Null | Kind::False) => false,
        Some(Kind::True) => true,
        Some(Kind::String | Kind::Number | Kind::Object | Kind::Array) => return Err(Refusal::StreamKind),
    };
    let model_span = found.model.ok_or(Refusal::NoModel)?.inner_span().ok_or(Refusal::ModelKind)?;
    let model = name_at(body, model_span.clone())?;
    let mut terms = Terms::default();
    for (name, value) in [
        ("service_tier", &found.service_tier),
        ("speed", &found.speed),
        ("inference_geo", &found.inference_geo),
    ] {
        value.iter().for_each(|value| terms.take(name.as_bytes(), body, value));
    }
    let mut beside = Vec::new();
    match &found.fallbacks {
        None => {}
        Some(value) if value.kind == Kind::Null => {}
        Some(value) if value.kind == Kind::Array => models_in(body, value, &mut beside)?,
        Some(_) => return Err(Refusal::Beside),
    }
    // Tools that are no list are for the provider to refuse.
    if let Some(value) = found.tools.as_ref().filter(|value| value.kind == Kind::Array) {
        models_in(body, value, &mut beside)?;
    }
    let no_geo = found.inference_geo.as_ref().is_none_or(|value| value.kind == Kind::Null);
    Ok(Request {
        geo_unreadable: !no_geo && terms.inference_geo.is_none(),
        model,
        model_span,
        stream,
        max_tokens: found.max_tokens.and_then(|value| value.as_u64(body)),
        thinking_tokens: found.thinking.and_then(|value| budget_of(body, value)),
        terms,
        tools: found.tools.filter(|value| value.kind == Kind::Array).map(|value| value.span),
        beside,
        body_bytes: body.len(),
    })
}

/// Adds the models that the objects of a list name.
fn models_in(body: &[u8], list: &Value, out: &mut Vec<String>) -> Result<(), Refusal> {
    // Most lists of tools name none. Letters can be escaped with a `u` only.
    let bytes = list.bytes(body);
    let spelt = memchr::memmem::find(bytes, b"odel\"").is_some();
    if !spelt && memchr::memmem::find(bytes, b"\\u").is_none() {
        return Ok(());
    }
    json::elements(body, list.span.clone(), |element| {
        if element.kind != Kind::Object {
            return Ok(());
        }
        let mut own = None;
        json::fields_at(body, element.span, |Field { key, value }| {
            let name = json::text(key.raw).map_err(|_fault| Refusal::Beside)?;
            if !name.eq_ignore_ascii_case("model") {
                return Ok(());
            }
            let span = value.inner_span().filter(|_| name == "model").ok_or(Refusal::Beside)?;
            let model = name_at(body, span).map_err(|_refusal| Refusal::Beside)?;
            if own.replace(model).is_some() { Err(Refusal::Beside) } else { Ok(()) }
        })?;
        if let Some(model) = own.filter(|model| !out.contains(model)) {
            if out.len() >= limits::MODELS_BESIDE_MAX {
                return Err(Refusal::ManyBeside);
            }
            out.push(model);
        }
        Ok::<(), Refusal>(())
    })
}

/// `budget_tokens` of `thinking`; nothing when that is not what it should be, which is for the provider to
/// say.
fn budget_of(body: &[u8], thinking: Value) -> Option<u64> {
    let mut budget = None;
    let walked: Result<(), json::Fault> = json::fields_at(body, thinking.span, |Field { key, value }| {
        if key.raw == b"budget_tokens" {
            budget = value.as_u64(body);
        }
        Ok(())
    });
    walked.ok().and(budget)
}

#[derive(Default)]
struct Found {
    model: Option<Value>,
    stream: Option<Value>,
    max_tokens: Option<Value>,
    thinking: Option<Value>,
    service_tier: Option<Value>,
    speed: Option<Value>,
    inference_geo: Option<Value>,
    tools: Option<Value>,
    fallbacks: Option<Value>,
    /// A name was written with escapes.
    escapes: bool,
}

impl Found {
    fn take(&mut self, Field { key, value }: Field<'_>) -> Result<(), Refusal> {
        let mut name = Cow::Borrowed(key.raw);
        if key.escaped {
            self.escapes = true;
            let text =
                json::text(key.raw).map_err(|fault| json::Fault::Escape { at: key.at + fault.at() })?;
            name = Cow::Owned(text.into_owned().into_bytes());
        }
        let ours = [
            ("model", &mut self.model),
            ("stream", &mut self.stream),
            ("max_tokens", &mut self.max_tokens),
            ("thinking", &mut self.thinking),
            ("service_tier", &mut self.service_tier),
            ("speed", &mut self.speed),
            ("inference_geo", &mut self.inference_geo),
            ("tools", &mut self.tools),
            ("fallbacks", &mut self.fallbacks),
        ];
        for (word, place) in ours {
            if !name.eq_ignore_ascii_case(word.as_bytes()) {
                continue;
            }
            if *name != *word.as_bytes() {
                return Err(Refusal::Alike(word));
            }
            if place.replace(value).is_some() {
                return Err(Refusal::Twice(word));
            }
            break;
        }
        Ok(())
    }
}

/// Reads all of an unusual body by the book.
fn check_whole(body: &[u8]) -> Result<(), Refusal> {
    if body.len() > limits::JSON_STRICT_BYTES_MAX {
        return Err(Refusal::Escapes);
    }
    Ok(json::strict(&mut body.to_vec())?)
}

fn name_at(body: &[u8], span: Range<usize>) -> Result<String, Refusal> {
    let start = span.start;
    let raw = body.get(span).unwrap_or_default();
    let name = json::text(raw).map_err(|fault| json::Fault::Escape { at: start + fault.at() })?;
    if name.is_empty() || name.len() > limits::MODEL_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Refusal::ModelName);
    }
    Ok(name.into_owned())
}

/// A body with another model's id, in three pieces of which only the middle one is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice<'a> {
    /// The body up to the opening quote of the model's name, that included.
    pub before: &'a [u8],
    /// The other id, escaped as it has to be between quotes.
    pub model: Cow<'a, str>,
    /// The body from the closing quote.
    pub after: &'a [u8],
}

impl Splice<'_> {
    /// Bytes of the three pieces together: the new `Content-Length`.
    pub fn total_bytes(&self) -> usize {
        self.before.len() + self.model.len() + self.after.len()
    }
}

/// Puts `model` in the place of the model's name; nothing when `request` was read from another body.
pub fn splice<'a>(body: &'a [u8], request: &Request, model: &'a str) -> Option<Splice<'a>> {
    let Range { start, end } = request.model_span;
    let (before, after) = (body.get(..start)?, body.get(end..)?);
    let fits = before.ends_with(b"\"") && after.starts_with(b"\"");
    fits.then(|| Splice { before, model: json::escape(model), after })
}
