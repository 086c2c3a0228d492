//! What is known of one provider: where it is and how we show who we are.

use std::sync::Arc;

use crate::ids::ProviderName;
use crate::policy::residency::Place;
use crate::secret::Secret;
use crate::upstream::site::Site;

/// The wire format that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Anthropic Messages API.
    Anthropic,
    /// OpenAI's Chat Completions, and what is compatible with them.
    OpenAiChat,
    /// The built-in scripted model: no connection is made.
    Demo,
}

/// The header that shows a provider who we are.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Header name in lower case: `x-api-key` or `authorization`.
    pub header: &'static str,
    /// The whole header value (for `authorization`: with its `Bearer `).
    pub value: Secret,
}

/// One provider, as a worker needs it. Immutable; a reload makes new ones.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the config.
    pub name: ProviderName,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where it is. Unused for `Dialect::Demo`.
    pub site: Arc<Site>,
    /// Path of its base URL, `""` or `/x/y`: without a slash at the end and without a last `/v1`.
    pub base_path: String,
    /// What we show it, if anything.
    pub credential: Option<Credential>,
    /// Where it runs.
    pub place: Arc<Place>,
}
