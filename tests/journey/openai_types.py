"""Holds requests against the types of OpenAI's own SDK, which are generated from the published OpenAPI document.

Reads one JSON array from stdin: {"kind": "chat" | "responses", "body": ...} each. Prints what is wrong, a line each.
"""

import importlib
import json
import pkgutil
import sys

import openai.types
from pydantic import TypeAdapter, ValidationError
from typing_extensions import is_typeddict


def forbid_the_unknown() -> None:
    """The SDK passes on any field; a server that follows the document does not."""
    for found in pkgutil.walk_packages(openai.types.__path__, "openai.types."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if is_typeddict(value):
                value.__pydantic_config__ = {"extra": "forbid", "strict": True}


def walk(value: object) -> None:
    """The types have iterables, which are looked into only when somebody asks for their items."""
    if isinstance(value, dict):
        for item in value.values():
            walk(item)
    elif not isinstance(value, (str, bytes)) and hasattr(value, "__iter__"):
        for item in value:
            walk(item)


def main() -> None:
    forbid_the_unknown()
    from openai.types.chat import completion_create_params as chat
    from openai.types.responses import response_create_params as responses

    kinds = {
        ("chat", True): TypeAdapter(chat.CompletionCreateParamsStreaming),
        ("chat", False): TypeAdapter(chat.CompletionCreateParamsNonStreaming),
        ("responses", True): TypeAdapter(responses.ResponseCreateParamsStreaming),
        ("responses", False): TypeAdapter(responses.ResponseCreateParamsNonStreaming),
    }
    for number, request in enumerate(json.load(sys.stdin)):
        body = request["body"]
        try:
            walk(kinds[request["kind"], body.get("stream") is True].validate_python(body))
        except ValidationError as why:
            for error in why.errors(include_url=False, include_context=False):
                place = ".".join(str(step) for step in error["loc"])
                print(f"request {number}: {place}: {error['msg']}: {str(error['input'])[:200]}")


main()
