//! One call of a script: it goes the way of all calls, and the ledger has it under the true name of its tool.

use std::rc::Rc;

use tokio::sync::Notify;
use tokio::sync::mpsc::channel;

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::calls;
use crate::gateway::hub::channel::OUR_INFO;
use crate::gateway::hub::code::run::give_way;
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::listing;
use crate::gateway::hub::noted;
use crate::json::write_string;
use crate::limits;
use crate::mcp::bridge::capabilities::{ClientFacts, params_for_modern};
use crate::mcp::code;
use crate::mcp::definition::ItemKind;
use crate::mcp::fault::Fault;
use crate::mcp::message::{self, TOOL_USE_ID};
use crate::mcp::method::Method;
use crate::mcp::rpc;
use crate::mcp::version::Version;

/// Who the calls of a script are made for.
pub(super) struct Inner {
    pub(super) hub: Rc<Hub>,
    caller: Caller,
    /// What the call of the script is known by.
    of: String,
}

impl Inner {
    /// The calls of a script that `caller` runs. They can ask nobody anything.
    pub(super) fn new(hub: &Rc<Hub>, caller: &Caller, of: String) -> Self {
        let caller = Caller {
            version: Version::V2026_07_28,
            session: None,
            capabilities: b"{}".as_slice().into(),
            can_ask: false,
            log_level: None,
            ..caller.clone()
        };
        Self { hub: Rc::clone(hub), caller, of }
    }

    /// Makes a call; what it gives the script, as JSON.
    ///
    /// # Errors
    /// What the script is told.
    pub(super) async fn make(
        &self,
        (id, name): (u32, &str),
        arguments: &str,
        cancelled: Rc<Notify>,
    ) -> Result<Vec<u8>, String> {
        let (hub, caller) = (&self.hub, &self.caller);
        let question = self.question(id, name, arguments)?;
        give_way(arguments.len()).await;
        let scope = caller.scope.as_ref();
        // Looked at for each call: rights and tools may have changed since the last.
        let patience = listing::patience(scope, false);
        let seen = listing::seen(hub, caller, scope, patience).await;
        let gone = || "what this script was run with is not valid any more".to_owned();
        let seen = seen.filter(|_| self.may_stay()).ok_or_else(gone)?;
        let entry = seen.view.find(ItemKind::Tool, name);
        let asks = entry.is_some_and(|entry| entry.asks);
        let (reply, replies) = channel(limits::MCP_MESSAGES_MAX);
        let (to, mut messages) = channel(limits::MCP_MESSAGES_MAX);
        let sought = hub.finder.sought(caller, name);
        let leg = Leg { reply, id: b"1".to_vec(), progress: None, sieve: None, trim: None, sought };
        let noted = async move { noted::pass_on(hub, &caller.principal, replies, &to).await };
        let last = async {
            let mut last = None;
            while let Some(message) = messages.recv().await {
                last = Some(message);
            }
            last
        };
        let call = Box::pin(calls::call(hub, caller, leg, question, &seen, cancelled));
        let ((), (), last) = tokio::join!(call, noted, last);
        let response = last.ok_or_else(|| "the call was given up".to_owned())?;
        hub.scripts.begin_frame(response.len() / limits::CODE_GIVEN_PARTS).await;
        code::given(&response).map_err(|why| match asks {
            true => format!(
                "a person has to be asked before each call of {name}, and nobody can be asked inside of a \
                 script: call it by its own name"
            ),
            false => why,
        })
    }

    /// Whether who runs the script may still do so.
    fn may_stay(&self) -> bool {
        let (who, snapshot) = (&self.caller.principal, self.hub.snapshot());
        let now_ms = clock::unix_ms(clock::wall());
        let known = match &who.issuer {
            None => snapshot.keys.ids(now_ms).any(|id| id == who.key_id),
            Some(issuer) => snapshot.identity.knows(issuer) && !snapshot.identity.is_out(who),
        };
        known && !who.has_expired(now_ms)
    }

    /// The call as a message. Its id of use is another for each call of a script, and the same when the
    /// script is run once more under its own: what has been done already is then told again.
    fn question(&self, id: u32, name: &str, arguments: &str) -> Result<Question, String> {
        let mut params = Vec::with_capacity(arguments.len() + 512);
        params.extend_from_slice(b"{\"name\":");
        write_string(&mut params, name);
        params.extend_from_slice(b",\"arguments\":");
        params.extend_from_slice(arguments.as_bytes());
        params.extend_from_slice(b",\"_meta\":{");
        write_string(&mut params, TOOL_USE_ID);
        params.push(b':');
        write_string(&mut params, &format!("{}#{id}", self.of));
        params.extend_from_slice(b"}}");
        let facts = ClientFacts {
            version: self.caller.version,
            capabilities: &self.caller.capabilities,
            client_info: Some(OUR_INFO.as_bytes()),
            log_level: None,
        };
        let params = params_for_modern(Some(&params), &facts, None).map_err(|fault| fault.to_string())?;
        let mut doc = Vec::with_capacity(params.len() + 64);
        rpc::write_request(&mut doc, 1, Method::ToolsCall.name(), Some(&params));
        let words = |fault: Fault| fault.rpc().message.to_string();
        let (read, params) = message::read_with_params(&doc).map_err(words)?;
        Ok(Question { params: params.map_err(words)?, method: read.method, doc, read })
    }
}
