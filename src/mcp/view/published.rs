//! The catalog over the lists of published servers, where they lie beside the repository.

use std::collections::HashSet;
use std::path::Path;

use crate::call::ToolMode;
use crate::ids::ServerName;
use crate::mcp::canonical::canonical;
use crate::mcp::definition::ItemKind;
use crate::mcp::list::{Pages, ServerLists};
use crate::mcp::presentation::Presentation;
use crate::mcp::store::Store;
use crate::mcp::view::{Part, Plan, Reader, Scope, View};
use serde_json::Value;

/// The lists by server name; none, and a loud word, where the corpus is not there.
fn published() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/tools"));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|is| is == "json")).collect();
    files.sort();
    if files.is_empty() {
        eprintln!("WARNING: {} has no lists; the test over published servers is skipped", folder.display());
    }
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[test]
fn published_tools_are_all_listed_as_they_are() {
    let store = Store::new();
    let published = published();
    let mut servers = Vec::new();
    for (name, result) in &published {
        let mut pages = Pages::new(ItemKind::Tool);
        pages.add(&store, result).unwrap();
        let tools = pages.finish();
        assert_eq!(tools.left_out, [], "{name}");
        servers.push((ServerName::new(name), ServerLists { tools, ..ServerLists::default() }));
    }
    let presentation = Presentation::default();
    let part = |server| -> Part<'_> {
        let (server, lists): &(ServerName, ServerLists) = server;
        Part { server, lists, presentation: &presentation, trusted: false }
    };
    let parts: Vec<Part<'_>> = servers.iter().map(part).collect();
    let scope = Scope::All { endpoint_key: "tollgate" };
    let view =
        View::new(&Plan { parts: &parts, scope, allow: None, mode: ToolMode::Raw, is_core: None, ttl_ms: 0 });

    let mut listed = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = view.page(ItemKind::Tool, Reader::Modern, cursor.as_deref()).unwrap();
        let read: Value = serde_json::from_slice(page).unwrap();
        listed.extend(read["tools"].as_array().unwrap().clone());
        let Some(next) = read["nextCursor"].as_str() else { break };
        cursor = Some(next.to_owned());
    }
    let names: HashSet<&str> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let total: usize = servers.iter().map(|(_, lists)| lists.tools.items.len()).sum();
    assert_eq!((names.len(), listed.len()), (total, total));
    for mut tool in listed {
        let name = tool["name"].as_str().unwrap().to_owned();
        assert!(name.len() <= 49, "{name}");
        let entry = view.find(ItemKind::Tool, &name).unwrap();
        tool["name"] = entry.definition.key().into();
        let written: Value = serde_json::from_slice(entry.definition.raw()).unwrap();
        assert_eq!(tool, written);
        // Spelt anew by another writer, it still has the same form.
        let (mut one, mut other) = (Vec::new(), Vec::new());
        canonical(entry.definition.raw(), &mut one).unwrap();
        canonical(written.to_string().as_bytes(), &mut other).unwrap();
        assert_eq!(one, other, "{name}");
    }
}
