//! One call of a model: from the caller's request to the provider's answer.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::call::Endpoint;
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::{Caller, poll_hung_up};
use crate::gateway::choice::{self, Turn, Way};
use crate::gateway::cloud_caller;
use crate::gateway::contents::Passing;
use crate::gateway::counting::{self, Source};
use crate::gateway::destination::{self, Destination, Refused};
use crate::gateway::failover::{self, Heard, Kept, Patience, hung_up};
use crate::gateway::foreign::{self, Said};
use crate::gateway::guard::{self, Watch};
use crate::gateway::hosted;
use crate::gateway::identify::identify;
use crate::gateway::inbound;
use crate::gateway::log::Level;
use crate::gateway::native_count;
use crate::gateway::record::Record;
use crate::gateway::request_body::{self, Whole};
use crate::gateway::stream_back::Begun;
use crate::gateway::stream_back::interpreted::{self, Understood, Untold};
use crate::gateway::stream_back::listener::Listener;
use crate::gateway::worker::{Phase, Worker};
use crate::gateway::{serve_demo, stream_back};
use crate::http::encode::{self, Fields, UpstreamRequest};
use crate::http::head::RequestHead;
use crate::ledger::content::Part;
use crate::llm::anthropic::request::Request;
use crate::net::buffer::Buffer;
use crate::policy::decide::Permit;
use crate::policy::residency::{PlacedPermit, Residency};
use crate::route::attempts::is_better;
use crate::route::beginning::Came;
use crate::route::failure::{Kind, Verdict};
use crate::route::model::Target;
use crate::upstream::exchange::{Exchange, Failure};
use crate::upstream::message::Message;
use crate::upstream::pool::Connection;
use crate::upstream::provider::{Dialect, Provider};

/// Serves `/v1/messages`, `/v1/messages/count_tokens`, and the same in OpenAI's dialects.
///
/// # Errors
/// What the caller is to be told, as long as no answer has begun.
pub(super) async fn serve(
    worker: &Worker,
    caller: &mut Caller,
    team: Option<&str>,
    record: &mut Record,
) -> Result<(), CallError> {
    let snapshot = worker.snapshot();
    let known = identify(worker, &snapshot, caller, team, record).await?;
    let principal = &*known;
    let whole = request_body::take(worker, caller, &snapshot.timeouts).await?;
    let whole = cloud_caller::as_messages(&snapshot, principal, caller, whole)?;
    record.request_bytes = whole.body().len() as u64;
    let request = inbound::read(&whole, record)?;
    let found = destination::find((&snapshot, &worker.decisions), principal, &request, record.at_ms);
    let destination = found.map_err(|Refused { error, decision }| {
        record.decision = decision;
        error
    })?;
    let Destination { permit, residency, mut plan, meant, notice } = destination;
    record.decision = residency.decision(&permit);
    let asked = (whole, request);
    let (whole, mut request) = inbound::say(worker, &snapshot, asked, &plan, record).await?;
    guard::check_request(&snapshot, record, whole.body())?;
    if let Some(end) = notice {
        record.notice = Some(Arc::clone(&end.notice));
        record.mark(&format!("deprecated {}", end.notice));
        worker.tell_of_end(record, &end.notice);
    }
    if let Some(model) = &meant {
        // From here on it is the model that prices, budgets and providers know.
        request.model = model.to_string();
        record.meant.clone_from(&meant);
    }
    let class = caller.head.headers.first(whole.buffer.filled(), choice::CLASS).unwrap_or_default();
    let asked = choice::Asked { request: &request, body: whole.body(), class };
    choice::narrow(worker, &snapshot, asked, (record, &residency), &mut plan)?;
    worker.books.admit()?;
    if record.endpoint.is_model_call() {
        record.watch = Watch::new(worker, &snapshot, principal, whole.body());
        inbound::narrow(&snapshot, record, &mut plan)?;
        record.provider = plan
            .targets
            .first()
            .and_then(|target| Some(snapshot.providers.get(target.provider)?.name.clone()));
        record.tools = worker.weigh(&snapshot, principal, (whole.body(), &request));
        let charge = worker.meter.reserve(&snapshot, record, &request, &plan.targets)?;
        let estimate = charge.estimate_pico;
        record.charge = Some(charge);
        worker.open(record, estimate).await?;
    } else {
        worker.open(record, 0).await?;
    }
    if record.endpoint.is_model_call() && record.policy.keeps_bodies() {
        let body = Bytes::copy_from_slice(whole.as_it_came().body());
        record.content = worker.contents.put(record.id, Part::Request, record.policy, body);
        record.passing = Passing::new(record.policy);
    }
    let call = Call { worker, snapshot: &snapshot, way: (&permit, &residency), request: &request, meant };
    call.answer(caller, whole, &plan.targets, record).await
}

