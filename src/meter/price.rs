//! The price of one model: rates by tier and by class of service, multipliers, fees.

/// Money in pico-dollars: 10^12 of them are one US dollar, and a u64 holds 18 million dollars.
pub type Pico = u64;

/// A factor in thousandths: 1100 is 1.1.
pub type Milli = u32;

/// The factor that changes nothing.
pub const ONCE: Milli = 1000;

/// Pico-dollars per token, by what the token was. A dollar per million tokens is 10^6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rates {
    /// Read fresh.
    pub input: u64,
    /// Written, visible.
    pub output: u64,
    /// Written while thinking. Nearly everywhere the same as `output`.
    pub reasoning: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written into the prompt cache for the short time: 5 minutes at Anthropic, 30 at OpenAI.
    pub write_short: u64,
    /// Written into the prompt cache for the long time: an hour at Anthropic, 12 at OpenAI.
    pub write_long: u64,
}

impl Rates {
    /// Rates of a provider that charges nothing extra for its cache and gives nothing back for it.
    pub const fn flat(input: u64, output: u64) -> Self {
        Self { input, output, reasoning: output, cache_read: input, write_short: input, write_long: input }
    }

    /// The same rates times a factor, rounded up. Rates above what a u64 holds stay there.
    #[must_use]
    pub fn times(self, factor: Milli) -> Self {
        let times = |rate: u64| {
            let exact = (u128::from(rate) * u128::from(factor)).div_ceil(u128::from(ONCE));
            u64::try_from(exact).unwrap_or(u64::MAX)
        };
        Self {
            input: times(self.input),
            output: times(self.output),
            reasoning: times(self.reasoning),
            cache_read: times(self.cache_read),
            write_short: times(self.write_short),
            write_long: times(self.write_long),
        }
    }
}

/// What a provider promises of its time: batches wait, priority does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// The usual.
    #[default]
    Standard,
    /// Answered within a day.
    Batch,
    /// Answered when there is room.
    Flex,
    /// Answered first.
    Priority,
    /// Answered by faster machines.
    Ultrafast,
}

impl Service {
    /// All but the usual one.
    pub const SPECIAL: [Self; 4] = [Self::Batch, Self::Flex, Self::Priority, Self::Ultrafast];

    /// The word of it in tables, and in the answers of providers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// The class that a provider's `service_tier` names; the usual one for words that mean it (`default`,
    /// `auto`, nothing) and for those that nobody knows.
    pub fn named(word: &str) -> Self {
        // OpenAI's newer word for it, at the same price.
        let word = if word == "fast" { Self::Priority.word() } else { word };
        Self::SPECIAL.into_iter().find(|service| service.word() == word).unwrap_or_default()
    }
}

/// Where an answer was made, as far as it changes the price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Geo {
    /// Wherever there was room.
    #[default]
    Anywhere,
    /// Inside of the United States.
    Us,
    /// Inside of the European Union.
    Eu,
    /// In one region that was asked for, as with the regional endpoints of Vertex.
    Region,
}

impl Geo {
    /// The place that a provider's `inference_geo`, or the region in its address, names.
    pub fn named(word: &str) -> Self {
        match word {
            "" | "global" | "not_available" => Self::Anywhere,
            "us" => Self::Us,
            "eu" => Self::Eu,
            _ => Self::Region,
        }
    }
}

/// Rates that hold beside the usual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The class of service that it is for.
    pub service: Service,
    /// It holds for calls with more tokens of input than this, cached or not; 0 for all.
    pub above: u64,
    /// The rates.
    pub rates: Rates,
}

/// What a model costs at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The usual rates, for calls below the first tier.
    pub base: Rates,
    /// Tiers and other classes of service, in order of service and `above`.
    pub(crate) rows: Vec<Row>,
    /// Factor on all tokens of an answer at the speed `fast`.
    pub fast: Milli,
    /// Factor on all tokens of an answer from `Geo::Us`.
    pub us: Milli,
    /// Factor on all tokens of an answer from `Geo::Eu`.
    pub eu: Milli,
    /// Factor on all tokens of an answer from `Geo::Region`.
    pub region: Milli,
    /// For one search of the web that the provider makes.
    pub web_search: Pico,
    /// Tokens that the model writes at most; 0 where nobody says. A hint: lists lag behind what providers
    /// allow.
    pub max_output: u64,
}

impl Price {
    /// A price of nothing but rates.
    pub const fn of(base: Rates) -> Self {
        Self {
            base,
            rows: Vec::new(),
            fast: ONCE,
            us: ONCE,
            eu: ONCE,
            region: ONCE,
            web_search: 0,
            max_output: 0,
        }
    }

    /// The rates for a call of `service` with `input` tokens of input, cached or not. A class of service
    /// without rates of its own costs as much as the usual one.
    pub fn rates(&self, service: Service, input: u64) -> &Rates {
        let rows =
            |service| self.rows.iter().rev().find(move |row| row.service == service && row.above < input);
        // A row for `above: 0` holds for calls without any input as well.
        let first = self.rows.iter().find(|row| row.service == service && row.above == 0);
        let special = rows(service).or(first);
        special.or_else(|| rows(Service::Standard)).map_or(&self.base, |row| &row.rates)
    }

