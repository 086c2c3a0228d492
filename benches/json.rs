//! How fast the bytes of the model side are looked through: the span scan of requests, the event stream of
//! answers.

#![expect(clippy::expect_used, reason = "a bench that cannot run says so by panicking")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use tollgate::http::sse::{Piece, Splitter};
use tollgate::json::{Cursor, Fault, Value, fields};
use tollgate::llm::anthropic::response::AnswerReader;
use tollgate::llm::anthropic::stream::UsageReader;
use tollgate::scan::document::messages;
use tollgate::scan::{Kind, Kinds};

criterion_group!(benches, scan, sse);
criterion_main!(benches);

fn scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    let body = request();
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("60_KiB", |bench| bench.iter(|| model_and_stream(black_box(&body))));
    group.bench_function("60_KiB_with_tools", |bench| bench.iter(|| tools(black_box(&body))));
    let kinds = Kinds::of(&Kind::ALL);
    group.bench_function("60_KiB_for_what_must_not_be_said", |bench| {
        bench.iter(|| messages(black_box(&body), kinds).expect("the body is good"));
    });
    let call = mcp_call();
    group.throughput(Throughput::Bytes(call.len() as u64));
    group.bench_function(BenchmarkId::new("mcp_call", call.len()), |bench| {
        bench.iter(|| method_and_name(black_box(&call)));
    });
    group.finish();
}

/// What routing needs of a request of a model.
fn model_and_stream(body: &[u8]) -> (Option<Value>, Option<Value>) {
    let mut found = (None, None);
    let walked = fields(body, |field| {
        match field.key.raw {
            b"model" => found.0 = Some(field.value),
            b"stream" => found.1 = Some(field.value),
            _ => {}
        }
        Ok::<_, Fault>(())
    });
    walked.expect("the body is good");
    assert!(found.0.is_some() && found.1.is_some());
    found
}

/// The same, and the place of every tool, in one walk.
fn tools(body: &[u8]) -> usize {
    let walk = |cursor: &mut Cursor<'_>| {
        let mut tools = 0;
        cursor.enter_object()?;
        while let Some(key) = cursor.key()? {
            if key.raw == b"tools" {
                cursor.enter_array()?;
                while cursor.element()? {
                    tools += black_box(cursor.skip()?).span.len();
                }
            } else {
                black_box(cursor.skip()?);
            }
        }
        cursor.finish()?;
        Ok::<_, Fault>(tools)
    };
    walk(&mut Cursor::new(body)).expect("the body is good")
}

/// What routing needs of a call of a tool, in one walk.
fn method_and_name(call: &[u8]) -> usize {
    let walk = |cursor: &mut Cursor<'_>| {
        let mut found = 0;
        cursor.enter_object()?;
        while let Some(key) = cursor.key()? {
            if key.raw == b"params" {
                cursor.enter_object()?;
                while let Some(key) = cursor.key()? {
                    let value = cursor.skip()?;
                    found += if key.raw == b"name" { value.span.len() } else { 0 };
                }
            } else {
                let value = cursor.skip()?;
                found += if matches!(key.raw, b"method" | b"id") { value.span.len() } else { 0 };
            }
        }
        cursor.finish()?;
        Ok::<_, Fault>(found)
    };
    walk(&mut Cursor::new(call)).expect("the call is good")
}

fn sse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sse");
    let event = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
        \"delta\":{\"type\":\"text_delta\",\"text\":\" of the rings\"}}\n\n";
    group.throughput(Throughput::Bytes(event.len() as u64));
    group.bench_function(BenchmarkId::new("split_one_event", event.len()), |bench| {
        let mut splitter = Splitter::default();
        bench.iter(|| {
            let mut ends = 0;
            splitter.push(black_box(event), |piece| ends += usize::from(matches!(piece, Piece::End(_))));
            ends
        });
    });
    group.bench_function(BenchmarkId::new("usage_of_one_event", event.len()), |bench| {
        let mut reader = UsageReader::default();
        bench.iter(|| {
            reader.push(black_box(event));
            reader.between_events()
        });
    });
    let many = event.repeat(120);
    group.throughput(Throughput::Bytes(many.len() as u64));
    group.bench_function("usage_of_120_events", |bench| {
        let mut reader = UsageReader::default();
        bench.iter(|| reader.push(black_box(&many)));
    });
    let answer = json!({"id": "msg_01", "content": [{"type": "text", "text": "Some words.\n".repeat(1000)}],
        "usage": {"input_tokens": 1, "output_tokens": 4000}});
    let answer = answer.to_string().into_bytes();
    group.throughput(Throughput::Bytes(answer.len() as u64));
    group.bench_function("usage_of_a_whole_answer", |bench| {
        bench.iter(|| {
            let mut reader = AnswerReader::default();
            reader.push(black_box(&answer));
            reader.answer().usage
        });
    });
    group.finish();
}

/// A request as Claude Code writes it: about 60 KiB, 38 of them tools, `stream` at the end.
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
    let turn = |index: usize| {
        json!({"role": if index.is_multiple_of(2) { "user" } else { "assistant" }, "content": [
            {"type": "text", "text": prose.repeat(5)},
            {"type": "tool_use", "id": format!("toolu_{index:024}"), "name": "Read",
             "input": {"file_path": "/home/dev/project/src/main.rs", "limit": 200}},
        ]})
    };
    let words = |value: serde_json::Value| value.to_string();
    let system = json!([{"type": "text", "text": prose.repeat(50), "cache_control": {"type": "ephemeral"}}]);
    let tools = words((0..30).map(tool).collect());
    let turns = words((0..20).map(turn).collect());
    format!(
        "{{\"model\":\"claude-opus-4-8\",\"messages\":{turns},\"system\":{},\"tools\":{tools},\
         \"metadata\":{{\"user_id\":\"u\"}},\"max_tokens\":32000,\"temperature\":1,\"stream\":true}}",
        words(system)
    )
    .into_bytes()
}

/// A call of a tool as Claude Code writes it: about 500 bytes.
fn mcp_call() -> Vec<u8> {
    let call = json!({"method": "tools/call", "params": {
        "name": "search_issues",
        "arguments": {"query": "is:open label:bug \"connection reset\" in:title,body", "sort": "updated",
            "repositories": ["example/gateway", "example/console", "example/agents"], "limit": 20,
            "fields": ["number", "title", "state", "labels", "assignees", "updated_at"]},
        "_meta": {"progressToken": 4, "claudecode/toolUseId": "toolu_01A09q90qw90lq917835lq9",
            "io.modelcontextprotocol/clientInfo": {"name": "claude-code", "version": "2.1.330"}},
    }, "jsonrpc": "2.0", "id": 4});
    call.to_string().into_bytes()
}
