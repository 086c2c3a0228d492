//! Secrets: written as `${env:NAME}` or `${file:PATH}`, found when the config is resolved.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::atomic;
use crate::config::environment::Environment;
use crate::config::faults::Mark;
use crate::config::reader::{At, Reader};
use crate::config::yaml::Node;
use crate::limits;
use crate::secret::Secret;

/// Where a secret is to be found.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In an environment variable.
    Variable(String),
    /// In a file, relative to the config's folder; white space at its end does not count.
    File(String),
    /// In the config itself.
    Written(Secret),
}

/// Reads a place that may hold a secret. No fault repeats what stands there.
pub(crate) fn read(node: &Node, what: &str, reader: &mut Reader) -> Option<At<Source>> {
    let text = reader.raw_text(node, what)?.value;
    let at = |value| Some(At { mark: node.mark, value });
    if let Some(inner) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        if let Some(source) = reference(inner) {
            return at(source);
        }
    } else if !text.contains("${") {
        return at(Source::Written(Secret::new(text)));
    }
    reader.fault(
        node.mark,
        format!("{what}: write `${{env:NAME}}` or `${{file:PATH}}`, with nothing before or after it"),
    );
    None
}

/// Reads what stands between the braces of a reference: `env:NAME` or `file:PATH`.
pub(crate) fn reference(inner: &str) -> Option<Source> {
    match inner.split_once(':')? {
        ("env", name) if is_variable(name) => Some(Source::Variable(name.to_owned())),
        ("file", path) if !path.is_empty() && !path.contains("${") => Some(Source::File(path.to_owned())),
        _ => None,
    }
}

/// Whether a text may name an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Finds secrets and remembers which files they came from.
pub(crate) struct Finder<'e> {
    /// The variables.
    pub(crate) environment: &'e Environment,
    /// Where relative paths begin.
    pub(crate) folder: &'e Path,
    /// The files that were asked for, also in vain.
    pub(crate) files: Vec<PathBuf>,
    /// The only files that may be read, where a config comes from somebody who may not read all that we may.
    pub(crate) only: Option<&'e [PathBuf]>,
}

impl Finder<'_> {
    /// Notes that a file is to be read.
    ///
    /// # Errors
    /// Where it may not be.
    pub(crate) fn note(&mut self, path: &Path) -> io::Result<()> {
        self.files.push(path.to_owned());
        if self.only.is_some_and(|only| !only.iter().any(|known| known == path)) {
            let text = "a config that is only looked at reads no files but those of the config in force";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(())
    }

    /// Finds one secret: not empty, and fit to stand in a header.
    pub(crate) fn find(&mut self, source: &At<Source>, what: &str, reader: &mut Reader) -> Option<Secret> {
        let secret = self.fetch(&source.value, source.mark, what, reader)?;
        if !secret.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
            let text = "the secret holds spaces or other characters that cannot stand in a header";
            reader.fault(source.mark, format!("{what}: {text}"));
            return None;
        }
        Some(secret)
    }

    /// Finds one secret: not empty, and whatever it holds.
    pub(crate) fn fetch(
        &mut self,
        source: &Source,
        mark: Mark,
        what: &str,
        reader: &mut Reader,
    ) -> Option<Secret> {
        let secret = match source {
            Source::Written(secret) => secret.clone(),
            Source::Variable(name) => match self.environment.read(name) {
                Some(value) => Secret::new(value.trim()),
                None => {
                    reader.fault(mark, format!("{what}: the environment variable {name} is not set"));
                    return None;
                }
            },
            Source::File(path) => {
                let path = self.folder.join(path);
                let readable = self.note(&path).map_err(|why| why.to_string());
                match readable.and_then(|()| read_text(&path)) {
                    Ok(value) => value,
                    Err(why) => {
                        reader.fault(mark, format!("{what}: {} cannot be read: {why}", path.display()));
                        return None;
                    }
                }
            }
        };
        if secret.is_empty() {
            reader.fault(mark, format!("{what}: the secret is empty"));
            return None;
        }
        Some(secret)
    }
}

fn read_text(path: &Path) -> Result<Secret, String> {
    let bytes = atomic::read(path, limits::SECRET_FILE_BYTES_MAX).map_err(|why| why.to_string())?;
    let text = Secret::new(String::from_utf8(bytes).map_err(|_why| "it is not text".to_owned())?);
    Ok(Secret::new(text.expose().trim()))
}
