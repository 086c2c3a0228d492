//! `user:` and `limits:` of a server that we run: read, looked up, shown again.

use std::path::PathBuf;

use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::yaml::Node;
use crate::limits;
use crate::net::confine::{Bounds, Confines, Owner, is_root};

/// As written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    user: Option<At<String>>,
    bounds: Bounds,
}

const LIMITS: &[&str] = &["memory", "processes", "open_files", "cpu_s", "file_size"];

/// Reads both.
pub(crate) fn read(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Written {
    let user = fields.get("user").and_then(|node| reader.text(node, &format!("{what}.user")));
    let bounds = fields.get("limits").and_then(|node| read_bounds(node, &format!("{what}.limits"), reader));
    Written { user, bounds: bounds.unwrap_or_default() }
}

fn read_bounds(node: &Node, what: &str, reader: &mut Reader) -> Option<Bounds> {
    let fields = reader.fields(node, what, LIMITS)?;
    let size = |name: &str, least: u64, reader: &mut Reader| {
        let what = format!("{what}.{name}");
        let text = reader.text(fields.get(name)?, &what)?;
        let found = bytes(&text.value).filter(|bytes| *bytes >= least);
        if found.is_none() {
            let least = least >> 20;
            let wanted = format!("a size such as 512m or 2g, at least {least}m");
            reader.fault(text.mark, format!("{what}: expected {wanted}, found {}", quoted(&text.value)));
        }
        found
    };
    let memory_bytes = size("memory", limits::MCP_MEMORY_BYTES_MIN, reader);
    let file_bytes = size("file_size", limits::MCP_FILE_BYTES_MIN, reader);
    let mut number = |name: &str, least: u64, most: u64| {
        fields.get(name).and_then(|node| reader.number(node, &format!("{what}.{name}"), least..=most))
    };
    Some(Bounds {
        memory_bytes,
        file_bytes,
        processes: number("processes", 1, limits::MCP_PROCESSES_MAX),
        open_files: number("open_files", limits::MCP_OPEN_FILES_MIN, limits::MCP_OPEN_FILES_MAX),
        cpu_s: number("cpu_s", 1, limits::MCP_CPU_S_MAX),
    })
}

/// `512m`: a number of bytes, or of KiB, MiB or GiB with k, m or g behind it.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, shift) = match lower.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if lower.ends_with('k') => (digits, 10),
        Some(digits) if lower.ends_with('m') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (lower.as_str(), 0),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Finds the user; what is odd goes to `warnings`.
pub(crate) fn resolve(
    written: &Written,
    what: &str,
    warnings: &mut Vec<String>,
    reader: &mut Reader,
) -> Option<Confines> {
    let owner = match &written.user {
        None => None,
        Some(user) => match owner(&user.value, &users()) {
            Some(_) if !is_root() => {
                let text = "only root can start a program as somebody else: \
                            run the gateway as root, or take this line out";
                reader.fault(user.mark, format!("{what}.user: {text}"));
                return None;
            }
            Some(owner) => Some(owner),
            None => {
                let shown = quoted(&user.value);
                let text = format!("there is no user {shown} in /etc/passwd; write numbers as uid:gid");
                reader.fault(user.mark, format!("{what}.user: {text}"));
                return None;
            }
        },
    };
    if written.bounds.processes.is_some() {
        let ours = owner.is_none();
        if ours && is_root() || owner.as_ref().is_some_and(|owner| owner.uid == 0) {
            warnings.push(format!("{what}.limits.processes: root has no such bound; name a `user`"));
        } else if ours {
            warnings.push(format!(
                "{what}.limits.processes: it counts all processes of the gateway's user; \
                 name a `user` of its own"
            ));
        }
    }
    Some(Confines { owner, bounds: written.bounds })
}

/// The users of this machine, or nothing where they cannot be read.
fn users() -> String {
    let bytes = crate::config::atomic::read(std::path::Path::new("/etc/passwd"), limits::PASSWD_BYTES_MAX);
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Finds `name`, `uid` or `uid:gid` among lines of passwd(5).
fn owner(text: &str, passwd: &str) -> Option<Owner> {
    let lines = || {
        passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            let (_, home) = (fields.next()?, fields.next()?);
            let home = (!home.is_empty()).then(|| PathBuf::from(home));
            Some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()?, name: Some(name.to_owned()), home })
        })
    };
    if let Some((uid, gid)) = text.split_once(':') {
        let (uid, gid) = (number(uid)?, number(gid)?);
        let known = lines().find(|known| known.uid == uid);
        let (name, home) = known.map_or((None, None), |known| (known.name, known.home));
        return Some(Owner { uid, gid, name, home });
    }
    match number(text) {
        Some(uid) => lines().find(|known| known.uid == uid),
        None => lines().find(|known| known.name.as_deref() == Some(text)),
    }
}

/// Digits alone; the largest number means "nobody in particular" to the kernel.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

/// `user`, as it can be written again.
pub(crate) fn shown_user(confines: &Confines) -> Option<String> {
    confines.owner.as_ref().map(|owner| format!("{}:{}", owner.uid, owner.gid))
}

/// `limits`, each by its name, in bytes and numbers.
pub(crate) fn shown_bounds(confines: &Confines) -> Vec<(&'static str, u64)> {
    let Bounds { memory_bytes, processes, open_files, cpu_s, file_bytes } = confines.bounds;
    let all = [memory_bytes, processes, open_files, cpu_s, file_bytes];
    LIMITS.iter().zip(all).filter_map(|(name, value)| Some((*name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::{bytes, owner};

    #[test]
    fn sizes_and_users_are_read_strictly() {
        for (text, expected) in [
            ("1", Some(1)),
            ("512m", Some(512 << 20)),
            ("2G", Some(2 << 30)),
            ("3k", Some(3 << 10)),
            ("g", None),
            ("", None),
            ("-1g", None),
            ("1.5g", None),
            ("1gb", None),
            ("99999999999999999999", None),
            ("99999999999g", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nmcp:x:900:901::/srv/mcp:/bin/false\nbroken\n";
        let found =
            |text: &str| owner(text, passwd).map(|owner| (owner.uid, owner.gid, owner.name.is_some()));
        assert_eq!(found("mcp"), Some((900, 901, true)));
        assert_eq!(found("900"), Some((900, 901, true)));
        assert_eq!(found("900:7"), Some((900, 7, true)));
        assert_eq!(found("12:13"), Some((12, 13, false)));
        for wrong in ["nobody", "12", "", ":", "1:", "a:b", "4294967295:1", "-1:1", "+1:1", "mcp:901"] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
    }
}
