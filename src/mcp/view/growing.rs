//! Lists of tools that grow: what is found in a session stands behind what was there, and stays there.
//!
//! A client that lists anew at once sees `find_tools` alone before its first search. All others see the tools
//! that call others beside it, so that what is found can be called whatever they do.

use crate::call::ToolMode;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::changes::Changes;
use crate::mcp::definition::ItemKind;
use crate::mcp::doors::{self, Door};
use crate::mcp::view::{Entry, Part, Plan, Reader, View};

/// What has been added to the list of one session, in this order for as long as it lasts.
#[derive(Clone, Debug, Default)]
pub struct Grown {
    added: Vec<Addition>,
    /// How many of them stood in the last whole list that the caller got.
    listed: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Addition {
    /// A tool, by its server and the server's own name for it.
    Tool(ServerName, Box<str>),
    /// The tools that call others.
    Doors,
}

/// What has become of tools that were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// How many of the additions have to be listed before all of them can be called.
    pub until: usize,
    /// Whether the list has grown.
    pub grew: bool,
    /// Whether all of them are in it; else some are called by doors.
    pub all: bool,
}

impl Grown {
    /// Adds what was found, as far as there is room. Where something has to be called by a door, the doors
    /// are added as well, unless they stand in the list from the start.
    pub fn add<'a>(
        &mut self,
        found: impl IntoIterator<Item = (&'a ServerName, &'a Entry)>,
        has_doors: bool,
    ) -> Added {
        let (mut until, mut all, before) = (0, true, self.added.len());
        for (server, entry) in found {
            let place = match self.place(server, entry) {
                Some(place) => place,
                None if entry.mode == ToolMode::Jit && self.has_room() => {
                    self.push(Addition::Tool(server.clone(), entry.definition.key().into()))
                }
                None => {
                    all = false;
                    if has_doors {
                        continue;
                    }
                    let doors = self.added.iter().position(|one| *one == Addition::Doors);
                    doors.unwrap_or_else(|| self.push(Addition::Doors))
                }
            };
            until = until.max(place + 1);
        }
        Added { until, grew: self.added.len() > before, all }
    }

    /// Whether a tool has been added.
    pub fn has(&self, server: &ServerName, entry: &Entry) -> bool {
        self.place(server, entry).is_some()
    }

    /// Whether all of the first so many additions have been listed.
    pub const fn is_listed(&self, until: usize) -> bool {
        self.listed >= until
    }

    /// How many additions there are.
    pub const fn len(&self) -> usize {
        self.added.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// The caller has got the last page of a list with the first so many additions. Of two lists under way
    /// the one that began first may end last.
    pub fn listed(&mut self, count: usize) {
        self.listed = self.listed.max(count);
    }

    fn place(&self, server: &ServerName, entry: &Entry) -> Option<usize> {
        let same = |one: &Addition| match one {
            Addition::Tool(of, name) => of == server && **name == *entry.definition.key(),
            Addition::Doors => false,
        };
        self.added.iter().position(same)
    }

    /// The doors take no room of a tool.
    fn has_room(&self) -> bool {
        let tools = self.added.iter().filter(|one| **one != Addition::Doors).count();
        tools < limits::JIT_ADDED_MAX
    }

    fn push(&mut self, addition: Addition) -> usize {
        self.added.push(addition);
        self.added.len() - 1
    }
}

/// A page of a list that grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrownPage {
    /// The whole `result` object.
    pub body: Vec<u8>,
    /// Whether it is the last one, which has the additions.
    pub is_last: bool,
}

/// Finds a tool of a view by its server and the server's own name for it.
pub type Find<'a, 'v> = &'a dyn Fn(&ServerName, &str) -> Option<&'v Entry>;

impl View {
    /// Whether tools are added to its list when they are found.
    pub const fn grows(&self) -> bool {
        self.tools.growing_front.is_some()
    }

    /// Whether the tools that call others stand in the list of such a caller from the start.
    pub fn lists_doors(&self, reader: Reader) -> bool {
        let growing = self.tools.growing_front.as_ref().filter(|_| reader == Reader::Growing);
        growing.unwrap_or(&self.tools.front).iter().any(|(door, _)| door.calls())
    }

