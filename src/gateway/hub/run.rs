//! One call of a server, from its composition to its result, with everything that may come in between:
//! progress, log lines, questions to the caller, a lost session, a caller who leaves.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel as bounded};
use tokio::time::{sleep, sleep_until};

use crate::clock;
use crate::gateway::direct;
use crate::gateway::hub::Hub;
use crate::gateway::hub::cached::Lead;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::channel::{ALL_CAPABILITIES, Channel, InFlight, Link};
use crate::gateway::hub::compose::{self, Input, Question, Target};
use crate::gateway::hub::drive::{self, Drive};
use crate::gateway::hub::events;
use crate::gateway::hub::failures;
use crate::gateway::hub::park::{self, Parking, Resume};
use crate::gateway::hub::peer::{Opening, Peer};
use crate::gateway::hub::refresh;
use crate::gateway::hub::rounds;
use crate::gateway::hub::tasks::{self, Way};
use crate::gateway::hub::watch;
use crate::limits;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::bridge::errors::{self, ForModern};
use crate::mcp::bridge::levels::Level;
use crate::mcp::bridge::results::{self, ResultKind, ResultType};
use crate::mcp::bridge::rounds::{self as input, InputMethod};
use crate::mcp::bridge::tasks::without_related_task;
use crate::mcp::edit::Edits;
use crate::mcp::message::{self, Kind, Message};
use crate::mcp::method::Method;
use crate::mcp::rpc::{self, RpcError};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};

/// How a call ended, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A result has left; `true` when it says of itself that it is an error.
    Result { is_error: bool },
    /// The server's own error has left.
    Error,
    /// It failed on its way.
    Failed,
    /// The caller has cancelled it or hung up.
    Cancelled,
}

/// A call and all that it needs.
pub(super) struct Run<'a> {
    pub(super) hub: &'a Rc<Hub>,
    pub(super) peer: &'a Rc<Peer>,
    pub(super) permit: &'a PlacedPermit,
    pub(super) caller: &'a Caller,
    pub(super) leg: Leg,
    pub(super) target: Target,
    /// The caller's message.
    pub(super) question: Question,
    /// Rung when a legacy caller cancels.
    pub(super) cancelled: Rc<Notify>,
    /// The response as it left, when somebody may ask for it again.
    pub(super) kept: Option<Vec<u8>>,
    /// Those who wait with it.
    pub(super) lead: Option<Lead<'a>>,
}

/// What a turn of a call leads to.
pub(super) enum Turn {
    /// On with the same messages.
    On,
    /// It has ended.
    Done(Ending),
    /// It has to be sent once more: the session was gone.
    Again,
    /// A modern server wants to know more first: the retry's input.
    Input(Input),
}

/// Why a call did not begin.
enum NotStarted {
    Failed(Failure),
    Refused(RpcError),
}

