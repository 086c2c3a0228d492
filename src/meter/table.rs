//! A table of prices as text: one line a model, in dollars per million tokens, for people and for programs.
//!
//! ```text
//! # a comment
//! tollgate-prices 1 2026-11-22 litellm-1.109.1
//! [anthropic]
//! claude-opus-5 5/25 read=0.5 write=6.25/10 search=0.01 fast=2 us=1.1 max=128000 batch*0.5
//! [openai]
//! gpt-5.6 4/20 read=0.4 write=5/10 >272000 8/30 read=0.8 write=10/20 flex*0.5 priority*2
//! ```
//!
//! The first line that is no comment names the form, the day of the prices and where they are from. After a
//! name stand the rates `input/output` and what differs from them: `read` is the rate of the cache, by itself
//! that of input; `write` those of writing into it for a short and for a long time, by themselves that of
//! input and that of the short one; `think` that of thinking, by itself that of output. `search` is dollars
//! for one search of the web, `fast us eu region` are factors, `max` is tokens of output. `>272000` begins
//! the rates of a tier, `flex` those of a class of service, `flex>272000` both; `flex*0.5` stands for the
//! usual rates of all tiers before it times a factor.

use std::collections::BTreeMap;

use crate::limits;
use crate::meter::decimal;
use crate::meter::price::{Milli, ONCE, Price, Rates, Row, Service};

/// How a table begins.
const FORM: &str = "tollgate-prices";

/// The only form so far.
const FORM_VERSION: &str = "1";

/// Decimal places between a dollar per million tokens and a pico-dollar per token.
pub(crate) const RATE_PLACES: u32 = 6;

/// Decimal places between a dollar and a pico-dollar.
pub(crate) const FEE_PLACES: u32 = 12;

/// Decimal places of factors.
const FACTOR_PLACES: u32 = 3;

/// The prices of one table, by section and name.
pub type Sections = BTreeMap<Box<str>, BTreeMap<Box<str>, Price>>;

/// A table as it stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The day of the prices: `2026-11-22`.
    pub date: Box<str>,
    /// Where they are from, one word.
    pub source: Box<str>,
    /// The prices.
    pub sections: Sections,
}

/// What is wrong with a table, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct TableFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it, for people.
    pub why: String,
}

impl Table {
    /// Reads a table. Lines may end with `\r\n`; nothing is guessed.
    ///
    /// # Errors
    /// The first line that is not understood or passes a bound of `limits::PRICE*`. A name that stands twice
    /// in its section is such a fault.
    pub fn read(text: &str) -> Result<Self, TableFault> {
        if u64::try_from(text.len()).map_or(true, |bytes| bytes > limits::PRICES_BYTES_MAX) {
            let why = format!("a table of prices has at most {} bytes", limits::PRICES_BYTES_MAX);
            return Err(TableFault { line: 1, why });
        }
        let mut reader = Reader::default();
        let mut last = 0;
        for (index, line) in text.lines().enumerate() {
            last = index + 1;
            reader.line(line).map_err(|why| TableFault { line: last, why })?;
        }
        if reader.table.date.is_empty() {
            return Err(TableFault { line: last.max(1), why: head_wanted() });
        }
        Ok(reader.table)
    }

    /// Writes what [`Table::read`] reads, with `comment` before it: the same prices give the same bytes.
    pub fn write(&self, comment: &str) -> String {
        let mut out = String::new();
        for line in comment.lines() {
            out.push_str(format!("# {line}").trim_end());
            out.push('\n');
        }
        out.push_str(&format!("{FORM} {FORM_VERSION} {} {}\n", self.date, self.source));
        for (section, models) in &self.sections {
            out.push_str(&format!("[{section}]\n"));
            for (name, price) in models {
                out.push_str(&format!("{name} {}\n", write_price(price)));
            }
        }
        out
    }

    /// Models of all sections.
    pub fn len(&self) -> usize {
        self.sections.values().map(BTreeMap::len).sum()
    }

    /// Whether it has no prices.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn head_wanted() -> String {
    format!("a table of prices begins with `{FORM} {FORM_VERSION} <yyyy-mm-dd> <source>`")
}

