//! The tools of the tasks extension: calls that give a handle at once and their result later.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult, ErrorData,
    InputRequest, JsonObject, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ask::{Answers, Outcome, Retry, Step, field, settle};
use crate::tools::{empty, said, tool, written};

/// What these tools are called.
pub(crate) const NAMES: &[&str] = &[
    "greet",
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];

/// Those that never answer a caller who does not know tasks.
const ONLY_AS_TASK: &[&str] = &["failing_job", "confirm_delete", "multi_input", "test_tool_with_task"];

/// How much longer than nothing a job takes.
const MOMENT: Duration = Duration::from_millis(200);

/// All of them.
pub(crate) fn all() -> Vec<Tool> {
    let text = |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } } });
    let compute = json!({ "type": "object", "properties": {
        "seconds": { "type": "number" }, "label": { "type": "string" } } });
    vec![
        tool("greet", "Says hello, never as a task", text("name")),
        tool("slow_compute", "Takes as many seconds as it is told", compute),
        tool("failing_job", "Ends with a result that is an error", empty()),
        tool("protocol_error_job", "Ends without a result", empty()),
        tool("confirm_delete", "Asks once while it is a task", text("filename")),
        tool("multi_input", "Asks twice at the same time while it is a task", empty()),
        tool("test_tool_with_task", "Asks, and becomes a task after that", empty()),
    ]
}

/// Calls one.
///
/// # Errors
///
/// A caller that does not know tasks, where nothing else will do; or the failure that the tool is there for.
pub(crate) async fn call(
    tasks: &TaskManager,
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let knows_tasks = context.client_capabilities().is_some_and(|able| able.supports_tasks());
    let name = request.name.to_string();
    if !knows_tasks && ONLY_AS_TASK.contains(&&*name) {
        let needed = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(needed));
    }
    let mut arguments = request.arguments.unwrap_or_default();
    if name == "greet" {
        let whom = arguments.get("name").and_then(Value::as_str).unwrap_or("stranger");
        return Ok(said(format!("Hello, {whom}!")).into());
    }
    if name == "test_tool_with_task" {
        let retry = Retry { state: request.request_state, responses: request.input_responses };
        let work = |_, answers: &Answers| match answers.field("user_name", "name") {
            Some(name) => Step::Done(name.to_owned()),
            None => Step::Ask(vec![("user_name", field("What is your name?", "name", "string"))], 0),
        };
        match settle(context, &name, retry, work).await? {
            Outcome::Required(result) => return Ok(result.into()),
            Outcome::Done(user) => arguments.insert("name".to_owned(), json!(user)),
        };
    }
    if knows_tasks {
        let task = tasks.spawn(TaskOptions::default(), move |task| {
            Box::pin(async move {
                tokio::select! {
                    () = task.cancelled() => Err(TaskExit::Cancelled),
                    result = job(&name, &arguments, Some(&task)) => result,
                }
            })
        });
        return Ok(CreateTaskResult::new(task).into());
    }
    match job(&name, &arguments, None).await {
        Ok(result) => Ok(result.into()),
        Err(TaskExit::Error(error)) => Err(error),
        Err(TaskExit::Cancelled) => Err(ErrorData::internal_error("cancelled", None)),
    }
}

async fn job(
    name: &str,
    arguments: &JsonObject,
    task: Option<&TaskContext>,
) -> Result<CallToolResult, TaskExit> {
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or("nothing");
    match name {
        "slow_compute" => {
            let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(1.0).clamp(0.0, 60.0);
            sleep(Duration::from_secs_f64(seconds)).await;
            Ok(said(format!("Computed {} for {seconds} seconds", argument("label"))))
        }
        "failing_job" => {
            sleep(MOMENT * 5).await;
            let text = "This job intentionally fails";
            let content = json!([{ "type": "text", "text": text }]);
            Ok(written(json!({ "resultType": "complete", "content": content, "isError": true }))?)
        }
        "protocol_error_job" => {
            sleep(MOMENT).await;
            Err(ErrorData::internal_error("this job intentionally has no result", None).into())
        }
        "confirm_delete" => {
            let question = field(&format!("Delete {}?", argument("filename")), "confirm", "boolean");
            let answer = asked(task, "confirm", question).await?;
            Ok(said(format!("Deleted {}: {}", argument("filename"), answer["content"]["confirm"])))
        }
        "multi_input" => {
            let (first, second) = tokio::join!(
                asked(task, "input-a", field("The first value?", "value", "string")),
                asked(task, "input-b", field("The second value?", "value", "string")),
            );
            let (first, second) = (first?, second?);
            Ok(said(format!("Got {} and {}", first["content"]["value"], second["content"]["value"])))
        }
        _ => {
            sleep(MOMENT).await;
            Ok(said(format!("Hello, {}! (later)", argument("name"))))
        }
    }
}

async fn asked(task: Option<&TaskContext>, name: &str, question: Value) -> Result<Value, TaskExit> {
    let Some(task) = task else { return Err(TaskExit::Cancelled) };
    task.request_input(name, written::<InputRequest>(question)?).await
}
