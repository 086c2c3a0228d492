//! Every method of every revision: its name, who may send it, and what it carries.

use crate::mcp::version::Version;

/// Makes the enum, and both ways between it and the names.
macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $method:ident = $name:literal,)+) => {
        /// What a request or a notification is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[doc = $doc])+ $method,)+
            /// A name that no revision knows; a response, which has none, too.
            Other,
        }

        impl Method {
            /// All that have a name.
            pub const ALL: &[Self] = &[$(Self::$method,)+];

            /// The method of that name: its text, without quotes and escapes; case counts.
            pub fn from_name(name: &[u8]) -> Self {
                // A chain with constants becomes a jump by the name's length.
                $(if name == $name.as_bytes() {
                    return Self::$method;
                })+
                Self::Other
            }

            /// Its name; of `Other` nothing, it stands in the message only.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$method => $name,)+
                    Self::Other => "",
                }
            }
        }
    };
}

// The most frequent first: they are compared in this order.
methods! {
    /// Calls a tool.
    ToolsCall = "tools/call",
    /// How far a request has come.
    Progress = "notifications/progress",
    /// Lists tools.
    ToolsList = "tools/list",
    /// Lists prompts.
    PromptsList = "prompts/list",
    /// Lists resources.
    ResourcesList = "resources/list",
    /// Modern: what a server is and can do.
    Discover = "server/discover",
    /// Modern: opens a stream of change events.
    Listen = "subscriptions/listen",
    /// Legacy: opens a session.
    Initialize = "initialize",
    /// Legacy: the session is open.
    Initialized = "notifications/initialized",
    /// Legacy, both ways: asks for a sign of life.
    Ping = "ping",
    /// Gives a request up.
    Cancelled = "notifications/cancelled",
    /// A line of a server's log.
    Message = "notifications/message",
    /// Fetches a prompt with its arguments filled in.
    PromptsGet = "prompts/get",
    /// Reads a resource.
    ResourcesRead = "resources/read",
    /// Lists templates of resources.
    ResourcesTemplatesList = "resources/templates/list",
    /// Legacy: asks for events about one resource.
    ResourcesSubscribe = "resources/subscribe",
    /// Legacy: asks for them no more.
    ResourcesUnsubscribe = "resources/unsubscribe",
    /// Completes an argument of a prompt or of a template.
    Complete = "completion/complete",
    /// Legacy: from which level on log lines are wanted.
    SetLevel = "logging/setLevel",
    /// How a task stands.
    TasksGet = "tasks/get",
    /// Modern: brings what a task waits for.
    TasksUpdate = "tasks/update",
    /// Gives a task up.
    TasksCancel = "tasks/cancel",
    /// 2025-11-25: waits for a task's result.
    TasksResult = "tasks/result",
    /// 2025-11-25: lists tasks.
    TasksList = "tasks/list",
    /// Server to client: asks for a model's answer. Modern servers put it into a result.
    CreateMessage = "sampling/createMessage",
    /// Server to client: asks for the folders at work. Modern servers put it into a result.
    ListRoots = "roots/list",
    /// Server to client: asks the user. Modern servers put it into a result.
    Elicit = "elicitation/create",
    /// The tools have changed.
    ToolsListChanged = "notifications/tools/list_changed",
    /// The prompts have changed.
    PromptsListChanged = "notifications/prompts/list_changed",
    /// The resources have changed.
    ResourcesListChanged = "notifications/resources/list_changed",
    /// One resource has changed.
    ResourceUpdated = "notifications/resources/updated",
    /// Client to server: the folders have changed.
    RootsListChanged = "notifications/roots/list_changed",
    /// What the user did on a page has ended.
    ElicitationComplete = "notifications/elicitation/complete",
    /// 2025-11-25: how a task stands now.
    TasksStatus = "notifications/tasks/status",
    /// Modern: how a task stands now.
    TasksChanged = "notifications/tasks",
    /// Modern: the first event of a stream, with what it will bring.
    SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged",
}

/// The member of `params` that the header `Mcp-Name` repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
    /// `params.taskId`.
    TaskId,
}

impl Method {
    /// Whether its name is one of a notification, which has no id and no answer.
    pub fn is_notification(self) -> bool {
        self.name().starts_with("notifications/")
    }

    /// Whether a modern caller may request it; those of the tasks extension are among them.
    pub const fn is_modern_request(self) -> bool {
        matches!(
            self,
            Self::Discover
                | Self::Listen
                | Self::ToolsList
                | Self::ToolsCall
                | Self::PromptsList
                | Self::PromptsGet
                | Self::ResourcesList
                | Self::ResourcesTemplatesList
                | Self::ResourcesRead
                | Self::Complete
                | Self::TasksGet
                | Self::TasksUpdate
                | Self::TasksCancel
        )
    }

    /// Whether a client may request it in that revision.
    pub fn is_client_request(self, version: Version) -> bool {
        match self {
            _ if version.is_modern() => self.is_modern_request(),
            Self::Initialize
            | Self::Ping
            | Self::SetLevel
            | Self::ResourcesSubscribe
            | Self::ResourcesUnsubscribe => true,
            Self::TasksGet | Self::TasksCancel | Self::TasksResult | Self::TasksList => {
                version.has_blocking_tasks()
            }
            Self::Discover | Self::Listen | Self::TasksUpdate => false,
            _ => self.is_modern_request(),
        }
    }

