"""An MCP server at the end of a pipe that does what the arguments of its calls tell it to.

mcp_pipe.py ERA FOLDER: every line that it reads goes into FOLDER/seen, its process into FOLDER/processes; when
there is FOLDER/results, a call gets the next line of it as its result.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

era, folder = sys.argv[1], sys.argv[2]
lock = threading.Lock()
answers = {}
results = None
if os.path.exists(os.path.join(folder, "results")):
    results = open(os.path.join(folder, "results"), "rb")


def note(name, text):
    with open(os.path.join(folder, name), "ab") as file:
        file.write(text)


def write(line):
    with lock:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


def send(message):
    write(json.dumps({"jsonrpc": "2.0", **message}).encode())


def text(text):
    return {"content": [{"type": "text", "text": text}], "resultType": "complete"}


def progress(ident, arguments, meta):
    for step in range(1, 6):
        params = {"progressToken": meta["progressToken"], "progress": step, "message": arguments["who"]}
        send({"method": "notifications/progress", "params": params})
        time.sleep(0.01)
    send({"id": ident, "result": text(arguments["who"])})


def ask(ident, arguments):
    params = {"message": arguments["who"], "requestedSchema": {"type": "object", "properties": {}}}
    question = "ask-%s" % ident
    arrived = answers.setdefault(question, [threading.Event(), None])
    send({"id": question, "method": "elicitation/create", "params": params})
    arrived[0].wait(20)
    send({"id": ident, "result": text(json.dumps(arrived[1]))})


def call(message):
    ident, params = message["id"], message["params"]
    arguments = params.get("arguments", {})
    what = arguments.get("do")
    if what == "die":
        os._exit(3)
    elif what == "hang":
        return
    elif what == "garbage":
        write(b"this is no JSON\n" * 120)
    elif what == "big":
        send({"id": ident, "result": text("x" * (10 << 20))})
    elif what == "env":
        send({"id": ident, "result": text(json.dumps(dict(os.environ)))})
    elif what == "complain":
        sys.stderr.write(arguments["text"] + "\n")
        sys.stderr.flush()
        send({"id": ident, "result": text("complained")})
    elif what == "spawn":
        child = subprocess.Popen(["sleep", "1000"])
        note("processes", b"%d\n" % child.pid)
        send({"id": ident, "result": text("spawned")})
    elif what == "progress":
        progress(ident, arguments, params["_meta"])
    elif what == "ask":
        ask(ident, arguments)
    elif results is not None:
        write(b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (ident, results.readline().rstrip(b"\n")))
    else:
        send({"id": ident, "result": text("done")})


def take(message):
    ident, method = message.get("id"), message.get("method")
    info = {"serverInfo": {"name": "pipe", "version": "1"}, "capabilities": {"tools": {"listChanged": True}}}
    if method is None:
        arrived = answers.setdefault(ident, [threading.Event(), None])
        arrived[1] = message.get("result", message.get("error"))
        arrived[0].set()
    elif method == "initialize" and era == "legacy":
        send({"id": ident, "result": {"protocolVersion": "2025-11-25", **info}})
    elif method == "server/discover" and era == "modern":
        fresh = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        send({"id": ident, "result": {"supportedVersions": ["2026-07-28"], **info, **fresh}})
    elif method == "subscriptions/listen" and era == "modern":
        tag = {"io.modelcontextprotocol/subscriptionId": ident}
        params = {"_meta": tag, "notifications": {"toolsListChanged": True}}
        send({"method": "notifications/subscriptions/acknowledged", "params": params})
    elif method == "tools/list":
        tool = {"name": "echo", "inputSchema": {"type": "object"}}
        fresh = {"resultType": "complete", "ttlMs": 600000, "cacheScope": "private"}
        send({"id": ident, "result": {"tools": [tool], **fresh}})
    elif method == "tools/call":
        if results is None:
            threading.Thread(target=call, args=(message,), daemon=True).start()
        else:
            call(message)
    elif ident is not None:
        send({"id": ident, "error": {"code": -32601, "message": "not here"}})


def main():
    note("processes", b"%d\n" % os.getpid())
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, lambda *_: note("ends", b"term\n"))
    if os.environ.get("DIES_AT_ONCE") and os.path.exists(os.path.join(folder, "dies")):
        sys.exit(1)
    for line in sys.stdin.buffer:
        note("seen", line)
        take(json.loads(line))
    note("ends", b"eof\n")
    while os.environ.get("STUBBORN"):
        time.sleep(1)


main()
