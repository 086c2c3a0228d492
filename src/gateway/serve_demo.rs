//! The built-in demo model over a connection: what a first run talks to when nothing is configured.

use crate::call::Endpoint;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::counting;
use crate::gateway::destination;
use crate::gateway::inbound;
use crate::gateway::record::Record;
use crate::llm::demo;

/// Answers with the scripted model, whole or as a stream of events.
///
/// # Errors
/// When the caller has left: there is nobody to tell, but the call is recorded as what it is.
pub(super) async fn answer(
    caller: &mut Caller,
    body: &[u8],
    stream: bool,
    record: &mut Record,
) -> Result<(), CallError> {
    let (content_type, answer) = match (record.endpoint, stream) {
        (Endpoint::CountTokens, _) => ("application/json", demo::count_tokens(body)),
        (_, false) => ("application/json", demo::message(body, record.id)),
        (_, true) => ("text/event-stream", demo::events(body, record.id).concat()),
    };
    let answer = match inbound::voice(record, stream) {
        Some(mut voice) => voice.say(&answer, true),
        None => answer,
    };
    let notice = record.notice.clone();
    let mut extra: Vec<(&str, &[u8])> = vec![("x-tollgate-demo", b"true")];
    record.status = 200;
    extra.extend(counting::by_provider(record));
    extra.extend(notice.iter().map(|notice| (destination::NOTICE, notice.as_bytes())));
    let sent = caller.reply(record, 200, content_type, &extra, &answer).await;
    sent.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))
}
