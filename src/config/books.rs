//! Money and records, from what is written to what holds.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use crate::config::books_file::{self, Budget, Per, Prices, RateLimit, Scope};
use crate::config::file::File;
use crate::config::reader::{At, Reader, quoted};
use crate::config::snapshot::ToolPrice;
use crate::glob::Glob;
use crate::limits;
use crate::meter::book::{self, Book, BookFault, Change, Override};
use crate::meter::budget::{Definition, Mode};
use crate::meter::names::section_of_host;
use crate::meter::price::{Price, Rates};
use crate::meter::rate::Rule;
use crate::meter::scope;
use crate::meter::window::{Unit, Window, Zone};
use crate::upstream::provider::{Dialect, Provider};

/// Names that lead nowhere, and words that contradict each other.
pub(crate) fn check(file: &File, reader: &mut Reader) {
    let teams: HashSet<&str> = file.teams.iter().map(|team| team.name.value.as_str()).collect();
    let mut names = HashSet::new();
    for budget in &file.budgets {
        let what = format!("budgets: {:?}", budget.name.value);
        if !names.insert(budget.name.value.as_str()) {
            reader.fault(budget.name.mark, format!("{what} is the name of two budgets"));
        }
        check_scope(&budget.scope, &teams, &what, reader);
        check_zone(budget, &what, reader);
    }
    names.clear();
    for limit in &file.rate_limits {
        let what = format!("rate_limits: {:?}", limit.name.value);
        if !names.insert(limit.name.value.as_str()) {
            reader.fault(limit.name.mark, format!("{what} is the name of two limits"));
        }
        check_scope(&limit.scope, &teams, &what, reader);
    }
    let providers = &file.provider_names;
    for price in &file.prices.models {
        if let Some(name) = price.provider.as_ref().filter(|name| !providers.contains(&name.value)) {
            let what = &price.model.value;
            let text = format!("prices.models.{what}: there is no provider {}", quoted(&name.value));
            reader.fault(name.mark, text);
        }
    }
}

fn check_scope(scope: &Scope, teams: &HashSet<&str>, what: &str, reader: &mut Reader) {
    // A key may be one of the key file, so its name is not looked up here.
    if let Some(team) = scope.team.as_ref().filter(|team| !teams.contains(team.value.as_str())) {
        let text = format!("{what}: there is no team {} in `teams:`", quoted(&team.value));
        reader.fault(team.mark, text);
    }
    if scope.each.is_none() {
        return;
    }
    let one = [("key", &scope.key), ("user", &scope.user)];
    for (name, At { mark, .. }) in one.into_iter().filter_map(|(name, one)| Some((name, one.as_ref()?))) {
        let text = format!("{what}: `{name}` names one, `each` counts many: keep one of them");
        reader.fault(*mark, text);
    }
}

fn check_zone(budget: &Budget, what: &str, reader: &mut Reader) {
    if let Some(zone) = budget.time_zone.as_ref().filter(|zone| Zone::named(&zone.value).is_err()) {
        let shown = quoted(&zone.value);
        let text = format!("{what}: there is no time zone {shown}; write one such as Europe/Berlin or UTC");
        reader.fault(zone.mark, text);
    }
}

/// The price book: the shipped one, or that of a file, with what the config says over it.
pub(crate) fn book(
    prices: &Prices,
    table: Option<&str>,
    providers: &[&str],
    reader: &mut Reader,
) -> Option<Arc<Book>> {
    let mark = prices.file.as_ref().map(|file| file.mark).unwrap_or_default();
    let mut book = match table.map(Book::read) {
        None if prices.unknown.is_none() && prices.models.is_empty() => return shipped(),
        None => shipped()?.as_ref().clone(),
        Some(Ok(book)) => book,
        Some(Err(fault)) => {
            reader.fault(mark, format!("prices.file: {fault}"));
            return None;
        }
    };
    if let Some(rates) = &prices.unknown
        && book.set_unknown(price(rates)).is_err()
    {
        let text = "prices.default: a model that nobody knows has to cost something";
        reader.fault(prices.default_mark, text);
    }
    let overrides = prices.models.iter().flat_map(|one| {
        let sellers = match &one.provider {
            Some(name) => vec![name.value.as_str()],
            None => providers.to_vec(),
        };
        let price = price(&one.rates);
        sellers.into_iter().map(move |seller| Override {
            seller: seller.into(),
            model: Glob::new(&one.model.value),
            change: Change::Price(Box::new(price.clone())),
        })
    });
    if let Err(BookFault::TooMany | BookFault::FreeUnknown) = book.merge(overrides) {
        let mark = prices.models.first().map(|one| one.model.mark).unwrap_or_default();
        let most = limits::PRICE_OVERRIDES_MAX;
        reader.fault(mark, format!("prices.models: there can be {most} of them, times providers"));
    }
    Some(Arc::new(book))
}

/// The shipped prices, read once.
fn shipped() -> Option<Arc<Book>> {
    static SHIPPED: OnceLock<Option<Arc<Book>>> = OnceLock::new();
    // That it can be read is tested where it lies.
    SHIPPED.get_or_init(|| Book::shipped().ok().map(Arc::new)).clone()
}

/// A price as it is written. A search of the web costs a cent there, too: that is not a matter of the model.
fn price(rates: &books_file::Rates) -> Price {
    Price { web_search: book::SEARCH, ..Price::of(of_rates(rates)) }
}