    /// Tiers and other classes of service, in order of service and `above`.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Puts a row where it belongs; false when there is one like it, or when it is what `base` is for.
    pub(crate) fn insert(&mut self, row: Row) -> bool {
        let place = |row: &Row| (row.service, row.above);
        if place(&row) == (Service::Standard, 0) {
            return false;
        }
        let found = self.rows.binary_search_by_key(&place(&row), place);
        if let Err(at) = found {
            self.rows.insert(at, row);
        }
        found.is_err()
    }

    /// Gives a class of service the usual rates times a factor, in all tiers. False as with `insert`.
    pub(crate) fn insert_times(&mut self, service: Service, factor: Milli) -> bool {
        let usual: Vec<Row> = self.usual().collect();
        usual.into_iter().all(|row| self.insert(Row { service, rates: row.rates.times(factor), ..row }))
    }

    /// The usual rates of all tiers.
    pub(crate) fn usual(&self) -> impl Iterator<Item = Row> {
        let first = Row { service: Service::Standard, above: 0, rates: self.base };
        let tiers = self.rows.iter().filter(|row| row.service == Service::Standard);
        std::iter::once(first).chain(tiers.copied())
    }

    /// The factor on all tokens of an answer made like this, in millionths.
    pub(crate) const fn factor(&self, fast: bool, geo: Geo) -> u64 {
        let speed = if fast { self.fast } else { ONCE };
        let place = match geo {
            Geo::Anywhere => ONCE,
            Geo::Us => self.us,
            Geo::Eu => self.eu,
            Geo::Region => self.region,
        };
        // Two u32 fit.
        speed as u64 * place as u64
    }

    /// The same price times a factor: a discount, or what is added for one's own trouble. Fees too.
    #[must_use]
    pub fn times(mut self, factor: Milli) -> Self {
        self.base = self.base.times(factor);
        for row in &mut self.rows {
            row.rates = row.rates.times(factor);
        }
        self.web_search = Rates::flat(self.web_search, 0).times(factor).input;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Geo, ONCE, Price, Rates, Row, Service};

    fn tiered() -> Price {
        let mut price = Price::of(Rates::flat(10, 100));
        assert!(price.insert(Row { service: Service::Standard, above: 200, rates: Rates::flat(20, 150) }));
        assert!(price.insert_times(Service::Batch, 500));
        assert!(price.insert(Row { service: Service::Flex, above: 300, rates: Rates::flat(1, 2) }));
        price
    }

    #[test]
    fn the_tier_begins_above_its_number() {
        let price = tiered();
        for (service, input, rate) in [
            (Service::Standard, 0, 10),
            (Service::Standard, 200, 10),
            (Service::Standard, 201, 20),
            (Service::Batch, 0, 5),
            (Service::Batch, 200, 5),
            (Service::Batch, u64::MAX, 10),
            // Nothing of its own: as much as usual.
            (Service::Priority, 100, 10),
            (Service::Priority, 300, 20),
            (Service::Flex, 300, 20),
            (Service::Flex, 301, 1),
        ] {
            assert_eq!(price.rates(service, input).input, rate, "{service:?} {input}");
        }
    }

    #[test]
    fn a_row_stands_once() {
        let mut price = tiered();
        for (service, above) in [(Service::Standard, 0), (Service::Standard, 200), (Service::Batch, 0)] {
            assert!(!price.insert(Row { service, above, rates: Rates::default() }));
        }
        assert!(!price.insert_times(Service::Batch, 600));
    }

    #[test]
    fn factors_multiply_and_round_up() {
        let price = Price { fast: 2000, us: 1100, ..tiered() };
        assert_eq!(price.factor(false, Geo::Anywhere), 1_000_000);
        assert_eq!(price.factor(true, Geo::Us), 2_200_000);
        assert_eq!(price.factor(true, Geo::Eu), 2_000_000);
        assert_eq!(Rates::flat(3, 1).times(500), Rates { output: 1, reasoning: 1, ..Rates::flat(2, 1) });
        assert_eq!(Rates::flat(u64::MAX, 0).times(2 * ONCE).input, u64::MAX);
        let fee = Price { web_search: 1001, ..tiered() }.times(500);
        assert_eq!((fee.web_search, fee.rates(Service::Standard, 201).input), (501, 10));
    }

    #[test]
    fn words_of_providers_are_known() {
        assert_eq!(Service::named("priority"), Service::Priority);
        assert_eq!(Service::named("fast"), Service::Priority);
        assert_eq!(Service::named("batch"), Service::Batch);
        for word in ["", "standard", "auto", "default", "scale"] {
            assert_eq!(Service::named(word), Service::Standard);
        }
        assert_eq!(Geo::named("us"), Geo::Us);
        assert_eq!(Geo::named("global"), Geo::Anywhere);
        assert_eq!(Geo::named("europe-west1"), Geo::Region);
    }
}
