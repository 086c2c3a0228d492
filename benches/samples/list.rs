//! A list of tools as servers write it, for all that measures lists.

use serde_json::json;

/// A list of `count` tools of about 1.5 KiB, of which every second has a name that all servers have.
pub(crate) fn made(server: u64, count: usize) -> Vec<u8> {
    let tool = |index: usize| {
        let name =
            if index.is_multiple_of(2) { format!("only_{server}_{index}") } else { format!("tool_{index}") };
        json!({"name": name, "description": "Finds the issues that \"match\" a query.\n\n".repeat(12),
            "annotations": {"readOnlyHint": true, "openWorldHint": false},
            "inputSchema": {"type": "object", "required": ["query"], "properties": {
                "query": {"type": "string", "description": "What to look for, in the words of the search"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
                "sort": {"type": "string", "enum": ["created", "updated", "comments"]},
                "server": {"type": "string", "const": format!("server{server}")}}}})
    };
    json!({"tools": (0..count).map(tool).collect::<Vec<_>>()}).to_string().into_bytes()
}
