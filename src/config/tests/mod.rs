//! Tests of the config, by what they look at.

mod addresses;
mod bad;
mod books;
mod clouds;
mod core_tools;
mod dialects;
#[cfg(feature = "embedding")]
mod embedding;
mod good;
mod guard;
mod identity;
mod key_file;
mod mcp;
mod mcp_faults;
mod network;
mod pins;
mod places;
mod policy;
mod property;
mod reloading;
mod routes;

use std::path::{Path, PathBuf};

use crate::config::environment::Environment;
use crate::config::faults::Faults;
use crate::config::load::{Keys, Loaded, load_in};

/// A folder that vanishes with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let path = std::env::temp_dir().join(format!("tollgate-test-{:016x}", u64::from_ne_bytes(random)));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Writes `config` as `tollgate.yaml` of `folder` and loads it with these variables only.
pub(super) fn load_text(
    folder: &Folder,
    config: &str,
    variables: &[(&str, &str)],
    keys: &Keys<'_>,
) -> Result<Loaded, Faults> {
    folder.write("tollgate.yaml", config);
    load_in(None, &Environment::given(variables, folder.path()), keys)
}

/// Reads a config that must be good.
pub(super) fn good(config: &str, variables: &[(&str, &str)]) -> Loaded {
    load_text(&Folder::new(), config, variables, &Keys::Read).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults of a config that must be bad.
pub(super) fn faults(config: &str, variables: &[(&str, &str)]) -> String {
    let folder = Folder::new();
    let faults = load_text(&folder, config, variables, &Keys::Read).expect_err(config).to_string();
    faults.replace(&folder.path().display().to_string(), "DIR")
}

/// A self-signed certificate and its key, both PEM.
pub(super) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}
