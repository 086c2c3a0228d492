//! Makes the answer of a cloud of one of ours: of the bytes that go out, in pieces of any size.
//!
//! ```text
//! Head -> Verbatim                     an answer that the cloud has in the same form
//! Head -> Document (to its end)        errors, counts and lists, which are short
//! Head -> Events -> Over               a stream: each event a frame; an error ends it
//! ```

use crate::base64;
use crate::http::body::Decoder;
use crate::http::encode::{CHUNK_END, LAST_CHUNK, chunk_prefix, reason};
use crate::http::head::{Framing, Progress, ResponseHead};
use crate::http::sse::{Piece, Splitter};
use crate::json::{self, Fault, Field, Kind};
use crate::limits;
use crate::llm::bedrock::EVENT_STREAM;
use crate::llm::bedrock::eventstream::write_frame;
use crate::llm::cloud_caller::errors;
use crate::llm::cloud_caller::{Cloud, Operation};

/// Takes an answer to `/v1/messages` as HTTP/1.1, and gives that of a cloud.
#[derive(Debug)]
pub struct Shaper {
    cloud: Cloud,
    operation: Operation,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// What has come of the head.
    Head(Vec<u8>),
    /// What comes goes out.
    Verbatim,
    Events(Box<Events>),
    Document(Box<Document>),
    /// What comes means nothing any more.
    Over,
}

#[derive(Debug)]
struct Events {
    decoder: Decoder,
    chunked: bool,
    splitter: Splitter,
    /// Data of the event under way, <= `limits::FOREIGN_EVENT_BYTES_MAX`.
    data: Vec<u8>,
    /// An error has been told.
    failed: bool,
}

#[derive(Debug)]
struct Document {
    decoder: Decoder,
    status: u16,
    /// The lines that stay, each with its end.
    lines: Vec<u8>,
    /// <= `limits::FOREIGN_ANSWER_BYTES_MAX`; what is longer is cut, and then cannot be read.
    body: Vec<u8>,
}

impl Shaper {
    /// For the answer to one call.
    pub const fn new(cloud: Cloud, operation: Operation) -> Self {
        Self { cloud, operation, stage: Stage::Head(Vec::new()) }
    }

    /// Takes the next bytes and appends what goes out for them.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes.to_vec();
        while let Stage::Head(held) = &mut self.stage {
            held.append(&mut rest);
            let mut head = ResponseHead::new();
            match head.parse(held, false) {
                Ok(Progress::Partial) => return,
                Ok(Progress::Complete) => {
                    let mut held = std::mem::take(held);
                    rest = held.split_off(head.bytes.min(held.len()));
                    self.stage = self.begin(&head, &held, out);
                }
                // We wrote it: there is nothing better to do than to let it pass.
                Err(_) => {
                    rest = std::mem::take(held);
                    self.stage = Stage::Verbatim;
                }
            }
        }
        match &mut self.stage {
            Stage::Verbatim => out.extend_from_slice(&rest),
            Stage::Events(events) => {
                if events.push(&mut rest, out) {
                    self.stage = Stage::Over;
                }
            }
            Stage::Document(document) => {
                if document.push(&mut rest) {
                    write_document((self.cloud, self.operation), document, out);
                    self.stage = Stage::Over;
                }
            }
            Stage::Head(_) | Stage::Over => {}
        }
    }

    /// What follows a head; appends the head that goes out, where it is known already.
    fn begin(&self, head: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) -> Stage {
        if head.is_interim() {
            out.extend_from_slice(bytes);
            return Stage::Head(Vec::new());
        }
        let kind = head.headers.first(bytes, "content-type").unwrap_or_default();
        let decoder = Decoder::new(head.framing);
        let is_stream = kind.get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"));
        let of_bedrock = self.cloud == Cloud::Bedrock;
        if is_stream && of_bedrock {
            status_line(head.status, out);
            lines(head, bytes, &["content-type", "content-length"], out);
            line("content-type", EVENT_STREAM.as_bytes(), out);
            line("x-amzn-bedrock-content-type", b"application/json", out);
            self.request_id(head, bytes, out);
            out.extend_from_slice(b"\r\n");
            let chunked = head.framing == Framing::Chunked;
            let (splitter, data) = (Splitter::default(), Vec::new());
            return Stage::Events(Box::new(Events { decoder, chunked, splitter, data, failed: false }));
        }
        // Vertex AI passes on what the model's own check of a request says.
        let own_words = !of_bedrock && matches!(head.status, 400 | 413);
        let counts = of_bedrock && self.operation == Operation::Count && head.status == 200;
        let lists = self.operation == Operation::Profiles && head.status == 200;
        // What has no end but that of the connection cannot be waited for.
        let ends = head.framing != Framing::UntilClose;
        if ends && ((head.status >= 400 && !own_words) || counts || lists) {
            let mut kept = Vec::new();
            let gone = ["content-type", "content-length", "transfer-encoding", "content-encoding"];
            lines(head, bytes, &gone, &mut kept);
            self.request_id(head, bytes, &mut kept);
            let status = head.status;
            return Stage::Document(Box::new(Document { decoder, status, lines: kept, body: Vec::new() }));
        }
        out.extend_from_slice(bytes.strip_suffix(b"\r\n").unwrap_or(bytes));
        self.request_id(head, bytes, out);
        out.extend_from_slice(b"\r\n");
        Stage::Verbatim
    }

    /// Bedrock's name for the id of a call.
    fn request_id(&self, head: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
        if let (Cloud::Bedrock, Some(id)) = (self.cloud, head.headers.first(bytes, "x-tollgate-request-id")) {
            line("x-amzn-requestid", id, out);
        }
    }
}

