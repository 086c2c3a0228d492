//! What is searched for, read from what a person types: `tool:github.* class:write since:7d "prod"`.
//!
//! All terms have to fit (a `-` before one: must not fit), values with commas between them are
//! alternatives. Reading computes only; nothing of the text ever becomes a part of a statement.

use jiff::tz::TimeZone;

use crate::glob::Glob;
use crate::ids::CallId;
use crate::ledger::entry::{Class, Kind};
use crate::ledger::index::names::Name;
use crate::ledger::index::number;
use crate::ledger::index::when;
use crate::ledger::index::words::{self, Once};
use crate::limits;

/// A search as understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub(super) terms: Vec<Term>,
    /// Entries that began at or after it, milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Entries that began before it, milliseconds since 1970.
    pub until_ms: Option<u64>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) negated: bool,
    pub(super) test: Test,
}

/// What a condition asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Kind(Vec<Kind>),
    Class(Vec<Class>),
    Name(Name, Vec<Glob>),
    /// This very session: a text of a client, in which a `*` is a `*`.
    Session(String),
    Once(Once, Vec<String>),
    /// Both ends are in.
    Number(Number, u64, u64),
    Words(Place, Vec<SoughtWord>),
}

/// A number of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Status,
    CostPico,
    TookUs,
    Tokens,
}

/// Where words are looked for, side by side in one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Error,
    Decision,
}

/// A word that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SoughtWord {
    pub(super) text: String,
    /// Whether longer words that begin so are meant as well.
    pub(super) prefix: bool,
}

/// A search that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {what}")]
pub struct QueryFault {
    /// Where in the text, in characters, from 1.
    pub at: usize,
    /// What is wrong there, and what would be right.
    pub what: String,
}

/// What the reader of a search knows beside its text.
#[derive(Clone, Debug)]
pub struct Now {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// The zone that days and hours without one are in.
    pub zone: TimeZone,
}

impl Now {
    /// A time in a zone by its name, without one in that of this machine; `None` for a name that is none.
    pub fn new(ms: u64, zone: Option<&str>) -> Option<Self> {
        let zone = match zone {
            Some(name) => TimeZone::get(name).ok()?,
            None => TimeZone::system(),
        };
        Some(Self { ms, zone })
    }
}

/// How a search is written, for helps and errors.
pub const HELP: &str = "\
kind:model_call        model_call count_tokens model_list tool_call resource_read prompt_get mcp_other
                       list_change sign_in refusal admin config pin alarm tool_list
class:write            read write destructive unknown; of the tool, and of what the client was told to do
key: team: user:       names; * stands for any characters, commas between alternatives: user:ana,ben
model: provider: region: client: session: agent: prompt:
server: tool:          tool:github.* tool:create_issue
action:Bash            a tool that the model told the client to use
mode:jit mode:auto     how the tools of a list were written, and by whose word: auto or config
outcome: stop: method: done, refused, lost ...
id: upstream: use:     ids of the call, of the provider's request, of the tool use
status:>=400 cost:>0.10 took:>5s tokens:>=100000      > >= < <= = and 1..5; cost in dollars
since:7d until:2026-11-01 day:2026-11-01   s m h d w ago, a day, or a time such as 2026-11-01T12:30
error:timeout decision:deny                words of these texts
prod \"two words\" prod*                     words of tools, errors, decisions, commands, paths and hosts
-user:ci               not";

/// Names of fields, for the error that a wrong one gets.
const FIELDS: &str = "kind, class, key, team, user, model, provider, region, client, session, agent, prompt, \
                      server, tool, action, mode, outcome, stop, method, id, upstream, use, status, cost, \
                      took, tokens, since, until, day, error, decision";

impl Query {
    /// Reads a search. The empty one finds everything.
    ///
    /// # Errors
    /// The first place that is not understood, or a bound of `limits::QUERY_*` that is passed.
    pub fn parse(text: &str, now: &Now) -> Result<Self, QueryFault> {
        if text.len() > limits::QUERY_BYTES_MAX {
            let what = format!("a search has at most {} bytes", limits::QUERY_BYTES_MAX);
            return Err(QueryFault { at: 1, what });
        }
        let mut query = Self::default();
        for piece in Pieces::new(text) {
            let piece = piece?;
            query.add(&piece, now)?;
            if query.terms.len() > limits::QUERY_TERMS_MAX {
                return Err(piece.fault(format!("a search has at most {} terms", limits::QUERY_TERMS_MAX)));
            }
        }
        Ok(query)
    }

