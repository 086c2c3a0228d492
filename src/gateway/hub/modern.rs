//! Requests of modern callers: each stands for itself.

use std::rc::Rc;

use tokio::sync::Notify;

use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::About;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::calls;
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::doors;
use crate::gateway::hub::growth;
use crate::gateway::hub::listing::{self, Seen};
use crate::gateway::hub::streams::{self, ListenFilter};
use crate::mcp::definition::ItemKind;
use crate::mcp::method::Method;
use crate::mcp::mirror;
use crate::mcp::rpc::RpcError;
use crate::mcp::view::Reader;

/// Serves one request whose headers have been checked.
pub(super) async fn take(
    hub: &Rc<Hub>,
    caller: &Caller,
    leg: Leg,
    question: Question,
    params: &[(Vec<u8>, Vec<u8>)],
) {
    let scope = caller.scope.as_ref();
    let hurried = matches!(question.method, Method::Discover | Method::Listen);
    let patience = listing::patience(scope, hurried);
    let Some(seen) = listing::seen(hub, caller, scope, patience).await else {
        return leg.refuse(caller, &unknown_server(hub, caller)).await;
    };
    let about =
        || About { method: question.method.name(), version: caller.version.as_str(), ..About::default() };
    match question.method {
        Method::Discover => {
            leg.about(about()).await;
            if growth::needs_session(&question, &seen) {
                // As a server answers that knows sessions alone; such clients then open one.
                return leg.refuse(caller, &RpcError::method_not_found(question.method.name())).await;
            }
            leg.result(&seen.discover_result()).await;
        }
        Method::ToolsList | Method::PromptsList | Method::ResourcesList | Method::ResourcesTemplatesList => {
            list(hub, caller, &leg, (&question, about()), &seen).await;
        }
        Method::Listen => {
            leg.about(about()).await;
            match ListenFilter::read(question.at(question.params.notifications.as_ref())) {
                Ok(filter) => streams::listen(hub, caller, leg, filter, &seen).await,
                Err(error) => leg.refuse(caller, &error).await,
            }
        }
        Method::ToolsCall => {
            let tool = question.text(question.params.name.as_ref()).unwrap_or_default();
            // A door has no parameters that are headers, and who calls by one knows of no others.
            let tool =
                seen.view.find(ItemKind::Tool, &tool).filter(|_| doors::door(&question, &seen).is_none());
            if let Some(found) = tool {
                let arguments = question.at(question.params.arguments.as_ref());
                let headers = params.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
                if let Err(why) = mirror::check(found.definition.param_headers(), arguments, &headers) {
                    leg.about(about()).await;
                    return leg.refuse(caller, &RpcError::header_mismatch(why.to_string())).await;
                }
            }
            doors::call(hub, caller, leg, question, &seen, Rc::new(Notify::new())).await;
        }
        _ => calls::call(hub, caller, leg, question, &seen, Rc::new(Notify::new())).await,
    }
}

/// What an address that names no server of this caller is answered with.
pub(super) fn unknown_server(hub: &Hub, caller: &Caller) -> RpcError {
    if let Some(why) = listing::kept_away(hub, &caller.principal, caller.scope.as_ref()) {
        return RpcError::not_allowed(why);
    }
    let name = caller.scope.as_ref().map_or("", |name| name.as_str());
    RpcError::not_allowed(format!("there is no MCP server {name:?} for your key"))
}

/// Answers a list from what is cached.
pub(super) async fn list(
    hub: &Hub,
    caller: &Caller,
    leg: &Leg,
    (question, mut about): (&Question, About),
    seen: &Seen,
) {
    let kind = match question.method {
        Method::PromptsList => ItemKind::Prompt,
        Method::ResourcesList => ItemKind::Resource,
        Method::ResourcesTemplatesList => ItemKind::Template,
        _ => ItemKind::Tool,
    };
    let cursor = question.text(question.params.cursor.as_ref());
    if kind == ItemKind::Tool {
        about.note_list(caller.scope.as_ref(), cursor.is_none(), seen.written);
    }
    leg.about(about).await;
    if kind == ItemKind::Tool
        && seen.view.grows()
        && let Some(session) = &caller.session
    {
        return growth::list(hub, caller, session, (leg, cursor.as_deref()), seen).await;
    }
    let reader = if caller.version.is_modern() { Reader::Modern } else { Reader::Legacy };
    match seen.view.page(kind, reader, cursor.as_deref()) {
        Some(result) => {
            if kind == ItemKind::Tool {
                caller.listed(hub, &seen.view, cursor.is_none());
            }
            leg.result(result).await;
        }
        None => leg.refuse(caller, &no_cursor()).await,
    }
}

/// What a cursor is answered with that leads nowhere.
pub(super) fn no_cursor() -> RpcError {
    RpcError::invalid_params("this cursor is not one of ours")
}
