//! Views: what callers see, byte for byte.

use std::sync::Arc;

use crate::call::{Class, ToolMode};
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::definition::ItemKind;
use crate::mcp::doors::Door;
use crate::mcp::lean::results::{Caps, Rule};
use crate::mcp::list::{CacheScope, Pages, ServerLists};
use crate::mcp::presentation::{Prefix, Presentation, ToolOverride};
use crate::mcp::store::Store;
use crate::mcp::view::{Admission, Allow, Part, Plan, Reader, Scope, View};
use serde_json::{Value, json};

/// One server as the config and its own lists make it.
pub(super) struct Server {
    pub(super) name: ServerName,
    lists: ServerLists,
    pub(super) presentation: Presentation,
}

fn server(store: &Store, name: &str, kinds: &[(ItemKind, Value)]) -> Server {
    let mut lists = ServerLists::default();
    for (kind, result) in kinds {
        let mut pages = Pages::new(*kind);
        pages.add(store, result.to_string().as_bytes()).unwrap();
        *lists.list_mut(*kind) = pages.finish();
        assert_eq!(lists.list(*kind).left_out, []);
    }
    Server { name: ServerName::new(name), lists, presentation: Presentation::default() }
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": format!("Does {name}"), "inputSchema": {"type": "object"}})
}

fn public(member: &str, items: &Value) -> Value {
    json!({member: items, "ttlMs": 1000, "cacheScope": "public"})
}

pub(super) fn tools(store: &Store, name: &str, tools: &[&str]) -> Server {
    let tools = tools.iter().map(|name| tool(name)).collect();
    server(store, name, &[(ItemKind::Tool, public("tools", &tools))])
}

pub(super) const ALL: Scope<'_> = Scope::All { endpoint_key: "tollgate" };

fn view(servers: &[Server], scope: Scope<'_>, allow: Option<Allow<'_>>) -> View {
    view_in(ToolMode::Raw, servers, scope, allow)
}

pub(super) fn view_in(
    mode: ToolMode,
    servers: &[Server],
    scope: Scope<'_>,
    allow: Option<Allow<'_>>,
) -> View {
    let parts: Vec<Part<'_>> = servers
        .iter()
        .map(|server| Part {
            server: &server.name,
            lists: &server.lists,
            presentation: &server.presentation,
            trusted: true,
        })
        .collect();
    View::new(&Plan { parts: &parts, scope, allow, mode, is_core: None, ttl_ms: 5000 })
}

fn body(view: &View, kind: ItemKind, reader: Reader) -> String {
    String::from_utf8(view.page(kind, reader, None).unwrap().to_vec()).unwrap()
}

fn exposed(view: &View, kind: ItemKind) -> Vec<&str> {
    view.entries(kind).iter().map(|entry| &*entry.exposed).collect()
}

#[test]
fn lists_are_ready_to_be_sent() {
    let store = Store::new();
    let result = r#"{"tools":[{ "name" : "b.c","inputSchema":{"type":"object"},
        "outputSchema":{"type":"array"}, "x": 1.0 },
        {"inputSchema":{"type":"object"},"name":"a"}],"cacheScope":"public"}"#;
    let mut pages = Pages::new(ItemKind::Tool);
    pages.add(&store, result.as_bytes()).unwrap();
    let lists = ServerLists { tools: pages.finish(), ..ServerLists::default() };
    let servers = [Server { name: ServerName::new("s"), lists, presentation: Presentation::default() }];
    let view = view(&servers, ALL, None);
    assert_eq!(
        body(&view, ItemKind::Tool, Reader::Modern),
        concat!(
            r#"{"resultType":"complete","ttlMs":5000,"cacheScope":"public","tools":["#,
            r#"{"inputSchema":{"type":"object"},"name":"a"},"#,
            r#"{ "name" : "b_c","inputSchema":{"type":"object"},         "outputSchema":{"type":"array"}, "#,
            r#""x": 1.0 }]}"#
        )
    );
    assert_eq!(
        body(&view, ItemKind::Tool, Reader::Legacy),
        concat!(
            r#"{"tools":[{"inputSchema":{"type":"object"},"name":"a"},"#,
            r#"{ "name" : "b_c","inputSchema":{"type":"object"},         "x": 1.0 }]}"#
        )
    );
    assert_eq!(body(&view, ItemKind::Prompt, Reader::Legacy), r#"{"prompts":[]}"#);
    assert_eq!(
        body(&view, ItemKind::Template, Reader::Modern),
        r#"{"resultType":"complete","ttlMs":5000,"cacheScope":"private","resourceTemplates":[]}"#
    );
    assert!(view.page(ItemKind::Tool, Reader::Modern, Some("")).is_none());
}

