//! Answers of the admin API: `GET /admin/ledger` and `GET /admin/spend`, from parameters to JSON.

use serde_json::{Value, json};

use crate::glob::Glob;
use crate::ledger::index::IndexFault;
use crate::ledger::index::form;
use crate::ledger::index::offers::OfferWish;
use crate::ledger::index::query::{Now, Query, QueryFault, call_id};
use crate::ledger::index::search::{Page, Reader};
use crate::ledger::index::spend::{By, Per, Whose, Wish};
use crate::ledger::index::when;
use crate::limits;

/// What an address answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP: 200, 400 for what is not understood, 404 for what is not there, 503 for an index
    /// that cannot be used now.
    pub status: u16,
    /// JSON: what was asked for, or `{"error": {"message": ".."}}`.
    pub body: Vec<u8>,
}

/// Why there is no answer.
enum Refused {
    Asked(String),
    Absent(String),
    Index(IndexFault),
}

impl From<IndexFault> for Refused {
    fn from(fault: IndexFault) -> Self {
        Self::Index(fault)
    }
}

impl From<QueryFault> for Refused {
    fn from(fault: QueryFault) -> Self {
        Self::Asked(format!("q: {fault}"))
    }
}

/// Answers `GET /admin/ledger` with the parameters of its address, decoded:
/// `q` a search, `limit` up to `limits::PAGE_ENTRIES_MAX`, `before` the `next` of the page before, `from` to
/// go the other way for a live tail, `from=end` for what is to come, `facets=true` to count by field; or `id`
/// one call, or `session` all of one session in the order of time.
///
/// `{"entries": [..], "next": 12, "facets": {..}}`; `next` is `null` at the end.
pub fn ledger(reader: &mut Reader, parameters: &[(String, String)], now: &Now) -> Answer {
    answer(found(reader, parameters, now))
}

/// Answers `GET /admin/spend`: `by` up to three of key, team, user, model, provider, server, tool with commas
/// between them, or `session`; `per` hour, day, week or month; `since` and `until` as in searches; a filter
/// by key, team, user, provider, server, `model` or `tool`, the last two with `*`.
///
/// With `tools=true` it tells the tokens of tool definitions instead, offered against used: `by` server, or
/// server and team; `per`, `since`, `until`; a filter by team or server.
pub fn spend(reader: &Reader, parameters: &[(String, String)], now: &Now) -> Answer {
    answer(spent(reader, parameters, now))
}

fn answer(made: Result<Value, Refused>) -> Answer {
    let (status, form) = match made {
        Ok(form) => (200, form),
        Err(Refused::Asked(message)) => (400, json!({"error": {"message": message}})),
        Err(Refused::Absent(message)) => (404, json!({"error": {"message": message}})),
        Err(Refused::Index(fault)) => (503, json!({"error": {"message": fault.to_string()}})),
    };
    Answer { status, body: form.to_string().into_bytes() }
}

fn found(reader: &mut Reader, parameters: &[(String, String)], now: &Now) -> Result<Value, Refused> {
    let parameters =
        Parameters::of(parameters, &["q", "limit", "before", "from", "facets", "id", "session"])?;
    if let Some(id) = parameters.get("id") {
        let id = call_id(id).ok_or_else(|| Refused::Asked("id: write req_ and 32 digits".to_owned()))?;
        let hit = reader.entry(id)?.ok_or_else(|| Refused::Absent(format!("there is no entry of {id}")))?;
        return Ok(json!({"entries": [form::hit(&hit)], "next": null}));
    }
    if let Some(session) = parameters.get("session") {
        let hits = reader.session(session)?;
        return Ok(json!({"entries": hits.iter().map(form::hit).collect::<Vec<_>>(), "next": null}));
    }
    let query = Query::parse(parameters.get("q").unwrap_or_default(), now)?;
    let limit = parameters.number("limit")?.unwrap_or(limits::PAGE_ENTRIES_DEFAULT as u64);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if !(1..=limits::PAGE_ENTRIES_MAX).contains(&limit) {
        return Err(Refused::Asked(format!("limit: a number from 1 to {}", limits::PAGE_ENTRIES_MAX)));
    }
    let from = match parameters.get("from") {
        Some("end") => Some(reader.next()?),
        _ => parameters.number("from")?,
    };
    let page = match from {
        Some(from) => reader.since(&query, from, limit)?,
        None => reader.search(&query, Page { before: parameters.number("before")?, limit })?,
    };
    let mut form = json!({"entries": page.hits.iter().map(form::hit).collect::<Vec<_>>(), "next": page.next});
    if matches!(parameters.get("facets"), Some("true" | "1"))
        && let Value::Object(fields) = &mut form
    {
        fields.insert("facets".to_owned(), form::facets(&reader.facets(&query)?));
    }
    Ok(form)
}

