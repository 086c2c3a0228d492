//! The tools: what they are called, what they want and what they do.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ErrorData, JsonObject,
    LoggingMessageNotificationParam, ProgressNotificationParam, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ask::{Answers, Outcome, Retry, Step, field, form, is_modern, roots, sampling, settle};
use crate::server::{Change, Server};
use crate::{schemas, tasks};

/// A red picture of one pixel.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8\
    /5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";

/// A sound of no samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

/// Between two notifications, so that a gateway that holds them back is found out.
const PAUSE: Duration = Duration::from_millis(20);

/// Tools without arguments.
const PLAIN: &[(&str, &str)] = &[
    ("test_simple_text", "Says a sentence"),
    ("test_image_content", "Shows a picture"),
    ("test_audio_content", "Plays a sound"),
    ("test_embedded_resource", "Encloses a resource"),
    ("test_multiple_content_types", "Says, shows and encloses"),
    ("test_tool_with_logging", "Logs three times while it works"),
    ("test_logging_tool", "Logs only if the call asks for it"),
    ("test_error_handling", "Fails, and says so in its result"),
    ("test_tool_with_progress", "Tells three times how far it is"),
    ("test_reconnection", "Takes a moment"),
    ("test_missing_capability", "Wants a caller that can sample"),
    ("test_trigger_tool_change", "Tells everyone that the tools have changed"),
    ("test_trigger_prompt_change", "Tells everyone that the prompts have changed"),
    ("test_trigger_resource_change", "Tells everyone that the list of resources has changed"),
    (
        "test_trigger_resource_update",
        "Tells everyone who watches test://watched-resource that it has changed",
    ),
    ("test_elicitation_sep1034_defaults", "Asks with a form full of defaults"),
    ("test_elicitation_sep1330_enums", "Asks with a form full of choices"),
    ("test_streaming_elicitation", "Asks for a value"),
    ("test_input_required_result_elicitation", "Asks for a name"),
    ("test_input_required_result_sampling", "Asks the model for a capital"),
    ("test_input_required_result_list_roots", "Asks for the folders"),
    ("test_input_required_result_request_state", "Asks, and remembers that it did"),
    ("test_input_required_result_tampered_state", "Asks, and trusts no memory but its own"),
    ("test_input_required_result_multiple_inputs", "Asks for three things at once"),
    ("test_input_required_result_multi_round", "Asks twice, one after the other"),
    ("test_input_required_result_capabilities", "Asks for what the caller can answer"),
];

/// All tools, in an order that never changes.
pub(crate) fn all() -> Vec<Tool> {
    let text = |name: &str| {
        json!({ "type": "object", "properties": { name: { "type": "string" } },
        "required": [name] })
    };
    let header = json!({ "type": "object", "properties": {
        "value": { "type": "string", "x-mcp-header": "Value" } }, "required": ["value"] });
    let mut tools: Vec<_> = PLAIN.iter().map(|(name, about)| tool(name, about, empty())).collect();
    tools.push(tool("test_sampling", "Passes a prompt on to the model", text("prompt")));
    tools.push(tool("test_elicitation", "Asks who the user is", text("message")));
    tools.push(tool("test_custom_header", "Wants its argument in a header too", header));
    tools.push(tool("json_schema_2020_12_tool", "Has a schema of many words", schemas::vocabulary()));
    tools.extend(tasks::all());
    tools
}

/// A tool with a schema.
pub(crate) fn tool(name: &'static str, about: &'static str, schema: Value) -> Tool {
    let schema = if let Value::Object(fields) = schema { fields } else { JsonObject::new() };
    Tool::new(name, about, schema)
}

/// The schema of no arguments.
pub(crate) fn empty() -> Value {
    json!({ "type": "object", "properties": {} })
}

/// A result as the protocol writes it.
pub(crate) fn written<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|why| ErrorData::internal_error(format!("the fixture is malformed: {why}"), None))
}

