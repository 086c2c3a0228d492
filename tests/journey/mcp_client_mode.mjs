// A client for the client scenarios of the conformance suite that reaches the suite's server through the gateway,
// so that what the suite judges is the gateway's side towards servers.
//
// Usage: node mcp_client_mode.mjs PACKAGES TOLLGATE KEY SUITE_URL
// PACKAGES has the `node_modules`; TOLLGATE is the program, or `direct` for no gateway at all.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";

const [packages, tollgate, key, suite] = process.argv.slice(2);
const require = createRequire(`${packages}/index.js`);
const { Client, StreamableHTTPClientTransport } = await import(require.resolve("@modelcontextprotocol/client"));
const version = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? "2025-11-25";
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");

const gateway = tollgate === "direct" ? { url: suite, stop() {} } : await start();
try {
    await visit(gateway.url);
} finally {
    gateway.stop();
}
process.exit(0);

async function start() {
    const folder = mkdtempSync(`${tmpdir()}/tollgate-client-mode-`);
    const era = version >= "2026" ? "modern" : "legacy";
    writeFileSync(`${folder}/tollgate.yaml`, `listen: 127.0.0.1:0
data_dir: ./data
providers:
  up: { dialect: anthropic, base_url: "http://127.0.0.1:9", key: unused }
models:
  "claude-*": [up]
keys:
  - { name: main, secret: ${key} }
mcp_servers:
  ref: { url: "${suite}", era: ${era} }
`);
    const child = spawn(tollgate, [], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    const stop = () => {
        child.kill("SIGKILL");
        rmSync(folder, { recursive: true, force: true });
    };
    for await (const text of createInterface(child.stderr)) {
        console.error(text);
        const line = text.startsWith("{") ? JSON.parse(text) : {};
        if (line.msg === "listening") {
            child.stderr.resume();
            return { url: `http://${line.addr}/mcp/ref`, stop };
        }
    }
    stop();
    throw new Error("the gateway did not start");
}

/** Lists all there is and touches each of it. That a call fails is for the suite to judge. */
async function visit(url) {
    const client = new Client({ name: "client-mode", version: "1" }, {
        capabilities: { elicitation: { form: { applyDefaults: true } } },
        versionNegotiation: { mode: version >= "2026" ? { pin: version } : "legacy" },
    });
    client.setRequestHandler("elicitation/create", ({ params }) => ({
        action: "accept",
        content: params.requestedSchema.properties.confirmed ? { confirmed: true } : {},
    }));
    const headers = { "x-tollgate-key": key };
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    const { tools } = await client.listTools();
    const calls = context.toolCalls ?? tools.map((tool) => ({ name: tool.name, arguments: filled(tool.inputSchema) }));
    const focal = tools.find((tool) => tool.name === "json_schema_2020_12_tool");
    for (const call of calls) {
        const echo = call.name === "json_schema_echo" ? { schema: focal.inputSchema } : call.arguments;
        await tried(client.callTool({ name: call.name, arguments: echo }));
    }
    const able = client.getServerCapabilities() ?? {};
    const resources = able.resources ? (await tried(client.listResources()))?.resources ?? [] : [];
    for (const { uri } of resources) {
        await tried(client.readResource({ uri }));
    }
    const prompts = able.prompts ? (await tried(client.listPrompts()))?.prompts ?? [] : [];
    for (const prompt of prompts) {
        const words = (prompt.arguments ?? []).map((argument) => [argument.name, "word"]);
        await tried(client.getPrompt({ name: prompt.name, arguments: Object.fromEntries(words) }));
    }
    await tried(client.close());
}

/** Arguments that a schema takes. */
function filled(schema) {
    const values = { string: "word", number: 2, integer: 2, boolean: true, array: [], object: {} };
    const fields = Object.entries(schema.properties ?? {});
    return Object.fromEntries(fields.map(([name, field]) => [name, values[field.type] ?? "word"]));
}

async function tried(promise) {
    try {
        return await promise;
    } catch (why) {
        console.error(String(why));
        return undefined;
    }
}
