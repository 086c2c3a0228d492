//! The key file: hashes of the virtual keys that `tollgate key` makes and revokes, `<data_dir>/keys.json`.
//!
//! Shape: `{"version":1,"keys":[{"name","id","sha256","team"?,"user"?,"role"?,"service"?,"models"?,
//! "servers"?,"regions"?,"generation"?,"created","expires"?,"revoked"?}],"users"?:[{"user","revoked"}]}`,
//! times as RFC 3339; `"admin":true` of older files is the role of an owner. Writers take an advisory lock
//! on `keys.lock` beside it, read, change and replace the file whole, so that readers need no lock and two
//! writers lose nothing. A file that cannot be understood is never overwritten.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::atomic;
use crate::config::faults::{Fault, Faults, Mark};
use crate::config::key_terms::{self, Grant};
use crate::config::places_file;
use crate::config::reader;
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::role::Role;
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
    /// The user is revoked already, or was never.
    #[error("{0}")]
    User(String),
    /// A change was made for another state than the one that is there.
    #[error("the keys have changed since they were seen: read them again")]
    Stale,
    /// The file has no room for another key.
    #[error("the key file is full, with those that are revoked or have expired; give keys fewer patterns")]
    Full,
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
    /// Its name; of several keys with one name all but the last have been rotated, or are not valid.
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
    /// What older files have in place of the role of an owner.
    #[serde(default, skip_serializing_if = "is_false")]
    admin: bool,
    /// What it may do at `/admin`, and nowhere else.
    #[serde(default, with = "role_name", skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// Whether it belongs to a program.
    #[serde(default, skip_serializing_if = "is_false")]
    pub service: bool,
    /// Patterns of the models that it may name; absent for no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The servers and tools that it is given; absent for no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<Grant>>,
    /// Patterns of the regions that its calls may run in; absent for no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// How often it has been rotated: the first secret is generation 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub generation: u32,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it ends, RFC 3339; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// When it was revoked, RFC 3339; absent while it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

impl StoredKey {
    /// The key as the ring wants it.
    pub fn principal(&self) -> Principal {
        Principal {
            team: self.team.as_deref().map(TeamName::new),
            user: self.user.as_deref().map(Arc::from),
            role: self.role(),
            service: self.service,
            until_ms: self.until_ms(),
            models: self.models.as_ref().map(|list| list.iter().map(|pattern| Glob::new(pattern)).collect()),
            servers: self.servers.as_deref().map(key_terms::rules),
            regions: self.regions.as_deref().map(places_file::globs),
            ..Principal::of_key(KeyName::new(&self.name), self.id.as_str())
        }
    }

    /// What it may do at `/admin`.
    pub fn role(&self) -> Option<Role> {
        self.role.or_else(|| self.admin.then_some(Role::Owner))
    }

    /// When it ends, milliseconds since 1970.
    pub fn until_ms(&self) -> Option<u64> {
        // What cannot be read is refused when the file is, and a key without a time must not come of it.
        self.expires.as_deref().map(|text| key_terms::unix_ms(text).unwrap_or_default())
    }

    /// Whether it has not been revoked; its time may be over.
    pub const fn is_valid(&self) -> bool {
        self.revoked.is_none()
    }

    /// Whether it opens anything at `now`.
    pub fn is_live(&self, now: SystemTime) -> bool {
        self.is_valid() && self.until_ms().is_none_or(|until| until > clock::unix_ms(now))
    }
}

/// A person who is let in by no key and no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedUser {
    /// The user of keys, or what an issuer calls the person or the session: user, `sub`, `sid` or `jti`.
    pub user: String,
    /// Since when, RFC 3339.
    pub revoked: String,
}

