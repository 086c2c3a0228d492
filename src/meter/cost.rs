//! What a call cost, to the pico-dollar, and what one may cost at most before it is made.

use crate::limits;
use crate::meter::price::{Geo, ONCE, Pico, Price, Rates, Service};

/// What a call used, by what it is charged as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read fresh, neither from nor into the prompt cache.
    pub input: u64,
    /// Tokens written, thinking included.
    pub output: u64,
    /// How many of `output` were thinking, where the provider says so; more than `output` are not believed.
    pub reasoning: u64,
    /// Tokens read from the prompt cache.
    pub cache_read: u64,
    /// Tokens written into the prompt cache for the short time: 5 minutes at Anthropic.
    pub cache_write_5m: u64,
    /// Tokens written into the prompt cache for the long time: an hour at Anthropic.
    pub cache_write_1h: u64,
    /// Searches of the web that the provider made.
    pub web_searches: u64,
}

impl Usage {
    /// All tokens that were read, which decide the tier.
    pub const fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }
}

/// How a call was served, by the provider's word and not by the caller's wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Its class of service: `usage.service_tier`, or that it came in a batch.
    pub service: Service,
    /// Whether `usage.speed` is `fast`.
    pub fast: bool,
    /// Where: `usage.inference_geo`.
    pub geo: Geo,
}

/// What a call cost. The sum is exact and is rounded up once, to a whole pico-dollar; what does not fit is
/// `Pico::MAX`.
pub fn cost(price: &Price, served: Served, usage: &Usage) -> Pico {
    cost_with(price, served, usage, &[])
}

/// What a call cost together with passes that its usage leaves out, such as the iterations in which the
/// provider compacted the context. Each pass has a tier of its own.
pub fn cost_with(price: &Price, served: Served, usage: &Usage, passes: &[Usage]) -> Pico {
    let all = std::iter::once(usage).chain(passes);
    let sum = all.map(|usage| exact(price, served, usage)).fold(0, u128::saturating_add);
    rounded(sum)
}

/// Millionths of pico-dollars.
fn exact(price: &Price, served: Served, usage: &Usage) -> u128 {
    let rates = price.rates(served.service, usage.total_input());
    let reasoning = usage.reasoning.min(usage.output);
    let tokens = [
        (usage.input, rates.input),
        (usage.output - reasoning, rates.output),
        (reasoning, rates.reasoning),
        (usage.cache_read, rates.cache_read),
        (usage.cache_write_5m, rates.write_short),
        (usage.cache_write_1h, rates.write_long),
    ];
    let tokens = tokens.into_iter().map(|(count, rate)| product(count, rate)).fold(0, u128::saturating_add);
    let fees = product(usage.web_searches, price.web_search).saturating_mul(MILLIONTHS);
    tokens.saturating_mul(u128::from(price.factor(served.fast, served.geo))).saturating_add(fees)
}

const MILLIONTHS: u128 = (ONCE as u128) * (ONCE as u128);

/// Two u64 fit.
const fn product(count: u64, rate: u64) -> u128 {
    count as u128 * rate as u128
}

fn rounded(millionths: u128) -> Pico {
    Pico::try_from(millionths.div_ceil(MILLIONTHS)).unwrap_or(Pico::MAX)
}

/// What a request may at most be written into the prompt cache for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// It has no `cache_control`, and the provider does not write on its own account.
    Nothing,
    /// The short time.
    #[default]
    Short,
    /// The long time: somewhere in it stands `"ttl": "1h"`.
    Long,
}

/// What a request may use at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens that one pass reads, cached or not.
    pub input: u64,
    /// Tokens that all passes write: `max_tokens`, thinking included.
    pub output: u64,
    /// What it may be written into the prompt cache for.
    pub writes: Writes,
    /// Searches of the web: `max_uses` of the tools that the provider runs.
    pub web_searches: u64,
    /// Times that the provider may read the input: one, and one more for each use of a tool that it runs and
    /// for each compaction. 0 is taken for one.
    pub passes: u64,
    /// The dearest way that it may be served. Slower, cheaper and nearer ways are covered.
    pub served: Served,
}

