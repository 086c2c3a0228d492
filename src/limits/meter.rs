//! The bounds of the meter.

use std::time::Duration;

/// Budgets of one config: each is one counter, and a call looks at those of its own scopes only.
pub const BUDGETS_MAX: usize = 4096;

/// How long a reservation lives without a sign of life from the call that made it.
pub const LEASE_TTL: Duration = Duration::from_secs(60);

/// From which shares of a budget on callers are warned where nothing is written.
pub const BUDGET_WARN_PERCENT: [u64; 2] = [80, 95];

/// Pico-dollars that a budget may allow: ten million dollars. Counters are `u64` and end at 18.4 million.
pub const BUDGET_PICO_MAX: u64 = 10_000_000_000_000_000_000;

/// Instances of all budgets together, that is counters of one key, team or user each: about 300 bytes.
pub const BUDGET_INSTANCES_MAX: usize = 64 * 1024;

/// Windows of one instance that are remembered: the present one, and those that a clock which is set back
/// may come to again.
pub const BUDGET_WINDOWS_KEPT: usize = 4;

/// Percentages at which one budget warns.
pub const BUDGET_WARNINGS_MAX: usize = 8;

/// Parts of a rolling window: money is forgotten at most a sixtieth of the window too late, never too early.
pub const ROLLING_PARTS: u64 = 60;

/// Hours of a rolling window: a leap year.
pub const ROLLING_HOURS_MAX: u64 = 366 * 24;

/// Reservations that one core holds at once; it has at most `CONNECTIONS_MAX` callers.
pub const LEASES_MAX: usize = 64 * 1024;

/// How long a reservation that has lapsed is remembered, so that a call that was merely silent can still
/// have what it was charged put right.
pub const LEASE_LATE: Duration = Duration::from_secs(60 * 60);

/// Rate limits of one config.
pub const RATES_MAX: usize = 4096;

/// Instances of all rate limits together; about 150 bytes each.
pub const RATE_INSTANCES_MAX: usize = 64 * 1024;

/// Requests or tokens a minute that a rate limit may allow; a unit of 6 ns is still exact enough.
pub const RATE_PER_MINUTE_MAX: u64 = 10_000_000_000;

/// How far one answer that took more tokens than expected can put its caller into debt.
pub const RATE_DEBT: Duration = Duration::from_secs(600);

/// What a caller is told to wait when too many of its calls are under way: nobody knows when one ends.
pub const RATE_STREAMS_RETRY: Duration = Duration::from_secs(1);

/// How far the clocks that cores read may be apart before the clock is taken for set back.
pub const RATE_CLOCK_SLACK: Duration = Duration::from_secs(1);

/// Prices that one core has looked up; models that are asked for are few, and a caller may make names up.
pub const PRICES_FOUND_MAX: usize = 1024;

/// Bytes of a table of prices; the one in the binary has about 100 KiB.
pub const PRICES_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of one line of a table of prices: the longest name, and all tiers of all classes of service.
pub const PRICE_LINE_BYTES_MAX: usize = 4096;

/// Models of one table of prices; the one in the binary has about 1,300.
pub const PRICES_MAX: usize = 32 * 1024;

/// Providers of one table of prices.
pub const PRICE_SECTIONS_MAX: usize = 256;

/// Tiers and classes of service of one model; the most in use are 10.
pub const PRICE_ROWS_MAX: usize = 64;

/// Pico-dollars of one token or one use of a tool: a thousand dollars.
pub const PRICE_MAX: u64 = 1_000_000_000_000_000;

/// Thousandths of a factor on prices.
pub const PRICE_FACTOR_MAX: u32 = 1_000_000;

/// Tokens at which a tier may begin, or which a model may write at most: a hundred times the largest in
/// use.
pub const PRICE_TOKENS_MAX: u64 = 1_000_000_000;

/// Bytes of a price list that is imported; that of LiteLLM has 3 MiB.
pub const PRICE_LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of a request that are taken for one token when money is set aside for it.
pub const ESTIMATE_BYTES_PER_TOKEN: u64 = 2;

/// Tokens of a request that do not stand in it: what a provider says to its model about tools.
pub const ESTIMATE_TOKENS_HIDDEN: u64 = 1024;

/// Overrides of prices in one config; each is looked at for every price that is looked up.
pub const PRICE_OVERRIDES_MAX: usize = 256;

/// Spellings of a model's name that are looked for in a table of prices.
pub const PRICE_NAME_FORMS_MAX: usize = 24;

/// Bytes of an answer that are taken for two tokens where its end, and with it the provider's count, never
/// came: prose has four a token and code three.
pub const PRODUCED_BYTES_PER_TWO_TOKENS: u64 = 7;

/// Models that a price list has to have to be taken for one: editions of years have had over a thousand.
pub const PRICE_LIST_MODELS_MIN: usize = 100;

/// Pico-dollars of one token that a price list may ask for: a thousand dollars a million, more than the
/// dearest model has cost. What asks for more gives prices of a thousand tokens as those of one.
pub const PRICE_LIST_RATE_MAX: u64 = 1_000_000_000;

/// Searches of the web that money is set aside for where a request lets a provider search and does not say
/// how often: twice what Claude Code allows itself.
pub const WEB_SEARCHES_UNSAID: u64 = 16;

/// Bytes of a tool's definition that are taken for one token: 1,802 published ones, as a model sees them,
/// have 4.1 and 4.2 by two tokenizers.
pub const DEFINITION_BYTES_PER_TOKEN: u64 = 4;

/// Servers whose definitions of tools one entry counts; those of more are counted together.
pub const OFFERS_OF_ENTRY_MAX: usize = 32;

/// Characters of the name of such a server.
pub const OFFER_SERVER_CHARS_MAX: usize = 64;

/// Definitions of one request that are known by their names, so that their use can be told; clients that
/// define a thousand at once exist, and models take no more.
pub const OFFER_NAMES_MAX: usize = 4096;

/// Lists of tools that one core knows: sessions send theirs with each call, and most of a company the same.
pub const OFFERS_HELD_MAX: usize = 1024;

/// Definitions in all of these lists together; 16 bytes each.
pub const OFFERS_HELD_NAMES_MAX: usize = 128 * 1024;
