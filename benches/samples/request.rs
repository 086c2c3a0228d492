//! A request of a model call as Claude Code writes it.

use serde_json::{Value, json};

/// A request as Claude Code writes it: about 60 KiB, 38 of them tools, ten rounds with a call each.
pub(crate) fn request(model: &str) -> Vec<u8> {
    let prose = "Use this tool to read files of the project.\n\n- The path must be absolute, not relative\n- \
        By default it reads up to 2000 lines\n- Say \"why\" when a `range` is given\n";
    let tool = |index: usize| {
        json!({
            "name": format!("mcp__server__tool_{index}"),
            "description": prose.repeat(4),
            "input_schema": {"type": "object", "properties": {
                "file_path": {"type": "string", "description": "The absolute path to the file to read"},
                "offset": {"type": "integer", "description": "The line to start from", "minimum": 0},
                "limit": {"type": "integer", "description": "How many lines to read"},
            }, "required": ["file_path"], "additionalProperties": false},
        })
    };
    let mut turns = vec![json!({"role": "user", "content": prose})];
    for index in 0..10 {
        let id = format!("toolu_{index:024}");
        turns.push(json!({"role": "assistant", "content": [
            {"type": "text", "text": prose.repeat(5)},
            {"type": "tool_use", "id": id, "name": "mcp__server__tool_1",
             "input": {"file_path": "/home/dev/project/src/main.rs", "limit": 200}},
        ]}));
        turns.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": prose.repeat(4)},
            {"type": "text", "text": prose},
        ]}));
    }
    let tools: Value = (0..30).map(tool).collect();
    let system = json!([
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli"},
        {"type": "text", "text": prose.repeat(50), "cache_control": {"type": "ephemeral"}}]);
    json!({"model": model, "messages": turns, "system": system, "tools": tools,
        "metadata": {"user_id": "u"}, "max_tokens": 32000, "thinking": {"type": "adaptive"}, "stream": true})
    .to_string()
    .into_bytes()
}