/// What a call costs at most, whichever of `prices` it ends at: all targets that it may fail over to. Nothing
/// without prices.
///
/// It is no less than [`cost`] of any usage whose total of input is at most `passes * input`, and whose other
/// numbers are within the bounds. Rates that fall with the size of a call do not make it less.
pub fn upper<'p>(prices: impl IntoIterator<Item = &'p Price>, bounds: &Bounds) -> Pico {
    prices.into_iter().map(|price| upper_of(price, bounds)).max().unwrap_or(0)
}

fn upper_of(price: &Price, bounds: &Bounds) -> Pico {
    let input = bounds.input.saturating_mul(bounds.passes.max(1));
    let (mut dearest_in, mut dearest_out) = (0, 0);
    for rates in reachable(price, bounds.served.service, input) {
        dearest_in = dearest_in.max(dearest_input(rates, bounds.writes));
        dearest_out = dearest_out.max(rates.output.max(rates.reasoning));
    }
    let tokens = product(input, dearest_in).saturating_add(product(bounds.output, dearest_out));
    let fees = product(bounds.web_searches, price.web_search).saturating_mul(MILLIONTHS);
    rounded(tokens.saturating_mul(u128::from(dearest_factor(price, bounds.served))).saturating_add(fees))
}

/// The rates of all tiers up to that of `input`, of a class of service and of the usual one.
fn reachable(price: &Price, service: Service, input: u64) -> impl Iterator<Item = &Rates> {
    let rows = price.rows().iter().filter(move |row| {
        (row.service == service || row.service == Service::Standard) && (row.above == 0 || row.above < input)
    });
    std::iter::once(&price.base).chain(rows.map(|row| &row.rates))
}

fn dearest_input(rates: &Rates, writes: Writes) -> u64 {
    let read = rates.input.max(rates.cache_read);
    match writes {
        Writes::Nothing => read,
        Writes::Short => read.max(rates.write_short),
        Writes::Long => read.max(rates.write_short).max(rates.write_long),
    }
}

/// A factor below one is a promise of the provider that it may not keep.
fn dearest_factor(price: &Price, served: Served) -> u64 {
    let ways = [(served.fast, served.geo), (false, served.geo), (served.fast, Geo::Anywhere)];
    let once = price.factor(false, Geo::Anywhere);
    ways.into_iter().map(|(fast, geo)| price.factor(fast, geo)).fold(once, u64::max)
}

/// Tokens that a request of `bytes` has at most, as far as its length can tell: an estimate to reserve by,
/// not to bill by.
///
/// Prose has 4 bytes a token, code and JSON about 3, Chinese and Japanese 2 to 3, with newer tokenizers up to
/// a third less of each. So two bytes a token are rarely too few. What stands behind a URL or the id of a
/// file is not seen, and images in base64 are taken for far more than they are.
pub const fn estimate_tokens(bytes: u64) -> u64 {
    (bytes.div_ceil(limits::ESTIMATE_BYTES_PER_TOKEN)).saturating_add(limits::ESTIMATE_TOKENS_HIDDEN)
}

