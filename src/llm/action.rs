//! Uses of tools in a model's answer: what a client is told to do, as one line each.

use crate::limits;
use crate::llm::members::{Members, Text};
use crate::llm::shell;

/// What a tool does to the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Nobody has said.
    #[default]
    Unknown,
    /// It only looks.
    Read,
    /// It changes things.
    Write,
    /// It may destroy things.
    Destructive,
}

/// One `tool_use`, `server_tool_use` or `mcp_tool_use`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// The provider's id of it, at most `limits::RECORD_TEXT_BYTES_MAX` bytes. A call of MCP that follows
    /// from it carries the same.
    pub id: Box<str>,
    /// The name of the tool as the model knows it, at most `limits::RECORD_TEXT_BYTES_MAX` bytes.
    pub name: Box<str>,
    /// What it does.
    pub class: Class,
    /// What it is about: a path, a pattern, a command, a host; at most `limits::ACTION_DETAIL_BYTES_MAX`
    /// bytes, and empty when that is not known. Whatever the model wrote can be in it, secrets too.
    pub detail: Box<str>,
}

/// Members of an input that can be what a use is about; where a tool is not known, the first that is there.
const TELLING: &[&str] = &[
    "file_path",
    "notebook_path",
    "path",
    "command",
    "url",
    "query",
    "pattern",
    "description",
    "uri",
    "server",
    "skill",
];

/// How the detail of a tool is made of the member that tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    /// A command line decides about the class.
    Command,
    /// Files are changed unless the member `command` is `view`.
    Editor,
}

/// The tools of Claude Code, and those of Anthropic's API that clients or the provider run: class, telling
/// member, shape.
const TOOLS: &[(&str, Class, &str, Shape)] = &[
    ("Agent", Class::Unknown, "description", Shape::Plain),
    ("Bash", Class::Unknown, "command", Shape::Command),
    ("BashOutput", Class::Read, "", Shape::Plain),
    ("Edit", Class::Write, "file_path", Shape::Plain),
    ("Glob", Class::Read, "pattern", Shape::Plain),
    ("Grep", Class::Read, "pattern", Shape::Plain),
    ("LS", Class::Read, "path", Shape::Plain),
    ("ListMcpResourcesTool", Class::Read, "server", Shape::Plain),
    ("MultiEdit", Class::Write, "file_path", Shape::Plain),
    ("NotebookEdit", Class::Write, "notebook_path", Shape::Plain),
    ("NotebookRead", Class::Read, "notebook_path", Shape::Plain),
    ("KillBash", Class::Unknown, "", Shape::Plain),
    ("KillShell", Class::Unknown, "", Shape::Plain),
    ("PowerShell", Class::Unknown, "command", Shape::Plain),
    ("Read", Class::Read, "file_path", Shape::Plain),
    ("ReadMcpResourceTool", Class::Read, "uri", Shape::Plain),
    ("Skill", Class::Unknown, "skill", Shape::Plain),
    ("SlashCommand", Class::Unknown, "command", Shape::Plain),
    ("Task", Class::Unknown, "description", Shape::Plain),
    ("ToolSearch", Class::Read, "query", Shape::Plain),
    ("WebFetch", Class::Read, "url", Shape::Plain),
    ("WebSearch", Class::Read, "query", Shape::Plain),
    ("Write", Class::Write, "file_path", Shape::Plain),
    ("bash", Class::Unknown, "command", Shape::Command),
    ("bash_code_execution", Class::Unknown, "command", Shape::Command),
    ("memory", Class::Write, "path", Shape::Editor),
    ("str_replace_based_edit_tool", Class::Write, "path", Shape::Editor),
    ("str_replace_editor", Class::Write, "path", Shape::Editor),
    ("text_editor_code_execution", Class::Write, "path", Shape::Editor),
    ("tool_search_tool_bm25", Class::Read, "query", Shape::Plain),
    ("tool_search_tool_regex", Class::Read, "pattern", Shape::Plain),
    ("web_fetch", Class::Read, "url", Shape::Plain),
    ("web_search", Class::Read, "query", Shape::Plain),
];

/// Reads one content block of an answer after the other; of those that are no use of a tool nothing is told.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    members: Members,
    input: Input,
    /// The input comes by deltas.
    streamed: bool,
}

/// The input of a tool, as far as it is looked at.
#[derive(Clone, Debug)]
struct Input {
    members: Members,
    /// Bytes that are still looked at.
    room: usize,
    /// There was more.
    cut: bool,
}

