//! What a thread writes down of its calls: through its own journal, without a lock and without a system call.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::timeout;

use crate::call::Outcome;
use crate::clock;
use crate::error::{CallError, Code};
use crate::gateway::contents::Passing;
use crate::gateway::evidence;
use crate::gateway::log::Level;
use crate::gateway::record::{Expected, Record, kept, redacted};
use crate::gateway::worker::{Phase, Worker};
use crate::identity::principal::Principal;
use crate::ledger::content::{Kept, Part};
use crate::ledger::entry::{Entry, Kind};
use crate::ledger::journal::{Full, Journal, Ticket};
use crate::ledger::live::{Ledger, State};
use crate::ledger::note::Note;
use crate::ledger::record::Open;
use crate::limits;

/// A thread's part of the ledger.
#[derive(Debug)]
pub(super) struct Books {
    journal: RefCell<Journal>,
    ledger: Arc<Ledger>,
    /// Whether calls go out although the disk is full.
    serves_when_full: bool,
}

impl Books {
    /// A journal of a ledger.
    pub(super) const fn new(journal: Journal, ledger: Arc<Ledger>, serves_when_full: bool) -> Self {
        Self { journal: RefCell::new(journal), ledger, serves_when_full }
    }

    /// Whether calls may go out.
    ///
    /// # Errors
    /// 503 while the disk takes nothing, since no call goes unrecorded.
    pub(super) fn admit(&self) -> Result<(), CallError> {
        match self.ledger.state() {
            State::Full { why } if !self.serves_when_full => {
                Err(CallError::new(Code::Unrecorded).source(why))
            }
            State::Full { .. } | State::Ok => Ok(()),
        }
    }

    /// Writes down what happened at once.
    pub(super) async fn event(&self, entry: &Entry) {
        let written = self.append(|journal| journal.append_event(entry)).await;
        self.kept(written).await;
    }

    /// Writes down what nobody waits for; false when there is no room now.
    fn event_at_once(&self, entry: &Entry) -> bool {
        self.journal.borrow_mut().append_event(entry).is_ok()
    }

    /// The same for what is only counted then: the ledger says how many such things there were.
    pub(super) fn event_or_count(&self, entry: &Entry) {
        if !self.event_at_once(entry) {
            self.journal.borrow().count_missing();
        }
    }

    /// Writes down that a call goes out.
    pub(super) async fn open(&self, opening: &Open) {
        let ticket = self.append(|journal| journal.append_open(opening)).await;
        self.kept(ticket).await;
    }

    /// Writes down that an opened call has ended.
    pub(super) async fn close(&self, entry: &Entry) {
        let ticket = self.append(|journal| journal.append_close(entry)).await;
        self.kept(ticket).await;
    }

    /// Writes down what had no opening, such as a refusal: nobody waits long for a disk to be told so. What
    /// finds no room is counted, and the ledger says how many there were.
    pub(super) async fn event_soon(&self, note: &Note<'_>) {
        let ill = self.ledger.state() != State::Ok;
        if ill && self.journal.borrow_mut().note_event(note) == Err(Full) {
            return self.journal.borrow().count_missing();
        }
        if ill {
            return;
        }
        let appended = self.append(|journal| journal.note_event(note));
        match timeout(limits::LEDGER_EVENT_DEADLINE, appended).await {
            // It is there, however long the disk takes.
            Ok(ticket) => drop(timeout(limits::LEDGER_EVENT_DEADLINE, self.kept(ticket)).await),
            Err(_late) => self.journal.borrow().count_missing(),
        }
    }

    /// Appends as soon as there is room: when the disk is slow, callers wait here.
    async fn append(&self, mut put: impl FnMut(&mut Journal) -> Result<Ticket, Full>) -> Ticket {
        loop {
            let put = put(&mut self.journal.borrow_mut());
            match put {
                Ok(ticket) => return ticket,
                Err(Full) => poll_fn(|cx| self.journal.borrow_mut().poll_room(cx)).await,
            }
        }
    }

