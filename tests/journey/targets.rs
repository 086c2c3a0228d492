//! The dialects of providers as a table: a scripted one of each, how the gateway is told of it, and how to
//! look into what it was sent.

use std::io;

use serde_json::{Value, json};

use crate::gateway::{Engine, Folder, Gateway, KEY, tollgate};
use crate::peer::scripted_turns::{self, Use};
use crate::peer::{
    After, Exchange, Peer, Seen, breaks_dialects, speaks_bedrock, speaks_chat, speaks_gemini, speaks_lenient,
    speaks_responses, speaks_vertex,
};
use crate::sse;

/// What a provider says first of a stream that goes no further.
pub(crate) const BEGINNING: &str = "so far";

/// What a model plays in the conversation that has a certain word in it; the first that fits counts.
pub(crate) type Scripts = Vec<(&'static str, Vec<Vec<Use>>)>;

/// A dialect with a provider of it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Its lines in the config, in which `{url}` stands for its address.
    provider: &'static str,
    /// The model that all are led to there.
    pub(crate) model: &'static str,
    /// Whether what it says goes to the caller as it came.
    pub(crate) native: bool,
    /// Answers one request as a model that plays turns.
    pub(crate) answer: fn(&[Vec<Use>], &Seen, &mut Exchange) -> io::Result<After>,
    /// What came of a call, as a request tells it.
    result: fn(&Value, &Use) -> Option<String>,
    /// The events before its first words and those words, in pieces.
    beginning: fn() -> Vec<Vec<u8>>,
}

fn of_blocks(body: &Value, (id, ..): &Use) -> Option<String> {
    scripted_turns::result(body, id).map(Value::to_string)
}

fn events() -> Vec<Vec<u8>> {
    [sse::message_start("m"), sse::text_start(), sse::text_delta(BEGINNING)].map(String::into_bytes).into()
}

/// Anthropic's own.
pub(crate) static ANTHROPIC: Target = Target {
    name: "anthropic",
    provider: "dialect: anthropic, base_url: \"{url}\", key: sk-far",
    model: "far-1",
    native: true,
    answer: scripted_turns::play,
    result: of_blocks,
    beginning: events,
};

/// OpenAI's Chat Completions.
pub(crate) static CHAT: Target = Target {
    name: "openai_chat",
    provider: "dialect: openai_chat, base_url: \"{url}/v1\", key: sk-far",
    model: "far-1",
    native: false,
    answer: speaks_chat::answer,
    result: |body, (id, ..)| speaks_chat::result(body, id).map(str::to_owned),
    beginning: || {
        let delta = json!({ "role": "assistant", "content": BEGINNING });
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] });
        vec![format!("data: {chunk}\n\n").into_bytes()]
    },
};

