//! Watches what is said and done: rules about inputs of tools, in answers of models and in calls of MCP, and
//! what must not be said.

use std::sync::Arc;

use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::record::Record;
use crate::gateway::showcase::{self, Shown};
use crate::gateway::worker::Worker;
use crate::http::encode::{self, CHUNK_END, CHUNK_HEADROOM, LAST_CHUNK};
use crate::identity::principal::Principal;
use crate::limits;
use crate::llm::anthropic::guard::{self, Asked, Flow, Form, Guard, Judge};
use crate::mcp::auto::Suit;
use crate::mcp::definition::ItemKind;
use crate::net::buffer::Buffer;
use crate::policy::guards::{Act, Guarding, Scan};
use crate::policy::input::{Denied, Input, Place, Why};
use crate::scan::document::{self, Found};

/// Looks at the uses of tools in one answer.
#[derive(Debug)]
pub(super) struct Watch {
    clerk: Clerk,
    /// Whether the client has asked for safeguards, so that it does as they say.
    asked: bool,
    /// Made when the answer has begun in a form that can be read.
    guard: Option<Guard>,
    /// The answer is in a form that cannot be read, and may not pass.
    unreadable: bool,
}

impl Watch {
    /// A watch over the answer to a request; nothing where no rule holds for the caller.
    pub(super) fn new(
        worker: &Worker,
        snapshot: &Snapshot,
        principal: &Principal,
        body: &[u8],
    ) -> Option<Box<Self>> {
        let guarding = snapshot.guards.of(principal.team.as_ref());
        if guarding.inputs.is_empty() {
            return None;
        }
        let asked = guard::asked(body);
        // Names are the same in all views of the caller.
        let shown = Suit::ALL.into_iter().find_map(|suit| {
            worker.shown.find(
                &worker.showcase,
                (principal, suit),
                None,
                || showcase::whose(snapshot, principal, suit),
                (&snapshot.version, clock::now()),
            )
        });
        let is_asked = asked.is_some();
        let Asked { cwd, home } = asked.unwrap_or_default();
        let clerk = Clerk {
            guarding: Arc::clone(guarding),
            place: Place { cwd, home },
            mounted: format!("mcp__{}__", snapshot.mcp.endpoint_key),
            shown,
            uses: Vec::new(),
        };
        Some(Box::new(Self { clerk, asked: is_asked, guard: None, unreadable: false }))
    }

    /// The answer begins, in this form; nothing where it is in none that can be read.
    pub(super) fn begin(&mut self, form: Option<Form>) {
        self.guard = form.map(|form| Guard::new(form, self.asked));
        self.unreadable = form.is_none() && self.asked;
    }

    /// Looks at the next bytes of the answer: what leaves in their place, where that is something else.
    ///
    /// # Errors
    /// Why nothing more may leave.
    pub(super) fn pass(&mut self, bytes: &[u8], done: bool) -> Result<Option<Vec<u8>>, String> {
        // An answer without a body says nothing that could be denied.
        if self.unreadable && !bytes.is_empty() {
            return Err(
                "an answer in a form that cannot be read cannot be held to the rules about inputs of tools"
                    .to_owned(),
            );
        }
        let Self { guard: Some(guard), clerk, .. } = self else { return Ok(None) };
        let flow = guard.push(bytes, clerk).map_err(|blind| blind.to_string())?;
        let rest = if done { guard.finish(clerk).map_err(|blind| blind.to_string())? } else { Vec::new() };
        Ok(match flow {
            Flow::Through => None,
            Flow::Instead(mut out) => {
                out.extend(rest);
                Some(out)
            }
        })
    }

    /// The answer has ended by the end of its connection: what of it was still held.
    ///
    /// # Errors
    /// As [`Watch::pass`].
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, String> {
        let Self { guard: Some(guard), clerk, .. } = self else { return Ok(Vec::new()) };
        guard.finish(clerk).map_err(|blind| blind.to_string())
    }

