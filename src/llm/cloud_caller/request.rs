//! Makes a request for `/v1/messages` of one for a cloud: the bytes of its members stay as they were written.

use std::borrow::Cow;

use crate::base64;
use crate::json::{self, Field, Kind, Value};
use crate::limits;
use crate::llm::cloud_caller::{Cloud, Operation};
use crate::llm::conversation::{Refusal, Why};

/// A request for `/v1/messages`, or for `/v1/messages/count_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The body.
    pub body: Vec<u8>,
    /// What the body said of betas, for the header.
    pub betas: Vec<String>,
}

/// Fields that say how an answer is written, which counting at Anthropic does not take.
const OF_ANSWERS: &[&str] =
    &["max_tokens", "metadata", "service_tier", "stop_sequences", "temperature", "top_k", "top_p"];

/// Makes the request of a `body` for an operation of a cloud; `model` is that of the path, empty where the
/// body names it.
///
/// # Errors
/// A [`Refusal`] that names what cannot be read.
pub fn as_messages(cloud: Cloud, operation: Operation, model: &str, body: &[u8]) -> Result<Said, Refusal> {
    let counts = operation == Operation::Count;
    let inner =
        if cloud == Cloud::Bedrock && counts { Cow::Owned(counted(body)?) } else { Cow::Borrowed(body) };
    let body = &*inner;
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new("body", Why::Kind("a JSON object")));
    }
    let mut out = Vec::with_capacity(body.len() + model.len() + 64);
    out.push(b'{');
    if !model.is_empty() {
        out.extend_from_slice(b"\"model\":");
        json::write_string(&mut out, model);
    }
    if operation == Operation::Stream {
        next(&mut out);
        out.extend_from_slice(b"\"stream\":true");
    }
    let mut betas = Vec::new();
    json::fields(body, |Field { key, value }| {
        let name = json::text(key.raw)?;
        match &*name {
            // The path says it.
            "anthropic_version" | "stream" => return Ok(()),
            "anthropic_beta" => return read_betas(body, &value, &mut betas),
            "model" if !model.is_empty() => {
                return Err(Refusal::new(name, Why::Unsupported("the path names the model")));
            }
            name if counts && OF_ANSWERS.contains(&name) => return Ok(()),
            _ => {}
        }
        next(&mut out);
        // From the opening quote of its name.
        out.extend_from_slice(body.get(key.at.saturating_sub(1)..value.span.end).unwrap_or_default());
        Ok::<(), Refusal>(())
    })?;
    out.push(b'}');
    Ok(Said { body: out, betas })
}

fn next(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

/// `anthropic_beta`: a list of names.
fn read_betas(body: &[u8], value: &Value, betas: &mut Vec<String>) -> Result<(), Refusal> {
    let wrong = || Refusal::new("anthropic_beta", Why::Kind("a list of names of betas"));
    if value.kind == Kind::Null {
        return Ok(());
    }
    if value.kind != Kind::Array {
        return Err(wrong());
    }
    json::elements(body, value.span.clone(), |element| {
        let text = element.inner(body).ok_or_else(wrong)?;
        let name = json::text(text)?;
        let fits = (1..=limits::BETA_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        if !fits || betas.len() >= limits::BETAS_MAX {
            return Err(wrong());
        }
        betas.push(name.into_owned());
        Ok(())
    })
}

/// The body inside of `{"input":{"invokeModel":{"body":"<base64>"}}}`.
fn counted(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let within = |doc: &[u8], name: &str| -> Result<Option<Value>, Refusal> {
        let mut found = None;
        json::fields(doc, |Field { key, value }| {
            if key.raw == name.as_bytes() {
                found = Some(value);
            }
            Ok::<(), Refusal>(())
        })?;
        Ok(found)
    };
    let wrong = || Refusal::new("input", Why::Kind("an object with the body of `invokeModel`, in base64"));
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new("body", Why::Kind("a JSON object")));
    }
    let input = within(body, "input")?.filter(|it| it.kind == Kind::Object).ok_or_else(wrong)?;
    let input = input.bytes(body);
    let invoke = within(input, "invokeModel")?.filter(|it| it.kind == Kind::Object).ok_or_else(wrong)?;
    let invoke = invoke.bytes(input);
    let inner = within(invoke, "body")?.ok_or_else(wrong)?;
    let digits = json::text(inner.inner(invoke).ok_or_else(wrong)?)?;
    base64::decode_padded(digits.as_bytes()).ok_or_else(wrong)
}
