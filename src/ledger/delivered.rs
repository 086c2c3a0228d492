//! What of the signed heads has arrived elsewhere: a small file for each destination.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ledger::files::Folder;
use crate::ledger::heads::{self, hex};
use crate::ledger::record::Head;
use crate::limits;

/// The newest head that one destination has acknowledged.
#[derive(Debug)]
pub struct Delivered {
    path: PathBuf,
    known: Option<Mark>,
}

/// As the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The beginning of the SHA-256 of where it went: addresses may hold secrets.
    to: String,
    size: u64,
    root: String,
}

impl Mark {
    fn of(to: &str, head: &Head) -> Self {
        let hash = Sha256::digest(to.as_bytes());
        let to = hex(hash.first_chunk::<8>().map_or(&[], <[u8; 8]>::as_slice));
        Self { to, size: head.size, root: hex(&head.root) }
    }
}

impl Delivered {
    /// Reads what a destination of this `name`, a word, has acknowledged. A file that cannot be read counts
    /// as none: then the newest head is sent once more, which does no harm.
    pub fn read(data_dir: &Path, name: &str) -> Self {
        let path = Folder::of(data_dir).delivered(name);
        let known = || {
            let small = fs::metadata(&path).ok()?.len() <= limits::DELIVERED_BYTES_MAX;
            serde_json::from_slice(&fs::read(&path).ok().filter(|_| small)?).ok()
        };
        let known = known();
        Self { path, known }
    }

    /// Whether `to`, an address, has acknowledged this head.
    pub fn has(&self, to: &str, head: &Head) -> bool {
        self.known.as_ref() == Some(&Mark::of(to, head))
    }

    /// Remembers that `to` has acknowledged it. What could not be written holds until the process ends.
    ///
    /// # Errors
    /// What the system says.
    pub fn note(&mut self, to: &str, head: &Head) -> io::Result<()> {
        let mark = self.known.insert(Mark::of(to, head));
        let text = serde_json::to_string(mark).map_err(io::Error::other)?;
        heads::put_file(&self.path, text.as_bytes())
    }
}