    /// A page of the tools of one session, as [`View::page`] has it with what has been added behind its last
    /// one. What the caller may not see any more, or sees in the list that all have, is left out.
    pub fn grown_page(
        &self,
        reader: Reader,
        cursor: Option<&str>,
        grown: &Grown,
        find: Find<'_, '_>,
    ) -> Option<GrownPage> {
        let page = self.page(ItemKind::Tool, reader, cursor)?;
        // All others end with a cursor.
        let Some(shared) = page.strip_suffix(END) else {
            return Some(GrownPage { body: page.to_vec(), is_last: false });
        };
        let mut body = shared.to_vec();
        let begin = |body: &mut Vec<u8>| {
            if !body.ends_with(b"[") {
                body.push(b',');
            }
        };
        for addition in &grown.added {
            match addition {
                Addition::Tool(server, name) => {
                    if let Some(entry) = find(server, name).filter(|entry| !entry.is_listed()) {
                        begin(&mut body);
                        entry.definition.write(Changes { always: true, ..entry.changes(reader) }, &mut body);
                    }
                }
                Addition::Doors => {
                    for (_, definition) in self.tools.front.iter().filter(|(door, _)| door.calls()) {
                        begin(&mut body);
                        body.extend_from_slice(definition.as_bytes());
                    }
                }
            }
        }
        body.extend_from_slice(END);
        Some(GrownPage { body, is_last: true })
    }
}

const END: &[u8] = b"]}";

