//! Anthropic's models where a cloud hosts them: what is known of a provider there beside its host.

use crate::secret::Secret;
use crate::upstream::sigv4::Signer;

/// The cloud of a provider.
#[derive(Clone, Debug)]
pub enum Cloud {
    /// Bedrock's InvokeModel.
    Bedrock {
        /// Signs requests; nothing where an API key is shown instead.
        signer: Option<Signer>,
    },
    /// Vertex AI's rawPredict.
    Vertex {
        /// The project's id.
        project: String,
        /// Where the models run: a region, `us`, `eu` or `global`.
        location: String,
    },
}

impl Cloud {
    /// What nobody may see and what makes the cloud another one when it changes.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let signer = match self {
            Self::Bedrock { signer } => signer.as_ref(),
            Self::Vertex { .. } => None,
        };
        signer.into_iter().flat_map(|Signer { access_key, secret_key, session_token, .. }| {
            [access_key, secret_key].into_iter().chain(session_token)
        })
    }
}
