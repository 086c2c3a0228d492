"""One of the Python SDKs of MCP as a server of two tools, a resource and a prompt.

Usage: mcp_server.py VERSION stdio|http
VERSION is the one that is installed. Over HTTP it prints its URL: `/mcp`, or `/sse` for the first SDK.
"""

import asyncio
import socket
import sys

SENTENCE = "This is a simple text response for testing."
RESOURCE = "This is the content of the static text resource."
PROMPT = "This is a simple prompt for testing."


def main() -> None:
    version, transport = sys.argv[1:]
    if version == "1.1.3":
        first(transport)
    else:
        later(version, transport)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def later(version: str, transport: str) -> None:
    if version.startswith("2."):
        from mcp.server.mcpserver import MCPServer as Server
    else:
        from mcp.server.fastmcp import FastMCP as Server
    port = free_port()
    # From version 2 on, where to listen is said to `run`.
    place = {"host": "127.0.0.1", "port": port}
    settings = {} if version.startswith("2.") else place
    server = Server("python-server", **settings)

    @server.tool()
    def test_simple_text() -> str:
        return SENTENCE

    @server.tool()
    def test_echo(text: str) -> str:
        """Says it again.

        Word for word, whatever it is.
        """
        return text

    @server.resource("test://static-text", mime_type="text/plain")
    def text() -> str:
        return RESOURCE

    @server.prompt()
    def test_simple_prompt() -> str:
        return PROMPT

    if transport == "stdio":
        server.run("stdio")
        return
    print(f"http://127.0.0.1:{port}/mcp", flush=True)
    server.run("streamable-http", **(place if version.startswith("2.") else {}))


def first(transport: str) -> None:
    from mcp import types
    from mcp.server import Server
    from mcp.server.sse import SseServerTransport
    from mcp.server.stdio import stdio_server

    server = Server("python-server")

    @server.list_tools()
    async def list_tools():
        empty = {"type": "object", "properties": {}}
        text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
        return [types.Tool(name="test_simple_text", description="Says a sentence", inputSchema=empty),
                types.Tool(name="test_echo", description="Says it again", inputSchema=text)]

    @server.call_tool()
    async def call_tool(name: str, arguments: dict):
        return [types.TextContent(type="text", text=arguments["text"] if name == "test_echo" else SENTENCE)]

    @server.list_resources()
    async def list_resources():
        return [types.Resource(uri="test://static-text", name="text", mimeType="text/plain")]

    @server.read_resource()
    async def read_resource(uri):
        return RESOURCE

    @server.list_prompts()
    async def list_prompts():
        return [types.Prompt(name="test_simple_prompt", description="One sentence")]

    @server.get_prompt()
    async def get_prompt(name: str, arguments):
        said = types.PromptMessage(role="user", content=types.TextContent(type="text", text=PROMPT))
        return types.GetPromptResult(messages=[said])

    async def on_pipes() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    if transport == "stdio":
        asyncio.run(on_pipes())
        return

    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    sse = SseServerTransport("/messages/")

    async def events(request):
        async with sse.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return Response()

    port = free_port()
    print(f"http://127.0.0.1:{port}/sse", flush=True)
    routes = [Route("/sse", events), Mount("/messages/", app=sse.handle_post_message)]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error")


main()
