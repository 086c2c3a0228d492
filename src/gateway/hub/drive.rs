//! A task of a legacy server that the gateway sees through to its end, because its caller waits for a plain
//! result.
//!
//! ```text
//! created --> look (tasks/get) --working--> wait, look again
//!                 |--final, input_required--> fetch (tasks/result): the call goes on as any other
//!                 |--unknown, silent for too long--> the call has failed
//! fetch breaks off --> look again
//! ```

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::channel::{self, Answered, Channel, NoResult};
use crate::gateway::hub::run::{Ending, Flight, Run, Turn};
use crate::gateway::hub::tasks::{self as whose, Way};
use crate::limits;
use crate::mcp::bridge::tasks::{self, Status, Task};
use crate::mcp::rpc::{self, RpcError};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::{Failure, Outbound};

/// One task that is waited for.
pub(super) struct Drive {
    hub: Rc<Hub>,
    channel: Rc<Channel>,
    permit: PlacedPermit,
    /// The server's id of it.
    pub(super) id: String,
    /// Whether its result has been asked for, so that nothing is looked at meanwhile.
    pub(super) fetching: bool,
    /// How long nothing may come but word that it is worked on.
    patience: Duration,
    until: Instant,
    /// When the server may forget it.
    expires: Option<Instant>,
    poll: Duration,
    next: Instant,
    looked: Instant,
    misses: u32,
    wake: Rc<Notify>,
    look: Option<Look>,
}

/// A `tasks/get` under way.
type Look = Pin<Box<dyn Future<Output = Result<Answered, NoResult>>>>;

/// What a look leads to.
pub(super) enum Step {
    /// To another one.
    Wait,
    /// Its result can be had, or the server has a question.
    Fetch,
    /// The server knows the task no more; whether that was to be expected.
    Gone { expired: bool },
    /// It takes too long.
    Late,
    /// The server cannot be asked.
    Failed(Failure),
}

impl Drive {
    /// Begins to wait for a task.
    pub(super) fn new(
        hub: &Rc<Hub>,
        channel: &Rc<Channel>,
        permit: &PlacedPermit,
        task: Task,
        patience: Duration,
    ) -> Self {
        let now = clock::now();
        let wake = Rc::new(Notify::new());
        channel.waited_for.borrow_mut().insert(task.id.clone(), Rc::clone(&wake));
        let poll = interval(task.poll_ms);
        let ready = task.status != Status::Working;
        Self {
            hub: Rc::clone(hub),
            channel: Rc::clone(channel),
            permit: permit.clone(),
            id: task.id,
            fetching: false,
            patience,
            until: now + patience,
            expires: task.ttl_ms.and_then(|ttl| now.checked_add(Duration::from_millis(ttl))),
            poll,
            next: if ready { now } else { now + poll },
            looked: now,
            misses: 0,
            wake,
            look: None,
        }
    }

    /// Something came that shows that it is worked on, or its caller was waited for: patience begins anew.
    pub(super) fn heard(&mut self) {
        self.until = clock::now() + self.patience;
    }

    /// The request for its result has broken off: looks again, unless that has happened too often.
    pub(super) fn missed(&mut self, failure: Failure) -> Step {
        self.fetching = false;
        self.misses += 1;
        if self.misses > limits::MCP_TASK_MISSES_MAX || !self.channel.is_open() {
            return Step::Failed(failure);
        }
        self.next = clock::now() + self.poll;
        Step::Wait
    }

    /// Looks after the task once. Giving the wait up loses nothing.
    async fn step(&mut self) -> Step {
        if self.fetching {
            return std::future::pending().await;
        }
        loop {
            if let Some(look) = &mut self.look {
                let answered = look.as_mut().await;
                self.look = None;
                return self.judge(answered);
            }
            tokio::select! {
                () = sleep_until(self.next.min(self.until).into()) => {}
                () = self.wake.notified() => {
                    self.next = self.next.min(self.looked + limits::MCP_TASK_POLL_MIN);
                    continue;
                }
            }
            self.looked = clock::now();
            if self.looked >= self.until {
                return Step::Late;
            }
            self.look = Some(look(&self.hub, &self.channel, &self.permit, &self.id));
        }
    }

