//! Relays an answer that another dialect gives: said anew in Anthropic's form while it comes.
//!
//! The head for the caller is held until the answer has content or an end: what fails before is told by its
//! status, and another provider may be asked. Silence ends that, too: the caller's watchdog is answered with
//! the head and a ping, and from then on failures are told inside the answer.

use std::sync::Arc;

use crate::call::Outcome;
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::CallError;
use crate::gateway::caller::Caller;
use crate::gateway::destination;
use crate::gateway::foreign;
use crate::gateway::guard;
use crate::gateway::inbound;
use crate::gateway::read_along::Reader;
use crate::gateway::record::{Record, kept};
use crate::gateway::request_body::Whole;
use crate::gateway::serve_llm::note_first_byte;
use crate::gateway::stream_back::confession::broken;
use crate::gateway::stream_back::listener::Listener;
use crate::gateway::stream_back::{Begun, End, Relay, next_room, note_status};
use crate::gateway::worker::{Phase, Worker};
use crate::http::encode::{self, Fields, RelayedResponse};
use crate::http::head::{Framing, ResponseHead};
use crate::llm::anthropic::guard::Form;
use crate::llm::said::{Failure, Kind};
use crate::net::buffer::Buffer;
use crate::net::outgoing::Outgoing;
use crate::route::failure::Kind as Failing;
use crate::route::failure::{Verdict, of_event};
use crate::upstream::pool::Connection;
use crate::upstream::provider::Provider;

/// How the answer is to be understood.
pub(in crate::gateway) struct Understood<'a> {
    /// Who listens.
    pub(in crate::gateway) listener: Listener<'a>,
    /// The caller wants a stream.
    pub(in crate::gateway) stream: bool,
}

/// Relays the answer whose head stands at the front of the connection's input.
///
/// # Errors
/// What the caller is to be told, as long as nothing has been: then another provider may answer.
pub(in crate::gateway) async fn relay(
    worker: &Worker,
    snapshot: &Snapshot,
    caller: &mut Caller,
    (begun, mut understood, whole): (Begun<'_>, Understood<'_>, &mut Option<Whole>),
    record: &mut Record,
) -> Result<(), Untold> {
    let Begun { mut connection, input, provider, .. } = begun;
    let head = std::mem::take(&mut caller.answer);
    let kept_alive = caller.keep_alive;
    caller.keep_alive &= worker.phase.get() == Phase::Running;
    let header = |name| head.headers.first(input.filled(), name).unwrap_or_default();
    let upstream_id = header("x-request-id");
    record.upstream_request_id =
        kept(if upstream_id.is_empty() { header("request-id") } else { upstream_id });
    let retry_after_s = str::from_utf8(header("retry-after")).ok().and_then(|text| text.trim().parse().ok());
    let encoded = !matches!(header("content-encoding"), b"" | b"identity");
    note_status(worker, provider, head.status);
    if encoded || !(200..300).contains(&head.status) {
        let name = str::from_utf8(header("x-amzn-errortype")).unwrap_or_default();
        understood.listener.refused(head.status, name);
    }
    let mut relay = Relay::new(worker, snapshot, caller, &head);
    relay.framing = if caller.takes_chunks() { Framing::Chunked } else { Framing::UntilClose };
    if understood.stream {
        relay.reader = Reader::Events(Box::default());
    } else {
        relay.reader = Reader::Document(Box::default());
    }
    relay.voice = inbound::voice(record, understood.stream);
    worker.streams.set(worker.streams.get() + 1);
    let run = Run { relay: &mut relay, provider, listener: &mut understood.listener, whole, clean: false };
    let ended = run.run(caller, &mut connection, (&head, input, understood.stream), record).await;
    worker.streams.set(worker.streams.get().saturating_sub(1));
    let reusable = |clean| clean && head.keep_alive;
    match ended {
        Ok(end) => {
            relay.note(record);
            if let Some(failure) = understood.listener.failure() {
                note_failure(worker, provider, failure, record);
            }
            relay.close(caller, (end, connection, reusable(true)), provider, record).await;
            caller.answer = head;
            Ok(())
        }
        Err(Unsaid { failure, clean }) => {
            if reusable(clean) {
                worker.pool.give_back(&provider.site, connection, clock::now());
            }
            caller.answer = head;
            let in_body = understood.listener.wait_ms().map(|wait| wait.div_ceil(1000));
            let retry_after_s = retry_after_s.or(in_body);
            // An answer that begins well and breaks off has kept the provider at work.
            let told = |failure: &Why| matches!(failure, Why::Told(it) if it.kind != Kind::CutShort);
            record.unanswered = (200..300).contains(&caller.answer.status) && !told(&failure);
            // Nothing has been said yet, so what was settled about the connection is open again.
            caller.keep_alive = kept_alive;
            Err(match failure {
                Why::Told(failure) => Untold {
                    error: foreign::told(provider, &failure, retry_after_s),
                    verdict: of_event(failure.kind.shown().1),
                },
                Why::Broken(outcome, text) => Untold {
                    error: broken(outcome, provider).source(text),
                    verdict: Verdict::of_silence(match outcome {
                        Outcome::UpstreamStalled => Failing::TimedOut,
                        _ => Failing::Closed,
                    }),
                },
            })
        }
    }
}