impl From<Failure> for NotStarted {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A call under way at the server.
pub(super) struct Flight {
    pub(super) channel: Rc<Channel>,
    pub(super) id: u64,
    pub(super) messages: Messages,
    pub(super) asks: Receiver<Vec<u8>>,
    /// Status of the HTTP answer.
    pub(super) status: u16,
    /// How it goes, if the server runs it as a task.
    pub(super) way: Way,
    /// What its caller declared, as far as the session with the server depends on it.
    pub(super) session: CapabilitySet,
    /// The task that it has become, where its caller knows nothing of that.
    pub(super) drive: Option<Drive>,
    /// Earlier ids of it: that of the call that became a task is the token of its progress.
    pub(super) before: Vec<u64>,
    /// Whether the server has given its response, so that nothing more comes of the call.
    answered: bool,
}

impl Flight {
    /// Whether a message of the server can still come as an answer.
    fn is_asked(&self) -> bool {
        self.drive.as_ref().is_none_or(|drive| drive.fetching)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let call = {
            let mut in_flight = self.channel.in_flight.borrow_mut();
            for id in &self.before {
                in_flight.remove(id);
            }
            in_flight.remove(&self.id)
        };
        let now = clock::now();
        self.channel.used.set(now);
        if let Some(call) = call.filter(|_| !self.answered) {
            // The server may still be at it, and ask about it.
            self.channel.haunt(call.key_id, now);
        }
    }
}

impl Run<'_> {
    /// Runs the call to its end.
    pub(super) async fn run(&mut self) -> Ending {
        let mut input: Option<Input> = None;
        let (mut repeats, mut rounds) = (0, 0);
        loop {
            let modern = self.caller.version.is_modern();
            let started = tokio::select! {
                started = self.start(input.as_ref()) => started,
                // Nothing has been sent for a caller that leaves while a server is still being started.
                () = self.cancelled.notified() => {
                    self.leg.end().await;
                    return Ending::Cancelled;
                }
                () = self.leg.reply.closed(), if modern => return Ending::Cancelled,
            };
            let mut flight = match started {
                Ok(flight) => flight,
                Err(NotStarted::Failed(failure)) => return self.fail(&failure).await,
                Err(NotStarted::Refused(error)) => {
                    self.leg.refuse(self.caller, &error).await;
                    return Ending::Error;
                }
            };
            match self.fly(&mut flight).await {
                Turn::Done(ending) => return ending,
                Turn::Again if repeats < 1 => repeats += 1,
                Turn::Again | Turn::On => return self.fail(&Failure::Ended).await,
                Turn::Input(next) => {
                    rounds += 1;
                    if rounds > limits::MCP_ROUNDS_MAX {
                        let text = "the server asked for input too many times";
                        self.leg.refuse(self.caller, &RpcError::invalid_request(text)).await;
                        return Ending::Failed;
                    }
                    input = Some(next);
                }
            }
        }
    }

    async fn start(&self, input: Option<&Input>) -> Result<Flight, NotStarted> {
        let declared = CapabilitySet::read(&self.caller.capabilities).unwrap_or_default().session();
        let session = self.target.session.unwrap_or(declared);
        // The era must be known before the lane is: the own channel finds it out.
        if self.peer.is_modern().is_none() {
            let own = Opening { lane: super::peer::Lane::Own, capabilities: ALL_CAPABILITIES };
            self.peer.channel(self.hub, own).await?;
        }
        let session = self.peer.may_be_asked(session);
        let lane = self.peer.lane(session, &self.caller.principal.key_id);
        let channel = self.peer.channel(self.hub, Opening { lane, capabilities: session }).await?;
        rounds::set_log_level(self.hub, &channel, self.caller).await;
        let id = self.hub.next_id();
        let composed = compose::compose(&self.question, &self.target, self.caller, &channel, id, input)
            .map_err(NotStarted::Refused)?;
        let (asks, asked) = bounded(limits::MCP_MESSAGES_MAX);
        let in_flight = InFlight { key_id: self.caller.principal.key_id.clone(), asks };
        channel.in_flight.borrow_mut().insert(id, in_flight);
        let resumable = !channel.version.is_modern();
        let out = Outbound { id, body: composed.body, headers: composed.headers, resumable };
        let messages = channel.link.call(self.permit, out);
        let way = tasks::way(&self.question, &self.target, self.caller, &channel);
        let (drive, before, status, answered) = (None, Vec::new(), 200, false);
        Ok(Flight { channel, id, messages, asks: asked, status, way, session, drive, before, answered })
    }