    /// Says what was denied, once: `flagged Bash rule 2` where the client was told, and behind it `unjudged`
    /// with what nobody could tell, as in `flagged Bash rule 2 unjudged program`.
    pub(super) fn take_marks(&mut self) -> impl Iterator<Item = String> {
        self.clerk.uses.drain(..).map(|used| {
            let word = if used.flagged { "flagged" } else { "denied-input" };
            let why = used.unjudged.map(|why| format!(" unjudged {}", why.name())).unwrap_or_default();
            format!("{word} {} {}{why}", used.tool, used.label)
        })
    }
}

/// Bytes in the framing of an answer, for a relay that sends others than it got.
pub(super) fn framed(out: &[u8], chunked: bool, done: bool) -> Buffer {
    let room = CHUNK_HEADROOM + out.len() + CHUNK_END.len() + LAST_CHUNK.len();
    let mut framed = Buffer::with_room(room.max(limits::IDLE_READ_BYTES));
    let size = encode::chunk_prefix(out.len());
    let (prefix, end) =
        if chunked && !out.is_empty() { (size.as_bytes(), CHUNK_END) } else { (&b""[..], &b""[..]) };
    framed.extend(prefix);
    framed.extend(out);
    framed.extend(end);
    if chunked && done {
        framed.extend(LAST_CHUNK);
    }
    framed
}

/// Judges uses, and remembers those that are denied.
#[derive(Debug)]
struct Clerk {
    guarding: Arc<Guarding>,
    place: Place,
    /// What stands before the names of our tools.
    mounted: String,
    /// The tools of MCP that the caller sees.
    shown: Option<Arc<Shown>>,
    /// At most `limits::JUDGED_USES_MAX`.
    uses: Vec<Used>,
}

#[derive(Debug)]
struct Used {
    id: String,
    tool: String,
    label: Arc<str>,
    unjudged: Option<Why>,
    flagged: bool,
}

impl Clerk {
    /// Another name of a tool of MCP: that of its server, and its own there.
    fn other_name(&self, tool: &str) -> Option<String> {
        let exposed = tool.strip_prefix(&self.mounted)?;
        let shown = self.shown.as_deref()?;
        let entry = shown.view.find(ItemKind::Tool, exposed)?;
        let server = &shown.ways.get(entry.server)?.server.name;
        Some(format!("{server}.{}", entry.definition.key()))
    }
}

impl Judge for Clerk {
    fn concerns(&mut self, tool: &str) -> bool {
        let other = self.other_name(tool);
        self.guarding.inputs.concern(&[tool, other.as_deref().unwrap_or(tool)])
    }

    fn denies(&mut self, id: &str, tool: &str, input: Option<&[u8]>) -> bool {
        let other = self.other_name(tool);
        let names = [tool, other.as_deref().unwrap_or(tool)];
        let input = input.map_or(Input::Unknown, Input::Whole);
        let Some(denied) = self.guarding.inputs.judge(&names, input, &self.place) else { return false };
        if self.uses.len() < limits::JUDGED_USES_MAX {
            let tool = tool.chars().take(limits::MODEL_SHOWN_CHARS_MAX).collect();
            let Denied { label, unjudged, .. } = denied;
            self.uses.push(Used { id: id.to_owned(), tool, label, unjudged, flagged: false });
        }
        true
    }

    fn flagged(&mut self, id: &str) {
        self.uses.iter_mut().filter(|used| used.id == id).for_each(|used| used.flagged = true);
    }
}

