//! Reloading: noticing that a file has changed, and reading the config again as a whole or not at all.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::environment::Environment;
use crate::config::faults::Faults;
use crate::config::load::{Keys, load_in};
use crate::config::snapshot::{Fixed, Snapshot};

/// Remembers how files looked, to notice when one changes, appears or vanishes.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    files: Vec<(PathBuf, Option<Look>)>,
    /// Whether a file was first looked at after it had been read: what happened to it in between is unknown.
    late: bool,
}

/// What tells one state of a file from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
    device: u64,
}

impl Watch {
    /// Takes a first look at files that have been read already. They may have changed since, so the next
    /// `changed` says yes.
    pub fn new(files: &[PathBuf]) -> Self {
        let mut watch = Self::default();
        watch.follow(files);
        watch
    }

    /// Watches exactly these files from now on, after they have been read. Those that were watched before
    /// keep their last look, which is older than the reading when `changed` was asked first; a file that is
    /// new here makes the next `changed` say yes.
    pub fn follow(&mut self, files: &[PathBuf]) {
        let mut known = std::mem::take(&mut self.files);
        for file in files {
            match known.iter().position(|(path, _)| path == file) {
                Some(place) => self.files.push(known.swap_remove(place)),
                None if self.files.iter().any(|(path, _)| path == file) => {}
                None => {
                    self.files.push((file.clone(), look(file)));
                    self.late = true;
                }
            }
        }
    }

    /// Looks again, to be followed by a reading if anything may differ from what was read last. The looks are
    /// taken before that reading, so that what changes during it is seen next time.
    pub fn changed(&mut self) -> bool {
        let mut changed = std::mem::take(&mut self.late);
        for (file, last) in &mut self.files {
            let now = look(file);
            changed |= now != *last;
            *last = now;
        }
        changed
    }
}

/// Follows symbolic links, so that a switched link (as Kubernetes mounts do) counts as a change.
fn look(file: &Path) -> Option<Look> {
    use std::os::unix::fs::MetadataExt;
    let facts = std::fs::metadata(file).ok()?;
    Some(Look {
        modified: facts.modified().ok(),
        bytes: facts.len(),
        inode: facts.ino(),
        device: facts.dev(),
    })
}

/// What a reload brings.
#[derive(Debug)]
pub struct Reloaded {
    /// The new facts, to be swapped in whole.
    pub snapshot: Snapshot,
    /// Lines that people should read, among them what changed but needs a restart.
    pub warnings: Vec<String>,
    /// The files to watch from now on.
    pub watched: Vec<PathBuf>,
}

/// Reads the config again. The running process keeps `fixed`; keys are read from its data folder.
///
/// # Errors
/// Every fault of the config, together; then the old snapshot stays.
pub fn reload(path: Option<&Path>, fixed: &Fixed) -> Result<Reloaded, Faults> {
    reload_in(path, fixed, &Environment::of_process())
}

/// `reload` in a given environment.
pub(crate) fn reload_in(
    path: Option<&Path>,
    fixed: &Fixed,
    environment: &Environment,
) -> Result<Reloaded, Faults> {
    let loaded = load_in(path, environment, &Keys::ReadFrom(&fixed.data_dir))?;
    let mut warnings = loaded.warnings;
    let Fixed { listen, data_dir, threads, engine, drain, log, ledger } = &loaded.fixed;
    let changes = [
        ("listen", *listen != fixed.listen),
        ("data_dir", *data_dir != fixed.data_dir),
        ("threads", *threads != fixed.threads),
        ("engine", *engine != fixed.engine),
        ("drain_s", *drain != fixed.drain),
        ("log", *log != fixed.log),
        ("ledger", *ledger != fixed.ledger),
    ];
    for (name, _) in changes.iter().filter(|(_, changed)| *changed) {
        warnings.push(format!("{name} changed: needs a restart"));
    }
    Ok(Reloaded { snapshot: loaded.snapshot, warnings, watched: loaded.watched })
}
