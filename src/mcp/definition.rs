//! One definition of a tool, prompt, resource or template: its bytes as the server wrote them, and the facts.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use crate::call::{Class, ToolMode};
use crate::json::{Fault, Field, Kind, Value, fields, fields_at, text, write_string};
use crate::limits;
use crate::mcp::canonical::{Ambiguous, canonical, name};
use crate::mcp::changes::Changes;
use crate::mcp::lean::shape::{Parts, Shape, Shapes};
use crate::mcp::meta_marks::Marks;
use crate::mcp::param_headers::{self, ParamHeader};

/// What a list is a list of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemKind {
    /// `tools/list`.
    Tool,
    /// `prompts/list`.
    Prompt,
    /// `resources/list`.
    Resource,
    /// `resources/templates/list`.
    Template,
}

impl ItemKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Resource, Self::Template];

    /// The method that lists them.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tool => "tools/list",
            Self::Prompt => "prompts/list",
            Self::Resource => "resources/list",
            Self::Template => "resources/templates/list",
        }
    }

    /// The member of the result that holds them.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource => "resources",
            Self::Template => "resourceTemplates",
        }
    }

    /// The member of an item by which it is asked for.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Resource => "uri",
            Self::Template => "uriTemplate",
        }
    }

    /// Bytes that the value of that member may have.
    const fn key_bytes_max(self) -> usize {
        match self {
            Self::Tool | Self::Prompt => limits::MCP_NAME_BYTES_MAX,
            Self::Resource | Self::Template => limits::MCP_URI_BYTES_MAX,
        }
    }
}

/// Why an item of a list is left out. One item that is wrong makes callers refuse the whole list, so we are
/// as strict as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is no JSON, or has two members of one name.
    #[error(transparent)]
    Ambiguous(#[from] Ambiguous),
    /// A required member is missing.
    #[error("it has no `{0}`")]
    Missing(&'static str),
    /// A member is of another kind than the specification says, or empty where it must not be.
    #[error("its `{0}` is not what it has to be")]
    Member(&'static str),
    /// It, or the name it goes by, is over a bound.
    #[error("its {what} is over {most} bytes")]
    TooLarge {
        /// What of it.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// An `x-mcp-header` breaks the rules for it; the specification has clients drop the tool.
    #[error("an `x-mcp-header` of it {0}")]
    ParamHeader(#[from] param_headers::Invalid),
    /// The server has listed another item under this name or URI before.
    #[error("the server lists another one by the same name")]
    Again,
    /// The list is longer than what is kept of it.
    #[error("the list is too long")]
    Full,
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Ambiguous(Ambiguous::Json(fault))
    }
}

/// What a server claims of a tool; to be believed of trusted servers only. Absent hints are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// What it changes may be lost.
    pub destructive: Option<bool>,
    /// Calling it twice does what calling it once does.
    pub idempotent: Option<bool>,
    /// It reaches out of the server's own world.
    pub open_world: Option<bool>,
}

impl Annotations {
    /// The class that they claim. Who says only that a tool does not just look may mean that it destroys, but
    /// has not said so.
    pub const fn class(self) -> Class {
        match (self.read_only, self.destructive) {
            (Some(true), _) => Class::Read,
            (_, Some(true)) => Class::Destructive,
            (Some(false), _) | (_, Some(false)) => Class::Write,
            (None, None) => Class::Unknown,
        }
    }
}

/// Whether a tool of revision 2025-11-25 runs as a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskSupport {
    /// Never; so does a tool that says nothing, or something that nobody knows.
    #[default]
    Forbidden,
    /// When it is asked to.
    Optional,
    /// Always: other calls are refused.
    Required,
}

/// A definition, immutable. Made by `store::Store` only, so that equal ones are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    kind: ItemKind,
    /// A valid JSON object without repeated members, at most `limits::MCP_DEFINITION_BYTES_MAX`.
    raw: Bytes,
    key: Box<str>,
    canonical: u128,
    places: Places,
    annotations: Annotations,
    task_support: TaskSupport,
    param_headers: Box<[ParamHeader]>,
    shapes: Shapes,
}

