//! Whom a call is sent to first, and whom next: rules and filters before it goes out, then one lane after the
//! other as its bounds allow.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;

use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::log::Level;
use crate::gateway::record::Record;
use crate::gateway::worker::{Mail, Worker};
use crate::ids::{KeyName, TeamName};
use crate::limits;
use crate::llm::anthropic::request::Request;
use crate::policy::residency::Residency;
use crate::route::attempts::Attempts;
use crate::route::breaker;
use crate::route::choose::{Ask, News, Pass, Picked, Session};
use crate::route::failure::{Kind, Limit, Next, Verdict};
use crate::route::fit::Needs;
use crate::route::headroom::Headroom;
use crate::route::lanes::{Lane, Tried, lanes, session};
use crate::route::model::{Plan, Target};
use crate::route::rule::{Class, Facts};
use crate::upstream::exchange::Failure;
use crate::upstream::provider::Provider;

/// What is known of a call before it goes out.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Its model is the one that is meant.
    pub(super) request: &'a Request,
    pub(super) body: &'a [u8],
    /// `x-claude-code-request-class`, empty where it is not sent.
    pub(super) class: &'a [u8],
}

/// The header by which Claude Code tells what kind of work a call is.
pub(super) const CLASS: &str = "x-claude-code-request-class";

/// Has the first rule that fits choose the targets, and leaves out those that cannot take the call.
///
/// # Errors
/// 451 when a rule leads out of the caller's regions, 400 in a provider's words when the request is too large
/// for all targets, 403 with the rule when they lack what it needs.
pub(super) fn narrow<'s>(
    worker: &Worker,
    snapshot: &'s Snapshot,
    asked: Asked<'_>,
    (record, residency): (&mut Record, &Residency<'_>),
    plan: &mut Plan<'s>,
) -> Result<(), CallError> {
    let refused = |record: &mut Record, error, rule: &str| {
        record.decision = format!("refused: {rule}");
        Err(error)
    };
    let tokens = tokens(asked.body);
    if let Some(rule) = rule(worker, snapshot, (asked, tokens), record) {
        plan.targets = Cow::Borrowed(&rule.targets);
        record.mark(&rule.name);
        let place = |target: &Target| snapshot.providers.get(target.provider).map(|one| &one.place);
        plan.retain(|target| place(target).is_some_and(|place| residency.allows(place)));
        if plan.targets.is_empty() {
            let places = rule.targets.iter().filter_map(place).map(|place| &**place);
            let outside = residency.outside(&format!("rule {:?}", &*rule.name), places);
            let error = CallError::new(Code::OutsideRegion).context(outside.to_string());
            return refused(record, error, outside.rule());
        }
    }
    if plan.targets.iter().all(|target| target.fit.is_free()) {
        return Ok(());
    }
    let needs = needs(asked, tokens);
    let lack = plan.targets.iter().filter_map(|target| target.fit.lack(&needs)).max();
    plan.retain(|target| target.fit.lack(&needs).is_none());
    match lack.filter(|_| plan.targets.is_empty()) {
        None => Ok(()),
        Some(lack) => {
            let code = if lack.is_of_request() { Code::BadRequest } else { Code::Forbidden };
            let error = CallError::new(code).context(lack.sentence(&asked.request.model));
            refused(record, error, lack.rule())
        }
    }
}

fn rule<'s>(
    worker: &Worker,
    snapshot: &'s Snapshot,
    (asked, tokens): (Asked<'_>, u64),
    record: &Record,
) -> Option<&'s crate::route::rule::Rule> {
    let rules = snapshot.routes.rules();
    if rules.is_empty() {
        return None;
    }
    let wants_budget = rules.iter().any(|rule| rule.when.budget_under.is_some());
    let model = asked.request.model.as_str();
    snapshot.routes.rule(&Facts {
        model,
        class: Class::of(asked.class, &record.agent, model),
        key: record.key.as_ref().map_or("", KeyName::as_str),
        team: record.team.as_ref().map_or("", TeamName::as_str),
        tokens,
        now_ms: record.at_ms,
        budget_left: wants_budget.then(|| worker.meter.left_percent(record, model)).flatten(),
    })
}

/// Tokens that a request is taken for: a quarter of its bytes, as text and code have it.
const fn tokens(body: &[u8]) -> u64 {
    body.len() as u64 / BYTES_PER_TOKEN
}

