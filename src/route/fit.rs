//! What a target can take, against what a call needs: hard filters, never relaxed.

/// What a target can take, as the config says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Tokens of a request and its answer together; `None` where nobody has said.
    pub context: Option<u64>,
    /// Tokens of an answer.
    pub max_output: Option<u64>,
    /// Whether it takes images.
    pub images: bool,
    /// Whether it calls tools.
    pub tools: bool,
    /// Whether it thinks when it is asked to.
    pub thinking: bool,
}

impl Default for Fit {
    fn default() -> Self {
        Self { context: None, max_output: None, images: true, tools: true, thinking: true }
    }
}

/// What a call needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Tokens that the request is taken for.
    pub tokens: u64,
    /// Tokens that its answer may have, where it says so.
    pub max_tokens: Option<u64>,
    /// Whether it brings images along.
    pub images: bool,
    /// Whether it offers tools.
    pub tools: bool,
    /// Whether it asks for thinking.
    pub thinking: bool,
}

/// Why a target cannot take a call. The greater one is of more use to a caller: it can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// It calls no tools.
    Tools,
    /// It takes no images.
    Images,
    /// It does not think.
    Thinking,
    /// Its answers are shorter than the call wants them.
    Output {
        /// Tokens that it writes at most.
        most: u64,
        /// Tokens that are wanted.
        asked: u64,
    },
    /// The request and its answer are longer than its context.
    Context {
        /// Tokens that it has in all.
        context: u64,
        /// Tokens of the request.
        tokens: u64,
        /// Tokens of the answer.
        output: u64,
    },
}

impl Fit {
    /// What is missing for a call, if anything.
    pub fn lack(&self, needs: &Needs) -> Option<Lack> {
        let Needs { tokens, max_tokens, images, tools, thinking } = *needs;
        let output = max_tokens.unwrap_or(0);
        if let Some(context) = self.context.filter(|&context| tokens.saturating_add(output) > context) {
            return Some(Lack::Context { context, tokens, output });
        }
        if let Some(most) = self.max_output.filter(|&most| output > most) {
            return Some(Lack::Output { most, asked: output });
        }
        match () {
            () if thinking && !self.thinking => Some(Lack::Thinking),
            () if images && !self.images => Some(Lack::Images),
            () if tools && !self.tools => Some(Lack::Tools),
            () => None,
        }
    }

    /// Whether every call fits, so that nobody has to look at what it needs.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is known to have more room than `other`, in which a prompt was too long.
    pub fn is_larger(&self, other: &Self) -> bool {
        self.context.is_some_and(|own| other.context.is_none_or(|less| own > less))
    }
}

impl Lack {
    /// Whether a caller can change its request so that it fits: then it is told so in the words of the
    /// provider (400), by which clients compact, lower `max_tokens` or leave thinking out. What is left is a
    /// rule of the config (403).
    pub const fn is_of_request(self) -> bool {
        matches!(self, Self::Context { .. } | Self::Output { .. } | Self::Thinking)
    }

    /// The sentence for the caller, about the model that it has named.
    pub fn sentence(self, model: &str) -> String {
        match self {
            Self::Context { context, tokens, .. } if tokens > context => {
                format!("prompt is too long: {tokens} tokens > {context} maximum")
            }
            Self::Context { context, tokens, output } => format!(
                "input length and `max_tokens` exceed context limit: {tokens} + {output} > {context}, \
                 decrease input length or `max_tokens` and try again"
            ),
            Self::Output { most, asked } => format!(
                "max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens for \
                 {model}"
            ),
            Self::Thinking => format!("thinking: {model} is served by nothing that supports thinking"),
            Self::Images => format!("{model} is served by nothing that takes images (rule `images: false`)"),
            Self::Tools => format!("{model} is served by nothing that calls tools (rule `tools: false`)"),
        }
    }

    /// The rule, for the record.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Context { .. } => "context",
            Self::Output { .. } => "max_output",
            Self::Thinking => "thinking: false",
            Self::Images => "images: false",
            Self::Tools => "tools: false",
        }
    }
}
