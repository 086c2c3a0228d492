//! Proofs that a record is in the ledger that a signed head is about, for people who have only the head.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::ids::CallId;
use crate::ledger::encode::{self, Tag};
use crate::ledger::files::Folder;
use crate::ledger::follow::Follower;
use crate::ledger::heads;
use crate::ledger::record::{Hash, Head};
use crate::ledger::recover;
use crate::ledger::segment::{ReadFault, Reader};
use crate::ledger::tree::{self, Gather};
use crate::limits;

/// A proof after RFC 9162, section 2.1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Which record.
    pub index: u64,
    /// The record as it is encoded: SHA-256 of a zero and this is the leaf.
    pub record: Vec<u8>,
    /// Hashes beside the way from the leaf to the root, the lowest first.
    pub path: Vec<Hash>,
    /// The head that it is proven for.
    pub head: Head,
}

impl Proof {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        let leaf = tree::leaf(&self.record);
        tree::includes(&self.head.root, self.head.size, self.index, &leaf, &self.path)
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofFault {
    /// Records cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// The record is not there.
    #[error("there is no such record")]
    Unknown,
    /// The record is newer than the newest head.
    #[error("no head vouches for record {0} yet: there is one every minute, and at the end")]
    Unsigned(u64),
    /// The records do not come to what the head says.
    #[error("the records are not those that the head of {0} records was signed for: see `ledger verify`")]
    Untrue(u64),
}

/// Proves a record against the newest head.
///
/// # Errors
/// Those of [`ProofFault`].
pub fn prove(data_dir: &Path, index: u64) -> Result<Proof, ProofFault> {
    let folder = Folder::of(data_dir);
    let newest = heads(data_dir)?.pop().filter(|head| index < head.size);
    let mut follower = Follower::offline(data_dir, 0);
    let oldest = follower.oldest()?;
    if index < oldest {
        return Err(ReadFault::Dropped(oldest).into());
    }
    let head = newest.ok_or(ProofFault::Unsigned(index))?;
    let ranges = tree::inclusion(index, head.size).ok_or(ProofFault::Unknown)?;
    let mut gather = Gather::new(ranges);
    let header = Reader::open(&folder.segments(), oldest)?.header().clone();
    if let Some(before) = recover::stand_of(&header) {
        for (range, root) in before.chain.tree.subtrees() {
            gather.subtree(&range, root);
        }
    }
    follower = Follower::offline(data_dir, oldest);
    let mut found = None;
    while follower.index() < head.size
        && let Some((at, record)) = follower.next_bytes()?
    {
        if at == index {
            found = Some(record.to_vec());
        }
        gather.leaf(at, tree::leaf(record));
    }
    let size = head.size;
    let (Some(record), Some(path)) = (found, gather.roots()) else { return Err(ProofFault::Untrue(size)) };
    let proof = Proof { index, record, path, head };
    if proof.holds() { Ok(proof) } else { Err(ProofFault::Untrue(size)) }
}

/// Index of the last record about a call: its end, where it has one.
///
/// # Errors
/// `Io` and `Bad`.
pub fn find(data_dir: &Path, id: CallId) -> Result<Option<u64>, ReadFault> {
    let oldest = Follower::offline(data_dir, 0).oldest()?;
    let mut follower = Follower::offline(data_dir, oldest);
    let mut found = None;
    while let Some((index, record)) = follower.next_bytes()? {
        let Ok(outline) = encode::outline(record) else { continue };
        if outline.id == Some(id) {
            found = Some(index);
            // Nothing comes behind the end of a call.
            if outline.tag != Tag::Open {
                break;
            }
        }
    }
    Ok(found)
}

/// All signed heads, the oldest first; lines that are none are left out.
///
/// # Errors
/// `Io`.
pub fn heads(data_dir: &Path) -> Result<Vec<Head>, ReadFault> {
    let path = Folder::of(data_dir).heads();
    let failed = ReadFault::io(&path);
    let mut file = match File::open(&path) {
        Ok(file) => BufReader::new(file),
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(failed(why)),
    };
    let most = u64::try_from(limits::HEAD_LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let (mut heads, mut line) = (Vec::new(), Vec::new());
    while file.by_ref().take(most).read_until(b'\n', &mut line).map_err(&failed)? > 0 {
        heads.extend(heads::from_line(&line));
        line.clear();
    }
    Ok(heads)
}