    fn add(&mut self, piece: &Piece, now: &Now) -> Result<(), QueryFault> {
        let Some(field) = &piece.field else {
            let words = sought(piece)?;
            self.push(piece, Test::Words(Place::Anywhere, words));
            return Ok(());
        };
        if piece.value.is_empty() {
            return Err(piece.fault(format!("`{}:` wants a value behind it, without a space", shown(field))));
        }
        match field.as_str() {
            "since" | "until" | "day" => return self.add_time(field, piece, now),
            _ => {}
        }
        let test = test(field, piece)?;
        self.push(piece, test);
        Ok(())
    }

    fn push(&mut self, piece: &Piece, test: Test) {
        self.terms.push(Term { negated: piece.negated, test });
    }

    fn add_time(&mut self, field: &str, piece: &Piece, now: &Now) -> Result<(), QueryFault> {
        if piece.negated {
            return Err(piece.fault(format!("`{field}:` cannot be negated")));
        }
        let found = when::read(&piece.value, now).ok_or_else(|| {
            piece.fault(format!(
                "`{}` is no time: write 30m, 24h, 7d, 2026-11-01 or 2026-11-01T12:30",
                shown(&piece.value)
            ))
        })?;
        let since = (field != "until").then_some(found.begin_ms);
        let until = (field != "since").then_some(found.end_ms);
        if let Some(since) = since {
            self.since_ms = Some(self.since_ms.map_or(since, |known| known.max(since)));
        }
        if let Some(until) = until {
            self.until_ms = Some(self.until_ms.map_or(until, |known| known.min(until)));
        }
        Ok(())
    }

    /// Whether it has no condition at all, not even a time.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty() && self.since_ms.is_none() && self.until_ms.is_none()
    }
}

fn test(field: &str, piece: &Piece) -> Result<Test, QueryFault> {
    let number = |number, read: fn(&str) -> Option<u64>, example| {
        number::range(&piece.value, read).map(|(low, high)| Test::Number(number, low, high)).ok_or_else(
            || {
                let value = shown(&piece.value);
                piece.fault(format!("`{field}:{value}` is not understood: write for example {example}"))
            },
        )
    };
    Ok(match field {
        "kind" => Test::Kind(known(piece, Kind::from_name, Kind::ALL.map(Kind::name).as_slice())?),
        "class" => Test::Class(known(piece, Class::from_name, Class::ALL.map(Class::name).as_slice())?),
        "id" => Test::Once(Once::Id, ids(piece)?),
        "prompt" => Test::Once(Once::Prompt, texts(piece)?),
        "upstream" => Test::Once(Once::Upstream, texts(piece)?),
        "use" => Test::Once(Once::Use, texts(piece)?),
        "status" => number(Number::Status, number::plain, "status:429 or status:>=400")?,
        "cost" => number(Number::CostPico, number::dollars, "cost:>0.10 or cost:0.01..0.05")?,
        "took" => number(Number::TookUs, number::micros, "took:>5s or took:<=200ms")?,
        "tokens" => number(Number::Tokens, number::plain, "tokens:>=100000")?,
        "error" => Test::Words(Place::Error, sought(piece)?),
        "decision" => Test::Words(Place::Decision, sought(piece)?),
        _ => {
            let Some(name) = name_of(field) else {
                let field = shown(field);
                let what = format!("there is no field `{field}`; there are {FIELDS}; or put it into quotes");
                return Err(QueryFault { at: piece.at, what });
            };
            Test::Name(name, texts(piece)?.iter().map(|text| Glob::new(text)).collect())
        }
    })
}

fn name_of(field: &str) -> Option<Name> {
    Some(match field {
        "key" => Name::Key,
        "team" => Name::Team,
        "user" => Name::User,
        "session" => Name::Session,
        "model" => Name::Model,
        "provider" => Name::Provider,
        "server" => Name::Server,
        "tool" => Name::Tool,
        "outcome" => Name::Outcome,
        "client" => Name::Client,
        "method" => Name::Method,
        "agent" => Name::Agent,
        "region" => Name::Region,
        "stop" => Name::Stop,
        "action" => Name::Action,
        "mode" => Name::Mode,
        _ => return None,
    })
}

/// The alternatives of a value: those between commas, or all of it where it is in quotes.
fn texts(piece: &Piece) -> Result<Vec<String>, QueryFault> {
    if piece.quoted {
        return Ok(vec![piece.value.clone()]);
    }
    let texts: Vec<String> =
        piece.value.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    if texts.is_empty() {
        return Err(piece.fault("a value is missing".to_owned()));
    }
    if texts.len() > limits::QUERY_VALUES_MAX {
        return Err(piece.fault(format!("a term has at most {} values", limits::QUERY_VALUES_MAX)));
    }
    Ok(texts)
}

fn known<T>(piece: &Piece, read: fn(&str) -> Option<T>, all: &[&str]) -> Result<Vec<T>, QueryFault> {
    let read = |text: &String| {
        read(text).ok_or_else(|| piece.fault(format!("`{}` is none of {}", shown(text), all.join(", "))))
    };
    texts(piece)?.iter().map(read).collect()
}

