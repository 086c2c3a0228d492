//! What an input says: its texts under the names of their members, taken out of the JSON once.

use std::cell::OnceCell;
use std::collections::HashSet;

use crate::json::{self, Field, Kind, Value};
use crate::limits;
use crate::policy::input::command;
use crate::policy::input::host::{self, Host};

/// Members that hold paths.
const PATHS: &[&str] = &[
    "destination",
    "dir",
    "directory",
    "file",
    "file_path",
    "filename",
    "folder",
    "notebook_path",
    "path",
    "paths",
    "source",
    "target_file",
];

/// Members that hold command lines.
const COMMANDS: &[&str] = &["cmd", "command", "commands", "script"];

/// Members that hold an address or a host.
const ADDRESSES: &[&str] = &["domain", "endpoint", "host", "hostname", "uri", "url", "urls"];

/// An input, read.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// As it came.
    pub(super) written: &'a str,
    /// The name of the nearest member, in lower case, and the text; names of members are among the texts.
    found: Vec<(String, String)>,
    forms: OnceCell<Option<Vec<String>>>,
    hosts: OnceCell<Option<HashSet<Host>>>,
}

impl<'a> Facts<'a> {
    /// Reads an input; nothing when it is none that can be judged.
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        if json.len() > limits::JUDGED_INPUT_BYTES_MAX {
            return None;
        }
        let mut found = Vec::new();
        let json = json.trim_ascii();
        let written = str::from_utf8(json).ok()?;
        match json.first() {
            Some(b'{') => object(json, 0..json.len(), 0, &mut found)?,
            // What is not there says nothing.
            None => {}
            Some(_) => return None,
        }
        Some(Self { written, found, forms: OnceCell::new(), hosts: OnceCell::new() })
    }

    /// Everything that it says.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.found.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()])
    }

    fn under(&self, names: &'static [&str]) -> impl Iterator<Item = &str> {
        self.found.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, text)| text.as_str())
    }

    /// The paths that it names.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let is_file = |text: &&str| text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
        self.under(PATHS).chain(self.under(ADDRESSES).filter(is_file))
    }

    /// The forms of its command lines; nothing when there are too many to tell.
    pub(super) fn forms(&self) -> Option<&[String]> {
        let make = || {
            let mut all = Vec::new();
            for line in self.under(COMMANDS) {
                all.extend(command::forms(line)?);
            }
            Some(all)
        };
        self.forms.get_or_init(make).as_deref()
    }

    /// The hosts that it names; nothing when they cannot be told.
    pub(super) fn hosts(&self) -> Option<&HashSet<Host>> {
        let make = || {
            let mut all = HashSet::new();
            for (name, text) in &self.found {
                host::add(text, ADDRESSES.contains(&name.as_str()), &mut all)?;
            }
            for form in self.forms()? {
                host::add(form, false, &mut all)?;
            }
            Some(all)
        };
        self.hosts.get_or_init(make).as_ref()
    }
}

type Found = Vec<(String, String)>;

fn object(doc: &[u8], span: std::ops::Range<usize>, depth: usize, found: &mut Found) -> Option<()> {
    let mut good = true;
    let walked: Result<(), json::Fault> = json::fields_at(doc, span, |Field { key, value }| {
        let name = json::text(key.raw)?.to_ascii_lowercase();
        good &= take(doc, &name, &value, depth, found).is_some();
        Ok(())
    });
    (walked.is_ok() && good).then_some(())
}

fn take(doc: &[u8], name: &str, value: &Value, depth: usize, found: &mut Found) -> Option<()> {
    if depth > limits::JUDGED_DEPTH_MAX || found.len() >= limits::JUDGED_TEXTS_MAX {
        return None;
    }
    match value.kind {
        Kind::String => {
            let text = json::text(value.inner(doc)?).ok()?;
            found.push((name.to_owned(), text.into_owned()));
        }
        Kind::Object => {
            found.push((name.to_owned(), String::new()));
            object(doc, value.span.clone(), depth + 1, found)?;
        }
        Kind::Array => {
            let mut good = true;
            let walked: Result<(), json::Fault> = json::elements(doc, value.span.clone(), |element| {
                good &= take(doc, name, &element, depth + 1, found).is_some();
                Ok(())
            });
            return (walked.is_ok() && good).then_some(());
        }
        Kind::Number | Kind::True | Kind::False | Kind::Null => {
            let text = str::from_utf8(value.bytes(doc)).ok()?;
            found.push((name.to_owned(), text.to_owned()));
        }
    }
    Some(())
}
