//! What becomes of the tools that a server lists.

use crate::limits;
use crate::mcp::hints::{self, Neighbours};
use crate::mcp::pin::change::{Change, compare};
use crate::mcp::pin::fingerprint::Fingerprint;
use crate::mcp::pin::lock::Lock;
use crate::mcp::pin::{Event, FirstSight, How, Known, Pins, State, Version, What};

/// By what a server is judged.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// The server.
    pub server: &'a str,
    /// What becomes of what is new.
    pub first_sight: FirstSight,
    /// The lock file; where there is one, what is not in it is never let through.
    pub lock: Option<&'a Lock>,
    /// Now, in milliseconds since 1970.
    pub now_ms: u64,
}

/// A tool as its server lists it.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its definition.
    pub raw: &'a str,
}

/// How one listed tool goes on to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it is listed.
    AsListed,
    /// In the pinned bytes, which mean the same: prompts that are cached stay so.
    Pinned(String),
    /// In the pinned bytes; a call is refused, and the text says why.
    Held(String, String),
    /// Not at all; a call is refused, and the text says why.
    Unlisted(String),
}

impl Pins {
    /// Judges all tools of a server, in the order of its list. What has happened is among the events, and
    /// `self` differs from before exactly when something has to be kept.
    pub fn judge(&mut self, rule: &Rule<'_>, listed: &[Sight<'_>]) -> Vec<Standing> {
        let mut out = Vec::with_capacity(listed.len());
        let mut happened = Vec::new();
        let tools = self.servers.entry(rule.server.to_owned()).or_default();
        for sight in listed {
            let Ok(print) = Fingerprint::of(sight.raw.as_bytes()) else {
                out.push(Standing::Unlisted(format!("the definition of `{}` cannot be read", sight.name)));
                continue;
            };
            let full = tools.len() >= limits::PIN_TOOLS_OF_SERVER_MAX && !tools.contains_key(sight.name);
            if full {
                let most = limits::PIN_TOOLS_OF_SERVER_MAX;
                let text = format!("`{}` cannot be pinned: {most} tools of its server are", sight.name);
                out.push(Standing::Unlisted(text));
                continue;
            }
            let known = tools.entry(sight.name.to_owned()).or_default();
            let (standing, event) = judge_one(known, rule, sight, print);
            if let Some((what, old, detail)) = event {
                let event = Event {
                    number: 0,
                    at_ms: rule.now_ms,
                    what,
                    server: rule.server.to_owned(),
                    tool: sight.name.to_owned(),
                    old: old.map(|old| old.id()),
                    new: print.id(),
                    detail,
                    marks: String::new(),
                };
                happened.push((event, sight.raw));
            }
            out.push(standing);
        }
        if tools.is_empty() {
            self.servers.remove(rule.server);
        }
        if !happened.is_empty() {
            let marks: Vec<String> = {
                let neighbours = self.neighbours();
                let marked = happened.iter().map(|(event, raw)| {
                    hints::words(&hints::scan(&event.server, &event.tool, raw.as_bytes(), &neighbours))
                });
                marked.collect()
            };
            for ((event, _), marks) in happened.into_iter().zip(marks) {
                self.note(Event { marks, ..event });
            }
        }
        out
    }

    /// Whether all tools of a list are, byte for byte, what is pinned: then there is nothing to judge.
    pub fn is_settled(&self, rule: &Rule<'_>, listed: &[Sight<'_>]) -> bool {
        let Some(tools) = self.servers.get(rule.server) else { return listed.is_empty() };
        listed.iter().all(|sight| {
            tools.get(sight.name).is_some_and(|known| match (&known.pinned, &known.proposed) {
                (Some(pinned), None) => {
                    let locked = rule.lock.map(|lock| lock.get(rule.server, sight.name));
                    pinned.definition == sight.raw && locked.is_none_or(|locked| locked == Some(pinned.print))
                }
                _ => false,
            })
        })
    }

    /// All tools that are known, for the hint scanner.
    pub fn neighbours(&self) -> Neighbours<'_> {
        let all = self
            .servers
            .iter()
            .flat_map(|(server, tools)| tools.keys().map(move |tool| (server.as_str(), tool.as_str())));
        Neighbours::new(all)
    }
}

type Happened = Option<(What, Option<Fingerprint>, String)>;

