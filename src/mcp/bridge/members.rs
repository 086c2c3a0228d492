//! The members of one object, found once and changed by splicing.

use std::borrow::Cow;

use crate::json::{self, Value, fields, text, write_string};
use crate::limits;
use crate::mcp::edit::{self, Edits};
use crate::mcp::fault;

/// Why a part of a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not JSON, or not an object where one has to be.
    #[error(transparent)]
    Json(#[from] json::Fault),
    /// A member that is to be changed stands twice or in another spelling.
    #[error(transparent)]
    Edit(#[from] fault::Fault),
    /// A member that stands twice means one thing to us and another to the next reader.
    #[error("a member stands twice in one object")]
    Twice,
    /// More than a bound of `limits` allows.
    #[error("there is too much of {0}")]
    TooMuch(&'static str),
    /// Something that has to be there is missing or of another kind.
    #[error("{0} is missing or of the wrong kind")]
    Shape(&'static str),
}

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    /// Its name, decoded.
    pub(crate) name: Cow<'a, str>,
    /// Its value's place.
    pub(crate) value: Value,
}

/// The members of an object, at most `limits::MCP_MEMBERS_MAX`, each name once.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    doc: &'a [u8],
    list: Vec<Member<'a>>,
}

/// What is to be different. A name stands in at most one change of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'c> {
    /// The member has this value, a JSON document.
    Set(&'static str, &'c [u8]),
    /// The member is not there.
    Drop(&'static str),
}

impl<'c> Change<'c> {
    /// The value when there is one; else nothing is to be there.
    pub(crate) fn to(name: &'static str, value: Option<&'c [u8]>) -> Self {
        value.map_or(Self::Drop(name), |value| Self::Set(name, value))
    }
}

impl<'a> Members<'a> {
    /// Reads the object that `doc` is.
    pub(crate) fn read(doc: &'a [u8]) -> Result<Self, Fault> {
        let mut list: Vec<Member<'a>> = Vec::new();
        fields(doc, |field| {
            let name = if field.key.escaped { text(field.key.raw)? } else { plain(field.key.raw)? };
            if list.len() == limits::MCP_MEMBERS_MAX {
                return Err(Fault::TooMuch("members of one object"));
            }
            if list.iter().any(|member| member.name == name) {
                return Err(Fault::Twice);
            }
            list.push(Member { name, value: field.value });
            Ok(())
        })?;
        Ok(Self { doc, list })
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Member<'a>, &'a [u8])> {
        self.list.iter().map(|member| (member, member.value.bytes(self.doc)))
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.list.len()
    }

    /// The place of a member's value.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.list.iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// The bytes of a member's value; of one that is `null`, nothing.
    pub(crate) fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        let value = self.value(name).filter(|value| value.kind != json::Kind::Null)?;
        Some(value.bytes(self.doc))
    }

    /// The bytes of a member that is an object.
    pub(crate) fn object(&self, name: &str) -> Option<&'a [u8]> {
        let value = self.value(name).filter(|value| value.kind == json::Kind::Object)?;
        Some(value.bytes(self.doc))
    }

    /// The text of a member that is a string.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.value(name).and_then(|value| value.inner(self.doc)) {
            Some(raw) => Ok(Some(text(raw)?)),
            None => Ok(None),
        }
    }

    /// The number of a member that is whole, not negative and fits.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64(self.doc)
    }

    /// Whether a member is `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.kind == json::Kind::True)
    }

    /// The object with the changes made; without one that matters it is the document itself. A member whose
    /// name can be mistaken for one that is changed is a fault, because the next reader may mistake it.
    pub(crate) fn changed(&self, changes: &[Change<'_>]) -> Result<Cow<'a, [u8]>, Fault> {
        let list: Vec<_> = changes
            .iter()
            .map(|change| match *change {
                Change::Set(name, value) => (name, edit::Change::Put(value)),
                Change::Drop(name) => (name, edit::Change::Remove),
            })
            .collect();
        let start = self.doc.iter().position(|&byte| byte == b'{').unwrap_or(0);
        let mut edits = Edits::new(self.doc);
        edits.set(start..self.doc.len(), &list)?;
        let matters = |change: &Change<'_>| match change {
            Change::Set(..) => true,
            Change::Drop(name) => self.value(name).is_some(),
        };
        let changed = changes.iter().any(matters);
        Ok(if changed { Cow::Owned(edits.finish()) } else { Cow::Borrowed(self.doc) })
    }
}

/// Appends `"name":value`, after a comma where something stands before it.
pub(crate) fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    comma(out);
    write_string(out, name);
    out.push(b':');
    out.extend_from_slice(value);
}

/// Appends a member that is a text.
pub(crate) fn push_text(out: &mut Vec<u8>, name: &str, value: &str) {
    push_member(out, name, &quoted(value));
}

/// A text as JSON string.
pub(crate) fn quoted(value: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 2);
    write_string(&mut out, value);
    out
}

fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
}

/// A name without escapes.
fn plain(raw: &[u8]) -> Result<Cow<'_, str>, json::Fault> {
    let name = std::str::from_utf8(raw).map_err(|bad| json::Fault::Utf8 { at: bad.valid_up_to() })?;
    Ok(Cow::Borrowed(name))
}
