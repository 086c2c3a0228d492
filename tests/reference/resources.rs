//! The resources.

use rmcp::model::{
    ErrorData, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource,
    ResourceTemplate,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use crate::ask::{Answers, Outcome, Retry, Step, field, settle};
use crate::tools::{PNG, written};

const GUARDED: &str = "test://guarded";

/// All resources with an address of their own.
///
/// # Errors
///
/// None that a change of this file would not bring.
pub(crate) fn all() -> Result<Vec<Resource>, ErrorData> {
    written(json!([
        { "uri": "test://static-text", "name": "text", "description": "A text", "mimeType": "text/plain" },
        { "uri": "test://static-binary", "name": "picture", "description": "A picture",
            "mimeType": "image/png" },
        { "uri": "test://watched-resource", "name": "watched", "description": "May change",
            "mimeType": "text/plain" },
        { "uri": GUARDED, "name": "guarded", "description": "Asks before it is shown",
            "mimeType": "text/plain" }
    ]))
}

/// All families of resources.
///
/// # Errors
///
/// None that a change of this file would not bring.
pub(crate) fn templates() -> Result<Vec<ResourceTemplate>, ErrorData> {
    written(json!([{ "uriTemplate": "test://template/{id}/data", "name": "template",
        "description": "One for each id", "mimeType": "application/json" }]))
}

/// What a resource holds.
///
/// # Errors
///
/// A resource that is not there, or a caller that cannot be asked.
pub(crate) async fn read(
    request: ReadResourceRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<ReadResourceResponse, ErrorData> {
    let uri = &*request.uri;
    let text = |kind: &str, text: String| json!({ "uri": uri, "mimeType": kind, "text": text });
    let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let content = match uri {
        "test://static-text" => {
            text("text/plain", "This is the content of the static text resource.".to_owned())
        }
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        "test://watched-resource" => text("text/plain", "It may have changed.".to_owned()),
        GUARDED => {
            let retry = Retry { state: request.request_state, responses: request.input_responses };
            let work = |_, answers: &Answers| match answers.get("allowed") {
                Some(_) => Step::Done(()),
                None => Step::Ask(vec![("allowed", field("May it be shown?", "yes", "boolean"))], 0),
            };
            match settle(context, GUARDED, retry, work).await? {
                Outcome::Required(result) => return Ok(result.into()),
                Outcome::Done(()) => text("text/plain", "The user has let you see this.".to_owned()),
            }
        }
        _ => match id {
            Some(id) => text("application/json", data(id)),
            None => return Err(missing(uri)),
        },
    };
    Ok(written::<ReadResourceResult>(json!({ "resultType": "complete", "contents": [content] }))?.into())
}

fn data(id: &str) -> String {
    let data: Value = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
    data.to_string()
}

fn missing(uri: &str) -> ErrorData {
    ErrorData::resource_not_found(format!("Resource not found: {uri}"), Some(json!({ "uri": uri })))
}