/// All that the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The keys, also the revoked ones.
    pub keys: Vec<StoredKey>,
    /// The revoked users.
    pub users: Vec<RevokedUser>,
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
    /// What it may do at `/admin`, and nowhere else.
    pub role: Option<Role>,
    /// Whether it belongs to a program.
    pub service: bool,
    /// Patterns of the models that it may name.
    pub models: Option<Vec<String>>,
    /// The servers and tools that it is given.
    pub servers: Option<Vec<Grant>>,
    /// Patterns of the regions that its calls may run in.
    pub regions: Option<Vec<String>>,
    /// When it ends.
    pub expires: Option<SystemTime>,
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
        self.read_all().map(|stored| stored.keys)
    }

    /// Reads all of it; nothing when there is no file yet.
    ///
    /// # Errors
    /// `Io` and `Damaged`.
    pub fn read_all(&self) -> Result<Stored, KeyFault> {
        match atomic::read(&self.path, limits::KEY_FILE_BYTES_MAX) {
            Ok(bytes) => self.parse(&bytes),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Stored::default()),
            Err(why) => Err(io_fault(&self.path, why)),
        }
    }

    /// Makes a key and stores its hash.
    ///
    /// # Errors
    /// `Name`, `NameTaken`, `Random`, and those of `read`.
    pub fn create(&self, wish: NewKey) -> Result<Created, KeyFault> {
        self.change(|stored| create_in(&mut stored.keys, wish))
    }

    /// Makes a key named `name` unless a valid one has come to be in the meantime.
    ///
    /// # Errors
    /// Those of `create`.
    pub fn create_first(&self, name: &str) -> Result<Option<Created>, KeyFault> {
        self.change(|stored| {
            if stored.keys.iter().any(StoredKey::is_valid) {
                return Ok(None);
            }
            create_in(&mut stored.keys, NewKey { name: name.to_owned(), ..NewKey::default() }).map(Some)
        })
    }

    /// Makes a new secret for the newest key of this name, on the same terms. The old one goes on until its
    /// end, or for `overlap` from now if that is less. The new one ends at `expires`; without it, after as
    /// long a time as the old one had from the first.
    ///
    /// # Errors
    /// `Unknown`, `Revoked`, `Random`, and those of `read`.
    pub fn rotate(
        &self,
        name: &str,
        overlap: Duration,
        expires: Option<SystemTime>,
    ) -> Result<Created, KeyFault> {
        self.change(|stored| rotate_in(&mut stored.keys, name, overlap, expires))
    }

    /// Revokes the key with this name, all secrets of it, or the one with this id. Gives what was revoked.
    ///
    /// # Errors
    /// `Unknown`, `Revoked`, and those of `read`.
    pub fn revoke(&self, name_or_id: &str) -> Result<Vec<StoredKey>, KeyFault> {
        self.change(|stored| revoke_in(&mut stored.keys, name_or_id))
    }

    /// Lets no key and no token of this person in any more; or, with `false`, lets them in again.
    ///
    /// # Errors
    /// `User` when it is so already, and those of `read`.
    pub fn revoke_user(&self, user: &str, out: bool) -> Result<(), KeyFault> {
        self.change(|stored| {
            let is_out = stored.users.iter().any(|other| other.user.eq_ignore_ascii_case(user));
            match (out, is_out) {
                (true, true) => Err(KeyFault::User(format!("the user {user:?} is revoked already"))),
                (false, false) => Err(KeyFault::User(format!("the user {user:?} is not revoked"))),
                (true, false) if stored.users.len() >= limits::REVOKED_MAX => {
                    Err(KeyFault::User(format!("{} users are revoked already", limits::REVOKED_MAX)))
                }
                (true, false) => {
                    let revoked = key_terms::text(clock::wall());
                    stored.users.push(RevokedUser { user: user.to_owned(), revoked });
                    Ok(())
                }
                (false, true) => {
                    stored.users.retain(|other| !other.user.eq_ignore_ascii_case(user));
                    Ok(())
                }
            }
        })
    }

    /// Runs `edit` on the keys while no other writer can, and stores the result if it differs.
    pub(crate) fn change<T>(
        &self,
        edit: impl FnOnce(&mut Stored) -> Result<T, KeyFault>,
    ) -> Result<T, KeyFault> {
        let failed = |why| io_fault(&self.folder, why);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let lock = self.lock().map_err(failed)?;
        let before = self.read_all()?;
        let mut stored = before.clone();
        let out = edit(&mut stored)?;
        if stored != before {
            let stored_more = stored.keys.len() > before.keys.len();
            let form = Form { version: VERSION, keys: stored.keys, users: stored.users };
            let mut text = serde_json::to_vec_pretty(&form).map_err(|why| failed(why.into()))?;
            text.push(b'\n');
            // A file that cannot be read again would open nothing to anybody; revoking always fits.
            if stored_more && u64::try_from(text.len()).unwrap_or(u64::MAX) > limits::KEY_FILE_BYTES_MAX / 2 {
                return Err(KeyFault::Full);
            }
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

    fn parse(&self, bytes: &[u8]) -> Result<Stored, KeyFault> {
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
            if key.expires.as_deref().is_some_and(|text| key_terms::unix_ms(text).is_none()) {
                return damaged(format!("key {}: `expires` is no time", reader::quoted(&key.name)));
            }
        }
        Ok(Stored { keys: form.keys, users: form.users })
    }
}

