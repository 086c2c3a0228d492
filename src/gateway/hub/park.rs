//! Parked calls: a legacy server has asked something in the middle of a call, and a modern caller learns it
//! by an `input_required` result. The call waits here until the caller's retry brings the answers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep_until;

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::run::Run;
use crate::gateway::hub::tasks;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::bridge::errors::Visit;
use crate::mcp::bridge::rounds::{self, InputMethod, InputRequest, Retry};
use crate::mcp::rpc::RpcError;

/// What a server has asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The id that the server waits for, as written.
    pub(super) server_id: Vec<u8>,
    pub(super) method: InputMethod,
    /// `params`, as written.
    pub(super) params: Option<Vec<u8>>,
    /// The server's id of the task that it belongs to.
    pub(super) task: Option<String>,
}

/// A caller's retry of a parked call.
pub(super) struct Resume {
    pub(super) leg: Leg,
    /// Its `params`, as written.
    pub(super) params: Vec<u8>,
}

/// Where retries find their calls.
#[derive(Default)]
pub(super) struct Lot(RefCell<HashMap<u64, Waiting>>);

/// The key behind a parked call, and the way to it.
type Waiting = (Arc<str>, Sender<Resume>);

impl Lot {
    /// Hands a retry to its call; gives it back when there is none any more.
    pub(super) fn resume(&self, handle: u64, resume: Resume) -> Result<(), Box<Resume>> {
        let held = self.0.borrow();
        match held.get(&handle) {
            Some((_, call)) => call.try_send(resume).map_err(|unsent| match unsent {
                tokio::sync::mpsc::error::TrySendError::Full(resume)
                | tokio::sync::mpsc::error::TrySendError::Closed(resume) => Box::new(resume),
            }),
            None => Err(Box::new(resume)),
        }
    }

    /// How many calls are parked.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// Whatever ends a call, nothing finds it any more.
impl Drop for Place {
    fn drop(&mut self) {
        self.lot.0.borrow_mut().remove(&self.handle);
    }
}

/// The questions of one call.
#[derive(Default)]
pub(super) struct Parking {
    /// What has been asked and not been answered, under the keys that the caller sees.
    open: Vec<(String, Asked)>,
    count: usize,
    place: Option<Place>,
    /// Until when further questions are waited for: a server asks several things at once one after another.
    gathering: Option<Instant>,
}

struct Place {
    lot: Rc<Lot>,
    handle: u64,
    retries: Receiver<Resume>,
    until: Instant,
    /// Whether the caller has been told and its retry is awaited.
    waiting: bool,
}

impl Parking {
    /// Takes a question.
    pub(super) fn ask(&mut self, asked: Asked) {
        self.count += 1;
        self.open.push((format!("input-{}", self.count), asked));
        if !self.is_parked() && self.gathering.is_none() {
            self.gathering = Some(clock::now() + limits::MCP_GATHER);
        }
    }

    /// Until when further questions are waited for before the caller is told.
    pub(super) const fn gathering(&self) -> Option<Instant> {
        self.gathering
    }

    /// Whether the caller's retry is awaited.
    pub(super) fn is_parked(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.waiting)
    }

    /// Whether a question is still without an answer.
    pub(super) const fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Writes the result that tells the caller what is asked, and begins to wait for its retry.
    ///
    /// # Errors
    /// When too many calls are parked already.
    pub(super) fn park(
        &mut self,
        hub: &Hub,
        caller: &Caller,
        question: &Question,
        server: &ServerName,
    ) -> Result<Vec<u8>, RpcError> {
        self.gathering = None;
        let key_id = &caller.principal.key_id;
        let until = clock::now() + limits::MCP_PARKED_DEADLINE;
        let place = match &mut self.place {
            Some(place) => place,
            None => {
                let mut lot = hub.parked.0.borrow_mut();
                let own = lot.values().filter(|(owner, _)| owner == key_id).count();
                if own >= limits::MCP_PARKED_OF_KEY_MAX || lot.len() >= limits::MCP_PARKED_MAX {
                    let text = "too many calls wait for your answers; answer or cancel some first";
                    return Err(RpcError::overloaded(text));
                }
                let handle = hub.random();
                let (sender, retries) = channel(1);
                lot.insert(handle, (Arc::clone(key_id), sender));
                drop(lot);
                let lot = Rc::clone(&hub.parked);
                self.place.insert(Place { lot, handle, retries, until, waiting: true })
            }
        };
        place.until = until;
        place.waiting = true;
        let requests: Vec<InputRequest<'_>> = self
            .open
            .iter()
            .map(|(key, asked)| InputRequest {
                key: key.into(),
                method: asked.method,
                params: asked.params.as_deref().map(|params| {
                    rounds::request_for_modern(params).unwrap_or(std::borrow::Cow::Borrowed(params))
                }),
            })
            .collect();
        let binding = binding(caller, question, server);
        let expires = hub.wall_s() + limits::MCP_PARKED_DEADLINE.as_secs();
        let state = hub.seal.seal("call", &[&binding], expires, &place.handle.to_le_bytes());
        let state = state.map_err(|_fault| RpcError::internal())?;
        Ok(rounds::write_input_required(&requests, Some(&state)))
    }