    /// Follows a call under way until it ends or has to be sent again.
    async fn fly(&mut self, flight: &mut Flight) -> Turn {
        let mut parking = Parking::default();
        loop {
            let modern = self.caller.version.is_modern();
            let gathering = parking.gathering();
            let turn = tokio::select! {
                biased;
                // What comes while the caller has no request open waits for its retry: a server may ask one
                // thing and answer the call without having heard.
                incoming = flight.messages.recv(), if flight.is_asked() && !parking.is_parked() => {
                    let incoming = incoming.unwrap_or(Incoming::Failed(Failure::Ended));
                    self.take(flight, &mut parking, incoming).await
                }
                step = drive::step(flight.drive.as_mut()), if !parking.is_parked() => {
                    self.look_after(flight, step).await
                }
                Some(doc) = flight.asks.recv() => self.asked(flight, &mut parking, doc).await,
                () = self.cancelled.notified() => {
                    self.cancel(flight, "the caller has cancelled it").await;
                    self.leg.end().await;
                    Turn::Done(Ending::Cancelled)
                }
                // A modern caller cancels by hanging up; while it is asked it has no connection.
                () = self.leg.reply.closed(), if modern && !parking.is_parked() => {
                    self.cancel(flight, "the caller has hung up").await;
                    Turn::Done(Ending::Cancelled)
                }
                () = gathered(gathering), if gathering.is_some() => self.park(&mut parking).await,
                () = sleep(limits::MCP_PARKED_TOUCH), if parking.is_parked() => {
                    // The server waits for us, so it is not the one who is silent.
                    if let Link::Pipe(link) = &flight.channel.link {
                        link.touch(flight.id);
                    }
                    Turn::On
                }
                resumed = parking.resumed(), if parking.is_parked() => match resumed {
                    Some(resume) => self.resume(flight, &mut parking, resume).await,
                    None => {
                        self.cancel(flight, "nobody answered what was asked").await;
                        Turn::Done(Ending::Cancelled)
                    }
                },
            };
            if !matches!(turn, Turn::On) {
                self.leave_open(flight, &mut parking).await;
                return turn;
            }
        }
    }

    async fn take(&mut self, flight: &mut Flight, parking: &mut Parking, incoming: Incoming) -> Turn {
        if let (Some(drive), Incoming::Message(_)) = (&mut flight.drive, &incoming) {
            drive.heard();
        }
        match incoming {
            Incoming::Head { status, .. } => {
                flight.status = status;
                Turn::On
            }
            Incoming::EventId(_) | Incoming::Retry(_) | Incoming::TooLarge(_) => Turn::On,
            // The task goes on without anyone who waits for its result: it is looked at again.
            Incoming::Failed(failure) if let Some(drive) = &mut flight.drive => {
                let step = drive.missed(failure);
                self.look_after(flight, step).await
            }
            Incoming::Failed(Failure::Status { status: 404, .. }) if flight.channel.session.is_some() => {
                // The session is gone, so the call has not run: once more with another.
                flight.channel.closed.set(true);
                Turn::Again
            }
            Incoming::Failed(failure) => {
                let unsent = failure.is_unsent();
                let may_repeat = self.peer.server.trusted && self.target.repeatable;
                if unsent || (may_repeat && matches!(failure, Failure::Ended)) {
                    return Turn::Again;
                }
                if matches!(failure, Failure::TimedOut) {
                    self.cancel(flight, "it has taken too long").await;
                }
                Turn::Done(self.fail(&failure).await)
            }
            Incoming::Message(doc) => {
                let Ok(read) = message::read(&doc) else {
                    return Turn::Done(self.fail(&Failure::Garbage("no JSON-RPC message".into())).await);
                };
                flight.answered = read.is_response();
                match read.kind {
                    Kind::Result => self.result(flight, doc, &read).await,
                    Kind::Error if self.wants_other_headers(flight, &doc, &read).await => Turn::Again,
                    Kind::Error => Turn::Done(self.error(flight, doc, &read).await),
                    Kind::Request => self.asked(flight, parking, doc).await,
                    Kind::Notification => {
                        self.notification(doc, &read).await;
                        Turn::On
                    }
                }
            }
        }
    }

