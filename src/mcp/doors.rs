//! Tools of ours. Where definitions are not listed, one finds them and three call them; where results are
//! cut or referred to, one reads on.
//!
//! There is one for scripts, too, whose calls are those of the tools themselves.
//!
//! There is a door to call for each class of tools, so that what a client asks a person about, or never does,
//! can still be told apart by names. What they say depends on the config alone, never on what servers list,
//! so a prompt that begins with them stays as it is.

use std::ops::Range;

use crate::call::Class;
use crate::json::{Kind, write_string};
use crate::limits;
use crate::mcp::lean::results::READ_MORE;
use crate::mcp::message;
use crate::mcp::meta_marks::{ALWAYS, RESULT_CHARS};

/// One of these tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Finds tools by what they do.
    Find,
    /// Calls a tool that only looks.
    Read,
    /// Calls a tool that changes things, or of which nobody has said.
    Write,
    /// Calls a tool that may destroy things.
    Destructive,
    /// Reads on in a result that was cut, or gives one again.
    More,
    /// Runs a script that calls tools.
    Run,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Find, Self::Read, Self::Write, Self::Destructive, Self::More, Self::Run];

    /// Those that stand for tools in no list, in the order in which they are listed.
    pub const SEARCH: [Self; 4] = [Self::Find, Self::Read, Self::Write, Self::Destructive];

    /// Its name as a tool.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Find => "find_tools",
            Self::Read => "call_tool_read",
            Self::Write => "call_tool_write",
            Self::Destructive => "call_tool_destructive",
            Self::More => READ_MORE,
            Self::Run => "run_code",
        }
    }

    /// The door of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|door| door.name() == name)
    }

    /// The door that calls tools of a class; what is unknown counts as `write`, as it does in rules.
    pub const fn of(class: Class) -> Self {
        match class {
            Class::Read => Self::Read,
            Class::Unknown | Class::Write => Self::Write,
            Class::Destructive => Self::Destructive,
        }
    }

    /// Whether it calls other tools.
    pub const fn calls(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::Destructive)
    }

    /// The definition, with the names of the servers whose tools are behind it.
    fn definition(self, servers: &str) -> String {
        let (words, schema, read_only) = match self {
            Self::Find => {
                let words = format!(
                    "Finds tools by what they do{servers}. Each line of the answer is the tool to call it \
                     with, its name, its parameters and what it does. Look here before you say that \
                     something cannot be done."
                );
                (words, FIND_SCHEMA, true)
            }
            Self::Read => ("Calls a found tool that only reads.".to_owned(), CALL_SCHEMA, true),
            Self::Write => ("Calls a found tool that may change things.".to_owned(), CALL_SCHEMA, false),
            Self::Destructive => {
                ("Calls a found tool that may destroy things.".to_owned(), CALL_SCHEMA, false)
            }
            Self::More => (MORE_WORDS.to_owned(), MORE_SCHEMA, true),
            Self::Run => (run_words(), RUN_SCHEMA, false),
        };
        self.written(&words, schema, read_only)
    }

    fn written(self, words: &str, schema: &str, read_only: bool) -> String {
        self.marked(words, schema, read_only, "")
    }

    /// The definition with more marks, each with a comma before it.
    fn marked(self, words: &str, schema: &str, read_only: bool, marks: &str) -> String {
        let mut description = Vec::new();
        write_string(&mut description, words);
        let description = String::from_utf8_lossy(&description);
        let name = self.name();
        format!(
            "{{\"name\":\"{name}\",\"description\":{description},\"inputSchema\":{schema},\
             \"annotations\":{{\"readOnlyHint\":{read_only}}},\
             \"_meta\":{{\"{ALWAYS}\":true{marks}}}}}"
        )
    }
}

const FIND_SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"query":{"type":"string","description":"What is to be done"},"#,
    r#""full":{"type":"boolean","description":"Whole definitions, not lines"}},"required":["query"]}"#
);

const CALL_SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"name":{"type":"string","description":"The name that was found"},"#,
    r#""arguments":{"type":"object"}},"required":["name"]}"#
);

const MORE_WORDS: &str = "Reads on in a result that was cut or not repeated.";

const MORE_SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"handle":{"type":"string"},"from":{"type":"integer"}},"#,
    r#""required":["handle","from"]}"#
);

const RUN_SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"code":{"type":"string","description":"JavaScript"}},"#,
    r#""required":["code"]}"#
);

