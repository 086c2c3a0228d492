//! The thread that looks things up in the ledger's index for administrators. Databases block, so no core asks
//! one: questions and answers pass through channels.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::clock;
use crate::error::{CallError, Code};
use crate::ledger::index::answer::{self, Answer};
use crate::ledger::index::query::Now;
use crate::ledger::index::search::Reader;
use crate::limits;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Entries.
    Ledger,
    /// Sums.
    Spend,
}

/// A question, and where its answer goes.
struct Question {
    asked: Asked,
    parameters: Vec<(String, String)>,
    reply: oneshot::Sender<Option<Answer>>,
}

/// Where to ask.
#[derive(Clone)]
pub(super) struct Clerk {
    questions: Sender<Question>,
    /// Places for those who wait for entries to come.
    places: Arc<Semaphore>,
}

impl Clerk {
    /// Starts the thread, which ends with the last `Clerk`.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(index: PathBuf) -> io::Result<Self> {
        let (sender, receiver) = channel(limits::ADMIN_QUESTIONS_MAX);
        Builder::new().name("clerk".to_owned()).spawn(move || serve(&index, receiver))?;
        Ok(Self::of(sender))
    }

    /// One that answers nothing.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self::of(channel(1).0)
    }

    fn of(questions: Sender<Question>) -> Self {
        Self { questions, places: Arc::new(Semaphore::new(limits::ADMIN_WAITING_MAX)) }
    }

    /// Takes a place to wait for entries to come, until it is dropped.
    ///
    /// # Errors
    /// 503 while all of `limits::ADMIN_WAITING_MAX` are taken.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, CallError> {
        let taken = |_none| CallError::new(Code::Overloaded).context("too many wait for entries at a time");
        Arc::clone(&self.places).try_acquire_owned().map_err(taken)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// 503 while too many others ask, or while there is no index.
    pub(super) async fn ask(
        &self,
        asked: Asked,
        parameters: Vec<(String, String)>,
    ) -> Result<Answer, CallError> {
        let busy =
            || CallError::new(Code::Overloaded).context("too many questions about the ledger at a time");
        let (reply, answer) = oneshot::channel();
        self.questions.try_send(Question { asked, parameters, reply }).map_err(|_full| busy())?;
        let answer = answer.await.ok().flatten();
        answer
            .ok_or_else(|| CallError::new(Code::Overloaded).context("the ledger's index cannot be read now"))
    }
}

fn serve(index: &Path, mut questions: Receiver<Question>) {
    // The file may be made anew while we run, so nobody keeps it open.
    while let Some(Question { asked, parameters, reply }) = questions.blocking_recv() {
        // Whoever has left need not be answered.
        if !reply.is_closed() {
            drop(reply.send(look_up(index, asked, &parameters)));
        }
    }
}

fn look_up(index: &Path, asked: Asked, parameters: &[(String, String)]) -> Option<Answer> {
    let mut reader = Reader::open(index).ok()?;
    // Days are those of UTC, wherever the machine is.
    let now = Now::new(clock::unix_ms(clock::wall()), Some("UTC"))?;
    Some(match asked {
        Asked::Ledger => answer::ledger(&mut reader, parameters, &now),
        Asked::Spend => answer::spend(&reader, parameters, &now),
    })
}