    /// Passes on what belongs to the call: progress under the caller's own token, log lines that it wants.
    async fn notification(&self, doc: Vec<u8>, read: &Message) {
        match read.method {
            Method::Progress => {
                self.tell_followers(&doc);
                let Some(token) = &self.leg.progress else { return };
                let Ok(params) = message::params(&doc, read) else { return };
                let Some(place) = params.progress_token else { return };
                let mut edits = Edits::new(&doc);
                if edits.replace(place, token).is_ok() {
                    self.leg.event(edits.finish()).await;
                }
            }
            Method::Message => {
                let Ok(params) = message::params(&doc, read) else { return };
                let level = params.level.and_then(|level| message::text(&doc, level));
                let level = level.and_then(|level| Level::parse(&level));
                let wanted = match (self.caller.log_level, level) {
                    (Some(wanted), Some(level)) => level.reaches(wanted),
                    (None, _) => !self.caller.version.is_modern(),
                    (Some(_), None) => false,
                };
                if wanted {
                    self.leg.event(doc).await;
                }
            }
            _ => {}
        }
    }

    async fn result(&mut self, flight: &mut Flight, doc: Vec<u8>, read: &Message) -> Turn {
        let (Some(id), Some(place)) = (read.id.clone(), read.result.clone()) else { return Turn::On };
        let result = doc.get(place.clone()).unwrap_or_default();
        if let Some(turn) = self.becomes_task(flight, result).await {
            self.is_alone();
            return turn;
        }
        let (from_modern, to_modern) = (flight.channel.version.is_modern(), self.caller.version.is_modern());
        let kind = if from_modern { results::result_type(result) } else { Ok(ResultType::Complete) };
        let Ok(kind) = kind else {
            return Turn::Done(self.fail(&Failure::Garbage("a result of no known type".into())).await);
        };
        if from_modern && !to_modern && kind == ResultType::InputRequired {
            self.is_alone();
            return match rounds::ask_all(self, result).await {
                Ok(input) => Turn::Input(input),
                Err(rounds::Unasked::Cancelled) => {
                    self.leg.end().await;
                    Turn::Done(Ending::Cancelled)
                }
                Err(rounds::Unasked::Told(result)) => {
                    self.leg.result(&result).await;
                    Turn::Done(Ending::Failed)
                }
            };
        }
        let method = self.question.method.name();
        let adapted = match (from_modern, to_modern) {
            (false, true) => results::result_for_modern(result, ResultKind::of(method)),
            (true, false) => results::result_for_legacy(result),
            _ => Ok(Cow::Borrowed(result)),
        };
        let Ok(adapted) = adapted else {
            return Turn::Done(self.fail(&Failure::Garbage("a result that is no object".into())).await);
        };
        let adapted = tasks::outwards(self, adapted, kind);
        let adapted = match &flight.drive {
            Some(_) => match without_related_task(&adapted) {
                Ok(plain) => Cow::Owned(plain.into_owned()),
                Err(_fault) => adapted,
            },
            None => adapted,
        };
        let mut edits = Edits::new(&doc);
        let mut edited = edits.replace(id, &self.leg.id);
        if *adapted != *result {
            edited = edited.and_then(|()| edits.replace(place, &adapted));
        }
        if edited.is_err() {
            return Turn::Done(self.fail(&Failure::Garbage("an id inside of a result".into())).await);
        }
        let body = edits.finish();
        let is_error = tasks::is_error(result);
        if kind == ResultType::Complete {
            self.kept = Some(body.clone());
        }
        self.leg.send(200, body, direct::failed(is_error)).await;
        Turn::Done(Ending::Result { is_error })
    }

    /// Whether a modern server misses headers that its tool has come to want since it was listed: then it has
    /// done nothing, and the call is made once more by the definition that holds now.
    async fn wants_other_headers(&mut self, flight: &Flight, doc: &[u8], read: &Message) -> bool {
        let Some(tool) = self.target.tool.clone().filter(|_| flight.channel.version.is_modern()) else {
            return false;
        };
        let raw = read.error.clone().and_then(|place| doc.get(place)).unwrap_or_default();
        if errors::error_code(raw) != Ok(rpc::HEADER_MISMATCH) {
            return false;
        }
        let Some(lists) = refresh::anew(self.hub, self.peer).await else { return false };
        let now = lists.tools.items.iter().find(|item| item.key() == tool.key());
        let Some(now) = now.filter(|now| now.param_headers() != tool.param_headers()) else { return false };
        self.target.tool = Some(std::sync::Arc::clone(now));
        true
    }

