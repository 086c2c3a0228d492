"""One of the Python SDKs of MCP as a client of a URL: it lists, calls, reads and gets, and reports one JSON line.

Usage: mcp_client.py VERSION URL KEY [definitions | calls JSON]
VERSION is the one that is installed; `2.3.0-legacy` and `2.3.0-modern` do not find out the era by themselves.
With `definitions` it reports all of each tool, and what `test_echo` says to `text`; with `calls` the names of
the tools, and what came of each `[name, arguments]` of a list.
"""

import asyncio
import contextlib
import json
import sys


async def main() -> None:
    version, url, key, *what = sys.argv[1:]
    headers = {"x-tollgate-key": key}
    async with today(version, url, headers) if version.startswith("2.") else former(version, url, headers) as client:
        tools = (await client.list_tools()).tools
        if what[:1] == ["calls"]:
            answers = [await answer(client, name, arguments) for name, arguments in json.loads(what[1])]
            print(json.dumps({"tools": [tool.name for tool in tools], "answers": answers}))
            return
        if what:
            called = await client.call_tool("test_echo", {"text": "text"})
            print(json.dumps({
                "tools": [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools],
                "called": called.content[0].text,
            }))
            return
        called = await client.call_tool("test_simple_text", {})
        resources = (await client.list_resources()).resources
        read = await client.read_resource(uri(version, "test://static-text"))
        prompts = (await client.list_prompts()).prompts
        got = await client.get_prompt("test_simple_prompt")
        print(json.dumps({
            "tools": [tool.name for tool in tools],
            "called": called.content[0].text,
            "resources": [str(resource.uri) for resource in resources],
            "read": read.contents[0].text,
            "prompts": [prompt.name for prompt in prompts],
            "got": got.messages[0].content.text,
        }))


async def answer(client, name: str, arguments: dict) -> dict:
    try:
        result = await client.call_tool(name, arguments)
    except Exception as why:
        return {"refused": str(why)}
    said = result.model_dump(mode="json", by_alias=True)
    return {"text": "".join(part["text"] for part in said["content"]), "is_error": bool(said.get("isError"))}


def uri(version: str, text: str):
    if version.startswith("2."):
        return text
    from pydantic import AnyUrl
    return AnyUrl(text)


@contextlib.asynccontextmanager
async def today(version: str, url: str, headers: dict):
    import httpx2
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    mode = {"legacy": "legacy", "modern": "2026-07-28"}.get(version.partition("-")[2], "auto")
    async with httpx2.AsyncClient(headers=headers) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            yield client


@contextlib.asynccontextmanager
async def former(version: str, url: str, headers: dict):
    from mcp import ClientSession

    if version == "1.1.3":
        from mcp.client.sse import sse_client
        transport = sse_client(url, headers=headers)
    else:
        from mcp.client.streamable_http import streamablehttp_client
        transport = streamablehttp_client(url, headers=headers)
    async with transport as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        yield session


asyncio.run(main())