    /// Whether a server may request it in that revision; modern servers request nothing.
    pub fn is_server_request(self, version: Version) -> bool {
        match self {
            _ if version.is_modern() => false,
            Self::Ping | Self::CreateMessage | Self::ListRoots => true,
            Self::Elicit => version.has_elicitation(),
            Self::TasksGet | Self::TasksCancel | Self::TasksResult | Self::TasksList => {
                version.has_blocking_tasks()
            }
            _ => false,
        }
    }

    /// Whether a client may send this notification in that revision.
    pub fn is_client_notification(self, version: Version) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Progress | Self::Initialized | Self::RootsListChanged => !version.is_modern(),
            Self::TasksStatus => version.has_blocking_tasks(),
            _ => false,
        }
    }

    /// Whether a server may send this notification in that revision.
    pub fn is_server_notification(self, version: Version) -> bool {
        match self {
            Self::Cancelled
            | Self::Progress
            | Self::Message
            | Self::ToolsListChanged
            | Self::PromptsListChanged
            | Self::ResourcesListChanged
            | Self::ResourceUpdated => true,
            Self::ElicitationComplete => version.has_url_elicitation_error(),
            Self::TasksStatus => version.has_blocking_tasks(),
            Self::SubscriptionsAcknowledged | Self::TasksChanged => version.is_modern(),
            _ => false,
        }
    }

    /// What the header `Mcp-Name` of a modern request has to repeat; nothing for a method without it.
    pub const fn named_by(self) -> Option<NamedBy> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some(NamedBy::Name),
            Self::ResourcesRead => Some(NamedBy::Uri),
            Self::TasksGet | Self::TasksUpdate | Self::TasksCancel => Some(NamedBy::TaskId),
            _ => None,
        }
    }

    /// Whether a modern result has to say how long it holds (`ttlMs`, `cacheScope`).
    pub const fn has_cache_hints(self) -> bool {
        matches!(
            self,
            Self::Discover
                | Self::ToolsList
                | Self::PromptsList
                | Self::ResourcesList
                | Self::ResourcesTemplatesList
                | Self::ResourcesRead
        )
    }

    /// Whether a modern result may ask for input instead (`resultType: "input_required"`).
    pub const fn may_require_input(self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead)
    }
}

#[cfg(test)]
mod tests {
    use crate::mcp::method::{Method, NamedBy};
    use crate::mcp::version::Version;

    #[test]
    fn a_method_is_its_name() {
        for method in Method::ALL {
            assert_eq!(Method::from_name(method.name().as_bytes()), *method);
        }
        for wrong in ["", "tools/Call", "tools/call ", "tools\\/call", "notifications/unknown"] {
            assert_eq!(Method::from_name(wrong.as_bytes()), Method::Other, "{wrong:?}");
        }
        assert_eq!(Method::from_name(b"\xff"), Method::Other);
        assert_eq!(Method::Other.name(), "");
    }

    /// How many methods of one direction a revision has, counted in its schema; tasks of the extension too.
    #[test]
    fn as_many_as_the_schemas_have() {
        let count = |may: fn(Method, Version) -> bool| {
            let mut counts =
                Version::ALL.map(|v| Method::ALL.iter().filter(|method| may(**method, v)).count());
            counts.reverse();
            counts
        };
        assert_eq!(count(Method::is_client_request), [13, 13, 13, 17, 13]);
        assert_eq!(count(Method::is_server_request), [3, 3, 4, 8, 0]);
        assert_eq!(count(Method::is_client_notification), [4, 4, 4, 5, 1]);
        assert_eq!(count(Method::is_server_notification), [7, 7, 7, 9, 9]);
    }

    #[test]
    fn every_method_has_a_sender_and_only_notifications_look_like_one() {
        for method in Method::ALL {
            let asks =
                Version::ALL.iter().any(|v| method.is_client_request(*v) || method.is_server_request(*v));
            let tells = Version::ALL
                .iter()
                .any(|v| method.is_client_notification(*v) || method.is_server_notification(*v));
            assert!(asks != tells, "{method:?}");
            assert_eq!(tells, method.is_notification(), "{method:?}");
        }
    }

    #[test]
    fn names_that_were_removed_are_gone() {
        for gone in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]
        {
            let method = Method::from_name(gone.as_bytes());
            assert!(
                !method.is_modern_request() && method.is_client_request(Version::LATEST_LEGACY),
                "{gone}"
            );
        }
        assert!(!Method::Other.is_modern_request());
    }

    #[test]
    fn what_a_name_header_repeats() {
        assert_eq!(Method::ToolsCall.named_by(), Some(NamedBy::Name));
        assert_eq!(Method::ResourcesRead.named_by(), Some(NamedBy::Uri));
        assert_eq!(Method::TasksCancel.named_by(), Some(NamedBy::TaskId));
        assert_eq!(Method::Complete.named_by(), None);
        let named = Method::ALL.iter().filter(|method| method.named_by().is_some());
        assert!(named.into_iter().all(|method| method.is_modern_request()));
    }
}
