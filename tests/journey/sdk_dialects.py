"""Anthropic's own SDK before a provider: tools in a stream and back, a whole answer, and failures.

Usage: sdk_dialects.py BASE_URL KEY. Prints one JSON line.
"""

import json
import sys

import anthropic

MAIN = "Play the main part."
TOOL = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def main() -> None:
    base_url, key = sys.argv[1:]
    client = anthropic.Anthropic(base_url=base_url, auth_token=key, max_retries=0, timeout=120)
    ask = {"model": "claude-far", "max_tokens": 300, "tools": [TOOL]}
    messages = [{"role": "user", "content": MAIN}]

    with client.messages.stream(messages=messages, **ask) as stream:
        first = stream.get_final_message()
    use = next(block for block in first.content if block.type == "tool_use")
    messages.append({"role": "assistant", "content": first.content})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}
    messages.append({"role": "user", "content": [result]})
    with client.messages.stream(messages=messages, **ask) as stream:
        last = stream.get_final_message()
    whole = client.messages.create(messages=messages[:1], **ask)
    again = next(block for block in whole.content if block.type == "tool_use")

    def failure(word: str, stream: bool) -> dict:
        said = [{"role": "user", "content": word}]
        try:
            if stream:
                with client.messages.stream(messages=said, **ask) as events:
                    events.get_final_message()
            else:
                client.messages.create(messages=said, **ask)
        except anthropic.APIStatusError as why:
            return {"status": why.status_code, "kind": why.body["error"]["type"],
                    "limited": isinstance(why, anthropic.RateLimitError),
                    "after": why.response.headers.get("retry-after")}
        return {}

    print(json.dumps({
        "use": {"name": use.name, "input": use.input, "reason": first.stop_reason},
        "last": text(last), "reason": last.stop_reason, "counted": last.usage.output_tokens > 0,
        "whole": {"name": again.name, "input": again.input, "reason": whole.stop_reason},
        "limited": [failure("fault-limited-until", stream) for stream in (True, False)],
        "cut": failure("fault-cut", True),
    }))


def text(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


main()