/// The file as a whole.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    keys: Vec<StoredKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<RevokedUser>,
}

const NAME: &str = "keys.json";
const LOCK: &str = "keys.lock";
const VERSION: u32 = 1;

fn io_fault(path: &Path, why: io::Error) -> KeyFault {
    KeyFault::Io { path: path.display().to_string(), why }
}

/// Revokes all valid keys among `keys` that have this name, or the one with this id.
pub(crate) fn revoke_in(keys: &mut [StoredKey], name_or_id: &str) -> Result<Vec<StoredKey>, KeyFault> {
    let named = |key: &&mut StoredKey| key.name == name_or_id || key.id == name_or_id;
    let mut found = keys.iter_mut().filter(named).peekable();
    if found.peek().is_none() {
        return Err(KeyFault::Unknown(name_or_id.to_owned()));
    }
    let now = key_terms::text(clock::wall());
    let revoked: Vec<StoredKey> = found
        .filter(|key| key.is_valid())
        .map(|key| {
            key.revoked = Some(now.clone());
            key.clone()
        })
        .collect();
    if revoked.is_empty() { Err(KeyFault::Revoked(name_or_id.to_owned())) } else { Ok(revoked) }
}

/// Makes a key among `keys`.
pub(crate) fn create_in(keys: &mut Vec<StoredKey>, wish: NewKey) -> Result<Created, KeyFault> {
    if !reader::is_name(&wish.name) {
        return Err(KeyFault::Name(reader::quoted(&wish.name)));
    }
    let now = clock::wall();
    if keys.iter().any(|key| key.is_live(now) && key.name == wish.name) {
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
        admin: false,
        role: wish.role,
        service: wish.service,
        models: wish.models,
        servers: wish.servers,
        regions: wish.regions,
        generation: 1,
        created: key_terms::text(now),
        expires: wish.expires.map(key_terms::text),
        revoked: None,
    };
    keys.push(stored.clone());
    Ok(Created { stored, secret })
}

/// Makes another secret among `keys`.
pub(crate) fn rotate_in(
    keys: &mut Vec<StoredKey>,
    name: &str,
    overlap: Duration,
    expires: Option<SystemTime>,
) -> Result<Created, KeyFault> {
    let known = keys.iter().any(|key| key.name == name);
    let newest = keys.iter_mut().rfind(|key| key.name == name && key.is_valid());
    let Some(old) = newest else {
        let fault = if known { KeyFault::Revoked } else { KeyFault::Unknown };
        return Err(fault(name.to_owned()));
    };
    let now = clock::wall();
    let secret = token::generate().map_err(KeyFault::Random)?;
    let sha256 = KeyHash::of(secret.expose().as_bytes());
    let time = |text: &str| humantime::parse_rfc3339(text).ok();
    let lifetime = old.expires.as_deref().and_then(time).zip(time(&old.created));
    let lifetime = lifetime.and_then(|(end, begin)| end.duration_since(begin).ok());
    let stored = StoredKey {
        id: sha256.id(),
        sha256,
        generation: old.generation.saturating_add(1),
        created: key_terms::text(now),
        expires: expires.or_else(|| now.checked_add(lifetime?)).map(key_terms::text),
        ..old.clone()
    };
    // Texts of this form are in the order of their times.
    let last = key_terms::text(now + overlap);
    old.expires = Some(old.expires.take().map_or_else(|| last.clone(), |end| end.min(last.clone())));
    keys.push(stored.clone());
    Ok(Created { stored, secret })
}

/// What serde asks before it leaves a field out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_one(generation: &u32) -> bool {
    *generation == 1
}

const fn one() -> u32 {
    1
}

/// A role by its name.
mod role_name {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::identity::role::Role;

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(role: &Option<Role>, to: S) -> Result<S::Ok, S::Error> {
        match role {
            Some(role) => to.serialize_some(role.name()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Role>, D::Error> {
        let name = String::deserialize(from)?;
        let role = Role::from_name(&name);
        role.map(Some).ok_or_else(|| D::Error::custom("a role is none of owner, operator, auditor, viewer"))
    }
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
