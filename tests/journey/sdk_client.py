"""Anthropic's own SDK against a base URL: a message, a stream and a token count, reported as one JSON line.

Usage: sdk_client.py BASE_URL KEY MODEL MAX_TOKENS
"""

import json
import sys

import anthropic


def main() -> None:
    base_url, key, model, max_tokens = sys.argv[1:]
    client = anthropic.Anthropic(base_url=base_url, auth_token=key, max_retries=0, timeout=300)
    messages = [{"role": "user", "content": "What is the capital of France?"}]

    whole = client.messages.create(model=model, max_tokens=int(max_tokens), messages=messages)
    with client.messages.stream(model=model, max_tokens=int(max_tokens), messages=messages) as stream:
        pieces = list(stream.text_stream)
        streamed = stream.get_final_message()
    counted = client.messages.count_tokens(model=model, messages=messages)

    print(json.dumps({"whole": facts(whole), "streamed": facts(streamed), "pieces": len(pieces),
                      "counted": counted.input_tokens}))


def facts(message: anthropic.types.Message) -> dict:
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "stop_reason": message.stop_reason,
        "input_tokens": message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0),
        "output_tokens": message.usage.output_tokens,
    }


main()
