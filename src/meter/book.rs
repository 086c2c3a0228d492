//! The price book: what a model costs at a provider, also where its name is spelt otherwise or is not known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::glob::Glob;
use crate::limits;
use crate::meter::decimal;
use crate::meter::names;
use crate::meter::price::{Milli, Pico, Price, Rates};
use crate::meter::table::{self, Sections, Table, TableFault};

/// The table that is shipped, as `tollgate prices import` made it.
const SHIPPED: &str = include_str!("prices.txt");

/// What an unknown model costs where the config does not say: as much as the dearest that is in wide use.
const UNKNOWN: Rates = Rates {
    input: 5_000_000,
    output: 25_000_000,
    reasoning: 25_000_000,
    cache_read: 500_000,
    write_short: 6_250_000,
    write_long: 10_000_000,
};

/// What a search of the web costs where nothing is known: a cent, as nearly everywhere.
pub const SEARCH: Pico = 10_000_000_000;

/// Who sells a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seller<'a> {
    /// The name of the provider in the config; only overrides look at it.
    pub provider: &'a str,
    /// The section of the table whose prices it has: `anthropic`, `bedrock`, `vertex`, `openai`, ...
    pub section: &'a str,
}

/// Where a price is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// The name stands in the section.
    Exact,
    /// Another spelling of the name does, or it stands in the section of who makes the model.
    Alias,
    /// The config says it.
    Override,
    /// Nobody knows the model: it has the price of unknown ones, and somebody should be told.
    Unknown,
}

impl How {
    /// The word of it in records and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Alias => "alias",
            Self::Override => "override",
            Self::Unknown => "default",
        }
    }
}

/// A price, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced<'b> {
    /// The price.
    pub price: Cow<'b, Price>,
    /// Where it is from. A factor of the config changes the price and not this.
    pub how: How,
    /// The name in the table, or the pattern in the config; empty for the price of unknown models.
    pub listed: &'b str,
}

/// What the config says of a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is this, whatever a list says.
    Price(Box<Price>),
    /// It is that of the list times a factor.
    Times(Milli),
}

impl Change {
    /// Reads `5/25 read=0.5 batch*0.5`, as in a table, or `*0.85`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > limits::PRICE_LINE_BYTES_MAX {
            return Err(format!("a price has at most {} bytes", limits::PRICE_LINE_BYTES_MAX));
        }
        if let Some(factor) = text.trim_ascii().strip_prefix('*') {
            return Ok(Self::Times(table::factor(factor)?));
        }
        Ok(Self::Price(Box::new(table::read_price(text)?)))
    }
}

/// One price of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The name of a provider in the config, or a section of the table.
    pub seller: Box<str>,
    /// The model's name as it is sent to the provider; `*` stands for any characters.
    pub model: Glob,
    /// What is said of it.
    pub change: Change,
}

/// Why a book does not take what it is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookFault {
    /// More overrides than are looked through.
    #[error("there are more than {} overrides of prices", limits::PRICE_OVERRIDES_MAX)]
    TooMany,
    /// An unknown model that costs nothing passes every budget.
    #[error("an unknown model has to cost something: input and output above 0")]
    FreeUnknown,
}

/// All prices. Immutable while calls are made; a reload makes another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    table: Table,
    overrides: Vec<Override>,
    unknown: Price,
}

impl Book {
    /// The prices in the binary.
    ///
    /// # Errors
    /// None, as long as the tests of this file pass.
    pub fn shipped() -> Result<Self, TableFault> {
        Self::read(SHIPPED)
    }

    /// Reads a table, such as a file of it.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn read(text: &str) -> Result<Self, TableFault> {
        Ok(Self::of(Table::read(text)?))
    }

    /// The prices of a table.
    pub fn of(table: Table) -> Self {
        let unknown = Price { web_search: SEARCH, ..Price::of(UNKNOWN) };
        Self { table, overrides: Vec::new(), unknown }
    }

    /// The table alone.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// The day of the prices, for records: `2026-11-22`.
    pub fn version(&self) -> &str {
        &self.table.date
    }

    /// Takes over what the config says, after what it has said before. Of those that fit a call, the first
    /// price holds: one that names the model before one with `*`, then in the order given. In the same order
    /// the first factor holds for prices of the table.
    ///
    /// # Errors
    /// [`BookFault::TooMany`].
    pub fn merge(&mut self, overrides: impl IntoIterator<Item = Override>) -> Result<(), BookFault> {
        let room = limits::PRICE_OVERRIDES_MAX - self.overrides.len();
        let mut added: Vec<Override> = overrides.into_iter().take(room + 1).collect();
        if added.len() > room {
            return Err(BookFault::TooMany);
        }
        self.overrides.append(&mut added);
        // Stable: the order given is kept within each kind.
        self.overrides.sort_by_key(|change| !change.model.is_exact());
        Ok(())
    }

    /// Sets what unknown models cost.
    ///
    /// # Errors
    /// [`BookFault::FreeUnknown`] for a price without input or output.
    pub fn set_unknown(&mut self, price: Price) -> Result<(), BookFault> {
        let usual: Vec<Rates> = price.usual().map(|row| row.rates).collect();
        let special = price.rows().iter().map(|row| row.rates);
        let paid = |rates: Rates| rates.input > 0 && rates.output > 0 && rates.reasoning > 0;
        if !usual.into_iter().chain(special).all(paid) {
            return Err(BookFault::FreeUnknown);
        }
        self.unknown = price;
        Ok(())
    }

    /// What a model costs at a seller. Never nothing: see [`How::Unknown`].
    pub fn price(&self, seller: Seller<'_>, model: &str) -> Priced<'_> {
        let fits = |change: &&Override| {
            (*change.seller == *seller.provider || *change.seller == *seller.section)
                && change.model.matches(model)
        };
        let mut factor = None;
        for found in self.overrides.iter().filter(fits) {
            match &found.change {
                Change::Price(price) => {
                    let listed = found.model.as_str();
                    return Priced { price: Cow::Borrowed(price), how: How::Override, listed };
                }
                Change::Times(milli) => factor = factor.or(Some(*milli)),
            }
        }
        let priced = self.listed(seller.section, model);
        match factor {
            None => priced,
            Some(factor) => Priced { price: Cow::Owned(priced.price.into_owned().times(factor)), ..priced },
        }
    }

    /// What one section says of a model, without overrides and without the price of unknown models.
    pub fn of_section(&self, section: &str, model: &str) -> Option<Priced<'_>> {
        let found = self.listed(section, model);
        let own = self.table.sections.get(section)?;
        own.get(found.listed).is_some_and(|price| *price == *found.price).then_some(found)
    }

    /// What unknown models cost.
    pub const fn unknown(&self) -> &Price {
        &self.unknown
    }

    fn listed(&self, section: &str, model: &str) -> Priced<'_> {
        let own = self.table.sections.get(section);
        if let Some((name, price)) = own.and_then(|models| models.get_key_value(model)) {
            return Priced { price: Cow::Borrowed(price), how: How::Exact, listed: name };
        }
        let made = names::maker(model).filter(|maker| *maker != section);
        let forms = names::forms(model);
        let sections = [own, made.and_then(|maker| self.table.sections.get(maker))];
        let found = sections.into_iter().flatten().find_map(|models| spelt(models, model, &forms));
        match found {
            Some((name, price)) => Priced { price: Cow::Borrowed(price), how: How::Alias, listed: name },
            None => Priced { price: Cow::Borrowed(&self.unknown), how: How::Unknown, listed: "" },
        }
    }
}

