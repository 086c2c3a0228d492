// A legacy server that asks for the folders in each call of `hurry`, and answers it after a while without having
// heard of them; `at_once` asks and answers in one breath. `heard` tells what it has heard since, `unheard` how
// many of its questions have had no answer.
import { createInterface } from "node:readline";

const write = (message) => JSON.stringify({ jsonrpc: "2.0", ...message });
const say = (...messages) => console.log(messages.map(write).join("\n"));
const tool = (name) => ({ name, inputSchema: { type: "object" } });
let heard = "nothing";
let asked = 0;
const unheard = new Set();
const text = (text) => ({ content: [{ type: "text", text }] });
const content = () => text(`heard ${heard}`);
const question = () => {
  asked += 1;
  unheard.add(`question ${asked}`);
  return { id: `question ${asked}`, method: "roots/list" };
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params, result, error } = JSON.parse(line);
  if (unheard.delete(id)) {
    heard = result ? result.roots[0].uri : `error ${error.code}`;
  } else if (method === "initialize") {
    const serverInfo = { name: "impatient", version: "1" };
    say({ id, result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo } });
  } else if (method === "tools/list") {
    say({ id, result: { tools: ["hurry", "at_once", "heard", "unheard"].map(tool) } });
  } else if (method === "tools/call" && params.name === "heard") {
    say({ id, result: content() });
  } else if (method === "tools/call" && params.name === "unheard") {
    say({ id, result: text(`${unheard.size} unheard`) });
  } else if (method === "tools/call" && params.name === "at_once") {
    say(question(), { id, result: content() });
  } else if (method === "tools/call") {
    say(question());
    setTimeout(() => say({ id, result: content() }), params.arguments.after);
  } else if (id !== undefined) {
    say({ id, error: { code: -32601, message: "unknown" } });
  }
});
