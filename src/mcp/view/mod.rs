//! The catalog as one kind of caller sees it: tables from names to servers, and the lists ready to be sent.
//!
//! A view is made whenever a server's list, the config or somebody's rights change, and is then shared by
//! all callers with the same rights. Answering a list is sending bytes that are there: the caller's id goes
//! before them, `}` behind. The bytes depend on what is listed alone, so that a model's prompt cache
//! survives restarts and the moods of servers: items of several servers stand in the order of their names,
//! those of one alone in its own, and every definition is as its server wrote it but for what [`Changes`]
//! says, which follows from the definition, the config and the mode.
//!
//! Tools of the modes `search` and `code` are in the tables but in no list: the tools of `doors` stand first
//! in theirs. Those of the mode `jit` are in none until one session has found them (`growing`).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::call::{Class, ToolMode};
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::changes::Changes;
use crate::mcp::definition::{Definition, ItemKind};
use crate::mcp::doors::Door;
use crate::mcp::lean::results::Rule;
use crate::mcp::list::{CacheScope, ServerLists};
use crate::mcp::names::overrides::Overrides;
use crate::mcp::names::{Claim, chars_max, expose, normal};
use crate::mcp::presentation::{Prefix, Presentation};
use crate::mcp::routes::{Address, Route, Routes};
use crate::mcp::view::front::Rests;

mod front;
pub mod growing;
#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;

/// One server of the config with what it listed last.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its name.
    pub server: &'a ServerName,
    /// Its lists.
    pub lists: &'a ServerLists,
    /// How its tools appear.
    pub presentation: &'a Presentation,
    /// Whether what it says of its tools is believed.
    pub trusted: bool,
}

/// What a view is a view of.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All servers as one, mounted under this key.
    All {
        /// `mcp__KEY__` stands before every name.
        endpoint_key: &'a str,
    },
    /// The server at this place alone, with its own names. What is hidden or described anew still is.
    One(usize),
}

/// What a caller may do with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nothing, not even see it.
    Hidden,
    /// Call it, each time that a person says so.
    Asks,
    /// Use it.
    Open,
}

/// What the caller may do with an item: its server, what it is, its name or URI as the server knows it, and
/// what it does, if it is a tool.
pub type Allow<'a> = &'a dyn Fn(&ServerName, ItemKind, &str, Class) -> Admission;

/// Whether a tool of a server, by the server's own name for it, stands in every list of a caller.
pub type IsCore<'a> = &'a dyn Fn(&ServerName, &str) -> bool;

/// What a view is made of.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// All servers, in the order of the config.
    pub parts: &'a [Part<'a>],
    /// Which of them.
    pub scope: Scope<'a>,
    /// The caller's rights; `None` where all callers may see everything.
    pub allow: Option<Allow<'a>>,
    /// How definitions are written where the config says nothing of the tool or its server.
    pub mode: ToolMode,
    /// Which tools of a server stand in every list, beside those that the server's own config says.
    pub is_core: Option<IsCore<'a>>,
    /// For how many milliseconds the lists stay good.
    pub ttl_ms: u64,
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("parts", &self.parts).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Who reads a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A caller of revision 2025-11-25 or earlier: no `resultType`, and no `outputSchema` whose root is not
    /// an object.
    Legacy,
    /// A caller of revision 2026-07-28.
    Modern,
    /// As `Legacy`, and it lists anew at once when it is told that its tools have changed.
    Growing,
}

/// One item as callers see it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, URI or template for callers.
    pub exposed: Box<str>,
    /// The place of its server in the config.
    pub server: usize,
    /// What the server wrote; `key()` is what the server calls it.
    pub definition: Arc<Definition>,
    /// The description that the config gives it.
    pub description: Option<Box<str>>,
    /// How its definition is written; raw for all but tools.
    pub mode: ToolMode,
    /// What it does to the world, if it is a tool.
    pub class: Class,
    /// Whether a person has to be asked before each call.
    pub asks: bool,
    /// Why it cannot be called, where its server has made another of it.
    pub held: Option<Arc<str>>,
    /// What is done to its results.
    pub results: Option<Arc<Rule>>,
    /// Whether it stands in every list, and clients load it from the start.
    pub core: bool,
}

impl Entry {
    /// Whether it stands in the list that all share; else it is found, and added or called through the tools
    /// of `doors`.
    pub const fn is_listed(&self) -> bool {
        self.mode.is_listed()
    }

