//! Pages, good and bad.

use crate::limits;
use crate::mcp::canonical::Ambiguous;
use crate::mcp::definition::{Broken, ItemKind};
use crate::mcp::list::fuzz::fuzz_mcp_list;
use crate::mcp::list::{CacheScope, List, PageFault, Pages};
use crate::mcp::store::Store;
use proptest::collection::vec;
use proptest::prelude::{any, proptest};

fn tool(name: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#)
}

fn one(result: &str) -> Result<(List, Option<String>), PageFault> {
    let mut pages = Pages::new(ItemKind::Tool);
    let next = pages.add(&Store::new(), result.as_bytes())?;
    Ok((pages.finish(), next))
}

fn keys(list: &List) -> Vec<&str> {
    list.items.iter().map(|item| item.key()).collect()
}

#[test]
fn pages_are_put_together() {
    let store = Store::new();
    let mut pages = Pages::new(ItemKind::Tool);
    let first = format!(
        r#"{{"tools":[{},{}],"nextCursor":"","ttlMs":9000,"cacheScope":"public"}}"#,
        tool("b"),
        tool("a")
    );
    assert_eq!(pages.add(&store, first.as_bytes()), Ok(Some(String::new())));
    let second =
        format!(r#"{{"nextCursor":"x\n","tools":[{}],"ttlMs":8000,"cacheScope":"public"}}"#, tool("c"));
    assert_eq!(pages.add(&store, second.as_bytes()), Ok(Some("x\n".to_owned())));
    let third = r#"{"tools":[],"nextCursor":null,"ttlMs":10000,"cacheScope":"public"}"#;
    assert_eq!(pages.add(&store, third.as_bytes()), Ok(None));
    let list = pages.finish();
    assert_eq!(keys(&list), ["b", "a", "c"]);
    assert_eq!((list.ttl_ms, list.scope), (Some(8000), CacheScope::Public));
}

#[test]
fn hints_are_taken_from_the_most_careful_page() {
    let cases = [
        (r#"{"tools":[]}"#, None, CacheScope::Private),
        (r#"{"tools":[],"ttlMs":-5,"cacheScope":"PUBLIC"}"#, Some(0), CacheScope::Private),
        (r#"{"tools":[],"ttlMs":"7","cacheScope":"private"}"#, Some(0), CacheScope::Private),
        (r#"{"tools":[],"ttlMs":1e3,"cacheScope":7}"#, Some(0), CacheScope::Private),
        (
            r#"{"tools":[],"ttlMs":99999999999,"cacheScope":"public"}"#,
            Some(limits::MCP_TTL_MS_MAX),
            CacheScope::Public,
        ),
    ];
    for (result, ttl_ms, scope) in cases {
        let (list, _) = one(result).unwrap();
        assert_eq!((list.ttl_ms, list.scope), (ttl_ms, scope), "{result}");
    }
    for silent in [r#"{"tools":[]}"#, r#"{"tools":[],"cacheScope":"private"}"#] {
        let good = r#"{"tools":[],"ttlMs":5,"cacheScope":"public"}"#;
        for order in [[good, silent], [silent, good]] {
            let mut pages = Pages::new(ItemKind::Tool);
            for page in order {
                pages.add(&Store::new(), page.as_bytes()).unwrap();
            }
            let list = pages.finish();
            assert_eq!((list.ttl_ms, list.scope), (None, CacheScope::Private));
        }
    }
}

#[test]
fn a_broken_item_leaves_the_rest() {
    let result = format!(
        r#"{{"tools":[{},7,{{"name":"x"}},{{"name":"y","a":1,"a":2}},{},{},{{}}]}}"#,
        tool("a"),
        tool("a"),
        tool("b")
    );
    let (list, next) = one(&result).unwrap();
    assert_eq!((keys(&list), next), (vec!["a", "b"], None));
    let found: Vec<_> =
        list.left_out.iter().map(|left| (left.index, left.key.as_deref(), left.why.clone())).collect();
    let expected = [
        (1, None, Broken::Member("{}")),
        (2, Some("x"), Broken::Missing("inputSchema")),
        (3, Some("y"), Broken::Ambiguous(Ambiguous::Twice)),
        (4, Some("a"), Broken::Again),
        (6, None, Broken::Missing("name")),
    ];
    assert_eq!(found, expected);
    assert_eq!(list.left_out_count, 5);
}

#[test]
fn what_is_no_page_is_refused() {
    let cases = [
        ("[]", PageFault::Json(crate::json::Fault::WrongKind { at: 0 })),
        ("{}", PageFault::Missing("tools")),
        (r#"{"tools":{}}"#, PageFault::Member("tools")),
        (r#"{"tools":[],"t\u006fols":[]}"#, PageFault::Member("tools")),
        (r#"{"tools":[],"nextCursor":7}"#, PageFault::Member("nextCursor")),
        (r#"{"tools":[1 2]}"#, PageFault::Json(crate::json::Fault::CommaOrEnd { at: 12 })),
    ];
    for (result, expected) in cases {
        assert_eq!(one(result).map(|_| ()), Err(expected), "{result}");
    }
    let long = format!(r#"{{"tools":[],"nextCursor":"{}"}}"#, "c".repeat(limits::MCP_CURSOR_BYTES_MAX + 1));
    assert_eq!(one(&long).map(|_| ()), Err(PageFault::Cursor));
}

#[test]
fn a_list_without_end_is_ended() {
    let store = Store::new();
    let mut pages = Pages::new(ItemKind::Tool);
    let round = br#"{"tools":[],"nextCursor":"round"}"#;
    assert_eq!(pages.add(&store, round), Ok(Some("round".to_owned())));
    assert_eq!(pages.add(&store, round), Err(PageFault::Cursor));
    let mut pages = Pages::new(ItemKind::Tool);
    let ended = (0..=limits::MCP_LIST_PAGES_MAX)
        .map(|page| pages.add(&store, format!(r#"{{"tools":[],"nextCursor":"{page}"}}"#).as_bytes()))
        .find(Result::is_err);
    assert_eq!(ended, Some(Err(PageFault::Pages)));
}

#[test]
fn a_list_that_is_too_long_is_cut() {
    let many: Vec<String> = (0..limits::MCP_LIST_ITEMS_MAX + 100).map(|n| tool(&format!("t{n}"))).collect();
    let (list, next) = one(&format!(r#"{{"tools":[{}],"nextCursor":"more"}}"#, many.join(","))).unwrap();
    assert_eq!((list.items.len(), list.left_out_count, next), (limits::MCP_LIST_ITEMS_MAX, 100, None));
    assert_eq!(list.left_out.len(), limits::MCP_LEFT_OUT_MAX);
    assert_eq!(list.left_out[0].why, Broken::Full);
}

#[test]
fn other_kinds_have_other_names() {
    let cases = [
        (ItemKind::Prompt, r#"{"prompts":[{"name":"p"}]}"#, "p"),
        (ItemKind::Resource, r#"{"resources":[{"name":"n","uri":"a:b"}]}"#, "a:b"),
        (ItemKind::Template, r#"{"resourceTemplates":[{"name":"n","uriTemplate":"a:{b}"}]}"#, "a:{b}"),
    ];
    for (kind, result, key) in cases {
        let mut pages = Pages::new(kind);
        pages.add(&Store::new(), result.as_bytes()).unwrap();
        assert_eq!(keys(&pages.finish()), [key]);
    }
}

#[test]
fn seeds_of_the_fuzzer() {
    crate::corpus::replay("mcp_list", 3, fuzz_mcp_list);
}

proptest! {
    #[test]
    fn any_bytes_are_read(data in vec(any::<u8>(), 0..64)) {
        fuzz_mcp_list(&data);
    }

    #[test]
    fn anything_like_a_page_is_read(
        parts in vec(proptest::sample::select(vec![
            r#"{"tools":["#, r#""name":"a""#, r#"{"name":"b","inputSchema":{"type":"object"}}"#,
            "]", "}", "{", ",", r#""nextCursor":"x""#, r#""inputSchema":{"type":"object"}"#, " ", "\n",
            r#""outputSchema":{}"#, r#""description":"d""#, r#"{"prompts":[{"name":"p"}"#,
        ]), 0..12)
    ) {
        fuzz_mcp_list(parts.concat().as_bytes());
    }
}