#[derive(Default)]
struct Reader {
    table: Table,
    section: Option<Box<str>>,
    models: usize,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.len() > limits::PRICE_LINE_BYTES_MAX {
            return Err(format!("a line has at most {} bytes", limits::PRICE_LINE_BYTES_MAX));
        }
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if self.table.date.is_empty() {
            return self.head(line);
        }
        if let Some(name) = line.strip_prefix('[') {
            return self.section(name);
        }
        let Some(section) = &self.section else {
            return Err("a `[section]` has to come before the first model".to_owned());
        };
        let (name, rest) = line.split_once(' ').ok_or("a name has no rates")?;
        if !is_name(name) {
            return Err(format!("the name of a model has 1 to {NAME_MAX} visible characters, all of ASCII"));
        }
        self.models += 1;
        if self.models > limits::PRICES_MAX {
            return Err(format!("a table has at most {} models", limits::PRICES_MAX));
        }
        let price = read_price(rest)?;
        let models = self.table.sections.entry(section.clone()).or_default();
        match models.insert(name.into(), price) {
            Some(_) => Err(format!("`{name}` stands in this section already")),
            None => Ok(()),
        }
    }

    fn head(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_ascii_whitespace().take(5).collect();
        let [FORM, version, date, source] = words.as_slice() else { return Err(head_wanted()) };
        if *version != FORM_VERSION {
            return Err(format!("this form of the table, {FORM} {FORM_VERSION}, is the only one known"));
        }
        if !is_date(date) || !is_name(source) {
            return Err(head_wanted());
        }
        self.table.date = (*date).into();
        self.table.source = (*source).into();
        Ok(())
    }

    fn section(&mut self, name: &str) -> Result<(), String> {
        let Some(name) = name.strip_suffix(']').filter(|name| is_section(name)) else {
            return Err("a section is `[name]`, the name of a-z, 0-9, `-` and `_`".to_owned());
        };
        if self.table.sections.len() >= limits::PRICE_SECTIONS_MAX {
            return Err(format!("a table has at most {} sections", limits::PRICE_SECTIONS_MAX));
        }
        self.section = Some(name.into());
        Ok(())
    }
}

const NAME_MAX: usize = limits::MODEL_NAME_BYTES_MAX;

/// Whether a model can have this name in a table.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && !text.starts_with(['#', '['])
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_section(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a text has the shape of a day; that there is such a day is not checked.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

/// The day of a moment in seconds since 1970, in UTC, as tables have it; `None` for moments that no calendar
/// has.
pub fn day(unix_s: u64) -> Option<String> {
    let at = jiff::Timestamp::from_second(i64::try_from(unix_s).ok()?).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()).filter(|day| is_date(day))
}

/// The rates that are being read.
#[derive(Clone, Copy)]
struct Open {
    place: Place,
    rates: Option<Draft>,
}

/// Whose rates they are.
#[derive(Clone, Copy)]
enum Place {
    /// The usual ones, below the first tier.
    Base,
    /// Those of a class of service above so many tokens.
    Row(Service, u64),
    /// Nobody's: behind `batch*0.5` stand none.
    Nowhere,
}

/// Rates of which only some were written.
#[derive(Clone, Copy)]
struct Draft {
    input: u64,
    output: u64,
    read: Option<u64>,
    short: Option<u64>,
    long: Option<u64>,
    think: Option<u64>,
}

impl Draft {
    fn rates(self) -> Rates {
        let write_short = self.short.unwrap_or(self.input);
        Rates {
            input: self.input,
            output: self.output,
            reasoning: self.think.unwrap_or(self.output),
            cache_read: self.read.unwrap_or(self.input),
            write_short,
            write_long: self.long.unwrap_or(write_short),
        }
    }
}