    /// What is written differently for callers.
    pub fn changes(&self, reader: Reader) -> Changes<'_> {
        Changes {
            key: Some(&self.exposed),
            description: self.description.as_deref(),
            shape: self.definition.shape(self.mode),
            legacy: reader != Reader::Modern,
            asks: self.asks,
            always: self.core,
            result_chars: self.results.as_deref().and_then(Rule::result_chars),
            any_output: self.results.as_ref().is_some_and(|rule| rule.changes_values()),
        }
    }
}

/// A tool that is not listed until somebody approves it.
#[derive(Clone, Debug)]
pub struct Unlisted {
    /// The place of its server in the config.
    pub server: usize,
    /// What the server calls it.
    pub name: Box<str>,
    /// Why it cannot be called.
    pub why: Arc<str>,
}

/// A view: immutable, shared by threads.
#[derive(Debug)]
pub struct View {
    tools: Listed,
    prompts: Listed,
    resources: Listed,
    templates: Listed,
    routes: Routes,
    /// By the names that they would be called by.
    unlisted: HashMap<String, Unlisted>,
    /// The tools that callers have to ask about, in the order of their names.
    marked: Arc<[Box<str>]>,
    ttl_ms: u64,
}

/// One list of a view.
#[derive(Debug, Default)]
struct Listed {
    /// In the order of `exposed`, which is unique.
    entries: Vec<Entry>,
    /// The places of `entries` in the order in which callers get them.
    order: Vec<usize>,
    /// Definitions of ours that stand before them.
    front: Vec<(Door, String)>,
    /// The same for callers whose list grows, where any tool is added to lists.
    growing_front: Option<Vec<(Door, String)>>,
    rests: Rests,
    scope: CacheScope,
    /// Made when somebody first asks: most callers are modern, and many never ask for resources.
    modern: OnceLock<Box<[Page]>>,
    legacy: OnceLock<Box<[Page]>>,
    growing: OnceLock<Box<[Page]>>,
}

/// A page, never changed.
#[derive(Debug)]
struct Page {
    /// What asks for it; the first needs nothing.
    cursor: Option<String>,
    /// The whole `result` object, without a line end.
    body: Bytes,
}

impl View {
    /// Makes the tables. The bodies of lists are made when they are asked for first.
    pub fn new(plan: &Plan<'_>) -> Self {
        let (resources, templates, routes) = addresses(plan);
        let tools = named(plan, ItemKind::Tool);
        let asks = |entry: &&Entry| entry.asks && entry.is_listed();
        let marked = tools.entries.iter().filter(asks).map(|entry| entry.exposed.clone());
        Self {
            marked: marked.collect(),
            tools,
            prompts: named(plan, ItemKind::Prompt),
            resources,
            templates,
            routes,
            unlisted: unlisted(plan),
            ttl_ms: plan.ttl_ms.min(limits::MCP_TTL_MS_MAX),
        }
    }

    /// A page of a list as a `result` object; `cursor` is what the page before it gave, or nothing. Nothing
    /// for a cursor that is not, or no longer, one of this list.
    pub fn page(&self, kind: ItemKind, reader: Reader, cursor: Option<&str>) -> Option<&Bytes> {
        let listed = self.listed(kind);
        let made = match reader {
            Reader::Legacy => &listed.legacy,
            Reader::Modern => &listed.modern,
            Reader::Growing => &listed.growing,
        };
        let pages = made.get_or_init(|| pages(kind, reader, listed, self.ttl_ms));
        pages.iter().find(|page| page.cursor.as_deref() == cursor).map(|page| &page.body)
    }

    /// What a name, URI or template of ours stands for. URIs that are not listed are found by
    /// [`View::route`].
    pub fn find(&self, kind: ItemKind, exposed: &str) -> Option<&Entry> {
        let entries = self.entries(kind);
        let place = entries.binary_search_by(|entry| (*entry.exposed).cmp(exposed)).ok()?;
        entries.get(place)
    }

    /// Which of the tools of `doors` a name means here.
    pub fn door(&self, name: &str) -> Option<Door> {
        if !self.has_doors() {
            return None;
        }
        Door::named(name).filter(|door| self.has_door(*door))
    }

    /// Whether any tool of `doors` stands in the list.
    pub const fn has_doors(&self) -> bool {
        !self.tools.front.is_empty()
    }

