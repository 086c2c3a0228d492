//! What an input says: its texts under the names of their members, taken out of the JSON once.

use std::cell::OnceCell;
use std::collections::HashSet;

use crate::json::{self, Field, Kind, Value};
use crate::limits;
use crate::policy::input::bash::{self, Seen};
use crate::policy::input::command;
use crate::policy::input::host::{self, Host};
use crate::policy::input::path::{self, Spot};

/// Words with which the names of members that hold paths end: `filePath`, `notebook_path`, `paths`.
const PATH_WORDS: &[&str] = &[
    "cwd",
    "destination",
    "dir",
    "directories",
    "directory",
    "dirname",
    "dirpath",
    "dirs",
    "file",
    "filename",
    "filenames",
    "filepath",
    "filepaths",
    "files",
    "folder",
    "folders",
    "location",
    "notebookpath",
    "path",
    "pathname",
    "paths",
    "root",
    "roots",
    "source",
    "workdir",
];

/// Members that hold patterns of paths, whatever the tool.
const PATTERNS: &[&str] = &["glob", "globs"];

/// Members that hold command lines.
const COMMANDS: &[&str] = &["cmd", "command", "commands", "script"];

/// Members whose words stand behind those of a command.
const OPERANDS: &[&str] = &["args", "arguments", "argv"];

/// Members that hold an address or a host.
const ADDRESSES: &[&str] = &["domain", "endpoint", "host", "hostname", "uri", "url", "urls"];

/// What kind of tool an input is for, by its names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ToolKind {
    /// It looks through whole folders.
    pub(super) seeks: bool,
    /// Its `pattern` is one of paths.
    pub(super) globs: bool,
    /// Its command lines are for a shell of the family of `sh`.
    pub(super) shell: bool,
}

impl ToolKind {
    /// The kind of a tool that has these names.
    pub(super) fn of(names: &[&str]) -> Self {
        let has = |words: &[&str]| {
            names.iter().any(|name| {
                let name = name.to_ascii_lowercase();
                !name.contains("powershell") && words.iter().any(|word| name.contains(word))
            })
        };
        Self {
            seeks: has(&["glob", "grep"]),
            globs: has(&["glob"]),
            shell: has(&["bash", "command", "exec", "shell", "terminal"]),
        }
    }
}

/// A text of an input.
#[derive(Debug)]
struct Found {
    /// The name of the nearest member, in lower case.
    name: String,
    /// The text; names of members are among the texts.
    text: String,
    /// The member is one that holds paths.
    path: bool,
}

/// An input, read.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// As it came.
    pub(super) written: &'a str,
    kind: ToolKind,
    found: Vec<Found>,
    forms: OnceCell<Option<Vec<String>>>,
    seen: OnceCell<Option<Seen>>,
    hosts: OnceCell<Option<HashSet<Host>>>,
}

impl<'a> Facts<'a> {
    /// Reads an input; nothing when it is none that can be judged.
    pub(super) fn read(json: &'a [u8], kind: ToolKind) -> Option<Self> {
        if json.len() > limits::JUDGED_INPUT_BYTES_MAX {
            return None;
        }
        let mut found = Vec::new();
        let json = json.trim_ascii();
        let written = str::from_utf8(json).ok()?;
        match json.first() {
            Some(b'{') => object(json, 0..json.len(), (false, 0), &mut found)?,
            // What is not there says nothing.
            None => {}
            Some(_) => return None,
        }
        Some(Self {
            written,
            kind,
            found,
            forms: OnceCell::new(),
            seen: OnceCell::new(),
            hosts: OnceCell::new(),
        })
    }

