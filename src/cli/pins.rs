//! `tollgate tools pins|diff|approve|reject|lock`: what tools were when they were trusted, and what is to
//! become of those that have changed.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::{ToolsDecision, ToolsDiff, ToolsLock, ToolsPins};
use crate::cli::output::{Failure, Output};
use crate::cli::pin_diff;
use crate::cli::table::{columns, plain};
use crate::config::atomic;
use crate::config::key_terms;
use crate::config::outline;
use crate::config::pin_file::{PinFile, PinFileFault};
use crate::mcp::hints;
use crate::mcp::pin::change::compare;
use crate::mcp::pin::{Decision, Known, Pins, State, lock};
use crate::net::terminal;

impl From<PinFileFault> for Failure {
    fn from(fault: PinFileFault) -> Self {
        Self::Refused(fault.to_string())
    }
}

/// One tool with all that is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Row<'p> {
    pub(crate) server: &'p str,
    pub(crate) tool: &'p str,
    pub(crate) known: &'p Known,
}

impl Row<'_> {
    /// As the command line names it.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.server, self.tool)
    }

    /// What the hint scanner finds in what is newest of it.
    pub(crate) fn hints(&self, neighbours: &hints::Neighbours<'_>) -> Vec<hints::Hint> {
        let Some(newest) = self.known.newest() else { return Vec::new() };
        hints::scan(self.server, self.tool, newest.definition.as_bytes(), neighbours)
    }
}

/// All tools, in the order of servers and names.
fn rows(pins: &Pins) -> Vec<Row<'_>> {
    let all = pins
        .servers
        .iter()
        .flat_map(|(server, tools)| tools.iter().map(move |(tool, known)| Row { server, tool, known }));
    all.collect()
}

/// What `--json` prints of one tool.
#[derive(Serialize)]
struct Form<'a> {
    server: &'a str,
    tool: &'a str,
    state: &'static str,
    since: String,
    /// What is pinned; absent while it waits.
    pinned: Option<String>,
    /// What the server lists now, where it differs.
    proposed: Option<String>,
    /// In which ways they differ.
    changed: Vec<&'static str>,
    hints: Vec<HintForm>,
}

#[derive(Serialize)]
struct HintForm {
    kind: &'static str,
    place: String,
    found: String,
}

/// `tollgate tools pins`.
pub(crate) fn list(config: Option<&Path>, wish: &ToolsPins, output: &mut Output<'_>) -> Result<(), Failure> {
    let pins = PinFile::of(&outline::outline(config)?.data_dir).read()?;
    let neighbours = pins.neighbours();
    let rows: Vec<Row<'_>> = rows(&pins)
        .into_iter()
        .filter(|row| wish.server.as_deref().is_none_or(|server| server == row.server))
        .filter(|row| !wish.open || matches!(row.known.state(), State::Held | State::Waiting))
        .collect();
    if wish.json {
        let forms: Vec<Form<'_>> = rows.iter().map(|row| form(row, &neighbours)).collect();
        return output.json(&forms);
    }
    if rows.is_empty() {
        return output.note("no tools: a gateway pins them when it has listed its servers");
    }
    let head = ["SERVER", "TOOL", "STATE", "SINCE", "HASH", "HINTS"].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        let newest = row.known.newest();
        let since = newest.map_or(String::new(), |newest| key_terms::text_ms(newest.at_ms));
        let hash = newest.map_or(String::new(), |newest| newest.print.id().short());
        let hints = hints::words(&row.hints(&neighbours));
        [plain(row.server), plain(row.tool), row.known.state().word().to_owned(), since, hash, hints]
    });
    let table: Vec<[String; 6]> = std::iter::once(head).chain(lines).collect();
    output.text(&columns(&table, &[], terminal::columns()))
}

fn form<'a>(row: &Row<'a>, neighbours: &hints::Neighbours<'_>) -> Form<'a> {
    let Known { pinned, proposed, .. } = row.known;
    let changed = match (pinned, proposed) {
        (Some(old), Some(new)) => {
            let change = compare(old.definition.as_bytes(), new.definition.as_bytes());
            change.aspects.iter().map(|aspect| aspect.words()).collect()
        }
        _ => Vec::new(),
    };
    let hints = row.hints(neighbours);
    Form {
        server: row.server,
        tool: row.tool,
        state: row.known.state().word(),
        since: row.known.newest().map_or(String::new(), |newest| key_terms::text_ms(newest.at_ms)),
        pinned: pinned.as_ref().map(|version| version.print.id().to_string()),
        proposed: proposed.as_ref().map(|version| version.print.id().to_string()),
        changed,
        hints: hints
            .into_iter()
            .map(|hint| HintForm { kind: hint.kind.word(), place: hint.place, found: hint.found })
            .collect(),
    }
}

