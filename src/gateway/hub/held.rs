//! Tasks of legacy servers as modern callers ask for them: `tasks/get` that holds the outcome or the
//! questions, `tasks/update` with the answers, `tasks/cancel`.
//!
//! All that is known of a task stands in its id, so that any request about it can be served by itself. Only a
//! server's questions have to be kept: they come while `tasks/result` is open, so that stays open beside the
//! caller's requests until the server says no more.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel as bounded};
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until, timeout};

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::channel::{self, Answered, Channel, InFlight, Link, NoResult};
use crate::gateway::hub::compose::{Question, Target};
use crate::gateway::hub::events;
use crate::gateway::hub::failures;
use crate::gateway::hub::park::Asked;
use crate::gateway::hub::peer::{Opening, Peer};
use crate::gateway::hub::run::Ending;
use crate::gateway::hub::tasks;
use crate::ids::ServerName;
use crate::json;
use crate::limits;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::bridge::errors::{self, ForModern};
use crate::mcp::bridge::results::{self, ResultKind};
use crate::mcp::bridge::rounds::{self, InputMethod, InputRequest};
use crate::mcp::bridge::tasks::{Inside, Status, params_about, read_task, task_for_modern};
use crate::mcp::message::{self, Kind, Message};
use crate::mcp::method::Method;
use crate::mcp::rpc::{self, RpcError};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};

/// The server, what was declared in the session, and the server's id of the task.
type Which = (ServerName, CapabilitySet, String);

/// Tasks whose servers have questions.
#[derive(Default)]
pub(super) struct Talks(RefCell<HashMap<Which, Rc<Talk>>>);

/// A task with an open `tasks/result`.
struct Talk {
    key_id: Arc<str>,
    channel: Rc<Channel>,
    permit: PlacedPermit,
    /// What the caller can be asked.
    declared: CapabilitySet,
    /// What has been asked and not been answered, under the keys that the caller sees.
    open: RefCell<Vec<(String, Asked)>>,
    count: Cell<usize>,
    /// Rings when something is asked.
    bell: Notify,
}

/// A request about a task.
pub(super) struct AboutTask<'a> {
    pub(super) hub: &'a Rc<Hub>,
    pub(super) caller: &'a Caller,
    pub(super) question: &'a Question,
    pub(super) peer: &'a Rc<Peer>,
    pub(super) permit: &'a PlacedPermit,
    pub(super) target: &'a Target,
}

/// Why a request about a task has no result.
enum Trouble {
    Told(RpcError),
    No(NoResult),
}

impl From<NoResult> for Trouble {
    fn from(no: NoResult) -> Self {
        Self::No(no)
    }
}