/// What is settled about a call when its targets are asked.
struct Call<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    /// What is allowed, and where.
    way: (&'a Permit, &'a Residency<'a>),
    request: &'a Request,
    /// The model's own name, where the caller has written another.
    meant: Option<Arc<str>>,
}

impl Call<'_> {
    /// Asks one target after the other until one answers well, and relays its answer; where none does, the
    /// one that says most.
    async fn answer(
        &self,
        caller: &mut Caller,
        whole: Whole,
        targets: &[Target],
        record: &mut Record,
    ) -> Result<(), CallError> {
        let mut end = End::default();
        let mut way = Way::new(self.worker, self.snapshot, targets, (self.request, whole.body()), record);
        let mut whole = Some(whole);
        while let Some(turn) = self.turn(&mut way, &mut end.failure, record).await {
            let Some(asked) = whole.as_ref() else { break };
            let (target, provider) = (turn.target, &*turn.provider);
            let (permit, residency) = self.way;
            // The plan has nobody else: this is what makes the permit one for this place.
            let Ok(permit) = residency.place(permit, &provider.place) else { continue };
            self.goes_to(target, provider, record)?;
            let to = (target, provider, &permit);
            if let Some(answered) = self.answer_here(caller, asked, to, record).await {
                return answered;
            }
            let (message, understood) = self.say(caller, asked, (target, provider), record)?;
            let sent = Cell::default();
            let asked = self.exchange(caller, (&message, &sent), (provider, &permit)).await;
            record.unanswered = sent.get() && !matches!(asked, Asked::Answered(_));
            match asked {
                Asked::Answered(mut connection) => {
                    drop(message);
                    let status = caller.answer.status;
                    let understood = understood.filter(|it| it.listener.hears(status));
                    match self.hear(&way, caller, &mut connection, understood.is_none()).await {
                        Heard::Good(input, headroom) => {
                            way.served(headroom);
                            let Some(understood) = understood else {
                                let (head, kind) = (None, Kind::Refused);
                                end.kept = Some(Kept { turn, connection, input, understood, head, kind });
                                break;
                            };
                            let begun = Begun { connection, input, provider, rest: None };
                            let with = (begun, understood, &mut whole);
                            let said = interpreted::relay(self.worker, self.snapshot, caller, with, record);
                            match said.await {
                                Ok(()) => return Ok(()),
                                Err(Untold { error, verdict }) => {
                                    way.failed(&verdict, caller.answer.status);
                                    end.failure = Some(error);
                                }
                            }
                        }
                        Heard::Failed(input, verdict) => {
                            way.failed(&verdict, caller.answer.status);
                            let (head, kind) = (Some(caller.answer.clone()), verdict.kind);
                            end.keep(Kept { turn, connection, input, understood, head, kind });
                        }
                        Heard::Void(came) => end.failure = Some(self.void(&mut way, provider, came, record)),
                        Heard::HungUp => return hung_up(caller, record),
                        Heard::Cut => return Err(Code::Draining.into()),
                    }
                }
                Asked::HungUp => return hung_up(caller, record),
                Asked::Cut => return Err(Code::Draining.into()),
                Asked::Failed(unanswered) => {
                    self.note(provider, (unanswered.name(), &unanswered.to_string()));
                    way.silent(&unanswered);
                    end.failure = Some(told(provider, unanswered));
                }
            }
        }
        self.end(caller, (&way, end), whole, record).await
    }

    /// Relays what was kept, or says what has failed.
    async fn end(
        &self,
        caller: &mut Caller,
        (way, End { kept, failure }): (&Way<'_>, End<'_>),
        whole: Option<Whole>,
        record: &mut Record,
    ) -> Result<(), CallError> {
        let unserved = kept.as_ref().is_none_or(|kept| kept.head.is_some() && kept.kind.is_of_targets());
        if unserved && !way.is_alone() {
            self.worker.note_unserved(&self.request.model);
        }
        match kept {
            Some(kept) => self.relay(kept, caller, whole, record).await,
            None => Err(failure.or_else(|| way.rests()).unwrap_or_else(|| Code::UpstreamUnreachable.into())),
        }
    }

    /// What is told of an answer that is none.
    fn void(&self, way: &mut Way<'_>, provider: &Provider, came: Came, record: &mut Record) -> CallError {
        record.unanswered = came.may_cost();
        self.note(provider, ("no_answer", came.words()));
        way.failed(&Verdict::of_silence(came.kind()), 0);
        failover::told(provider, came)
    }

    /// The next target with what it is shown. One that there is nothing to show has failed.
    async fn turn<'w>(
        &self,
        way: &mut Way<'w>,
        failure: &mut Option<CallError>,
        record: &mut Record,
    ) -> Option<Turn<'w>> {
        loop {
            let mut turn = way.next(record)?;
            match self.worker.purse.dress(&turn.provider).await {
                Ok(None) => return Some(turn),
                Ok(Some(whole)) => {
                    turn.provider = Cow::Owned(whole);
                    return Some(turn);
                }
                Err(error) => {
                    *failure = Some(self.goes_to(turn.target, &turn.provider, record).err().unwrap_or(error));
                    way.failed(&Verdict::of_silence(Kind::Unreachable), 0);
                }
            }
        }
    }

    /// Answers what is not relayed: the demo, and counts for providers that cannot be asked as callers do.
    async fn answer_here(
        &self,
        caller: &mut Caller,
        asked: &Whole,
        (target, provider, permit): (&Target, &Arc<Provider>, &PlacedPermit),
        record: &mut Record,
    ) -> Option<Result<(), CallError>> {
        if provider.dialect == Dialect::Demo {
            let stream = self.request.stream;
            return Some(serve_demo::answer(caller, asked.body(), stream, record).await);
        }
        let speech = self.snapshot.speech(target.provider)?;
        if record.endpoint != Endpoint::CountTokens {
            return None;
        }
        let (model, with) = (self.model_of(target), (self.worker, self.snapshot));
        let to = (provider, speech, permit);
        if let Some(tokens) = native_count::ask(with, to, (model, asked.body())).await {
            return Some(counting::say(caller, (tokens, Source::Native), record).await);
        }
        let of = (&**provider, model, speech.images());
        Some(counting::answer(self.worker, caller, of, asked.body(), record).await)
    }

    /// The request for one target, and how its answer is understood where that is in another dialect.
    fn say(
        &self,
        caller: &mut Caller,
        whole: &Whole,
        (target, provider): (&Target, &Arc<Provider>),
        record: &mut Record,
    ) -> Result<(Message, Option<Understood<'_>>), CallError> {
        let model = self.model_of(target);
        if inbound::passes(self.snapshot, target, record) {
            let of = (self.snapshot.speech(target.provider), &**provider);
            let model = target.model.as_deref().or(self.meant.as_deref());
            return Ok((inbound::pass(of, caller, whole, model, record)?, None));
        }
        inbound::mark(record);
        let speech = self.snapshot.speech(target.provider);
        if let (Some(cloud), None) = (&provider.cloud, speech) {
            let of = (&**cloud, &**provider);
            let stream = self.request.stream && record.endpoint.is_model_call();
            let (message, listener) = hosted::say(of, caller, whole, (model, stream), record)?;
            let listener = inbound::of_cloud(listener, record, stream);
            return Ok((message, Some(Understood { listener, stream })));
        }
        let of = (self.snapshot, &**provider, &*self.worker.counting);
        let said = foreign::say(of, caller, (whole.body(), self.request), (target, model), record)?;
        if let (Some(Said { message, interpreter }), Some(speech)) = (said, speech) {
            let listener = Listener::Foreign(Box::new(interpreter), speech);
            return Ok((message, Some(Understood { listener, stream: self.request.stream })));
        }
        let message = self.message(caller, whole, (target, provider), record.endpoint)?;
        let stream = self.request.stream;
        Ok((message, inbound::native(record, stream).map(|listener| Understood { listener, stream })))
    }

    /// The model's name at a target.
    fn model_of<'a>(&'a self, target: &'a Target) -> &'a str {
        target.model.as_deref().or(self.meant.as_deref()).unwrap_or(&self.request.model)
    }

    /// Notes where the call goes now, and what may have to be paid where it comes from.
    ///
    /// # Errors
    /// The sentence of the budget that has no room for both.
    fn goes_to(&self, target: &Target, provider: &Provider, record: &mut Record) -> Result<(), CallError> {
        if std::mem::take(&mut record.unanswered)
            && let Some(charge) = &mut record.charge
        {
            let sunk_pico = charge.sink()?;
            if let Some(earlier) = record.provider.as_ref().filter(|_| sunk_pico > 0) {
                let mark = format!("estimate for {earlier}: {sunk_pico} pico-dollars");
                record.mark(&mark);
            }
        }
        record.provider = Some(provider.name.clone());
        record.pattern = Some(Arc::clone(&target.pattern));
        record.place = Some(Arc::clone(&provider.place));
        record.sent_model = target.model.clone().or_else(|| self.meant.clone());
        if let Some(charge) = &mut record.charge {
            charge.goes_to(target, &self.request.model);
        }
        Ok(())
    }

    /// Looks at the beginning of an answer: whether it is one, where it goes on `as_it_comes`, and whether
    /// another target has to be asked, where there is one.
    async fn hear(
        &self,
        way: &Way<'_>,
        caller: &mut Caller,
        connection: &mut Connection,
        as_it_comes: bool,
    ) -> Heard {
        let alone = way.is_alone();
        if alone && !as_it_comes {
            return Heard::Good(connection.stream.take_input(), None);
        }
        let hold = if alone { Duration::ZERO } else { way.patience() };
        let timeouts = &self.snapshot.timeouts;
        let most = if hold.is_zero() { timeouts.ping } else { timeouts.ping.min(hold) };
        let patience = Patience {
            hold,
            first: as_it_comes.then(|| most.min(timeouts.stream_stall)),
            stalls: timeouts.stream_stall <= most,
            alone,
        };
        failover::hear(self.worker, caller, connection, patience).await
    }

    /// Relays the answer that was kept. Nobody will send the request again: its memory goes back as soon as
    /// what the provider has not taken yet has left.
    ///
    /// # Errors
    /// What the answer is to the caller, where it is a failure in another dialect.
    async fn relay(
        &self,
        kept: Kept<'_>,
        caller: &mut Caller,
        mut whole: Option<Whole>,
        record: &mut Record,
    ) -> Result<(), CallError> {
        let Kept { turn, connection, input, understood, head, .. } = kept;
        if let Some(head) = head {
            caller.answer = head;
            // What was tried after it is paid for, whether a budget has room for it or not.
            drop(self.goes_to(turn.target, &turn.provider, record));
        }
        if let Some(understood) = understood {
            let begun = Begun { connection, input, provider: &turn.provider, rest: None };
            let with = (begun, understood, &mut whole);
            let said = interpreted::relay(self.worker, self.snapshot, caller, with, record).await;
            return said.map_err(|untold| untold.error);
        }
        let rest = whole.filter(|_| connection.stream.is_sending());
        let begun = Begun { connection, input, provider: &turn.provider, rest };
        stream_back::relay(self.worker, self.snapshot, caller, begun, record).await;
        Ok(())
    }

    /// Writes the request for one target: the caller's head with our credential, the caller's body with at
    /// most the model's id replaced, and without what models of other vendors thought.
    ///
    /// # Errors
    /// 400 for a body in which such thinking cannot be found because it is not JSON.
    fn message(
        &self,
        caller: &mut Caller,
        whole: &Whole,
        (target, provider): (&Target, &Provider),
        endpoint: Endpoint,
    ) -> Result<Message, CallError> {
        let bytes = whole.buffer.filled();
        let model = target.model.as_deref().or(self.meant.as_deref());
        let own = foreign::without_foreign_thinking(self.snapshot, whole.body(), model)?;
        let (length, pieces) = match own {
            Some(own) => {
                let length = own.len();
                (length, [Some((Rc::new(Buffer::from(&own[..])), 0..length)), None, None])
            }
            None => inbound::spliced(whole, self.request, model),
        };
        let (_, query) = caller.head.path_and_query(bytes);
        let path = match endpoint {
            Endpoint::CountTokens => "/v1/messages/count_tokens",
            _ => "/v1/messages",
        };
        let mut out = std::mem::take(&mut caller.out);
        let going = Going { provider, path, query, length: Some(length as u64) };
        match inbound::dialect_of(endpoint) {
            None => write_head(&mut out, &caller.head, bytes, &going),
            Some(_) => foreign::write_head(&mut out, provider, path, (length as u64, self.request.stream)),
        }
        let head = Buffer::from(&out[..]);
        caller.out = out;
        Ok(Message::with_body(head, pieces))
    }

    /// Sends the request and waits for the answer's head; nothing when the caller hangs up meanwhile, which
    /// drops the provider's connection at once.
    async fn exchange(
        &self,
        caller: &mut Caller,
        (message, sent): (&Message, &Cell<bool>),
        (provider, permit): (&Arc<Provider>, &PlacedPermit),
    ) -> Asked {
        let Caller { stream, answer, deadline, .. } = caller;
        let exchange = Exchange {
            permit,
            site: &provider.site,
            message,
            timeouts: &self.snapshot.timeouts,
            again: true,
            sent,
        };
        let mut run = pin!(exchange.run(&self.worker.pool, answer, deadline));
        poll_fn(|cx| {
            if let Poll::Ready(result) = run.as_mut().poll(cx) {
                return Poll::Ready(result.map_or_else(Asked::Failed, Asked::Answered));
            }
            if self.worker.phase.get() == Phase::Cut {
                return Poll::Ready(Asked::Cut);
            }
            poll_hung_up(stream, cx).map(|()| Asked::HungUp)
        })
        .await
    }

    fn note(&self, provider: &Provider, (kind, text): (&'static str, &str)) {
        self.worker.metrics.borrow_mut().upstream_error(&provider.name, kind);
        self.worker.log.borrow_mut().line(Level::Warn, "a provider did not answer", |line| {
            line.text("provider", provider.name.as_str()).text("error", text)
        });
    }
}

