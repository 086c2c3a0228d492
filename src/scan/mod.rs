//! Finds in a text what should not be said: secrets, and data about persons that has a form.

use std::fmt;
use std::ops::Range;

pub mod document;
mod personal;
pub(crate) mod rules;
pub(crate) mod secrets;
#[cfg(test)]
mod tests;
mod written;

/// What can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys, tokens, passwords.
    Secret,
    /// Addresses of e-mail.
    Mail,
    /// Numbers of bank accounts, checked by their digits.
    Iban,
    /// Numbers of payment cards, checked by their digits.
    Card,
    /// Numbers of telephones that begin with `+`.
    Phone,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Secret, Self::Mail, Self::Iban, Self::Card, Self::Phone];

    /// Its name in the ledger and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Mail => "mail",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Phone => "phone",
        }
    }

    /// What stands where one was: the same for every one, so that what is sent twice stays the same.
    pub const fn mask(self) -> &'static str {
        match self {
            Self::Secret => "[masked:secret]",
            Self::Mail => "[masked:mail]",
            Self::Iban => "[masked:iban]",
            Self::Card => "[masked:card]",
            Self::Phone => "[masked:phone]",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some of the kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// These.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | kind.bit()))
    }

    /// Whether it is one of them.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// Where it is, in bytes.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// How often what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; 5]);

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, kind: Kind) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts as many more as there are in others.
    pub fn add_all(&mut self, others: Self) {
        for (count, more) in self.0.iter_mut().zip(others.0) {
            *count = count.saturating_add(more);
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 5]
    }
}

/// `mail 3, secret 1`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Kind::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0);
        for (place, (kind, count)) in found.enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} {count}", kind.name())?;
        }
        Ok(())
    }
}

/// Finds everything of these kinds in a text, in the order of the places and without overlaps. UTF-8 stays
/// whole: a find begins and ends between characters.
pub fn find(text: &str, kinds: Kinds) -> Vec<Find> {
    let mut found = Vec::new();
    personal::find(text.as_bytes(), kinds, &mut found);
    if kinds.has(Kind::Secret) {
        let mut secrets = secrets::Secrets::new(text.as_bytes());
        while let Some(secret) = secrets.next() {
            found.push(Find { span: secret.span, kind: Kind::Secret });
        }
    }
    if found.len() > 1 {
        found.sort_by_key(|find| (find.span.start, find.kind as u8));
        let mut end = 0;
        found.retain(|find| {
            let free = find.span.start >= end;
            end = if free { find.span.end } else { end };
            free
        });
    }
    found
}