#[test]
fn names_lead_back_to_servers() {
    let store = Store::new();
    let mut servers = [tools(&store, "a", &["get", "put"]), tools(&store, "b", &["get", "drop", "list"])];
    let change = |name: &str, rename: Option<&str>, hide, description: Option<&str>| ToolOverride {
        name: name.to_owned(),
        rename: rename.map(str::to_owned),
        hide,
        description: description.map(str::to_owned),
        class: None,
        mode: None,
        results: None,
    };
    servers[1].presentation.tools = vec![
        change("drop", None, true, None),
        change("list", Some("all"), false, None),
        change("g*", None, false, Some("Better \"words\"")),
    ];
    let merged = view(&servers, ALL, None);
    assert_eq!(exposed(&merged, ItemKind::Tool), ["a__get", "all", "b__get", "put"]);
    let found = |view: &View, name: &str| {
        view.find(ItemKind::Tool, name).map(|entry| (entry.server, entry.definition.key().to_owned()))
    };
    assert_eq!(found(&merged, "b__get"), Some((1, "get".to_owned())));
    assert_eq!(found(&merged, "all"), Some((1, "list".to_owned())));
    assert_eq!(found(&merged, "get"), None);
    let read: Value = serde_json::from_str(&body(&merged, ItemKind::Tool, Reader::Legacy)).unwrap();
    assert_eq!(read["tools"][2]["description"], "Better \"words\"");
    assert_eq!(read["tools"][0]["description"], "Does get");
    let alone = view(&servers, Scope::One(1), None);
    assert_eq!(exposed(&alone, ItemKind::Tool), ["get", "list"]);
    assert_eq!(found(&alone, "get"), Some((1, "get".to_owned())));
    servers[0].presentation.prefix = Prefix::Always;
    assert_eq!(exposed(&view(&servers, ALL, None), ItemKind::Tool), ["a__get", "a__put", "all", "get"]);
}

