//! Listens to an answer of Anthropic's form that a voice is going to say: whether it is one, and whole.
//!
//! Its bytes go on as they are.

use crate::limits;
use crate::llm::anthropic_lenient::StreamReader;
use crate::llm::said::{Event, Failure, Kind};

/// Reads the body of an answer with an error status.
type ReadError = fn(u16, &[u8]) -> Failure;

/// Takes one answer in pieces of any size.
#[derive(Clone, Debug)]
pub struct Native {
    reader: StreamReader,
    /// What has come of a document, or of a refusal.
    held: Vec<u8>,
    stream: bool,
    /// Its status, where it is an error.
    refused: u16,
    read_error: ReadError,
    /// The words of the provider about the request are for the caller.
    frank: bool,
    committed: bool,
    over: bool,
    failure: Option<Failure>,
}

impl Native {
    /// A listener to the answer of a provider that speaks Anthropic's dialect.
    pub fn new(stream: bool) -> Self {
        Self::with_errors(stream, crate::llm::anthropic_lenient::read_error, true)
    }

    /// The same for a provider whose refusals are of another form and not for callers.
    pub fn of_cloud(stream: bool, read_error: ReadError) -> Self {
        Self::with_errors(stream, read_error, false)
    }

    fn with_errors(stream: bool, read_error: ReadError, frank: bool) -> Self {
        Self {
            reader: StreamReader::of_own_form(),
            held: Vec::new(),
            stream,
            refused: 0,
            read_error,
            frank,
            committed: false,
            over: false,
            failure: None,
        }
    }

    /// What follows is the body of an answer with an error status.
    pub const fn refused(&mut self, status: u16) {
        self.refused = status;
    }

    /// Takes the next bytes and appends what goes on.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        if self.refused > 0 {
            let room = limits::REFUSAL_READ_BYTES_MAX.saturating_sub(self.held.len());
            self.held.extend(bytes.iter().take(room));
            return;
        }
        let Self { reader, committed, over, failure, .. } = self;
        reader.push(bytes, &mut |event| note(event, (&mut *committed, &mut *over, &mut *failure)));
        if self.stream {
            out.extend_from_slice(bytes);
        } else {
            // The reader bounds it.
            self.held.extend_from_slice(bytes);
        }
    }

    /// Takes the end of the bytes and appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        if self.refused > 0 {
            self.failure = Some(self.refusal());
            return;
        }
        let Self { reader, committed, over, failure, .. } = self;
        reader.finish(&mut |event| note(event, (&mut *committed, &mut *over, &mut *failure)));
        if !self.stream && self.failure.is_none() {
            out.append(&mut self.held);
        }
    }

    fn refusal(&self) -> Failure {
        let mut failure = (self.read_error)(self.refused, &self.held);
        let about_request =
            matches!(failure.kind, Kind::InvalidRequest | Kind::MaxTokens | Kind::PromptTooLong);
        let in_form = self.held.trim_ascii_start().first() == Some(&b'{');
        if self.frank && about_request && in_form && !failure.detail.is_empty() {
            failure.message = failure.detail.to_string().into();
        }
        failure
    }

    /// Whether some of the answer has gone on that cannot be taken back.
    pub const fn is_committed(&self) -> bool {
        if self.stream { self.committed } else { self.over && self.failure.is_none() }
    }

    /// Whether all has gone on.
    pub const fn is_over(&self) -> bool {
        self.over || self.failure.is_some()
    }

    /// Why there is no answer, or why it breaks off.
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
}

fn note(event: &Event<'_>, (committed, over, failure): (&mut bool, &mut bool, &mut Option<Failure>)) {
    match event {
        Event::Started { .. } | Event::Usage(_) | Event::Stopped(_) => {}
        Event::Failed(found) => *failure = Some((*found).clone()),
        Event::Ended => {
            *committed = true;
            *over = true;
        }
        _ => *committed = true,
    }
}
