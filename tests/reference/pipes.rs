//! Lines on stdin and stdout, with the refusals of an era in front of the SDK.

use std::io;

use rmcp::ServiceExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};
use tokio::sync::mpsc::{Sender, channel};

use crate::era::Era;
use crate::server::{Shared, new_server};

/// Bytes on their way between a pipe and the SDK.
const ROOM: usize = 64 * 1024;

/// Serves until stdin ends.
pub(crate) async fn serve(era: Era) -> io::Result<()> {
    let (to_sdk, from_us) = duplex(ROOM);
    let (to_us, from_sdk) = duplex(ROOM);
    let (lines, mut outgoing) = channel::<String>(64);
    tokio::spawn(replies(from_sdk, lines.clone()));
    tokio::spawn(requests(to_sdk, lines, era));
    tokio::spawn(async move {
        // Before the first valid message there is no service; a caller may leave without one.
        if let Ok(running) = new_server(era, &Shared::default()).serve((from_us, to_us)).await {
            drop(running.waiting().await);
        }
    });
    let mut stdout = tokio::io::stdout();
    while let Some(line) = outgoing.recv().await {
        stdout.write_all(line.as_bytes()).await?;
        stdout.write_all(b"\n").await?;
        stdout.flush().await?;
    }
    Ok(())
}

async fn requests(mut to_sdk: impl AsyncWriteExt + Unpin, answers: Sender<String>, era: Era) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let passed = match era.refusal_of_line(&line) {
            Some(answer) => answers.send(answer).await.is_ok(),
            None => to_sdk.write_all(format!("{line}\n").as_bytes()).await.is_ok(),
        };
        if !passed {
            return;
        }
    }
}

async fn replies(from_sdk: impl tokio::io::AsyncRead + Unpin, lines: Sender<String>) {
    let mut replies = BufReader::new(from_sdk).lines();
    while let Ok(Some(line)) = replies.next_line().await {
        if lines.send(line).await.is_err() {
            return;
        }
    }
}