/// Where things stand in the raw bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    /// The value of the key member, with quotes.
    key: Range<usize>,
    /// The value of `title`, with quotes.
    title: Option<Range<usize>>,
    /// The value of `description`, with quotes.
    description: Option<Range<usize>>,
    /// The value of `inputSchema`.
    input_schema: Option<Range<usize>>,
    /// The value of `outputSchema`.
    output_schema: Option<Range<usize>>,
    /// What has to go for `outputSchema` to be gone: the member and one comma. Only where its root is no
    /// object.
    loose_output: Option<Range<usize>>,
    /// The value of `annotations`.
    annotations: Option<Range<usize>>,
    /// What stands in `_meta`.
    marks: Marks,
    /// The value of `execution.taskSupport` that says `required`, with quotes.
    only_as_task: Option<Range<usize>>,
}

impl Definition {
    /// Reads a definition. Expensive: all of it is checked.
    pub(super) fn read(kind: ItemKind, raw: &[u8]) -> Result<Self, Broken> {
        if raw.len() > limits::MCP_DEFINITION_BYTES_MAX {
            return Err(Broken::TooLarge { what: "definition", most: limits::MCP_DEFINITION_BYTES_MAX });
        }
        let mut form = Vec::with_capacity(raw.len() + 1);
        let seen = canonical(raw, &mut form)?;
        let mut reader = Reader::new(raw, kind);
        reader.members()?;
        let key = reader.key.ok_or_else(|| Broken::Missing(kind.key()))?;
        if kind == ItemKind::Tool && reader.places.input_schema.is_none() {
            return Err(Broken::Missing("inputSchema"));
        }
        if !reader.named {
            return Err(Broken::Missing("name"));
        }
        let marked = reader.places.input_schema.clone().filter(|_| seen.header_mark);
        let param_headers = match marked.and_then(|span| raw.get(span)) {
            Some(schema) => param_headers::read(schema)?,
            None => Box::default(),
        };
        Ok(Self {
            kind,
            raw: Bytes::copy_from_slice(raw),
            key: key.into(),
            canonical: xxh3_128(&form),
            places: reader.places,
            annotations: reader.annotations,
            task_support: reader.task_support,
            param_headers,
            shapes: Shapes::default(),
        })
    }

    /// What it defines.
    pub const fn kind(&self) -> ItemKind {
        self.kind
    }

    /// Its bytes as the server wrote them.
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// What the server calls it: the name of a tool or prompt, a URI, a URI template.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A hash of its canonical form: equal for all notations of one meaning, on every machine. Not proof
    /// against somebody who looks for two meanings with one hash; see `diff`, which compares the forms.
    pub const fn canonical_hash(&self) -> u128 {
        self.canonical
    }

    /// What the server claims of it.
    pub const fn annotations(&self) -> Annotations {
        self.annotations
    }

    /// What it does to the world: what the config says of it, else what its server says, if that is believed.
    pub fn class(&self, by_config: Option<Class>, trusted: bool) -> Class {
        match by_config {
            Some(class) => class,
            None if trusted => self.annotations.class(),
            None => Class::Unknown,
        }
    }

    /// Whether it runs as a task of revision 2025-11-25; of no meaning unless its server offers those.
    pub const fn task_support(&self) -> TaskSupport {
        self.task_support
    }

    /// Parameters that a call repeats as headers, in the order of their paths; at most
    /// `limits::MCP_PARAM_HEADERS_MAX`.
    pub fn param_headers(&self) -> &[ParamHeader] {
        &self.param_headers
    }