/// Looks for a model in one section: by its name, then by other spellings of it, each also with a day.
fn spelt<'b>(
    models: &'b BTreeMap<Box<str>, Price>,
    model: &str,
    forms: &[String],
) -> Option<(&'b str, &'b Price)> {
    let mut all = std::iter::once(model).chain(forms.iter().map(String::as_str));
    all.find_map(|form| {
        let plain = models.get_key_value(form).map(|(name, price)| (&**name, price));
        plain.or_else(|| newest(models, form))
    })
}

/// The newest model of a name that stands in the table with days only.
fn newest<'b>(models: &'b BTreeMap<Box<str>, Price>, form: &str) -> Option<(&'b str, &'b Price)> {
    let after = models.range::<str, _>((Bound::Excluded(form), Bound::Unbounded));
    let same = after.take_while(|(name, _)| name.starts_with(form));
    let dated = same.filter(|(name, _)| name.get(form.len()..).is_some_and(names::is_dated));
    dated.max_by_key(|(name, _)| name.replace(['-', '@'], "")).map(|(name, price)| (&**name, price))
}

/// Leaves out names whose price is found without them, so that a table holds no more than it has to.
pub(crate) fn compacted(sections: &Sections) -> Sections {
    sections.iter().map(|(section, models)| (section.clone(), compacted_section(models))).collect()
}

fn compacted_section(models: &BTreeMap<Box<str>, Price>) -> BTreeMap<Box<str>, Price> {
    let found = |kept: &BTreeMap<Box<str>, Price>, name: &str| {
        spelt(kept, name, &names::forms(name)).map(|(_, price)| price.clone())
    };
    let mut kept = models.clone();
    let mut longest: Vec<&str> = models.keys().map(|name| &**name).collect();
    longest.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in longest {
        let Some(price) = kept.remove(name) else { continue };
        if found(&kept, name).as_ref() != Some(&price) {
            kept.insert(name.into(), price);
        }
    }
    // What a name led to may have been left out after it.
    loop {
        let lost = models.iter().filter(|(name, price)| found(&kept, name).as_ref() != Some(*price));
        let lost: Vec<_> = lost.collect();
        if lost.is_empty() {
            return kept;
        }
        kept.extend(lost.into_iter().map(|(name, price)| (name.clone(), price.clone())));
    }
}

/// How one table differs from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<'t> {
    /// The section.
    pub section: &'t str,
    /// The model.
    pub model: &'t str,
    /// Its price before; `None` when it is new.
    pub before: Option<&'t Price>,
    /// Its price after; `None` when it is gone.
    pub after: Option<&'t Price>,
}

/// What changed from one table to another, in order of section and name.
pub fn differences<'t>(before: &'t Table, after: &'t Table) -> Vec<Difference<'t>> {
    type Pair<'t> = (Option<&'t Price>, Option<&'t Price>);
    let mut all: BTreeMap<(&str, &str), Pair<'t>> = BTreeMap::new();
    for (section, models) in &before.sections {
        for (model, price) in models {
            all.entry((section, model)).or_default().0 = Some(price);
        }
    }
    for (section, models) in &after.sections {
        for (model, price) in models {
            all.entry((section, model)).or_default().1 = Some(price);
        }
    }
    let differ = all.into_iter().filter(|(_, (before, after))| before != after);
    differ.map(|((section, model), (before, after))| Difference { section, model, before, after }).collect()
}

/// A rate in dollars per million tokens, as tables have it.
pub fn dollars_per_million(rate: u64) -> String {
    decimal::write(rate, table::RATE_PLACES)
}

/// Dollars, exactly.
pub fn dollars(pico: u64) -> String {
    decimal::write(pico, table::FEE_PLACES)
}