fn run_words() -> String {
    let (seconds, calls) = (limits::CODE_TIME.as_secs(), limits::CODE_CALLS_MAX);
    format!(
        "Runs JavaScript, the body of an async function, that calls found tools: \
         `const a = await tools.name({{...}})`, several at once with Promise.all. Only what it returns and \
         logs comes back, so pick, count and join there. A call that fails throws. No network, files, \
         timers; {seconds} s, {calls} calls."
    )
}

/// The tool that runs scripts, as callers get it.
pub fn run() -> (Door, String) {
    (Door::Run, Door::Run.definition(""))
}

/// The tools that find others for scripts, and run these. Servers are named as by [`search`].
pub fn code<'s>(servers: impl IntoIterator<Item = &'s str>) -> Vec<(Door, String)> {
    let words = format!(
        "Finds tools by what they do{}. Each line of the answer is a function for run_code: how it is \
         called, and what it does. Look here before you say that something cannot be done.",
        of(servers)
    );
    vec![(Door::Find, Door::Find.written(&words, FIND_SCHEMA, true)), run()]
}

/// The tool that reads on, as callers get it; with the mark for so many characters of a result, where that is
/// known.
pub fn more(result_chars: Option<usize>) -> (Door, String) {
    let mark = result_chars.map(|most| format!(",\"{RESULT_CHARS}\":{most}"));
    (Door::More, Door::More.marked(MORE_WORDS, MORE_SCHEMA, true, &mark.unwrap_or_default()))
}

/// The tools of [`Door::SEARCH`] as callers get them. Of `servers` at most
/// `limits::SEARCH_SERVERS_SHOWN_MAX` are named.
pub fn search<'s>(servers: impl IntoIterator<Item = &'s str>) -> Vec<(Door, String)> {
    let of = of(servers);
    Door::SEARCH.into_iter().map(|door| (door, door.definition(&of))).collect()
}

/// `find_tools` for callers whose lists grow by what it finds.
pub fn growing<'s>(servers: impl IntoIterator<Item = &'s str>) -> String {
    let words = format!(
        "Finds tools by what they do{}. Those that fit are added to your tools, to be called by their own \
         names in the next step. Look here before you say that something cannot be done.",
        of(servers)
    );
    Door::Find.written(&words, FIND_SCHEMA, true)
}

/// Whose tools they are, in words.
fn of<'s>(servers: impl IntoIterator<Item = &'s str>) -> String {
    let mut servers = servers.into_iter();
    let named: Vec<&str> = servers.by_ref().take(limits::SEARCH_SERVERS_SHOWN_MAX).collect();
    let more = if servers.next().is_some() { " and others" } else { "" };
    if named.is_empty() { String::new() } else { format!(", of {}{more}", named.join(", ")) }
}

/// Why the arguments of a door are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// No search without words.
    #[error("`query` is missing: say in a few words what is to be done")]
    Query,
    /// `full` is no truth value.
    #[error("`full` is true or false")]
    Full,
    /// No call without a name.
    #[error("`name` is missing: it is the name of a tool as find_tools gives it")]
    Name,
    /// Arguments of a tool are an object.
    #[error("`arguments` is an object with the parameters of the tool, and no text that holds one")]
    Arguments,
    /// No script.
    #[error("`code` is missing: it is the body of an async function in JavaScript")]
    Code,
    /// A script that nobody would read.
    #[error("`code` has more than {} bytes: do less in one script", limits::CODE_SOURCE_BYTES_MAX)]
    LongCode,
    /// What was cut has a handle, and a place to read on from.
    #[error("`handle` and `from` are those that stand at the end of the result that was cut")]
    More,
    /// It cannot be read, or says something twice.
    #[error("the arguments cannot be read")]
    Unreadable,
}

/// What is sought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// In words.
    pub query: String,
    /// Whether definitions are wanted whole.
    pub full: bool,
}

/// Reads the arguments of `find_tools`.
///
/// # Errors
/// [`Wrong`], to be told to the model.
pub fn read_search(arguments: &[u8]) -> Result<Search, Wrong> {
    let [query, full] =
        message::pick(arguments, 0..arguments.len(), &["query", "full"]).map_err(|_bad| Wrong::Unreadable)?;
    let query = query.and_then(|query| message::text(arguments, query.span)).ok_or(Wrong::Query)?;
    if query.trim().is_empty() {
        return Err(Wrong::Query);
    }
    let full = match full.map(|full| full.kind) {
        None | Some(Kind::Null | Kind::False) => false,
        Some(Kind::True) => true,
        Some(_) => return Err(Wrong::Full),
    };
    Ok(Search { query: query.into_owned(), full })
}

