//! What it costs to speak another dialect: a request of Claude Code there, the events of an answer back.

#![expect(clippy::expect_used, reason = "a bench that cannot run says so by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use tollgate::ids::CallId;
use tollgate::llm::conversation;
use tollgate::llm::count::{Images, estimate, rough};
use tollgate::llm::said::{Event, Setup, StreamWriter};
use tollgate::llm::{gemini, openai_chat, openai_responses};

criterion_group!(benches, there, back, gemini_both_ways, counted);
criterion_main!(benches);

/// Events of one stream.
const EVENTS: usize = 1000;

fn there(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let body = request();
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("read_60_KiB", |bench| {
        bench.iter(|| conversation::read(black_box(&body)).expect("the body is good").turns.len());
    });
    let target = openai_chat::Target::openai("gpt-5.6");
    group.bench_function("openai_chat_60_KiB", |bench| {
        bench.iter(|| {
            let read = conversation::read(black_box(&body)).expect("the body is good");
            openai_chat::translate(&read, &target).expect("the target takes it").body.len()
        });
    });
    let target = openai_responses::Target::openai("gpt-5.6", "openai-responses-openai");
    group.bench_function("openai_responses_60_KiB", |bench| {
        bench.iter(|| {
            let read = conversation::read(black_box(&body)).expect("the body is good");
            openai_responses::translate(&read, &target).expect("the target takes it").body.len()
        });
    });
    group.finish();
}

fn back(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let text = json!({"content": " of the \"project\",\n"});
    let call =
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"path\": \"/home/dev/src\", "}}]});
    for (name, begin, delta) in [
        ("openai_chat_text", json!({"role": "assistant", "content": ""}), text),
        (
            "openai_chat_call",
            json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "Read", "arguments": "{"}}]}),
            call,
        ),
    ] {
        let (begin, chunk) = (chunk(&begin), chunk(&delta));
        for (way, stops) in ways() {
            group.bench_function(format!("{name}{way}"), |bench| {
                bench.iter(|| {
                    let mut reader = openai_chat::StreamReader::new(openai_chat::Reading::default());
                    stream(&begin, black_box(&chunk), &stops, |bytes, each| reader.push(bytes, each))
                });
            });
        }
    }
    let item = json!({"type": "response.output_item.added", "output_index": 0, "sequence_number": 2,
        "item": {"id": "fc_1", "type": "function_call", "status": "in_progress", "call_id": "call_1",
            "name": "Read", "arguments": ""}});
    for (name, begin, kind, delta) in [
        (
            "openai_responses_text",
            json!({"type": "response.created"}),
            "output_text",
            " of the \"project\",\n",
        ),
        ("openai_responses_call", item, "function_call_arguments", "\"path\": \"/home/dev/src\", "),
    ] {
        let (begin, event) = (event(&begin), event(&delta_event(kind, delta)));
        for (way, stops) in ways() {
            group.bench_function(format!("{name}{way}"), |bench| {
                bench.iter(|| {
                    let reading = openai_responses::Reading::default();
                    let mut reader = openai_responses::StreamReader::new(reading);
                    stream(&begin, black_box(&event), &stops, |bytes, each| reader.push(bytes, each))
                });
            });
        }
    }
    group.finish();
}

fn gemini_both_ways(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let body = request();
    group.throughput(Throughput::Bytes(body.len() as u64));
    let third = gemini::Target::gemini_3("gemini-3.1-pro");
    let subset = gemini::Target { json_schema: false, ..gemini::Target::gemini_2("gemini-2.0-flash") };
    for (name, target) in [("gemini_60_KiB", third), ("gemini_60_KiB_schemas_in_subset", subset)] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let read = conversation::read(black_box(&body)).expect("the body is good");
                gemini::translate(&read, &target).expect("the target takes it").body.len()
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let part = json!({"text": " of the \"project\",\n"});
    let usage = json!({"promptTokenCount": 12_000, "candidatesTokenCount": 40, "totalTokenCount": 12_040,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12_000}], "thoughtsTokenCount": 90});
    let chunk = json!({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
        "usageMetadata": usage, "modelVersion": "gemini-3.1-pro", "responseId": "k3Jx9aXUOLvRz7IP4cWn0A4"});
    let chunk = format!("data: {chunk}\r\n\r\n").into_bytes();
    for (way, stops) in ways() {
        group.bench_function(format!("gemini_text{way}"), |bench| {
            bench.iter(|| {
                let mut reader = gemini::StreamReader::new(gemini::Reading::default());
                stream(&chunk, black_box(&chunk), &stops, |bytes, each| reader.push(bytes, each))
            });
        });
    }
    group.finish();
}

