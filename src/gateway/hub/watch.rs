//! What is watched of a call: rules about its arguments, and what they and its result must not say.

use crate::gateway::guard::{self, Arguments};
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::Caller;
use crate::gateway::hub::compose::Question;
use crate::gateway::sieve::Sieve;
use crate::ids::ServerName;
use crate::mcp::message;
use crate::mcp::method::Method;
use crate::mcp::rpc::RpcError;

/// Lets a call through, with other arguments where what was found in them is masked. What there is to say of
/// it goes to `marks`, also of one that is refused.
///
/// # Errors
/// What the caller is told.
pub(super) fn admit(
    hub: &Hub,
    caller: &Caller,
    (server, tool): (&ServerName, &str),
    question: &mut Question,
    marks: &mut String,
) -> Result<(), RpcError> {
    let snapshot = hub.snapshot();
    let guarding = snapshot.guards.of(caller.principal.team.as_ref());
    if question.method == Method::ToolsCall && !guarding.inputs.is_empty() {
        let exposed = question.text(question.params.name.as_ref()).unwrap_or_default();
        let names = guard::names_of(&snapshot, server.as_str(), tool, &exposed);
        let arguments = question.at(question.params.arguments.as_ref());
        if let Some(denied) = guard::denied(guarding, &names, arguments) {
            guard::add_mark(marks, &format!("denied-input {server}.{tool} {}", denied.label));
            let text = format!("this call of {server}.{tool} is not allowed: {denied}");
            return Err(RpcError::not_allowed(text));
        }
    }
    let Some(place) = question.params.arguments.clone() else { return Ok(()) };
    let arguments = question.doc.get(place.clone()).unwrap_or_default();
    match guard::look(guarding.arguments, arguments) {
        Arguments::Pass => {}
        Arguments::Mark(mark) => guard::add_mark(marks, &mark),
        Arguments::Refuse(text, mark) => {
            guard::add_mark(marks, &mark);
            return Err(RpcError::not_allowed(text));
        }
        Arguments::Masked(masked, mark) => {
            guard::add_mark(marks, &mark);
            let doc = [
                question.doc.get(..place.start).unwrap_or_default(),
                &masked,
                question.doc.get(place.end..).unwrap_or_default(),
            ]
            .concat();
            // The places in the message have moved.
            let (read, params) = message::read_with_params(&doc)
                .and_then(|(read, params)| Ok((read, params?)))
                .map_err(|_changed| RpcError::internal())?;
            (question.doc, question.read, question.params) = (doc, read, params);
        }
    }
    Ok(())
}

/// Why what a server wants to know is not asked.
pub(super) const UNSAID: &str = "the question was held back: it holds what may not be passed on";

/// What is done with what the server of a call says.
pub(super) fn sieve(hub: &Hub, caller: &Caller, method: Method) -> Option<Sieve> {
    let results = hub.snapshot().guards.of(caller.principal.team.as_ref()).results;
    Sieve::new(results, method == Method::ToolsCall, caller.version.is_modern())
}
