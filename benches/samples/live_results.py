"""Writes the results of tools in trajectories of LiveMCPBench as lines for `tollgate tools trim`.

    git clone https://github.com/icip-cas/LiveMCPBench && git -C LiveMCPBench checkout a928e57
    python3 benches/samples/live_results.py LiveMCPBench/baseline/output/*.json > target/live-results.jsonl

Each result comes once. Those of its own search for tools are left out.
"""

import ast
import json
import re
import sys

OUTER = re.compile(r"meta=None content=\[(.*)\] isError=(?:True|False)", re.S)
TEXT = re.compile(r"TextContent\(type='text', text=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"), annotations=None\)", re.S)


def results(path):
    with open(path, encoding="utf-8") as file:
        tasks = json.load(file)
    for task in tasks:
        for message in task["messages"]:
            if not isinstance(message, dict) or message.get("role") != "tool":
                continue
            outer = OUTER.fullmatch(message["content"])
            for text in TEXT.findall(outer[1]) if outer else []:
                # Literals of strings alone are evaluated.
                try:
                    inner = json.loads(ast.literal_eval(text))
                except ValueError:
                    continue
                if isinstance(inner, dict) and "content" in inner:
                    yield {name: value for name, value in inner.items() if value is not None}


seen = set()
for argument in sys.argv[1:]:
    for result in results(argument):
        line = json.dumps(result, ensure_ascii=False)
        if line not in seen:
            seen.add(line)
            print(line)
