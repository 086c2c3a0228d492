//! HTTP APIs as tools: an OpenAPI document in, one tool for every operation out, and the way of each call.
//!
//! Follows OpenAPI 3.0 and 3.1 (spec.openapis.org/oas, read 2026-11), in JSON. What is taken from a document
//! is read once into a plan of each operation; a call fills the plan. The arguments come from a model and may
//! be anything, so every one of them is put where the plan says and can be read as nothing else there: texts
//! are percent-encoded, no value makes another segment of the path, and none writes a header line.

use std::fmt;

use crate::limits;

mod document;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod request;
mod response;
mod schema;
#[cfg(test)]
mod tests;

pub use response::{Answer, refused, result};

/// The tools of one API.
#[derive(Clone, Debug)]
pub struct OpenApi {
    operations: Vec<Operation>,
    left_out: Vec<LeftOut>,
}

/// One operation as a tool.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The tool's name: `[A-Za-z0-9_-]`, at most `limits::OPENAPI_NAME_BYTES_MAX`, unique in its document.
    pub name: String,
    /// The tool as `tools/list` has it: one JSON object.
    pub definition: Vec<u8>,
    method: Verb,
    path: Vec<Piece>,
    parameters: Vec<Parameter>,
    body: Option<Body>,
}

/// An operation that is no tool, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Method and path, cut to `limits::RECORD_TEXT_BYTES_MAX`.
    pub operation: String,
    /// For whoever reads the log.
    pub why: &'static str,
}

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFault {
    /// Over `limits::OPENAPI_BYTES_MAX`.
    #[error("the document has more than {max} bytes", max = limits::OPENAPI_BYTES_MAX)]
    TooLarge,
    /// Not JSON.
    #[error("the document is not JSON: line {line}, column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Not OpenAPI 3.
    #[error("the document does not say that it is OpenAPI 3.0 or 3.1")]
    Version,
    /// Without `paths`.
    #[error("the document has no `paths`")]
    NoPaths,
    /// More than `limits::OPENAPI_OPERATIONS_MAX`, or of `limits::MCP_LIST_BYTES_MAX` together.
    #[error("the document has more operations than one server can have tools")]
    TooMany,
}

/// Why a call cannot be made. The model reads it, so it says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No operation has this name.
    #[error("there is no such tool")]
    NoTool,
    /// The arguments are not one JSON object with each name once.
    #[error("the arguments must be one JSON object")]
    Arguments,
    /// A required argument is missing or `null`.
    #[error("the argument `{0}` is required")]
    Missing(String),
    /// An argument that the operation does not have.
    #[error("there is no argument `{0}`")]
    Unknown(String),
    /// A value that cannot stand in its place.
    #[error("the argument `{name}` {why}")]
    Value {
        /// The argument.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Path and query, or a header, became longer than servers take.
    #[error("the arguments are too long for a request")]
    TooLong,
}

/// A request to make, relative to where the paths of the API begin.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: &'static str,
    /// Path and query, from the slash that begins a path of the document; printable ASCII without spaces.
    pub path_and_query: String,
    /// Header lines, names in lower case, values printable ASCII.
    pub headers: Vec<(String, String)>,
    /// The body, as it stands in the arguments.
    pub body: Option<Vec<u8>>,
}

/// Arguments may be anything, so only their places are shown.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({} {} headers)", self.method, self.headers.len())
    }
}

/// A method of HTTP that an operation can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Put,
    Post,
    Delete,
    Head,
    Patch,
}

impl Verb {
    const ALL: [(&'static str, Self); 6] = [
        ("get", Self::Get),
        ("put", Self::Put),
        ("post", Self::Post),
        ("delete", Self::Delete),
        ("head", Self::Head),
        ("patch", Self::Patch),
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Patch => "PATCH",
        }
    }

    const fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Encoded text of the document, slashes and all.
    Text(String),
    /// The parameter with this index.
    Parameter(usize),
}

/// Where an argument goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Header,
}

/// How a list or an object is written in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// One member a pair: `a=1&a=2`.
    Exploded,
    /// One value, its items with this (encoded) between them.
    Joined(&'static str),
    /// `a[b]=1`.
    Deep,
    /// As JSON text.
    Json,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    /// Its name on the wire; of a header a token in lower case.
    name: String,
    /// Its name among the arguments.
    argument: String,
    place: Place,
    style: Style,
    required: bool,
}

/// A body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    /// Its name among the arguments.
    argument: String,
    content_type: String,
    required: bool,
}

impl OpenApi {
    /// Reads a document: its JSON text, at most `limits::OPENAPI_BYTES_MAX`.
    ///
    /// # Errors
    /// [`DocumentFault`]; a fault of one operation only leaves that one out.
    pub fn read(text: &str) -> Result<Self, DocumentFault> {
        document::read(text)
    }

    /// The tools, by path and method.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operations that could not become tools.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Builds the request of a call. `arguments` is a JSON object.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn request(&self, tool: &str, arguments: &[u8]) -> Result<HttpRequest, Fault> {
        let operation = self.operations.iter().find(|operation| operation.name == tool);
        request::build(operation.ok_or(Fault::NoTool)?, arguments)
    }
}
