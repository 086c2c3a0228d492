//! What becomes of the tools that a server lists.

use crate::limits;
use crate::mcp::hints::{self, Neighbours};
use crate::mcp::pin::change::{Change, compare};
use crate::mcp::pin::fingerprint::{Fingerprint, Hash};
use crate::mcp::pin::lock::Lock;
use crate::mcp::pin::room::{self, Room};
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

impl<'a> Rule<'a> {
    /// The rule for what is new of a server, of which tools may have been forgotten.
    fn for_server(&self, crowded: bool) -> Self {
        let first_sight = if crowded { FirstSight::Approve } else { self.first_sight };
        Self { first_sight, ..*self }
    }

    fn event(&self, what: What, tool: String, (old, new): (Option<Hash>, Hash), detail: String) -> Event {
        let (server, marks) = (self.server.to_owned(), String::new());
        Event { number: 0, at_ms: self.now_ms, what, server, tool, old, new, detail, marks }
    }
}

/// A tool as its server lists it.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its definition.
    pub raw: &'a str,
    /// Whether its class is what its server says of it: the server is trusted, and the config says nothing.
    pub believed: bool,
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
        let mut crowded = self.crowded.contains(rule.server);
        let tools = self.servers.entry(rule.server.to_owned()).or_default();
        room::note_gone(tools, listed, rule.now_ms);
        let mut room = Room::of(tools);
        for sight in listed {
            let Ok(print) = Fingerprint::of(sight.raw.as_bytes()) else {
                out.push(Standing::Unlisted(format!("the definition of `{}` cannot be read", sight.name)));
                continue;
            };
            let Some(forgotten) = room.make(tools, sight) else {
                out.push(no_room(tools.get(sight.name), sight));
                continue;
            };
            for (name, known) in forgotten {
                crowded = true;
                happened.extend(farewell(rule, name, &known));
            }
            let known = tools.entry(sight.name.to_owned()).or_default();
            let before = room::weight(known);
            let (standing, event) = judge_one(known, &rule.for_server(crowded), sight, print);
            room.changed(before, known);
            if let Some((what, old, detail)) = event {
                let (old, new) = (old.map(|old| old.id()), print.id());
                let event = rule.event(what, sight.name.to_owned(), (old, new), detail);
                happened.push((event, Some(sight.raw)));
            }
            out.push(standing);
        }
        if tools.is_empty() {
            self.servers.remove(rule.server);
        }
        if crowded && !self.crowded.contains(rule.server) {
            self.crowded.insert(rule.server.to_owned());
        }
        self.note_all(happened);
        out
    }

    /// Keeps events, with what the hint scanner finds in the definitions that they are about.
    fn note_all(&mut self, happened: Vec<(Event, Option<&str>)>) {
        if happened.is_empty() {
            return;
        }
        let marks: Vec<String> = {
            let neighbours = self.neighbours();
            let marked = happened.iter().map(|(event, raw)| {
                let raw = raw.unwrap_or_default();
                if raw.is_empty() {
                    return String::new();
                }
                hints::words(&hints::scan(&event.server, &event.tool, raw.as_bytes(), &neighbours))
            });
            marked.collect()
        };
        for ((event, _), marks) in happened.into_iter().zip(marks) {
            self.note(Event { marks, ..event });
        }
    }

    /// Whether all tools of a list are, byte for byte, what is pinned: then there is nothing to judge.
    pub fn is_settled(&self, rule: &Rule<'_>, listed: &[Sight<'_>]) -> bool {
        let Some(tools) = self.servers.get(rule.server) else { return listed.is_empty() };
        let there = tools.values().filter(|known| known.gone_ms.is_none()).count();
        there == listed.len()
            && listed.iter().all(|sight| {
                tools.get(sight.name).is_some_and(|known| match (&known.pinned, &known.proposed) {
                    (Some(pinned), None) if known.gone_ms.is_none() => {
                        let locked = rule.lock.map(|lock| lock.get(rule.server, sight.name));
                        pinned.definition == sight.raw
                            && locked.is_none_or(|locked| locked == Some(pinned.print))
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

/// What the ledger is told of a tool that is forgotten.
fn farewell<'r>(rule: &Rule<'_>, name: String, known: &Known) -> Option<(Event, Option<&'r str>)> {
    let (old, new) = (known.pinned.as_ref().map(|pinned| pinned.print.id()), known.newest()?.print.id());
    Some((rule.event(What::Forgotten, name, (old, new), room::told(known, rule.now_ms)), None))
}

/// A tool of which no more can be kept.
fn no_room(known: Option<&Known>, sight: &Sight<'_>) -> Standing {
    let (most, bytes) = (limits::PIN_TOOLS_OF_SERVER_MAX, limits::PIN_BYTES_OF_SERVER_MAX / (1024 * 1024));
    let name = sight.name;
    let text =
        format!("`{name}` cannot be pinned: of its server {most} tools are, or {bytes} MiB of definitions");
    match known.and_then(|known| known.pinned.as_ref()) {
        Some(pinned) => Standing::Held(pinned.definition.clone(), text),
        None => Standing::Unlisted(text),
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
    let mut change = compare(pinned.definition.as_bytes(), sight.raw.as_bytes());
    if sight.believed {
        change.add_class(pinned.definition.as_bytes(), sight.raw.as_bytes());
    }
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
