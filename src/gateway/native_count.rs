//! Counts of servers that speak some of Anthropic's dialect: many count tokens themselves, by the template of
//! their model. Each is asked, and one that does not know the question is not asked again for a while; then,
//! and whenever no number comes in time, the tokens are estimated here.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::gateway::foreign;
use crate::gateway::worker::Worker;
use crate::http::head::ResponseHead;
use crate::limits;
use crate::llm::conversation;
use crate::llm::speech::{Ask, Speech};
use crate::net::buffer::Buffer;
use crate::net::deadline::Deadline;
use crate::policy::residency::PlacedPermit;
use crate::upstream::exchange::Exchange;
use crate::upstream::message::Message;
use crate::upstream::provider::Provider;
use crate::upstream::whole;

/// What one core knows of servers that do not count: until when they are not asked.
#[derive(Debug, Default)]
pub(super) struct Silent(RefCell<HashMap<String, Instant>>);

impl Silent {
    fn has(&self, server: &str, now: Instant) -> bool {
        self.0.borrow().get(server).is_some_and(|until| now < *until)
    }

    fn keep(&self, server: String, until: Instant) {
        let mut known = self.0.borrow_mut();
        if known.len() >= limits::COUNTERS_SILENT_MAX {
            known.clear();
        }
        known.insert(server, until);
    }
}

/// What a server has counted; nothing where it speaks another dialect, does not count or does not answer in
/// time.
pub(super) async fn ask(
    (worker, snapshot): (&Worker, &Snapshot),
    (provider, speech, permit): (&Arc<Provider>, &Speech, &PlacedPermit),
    (model, body): (&str, &[u8]),
) -> Option<u64> {
    if !matches!(speech, Speech::Lenient(_)) {
        return None;
    }
    let server = format!("{} {}{}", provider.name, provider.site.origin.authority(), provider.base_path);
    if worker.silent.has(&server, clock::now()) {
        return None;
    }
    let message = message(provider, speech, (model, body))?;
    let asked =
        timeout(limits::COUNT_NATIVE_WAIT, exchange((worker, snapshot), (provider, permit), &message));
    let rest = match asked.await {
        Ok(Ok(tokens)) => return Some(tokens),
        Ok(Err(rest)) => rest,
        Err(_late) => limits::COUNT_NATIVE_REST,
    };
    worker.silent.keep(server, clock::now() + rest);
    None
}

/// The question; nothing for what is no request, of which the estimate says why.
fn message(provider: &Provider, speech: &Speech, (model, body): (&str, &[u8])) -> Option<Message> {
    let mut conversation = conversation::read(body).ok()?;
    // Nothing is written, but the form has to say how much may be.
    conversation.max_tokens.get_or_insert(1);
    conversation.stream = false;
    let spoken = speech.say(&conversation, &Ask { model, conversation: "", caller: "", nonce: 0 }).ok()?;
    let path = format!("{}/count_tokens", spoken.path);
    let mut out = Vec::new();
    let length = spoken.body.len();
    foreign::write_head(&mut out, provider, &path, (u64::try_from(length).ok()?, false));
    let body = std::rc::Rc::new(Buffer::from(&spoken.body[..]));
    Some(Message::with_body(Buffer::from(&out[..]), [Some((body, 0..length)), None, None]))
}

/// The number, or how long the server is not asked again.
async fn exchange(
    (worker, snapshot): (&Worker, &Snapshot),
    (provider, permit): (&Arc<Provider>, &PlacedPermit),
    message: &Message,
) -> Result<u64, Duration> {
    let rest = |_failed| limits::COUNT_NATIVE_REST;
    let (site, timeouts, sent) = (&provider.site, &snapshot.timeouts, Cell::default());
    let mut head = ResponseHead::new();
    let mut deadline = Deadline::new(limits::COUNT_NATIVE_WAIT);
    let exchange = Exchange { permit, site, message, timeouts, again: true, sent: &sent };
    let asked = exchange.run(&worker.pool, &mut head, &mut deadline).await;
    let mut connection = asked.map_err(|_failed| limits::COUNT_NATIVE_REST)?;
    let body = whole::read(&mut connection, &head, limits::COUNT_NATIVE_BYTES_MAX).await.map_err(rest)?;
    if head.keep_alive {
        worker.pool.give_back(site, connection, clock::now());
    }
    match head.status {
        200 => number(&body).ok_or(limits::COUNT_NATIVE_AGAIN),
        404 | 405 | 501 => Err(limits::COUNT_NATIVE_AGAIN),
        _ => Err(limits::COUNT_NATIVE_REST),
    }
}

/// `input_tokens`, which no request has none of.
fn number(body: &[u8]) -> Option<u64> {
    let tree: serde_json::Value = serde_json::from_slice(body).ok()?;
    tree.get("input_tokens")?.as_u64().filter(|tokens| *tokens > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Silent, number};
    use crate::clock;
    use crate::limits::COUNTERS_SILENT_MAX;

    #[test]
    fn only_a_number_of_tokens_is_one() {
        assert_eq!(number(b"{\"input_tokens\":7,\"x\":1}"), Some(7));
        for other in ["", "{}", "{\"input_tokens\":0}", "{\"input_tokens\":\"7\"}", "<html>", "[7]", "7"] {
            assert_eq!(number(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn who_does_not_count_is_asked_again_after_a_while() {
        let (silent, now) = (Silent::default(), clock::now());
        silent.keep("far".to_owned(), now + Duration::from_secs(9));
        assert!(silent.has("far", now) && !silent.has("other", now));
        assert!(!silent.has("far", now + Duration::from_secs(9)));
        for number in 0..3 * COUNTERS_SILENT_MAX {
            silent.keep(number.to_string(), now);
        }
        assert!(silent.0.borrow().len() <= COUNTERS_SILENT_MAX);
    }
}