/// OpenAI's Responses.
pub(crate) static RESPONSES: Target = Target {
    name: "openai_responses",
    provider: "dialect: openai_responses, takes: { like: openai }, base_url: \"{url}/v1\", key: sk-far",
    model: "far-1",
    native: false,
    answer: speaks_responses::answer,
    result: |body, (id, ..)| speaks_responses::result(body, id),
    beginning: || {
        let created =
            json!({ "type": "response.created", "response": { "id": "r", "model": "m", "output": [] } });
        let delta = json!({ "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                            "content_index": 0, "delta": BEGINNING });
        [created, delta].map(|event| format!("data: {event}\n\n").into_bytes()).into()
    },
};

/// Gemini.
pub(crate) static GEMINI: Target = Target {
    name: "gemini",
    provider: "dialect: gemini, base_url: \"{url}/v1beta\", key: sk-far",
    model: "far-1",
    native: false,
    answer: speaks_gemini::answer,
    result: |body, (_, _, input)| speaks_gemini::result(body, input).map(|told| told["response"].to_string()),
    beginning: || {
        let chunk = speaks_gemini::chunk(&json!([{ "text": BEGINNING }]), None);
        vec![speaks_gemini::event(&chunk).into_bytes()]
    },
};

/// Servers that speak Messages, but not all of it.
pub(crate) static LENIENT: Target = Target {
    name: "anthropic_lenient",
    provider: "dialect: anthropic_lenient, base_url: \"{url}\", key: sk-far",
    model: "far-1",
    native: false,
    answer: speaks_lenient::answer,
    result: of_blocks,
    beginning: events,
};

/// Anthropic's models in Bedrock.
pub(crate) static BEDROCK: Target = Target {
    name: "bedrock",
    provider: "dialect: bedrock, aws_region: eu-central-1, base_url: \"{url}\", key: bedrock-api-key-1",
    model: "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    native: false,
    answer: speaks_bedrock::answer,
    result: of_blocks,
    beginning: || {
        let text = events().into_iter().flatten().collect::<Vec<u8>>();
        speaks_bedrock::frames(&String::from_utf8_lossy(&text))
    },
};

/// Anthropic's models in Vertex AI.
pub(crate) static VERTEX: Target = Target {
    name: "vertex",
    provider: "dialect: vertex, project: proj-1, location: europe-west1, base_url: \"{url}\", \
               key: ya29.scripted",
    model: "claude-far-1@20260101",
    native: true,
    answer: speaks_vertex::answer,
    result: of_blocks,
    beginning: events,
};

/// All of them.
pub(crate) static ALL: [&Target; 7] = [&ANTHROPIC, &CHAT, &RESPONSES, &GEMINI, &LENIENT, &BEDROCK, &VERTEX];

/// Those that are not Anthropic's form with a few differences.
pub(crate) static FOREIGN: [&Target; 4] = [&CHAT, &RESPONSES, &GEMINI, &LENIENT];

impl Target {
    /// A provider whose model plays scripts, and fails where a request asks for that.
    pub(crate) fn plays(&'static self, scripts: Scripts) -> Peer {
        Peer::start(move |seen, exchange| {
            if let Some(fault) = breaks_dialects::named(seen) {
                return breaks_dialects::play(fault, self, (seen, exchange), &|| {});
            }
            let text = String::from_utf8_lossy(&seen.body);
            let turns = scripts.iter().find(|(word, _)| text.contains(word)).map(|(_, turns)| &**turns);
            (self.answer)(turns.unwrap_or_default(), seen, exchange)
        })
    }

    /// A gateway before this provider for all models, with `more` lines of config; what is taken differently
    /// is told by `takes`.
    pub(crate) fn gateway(&self, engine: Engine, upstream: &Peer, takes: &str, more: &str) -> Gateway {
        let models = format!("\"claude-*\": [{{ provider: far, model: \"{}\" }}]", self.model);
        self.run(engine, upstream, takes, ("", &format!("models: {{ {models} }}\n{more}")))
    }

    /// A gateway before this provider and a `near` one of Anthropic's, with `models:` among the lines.
    pub(crate) fn gateway_beside(&self, upstream: &Peer, near: &Peer, more: &str) -> Gateway {
        let near = format!("  near: {{ dialect: anthropic, base_url: \"{}\" }}\n", near.url());
        self.run(Engine::Epoll, upstream, "", (&near, more))
    }

    fn run(&self, engine: Engine, upstream: &Peer, takes: &str, (near, more): (&str, &str)) -> Gateway {
        let provider = self.provider.replace("{url}", &upstream.url());
        let folder = Folder::new();
        folder.write(
            "tollgate.yaml",
            &format!(
                "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: {}\nthreads: 1\n\
                 keys:\n  - {{ name: main, secret: {KEY} }}\n\
                 {more}\nproviders:\n  far: {{ {provider}{takes} }}\n{near}",
                engine.name()
            ),
        );
        Gateway::run(tollgate(folder.path()).arg("serve"), folder)
    }

    /// Sends the head of a stream.
    pub(crate) fn start(&self, exchange: &mut Exchange) -> io::Result<()> {
        if self.name == "bedrock" { speaks_bedrock::start_frames(exchange) } else { exchange.start_events() }
    }

    /// Sends the beginning of a stream, up to its first words.
    pub(crate) fn begin(&self, exchange: &mut Exchange) -> io::Result<()> {
        self.start(exchange)?;
        (self.beginning)().iter().try_for_each(|piece| exchange.chunk(piece))
    }

    /// What came of a call, as the last of these requests tells it that knows.
    #[track_caller]
    pub(crate) fn outcome(&self, bodies: &[Value], call: &Use) -> String {
        let told = bodies.iter().rev().find_map(|body| (self.result)(body, call));
        told.unwrap_or_else(|| panic!("{}: no result of {call:?} in {:?}", self.name, bodies.last()))
    }
}

/// Whether a request of any dialect asks for a stream.
pub(crate) fn wants_stream(seen: &Seen) -> bool {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    body["stream"] == true || seen.target.contains("tream")
}

/// The requests for messages that a provider has seen.
pub(crate) fn bodies(peer: &Peer) -> Vec<Value> {
    let posts = peer.seen().into_iter().filter(|seen| seen.method == "POST");
    posts.filter_map(|seen| serde_json::from_slice(&seen.body).ok()).collect()
}

/// The names of the tools that a request of any dialect defines.
pub(crate) fn defined(body: &Value) -> Vec<&str> {
    let mut names = Vec::new();
    for tool in body["tools"].as_array().into_iter().flatten() {
        names.extend(tool["name"].as_str().or_else(|| tool["function"]["name"].as_str()));
        let declared = tool["functionDeclarations"].as_array().into_iter().flatten();
        names.extend(declared.filter_map(|one| one["name"].as_str()));
    }
    for item in body["input"].as_array().into_iter().flatten() {
        let found = item["tools"].as_array().into_iter().flatten();
        names.extend(found.filter_map(|tool| tool["name"].as_str()));
    }
    names
}