/// Ids of calls, in the form that is kept.
fn ids(piece: &Piece) -> Result<Vec<String>, QueryFault> {
    let read = |text: &String| {
        call_id(text).map(|id| id.to_string()).ok_or_else(|| {
            let text = shown(text);
            piece.fault(format!("`{text}` is no id of a call: `req_` and 32 hexadecimal digits"))
        })
    };
    texts(piece)?.iter().map(read).collect()
}

/// The id of a call as it is shown; `None` for anything else.
pub fn call_id(text: &str) -> Option<CallId> {
    let digits = text.strip_prefix("req_").unwrap_or(text);
    let well = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    well.then(|| u128::from_str_radix(digits, 16).ok().map(CallId)).flatten()
}

fn sought(piece: &Piece) -> Result<Vec<SoughtWord>, QueryFault> {
    let mut found: Vec<SoughtWord> = words::words(&piece.value)
        .map(|word| SoughtWord { text: word.into_owned(), prefix: false })
        .collect();
    if let Some(last) = found.last_mut() {
        last.prefix = piece.value.ends_with('*');
    }
    match found.len() {
        0 => Err(piece.fault(format!("`{}` has no letter or digit to look for", shown(&piece.value)))),
        count if count > limits::QUERY_WORDS_MAX => {
            Err(piece.fault(format!("a text has at most {} words", limits::QUERY_WORDS_MAX)))
        }
        _ => Ok(found),
    }
}

/// What an error repeats of a search.
fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

const MOST: usize = limits::QUERY_SHOWN_CHARS_MAX;

/// One piece of a search between white space: `-field:value`, `field:"a value"`, `"text"`, `text`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    at: usize,
    negated: bool,
    field: Option<String>,
    value: String,
    quoted: bool,
}

impl Piece {
    fn fault(&self, what: String) -> QueryFault {
        QueryFault { at: self.at, what }
    }
}

/// Cuts a search into pieces.
struct Pieces<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    /// Characters that have been read.
    read: usize,
}

impl<'a> Pieces<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), read: 0 }
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.read += usize::from(next.is_some());
        next
    }

    fn take_if(&mut self, wanted: char) -> bool {
        self.rest.peek() == Some(&wanted) && self.take().is_some()
    }

    /// What stands between quotes, the first of which is read. `\"` is a quote, `\\` a backslash.
    fn quoted(&mut self, at: usize) -> Result<String, QueryFault> {
        let mut text = String::new();
        while let Some(c) = self.take() {
            match c {
                '"' => return Ok(text),
                '\\' if matches!(self.rest.peek(), Some('"' | '\\')) => text.extend(self.take()),
                _ => text.push(c),
            }
        }
        Err(QueryFault { at, what: "the quote that opens here is not closed".to_owned() })
    }

    fn piece(&mut self) -> Result<Option<Piece>, QueryFault> {
        while self.rest.peek().is_some_and(|c| c.is_whitespace()) {
            self.take();
        }
        let at = self.read + 1;
        let negated = self.take_if('-');
        if self.rest.peek().is_none_or(|c| c.is_whitespace()) {
            let what = "a term is missing behind the `-`".to_owned();
            return if negated { Err(QueryFault { at, what }) } else { Ok(None) };
        }
        if self.take_if('"') {
            let mut value = self.quoted(at)?;
            if self.take_if('*') {
                value.push('*');
            }
            return Ok(Some(Piece { at, negated, field: None, value, quoted: true }));
        }
        let mut word = String::new();
        while let Some(c) = self.rest.peek().copied().filter(|c| !c.is_whitespace()) {
            self.take();
            // A colon ends a field only behind letters, so that `10:30` and `/srv:/x` are texts.
            let field =
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if c == ':' && field {
                return self.value(Piece {
                    at,
                    negated,
                    field: Some(word),
                    value: String::new(),
                    quoted: false,
                });
            }
            word.push(c);
        }
        Ok(Some(Piece { at, negated, field: None, value: word, quoted: false }))
    }

    fn value(&mut self, mut piece: Piece) -> Result<Option<Piece>, QueryFault> {
        let at = self.read + 1;
        if self.take_if('"') {
            piece.value = self.quoted(at)?;
            piece.quoted = true;
            if self.take_if('*') {
                piece.value.push('*');
            }
            return Ok(Some(piece));
        }
        while let Some(c) = self.rest.peek().copied().filter(|c| !c.is_whitespace()) {
            self.take();
            piece.value.push(c);
        }
        Ok(Some(piece))
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<Piece, QueryFault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.piece().transpose()
    }
}