    /// Whether this one does.
    pub fn has_door(&self, door: Door) -> bool {
        self.tools.front.iter().any(|(known, _)| *known == door)
    }

    /// Whether results of any of its tools are referred to in sessions that were given them before.
    pub const fn refers(&self) -> bool {
        self.tools.rests.refers
    }

    /// A tool of this name that is not listed, for those who may call it. What is listed goes before it.
    pub fn unlisted(&self, exposed: &str) -> Option<&Unlisted> {
        self.unlisted.get(exposed)
    }

    /// The tools that callers have to ask a person about before each call, in the order of their names.
    pub const fn marked(&self) -> &Arc<[Box<str>]> {
        &self.marked
    }

    /// The same view with these, which are in order, for tests of what is done with them.
    #[cfg(test)]
    pub(crate) fn with_marked(self, marked: &[&str]) -> Self {
        Self { marked: marked.iter().map(|name| Box::from(*name)).collect(), ..self }
    }

    /// Where a URI leads. What is not listed may lead to a server that has never been asked whether the
    /// caller may see it: policy decides about the URI that comes out, too.
    pub fn route<'a>(&self, uri: &'a str) -> Option<Route<'a>> {
        self.routes.find(uri)
    }

    /// All items of a kind, in the order of their names.
    pub fn entries(&self, kind: ItemKind) -> &[Entry] {
        &self.listed(kind).entries
    }

    /// Who may be given a list.
    pub const fn cache_scope(&self, kind: ItemKind) -> CacheScope {
        self.listed(kind).scope
    }

    const fn listed(&self, kind: ItemKind) -> &Listed {
        match kind {
            ItemKind::Tool => &self.tools,
            ItemKind::Prompt => &self.prompts,
            ItemKind::Resource => &self.resources,
            ItemKind::Template => &self.templates,
        }
    }
}

impl<'a> Plan<'a> {
    /// The servers that take part, with their places.
    fn servers(&self) -> impl Iterator<Item = (usize, &'a Part<'a>)> {
        let scope = self.scope;
        self.parts.iter().enumerate().filter(move |(place, _)| match scope {
            Scope::All { .. } => true,
            Scope::One(one) => one == *place,
        })
    }

    fn admits(&self, part: &Part<'_>, definition: &Definition, class: Class) -> Admission {
        let admits = |allow: Allow<'_>| allow(part.server, definition.kind(), definition.key(), class);
        self.allow.map_or(Admission::Open, admits)
    }

    fn is_core(&self, part: &Part<'_>, tool: &str) -> bool {
        part.presentation.core.iter().any(|glob| glob.matches(tool))
            || self.is_core.is_some_and(|is_core| is_core(part.server, tool))
    }

    /// The mode that holds for a server where nothing is said of a tool.
    fn mode(&self, part: &Part<'_>) -> ToolMode {
        part.presentation.mode.unwrap_or(self.mode)
    }

    /// Private when any part is, and whenever rights decided what is in it.
    fn cache_scope(&self, kind: ItemKind) -> CacheScope {
        let all = self.servers().map(|(_, part)| part.lists.list(kind).scope);
        let scope = all.max().unwrap_or(CacheScope::Public);
        if self.allow.is_some() { CacheScope::Private } else { scope }
    }

    /// A list of what the caller may see.
    fn listed(&self, kind: ItemKind, entries: impl Iterator<Item = Entry>) -> Listed {
        let front = if kind == ItemKind::Tool { self.front() } else { Vec::new() };
        let has = |door: Door| front.iter().any(|(known, _)| *known == door);
        let away = if has(Door::Run) && !has(Door::Read) { ToolMode::Code } else { ToolMode::Search };
        let admitted = |entry: Entry| {
            let part = self.parts.get(entry.server)?;
            let admission = self.admits(part, &entry.definition, entry.class);
            let asks = admission == Admission::Asks;
            let mode = match entry.mode {
                // Two tools of one name would make clients refuse the list.
                _ if front.iter().any(|(door, _)| door.name() == &*entry.exposed) => away,
                // Only a list can tell a client to ask a person.
                mode if asks && !mode.is_listed() => ToolMode::Native,
                mode => mode,
            };
            (admission != Admission::Hidden).then_some(Entry { asks, mode, ..entry })
        };
        let mut numbered: Vec<(usize, Entry)> = entries.filter_map(admitted).enumerate().collect();
        numbered.sort_unstable_by(|(_, one), (_, other)| one.exposed.cmp(&other.exposed));
        let mut order: Vec<usize> = (0..numbered.len()).collect();
        if let Scope::One(_) = self.scope {
            order.sort_unstable_by_key(|place| numbered.get(*place).map(|(number, _)| *number));
        }
        order.retain(|place| numbered.get(*place).is_some_and(|(_, entry)| entry.is_listed()));
        let entries = numbered.into_iter().map(|(_, entry)| entry).collect();
        let growing_front = if front.is_empty() { None } else { self.growing_front(&front) };
        let (rests, scope) = (self.rests(), self.cache_scope(kind));
        Listed { entries, order, front, growing_front, rests, scope, ..Listed::default() }
    }
}