fn counted(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("count");
    let body = request();
    group.throughput(Throughput::Bytes(body.len() as u64));
    let read = conversation::read(&body).expect("the body is good");
    group.bench_function("estimate_60_KiB", |bench| {
        bench.iter(|| estimate(black_box(&read), Images::Anthropic));
    });
    group.bench_function("rough_60_KiB", |bench| bench.iter(|| rough(black_box(&read), Images::Anthropic)));
    group.finish();
}

/// Without stop sequences to look for, and with some.
fn ways() -> [(&'static str, Vec<Box<str>>); 2] {
    [("", Vec::new()), ("_with_stops", vec!["\n\nHuman:".into(), "</stop>".into()])]
}

/// Reads a stream of `EVENTS` events, each in a piece of its own, and writes Anthropic's.
fn stream(
    begin: &[u8],
    event: &[u8],
    stops: &[Box<str>],
    mut push: impl FnMut(&[u8], &mut dyn FnMut(&Event<'_>)),
) -> usize {
    let mut writer = StreamWriter::new(Setup {
        call: CallId(7),
        model: "claude-opus-5".into(),
        input_tokens: 12_000,
        stops: stops.to_vec(),
        signature: Box::default(),
    });
    let (mut out, mut bytes) = (Vec::with_capacity(4096), 0);
    push(begin, &mut |event| writer.take(event, &mut out));
    for _ in 0..EVENTS {
        out.clear();
        push(event, &mut |event| writer.take(event, &mut out));
        bytes += out.len();
    }
    assert!(bytes > EVENTS && writer.failure().is_none());
    bytes
}

/// An event as OpenAI sends it.
fn event(event: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()).into_bytes()
}

fn delta_event(kind: &str, delta: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "content_index": 0, "delta": delta,
        "item_id": "msg_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b", "logprobs": [],
        "obfuscation": "k3Jx9", "output_index": 0, "sequence_number": 17})
}

/// A chunk as OpenAI sends it.
fn chunk(delta: &Value) -> Vec<u8> {
    let chunk = json!({"id": "chatcmpl-CVp0dTqZ2cJ1vYw3R8n5QkXb7LmEa", "object": "chat.completion.chunk",
        "created": 1_795_400_000, "model": "gpt-5.6-2026-07-14", "service_tier": "default",
        "system_fingerprint": "fp_a1b2c3d4e5", "choices": [{"index": 0, "delta": delta, "logprobs": null,
        "finish_reason": null}], "usage": null, "obfuscation": "k3Jx9"});
    format!("data: {chunk}\n\n").into_bytes()
}

/// A request as Claude Code writes it: about 60 KiB, 38 of them tools, ten rounds with a call each.
fn request() -> Vec<u8> {
    let prose = "Use this tool to read files of the project.\n\n- The path must be absolute, not relative\n- \
        By default it reads up to 2000 lines\n- Say \"why\" when a `range` is given\n";
    let tool = |index: usize| {
        json!({
            "name": format!("mcp__server__tool_{index}"),
            "description": prose.repeat(4),
            "input_schema": {"type": "object", "properties": {
                "file_path": {"type": "string", "description": "The absolute path to the file to read"},
                "offset": {"type": "integer", "description": "The line to start from", "minimum": 0},
                "limit": {"type": "integer", "description": "How many lines to read"},
            }, "required": ["file_path"], "additionalProperties": false},
        })
    };
    let mut turns = vec![json!({"role": "user", "content": prose})];
    for index in 0..10 {
        let id = format!("toolu_{index:024}");
        turns.push(json!({"role": "assistant", "content": [
            {"type": "text", "text": prose.repeat(5)},
            {"type": "tool_use", "id": id, "name": "mcp__server__tool_1",
             "input": {"file_path": "/home/dev/project/src/main.rs", "limit": 200}},
        ]}));
        turns.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": prose.repeat(4)},
            {"type": "text", "text": prose},
        ]}));
    }
    let tools: Value = (0..30).map(tool).collect();
    let system = json!([
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli"},
        {"type": "text", "text": prose.repeat(50), "cache_control": {"type": "ephemeral"}}]);
    json!({"model": "claude-opus-5", "messages": turns, "system": system, "tools": tools,
        "metadata": {"user_id": "u"}, "max_tokens": 32000, "thinking": {"type": "adaptive"}, "stream": true})
    .to_string()
    .into_bytes()
}
