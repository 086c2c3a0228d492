"""A server of revision 2025-11-25 whose tools run as tasks, and that is strict about them.

Usage: mcp_tasks_server.py stdio|http
Over HTTP it prints its URL. Tasks belong to the session that made them.
"""

import json
import queue
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RELATED = "io.modelcontextprotocol/related-task"
SUPPORT = {
    "slow": "required",
    "either": "optional",
    "ask": "required",
    "forever": "required",
    "vanish": "required",
    "broken": "required",
    "plain": None,
    "seen": None,
}
SEEN = []


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.error = {"code": code, "message": text}


class Task:
    def __init__(self, session, params):
        self.session, self.params = session, params
        self.id = str(uuid.uuid4())
        self.status, self.outcome = "working", None
        self.mail = queue.Queue()
        self.cancelled = threading.Event()
        session.tasks[self.id] = self
        threading.Thread(target=self.run, daemon=True).start()

    def state(self):
        now = "2026-01-01T00:00:00Z"
        return {"taskId": self.id, "status": self.status, "createdAt": now, "lastUpdatedAt": now,
                "ttl": 100 if self.params["name"] == "vanish" else self.params["task"].get("ttl"),
                "pollInterval": 60}

    def end(self, status, outcome):
        self.status, self.outcome = status, outcome
        self.mail.put(None)

    def run(self):
        name, given = self.params["name"], self.params.get("arguments", {})
        token = self.params.get("_meta", {}).get("progressToken")
        if name == "ask":
            self.status = "input_required"
            schema = {"type": "object", "properties": {"name": {"type": "string"}}}
            answer = self.session.ask(self.mail, "elicitation/create", {
                "message": "Who?", "requestedSchema": schema, "_meta": {RELATED: {"taskId": self.id}}})
            self.status = "working"
            noted = answer.get("result", {}).get("_meta", {}).get(RELATED, {}).get("taskId") == self.id
            who = answer.get("result", {}).get("content", {}).get("name")
            text = f"Hello, {who}, {'with' if noted else 'without'} a note"
        elif name == "forever":
            self.cancelled.wait()
            return
        elif name == "vanish":
            time.sleep(0.2)
            del self.session.tasks[self.id]
            return
        elif name == "broken":
            time.sleep(0.1)
            return self.end("failed", {"error": {"code": -32050, "message": "it broke"}})
        else:
            time.sleep(given.get("seconds", 0.3))
            if token is not None:
                # On a pipe it comes beside every call.
                progress = {"progressToken": token, "progress": 1}
                self.session.say({"method": "notifications/progress", "params": progress})
            text = "done as a task"
        result = {"content": [{"type": "text", "text": text}], "_meta": {RELATED: {"taskId": self.id}}}
        self.end("completed", {"result": result})


class Session:
    def __init__(self, say):
        self.tasks, self.waiting, self.say = {}, {}, say

    def ask(self, mail, method, params):
        number = f"ask-{uuid.uuid4()}"
        self.waiting[number] = queue.Queue()
        mail.put({"id": number, "method": method, "params": params})
        return self.waiting[number].get()

    def task(self, params):
        if params["taskId"] not in self.tasks:
            raise Refused(-32602, "Task not found")
        return self.tasks[params["taskId"]]

    def call(self, params):
        support = SUPPORT.get(params["name"])
        if support is None and "task" in params or support == "required" and "task" not in params:
            raise Refused(-32601, "this tool is not called so")
        if "task" in params:
            return {"task": Task(self, params).state()}
        text = json.dumps(SEEN) if params["name"] == "seen" else "done at once"
        return {"content": [{"type": "text", "text": text}]}

    def answer(self, method, params, emit):
        if method == "initialize":
            tasks = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "tasks": tasks},
                    "serverInfo": {"name": "tasks", "version": "1"}}
        if method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in SUPPORT]
            for tool in tools:
                if SUPPORT[tool["name"]]:
                    tool["execution"] = {"taskSupport": SUPPORT[tool["name"]]}
            return {"tools": tools}
        if method == "tools/call":
            return self.call(params)
        if method == "tasks/get":
            return self.task(params).state()
        if method == "tasks/cancel":
            task = self.task(params)
            if task.outcome:
                raise Refused(-32602, "it has ended")
            task.cancelled.set()
            task.end("cancelled", {"error": {"code": -32603, "message": "cancelled"}})
            return task.state()
        if method == "tasks/result":
            task = self.task(params)
            while not task.outcome:
                message = task.mail.get()
                if message:
                    emit(message)
            if "error" in task.outcome:
                raise Refused(task.outcome["error"]["code"], task.outcome["error"]["message"])
            return task.outcome["result"]
        raise Refused(-32601, "no such method")

    def take(self, message, emit):
        """Serves one message; whatever leaves goes through `emit`."""
        if "method" not in message:
            self.waiting.pop(message["id"]).put(message)
            return
        SEEN.append(message["method"])
        if "id" not in message:
            return
        try:
            answer = {"result": self.answer(message["method"], message.get("params", {}), emit)}
        except Refused as refused:
            answer = {"error": refused.error}
        emit({"id": message["id"], **answer})


def written(message):
    return json.dumps({"jsonrpc": "2.0", **message})


def stdio():
    lock = threading.Lock()

    def emit(message):
        with lock:
            print(written(message), flush=True)

    session = Session(emit)
    for line in sys.stdin:
        threading.Thread(target=session.take, args=(json.loads(line), emit), daemon=True).start()


SESSIONS = {}


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def empty(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.empty(405)

    def do_DELETE(self):
        self.empty(200)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.headers.get("Mcp-Session-Id")
        if message.get("method") == "initialize":
            name = str(uuid.uuid4())
            SESSIONS[name] = Session(lambda _: None)
        if name not in SESSIONS:
            return self.empty(404 if name else 400)
        if "method" not in message or "id" not in message:
            SESSIONS[name].take(message, None)
            return self.empty(202)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Mcp-Session-Id", name)
        self.send_header("Connection", "close")
        self.end_headers()

        def emit(said):
            self.wfile.write(f"data: {written(said)}\n\n".encode())
            self.wfile.flush()

        SESSIONS[name].take(message, emit)
        self.close_connection = True


if sys.argv[1] == "stdio":
    stdio()
else:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Http)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}/mcp", flush=True)
    server.serve_forever()