    async fn error(&self, flight: &Flight, doc: Vec<u8>, read: &Message) -> Ending {
        let Some(place) = read.error.clone() else { return self.fail(&Failure::Ended).await };
        let raw = doc.get(place.clone()).unwrap_or_default();
        let method = self.question.method.name();
        let adapted = match (flight.channel.version.is_modern(), self.caller.version.is_modern()) {
            (false, true) => {
                let pages = park::takes_pages(&self.caller.capabilities);
                match errors::error_for_modern(raw, method, pages) {
                    Ok(ForModern::Error(error)) => Ok(error),
                    Ok(ForModern::Visit(visits)) => {
                        let Some(result) = park::visit_first(self, &visits) else {
                            return self.fail(&Failure::Ended).await;
                        };
                        self.leg.result(&result).await;
                        return Ending::Result { is_error: false };
                    }
                    Err(fault) => Err(fault),
                }
            }
            (true, true) => errors::error_between_modern(raw, method),
            (true, false) => errors::error_for_legacy(raw, method),
            (false, false) => Ok(Cow::Borrowed(raw)),
        };
        let Ok(adapted) = adapted else {
            return self.fail(&Failure::Garbage("an error that is no error object".into())).await;
        };
        let mut body = Vec::with_capacity(adapted.len() + 64);
        failures::write_raw_error(&mut body, &self.leg.id, &adapted);
        let code = errors::error_code(&adapted).unwrap_or_default();
        let status = match flight.status {
            _ if !self.caller.version.is_modern() => 200,
            // What these say of the request the caller has to know; others concern our own credential.
            passed @ (400 | 404) => passed,
            _ => failures::status_of(code),
        };
        self.leg.send(status, body, format!("the server answered with error {code}")).await;
        Ending::Error
    }

    /// A server's own question, on the call's stream or beside it.
    async fn asked(&self, flight: &mut Flight, parking: &mut Parking, doc: Vec<u8>) -> Turn {
        let Ok(read) = message::read(&doc) else { return Turn::On };
        if read.kind == Kind::Notification {
            self.notification(doc, &read).await;
            return Turn::On;
        }
        if read.method != Method::Ping {
            self.is_alone();
        }
        let server_id = read.id.clone().and_then(|id| doc.get(id)).unwrap_or_default().to_vec();
        let params = read.params.clone().and_then(|params| doc.get(params)).map(<[u8]>::to_vec);
        let ours = self.question.text(self.question.params.task_id.as_ref());
        let (params, task) = tasks::noted(ours.as_deref(), params);
        let method = InputMethod::parse(read.method.name());
        let declared = CapabilitySet::read(&self.caller.capabilities).unwrap_or_default();
        let declared = self.peer.may_be_asked(declared);
        let may = method.filter(|method| {
            CapabilitySet::needed(*method, params.as_deref()).is_ok_and(|needed| declared.has(needed))
        });
        let Some(method) = may else {
            let mut body = Vec::new();
            if read.method == Method::Ping {
                rpc::write_result(&mut body, &server_id, b"{}");
            } else {
                let error = RpcError::method_not_found(read.method.name());
                rpc::write_error(&mut body, Some(&server_id), &error);
            }
            flight.channel.tell(self.permit, body, "").await;
            return Turn::On;
        };
        if let Some(drive) = &mut flight.drive {
            drive.heard();
        }
        let params = match params {
            None => None,
            Some(params) => match self.leg.question(params).await {
                Some(params) => Some(params),
                None => {
                    let mut body = Vec::new();
                    rpc::write_error(&mut body, Some(&server_id), &RpcError::not_allowed(watch::UNSAID));
                    flight.channel.tell(self.permit, body, "").await;
                    return Turn::On;
                }
            },
        };
        let asked = park::Asked { server_id, method, params, task };
        if self.caller.version.is_modern() {
            parking.ask(asked);
        } else {
            rounds::pass_on(self, &flight.channel, asked).await;
        }
        Turn::On
    }

