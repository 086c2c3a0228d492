//! The words for one call: where it went and how it ended.

use std::fmt;

/// What a call asked for, as logs and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/v1/messages`
    Messages,
    /// `/v1/messages/count_tokens`
    CountTokens,
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/responses`
    Responses,
    /// `/v1/models` and one of them
    Models,
    /// `/api/hello`: the client warms its connection
    Hello,
    /// `/mcp` and what is below it
    Mcp,
    /// `/healthz` and `/readyz`
    Health,
    /// `/metrics`
    Metrics,
    /// `/admin` and what is below it
    Admin,
    /// `/.well-known/oauth-protected-resource` and what is below it
    WellKnown,
    /// Anything else, also what is not HTTP
    Other,
}

impl Endpoint {
    /// Whether a model answers, in whichever dialect.
    pub const fn is_model_call(self) -> bool {
        matches!(self, Self::Messages | Self::ChatCompletions | Self::Responses)
    }

    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Models => "models",
            Self::Hello => "hello",
            Self::Mcp => "mcp",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
            Self::WellKnown => "well_known",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How definitions of tools are written for models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ToolMode {
    /// In fewer bytes that say the same.
    #[default]
    Native,
    /// The first sentence of each description, and types.
    Lean,
    /// As its server wrote it.
    Raw,
    /// Not listed: found and called through the tools of `mcp::doors`.
    Search,
    /// Not listed until it is found; then in the list of that session, to be called by its own name.
    Jit,
    /// Not listed: found through a tool of `mcp::doors`, and called by scripts that run behind another.
    Code,
}

impl ToolMode {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 6] = [Self::Native, Self::Lean, Self::Raw, Self::Search, Self::Jit, Self::Code];

    /// The word for it in the config and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Lean => "lean",
            Self::Raw => "raw",
            Self::Search => "search",
            Self::Jit => "jit",
            Self::Code => "code",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether tools of this mode stand in the lists that all callers with the same rights share.
    pub const fn is_listed(self) -> bool {
        !matches!(self, Self::Search | Self::Jit | Self::Code)
    }
}

/// What the config says of how definitions of tools are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ToolChoice {
    /// In this mode.
    Set(ToolMode),
    /// In the mode that suits the client and the number of tools (`mcp::auto`).
    #[default]
    Auto,
}

impl ToolChoice {
    /// The word for it in the config and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Set(mode) => mode.name(),
            Self::Auto => "auto",
        }
    }
}

/// How the tools of one list are written, and by whose word: those of which nothing more is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The mode; `None` where the config says of every server how, and not of all the same.
    pub mode: Option<ToolMode>,
    /// Whether it was chosen for the client and the number of tools, and is none that the config says.
    pub chosen: bool,
}

impl Written {
    /// The word for the mode in the ledger.
    pub const fn mode(self) -> &'static str {
        match self.mode {
            Some(mode) => mode.name(),
            None => "mixed",
        }
    }

    /// The word for who said so.
    pub const fn by(self) -> &'static str {
        if self.chosen { ToolChoice::Auto.name() } else { "config" }
    }
}

/// What a tool does to the world, as far as anybody has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Nobody has said, or nobody who is believed.
    #[default]
    Unknown,
    /// It only looks.
    Read,
    /// It changes things.
    Write,
    /// It may destroy things.
    Destructive,
}

impl Class {
    /// All of them, in the order of their numbers in records: new ones come last.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Read, Self::Write, Self::Destructive];

    /// The word for it in JSON and in searches.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The whole answer has left.
    Done,
    /// We answered with an error of our own.
    Refused,
    /// The caller hung up, or stopped reading.
    CallerGone,
    /// The provider broke off inside its answer.
    UpstreamCut,
    /// The provider fell silent inside its answer.
    UpstreamStalled,
    /// We were told to stop and the time to drain was over.
    Drained,
    /// The answer outgrew what its caller may spend.
    OverBudget,
}

impl Outcome {
    /// The name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::CallerGone => "caller_gone",
            Self::UpstreamCut => "upstream_cut",
            Self::UpstreamStalled => "upstream_stalled",
            Self::Drained => "drained",
            Self::OverBudget => "over_budget",
        }
    }
}