impl Events {
    /// Takes the next bytes; whether the answer is over.
    fn push(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) -> bool {
        // Broken framing would be ours: the connection ends without the end of the answer.
        let Ok(decoded) = self.decoder.decode(bytes) else { return true };
        let mut frames = Vec::new();
        let Self { splitter, data, failed, .. } = self;
        splitter.push(bytes.get(decoded.body).unwrap_or_default(), |piece| match piece {
            Piece::Data(piece) if data.len() + piece.len() > limits::FOREIGN_EVENT_BYTES_MAX && !*failed => {
                *failed = true;
                write_exception("internalServerException", "an event of the answer is too long", &mut frames);
            }
            _ if *failed => data.clear(),
            Piece::Data(piece) => data.extend_from_slice(piece),
            Piece::End(name) => {
                *failed = write_event(name, data, &mut frames);
                data.clear();
            }
            Piece::Void => data.clear(),
            Piece::Name(_) | Piece::Id(_) | Piece::Retry(_) => {}
        });
        if self.chunked && !frames.is_empty() {
            out.extend_from_slice(chunk_prefix(frames.len()).as_bytes());
            out.append(&mut frames);
            out.extend_from_slice(CHUNK_END);
        }
        out.append(&mut frames);
        if self.chunked && decoded.done {
            out.extend_from_slice(LAST_CHUNK);
        }
        decoded.done
    }
}

impl Document {
    /// Takes the next bytes; whether it is whole.
    fn push(&mut self, bytes: &mut [u8]) -> bool {
        let Ok(decoded) = self.decoder.decode(bytes) else { return false };
        let room = limits::FOREIGN_ANSWER_BYTES_MAX.saturating_sub(self.body.len());
        let body = bytes.get(decoded.body).unwrap_or_default();
        self.body.extend_from_slice(body.get(..room).unwrap_or(body));
        decoded.done
    }
}