    /// Waits until a record is as safe as the config wants it.
    async fn kept(&self, ticket: Ticket) {
        poll_fn(|cx: &mut Context<'_>| -> Poll<()> { self.journal.borrow_mut().poll_kept(ticket, cx) }).await;
    }
}

impl Worker {
    /// Writes down that somebody has proved who they are, as the call shows it that they make.
    pub(super) async fn note_sign_in(&self, record: &Record, who: &Principal) {
        let groups = who.groups.iter().take(limits::DENIAL_PATTERNS_MAX).map(|group| &**group);
        let groups = groups.collect::<Vec<_>>().join(", ");
        let issuer = who.issuer.as_deref().unwrap_or_default();
        let role = who.role.map(|role| format!(", role {role}")).unwrap_or_default();
        let decision = kept(format!("signed in at {issuer}{role}; groups: {groups}").as_bytes());
        let note = Note {
            id: self.next_id(),
            decision: redacted(&decision),
            outcome: Outcome::Done.name(),
            ..record.note(Kind::SignIn)
        };
        self.books.event_soon(&note).await;
    }

    /// Writes down how many strangers were refused beside those who have entries of their own.
    pub(super) fn note_strangers(&self, count: u64) {
        let decision = format!("{count} more requests without a valid key were refused");
        let entry = Entry {
            decision,
            outcome: Outcome::Refused.name().to_owned(),
            status: Code::Unauthenticated.status(),
            ..Entry::new(self.next_id(), Kind::Refusal, clock::unix_ms(clock::wall()))
        };
        if !self.books.event_at_once(&entry) {
            self.strangers.give_back(count);
        }
    }

    /// Writes down that a call goes out now, at what it may cost.
    ///
    /// # Errors
    /// 503 when it cannot be written down.
    pub(super) async fn open(&self, record: &mut Record, estimate_pico: u64) -> Result<(), CallError> {
        let Some(kind) = record.kind() else { return Ok(()) };
        let note = record.note(kind);
        let late = |_late| CallError::from(Code::Unrecorded);
        let appended = self.books.append(|journal| journal.note_open(&note, estimate_pico));
        let ticket = timeout(limits::LEDGER_ROOM_DEADLINE, appended).await.map_err(late)?;
        // From here on it has to be closed, also when the disk does not come along.
        record.open = Some(Expected { kind });
        timeout(limits::LEDGER_ROOM_DEADLINE, self.books.kept(ticket)).await.map_err(late)
    }

    /// Writes down how a call ended, before the last of its answer leaves; does so once, whoever asks. At the
    /// very end of the process nobody waits for a disk any more.
    pub(super) async fn book(&self, record: &mut Record) {
        if std::mem::replace(&mut record.booked, true) {
            return;
        }
        if let Some(mut charge) = record.charge.take() {
            charge.settle(record);
            if self.meter.is_new_without_price(record) {
                self.log.borrow_mut().line(
                    Level::Warn,
                    "a model has no price: it costs `prices.default`",
                    |line| line.text("model", &record.model),
                );
            }
        }
        // Of a body that found no room the entry says so, whichever it was.
        if let Some(body) = record.passing.as_mut().and_then(Passing::take) {
            let kept = self.contents.put(record.id, Part::Answer, record.policy, body);
            record.content = if record.content == Kept::Skipped.word() { record.content } else { kept };
        }
        let alarms = evidence::compare(record);
        let opened = record.open.map(|expected| expected.kind);
        let Some(kind) = opened.or_else(|| record.kind()) else { return };
        if opened.is_none() && kind == Kind::Refusal && record.is_strange() {
            record.counted_only = !self.strangers.admit(record.at_ms / 1000);
            if record.counted_only {
                return;
            }
        }
        let note = record.note(kind);
        let write = async {
            match opened {
                Some(_) => {
                    let ticket = self.books.append(|journal| journal.note_close(&note)).await;
                    self.books.kept(ticket).await;
                }
                None => self.books.event_soon(&note).await,
            }
        };
        let mut write = std::pin::pin!(write);
        poll_fn(|cx| match write.as_mut().poll(cx) {
            Poll::Pending if self.phase.get() == Phase::Cut => Poll::Ready(()),
            polled => polled,
        })
        .await;
        self.sound(record, &alarms).await;
    }
}
