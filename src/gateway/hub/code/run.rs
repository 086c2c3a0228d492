//! One process of a script, from its start to what it comes to. What it says is believed in nothing.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::rc::Rc;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{sleep, timeout};

use crate::gateway::hub::code::inner::Inner;
use crate::gateway::log::Level;
use crate::limits;
use crate::mcp::rpc::RpcError;
use crate::net::child::{Child, Input, Started};
use crate::net::lines::{Line, Lines};
use crate::script::frames::{Order, Said, cut};

/// What a script has come to.
pub(super) struct Ran {
    /// What it has returned, as JSON, or why it failed.
    pub(super) ended: Result<Option<String>, String>,
    /// What it wrote to its console.
    pub(super) log: String,
    /// Calls that it made.
    pub(super) calls: u32,
    /// Those of them that gave it nothing.
    pub(super) failed: u32,
}

impl Ran {
    /// What the ledger is told.
    pub(super) fn told(&self) -> String {
        format!("made {} calls, {} of them failed", self.calls, self.failed)
    }
}

/// What came of a call.
type Outcome = (u32, Result<Vec<u8>, String>);

/// A script under way. Dropping it ends the process, and has its calls given up.
pub(super) struct Running {
    inner: Rc<Inner>,
    child: Option<Child>,
    pipes: Option<(Input, Lines, Lines)>,
    orders: UnboundedSender<Vec<u8>>,
    queue: Option<UnboundedReceiver<Vec<u8>>>,
    tell: mpsc::Sender<Outcome>,
    outcomes: mpsc::Receiver<Outcome>,
    /// Turns of calls that are made at once.
    turns: Rc<Semaphore>,
    /// Rung when the script is over: one for each call.
    cancels: Vec<Rc<Notify>>,
    log: String,
    failed: u32,
    /// Bytes of frames since the last that waited for its turn.
    heard: usize,
    /// Bytes of what calls have given so far.
    given: usize,
}

impl Drop for Running {
    fn drop(&mut self) {
        for cancel in &self.cancels {
            cancel.notify_one();
        }
    }
}

