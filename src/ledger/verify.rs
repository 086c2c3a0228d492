//! Checking a ledger from outside: checksums, chain, tree, seals, heads, and what was dropped on purpose.
//!
//! Nothing is changed, and the ledger may be in use: what is being written at the end is counted, not judged.
//! A record that was changed together with its checksum is found at the next signed head or seal, since only
//! there it is said what the records before come to; the first record that it may be is named then.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};

use crate::ledger::encode::{self, Malformed};
use crate::ledger::files::Folder;
use crate::ledger::heads::{self, PublicKeys};
use crate::ledger::record::{Hash, Head, Mark, Record, Retention};
use crate::ledger::recover;
use crate::ledger::segment::{self, Bad, Found, ReadFault, Reader, Step};
use crate::ledger::tail::Stand;
use crate::limits;

/// What a ledger without fault is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Index of its first record: so many before it were dropped on purpose.
    pub first: u64,
    /// Records ever written, which is the index of the next one.
    pub size: u64,
    /// Files of records.
    pub segments: usize,
    /// Signed heads that were checked against the records.
    pub heads: u64,
    /// Records that the newest head vouches for, and when it was signed, milliseconds since 1970.
    pub signed: Option<(u64, u64)>,
    /// Root of the tree over all records.
    pub root: Hash,
    /// Hash of the chain after all records.
    pub chain: Hash,
    /// Bytes at the end that are no whole record: it is being written, or was torn and will be cut.
    pub torn_bytes: u64,
}

/// Checks the ledger below a data folder; heads must be signed with one of `keys`.
///
/// # Errors
/// The first bad record, and what the system says.
pub fn verify(data_dir: &Path, keys: &PublicKeys) -> Result<Verified, ReadFault> {
    let folder = Folder::of(data_dir);
    // Before the segments are: what these lines say must be in what is read after them.
    let lines = Lines::open(&folder.heads())?;
    let all = segment::list(&folder.segments())?;
    let mut check = Check {
        keys,
        lines,
        out: Verified::default(),
        stand: Stand::default(),
        sound: 0,
        begins: HashMap::new(),
        dropped: None,
        ended: None,
    };
    check.lines.advance()?;
    check.begin(&folder, &all)?;
    for (place, found) in all.iter().enumerate() {
        check.segment(&folder, *found, place + 1 == all.len())?;
    }
    check.end(&folder, &all)
}

struct Check<'a> {
    keys: &'a PublicKeys,
    lines: Lines,
    out: Verified,
    stand: Stand,
    /// All records before this one are those that something has vouched for.
    sound: u64,
    /// What the segments begin with.
    begins: HashMap<u64, (Hash, Vec<Hash>)>,
    /// Index of the record that says that everything before the first segment was dropped.
    dropped: Option<u64>,
    /// Where the whole records of the last segment end.
    ended: Option<Bad>,
}