/// A result of one sentence.
pub(crate) fn said(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![rmcp::model::ContentBlock::text(text)])
}

/// Runs a tool that is no task.
///
/// # Errors
///
/// A tool that is not there, arguments it cannot use, or a caller that cannot do what it takes.
pub(crate) async fn call(
    server: &Server,
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let arguments = request.arguments.unwrap_or_default();
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str);
    if let Some(result) = fixed(&request.name) {
        return Ok(written::<CallToolResult>(result)?.into());
    }
    if let Some(change) = change(&request.name) {
        server.announce(change).await;
        return Ok(said("Everyone has been told").into());
    }
    let result = match &*request.name {
        "test_tool_with_logging" | "test_logging_tool" => log(server, context).await,
        "test_tool_with_progress" => progress(context).await,
        "test_reconnection" => {
            sleep(PAUSE * 5).await;
            said("Still here")
        }
        "test_missing_capability" => sampler(context)?,
        "json_schema_2020_12_tool" => said(format!("Hello, {}!", argument("name").unwrap_or("stranger"))),
        "test_custom_header" => match argument("value") {
            Some(value) => said(value),
            None => return Err(ErrorData::invalid_params("`value` must be a string", None)),
        },
        name => {
            let retry = Retry { state: request.request_state, responses: request.input_responses };
            let able = context.client_capabilities().unwrap_or_default();
            if asking(name, &able, &argument, 0, &Answers::default()).is_none() {
                return Err(ErrorData::invalid_params(format!("Unknown tool: {name}"), None));
            }
            let none = || Step::Done(said(""));
            let work = |stage, answers: &Answers| {
                asking(name, &able, &argument, stage, answers).unwrap_or_else(none)
            };
            return Ok(match settle(context, name, retry, work).await? {
                Outcome::Done(result) => result.into(),
                Outcome::Required(result) => result.into(),
            });
        }
    };
    Ok(result.into())
}

/// The results that never change.
fn fixed(name: &str) -> Option<Value> {
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let content = match name {
        "test_simple_text" => {
            json!([{ "type": "text", "text": "This is a simple text response for testing." }])
        }
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => json!([{ "type": "resource", "resource": {
            "uri": "test://embedded-resource", "mimeType": "text/plain",
            "text": "This is an embedded resource content." } }]),
        "test_multiple_content_types" => json!([
            { "type": "text", "text": "Multiple content types test:" },
            image,
            { "type": "resource", "resource": { "uri": "test://mixed-content-resource",
                "mimeType": "application/json", "text": "{\"test\":\"data\",\"value\":123}" } }
        ]),
        "test_error_handling" => {
            let text = "This tool intentionally returns an error for testing";
            let content = json!([{ "type": "text", "text": text }]);
            return Some(json!({ "resultType": "complete", "content": content, "isError": true }));
        }
        _ => return None,
    };
    Some(json!({ "resultType": "complete", "content": content }))
}

fn change(name: &str) -> Option<Change> {
    match name {
        "test_trigger_tool_change" => Some(Change::Tools),
        "test_trigger_prompt_change" => Some(Change::Prompts),
        "test_trigger_resource_change" => Some(Change::Resources),
        "test_trigger_resource_update" => Some(Change::Resource("test://watched-resource")),
        _ => None,
    }
}

/// Logs if the caller wants it: a session always does, a stateless call says so.
async fn log(server: &Server, context: &RequestContext<RoleServer>) -> CallToolResult {
    let wanted = if is_modern(context) { context.meta.log_level() } else { Some(server.level()) };
    for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if wanted.is_some() {
            let level = rmcp::model::LoggingLevel::Info;
            let line = LoggingMessageNotificationParam::new(level, json!(text)).with_logger("reference");
            // Who does not listen gets the result all the same.
            drop(context.peer.notify_logging_message(line).await);
        }
        sleep(PAUSE).await;
    }
    said("Said all there was to say")
}