impl Plan<'_> {
    /// What stands before the tools for a caller whose list grows; nothing where no tool is added to lists.
    /// That follows from the config, as `front` does.
    pub(super) fn growing_front(&self, front: &[(Door, String)]) -> Option<Vec<(Door, String)>> {
        let any = |part: &Part<'_>, mode: ToolMode| {
            let single = part.presentation.tools.iter().any(|tool| tool.mode == Some(mode));
            single || self.mode(part) == mode
        };
        let parts = || self.servers().map(|(_, part)| part);
        let nothing_yet = self.mode == ToolMode::Jit && parts().next().is_none();
        if !nothing_yet && !parts().any(|part| any(part, ToolMode::Jit)) {
            return None;
        }
        let searched = parts().any(|part| any(part, ToolMode::Search));
        let behind = parts().filter(|part| any(part, ToolMode::Jit) || any(part, ToolMode::Search));
        let mut finder = Some(doors::growing(behind.map(|part| part.server.as_str())));
        let kept = front.iter().filter(|(door, _)| searched || !door.calls());
        let written = kept.map(|(door, definition)| match door {
            Door::Find => (Door::Find, finder.take().unwrap_or_else(|| definition.clone())),
            door => (*door, definition.clone()),
        });
        Some(written.collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
    use serde_json::Value;

    use super::{Added, END, Grown};
    use crate::call::ToolMode;
    use crate::ids::ServerName;
    use crate::limits;
    use crate::mcp::definition::ItemKind;
    use crate::mcp::presentation::ToolOverride;
    use crate::mcp::store::Store;
    use crate::mcp::view::tests::{ALL, Server, tools, view_in};
    use crate::mcp::view::{Entry, Reader, View};

    /// A view of these servers with `jit` for all of which nothing else is said.
    struct Session {
        names: Vec<ServerName>,
        view: View,
        grown: Grown,
        reader: Reader,
    }

    impl Session {
        fn new(servers: &[Server], reader: Reader) -> Self {
            let names = servers.iter().map(|server| server.name.clone()).collect();
            Self { names, view: view_in(ToolMode::Jit, servers, ALL, None), grown: Grown::default(), reader }
        }

        fn find(&mut self, names: &[&str]) -> Added {
            let found = names.iter().map(|name| self.view.find(ItemKind::Tool, name).unwrap());
            let found: Vec<(&ServerName, &Entry)> =
                found.map(|entry| (&self.names[entry.server], entry)).collect();
            self.grown.add(found, self.view.lists_doors(self.reader))
        }

        /// The list as it is sent.
        fn body(&self) -> Vec<u8> {
            let find = |server: &ServerName, name: &str| {
                let mut entries = self.view.entries(ItemKind::Tool).iter();
                entries.find(|entry| self.names[entry.server] == *server && entry.definition.key() == name)
            };
            let page = self.view.grown_page(self.reader, None, &self.grown, &find).unwrap();
            assert!(page.is_last);
            page.body
        }

        fn definitions(&self) -> Vec<Value> {
            let body: Value = serde_json::from_slice(&self.body()).unwrap();
            body["tools"].as_array().unwrap().clone()
        }

        fn listed(&self) -> Vec<String> {
            let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
            self.definitions().iter().map(name).collect()
        }
    }

    const DOORS: [&str; 3] = ["call_tool_read", "call_tool_write", "call_tool_destructive"];

    fn mode(name: &str, mode: ToolMode) -> ToolOverride {
        ToolOverride { name: name.to_owned(), mode: Some(mode), ..ToolOverride::default() }
    }

    #[test]
    fn what_is_found_is_added_and_loaded_from_the_start() {
        let store = Store::new();
        let mut servers =
            [tools(&store, "a", &["get", "put", "peek"]), tools(&store, "b", &["list", "drop"])];
        servers[0].presentation.core = vec![crate::glob::Glob::new("pe*")];
        servers[1].presentation.tools = vec![mode("list", ToolMode::Native)];
        let mut session = Session::new(&servers, Reader::Growing);
        assert_eq!(session.listed(), ["find_tools", "list", "peek"]);
        assert_eq!(session.find(&["put", "get"]), Added { until: 2, grew: true, all: true });
        assert_eq!(session.find(&["get"]), Added { until: 2, grew: false, all: true });
        assert_eq!(session.find(&["drop", "put"]), Added { until: 3, grew: true, all: true });
        assert_eq!(session.listed(), ["find_tools", "list", "peek", "put", "get", "drop"]);
        for tool in session.definitions() {
            let always = tool["_meta"]["anthropic/alwaysLoad"] == true;
            assert_eq!(always, tool["name"] != "list", "{tool}");
        }
        assert!(!session.grown.is_listed(1));
        session.grown.listed(2);
        assert!(session.grown.is_listed(2) && !session.grown.is_listed(3));
        // Who may pass over what it is told has the doors from the start.
        let mut session = Session::new(&servers, Reader::Legacy);
        session.find(&["put"]);
        assert_eq!(session.listed(), [&["find_tools"], &DOORS[..], &["list", "peek", "put"]].concat());
        // What comes to stand in the list of all does not stand there twice.
        servers[0].presentation.tools = vec![mode("put", ToolMode::Lean)];
        session.view = view_in(ToolMode::Jit, &servers, ALL, None);
        assert_eq!(session.listed(), [&["find_tools"], &DOORS[..], &["list", "peek", "put"]].concat());
        // What is gone for all is gone here.
        let hidden = ToolOverride { name: "put".to_owned(), hide: true, ..ToolOverride::default() };
        servers[0].presentation.tools = vec![hidden];
        session.view = view_in(ToolMode::Jit, &servers, ALL, None);
        assert_eq!(session.listed(), [&["find_tools"], &DOORS[..], &["list", "peek"]].concat());
    }

    #[test]
    fn lists_grow_where_the_config_says_so_alone() {
        let store = Store::new();
        let mut servers = [tools(&store, "a", &["get"]), tools(&store, "b", &["list"])];
        assert!(!view_in(ToolMode::Search, &servers, ALL, None).grows());
        assert!(view_in(ToolMode::Jit, &[], ALL, None).grows());
        servers[1].presentation.mode = Some(ToolMode::Jit);
        let view = view_in(ToolMode::Native, &servers, ALL, None);
        let words = |reader| {
            let page = view.page(ItemKind::Tool, reader, None).unwrap();
            String::from_utf8(page.to_vec()).unwrap()
        };
        assert!(view.grows() && words(Reader::Growing).contains("of b. Those that fit are added"));
        assert!(words(Reader::Legacy).contains("Each line of the answer"));
        // Where others are searched for, the doors stand there for all.
        servers[0].presentation.mode = Some(ToolMode::Search);
        let mut session = Session::new(&servers, Reader::Growing);
        assert_eq!(session.find(&["get"]), Added { until: 0, grew: false, all: false });
        assert_eq!(session.listed(), [&["find_tools"], &DOORS[..]].concat());
    }

    #[test]
    fn growth_ends_with_the_doors() {
        let store = Store::new();
        let all: Vec<String> = (0..limits::JIT_ADDED_MAX + 2).map(|number| format!("t{number}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let servers = [tools(&store, "a", &all)];
        let (room, most) = all.split_at(limits::JIT_ADDED_MAX);
        let mut session = Session::new(&servers, Reader::Growing);
        assert!(session.find(room).all);
        assert_eq!(session.find(most), Added { until: room.len() + 1, grew: true, all: false });
        assert_eq!(session.find(&all), Added { until: room.len() + 1, grew: false, all: false });
        assert_eq!(session.listed(), [&["find_tools"], room, &DOORS[..]].concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_list_of_a_hundred_turns_changes_at_its_end_alone(
            turns in prop::collection::vec(prop::collection::vec(0_usize..120, 0..6), 100),
            (known, searched) in any::<(bool, bool)>(),
        ) {
            let store = Store::new();
            let names: Vec<String> = (0..120).map(|number| format!("tool_{number}")).collect();
            let (one, other): (Vec<&str>, Vec<&str>) =
                names.iter().map(String::as_str).partition(|name| name.ends_with('7'));
            let mut servers = [tools(&store, "one", &one), tools(&store, "other", &other)];
            if searched {
                servers[0].presentation.mode = Some(ToolMode::Search);
            }
            let reader = if known { Reader::Growing } else { Reader::Legacy };
            let mut session = Session::new(&servers, reader);
            let mut before = session.body();
            for turn in turns {
                let found: Vec<&str> = turn.iter().map(|tool| names[*tool].as_str()).collect();
                let added = session.find(&found);
                let now = session.body();
                prop_assert!(now.starts_with(before.strip_suffix(END).unwrap()));
                prop_assert_eq!(added.grew, now.len() > before.len());
                before = now;
            }
            prop_assert!(session.listed().len() <= limits::JIT_ADDED_MAX + 4);
        }
    }
}