    /// Answers the caller's request with what it has to find out, and waits for its retry.
    async fn park(&self, parking: &mut Parking) -> Turn {
        match parking.park(self.hub, self.caller, &self.question, &self.peer.server.name) {
            Ok(result) => {
                self.leg.result(&result).await;
                Turn::On
            }
            Err(error) => {
                self.leg.refuse(self.caller, &error).await;
                Turn::Done(Ending::Failed)
            }
        }
    }

    /// Hands the caller's answers to the server and takes the retry for the request.
    async fn resume(&mut self, flight: &mut Flight, parking: &mut Parking, resume: Resume) -> Turn {
        self.leg = resume.leg;
        if let Some(drive) = &mut flight.drive {
            drive.heard();
        }
        let retry = match input::read_retry(&resume.params) {
            Ok(retry) => retry,
            Err(fault) => {
                let error = RpcError::invalid_params(format!("inputResponses: {fault}"));
                self.leg.refuse(self.caller, &error).await;
                parking.wait_again();
                return Turn::On;
            }
        };
        for (server_id, answer) in parking.answered(&retry) {
            let mut body = Vec::new();
            rpc::write_result(&mut body, &server_id, &answer);
            let headers = flight.channel.headers("", None);
            let out = Outbound { id: 0, body, headers, resumable: false };
            if let Err(failure) = flight.channel.link.post(self.permit, out).await {
                return Turn::Done(self.fail(&failure).await);
            }
        }
        if parking.has_open() { self.park(parking).await } else { Turn::On }
    }

    /// Tells the server that nobody will answer what it has asked and did not wait for.
    async fn leave_open(&self, flight: &mut Flight, parking: &mut Parking) {
        events::refuse_unread(&flight.channel, self.permit, &mut flight.asks).await;
        for server_id in parking.unanswered() {
            let error = RpcError::invalid_request(events::ENDED);
            let mut body = Vec::new();
            rpc::write_error(&mut body, Some(&server_id), &error);
            flight.channel.tell(self.permit, body, "").await;
        }
    }

    /// Tells the server that nobody waits any more. Over HTTP a modern one learns it by the end of the
    /// connection, which dropping the messages brings about.
    pub(super) async fn cancel(&self, flight: &Flight, why: &str) {
        let modern_http = flight.channel.version.is_modern() && matches!(flight.channel.link, Link::Http(_));
        if modern_http {
            return;
        }
        if let Some(drive) = &flight.drive {
            return tasks::give_up(self.hub, &flight.channel, self.permit, &drive.id);
        }
        let method = "notifications/cancelled";
        let params = format!("{{\"requestId\":{},\"reason\":\"{why}\"}}", flight.id);
        let mut body = Vec::new();
        rpc::write_notification(&mut body, method, Some(params.as_bytes()));
        flight.channel.tell(self.permit, body, method).await;
    }

    /// Tells the caller that the call failed on its way: what happened, and whether it may have run.
    pub(super) async fn fail(&self, failure: &Failure) -> Ending {
        let error = failures::told(self.peer.server.name.as_str(), failure);
        self.hub.metrics.borrow_mut().mcp.failed(&self.peer.server.name, failures::name(failure));
        self.leg.fail(self.caller, &error).await;
        Ending::Failed
    }
}

/// Waits until no more questions are waited for.
async fn gathered(until: Option<Instant>) {
    if let Some(until) = until {
        sleep_until(until.into()).await;
    }
}

/// When a call began, for its duration.
pub(super) fn since(begun: Instant) -> std::time::Duration {
    clock::now().saturating_duration_since(begun)
}
