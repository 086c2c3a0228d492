//! The key file: hashes of the virtual keys that `tollgate key` makes and revokes, `<data_dir>/keys.json`.
//!
//! Shape: `{"version":1,"keys":[{"name","id","sha256","team"?,"models"?,"created","revoked"?}]}`,
//! times as RFC
//! 3339. Writers take an advisory lock on `keys.lock` beside it, read, change and replace the file whole, so
//! that readers need no lock and two writers lose nothing. A file that cannot be understood is never
//! overwritten.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::atomic;
use crate::config::faults::{Fault, Faults, Mark};
use crate::config::reader;
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::token::{self, KeyHash};
use crate::ids::{KeyName, TeamName};
use crate::limits;
use crate::secret::Secret;

/// Why keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The file system refuses.
    #[error("{path}: {why}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system says.
        why: io::Error,
    },
    /// The file is not what we write.
    #[error("{path}: the key file is damaged: {why}; restore it or move it away, it will not be overwritten")]
    Damaged {
        /// The file.
        path: String,
        /// Line and column of the damage; line 0 when it is no matter of syntax.
        mark: Mark,
        /// What is wrong with it.
        why: String,
    },
    /// The name of a valid key.
    #[error("there is a valid key named \"{0}\" already: revoke it first or choose another name")]
    NameTaken(String),
    /// Not a name.
    #[error("{0} is no name: use 1 to 64 of a-z A-Z 0-9 . _ -")]
    Name(String),
    /// Neither name nor id of a key in the file.
    #[error("no key has the name or id \"{0}\": see `tollgate key list`")]
    Unknown(String),
    /// The key is revoked already.
    #[error("the key \"{0}\" is revoked already")]
    Revoked(String),
    /// A change was made for another state than the one that is there.
    #[error("the keys have changed since they were seen: read them again")]
    Stale,
    /// No randomness for a new key.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl KeyFault {
    /// The same as a fault of a config.
    pub fn into_faults(self) -> Faults {
        let (file, mark, text) = match &self {
            Self::Io { path, why } => (path.clone(), Mark::default(), why.to_string()),
            Self::Damaged { path, mark, why } => {
                let text = format!(
                    "the key file is damaged: {why}; restore it or move it away, it will not be overwritten"
                );
                (path.clone(), *mark, text)
            }
            other => (NAME.to_owned(), Mark::default(), other.to_string()),
        };
        let mut faults = Faults::default();
        faults.push(Fault { file: file.into(), mark, text });
        faults
    }
}

/// One key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    /// Its name; of several keys with one name at most one is valid.
    pub name: String,
    /// The first 12 digits of `sha256`.
    pub id: String,
    /// Hash of the key.
    #[serde(with = "hex")]
    pub sha256: KeyHash,
    /// Its team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The person behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether it opens `/admin`, and nothing else.
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
    /// Patterns of the models that it may name; absent for no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was revoked, RFC 3339; absent while it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

impl StoredKey {
    /// The key as the ring wants it.
    pub fn principal(&self) -> Principal {
        Principal {
            key: KeyName::new(&self.name),
            key_id: Arc::from(self.id.as_str()),
            team: self.team.as_deref().map(TeamName::new),
            user: self.user.as_deref().map(Arc::from),
            admin: self.admin,
            models: self.models.as_ref().map(|list| list.iter().map(|pattern| Glob::new(pattern)).collect()),
            servers: None,
        }
    }

    /// Whether it opens anything.
    pub const fn is_valid(&self) -> bool {
        self.revoked.is_none()
    }
}

/// The wish for a new key.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// Its team.
    pub team: Option<String>,
    /// The person behind it.
    pub user: Option<String>,
    /// Whether it opens `/admin`, and nothing else.
    pub admin: bool,
    /// Patterns of the models that it may name.
    pub models: Option<Vec<String>>,
}

/// A key that was just made; its text exists nowhere else.
#[derive(Debug)]
pub struct Created {
    /// What was stored.
    pub stored: StoredKey,
    /// The key itself, to be shown once.
    pub secret: Secret,
}

/// The key file of one data folder.
#[derive(Clone, Debug)]
pub struct KeyFile {
    folder: PathBuf,
    path: PathBuf,
}

impl KeyFile {
    /// Names the file; nothing is touched.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.to_owned(), path: data_dir.join(NAME) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all keys, also the revoked ones; none when there is no file yet.
    ///
    /// # Errors
    /// `Io` and `Damaged`.
    pub fn read(&self) -> Result<Vec<StoredKey>, KeyFault> {
        match atomic::read(&self.path, limits::KEY_FILE_BYTES_MAX) {
            Ok(bytes) => self.parse(&bytes),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(why) => Err(io_fault(&self.path, why)),
        }
    }

    /// Makes a key and stores its hash.
    ///
    /// # Errors
    /// `Name`, `NameTaken`, `Random`, and those of `read`.
    pub fn create(&self, wish: NewKey) -> Result<Created, KeyFault> {
        self.change(|keys| create_in(keys, wish))
    }