/// What is not written about a cache costs what it usually does at Anthropic: a tenth to read, a quarter more
/// to write, twice as much for an hour.
fn of_rates(rates: &books_file::Rates) -> Rates {
    let times = |num: u64, den: u64| rates.input.saturating_mul(num).div_ceil(den);
    Rates {
        input: rates.input,
        output: rates.output,
        reasoning: rates.output,
        cache_read: rates.cache_read.unwrap_or_else(|| times(1, 10)),
        write_short: rates.cache_write_5m.unwrap_or_else(|| times(5, 4)),
        write_long: rates.cache_write_1h.unwrap_or_else(|| times(2, 1)),
    }
}

/// The prices of calls of tools.
pub(crate) fn tool_prices(prices: &Prices) -> Vec<ToolPrice> {
    let of = |one: &books_file::ToolPrice| ToolPrice {
        server: one.server.value.clone(),
        tools: globs(&one.tools),
        call_pico: one.call_pico,
    };
    prices.tools.iter().map(of).collect()
}

fn globs(written: &[At<String>]) -> Vec<Glob> {
    written.iter().map(|text| Glob::new(&text.value)).collect()
}

/// Whose price list holds at a provider.
pub(crate) fn section(provider: &Provider) -> &'static str {
    match provider.dialect {
        Dialect::Demo => "",
        Dialect::Anthropic => section_of_host(&provider.site.origin.host).unwrap_or("anthropic"),
        Dialect::AnthropicLenient => section_of_host(&provider.site.origin.host).unwrap_or_default(),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            section_of_host(&provider.site.origin.host).unwrap_or("openai")
        }
        Dialect::Gemini => section_of_host(&provider.site.origin.host).unwrap_or("gemini"),
        Dialect::Bedrock | Dialect::BedrockConverse => "bedrock",
        Dialect::Vertex => "vertex",
    }
}

/// The budgets as the meter wants them.
pub(crate) fn budgets(file: &File) -> Vec<Definition> {
    file.budgets.iter().map(definition).collect()
}

fn definition(budget: &Budget) -> Definition {
    let zone = budget.time_zone.as_ref().and_then(|zone| Zone::named(&zone.value).ok());
    let unit = match budget.per {
        Per::Hour => Unit::Hour,
        Per::Day => Unit::Day,
        Per::Week => Unit::Week,
        Per::Month => Unit::Month,
    };
    let hours = match budget.per {
        Per::Hour => 1,
        Per::Day => 24,
        Per::Week => 7 * 24,
        Per::Month => 30 * 24,
    };
    let rolling = budget.rolling.then(|| Window::rolling_hours(hours).ok()).flatten();
    let calendar = || Window::Calendar { unit, zone: zone.unwrap_or_else(Zone::utc) };
    let chunk = (budget.limit_pico / CHUNKS).clamp(1, CHUNK_PICO_MAX);
    let mode = if budget.strict { Mode::Strict } else { Mode::Elastic { chunk_pico: chunk } };
    Definition {
        name: budget.name.value.clone(),
        scope: scope_of(&budget.scope),
        each: budget.scope.each.map(each_of),
        limit_pico: budget.limit_pico,
        window: rolling.unwrap_or_else(calendar),
        mode,
        warn_percents: budget.warn_percent.iter().filter_map(|percent| u8::try_from(*percent).ok()).collect(),
    }
}

/// An elastic budget is overrun by at most this part of it for every call under way.
const CHUNKS: u64 = 200;

/// ... and by at most five cents: a thousand tokens of the dearest model in wide use are less.
const CHUNK_PICO_MAX: u64 = 50_000_000_000;

fn each_of(each: books_file::Each) -> scope::Each {
    match each {
        books_file::Each::Key => scope::Each::Key,
        books_file::Each::Team => scope::Each::Team,
        books_file::Each::User => scope::Each::User,
    }
}

/// Everything that is written has to hold for a call to be in the scope.
fn scope_of(scope: &Scope) -> scope::Scope {
    let mut parts = Vec::new();
    parts.extend(scope.key.as_ref().map(|key| scope::Scope::Key(key.value.clone())));
    parts.extend(scope.team.as_ref().map(|team| scope::Scope::Team(team.value.clone())));
    parts.extend(scope.user.as_ref().map(|user| scope::Scope::User(user.value.clone())));
    if !scope.models.is_empty() {
        parts.push(scope::Scope::ModelGroup(globs(&scope.models)));
    }
    if !scope.servers.is_empty() {
        parts.push(scope::Scope::Servers(globs(&scope.servers)));
    }
    if !scope.tools.is_empty() {
        parts.push(scope::Scope::Tools(globs(&scope.tools)));
    }
    match parts.len() {
        0 => scope::Scope::Org,
        1 => parts.remove(0),
        _ => scope::Scope::All(parts),
    }
}

/// The rate limits as the meter wants them.
pub(crate) fn rates(file: &File) -> Vec<Rule> {
    let rule = |limit: &RateLimit| Rule {
        name: limit.name.value.clone(),
        scope: scope_of(&limit.scope),
        each: limit.scope.each.map(each_of),
        requests_per_minute: limit.requests,
        tokens_per_minute: limit.tokens,
        streams: limit.streams,
    };
    file.rate_limits.iter().map(rule).collect()
}
