//! Results on their way from one era to the other.
//!
//! No revision closes its results, so a modern result is a valid legacy one and keeps what it has. Only what
//! a legacy client cannot parse is taken out, and only what a modern client must find is put in.

use std::borrow::Cow;

use crate::json::Kind;
use crate::mcp::bridge::members::{Change, Fault, Members};

/// What a result has to say beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// `resultType`.
    Plain,
    /// `resultType`, `ttlMs` and `cacheScope`: lists, reads and discovery.
    Cacheable,
}

impl ResultKind {
    /// The kind of the results of a method.
    pub fn of(method: &str) -> Self {
        match method {
            "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "server/discover" => Self::Cacheable,
            _ => Self::Plain,
        }
    }
}

/// What `resultType` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// `complete`, or nothing, as legacy servers have it.
    Complete,
    /// `input_required`: requests to the client are inside.
    InputRequired,
    /// `task`: the work goes on, under an id.
    Task,
    /// A word of an extension that we do not know.
    Other,
}

/// Reads `resultType` of a result.
///
/// # Errors
/// Any [`Fault`]; a `resultType` that is no string is a wrong shape.
pub fn result_type(result: &[u8]) -> Result<ResultType, Fault> {
    let members = Members::read(result)?;
    if members.value("resultType").is_none() {
        return Ok(ResultType::Complete);
    }
    let word = members.text("resultType")?.ok_or(Fault::Shape("`resultType`"))?;
    Ok(match &*word {
        "complete" => ResultType::Complete,
        "input_required" => ResultType::InputRequired,
        "task" => ResultType::Task,
        _ => ResultType::Other,
    })
}

/// A legacy server's result as a modern client must have it: complete, and when it says nothing about being
/// kept, not to be kept. A legacy server that writes another `resultType` is overruled: `input_required`
/// would pass by the gate of capabilities, and its client could answer nobody.
///
/// # Errors
/// Any [`Fault`].
pub fn result_for_modern(result: &[u8], kind: ResultKind) -> Result<Cow<'_, [u8]>, Fault> {
    let members = Members::read(result)?;
    let mut changes = Vec::new();
    if members.text("resultType")?.as_deref() != Some("complete") {
        changes.push(Change::Set("resultType", b"\"complete\""));
    }
    if kind == ResultKind::Cacheable {
        if members.number("ttlMs").is_none() {
            changes.push(Change::Set("ttlMs", b"0"));
        }
        if !matches!(members.text("cacheScope")?.as_deref(), Some("public" | "private")) {
            changes.push(Change::Set("cacheScope", b"\"private\""));
        }
    }
    members.changed(&changes)
}

/// A modern server's result as a legacy client can read it: without `structuredContent` that is no object.
///
/// # Errors
/// Any [`Fault`].
pub fn result_for_legacy(result: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    let members = Members::read(result)?;
    let odd = members.value("structuredContent").is_some_and(|value| value.kind != Kind::Object);
    members.changed(if odd { &[Change::Drop("structuredContent")] } else { &[] })
}
