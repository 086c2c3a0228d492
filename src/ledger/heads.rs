//! Signed heads: what the ledger was at a time, said so that nobody can say it otherwise later.
//!
//! What is signed (Ed25519) is `tollgate ledger head 1`, a line feed, and, highest byte first, the number of
//! records (8 bytes), the root of the tree over them, the hash of the chain after them (32 each) and the time
//! in milliseconds since 1970 (8). A line of `heads.jsonl` is
//! `{"at_ms","size","root","chain","key","signature"}`, bytes in hexadecimal.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ledger::chain::Chain;
use crate::ledger::files::{self, Disk, Folder};
use crate::ledger::record::Head;
use crate::limits;

/// Why heads cannot be signed or checked.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The system refuses.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        why: io::Error,
    },
    /// Others can read the key, and may have signed with it.
    #[error("{}: others can read the signing key: it must have the mode 0600", .0.display())]
    Open(PathBuf),
    /// The file does not hold what it should.
    #[error("{}: it should be 64 hexadecimal digits a line", .0.display())]
    Damaged(PathBuf),
}

/// Signs heads.
#[derive(Debug)]
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    key: [u8; 8],
}

impl Signer {
    /// Reads the key of this ledger, or makes one.
    pub(super) fn of(folder: &Folder) -> Result<Self, KeyFault> {
        let path = folder.signing_key();
        let failed = |why| KeyFault::Io { path: path.clone(), why };
        let seed = match fs::metadata(&path) {
            Ok(facts) if facts.permissions().mode() & 0o077 != 0 => return Err(KeyFault::Open(path)),
            Ok(_) => *read_keys(&path)?.first().ok_or_else(|| KeyFault::Damaged(path.clone()))?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|why| failed(io::Error::other(why)))?;
                put_key(&path, &seed).map_err(failed)?;
                seed
            }
            Err(why) => return Err(failed(why)),
        };
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_rejected| KeyFault::Damaged(path.clone()))?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).unwrap_or_default();
        let beside = folder.public_key();
        // Keys of before stay in the file, so that what they have signed can be checked.
        let known = read_keys(&beside).unwrap_or_default();
        if !known.contains(&public) {
            let all = known.iter().chain([&public]).map(|key| hex(key) + "\n").collect::<String>();
            put_file(&beside, all.as_bytes()).map_err(|why| KeyFault::Io { path: beside, why })?;
        }
        Ok(Self { pair, key: key_id(&public) })
    }

    /// Signs what the ledger is.
    pub(super) fn sign(&self, chain: &Chain, at_ms: u64) -> Head {
        let (size, root) = (chain.tree.size(), chain.tree.root());
        let mut head = Head { at_ms, size, root, chain: chain.hash, key: self.key, signature: [0; 64] };
        let signature = self.pair.sign(&said(&head));
        head.signature = signature.as_ref().try_into().unwrap_or([0; 64]);
        head
    }
}

/// The keys that heads may be signed with.
#[derive(Clone, Debug, Default)]
pub struct PublicKeys(Vec<[u8; 32]>);

impl PublicKeys {
    /// Reads a file of public keys, a line each, as lies beside the signing key.
    ///
    /// # Errors
    /// `Io` and `Damaged`.
    pub fn read(path: &Path) -> Result<Self, KeyFault> {
        read_keys(path).map(Self)
    }

    /// Whether one of the keys has signed this head.
    pub fn signed(&self, head: &Head) -> bool {
        let said = said(head);
        let ours = self.0.iter().filter(|key| key_id(key) == head.key);
        ours.into_iter()
            .any(|key| UnparsedPublicKey::new(&ED25519, key).verify(&said, &head.signature).is_ok())
    }
}

fn key_id(public: &[u8; 32]) -> [u8; 8] {
    let hash = Sha256::digest(public);
    hash.first_chunk().copied().unwrap_or_default()
}

/// What is signed.
fn said(head: &Head) -> Vec<u8> {
    let mut said = b"tollgate ledger head 1\n".to_vec();
    said.extend_from_slice(&head.size.to_be_bytes());
    said.extend_from_slice(&head.root);
    said.extend_from_slice(&head.chain);
    said.extend_from_slice(&head.at_ms.to_be_bytes());
    said
}

/// A head as a line of `heads.jsonl`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_ms: u64,
    size: u64,
    root: String,
    chain: String,
    key: String,
    signature: String,
}

/// A head as one line of JSON, without the line feed.
pub fn line(head: &Head) -> String {
    let form = Line {
        at_ms: head.at_ms,
        size: head.size,
        root: hex(&head.root),
        chain: hex(&head.chain),
        key: hex(&head.key),
        signature: hex(&head.signature),
    };
    // Texts and numbers always have a form.
    serde_json::to_string(&form).unwrap_or_default()
}