/// Reads what stands after the name in a line of a table; configs write prices like this too.
///
/// # Errors
/// What is wrong with it, for people.
pub fn read_price(text: &str) -> Result<Price, String> {
    let mut price = Price::of(Rates::default());
    let mut open = Open { place: Place::Base, rates: None };
    for word in text.split_ascii_whitespace() {
        if let Some((what, value)) = word.split_once('=') {
            field(&mut price, &mut open, what, value)?;
        } else if let Some((service, times)) = word.split_once('*') {
            close(&mut price, open)?;
            open = Open { place: Place::Nowhere, rates: None };
            let service = special(service)?;
            if !price.insert_times(service, factor(times)?) {
                return Err(format!("`{word}`: these rates stand here already"));
            }
        } else if word.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            if open.rates.is_some() || matches!(open.place, Place::Nowhere) {
                return Err(format!("`{word}`: whose rates these are has to be said before them"));
            }
            open.rates = Some(rates(word)?);
        } else {
            close(&mut price, open)?;
            open = Open { place: place(word)?, rates: None };
        }
    }
    close(&mut price, open)?;
    if price.rows().len() > limits::PRICE_ROWS_MAX {
        return Err(format!("a model has at most {} tiers and classes", limits::PRICE_ROWS_MAX));
    }
    Ok(price)
}

/// Takes the rates that were read to where they belong.
fn close(price: &mut Price, open: Open) -> Result<(), String> {
    let draft = open.rates.ok_or("the rates `input/output` are missing");
    match open.place {
        Place::Nowhere => {}
        Place::Base => price.base = draft?.rates(),
        Place::Row(service, above) => {
            if !price.insert(Row { service, above, rates: draft?.rates() }) {
                return Err(format!("the rates of {} above {above} stand here already", service.word()));
            }
        }
    }
    Ok(())
}

fn place(word: &str) -> Result<Place, String> {
    let (service, above) = word.split_once('>').unwrap_or((word, "0"));
    let above = whole(above)?;
    if service.is_empty() && above > 0 {
        return Ok(Place::Row(Service::Standard, above));
    }
    Ok(Place::Row(special(service)?, above))
}

fn special(word: &str) -> Result<Service, String> {
    let found = Service::SPECIAL.into_iter().find(|service| service.word() == word);
    found.ok_or_else(|| format!("`{word}` is no class of service: batch, flex, priority, ultrafast"))
}

fn rates(word: &str) -> Result<Draft, String> {
    let (input, output) = word.split_once('/').ok_or_else(|| format!("`{word}` is not `input/output`"))?;
    let (input, output) = (rate(input)?, rate(output)?);
    Ok(Draft { input, output, read: None, short: None, long: None, think: None })
}

fn field(price: &mut Price, open: &mut Open, what: &str, value: &str) -> Result<(), String> {
    let once = |old: Milli| if old == ONCE { factor(value) } else { Err(twice(what)) };
    match what {
        "read" | "write" | "think" => {
            let draft = open.rates.as_mut().ok_or_else(|| format!("`{what}=` has no rates before it"))?;
            return draft_field(draft, what, value);
        }
        "search" if price.web_search == 0 => price.web_search = bounded(value, FEE_PLACES)?,
        "fast" => price.fast = once(price.fast)?,
        "us" => price.us = once(price.us)?,
        "eu" => price.eu = once(price.eu)?,
        "region" => price.region = once(price.region)?,
        "max" if price.max_output == 0 => price.max_output = whole(value)?,
        "search" | "max" => return Err(twice(what)),
        _ => return Err(format!("`{what}=` is not known")),
    }
    Ok(())
}

fn twice(what: &str) -> String {
    format!("`{what}=` stands here twice")
}

fn draft_field(draft: &mut Draft, what: &str, value: &str) -> Result<(), String> {
    let (first, second) = match what {
        "read" => (&mut draft.read, None),
        "think" => (&mut draft.think, None),
        _ => (&mut draft.short, Some(&mut draft.long)),
    };
    if first.is_some() {
        return Err(twice(what));
    }
    let (value, long) = match (value.split_once('/'), second) {
        (Some((value, long)), Some(place)) => (value, Some((place, long))),
        _ => (value, None),
    };
    *first = Some(rate(value)?);
    if let Some((place, long)) = long {
        *place = Some(rate(long)?);
    }
    Ok(())
}

fn rate(text: &str) -> Result<u64, String> {
    bounded(text, RATE_PLACES)
}

fn bounded(text: &str, places: u32) -> Result<u64, String> {
    let value = decimal::read(text, places).map_err(|fault| format!("`{text}`: {fault}"))?;
    if value <= limits::PRICE_MAX {
        return Ok(value);
    }
    Err(format!("`{text}`: more than {} dollars for one", limits::PRICE_MAX / 1_000_000_000_000))
}

