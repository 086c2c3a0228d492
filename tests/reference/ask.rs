//! Work that needs something of the caller on the way, told once and done in the way of either era.

use std::collections::BTreeMap;

use rmcp::model::{
    ClientCapabilities, ErrorData, InputRequest, InputRequests, InputRequiredResult, InputResponses,
    ProtocolVersion, ServerRequest,
};
use rmcp::service::{RequestContext, RoleServer, ServiceError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Questions that one call may ask before it is given up.
const ROUNDS_MAX: usize = 10;

/// Makes a state ours. A fixture has nothing to hide, so that the whole world may know it.
const SEAL: &str = "a seal that every reader of this file can forge";

/// What the caller has answered, by the names of the questions. Only objects count as answers.
#[derive(Default)]
pub(crate) struct Answers(BTreeMap<String, Value>);

impl Answers {
    /// One answer, whole.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|answer| answer.is_object())
    }

    /// What stands in a field of a form, if it is there and is text.
    pub(crate) fn field(&self, name: &str, field: &str) -> Option<&str> {
        self.get(name)?.get("content")?.get(field)?.as_str()
    }

    /// The words of a sampled message.
    pub(crate) fn sampled(&self, name: &str) -> Option<&str> {
        let content = self.get(name)?.get("content")?;
        content.get("text").or_else(|| content.get(0)?.get("text"))?.as_str()
    }
}

/// Where some work has got to.
pub(crate) enum Step<T> {
    /// It is finished.
    Done(T),
    /// It needs answers, and goes on at a stage. A stage above 0 travels with the caller, sealed.
    Ask(Vec<(&'static str, Value)>, u64),
}

/// How a call ends for the SDK.
pub(crate) enum Outcome<T> {
    /// With its result.
    Done(T),
    /// With questions that the caller answers by calling again.
    Required(InputRequiredResult),
}

/// What a call brought along from an earlier round.
pub(crate) struct Retry {
    pub(crate) state: Option<String>,
    pub(crate) responses: Option<InputResponses>,
}

/// Whether the message is of the stateless era.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Takes the work of `name` as far as it goes.
///
/// # Errors
///
/// A state that is not ours, a caller that cannot be asked or does not want to be.
pub(crate) async fn settle<T>(
    context: &RequestContext<RoleServer>,
    name: &str,
    retry: Retry,
    work: impl Fn(u64, &Answers) -> Step<T>,
) -> Result<Outcome<T>, ErrorData> {
    if is_modern(context) {
        return by_result(context, name, retry, work);
    }
    let (mut stage, mut answers) = (0, Answers::default());
    for _ in 0..ROUNDS_MAX {
        match work(stage, &answers) {
            Step::Done(result) => return Ok(Outcome::Done(result)),
            Step::Ask(questions, next) => {
                for (name, answer) in by_request(context, questions).await? {
                    answers.0.insert(name.to_owned(), answer);
                }
                stage = next;
            }
        }
    }
    Err(ErrorData::internal_error("too many questions", None))
}

fn by_result<T>(
    context: &RequestContext<RoleServer>,
    name: &str,
    retry: Retry,
    work: impl Fn(u64, &Answers) -> Step<T>,
) -> Result<Outcome<T>, ErrorData> {
    let stage = match retry.state {
        None => 0,
        Some(sealed) => open(name, &sealed)
            .ok_or_else(|| ErrorData::invalid_params("requestState is not as it was given out", None))?,
    };
    match work(stage, &Answers(retry.responses.unwrap_or_default())) {
        Step::Done(result) => Ok(Outcome::Done(result)),
        Step::Ask(questions, next) => {
            let able = context.client_capabilities().unwrap_or_default();
            let mut requests = InputRequests::new();
            for (name, question) in questions {
                requests.insert(name.to_owned(), may_ask(&able, question)?);
            }
            let state = (next > 0).then(|| seal(name, next));
            Ok(Outcome::Required(InputRequiredResult::new(Some(requests), state)))
        }
    }
}

/// Asks all questions at once and waits for all answers.
async fn by_request(
    context: &RequestContext<RoleServer>,
    questions: Vec<(&'static str, Value)>,
) -> Result<Vec<(&'static str, Value)>, ErrorData> {
    let able = context.client_capabilities().unwrap_or_default();
    let mut waiting = Vec::new();
    for (name, question) in questions {
        let request = match may_ask(&able, question)? {
            InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
            InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
            InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
            _ => return Err(ErrorData::internal_error("a question of no known kind", None)),
        };
        let handle = context.peer.send_cancellable_request(request, Default::default()).await;
        waiting.push((name, handle.map_err(refused)?));
    }
    let mut answers = Vec::new();
    for (name, handle) in waiting {
        let answer = handle.await_response().await.map_err(refused)?;
        answers.push((name, serde_json::to_value(answer).unwrap_or_default()));
    }
    Ok(answers)
}

/// The question, if the caller has said that it can answer such.
fn may_ask(able: &ClientCapabilities, question: Value) -> Result<InputRequest, ErrorData> {
    let request = serde_json::from_value(question)
        .map_err(|why| ErrorData::internal_error(format!("the question is malformed: {why}"), None))?;
    let needed = match &request {
        InputRequest::CreateMessage(_) if able.sampling.is_none() => "sampling",
        InputRequest::Elicitation(_) if able.elicitation.is_none() => "elicitation",
        InputRequest::ListRoots(_) if able.roots.is_none() => "roots",
        _ => return Ok(request),
    };
    let needed = serde_json::from_value(json!({ needed: {} })).unwrap_or_default();
    Err(ErrorData::missing_required_client_capability(needed))
}

fn refused(why: ServiceError) -> ErrorData {
    match why {
        ServiceError::McpError(error) => error,
        other => ErrorData::internal_error(format!("the caller gave no answer: {other}"), None),
    }
}

fn seal(name: &str, stage: u64) -> String {
    let digest = Sha256::digest(format!("{SEAL} {name} {stage}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{stage}.{hex}")
}

fn open(name: &str, sealed: &str) -> Option<u64> {
    let stage = sealed.split('.').next()?.parse().ok()?;
    (seal(name, stage) == sealed).then_some(stage)
}

/// Asks the user to fill in a form.
pub(crate) fn form(message: &str, schema: &Value) -> Value {
    json!({ "method": "elicitation/create", "params": { "message": message, "requestedSchema": schema } })
}

/// A form with one field that must be filled in.
pub(crate) fn field(message: &str, name: &str, kind: &str) -> Value {
    form(message, &json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] }))
}

/// Asks the caller's model to say something.
pub(crate) fn sampling(prompt: &str) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
    json!({ "method": "sampling/createMessage", "params": { "messages": [message], "maxTokens": 100 } })
}

/// Asks which folders the caller works in.
pub(crate) fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}