    fn judge(&mut self, answered: Result<Answered, NoResult>) -> Step {
        let now = clock::now();
        self.next = now + self.poll;
        match answered.map(|answered| tasks::read_task(answered.result())) {
            Ok(Ok(task)) => {
                self.misses = 0;
                self.poll = interval(task.poll_ms);
                self.next = now + self.poll;
                if task.status == Status::Working { Step::Wait } else { Step::Fetch }
            }
            Ok(Err(fault)) => Step::Failed(Failure::Garbage(fault.to_string())),
            Err(NoResult::Refused { .. }) => {
                Step::Gone { expired: self.expires.is_some_and(|expires| expires <= now) }
            }
            Err(NoResult::Failed(failure)) => self.missed(failure),
        }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.channel.waited_for.borrow_mut().remove(&self.id);
    }
}

/// Looks after a task once, where there is one.
pub(super) async fn step(drive: Option<&mut Drive>) -> Step {
    match drive {
        Some(drive) => drive.step().await,
        None => std::future::pending().await,
    }
}

fn look(hub: &Hub, channel: &Rc<Channel>, permit: &PlacedPermit, id: &str) -> Look {
    let (asked, permit, params) = (hub.next_id(), permit.clone(), tasks::params_about(id));
    let channel = Rc::clone(channel);
    Box::pin(async move {
        let lines = channel.headers("tasks/get", None);
        channel::request(&channel.link, &permit, asked, lines, ("tasks/get", params.as_slice())).await
    })
}

/// How long to wait between two looks: what the server wishes, within bounds.
fn interval(wish_ms: Option<u64>) -> Duration {
    let wish = wish_ms.map_or(limits::MCP_TASK_POLL_DEFAULT, Duration::from_millis);
    wish.clamp(limits::MCP_TASK_POLL_MIN, limits::MCP_TASK_POLL_MAX)
}

impl Run<'_> {
    /// Goes on with a task that is waited for.
    pub(super) async fn look_after(&self, flight: &mut Flight, step: Step) -> Turn {
        match step {
            Step::Wait => Turn::On,
            Step::Fetch => {
                self.fetch(flight);
                Turn::On
            }
            Step::Gone { expired } => {
                let why = if expired { "has expired" } else { "is not known to it any more" };
                let mut error = RpcError::broken(self.peer.server.name.as_str());
                let name = self.peer.server.name.as_str();
                error.message =
                    format!("MCP server {name}: the task of this call {why}; it may have run").into();
                self.hub.metrics.borrow_mut().mcp.failed(&self.peer.server.name, "task_gone");
                self.leg.refuse(self.caller, &error).await;
                Turn::Done(Ending::Failed)
            }
            Step::Late => {
                self.cancel(flight, "it takes too long").await;
                Turn::Done(self.fail(&Failure::TimedOut).await)
            }
            Step::Failed(failure) => {
                self.cancel(flight, "it cannot be followed").await;
                Turn::Done(self.fail(&failure).await)
            }
        }
    }

    /// Asks for the result of a task; what the server wants to know meanwhile comes on the same stream.
    fn fetch(&self, flight: &mut Flight) {
        let Some(drive) = &mut flight.drive else { return };
        drive.fetching = true;
        let id = self.hub.next_id();
        flight.before.push(flight.id);
        let mut in_flight = flight.channel.in_flight.borrow_mut();
        if let Some(known) = in_flight.get(&flight.id).cloned() {
            in_flight.insert(id, known);
        }
        flight.id = id;
        let mut body = Vec::new();
        rpc::write_request(&mut body, id, "tasks/result", Some(&tasks::params_about(&drive.id)));
        let headers = flight.channel.headers("tasks/result", None);
        flight.messages =
            flight.channel.link.call(self.permit, Outbound { id, body, headers, resumable: true });
    }

    /// A call that has become a task: its caller gets a handle of it, or the gateway waits for it. Any other
    /// result is given back.
    pub(super) async fn becomes_task(&self, flight: &mut Flight, result: &[u8]) -> Option<Turn> {
        let task = match flight.way {
            Way::Driven | Way::Handed | Way::Wished if flight.drive.is_none() => {
                tasks::legacy_created(result)
            }
            _ => Ok(None),
        };
        let made = match task {
            Ok(None) => return None,
            Ok(Some(task)) if flight.way == Way::Driven => {
                let patience = self.peer.server.call_deadline;
                flight.drive = Some(Drive::new(self.hub, &flight.channel, self.permit, task, patience));
                return Some(Turn::On);
            }
            Ok(Some(task)) => {
                whose::keep(&flight.channel, &task);
                whose::handle(self, flight.way, flight.session, &task, result)
            }
            Err(fault) => Err(fault),
        };
        Some(Turn::Done(match made {
            Ok(made) => {
                self.leg.result(&made).await;
                Ending::Result { is_error: false }
            }
            Err(fault) => self.fail(&Failure::Garbage(fault.to_string())).await,
        }))
    }
}