/// What a call is charged for whose answer was cut before its provider said what it used: by the caller, by
/// the provider, or by us.
///
/// `reported` is what the provider has said so far, all zeros where it has said nothing; `input` the tokens
/// that the request is taken for then; `written_bytes` what has passed of the answer's texts, thinking and
/// arguments of tools, without their framing. What a provider says of its input it says first and once; of
/// its output it may have said a part, so the larger of the two holds. A call that was cut before its first
/// byte has cost its input all the same: who hangs up early does not ride for free.
#[must_use]
pub fn produced(reported: Usage, input: u64, written_bytes: u64) -> Usage {
    let told = reported.total_input() > 0;
    let written = written_bytes.saturating_mul(2).div_ceil(limits::PRODUCED_BYTES_PER_TWO_TOKENS);
    Usage {
        input: if told { reported.input } else { input },
        output: reported.output.max(written),
        ..reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::price::Row;
    use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_assert, prop_oneof, proptest};

    /// claude-opus-5, with a tier that it does not have.
    fn opus() -> Price {
        let rates = |factor: u64| Rates {
            input: 5_000_000 * factor,
            output: 25_000_000 * factor,
            reasoning: 25_000_000 * factor,
            cache_read: 500_000 * factor,
            write_short: 6_250_000 * factor,
            write_long: 10_000_000 * factor,
        };
        let mut price = Price { fast: 2000, us: 1100, web_search: 10_000_000_000, ..Price::of(rates(1)) };
        price.insert(Row { service: Service::Standard, above: 200_000, rates: rates(2) });
        price.insert_times(Service::Batch, 500);
        price
    }

    fn check(served: Served, usage: Usage, pico: Pico) {
        assert_eq!(cost(&opus(), served, &usage), pico, "{served:?} {usage:?}");
    }

    #[test]
    fn every_kind_of_token_has_its_price() {
        let usual = Served::default();
        check(usual, Usage::default(), 0);
        check(usual, Usage { input: 1, ..Usage::default() }, 5_000_000);
        check(usual, Usage { output: 1, ..Usage::default() }, 25_000_000);
        check(usual, Usage { cache_read: 1, ..Usage::default() }, 500_000);
        check(usual, Usage { cache_write_5m: 1, ..Usage::default() }, 6_250_000);
        check(usual, Usage { cache_write_1h: 1, ..Usage::default() }, 10_000_000);
        check(usual, Usage { web_searches: 3, ..Usage::default() }, 30_000_000_000);
        // Thinking is a part of the output and not charged beside it; more of it than output is not believed.
        check(usual, Usage { output: 10, reasoning: 4, ..Usage::default() }, 250_000_000);
        check(usual, Usage { output: 10, reasoning: 40, ..Usage::default() }, 250_000_000);
    }

    #[test]
    fn the_whole_call_has_the_tier_of_its_whole_input() {
        let usual = Served::default();
        let at = Usage { input: 1, cache_read: 199_999, output: 2, ..Usage::default() };
        check(usual, at, 5_000_000 + 199_999 * 500_000 + 50_000_000);
        let above = Usage { input: 2, ..at };
        check(usual, above, 2 * (10_000_000 + 199_999 * 500_000 + 50_000_000));
    }

    #[test]
    fn factors_are_on_tokens_and_not_on_fees() {
        let usage = Usage { input: 10, web_searches: 1, ..Usage::default() };
        let fast = Served { fast: true, ..Served::default() };
        check(fast, usage, 100_000_000 + 10_000_000_000);
        check(Served { geo: Geo::Us, ..fast }, usage, 110_000_000 + 10_000_000_000);
        check(Served { service: Service::Batch, ..Served::default() }, usage, 25_000_000 + 10_000_000_000);
        // A class without a price of its own costs the usual.
        check(Served { service: Service::Flex, ..Served::default() }, usage, 50_000_000 + 10_000_000_000);
    }

    #[test]
    fn the_sum_is_rounded_up_once() {
        let price = Price { us: 1100, ..Price::of(Rates::flat(1, 1)) };
        let served = Served { geo: Geo::Us, ..Served::default() };
        let cost = |input, output| cost(&price, served, &Usage { input, output, ..Usage::default() });
        assert_eq!((cost(1, 0), cost(1, 1), cost(5, 5), cost(5, 6)), (2, 3, 11, 13));
    }

    #[test]
    fn passes_have_tiers_of_their_own() {
        let usage = Usage { input: 100_000, ..Usage::default() };
        let pass = Usage { input: 150_000, output: 1, ..Usage::default() };
        let sum = cost_with(&opus(), Served::default(), &usage, &[pass, Usage::default()]);
        assert_eq!(sum, 250_000 * 5_000_000 + 25_000_000);
    }

    #[test]
    fn what_was_cut_is_charged_for_what_was_made() {
        let said = Usage { input: 7, cache_read: 90, output: 1, ..Usage::default() };
        assert_eq!(produced(said, 500, 0), said);
        assert_eq!(produced(said, 500, 7), Usage { output: 2, ..said });
        assert_eq!(produced(Usage { output: 400, ..said }, 500, 700), Usage { output: 400, ..said });
        let nothing = Usage::default();
        assert_eq!(produced(nothing, 500, 0), Usage { input: 500, ..nothing });
        assert_eq!(produced(nothing, 500, 1), Usage { input: 500, output: 1, ..nothing });
        assert_eq!(produced(nothing, u64::MAX, u64::MAX).input, u64::MAX);
    }

    #[test]
    fn the_upper_bound_is_that_of_the_dearest_way() {
        let bounds = Bounds { input: 1000, output: 10, passes: 1, ..Bounds::default() };
        assert_eq!(upper(&[opus()], &bounds), 1000 * 6_250_000 + 250_000_000);
        let long = Bounds { writes: Writes::Long, web_searches: 2, ..bounds };
        assert_eq!(upper(&[opus()], &long), 1000 * 10_000_000 + 250_000_000 + 20_000_000_000);
        let none = Bounds { writes: Writes::Nothing, ..bounds };
        let cheap = Price::of(Rates::flat(1, 1));
        assert_eq!(upper(&[cheap, opus()], &none), 1000 * 5_000_000 + 250_000_000, "any target may answer");
        assert_eq!(
            upper(&[opus()], &Bounds { input: 100_001, passes: 2, ..none }),
            200_002 * 10_000_000 + 500_000_000
        );
        assert_eq!(upper(&[], &bounds), 0);
        assert_eq!(
            (estimate_tokens(0), estimate_tokens(3), estimate_tokens(u64::MAX)),
            (1024, 1026, (u64::MAX / 2) + 1025)
        );
    }

    /// All of a u64, mostly of the size of real calls.
    fn count() -> BoxedStrategy<u64> {
        prop_oneof![0u64..300_000, any::<u64>(), Just(u64::MAX)].boxed()
    }

    /// Calls and rates as they are: nothing is too large, so that every number counts.
    fn modest() -> BoxedStrategy<u64> {
        (0u64..300_000).boxed()
    }

    fn usage(count: &BoxedStrategy<u64>) -> BoxedStrategy<Usage> {
        let count = || count.clone();
        let counts = (count(), count(), count(), count(), count(), count(), count());
        let usage = counts.prop_map(|(input, output, reasoning, read, short, long, web_searches)| Usage {
            input,
            output,
            reasoning,
            cache_read: read,
            cache_write_5m: short,
            cache_write_1h: long,
            web_searches,
        });
        usage.boxed()
    }

    fn rates(rate: &BoxedStrategy<u64>) -> BoxedStrategy<Rates> {
        let rate = || rate.clone();
        let rates = (rate(), rate(), rate(), rate(), rate(), rate());
        let rates = rates.prop_map(|(input, output, reasoning, read, short, long)| Rates {
            input,
            output,
            reasoning,
            cache_read: read,
            write_short: short,
            write_long: long,
        });
        rates.boxed()
    }

    fn served() -> impl Strategy<Value = Served> {
        let service = prop_oneof![
            Just(Service::Standard),
            Just(Service::Batch),
            Just(Service::Flex),
            Just(Service::Priority),
            Just(Service::Ultrafast)
        ];
        let geo = prop_oneof![Just(Geo::Anywhere), Just(Geo::Us), Just(Geo::Eu), Just(Geo::Region)];
        (service, any::<bool>(), geo).prop_map(|(service, fast, geo)| Served { service, fast, geo })
    }

    /// Prices as hostile as they come: any rate, any factor, tiers that fall.
    fn price(rate: &BoxedStrategy<u64>, factor: &BoxedStrategy<u32>) -> BoxedStrategy<Price> {
        let factor = || factor.clone();
        let factors = (factor(), factor(), factor(), factor());
        let rows = proptest::collection::vec((served(), modest(), rates(rate)), 0..6);
        let parts = (rates(rate), rows, factors, rate.clone());
        let price = parts.prop_map(|(base, rows, (fast, us, eu, region), web_search)| {
            let mut price = Price { fast, us, eu, region, web_search, ..Price::of(base) };
            for (served, above, rates) in rows {
                price.insert(Row { service: served.service, above, rates });
            }
            price
        });
        price.boxed()
    }

    /// A price and a call: both as they are, or both as hostile as they come.
    fn call() -> impl Strategy<Value = (Price, Usage)> {
        let low = (0u32..3000).boxed();
        let wild = (price(&count(), &any::<u32>().boxed()), usage(&count()));
        prop_oneof![(price(&modest(), &low), usage(&modest())), wild]
    }

    /// Prices as they are: what is larger is not cheaper.
    fn fair() -> impl Strategy<Value = Price> {
        (rates(&count()), 1u64..300_000, 1000u32..4000).prop_map(|(mut base, above, factor)| {
            base.reasoning = base.reasoning.max(base.output);
            let mut price = Price { us: 1100, fast: 2000, web_search: 10, ..Price::of(base) };
            price.insert(Row { service: Service::Standard, above, rates: base.times(factor) });
            price
        })
    }

    proptest! {
        #[test]
        fn more_of_anything_costs_no_less(
            price in fair(), served in served(), usage in usage(&count()), more in count(), kind in 0usize..7,
        ) {
            let mut larger = usage;
            let counts: [&mut u64; 7] = [
                &mut larger.input, &mut larger.output, &mut larger.reasoning, &mut larger.cache_read,
                &mut larger.cache_write_5m, &mut larger.cache_write_1h, &mut larger.web_searches,
            ];
            for count in counts.into_iter().skip(kind).take(1) {
                *count = count.saturating_add(more);
            }
            prop_assert!(cost(&price, served, &larger) >= cost(&price, served, &usage));
        }

        #[test]
        fn the_cost_is_that_of_plain_arithmetic((price, usage) in call(), served in served()) {
            // Rates and factors of any size and sums beyond any u64: no panic, and the ceiling holds.
            let paid = cost(&price, served, &usage);
            let rates = price.rates(served.service, usage.total_input());
            let factor = price.factor(served.fast, served.geo);
            let float = |count: u64, rate: u64| count as f64 * rate as f64;
            let thought = usage.reasoning.min(usage.output);
            let tokens = float(usage.input, rates.input)
                + float(usage.output - thought, rates.output)
                + float(thought, rates.reasoning)
                + float(usage.cache_read, rates.cache_read)
                + float(usage.cache_write_5m, rates.write_short)
                + float(usage.cache_write_1h, rates.write_long);
            let about = tokens * (factor as f64 / 1e6) + float(usage.web_searches, price.web_search);
            if about < 1e19 && tokens * (factor as f64) < 1e38 {
                prop_assert!((paid as f64 - about).abs() <= about * 1e-9 + 1.0, "{paid} {about}");
            } else {
                prop_assert!(paid as f64 >= 1e14, "{paid} {about}");
            }
        }

        #[test]
        fn nothing_within_its_bounds_costs_more_than_the_bound(
            (price, usage) in call(), served in served(), passes in 0u64..4, long: bool,
        ) {
            let web_searches = usage.web_searches;
            let writes = if long { Writes::Long } else { Writes::Short };
            let usage = if long { usage } else { Usage { cache_write_1h: 0, ..usage } };
            let input = usage.total_input().div_ceil(passes.max(1));
            let bounds =
                Bounds { input, output: usage.output, writes, web_searches, passes, served };
            let most = upper([&price], &bounds);
            // As asked, and in all the lesser ways that a provider may fall back to.
            let lesser = [
                Served { fast: false, ..served },
                Served { service: Service::Standard, ..served },
                Served::default(),
            ];
            for served in lesser.into_iter().chain([served]) {
                prop_assert!(cost(&price, served, &usage) <= most);
            }
        }

        #[test]
        fn what_was_cut_is_no_less_than_what_was_said(
            usage in usage(&count()), input in count(), bytes in count(),
        ) {
            let charged = produced(usage, input, bytes);
            prop_assert!(charged.output >= usage.output && charged.input >= usage.input);
            prop_assert!(charged.total_input() >= usage.total_input());
        }
    }
}