/// Reads the arguments of `read_more`: the handle, and where to read on.
///
/// # Errors
/// [`Wrong`], to be told to the model.
pub fn read_more(arguments: &[u8]) -> Result<(String, usize), Wrong> {
    let [handle, from] = message::pick(arguments, 0..arguments.len(), &["handle", "from"])
        .map_err(|_bad| Wrong::Unreadable)?;
    let handle = handle.and_then(|handle| message::text(arguments, handle.span)).ok_or(Wrong::More)?;
    let from = from.and_then(|from| usize::try_from(from.as_u64(arguments)?).ok()).ok_or(Wrong::More)?;
    Ok((handle.into_owned(), from))
}

/// Reads the arguments of `run_code`: the script.
///
/// # Errors
/// [`Wrong`], to be told to the model.
pub fn read_run(arguments: &[u8]) -> Result<String, Wrong> {
    let [code] = message::pick(arguments, 0..arguments.len(), &["code"]).map_err(|_bad| Wrong::Unreadable)?;
    let code = code.and_then(|code| message::text(arguments, code.span)).ok_or(Wrong::Code)?;
    match code.len() {
        _ if code.trim().is_empty() => Err(Wrong::Code),
        0..=limits::CODE_SOURCE_BYTES_MAX => Ok(code.into_owned()),
        _ => Err(Wrong::LongCode),
    }
}

/// What is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inner {
    /// The name as callers know it.
    pub name: String,
    /// Where its arguments stand among those of the door: an object, or nothing.
    pub arguments: Option<Range<usize>>,
}

