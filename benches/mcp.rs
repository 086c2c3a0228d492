//! How fast a message of the Model Context Protocol is read, changed and matched to its request.

#![expect(clippy::expect_used, reason = "a bench that cannot run says so by panicking")]

#[path = "samples/call.rs"]
mod call;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use tollgate::mcp::edit::Edits;
use tollgate::mcp::fault::Fault;
use tollgate::mcp::message::{params, read, read_with_params, response_id};

criterion_group!(benches, calls, replies);
criterion_main!(benches);

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mcp_call");
    let call = call::tools_call("github__search", 0);
    group.throughput(Throughput::Bytes(call.len() as u64));
    group.bench_function(BenchmarkId::new("read", call.len()), |bench| {
        bench.iter(|| {
            let call = black_box(call.as_slice());
            let message = read(call).expect("the call is good");
            params(call, &message).expect("the call is good").name
        });
    });
    group.bench_function(BenchmarkId::new("read_with_params", call.len()), |bench| {
        bench.iter(|| {
            let (message, params) = read_with_params(black_box(call.as_slice())).expect("the call is good");
            (message.id, params.expect("the call is good").name)
        });
    });
    group.bench_function(BenchmarkId::new("read_and_splice", call.len()), |bench| {
        bench.iter(|| splice(black_box(&call)).expect("the call is good"));
    });
    group.finish();
}

/// Another id, another name and another progress token.
fn splice(call: &[u8]) -> Result<Vec<u8>, Fault> {
    let (message, params) = read_with_params(call)?;
    let params = params?;
    let mut edits = Edits::new(call);
    let token = params.meta.and_then(|meta| meta.progress_token);
    let places = [(message.id, "4711"), (params.name, "\"search_issues\""), (token, "4711")];
    for (place, bytes) in places {
        edits.replace(place.expect("the call has all three"), bytes.as_bytes())?;
    }
    Ok(edits.finish())
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mcp_reply");
    let result = json!({"content": [{"type": "text", "text": "Some \"words\".\n".repeat(4500)}]});
    let first = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{result}}}");
    let last = format!("{{\"result\":{result},\"jsonrpc\":\"2.0\",\"id\":\"7\"}}");
    let between = format!("{{\"result\":{result},\"id\":7,\"jsonrpc\":\"2.0\"}}");
    for (place, reply) in [("first", first), ("last", last), ("between", between)] {
        group.throughput(Throughput::Bytes(reply.len() as u64));
        group.bench_function(BenchmarkId::new("id", place), |bench| {
            bench.iter(|| response_id(black_box(reply.as_bytes())).expect("the reply has an id"));
        });
    }
    group.finish();
}
