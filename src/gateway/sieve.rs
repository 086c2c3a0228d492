//! Looks for what must not be said in the results of MCP calls, on their way to the caller.

use crate::mcp::bridge::results::{self, ResultKind};
use crate::mcp::message;
use crate::mcp::rpc::{self, RpcError};
use crate::policy::guards::{Act, Scan};
use crate::scan::document;

/// What is done with the results of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sieve {
    scan: Scan,
    /// It is a call of a tool, whose results can say that they are an error.
    tool: bool,
    /// The caller's era is the modern one.
    modern: bool,
}

/// What has become of a response.
pub(super) struct Sifted {
    /// What the ledger is told.
    pub(super) mark: String,
    /// The response that leaves instead, when it is another.
    pub(super) body: Option<Vec<u8>>,
    /// What went wrong, when it was refused.
    pub(super) error: Option<String>,
}

impl Sieve {
    /// A sieve; nothing where nobody looks.
    pub(super) fn new(scan: Scan, tool: bool, modern: bool) -> Option<Self> {
        (scan.act != Act::Off).then_some(Self { scan, tool, modern })
    }

    /// Looks at a whole response; nothing where there is nothing to say. `id` is the caller's.
    pub(super) fn sift(self, id: &[u8], body: &[u8]) -> Option<Sifted> {
        let span = message::read(body).ok()?.result?;
        let result = body.get(span.clone())?;
        let Ok(found) = document::result(result, self.scan.kinds) else {
            let text = "the result cannot be looked through for what may not be passed on";
            return (self.scan.act != Act::Count)
                .then(|| self.refused(id, text, "result that cannot be read"));
        };
        let counts = found.counts;
        if counts.is_empty() {
            return None;
        }
        Some(match self.scan.act {
            Act::Refuse => {
                let text = format!(
                    "the result was held back: it holds what may not be passed on: {counts} (`scan` in the \
                     config of the gateway)"
                );
                self.refused(id, &text, &format!("{counts} in the result"))
            }
            Act::Mask => {
                let masked = document::masked(result, &found.finds);
                let (before, after) = (body.get(..span.start)?, body.get(span.end..)?);
                let body = Some([before, &masked, after].concat());
                Sifted { mark: format!("masked {counts} in the result"), body, error: None }
            }
            Act::Count | Act::Off => {
                Sifted { mark: format!("found {counts} in the result"), body: None, error: None }
            }
        })
    }

    /// An error in the place of a result.
    fn refused(self, id: &[u8], text: &str, what: &str) -> Sifted {
        let mut body = Vec::with_capacity(256);
        if self.tool {
            let result =
                serde_json::json!({ "content": [{ "type": "text", "text": text }], "isError": true });
            let result = result.to_string().into_bytes();
            let modern = self.modern.then(|| results::result_for_modern(&result, ResultKind::Plain).ok());
            let adapted = modern.flatten().map_or_else(|| result.clone(), std::borrow::Cow::into_owned);
            rpc::write_result(&mut body, id, &adapted);
        } else {
            rpc::write_error(&mut body, Some(id), &RpcError::not_allowed(text.to_owned()));
        }
        Sifted { mark: format!("refused {what}"), body: Some(body), error: Some(text.to_owned()) }
    }
}