/// What is left when nobody else is asked.
#[derive(Default)]
struct End<'a> {
    /// The answer that is relayed.
    kept: Option<Kept<'a>>,
    /// What is told where there is none.
    failure: Option<CallError>,
}

impl<'a> End<'a> {
    /// Keeps an answer that is a failure, unless an earlier one says more.
    fn keep(&mut self, later: Kept<'a>) {
        if self.kept.as_ref().is_none_or(|kept| is_better(later.kind, kept.kind)) {
            self.kept = Some(later);
        }
    }
}

/// What came of asking a provider.
#[expect(clippy::large_enum_variant, reason = "it is made once per call and taken apart at once")]
enum Asked {
    /// The head of an answer is here.
    Answered(Connection),
    /// The caller has left.
    HungUp,
    /// We were told to stop, and the time to drain is over.
    Cut,
    /// No answer will come.
    Failed(Failure),
}

/// Where a request goes.
pub(super) struct Going<'a> {
    pub(super) provider: &'a Provider,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a [u8]>,
    /// Bytes of the body; `None` makes it a GET.
    pub(super) length: Option<u64>,
}

/// Writes the head of a request to a provider over `out`.
pub(super) fn write_head(out: &mut Vec<u8>, head: &RequestHead, bytes: &[u8], going: &Going<'_>) {
    let provider = going.provider;
    let credential = provider.credential.as_ref().map(|own| (own.header, own.value.expose()));
    out.clear();
    encode::request_head(
        out,
        &UpstreamRequest {
            method: if going.length.is_some() { "POST" } else { "GET" },
            path: &[provider.base_path.as_bytes(), going.path.as_bytes()],
            query: going.query,
            host: &provider.site.host,
            credential,
            extra: &[],
            content_length: going.length,
        },
        Fields { headers: &head.headers, buf: bytes },
    );
}

/// What a caller reads of a provider's failure: whose, and what to do, but not where it is.
fn told(provider: &Provider, failure: Failure) -> CallError {
    let name = &provider.name;
    let (code, text) = match &failure {
        Failure::Unreachable(_) => {
            (Code::UpstreamUnreachable, format!("provider {name} could not be reached"))
        }
        Failure::Closed(_) => {
            (Code::UpstreamBroken, format!("provider {name} closed the connection before answering"))
        }
        Failure::NotHttp(_) => (Code::UpstreamBroken, format!("provider {name} did not answer in HTTP")),
        Failure::TimedOut => (Code::UpstreamTimeout, format!("provider {name} did not answer in time")),
    };
    CallError::new(code).context(text).source(failure)
}

/// Notes when the first byte of an answer was here.
pub(super) fn note_first_byte(record: &mut Record) {
    record.first_byte = Some(clock::now().saturating_duration_since(record.started));
}
