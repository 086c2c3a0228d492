//! A change that an administrator wants, as all of them are made: written down first, done on the thread
//! that has the files, and answered with the state that is there then.

use serde_json::Value;

use crate::error::{CallError, Code};
use crate::gateway::office::registrar::Office;
use crate::gateway::record::Record;
use crate::gateway::worker::Worker;

/// What is answered: status, entity tag, body.
pub(in crate::gateway) struct Told {
    pub(in crate::gateway) status: u16,
    /// Empty where there is none.
    pub(in crate::gateway) etag: String,
    pub(in crate::gateway) body: Value,
}

/// What went wrong in the thread, with the tag of the state that is there.
pub(super) type Trouble<F> = (F, Option<String>);

/// Has a change made. `wanted` is what the ledger has of it in any case: it is written down before it is
/// done, whatever becomes of us.
///
/// # Errors
/// 503 where the ledger cannot take it, or the thread is busy; and what `told` makes of what went wrong.
pub(super) async fn make<T: Send + 'static, F: Send + 'static>(
    (worker, record): (&Worker, &mut Record),
    wanted: String,
    job: impl FnOnce(&Office) -> Result<T, Trouble<F>> + Send + 'static,
    told: impl FnOnce(Trouble<F>) -> CallError,
) -> Result<T, CallError> {
    record.decision = wanted;
    worker.books.admit()?;
    worker.open(record, 0).await?;
    worker.registrar.run(job).await?.map_err(told)
}

/// 412: the state has passed that a change was made for. `list` is where it can be read.
pub(super) fn stale(list: &str, now: Option<String>) -> CallError {
    let text = format!("the state is not the one that this was made for: read GET {list} again");
    let error = CallError::new(Code::Stale);
    match now {
        Some(now) => error.context(format!("{text}; it is {now} now")).headers(vec![("etag", now)]),
        None => error.context(text),
    }
}

/// 500: a file of ours cannot be read or written. Its path is for the log.
pub(super) fn unreadable(what: &str, why: impl std::error::Error + Send + Sync + 'static) -> CallError {
    let text = format!("the {what} cannot be read or written; see the log of the gateway");
    CallError::new(Code::Internal).context(text).source(why)
}
