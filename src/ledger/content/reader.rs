//! Puts a body together again from the packs.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;

use crate::ledger::content::index::{Index, Place};
use crate::ledger::content::record::{Hash, Item, Kind, hash, hashes, items};
use crate::ledger::content::{Fault, packs};
use crate::limits;

/// Reads frames, and holds those that it has read.
#[derive(Debug)]
pub(super) struct Reader {
    dir: PathBuf,
    files: HashMap<u64, File>,
    frames: HashMap<(u64, u64), Vec<u8>>,
    /// Bytes of `frames`, <= `limits::CONTENT_READ_BYTES_MAX` and one frame.
    held: usize,
}

impl Reader {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, files: HashMap::new(), frames: HashMap::new(), held: 0 }
    }

    /// The bytes at that place.
    pub(super) fn bytes(&mut self, place: &Place) -> Result<&[u8], Fault> {
        let key = (place.pack, place.frame);
        if !self.frames.contains_key(&key) {
            if !self.files.contains_key(&place.pack) {
                self.files.insert(place.pack, File::open(packs::path(&self.dir, place.pack))?);
            }
            let file = self.files.get(&place.pack).ok_or(Fault::Damaged)?;
            let frame = packs::read(file, place.frame)?.ok_or(Fault::Damaged)?;
            if self.held > limits::CONTENT_READ_BYTES_MAX {
                self.frames.clear();
                self.held = 0;
            }
            self.held += frame.raw.len();
            self.frames.insert(key, frame.raw);
        }
        let frame = self.frames.get(&key).ok_or(Fault::Damaged)?;
        frame.get(place.at..).and_then(|rest| rest.get(..place.bytes)).ok_or(Fault::Damaged)
    }

    /// What is stored under the hash, which it has to have.
    fn stored(&mut self, index: &Index, kind: Kind, name: &Hash) -> Result<&[u8], Fault> {
        let place = index.find(name)?.ok_or(Fault::Damaged)?;
        let bytes = self.bytes(&place)?;
        if hash(kind, bytes) == *name { Ok(bytes) } else { Err(Fault::Damaged) }
    }

    /// The body of the turn `name`; nothing when there is none, or not any more.
    pub(super) fn body(&mut self, index: &Index, name: &Hash) -> Result<Option<Vec<u8>>, Fault> {
        let Some(place) = index.find(name)? else { return Ok(None) };
        let turn = self.bytes(&place)?.to_vec();
        let mut body = Vec::new();
        for list in hashes(&turn).ok_or(Fault::Damaged)? {
            let list = self.stored(index, Kind::List, list)?.to_vec();
            for item in items(&list).ok_or(Fault::Damaged)? {
                match item {
                    Item::Literal(bytes) => body.extend_from_slice(bytes),
                    Item::Stored(name) => body.extend_from_slice(self.stored(index, Kind::Piece, &name)?),
                }
            }
        }
        Ok(Some(body))
    }

    /// The names of all that the turn is made of.
    pub(super) fn parts(&mut self, index: &Index, turn: &[u8]) -> Result<Vec<Hash>, Fault> {
        let mut names = Vec::new();
        for list in hashes(turn).ok_or(Fault::Damaged)? {
            names.push(*list);
            let list = self.stored(index, Kind::List, list)?;
            names.extend(items(list).ok_or(Fault::Damaged)?.iter().filter_map(|item| match item {
                Item::Stored(name) => Some(*name),
                Item::Literal(_) => None,
            }));
        }
        Ok(names)
    }
}
