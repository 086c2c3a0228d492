"""OpenAI's own SDK against a base URL: an answer, a stream, tools over two turns, and refusals, as one JSON line.

Usage: openai_caller.py BASE_URL KEY MODEL (chat | responses)
"""

import json
import sys

import openai

PNG = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElF"
       "TkSuQmCC")
PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
FUNCTION = {"name": "Bash", "description": "Runs a command.", "parameters": PARAMETERS}


class Chat:
    def __init__(self, client: openai.OpenAI, model: str) -> None:
        self.ask, self.model = client.chat.completions.create, model

    def whole(self) -> dict:
        content = [{"type": "text", "text": "What colour is it?"}, {"type": "image_url", "image_url": {"url": PNG}}]
        answer = self.ask(model=self.model, max_completion_tokens=100, messages=[
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": content}])
        choice = answer.choices[0]
        return {"text": choice.message.content, "end": choice.finish_reason, "model": answer.model,
                "read": answer.usage.prompt_tokens, "written": answer.usage.completion_tokens}

    def streamed(self) -> dict:
        chunks = list(self.ask(model=self.model, messages=[{"role": "user", "content": "Hello"}], stream=True,
                               stream_options={"include_usage": True}))
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
        return {"text": "".join(texts), "end": ends[-1], "pieces": len([text for text in texts if text]),
                "read": chunks[-1].usage.prompt_tokens, "written": chunks[-1].usage.completion_tokens}

    def tools(self) -> dict:
        messages, turns = [{"role": "user", "content": "Run them."}], []
        for _ in range(5):
            chunks = self.ask(model=self.model, messages=messages, stream=True,
                              tools=[{"type": "function", "function": FUNCTION}])
            text, calls, usage = "", {}, 0
            for chunk in chunks:
                usage += chunk.usage is not None
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    for part in choice.delta.tool_calls or []:
                        call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                        call["id"] += part.id or ""
                        call["name"] += part.function.name or ""
                        call["arguments"] += part.function.arguments or ""
            if not calls:
                return {"turns": turns, "text": text, "usage": usage}
            calls = [calls[index] for index in sorted(calls)]
            turns.append([[call["name"], json.loads(call["arguments"])] for call in calls])
            messages.append({"role": "assistant", "content": text or None, "tool_calls": [
                {"id": call["id"], "type": "function",
                 "function": {"name": call["name"], "arguments": call["arguments"]}} for call in calls]})
            messages += [{"role": "tool", "tool_call_id": call["id"], "content": "result of " + call["arguments"]}
                         for call in calls]
        raise RuntimeError("there is no end of calls")

    def plain(self, model: str, **more: object) -> object:
        return self.ask(model=model, messages=[{"role": "user", "content": "Hello"}], **more)


class Responses:
    def __init__(self, client: openai.OpenAI, model: str) -> None:
        self.ask, self.model = client.responses.create, model

    def whole(self) -> dict:
        content = [{"type": "input_text", "text": "What colour is it?"},
                   {"type": "input_image", "image_url": PNG, "detail": "auto"}]
        answer = self.ask(model=self.model, instructions="Be brief.", max_output_tokens=100, store=False,
                          input=[{"role": "user", "content": content}])
        return {"text": answer.output_text, "end": answer.status, "model": answer.model,
                "read": answer.usage.input_tokens, "written": answer.usage.output_tokens}

    def streamed(self) -> dict:
        events = list(self.ask(model=self.model, input="Hello", stream=True, store=False))
        texts = [event.delta for event in events if event.type == "response.output_text.delta"]
        last = events[-1].response
        return {"text": "".join(texts), "end": events[-1].type, "pieces": len(texts), "whole": last.output_text,
                "read": last.usage.input_tokens, "written": last.usage.output_tokens}

    def tools(self) -> dict:
        items, turns = [{"role": "user", "content": "Run them."}], []
        for _ in range(5):
            events = self.ask(model=self.model, input=items, stream=True, store=False,
                              include=["reasoning.encrypted_content"],
                              tools=[{"type": "function", "strict": False, **FUNCTION}])
            last = [event.response for event in events if event.type == "response.completed"][0]
            calls = [item for item in last.output if item.type == "function_call"]
            if not calls:
                return {"turns": turns, "text": last.output_text, "usage": 0}
            turns.append([[call.name, json.loads(call.arguments)] for call in calls])
            items += [item.model_dump(exclude_none=True) for item in last.output]
            items += [{"type": "function_call_output", "call_id": call.call_id,
                       "output": "result of " + call.arguments} for call in calls]
        raise RuntimeError("there is no end of calls")

    def plain(self, model: str, **more: object) -> object:
        return self.ask(model=model, input="Hello", **more)


def refusal(ask: object, *args: object, **more: object) -> dict:
    try:
        ask(*args, **more)
    except openai.APIStatusError as why:
        return {"class": type(why).__name__, "status": why.status_code, "type": why.type, "code": why.code,
                "param": why.param, "message": why.message, "id": why.request_id}
    return {"class": "none"}


def main() -> None:
    base_url, key, model, kind = sys.argv[1:]
    kinds = {"chat": Chat, "responses": Responses}
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60)
    stranger = openai.OpenAI(base_url=base_url, api_key="tg_nobody", max_retries=0, timeout=60)
    caller = kinds[kind](client, model)
    odd = {"extra_body": {"n": 2}} if kind == "chat" else {"previous_response_id": "resp_1"}
    print(json.dumps({
        "models": [[model.id, model.object] for model in client.models.list()],
        "whole": caller.whole(),
        "streamed": caller.streamed(),
        "tools": caller.tools(),
        "denied": refusal(caller.plain, "secret-model"),
        "stranger": refusal(kinds[kind](stranger, model).plain, model),
        "odd": refusal(caller.plain, model, **odd),
    }))


main()