impl Check<'_> {
    fn begin(&mut self, folder: &Folder, all: &[Found]) -> Result<(), ReadFault> {
        self.out.segments = all.len();
        let Some(oldest) = all.first() else { return Ok(()) };
        self.out.first = oldest.first;
        self.sound = oldest.first;
        if oldest.first > 0 {
            let reader = Reader::open(&folder.segments(), oldest.first)?;
            let stand = recover::stand_of(reader.header());
            self.stand = stand.ok_or_else(|| reader.bad(8, "the header says what cannot be"))?;
        }
        Ok(())
    }

    fn segment(&mut self, folder: &Folder, found: Found, last: bool) -> Result<(), ReadFault> {
        let mut reader = Reader::open(&folder.segments(), found.first)?;
        let size = self.stand.records();
        if found.first != size {
            let what = format!("records {size} to {} are missing", found.first.saturating_sub(1));
            return Err(Bad { index: size, ..reader.bad(8, &what) }.into());
        }
        let header = reader.header().clone();
        self.check_mark(&reader, 8, &header, "the header")?;
        self.begins.insert(found.first, (header.chain, header.frontier));
        self.check_lines()?;
        loop {
            let offset = reader.offset();
            match reader.step()? {
                Step::Record => self.record(&reader, offset)?,
                Step::Seal(mark) => {
                    self.check_mark(&reader, offset, &mark, "the seal")?;
                    self.sound = self.stand.records();
                    let offset = reader.offset();
                    if reader.step()? != Step::End(0) {
                        return Err(reader.bad(offset, "there is something behind the seal").into());
                    }
                    return Ok(());
                }
                Step::End(left) if last => {
                    self.out.torn_bytes = left;
                    self.ended = Some(reader.bad(offset, ""));
                    return Ok(());
                }
                Step::End(_) => return Err(reader.bad(offset, "the segment ends without its seal").into()),
            }
        }
    }

    fn record(&mut self, reader: &Reader, offset: u64) -> Result<(), ReadFault> {
        let index = self.stand.records();
        let bad = |what: String| Bad { index, ..reader.bad(offset, &what) };
        match encode::decode(reader.record()) {
            Ok(Record::Head(head)) => {
                if head.size != index || !self.is_ours(&head) {
                    return Err(self.not_signed(&bad(String::new()), "a head in the chain").into());
                }
                self.sound = index;
            }
            Ok(Record::Retention(retention)) if !self.is_known(&retention) => {
                return Err(bad("it says that other records were dropped than those that were".into()).into());
            }
            Ok(Record::Retention(retention)) if retention.kept_from >= self.out.first => {
                self.dropped = Some(index);
            }
            // Of a tag that a newer program knows the chain is enough.
            Ok(_) | Err(Malformed::Tag(_)) => {}
            Err(why) => return Err(bad(why.to_string()).into()),
        }
        self.stand.chain.push(reader.record());
        self.check_lines()
    }

    /// Whether a head says what the records before come to, and one of our keys has signed it.
    fn is_ours(&self, head: &Head) -> bool {
        let chain = &self.stand.chain;
        head.root == chain.tree.root() && head.chain == chain.hash && self.keys.signed(head)
    }

    /// Whether what was dropped is what the records were, as far as they are still here.
    fn is_known(&self, retention: &Retention) -> bool {
        if retention.kept_from < self.out.first {
            return true;
        }
        let begin = self.begins.get(&retention.kept_from);
        begin.is_some_and(|(chain, frontier)| *chain == retention.chain && *frontier == retention.frontier)
    }

    fn not_signed(&self, at: &Bad, who: &str) -> Bad {
        let (from, to) = (self.sound, self.stand.records().saturating_sub(1));
        let what = format!("{who} says that records {from} to {to} were others, or is not signed by our key");
        Bad { index: from, what, ..at.clone() }
    }

    fn check_mark(&self, reader: &Reader, offset: u64, mark: &Mark, who: &str) -> Result<(), ReadFault> {
        let chain = &self.stand.chain;
        let same = mark.index == chain.tree.size()
            && mark.chain == chain.hash
            && mark.frontier == chain.tree.nodes();
        if same {
            return Ok(());
        }
        Err(self.not_signed(&reader.bad(offset, ""), who).into())
    }

    /// Checks the lines of `heads.jsonl` that are about exactly the records so far.
    fn check_lines(&mut self) -> Result<(), ReadFault> {
        while let Some(head) = self.lines.head.take() {
            let size = self.stand.records();
            if head.size > size {
                self.lines.head = Some(head);
                break;
            }
            let at = self.lines.bad("");
            // What is older than the first record can be checked by its signature only.
            if head.size == size && !self.is_ours(&head) || !self.keys.signed(&head) {
                return Err(self.not_signed(&at, "this head").into());
            }
            if head.size == size {
                self.out.heads += 1;
                self.sound = size;
                self.out.signed = Some((head.size, head.at_ms));
            }
            self.lines.advance()?;
        }
        Ok(())
    }

    fn end(mut self, folder: &Folder, all: &[Found]) -> Result<Verified, ReadFault> {
        self.check_lines()?;
        let size = self.stand.records();
        if let Some(head) = &self.lines.head {
            let mut what =
                format!("records {size} to {} are missing: a signed head is about them", head.size - 1);
            if self.out.torn_bytes > 0 {
                what += &format!("; the {} bytes here are no whole record", self.out.torn_bytes);
            }
            let place = self.ended.unwrap_or_else(|| self.lines.bad(""));
            return Err(Bad { index: size, what, ..place }.into());
        }
        let signed = self.out.signed.map_or(0, |(size, _)| size);
        if let Some(oldest) = all.first()
            && self.out.first > 0
            && self.dropped.is_none_or(|index| index >= signed)
        {
            let what = "no signed record says that those before it were dropped on purpose".to_owned();
            let file = segment::path(&folder.segments(), *oldest);
            return Err(Bad { file, offset: 0, index: 0, what }.into());
        }
        self.out.size = size;
        self.out.root = self.stand.chain.tree.root();
        self.out.chain = self.stand.chain.hash;
        Ok(self.out)
    }
}

/// The lines of `heads.jsonl`, read one by one.
struct Lines {
    path: PathBuf,
    lines: Option<BufReader<Take<File>>>,
    /// Place of the line of `head`, and of the next one.
    at: u64,
    next: u64,
    head: Option<Head>,
    last_size: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, ReadFault> {
        let failed = ReadFault::io(path);
        let lines = match File::open(path) {
            Ok(file) => {
                // What is added while we read is about records that we may not see.
                let bytes = file.metadata().map_err(&failed)?.len();
                Some(BufReader::new(file.take(bytes)))
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => return Err(failed(why)),
        };
        Ok(Self { path: path.to_owned(), lines, at: 0, next: 0, head: None, last_size: 0 })
    }

    fn bad(&self, what: &str) -> Bad {
        Bad { file: self.path.clone(), offset: self.at, index: self.last_size, what: what.to_owned() }
    }

    fn advance(&mut self) -> Result<(), ReadFault> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let mut line = Vec::new();
        let most = u64::try_from(limits::HEAD_LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = lines.by_ref().take(most).read_until(b'\n', &mut line);
        let read = read.map_err(ReadFault::io(&self.path))?;
        self.at = self.next;
        self.next += u64::try_from(read).unwrap_or(0);
        if line.pop() != Some(b'\n') {
            // The end, or a line that is being written; a longer one is none.
            let torn = u64::try_from(read).unwrap_or(u64::MAX) < most;
            return if torn { Ok(()) } else { Err(self.bad("the line is too long for a head").into()) };
        }
        let head = heads::from_line(&line).ok_or_else(|| self.bad("the line is no head"))?;
        if head.size < self.last_size {
            return Err(self.bad("this head is about less than the one before it").into());
        }
        self.last_size = head.size;
        self.head = Some(head);
        Ok(())
    }
}
