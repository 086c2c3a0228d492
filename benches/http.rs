//! What HTTP/1.1 costs: heads in, heads out, chunks off the wire.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tollgate::http::body::Decoder;
use tollgate::http::encode::{
    CHUNK_END, Fields, LAST_CHUNK, RelayedResponse, UpstreamRequest, chunk_prefix, request_head,
    response_head,
};
use tollgate::http::head::{Framing, Progress, RequestHead, ResponseHead};

/// A request of Claude Code with 25 headers.
const REQUEST: &[u8] = b"POST /v1/messages?beta=true HTTP/1.1\r\n\
    Accept: application/json\r\n\
    Authorization: Bearer tg-0123456789abcdef0123456789abcdef0123456789abcdef\r\n\
    Content-Type: application/json\r\n\
    User-Agent: claude-cli/2.1.330 (external, sdk-cli)\r\n\
    X-Claude-Code-Session-Id: 0b7f6a52-7d8e-4c51-9a51-2d0d5a1b4c11\r\n\
    X-Stainless-Arch: x64\r\n\
    X-Stainless-Lang: js\r\n\
    X-Stainless-OS: Linux\r\n\
    X-Stainless-Package-Version: 0.74.0\r\n\
    X-Stainless-Retry-Count: 0\r\n\
    X-Stainless-Runtime: node\r\n\
    X-Stainless-Runtime-Version: v24.3.0\r\n\
    X-Stainless-Timeout: 600\r\n\
    anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,\
prompt-caching-scope-2026-01-05,effort-2025-11-24\r\n\
    anthropic-dangerous-direct-browser-access: true\r\n\
    anthropic-version: 2023-06-01\r\n\
    x-app: cli\r\n\
    x-claude-code-agent-type: main\r\n\
    x-claude-code-prompt-id: 6a1f9a0e-2b43-4a53-8c8c-1f1b2d3e4f50\r\n\
    x-claude-code-request-class: main\r\n\
    x-client-request-id: 11f6a7b8-93d2-4c58-a7b1-7e2e0f6a5c21\r\n\
    Connection: keep-alive\r\n\
    Host: tollgate.internal.example:4000\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Content-Length: 61440\r\n\r\n";

/// The beginning of an event stream from behind a CDN.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Sun, 22 Nov 2026 14:00:00 GMT\r\n\
    Content-Type: text/event-stream; charset=utf-8\r\n\
    Transfer-Encoding: chunked\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-cache\r\n\
    anthropic-ratelimit-input-tokens-limit: 4000000\r\n\
    anthropic-ratelimit-input-tokens-remaining: 3997000\r\n\
    anthropic-ratelimit-input-tokens-reset: 2026-11-22T14:00:00Z\r\n\
    anthropic-ratelimit-output-tokens-limit: 800000\r\n\
    anthropic-ratelimit-output-tokens-remaining: 800000\r\n\
    anthropic-ratelimit-output-tokens-reset: 2026-11-22T14:00:00Z\r\n\
    anthropic-ratelimit-requests-limit: 4000\r\n\
    anthropic-ratelimit-requests-remaining: 3999\r\n\
    anthropic-ratelimit-requests-reset: 2026-11-22T14:00:00Z\r\n\
    request-id: req_011CVNyw5xYyA8rJ8xq9n3bA\r\n\
    strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n\
    anthropic-organization-id: 1b0f3d52-8f0e-4a51-bb0f-0f7b0d9d4c1e\r\n\
    x-envoy-upstream-service-time: 812\r\n\
    via: 1.1 google\r\n\
    cf-cache-status: DYNAMIC\r\n\
    X-Robots-Tag: none\r\n\
    Server: cloudflare\r\n\
    CF-RAY: 9a2b3c4d5e6f7081-FRA\r\n\r\n";

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    let mut request = RequestHead::new();
    let mut response = ResponseHead::new();

    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("parse_request", |bencher| {
        bencher.iter(|| assert_eq!(request.parse(black_box(REQUEST)), Ok(Progress::Complete)));
    });
    let mut out = Vec::with_capacity(4096);
    group.bench_function("write_request", |bencher| {
        let outgoing = UpstreamRequest {
            method: "POST",
            path: &[b"/v1/messages"],
            query: Some(b"beta=true"),
            host: "api.anthropic.com",
            credential: Some(("x-api-key", "sk-ant-api03-0123456789abcdef0123456789abcdef")),
            extra: &[],
            content_length: Some(61_440),
        };
        let fields = Fields { headers: &request.headers, buf: REQUEST };
        bencher.iter(|| {
            out.clear();
            request_head(&mut out, black_box(&outgoing), fields);
            out.len()
        });
    });

    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("parse_response", |bencher| {
        bencher.iter(|| assert_eq!(response.parse(black_box(RESPONSE), false), Ok(Progress::Complete)));
    });
    group.bench_function("write_response", |bencher| {
        let relayed = RelayedResponse {
            status: 200,
            reason: b"OK",
            framing: Framing::Chunked,
            close: false,
            extra: &[("x-tollgate-request-id", b"01JD8Y7Q4W3V2T1S0R9Q8P7N6M")],
        };
        let fields = Fields { headers: &response.headers, buf: RESPONSE };
        bencher.iter(|| {
            out.clear();
            response_head(&mut out, black_box(&relayed), fields);
            out.len()
        });
    });
    group.finish();
}

/// A chunked body of `count` chunks of `size` bytes.
fn chunked_body(size: usize, count: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for _ in 0..count {
        wire.extend_from_slice(chunk_prefix(size).as_bytes());
        wire.resize(wire.len() + size, b'x');
        wire.extend_from_slice(CHUNK_END);
    }
    wire.extend_from_slice(LAST_CHUNK);
    wire
}

fn chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunks");
    // One event a read, as a model sends them; many events in a read, after a pause; and bulk.
    for (name, size, count) in
        [("one_event_130_B", 130, 1), ("100_events_130_B", 130, 100), ("4_bulk_16_KiB", 16 * 1024, 4)]
    {
        let wire = chunked_body(size, count);
        group.throughput(Throughput::Bytes((size * count) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || wire.clone(),
                |raw| assert!(Decoder::new(Framing::Chunked).decode(raw).is_ok_and(|found| found.done)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, heads, chunks);
criterion_main!(benches);
