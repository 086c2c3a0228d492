//! What a caller is told of an answer that breaks off, and in which words.

use crate::call::Outcome;
use crate::error::{CallError, Code};
use crate::gateway::read_along::Reader;
use crate::ids::CallId;
use crate::llm::anthropic;
use crate::llm::inward::{self, Voice};
use crate::upstream::provider::Provider;

/// The event that tells it, for a stream that takes one; `last` is the last byte that has left.
pub(super) fn event(
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
