//! What the SDK calls: each method handed to the file that knows its fixtures.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, DiscoverResult, ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
    GetTaskResult, Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerInfo, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext, SubscriptionSink};
use rmcp::task_manager::TaskManager;
use rmcp::{Peer, ServerHandler};

use crate::era::Era;
use crate::{prompts, resources, tasks, tools};

/// How long a list or a resource may be kept, in milliseconds.
const TTL_MS: u64 = 60_000;

/// What all sessions and all stateless calls have in common.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    listeners: Arc<Mutex<BTreeMap<u64, SubscriptionSink>>>,
    next: Arc<AtomicU64>,
    sessions: Arc<Mutex<Vec<Session>>>,
    tasks: TaskManager,
}

/// A legacy caller that has said it is ready, and the resources it watches.
#[derive(Clone)]
struct Session {
    peer: Peer<RoleServer>,
    watched: Arc<Mutex<BTreeSet<String>>>,
}

/// The server as one session, or one stateless call, has it.
#[derive(Clone)]
pub(crate) struct Server {
    era: Era,
    shared: Shared,
    level: Arc<Mutex<LoggingLevel>>,
    watched: Arc<Mutex<BTreeSet<String>>>,
}

/// A server for one more session.
pub(crate) fn new_server(era: Era, shared: &Shared) -> Server {
    let level = Arc::new(Mutex::new(LoggingLevel::Debug));
    Server { era, shared: shared.clone(), level, watched: Arc::default() }
}

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has changed.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resources,
    /// The content of one resource.
    Resource(&'static str),
}

impl Server {
    /// The tasks of all callers.
    pub(crate) const fn tasks(&self) -> &TaskManager {
        &self.shared.tasks
    }

    /// The level that the session has set.
    pub(crate) fn level(&self) -> LoggingLevel {
        *locked(&self.level)
    }

    /// Tells everyone who wants to know, whatever the era. Who has left hears nothing, and that is fine.
    pub(crate) async fn announce(&self, change: Change) {
        let listeners: Vec<_> = locked(&self.shared.listeners).values().cloned().collect();
        for listener in listeners {
            drop(match change {
                Change::Tools => listener.notify_tool_list_changed().await,
                Change::Prompts => listener.notify_prompt_list_changed().await,
                Change::Resources => listener.notify_resource_list_changed().await,
                Change::Resource(uri) => listener.notify_resource_updated(uri).await,
            });
        }
        locked(&self.shared.sessions).retain(|session| !session.peer.is_transport_closed());
        let sessions = locked(&self.shared.sessions).clone();
        for Session { peer, watched } in sessions {
            drop(match change {
                Change::Tools => peer.notify_tool_list_changed().await,
                Change::Prompts => peer.notify_prompt_list_changed().await,
                Change::Resources => peer.notify_resource_list_changed().await,
                Change::Resource(uri) if locked(&watched).contains(uri) => {
                    peer.notify_resource_updated(rmcp::model::ResourceUpdatedNotificationParam::new(uri))
                        .await
                }
                Change::Resource(_) => Ok(()),
            });
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerInfo {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerInfo::new(capabilities)
            .with_server_info(Implementation::new("reference-server", env!("CARGO_PKG_VERSION")))
            .with_instructions("Every fixture of the conformance suite, in both eras.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.era.versions()
    }

    /// The SDK asks for the headers of a tool here.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().into_iter().find(|tool| tool.name == name)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        Ok(DiscoverResult::from_server_info(self.era.versions().into_owned(), self.get_info())
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let session = Session { peer: context.peer, watched: Arc::clone(&self.watched) };
        locked(&self.shared.sessions).push(session);
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        // Callers choose their ids, so two may have the same; these numbers are ours.
        let key = self.shared.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.shared.listeners).insert(key, context.sink().clone());
        context.cancelled().await;
        locked(&self.shared.listeners).remove(&key);
        Ok(())
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *locked(&self.level) = request.level;
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let list = ListToolsResult { tools: tools::all(), ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if tasks::NAMES.contains(&&*request.name) {
            return tasks::call(self.tasks(), request, &context).await;
        }
        tools::call(self, request, &context).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let list = ListResourcesResult { resources: resources::all()?, ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let resource_templates = resources::templates()?;
        let list = ListResourceTemplatesResult { resource_templates, ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(match resources::read(request, &context).await? {
            ReadResourceResponse::Complete(result) => {
                result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public).into()
            }
            other => other,
        })
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        locked(&self.watched).insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        locked(&self.watched).remove(&request.uri);
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let list = ListPromptsResult { prompts: prompts::all()?, ..Default::default() };
        Ok(list.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(request, &context).await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        prompts::complete(&request)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.tasks().get_task(&request.task_id)?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks().update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks().cancel_task(&request.task_id)
    }
}
