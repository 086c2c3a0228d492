//! What a caller is told of an answer that breaks off, and in which words.

use crate::call::Outcome;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::read_along::Reader;
use crate::gateway::record::Record;
use crate::gateway::stream_back::Relay;
use crate::http::encode::LAST_CHUNK;
use crate::http::head::Framing;
use crate::ids::CallId;
use crate::llm::anthropic;
use crate::llm::inward::{self, Voice};
use crate::net::outgoing::Outgoing;
use crate::upstream::provider::Provider;

impl Relay<'_> {
    /// Tells the caller that the answer breaks off: in an event stream with an `error` event, which makes
    /// Claude Code ask again; elsewhere the missing end of the body tells.
    pub(super) async fn confess(
        &self,
        caller: &mut Caller,
        outcome: Outcome,
        provider: &Provider,
        record: &Record,
    ) -> bool {
        let fits = matches!(self.framing, Framing::Chunked | Framing::UntilClose);
        if !fits {
            return false;
        }
        let made;
        let error = match &self.over {
            Some(over) => over,
            None => {
                made = broken(outcome, provider);
                &made
            }
        };
        let of = (&self.reader, self.voice.as_deref());
        let Some(event) = event(of, self.last, error, record.id) else { return false };
        let mut last = self.own_event(&event);
        if self.framing == Framing::Chunked {
            last.extend(LAST_CHUNK);
        }
        caller.send(Outgoing::one(last)).await.is_ok()
    }
}

/// The event that tells it, for a stream that takes one; `last` is the last byte that has left.
fn event(
    (reader, voice): (&Reader, Option<&Voice>),
    last: u8,
    error: &CallError,
    call: CallId,
) -> Option<Vec<u8>> {
    let mut event = Vec::with_capacity(256);
    match (reader, voice) {
        (Reader::Events(reader), _) if reader.finished() => return None,
        // Only whole events have left.
        (Reader::Events(_), Some(voice)) => voice.fail(error, &mut event),
        (Reader::Events(_), None) => {
            // Inside an event, its unfinished line is ended without ending the event: the `event: error` that
            // follows renames it, so that half an event is never taken for a whole one.
            if !matches!(last, b'\n' | b'\r') {
                event.push(b'\n');
            }
            anthropic::error::write_event(&mut event, error, call);
        }
        // An event without a name cannot be renamed: inside of one the missing end of the body tells.
        (Reader::Along(along), _) if along.takes_event() => {
            inward::write_error_event(along.dialect(), &mut event, error);
        }
        _ => return None,
    }
    Some(event)
}

/// What a caller is told of an answer that breaks off.
pub(super) fn broken(outcome: Outcome, provider: &Provider) -> CallError {
    let name = &provider.name;
    match outcome {
        Outcome::Drained => CallError::from(Code::Draining),
        Outcome::UpstreamStalled => CallError::new(Code::UpstreamTimeout)
            .context(format!("provider {name} fell silent inside its answer")),
        _ => CallError::new(Code::UpstreamBroken)
            .context(format!("provider {name} broke off inside its answer")),
    }
}
