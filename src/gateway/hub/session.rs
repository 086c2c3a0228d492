//! Sessions of legacy callers: what `initialize` settled, and what is open between the two sides.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, oneshot};

use crate::gateway::hub::ask::Reply;
use crate::gateway::hub::growth::Growth;
use crate::gateway::marks::Marks;
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::bridge::levels::Level;
use crate::mcp::lean::results::Texts;
use crate::mcp::version::Version;

/// One session.
pub(super) struct Session {
    /// Its id, as the caller presents it.
    pub(super) id: String,
    /// The key that opened it; no other may use it.
    pub(super) key_id: std::sync::Arc<str>,
    /// The one who opened it.
    pub(super) who: std::sync::Arc<Principal>,
    /// The server that its address named.
    pub(super) scope: Option<ServerName>,
    /// The revision that was agreed upon.
    pub(super) version: Version,
    /// The caller's `capabilities`, as written.
    pub(super) capabilities: Vec<u8>,
    /// The caller's `clientInfo`, as written.
    pub(super) client_info: Vec<u8>,
    /// From `logging/setLevel`.
    pub(super) log_level: Cell<Option<Level>>,
    /// When it was last heard of.
    pub(super) heard: Cell<Instant>,
    /// The stream of unsolicited messages, when one is open.
    pub(super) stream: RefCell<Option<Sender<Reply>>>,
    /// Whether answers leave on `stream` alone: HTTP+SSE.
    pub(super) one_stream: bool,
    /// Requests of servers that wait for the caller's response, by our id for them.
    pub(super) asked: RefCell<HashMap<u64, oneshot::Sender<Vec<u8>>>>,
    /// Calls that run, by the caller's id as written: how they are cancelled.
    pub(super) calls: RefCell<HashMap<Vec<u8>, Rc<Notify>>>,
    /// Resources that it has subscribed to.
    pub(super) subscribed: RefCell<HashSet<(ServerName, String)>>,
    /// What it was told of asking.
    pub(super) marks: RefCell<Marks>,
    /// What its list of tools has grown by.
    pub(super) growth: Growth,
    /// The large texts that it was given in results.
    pub(super) texts: Rc<RefCell<Texts>>,
}

impl Session {
    /// Hands a message to the stream of unsolicited ones; lost, and false, when none is open or it is full,
    /// as the transport allows.
    pub(super) fn tell(&self, message: Vec<u8>) -> bool {
        let stream = self.stream.borrow();
        stream.as_ref().is_some_and(|stream| stream.try_send(Reply::Event(message)).is_ok())
    }

    /// Remembers a question to the caller; `None` when too many are open.
    pub(super) fn ask(&self, id: u64) -> Option<oneshot::Receiver<Vec<u8>>> {
        let mut asked = self.asked.borrow_mut();
        asked.retain(|_, waiting| !waiting.is_closed());
        if asked.len() >= limits::MCP_ASKED_MAX {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        asked.insert(id, answer);
        Some(answered)
    }

    /// Takes the caller's response to one of our questions.
    pub(super) fn answer(&self, id: u64, response: Vec<u8>) {
        if let Some(waiting) = self.asked.borrow_mut().remove(&id) {
            // Whoever asked may have given up.
            drop(waiting.send(response));
        }
    }
}

/// All sessions, by id.
#[derive(Default)]
pub(super) struct Sessions(RefCell<HashMap<String, Rc<Session>>>);

impl Sessions {
    /// Takes a new one in; false when there are too many, of this key or at all.
    pub(super) fn open(&self, session: Rc<Session>) -> bool {
        let mut all = self.0.borrow_mut();
        let own = all.values().filter(|other| other.key_id == session.key_id).count();
        if own >= limits::MCP_SESSIONS_OF_KEY_MAX {
            // Clients that do not end their sessions leave them: the one that has rested longest gives way.
            let resting = all.values().filter(|other| {
                let streaming = other.stream.borrow().as_ref().is_some_and(|stream| !stream.is_closed());
                other.key_id == session.key_id && !streaming && other.calls.borrow().is_empty()
            });
            let oldest = resting.min_by_key(|other| other.heard.get()).map(|other| other.id.clone());
            match oldest {
                Some(id) => drop(all.remove(&id)),
                None => return false,
            }
        }
        if all.len() >= limits::MCP_SESSIONS_MAX {
            return false;
        }
        all.insert(session.id.clone(), session);
        true
    }

    /// The session of this id, when it belongs to `principal` and to this address.
    pub(super) fn find(
        &self,
        id: &str,
        principal: &Principal,
        scope: Option<&ServerName>,
    ) -> Option<Rc<Session>> {
        let all = self.0.borrow();
        let session = all.get(id)?;
        let fits = session.key_id == principal.key_id && session.scope.as_ref() == scope;
        fits.then(|| Rc::clone(session))
    }

    /// Puts a session in the place of the one of the same id.
    pub(super) fn replace(&self, session: Rc<Session>) {
        self.0.borrow_mut().insert(session.id.clone(), session);
    }

    /// Forgets a session; its stream ends and its calls are cancelled.
    pub(super) fn close(&self, id: &str) -> Option<Rc<Session>> {
        let session = self.0.borrow_mut().remove(id)?;
        for call in session.calls.borrow_mut().drain() {
            call.1.notify_one();
        }
        session.asked.borrow_mut().clear();
        if let Some(stream) = session.stream.borrow_mut().take() {
            drop(stream.try_send(Reply::End));
        }
        Some(session)
    }

    /// The sessions that nobody has used for `limits::MCP_SESSION_IDLE` and that hold no stream.
    pub(super) fn idle(&self, now: Instant) -> Vec<String> {
        let all = self.0.borrow();
        let idle = all.values().filter(|session| {
            let streaming = session.stream.borrow().as_ref().is_some_and(|stream| !stream.is_closed());
            let since = now.saturating_duration_since(session.heard.get());
            !streaming && session.calls.borrow().is_empty() && since > limits::MCP_SESSION_IDLE
        });
        idle.map(|session| session.id.clone()).collect()
    }

    /// The sessions that watch a resource; none are looked through when nobody does.
    pub(super) fn watching(&self, resource: &(ServerName, String)) -> Vec<Rc<Session>> {
        let all = self.0.borrow();
        let watching = all.values().filter(|session| session.subscribed.borrow().contains(resource));
        watching.cloned().collect()
    }

    /// Every session.
    pub(super) fn all(&self) -> Vec<Rc<Session>> {
        self.0.borrow().values().cloned().collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}
