//! Money on the way of a call: reserved before it goes out, more of it while it streams, settled at its end.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::call::Outcome;
use crate::clock;
use crate::config::snapshot::{Snapshot, Spending};
use crate::error::{CallError, Code};
use crate::gateway::hub::ask::Charged;
use crate::gateway::record::Record;
use crate::gateway::worker::Held;
use crate::identity::principal::Principal;
use crate::ids::{KeyName, ProviderName, TeamName};
use crate::limits;
use crate::llm::anthropic::request::Request;
use crate::llm::usage::{self, Answer, Terms};
use crate::mcp::rpc::RpcError;
use crate::meter::book::{Book, How, Seller};
use crate::meter::budget::Budgets;
use crate::meter::cost::{self, Bounds, Served, Usage, Writes};
use crate::meter::desk::{Ask, Desk, LeaseId};
use crate::meter::notice;
use crate::meter::price::{Geo, Price, Service};
use crate::meter::rate::{Gate, Limited, Pass, Rates};
use crate::meter::refused::{Cause, Refused};
use crate::meter::scope::Who;
use crate::route::model::Target;
use crate::upstream::provider::Dialect;

/// A tool that is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    pub(super) server: &'a str,
    /// By the server's own name.
    pub(super) tool: &'a str,
}

/// What is limited, for all threads.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) budgets: Arc<Budgets>,
    pub(super) rates: Arc<Rates>,
}

/// The meter of one thread.
#[derive(Debug)]
pub(super) struct Meter {
    desk: RefCell<Desk>,
    budgets: Arc<Budgets>,
    gate: RefCell<Gate>,
    /// Reservations of calls that are under way here.
    live: RefCell<HashSet<LeaseId>>,
    prices: RefCell<Prices>,
    /// Models without a price that people have been told of.
    unpriced: RefCell<HashSet<String>>,
}

/// Prices that have been looked up in a book.
#[derive(Debug, Default)]
struct Prices {
    book: Option<Arc<Book>>,
    /// By the place of the provider in the config, and the model.
    found: HashMap<usize, HashMap<Box<str>, Rc<Found>>>,
    count: usize,
}

/// A price as the book has it.
#[derive(Debug)]
struct Found {
    price: Price,
    how: How,
}

/// What a call of a model is charged. One that is dropped before it was settled, because its task has ended
/// early, gives no signs of life any more: its reservation lapses, and is charged what was heard last.
#[derive(Debug)]
pub(super) struct Charge {
    meter: Rc<Meter>,
    snapshot: Rc<Held>,
    lease: Option<LeaseId>,
    /// What the rate limits let in.
    pass: Option<Pass>,
    /// The provider that is asked, and the model as it is sent.
    asked: Option<(usize, Box<str>)>,
    price: Option<Rc<Found>>,
    /// Tokens that the request is taken for where nobody counts them.
    input: u64,
    /// Whether another model than the one that was named may answer.
    many: bool,
    /// What it is expected to cost, pico-dollars.
    pub(super) estimate_pico: u64,
    /// What is reserved.
    covered_pico: u64,
    /// What targets may charge that were asked and gave no answer, by estimate.
    sunk_pico: u64,
}

impl Meter {
    /// A meter of these limits.
    pub(super) fn new(limits: &Limits) -> Rc<Self> {
        let Limits { budgets, rates } = limits;
        Rc::new(Self {
            gate: RefCell::new(Gate::new(rates)),
            desk: RefCell::new(Desk::new(budgets)),
            budgets: Arc::clone(budgets),
            live: RefCell::default(),
            prices: RefCell::default(),
            unpriced: RefCell::default(),
        })
    }

    /// Gives signs of life for the calls that are under way, and lets lapse what is not; every second or so.
    pub(super) fn tick(&self) {
        let now = now_ms();
        let mut desk = self.desk.borrow_mut();
        for lease in self.live.borrow().iter() {
            desk.renew(*lease, now);
        }
        desk.expire(now);
    }

    /// Whether people have to be told that a model has no price: once, as far as there are few of them.
    pub(super) fn is_new_without_price(&self, record: &Record) -> bool {
        let mut told = self.unpriced.borrow_mut();
        record.priced == How::Unknown.word()
            && told.len() < limits::PRICES_FOUND_MAX
            && told.insert(record.model.clone())
    }

