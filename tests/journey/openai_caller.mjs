// OpenAI's own SDK against a base URL: an answer, a stream, tools over two turns, and refusals, as one JSON line.
//
// Usage: openai_caller.mjs FOLDER BASE_URL KEY MODEL (chat | responses), where FOLDER has the SDK.

import { createRequire } from "node:module";

const [folder, baseURL, apiKey, model, kind] = process.argv.slice(2);
const { default: OpenAI } = createRequire(`${folder}/`)("openai");
const PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLv" +
  "AAAAAElFTkSuQmCC";
const parameters = { type: "object", properties: { command: { type: "string" } }, required: ["command"] };
const bash = { name: "Bash", description: "Runs a command.", parameters };
const TURNS_MAX = 5;

const chat = (client) => ({
  async whole() {
    const content = [{ type: "text", text: "What colour is it?" }, { type: "image_url", image_url: { url: PNG } }];
    const messages = [{ role: "system", content: "Be brief." }, { role: "user", content }];
    const answer = await client.chat.completions.create({ model, max_completion_tokens: 100, messages });
    const [choice] = answer.choices;
    return { text: choice.message.content, end: choice.finish_reason, model: answer.model,
      read: answer.usage.prompt_tokens, written: answer.usage.completion_tokens };
  },

  async streamed() {
    const messages = [{ role: "user", content: "Hello" }];
    const options = { include_usage: true };
    const stream = client.chat.completions.stream({ model, messages, stream_options: options });
    let pieces = 0;
    stream.on("content", () => { pieces += 1; });
    const answer = await stream.finalChatCompletion();
    const [choice] = answer.choices;
    return { text: choice.message.content, end: choice.finish_reason, pieces,
      read: answer.usage.prompt_tokens, written: answer.usage.completion_tokens };
  },

  async tools() {
    const messages = [{ role: "user", content: "Run them." }], turns = [];
    for (let turn = 0; turn < TURNS_MAX; turn += 1) {
      const tools = [{ type: "function", function: bash }];
      const stream = client.chat.completions.stream({ model, messages, tools });
      let usage = 0;
      stream.on("chunk", (chunk) => { usage += chunk.usage ? 1 : 0; });
      const { message } = (await stream.finalChatCompletion()).choices[0];
      const calls = message.tool_calls ?? [];
      if (calls.length === 0) return { turns, text: message.content, usage };
      turns.push(calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]));
      messages.push({ role: "assistant", content: message.content, tool_calls: calls.map((call) =>
        ({ id: call.id, type: "function", function: { name: call.function.name, arguments: call.function.arguments } })) });
      messages.push(...calls.map((call) =>
        ({ role: "tool", tool_call_id: call.id, content: `result of ${call.function.arguments}` })));
    }
    throw new Error("there is no end of calls");
  },

  plain: (named, more) =>
    client.chat.completions.create({ model: named, messages: [{ role: "user", content: "Hello" }], ...more }),
});

const responses = (client) => ({
  async whole() {
    const content = [{ type: "input_text", text: "What colour is it?" },
      { type: "input_image", image_url: PNG, detail: "auto" }];
    const answer = await client.responses.create({ model, instructions: "Be brief.", max_output_tokens: 100,
      store: false, input: [{ role: "user", content }] });
    return { text: answer.output_text, end: answer.status, model: answer.model,
      read: answer.usage.input_tokens, written: answer.usage.output_tokens };
  },

  async streamed() {
    const stream = await client.responses.create({ model, input: "Hello", stream: true, store: false });
    const events = [];
    for await (const event of stream) events.push(event);
    const texts = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
    const last = events.at(-1);
    return { text: texts.join(""), end: last.type, pieces: texts.length,
      read: last.response.usage.input_tokens, written: last.response.usage.output_tokens };
  },

  async tools() {
    const items = [{ role: "user", content: "Run them." }], turns = [];
    for (let turn = 0; turn < TURNS_MAX; turn += 1) {
      // What the SDK puts together of the events, not what the last of them says.
      const answer = await client.responses.stream({ model, input: items, store: false,
        include: ["reasoning.encrypted_content"], tools: [{ type: "function", strict: false, ...bash }] })
        .finalResponse();
      const calls = answer.output.filter((item) => item.type === "function_call");
      if (calls.length === 0) return { turns, text: answer.output_text, usage: 0 };
      turns.push(calls.map((call) => [call.name, JSON.parse(call.arguments)]));
      items.push(...answer.output.map(({ parsed_arguments, ...item }) => item));
      items.push(...calls.map((call) =>
        ({ type: "function_call_output", call_id: call.call_id, output: `result of ${call.arguments}` })));
    }
    throw new Error("there is no end of calls");
  },

  plain: (named, more) => client.responses.create({ model: named, input: "Hello", ...more }),
});

async function refusal(asked) {
  try {
    await asked;
  } catch (why) {
    if (!(why instanceof OpenAI.APIError)) throw why;
    return { class: why.constructor.name, status: why.status, type: why.type, code: why.code, param: why.param,
      message: why.message, id: why.requestID };
  }
  return { class: "none" };
}

const caller = (key) => {
  const client = new OpenAI({ baseURL, apiKey: key, maxRetries: 0, timeout: 60_000 });
  return { client, ...(kind === "chat" ? chat(client) : responses(client)) };
};
const own = caller(apiKey);
const models = [];
for await (const one of own.client.models.list()) models.push([one.id, one.object]);
const odd = kind === "chat" ? { n: 2 } : { previous_response_id: "resp_1" };
console.log(JSON.stringify({
  models,
  whole: await own.whole(),
  streamed: await own.streamed(),
  tools: await own.tools(),
  denied: await refusal(own.plain("secret-model")),
  stranger: await refusal(caller("tg_nobody").plain(model)),
  odd: await refusal(own.plain(model, odd)),
}));
