//! Reads the definitions of tools in a request: their names, their length, what they let a provider do.
//!
//! Only the list is walked, and of each definition the names of its own members. What a client defines twice
//! is told twice; what breaks off is told up to there.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{self, Fault, Field, Key, Kind, Value};

/// One definition of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool<'a> {
    /// Its name, as a `tool_use` will say it; empty when it has none.
    pub name: Cow<'a, str>,
    /// The kind of a tool that the provider brings along, such as `web_search_20250305`; empty for those
    /// that the client defines.
    pub kind: Cow<'a, str>,
    /// Bytes of the definition as it is written.
    pub bytes: usize,
    /// Whether the model reads it only after it has looked for it.
    pub deferred: bool,
    /// How often the provider may use it in one answer; the largest number where several are given.
    pub max_uses: Option<u64>,
}

/// What `tool` has to begin with to be a search of the web, which the provider takes a fee for.
const WEB_SEARCH: &str = "web_search";

impl Tool<'_> {
    /// Whether the provider searches the web with it: for a fee, unless it is a tool of the client's with
    /// such a name.
    pub fn is_web_search(&self) -> bool {
        self.kind.starts_with(WEB_SEARCH)
    }
}

/// Visits the definitions of the list at `span` of `body`, which is that of [`Request::tools`]. Those of
/// OpenAI's dialects are read as well: Chat Completions has the name one level deeper.
///
/// [`Request::tools`]: crate::llm::anthropic::request::Request::tools
///
/// # Errors
/// The first [`Fault`]; what stands before it has been visited. What is no object is passed over.
pub fn read<'a>(body: &'a [u8], span: Range<usize>, mut visit: impl FnMut(Tool<'a>)) -> Result<(), Fault> {
    json::elements(body, span, |element| {
        if element.kind == Kind::Object {
            visit(tool(body, element.span)?);
        }
        Ok(())
    })
}

fn tool(body: &[u8], span: Range<usize>) -> Result<Tool<'_>, Fault> {
    let mut tool = Tool { bytes: span.len(), ..Tool::default() };
    json::fields_at(body, span, |Field { key, value }| {
        match &*name(&key)? {
            "name" => tool.name = word(body, &value),
            "function" if value.kind == Kind::Object => tool.name = name_in(body, value)?,
            "type" if !matches!(value.inner(body), Some(b"custom" | b"function")) => {
                tool.kind = word(body, &value)
            }
            "defer_loading" => tool.deferred = value.kind == Kind::True,
            "max_uses" => tool.max_uses = tool.max_uses.max(value.as_u64(body)),
            _ => {}
        }
        Ok::<_, Fault>(())
    })?;
    Ok(tool)
}

/// The name in the inner object of a tool.
fn name_in<'a>(body: &'a [u8], inner: Value) -> Result<Cow<'a, str>, Fault> {
    let mut found = Cow::default();
    json::fields_at(body, inner.span, |Field { key, value }| {
        if name(&key)? == "name" {
            found = word(body, &value);
        }
        Ok::<_, Fault>(())
    })?;
    Ok(found)
}

fn name<'a>(key: &Key<'a>) -> Result<Cow<'a, str>, Fault> {
    json::text(key.raw).map_err(|fault| Fault::Escape { at: key.at + fault.at() })
}

fn word<'a>(body: &'a [u8], value: &Value) -> Cow<'a, str> {
    value.inner(body).and_then(|raw| json::text(raw).ok()).unwrap_or_default()
}