    /// How the budgets stand.
    pub(super) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Reserves what a call of a model may cost, whichever of its targets it ends at.
    ///
    /// # Errors
    /// 429 with the sentence of the budget that refuses.
    pub(super) fn reserve(
        self: &Rc<Self>,
        snapshot: &Rc<Held>,
        record: &mut Record,
        request: &Request,
        targets: &[Target],
    ) -> Result<Charge, CallError> {
        let bytes = request.body_bytes as u64;
        let web_searches = record.tools.as_ref().map_or(0, |tools| tools.web_searches);
        let (ask, provider) = self.ask(snapshot, request, web_searches, targets);
        let who = Who { provider, model: &request.model, ..who(record) };
        let now = now_ms();
        let tokens = (bytes / 4).saturating_add(OUTPUT_USUAL);
        let pass = self.enter(&snapshot.spending, &who, tokens).map_err(|limited| slowed(&limited))?;
        let mut desk = self.desk.borrow_mut();
        let lease = match desk.reserve(&who, ask, now) {
            Ok(lease) => lease,
            Err(refused) => {
                // A call that is not made takes no tokens.
                if let Some(pass) = pass {
                    pass.finish(0, now);
                }
                return Err(told(&refused, now));
            }
        };
        self.live.borrow_mut().insert(lease);
        record.budgets = desk.charged(lease).iter().map(|name| name.to_string()).collect();
        Ok(Charge {
            meter: Rc::clone(self),
            snapshot: Rc::clone(snapshot),
            lease: Some(lease),
            pass,
            asked: None,
            price: None,
            input: bytes / 4,
            many: !request.beside.is_empty(),
            estimate_pico: ask.estimate_pico.min(ask.worst_pico),
            covered_pico: desk.covered_pico(lease),
            sunk_pico: 0,
        })
    }

