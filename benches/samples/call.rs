//! A call of a tool as Claude Code writes it, for all that measures calls.

/// Bytes of the call.
const CALL_BYTES: usize = 591;

/// What stands before the number in the id of the tool use; the id has 29 characters as real ones have, 16 of
/// them digits.
pub(crate) const TOOL_USE: &str = "toolu_01A09q9";

/// A call of `tool`: 591 bytes, most of them `_meta`, the id at the end. The tool use is number `number`.
pub(crate) fn tools_call(tool: &str, number: u64) -> Vec<u8> {
    let meta = format!(
        "\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
         \"io.modelcontextprotocol/clientInfo\":{{\"name\":\"claude-code\",\"title\":\"Claude Code\",\
         \"version\":\"2.1.330\"}},\"io.modelcontextprotocol/clientCapabilities\":{{\"roots\":{{}},\
         \"elicitation\":{{\"form\":{{}},\"url\":{{}}}}}},\"claudecode/toolUseId\":\
         \"{TOOL_USE}{number:016}\",\"progressToken\":3}}"
    );
    let start =
        format!("{{\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{{\"query\":\"");
    let end = format!("\"}},{meta}}},\"jsonrpc\":\"2.0\",\"id\":3}}");
    let query = "is:open label:bug in:title,body ".repeat(20);
    let words = query.bytes().take(CALL_BYTES - start.len() - end.len());
    start.bytes().chain(words).chain(end.bytes()).collect()
}
