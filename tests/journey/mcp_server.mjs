// One of the TypeScript SDKs of MCP as a server of two tools, a resource and a prompt.
//
// Usage: node mcp_server.mjs PACKAGES SDK stdio|http
// PACKAGES has the `node_modules`; SDK is a version of `@modelcontextprotocol/sdk`, or `2.4.0` for what came after
// it. Over HTTP it prints its URL: `/mcp` for streamable HTTP, `/sse` for the first SDK.

import http from "node:http";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const [packages, sdk, transport] = process.argv.slice(2);
const require = createRequire(`${packages}/index.js`);
const info = { name: "typescript-server", version: sdk };
const capabilities = { tools: {}, resources: {}, prompts: {} };
const text = { type: "object", properties: { text: { type: "string" } }, required: ["text"] };
const answers = {
    "tools/list": () => ({ tools: [
        { name: "test_simple_text", description: "Says a sentence", inputSchema: { type: "object" } },
        { name: "test_echo", description: "Says it again", inputSchema: text },
    ] }),
    "tools/call": ({ params }) => ({ content: [{
        type: "text",
        text: params.name === "test_echo" ? params.arguments.text : "This is a simple text response for testing.",
    }] }),
    "resources/list": () => ({ resources: [{ uri: "test://static-text", name: "text", mimeType: "text/plain" }] }),
    "resources/read": ({ params }) => ({ contents: [{
        uri: params.uri, mimeType: "text/plain", text: "This is the content of the static text resource.",
    }] }),
    "prompts/list": () => ({ prompts: [{ name: "test_simple_prompt", description: "One sentence" }] }),
    "prompts/get": () => ({ messages: [{
        role: "user", content: { type: "text", text: "This is a simple prompt for testing." },
    }] }),
};

await (sdk.startsWith("2.") ? today() : former());

async function today() {
    const { Server, createMcpHandler } = await import(require.resolve("@modelcontextprotocol/server"));
    const { serveStdio } = await import(require.resolve("@modelcontextprotocol/server/stdio"));
    const make = () => {
        const server = new Server(info, { capabilities });
        for (const [method, answer] of Object.entries(answers)) {
            server.setRequestHandler(method, answer);
        }
        return server;
    };
    if (transport === "stdio") {
        serveStdio(make);
        return;
    }
    const handler = createMcpHandler(make);
    listen("/mcp", async (request, response) => {
        const body = await all(request);
        const asked = new Request(`http://${request.headers.host}${request.url}`, {
            method: request.method, headers: request.headers, body: body.length > 0 ? body : undefined,
        });
        const answer = await handler.fetch(asked);
        response.writeHead(answer.status, Object.fromEntries(answer.headers));
        response.flushHeaders();
        for await (const piece of answer.body ?? []) {
            response.write(piece);
        }
        response.end();
    });
}

async function former() {
    const { Server } = require(`sdk-${sdk}/server/index.js`);
    const types = require(`sdk-${sdk}/types.js`);
    const schemas = {
        "tools/list": types.ListToolsRequestSchema,
        "tools/call": types.CallToolRequestSchema,
        "resources/list": types.ListResourcesRequestSchema,
        "resources/read": types.ReadResourceRequestSchema,
        "prompts/list": types.ListPromptsRequestSchema,
        "prompts/get": types.GetPromptRequestSchema,
    };
    const make = () => {
        const server = new Server(info, { capabilities });
        for (const [method, answer] of Object.entries(answers)) {
            server.setRequestHandler(schemas[method], answer);
        }
        return server;
    };
    if (transport === "stdio") {
        const { StdioServerTransport } = require(`sdk-${sdk}/server/stdio.js`);
        await make().connect(new StdioServerTransport());
    } else if (sdk === "1.0.4") {
        oldest(make);
    } else {
        streamable(make);
    }
}

function streamable(make) {
    const { StreamableHTTPServerTransport } = require(`sdk-${sdk}/server/streamableHttp.js`);
    const sessions = new Map();
    listen("/mcp", async (request, response) => {
        const known = sessions.get(request.headers["mcp-session-id"]);
        if (known) {
            await known.handleRequest(request, response);
            return;
        }
        const session = new StreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            onsessioninitialized: (id) => sessions.set(id, session),
        });
        await make().connect(session);
        await session.handleRequest(request, response);
    });
}

function oldest(make) {
    const { SSEServerTransport } = require(`sdk-${sdk}/server/sse.js`);
    const sessions = new Map();
    listen("/sse", async (request, response) => {
        const id = new URL(request.url, "http://here").searchParams.get("sessionId");
        if (request.method === "POST") {
            await sessions.get(id).handlePostMessage(request, response);
            return;
        }
        const session = new SSEServerTransport("/sse", response);
        sessions.set(session.sessionId, session);
        await make().connect(session);
    });
}

function listen(path, answer) {
    const server = http.createServer((request, response) => {
        answer(request, response).catch((why) => {
            console.error(why);
            response.destroy();
        });
    });
    server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}${path}`));
}

async function all(request) {
    const pieces = [];
    for await (const piece of request) {
        pieces.push(piece);
    }
    return Buffer.concat(pieces);
}
