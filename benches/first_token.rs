//! The time that the gateway adds to the first token, for dialects out and in.
//! `cargo bench --bench first_token`, or with `-- --awake`, which keeps the cores of a virtual machine from
//! being taken away each time that they have nothing to do: to get one back takes as long as a call.
//!
//! A provider of fixed answers speaks all dialects. A caller asks it with 60 KiB, in turns through the
//! gateway and directly with the very bytes that the gateway has sent it, each on a kept connection, and
//! takes the time until it has read the first text of the answer.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write, stdout};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tollgate::clock;
use tollgate::config::load;
use tollgate::gateway::start::start;

#[path = "samples/request.rs"]
mod sample;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: &str = "tg_firsttoken_0123456789abcdefghijklmnopqrstuvwxyz";

/// The text that answers begin with.
const TEXT: &str = "first-token";

/// Calls of each way, after some that warm up.
const CALLS: usize = 400;
const WARM_CALLS: usize = 50;

/// Whole requests as the provider has received them, by the path's last part.
static RECEIVED: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);

/// The name of the row, the provider's path by its end, the model, and what the caller speaks.
const ROWS: [(&str, &str, &str, Speech); 6] = [
    ("anthropic", "messages", "claude-own", Speech::Messages),
    ("openai_chat", "completions", "claude-chat", Speech::Messages),
    ("openai_responses", "responses", "claude-responses", Speech::Messages),
    ("gemini", "streamGenerateContent", "claude-gemini", Speech::Messages),
    ("from Chat Completions to anthropic", "messages", "claude-own", Speech::Chat),
    ("Chat Completions passed on", "completions", "claude-chat", Speech::Chat),
];

#[derive(Clone, Copy, Debug)]
enum Speech {
    Messages,
    Chat,
}

fn main() -> Result<()> {
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    if std::env::args().any(|arg| arg == "--awake") {
        for _core in 0..thread::available_parallelism()?.get() {
            thread::spawn(stay_awake);
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let provider = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first_token");
    std::fs::create_dir_all(&folder)?;
    let config = folder.join("tollgate.yaml");
    std::fs::write(
        &config,
        format!(
            "listen: 127.0.0.1:0\nthreads: 1\ndata_dir: data\n\
             providers:\n  own: {{ dialect: anthropic, base_url: \"http://{provider}\" }}\n  \
             chat: {{ dialect: openai_chat, base_url: \"http://{provider}/v1\" }}\n  \
             responses: {{ dialect: openai_responses, base_url: \"http://{provider}/v1\" }}\n  \
             gemini: {{ dialect: gemini, base_url: \"http://{provider}/v1beta\" }}\n\
             models:\n  claude-own: [own]\n  claude-chat: [{{ provider: chat, model: gpt-5.6 }}]\n  \
             claude-responses: [{{ provider: responses, model: gpt-5.6 }}]\n  \
             claude-gemini: [{{ provider: gemini, model: gemini-3.1-pro }}]\n\
             keys: [{{ name: bench, secret: {KEY} }}]\n"
        ),
    )?;
    let loaded = load::load(Some(&config)).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let running = start(loaded, Some(&config))?;
    let gateway = *running.addresses.first().context("no address")?;
    writeln!(stdout(), "p50 in us until the first text is read, {CALLS} calls of 60 KiB a way, in turns")?;
    writeln!(stdout(), "{:<36} {:>8} {:>8} {:>8}", "", "direct", "through", "added")?;
    for (name, place, model, speech) in ROWS {
        let (direct, through) = measure((gateway, provider), place, &asked(model, speech)?)?;
        writeln!(stdout(), "{name:<36} {direct:>8.0} {through:>8.0} {:>8.0}", through - direct)?;
    }
    Ok(())
}

/// Keeps one core busy for as long as nobody else wants it.
fn stay_awake() {
    // A thread's own on Linux. Without it the figures are worse, not better.
    if rustix::process::nice(19).is_ok() {
        loop {
            std::hint::spin_loop();
        }
    }
}

/// The medians, direct and through the gateway, in microseconds.
fn measure((gateway, provider): (SocketAddr, SocketAddr), place: &str, request: &[u8]) -> Result<(f64, f64)> {
    let (mut through, mut direct) = (TcpStream::connect(gateway)?, TcpStream::connect(provider)?);
    for stream in [&through, &direct] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    }
    let mut times = [Vec::new(), Vec::new()];
    for call in 0..WARM_CALLS + CALLS {
        let taken = ask(&mut through, request)?;
        let received = RECEIVED.lock().unwrap_or_else(PoisonError::into_inner);
        let same = received.as_ref().and_then(|all| all.get(place)).context("nothing was received")?.clone();
        drop(received);
        let plain = ask(&mut direct, &same)?;
        if call >= WARM_CALLS {
            times[0].push(plain);
            times[1].push(taken);
        }
    }
    let [direct, through] = times.map(|mut all| {
        all.sort_unstable();
        all.get(all.len() / 2).map_or(0.0, |time| time.as_nanos() as f64 / 1e3)
    });
    Ok((direct, through))
}

/// Sends a request and reads its answer to the end; returns the time until its first text.
fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<Duration> {
    let begun = clock::now();
    stream.write_all(request)?;
    let (mut answer, mut room, mut first) = (Vec::new(), vec![0; 64 * 1024], None);
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        let bytes = stream.read(&mut room)?;
        ensure!(bytes > 0, "the connection ended early: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(room.get(..bytes).unwrap_or_default());
        if first.is_none() && memchr::memmem::find(&answer, TEXT.as_bytes()).is_some() {
            first = Some(clock::now().duration_since(begun));
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    first.context("an answer without its text")
}

/// The request of a caller.
fn asked(model: &str, speech: Speech) -> Result<Vec<u8>> {
    let body = sample::request(model);
    let (path, body) = match speech {
        Speech::Messages => ("/v1/messages", body),
        Speech::Chat => {
            let read =
                tollgate::llm::conversation::read(&body).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            let target = tollgate::llm::openai_chat::Target::openai(model);
            let said = tollgate::llm::openai_chat::translate(&read, &target);
            ("/v1/chat/completions", said.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?.body)
        }
    };
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: gate\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    Ok(request)
}

/// Answers every request in the dialect of its path.
fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut room = vec![0; 64 * 1024];
    loop {
        let mut request = Vec::new();
        let path = loop {
            let bytes = match stream.read(&mut room) {
                Ok(0) => return None,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            request.extend_from_slice(room.get(..bytes)?);
            if let Some(path) = whole(&request) {
                break path;
            }
        };
        let (begin, rest) = answer(&path);
        RECEIVED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(path, request);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}{:x}\r\n{begin}\r\n", begin.len()).as_bytes()).ok()?;
        stream.write_all(format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).as_bytes()).ok()?;
    }
}

/// The end of a whole request's path, after its last `/` or `:`.
fn whole(request: &[u8]) -> Option<String> {
    let end = memchr::memmem::find(request, b"\r\n\r\n")? + 4;
    let head = str::from_utf8(request.get(..end)?).ok()?.to_ascii_lowercase();
    let length: usize = head.split_once("content-length:")?.1.split("\r\n").next()?.trim().parse().ok()?;
    let path = str::from_utf8(request).ok()?.split(' ').nth(1)?.split('?').next()?;
    (request.len() >= end + length).then(|| path.rsplit(['/', ':']).next().map(str::to_owned))?
}

/// An answer up to its first text, and the rest of it.
fn answer(path: &str) -> (String, String) {
    let events = |list: &[Value]| -> String {
        list.iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("")))
            .collect()
    };
    let plain =
        |list: &[Value]| -> String { list.iter().map(|event| format!("data: {event}\n\n")).collect() };
    match path {
        "messages" => (events(&messages(true)), events(&messages(false))),
        "responses" => (events(&responses(true)), events(&responses(false))),
        "completions" => (plain(&completions(true)), plain(&completions(false)) + "data: [DONE]\n\n"),
        _ => (plain(&gemini(true)), plain(&gemini(false))),
    }
}