    /// Makes a key named `name` unless a valid one has come to be in the meantime.
    ///
    /// # Errors
    /// Those of `create`.
    pub fn create_first(&self, name: &str) -> Result<Option<Created>, KeyFault> {
        self.change(|keys| {
            if keys.iter().any(StoredKey::is_valid) {
                return Ok(None);
            }
            create_in(keys, NewKey { name: name.to_owned(), ..NewKey::default() }).map(Some)
        })
    }

    /// Revokes the valid key with this name, or the key with this id.
    ///
    /// # Errors
    /// `Unknown`, `Revoked`, and those of `read`.
    pub fn revoke(&self, name_or_id: &str) -> Result<StoredKey, KeyFault> {
        self.change(|keys| revoke_in(keys, name_or_id))
    }

    /// Runs `edit` on the keys while no other writer can, and stores the result if it differs.
    pub(crate) fn change<T>(
        &self,
        edit: impl FnOnce(&mut Vec<StoredKey>) -> Result<T, KeyFault>,
    ) -> Result<T, KeyFault> {
        let failed = |why| io_fault(&self.folder, why);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let lock = self.lock().map_err(failed)?;
        let before = self.read()?;
        let mut keys = before.clone();
        let out = edit(&mut keys)?;
        if keys != before {
            let form = Form { version: VERSION, keys };
            let mut text = serde_json::to_vec_pretty(&form).map_err(|why| failed(why.into()))?;
            text.push(b'\n');
            atomic::replace(&self.path, &text).map_err(|why| io_fault(&self.path, why))?;
        }
        // The lock ends with its file.
        drop(lock);
        Ok(out)
    }

    /// A file of its own, because the key file itself is replaced while the lock is held.
    fn lock(&self) -> io::Result<File> {
        let path = self.folder.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        file.lock()?;
        Ok(file)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Vec<StoredKey>, KeyFault> {
        let path = || self.path.display().to_string();
        let form: Form = serde_json::from_slice(bytes).map_err(|why| KeyFault::Damaged {
            path: path(),
            mark: Mark { line: why.line(), column: why.column() },
            why: why.to_string(),
        })?;
        let damaged = |why| Err(KeyFault::Damaged { path: path(), mark: Mark::default(), why });
        if form.version != VERSION {
            return damaged(format!(
                "its version is {}, this program writes version {VERSION}",
                form.version
            ));
        }
        for key in &form.keys {
            if !reader::is_name(&key.name) || key.id != key.sha256.id() {
                return damaged(format!("the name or id of key {} is not one", reader::quoted(&key.name)));
            }
        }
        Ok(form.keys)
    }
}

/// The file as a whole.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    keys: Vec<StoredKey>,
}

const NAME: &str = "keys.json";
const LOCK: &str = "keys.lock";
const VERSION: u32 = 1;

/// A time as the key file has it: RFC 3339, whole seconds, UTC.
fn time_text(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

fn io_fault(path: &Path, why: io::Error) -> KeyFault {
    KeyFault::Io { path: path.display().to_string(), why }
}

/// Revokes among `keys`.
pub(crate) fn revoke_in(keys: &mut [StoredKey], name_or_id: &str) -> Result<StoredKey, KeyFault> {
    let named = |key: &StoredKey| key.name == name_or_id || key.id == name_or_id;
    let known = keys.iter().any(named);
    let found = keys.iter_mut().find(|key| named(key) && key.is_valid());
    match found {
        Some(key) => {
            key.revoked = Some(time_text(clock::wall()));
            Ok(key.clone())
        }
        None if known => Err(KeyFault::Revoked(name_or_id.to_owned())),
        None => Err(KeyFault::Unknown(name_or_id.to_owned())),
    }
}

/// Makes a key among `keys`.
pub(crate) fn create_in(keys: &mut Vec<StoredKey>, wish: NewKey) -> Result<Created, KeyFault> {
    if !reader::is_name(&wish.name) {
        return Err(KeyFault::Name(reader::quoted(&wish.name)));
    }
    if keys.iter().any(|key| key.is_valid() && key.name == wish.name) {
        return Err(KeyFault::NameTaken(wish.name));
    }
    let secret = token::generate().map_err(KeyFault::Random)?;
    let sha256 = KeyHash::of(secret.expose().as_bytes());
    let stored = StoredKey {
        name: wish.name,
        id: sha256.id(),
        sha256,
        team: wish.team,
        user: wish.user,
        admin: wish.admin,
        models: wish.models,
        created: time_text(clock::wall()),
        revoked: None,
    };
    keys.push(stored.clone());
    Ok(Created { stored, secret })
}

/// What serde asks before it leaves a field out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// `KeyHash` as 64 hexadecimal digits.
mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::identity::token::KeyHash;

    pub(super) fn serialize<S: Serializer>(hash: &KeyHash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hash.to_hex())
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<KeyHash, D::Error> {
        let text = String::deserialize(from)?;
        KeyHash::from_hex(&text).ok_or_else(|| D::Error::custom("a hash is not 64 hexadecimal digits"))
    }
}