    /// What a call may cost: by the dearest of its targets, and of the models that may answer it there, as a
    /// provider falls back to them or lets them advise. With the first provider that charges anything.
    fn ask<'s>(
        &self,
        snapshot: &'s Snapshot,
        request: &Request,
        web_searches: u64,
        targets: &[Target],
    ) -> (Ask, &'s str) {
        let bytes = request.body_bytes as u64;
        let asked = served(&request.terms);
        let (mut worst, mut expected, mut provider) = (0, 0, "");
        for target in targets {
            let Some(one) = snapshot.providers.get(target.provider) else { continue };
            if one.dialect == Dialect::Demo {
                continue;
            }
            if provider.is_empty() {
                provider = one.name.as_str();
            }
            let mut found = vec![self.found(
                snapshot,
                target.provider,
                target.model.as_deref().unwrap_or(&request.model),
            )];
            // One without a price is charged as the model that was asked.
            let beside = request.beside.iter().map(|model| self.found(snapshot, target.provider, model));
            found.extend(beside.filter(|found| found.how != How::Unknown));
            let prices = || found.iter().map(|found| &found.price);
            let usual = prices().map(|price| price.max_output).max().unwrap_or_default();
            let most = request.max_tokens.unwrap_or_else(|| usual.max(OUTPUT_UNKNOWN));
            let bounds = Bounds {
                input: cost::estimate_tokens(bytes),
                output: most.max(request.thinking_tokens.unwrap_or(0)),
                writes: Writes::Long,
                web_searches,
                passes: 1,
                served: asked,
            };
            worst = worst.max(cost::upper(prices(), &bounds));
            let usual = Usage { input: bytes / 4, output: most.min(OUTPUT_USUAL), ..Usage::default() };
            let costs = prices().map(|price| cost::cost(price, asked, &usual));
            expected = costs.fold(expected, u64::max);
        }
        // What does not stream cannot be ended on its way.
        let expected = if request.stream { expected } else { worst };
        (Ask { worst_pico: worst, estimate_pico: expected }, provider)
    }

    /// Lets a call in as far as the rate limits do; nothing is held where there are none.
    fn enter(&self, spending: &Spending, who: &Who<'_>, tokens: u64) -> Result<Option<Pass>, Limited> {
        if spending.rates.is_empty() {
            return Ok(None);
        }
        self.gate.borrow_mut().enter(who, tokens, now_ms()).map(Some)
    }

    /// Lets a call of a tool in that costs nothing, since it is answered with what is known.
    ///
    /// # Errors
    /// The sentence of the limit that refuses, as JSON-RPC has it.
    pub(super) fn admit_tool(
        &self,
        spending: &Spending,
        principal: &Principal,
        called: &Called<'_>,
    ) -> Result<Option<Pass>, RpcError> {
        let who = Who { server: called.server, tool: called.tool, ..who_is(principal) };
        let pass = self.enter(spending, &who, 0);
        pass.map_err(|limited| RpcError::rate_limited(limited.sentence()))
    }

    /// Charges a call of a tool, whose price is known before it is made. The call is under way as long as the
    /// pass is kept.
    ///
    /// # Errors
    /// The sentence of the budget that refuses, as JSON-RPC has it.
    pub(super) fn charge_tool(
        &self,
        spending: &Spending,
        principal: &Principal,
        called: &Called<'_>,
    ) -> Result<(Charged, Option<Pass>), RpcError> {
        let Called { server, tool } = *called;
        let pass = self.admit_tool(spending, principal, called)?;
        let who = Who { server, tool, ..who_is(principal) };
        let cost_pico = spending.of_tool(server, tool);
        // What costs nothing fits into every budget.
        if cost_pico == 0 {
            return Ok((Charged::default(), pass));
        }
        let mut desk = self.desk.borrow_mut();
        let reserved = desk.reserve(&who, Ask::exactly(cost_pico), now_ms());
        let lease = reserved.map_err(|refused| RpcError::over_budget(refused.sentence()))?;
        let budgets = desk.charged(lease).iter().map(|name| name.to_string()).collect();
        desk.settle(lease, cost_pico);
        Ok((Charged { cost_pico, budgets }, pass))
    }

    /// The headers that tell a caller how far its budgets are used; none where it has none.
    pub(super) fn notice(&self, record: &Record) -> Vec<notice::Header> {
        if record.budgets.is_empty() {
            return Vec::new();
        }
        let provider = record.provider.as_ref().map_or("", ProviderName::as_str);
        let model = record.meant.as_deref().unwrap_or(&record.model);
        let who = Who { provider, model, ..who(record) };
        let warning = self.desk.borrow_mut().warning(&who, now_ms());
        warning.as_ref().map_or_else(Vec::new, notice::allowed)
    }

    /// How much is left of the budget of a call that is used farthest, in percent; nothing where it has none.
    pub(super) fn left_percent(&self, record: &Record, model: &str) -> Option<u8> {
        let warning = self.desk.borrow_mut().warning(&Who { model, ..who(record) }, now_ms())?;
        let left = warning.limit_pico.saturating_sub(warning.spent_pico);
        u8::try_from(u128::from(left) * 100 / u128::from(warning.limit_pico.max(1))).ok()
    }

    /// The price of a model at a provider of the config.
    fn found(&self, snapshot: &Snapshot, provider: usize, model: &str) -> Rc<Found> {
        let mut prices = self.prices.borrow_mut();
        let book = &snapshot.spending.book;
        if !prices.book.as_ref().is_some_and(|known| Arc::ptr_eq(known, book)) {
            *prices = Prices { book: Some(Arc::clone(book)), ..Prices::default() };
        }
        if let Some(found) = prices.found.get(&provider).and_then(|models| models.get(model)) {
            return Rc::clone(found);
        }
        let name = snapshot.providers.get(provider).map_or("", |provider| provider.name.as_str());
        let section = snapshot.spending.sections.get(provider).copied().unwrap_or_default();
        let priced = book.price(Seller { provider: name, section }, model);
        let found = Rc::new(Found { how: priced.how, price: priced.price.into_owned() });
        if prices.count >= limits::PRICES_FOUND_MAX {
            prices.found.clear();
            prices.count = 0;
        }
        prices.count += 1;
        prices.found.entry(provider).or_default().insert(Box::from(model), Rc::clone(&found));
        found
    }
}

/// Tokens that an answer may have where neither the request nor the list of prices says.
const OUTPUT_UNKNOWN: u64 = 128 * 1024;

/// Tokens that answers rarely exceed: most are tool calls of a few hundred.
const OUTPUT_USUAL: u64 = 1024;