impl Running {
    /// Starts a process and tells it the script.
    ///
    /// # Errors
    /// What the caller is told when there can be no process.
    pub(super) async fn start(inner: Inner, source: String) -> Result<Self, RpcError> {
        let started = timeout(limits::CODE_START, inner.hub.scripts.process()).await;
        let started = started.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()));
        let Started { child, input, output, errors } = started.map_err(|why| {
            inner.hub.log(Level::Warn, "no script can be run", |line| line.text("error", &why.to_string()));
            RpcError::overloaded("no script can be run now, since no process can be started: try again later")
        })?;
        // Unbounded, but there is one for each call at most, and the script.
        let (orders, queue) = mpsc::unbounded_channel();
        orders.send(Order::Run { source }.line()).unwrap_or_default();
        let (tell, outcomes) = mpsc::channel(limits::CODE_CALLS_AT_ONCE_MAX);
        Ok(Self {
            inner: Rc::new(inner),
            child: Some(child),
            pipes: Some((input, output, errors)),
            orders,
            queue: Some(queue),
            tell,
            outcomes,
            turns: Rc::new(Semaphore::new(limits::CODE_CALLS_AT_ONCE_MAX)),
            cancels: Vec::new(),
            log: String::new(),
            failed: 0,
            heard: 0,
            given: 0,
        })
    }

    /// Follows it to its end, and ends the process.
    pub(super) async fn follow(&mut self) -> Ran {
        let ended = match (self.pipes.take(), self.queue.take()) {
            (Some(pipes), Some(queue)) => self.ended(pipes, queue).await,
            _ => Err("a script is followed once".to_owned()),
        };
        drop(self.child.take());
        let calls = u32::try_from(self.cancels.len()).unwrap_or(u32::MAX);
        Ran { ended, log: std::mem::take(&mut self.log), calls, failed: self.failed }
    }

    async fn ended(
        &mut self,
        (input, mut output, errors): (Input, Lines, Lines),
        queue: UnboundedReceiver<Vec<u8>>,
    ) -> Result<Option<String>, String> {
        // Beside the rest: a script that is busy does not read, nor does one that waits to be read.
        let mut writing = pin!(write_all(input, queue));
        let mut last_words = pin!(drain(errors));
        let mut over = pin!(sleep(limits::CODE_TIME + limits::CODE_KILL_MARGIN));
        let (mut written, mut remark) = (false, None);
        loop {
            tokio::select! {
                line = output.next() => match line {
                    Ok(Some(Line::Whole(line))) => {
                        self.await_turn_of(line.len()).await;
                        if let Some(ended) = self.hear(&line) {
                            give_way(line.len()).await;
                            return ended;
                        }
                    }
                    Ok(Some(Line::TooLarge(_) | Line::Partial(_))) => {
                        return Err(self.odd("a line that is no frame"));
                    }
                    gone @ (Ok(None) | Err(_)) => {
                        let remark = match remark {
                            None => timeout(limits::CODE_KILL_MARGIN, last_words).await.unwrap_or_default(),
                            Some(remark) => remark,
                        };
                        return Err(self.gone(&gone, &remark).await);
                    }
                },
                Some(outcome) = self.outcomes.recv() => {
                    give_way(outcome.1.as_ref().map_or(0, Vec::len)).await;
                    self.settle(outcome);
                }
                () = writing.as_mut(), if !written => written = true,
                words = last_words.as_mut(), if remark.is_none() => remark = Some(words),
                () = over.as_mut() => {
                    return Err(format!("the script ran longer than {} s", limits::CODE_TIME.as_secs()));
                }
            }
        }
    }

    /// Waits until a frame of so many bytes may be worked on. Small ones are large together.
    async fn await_turn_of(&mut self, bytes: usize) {
        self.heard = self.heard.saturating_add(bytes).saturating_add(limits::CODE_FRAME_COST_BYTES);
        if self.heard >= limits::CODE_LARGE_BYTES {
            self.inner.hub.scripts.begin_frame(std::mem::take(&mut self.heard)).await;
        }
    }

    /// Does what the process says; what it has come to, if that is the last.
    fn hear(&mut self, line: &[u8]) -> Option<Result<Option<String>, String>> {
        match Said::read(line) {
            Ok(Said::Call { id, name, arguments }) => self.call(id, name, arguments),
            Ok(Said::Log { text }) => {
                // A worker counts by itself; one that says more is not believed.
                let end = usize::from(!self.log.is_empty());
                let room = limits::CODE_LOG_BYTES_MAX.saturating_sub(self.log.len());
                if let Some(room) = room.checked_sub(end).filter(|room| *room > 0) {
                    self.log.push_str("\n".get(..end).unwrap_or_default());
                    self.log.push_str(&cut(text, room));
                }
                None
            }
            Ok(Said::Done { value }) => Some(Ok(value)),
            Ok(Said::Failed { why }) => Some(Err(why)),
            Err(fault) => Some(Err(self.odd(&fault.to_string()))),
        }
    }

    /// Begins a call.
    fn call(&mut self, id: u32, name: String, arguments: String) -> Option<Result<Option<String>, String>> {
        // It counts by itself, so one that has made more is not the one that we have started.
        if self.cancels.len() >= usize::try_from(limits::CODE_CALLS_MAX).unwrap_or(usize::MAX) {
            return Some(Err(self.odd("more calls than there may be")));
        }
        let cancel = Rc::new(Notify::new());
        self.cancels.push(Rc::clone(&cancel));
        let (inner, turns, tell) = (Rc::clone(&self.inner), Rc::clone(&self.turns), self.tell.clone());
        drop(spawn_local(async move {
            let turn = async {
                let turn = turns.acquire().await;
                inner.hub.scripts.begin_call().await;
                turn
            };
            let turn = tokio::select! {
                turn = turn => turn,
                () = cancel.notified() => return,
            };
            give_way(arguments.len()).await;
            let made = Box::pin(inner.make((id, &name), &arguments, cancel)).await;
            drop(turn);
            // The script may be over.
            drop(tell.send((id, made)).await);
        }));
        None
    }

    /// Tells the script what came of a call.
    fn settle(&mut self, (id, made): Outcome) {
        let made = made.and_then(|value| {
            let (bytes, most) = (value.len(), limits::CODE_VALUE_BYTES_MAX);
            self.given = self.given.saturating_add(bytes);
            if bytes > most {
                return Err(format!("the result has {bytes} bytes, and a script takes at most {most}"));
            }
            let most = limits::CODE_VALUES_BYTES_MAX;
            if self.given > most {
                return Err(format!("the results of one script have at most {most} bytes together"));
            }
            String::from_utf8(value).map_err(|_odd| "the result is no text".to_owned())
        });
        let order = match made {
            Ok(value) => Order::Given { id, value },
            Err(why) => {
                self.failed += 1;
                Order::Refused { id, why: cut(why, limits::CODE_ERROR_BYTES_MAX) }
            }
        };
        // A process that has gone is noticed by its output.
        self.orders.send(order.line()).unwrap_or_default();
    }

    /// Notes that a process does not behave like one of ours.
    fn odd(&self, why: &str) -> String {
        self.inner
            .hub
            .log(Level::Warn, "a script's process misbehaves and was ended", |line| line.text("error", why));
        "the script's process did not behave, and was ended".to_owned()
    }

    /// Says why a process has ended without a word.
    async fn gone(&mut self, output: &io::Result<Option<Line>>, remark: &str) -> String {
        let status = match self.child.take() {
            Some(child) => child.kill().await,
            None => None,
        };
        let hint = match status.as_ref().and_then(ExitStatus::code) {
            Some(_) => "the log of the gateway says why",
            None => "it may want too much memory",
        };
        let status = status.map_or_else(|| "it does not end".to_owned(), |status| status.to_string());
        self.inner.hub.log(Level::Warn, "a script's process has ended by itself", |line| {
            let broken = output.as_ref().err().map(ToString::to_string).unwrap_or_default();
            line.text("status", &status).text("error", &broken).text("said", remark)
        });
        format!("the script's process has ended before the script ({status}): {hint}")
    }
}

/// Lets others of the hub go first between two steps that each take as long as `bytes` are many.
pub(super) async fn give_way(bytes: usize) {
    if bytes >= limits::CODE_LARGE_BYTES {
        yield_now().await;
    }
}

/// Writes what there is to write. A process that does not read any more is noticed elsewhere.
async fn write_all(mut input: Input, mut queue: UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = queue.recv().await {
        if input.write(&line).await.is_err() {
            return;
        }
    }
}

/// Reads what a process says on its standard error, so that it never waits for that; the last line.
async fn drain(mut errors: Lines) -> String {
    let mut last = String::new();
    while let Ok(Some(line)) = errors.next().await {
        last = String::from_utf8_lossy(line.bytes()).into_owned();
    }
    last
}