/// Appends a whole document, its head and its status first.
fn write_document((cloud, operation): (Cloud, Operation), document: &Document, out: &mut Vec<u8>) {
    let Document { status, lines, body, .. } = document;
    let status = *status;
    let shown = match (status, operation) {
        (400.., _) => errors::write(cloud, status, body),
        (_, Operation::Profiles) => profiles(body),
        _ => counted(body),
    };
    status_line(if status >= 400 { errors::status(status) } else { status }, out);
    out.extend_from_slice(lines);
    if status >= 400 && cloud == Cloud::Bedrock {
        line("x-amzn-errortype", errors::exception(status).as_bytes(), out);
    }
    line("content-type", b"application/json", out);
    line("content-length", shown.len().to_string().as_bytes(), out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&shown);
}

/// Appends the frame of one event; whether it ends the stream.
fn write_event(name: &[u8], data: &[u8], out: &mut Vec<u8>) -> bool {
    match name {
        b"error" => {
            let told = errors::read(data);
            write_exception(errors::exception_in_stream(&told.kind), &told.message, out);
            return true;
        }
        // Clients of AWS pass over events that they do not know, and a connection that carries something is
        // not idle.
        b"ping" => write_frame(&[(":event-type", "ping"), JSON, EVENT], b"{}", out),
        _ => {
            let payload = [b"{\"bytes\":\"", base64::encode_padded(data).as_bytes(), b"\"}"].concat();
            write_frame(&[(":event-type", "chunk"), JSON, EVENT], &payload, out);
        }
    }
    false
}

const JSON: (&str, &str) = (":content-type", "application/json");

const EVENT: (&str, &str) = (":message-type", "event");

fn write_exception(name: &str, message: &str, out: &mut Vec<u8>) {
    let mut payload = b"{\"message\":".to_vec();
    json::write_string(&mut payload, message);
    payload.push(b'}');
    write_frame(&[(":exception-type", name), JSON, (":message-type", "exception")], &payload, out);
}

/// `{"inputTokens":7}` of `{"input_tokens":7}`; what is none stays as it is.
fn counted(body: &[u8]) -> Vec<u8> {
    let mut tokens = None;
    let read: Result<(), Fault> = json::fields(body, |Field { key, value }| {
        if key.raw == b"input_tokens" {
            tokens = value.as_u64(body);
        }
        Ok(())
    });
    match (read, tokens) {
        (Ok(()), Some(tokens)) => format!("{{\"inputTokens\":{tokens}}}").into_bytes(),
        _ => body.to_vec(),
    }
}

/// The models of a list of Anthropic's as profiles of Bedrock's.
fn profiles(body: &[u8]) -> Vec<u8> {
    let mut out = b"{\"inferenceProfileSummaries\":[".to_vec();
    let walked: Result<(), Fault> = json::fields(body, |Field { key, value }| {
        if key.raw != b"data" || value.kind != Kind::Array {
            return Ok(());
        }
        json::elements(body, value.span, |model| {
            if model.kind == Kind::Object {
                let mut id: &[u8] = b"";
                json::fields_at(body, model.span, |Field { key, value }| {
                    if key.raw == b"id" {
                        id = value.inner(body).unwrap_or_default();
                    }
                    Ok::<(), Fault>(())
                })?;
                if !out.ends_with(b"[") {
                    out.push(b',');
                }
                // It stands in the list with its escapes already.
                for piece in [&b"{\"inferenceProfileId\":\""[..], id, b"\",\"inferenceProfileName\":\"", id] {
                    out.extend_from_slice(piece);
                }
                out.extend_from_slice(b"\",\"models\":[],\"status\":\"ACTIVE\",\"type\":\"SYSTEM_DEFINED\"}");
            }
            Ok(())
        })
    });
    // A list that cannot be read to its end has what could be read.
    walked.unwrap_or_default();
    out.extend_from_slice(b"]}");
    out
}

fn status_line(status: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
}

fn line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

/// The lines of a head but for some.
fn lines(head: &ResponseHead, bytes: &[u8], gone: &[&str], out: &mut Vec<u8>) {
    for (name, value) in head.headers.iter(bytes) {
        if !gone.iter().any(|gone| name.eq_ignore_ascii_case(gone.as_bytes())) {
            for piece in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
    }
}
