// A legacy server that asks for the folders in each call of `hurry`, and answers it after a while without having
// heard of them. `heard` tells what it has heard since.
import { createInterface } from "node:readline";

const say = (message) => console.log(JSON.stringify({ jsonrpc: "2.0", ...message }));
const tool = (name) => ({ name, inputSchema: { type: "object" } });
let heard = "nothing";
const content = () => ({ content: [{ type: "text", text: `heard ${heard}` }] });

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params, result, error } = JSON.parse(line);
  if (id === "question") {
    heard = result ? result.roots[0].uri : `error ${error.code}`;
  } else if (method === "initialize") {
    const serverInfo = { name: "impatient", version: "1" };
    say({ id, result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo } });
  } else if (method === "tools/list") {
    say({ id, result: { tools: [tool("hurry"), tool("heard")] } });
  } else if (method === "tools/call" && params.name === "heard") {
    say({ id, result: content() });
  } else if (method === "tools/call") {
    say({ id: "question", method: "roots/list" });
    setTimeout(() => say({ id, result: content() }), params.arguments.after);
  } else if (id !== undefined) {
    say({ id, error: { code: -32601, message: "unknown" } });
  }
});