/// The list of tools or of prompts. Rights come last, so that names are the same for all callers.
fn named(plan: &Plan<'_>, kind: ItemKind) -> Listed {
    let mut entries = Vec::new();
    let mut claims = Vec::new();
    for (place, part) in plan.servers() {
        let overrides = Overrides::new(part.presentation);
        for definition in &part.lists.list(kind).items {
            let change = match kind {
                ItemKind::Tool => overrides.of(definition.key()),
                ItemKind::Prompt | ItemKind::Resource | ItemKind::Template => Default::default(),
            };
            if change.hide {
                continue;
            }
            claims.push(Claim {
                rank: place,
                server: part.server.as_str(),
                name: definition.key(),
                prefix: &part.presentation.prefix,
                rename: change.rename,
            });
            let core = kind == ItemKind::Tool && plan.is_core(part, definition.key());
            entries.push(Entry {
                exposed: Box::default(),
                server: place,
                definition: Arc::clone(definition),
                description: change.description.map(Into::into),
                mode: match kind {
                    ItemKind::Tool => match change.mode.unwrap_or_else(|| plan.mode(part)) {
                        mode if core && !mode.is_listed() => ToolMode::Native,
                        mode => mode,
                    },
                    ItemKind::Prompt | ItemKind::Resource | ItemKind::Template => ToolMode::Raw,
                },
                class: definition.class(change.class, part.trusted),
                asks: false,
                held: match kind {
                    ItemKind::Tool => part.lists.barred.held.get(definition.key()).cloned(),
                    ItemKind::Prompt | ItemKind::Resource | ItemKind::Template => None,
                },
                results: change.results.or(part.presentation.results.as_ref()).cloned(),
                core,
            });
        }
    }
    let names = match plan.scope {
        Scope::All { endpoint_key } => expose(&claims, chars_max(endpoint_key)),
        Scope::One(_) => claims.iter().map(|claim| claim.name.to_owned()).collect(),
    };
    let named = entries.into_iter().zip(names).map(|(entry, name)| Entry { exposed: name.into(), ..entry });
    plan.listed(kind, named)
}

/// Tools that are not listed. They take no part in the making of names, lest what nobody has approved changes
/// those of others; so they are known by all names that they may get.
fn unlisted(plan: &Plan<'_>) -> HashMap<String, Unlisted> {
    let mut out = HashMap::new();
    for (place, part) in plan.servers() {
        let overrides = Overrides::new(part.presentation);
        for (name, why) in &part.lists.barred.unlisted {
            let change = overrides.of(name);
            // What its server says of a tool that nobody has approved is not believed.
            let class = change.class.unwrap_or_default();
            let hidden =
                |allow: Allow<'_>| allow(part.server, ItemKind::Tool, name, class) == Admission::Hidden;
            if change.hide || plan.allow.is_some_and(hidden) {
                continue;
            }
            let names = match (plan.scope, change.rename) {
                (Scope::One(_), _) => vec![name.clone()],
                (Scope::All { .. }, Some(rename)) => vec![rename.to_owned()],
                (Scope::All { .. }, None) => {
                    let prefix = match &part.presentation.prefix {
                        Prefix::Fixed(text) => text.as_str(),
                        Prefix::OnCollision | Prefix::Always | Prefix::Never => part.server.as_str(),
                    };
                    vec![normal(name), format!("{prefix}__{}", normal(name))]
                }
            };
            for exposed in names {
                let (name, why) = (name.as_str().into(), Arc::clone(why));
                out.entry(exposed).or_insert(Unlisted { server: place, name, why });
            }
        }
    }
    out
}