impl Charge {
    /// Notes where the call goes now.
    pub(super) fn goes_to(&mut self, target: &Target, model: &str) {
        let model = target.model.as_deref().unwrap_or(model);
        let demo = |provider: &Arc<_>| -> bool {
            let provider: &crate::upstream::provider::Provider = provider;
            provider.dialect == Dialect::Demo
        };
        self.asked = Some((target.provider, Box::from(model)));
        let free = self.snapshot.providers.get(target.provider).is_none_or(demo);
        self.price = (!free).then(|| self.meter.found(&self.snapshot, target.provider, model));
    }

    /// Puts on the call what the target may charge that was asked last and gave no answer: its model has read
    /// the request, as far as anybody knows. As much more is reserved, so that the next target has what this
    /// one had. Says how much it is, in pico-dollars.
    ///
    /// # Errors
    /// The sentence of the budget that has no room for it: nobody else should be asked.
    pub(super) fn sink(&mut self) -> Result<u64, CallError> {
        let (Some(lease), Some(found)) = (self.lease, &self.price) else { return Ok(0) };
        let read = cost::produced(Usage::default(), self.input, 0);
        let sunk_pico = cost::cost(&found.price, Served::default(), &read);
        self.sunk_pico = self.sunk_pico.saturating_add(sunk_pico);
        let now = now_ms();
        let widened = self.meter.desk.borrow_mut().widen(lease, sunk_pico, now);
        self.covered_pico = widened.map_err(|refused| told(&refused, now))?;
        Ok(sunk_pico)
    }

    /// Whether what an answer has cost so far is still covered; reserves more where it is not.
    ///
    /// # Errors
    /// The sentence of the budget that has no more: the answer has to end.
    pub(super) fn heard(&mut self, answer: &Answer) -> Result<(), CallError> {
        let (Some(lease), Some(found)) = (self.lease, &self.price) else { return Ok(()) };
        if self.covered_pico == u64::MAX {
            return Ok(());
        }
        let usage = cost::produced(numbers(&answer.usage), self.input, answer.produced_bytes);
        let other = self.many.then(|| self.of_served(answer, found));
        let price = &other.as_ref().unwrap_or(found).price;
        let so_far = cost::cost(price, served(&answer.terms), &usage).saturating_add(self.sunk_pico);
        if so_far <= self.covered_pico {
            return Ok(());
        }
        let now = now_ms();
        let topped = self.meter.desk.borrow_mut().top_up(lease, so_far, now);
        self.covered_pico = topped.map_err(|refused| told(&refused, now))?;
        Ok(())
    }

    /// Settles what the call has cost, once, and notes it in the record.
    pub(super) fn settle(&mut self, record: &mut Record) {
        let Some(lease) = self.lease.take() else { return };
        let (mut cost, mut priced) = self.cost(record);
        if self.sunk_pico > 0 {
            cost = cost.saturating_add(self.sunk_pico);
            priced = "estimate".to_owned();
        }
        self.meter.live.borrow_mut().remove(&lease);
        self.meter.desk.borrow_mut().settle(lease, cost);
        record.cost_pico = cost;
        record.priced = priced;
        if let Some(pass) = self.pass.take() {
            let usage = &record.answer.usage;
            // What is read from a cache is left out, as providers do with their own limits.
            let fresh = usage.input_tokens.saturating_add(usage.cache_write_5m_tokens);
            let tokens =
                fresh.saturating_add(usage.cache_write_1h_tokens).saturating_add(usage.output_tokens);
            pass.finish(tokens, now_ms());
        }
    }

    /// What the call has cost, and how that is known.
    fn cost(&self, record: &Record) -> (u64, String) {
        let answered = (200..300).contains(&record.status);
        // Who is not answered in time, hangs up or is cut may have kept a provider at work.
        let Some(found) = self.price.as_ref().filter(|_| answered || record.unanswered) else {
            return (0, String::new());
        };
        let answer = &record.answer;
        // A provider that is overloaded says so inside of an answer that begins well. One whose answer breaks
        // off there may have been at work.
        let told = matches!(record.outcome, Outcome::Done | Outcome::CallerGone) && !record.error.is_empty();
        if answered && told && !answer.usage.seen && answer.produced_bytes == 0 {
            return (0, String::new());
        }
        let usage = numbers(&answer.usage);
        let whole = record.outcome == Outcome::Done && answer.usage.seen && record.error.is_empty();
        if !whole {
            // Of an answer that could not be read along, such as a compressed one, only the size is known.
            let bytes = if answer.usage.seen {
                answer.produced_bytes
            } else {
                answer.produced_bytes.max(record.answer_bytes)
            };
            let usage = cost::produced(usage, self.input, bytes);
            let cost = cost::cost(&found.price, served(&answer.terms), &usage);
            return (cost, "estimate".to_owned());
        }
        let found = self.of_served(answer, found);
        let mut sum = cost::cost(&found.price, served(&answer.terms), &usage);
        for beside in &answer.iterations {
            let found = beside
                .model
                .as_deref()
                .map_or_else(|| Rc::clone(&found), |model| self.of_model(model, &found));
            let cost = cost::cost(&found.price, served(&answer.terms), &numbers(&beside.usage));
            sum = sum.saturating_add(cost);
        }
        let priced = match found.how {
            How::Exact | How::Alias => self.snapshot.spending.book.version(),
            How::Override | How::Unknown => found.how.word(),
        };
        (sum, priced.to_owned())
    }

