//! Texts that come again and again, each kept once and called by a number.

use std::borrow::Cow;
use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Statement};

use crate::ledger::entry::{Entry, Kind};
use crate::ledger::index::IndexFault;
use crate::ledger::index::schema::{loaded, stored};
use crate::limits;

/// A fact whose text is a name. Number 0 is the empty text of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Name {
    /// The key.
    Key,
    /// The team.
    Team,
    /// The person.
    User,
    /// The session.
    Session,
    /// The model asked for, and the one that answered.
    Model,
    /// The provider.
    Provider,
    /// The MCP server.
    Server,
    /// The tool: `server.tool`.
    Tool,
    /// How it ended.
    Outcome,
    /// The client.
    Client,
    /// The method of MCP.
    Method,
    /// The agent in the session.
    Agent,
    /// Where a provider answered from.
    Region,
    /// Why a model stopped.
    Stop,
    /// What the client was told to use.
    Action,
    /// The status, as digits.
    Status,
    /// Who called, in one: see `block::who`.
    Who,
    /// How the tools of a list are written, and by whose word.
    Mode,
}

impl Name {
    /// All of them, in the order of their numbers in the file: new ones come last.
    pub(super) const ALL: [Self; 18] = [
        Self::Key,
        Self::Team,
        Self::User,
        Self::Session,
        Self::Model,
        Self::Provider,
        Self::Server,
        Self::Tool,
        Self::Outcome,
        Self::Client,
        Self::Method,
        Self::Agent,
        Self::Region,
        Self::Stop,
        Self::Action,
        Self::Status,
        Self::Who,
        Self::Mode,
    ];

    /// Its number in the file.
    pub(super) fn number(self) -> i64 {
        Self::ALL.iter().position(|name| *name == self).and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
    }

    /// The letter of its marks; the one that came when no letter was left has a digit.
    pub(super) const fn letter(self) -> char {
        match self {
            Self::Key => 'y',
            Self::Team => 't',
            Self::User => 'u',
            Self::Session => 's',
            Self::Model => 'm',
            Self::Provider => 'p',
            Self::Server => 'v',
            Self::Tool => 'l',
            Self::Outcome => 'o',
            Self::Client => 'g',
            Self::Method => 'h',
            Self::Agent => 'a',
            Self::Region => 'r',
            Self::Stop => 'z',
            Self::Action => 'n',
            Self::Status => 'x',
            Self::Who => 'b',
            Self::Mode => '0',
        }
    }
}

/// The name of a tool with that of its server, as searches and reports write it; empty where there is none.
/// A resource is no tool: its address says what was read, which those who see sums need not see, and there
/// is no end of addresses. The words of an entry have it.
pub(super) fn tool_name(entry: &Entry) -> String {
    if names_resource(entry) { String::new() } else { whole_name(entry) }
}

/// Whether what an entry names may be the address of a resource.
fn names_resource(entry: &Entry) -> bool {
    entry.kind == Kind::ResourceRead
        || entry.method.starts_with("resources/")
        || entry.method == "completion/complete"
}

/// What was asked for, tool, prompt or resource, with its server; empty where there is nothing.
pub(super) fn whole_name(entry: &Entry) -> String {
    match (entry.server.is_empty(), entry.tool.is_empty()) {
        (_, true) => String::new(),
        (true, false) => entry.tool.clone(),
        (false, false) => format!("{}.{}", entry.server, entry.tool),
    }
}

/// Whether an entry is of a caller whom nobody knows.
pub(super) fn is_of_stranger(entry: &Entry) -> bool {
    entry.kind == Kind::Refusal && entry.key.is_empty()
}

