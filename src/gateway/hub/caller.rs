//! The caller's side of one request: who it is, what it declares, and where its answer goes.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::{About, Charged, Final, Reply};
use crate::gateway::hub::failures;
use crate::gateway::hub::session::Session;
use crate::gateway::sieve::Sieve;
use crate::gateway::trim::Trim;
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::mcp::auto::Client;
use crate::mcp::bridge::levels::Level;
use crate::mcp::doors::Door;
use crate::mcp::rpc::{self, RpcError};
use crate::mcp::version::Version;
use crate::mcp::view::View;

/// Who asks, and in which era.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) principal: Arc<Principal>,
    pub(super) version: Version,
    /// The server that the address named.
    pub(super) scope: Option<ServerName>,
    /// The session of a legacy caller.
    pub(super) session: Option<Rc<Session>>,
    /// The `clientCapabilities`, as written.
    pub(super) capabilities: Rc<[u8]>,
    /// Whether the client asks a person where the definition of a tool says so.
    pub(super) can_ask: bool,
    /// What the client is, by its own word.
    pub(super) client: Client,
    /// The least log level that it wants to hear of; `None` is all of a legacy and none of a modern caller.
    pub(super) log_level: Option<Level>,
}

impl Caller {
    /// It gets a page of the tools of this view; `first` where it is the first.
    pub(super) fn listed(&self, hub: &Hub, view: &View, first: bool) {
        match &self.session {
            Some(session) => {
                session.marks.borrow_mut().listed(view, first);
                if first {
                    session.texts.borrow_mut().listed(view.has_door(Door::More));
                }
            }
            None => hub.showcase.marked.listed(&self.principal, self.scope.as_ref(), view, first),
        }
    }

    /// Whether the list that it holds tells it to ask a person about this tool.
    pub(super) fn asks_about(&self, hub: &Hub, tool: &str) -> bool {
        match &self.session {
            Some(session) => session.marks.borrow().has(tool),
            None => hub.showcase.marked.has(&self.principal, self.scope.as_ref(), tool),
        }
    }
}

/// One HTTP request of a caller that waits for a response: a retry brings another.
pub(super) struct Leg {
    pub(super) reply: Sender<Reply>,
    /// The request's id, as written.
    pub(super) id: Vec<u8>,
    /// Its progress token, as written.
    pub(super) progress: Option<Vec<u8>>,
    /// What is done with what is found in its result.
    pub(super) sieve: Option<Sieve>,
    /// What is done to a result, by order of the config.
    pub(super) trim: Option<Trim>,
    /// The search that has found the tool which is called.
    pub(super) sought: String,
}

impl Leg {
    /// Says what the call is about.
    pub(super) async fn about(&self, mut about: About) {
        if about.sought.is_empty() {
            about.sought.clone_from(&self.sought);
        }
        // Whoever has hung up needs no telling, here and below.
        drop(self.reply.send(Reply::About(Box::new(about))).await);
    }

    /// Says what the call is charged, where that is anything.
    pub(super) async fn charged(&self, charged: Charged) {
        if charged.cost_pico > 0 {
            drop(self.reply.send(Reply::Charged(charged)).await);
        }
    }

    /// Sends a notification of the server that belongs to the call.
    pub(super) async fn event(&self, message: Vec<u8>) {
        let message = match &self.sieve {
            None => Some(message),
            Some(sieve) => {
                let sifted = sieve.notification(message);
                self.mark(sifted.mark).await;
                sifted.said
            }
        };
        if let Some(message) = message {
            drop(self.reply.send(Reply::Event(message)).await);
        }
    }

    /// `params` of what the server wants to know, as the caller may read them; nothing where it may not.
    pub(super) async fn question(&self, params: Vec<u8>) -> Option<Vec<u8>> {
        let Some(sieve) = &self.sieve else { return Some(params) };
        let sifted = sieve.question(params);
        self.mark(sifted.mark).await;
        sifted.said
    }

    /// Adds what the ledger is told of the call.
    pub(super) async fn mark(&self, mark: String) {
        if !mark.is_empty() {
            drop(self.reply.send(Reply::Marks(mark)).await);
        }
    }

    /// Answers with a result.
    pub(super) async fn result(&self, result: &[u8]) {
        let mut body = Vec::with_capacity(result.len() + self.id.len() + 40);
        rpc::write_result(&mut body, &self.id, result);
        self.send(200, body, String::new()).await;
    }

    /// Answers with an error in words of ours.
    pub(super) async fn refuse(&self, caller: &Caller, error: &RpcError) {
        let last = self.written(caller, error);
        self.mark(self.sieve.as_ref().map(Sieve::rest).unwrap_or_default()).await;
        drop(self.reply.send(Reply::Final(Box::new(last))).await);
    }

    /// Answers with an error that has words of the server in it.
    pub(super) async fn fail(&self, caller: &Caller, error: &RpcError) {
        let Final { status, body, error, .. } = self.written(caller, error);
        self.send(status, body, error).await;
    }

    fn written(&self, caller: &Caller, error: &RpcError) -> Final {
        let mut body = Vec::with_capacity(256);
        rpc::write_error(&mut body, Some(&self.id), error);
        // A legacy caller reads the error where it reads results.
        let status = if caller.version.is_modern() { failures::status_of(error.code) } else { 200 };
        Final { status, session: None, body, error: error.message.to_string() }
    }

    /// Answers with a whole message of the server.
    pub(super) async fn send(&self, status: u16, body: Vec<u8>, error: String) {
        let mut last = Final { status, session: None, body, error };
        if let Some(sieve) = &self.sieve {
            let (mark, sifted) = sieve.last(&self.id, last);
            self.mark(mark).await;
            last = sifted;
        }
        if let Some((mark, body)) = self.trim.as_ref().and_then(|trim| trim.last(&last)) {
            self.mark(mark).await;
            last.body = body;
        }
        drop(self.reply.send(Reply::Final(Box::new(last))).await);
    }

    /// Ends without an answer.
    pub(super) async fn end(&self) {
        self.mark(self.sieve.as_ref().map(Sieve::rest).unwrap_or_default()).await;
        // Whoever has hung up as well needs no end.
        drop(self.reply.send(Reply::End).await);
    }
}
