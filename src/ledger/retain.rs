//! Dropping old segments, and saying so in the chain.
//!
//! The record of it repeats what the first kept segment says in its header: how many records are gone, and
//! the hash and tree that they had come to. A signed head vouches for that record before anything is removed.

use std::io;
use std::sync::mpsc::Sender;

use crate::ledger::encode::Tag;
use crate::ledger::pack::Job;
use crate::ledger::record::{Mark, Record, Retention};
use crate::ledger::segment::{self, ReadFault, Reader};
use crate::ledger::writer::{self, Writer};

impl Writer {
    /// Does what others have wished for.
    pub(super) fn obey(&mut self) -> io::Result<()> {
        for wish in self.shared.wishes() {
            match self.droppable(wish.before_ms) {
                // Nobody may be waiting for the answer any more.
                Err(fault) => drop(wish.reply.send(Err(io::Error::other(fault)))),
                Ok(None) => drop(wish.reply.send(Ok(None))),
                Ok(Some(mark)) => self.drop_before(mark, wish.reply)?,
            }
        }
        Ok(())
    }

    /// The header of the first segment that has to stay, if others are before it.
    fn droppable(&self, before_ms: u64) -> Result<Option<Mark>, ReadFault> {
        let folder = self.folder.segments();
        let all = segment::list(&folder)?;
        let open_from = self.tail.stand.mark(0).open_from;
        let mut kept = None;
        for found in all.iter().skip(1).take_while(|found| found.first <= open_from) {
            let header = Reader::open(&folder, found.first)?.header().clone();
            // It was begun when the one before it was sealed.
            if header.at_ms >= before_ms {
                break;
            }
            kept = Some(header);
        }
        Ok(kept)
    }

    fn drop_before(&mut self, mark: Mark, reply: Sender<io::Result<Option<u64>>>) -> io::Result<()> {
        let (at_ms, kept_from) = (writer::now_ms(), mark.index);
        let retention = Retention { at_ms, kept_from, chain: mark.chain, frontier: mark.frontier };
        self.add(Tag::Retention, &Record::Retention(retention));
        self.unsigned = true;
        self.sign()?;
        // Where the thread is gone, the ledger is closing, and the segments are left for the next time.
        drop(self.jobs.send(Job::Drop { kept_from, reply }));
        Ok(())
    }
}
