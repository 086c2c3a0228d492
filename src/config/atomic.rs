//! Files read within bounds and replaced whole: a reader sees the old content or the new, never a mixture.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Reads a regular file of at most `bytes_max` bytes. Pipes and devices are refused: they might never end.
///
/// # Errors
/// What the system says; `FileTooLarge` beyond the bound; `InvalidInput` for what is no regular file.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // The kind is asked before opening, since to open a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        let text = format!("it is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Puts `bytes` in the place of `path`: a new file beside it, flushed to the disk, then renamed over it.
/// A new file gets the mode 0600, an existing one keeps its mode. A symbolic link is followed.
///
/// # Errors
/// What the system says; then the old file is untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_new| path.to_owned());
    let mode = fs::metadata(&path).map_or(PRIVATE, |facts| facts.permissions().mode() & 0o777);
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{:016x}", u64::from_ne_bytes(random)));
    let written = write_new(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, &path));
    if let Err(why) = written {
        // The first error is the one to tell; a leftover file does no harm.
        drop(fs::remove_file(&temporary));
        return Err(why);
    }
    // The rename is durable only when the folder is: without this a crash could bring the old file back.
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

/// Readable and writable by the owner only.
const PRIVATE: u32 = 0o600;

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}