    /// Its title for people.
    pub fn title(&self) -> Option<Cow<'_, str>> {
        self.string(self.places.title.as_ref())
    }

    /// Its description for models.
    pub fn description(&self) -> Option<Cow<'_, str>> {
        self.string(self.places.description.as_ref())
    }

    /// The bytes of `inputSchema`; every tool has one, with `"type": "object"` at its root.
    pub fn input_schema(&self) -> Option<&[u8]> {
        self.raw.get(self.places.input_schema.clone()?)
    }

    /// The bytes of `outputSchema`.
    pub fn output_schema(&self) -> Option<&[u8]> {
        self.raw.get(self.places.output_schema.clone()?)
    }

    /// Whether it has an `outputSchema` that is not an object at its root, which came with revision
    /// 2026-07-28: its results may have a `structuredContent` that legacy callers refuse.
    pub const fn has_loose_output(&self) -> bool {
        self.places.loose_output.is_some()
    }

    /// Its shape for a mode, made once; none where it is written as it came. For tools alone.
    pub fn shape(&self, mode: ToolMode) -> Option<&Shape> {
        let input_schema = self.input_schema()?;
        self.shapes.of(mode, || {
            let written = self.places.description.as_ref().map_or(0, Range::len);
            let description = self.description().map(|words| (words, written));
            Parts { description, input_schema }
        })
    }

    /// Appends it with `changes`; where nothing changes, byte for byte as it came but for line ends, which
    /// become spaces so that it fits into a line. A tool that runs as a task only may be called in any way
    /// here, so it says `optional`.
    pub fn write<'s>(&'s self, changes: Changes<'s>, out: &mut Vec<u8>) {
        let mut cuts: Vec<(Range<usize>, Cow<'s, [u8]>)> = Vec::new();
        if let Some(key) = changes.key.filter(|key| **key != *self.key) {
            cuts.push((self.places.key.clone(), quoted(b"", key)));
        }
        if let Some(description) = changes.description {
            match &self.places.description {
                Some(place) => cuts.push((place.clone(), quoted(b"", description))),
                None => {
                    let after = self.places.key.end;
                    cuts.push((after..after, quoted(b",\"description\":", description)));
                }
            }
        }
        if let Some(Shape { description, input_schema }) = changes.shape {
            let mut put = |place: &Option<Range<usize>>, new: &'s Option<Box<[u8]>>| {
                cuts.extend(place.clone().zip(new.as_deref().map(Cow::Borrowed)));
            };
            put(&self.places.input_schema, input_schema);
            if changes.description.is_none() {
                put(&self.places.description, description);
            }
        }
        cuts.extend(self.output(changes));
        if let Some(place) = self.places.only_as_task.clone() {
            cuts.push((place, Cow::Borrowed(b"\"optional\"")));
        }
        cuts.extend(self.places.marks.set(self.places.key.end, &changes));
        cuts.sort_by_key(|(place, _)| (place.start, place.end));
        let start = out.len();
        let mut done = 0;
        for (place, new) in &cuts {
            out.extend_from_slice(self.raw.get(done..place.start).unwrap_or_default());
            out.extend_from_slice(new);
            done = place.end;
        }
        out.extend_from_slice(self.raw.get(done..).unwrap_or_default());
        // Strings cannot hold a raw line end, so each of them is white space.
        let written = out.get_mut(start..).unwrap_or_default();
        if memchr::memchr2(b'\n', b'\r', written).is_some() {
            for byte in written.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
                *byte = b' ';
            }
        }
    }

    /// What to write in place of `outputSchema`, or of the member.
    fn output<'s>(&self, changes: Changes<'s>) -> Option<(Range<usize>, Cow<'s, [u8]>)> {
        let loose = self.places.loose_output.clone();
        match loose.filter(|_| changes.legacy) {
            Some(member) => Some((member, Cow::Borrowed(b""))),
            None if changes.any_output => {
                let any: &[u8] = if self.has_loose_output() { b"{}" } else { b"{\"type\":\"object\"}" };
                Some((self.places.output_schema.clone()?, Cow::Borrowed(any)))
            }
            None => None,
        }
    }

    fn string(&self, place: Option<&Range<usize>>) -> Option<Cow<'_, str>> {
        let place = place?;
        text(self.raw.get(place.start + 1..place.end.saturating_sub(1))?).ok()
    }
}

/// `before` and `words` as a JSON string.
fn quoted<'a>(before: &[u8], words: &str) -> Cow<'a, [u8]> {
    let mut out = before.to_vec();
    write_string(&mut out, words);
    Cow::Owned(out)
}

/// The place of a member that has to be a string.
fn place_of_string(value: &Value, member: &'static str) -> Result<Range<usize>, Broken> {
    if value.kind == Kind::String { Ok(value.span.clone()) } else { Err(Broken::Member(member)) }
}

