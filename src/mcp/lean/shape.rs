//! What is written in place of parts of a tool's definition, by mode: made once a definition, for all.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::call::ToolMode;
use crate::json::write_string;
use crate::mcp::lean::brief::{brief_description, brief_schema};
use crate::mcp::lean::schema::{dedent, minify};
use crate::mcp::param_headers;

/// What is written in place of what a server wrote. Absent parts stay as they came; none is ever longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The value of `description`, with quotes.
    pub description: Option<Box<[u8]>>,
    /// The value of `inputSchema`.
    pub input_schema: Option<Box<[u8]>>,
}

/// The shapes of one definition, each made when somebody first asks.
#[derive(Clone, Debug, Default)]
pub(in crate::mcp) struct Shapes {
    native: OnceLock<Shape>,
    lean: OnceLock<Shape>,
}

/// What can be made again from the definition says nothing about it.
impl PartialEq for Shapes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Shapes {}

/// The parts of a definition that a model reads.
#[derive(Clone, Debug)]
pub(in crate::mcp) struct Parts<'a> {
    /// The description, and the bytes that it takes as written, with its quotes.
    pub(in crate::mcp) description: Option<(Cow<'a, str>, usize)>,
    /// The value of `inputSchema`.
    pub(in crate::mcp) input_schema: &'a [u8],
}

impl Shapes {
    /// The shape for a mode; none where nothing is ever changed.
    pub(in crate::mcp) fn of<'p>(&self, mode: ToolMode, parts: impl FnOnce() -> Parts<'p>) -> Option<&Shape> {
        match mode {
            ToolMode::Raw => None,
            // Who asks for it whole gets it as others do.
            ToolMode::Native | ToolMode::Search | ToolMode::Jit | ToolMode::Code => {
                Some(self.native.get_or_init(|| native(&parts())))
            }
            ToolMode::Lean => Some(self.lean.get_or_init(|| lean(&parts()))),
        }
    }
}

fn native(parts: &Parts<'_>) -> Shape {
    let words = |words: &str| dedent(words).into_owned();
    Shape { description: described(parts, &words), input_schema: schema(parts.input_schema, minify) }
}

fn lean(parts: &Parts<'_>) -> Shape {
    let native = native(parts);
    Shape {
        description: described(parts, &brief_description).or(native.description),
        input_schema: schema(parts.input_schema, brief_schema).or(native.input_schema),
    }
}

/// The words of a description made shorter; nothing where no word would be left, or nothing be won.
fn described(parts: &Parts<'_>, shorter: &dyn Fn(&str) -> String) -> Option<Box<[u8]>> {
    let (words, written) = parts.description.as_ref()?;
    let words = shorter(words);
    let mut out = Vec::with_capacity(words.len() + 2);
    write_string(&mut out, &words);
    (!words.is_empty() && out.len() < *written).then(|| out.into())
}

/// A schema made smaller. Clients repeat marked parameters as headers by the schema that they see, so that is
/// left alone where the marks would not be the same.
fn schema(original: &[u8], smaller: fn(&[u8]) -> Cow<'_, [u8]>) -> Option<Box<[u8]>> {
    let Cow::Owned(small) = smaller(original) else { return None };
    let marked = memchr::memmem::find(original, param_headers::MARK.as_bytes()).is_some();
    let same = !marked || param_headers::read(original) == param_headers::read(&small);
    (same && small.len() < original.len()).then(|| small.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::call::ToolMode;
    use crate::mcp::changes::Changes;
    use crate::mcp::definition::{Definition, ItemKind};
    use crate::mcp::store::Store;

    fn tool(raw: &str) -> Arc<Definition> {
        Store::new().intern(ItemKind::Tool, raw.as_bytes()).unwrap()
    }

    fn written(tool: &Definition, mode: ToolMode, description: Option<&str>) -> String {
        let mut out = Vec::new();
        let changes = Changes { shape: tool.shape(mode), description, ..Changes::default() };
        tool.write(changes, &mut out);
        String::from_utf8(out).unwrap()
    }

    const TOOL: &str = concat!(
        r#"{"name":"a","title":"A","description":"Finds it.\n    Slowly, in all places.\n","#,
        r#""inputSchema": {"$schema":"http://json-schema.org/draft-07/schema#","type":"object","#,
        r#""properties":{"q":{"type":"string","title":"Q","description":"What. Any words."}},"#,
        r#""additionalProperties":false},"#,
        r#""annotations":{"readOnlyHint":true}}"#
    );

    #[test]
    fn each_mode_says_what_it_promises_and_the_rest_stays() {
        let tool = tool(TOOL);
        let native = concat!(
            r#"{"name":"a","title":"A","description":"Finds it.\nSlowly, in all places.","#,
            r#""inputSchema": {"type":"object","properties":"#,
            r#"{"q":{"type":"string","description":"What. Any words."}},"additionalProperties":false},"#,
            r#""annotations":{"readOnlyHint":true}}"#
        );
        let lean = concat!(
            r#"{"name":"a","title":"A","description":"Finds it.","#,
            r#""inputSchema": {"type":"object","properties":{"q":{"type":"string","description":"What."}}},"#,
            r#""annotations":{"readOnlyHint":true}}"#
        );
        assert_eq!(written(&tool, ToolMode::Raw, None), TOOL);
        assert_eq!(written(&tool, ToolMode::Native, None), native);
        assert_eq!(written(&tool, ToolMode::Lean, None), lean);
        // Words of the config are not cut.
        let own = written(&tool, ToolMode::Lean, Some("One. Two."));
        assert!(own.contains(r#""description":"One. Two.","inputSchema": {"type":"object","#), "{own}");
    }

    #[test]
    fn no_mode_changes_what_the_tool_is() {
        let (one, other) = (tool(TOOL), tool(TOOL));
        let hash = one.canonical_hash();
        for mode in ToolMode::ALL {
            written(&one, mode, None);
        }
        assert_eq!((one.canonical_hash(), &one), (hash, &other));
        assert_eq!(one.raw(), TOOL.as_bytes());
    }

    #[test]
    fn parameters_that_are_headers_stay_so() {
        let raw = r#"{"name":"a","inputSchema":{"type":"object","title":"T","properties":
            {"region":{"type":"string","x-mcp-header":"Region","description":"Where. Of all."}}}}"#;
        for mode in [ToolMode::Native, ToolMode::Lean] {
            let tool = tool(raw);
            let again = self::tool(&written(&tool, mode, None));
            assert_eq!((again.param_headers(), tool.param_headers().len()), (tool.param_headers(), 1));
        }
    }

    #[test]
    fn nothing_is_left_without_words() {
        let raw = r#"{"name":"a","description":" \n ","inputSchema":{"type":"object"}}"#;
        for mode in ToolMode::ALL {
            assert_eq!(written(&tool(raw), mode, None), raw);
        }
    }
}