fn judge_one(
    known: &mut Known,
    rule: &Rule<'_>,
    sight: &Sight<'_>,
    print: Fingerprint,
) -> (Standing, Happened) {
    let version = |how| Version { definition: sight.raw.to_owned(), print, at_ms: rule.now_ms, how };
    if let Some(lock) = rule.lock {
        let locked = lock.get(rule.server, sight.name);
        return by_lock(known, rule, sight, (print, locked));
    }
    let Some(pinned) = known.pinned.clone() else {
        let rejected = known.rejected.contains(&print.id());
        if rule.first_sight != FirstSight::Approve && !rejected {
            known.pinned = Some(version(How::FirstSight));
            known.proposed = None;
            return (Standing::AsListed, Some((What::FirstSight, None, String::new())));
        }
        let again = known.proposed.as_ref().is_some_and(|proposed| proposed.print == print);
        if !again {
            known.proposed = Some(version(How::FirstSight));
        }
        let event = (!again).then(|| (What::Waiting, None, String::new()));
        return (Standing::Unlisted(waiting(rule, sight, known.state())), event);
    };
    if pinned.print == print {
        let event = known.proposed.take().map(|gone| (What::Returned, Some(gone.print), String::new()));
        return (same(&pinned, sight), event);
    }
    let change = compare(pinned.definition.as_bytes(), sight.raw.as_bytes());
    if change.passes() && !known.rejected.contains(&print.id()) {
        known.pinned = Some(version(How::Accepted));
        known.proposed = None;
        return (Standing::AsListed, Some((What::Accepted, Some(pinned.print), told(&change))));
    }
    let again = known.proposed.as_ref().is_some_and(|proposed| proposed.print == print);
    if !again {
        known.proposed = Some(version(How::FirstSight));
    }
    let event = (!again).then(|| (What::Held, Some(pinned.print), told(&change)));
    (Standing::Held(pinned.definition, held(rule, sight, (known.state(), &change))), event)
}

/// The same where a lock file decides: its word is the only one.
fn by_lock(
    known: &mut Known,
    rule: &Rule<'_>,
    sight: &Sight<'_>,
    (print, locked): (Fingerprint, Option<Fingerprint>),
) -> (Standing, Happened) {
    let version = |how| Version { definition: sight.raw.to_owned(), print, at_ms: rule.now_ms, how };
    let before = known.pinned.clone();
    if locked == Some(print) {
        let returned = known.proposed.take();
        return match before {
            Some(pinned) if pinned.print == print => {
                let event = returned.map(|gone| (What::Returned, Some(gone.print), String::new()));
                (same(&pinned, sight), event)
            }
            before => {
                known.pinned = Some(version(How::Locked));
                let what = if before.is_some() { What::Accepted } else { What::FirstSight };
                let event = (what, before.map(|before| before.print), "as locked".to_owned());
                (Standing::AsListed, Some(event))
            }
        };
    }
    let again = known.proposed.as_ref().is_some_and(|proposed| proposed.print == print);
    if !again {
        known.proposed = Some(version(How::FirstSight));
    }
    let (server, tool) = (rule.server, sight.name);
    let file = rule.lock.map_or("", Lock::name);
    let why = match locked {
        None => format!("the tool `{tool}` of the server `{server}` is not in {file}: it cannot be called"),
        Some(_) => format!(
            "the tool `{tool}` of the server `{server}` is not what {file} says: it is held; \
             see `tollgate tools diff {server}.{tool}`"
        ),
    };
    let event = (!again).then(|| {
        let detail = if locked.is_some() { "differs from the lock" } else { "not in the lock" };
        (What::LockMismatch, before.as_ref().map(|before| before.print), detail.to_owned())
    });
    match before.filter(|before| locked == Some(before.print)) {
        Some(before) => (Standing::Held(before.definition, why), event),
        None => (Standing::Unlisted(why), event),
    }
}

/// In the bytes that were pinned.
fn same(pinned: &Version, sight: &Sight<'_>) -> Standing {
    if pinned.definition == sight.raw {
        Standing::AsListed
    } else {
        Standing::Pinned(pinned.definition.clone())
    }
}

/// Why a new tool cannot be called.
fn waiting(rule: &Rule<'_>, sight: &Sight<'_>, state: State) -> String {
    let (server, tool) = (rule.server, sight.name);
    match state {
        State::Rejected => {
            format!("the tool `{tool}` of the server `{server}` was rejected by an administrator")
        }
        _ => format!(
            "the tool `{tool}` of the server `{server}` is new and waits for approval by an administrator: \
             `tollgate tools diff {server}.{tool}`"
        ),
    }
}

/// Why a tool that has changed cannot be called.
fn held(rule: &Rule<'_>, sight: &Sight<'_>, (state, change): (State, &Change)) -> String {
    let (server, tool, words) = (rule.server, sight.name, change.words());
    let what = match state {
        State::Rejected => "its new definition was rejected by an administrator",
        _ => "it is held until an administrator approves it",
    };
    format!(
        "the tool `{tool}` of the server `{server}` has changed since it was trusted ({words}): {what}; \
         see `tollgate tools diff {server}.{tool}`"
    )
}

/// A change for the ledger: where, in few words.
fn told(change: &Change) -> String {
    let mut out = change.words();
    for (_, place) in &change.details {
        if out.len() + place.len() > limits::PIN_TOLD_BYTES_MAX {
            out.push_str(" ...");
            break;
        }
        out.push_str(" / ");
        out.push_str(place);
    }
    out
}