fn spent(reader: &Reader, parameters: &[(String, String)], now: &Now) -> Result<Value, Refused> {
    let known = [
        "by", "per", "since", "until", "key", "team", "user", "model", "provider", "server", "tool", "limit",
        "tools",
    ];
    let parameters = Parameters::of(parameters, &known)?;
    let since_ms = time(&parameters, "since", now)?.map_or(0, |found| found.begin_ms);
    let until_ms = time(&parameters, "until", now)?.map_or(u64::MAX, |found| found.end_ms);
    let by = parameters.get("by").unwrap_or_default();
    if by == "session" {
        let limit = parameters.number("limit")?.unwrap_or(limits::PAGE_ENTRIES_DEFAULT as u64);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        return Ok(form::sessions(&reader.sessions(since_ms, until_ms, limit)?));
    }
    let per = per(&parameters)?;
    let text = |name: &str| parameters.get(name).map(str::to_owned);
    if matches!(parameters.get("tools"), Some("true" | "1")) {
        let by_team = read_offers_by(by).map_err(Refused::Asked)?;
        if let Some(name) = ["key", "user", "model", "provider", "tool", "limit"]
            .into_iter()
            .find(|name| parameters.get(name).is_some())
        {
            return Err(Refused::Asked(format!("{name}: definitions of tools are told by server and team")));
        }
        let (team, server) = (text("team"), text("server"));
        let wish = OfferWish { by_team, per, since_ms, until_ms, zone: now.zone.clone(), team, server };
        return Ok(form::offers(&reader.offers(&wish)?, &wish));
    }
    let wish = Wish {
        by: read_by(by).map_err(Refused::Asked)?,
        per,
        since_ms,
        until_ms,
        zone: now.zone.clone(),
        whose: Whose {
            key: text("key"),
            team: text("team"),
            user: text("user"),
            model: parameters.get("model").map(Glob::new),
            provider: text("provider"),
            server: text("server"),
            tool: parameters.get("tool").map(Glob::new),
        },
    };
    Ok(form::report(&reader.spend(&wish)?, &wish))
}

fn per(parameters: &Parameters<'_>) -> Result<Option<Per>, Refused> {
    let Some(word) = parameters.get("per").filter(|word| !word.is_empty()) else { return Ok(None) };
    let words = || Refused::Asked(format!("per: {}", Per::ALL.map(Per::name).join(", ")));
    Per::from_name(word).ok_or_else(words).map(Some)
}

/// Reads by what definitions of tools are told: `server` or nothing, or `server,team`, which is true.
///
/// # Errors
/// What is allowed instead.
pub fn read_offers_by(text: &str) -> Result<bool, String> {
    match text {
        "" | "server" => Ok(false),
        "server,team" | "team,server" => Ok(true),
        _ => Err("by: server, or server,team".to_owned()),
    }
}

/// Reads `team,model`; the empty text is nothing.
///
/// # Errors
/// What is allowed instead.
pub fn read_by(text: &str) -> Result<Vec<By>, String> {
    let words = text.split(',').filter(|word| !word.is_empty());
    let by: Option<Vec<By>> = words.map(By::from_name).collect();
    match by {
        Some(by) if by.len() <= limits::SPEND_FIELDS_MAX => Ok(by),
        _ => Err(format!(
            "by: up to {} of {}, with commas between them, or session",
            limits::SPEND_FIELDS_MAX,
            By::ALL.map(By::name).join(", ")
        )),
    }
}

fn time(parameters: &Parameters<'_>, name: &str, now: &Now) -> Result<Option<when::Found>, Refused> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let found = when::read(text, now).ok_or_else(|| {
        Refused::Asked(format!("{name}: write 30m, 24h, 7d, 2026-11-01 or 2026-11-01T12:30"))
    })?;
    Ok(Some(found))
}

/// Parameters that are known, each at most once.
struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    fn of(given: &'a [(String, String)], known: &[&str]) -> Result<Self, Refused> {
        let mut found: Vec<(&str, &str)> = Vec::new();
        for (name, value) in given {
            if !known.contains(&name.as_str()) {
                return Err(Refused::Asked(format!(
                    "there is no such parameter; there are {}",
                    known.join(", ")
                )));
            }
            if found.iter().any(|(known, _)| known == name) {
                return Err(Refused::Asked(format!("{name}: it is given twice")));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_none| Refused::Asked(format!("{name}: a number")))
    }
}