/// Reads a line; `None` when it is no head.
pub fn from_line(line: &[u8]) -> Option<Head> {
    let form: Line = serde_json::from_slice(line).ok()?;
    Some(Head {
        at_ms: form.at_ms,
        size: form.size,
        root: unhex(&form.root)?,
        chain: unhex(&form.chain)?,
        key: unhex(&form.key)?,
        signature: unhex(&form.signature)?,
    })
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; N];
    for (place, at) in out.iter_mut().zip((0..).step_by(2)) {
        *place = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(out)
}

fn read_keys(path: &Path) -> Result<Vec<[u8; 32]>, KeyFault> {
    let failed = |why| KeyFault::Io { path: path.to_owned(), why };
    if fs::metadata(path).map_err(failed)?.len() > limits::SIGNING_KEY_BYTES_MAX {
        return Err(KeyFault::Damaged(path.to_owned()));
    }
    let damaged = |_no_text: io::Error| KeyFault::Damaged(path.to_owned());
    let text = fs::read_to_string(path).map_err(damaged)?;
    let keys = text.lines().map(|line| unhex(line.trim()));
    keys.collect::<Option<_>>().ok_or_else(|| KeyFault::Damaged(path.to_owned()))
}

fn put_key(path: &Path, seed: &[u8; 32]) -> io::Result<()> {
    put_file(path, format!("{}\n", hex(seed)).as_bytes())
}

/// Puts a file in its place whole, for its owner only.
pub(super) fn put_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    files::remove(&beside)?;
    let mut file = files::open_private(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), files::sync_folder)
}

/// `heads.jsonl`, to be added to.
#[derive(Debug)]
pub(super) struct Log {
    disk: Disk,
    file: File,
    bytes: u64,
    /// Lines that are not in the file yet.
    waiting: Vec<u8>,
    /// How many records the last head in the file vouches for.
    pub(super) signed: u64,
    /// The last head in the file.
    pub(super) newest: Option<Head>,
    /// Whether `written` has given it.
    told: bool,
}

impl Log {
    /// Opens the file; a line that was not wholly written is cut.
    pub(super) fn open(disk: &Disk, folder: &Folder) -> io::Result<Self> {
        let file = files::open_private(&folder.heads())?;
        let mut bytes = file.metadata()?.len();
        let mut newest = None;
        let (mut at, mut held) = (bytes, Vec::new());
        // The last line is all that matters, and the file may be long: it is read from behind.
        while at > 0 {
            let part = at.min(u64::try_from(limits::HEAD_LINE_BYTES_MAX).unwrap_or(0));
            at -= part;
            let mut read = vec![0; usize::try_from(part).unwrap_or(0)];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut read, at)?;
            read.append(&mut held);
            held = read;
            if let Some(end) = held.iter().rposition(|byte| *byte == b'\n') {
                bytes = at + u64::try_from(end + 1).unwrap_or(0);
                let lines = held.get(..end).unwrap_or_default();
                let start = lines.iter().rposition(|byte| *byte == b'\n').map(|start| start + 1);
                if let Some(start) = start.or_else(|| (at == 0).then_some(0)) {
                    newest = from_line(lines.get(start..).unwrap_or_default());
                    break;
                }
            } else if at == 0 {
                bytes = 0;
            }
            if held.len() > 2 * limits::HEAD_LINE_BYTES_MAX {
                break;
            }
        }
        file.set_len(bytes)?;
        let signed = newest.as_ref().map_or(0, |head| head.size);
        Ok(Self { disk: disk.clone(), file, bytes, waiting: Vec::new(), signed, newest, told: true })
    }

    /// Adds a head; `flush` writes it.
    pub(super) fn add(&mut self, head: &Head) {
        self.newest = Some(head.clone());
        self.told = false;
        self.waiting.extend_from_slice(line(head).as_bytes());
        self.waiting.push(b'\n');
    }

    /// The newest head, once, when it is in the file.
    pub(super) fn written(&mut self) -> Option<Head> {
        if self.told || !self.waiting.is_empty() {
            return None;
        }
        self.told = true;
        self.newest.clone()
    }

    /// Writes what has been added, durably. After an error it can be tried again.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.disk.write_at(&self.file, &self.waiting, self.bytes)?;
            self.disk.sync(&self.file)?;
            self.bytes += u64::try_from(self.waiting.len()).unwrap_or(0);
            self.waiting.clear();
        }
        Ok(())
    }
}
