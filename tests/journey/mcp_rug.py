"""An MCP server at the end of a pipe whose tools are those of a file, and become others as the file does.

mcp_rug.py FILE: FILE holds the JSON array of its tools; whenever it changes, the server says so. A call answers
with the description of the tool at that time.
"""

import json
import os
import sys
import threading
import time

path = sys.argv[1]
lock = threading.Lock()


def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def look():
    facts = os.stat(path)
    return facts.st_ino, facts.st_mtime_ns


def tools():
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def watch():
    before = look()
    while True:
        time.sleep(0.02)
        now = look()
        if now != before:
            before = now
            send({"method": "notifications/tools/list_changed"})


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "rug", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": tools()}
    if method == "tools/call":
        found = [tool for tool in tools() if tool["name"] == params["name"]]
        said = found[0].get("description", "") if found else "no such tool"
        return {"content": [{"type": "text", "text": "it now says: " + said}]}
    return {}


threading.Thread(target=watch, daemon=True).start()
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        send({"id": message["id"], "result": answer(message["method"], message.get("params", {}))})
