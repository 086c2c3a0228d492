//! Marked nodes to typed values, with every fault on the way collected.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::config::faults::{Fault, Faults, Mark};
use crate::config::yaml::{Entry, Node, Value};
use crate::limits;
use crate::near::nearest;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    /// Where.
    pub(crate) mark: Mark,
    /// What.
    pub(crate) value: T,
}

/// The fields of one mapping; unknown ones have been reported.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'n> {
    /// Where the mapping begins.
    pub(crate) mark: Mark,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// The value of a field, if it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }
}

/// Collects the faults of one file.
pub(crate) struct Reader {
    file: Arc<str>,
    faults: Faults,
}

impl Reader {
    /// Starts without faults; `file` is how faults name it.
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.into(), faults: Faults::default() }
    }

    /// Records a fault.
    pub(crate) fn fault(&mut self, mark: Mark, text: impl Into<String>) {
        self.faults.push(Fault { file: Arc::clone(&self.file), mark, text: text.into() });
    }

    /// Takes over the faults of another file.
    pub(crate) fn absorb(&mut self, faults: Faults) {
        self.faults.extend(faults);
    }

    /// Ends the reading.
    pub(crate) fn into_faults(self) -> Faults {
        self.faults
    }

    fn wrong_shape(&mut self, node: &Node, what: &str, wanted: &str) {
        let what = if what.is_empty() { "the config" } else { what };
        self.fault(node.mark, format!("{what}: expected {wanted}, found {}", node.shape()));
    }

    /// A mapping whose keys are all in `known`.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<Fields<'n>> {
        let entries = self.entries(node, what)?;
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let hint = match nearest(&entry.key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.fault(entry.mark, format!("unknown key {}{}; {hint}", quoted(&entry.key), of(what)));
        }
        Some(Fields { mark: node.mark, entries })
    }

    /// A mapping with free keys.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            Value::Text { .. } | Value::List(_) => {
                self.wrong_shape(node, what, "a mapping");
                None
            }
        }
    }

    /// A list of anything.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(nodes) => Some(nodes),
            Value::Text { .. } | Value::Map(_) => {
                self.wrong_shape(node, what, "a list");
                None
            }
        }
    }

    /// A field that must be there.
    pub(crate) fn required<'n>(&mut self, fields: &Fields<'n>, what: &str, name: &str) -> Option<&'n Node> {
        let found = fields.get(name);
        if found.is_none() {
            self.fault(fields.mark, format!("{what}: `{name}` is missing"));
        }
        found
    }

    /// A text, as written, whatever it refers to. The words of the fault never repeat it.
    pub(crate) fn raw_text(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        match &node.value {
            Value::Text { text, .. } if !node.is_nothing() => {
                Some(At { mark: node.mark, value: text.clone() })
            }
            Value::Text { .. } | Value::List(_) | Value::Map(_) => {
                self.wrong_shape(node, what, "a text");
                None
            }
        }
    }

    /// A text that is not empty and refers to nothing.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        let text = self.raw_text(node, what)?;
        if text.value.contains("${") {
            self.fault(node.mark, format!("{what}: `${{...}}` is for secrets only; write the value itself"));
            return None;
        }
        if text.value.is_empty() || text.value.chars().any(char::is_control) {
            self.fault(
                node.mark,
                format!("{what}: expected a text of one line, found {}", quoted(&text.value)),
            );
            return None;
        }
        Some(text)
    }

    /// A name of a key, team or provider: it will stand in headers, logs and metrics.
    pub(crate) fn name(&mut self, text: &str, mark: Mark, what: &str) -> Option<At<String>> {
        if is_name(text) {
            return Some(At { mark, value: text.to_owned() });
        }
        let max = limits::NAME_CHARS_MAX;
        self.fault(mark, format!("{what}: {} is no name: use 1 to {max} of a-z A-Z 0-9 . _ -", quoted(text)));
        None
    }

    /// A list of model names or patterns.
    pub(crate) fn patterns(&mut self, node: &Node, what: &str) -> Option<Vec<At<String>>> {
        let nodes = self.list(node, what)?;
        Some(nodes.iter().filter_map(|node| self.pattern(node, what)).collect())
    }

    fn pattern(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        let text = self.text(node, what)?;
        self.pattern_fits(&text.value, text.mark, what).then_some(text)
    }

    /// Whether a model name or pattern has a length that we take; a fault where not.
    pub(crate) fn pattern_fits(&mut self, text: &str, mark: Mark, what: &str) -> bool {
        self.fits(text, mark, what, "model name")
    }

    /// Whether a name or pattern of some `kind` has a length that we take; a fault where not.
    pub(crate) fn fits(&mut self, text: &str, mark: Mark, what: &str, kind: &str) -> bool {
        let max = limits::PATTERN_CHARS_MAX;
        let fits = !text.is_empty() && text.len() <= max && !text.chars().any(|c| c.is_control() || c == ' ');
        if !fits {
            let shown = quoted(text);
            self.fault(
                mark,
                format!("{what}: {shown} is no {kind}: use 1 to {max} characters without spaces"),
            );
        }
        fits
    }

    /// A whole number within bounds.
    pub(crate) fn number(&mut self, node: &Node, what: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(node, what)?.value;
        let number = text.parse::<u64>().ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            let (low, high) = (bounds.start(), bounds.end());
            let shown = quoted(&text);
            self.fault(
                node.mark,
                format!("{what}: expected a whole number from {low} to {high}, found {shown}"),
            );
        }
        number
    }

    /// `true` or `false`.
    pub(crate) fn yes_or_no(&mut self, node: &Node, what: &str) -> Option<bool> {
        self.choice(node, what, &[("true", true), ("false", false)])
    }

    /// One word of a few.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?.value;
        let found = words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            let shown = quoted(&text);
            self.fault(node.mark, format!("{what}: expected one of {}, found {shown}", known.join(", ")));
        }
        found
    }
}

/// Whether a text may name a key, team or provider.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= limits::NAME_CHARS_MAX && text.bytes().all(fits)
}

/// A text of the file for a fault: quoted, escaped, cut.
pub(crate) fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{dots}")
}

/// Enough of a value to find it again, not so much that a line wraps.
const SHOWN_CHARS: usize = 60;

fn of(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!(" in {what}") }
}
