//! Makes Anthropic's form of a provider's answer, while it comes.

use crate::ids::CallId;
use crate::limits;
use crate::llm::said::{DocumentWriter, Event, Failure, Setup, StreamWriter};
use crate::llm::speech::{Ear, Listener, Speech};

/// What the caller is answered with.
#[derive(Clone, Debug)]
pub struct Answering<'a> {
    /// Our id of the call.
    pub call: CallId,
    /// The model's name as the caller has it.
    pub model: &'a str,
    /// An estimate of the tokens that are read.
    pub input_tokens: u64,
    /// The caller wants a stream.
    pub stream: bool,
}

/// Takes the bytes of one answer in pieces of any size, and says the same in Anthropic's form.
#[derive(Debug)]
pub struct Interpreter {
    listener: Hearing,
    mouth: Mouth,
    failure: Option<Failure>,
    /// The tokens that were read, by the provider's word.
    counted: u64,
    /// How long the provider wants to be left alone, in milliseconds, by the body of its refusal.
    wait_ms: Option<u64>,
    /// The model that answers, by the provider's word.
    served: Option<Box<str>>,
}

#[derive(Debug)]
enum Hearing {
    Answer(Listener),
    /// An answer with an error status: so much of it as tells why.
    Refusal {
        status: u16,
        speech: Speech,
        body: Vec<u8>,
    },
}

#[derive(Debug)]
enum Mouth {
    Stream(Box<StreamWriter>),
    /// Nothing once the document has been written.
    Document(Option<Box<DocumentWriter>>),
}

impl Interpreter {
    /// An interpreter of the answer to a request.
    pub fn new(ear: Ear, answering: &Answering<'_>) -> Self {
        let setup = Setup {
            call: answering.call,
            model: answering.model.into(),
            input_tokens: answering.input_tokens,
            stops: ear.stops,
            signature: ear.signature,
        };
        let mouth = if answering.stream {
            Mouth::Stream(Box::new(StreamWriter::new(setup)))
        } else {
            Mouth::Document(Some(Box::new(DocumentWriter::new(setup))))
        };
        let listener = Hearing::Answer(ear.listener);
        Self { listener, mouth, failure: None, counted: 0, wait_ms: None, served: None }
    }

    /// Reads what follows as the body of an answer with an error status: it ends in a [`Failure`].
    pub fn refused(&mut self, status: u16, speech: &Speech) {
        self.listener = Hearing::Refusal { status, speech: speech.clone(), body: Vec::new() };
    }

    /// Takes the next bytes and appends what they say.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        let Self { listener, mouth, served, counted, .. } = self;
        match listener {
            Hearing::Answer(listener) => {
                listener.push(bytes, &mut |event| {
                    note(served, counted, event);
                    mouth.take(event, out);
                });
                // Nothing that the provider still writes belongs to the answer.
                if mouth.is_cut() {
                    mouth.take(&Event::Ended, out);
                }
                if listener.finished() {
                    self.close(out);
                }
            }
            Hearing::Refusal { body, .. } => {
                let room = limits::REFUSAL_READ_BYTES_MAX.saturating_sub(body.len());
                body.extend(bytes.iter().take(room));
            }
        }
    }

    /// Takes the end of the bytes and appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.is_over() {
            return;
        }
        let Self { listener, mouth, failure, wait_ms, served, counted } = self;
        match listener {
            Hearing::Answer(listener) => {
                listener.finish(&mut |event| {
                    note(served, counted, event);
                    mouth.take(event, out);
                });
                self.close(out);
            }
            Hearing::Refusal { status, speech, body } => {
                *failure = Some(speech.read_error(*status, body));
                *wait_ms = speech.retry_after_ms(body);
            }
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Mouth::Document(writer) = &mut self.mouth
            && let Some(writer) = writer.take()
        {
            match writer.finish() {
                Ok(document) => out.extend_from_slice(&document),
                Err(failure) => self.failure = Some(failure),
            }
        }
    }

    /// Whether some of the answer has been written that cannot be taken back: until then another provider can
    /// still answer, and a failure can still be told by its status.
    pub fn is_committed(&self) -> bool {
        match &self.mouth {
            Mouth::Stream(writer) => writer.committed(),
            Mouth::Document(writer) => writer.is_none() && self.failure.is_none(),
        }
    }

    /// Whether all has been written: what still comes means nothing.
    pub fn is_over(&self) -> bool {
        self.failure.is_some()
            || match &self.mouth {
                Mouth::Stream(writer) => writer.finished(),
                Mouth::Document(writer) => writer.is_none(),
            }
    }

    /// The tokens that were read, those of caches too, by the provider's word; 0 until it has said so.
    pub const fn counted(&self) -> u64 {
        self.counted
    }

    /// How long the provider wants to be left alone, in milliseconds, where its refusal says so in its body.
    pub fn wait_ms(&self) -> Option<u64> {
        self.wait_ms
    }

    /// The model that answers, by the provider's word, as soon as it has said so.
    pub fn served(&self) -> Option<&str> {
        self.served.as_deref()
    }

    /// Why there is no answer, or why it breaks off; a stream has said so itself.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref().or_else(|| match &self.mouth {
            Mouth::Stream(writer) => writer.failure(),
            Mouth::Document(_) => None,
        })
    }
}

fn note(served: &mut Option<Box<str>>, counted: &mut u64, event: &Event<'_>) {
    match event {
        Event::Started { model, .. } if served.is_none() => {
            let end = model.floor_char_boundary(limits::MODEL_NAME_BYTES_MAX);
            *served = model.get(..end).filter(|model| !model.is_empty()).map(Into::into);
        }
        Event::Usage(usage) => {
            let parts = [usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens];
            let all = parts.into_iter().fold(usage.input_tokens, u64::saturating_add);
            *counted = if all > 0 { all } else { *counted };
        }
        _ => {}
    }
}

impl Mouth {
    fn take(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Stream(writer) => writer.take(event, out),
            Self::Document(Some(writer)) => writer.take(event),
            Self::Document(None) => {}
        }
    }

    fn is_cut(&self) -> bool {
        match self {
            Self::Stream(writer) => writer.is_cut(),
            Self::Document(_) => false,
        }
    }
}
