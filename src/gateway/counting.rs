//! Counts the tokens of requests for providers that cannot be asked: by a public vocabulary, times what the
//! provider's own counts of earlier answers have taught.
//!
//! Looking into texts takes time, so a thread does it for all cores; what is too long for it, or comes while
//! it has too much to do, is counted by its lengths. Each core learns for itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future as _, poll_fn};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread::Builder;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::spawn_local;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::call::Endpoint;
use crate::error::{CallError, Code};
use crate::gateway::caller::{Caller, poll_hung_up};
use crate::gateway::destination;
use crate::gateway::failover::hung_up;
use crate::gateway::record::Record;
use crate::gateway::worker::{Phase, Worker};
use crate::limits;
use crate::llm::conversation::{self, Conversation, Refusal};
use crate::llm::count::{Counts, Images, Ratio, estimate, rough};
use crate::upstream::provider::Provider;

/// The header that says who has counted.
const SOURCE: &str = "x-tollgate-count";

/// Who has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The provider.
    Native,
    /// This gateway.
    Estimate,
}

/// The header of a count that the provider has made; nothing for other answers.
pub(super) fn by_provider(record: &Record) -> Option<(&'static str, &'static [u8])> {
    let counted = record.endpoint == Endpoint::CountTokens && record.status == 200;
    counted.then_some((SOURCE, b"native"))
}

/// What the thread answers: tokens by the vocabulary alone.
type Counted = Result<u64, Refusal>;

/// A request to be counted, and where the number goes.
struct Question {
    body: Vec<u8>,
    images: Images,
    reply: oneshot::Sender<Counted>,
}

/// Where to ask.
#[derive(Clone)]
pub(super) struct Counter(Sender<Question>);

impl Counter {
    /// Starts the thread, which ends with the last `Counter`.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = channel(limits::COUNT_QUESTIONS_MAX);
        Builder::new().name("counter".to_owned()).spawn(move || serve(receiver))?;
        Ok(Self(sender))
    }

    /// One that has no time for anybody.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(channel(1).0)
    }

    /// Where the number will come; nothing where it has to be found otherwise.
    fn ask(&self, body: &[u8], images: Images) -> Option<oneshot::Receiver<Counted>> {
        if body.len() > limits::COUNT_EXACT_BYTES_MAX {
            return None;
        }
        let place = self.0.try_reserve().ok()?;
        let (reply, counted) = oneshot::channel();
        place.send(Question { body: body.to_vec(), images, reply });
        Some(counted)
    }
}

fn serve(mut questions: Receiver<Question>) {
    while let Some(Question { body, images, reply }) = questions.blocking_recv() {
        // Whoever has left need not be answered.
        if !reply.is_closed() {
            let counted = conversation::read(&body).map(|conversation| estimate(&conversation, images));
            drop(reply.send(counted));
        }
    }
}

/// What one core knows of counts.
pub(super) struct Counting {
    counter: Counter,
    /// Callers who do not know it cannot make two requests that are taken for one.
    seed: u64,
    counts: RefCell<Counts>,
    learned: RefCell<HashMap<u128, Learned>>,
}

/// How a model counts.
#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    /// Against what the vocabulary says.
    exact: Ratio,
    /// Against what the lengths say.
    rough: Ratio,
    /// Calls that were made.
    calls: u64,
}

/// What is known of one call's tokens before its provider says so.
pub(super) struct Guess {
    /// The model at its provider.
    model: u128,
    /// By lengths.
    rough: u64,
    /// By the vocabulary, in calls that are learned from.
    exact: Option<oneshot::Receiver<Counted>>,
    /// What a caller may be shown until the provider has counted; >= 1.
    pub(super) shown: u64,
}

impl std::fmt::Debug for Guess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guess({} tokens)", self.shown)
    }
}

impl Counting {
    pub(super) fn new(counter: Counter) -> Rc<Self> {
        Rc::new(Self {
            counter,
            seed: RandomState::new().hash_one(0),
            counts: RefCell::default(),
            learned: RefCell::default(),
        })
    }