/// Reads the members of a definition that is known to be good JSON.
struct Reader<'a> {
    raw: &'a [u8],
    kind: ItemKind,
    key: Option<String>,
    named: bool,
    places: Places,
    annotations: Annotations,
    task_support: TaskSupport,
    /// Where the last value ended.
    last_end: usize,
    /// Where a loose `outputSchema` begins, until the next member or the end says where it ends.
    loose_from: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(raw: &'a [u8], kind: ItemKind) -> Self {
        Self {
            raw,
            kind,
            key: None,
            named: false,
            places: Places::default(),
            annotations: Annotations::default(),
            task_support: TaskSupport::default(),
            last_end: 0,
            loose_from: None,
        }
    }

    fn members(&mut self) -> Result<(), Broken> {
        let raw = self.raw;
        let walked = fields(raw, |field| {
            // The quote before the name.
            let start = field.key.at - 1;
            if let Some(from) = self.loose_from.take() {
                self.places.loose_output = Some(from..start);
            }
            let before = self.last_end;
            self.last_end = field.value.span.end;
            self.member(&field, start)?;
            if self.loose_from.is_some() {
                // For the case that it is the last one: then the comma before it goes.
                self.places.loose_output = Some(before..field.value.span.end);
            }
            Ok::<_, Broken>(())
        });
        match walked {
            Err(Broken::Ambiguous(Ambiguous::Json(Fault::WrongKind { .. }))) => Err(Broken::Member("{}")),
            other => other,
        }
    }

    fn member(&mut self, field: &Field<'_>, start: usize) -> Result<(), Broken> {
        let name = name(&field.key)?;
        let value = &field.value;
        if name == self.kind.key() {
            self.places.key = value.span.clone();
            self.key = Some(self.identity(value)?);
        }
        match &*name {
            "name" => {
                place_of_string(value, "name")?;
                self.named = true;
            }
            "title" => self.places.title = Some(place_of_string(value, "title")?),
            "description" => self.places.description = Some(place_of_string(value, "description")?),
            "inputSchema" if self.kind == ItemKind::Tool => {
                if !self.is_object_schema(value, "inputSchema")? {
                    return Err(Broken::Member("inputSchema"));
                }
                self.places.input_schema = Some(value.span.clone());
            }
            "outputSchema" if self.kind == ItemKind::Tool => {
                if !self.is_object_schema(value, "outputSchema")? {
                    self.loose_from = Some(start);
                }
                self.places.output_schema = Some(value.span.clone());
            }
            "annotations" => {
                if value.kind != Kind::Object {
                    return Err(Broken::Member("annotations"));
                }
                self.places.annotations = Some(value.span.clone());
                if self.kind == ItemKind::Tool {
                    self.hints(value.span.clone())?;
                }
            }
            "_meta" => self.places.marks = Marks::read(self.raw, value)?,
            "execution" if self.kind == ItemKind::Tool && value.kind == Kind::Object => {
                self.execution(value.span.clone())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn execution(&mut self, span: Range<usize>) -> Result<(), Broken> {
        fields_at(self.raw, span, |field| {
            if name(&field.key)? == "taskSupport"
                && let Some(word) = field.value.inner(self.raw)
            {
                self.task_support = match &*text(word)? {
                    "required" => TaskSupport::Required,
                    "optional" => TaskSupport::Optional,
                    _ => TaskSupport::Forbidden,
                };
                if self.task_support == TaskSupport::Required {
                    self.places.only_as_task = Some(field.value.span.clone());
                }
            }
            Ok(())
        })
    }

    /// The name or URI that it goes by.
    fn identity(&self, value: &Value) -> Result<String, Broken> {
        let member = self.kind.key();
        let inner = value.inner(self.raw).ok_or(Broken::Member(member))?;
        let key = text(inner)?.into_owned();
        if key.is_empty() {
            return Err(Broken::Member(member));
        }
        let most = self.kind.key_bytes_max();
        if key.len() > most {
            return Err(Broken::TooLarge { what: member, most });
        }
        Ok(key)
    }

    /// Whether a schema says `"type": "object"`.
    fn is_object_schema(&self, value: &Value, member: &'static str) -> Result<bool, Broken> {
        if value.kind != Kind::Object {
            return Err(Broken::Member(member));
        }
        let mut object = false;
        fields_at(self.raw, value.span.clone(), |field| {
            if name(&field.key)? == "type" {
                let word = field.value.inner(self.raw).map(text).transpose()?;
                object = word.is_some_and(|word| word == "object");
            }
            Ok::<_, Fault>(())
        })?;
        Ok(object)
    }

    fn hints(&mut self, span: Range<usize>) -> Result<(), Broken> {
        let hints = &mut self.annotations;
        fields_at(self.raw, span, |field| {
            let hint = match &*name(&field.key)? {
                "readOnlyHint" => &mut hints.read_only,
                "destructiveHint" => &mut hints.destructive,
                "idempotentHint" => &mut hints.idempotent,
                "openWorldHint" => &mut hints.open_world,
                _ => return Ok(()),
            };
            *hint = Some(match field.value.kind {
                Kind::True => true,
                Kind::False => false,
                Kind::String | Kind::Number | Kind::Object | Kind::Array | Kind::Null => {
                    return Err(Broken::Member("annotations"));
                }
            });
            Ok(())
        })
    }
}
