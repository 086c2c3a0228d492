//! What is known of one provider: where it is and how we show who we are.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::ids::ProviderName;
use crate::policy::residency::Place;
use crate::secret::Secret;
use crate::upstream::cloud::Cloud;
use crate::upstream::credentials::chain::{Chain, Given};
use crate::upstream::site::Site;

/// The wire format that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Anthropic Messages API.
    Anthropic,
    /// The same, as servers have it that do not know all of it.
    AnthropicLenient,
    /// OpenAI's Chat Completions, and what is compatible with them.
    OpenAiChat,
    /// OpenAI's Responses, and what is compatible with them.
    OpenAiResponses,
    /// Google's Gemini by `generateContent`.
    Gemini,
    /// Anthropic's models on Amazon Bedrock, by InvokeModel.
    Bedrock,
    /// Models of all makers on Amazon Bedrock, by Converse.
    BedrockConverse,
    /// Anthropic's models on Vertex AI, by rawPredict.
    Vertex,
    /// The built-in scripted model: no connection is made.
    Demo,
}

/// The header that shows a provider who we are.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Header name in lower case: `x-api-key`, `authorization`, `x-goog-api-key` or `api-key`.
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
    /// What there is to know where a cloud hosts Anthropic's models.
    pub cloud: Option<Arc<Cloud>>,
    /// Where it is. Unused for `Dialect::Demo`.
    pub site: Arc<Site>,
    /// Path of its base URL, `""` or `/x/y`: without a slash at the end and without a last `/v1`.
    pub base_path: String,
    /// What we show it, if anything.
    pub credential: Option<Credential>,
    /// What else we may show it.
    pub spare: Spare,
    /// Where it runs.
    pub place: Arc<Place>,
    /// Where what we show it comes from, when that ends after a while: then nothing is shown before it has
    /// been fetched, see [`Provider::with`].
    pub source: Option<Arc<Chain>>,
}

/// The keys of a provider that has several.
#[derive(Clone, Debug, Default)]
pub struct Spare {
    /// Those behind the first one.
    pub credentials: Vec<Credential>,
    /// A number for each key, the first one's too, by which it is known whatever place it has; empty where
    /// there is one key or none.
    pub numbers: Vec<u64>,
}

impl Spare {
    /// For these keys behind a first one.
    pub fn new(first: Option<&Credential>, credentials: Vec<Credential>) -> Self {
        let number = |credential: &Credential| {
            let hash: [u8; 32] = Sha256::digest(credential.value.expose()).into();
            let (first, _rest) = hash.split_first_chunk::<8>()?;
            Some(u64::from_le_bytes(*first))
        };
        let all = first.into_iter().chain(&credentials);
        let numbers = if credentials.is_empty() { Vec::new() } else { all.filter_map(number).collect() };
        Self { credentials, numbers }
    }
}

impl Provider {
    /// The same provider, showing what its source has given.
    #[must_use]
    pub fn with(&self, given: &Given) -> Self {
        match given {
            Given::Keys(keys) => {
                let cloud = self.cloud.as_ref().map(|cloud| Arc::new(cloud.signing(keys)));
                Self { cloud, ..self.clone() }
            }
            Given::Token(token) => {
                let value = Secret::new(format!("Bearer {}", token.expose()));
                Self { credential: Some(Credential { header: "authorization", value }), ..self.clone() }
            }
        }
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        usize::from(self.credential.is_some()) + self.spare.credentials.len()
    }

    /// The key at a place; the first one is at 0.
    pub fn credential_at(&self, place: usize) -> Option<&Credential> {
        match place.checked_sub(1) {
            None => self.credential.as_ref(),
            Some(behind) => self.spare.credentials.get(behind),
        }
    }
}