#[test]
fn rights_take_away_but_never_rename() {
    let store = Store::new();
    let servers = [tools(&store, "a", &["get", "put"]), tools(&store, "b", &["get"])];
    let allow = |server: &ServerName, _: ItemKind, name: &str, _: Class| match (server.as_str(), name) {
        ("a", "get") => Admission::Open,
        _ => Admission::Hidden,
    };
    let view = view(&servers, ALL, Some(&allow));
    assert_eq!(exposed(&view, ItemKind::Tool), ["a__get"]);
    assert!(view.find(ItemKind::Tool, "b__get").is_none());
    assert_eq!(view.cache_scope(ItemKind::Tool), CacheScope::Private);
    assert!(body(&view, ItemKind::Tool, Reader::Modern).contains(r#""cacheScope":"private""#));
}

#[test]
fn a_list_is_public_when_all_its_parts_are() {
    let store = Store::new();
    let mut servers = vec![tools(&store, "a", &["x"]), tools(&store, "b", &["y"])];
    assert_eq!(view(&servers, ALL, None).cache_scope(ItemKind::Tool), CacheScope::Public);
    servers.push(server(&store, "c", &[(ItemKind::Tool, json!({"tools": []}))]));
    assert_eq!(view(&servers, ALL, None).cache_scope(ItemKind::Tool), CacheScope::Private);
    assert_eq!(view(&servers, Scope::One(0), None).cache_scope(ItemKind::Tool), CacheScope::Public);
}

#[test]
fn resources_keep_their_uris() {
    let store = Store::new();
    let resource = |uri: &str| json!({"uri": uri, "name": "n"});
    let template = |uri: &str| json!({"uriTemplate": uri, "name": "n"});
    let make = |name: &str| {
        server(
            &store,
            name,
            &[
                (ItemKind::Resource, json!({"resources": [resource("ui://app"), resource("own://x")]})),
                (ItemKind::Template, json!({"resourceTemplates": [template("t://{id}")]})),
                (ItemKind::Prompt, json!({"prompts": [{"name": "ask"}]})),
            ],
        )
    };
    let servers = [make("a"), make("b")];
    let view = view(&servers, ALL, None);
    let expected = ["own://x", "own://x#tollgate-server=b", "ui://app", "ui://app#tollgate-server=b"];
    assert_eq!(exposed(&view, ItemKind::Resource), expected);
    assert_eq!(exposed(&view, ItemKind::Template), ["t://{id}", "t://{id}#tollgate-server=b"]);
    assert_eq!(exposed(&view, ItemKind::Prompt), ["a__ask", "b__ask"]);
    let route = view.route("ui://app#tollgate-server=b").unwrap();
    assert_eq!((route.server, &*route.uri), (1, "ui://app"));
    assert!(
        body(&view, ItemKind::Resource, Reader::Legacy).contains(r#""uri":"ui://app#tollgate-server=b""#)
    );
}

#[test]
fn a_long_list_is_cut_into_pages() {
    let store = Store::new();
    let words = "long ".repeat(20_000);
    let items: Vec<Value> = (0..100)
        .map(|n| json!({"name": format!("t{n:03}"), "description": words, "inputSchema": {"type": "object"}}))
        .collect();
    let (first, second) = items.split_at(60);
    let servers = [
        server(&store, "a", &[(ItemKind::Tool, json!({"tools": first}))]),
        server(&store, "b", &[(ItemKind::Tool, json!({"tools": second}))]),
    ];
    let view = view(&servers, ALL, None);
    for reader in [Reader::Modern, Reader::Legacy] {
        let (mut cursor, mut found, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = view.page(ItemKind::Tool, reader, cursor.as_deref()).unwrap();
            assert!(page.len() < limits::MCP_PAGE_BYTES_MAX + 1024);
            let read: Value = serde_json::from_slice(page).unwrap();
            found.extend(read["tools"].as_array().unwrap().clone());
            pages += 1;
            cursor = read["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (items.clone(), 3));
    }
    assert!(view.page(ItemKind::Tool, Reader::Modern, Some("1-0000000000000000")).is_none());
}

/// Numbers that look like chance, the same in every run.
fn chance(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % bound
    }
}

fn shuffle<T>(items: &mut [T], next: &mut impl FnMut(usize) -> usize) {
    for place in (1..items.len()).rev() {
        items.swap(place, next(place + 1));
    }
}

#[test]
fn a_thousand_orders_of_arrival_give_the_same_bytes() {
    let mut next = chance(7);
    let names = ["alpha", "beta", "gamma", "delta", "eps"];
    let listed = [
        &["get", "x.y", "put"][..],
        &["get", "x_y", "alpha__get"],
        &["x.y", "x_y", "list"],
        &["get", "a name that is much too long for what a client takes, and goes on and on"],
        &["put"],
    ];
    let mut expected: Option<Vec<String>> = None;
    let kept = Store::new();
    for turn in 0..1000 {
        // A store that other results have been through, or that of another process.
        let fresh = Store::new();
        let store = if turn % 2 == 0 { &kept } else { &fresh };
        let mut order: Vec<usize> = (0..names.len()).collect();
        shuffle(&mut order, &mut next);
        let mut slots: Vec<Option<Server>> = names.iter().map(|_| None).collect();
        for index in order {
            let mut made = tools(store, names[index], listed[index]);
            shuffle(&mut made.lists.tools.items, &mut next);
            // The same definitions in every form.
            made.presentation.mode = (index == 2).then_some(ToolMode::Search);
            slots[index] = Some(made);
        }
        let servers: Vec<Server> = slots.into_iter().flatten().collect();
        let bodies: Vec<String> = [ToolMode::Raw, ToolMode::Native, ToolMode::Lean, ToolMode::Search]
            .into_iter()
            .flat_map(|mode| {
                let view = view_in(mode, &servers, ALL, None);
                [Reader::Modern, Reader::Legacy].map(|reader| body(&view, ItemKind::Tool, reader))
            })
            .collect();
        assert_eq!(*expected.get_or_insert_with(|| bodies.clone()), bodies, "turn {turn}");
    }
}

#[test]
fn one_server_alone_keeps_its_own_order() {
    let store = Store::new();
    let servers = [tools(&store, "one", &["zebra", "ant", "mouse"]), tools(&store, "two", &["bee"])];
    let names = |scope| -> Vec<String> {
        let body: Value =
            serde_json::from_str(&body(&view(&servers, scope, None), ItemKind::Tool, Reader::Modern))
                .unwrap();
        body["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(Scope::One(0)), ["zebra", "ant", "mouse"]);
    assert_eq!(names(ALL), ["ant", "bee", "mouse", "zebra"]);
    let alone = view(&servers, Scope::One(0), None);
    for tool in ["zebra", "ant", "mouse"] {
        assert_eq!(alone.find(ItemKind::Tool, tool).unwrap().definition.key(), tool);
    }
}

const DOORS: [&str; 4] = ["find_tools", "call_tool_read", "call_tool_write", "call_tool_destructive"];

fn listed(view: &View) -> Vec<String> {
    let body: Value = serde_json::from_str(&body(view, ItemKind::Tool, Reader::Legacy)).unwrap();
    let tools = body["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn tools_that_are_searched_for_stand_in_no_list_and_are_there() {
    let store = Store::new();
    let mut servers = [tools(&store, "a", &["get", "put"]), tools(&store, "b", &["list"])];
    servers[0].presentation.mode = Some(ToolMode::Search);
    let seen = view(&servers, ALL, None);
    assert_eq!(listed(&seen), [&DOORS[..], &["list"]].concat());
    assert_eq!(exposed(&seen, ItemKind::Tool), ["get", "list", "put"]);
    assert!(!seen.find(ItemKind::Tool, "get").unwrap().is_listed());
    assert_eq!(seen.door("call_tool_read"), Some(Door::Read));
    assert_eq!((seen.door("get"), seen.has_doors()), (None, true));
    // One of them may be listed all the same, and where none can be searched for there are no doors.
    let core =
        ToolOverride { name: "put".to_owned(), mode: Some(ToolMode::Native), ..ToolOverride::default() };
    servers[0].presentation.tools = vec![core];
    assert_eq!(listed(&view(&servers, ALL, None)), [&DOORS[..], &["list", "put"]].concat());
    assert_eq!(listed(&view(&servers, Scope::One(1), None)), ["list"]);
    assert_eq!(view(&servers, Scope::One(1), None).door("find_tools"), None);
    servers[0].presentation = Presentation::default();
    let all = view_in(ToolMode::Search, &servers, ALL, None);
    assert_eq!(listed(&all), DOORS);
    assert_eq!(listed(&view_in(ToolMode::Search, &[], ALL, None)), DOORS);
}

#[test]
fn doors_are_the_same_to_the_byte_whatever_servers_list() {
    let store = Store::new();
    let bodies = |servers: &[Server]| {
        let view = view_in(ToolMode::Search, servers, ALL, None);
        [Reader::Legacy, Reader::Modern].map(|reader| body(&view, ItemKind::Tool, reader))
    };
    let servers = [tools(&store, "a", &["get", "put"]), tools(&store, "b", &["list"])];
    let before = bodies(&servers);
    assert_eq!(bodies(&[tools(&store, "a", &["find_tools"]), tools(&store, "b", &[])]), before);
    assert!(before[0].contains("what they do, of a, b. "), "{}", before[0]);
}

#[test]
fn what_reads_on_is_listed_for_those_who_have_something_to_read() {
    let store = Store::new();
    let mut servers = [tools(&store, "a", &["get"]), tools(&store, "b", &["list"])];
    let caps = |bytes_max| Caps { rows_max: None, bytes_max: Some(bytes_max) };
    let refers = Rule { refer_bytes: Some(4096), ..Rule::default() };
    // The rules of the two servers, who is told how to read on, and with which mark.
    let cases = [
        (Rule { client_chars: Some(90_000), ..Rule::default() }, Rule::default(), [false, false], None),
        (refers.clone(), Rule::default(), [true, false], None),
        (refers, Rule { client_chars: Some(90_000), ..Rule::default() }, [true, false], None),
        (Rule { caps: caps(70_000), ..Rule::default() }, Rule::default(), [true, true], Some(70_256)),
        (
            Rule { caps: caps(70_000), ..Rule::default() },
            Rule { caps: caps(80_000), client_chars: Some(75_000), ..Rule::default() },
            [true, true],
            Some(75_000),
        ),
    ];
    for (one, other, reads_on, mark) in cases {
        servers[0].presentation.results = Some(Arc::new(one));
        servers[1].presentation.results = Some(Arc::new(other));
        let view = view_in(ToolMode::Native, &servers, ALL, None);
        for (reader, reads_on) in [Reader::Legacy, Reader::Modern].into_iter().zip(reads_on) {
            let list: Value = serde_json::from_str(&body(&view, ItemKind::Tool, reader)).unwrap();
            let all = list["tools"].as_array().unwrap();
            let more = all.iter().find(|tool| tool["name"] == "read_more");
            assert_eq!((more.is_some(), all.len()), (reads_on, 2 + usize::from(reads_on)), "{list}");
            let meta = more.map(|more| more["_meta"]["anthropic/maxResultSizeChars"].as_u64());
            assert!(meta.is_none_or(|meta| meta == mark), "{list}");
        }
        assert_eq!(view.door("read_more").is_some(), reads_on[0]);
        assert_eq!(view.refers(), reads_on == [true, false]);
    }
}

#[test]
fn what_a_person_is_asked_about_is_listed_since_only_a_list_can_say_so() {
    let store = Store::new();
    let servers = [tools(&store, "a", &["get", "put", "drop", "find_tools"])];
    let allow = |_: &ServerName, _, name: &str, _| match name {
        "put" | "find_tools" => Admission::Asks,
        "drop" => Admission::Hidden,
        _ => Admission::Open,
    };
    for scope in [ALL, Scope::One(0)] {
        let view = view_in(ToolMode::Search, &servers, scope, Some(&allow));
        assert_eq!(listed(&view), [&DOORS[..], &["put"]].concat());
        assert_eq!(view.marked().iter().map(|name| &**name).collect::<Vec<_>>(), ["put"]);
        // A door's name is the door's; nobody has been told to ask about the other, so it cannot be called.
        assert!(!view.find(ItemKind::Tool, "find_tools").unwrap().is_listed());
        assert!(view.find(ItemKind::Tool, "drop").is_none());
    }
}

#[test]
fn tools_of_scripts_stand_in_no_list_and_two_others_do() {
    let store = Store::new();
    let mut servers = [tools(&store, "a", &["get", "run_code"]), tools(&store, "b", &["list"])];
    let both = ["find_tools", "run_code"];
    let coded = view_in(ToolMode::Code, &servers, ALL, None);
    assert_eq!(listed(&coded), both);
    assert_eq!(listed(&view_in(ToolMode::Code, &[], ALL, None)), both);
    assert_eq!([coded.door("run_code"), coded.door("call_tool_read")], [Some(Door::Run), None]);
    let entry = |view: &View, name: &str| view.find(ItemKind::Tool, name).unwrap().clone();
    assert!(!entry(&coded, "get").is_listed());
    // Its name is taken, so scripts alone reach it.
    assert_eq!(entry(&coded, "run_code").mode, ToolMode::Code);
    // Beside tools that doors call, both have their own.
    servers[0].presentation.mode = Some(ToolMode::Code);
    servers[1].presentation.mode = Some(ToolMode::Search);
    let mixed = view(&servers, ALL, None);
    assert_eq!(listed(&mixed), [&DOORS[..], &["run_code"]].concat());
    assert_eq!([entry(&mixed, "get").mode, entry(&mixed, "list").mode], [ToolMode::Code, ToolMode::Search]);
    let allow = |_: &ServerName, _, name: &str, _| match name {
        "get" => Admission::Asks,
        _ => Admission::Open,
    };
    let asked = view_in(ToolMode::Code, &[tools(&store, "a", &["get", "put"])], ALL, Some(&allow));
    assert_eq!(listed(&asked), [&both[..], &["get"]].concat());
}