    fn model(&self, provider: &Provider, model: &str) -> u128 {
        // No name of a provider has a line end in it.
        xxh3_128_with_seed(format!("{}\n{model}", provider.name.as_str()).as_bytes(), self.seed)
    }

    /// Guesses what the provider will count for a message, and has some of them counted, to learn from.
    pub(super) fn guess(
        &self,
        (provider, model): (&Provider, &str),
        (body, conversation): (&[u8], &Conversation<'_>),
        images: Images,
    ) -> Guess {
        let model = self.model(provider, model);
        let rough = rough(conversation, images);
        let mut learned = self.learned.borrow_mut();
        let mut fresh = Learned::default();
        let known = learned.get_mut(&model).unwrap_or(&mut fresh);
        known.calls = known.calls.wrapping_add(1);
        let wanted = known.exact.seen() < limits::RATIO_FIRST_SAMPLES
            || known.calls.is_multiple_of(limits::RATIO_SAMPLE_EVERY);
        let exact = wanted.then(|| self.counter.ask(body, images)).flatten();
        Guess { model, rough, exact, shown: known.rough.expected(rough) }
    }

    /// Learns from what the provider has counted, caches included.
    pub(super) fn learn(self: &Rc<Self>, guess: Guess, actual: u64) {
        let Guess { model, rough, exact, .. } = guess;
        self.with(model, |known| known.rough.learn(rough, actual));
        let Some(mut exact) = exact else { return };
        match exact.try_recv() {
            Ok(counted) => self.learn_exact(model, &counted, actual),
            Err(TryRecvError::Empty) => {
                // As many of these as the thread has questions.
                let counting = Rc::clone(self);
                drop(spawn_local(async move {
                    if let Ok(counted) = exact.await {
                        counting.learn_exact(model, &counted, actual);
                    }
                }));
            }
            Err(TryRecvError::Closed) => {}
        }
    }

    fn learn_exact(&self, model: u128, counted: &Counted, actual: u64) {
        if let Ok(counted) = *counted {
            self.with(model, |known| known.exact.learn(counted, actual));
        }
    }

    fn with(&self, model: u128, learn: impl FnOnce(&mut Learned)) {
        let mut learned = self.learned.borrow_mut();
        if learned.len() >= limits::RATIOS_KEPT_MAX && !learned.contains_key(&model) {
            learned.clear();
        }
        learn(learned.entry(model).or_default());
    }

    fn known(&self, model: u128) -> Learned {
        self.learned.borrow().get(&model).copied().unwrap_or_default()
    }

    /// Begins to count a request.
    ///
    /// # Errors
    /// What is no request.
    fn count(&self, (model, images): (u128, Images), body: &[u8]) -> Result<Count, CallError> {
        let by_lengths = || {
            let conversation = conversation::read(body)?;
            let tokens = rough(&conversation, images);
            Ok(Count::Done(self.known(model).rough.expected(tokens)))
        };
        if body.len() > limits::COUNT_EXACT_BYTES_MAX {
            return by_lengths();
        }
        // A seed for each model: another one may count images otherwise.
        let [a, b, c, d, e, f, g, h, ..] = model.to_le_bytes();
        let key = xxh3_128_with_seed(body, self.seed ^ u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        if let Some(tokens) = self.counts.borrow_mut().get(key) {
            return Ok(Count::Done(self.known(model).exact.expected(tokens)));
        }
        match self.counter.ask(body, images) {
            Some(counted) => Ok(Count::Coming(key, counted)),
            None => by_lengths(),
        }
    }

    /// The count that came under `key`.
    ///
    /// # Errors
    /// What is no request; 501 where it cannot be counted, so that clients count for themselves.
    fn counted(
        &self,
        model: u128,
        key: u128,
        counted: Result<Counted, oneshot::error::RecvError>,
    ) -> Result<u64, CallError> {
        let failed = |_gone| {
            CallError::new(Code::NotImplemented)
                .context("this request's tokens cannot be counted here: count them yourself")
        };
        let tokens = counted.map_err(failed)??;
        self.counts.borrow_mut().keep(key, tokens);
        Ok(self.known(model).exact.expected(tokens))
    }
}

/// How far a count is.
enum Count {
    Done(u64),
    /// It will stand under this key.
    Coming(u128, oneshot::Receiver<Counted>),
}

/// Answers a wish for a count in the provider's place, which is asked nothing.
///
/// # Errors
/// What is no request; 501 where it cannot be counted.
pub(super) async fn answer(
    worker: &Worker,
    caller: &mut Caller,
    (provider, model, images): (&Provider, &str, Images),
    body: &[u8],
    record: &mut Record,
) -> Result<(), CallError> {
    let counting = &worker.counting;
    let model = counting.model(provider, model);
    let tokens = match counting.count((model, images), body)? {
        Count::Done(tokens) => tokens,
        Count::Coming(key, counted) => match wait(worker, caller, counted).await {
            Waited::Counted(counted) => counting.counted(model, key, counted)?,
            Waited::HungUp => return hung_up(caller, record),
            Waited::Cut => return Err(Code::Draining.into()),
        },
    };
    say(caller, (tokens, Source::Estimate), record).await
}

/// Tells a caller a count, and who has made it.
///
/// # Errors
/// A caller that does not read.
pub(super) async fn say(
    caller: &mut Caller,
    (tokens, source): (u64, Source),
    record: &mut Record,
) -> Result<(), CallError> {
    let notice = record.notice.clone();
    let word: &[u8] = match source {
        Source::Native => b"native",
        Source::Estimate => b"estimate",
    };
    let mut extra: Vec<(&str, &[u8])> = vec![(SOURCE, word)];
    extra.extend(notice.iter().map(|notice| (destination::NOTICE, notice.as_bytes())));
    let body = format!("{{\"input_tokens\":{}}}", tokens.max(1));
    let sent = caller.reply(record, 200, "application/json", &extra, body.as_bytes()).await;
    sent.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))
}

