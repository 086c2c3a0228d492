//! Marks in `_meta` of a tool by which Claude Code treats it in a way of its own (measured with 2.1.330).

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Kind, Value, fields_at};
use crate::mcp::canonical::name;
use crate::mcp::changes::Changes;
use crate::mcp::definition::Broken;

/// The first asks a person before each call, whatever the person's own rules allow; the second puts the
/// definition before the model from the start, where others are but names until they are looked for; the
/// third says how many characters of a result are put before the model: of a longer one it gets a file's
/// name. No other client was seen to read them.
const NAMES: [&str; 3] = [ASKS, ALWAYS, RESULT_CHARS];

const ASKS: &str = "anthropic/requiresUserInteraction";

/// Puts a definition before the model from the start.
pub(super) const ALWAYS: &str = "anthropic/alwaysLoad";

/// How many characters of a result are put before the model.
pub(super) const RESULT_CHARS: &str = "anthropic/maxResultSizeChars";

/// Where they stand in a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The value of `_meta`.
    meta: Option<Range<usize>>,
    is_object: bool,
    /// Whether it is an object without members.
    is_empty: bool,
    /// The values of its members of [`NAMES`].
    members: [Option<Range<usize>>; NAMES.len()],
}

impl Marks {
    /// Reads the value of `_meta`.
    ///
    /// # Errors
    /// As a definition that cannot be read.
    pub(super) fn read(raw: &[u8], value: &Value) -> Result<Self, Broken> {
        let is_object = value.kind == Kind::Object;
        let mut marks = Self { meta: Some(value.span.clone()), is_object, is_empty: true, ..Self::default() };
        if is_object {
            fields_at(raw, value.span.clone(), |field| {
                marks.is_empty = false;
                let key = name(&field.key)?;
                for (known, place) in NAMES.iter().zip(&mut marks.members) {
                    if *known == key {
                        *place = Some(field.value.span.clone());
                    }
                }
                Ok::<_, Broken>(())
            })?;
        }
        Ok(marks)
    }

    /// What to write where, so that those of [`NAMES`] that `changes` want say so; `key_end` is where a
    /// member may be put in.
    pub(super) fn set<'a>(
        &self,
        key_end: usize,
        changes: &Changes<'_>,
    ) -> Vec<(Range<usize>, Cow<'a, [u8]>)> {
        let mut cuts = Vec::new();
        let mut missing = String::new();
        let yes = |wanted: bool| wanted.then(|| "true".to_owned());
        let chars = changes.result_chars.map(|most| most.to_string());
        let wanted = [yes(changes.asks), yes(changes.always), chars];
        for ((name, place), wanted) in NAMES.iter().zip(&self.members).zip(wanted) {
            match (wanted, place) {
                (None, _) => {}
                (Some(wanted), Some(place)) => cuts.push((place.clone(), Cow::Owned(wanted.into_bytes()))),
                (Some(wanted), None) => {
                    let comma = if missing.is_empty() { "" } else { "," };
                    missing += &format!("{comma}\"{name}\":{wanted}");
                }
            }
        }
        if missing.is_empty() {
            return cuts;
        }
        let (place, text) = match &self.meta {
            Some(meta) if self.is_object => {
                let comma = if self.is_empty { "" } else { "," };
                (meta.start + 1..meta.start + 1, format!("{missing}{comma}"))
            }
            Some(meta) => (meta.clone(), format!("{{{missing}}}")),
            None => (key_end..key_end, format!(",\"_meta\":{{{missing}}}")),
        };
        cuts.push((place, Cow::Owned(text.into_bytes())));
        cuts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::mcp::changes::Changes;
    use crate::mcp::definition::ItemKind;
    use crate::mcp::store::Store;

    #[test]
    fn marks_are_set_and_nothing_else_changes() {
        let wishes = (0..8).map(|bits| (bits & 1 == 1, bits & 2 == 2, (bits & 4 == 4).then_some(120_000)));
        for meta in [
            "",
            r#","_meta":{}"#,
            r#","_meta":null"#,
            r#","_meta":{"a":1}"#,
            r#","_meta":{"anthropic/alwaysLoad":false,"a":1}"#,
            r#","_meta":{"anthropic/requiresUserInteraction":0,"anthropic\/alwaysLoad":false}"#,
            r#","_meta":{"anthropic/maxResultSizeChars":500000,"a":1}"#,
            r#","_meta":{"anthropic/maxResultSizeChars":"all"}"#,
        ] {
            for (asks, always, result_chars) in wishes.clone() {
                let raw = format!(r#"{{"inputSchema":{{"type":"object"}},"name":"t"{meta},"x":1}}"#);
                let tool = Store::new().intern(ItemKind::Tool, raw.as_bytes()).unwrap();
                let mut written = Vec::new();
                let changes =
                    Changes { asks, always, result_chars, description: Some("D"), ..Changes::default() };
                tool.write(changes, &mut written);
                let mut written: Value = serde_json::from_slice(&written).unwrap();
                let mut before: Value = serde_json::from_str(&raw).unwrap();
                assert_eq!(written["description"].take(), "D");
                let yes = |wanted: bool| wanted.then_some(Value::Bool(true));
                let marks = [
                    (yes(asks), "anthropic/requiresUserInteraction"),
                    (yes(always), "anthropic/alwaysLoad"),
                    (result_chars.map(Value::from), "anthropic/maxResultSizeChars"),
                ];
                for (wanted, name) in marks {
                    let mark = written["_meta"].get(name).cloned();
                    let own = before["_meta"].get(name).cloned();
                    assert_eq!(mark, wanted.or(own), "{raw} {name}");
                    for one in [&mut written, &mut before] {
                        let meta = one["_meta"].as_object_mut();
                        drop(meta.and_then(|meta| meta.remove(name)));
                    }
                }
                let rest = |mut one: Value| {
                    let all = one.as_object_mut().unwrap();
                    all.remove("description");
                    if all.get("_meta").is_none_or(|meta| meta.as_object().is_none_or(|meta| meta.is_empty()))
                    {
                        all.remove("_meta");
                    }
                    one
                };
                assert_eq!(rest(written), rest(before), "{raw}");
            }
        }
    }
}