/// Looks for what must not be said in a request to a model, before anything of it leaves.
///
/// # Errors
/// 403 where it is there and the caller's team refuses it.
pub(super) fn check_request(snapshot: &Snapshot, record: &mut Record, body: &[u8]) -> Result<(), CallError> {
    let scan = snapshot.guards.of(record.team.as_ref()).requests;
    if scan.act == Act::Off {
        return Ok(());
    }
    let refused = |text: String| CallError::new(Code::Forbidden).context(text);
    // What cannot be said in Anthropic's form is looked through as a whole.
    let untold = record.tongue.as_ref().is_some_and(|tongue| tongue.is_untold());
    let found =
        if untold { document::arguments(body, scan.kinds) } else { document::messages(body, scan.kinds) };
    let found = match found {
        Ok(found) => found,
        // The provider would say so as well, but it would have it by then.
        Err(_) if scan.act == Act::Refuse => {
            return Err(refused("the messages of the request are not valid JSON".to_owned()));
        }
        Err(_) => return Ok(()),
    };
    if found.counts.is_empty() {
        return Ok(());
    }
    if scan.act == Act::Refuse {
        record.mark(&format!("refused {} in the messages", found.counts));
        return Err(refused(refusal(&found, "messages")));
    }
    record.mark(&format!("found {} in the messages", found.counts));
    Ok(())
}

fn refusal(found: &Found, place: &str) -> String {
    format!(
        "the {place} hold what may not be passed on: {}; take it out, or ask whoever runs this gateway about \
         `scan` in its config",
        found.counts
    )
}

/// What an MCP call is known by: `SERVER.TOOL`, and as models name it.
pub(super) fn names_of(snapshot: &Snapshot, server: &str, tool: &str, exposed: &str) -> [String; 3] {
    [
        format!("{server}.{tool}"),
        format!("mcp__{server}__{tool}"),
        format!("mcp__{}__{exposed}", snapshot.mcp.endpoint_key),
    ]
}

/// The rule that denies an MCP call.
pub(super) fn denied(guarding: &Guarding, names: &[String; 3], arguments: Option<&[u8]>) -> Option<Denied> {
    if guarding.inputs.is_empty() {
        return None;
    }
    let names: [&str; 3] = names.each_ref().map(String::as_str);
    // Where such a tool works is for its server to know.
    guarding.inputs.judge(&names, Input::Whole(arguments.unwrap_or_default()), &Place::default())
}

/// What is to be done about the arguments of an MCP call.
pub(super) enum Arguments {
    /// Nothing.
    Pass,
    /// To say so.
    Mark(String),
    /// To pass these on, and to say so.
    Masked(Vec<u8>, String),
    /// To refuse the call with this text, and to say so.
    Refuse(String, String),
}

/// Looks for what must not be said in the arguments of an MCP call.
pub(super) fn look(scan: Scan, arguments: &[u8]) -> Arguments {
    if scan.act == Act::Off {
        return Arguments::Pass;
    }
    let Ok(found) = document::arguments(arguments, scan.kinds) else {
        return match scan.act {
            Act::Off | Act::Count => Arguments::Pass,
            Act::Mask | Act::Refuse => {
                let text = "the arguments cannot be looked through for what may not be passed on";
                Arguments::Refuse(text.to_owned(), "refused arguments that cannot be read".to_owned())
            }
        };
    };
    let counts = found.counts;
    match scan.act {
        _ if counts.is_empty() => Arguments::Pass,
        Act::Off => Arguments::Pass,
        Act::Count => Arguments::Mark(format!("found {counts} in the arguments")),
        Act::Mask => {
            let masked = document::masked(arguments, &found.finds);
            Arguments::Masked(masked, format!("masked {counts} in the arguments"))
        }
        Act::Refuse => {
            Arguments::Refuse(refusal(&found, "arguments"), format!("refused {counts} in the arguments"))
        }
    }
}

/// Appends a mark to others, as long as there is room.
pub(super) fn add_mark(marks: &mut String, mark: &str) {
    let between = if marks.is_empty() { "" } else { "; " };
    if !mark.is_empty() && marks.len() + between.len() + mark.len() <= limits::MARKS_BYTES_MAX {
        marks.push_str(between);
        marks.push_str(mark);
    }
}
