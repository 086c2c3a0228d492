//! `tollgate ledger`: the ledger checked, its heads listed, a record proven, without a running gateway.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::cli::args::{ChainCommand, LedgerPlace};
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, plain, thousands};
use crate::config::outline;
use crate::ids::CallId;
use crate::ledger::encode;
use crate::ledger::entry::Entry;
use crate::ledger::follow::Follower;
use crate::ledger::heads::{KeyFault, PublicKeys, hex};
use crate::ledger::index::check::{self, Checked};
use crate::ledger::index::search::Reader;
use crate::ledger::index::store;
use crate::ledger::prove::{self, Proof, ProofFault};
use crate::ledger::record::{Head, Record};
use crate::ledger::segment::{Bad, ReadFault};
use crate::ledger::tree;
use crate::ledger::verify::{self, Verified};

impl From<ReadFault> for Failure {
    fn from(fault: ReadFault) -> Self {
        Self::Refused(fault.to_string())
    }
}

impl From<KeyFault> for Failure {
    fn from(fault: KeyFault) -> Self {
        Self::Refused(fault.to_string())
    }
}

impl From<ProofFault> for Failure {
    fn from(fault: ProofFault) -> Self {
        Self::Refused(fault.to_string())
    }
}

/// Runs one of the commands.
pub(crate) fn run(
    config: Option<&Path>,
    command: ChainCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        ChainCommand::Verify { place, key, json } => {
            let dir = folder(config, place)?;
            let keys = keys(&dir, key.as_deref())?;
            verify(&dir, &keys, json, output)
        }
        ChainCommand::Prove { place, record } => prove(&folder(config, place)?, &record, output),
        ChainCommand::Heads { place, last, json } => {
            let dir = folder(config, place)?;
            let keys = keys(&dir, None)?;
            list(&dir, &keys, last, json, output)
        }
    }
}

/// The folder that the ledger is in, which must be there: to check what is not is no success.
fn folder(config: Option<&Path>, place: LedgerPlace) -> Result<PathBuf, Failure> {
    let dir = match place.dir {
        Some(dir) => dir,
        None => outline::outline(config)?.data_dir,
    };
    if dir.join("ledger").is_dir() {
        return Ok(dir);
    }
    Err(Failure::Refused(format!("there is no ledger in {}", plain(&dir.display().to_string()))))
}

fn keys(dir: &Path, key: Option<&Path>) -> Result<PublicKeys, Failure> {
    let beside = dir.join("ledger/signing-key.pub");
    Ok(PublicKeys::read(key.unwrap_or(&beside))?)
}

/// What `verify --json` prints.
#[derive(Serialize)]
struct VerifiedForm {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<FoundForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad: Option<BadForm>,
}

#[derive(Serialize)]
struct FoundForm {
    first: u64,
    size: u64,
    segments: usize,
    heads: u64,
    signed: u64,
    signed_at_ms: u64,
    root: String,
    chain: String,
    torn_bytes: u64,
    index: Option<IndexForm>,
}

#[derive(Clone, Copy, Serialize)]
struct IndexForm {
    entries: u64,
    behind: u64,
}

#[derive(Serialize)]
struct BadForm {
    file: String,
    offset: u64,
    index: u64,
    what: String,
}