    /// Everything that it says.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.found.iter().flat_map(|found| [found.name.as_str(), found.text.as_str()])
    }

    fn under(&self, names: &'static [&str]) -> impl Iterator<Item = &str> {
        let named = |found: &&Found| names.contains(&found.name.as_str());
        self.found.iter().filter(named).map(|found| found.text.as_str())
    }

    /// What it says about the file system; where it says nothing, the place where the client works.
    pub(super) fn spots(&self) -> Vec<Spot<'_>> {
        let is_path = |found: &&Found| found.path || path::is_file_url(&found.text);
        let mut paths = self.found.iter().filter(is_path).map(|found| found.text.as_str()).peekable();
        let from = paths.peek().copied();
        let one = |text| if self.kind.seeks { Spot::Under(text) } else { Spot::One(text) };
        let mut all: Vec<Spot<'_>> = paths.map(one).collect();
        for found in &self.found {
            let of_tool = self.kind.globs && found.name == "pattern";
            if of_tool || (PATTERNS.contains(&found.name.as_str()) && leaves(&found.text)) {
                all.push(Spot::Pattern { text: &found.text, from });
            }
        }
        // With a pattern of paths, the folder that it begins in is not looked through whole.
        if self.kind.globs && self.found.iter().any(|found| found.name == "pattern") {
            all.retain(|spot| matches!(spot, Spot::Pattern { .. }));
            all.extend(from.map(Spot::One));
        }
        if all.is_empty() {
            all.push(one("."));
        }
        all
    }

    /// The forms of its command lines; nothing when there are too many to tell.
    pub(super) fn forms(&self) -> Option<&[String]> {
        let make = || {
            let mut all = Vec::new();
            for line in self.under(COMMANDS) {
                all.extend(command::forms(line)?);
            }
            if let Some(line) = self.list_of_words() {
                all.extend(command::forms(&line)?);
            }
            Some(all)
        };
        self.forms.get_or_init(make).as_deref()
    }

    /// What its command lines may run; nothing where they are for no shell that is known.
    pub(super) fn seen(&self) -> Option<&Seen> {
        let make = || {
            if !self.kind.shell {
                return None;
            }
            let mut all = Seen::default();
            let list = self.list_of_words();
            for line in self.under(COMMANDS).chain(list.as_deref()) {
                let seen = bash::see(line);
                all.commands.extend(seen.commands);
                all.lists.extend(seen.lists);
                all.why = all.why.or(seen.why);
                all.host_unclear |= seen.host_unclear;
            }
            Some(all)
        };
        self.seen.get_or_init(make).as_ref()
    }

    /// Its commands and operands as one line, where it has more than one text of them.
    fn list_of_words(&self) -> Option<String> {
        let words: Vec<&str> = self.under(COMMANDS).chain(self.under(OPERANDS)).collect();
        (words.len() > 1).then(|| words.join(" "))
    }

    /// The hosts that it names; nothing when they cannot be told.
    pub(super) fn hosts(&self) -> Option<&HashSet<Host>> {
        let make = || {
            let mut all = HashSet::new();
            for Found { name, text, .. } in &self.found {
                host::add(text, ADDRESSES.contains(&name.as_str()), &mut all)?;
            }
            for form in self.forms()? {
                host::add(form, false, &mut all)?;
            }
            for text in self.seen().iter().flat_map(|seen| &seen.commands) {
                // No host goes on behind a sign of a variable.
                host::add(&text.replace(bash::is_gap, "$"), false, &mut all)?;
            }
            Some(all)
        };
        self.hosts.get_or_init(make).as_ref()
    }
}

/// Whether a pattern may fit what is not below the folder where it begins.
fn leaves(pattern: &str) -> bool {
    let rooted = |text: &str| text.starts_with(['/', '\\', '~']) || text.get(1..2) == Some(":");
    pattern.contains("..") || pattern.split(['{', ',']).any(|part| rooted(part.trim_start()))
}

/// Whether a member of this name holds paths: by its last word, in any way of putting words together.
fn holds_paths(name: &str) -> bool {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && lower) {
            words.push(String::new());
        }
        lower = letter.is_lowercase() || letter.is_numeric();
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    // `path2` and `file_1` are paths as well.
    let plain = |word: &String| word.trim_end_matches(|letter: char| letter.is_numeric()).to_owned();
    words
        .iter()
        .map(plain)
        .rfind(|word| !word.is_empty())
        .is_some_and(|word| PATH_WORDS.contains(&word.as_str()))
}

/// Reads an object; `of_paths`: it stands in a member that holds paths.
fn object(
    doc: &[u8],
    span: std::ops::Range<usize>,
    (of_paths, depth): (bool, usize),
    found: &mut Vec<Found>,
) -> Option<()> {
    let mut good = true;
    let walked: Result<(), json::Fault> = json::fields_at(doc, span, |Field { key, value }| {
        let name = json::text(key.raw)?;
        let path = holds_paths(&name);
        if of_paths && name.contains(['/', '\\']) {
            found.push(Found { name: String::new(), text: name.clone().into_owned(), path: true });
        }
        good &= take(doc, (&name.to_ascii_lowercase(), path), &value, depth, found).is_some();
        Ok(())
    });
    (walked.is_ok() && good).then_some(())
}

fn take(
    doc: &[u8],
    (name, path): (&str, bool),
    value: &Value,
    depth: usize,
    found: &mut Vec<Found>,
) -> Option<()> {
    if depth > limits::JUDGED_DEPTH_MAX || found.len() >= limits::JUDGED_TEXTS_MAX {
        return None;
    }
    let mut push = |text: String, path| found.push(Found { name: name.to_owned(), text, path });
    match value.kind {
        Kind::String => push(json::text(value.inner(doc)?).ok()?.into_owned(), path),
        Kind::Object => {
            push(String::new(), false);
            object(doc, value.span.clone(), (path, depth + 1), found)?;
        }
        Kind::Array => {
            let mut good = true;
            let walked: Result<(), json::Fault> = json::elements(doc, value.span.clone(), |element| {
                good &= take(doc, (name, path), &element, depth + 1, found).is_some();
                Ok(())
            });
            return (walked.is_ok() && good).then_some(());
        }
        Kind::Number | Kind::True | Kind::False | Kind::Null => {
            push(str::from_utf8(value.bytes(doc)).ok()?.to_owned(), false);
        }
    }
    Some(())
}
