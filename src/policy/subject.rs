//! What a decision is about, and small numbers in place of the names of it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::call::Class;
use crate::ids::ServerName;
use crate::policy::flat::Flat;

/// A tool, what of a server is no tool, or a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject<'a> {
    /// By the server's own name for it, and what it does.
    Tool(&'a ServerName, &'a str, Class),
    Server(&'a ServerName),
    Model(&'a str),
}

/// The same, kept.
#[derive(Debug)]
enum Owned {
    Tool(ServerName, Box<str>, Class),
    Server(ServerName),
    Model(Box<str>),
}

impl Subject<'_> {
    fn is(&self, owned: &Owned) -> bool {
        match (self, owned) {
            (Self::Tool(server, tool, class), Owned::Tool(of, name, does)) => {
                **tool == **name && class == does && same(server, of)
            }
            (Self::Server(server), Owned::Server(name)) => same(server, name),
            (Self::Model(model), Owned::Model(name)) => **model == **name,
            _ => false,
        }
    }

    fn owned(&self) -> Owned {
        match *self {
            Self::Tool(server, tool, class) => Owned::Tool(server.clone(), tool.into(), class),
            Self::Server(server) => Owned::Server(server.clone()),
            Self::Model(model) => Owned::Model(model.into()),
        }
    }
}

/// Most names of servers are one, not two that are equal.
fn same(one: &ServerName, other: &ServerName) -> bool {
    std::ptr::eq(one.as_str(), other.as_str()) || one == other
}

/// The numbers of subjects.
#[derive(Debug, Default)]
pub(super) struct Names {
    hashes: RandomState,
    places: Flat<u32>,
    names: Vec<Owned>,
}

impl Names {
    /// The number of a subject that has one.
    pub(super) fn find(&self, subject: &Subject<'_>) -> Option<u32> {
        let is = |place: &u32| {
            let owned = usize::try_from(*place).ok().and_then(|place| self.names.get(place));
            owned.is_some_and(|owned| subject.is(owned))
        };
        self.places.find(self.hash(subject), is).copied()
    }

    /// The number of a subject, a new one if it has none; nothing when there are no more.
    pub(super) fn number(&mut self, subject: &Subject<'_>) -> Option<u32> {
        if let Some(known) = self.find(subject) {
            return Some(known);
        }
        let number = u32::try_from(self.names.len()).ok()?;
        self.places.add(self.hash(subject), number);
        self.names.push(subject.owned());
        Some(number)
    }

    /// Names come from outside, so the hash has a secret.
    fn hash(&self, subject: &Subject<'_>) -> u64 {
        self.hashes.hash_one(subject)
    }
}
