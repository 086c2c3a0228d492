"""An MCP server that tells what it may have, and tries to have more.

Its tools: `facts` tells limits, rights and environment; `forks`, `opens`, `fills` and `writes` go on until they are
stopped, or until there would be no point in going on, and tell how far they came.
"""

import json
import os
import resource
import signal
import sys
import tempfile

LIMITS = {
    "memory": resource.RLIMIT_DATA,
    "processes": resource.RLIMIT_NPROC,
    "open_files": resource.RLIMIT_NOFILE,
    "cpu_s": resource.RLIMIT_CPU,
    "file_size": resource.RLIMIT_FSIZE,
    "core": resource.RLIMIT_CORE,
}


def facts():
    status = open("/proc/self/status").read().splitlines()
    status = dict(line.split(":", 1) for line in status if ":" in line)
    umask = os.umask(0)
    os.umask(umask)
    return {
        "limits": {name: resource.getrlimit(limit) for name, limit in LIMITS.items()},
        "no_new_privs": status["NoNewPrivs"].strip(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
        "umask": umask,
        "env": dict(os.environ),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
    }


def forks():
    children = []
    why = ""
    while len(children) < 500 and not why:
        try:
            child = os.fork()
        except OSError as error:
            why = error.strerror
            continue
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return {"made": len(children), "why": why}


def opens():
    files = []
    why = ""
    while len(files) < 100000 and not why:
        try:
            files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            why = error.strerror
    for file in files:
        os.close(file)
    return {"made": len(files), "why": why}


def fills():
    blocks = []
    why = ""
    while len(blocks) < 1024 and not why:
        try:
            blocks.append(bytearray(1 << 20))
        except MemoryError:
            why = "no memory"
    return {"made": len(blocks), "why": why}


def writes():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with tempfile.TemporaryFile(dir="/tmp") as file:
        try:
            for _ in range(64):
                file.write(bytes(1 << 20))
                file.flush()
        except OSError as error:
            return {"made": file.tell(), "why": error.strerror}
        return {"made": file.tell(), "why": ""}


TOOLS = {"facts": facts, "forks": forks, "opens": opens, "fills": fills, "writes": writes}


def answer(method, params):
    if method == "initialize":
        about = {"name": "confined", "version": "1"}
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
    if method == "tools/call":
        text = json.dumps(TOOLS[params["name"]]())
        return {"content": [{"type": "text", "text": text}]}
    return {}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked and "method" in asked:
        result = answer(asked["method"], asked.get("params", {}))
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