impl AboutTask<'_> {
    /// Serves it.
    pub(super) async fn serve(self, leg: Leg) -> Ending {
        let server = &self.peer.server.name;
        let (error, ending) = match self.answered().await {
            Ok(result) => {
                leg.result(&result).await;
                return Ending::Result { is_error: false };
            }
            Err(Trouble::Told(error)) => (error, Ending::Error),
            Err(Trouble::No(NoResult::Refused { .. })) => {
                let text = "the server does not know this task any more";
                (RpcError::invalid_params(text), Ending::Error)
            }
            Err(Trouble::No(NoResult::Failed(failure))) => {
                self.hub.metrics.borrow_mut().mcp.failed(server, failures::name(&failure));
                leg.fail(self.caller, &failures::told(server.as_str(), &failure)).await;
                return Ending::Failed;
            }
        };
        leg.refuse(self.caller, &error).await;
        ending
    }

    async fn answered(&self) -> Result<Vec<u8>, Trouble> {
        let session = self.target.session.unwrap_or_default();
        let lane = self.peer.lane(session, &self.caller.principal.key_id);
        let opened = self.peer.channel(self.hub, Opening { lane, capabilities: session }).await;
        let channel = opened.map_err(|failure| Trouble::No(failure.into()))?;
        let which = (self.peer.server.name.clone(), session, self.target.name.clone());
        match self.question.method {
            Method::TasksUpdate => self.update(&which).await,
            Method::TasksCancel => self.cancel(&channel).await,
            _ => self.get(&channel, which).await,
        }
    }

    async fn ask(&self, channel: &Rc<Channel>, method: &str) -> Result<Answered, NoResult> {
        let params = params_about(&self.target.name);
        let lines = channel.headers(method, None);
        let id = self.hub.next_id();
        channel::request(&channel.link, self.permit, id, lines, (method, &params)).await
    }

    async fn get(&self, channel: &Rc<Channel>, which: Which) -> Result<Vec<u8>, Trouble> {
        let answered = self.ask(channel, "tasks/get").await?;
        let task = answered.result();
        let read = read_task(task).map_err(|why| garbage(&why))?;
        tasks::keep(channel, &read);
        let ours = self.question.text(self.question.params.task_id.as_ref()).unwrap_or_default();
        let say = |inside| task_for_modern(task, &ours, inside).map_err(|why| garbage(&why));
        match read.status {
            Status::Completed | Status::Failed => match self.ask(channel, "tasks/result").await {
                Ok(outcome) => {
                    let result = results::result_for_modern(outcome.result(), ResultKind::Plain);
                    say(Some(Inside::Result(&result.map_err(|why| garbage(&why))?)))
                }
                Err(NoResult::Refused { code, message, data }) => {
                    let error = written_error(code, &message, &data);
                    // Where a task has ended nothing can be visited first: the error names the page.
                    match errors::error_for_modern(&error, "tools/call", false) {
                        Ok(ForModern::Error(error)) => say(Some(Inside::Error(&error))),
                        Ok(ForModern::Visit(_)) | Err(_) => say(Some(Inside::Error(&error))),
                    }
                }
                Err(failed) => Err(failed.into()),
            },
            Status::Cancelled => say(None),
            Status::Working | Status::InputRequired => {
                let asks = read.status == Status::InputRequired;
                match self.questions(channel, which, asks).await? {
                    Some(requests) => say(Some(Inside::Requests(&requests))),
                    None => say(Some(Inside::Nothing)),
                }
            }
        }
    }

    /// The questions of a task as its caller sees them, once there are any.
    async fn questions(
        &self,
        channel: &Rc<Channel>,
        which: Which,
        asks: bool,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let known = self.hub.talks.0.borrow().get(&which).cloned();
        let talk = match known {
            Some(talk) => talk,
            None if asks => self.talk(channel, which)?,
            None => return Ok(None),
        };
        let quiet = talk.open.borrow().is_empty();
        if asks && quiet && timeout(limits::MCP_TASK_ASK_DEADLINE, talk.bell.notified()).await.is_ok() {
            // Several are asked one after another, and the caller should see all of them.
            sleep(limits::MCP_GATHER).await;
        }
        let open = talk.open.borrow();
        let asked = |params| rounds::request_for_modern(params).unwrap_or(Cow::Borrowed(params));
        let requests: Vec<InputRequest<'_>> = open
            .iter()
            .map(|(key, question)| InputRequest {
                key: key.into(),
                method: question.method,
                params: question.params.as_deref().map(asked),
            })
            .collect();
        Ok((!requests.is_empty()).then(|| rounds::write_requests(&requests)))
    }

    /// Opens `tasks/result`, on which the server asks.
    fn talk(&self, channel: &Rc<Channel>, which: Which) -> Result<Rc<Talk>, Trouble> {
        let key_id = &self.caller.principal.key_id;
        let mut talks = self.hub.talks.0.borrow_mut();
        let own = talks.values().filter(|talk| talk.key_id == *key_id).count();
        if talks.len() >= limits::MCP_TASKS_ASKING_MAX || own >= limits::MCP_TASKS_ASKING_OF_KEY_MAX {
            let text = "too many tasks wait for your answers; answer or cancel some first";
            return Err(Trouble::Told(RpcError::overloaded(text)));
        }
        let talk = Rc::new(Talk {
            key_id: Arc::clone(key_id),
            channel: Rc::clone(channel),
            permit: self.permit.clone(),
            declared: CapabilitySet::read(&self.caller.capabilities).unwrap_or_default(),
            open: RefCell::default(),
            count: Cell::new(0),
            bell: Notify::new(),
        });
        talks.insert(which.clone(), Rc::clone(&talk));
        let (hub, same) = (Rc::clone(self.hub), Rc::clone(&talk));
        drop(spawn_local(async move {
            listen(&hub, &same, &which.2).await;
            hub.talks.0.borrow_mut().remove(&which);
        }));
        Ok(talk)
    }

    async fn update(&self, which: &Which) -> Result<Vec<u8>, Trouble> {
        let retry = rounds::read_retry(self.question.params_bytes());
        let retry = retry.map_err(|why| Trouble::Told(RpcError::invalid_params(why.to_string())))?;
        let talk = self.hub.talks.0.borrow().get(which).cloned();
        // What answers no open question is ignored.
        let Some(talk) = talk else { return Ok(ACKNOWLEDGED.to_vec()) };
        let mut answered = Vec::new();
        talk.open.borrow_mut().retain(|(key, asked)| {
            let answer = rounds::answer(&retry, key, asked.method);
            if let Some(answer) = answer {
                let answer = tasks::answer(answer.to_vec(), asked.task.as_deref());
                answered.push((asked.server_id.clone(), answer));
            }
            answer.is_none()
        });
        for (server_id, answer) in answered {
            let mut body = Vec::new();
            rpc::write_result(&mut body, &server_id, &answer);
            let headers = talk.channel.headers("", None);
            let out = Outbound { id: 0, body, headers, resumable: false };
            let sent = talk.channel.link.post(&talk.permit, out).await;
            sent.map_err(|failure| Trouble::No(failure.into()))?;
        }
        Ok(ACKNOWLEDGED.to_vec())
    }

    async fn cancel(&self, channel: &Rc<Channel>) -> Result<Vec<u8>, Trouble> {
        match self.ask(channel, "tasks/cancel").await {
            Ok(_) => {}
            // A task that has ended cannot be cancelled there; here that is no fault.
            Err(NoResult::Refused { .. }) => drop(self.ask(channel, "tasks/get").await?),
            Err(failed) => return Err(failed.into()),
        }
        Ok(ACKNOWLEDGED.to_vec())
    }
}

