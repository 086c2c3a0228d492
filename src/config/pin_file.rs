//! The state file of pins: what every tool was when it was trusted, `<data_dir>/pins.json`.
//!
//! Shape: `{"version":1,"pins":{"servers":{SERVER:{TOOL:{"pinned"?,"proposed"?,"rejected"?}}},"events":[]}}`
//! after [`crate::mcp::pin::Pins`]. Writers take an advisory lock on `pins.lock` beside it, read, change and
//! replace the file whole: a reader sees the old state or the new, also when a writer is killed. A file that
//! cannot be understood is never overwritten.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::atomic;
use crate::config::reload::Watch;
use crate::limits;
use crate::mcp::pin::fingerprint::{Fingerprint, Hash};
use crate::mcp::pin::{Decision, PinFault, Pins, Version};

/// Why pins could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PinFileFault {
    /// It was there, and is not any more.
    #[error("{path}: the file of pins is gone; put it back, or restart to begin anew")]
    Gone {
        /// The file.
        path: String,
    },
    /// The file system refuses.
    #[error("{path}: {why}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system says.
        why: io::Error,
    },
    /// The file is not what we write.
    #[error(
        "{path}: the file of pins is damaged: {why}; restore it or move it away, it will not be overwritten"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// There would be more than `limits::PIN_FILE_BYTES_MAX`.
    #[error("{0}: the file of pins would be too large; take servers out of it, or off pinning (`pin: off`)")]
    Full(String),
    /// The decision cannot be taken.
    #[error(transparent)]
    Decision(#[from] PinFault),
}

/// The file of pins of one data folder. For the command line and for administrators at any time, whether a
/// gateway runs or not: a running one takes notice within a second.
#[derive(Clone, Debug)]
pub struct PinFile {
    folder: PathBuf,
    path: PathBuf,
}

