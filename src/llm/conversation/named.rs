//! The members of one object by their names, with what is left over.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{self, Field, Kind, Value};
use crate::limits;
use crate::llm::conversation::{Other, Refusal, Why};
use crate::llm::written::{Raw, Written};

/// The members of an object. Those of the names that were asked for wait to be taken; what nobody takes is
/// told as [`Other`].
#[derive(Debug)]
pub(in crate::llm) struct Named<'a> {
    body: &'a [u8],
    names: &'static [&'static str],
    values: [Option<Value>; NAMES_MAX],
    /// Members of other names, and the bytes between the quotes of these.
    extra: Vec<(&'a [u8], Value)>,
}

/// Names that one kind of object is asked for.
const NAMES_MAX: usize = 20;

impl<'a> Named<'a> {
    /// Reads the object at `span` of `body`. `place` says in a refusal where that is.
    pub(in crate::llm) fn read(
        body: &'a [u8],
        span: Range<usize>,
        names: &'static [&'static str],
        place: &dyn Fn(&str) -> String,
    ) -> Result<Self, Refusal> {
        debug_assert!(names.len() <= NAMES_MAX, "there is no room for so many names");
        let mut named = Self { body, names, values: [const { None }; NAMES_MAX], extra: Vec::new() };
        json::fields_at(body, span, |Field { key, value }| {
            let mut name = Cow::Borrowed(key.raw);
            if key.escaped {
                name = Cow::Owned(json::text(key.raw)?.into_owned().into_bytes());
            }
            let found = names.iter().position(|known| known.as_bytes() == &*name);
            let Some(slot) = found.and_then(|index| named.values.get_mut(index)) else {
                // More than this many are not told of anyway.
                if named.extra.len() < limits::UNKNOWN_FIELDS_MAX {
                    named.extra.push((key.raw, value));
                }
                return Ok(());
            };
            if slot.replace(value).is_some() {
                return Err(Refusal::new(place(&String::from_utf8_lossy(&name)), Why::Twice));
            }
            Ok(())
        })?;
        Ok(named)
    }

    /// The value of the member `name`, once; `null` is as good as nothing.
    pub(in crate::llm) fn take(&mut self, name: &'static str) -> Option<Value> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.values.get_mut(index)?.take().filter(|value| value.kind != Kind::Null)
    }

    /// The same as it was written.
    pub(in crate::llm) fn raw(&mut self, name: &'static str) -> Option<Raw<'a>> {
        let value = self.take(name)?;
        Some(Raw::new(value.kind, value.bytes(self.body)))
    }

    /// The text of the member `name`.
    pub(in crate::llm) fn text(
        &mut self,
        name: &'static str,
        place: &dyn Fn(&str) -> String,
    ) -> Result<Option<Written<'a>>, Refusal> {
        match self.raw(name) {
            None => Ok(None),
            Some(raw) => match raw.string() {
                Some(text) => Ok(Some(text)),
                None => Err(Refusal::new(place(name), Why::Kind("a string"))),
            },
        }
    }

    /// The text of the member `name`, which has to be there.
    pub(in crate::llm) fn needed(
        &mut self,
        name: &'static str,
        place: &dyn Fn(&str) -> String,
    ) -> Result<Written<'a>, Refusal> {
        self.text(name, place)?.ok_or_else(|| Refusal::new(place(name), Why::Missing))
    }

    /// Whether the member `name` is `true`.
    pub(in crate::llm) fn flag(
        &mut self,
        name: &'static str,
        place: &dyn Fn(&str) -> String,
    ) -> Result<Option<bool>, Refusal> {
        match self.take(name).map(|value| value.kind) {
            None => Ok(None),
            Some(Kind::True) => Ok(Some(true)),
            Some(Kind::False) => Ok(Some(false)),
            Some(_) => Err(Refusal::new(place(name), Why::Kind("true or false"))),
        }
    }

    /// The whole number that the member `name` is.
    pub(in crate::llm) fn number(
        &mut self,
        name: &'static str,
        place: &dyn Fn(&str) -> String,
    ) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64(self.body);
        number.map(Some).ok_or_else(|| Refusal::new(place(name), Why::Kind("a whole number")))
    }

    /// Adds what nobody has taken to `others`, each name once for `place`.
    pub(in crate::llm) fn leave(self, place: &'static str, others: &mut Vec<Other<'a>>) {
        let known =
            self.names.iter().zip(self.values).filter_map(|(name, value)| Some((name.as_bytes(), value?)));
        for (name, value) in known.chain(self.extra) {
            let name = Written::new(name);
            let told = others.iter().any(|other| other.place == place && other.name == name);
            if value.kind != Kind::Null && !told && others.len() < limits::UNKNOWN_FIELDS_MAX {
                others.push(Other { place, name, value: Raw::new(value.kind, value.bytes(self.body)) });
            }
        }
    }
}
