//! The thread that reads and writes files for administrators, and the way to have the config read again.
//! Files block, so no core touches one.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Instant;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::admin::api::pace::{Paces, Step};
use crate::clock;
use crate::config::key_file::KeyFile;
use crate::config::snapshot::Fixed;
use crate::error::{CallError, Code};
use crate::limits;

/// What the thread works with.
#[derive(Debug)]
pub(in crate::gateway) struct Office {
    /// The config that the process was started with.
    pub(in crate::gateway) path: Option<PathBuf>,
    /// The folder of everything that we write.
    pub(in crate::gateway) data_dir: PathBuf,
    /// The stored keys.
    pub(in crate::gateway) keys: KeyFile,
}

/// Work for the thread.
type Job = Box<dyn FnOnce(&Office) + Send>;

/// The wish that the config is read again now. The faults of the config come back where it is refused.
#[derive(Debug)]
pub(in crate::gateway) struct Order {
    /// Who wants it, for the log.
    pub(in crate::gateway) why: &'static str,
    /// Where to say what came of it.
    pub(in crate::gateway) reply: oneshot::Sender<Option<String>>,
}

/// The way to both.
#[derive(Clone)]
pub(in crate::gateway) struct Registrar {
    jobs: Sender<Job>,
    orders: Sender<Order>,
    /// Asked once a request of an administrator; no call of a model or a tool comes by here.
    paces: Arc<Mutex<Paces>>,
    /// Where their time begins.
    begun: Instant,
}

impl Registrar {
    /// Starts the thread, which ends with the last `Registrar`. Orders come out of the receiver.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(in crate::gateway) fn start(
        path: Option<PathBuf>,
        fixed: &Fixed,
    ) -> io::Result<(Self, Receiver<Order>)> {
        let keys = KeyFile::of(&fixed.data_dir);
        let office = Office { path, data_dir: fixed.data_dir.clone(), keys };
        let (jobs, mut receiver) = channel::<Job>(limits::ADMIN_ORDERS_MAX);
        let work = move || {
            while let Some(job) = receiver.blocking_recv() {
                job(&office);
            }
        };
        Builder::new().name("registrar".to_owned()).spawn(work)?;
        let (orders, received) = channel(limits::ADMIN_ORDERS_MAX);
        Ok((Self { jobs, orders, paces: Arc::default(), begun: clock::now() }, received))
    }

    /// One that does nothing.
    #[cfg(test)]
    pub(in crate::gateway) fn none() -> Self {
        Self { jobs: channel(1).0, orders: channel(1).0, paces: Arc::default(), begun: clock::now() }
    }

    /// Takes a step of a key's pace.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(in crate::gateway) fn pace(&self, key_id: &Arc<str>, step: Step) -> Result<(), CallError> {
        // Not the wall clock: it may be set back.
        let passed = clock::now().saturating_duration_since(self.begun);
        let now_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let stepped = self.paces.lock().unwrap_or_else(PoisonError::into_inner).step(key_id, step, now_ms);
        stepped.map_err(|seconds| {
            let text = match step {
                Step::Look => format!("at most {} looks a second at /admin", limits::ADMIN_READS_PER_S),
                Step::Change => format!("at most {} changes a second at /admin", limits::ADMIN_CHANGES_PER_S),
            };
            CallError::new(Code::RateLimited).context(text).retry_after(seconds)
        })
    }

    /// Has something done on the thread, and waits for what comes of it. It is done also when nobody waits
    /// any more.
    ///
    /// # Errors
    /// 503 while too much waits to be done, or when it takes too long.
    pub(in crate::gateway) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Office) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let busy = |text: &str| CallError::new(Code::Overloaded).context(text.to_owned());
        let (reply, done) = oneshot::channel();
        let job: Job = Box::new(move |office| drop(reply.send(job(office))));
        self.jobs
            .try_send(job)
            .map_err(|_full| busy("too many administrators want files read or written, try again"))?;
        match timeout(limits::ADMIN_ORDER_DEADLINE, done).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => {
                Err(busy("the file took too long; look whether it has been done before you try again"))
            }
        }
    }

    /// Has the config and the keys read again now, and waits until that is done.
    ///
    /// # Errors
    /// Why what is stored is not in force yet.
    pub(in crate::gateway) async fn reload(&self, why: &'static str) -> Result<(), String> {
        let (reply, done) = oneshot::channel();
        let late = || "the gateway has not read it yet; it looks four times a second".to_owned();
        self.orders.try_send(Order { why, reply }).map_err(|_full| late())?;
        match timeout(limits::ADMIN_RELOAD_DEADLINE, done).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(faults))) => Err(format!("the config is refused as it stands: {faults}")),
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }
}