const BYTES_PER_TOKEN: u64 = 4;

/// What a request needs, by the shape that its values have; a text that speaks of them has its quotes
/// escaped. Files in base64 are no text, so their bytes are not counted as tokens.
fn needs(Asked { request, body, .. }: Asked<'_>, tokens: u64) -> Needs {
    let files = files_bytes(body) / BYTES_PER_TOKEN;
    let thinks = valued(body, b"\"thinking\"", |rest| {
        rest.strip_prefix(b"{").is_some_and(|inside| {
            let inside = inside.get(..64).unwrap_or(inside);
            ["\"enabled\"", "\"adaptive\""].iter().any(|word| memmem::find(inside, word.as_bytes()).is_some())
        })
    });
    Needs {
        tokens: tokens.saturating_sub(files),
        max_tokens: request.max_tokens,
        images: valued(body, b"\"type\"", |rest| rest.starts_with(b"\"image\"")),
        tools: request.tools.as_ref().is_some_and(|span| span.len() > 2),
        thinking: request.thinking_tokens.is_some() || thinks,
    }
}

/// Whether a field of this name, in its quotes, has a value of which `fits` says so.
fn valued(body: &[u8], name: &[u8], fits: impl Fn(&[u8]) -> bool) -> bool {
    memmem::find_iter(body, name).any(|at| {
        let rest = body.get(at + name.len()..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| fits(value.trim_ascii_start()))
    })
}

/// Bytes of the values of `"data"` fields that are strings.
fn files_bytes(body: &[u8]) -> u64 {
    let name = b"\"data\"";
    let found = memmem::find_iter(body, name).filter_map(|at| {
        let rest = body.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":")?;
        let text = rest.trim_ascii_start().strip_prefix(b"\"")?;
        Some(memchr::memchr(b'"', text).unwrap_or(text.len()) as u64)
    });
    found.sum()
}

/// The lanes of one call, and how far it has come.
pub(super) struct Way<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    targets: &'a [Target],
    /// The model that is meant.
    model: &'a str,
    lanes: Vec<Lane>,
    tried: Tried,
    session: Option<Session>,
    attempts: Attempts,
    begun: bool,
    /// Where it is now.
    at: usize,
    pass: Option<Pass>,
    /// The status and what it meant, until another target is asked; 0 where there was no answer.
    failed: Option<(u16, Verdict)>,
    /// How long all that is left rests.
    resting_ms: Option<u64>,
}

/// Where a call goes now.
pub(super) struct Turn<'a> {
    pub(super) target: &'a Target,
    /// With the key that is shown.
    pub(super) provider: Cow<'a, Arc<Provider>>,
}

impl<'a> Way<'a> {
    /// For a call with these targets.
    pub(super) fn new(
        worker: &'a Worker,
        snapshot: &'a Snapshot,
        targets: &'a [Target],
        (request, body): (&'a Request, &[u8]),
        record: &Record,
    ) -> Self {
        let keys = |target: &Target| {
            let provider = snapshot.providers.get(target.provider)?;
            Some((provider.name.as_str(), provider.spare.numbers.as_slice()))
        };
        let lanes = lanes(targets, keys, &request.model);
        let named = lanes.len() > 1 && !record.session.is_empty();
        let session = named.then(|| {
            let key = record.key.as_ref().map_or("", KeyName::as_str);
            let long = memmem::find(body, b"\"1h\"").is_some();
            Session {
                hash: session(&[key, &record.session, &record.agent]),
                warm_ms: if long { limits::CACHE_WARM_MS_LONG } else { limits::CACHE_WARM_MS },
            }
        });
        Self {
            worker,
            snapshot,
            targets,
            model: &request.model,
            lanes,
            tried: Tried::default(),
            session,
            attempts: Attempts::new(snapshot.routes.terms(), now_ms()),
            begun: false,
            at: 0,
            pass: None,
            failed: None,
            resting_ms: None,
        }
    }

    /// The next lane; `None` where none is left, all rest, or the bounds of the call are reached.
    pub(super) fn next(&mut self, record: &mut Record) -> Option<Turn<'a>> {
        let now = now_ms();
        self.leave(now);
        let failed = self.failed.take();
        if let (Some((_, verdict)), Some(provider)) = (&failed, self.provider()) {
            record.mark(&format!("tried {}: {}", provider.name, verdict.kind.word()));
        }
        if std::mem::replace(&mut self.begun, true) && !self.attempts.other(now) {
            return None;
        }
        let next = if self.is_alone() {
            (!self.tried.has(0)).then_some(0)?
        } else {
            let Self { lanes, tried, session, .. } = self;
            let ask = Ask { lanes, tried: *tried, session: *session, now_ms: now };
            match self.worker.health.borrow_mut().pick(&ask) {
                Picked::Lane(pass) => self.pass.insert(pass).lane,
                Picked::Resting(for_ms) => {
                    self.resting_ms = Some(for_ms);
                    return None;
                }
                Picked::Exhausted => return None,
            }
        };
        if let (Some((status @ 1.., verdict)), Some(provider)) = (&failed, self.provider()) {
            self.worker.passed_over(provider, *status, verdict);
        }
        self.at = next;
        self.tried.add(next);
        let lane = self.lanes.get(self.at)?;
        let target = self.targets.get(lane.target)?;
        let provider = self.snapshot.providers.get(target.provider)?;
        let provider = match lane.key {
            0 => Cow::Borrowed(provider),
            key => {
                let credential = provider.credential_at(key).cloned();
                Cow::Owned(Arc::new(Provider { credential, ..Provider::clone(provider) }))
            }
        };
        Some(Turn { target, provider })
    }

