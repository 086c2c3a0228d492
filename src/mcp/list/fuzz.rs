//! The fuzz body of lists: any page gives a list within its bounds that says the same as `serde_json` does.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use serde_json::Value as Tree;

use crate::limits;
use crate::mcp::changes::Changes;
use crate::mcp::definition::ItemKind;
use crate::mcp::list::Pages;
use crate::mcp::store::Store;

/// Reads any bytes as a page of every kind of list, twice.
pub fn fuzz_mcp_list(data: &[u8]) {
    let store = Store::new();
    for kind in ItemKind::ALL {
        let mut pages = Pages::new(kind);
        let first = pages.add(&store, data);
        let Ok(next) = first else {
            assert!(pages.finish().items.is_empty(), "items of a page that is none");
            continue;
        };
        // Asked again it is the same list: every item is there already, a cursor leads round in a circle.
        let again = pages.add(&store, data);
        assert_eq!(again.is_err(), next.is_some());
        let list = pages.finish();
        assert!(list.items.len() <= limits::MCP_LIST_ITEMS_MAX);
        assert!(list.left_out.len() <= list.left_out_count);
        for item in &list.items {
            let tree: Tree = serde_json::from_slice(item.raw()).expect("a definition that is JSON");
            assert_eq!(tree.get(kind.key()).and_then(Tree::as_str), Some(item.key()));
            assert_eq!(tree.get("description").and_then(Tree::as_str), item.description().as_deref());
            changed(item, tree);
        }
    }
}

/// Writing changes into a definition changes just that.
fn changed(item: &crate::mcp::definition::Definition, mut tree: Tree) {
    let mut out = Vec::new();
    let changes = Changes {
        key: Some("k"),
        description: Some("d \"e\"\n"),
        legacy: true,
        asks: true,
        result_chars: Some(70_000),
        ..Changes::default()
    };
    item.write(changes, &mut out);
    let written: Tree = serde_json::from_slice(&out).expect("a changed definition that is JSON");
    let members = tree.as_object_mut().expect("a definition that is an object");
    members.insert(item.kind().key().to_owned(), "k".into());
    members.insert("description".to_owned(), "d \"e\"\n".into());
    let meta = members.entry("_meta").or_insert(Tree::Null);
    if !meta.is_object() {
        *meta = Tree::Object(Default::default());
    }
    meta["anthropic/requiresUserInteraction"] = true.into();
    meta["anthropic/maxResultSizeChars"] = 70_000.into();
    if item.has_loose_output() {
        members.remove("outputSchema");
    }
    assert_eq!(written, tree);
    assert!(!out.contains(&b'\n'), "a list has to fit into a line");
}