/// `tollgate tools diff`.
pub(crate) fn diff(config: Option<&Path>, wish: &ToolsDiff, output: &mut Output<'_>) -> Result<(), Failure> {
    let pins = PinFile::of(&outline::outline(config)?.data_dir).read()?;
    let neighbours = pins.neighbours();
    let all = rows(&pins);
    let wanted = match &wish.which {
        Some(which) => {
            let found = meant(&all, which)?;
            let exact = found.len() == 1;
            found.into_iter().filter(|row| exact || row.known.proposed.is_some()).collect()
        }
        None => all.into_iter().filter(|row| row.known.proposed.is_some()).collect::<Vec<_>>(),
    };
    if wanted.is_empty() {
        return output.note("every tool is as it was pinned");
    }
    let shown: Vec<String> = wanted.iter().map(|row| pin_diff::shown(row, &row.hints(&neighbours))).collect();
    output.text(&shown.join("\n"))
}

/// The tools that `SERVER` or `SERVER.TOOL` means.
fn meant<'p>(all: &[Row<'p>], which: &str) -> Result<Vec<Row<'p>>, Failure> {
    let (server, tool) = which.split_once('.').map_or((which, None), |(server, tool)| (server, Some(tool)));
    let fits = |row: &&Row<'p>| row.server == server && tool.is_none_or(|tool| tool == row.tool);
    let found: Vec<Row<'p>> = all.iter().filter(fits).copied().collect();
    if found.is_empty() {
        let text = format!("no tool {:?} is known: see `tollgate tools pins`", plain(which));
        return Err(Failure::Refused(text));
    }
    Ok(found)
}

/// Yes or no.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Approve,
    Reject,
}

/// `tollgate tools approve` and `tollgate tools reject`.
pub(crate) fn decide(
    config: Option<&Path>,
    word: Word,
    wish: &ToolsDecision,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let outline = outline::outline(config)?;
    if let Some(lock) = outline.pinning_lock.as_ref().filter(|_| word == Word::Approve) {
        let text = format!(
            "pinning.lock: {lock} alone says what is approved here; change it where it is made, with \
             `tollgate tools lock`"
        );
        return Err(Failure::Refused(text));
    }
    if wish.hash.is_some() && (wish.which.len() != 1 || wish.all) {
        return Err(Failure::Usage("--hash goes with one tool".to_owned()));
    }
    if wish.which.is_empty() != wish.all {
        return Err(Failure::Usage("name the tools as SERVER.TOOL, or say --all".to_owned()));
    }
    let file = PinFile::of(&outline.data_dir);
    let pins = file.read()?;
    let all = rows(&pins);
    let mut chosen: Vec<(Row<'_>, bool)> = Vec::new();
    for which in &wish.which {
        chosen.extend(meant(&all, which)?.into_iter().map(|row| (row, which.contains('.'))));
    }
    if wish.all {
        chosen = all.iter().map(|row| (*row, false)).collect();
    }
    let mut decided = 0;
    for (row, named) in chosen {
        let open = matches!(row.known.state(), State::Held | State::Waiting);
        if !open && !named {
            continue;
        }
        // What is not named by its hash is what was there when the command began.
        let seen = row.known.proposed.as_ref().map(|version| version.print.id().to_string());
        let expected = wish.hash.clone().or(seen);
        let one = Decision {
            server: row.server,
            tool: row.tool,
            expected: expected.as_deref(),
            by: "the command line",
        };
        let (id, done) = match word {
            Word::Approve => (file.approve(one)?, "approved"),
            Word::Reject => (file.reject(one)?, "rejected"),
        };
        decided += 1;
        output.text(&format!("{done} {} {}", plain(&row.name()), id.short()))?;
    }
    if decided == 0 {
        output.note("there is nothing to decide")?;
    }
    Ok(())
}

/// `tollgate tools lock`.
pub(crate) fn write_lock(
    config: Option<&Path>,
    wish: &ToolsLock,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let pins = PinFile::of(&outline::outline(config)?.data_dir).read()?;
    let text = lock::write(&pins);
    let all = rows(&pins);
    let open = all.iter().filter(|row| row.known.state() != State::Pinned).count();
    let pinned = all.iter().filter(|row| row.known.pinned.is_some()).count();
    match &wish.output {
        None => output.text(&text)?,
        Some(path) => {
            atomic::replace(path, text.as_bytes())
                .map_err(|why| Failure::Refused(format!("{}: {why}", path.display())))?;
        }
    }
    output.note(&format!("{pinned} tools are locked as they are pinned; {open} are not settled"))
}