    /// What is charged is what was served, where the provider names a model whose price is known.
    fn of_served(&self, answer: &Answer, asked: &Rc<Found>) -> Rc<Found> {
        let same = |model: &str| self.asked.as_ref().is_some_and(|(_, asked)| **asked == *model);
        match answer.model.as_deref().filter(|model| !same(model)) {
            Some(model) => self.of_model(model, asked),
            None => Rc::clone(asked),
        }
    }

    fn of_model(&self, model: &str, otherwise: &Rc<Found>) -> Rc<Found> {
        let Some((provider, _)) = self.asked else { return Rc::clone(otherwise) };
        let found = self.meter.found(&self.snapshot, provider, model);
        if found.how == How::Unknown { Rc::clone(otherwise) } else { found }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.meter.live.borrow_mut().remove(&lease);
        }
    }
}

/// Whom the meter has to know.
fn who(record: &Record) -> Who<'_> {
    Who {
        team: record.team.as_ref().map_or("", TeamName::as_str),
        key: record.key.as_ref().map_or("", KeyName::as_str),
        user: person(record.user.as_deref(), record.key.as_ref()),
        ..Who::default()
    }
}

/// The same by the key.
fn who_is(principal: &Principal) -> Who<'_> {
    Who {
        team: principal.team.as_ref().map_or("", TeamName::as_str),
        key: principal.key.as_str(),
        user: person(principal.user.as_deref(), Some(&principal.key)),
        ..Who::default()
    }
}

/// The person behind a key; where nobody is named the key stands for one, so that a budget of each user holds
/// for every key.
fn person<'a>(user: Option<&'a str>, key: Option<&'a KeyName>) -> &'a str {
    user.or_else(|| key.map(KeyName::as_str)).unwrap_or_default()
}

/// What a caller is told whose budget has no room.
fn told(refused: &Refused, now_ms: u64) -> CallError {
    if refused.cause == Cause::Crowded {
        return CallError::new(Code::Overloaded).context(refused.sentence());
    }
    // These two come from the row of the error table, for every error.
    let mut headers = notice::refused(refused, now_ms);
    headers.retain(|(name, _)| !matches!(*name, "x-should-retry" | "retry-after"));
    let error = CallError::new(Code::OverBudget).context(refused.sentence()).headers(headers);
    match refused.resets_at_ms {
        Some(at_ms) => error.retry_after(at_ms.saturating_sub(now_ms).div_ceil(1000).max(1)),
        None => error,
    }
}

/// What a caller is told who is too fast.
fn slowed(limited: &Limited) -> CallError {
    CallError::new(Code::RateLimited).context(limited.sentence()).retry_after(limited.retry_after_s())
}

fn served(terms: &Terms) -> Served {
    Served {
        service: Service::named(terms.service_tier.as_deref().unwrap_or_default()),
        fast: terms.speed.as_deref() == Some("fast"),
        geo: Geo::named(terms.inference_geo.as_deref().unwrap_or_default()),
    }
}

fn numbers(usage: &usage::Usage) -> Usage {
    Usage {
        input: usage.input_tokens,
        output: usage.output_tokens,
        reasoning: 0,
        cache_read: usage.cache_read_tokens,
        cache_write_5m: usage.cache_write_5m_tokens,
        cache_write_1h: usage.cache_write_1h_tokens,
        web_searches: usage.web_searches,
    }
}

fn now_ms() -> u64 {
    clock::unix_ms(clock::wall())
}
