//! Looks for what must not be said in what servers say, on its way to the caller: results, errors,
//! notifications and questions.

use std::cell::Cell;

use crate::gateway::hub::ask::Final;
use crate::mcp::bridge::results::{self, ResultKind};
use crate::mcp::message;
use crate::mcp::rpc::{self, RpcError};
use crate::policy::guards::{Act, Scan};
use crate::scan::Counts;
use crate::scan::document::{self, Found};

/// What is done with what a server says in the course of one call.
#[derive(Debug)]
pub(super) struct Sieve {
    scan: Scan,
    /// It is a call of a tool, whose results can say that they are an error.
    tool: bool,
    /// The caller's era is the modern one.
    modern: bool,
    /// What was found in notifications.
    heard: Cell<Heard>,
}

/// What was found in notifications, of which a call may have thousands: the ledger is told of the first when
/// it comes, and of all others together when the call ends.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// The first has been told.
    told: bool,
    /// How many came after it.
    more: u64,
    /// What was in those.
    counts: Counts,
}

/// What becomes of something that is said.
#[derive(Debug)]
pub(super) struct Sifted {
    /// What the ledger is told; may be empty.
    pub(super) mark: String,
    /// What is passed on; nothing where it is refused.
    pub(super) said: Option<Vec<u8>>,
}

impl Sieve {
    /// A sieve; nothing where nobody looks.
    pub(super) fn new(scan: Scan, tool: bool, modern: bool) -> Option<Self> {
        (scan.act != Act::Off).then(|| Self { scan, tool, modern, heard: Cell::default() })
    }

    /// Looks at a whole response, the last that is said; `id` is the caller's. With it comes what the ledger
    /// is told, of earlier notifications too; that may be nothing.
    pub(super) fn last(&self, id: &[u8], last: Final) -> (String, Final) {
        let mut mark = self.rest();
        let Some((more, body, error)) = self.response(id, &last) else { return (mark, last) };
        // What is refused is an answer of ours.
        let status = if error.is_some() { 200 } else { last.status };
        let (body, error) = (body.unwrap_or(last.body), error.unwrap_or(last.error));
        let last = Final { status, body, error, session: last.session };
        if !mark.is_empty() {
            mark.push_str("; ");
        }
        (mark + &more, last)
    }

    /// The mark of a response, what leaves in its place, and what is logged of it where it is refused;
    /// nothing where there is nothing to say.
    fn response(&self, id: &[u8], last: &Final) -> Option<(String, Option<Vec<u8>>, Option<String>)> {
        let body = &last.body;
        let read = message::read(body).ok()?;
        let (span, what) = match (read.result, read.error) {
            (Some(span), _) => (span, "result"),
            (None, Some(span)) => (span, "error"),
            (None, None) => return None,
        };
        let part = body.get(span.clone())?;
        let found = match what {
            "result" => document::result(part, self.scan.kinds),
            _ => document::arguments(part, self.scan.kinds),
        };
        let Ok(Found { counts, finds }) = found else {
            let text = format!("the {what} cannot be looked through for what may not be passed on");
            let mark = format!("refused {what} that cannot be read");
            return (self.scan.act != Act::Count)
                .then(|| (mark, Some(self.refusal(id, &text, what)), Some(text)));
        };
        if counts.is_empty() {
            return None;
        }
        let mark = format!("{} {counts} in the {what}", self.verb());
        Some(match self.scan.act {
            Act::Refuse => {
                let text = format!(
                    "the {what} was held back: it holds what may not be passed on: {counts} (`scan` in the \
                     config of the gateway)"
                );
                (mark, Some(self.refusal(id, &text, what)), Some(text))
            }
            Act::Mask => {
                let masked = document::masked(part, &finds);
                let (before, after) = (body.get(..span.start)?, body.get(span.end..)?);
                (mark, Some([before, &masked, after].concat()), None)
            }
            Act::Count | Act::Off => (mark, None, None),
        })
    }

    /// Looks at a notification.
    pub(super) fn notification(&self, doc: Vec<u8>) -> Sifted {
        let params = message::read(&doc).ok().and_then(|read| read.params);
        let Some(span) = params else { return Sifted { mark: String::new(), said: Some(doc) } };
        let part = doc.get(span.clone()).unwrap_or_default();
        let (counts, said) = match document::params(part, self.scan.kinds) {
            Ok(found) if found.counts.is_empty() => return Sifted { mark: String::new(), said: Some(doc) },
            Ok(found) => (found.counts, self.passed(part, &found)),
            Err(_) if self.scan.act == Act::Count => return Sifted { mark: String::new(), said: Some(doc) },
            Err(_) => (Counts::default(), None),
        };
        let mut heard = self.heard.get();
        let mut mark = String::new();
        if heard.told {
            heard.more = heard.more.saturating_add(1);
            heard.counts.add_all(counts);
        } else {
            heard.told = true;
            mark = format!("{} {counts} in a notification", self.verb());
        }
        self.heard.set(heard);
        let said = said.map(|params| {
            let (before, after) = (doc.get(..span.start), doc.get(span.end..));
            [before.unwrap_or_default(), &params, after.unwrap_or_default()].concat()
        });
        Sifted { mark, said }
    }

    /// Looks at `params` of what a server wants to know.
    pub(super) fn question(&self, params: Vec<u8>) -> Sifted {
        match document::params(&params, self.scan.kinds) {
            Ok(found) if found.counts.is_empty() => Sifted { mark: String::new(), said: Some(params) },
            Ok(found) => {
                let mark = format!("{} {} in a question", self.verb(), found.counts);
                Sifted { mark, said: self.passed(&params, &found) }
            }
            Err(_) if self.scan.act == Act::Count => Sifted { mark: String::new(), said: Some(params) },
            Err(_) => Sifted { mark: "refused question that cannot be read".to_owned(), said: None },
        }
    }

    /// What was found in notifications and not told yet; empty for nothing.
    pub(super) fn rest(&self) -> String {
        let heard = self.heard.get();
        if heard.more == 0 {
            return String::new();
        }
        self.heard.set(Heard { told: true, ..Heard::default() });
        format!("{} {} in {} more notifications", self.verb(), heard.counts, heard.more)
    }

    /// A part as it is passed on; nothing where it is refused.
    fn passed(&self, part: &[u8], found: &Found) -> Option<Vec<u8>> {
        match self.scan.act {
            Act::Refuse => None,
            Act::Mask => Some(document::masked(part, &found.finds)),
            Act::Count | Act::Off => Some(part.to_vec()),
        }
    }

    /// What is done with what is found, in the ledger's words.
    const fn verb(&self) -> &'static str {
        match self.scan.act {
            Act::Off | Act::Count => "found",
            Act::Mask => "masked",
            Act::Refuse => "refused",
        }
    }

    /// What the caller reads in the place of a result or an error.
    fn refusal(&self, id: &[u8], text: &str, what: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        if self.tool && what == "result" {
            let result =
                serde_json::json!({ "content": [{ "type": "text", "text": text }], "isError": true });
            let result = result.to_string().into_bytes();
            let modern = self.modern.then(|| results::result_for_modern(&result, ResultKind::Plain).ok());
            let adapted = modern.flatten().map_or_else(|| result.clone(), std::borrow::Cow::into_owned);
            rpc::write_result(&mut body, id, &adapted);
        } else {
            rpc::write_error(&mut body, Some(id), &RpcError::not_allowed(text.to_owned()));
        }
        body
    }
}