/// An answer that is none, of which the caller does not know yet.
pub(in crate::gateway) struct Untold {
    /// What the caller is told, unless another provider answers.
    pub(in crate::gateway) error: CallError,
    /// What follows for this one.
    pub(in crate::gateway) verdict: Verdict,
}

/// An answer that ends before the caller has been told anything.
struct Unsaid {
    failure: Why,
    /// Whether the connection can be used again.
    clean: bool,
}

enum Why {
    Told(Failure),
    Broken(Outcome, String),
}

/// What has gone wrong in the middle of an answer, for the record: the caller has been told inside of it.
fn note_failure(worker: &Worker, provider: &Provider, failure: &Failure, record: &mut Record) {
    worker.metrics.borrow_mut().upstream_error(&provider.name, "error_event");
    if failure.kind == Kind::CutShort {
        record.outcome = Outcome::UpstreamCut;
    }
    record.error = format!("{}: {}", failure.message, failure.detail);
}

struct Run<'r, 'a, 'l> {
    relay: &'r mut Relay<'a>,
    provider: &'r Arc<Provider>,
    listener: &'r mut Listener<'l>,
    /// The request, for as long as another provider may be asked.
    whole: &'r mut Option<Whole>,
    clean: bool,
}

impl Run<'_, '_, '_> {
    async fn run(
        mut self,
        caller: &mut Caller,
        connection: &mut Connection,
        (head, mut raw, stream): (&ResponseHead, Buffer, bool),
        record: &mut Record,
    ) -> Result<End, Unsaid> {
        raw.consume(head.bytes);
        let mut said = Vec::new();
        let mut begun = false;
        if stream {
            self.relay.held = Some(self.front(caller, record));
        }
        loop {
            let received = raw.len();
            let whole = self.understand(&mut raw, &mut said);
            let over = whole || self.listener.is_over();
            if !begun {
                // A ping has sent the head: then this is an answer that has begun.
                let pinged = stream && self.relay.held.is_none();
                if let Some(failure) = self.listener.failure().filter(|_| !pinged) {
                    return Err(Unsaid { failure: Why::Told(failure.clone()), clean: self.clean });
                }
                begun = pinged || self.listener.is_committed();
                if begun && !stream {
                    if self.relay.voice.is_none() {
                        self.relay.framing = Framing::Length(said.len() as u64);
                    }
                    self.relay.held = Some(self.front(caller, record));
                }
                if begun {
                    // Nobody else will be asked.
                    drop(self.whole.take());
                    note_first_byte(record);
                    if let Some(watch) = &mut record.watch {
                        watch.begin(Some(if stream { Form::Events } else { Form::Document }));
                    }
                }
            }
            if begun && let Some(end) = self.say(caller, &mut said, over, record).await {
                return Ok(end);
            }
            if over {
                return Ok(End::Done { clean: self.clean });
            }
            connection.stream.put_input(next_room(raw, received));
            raw = match self.relay.receive(caller, connection).await {
                Ok(true) => connection.stream.take_input(),
                Ok(false) => {
                    // Half a document is one that broke off, whatever stands in it.
                    if let Err(fault) = self.relay.decoder.on_eof()
                        && !stream
                    {
                        let why = Why::Broken(Outcome::UpstreamCut, fault.text().to_owned());
                        return Err(Unsaid { failure: why, clean: false });
                    }
                    self.listener.finish(&mut said);
                    Buffer::empty()
                }
                Err(End::Broken(outcome, why)) if !begun && self.relay.held.is_some() | !stream => {
                    return Err(Unsaid { failure: Why::Broken(outcome, why), clean: false });
                }
                Err(end) => return Ok(end),
            };
        }
    }

    /// Takes the framing off and has the rest said anew. True when the provider's answer is whole.
    fn understand(&mut self, raw: &mut Buffer, said: &mut Vec<u8>) -> bool {
        let received = raw.len();
        let Ok(decoded) = self.relay.decoder.decode(raw.filled_mut()) else {
            // Broken framing is the end of what can be understood.
            self.listener.finish(said);
            return true;
        };
        let body = raw.filled().get(decoded.body.clone()).unwrap_or_default();
        self.listener.push(body, said);
        if decoded.done {
            self.clean = decoded.consumed == received;
            self.listener.finish(said);
        }
        decoded.done
    }

    /// Sends what has been said anew, and the end where it is `over`. An end where there is nothing to go on
    /// with.
    async fn say(
        &mut self,
        caller: &mut Caller,
        said: &mut Vec<u8>,
        over: bool,
        record: &mut Record,
    ) -> Option<End> {
        let relay = &mut *self.relay;
        if relay.served.is_none() {
            relay.served = self.listener.served().map(Into::into);
        }
        relay.reader.push(said);
        let instead = match &mut record.watch {
            Some(watch) => match watch.pass(said, over) {
                Ok(instead) => instead,
                Err(why) => return Some(End::Broken(Outcome::UpstreamCut, why)),
            },
            None => None,
        };
        let body = instead.as_deref().unwrap_or(said);
        if let Some(passing) = &mut record.passing {
            passing.push(body);
        }
        let voiced = relay.voice.as_mut().map(|voice| voice.say(body, over));
        let body = voiced.as_deref().unwrap_or(body);
        relay.bytes += body.len() as u64;
        relay.last = body.last().copied().unwrap_or(relay.last);
        let out = guard::framed(body, relay.framing == Framing::Chunked, over);
        said.clear();
        if over || relay.said_all() {
            relay.note(record);
            let counted = self.listener.counted();
            if let Some(guess) = record.guess.take_if(|_| counted > 0) {
                relay.worker.counting.learn(guess, counted);
            }
            if let Some(failure) = self.listener.failure() {
                note_failure(relay.worker, self.provider, failure, record);
            }
            relay.book(record).await;
        } else {
            relay.charge(record);
        }
        let outgoing = match relay.held.take() {
            Some(front) => Outgoing::two(front, out),
            None => Outgoing::one(out),
        };
        if outgoing.left() > 0 && relay.send(caller, outgoing).await.is_none() {
            return Some(End::CallerGone);
        }
        let over_budget = relay.over.as_ref()?;
        Some(End::Broken(Outcome::OverBudget, over_budget.message().to_owned()))
    }

    /// The head for the caller.
    fn front(&self, caller: &mut Caller, record: &mut Record) -> Buffer {
        record.status = 200;
        let framing = self.relay.framing;
        caller.keep_alive &= framing != Framing::UntilClose;
        let (id, date) = (record.id.shown(), self.relay.worker.today.date());
        let events = matches!(self.relay.reader, Reader::Events(_));
        let mut own: Vec<(&str, &[u8])> = vec![
            ("content-type", if events { b"text/event-stream; charset=utf-8" } else { b"application/json" }),
            ("request-id", &id),
            ("x-tollgate-request-id", &id),
            ("date", &date),
        ];
        if record.tongue.is_some() {
            own.push(("x-request-id", &id));
        }
        if events {
            own.push(("cache-control", b"no-cache"));
        }
        if let Some(notice) = &record.notice {
            own.push((destination::NOTICE, notice.as_bytes()));
        }
        let notice = self.relay.worker.meter.notice(record);
        own.extend(notice.iter().map(|(name, value)| (*name, value.as_bytes())));
        let response =
            RelayedResponse { status: 200, reason: b"", framing, close: !caller.keep_alive, extra: &own };
        caller.out.clear();
        encode::response_head(&mut caller.out, &response, Fields::NONE);
        Buffer::from(&caller.out[..])
    }
}