fn messages(begins: bool) -> Vec<Value> {
    let start = json!({"type": "message_start", "message": {"id": "msg_01", "type": "message",
        "role": "assistant", "model": "claude-own", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 12_000, "output_tokens": 1}}});
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let delta =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}});
    let stop = json!({"type": "content_block_stop", "index": 0});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 5}});
    if begins { vec![start, block, delta] } else { vec![stop, end, json!({"type": "message_stop"})] }
}

fn completions(begins: bool) -> Vec<Value> {
    let chunk = |delta: Value, finish: Value, usage: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.6",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
            "usage": usage})
    };
    let used = json!({"prompt_tokens": 12_000, "completion_tokens": 5, "total_tokens": 12_005});
    if begins {
        vec![
            chunk(json!({"role": "assistant", "content": ""}), Value::Null, Value::Null),
            chunk(json!({"content": TEXT}), Value::Null, Value::Null),
        ]
    } else {
        vec![chunk(json!({}), json!("stop"), used)]
    }
}

fn responses(begins: bool) -> Vec<Value> {
    let response = |status: &str, output: Value, usage: Value| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": null,
            "incomplete_details": null, "model": "gpt-5.6", "output": output, "usage": usage})
    };
    let part = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let item = |status: &str, content: Value| {
        json!({"id": "msg_1", "type": "message", "status": status, "content": content,
            "role": "assistant"})
    };
    let used = json!({"input_tokens": 12_000, "output_tokens": 5, "total_tokens": 12_005});
    if begins {
        vec![
            json!({"type": "response.created", "sequence_number": 0,
                "response": response("in_progress", json!([]), Value::Null)}),
            json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
                "item": item("in_progress", json!([]))}),
            json!({"type": "response.content_part.added", "sequence_number": 2, "output_index": 0,
                "item_id": "msg_1", "content_index": 0, "part": part("")}),
            json!({"type": "response.output_text.delta", "sequence_number": 3, "output_index": 0,
                "item_id": "msg_1", "content_index": 0, "delta": TEXT, "logprobs": []}),
        ]
    } else {
        let whole = item("completed", json!([part(TEXT)]));
        vec![
            json!({"type": "response.output_text.done", "sequence_number": 4, "output_index": 0,
                "item_id": "msg_1", "content_index": 0, "text": TEXT, "logprobs": []}),
            json!({"type": "response.content_part.done", "sequence_number": 5, "output_index": 0,
                "item_id": "msg_1", "content_index": 0, "part": part(TEXT)}),
            json!({"type": "response.output_item.done", "sequence_number": 6, "output_index": 0,
                "item": whole}),
            json!({"type": "response.completed", "sequence_number": 7,
                "response": response("completed", json!([whole]), used)}),
        ]
    }
}

fn gemini(begins: bool) -> Vec<Value> {
    let used = json!({"promptTokenCount": 12_000, "candidatesTokenCount": 5, "totalTokenCount": 12_005});
    let (text, finish) = if begins { (TEXT, Value::Null) } else { (" and more", json!("STOP")) };
    let candidate =
        json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, "finishReason": finish});
    vec![json!({"candidates": [candidate], "usageMetadata": used, "modelVersion": "gemini-3.1-pro",
            "responseId": "r1"})]
}
