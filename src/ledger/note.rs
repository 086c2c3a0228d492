//! A call as a core tells it to its journal: borrowed from what the core has in hand, and encoded from there.
//!
//! What is written is the same as of an [`Entry`](crate::ledger::entry::Entry) or an opening made of one. But
//! a core does this twice for every call, and to own some twenty texts for it would cost more than to write
//! them.

use std::borrow::Cow;

use crate::ids::CallId;
use crate::ledger::encode::{self, Stamp, Tag, Value};
use crate::ledger::entry::{Action, Class, Kind, Offer, Tokens};
use crate::limits;

/// What is known of a call; each field as in [`Entry`](crate::ledger::entry::Entry).
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of an entry, and explained there")]
pub struct Note<'a> {
    pub id: CallId,
    pub kind: Kind,
    pub at_ms: u64,
    pub took_us: u64,
    pub first_byte_us: u64,
    pub key: &'a str,
    pub key_id: &'a str,
    pub team: &'a str,
    pub user: &'a str,
    pub client: Cow<'a, str>,
    pub session: &'a str,
    pub agent: &'a str,
    pub prompt: &'a str,
    pub upstream_id: &'a str,
    pub model: Cow<'a, str>,
    pub served_model: &'a str,
    pub provider: &'a str,
    pub region: &'a str,
    pub method: &'a str,
    pub server: &'a str,
    pub tool: Cow<'a, str>,
    pub tool_hash: &'a str,
    pub class: Class,
    pub tool_use_id: &'a str,
    pub tokens: Tokens,
    pub cost_pico: u64,
    pub priced: &'a str,
    /// Those of the call and those of the tool that it calls.
    pub budgets: [&'a [String]; 2],
    pub decision: Cow<'a, str>,
    pub status: u16,
    pub outcome: &'a str,
    pub stop_reason: &'a str,
    pub error: Cow<'a, str>,
    pub request_bytes: u64,
    pub answer_bytes: u64,
    pub actions: Vec<Action>,
    pub content: &'a str,
    pub offers: Vec<Offer>,
    pub policy: &'a str,
    pub marks: Cow<'a, str>,
    pub sought: Cow<'a, str>,
    pub mode: &'a str,
    pub mode_by: &'a str,
}

impl Note<'_> {
    /// Appends it as an entry of this kind.
    pub(super) fn put(&self, tag: Tag, stamp: Option<Stamp>, out: &mut Vec<u8>) {
        encode::put_opening(tag, stamp, out);
        self.put_begun(out);
        value(4, &self.took_us, out);
        value(5, &self.first_byte_us, out);
        self.put_who(out);
        text(14, self.upstream_id, out);
        text(15, &self.model, out);
        text(16, self.served_model, out);
        text(17, self.provider, out);
        text(18, self.region, out);
        self.put_tool(out);
        value(25, &self.tokens, out);
        value(26, &self.cost_pico, out);
        text(27, self.priced, out);
        self.put_budgets(out);
        text(29, &self.decision, out);
        value(30, &self.status, out);
        text(31, self.outcome, out);
        text(32, self.stop_reason, out);
        text(33, &self.error, out);
        value(34, &self.request_bytes, out);
        value(35, &self.answer_bytes, out);
        value(36, &self.actions, out);
        text(37, self.content, out);
        value(38, &self.offers, out);
        text(39, self.policy, out);
        text(40, &self.marks, out);
        text(41, &self.sought, out);
        text(42, self.mode, out);
        text(43, self.mode_by, out);
    }

    /// Appends what of it is known before the call goes out, with what is reserved for it in pico-dollars.
    pub(super) fn put_open(&self, estimate_pico: u64, stamp: Option<Stamp>, out: &mut Vec<u8>) {
        encode::put_opening(Tag::Open, stamp, out);
        self.put_begun(out);
        self.put_who(out);
        text(15, &self.model, out);
        text(17, self.provider, out);
        self.put_tool(out);
        value(26, &estimate_pico, out);
        self.put_budgets(out);
        text(29, &self.decision, out);
        value(34, &self.request_bytes, out);
        text(39, self.policy, out);
    }

    fn put_begun(&self, out: &mut Vec<u8>) {
        value(1, &self.id, out);
        value(2, &self.kind, out);
        value(3, &self.at_ms, out);
    }

    fn put_who(&self, out: &mut Vec<u8>) {
        text(6, self.key, out);
        text(7, self.key_id, out);
        text(8, self.team, out);
        text(9, self.user, out);
        text(10, &self.client, out);
        text(11, self.session, out);
        text(12, self.agent, out);
        text(13, self.prompt, out);
    }

    fn put_tool(&self, out: &mut Vec<u8>) {
        text(19, self.method, out);
        text(20, self.server, out);
        text(21, &self.tool, out);
        text(22, self.tool_hash, out);
        value(23, &self.class, out);
        text(24, self.tool_use_id, out);
    }

    fn put_budgets(&self, out: &mut Vec<u8>) {
        if self.budgets.iter().any(|names| !names.is_empty()) {
            let names = self.budgets.iter().copied().flatten().take(limits::BUDGETS_OF_ENTRY_MAX);
            out.push(28);
            encode::put_sized(out, |out| {
                for name in names {
                    encode::put_sized(out, |out| encode::put_text(name, limits::RECORD_TEXT_BYTES_MAX, out));
                }
            });
        }
    }
}

fn value(number: u8, value: &impl Value, out: &mut Vec<u8>) {
    encode::put_field(number, value, limits::RECORD_TEXT_BYTES_MAX, out);
}

fn text(number: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        out.push(number);
        encode::put_sized(out, |out| encode::put_text(text, limits::RECORD_TEXT_BYTES_MAX, out));
    }
}