/// Reads the arguments of a door that calls.
///
/// # Errors
/// [`Wrong`], to be told to the model.
pub fn read_call(arguments: &[u8]) -> Result<Inner, Wrong> {
    let [name, inner] = message::pick(arguments, 0..arguments.len(), &["name", "arguments"])
        .map_err(|_bad| Wrong::Unreadable)?;
    let name = name.and_then(|name| message::text(arguments, name.span)).ok_or(Wrong::Name)?;
    let inner = match inner {
        None => None,
        Some(inner) => match inner.kind {
            Kind::Null => None,
            Kind::Object => Some(inner.span),
            _ => return Err(Wrong::Arguments),
        },
    };
    Ok(Inner { name: name.into_owned(), arguments: inner })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        Door, Inner, Search, Wrong, code, more, read_call, read_more, read_run, read_search, run, search,
    };
    use crate::call::Class;
    use crate::limits;
    use crate::mcp::definition::ItemKind;
    use crate::mcp::store::Store;
    use crate::tokens::count;

    #[test]
    fn doors_are_good_tools_and_small() {
        let definitions = |servers: &[&str]| -> Vec<String> {
            search(servers.iter().copied()).into_iter().map(|(_, text)| text).collect()
        };
        let all = definitions(&["github", "jira"]);
        for (door, text) in Door::ALL.into_iter().zip(all.iter().chain([&more(None).1, &run().1])) {
            let tool = Store::new().intern(ItemKind::Tool, text.as_bytes()).unwrap();
            assert_eq!((tool.key(), Door::named(tool.key())), (door.name(), Some(door)));
            let only_looks = matches!(door, Door::Find | Door::Read | Door::More);
            assert_eq!(tool.annotations().read_only, Some(only_looks), "{text}");
            let tree: Value = serde_json::from_str(text).unwrap();
            assert_eq!(tree["_meta"]["anthropic/alwaysLoad"], true);
        }
        assert!(all[0].contains("what they do, of github, jira. "), "{}", all[0]);
        let tokens: usize = all.iter().map(|text| count(text)).sum();
        assert!(tokens < 400, "{tokens}");
        assert!(definitions(&[])[0].contains("what they do. "));
        let many: Vec<String> = (0..1000).map(|number| format!("s{number}")).collect();
        let many = definitions(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let most = limits::SEARCH_SERVERS_SHOWN_MAX;
        assert!(many[0].contains(&format!("s{} and others.", most - 1)), "{}", many[0]);
        assert!(!many[0].contains(&format!("s{most}")), "{}", many[0]);
        assert_eq!(all[1..], many[1..], "only one of them says whose tools they are");
        assert_eq!(Door::named("echo"), None);
        let tree: Value = serde_json::from_str(&more(Some(80_000)).1).unwrap();
        assert_eq!(
            tree["_meta"],
            json!({"anthropic/alwaysLoad": true, "anthropic/maxResultSizeChars": 80_000})
        );
    }

    #[test]
    fn two_doors_are_enough_for_scripts() {
        let both = code(["github", "jira"]);
        assert_eq!([both[0].0, both[1].0], [Door::Find, Door::Run]);
        assert!(both[0].1.contains("what they do, of github, jira. Each line"), "{}", both[0].1);
        let tokens: usize = both.iter().map(|(_, text)| count(text)).sum();
        assert!(tokens < 300, "{tokens}");
        assert!(both[1].1.contains("30 s, 50 calls"), "{}", both[1].1);
    }

    #[test]
    fn scripts_are_read() {
        let long = format!("{{\"code\":\"{}\"}}", "x".repeat(limits::CODE_SOURCE_BYTES_MAX + 1));
        let cases = [
            (r#"{"code":"return 1\n"}"#, Ok("return 1\n".to_owned())),
            (r#"{"code":" "}"#, Err(Wrong::Code)),
            (r#"{"code":7}"#, Err(Wrong::Code)),
            ("{}", Err(Wrong::Code)),
            (r#"{"code":"a","code":"b"}"#, Err(Wrong::Unreadable)),
            (long.as_str(), Err(Wrong::LongCode)),
        ];
        for (arguments, expected) in cases {
            assert_eq!(read_run(arguments.as_bytes()), expected, "{arguments}");
        }
    }

    #[test]
    fn each_class_has_one_door() {
        let doors = Class::ALL.map(Door::of);
        assert_eq!(doors, [Door::Write, Door::Read, Door::Write, Door::Destructive]);
    }

    #[test]
    fn searches_are_read() {
        let search = |query: &str, full| Ok(Search { query: query.to_owned(), full });
        let cases = [
            (r#"{"query":"merge it"}"#, search("merge it", false)),
            (r#"{"full":true,"query":"a\nb","other":[1]}"#, search("a\nb", true)),
            (r#"{"query":"x","full":null}"#, search("x", false)),
            (r#"{"query":"x","full":"yes"}"#, Err(Wrong::Full)),
            (r#"{"query":" "}"#, Err(Wrong::Query)),
            (r#"{"query":7}"#, Err(Wrong::Query)),
            ("{}", Err(Wrong::Query)),
            (r#"{"query":"a","query":"b"}"#, Err(Wrong::Unreadable)),
            (r#"{"query":"a","Query":"b"}"#, Err(Wrong::Unreadable)),
            ("[]", Err(Wrong::Unreadable)),
        ];
        for (arguments, expected) in cases {
            assert_eq!(read_search(arguments.as_bytes()), expected, "{arguments}");
        }
    }

    #[test]
    fn handles_are_read() {
        let cases = [
            (r#"{"handle":"a1","from":20}"#, Ok(("a1".to_owned(), 20))),
            (r#"{"handle":"a1"}"#, Err(Wrong::More)),
            (r#"{"handle":1,"from":2}"#, Err(Wrong::More)),
            (r#"{"handle":"a","from":-1}"#, Err(Wrong::More)),
            (r#"{"handle":"a","from":1,"from":2}"#, Err(Wrong::Unreadable)),
        ];
        for (arguments, expected) in cases {
            assert_eq!(read_more(arguments.as_bytes()), expected, "{arguments}");
        }
    }

    #[test]
    fn calls_are_read() {
        let inner = |name: &str, arguments| Ok(Inner { name: name.to_owned(), arguments });
        let cases = [
            (r#"{"name":"a","arguments":{"b":1}}"#, inner("a", Some(24..31))),
            (r#"{"name":"a"}"#, inner("a", None)),
            (r#"{"name":"a","arguments":null}"#, inner("a", None)),
            (r#"{"name":"a","arguments":"{}"}"#, Err(Wrong::Arguments)),
            (r#"{"arguments":{}}"#, Err(Wrong::Name)),
            (r#"{"name":["a"]}"#, Err(Wrong::Name)),
            (r#"{"name":"a","name":"b"}"#, Err(Wrong::Unreadable)),
            (r#"{"name":"a","NAME":"b"}"#, Err(Wrong::Unreadable)),
        ];
        for (arguments, expected) in cases {
            assert_eq!(read_call(arguments.as_bytes()), expected, "{arguments}");
        }
    }
}
