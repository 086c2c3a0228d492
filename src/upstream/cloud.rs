//! Anthropic's models where a cloud hosts them: what is known of a provider there beside its host.

use crate::secret::Secret;
use crate::upstream::credentials::aws::Keys;
use crate::upstream::sigv4::Signer;

/// The cloud of a provider.
#[derive(Clone, Debug)]
pub enum Cloud {
    /// Bedrock's InvokeModel.
    Bedrock {
        /// Signs requests; nothing where an API key is shown instead, or nothing has been fetched yet.
        signer: Option<Signer>,
        /// The region that is asked, for which requests are signed.
        region: String,
    },
    /// Vertex AI's rawPredict.
    Vertex {
        /// The project's id.
        project: String,
        /// Where the models run: a region, `us`, `eu` or `global`.
        location: String,
    },
}

/// The service in signatures of requests to Bedrock's runtime.
const BEDROCK: &str = "bedrock";

impl Cloud {
    /// The same cloud, its requests signed with these keys.
    #[must_use]
    pub fn signing(&self, keys: &Keys) -> Self {
        match self {
            Self::Bedrock { region, .. } => {
                let signer = Signer {
                    access_key: keys.access_key.clone(),
                    secret_key: keys.secret_key.clone(),
                    session_token: keys.session_token.clone(),
                    region: region.clone(),
                    service: BEDROCK,
                };
                Self::Bedrock { signer: Some(signer), region: region.clone() }
            }
            Self::Vertex { .. } => self.clone(),
        }
    }

    /// What nobody may see and what makes the cloud another one when it changes.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let signer = match self {
            Self::Bedrock { signer, .. } => signer.as_ref(),
            Self::Vertex { .. } => None,
        };
        signer.into_iter().flat_map(|Signer { access_key, secret_key, session_token, .. }| {
            [access_key, secret_key].into_iter().chain(session_token)
        })
    }
}
