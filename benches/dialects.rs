//! What it costs to speak another dialect: a request of Claude Code there, the events of an answer back.

#![expect(clippy::expect_used, reason = "a bench that cannot run says so by panicking")]

#[path = "samples/request.rs"]
mod sample;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use tollgate::ids::CallId;
use tollgate::llm::conversation;
use tollgate::llm::count::{Images, estimate, rough};
use tollgate::llm::inward::{self, Dialect, Voice};
use tollgate::llm::said::{Event, Setup, StreamWriter};
use tollgate::llm::{gemini, openai_chat, openai_responses};

criterion_group!(benches, there, back, gemini_both_ways, inwards, counted);
criterion_main!(benches);

/// Events of one stream.
const EVENTS: usize = 1000;

fn there(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let body = sample::request("claude-opus-5");
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
        let mut begin = event(&begin);
        if kind == "function_call_arguments" {
            begin.extend(event(&delta_event(kind, "{")));
        }
        let event = event(&delta_event(kind, delta));
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
    let body = sample::request("claude-opus-5");
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

/// Callers of OpenAI's dialects: their request in Anthropic's form, and an answer of it in theirs.
fn inwards(criterion: &mut Criterion) {
    let body = sample::request("claude-opus-5");
    let read = conversation::read(&body).expect("the body is good");
    let chat = openai_chat::translate(&read, &openai_chat::Target::openai("gpt-5.6"));
    let responses =
        openai_responses::translate(&read, &openai_responses::Target::openai("gpt-5.6", "openai-responses"));
    let bodies = [
        ("chat", Dialect::Chat, chat.expect("the target takes it").body),
        ("responses", Dialect::Responses, responses.expect("the target takes it").body),
    ];
    let mut group = criterion.benchmark_group("request");
    for (name, dialect, body) in &bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("from_{name}_60_KiB"), |bench| {
            bench.iter(|| inward::read(*dialect, black_box(body)).expect("the body is good").body.len());
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let start = json!({"type": "message_start", "message": {"id": "msg_01", "type": "message",
        "role": "assistant", "model": "claude-opus-5", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": {"input_tokens": 12_000, "output_tokens": 1}}});
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let begin = [event(&start), event(&block)].concat();
    let delta = event(&json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "text_delta", "text": " of the \"project\",\n"}}));
    for (name, dialect, _) in &bodies {
        group.bench_function(format!("to_{name}_text"), |bench| {
            bench.iter(|| {
                let mut voice = Voice::new(
                    *dialect,
                    inward::Setup {
                        call: CallId(7),
                        model: "claude-opus-5".into(),
                        created_s: 1_795_400_000,
                        stream: true,
                        usage: true,
                        seals: false,
                    },
                );
                let (mut out, mut bytes) = (Vec::with_capacity(4096), 0);
                voice.push(&begin, &mut out);
                for _ in 0..EVENTS {
                    out.clear();
                    voice.push(black_box(&delta), &mut out);
                    bytes += out.len();
                }
                assert!(bytes > EVENTS);
                bytes
            });
        });
    }
    group.finish();
}

fn counted(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("count");
    let body = sample::request("claude-opus-5");
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
    assert!(bytes > EVENTS && writer.failure().is_none(), "{:?}", writer.failure());
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
