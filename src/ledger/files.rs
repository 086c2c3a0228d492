//! The folder of the ledger: names of its files, and the few operations that a disk may refuse.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::Arc;

#[cfg(test)]
use crate::ledger::tests::faults::Faults;

/// The disk as the ledger uses it; tests can make it fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: Arc<Faults>,
}

impl Disk {
    /// Writes all bytes at a place. After an error some may have been written.
    pub(super) fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        let bytes = &self.faults.write(file, bytes, at)?;
        let _disk = self;
        file.write_all_at(bytes, at)
    }

    /// Waits until what was written is on the disk.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.faults.sync()?;
        let _disk = self;
        file.sync_data()
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The ledger below a data folder.
    pub(super) fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join("ledger") }
    }

    /// Makes the folders, for their owner only.
    pub(super) fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.segments())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.path.join("segments")
    }

    pub(super) fn heads(&self) -> PathBuf {
        self.path.join("heads.jsonl")
    }

    /// What a destination of heads has acknowledged.
    pub(super) fn delivered(&self, name: &str) -> PathBuf {
        self.path.join(format!("delivered-{name}.json"))
    }

    pub(super) fn signing_key(&self) -> PathBuf {
        self.path.join("signing-key")
    }

    pub(super) fn public_key(&self) -> PathBuf {
        self.path.join("signing-key.pub")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(super) fn journal(&self, number: usize) -> PathBuf {
        self.path.join(format!("{JOURNAL}{number}"))
    }

    /// The journals that there are, as numbers with their paths.
    pub(super) fn journals(&self) -> io::Result<Vec<(usize, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(JOURNAL));
            if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
                found.push((number, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Where what was cut from the segment of this first record is kept.
    pub(super) fn cut(&self, first: u64, at_ms: u64) -> PathBuf {
        self.path.join(format!("cut-{first:016x}-{at_ms}"))
    }
}

const JOURNAL: &str = "journal-";

/// Opens a file to be written and read by us only, which need not exist.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// Makes an empty file for us only, where there is none. One that is there is not opened: to close it again
/// would take away the locks that SQLite holds on it for this process.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => Err(why),
        _ => Ok(()),
    }
}

/// A lock that is let go with its value.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes over a file that has been locked.
    pub(super) const fn held(file: File) -> Self {
        Self(file)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file would not be enough: a program that is just being started by another thread has
        // it open as well for a moment. A lock that cannot be let go ends with the process.
        drop(self.0.unlock());
    }
}

/// Makes changes of names in a folder last.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