/// The result of a request that only has to be acknowledged.
const ACKNOWLEDGED: &[u8] = b"{\"resultType\":\"complete\"}";

fn garbage(why: &dyn std::fmt::Display) -> Trouble {
    Trouble::No(Failure::Garbage(why.to_string()).into())
}

/// An error object; `data` as written, empty for none.
fn written_error(code: i64, text: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("{{\"code\":{code},\"message\":").into_bytes();
    json::write_string(&mut out, text);
    if !data.is_empty() {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.push(b'}');
    out
}

/// Keeps `tasks/result` open and takes what the server asks, until it answers, breaks off, or nobody can want
/// to know any more. What it answers is asked for again when the caller looks.
async fn listen(hub: &Rc<Hub>, talk: &Talk, task: &str) {
    let id = hub.next_id();
    let mut body = Vec::new();
    rpc::write_request(&mut body, id, "tasks/result", Some(&params_about(task)));
    let headers = talk.channel.headers("tasks/result", None);
    let (asks, mut asked) = bounded(limits::MCP_MESSAGES_MAX);
    let in_flight = InFlight { key_id: Arc::clone(&talk.key_id), asks };
    talk.channel.in_flight.borrow_mut().insert(id, in_flight);
    let messages = talk.channel.link.call(&talk.permit, Outbound { id, body, headers, resumable: true });
    hear(talk, id, messages, &mut asked).await;
    events::refuse_unread(&talk.channel, &talk.permit, &mut asked).await;
    talk.channel.in_flight.borrow_mut().remove(&id);
    talk.channel.used.set(clock::now());
}

async fn hear(talk: &Talk, id: u64, mut messages: Messages, asked: &mut Receiver<Vec<u8>>) {
    let until = clock::now() + limits::MCP_TASK_KEPT;
    loop {
        let doc = tokio::select! {
            incoming = messages.recv() => match incoming {
                Some(Incoming::Message(doc)) => doc,
                Some(
                    Incoming::Head { .. }
                    | Incoming::EventId(_)
                    | Incoming::Retry(_)
                    | Incoming::TooLarge(_),
                ) => continue,
                Some(Incoming::Failed(_)) | None => return,
            },
            Some(doc) = asked.recv() => doc,
            () = sleep(limits::MCP_PARKED_TOUCH) => {
                // The server waits for us, so it is not the one who is silent.
                if let Link::Pipe(link) = &talk.channel.link {
                    link.touch(id);
                }
                continue;
            }
            () = sleep_until(until.into()) => return,
        };
        let Ok(read) = message::read(&doc) else { return };
        match read.kind {
            Kind::Result | Kind::Error => return,
            Kind::Notification => {}
            Kind::Request => take(talk, &doc, &read).await,
        }
    }
}

/// Takes a question of the server; what the caller did not declare is refused.
async fn take(talk: &Talk, doc: &[u8], read: &Message) {
    let server_id = read.id.clone().and_then(|id| doc.get(id)).unwrap_or_default().to_vec();
    let params = read.params.clone().and_then(|params| doc.get(params));
    let (params, task) = tasks::noted(None, params.map(<[u8]>::to_vec));
    let may = InputMethod::parse(read.method.name()).filter(|method| {
        let needed = CapabilitySet::needed(*method, params.as_deref());
        needed.is_ok_and(|needed| talk.declared.has(needed))
    });
    let room = talk.open.borrow().len() < limits::MCP_INPUTS_MAX;
    if let Some(method) = may.filter(|_| room) {
        talk.count.set(talk.count.get() + 1);
        let key = format!("input-{}", talk.count.get());
        talk.open.borrow_mut().push((key, Asked { server_id, method, params, task }));
        return talk.bell.notify_one();
    }
    let mut body = Vec::new();
    if read.method == Method::Ping {
        rpc::write_result(&mut body, &server_id, b"{}");
    } else {
        rpc::write_error(&mut body, Some(&server_id), &RpcError::method_not_found(read.method.name()));
    }
    talk.channel.tell(&talk.permit, body, "").await;
}