async fn progress(context: &RequestContext<RoleServer>) -> CallToolResult {
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let how_far = ProgressNotificationParam::new(token, done).with_total(100.0);
            // Who does not listen gets the result all the same.
            drop(context.peer.notify_progress(how_far.with_message(format!("{done} of 100"))).await);
        }
        sleep(PAUSE).await;
    }
    said("All done")
}

fn sampler(context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    if context.client_capabilities().is_some_and(|able| able.sampling.is_some()) {
        return Ok(said("The caller can sample"));
    }
    let needed = ClientCapabilities::builder().enable_sampling().build();
    Err(ErrorData::missing_required_client_capability(needed))
}

/// The tools that ask. `None` where there is no such tool.
fn asking<'a>(
    name: &str,
    able: &ClientCapabilities,
    argument: &impl Fn(&str) -> Option<&'a str>,
    stage: u64,
    answers: &Answers,
) -> Option<Step<CallToolResult>> {
    let name_form = || field("What is your name?", "name", "string");
    Some(match name {
        "test_sampling" => {
            one(answers, "reply", 0, || sampling(argument("prompt").unwrap_or("Say something")))
        }
        "test_elicitation" => {
            let message = argument("message").unwrap_or("Who are you?");
            one(answers, "user", 0, || form(message, &schemas::person()))
        }
        "test_elicitation_sep1034_defaults" => {
            one(answers, "form", 0, || form("Is all of this right?", &schemas::defaults()))
        }
        "test_elicitation_sep1330_enums" => {
            one(answers, "form", 0, || form("Which of these?", &schemas::choices()))
        }
        "test_streaming_elicitation" => one(answers, "value", 0, || field("Which value?", "value", "string")),
        "test_input_required_result_elicitation" => one(answers, "user_name", 0, name_form),
        "test_input_required_result_sampling" => {
            one(answers, "capital_question", 0, || sampling("What is the capital of France?"))
        }
        "test_input_required_result_list_roots" => one(answers, "client_roots", 0, roots),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            if stage == 1 && answers.get("confirm").is_some() {
                return Some(Step::Done(said("state-ok: the state came back as it went out")));
            }
            one(&Answers::default(), "confirm", 1, || field("Are you sure?", "ok", "boolean"))
        }
        "test_input_required_result_multiple_inputs" => {
            let questions = three(name_form());
            let complete = questions.iter().all(|(name, _)| answers.get(name).is_some());
            if complete { Step::Done(said("All three answers are here")) } else { Step::Ask(questions, 1) }
        }
        "test_input_required_result_multi_round" => match stage {
            0 => Step::Ask(vec![("step1", name_form())], 1),
            1 => Step::Ask(vec![("step2", field("Your favourite colour?", "color", "string"))], 2),
            _ => Step::Done(said("Both rounds are over")),
        },
        "test_input_required_result_capabilities" => {
            let mut questions = three(name_form());
            questions.retain(|(name, _)| match *name {
                "user_name" => able.elicitation.is_some(),
                "greeting" => able.sampling.is_some(),
                _ => able.roots.is_some(),
            });
            let complete = questions.iter().all(|(name, _)| answers.get(name).is_some());
            if complete { Step::Done(said("No question is open")) } else { Step::Ask(questions, 0) }
        }
        _ => return None,
    })
}

fn three(name_form: Value) -> Vec<(&'static str, Value)> {
    vec![("user_name", name_form), ("greeting", sampling("Say hello")), ("client_roots", roots())]
}

/// A tool that asks one thing and tells what it heard.
fn one(
    answers: &Answers,
    name: &'static str,
    next: u64,
    question: impl FnOnce() -> Value,
) -> Step<CallToolResult> {
    let Some(answer) = answers.get(name) else { return Step::Ask(vec![(name, question())], next) };
    Step::Done(said(match answers.sampled(name) {
        Some(text) => format!("LLM response: {text}"),
        None => format!("User response: {answer}"),
    }))
}