fn verify(dir: &Path, keys: &PublicKeys, json: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    match verify::verify(dir, keys) {
        Ok(found) => {
            let index = index(dir)?;
            if json {
                let form = FoundForm { index, ..found_form(&found) };
                return output.json(&VerifiedForm { ok: true, found: Some(form), bad: None });
            }
            output.text(&(told(&found) + &told_index(index)))
        }
        Err(ReadFault::Bad(bad)) => {
            let failure = Failure::Refused(format!("the first bad record: {bad}"));
            if json {
                output.json(&VerifiedForm { ok: false, found: None, bad: Some(bad_form(bad)) })?;
            }
            Err(failure)
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Compares the index with the chain; `None` where there is no index, which can be made from the chain.
fn index(dir: &Path) -> Result<Option<IndexForm>, Failure> {
    let path = store::path_in(dir);
    if !path.exists() {
        return Ok(None);
    }
    let mut records = Follower::offline(dir, 0);
    let oldest = records.oldest()?;
    if oldest > 0 {
        records = Follower::offline(dir, oldest);
    }
    let checked = check::check(&mut Reader::open(&path)?, &mut records);
    let Checked { entries, behind } = checked.map_err(|fault| Failure::Refused(fault.to_string()))?;
    Ok(Some(IndexForm { entries, behind }))
}

/// What the index is like, for people.
fn told_index(index: Option<IndexForm>) -> String {
    match index {
        None => "there is no index; `tollgate ledger rebuild` makes it\n".to_owned(),
        Some(IndexForm { entries, behind: 0 }) => format!("the index agrees: {}\n", entries_of(entries)),
        Some(IndexForm { entries, behind }) => {
            let behind = counted(behind, "record");
            format!("the index agrees, and has not come to the last {behind} yet: {}\n", entries_of(entries))
        }
    }
}

fn entries_of(entries: u64) -> String {
    if entries == 1 { "1 entry".to_owned() } else { format!("{} entries", count(entries)) }
}

fn found_form(found: &Verified) -> FoundForm {
    let (signed, signed_at_ms) = found.signed.unwrap_or_default();
    FoundForm {
        first: found.first,
        size: found.size,
        segments: found.segments,
        heads: found.heads,
        signed,
        signed_at_ms,
        root: hex(&found.root),
        chain: hex(&found.chain),
        torn_bytes: found.torn_bytes,
        index: None,
    }
}

fn bad_form(bad: Bad) -> BadForm {
    let file = bad.file.display().to_string();
    BadForm { file, offset: bad.offset, index: bad.index, what: bad.what }
}

/// What was found, for people.
fn told(found: &Verified) -> String {
    let mut out = format!(
        "the ledger is sound: {}, {}, {}\n",
        counted(found.size - found.first, "record"),
        counted(u64::try_from(found.segments).unwrap_or(u64::MAX), "segment"),
        counted(found.heads, "signed head"),
    );
    match found.signed {
        Some((size, at_ms)) => {
            out.push_str(&format!("signed up to record {}, {}\n", count(size), time(at_ms)));
        }
        None => out.push_str("nothing is signed yet\n"),
    }
    if found.first > 0 {
        out.push_str(&format!("the records before {} were dropped on purpose\n", count(found.first)));
    }
    if found.torn_bytes > 0 {
        out.push_str(&format!(
            "{} bytes at the end are no whole record: it is being written, or will be cut\n",
            count(found.torn_bytes)
        ));
    }
    out.push_str(&format!("root {}\n", hex(&found.root)));
    out
}

fn count(number: u64) -> String {
    thousands(usize::try_from(number).unwrap_or(usize::MAX))
}

fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

fn time(at_ms: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at_ms));
    // A clock from beyond the year 9999 has no such form.
    at.map(humantime::format_rfc3339_seconds).map_or_else(String::new, |time| format!("{time}"))
}

/// What `prove` prints: all that a checker needs.
#[derive(Serialize)]
struct ProofForm {
    index: u64,
    /// The record's bytes, hexadecimal.
    record: String,
    leaf_hash: String,
    path: Vec<String>,
    head: HeadForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Entry>,
}

#[derive(Serialize)]
struct HeadForm {
    at_ms: u64,
    size: u64,
    root: String,
    chain: String,
    key: String,
    signature: String,
    /// Whether a key beside the ledger has signed it; where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<bool>,
}

fn head_form(head: &Head, signed: Option<bool>) -> HeadForm {
    HeadForm {
        at_ms: head.at_ms,
        size: head.size,
        root: hex(&head.root),
        chain: hex(&head.chain),
        key: hex(&head.key),
        signature: hex(&head.signature),
        signed,
    }
}

fn prove(dir: &Path, record: &str, output: &mut Output<'_>) -> Result<(), Failure> {
    let index = match record.strip_prefix("req_") {
        Some(digits) => {
            let id = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32);
            let id = id.ok_or_else(|| not_understood(record))?;
            prove::find(dir, CallId(id))?.ok_or(ProofFault::Unknown)?
        }
        None => record.parse().map_err(|_not_a_number| not_understood(record))?,
    };
    output.json(&proof_form(&prove::prove(dir, index)?))
}

fn not_understood(record: &str) -> Failure {
    Failure::Usage(format!("{} is neither the id of a call, req_..., nor an index", plain(record)))
}

fn proof_form(proof: &Proof) -> ProofForm {
    let entry = match encode::decode(&proof.record) {
        Ok(Record::Close(entry) | Record::Event(entry)) => Some(entry),
        _ => None,
    };
    ProofForm {
        index: proof.index,
        record: hex(&proof.record),
        leaf_hash: hex(&tree::leaf(&proof.record)),
        path: proof.path.iter().map(|hash| hex(hash)).collect(),
        head: head_form(&proof.head, None),
        entry,
    }
}

fn list(
    dir: &Path,
    keys: &PublicKeys,
    last: usize,
    json: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let all = prove::heads(dir)?;
    let heads = all.get(all.len().saturating_sub(last)..).unwrap_or_default();
    let wrong = heads.iter().filter(|head| !keys.signed(head)).count();
    if json {
        let forms = heads.iter().map(|head| head_form(head, Some(keys.signed(head))));
        output.json(&forms.collect::<Vec<_>>())?;
    } else if heads.is_empty() {
        output.note("there are no heads yet: the first is signed a minute after the first record")?;
    } else {
        let mut rows = vec![["TIME", "RECORDS", "KEY", "SIGNATURE", "ROOT"].map(str::to_owned)];
        rows.extend(heads.iter().map(|head| {
            let signed = if keys.signed(head) { "ok" } else { "wrong" };
            let records = count(head.size);
            [time(head.at_ms), records, hex(&head.key), signed.to_owned(), hex(&head.root)]
        }));
        output.text(&columns(&rows, &[1], None))?;
    }
    if wrong == 0 {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "{wrong} of {} heads are not signed by the key of this ledger",
        heads.len()
    )))
}
