//! What is held open for news, held against what its owner may see: after a reload nobody goes on hearing
//! of a server that is not theirs any more.

use std::collections::HashMap;
use std::rc::Rc;

use tokio::task::spawn_local;

use crate::config::identity::Identity;
use crate::config::snapshot::Snapshot;
use crate::gateway::hub::{Hub, listing, streams};
use crate::identity::principal::Principal;
use crate::ids::ServerName;

/// Ends streams and sessions at addresses of servers, and drops subscriptions to resources, where the right
/// to the server has gone; `before` is the config until now. Calls that are under way go on with the rules
/// that they began with.
pub(super) fn hold(hub: &Rc<Hub>, before: &Snapshot) {
    let sessions = hub.sessions.all();
    if sessions.is_empty() && hub.listeners.len() == 0 {
        return;
    }
    let now = hub.snapshot();
    let owners = Owners::of(&now, &before.identity);
    let has = |who: &Principal, server: &ServerName| {
        owners.now(who).zip(hub.peer(server)).is_some_and(|(who, peer)| listing::has(hub, &now, who, &peer))
    };
    // A stream that hears of less than it was promised would not know: it ends, and is opened anew.
    hub.listeners.keep(|listener| {
        let watched = listener.watched.iter().map(|(server, _)| server);
        watched.chain(&listener.scope).all(|server| has(&listener.who, server))
    });
    for session in sessions {
        if session.scope.as_ref().is_some_and(|server| !has(&session.who, server)) {
            hub.close_session(&session.id);
            continue;
        }
        let is_lost = |(server, _): &(ServerName, String)| !has(&session.who, server);
        let lost: Vec<_> = session.subscribed.borrow_mut().extract_if(is_lost).collect();
        for (server, uri) in lost {
            let hub = Rc::clone(hub);
            drop(spawn_local(async move { streams::change_watch(&hub, &server, &uri, false).await }));
        }
    }
}

/// Those who hold something open, as the config has them now.
struct Owners<'s> {
    keys: HashMap<&'s str, &'s Principal>,
    now: &'s Identity,
    before: &'s Identity,
}

impl<'s> Owners<'s> {
    fn of(now: &'s Snapshot, before: &'s Identity) -> Self {
        let keys = now.keys.principals().map(|key| (&*key.key_id, key)).collect();
        Self { keys, now: &now.identity, before }
    }

    /// The one that somebody is now; `None` where only another sign-in could tell.
    fn now<'w>(&self, who: &'w Principal) -> Option<&'w Principal>
    where
        's: 'w,
    {
        match &who.issuer {
            None => self.keys.get(&*who.key_id).copied(),
            Some(issuer) => {
                let terms = |identity: &'s Identity| {
                    let all = identity.issuers.iter().map(|one| &one.terms);
                    all.filter(|terms| terms.issuer == *issuer).collect::<Vec<_>>()
                };
                // Other terms could make another team of the same groups.
                (terms(self.now) == terms(self.before)).then_some(who)
            }
        }
    }
}
