//! Changes of the key file on a condition: whoever changes what they have not seen is refused.

use std::time::{Duration, SystemTime};

use crate::config::key_file::{Created, KeyFault, KeyFile, NewKey, StoredKey};
use crate::config::key_file::{create_in, revoke_in, rotate_in};

/// A key before and after a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it was.
    pub before: StoredKey,
    /// As it is.
    pub after: StoredKey,
}

impl KeyFile {
    /// Makes a key if `fits` of all keys, which nobody else changes meanwhile; the keys as they are then come
    /// with it.
    ///
    /// # Errors
    /// `Stale`, and those of `create`.
    pub fn create_if(
        &self,
        wish: NewKey,
        fits: impl FnOnce(&[StoredKey]) -> bool,
    ) -> Result<Created, KeyFault> {
        self.change(
            |stored| {
                if fits(&stored.keys) { create_in(&mut stored.keys, wish) } else { Err(KeyFault::Stale) }
            },
        )
    }

    /// Makes another secret for the key of this name, see `rotate`, if `fits` of its newest, which nobody
    /// else changes meanwhile.
    ///
    /// # Errors
    /// `Stale`, and those of `rotate`.
    pub fn rotate_if(
        &self,
        name: &str,
        (overlap, expires): (Duration, Option<SystemTime>),
        fits: impl FnOnce(&StoredKey) -> bool,
    ) -> Result<Created, KeyFault> {
        self.change(|stored| {
            let found = stored.keys.iter().rfind(|key| key.name == name && key.is_valid());
            match found.or_else(|| find(&stored.keys, name)) {
                Some(key) if !fits(key) => Err(KeyFault::Stale),
                _ => rotate_in(&mut stored.keys, name, overlap, expires),
            }
        })
    }

    /// Revokes the valid key with this name or id if `fits` of it, which nobody else changes meanwhile. Where
    /// there is no valid one, `fits` is asked about the newest of that name first: a state that has passed is
    /// told before all else. All secrets of a name end together, so `may` has to hold for each.
    ///
    /// # Errors
    /// `Stale`, `User` where `may` does not hold, and those of `revoke`.
    pub fn revoke_if(
        &self,
        name_or_id: &str,
        may: impl Fn(&StoredKey) -> bool,
        fits: impl FnOnce(&StoredKey) -> bool,
    ) -> Result<Changed, KeyFault> {
        self.change(|stored| {
            let found = find(&stored.keys, name_or_id).cloned();
            let before = found.ok_or_else(|| KeyFault::Unknown(name_or_id.to_owned()))?;
            if !fits(&before) {
                return Err(KeyFault::Stale);
            }
            let named = |key: &&StoredKey| key.name == name_or_id || key.id == name_or_id;
            if let Some(other) = stored.keys.iter().filter(named).find(|key| key.is_valid() && !may(key)) {
                return Err(KeyFault::User(format!("the key {:?} is not yours to revoke", other.name)));
            }
            let revoked = revoke_in(&mut stored.keys, name_or_id)?;
            let after = revoked.into_iter().find(|key| key.id == before.id);
            Ok(Changed { after: after.unwrap_or_else(|| before.clone()), before })
        })
    }
}

/// The newest valid key with this name or id; else the newest of those that are not valid any more.
pub fn find<'k>(keys: &'k [StoredKey], name_or_id: &str) -> Option<&'k StoredKey> {
    let named = |key: &&StoredKey| key.name == name_or_id || key.id == name_or_id;
    let valid = keys.iter().rev().filter(named).find(|key| key.is_valid());
    valid.or_else(|| keys.iter().rev().find(named))
}
