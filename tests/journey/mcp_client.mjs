// One of the TypeScript SDKs of MCP as a client of a URL: it lists, calls, reads and gets, and reports one JSON line.
//
// Usage: node mcp_client.mjs PACKAGES SDK URL KEY [tools]
// With `tools` it only lists those.
// PACKAGES has the `node_modules`; SDK is a version of `@modelcontextprotocol/sdk`, or `2.4.0` for what came after
// it, which goes by `2.4.0-legacy` and `2.4.0-modern` where it shall not find out the era by itself.

import { createRequire } from "node:module";

const [packages, sdk, url, key, only] = process.argv.slice(2);
const require = createRequire(`${packages}/index.js`);
const headers = { "x-tollgate-key": key };
const info = { name: "typescript-client", version: sdk };

const client = sdk.startsWith("2.") ? await today() : await former();
const tools = (await client.listTools()).tools.map((tool) => tool.name);
if (only === "tools") {
    console.log(JSON.stringify({ tools }));
    process.exit(0);
}
const called = await client.callTool({ name: "test_simple_text", arguments: {} });
const resources = (await client.listResources()).resources.map((resource) => resource.uri);
const read = await client.readResource({ uri: "test://static-text" });
const prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
const got = await client.getPrompt({ name: "test_simple_prompt" });
console.log(JSON.stringify({
    server: client.getServerVersion()?.name ?? null,
    tools,
    called: called.content[0].text,
    resources,
    read: read.contents[0].text,
    prompts,
    got: got.messages[0].content.text,
}));
await client.close();
// Some of the old transports leave timers behind.
process.exit(0);

async function today() {
    const { Client, StreamableHTTPClientTransport } = await import(require.resolve("@modelcontextprotocol/client"));
    const mode = { "2.4.0": "auto", "2.4.0-legacy": "legacy", "2.4.0-modern": { pin: "2026-07-28" } }[sdk];
    const client = new Client(info, { versionNegotiation: { mode } });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    return client;
}

async function former() {
    const { Client } = require(`sdk-${sdk}/client/index.js`);
    const client = new Client(info, { capabilities: {} });
    await client.connect(sdk === "1.0.4" ? oldest() : streamable());
    return client;
}

function streamable() {
    const { StreamableHTTPClientTransport } = require(`sdk-${sdk}/client/streamableHttp.js`);
    return new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
}

/** The first SDK takes no headers and wants an EventSource of its surroundings. */
function oldest() {
    const plain = globalThis.fetch;
    globalThis.fetch = (input, init) => {
        const all = new Headers(init?.headers);
        all.set("x-tollgate-key", key);
        return plain(input, { ...init, headers: all });
    };
    const { EventSource } = require("eventsource");
    globalThis.EventSource = class extends EventSource {
        constructor(address) {
            super(address, { fetch: globalThis.fetch });
        }
    };
    const { SSEClientTransport } = require(`sdk-${sdk}/client/sse.js`);
    return new SSEClientTransport(new URL(url));
}