    /// Whether there is one way only, of which nothing has to be known.
    pub(super) fn is_alone(&self) -> bool {
        self.lanes.len() <= 1
    }

    /// How long an answer may be held back until it is clear that it is one; no time where nobody else could
    /// be asked.
    pub(super) fn patience(&self) -> Duration {
        let left = (0..self.lanes.len()).any(|lane| !self.tried.has(lane));
        if !left || !self.attempts.may(now_ms()) {
            return Duration::ZERO;
        }
        Duration::from_millis(self.snapshot.routes.terms().hold_ms)
    }

    /// What is told when nobody was asked because all rest.
    pub(super) fn rests(&self) -> Option<CallError> {
        let for_ms = self.resting_ms?;
        let seconds = for_ms.div_ceil(1_000).max(1);
        let text =
            format!("everything that serves this model rests after failures or limits for {seconds} s");
        Some(CallError::new(Code::Overloaded).context(text).retry_after(seconds))
    }

    /// Notes that an answer has begun well.
    pub(super) fn served(&mut self, headroom: Option<Headroom>) {
        if let Some(pass) = &mut self.pass {
            self.worker.health.borrow_mut().served(pass, headroom, now_ms());
            self.tell();
        }
    }

    /// Notes that no answer has come.
    pub(super) fn silent(&mut self, failure: &Failure) {
        let kind = match failure {
            Failure::Unreachable(_) => Kind::Unreachable,
            Failure::Closed(_) => Kind::Closed,
            Failure::NotHttp(_) => Kind::Failing,
            Failure::TimedOut => Kind::TimedOut,
        };
        self.failed(&Verdict::of_silence(kind), 0);
    }

    /// Notes that what was answered, with this status, is a failure.
    pub(super) fn failed(&mut self, verdict: &Verdict, status: u16) {
        let Verdict { kind, next, cool } = *verdict;
        let Some(lane) = self.lanes.get(self.at).copied() else { return };
        if let Some(pass) = &mut self.pass {
            self.worker.health.borrow_mut().failed(pass, verdict, now_ms());
            self.tell();
        }
        let targets = self.targets;
        let fit = |lane: &Lane| targets.get(lane.target).map(|target| target.fit);
        let refused = |other: &Lane| match next {
            Next::Return => true,
            Next::Larger => !fit(other).zip(fit(&lane)).is_some_and(|(one, own)| one.is_larger(&own)),
            Next::Other if kind.is_of_place() => other.names.place == lane.names.place,
            Next::Other => {
                cool.is_some_and(|(limit, _)| limit == Limit::Credential)
                    && other.names.access == lane.names.access
            }
        };
        self.tried.add_all(&self.lanes, refused);
        self.failed = (!self.is_alone()).then_some((status, *verdict));
    }

    /// Tells the other cores what has been found out, and people what they have to know of it.
    fn tell(&self) {
        let turned = self.worker.tell_health();
        let sent = || self.targets.get(self.lanes.get(self.at)?.target)?.model.as_deref();
        if let (Some(turn), Some(provider)) = (turned, self.provider()) {
            self.worker.note_turn(&provider.name, sent().unwrap_or(self.model), turn);
        }
    }