impl PinFile {
    /// Names the file; nothing is touched.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.to_owned(), path: data_dir.join(NAME) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all pins; none when there is no file yet.
    ///
    /// # Errors
    /// `Io` and `Damaged`.
    pub fn read(&self) -> Result<Pins, PinFileFault> {
        match atomic::read(&self.path, limits::PIN_FILE_BYTES_MAX) {
            Ok(bytes) => self.parse(&bytes),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Pins::default()),
            Err(why) => Err(io_fault(&self.path, why)),
        }
    }

    /// Makes a proposed definition the pinned one, see [`Pins::approve`].
    ///
    /// # Errors
    /// `Decision`, and those of `read`.
    pub fn approve(&self, one: Decision<'_>) -> Result<Hash, PinFileFault> {
        self.change(|pins| Ok(pins.approve(one, clock::unix_ms(clock::wall()))?))
    }

    /// Says no to a proposed definition, see [`Pins::reject`].
    ///
    /// # Errors
    /// As `approve`.
    pub fn reject(&self, one: Decision<'_>) -> Result<Hash, PinFileFault> {
        self.change(|pins| Ok(pins.reject(one, clock::unix_ms(clock::wall()))?))
    }

    /// Runs `edit` on the pins while no other writer can, and stores the result if it differs.
    ///
    /// # Errors
    /// Those of `edit` and of `read`; then the file is as it was.
    pub fn change<T>(
        &self,
        edit: impl FnOnce(&mut Pins) -> Result<T, PinFileFault>,
    ) -> Result<T, PinFileFault> {
        let lock = self.lock()?;
        let before = self.read()?;
        let mut pins = before.clone();
        let out = edit(&mut pins)?;
        if pins != before {
            self.write(&pins)?;
        }
        // The lock ends with its file.
        drop(lock);
        Ok(out)
    }

    /// A file of its own, because the state file itself is replaced while the lock is held.
    fn lock(&self) -> Result<File, PinFileFault> {
        let failed = |why| io_fault(&self.folder, why);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let path = self.folder.join(LOCK);
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        let file = open.map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    fn write(&self, pins: &Pins) -> Result<(), PinFileFault> {
        let failed = |why| io_fault(&self.path, why);
        let mut text =
            serde_json::to_vec(&Form { version: VERSION, pins }).map_err(|why| failed(why.into()))?;
        text.push(b'\n');
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > limits::PIN_FILE_BYTES_MAX {
            return Err(PinFileFault::Full(self.path.display().to_string()));
        }
        atomic::replace(&self.path, &text).map_err(failed)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Pins, PinFileFault> {
        let damaged = |why| PinFileFault::Damaged { path: self.path.display().to_string(), why };
        let form: Form<Pins> = serde_json::from_slice(bytes).map_err(|why| damaged(why.to_string()))?;
        if form.version != VERSION {
            let text = format!("its version is {}, this program writes version {VERSION}", form.version);
            return Err(damaged(text));
        }
        for (server, tools) in &form.pins.servers {
            for (tool, known) in tools {
                let versions = [&known.pinned, &known.proposed];
                if versions.into_iter().flatten().any(|version| !is_whole(version)) {
                    let text = format!("the definition of {server:?} {tool:?} is not that of its hashes");
                    return Err(damaged(text));
                }
            }
        }
        Ok(form.pins)
    }
}

/// Whether a definition is that of its hashes.
fn is_whole(version: &Version) -> bool {
    Fingerprint::of(version.definition.as_bytes()).is_ok_and(|print| print == version.print)
}

/// The pins of a running gateway, which are changed by it and, through the file, by others.
#[derive(Debug)]
pub struct LivePins {
    file: PinFile,
    pins: Pins,
    watch: Watch,
    generation: u64,
}

impl LivePins {
    /// Reads the file.
    ///
    /// # Errors
    /// Those of `PinFile::read`.
    pub fn open(data_dir: &Path) -> Result<Self, PinFileFault> {
        let file = PinFile::of(data_dir);
        let mut watch = Watch::new(&[file.path().to_owned()]);
        watch.changed();
        let pins = file.read()?;
        Ok(Self { file, pins, watch, generation: 0 })
    }

    /// The pins as they were read last.
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Grows when others have changed the pins.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes over what others have changed; whether they have.
    ///
    /// # Errors
    /// Those of `PinFile::read`; then the pins are as they were, and are read again next time.
    pub fn follow(&mut self) -> Result<bool, PinFileFault> {
        if !self.watch.changed() {
            return Ok(false);
        }
        match self.file.read() {
            // Nothing would be held any more, and what was rejected would be trusted.
            Ok(_) if self.pins != Pins::default() && !self.file.path().exists() => {
                self.watch = Watch::new(&[self.file.path().to_owned()]);
                Err(PinFileFault::Gone { path: self.file.path().display().to_string() })
            }
            Ok(pins) => {
                let other = pins != self.pins;
                self.pins = pins;
                self.generation += u64::from(other);
                Ok(other)
            }
            Err(why) => {
                self.watch = Watch::new(&[self.file.path().to_owned()]);
                Err(why)
            }
        }
    }

    /// Changes the pins, here and in the file. What changes nothing touches no disk.
    ///
    /// # Errors
    /// Those of `PinFile::change`; then nothing has changed.
    pub fn change<T>(&mut self, mut edit: impl FnMut(&mut Pins) -> T) -> Result<T, PinFileFault> {
        self.follow()?;
        let mut pins = self.pins.clone();
        let out = edit(&mut pins);
        if pins == self.pins {
            return Ok(out);
        }
        let lock = self.file.lock()?;
        // Somebody may have been before us.
        let mut out = out;
        if self.follow()? {
            pins = self.pins.clone();
            out = edit(&mut pins);
        }
        self.file.write(&pins)?;
        self.watch.changed();
        self.pins = pins;
        drop(lock);
        Ok(out)
    }
}

/// The file as a whole.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<P> {
    version: u32,
    pins: P,
}

const NAME: &str = "pins.json";
const LOCK: &str = "pins.lock";
const VERSION: u32 = 1;

fn io_fault(path: &Path, why: io::Error) -> PinFileFault {
    PinFileFault::Io { path: path.display().to_string(), why }
}
