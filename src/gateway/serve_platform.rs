//! What platforms and clients ask beside the work: health, numbers, a warm connection.

use std::io;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::admin::heads_metrics::Destination;
use crate::admin::metrics::Metrics;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::record::Record;
use crate::gateway::worker::{Mail, Phase, Worker};
use crate::limits;

/// The media type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `HEAD /api/hello`: the client only wants the connection.
pub(super) async fn hello(caller: &mut Caller, record: &mut Record) -> Result<(), CallError> {
    sent(caller.reply(record, 200, "application/json", &[], b"{}").await)
}

/// `/healthz`: the process answers. `/readyz`: it also takes new work.
pub(super) async fn health(
    worker: &Worker,
    caller: &mut Caller,
    ready: bool,
    record: &mut Record,
) -> Result<(), CallError> {
    if ready && worker.phase.get() != Phase::Running {
        return Err(Code::Draining.into());
    }
    sent(caller.reply(record, 200, "text/plain; charset=utf-8", &[], b"ok\n").await)
}

/// `/metrics`: every core is asked for its counters, and they are added up here.
pub(super) async fn metrics(
    worker: &Worker,
    caller: &mut Caller,
    record: &mut Record,
) -> Result<(), CallError> {
    let mut sum = Metrics::default();
    let mut answers = Vec::with_capacity(worker.mailboxes.len());
    for mailbox in worker.mailboxes.iter() {
        let (ask, answer) = oneshot::channel();
        if mailbox.try_send(Mail::Metrics(ask)).is_ok() {
            answers.push(answer);
        }
    }
    for answer in answers {
        if let Ok(Ok(counted)) = timeout(limits::METRICS_DEADLINE, answer).await {
            sum.add(&counted);
        }
    }
    let snapshot = worker.snapshot();
    let mut text = sum.render(&snapshot.version, resident_bytes());
    let webhook = snapshot.heads.webhook.as_ref().map(|_| Destination::Webhook);
    let bucket = snapshot.heads.bucket.as_ref().map(|_| Destination::Bucket);
    let destinations: Vec<Destination> = webhook.into_iter().chain(bucket).collect();
    worker.heads.render(&destinations, &mut text);
    sent(caller.reply(record, 200, PROMETHEUS, &[], text.as_bytes()).await)
}

/// Resident memory from `/proc/self/statm`, whose second number counts pages.
fn resident_bytes() -> Option<u64> {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

fn sent(result: io::Result<()>) -> Result<(), CallError> {
    result.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))
}