    /// Who is asked now.
    fn provider(&self) -> Option<&'a Arc<Provider>> {
        let target = self.targets.get(self.lanes.get(self.at)?.target)?;
        self.snapshot.providers.get(target.provider)
    }

    fn leave(&mut self, now_ms: u64) {
        if let Some(pass) = self.pass.take() {
            self.worker.health.borrow_mut().release(pass, now_ms);
        }
    }
}

impl Drop for Way<'_> {
    fn drop(&mut self) {
        self.leave(now_ms());
    }
}

impl Worker {
    /// Tells the other cores what this one has found out; says how a breaker has changed.
    fn tell_health(&self) -> Option<breaker::Turn> {
        let news = self.health.borrow_mut().take_news();
        if news.is_empty() {
            return None;
        }
        for (place, mailbox) in self.mailboxes.iter().enumerate() {
            // Who is too busy to hear it finds it out.
            if place != self.number {
                drop(mailbox.try_send(Mail::Health(news.clone())));
            }
        }
        news.iter().find_map(|news| match news {
            News::Turned { turn, .. } => Some(*turn),
            News::Cooled { .. } | News::Seated { .. } => None,
        })
    }

    /// Says in log and counters that a target was passed over for what it answered.
    fn passed_over(&self, provider: &Provider, status: u16, verdict: &Verdict) {
        let word = verdict.kind.word();
        self.metrics.borrow_mut().upstream_error(&provider.name, counter(verdict.kind));
        let level = if verdict.kind.is_alarm() { Level::Error } else { Level::Warn };
        self.log.borrow_mut().line(level, "a provider was passed over", |line| {
            line.text("provider", provider.name.as_str())
                .number("status", u64::from(status))
                .text("error", word)
        });
    }
}

/// The name under which a failure is counted: that of an answer which is relayed, where there is one.
const fn counter(kind: Kind) -> &'static str {
    match kind {
        Kind::Limited(_) => "status_429",
        Kind::Quota => "quota",
        Kind::Credential => "credential_refused",
        Kind::Missing => "model_missing",
        Kind::Overloaded | Kind::Failing => "status_5xx",
        Kind::TimedOut => "timeout",
        Kind::Closed => "closed",
        Kind::Unreachable => "unreachable",
        Kind::TooLong => "too_long",
        Kind::Refused => "refused",
    }
}

fn now_ms() -> u64 {
    clock::unix_ms(clock::wall())
}

#[cfg(test)]
mod tests {
    use super::{Asked, needs, tokens};
    use crate::llm::anthropic::request;

    fn found(body: &str) -> (bool, bool, bool, u64) {
        let request = request::read(body.as_bytes()).unwrap();
        let needs =
            needs(Asked { request: &request, body: body.as_bytes(), class: b"" }, tokens(body.as_bytes()));
        (needs.images, needs.tools, needs.thinking, needs.tokens)
    }

    #[test]
    fn what_a_request_needs_is_seen_in_its_shape_and_not_in_its_texts() {
        let (images, tools, thinking, _) =
            found(r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
        assert!(!images && !tools && !thinking);
        let said = r#"\"type\":\"image\" \"thinking\":{\"type\":\"enabled\"}"#;
        let talk = format!(r#"{{"model":"m","tools":[],"messages":[{{"content":"{said}"}}]}}"#);
        assert!(!found(&talk).0, "a text about images");
        assert!(!found(&talk).1 && !found(&talk).2);
        assert!(found(r#"{"model":"m","messages":[{"content":[{"type" : "image","source":{}}]}]}"#).0);
        assert!(found(r#"{"model":"m","tools":[{"name":"t"}]}"#).1);
        assert!(found(r#"{"model":"m","thinking": {"type":"adaptive"}}"#).2);
        assert!(found(r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":1}}"#).2);
        assert!(!found(r#"{"model":"m","thinking":{"type":"disabled"}}"#).2);
    }

    #[test]
    fn files_are_no_tokens() {
        let image = format!(
            r#"{{"model":"m","messages":[{{"content":[{{"type":"image","source":{{"data":"{}"}}}}]}}]}}"#,
            "A".repeat(40_000)
        );
        assert!(found(&image).3 < 50);
        let text = format!(r#"{{"model":"m","messages":[{{"content":"{}"}}]}}"#, "a ".repeat(20_000));
        assert!(found(&text).3 >= 10_000);
    }
}
