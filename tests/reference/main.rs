//! An MCP server with every fixture of the official conformance suite, for both eras, over HTTP and pipes.
//!
//! It stands on the official Rust SDK, so that the gateway is never tested against its own reading of the
//! protocol. A tool that needs something of the caller does it in the way of the era it was called in: it
//! asks by a request of its own (up to 2025-11-25) or answers `input_required` (2026-07-28).
#![expect(clippy::print_stdout, reason = "the address goes to whoever started the server")]
#![expect(clippy::print_stderr, reason = "so does the word on how to call it")]
#![expect(clippy::indexing_slicing, reason = "JSON gives null for what is not there")]
#![expect(deprecated, reason = "what a newer revision deprecates is still spoken, so it is still tested")]

use std::net::SocketAddr;
use std::process::ExitCode;

mod ask;
mod era;
mod http;
mod pipes;
mod prompts;
mod resources;
mod schemas;
mod server;
mod tasks;
mod tools;

use era::Era;

const USAGE: &str =
    "usage: reference-server (--listen ADDRESS | --stdio) [--era both|legacy|modern]; serves /mcp";

/// How to meet the callers.
#[derive(Clone, Copy)]
enum Way {
    Http(SocketAddr),
    Pipes,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some((way, era)) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let ended = match way {
        Way::Http(address) => http::serve(address, era).await,
        Way::Pipes => pipes::serve(era).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("reference-server: {why}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<(Way, Era)> {
    let (mut way, mut era) = (None, Era::Both);
    while let Some(word) = words.next() {
        match &*word {
            "--listen" => way = Some(Way::Http(words.next()?.parse().ok()?)),
            "--stdio" => way = Some(Way::Pipes),
            "--era" => era = Era::named(&words.next()?)?,
            _ => return None,
        }
    }
    Some((way?, era))
}