fn whole(text: &str) -> Result<u64, String> {
    let value = decimal::read(text, 0).map_err(|fault| format!("`{text}`: {fault}"))?;
    if value <= limits::PRICE_TOKENS_MAX { Ok(value) } else { Err(format!("`{text}`: too many tokens")) }
}

/// Reads a factor as people write it: `1.1`.
///
/// # Errors
/// A sentence when it is no decimal number with at most 3 digits after the point, or not more than 0 and at
/// most `limits::PRICE_FACTOR_MAX` thousandths.
pub fn factor(text: &str) -> Result<Milli, String> {
    let milli = decimal::read(text, FACTOR_PLACES).map_err(|fault| format!("`{text}`: {fault}"))?;
    let fits = u32::try_from(milli).ok().filter(|milli| (1..=limits::PRICE_FACTOR_MAX).contains(milli));
    let most = limits::PRICE_FACTOR_MAX / ONCE;
    fits.ok_or_else(|| format!("`{text}`: a factor is more than 0 and at most {most}"))
}

/// Writes what [`read_price`] reads, as short as it can be.
pub fn write_price(price: &Price) -> String {
    write_rates(&price.base) + &write_more(price)
}

/// The part of [`write_price`] behind the usual rates, with a space before each word.
pub fn write_more(price: &Price) -> String {
    let mut out = String::new();
    let factors = [("fast", price.fast), ("us", price.us), ("eu", price.eu), ("region", price.region)];
    let mut add = |word: std::fmt::Arguments<'_>| {
        out.push_str(&format!(" {word}"));
    };
    if price.web_search > 0 {
        add(format_args!("search={}", decimal::write(price.web_search, FEE_PLACES)));
    }
    for (word, factor) in factors.into_iter().filter(|(_, factor)| *factor != ONCE) {
        add(format_args!("{word}={}", write_factor(factor)));
    }
    if price.max_output > 0 {
        add(format_args!("max={}", price.max_output));
    }
    for row in price.usual().skip(1) {
        add(format_args!(">{} {}", row.above, write_rates(&row.rates)));
    }
    for service in Service::SPECIAL {
        if let Some(factor) = plain_factor(price, service) {
            add(format_args!("{}*{}", service.word(), write_factor(factor)));
            continue;
        }
        for row in price.rows().iter().filter(|row| row.service == service) {
            let above = if row.above == 0 { String::new() } else { format!(">{}", row.above) };
            add(format_args!("{}{above} {}", service.word(), write_rates(&row.rates)));
        }
    }
    out
}

fn write_factor(factor: Milli) -> String {
    decimal::write(u64::from(factor), FACTOR_PLACES)
}

fn write_rates(rates: &Rates) -> String {
    let text = |rate: u64| decimal::write(rate, RATE_PLACES);
    let mut out = format!("{}/{}", text(rates.input), text(rates.output));
    if rates.cache_read != rates.input {
        out.push_str(&format!(" read={}", text(rates.cache_read)));
    }
    if rates.write_long != rates.write_short {
        out.push_str(&format!(" write={}/{}", text(rates.write_short), text(rates.write_long)));
    } else if rates.write_short != rates.input {
        out.push_str(&format!(" write={}", text(rates.write_short)));
    }
    if rates.reasoning != rates.output {
        out.push_str(&format!(" think={}", text(rates.reasoning)));
    }
    out
}

/// The factor that makes all usual rates those of a class of service, where there is one.
fn plain_factor(price: &Price, service: Service) -> Option<Milli> {
    let first = price.rows().iter().find(|row| row.service == service && row.above == 0)?;
    let (whole, part) = (price.base.output, first.rates.output);
    let milli = u128::from(part).checked_mul(u128::from(ONCE))?.checked_div(u128::from(whole))?;
    let factor =
        Milli::try_from(milli).ok().filter(|milli| (1..=limits::PRICE_FACTOR_MAX).contains(milli))?;
    let usual = price.usual().map(|row| Row { service, rates: row.rates.times(factor), ..row });
    let own = price.rows().iter().filter(|row| row.service == service).copied();
    usual.eq(own).then_some(factor)
}
