//! Entries for people and programs: the words of kinds and classes, and an entry as JSON.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::ids::CallId;
use crate::ledger::entry::{Action, Class, Entry, Kind, Offer, Tokens};

impl Kind {
    /// All of them, in the order of their numbers in records: new ones come last.
    pub const ALL: [Self; 15] = [
        Self::ModelCall,
        Self::CountTokens,
        Self::ModelList,
        Self::ToolCall,
        Self::ResourceRead,
        Self::PromptGet,
        Self::McpOther,
        Self::ListChange,
        Self::SignIn,
        Self::Refusal,
        Self::Admin,
        Self::Config,
        Self::Pin,
        Self::Alarm,
        Self::ToolList,
    ];

    /// The word for it in JSON and in searches.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ModelCall => "model_call",
            Self::CountTokens => "count_tokens",
            Self::ModelList => "model_list",
            Self::ToolCall => "tool_call",
            Self::ResourceRead => "resource_read",
            Self::PromptGet => "prompt_get",
            Self::McpOther => "mcp_other",
            Self::ListChange => "list_change",
            Self::SignIn => "sign_in",
            Self::Refusal => "refusal",
            Self::Admin => "admin",
            Self::Config => "config",
            Self::Pin => "pin",
            Self::Alarm => "alarm",
            Self::ToolList => "tool_list",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut form = to.serialize_struct("Tokens", 5)?;
        form.serialize_field("input", &self.input)?;
        form.serialize_field("output", &self.output)?;
        form.serialize_field("cache_read", &self.cache_read)?;
        form.serialize_field("cache_write_5m", &self.cache_write_5m)?;
        form.serialize_field("cache_write_1h", &self.cache_write_1h)?;
        form.end()
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut form = to.serialize_struct("Action", 4)?;
        form.serialize_field("id", &self.id)?;
        form.serialize_field("name", &self.name)?;
        form.serialize_field("class", &self.class)?;
        form.serialize_field("detail", &self.detail)?;
        form.end()
    }
}

impl Serialize for Offer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut form = to.serialize_struct("Offer", 5)?;
        form.serialize_field("server", &self.server)?;
        form.serialize_field("definitions", &self.definitions)?;
        form.serialize_field("tokens", &self.tokens)?;
        form.serialize_field("deferred", &self.deferred)?;
        form.serialize_field("used", &self.used)?;
        form.end()
    }
}

/// An entry as one JSON object with the names of its fields. What was not known is left out, but for `id`,
/// `kind`, `at_ms` and `cost_pico`, which are always there.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut form = to.serialize_map(None)?;
        form.serialize_entry("id", &Shown(self.id))?;
        form.serialize_entry("kind", &self.kind)?;
        form.serialize_entry("at_ms", &self.at_ms)?;
        numbers(&mut form, &[("took_us", self.took_us), ("first_byte_us", self.first_byte_us)])?;
        texts(
            &mut form,
            &[
                ("key", &self.key),
                ("key_id", &self.key_id),
                ("team", &self.team),
                ("user", &self.user),
                ("client", &self.client),
                ("session", &self.session),
                ("agent", &self.agent),
                ("prompt", &self.prompt),
                ("upstream_id", &self.upstream_id),
                ("model", &self.model),
                ("served_model", &self.served_model),
                ("provider", &self.provider),
                ("region", &self.region),
                ("method", &self.method),
                ("server", &self.server),
                ("tool", &self.tool),
                ("tool_hash", &self.tool_hash),
            ],
        )?;
        if self.class != Class::Unknown {
            form.serialize_entry("class", &self.class)?;
        }
        texts(&mut form, &[("tool_use_id", &self.tool_use_id)])?;
        if self.tokens != Tokens::default() {
            form.serialize_entry("tokens", &self.tokens)?;
        }
        form.serialize_entry("cost_pico", &self.cost_pico)?;
        texts(&mut form, &[("priced", &self.priced)])?;
        if !self.budgets.is_empty() {
            form.serialize_entry("budgets", &self.budgets)?;
        }
        texts(&mut form, &[("decision", &self.decision)])?;
        numbers(&mut form, &[("status", self.status.into())])?;
        texts(
            &mut form,
            &[("outcome", &self.outcome), ("stop_reason", &self.stop_reason), ("error", &self.error)],
        )?;
        numbers(&mut form, &[("request_bytes", self.request_bytes), ("answer_bytes", self.answer_bytes)])?;
        if !self.actions.is_empty() {
            form.serialize_entry("actions", &self.actions)?;
        }
        texts(&mut form, &[("content", &self.content)])?;
        if !self.offers.is_empty() {
            form.serialize_entry("offers", &self.offers)?;
        }
        texts(
            &mut form,
            &[
                ("policy", &self.policy),
                ("marks", &self.marks),
                ("sought", &self.sought),
                ("mode", &self.mode),
                ("mode_by", &self.mode_by),
            ],
        )?;
        form.end()
    }
}

/// An id in the form that callers see.
struct Shown(CallId);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

fn texts<M: SerializeMap>(form: &mut M, fields: &[(&'static str, &String)]) -> Result<(), M::Error> {
    fields
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .try_for_each(|(name, text)| form.serialize_entry(name, text))
}

fn numbers<M: SerializeMap>(form: &mut M, fields: &[(&'static str, u64)]) -> Result<(), M::Error> {
    fields
        .iter()
        .filter(|(_, number)| *number != 0)
        .try_for_each(|(name, number)| form.serialize_entry(name, number))
}
