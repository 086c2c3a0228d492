//! The prompts, and the words that complete their arguments.

use rmcp::model::{
    CompleteRequestParams, CompleteResult, ErrorData, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, Prompt, Reference,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use crate::ask::{Answers, Outcome, Retry, Step, field, settle};
use crate::tools::{PNG, written};

const ASKS: &str = "test_input_required_result_prompt";

/// All prompts.
///
/// # Errors
///
/// None that a change of this file would not bring.
pub(crate) fn all() -> Result<Vec<Prompt>, ErrorData> {
    written(json!([
        { "name": "test_simple_prompt", "description": "One sentence" },
        { "name": "test_prompt_with_arguments", "description": "A sentence with two gaps", "arguments": [
            { "name": "arg1", "description": "What goes first", "required": true },
            { "name": "arg2", "description": "What goes second", "required": true }
        ] },
        { "name": "test_prompt_with_embedded_resource", "description": "Encloses a resource", "arguments": [
            { "name": "resourceUri", "description": "Which one", "required": true }
        ] },
        { "name": "test_prompt_with_image", "description": "Shows a picture" },
        { "name": ASKS, "description": "Asks what it should be about" }
    ]))
}

/// One prompt.
///
/// # Errors
///
/// A prompt that is not there, or a caller that cannot be asked.
pub(crate) async fn get(
    request: GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    if request.name == ASKS {
        let retry = Retry { state: request.request_state, responses: request.input_responses };
        let work = |_, answers: &Answers| match answers.get("user_context") {
            Some(_) => Step::Done(answers.field("user_context", "context").unwrap_or("nothing").to_owned()),
            None => Step::Ask(vec![("user_context", field("What is it about?", "context", "string"))], 0),
        };
        return Ok(match settle(context, ASKS, retry, work).await? {
            Outcome::Required(result) => result.into(),
            Outcome::Done(about) => messages(&[text(&format!("Tell me about {about}."))])?.into(),
        });
    }
    let arguments = request.arguments.unwrap_or_default();
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let content = match &*request.name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1"), argument("arg2"));
            vec![text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => vec![
            json!({ "type": "resource", "resource": { "uri": argument("resourceUri"),
                "mimeType": "text/plain", "text": "Embedded resource content for testing." } }),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![
            json!({ "type": "image", "data": PNG, "mimeType": "image/png" }),
            text("Please analyze the image above."),
        ],
        name => return Err(ErrorData::invalid_params(format!("Unknown prompt: {name}"), None)),
    };
    Ok(messages(&content)?.into())
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn messages(content: &[Value]) -> Result<GetPromptResult, ErrorData> {
    let said = |content: &Value| json!({ "role": "user", "content": content });
    written(json!({ "resultType": "complete", "messages": content.iter().map(said).collect::<Vec<_>>() }))
}

/// Words that begin as the caller has begun.
///
/// # Errors
///
/// None that a change of this file would not bring.
pub(crate) fn complete(request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    let known: &[&str] = match &request.r#ref {
        Reference::Prompt(_) => &["paris", "park", "party", "quartz"],
        _ => &["1", "12", "123"],
    };
    let values: Vec<_> = known.iter().filter(|word| word.starts_with(&request.argument.value)).collect();
    let completion = json!({ "values": values, "total": values.len(), "hasMore": false });
    written(json!({ "resultType": "complete", "completion": completion }))
}
