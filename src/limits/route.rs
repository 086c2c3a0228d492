//! Bounds of choosing among targets, and of asking the next one.

/// Targets of one entry of `models:`, `routes:` or `tiers:`. Nobody compares prices of more.
pub const TARGETS_MAX: usize = 32;

/// Pairs of target and key that one call may go to: one bit each says which have been asked.
pub const LANES_MAX: usize = 64;

/// Keys of one provider. Whoever needs more has several organisations there, and names them as providers.
pub const PROVIDER_KEYS_MAX: usize = 16;

/// The largest weight: 1 against 10,000 is as good as never.
pub const WEIGHT_MAX: u64 = 10_000;

/// The largest number of a priority.
pub const PRIORITY_MAX: u64 = 100;

/// Tokens of a context or an answer that a config may name.
pub const CONTEXT_TOKENS_MAX: u64 = 1_000_000_000;

/// Rules of `routes:`. Each is compared with every call.
pub const ROUTES_MAX: usize = 64;

/// Words of one condition of a rule.
pub const ROUTE_WORDS_MAX: usize = 64;

/// Targets that are asked after the first, unless `failover:` says otherwise. Claude Code asks up to ten
/// times again itself, and each of its times is so many of ours.
pub const FAILOVERS_DEFAULT: u64 = 3;

/// The most targets that are asked after the first.
pub const FAILOVERS_MAX: u64 = 10;

/// Times that the same target is asked again, in all of a call.
pub const SAME_TARGET_MAX: u32 = 1;

/// Milliseconds from a call's beginning after which no other target is asked: Claude Code gives up after
/// 600 s, and an answer needs some of them.
pub const FAILOVER_DEADLINE_MS: u64 = 540_000;

/// Milliseconds that the head of an answer is held back until its first content shows that it is one.
pub const HOLD_MS_DEFAULT: u64 = 8_000;

/// The longest that a head may be held back: a client that hears nothing for 300 s gives up.
pub const HOLD_MS_MAX: u64 = 60_000;

/// Bytes of an answer that are held back meanwhile: before its first content there are a head and two or
/// three events of some hundred bytes.
pub const HOLD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a body by whose beginning an answer is told from what is none: a line of white space or of a
/// comment, and the first bytes behind it. What is not told by then passes.
pub const BEGINNING_BYTES_MAX: usize = 256;

/// Milliseconds in which one core writes down one entry about a target that ails, or about a model that
/// nobody serves; the others of this time become one more entry at its end.
pub const OUTAGE_EVERY_MS: u64 = 60_000;

/// Targets and models that one core counts such entries of, some 200 bytes each; of more it only says so in
/// its log. A config has at most so many that fail within a minute.
pub const OUTAGES_MAX: usize = 1_024;

/// Bytes of an error's body that are looked through for what it means.
pub const FAILURE_BODY_BYTES_MAX: usize = 8 * 1024;

/// The longest cooldown, milliseconds: a day, since limits of days are the longest that there are.
pub const COOLDOWN_MS_MAX: u64 = 86_400_000;

/// The cooldown after a 429 that says nothing of its length, milliseconds: the window of limits a minute.
pub const COOLDOWN_MS_UNKNOWN: u64 = 60_000;

/// The cooldown of a key that a provider refuses, milliseconds: so often somebody's mending it is noticed.
pub const COOLDOWN_MS_CREDENTIAL: u64 = 60_000;

/// How much the newest answer counts in the failure rate of a target: with it, three failures in a row open
/// a breaker that knew of none.
pub const BREAKER_NEWEST: f64 = 0.25;

/// The failure rate at which a breaker opens.
pub const BREAKER_OPENS_AT: f64 = 0.5;

/// Milliseconds after which what was known of failures counts half.
pub const BREAKER_HALF_LIFE_MS: u32 = 30_000;

/// The first rest of a target whose breaker has opened, milliseconds; each probe that fails doubles it.
pub const BREAKER_REST_MS_MIN: u64 = 5_000;

/// The longest rest, milliseconds.
pub const BREAKER_REST_MS_MAX: u64 = 60_000;

/// Milliseconds after which a probe that nobody has heard of again is taken for lost.
pub const PROBE_MS_MAX: u64 = 600_000;

/// Targets, keys and pairs of both that a core remembers something about, some 200 bytes each.
pub const HEALTH_SLOTS_MAX: usize = 4_096;

/// Sessions of which a core remembers where their prompt cache is warm, 40 bytes each.
pub const SEATS_MAX: usize = 16_384;

/// Milliseconds that a prompt cache stays warm unless the request says more.
pub const CACHE_WARM_MS: u64 = 300_000;

/// Milliseconds that a prompt cache stays warm that was asked for an hour.
pub const CACHE_WARM_MS_LONG: u64 = 3_600_000;

/// The least share of a rate limit that a target counts with: it is known from its last answer only, so it
/// never rules a target out.
pub const HEADROOM_LEAST: f64 = 0.01;

/// The share below which a session that has no warm cache does not begin at the target of its own.
pub const HEADROOM_STARVED: f64 = 0.1;

/// Milliseconds that a limit's headroom is believed where the provider does not say when it is new.
pub const HEADROOM_MS: u64 = 60_000;

/// What one core tells the others between two looks, at most; more of it they find out themselves.
pub const NEWS_MAX: usize = 256;

const _: () = {
    assert!(LANES_MAX == u64::BITS as usize);
    assert!(TARGETS_MAX <= LANES_MAX && PROVIDER_KEYS_MAX <= LANES_MAX);
    assert!(HOLD_MS_DEFAULT <= HOLD_MS_MAX && HOLD_MS_MAX < FAILOVER_DEADLINE_MS);
    assert!(BREAKER_REST_MS_MIN <= BREAKER_REST_MS_MAX && CACHE_WARM_MS <= CACHE_WARM_MS_LONG);
};
