//! What can be wrong with a message, and how its sender is told.

use crate::json;
use crate::mcp::rpc::RpcError;

/// Why a message is not taken; `at` is a place in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not JSON.
    #[error("the message is not valid JSON: {0}")]
    NotJson(#[from] json::Fault),
    /// JSON, but no object.
    #[error("a message must be a JSON object")]
    NotObject,
    /// `jsonrpc` is missing or says something else.
    #[error("`jsonrpc` must be \"2.0\"")]
    Version,
    /// A member that we read stands there twice: two readers could take different ones.
    #[error("`{name}` is given more than once, again at byte {at}")]
    Twice {
        /// Its name.
        name: &'static str,
        /// The second one.
        at: usize,
    },
    /// A member has the name of one that we read but for case or escapes: others may take it for that.
    #[error("the name at byte {at} can be mistaken for `{name}`")]
    Alike {
        /// The name that it can be mistaken for.
        name: &'static str,
        /// Its place.
        at: usize,
    },
    /// A member is of another kind than it has to be.
    #[error("`{name}` at byte {at} is of the wrong kind")]
    Kind {
        /// Its name.
        name: &'static str,
        /// Its value's place.
        at: usize,
    },
    /// An id that is no string and no number, too long, or missing in a result.
    #[error("`id` must be a string of at most 512 bytes or a number")]
    Id,
    /// More than one of `method`, `result` and `error`.
    #[error("a message has one of `method`, `result` and `error`")]
    Mixed,
    /// None of them.
    #[error("a message has `method`, `result` or `error`")]
    Purpose,
    /// A batch without messages, or with more than `limits::MCP_BATCH_MAX`.
    #[error("a batch must have 1 to {max} messages")]
    BatchSize {
        /// The most it may have.
        max: usize,
    },
    /// Two edits meet in one place, or an edit lies outside of the document: a mistake of ours.
    #[error("edits overlap at byte {at}")]
    Overlap {
        /// Where.
        at: usize,
    },
}

impl Fault {
    /// What the sender of such a request is told.
    pub fn rpc(&self) -> RpcError {
        match self {
            Self::NotJson(_) => RpcError::parse(self.to_string()),
            Self::Kind { .. } => RpcError::invalid_params(self.to_string()),
            Self::Overlap { .. } => RpcError::internal(),
            Self::NotObject
            | Self::Version
            | Self::Twice { .. }
            | Self::Alike { .. }
            | Self::Id
            | Self::Mixed
            | Self::Purpose
            | Self::BatchSize { .. } => RpcError::invalid_request(self.to_string()),
        }
    }
}