const MEMBERS: &[&str] = &["type", "id", "name", "server_name", "input"];
const INPUT: usize = 4;

impl Default for Block {
    fn default() -> Self {
        let input =
            Input { members: Members::new(TELLING), room: limits::ACTION_INPUT_BYTES_MAX, cut: false };
        Self { members: Members::new(MEMBERS), input, streamed: false }
    }
}

impl Input {
    fn clear(&mut self) {
        self.members.clear();
        self.room = limits::ACTION_INPUT_BYTES_MAX;
        self.cut = false;
    }

    fn push(&mut self, bytes: &[u8]) {
        let taken = bytes.get(..self.room).unwrap_or(bytes);
        self.room -= taken.len();
        self.cut |= taken.len() < bytes.len();
        self.members.push(taken, |_, _| {});
    }
}

impl Block {
    /// The types of blocks that are uses of tools.
    pub(crate) const USES: [&[u8]; 3] = [b"tool_use", b"server_tool_use", b"mcp_tool_use"];

    /// Forgets the last block.
    pub(crate) fn clear(&mut self) {
        self.members.clear();
        self.input.clear();
        self.streamed = false;
    }

    /// Looks at the next bytes of the block.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let input = &mut self.input;
        self.members.push(bytes, |place, piece| {
            if place == INPUT {
                input.push(piece);
            }
        });
    }

    /// Looks at the next bytes of an input that comes apart from its block.
    pub(crate) fn push_input(&mut self, bytes: &[u8]) {
        if !self.streamed {
            // The block itself had an empty one in its place.
            self.input.clear();
            self.streamed = true;
        }
        self.input.push(bytes);
    }

    /// Looks at no more of the input, of which something is missing.
    pub(crate) fn cut_input(&mut self) {
        self.streamed = true;
        self.input.room = 0;
        self.input.cut = true;
    }

    /// Whether more of the input can tell anything.
    pub(crate) fn takes_input(&self) -> bool {
        !self.input.cut
    }

    /// Whether this is the use of a tool.
    fn is_use(&self) -> bool {
        let kind = self.members.text("type");
        kind.is_some_and(|kind| Self::USES.contains(&kind.text.as_bytes()))
    }

    /// The block as an action, when it is one.
    pub(crate) fn action(&self) -> Option<Action> {
        if !self.is_use() {
            return None;
        }
        let member = |name| self.members.text(name).unwrap_or_default().text;
        let name = member("name");
        let server = member("server_name");
        let (class, detail) = if server.is_empty() {
            judge(&name, &self.input)
        } else {
            (Class::Unknown, format!("{server}/{name}"))
        };
        Some(Action {
            id: cut(&member("id"), limits::RECORD_TEXT_BYTES_MAX).into(),
            name: cut(&name, limits::RECORD_TEXT_BYTES_MAX).into(),
            class,
            detail: cut(&detail, limits::ACTION_DETAIL_BYTES_MAX).into(),
        })
    }
}

/// What a use of the tool `name` does, and what it is about.
fn judge(name: &str, input: &Input) -> (Class, String) {
    let Input { members, cut, .. } = input;
    let known = TOOLS.iter().find(|(known, ..)| *known == name);
    let Some(&(_, class, member, shape)) = known else {
        let first = TELLING.iter().find_map(|member| Some((*member, members.text(member)?)));
        let (member, found) = first.unwrap_or_default();
        return (Class::Unknown, told(member, &found));
    };
    let found = members.text(member).unwrap_or_default();
    let class = match shape {
        Shape::Plain => class,
        Shape::Command => match shell::class(&found.text) {
            // What is missing may be what does the harm.
            Class::Read if *cut || !found.whole => Class::Unknown,
            class => class,
        },
        Shape::Editor => match members.text("command").map(|command| command.text).as_deref() {
            Some("view") if !*cut => Class::Read,
            Some("delete") => Class::Destructive,
            _ => class,
        },
    };
    (class, told(member, &found))
}

/// The detail that a member tells: of an address its host alone, since the rest may hold anything.
fn told(member: &str, found: &Text<'_>) -> String {
    if member == "url" { host_of(&found.text) } else { found.text.clone().into_owned() }
}

/// The host of an address, without user, password and port.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let end = match host.strip_prefix('[') {
        Some(address) => address.find(']').map(|end| end + 2),
        None => host.find(':'),
    };
    host.get(..end.unwrap_or(host.len())).unwrap_or(host).to_ascii_lowercase()
}

/// The beginning of a text, at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