/// An entry as far as its texts are names. What a stranger says of itself is none: names are never forgotten,
/// and anybody could make any number of them.
pub(super) fn named(entry: &Entry) -> Cow<'_, Entry> {
    if !is_of_stranger(entry) {
        return Cow::Borrowed(entry);
    }
    Cow::Owned(Entry {
        session: String::new(),
        agent: String::new(),
        client: String::new(),
        model: String::new(),
        served_model: String::new(),
        method: String::new(),
        server: String::new(),
        tool: String::new(),
        ..entry.clone()
    })
}

/// The numbers of names as far as they are known in memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// One map for each name, in the order of `Name::ALL`.
    numbers: [HashMap<Box<str>, i64>; Name::ALL.len()],
    count: usize,
    /// The next free number of each name.
    next: HashMap<Name, i64>,
}

/// The two statements that look for a name and keep it.
pub(super) struct NameStatements<'c> {
    find: Statement<'c>,
    keep: Statement<'c>,
    last: Statement<'c>,
}

impl<'c> NameStatements<'c> {
    pub(super) fn new(db: &'c Connection) -> Result<Self, IndexFault> {
        Ok(Self {
            find: db.prepare("SELECT number FROM name WHERE field = ?1 AND text = ?2")?,
            keep: db.prepare("INSERT INTO name (field, number, text) VALUES (?1, ?2, ?3)")?,
            last: db.prepare("SELECT coalesce(max(number), 0) FROM name WHERE field = ?1")?,
        })
    }
}

impl Held {
    /// The number of a name, which it gets where it has none.
    pub(super) fn number(
        &mut self,
        statements: &mut NameStatements<'_>,
        name: Name,
        text: &str,
    ) -> Result<i64, IndexFault> {
        if text.is_empty() {
            return Ok(0);
        }
        let field = name.number();
        let place = usize::try_from(field).unwrap_or(usize::MAX);
        if let Some(number) = self.numbers.get(place).and_then(|texts| texts.get(text)) {
            return Ok(*number);
        }
        let known = statements.find.query_row((field, text), |row| row.get(0)).optional()?;
        let number = match known {
            Some(number) => number,
            None => {
                let number = self.free(statements, name)?;
                statements.keep.execute((field, number, text))?;
                number
            }
        };
        if self.count >= limits::INDEX_NAMES_HELD_MAX {
            self.numbers.iter_mut().for_each(HashMap::clear);
            self.count = 0;
        }
        if let Some(texts) = self.numbers.get_mut(place) {
            texts.insert(text.into(), number);
            self.count += 1;
        }
        Ok(number)
    }

    fn free(&mut self, statements: &mut NameStatements<'_>, name: Name) -> Result<i64, IndexFault> {
        let free = match self.next.get(&name) {
            Some(free) => *free,
            None => statements.last.query_row([name.number()], |row| row.get::<_, i64>(0))? + 1,
        };
        self.next.insert(name, free + 1);
        Ok(free)
    }
}

/// The number of a name; `None` where it has never come.
pub(super) fn find(db: &Connection, name: Name, text: &str) -> Result<Option<u64>, IndexFault> {
    let found = db
        .query_row("SELECT number FROM name WHERE field = ?1 AND text = ?2", (name.number(), text), |row| {
            row.get(0)
        })
        .optional()?;
    Ok(found.map(loaded))
}

/// The text of a name; empty for number 0 and for one that nobody knows.
pub(super) fn text(db: &Connection, name: Name, number: u64) -> Result<String, IndexFault> {
    let found = db
        .query_row(
            "SELECT text FROM name WHERE field = ?1 AND number = ?2",
            (name.number(), stored(number)),
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// The numbers of all names that `fits` says yes to.
pub(super) fn fitting(
    db: &Connection,
    name: Name,
    mut fits: impl FnMut(&str) -> bool,
) -> Result<Vec<u64>, IndexFault> {
    let mut statement = db.prepare("SELECT number, text FROM name WHERE field = ?1")?;
    let mut rows = statement.query([name.number()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().unwrap_or_default();
        if fits(text) {
            found.push(loaded(row.get(0)?));
        }
    }
    Ok(found)
}
