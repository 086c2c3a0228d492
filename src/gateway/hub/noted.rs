//! Messages whose answers leave on another way than their own request: parts of a batch, and what comes over
//! HTTP+SSE. The hub itself writes down what came of them.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, Sender};

use crate::call::{Outcome, Written};
use crate::clock;
use crate::gateway::guard;
use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::{About, Final, Reply};
use crate::gateway::record::{self, kept};
use crate::identity::principal::Principal;
use crate::ids::{CallId, ServerName, TeamName};
use crate::ledger::content::Policy;
use crate::ledger::entry::{Entry, Kind};
use crate::ledger::record::Open;

/// Passes on the messages of one answer, and keeps the ledger: once a call is known to be one, it is opened,
/// and closed when its answer is there or will not come.
pub(super) async fn pass_on(
    hub: &Rc<Hub>,
    principal: &Arc<Principal>,
    mut replies: Receiver<Reply>,
    to: &Sender<Vec<u8>>,
) {
    let begun = clock::now();
    let mut entry: Option<Entry> = None;
    while let Some(one) = replies.recv().await {
        let message = match one {
            Reply::About(about) if entry.is_none() => {
                entry = entry_of(hub, principal, *about);
                if let (Some(entry), Some(accounts)) = (&entry, &hub.accounts) {
                    accounts.books.open(&Open::of(entry.clone(), 0)).await;
                }
                continue;
            }
            Reply::Charged(charged) => {
                if let Some(entry) = &mut entry {
                    (entry.cost_pico, entry.budgets) = (charged.cost_pico, charged.budgets);
                    "tool".clone_into(&mut entry.priced);
                }
                continue;
            }
            Reply::Marks(mark) => {
                if let Some(entry) = &mut entry {
                    guard::add_mark(&mut entry.marks, &mark);
                }
                continue;
            }
            Reply::Event(message) => message,
            Reply::Final(last) => {
                let Final { status, body, error, .. } = *last;
                if let Some(mut entry) = entry.take() {
                    entry.status = status;
                    entry.error = record::redacted(&error).into_owned();
                    entry.answer_bytes = body.len() as u64;
                    close(hub, entry, Outcome::Done, begun).await;
                }
                body
            }
            _ => continue,
        };
        // Whoever has left needs no answer, but the call goes on and is written down.
        drop(to.send(message).await);
    }
    if let Some(entry) = entry {
        close(hub, entry, Outcome::CallerGone, begun).await;
    }
}

async fn close(hub: &Hub, entry: Entry, outcome: Outcome, begun: std::time::Instant) {
    let took = clock::now().saturating_duration_since(begun);
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let entry = Entry { took_us, outcome: outcome.name().to_owned(), ..entry };
    if let Some(accounts) = &hub.accounts {
        accounts.books.close(&entry).await;
    }
}

/// What is known of a call when it begins; nothing for messages that the ledger does not have.
fn entry_of(hub: &Hub, principal: &Principal, about: About) -> Option<Entry> {
    let kind = about.kind()?;
    let id = CallId((u128::from(hub.random()) << 64) | u128::from(hub.random()));
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    // As records have it: the names of resources are those of files, and what is sought are words of a model.
    let off = hub.snapshot().contents.of(principal.team.as_ref()) == Policy::Off;
    let bounded = |text: &str| record::redacted(&kept(text.as_bytes())).into_owned();
    let name = if off && kind == Kind::ResourceRead { String::new() } else { bounded(&about.name) };
    Some(Entry {
        key: principal.key.as_str().to_owned(),
        key_id: principal.key_id.to_string(),
        team: text(principal.team.as_ref().map(TeamName::as_str)),
        user: text(principal.user.as_deref()),
        method: about.method.to_owned(),
        server: text(about.server.as_ref().map(ServerName::as_str)),
        tool: name,
        tool_hash: about.tool_hash,
        class: about.class,
        tool_use_id: kept(about.tool_use_id.as_bytes()),
        decision: record::redacted(&about.decision).into_owned(),
        marks: about.marks,
        sought: if off { String::new() } else { bounded(&about.sought) },
        mode: about.written.map_or("", Written::mode).to_owned(),
        mode_by: about.written.map_or("", Written::by).to_owned(),
        ..Entry::new(id, kind, clock::unix_ms(clock::wall()))
    })
}