/// What came of waiting.
enum Waited {
    Counted(Result<Counted, oneshot::error::RecvError>),
    HungUp,
    Cut,
}

async fn wait(worker: &Worker, caller: &mut Caller, counted: oneshot::Receiver<Counted>) -> Waited {
    let mut counted = pin!(counted);
    poll_fn(|cx| {
        if let Poll::Ready(counted) = counted.as_mut().poll(cx) {
            return Poll::Ready(Waited::Counted(counted));
        }
        if worker.phase.get() == Phase::Cut {
            return Poll::Ready(Waited::Cut);
        }
        poll_hung_up(&mut caller.stream, cx).map(|()| Waited::HungUp)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::snapshot;

    fn provider() -> std::sync::Arc<Provider> {
        std::sync::Arc::clone(&snapshot(([127, 0, 0, 1], 9).into()).providers[0])
    }

    fn body(words: usize) -> Vec<u8> {
        let text = "several words of text ".repeat(words);
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#).into_bytes()
    }

    fn by_vocabulary(body: &[u8]) -> u64 {
        estimate(&conversation::read(body).unwrap(), Images::OpenAi)
    }

    fn by_lengths(body: &[u8]) -> u64 {
        rough(&conversation::read(body).unwrap(), Images::OpenAi)
    }

    /// The count of `body`, waited for where it comes from the thread.
    fn count(counting: &Counting, model: u128, body: &[u8]) -> (u64, bool) {
        match counting.count((model, Images::OpenAi), body).unwrap() {
            Count::Done(tokens) => (tokens, false),
            Count::Coming(key, counted) => {
                (counting.counted(model, key, Ok(counted.blocking_recv().unwrap())).unwrap(), true)
            }
        }
    }

    #[test]
    fn a_request_is_counted_by_the_thread_once_for_each_model() {
        let counting = Counting::new(Counter::start().unwrap());
        let (body, provider) = (body(100), provider());
        let (one, other) = (counting.model(&provider, "one"), counting.model(&provider, "other"));
        assert_ne!(one, other);
        let whole = by_vocabulary(&body);
        assert_eq!(count(&counting, one, &body), (whole, true));
        assert_eq!(count(&counting, one, &body), (whole, false));
        assert_eq!(count(&counting, other, &body), (whole, true));
        counting.with(one, |known| known.exact.learn(whole, 2 * whole));
        assert_eq!(count(&counting, one, &body), (2 * whole, false), "what is kept is scaled anew");
        assert_eq!(count(&counting, other, &body), (whole, false));
    }

    #[test]
    fn what_is_long_or_has_to_wait_is_counted_by_its_lengths() {
        let provider = provider();
        let busy = Counting::new(Counter::none());
        let short = body(100);
        let model = busy.model(&provider, "m");
        assert_eq!(count(&busy, model, &short), (by_lengths(&short), false));
        assert!(busy.counts.borrow().is_empty(), "it is not kept for when there is time");
        let free = Counting::new(Counter::start().unwrap());
        let long = body(limits::COUNT_EXACT_BYTES_MAX / 20);
        assert!(long.len() > limits::COUNT_EXACT_BYTES_MAX);
        assert_eq!(count(&free, model, &long), (by_lengths(&long), false));
        free.with(model, |known| known.rough.learn(1000, 2000));
        assert_eq!(count(&free, model, &long), (2 * by_lengths(&long), false));
    }

    #[test]
    fn what_is_no_request_is_refused_and_a_dead_thread_is_not_implemented() {
        let counting = Counting::new(Counter::start().unwrap());
        let Ok(Count::Coming(key, counted)) = counting.count((1, Images::OpenAi), b"{\"model\":1}") else {
            panic!("short ones go to the thread")
        };
        let refused = counting.counted(1, key, Ok(counted.blocking_recv().unwrap())).unwrap_err();
        assert_eq!(refused.code(), Code::BadRequest);
        let (gone, counted) = oneshot::channel::<Counted>();
        drop(gone);
        let failed = counting.counted(1, key, counted.blocking_recv().map(Ok).unwrap_or_else(Err));
        assert_eq!(failed.unwrap_err().code(), Code::NotImplemented);
        assert!(!Code::NotImplemented.retry());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn answers_teach_how_a_model_counts() {
        let here = tokio::task::LocalSet::new();
        here.run_until(async {
            let counting = Counting::new(Counter::start().unwrap());
            let (body, provider) = (body(100), provider());
            let read = conversation::read(&body).unwrap();
            let model = counting.model(&provider, "m");
            let guess = || counting.guess((&provider, "m"), (&body, &read), Images::OpenAi);
            assert_eq!(guess().shown, by_lengths(&body));
            counting.learn(guess(), 2 * by_vocabulary(&body));
            while counting.known(model).exact.seen() == 0 {
                tokio::task::yield_now().await;
            }
            let known = counting.known(model);
            assert_eq!(known.exact.expected(1000), 2000);
            assert_eq!(guess().shown, 2 * by_vocabulary(&body));
            // Later only some are looked into.
            counting.with(model, |known| {
                (0..limits::RATIO_FIRST_SAMPLES).for_each(|_| known.exact.learn(1000, 2000));
            });
            let looked = (0..3 * limits::RATIO_SAMPLE_EVERY).filter(|_| guess().exact.is_some()).count();
            assert_eq!(looked, 3);
        })
        .await;
    }

    #[test]
    fn models_that_are_known_are_bounded() {
        let counting = Counting::new(Counter::none());
        for model in 0..2 * limits::RATIOS_KEPT_MAX {
            counting.with(u128::try_from(model).unwrap(), |known| known.rough.learn(1000, 3000));
            assert!(counting.learned.borrow().len() <= limits::RATIOS_KEPT_MAX);
        }
    }
}
