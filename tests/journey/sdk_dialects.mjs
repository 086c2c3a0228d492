// Anthropic's own SDK before a provider: tools in a stream and back, a whole answer, and failures.
//
// Usage: sdk_dialects.mjs FOLDER BASE_URL KEY, where FOLDER has the SDK. Prints one JSON line.

import { createRequire } from "node:module";

const [folder, baseURL, authToken] = process.argv.slice(2);
const { default: Anthropic } = createRequire(`${folder}/`)("@anthropic-ai/sdk");
const client = new Anthropic({ baseURL, authToken, apiKey: null, maxRetries: 0, timeout: 120_000 });
const tool = {
  name: "weather",
  description: "The weather of a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const ask = { model: "claude-far", max_tokens: 300, tools: [tool] };
const used = (message) => message.content.find((block) => block.type === "tool_use");

const messages = [{ role: "user", content: "Play the main part." }];
const first = await client.messages.stream({ ...ask, messages }).finalMessage();
const use = used(first);
const content = [{ type: "tool_result", tool_use_id: use.id, content: "21 degrees" }];
const back = [...messages, { role: "assistant", content: first.content }, { role: "user", content }];
const last = await client.messages.stream({ ...ask, messages: back }).finalMessage();
const whole = await client.messages.create({ ...ask, messages });
const again = used(whole);

async function failure(word, streamed) {
  const said = [{ role: "user", content: word }];
  try {
    if (streamed) await client.messages.stream({ ...ask, messages: said }).finalMessage();
    else await client.messages.create({ ...ask, messages: said });
  } catch (why) {
    if (!(why instanceof Anthropic.APIError)) throw why;
    return {
      status: why.status ?? null,
      kind: why.error?.error?.type ?? null,
      limited: why instanceof Anthropic.RateLimitError,
      after: why.headers?.get("retry-after") ?? null,
    };
  }
  return {};
}

console.log(JSON.stringify({
  use: { name: use.name, input: use.input, reason: first.stop_reason },
  last: last.content.filter((block) => block.type === "text").map((block) => block.text).join(""),
  reason: last.stop_reason,
  counted: last.usage.output_tokens > 0,
  whole: { name: again.name, input: again.input, reason: whole.stop_reason },
  limited: [await failure("fault-limited-until", true), await failure("fault-limited-until", false)],
  cut: await failure("fault-cut", true),
}));
