//! `pinning:` and `pin:` of a server: what a person writes about pinned definitions, and what comes of it.

use std::path::Path;
use std::sync::Arc;

use crate::config::atomic;
use crate::config::mcp_file::McpServer;
use crate::config::reader::{At, Reader};
use crate::config::secrets::Finder;
use crate::config::yaml::Node;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::pin::FirstSight;
use crate::mcp::pin::lock::Lock;

/// `pinning:`.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) first_sight: Option<FirstSight>,
    pub(crate) lock: Option<At<String>>,
}

/// How definitions of tools are pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinning {
    /// For servers that say nothing themselves.
    pub first_sight: FirstSight,
    /// What servers say themselves.
    pub servers: Vec<(ServerName, FirstSight)>,
    /// What alone is let through, where there is such a file.
    pub lock: Option<Arc<Lock>>,
}

impl Pinning {
    /// What holds for a server.
    pub fn of(&self, server: &ServerName) -> FirstSight {
        let own = self.servers.iter().find(|(name, _)| name == server);
        own.map_or(self.first_sight, |(_, own)| *own)
    }
}

/// Reads `pinning:`.
pub(crate) fn read(node: &Node, reader: &mut Reader) -> Option<Written> {
    let fields = reader.fields(node, "pinning", &["first_sight", "lock"])?;
    let first_sight =
        fields.get("first_sight").and_then(|node| read_word(node, "pinning.first_sight", reader));
    let lock = fields.get("lock").and_then(|node| reader.text(node, "pinning.lock"));
    Some(Written { first_sight, lock })
}

/// Reads `pin:` of a server, or its default.
pub(crate) fn read_word(node: &Node, what: &str, reader: &mut Reader) -> Option<FirstSight> {
    let words = [FirstSight::Trust, FirstSight::Approve, FirstSight::Off].map(|one| (one.word(), one));
    reader.choice(node, what, &words)
}

/// Resolves it; the lock file is read from `folder` and noted as one to watch.
pub(crate) fn resolve(
    (written, servers): (&Written, &[McpServer]),
    folder: &Path,
    finder: &mut Finder<'_>,
    reader: &mut Reader,
) -> Pinning {
    let lock = written.lock.as_ref().and_then(|path| {
        let full = folder.join(&path.value);
        let readable = finder.note(&full);
        let read = readable.and_then(|()| atomic::read(&full, limits::PIN_LOCK_BYTES_MAX));
        let read = read.map_err(|why| why.to_string());
        let text = read.and_then(|bytes| String::from_utf8(bytes).map_err(|why| why.to_string()));
        let lock = text.and_then(|text| Lock::parse(&path.value, &text).map_err(|why| why.to_string()));
        lock.inspect_err(|why| {
            let hint = "make it with `tollgate tools lock --output FILE`";
            let text = format!("pinning.lock: {} cannot be read: {why}; {hint}", full.display());
            reader.fault(path.mark, text);
        })
        .ok()
    });
    let own = servers.iter().filter_map(|server| Some((ServerName::new(&server.name.value), server.pin?)));
    Pinning {
        first_sight: written.first_sight.unwrap_or_default(),
        servers: own.collect(),
        lock: lock.map(Arc::new),
    }
}