    /// The caller's retry; `None` when it has not come in time.
    pub(super) async fn resumed(&mut self) -> Option<Resume> {
        let place = self.place.as_mut()?;
        let resumed = tokio::select! {
            resumed = place.retries.recv() => resumed,
            () = sleep_until(place.until.into()) => None,
        };
        place.waiting = false;
        resumed
    }

    /// Goes on waiting: the retry was none.
    pub(super) fn wait_again(&mut self) {
        if let Some(place) = &mut self.place {
            place.waiting = true;
        }
    }

    /// Gives up the open questions: the ids that the server waits for, as written.
    pub(super) fn unanswered(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.open.drain(..).map(|(_, asked)| asked.server_id)
    }

    /// Takes the answers that are there to open questions: what each request of the server gets.
    pub(super) fn answered(&mut self, retry: &Retry<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut answered = Vec::new();
        self.open.retain(|(key, asked)| match rounds::answer(retry, key, asked.method) {
            Some(answer) => {
                let answer = tasks::answer(answer.to_vec(), asked.task.as_deref());
                answered.push((asked.server_id.clone(), answer));
                false
            }
            None => true,
        });
        answered
    }
}

/// What a sealed state is bound to: who, where, and the very request.
pub(super) fn binding(caller: &Caller, question: &Question, server: &ServerName) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(caller.principal.key_id.as_bytes());
    part(server.as_str().as_bytes());
    part(question.method.name().as_bytes());
    let named = question.params.name.as_ref().or(question.params.uri.as_ref());
    part(question.at(named).unwrap_or_default());
    // By meaning, not by spelling: a client may write its arguments anew.
    let arguments = question.at(question.params.arguments.as_ref()).unwrap_or(b"{}");
    let meaning: serde_json::Value = serde_json::from_slice(arguments).unwrap_or_default();
    part(meaning.to_string().as_bytes());
    hash.finalize().to_vec()
}

/// Whether a modern caller takes pages to visit.
pub(super) fn takes_pages(capabilities: &[u8]) -> bool {
    CapabilitySet::read(capabilities).unwrap_or_default().has(CapabilitySet::URL)
}

/// The result for a modern caller when a legacy server wants pages visited first. There is no call to park:
/// the retry calls anew.
pub(super) fn visit_first(run: &Run<'_>, visits: &[Visit]) -> Option<Vec<u8>> {
    let keys: Vec<String> = (1..=visits.len()).map(|count| format!("page-{count}")).collect();
    let requests: Vec<InputRequest<'_>> = keys
        .iter()
        .zip(visits)
        .map(|(key, visit)| InputRequest {
            key: key.into(),
            method: InputMethod::Elicit,
            params: Some(visit.params.as_slice().into()),
        })
        .collect();
    let binding = binding(run.caller, &run.question, &run.peer.server.name);
    let expires = run.hub.wall_s() + limits::MCP_PARKED_DEADLINE.as_secs();
    let state = run.hub.seal.seal("url", &[&binding], expires, b"").ok()?;
    Some(rounds::write_input_required(&requests, Some(&state)))
}

/// What a retry's state says.
pub(super) enum State {
    /// The parked call to go on with.
    Parked(u64),
    /// Nothing is parked: the call is made anew.
    Anew,
}

/// Opens a retry's state.
///
/// # Errors
/// -32602 when it is not ours, of another caller, of another request or too old.
pub(super) fn open(
    hub: &Rc<Hub>,
    caller: &Caller,
    question: &Question,
    server: &ServerName,
    state: &str,
) -> Result<State, RpcError> {
    let binding = binding(caller, question, server);
    let now = hub.wall_s();
    if let Ok(payload) = hub.seal.open("call", &[&binding], now, state.as_bytes())
        && let Ok(handle) = <[u8; 8]>::try_from(payload.as_slice())
    {
        return Ok(State::Parked(u64::from_le_bytes(handle)));
    }
    if hub.seal.open("url", &[&binding], now, state.as_bytes()).is_ok() {
        return Ok(State::Anew);
    }
    Err(RpcError::invalid_params("requestState is not valid for this request, or too old"))
}