/// An item with its server and the place of that.
type Placed<'a> = (usize, &'a Part<'a>, &'a Arc<Definition>);

fn address<'a>(plan: &Plan<'_>, (place, part, item): Placed<'a>) -> Address<'a> {
    let open = plan.admits(part, item, Class::Unknown) == Admission::Open;
    Address { server: place, server_name: part.server.as_str(), uri: item.key(), open }
}

/// The lists of resources and templates, and where URIs lead.
fn addresses(plan: &Plan<'_>) -> (Listed, Listed, Routes) {
    let of = |kind: ItemKind| {
        let mut all = Vec::new();
        for (place, part) in plan.servers() {
            all.extend(part.lists.list(kind).items.iter().map(|item| (place, part, item)));
        }
        all
    };
    let (resources, templates) = (of(ItemKind::Resource), of(ItemKind::Template));
    let resource_addresses: Vec<Address<'_>> =
        resources.iter().map(|placed| address(plan, *placed)).collect();
    let template_addresses: Vec<Address<'_>> =
        templates.iter().map(|placed| address(plan, *placed)).collect();
    let (mut routes, [resource_names, template_names]) =
        Routes::new(&resource_addresses, &template_addresses);
    if let Scope::One(server) = plan.scope {
        routes = routes.with_only(server);
    }
    let listed = |kind: ItemKind, all: Vec<Placed<'_>>, names: Vec<String>| {
        let entries = all.into_iter().zip(names).map(|((server, _, item), name)| Entry {
            exposed: name.into(),
            server,
            definition: Arc::clone(item),
            description: None,
            mode: ToolMode::Raw,
            class: Class::Unknown,
            asks: false,
            held: None,
            results: None,
            core: false,
        });
        plan.listed(kind, entries)
    };
    let resources = listed(ItemKind::Resource, resources, resource_names);
    let templates = listed(ItemKind::Template, templates, template_names);
    (resources, templates, routes)
}

/// Writes a list, and cuts it where a page is over `limits::MCP_PAGE_BYTES_MAX`.
fn pages(kind: ItemKind, reader: Reader, listed: &Listed, ttl_ms: u64) -> Box<[Page]> {
    let head = match reader {
        Reader::Legacy | Reader::Growing => format!("{{\"{}\":[", kind.member()),
        Reader::Modern => format!(
            "{{\"resultType\":\"complete\",\"ttlMs\":{ttl_ms},\"cacheScope\":\"{}\",\"{}\":[",
            listed.scope.as_str(),
            kind.member()
        ),
    };
    let size = |entry: &Entry| {
        entry.definition.raw().len() + entry.exposed.len() + entry.description.as_deref().map_or(0, str::len)
    };
    let mut items = Vec::with_capacity(listed.entries.iter().map(size).sum::<usize>() + 64);
    let grown = listed.growing_front.as_ref().filter(|_| reader == Reader::Growing);
    let front = grown.unwrap_or(&listed.front).iter();
    let front = front.filter(|(door, _)| listed.rests.has(*door, reader));
    for (place, (_, definition)) in front.enumerate() {
        items.extend_from_slice(if place > 0 { b"," } else { b"" });
        items.extend_from_slice(definition.as_bytes());
    }
    // Where pages begin, but for the first.
    let mut cuts = Vec::new();
    let mut begin = 0;
    for entry in listed.order.iter().filter_map(|place| listed.entries.get(*place)) {
        let start = items.len();
        if start > begin {
            items.push(b',');
        }
        entry.definition.write(entry.changes(reader), &mut items);
        if start > begin && items.len() - begin > limits::MCP_PAGE_BYTES_MAX {
            items.remove(start);
            cuts.push(start);
            begin = start;
        }
    }
    let digest = xxh3_64(&items);
    let name = |page: usize| format!("{page}-{digest:016x}");
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(items.len()));
    let mut made = Vec::with_capacity(cuts.len() + 1);
    for (page, (start, end)) in starts.zip(ends).enumerate() {
        let part = items.get(start..end).unwrap_or_default();
        let tail = if page < cuts.len() {
            format!("],\"nextCursor\":\"{}\"}}", name(page + 1))
        } else {
            "]}".to_owned()
        };
        let body = [head.as_bytes(), part, tail.as_bytes()].concat();
        made.push(Page { cursor: (page > 0).then(|| name(page)), body: Bytes::from(body) });
    }
    made.into()
}
