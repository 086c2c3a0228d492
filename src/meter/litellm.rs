//! The price list of LiteLLM (`model_prices_and_context_window_backup.json`, MIT licence) as a table.
//!
//! Taken are models that chat, of providers that can be put behind the gateway, and of them what a call of
//! text costs. Left out are models without a price or with a price of 0 (the list has that also where a price
//! is not known), prices for images, sounds and seconds, and discounts by the hour of the day.

use std::collections::BTreeMap;

use crate::json;
use crate::json::{Fault, Field};
use crate::limits;
use crate::meter::book;
use crate::meter::decimal;
use crate::meter::price::{Milli, ONCE, Price, Rates, Row, Service};
use crate::meter::table::{self, FEE_PLACES, Sections, Table};

/// What stands above the imported table.
pub const NOTICE: &str = "\
Prices in US dollars per million tokens, made by `tollgate prices import`.
Data: model_prices_and_context_window_backup.json of LiteLLM, Copyright (c) 2023 Berri AI, MIT licence:
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the \"Software\"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions: The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF
ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS
FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.";

/// Providers of the list, and the section that their models go to; `*` ends a name for all that begin so.
const SECTIONS: &[(&str, &str)] = &[
    ("anthropic", "anthropic"),
    ("openai", "openai"),
    ("azure", "azure"),
    ("azure_ai", "azure"),
    ("bedrock", "bedrock"),
    ("bedrock_converse", "bedrock"),
    ("bedrock_mantle", "bedrock"),
    ("vertex_ai", "vertex"),
    ("vertex_ai-*", "vertex"),
    ("gemini", "gemini"),
    ("mistral", "mistral"),
    ("deepseek", "deepseek"),
    ("xai", "xai"),
    ("groq", "groq"),
    ("cerebras", "cerebras"),
    ("moonshot", "moonshot"),
    ("zai", "zai"),
    ("dashscope", "dashscope"),
    ("minimax", "minimax"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
];

/// What stands before names in the list and is not sent to providers.
const PREFIXES: &[&str] = &[
    "anthropic/",
    "openai/",
    "azure/",
    "azure_ai/",
    "bedrock_mantle/",
    "bedrock/",
    "vertex_ai/",
    "gemini/",
    "mistral/",
    "deepseek/",
    "xai/",
    "groq/",
    "cerebras/",
    "moonshot/",
    "zai/",
    "dashscope/",
    "minimax/",
    "cohere/",
];

/// Classes of service by the end of the list's keys.
const SERVICES: [(&str, Service); 4] = [
    ("_batches", Service::Batch),
    ("_flex", Service::Flex),
    ("_priority", Service::Priority),
    ("_ultrafast", Service::Ultrafast),
];

/// What a search costs where the list has forgotten it, by a part of the model's name or by the section: a
/// cent, and at Google the dearest that it has been.
const SEARCHES: &[(&str, u64)] =
    &[("claude", 10_000_000_000), ("openai", 10_000_000_000), ("gemini", 35_000_000_000)];

/// A list that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The prices.
    pub table: Table,
    /// Models of our providers that were left out, with the reason, in order of their names.
    pub left_out: Vec<(String, &'static str)>,
}

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// More than `limits::PRICE_LIST_BYTES_MAX`.
    #[error("the price list has more than {} bytes", limits::PRICE_LIST_BYTES_MAX)]
    TooLarge,
    /// Not an object of JSON, or cut short.
    #[error("the price list is not what LiteLLM publishes: {0}")]
    Json(#[from] Fault),
    /// Neither day nor source can stand in a table.
    #[error("a table of prices wants a day like 2026-11-22 and a source of one word")]
    Head,
    /// Fewer models than any edition of the list has had: it is something else.
    #[error("the price list has only {0} models that can be used")]
    TooFew(usize),
    /// More than a table takes.
    #[error("the price list does not fit into a table: {0}")]
    Table(#[from] table::TableFault),
}

/// Members of an object by their names, values as they stand there. Of two that are called the same the last
/// one holds; names with escapes are none that the list has.
type Fields<'j> = BTreeMap<&'j str, &'j str>;

/// Reads the list. `date` is the day that the prices are from, `source` one word that says where.
///
/// # Errors
/// Any [`ListFault`]; models that are odd by themselves are left out and named.
pub fn import(json: &[u8], date: &str, source: &str) -> Result<Imported, ListFault> {
    if u64::try_from(json.len()).map_or(true, |bytes| bytes > limits::PRICE_LIST_BYTES_MAX) {
        return Err(ListFault::TooLarge);
    }
    if !table::is_date(date) || !table::is_name(source) {
        return Err(ListFault::Head);
    }
    let list = members(json)?;
    let (mut sections, mut left_out) = (Sections::new(), Vec::new());
    for (key, value) in &list {
        let Ok(fields) = members(value.as_bytes()) else { continue };
        let Some(section) = section(&fields) else { continue };
        let name = PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix)).unwrap_or(key);
        match priced(&fields, section, name) {
            Ok(price) => {
                let models = sections.entry(section.into()).or_default();
                // Bedrock's models stand in the list by two names; of two prices the dearer one is kept.
                let old = models.entry(name.into()).or_insert_with(|| price.clone());
                if old.base.output < price.base.output {
                    *old = price;
                }
            }
            Err(why) => left_out.push(((*key).to_owned(), why)),
        }
    }
    sections.entry("bedrock".into()).and_modify(in_region);
    let sections = book::compacted(&sections);
    let table = Table { date: date.into(), source: source.into(), sections };
    if table.len() < limits::PRICE_LIST_MODELS_MIN {
        return Err(ListFault::TooFew(table.len()));
    }
    // What is written has to be readable: the bounds of a table hold for this one too.
    Table::read(&table.write(NOTICE))?;
    Ok(Imported { table, left_out })
}

/// On Bedrock a model's bare name, which answers in one region, costs what it costs in the regions together
/// (`us.`), where the list has given it the lower price of the whole world.
fn in_region(models: &mut BTreeMap<Box<str>, Price>) {
    let bare: Vec<Box<str>> = models.keys().filter(|name| name.starts_with("anthropic.")).cloned().collect();
    for name in bare {
        let Some(regions) = models.get(format!("us.{name}").as_str()).cloned() else { continue };
        if let Some(price) = models.get_mut(&name)
            && price.base.output < regions.base.output
        {
            *price = regions;
        }
    }
}

fn members(doc: &[u8]) -> Result<Fields<'_>, Fault> {
    let mut found = Fields::new();
    json::fields(doc, |Field { key, value }| {
        let value = doc.get(value.span).unwrap_or_default();
        if let (Ok(key), Ok(value)) = (std::str::from_utf8(key.raw), std::str::from_utf8(value)) {
            found.insert(key, value);
        }
        Ok::<(), Fault>(())
    })?;
    Ok(found)
}

/// The members of an object in an object; none where it is none.
fn inner<'j>(fields: &Fields<'j>, key: &str) -> Fields<'j> {
    fields.get(key).and_then(|raw| members(raw.as_bytes()).ok()).unwrap_or_default()
}

/// A word of the list, which needs no escapes.
fn word<'j>(fields: &Fields<'j>, key: &str) -> Option<&'j str> {
    fields.get(key)?.strip_prefix('"')?.strip_suffix('"')
}

/// The section that a model goes to; `None` for models that do not chat, and for providers that are not kept.
fn section(fields: &Fields<'_>) -> Option<&'static str> {
    if !matches!(word(fields, "mode")?, "chat" | "responses" | "completion") {
        return None;
    }
    let provider = word(fields, "litellm_provider")?;
    let fits = |known: &str| match known.strip_suffix('*') {
        Some(beginning) => provider.starts_with(beginning),
        None => provider == known,
    };
    SECTIONS.iter().find(|(known, _)| fits(known)).map(|(_, section)| *section)
}

fn priced(fields: &Fields<'_>, section: &str, name: &str) -> Result<Price, &'static str> {
    if !table::is_name(name) {
        return Err("its name cannot stand in a table");
    }
    if name.contains("-commitment/") {
        return Err("it is rented by the hour");
    }
    let rates = List { fields, name, section };
    let base = rates.read("", "", None).ok_or("it has no price for tokens");
    let (base, tiers) = match (base, rates.tiers()) {
        (_, Some(tiers)) => {
            let (first, rest) = tiers.split_first().ok_or("it has no price for tokens")?;
            (first.1, rest.to_vec())
        }
        (base, None) => {
            let base = base?;
            let above = rates.above();
            let tiers =
                above.iter().filter_map(|(tokens, text)| Some((*tokens, rates.read(text, "", Some(&base))?)));
            (base, tiers.collect())
        }
    };
    if base.input == 0 || base.output == 0 {
        return Err("its price is 0");
    }
    if base.input.max(base.output) > limits::PRICE_LIST_RATE_MAX {
        return Err("its price is beyond belief");
    }
    let mut price = Price::of(base);
    for (above, rates) in tiers {
        price.insert(Row { service: Service::Standard, above, rates });
    }
    for (ending, service) in SERVICES {
        rates.service(&mut price, ending, service);
    }
    rates.extras(&mut price);
    Ok(price)
}

/// The fields of one model.
struct List<'f, 'j> {
    fields: &'f Fields<'j>,
    name: &'f str,
    section: &'f str,
}

impl List<'_, '_> {
    /// A number in units of `10^-places`; `None` where it is not there, not a number, or out of bounds.
    fn number(&self, key: &str, places: u32) -> Option<u64> {
        number(self.fields.get(key)?, places)
    }

    /// The rates of the keys that end with `above` and `ending`: `_above_200k_tokens`, `_priority`. What they
    /// leave out has the same proportion to input or output as among the `usual` ones.
    fn read(&self, above: &str, ending: &str, usual: Option<&Rates>) -> Option<Rates> {
        let get = |what: &str| self.number(&format!("{what}{above}{ending}"), FEE_PLACES);
        let input = get("input_cost_per_token").filter(|rate| usual.is_none() || *rate > 0);
        let output = get("output_cost_per_token").filter(|rate| usual.is_none() || *rate > 0);
        // A list with one of the two has forgotten the other, which then has not changed.
        let (input, output) = match (input, output, usual) {
            (Some(input), Some(output), _) => (input, output),
            (Some(input), None, Some(usual)) => (input, usual.output),
            (None, Some(output), Some(usual)) => (usual.input, output),
            _ => return None,
        };
        // 0 is how the list writes that it does not know.
        let paid = |what: &str| get(what).filter(|rate| *rate > 0);
        let long_key = |hours: &str| format!("cache_creation_input_token_cost_above_{hours}hr");
        let written = Written {
            read: paid("cache_read_input_token_cost"),
            // To write is to read as well: what is said to be less is something else.
            short: paid("cache_creation_input_token_cost").filter(|rate| *rate >= input),
            long: paid(&long_key("1")).or_else(|| paid(&long_key("12"))),
            think: paid("output_cost_per_reasoning_token"),
        };
        Some(match usual {
            Some(usual) => written.beside(usual, input, output),
            None => written.alone(input, output, self.name.contains("claude")),
        })
    }

    /// The tiers that the list writes into keys: tokens, and the part of the key.
    fn above(&self) -> Vec<(u64, String)> {
        let keys = self.fields.keys().filter_map(|key| {
            let rest = key.strip_prefix("input_cost_per_token_above_")?;
            let thousands = rest.strip_suffix("k_tokens")?;
            let tokens = u64::from(thousands.parse::<u32>().ok()?) * 1000;
            // At xAI a tier begins with its number (docs.x.ai/docs/models, read 2026-11), elsewhere above it.
            let tokens = if self.section == "xai" { tokens.saturating_sub(1) } else { tokens };
            Some((tokens, format!("_above_{thousands}k_tokens")))
        });
        keys.take(limits::PRICE_ROWS_MAX / 8).collect()
    }

    /// The tiers that the list writes as an array; the first one begins at 0.
    fn tiers(&self) -> Option<Vec<(u64, Rates)>> {
        let tiers = items(self.fields.get("tiered_pricing")?)?;
        let mut found: Vec<(u64, Rates)> = Vec::new();
        for tier in tiers.into_iter().take(limits::PRICE_ROWS_MAX / 8) {
            let fields = members(tier.as_bytes()).ok()?;
            let from = number(items(fields.get("range")?)?.first()?, 0)?;
            let own = List { fields: &fields, ..*self };
            found.push((from, own.read("", "", found.first().map(|(_, rates)| rates))?));
        }
        (found.first()?.0 == 0).then_some(found)
    }

    /// The rates of a class of service, in all tiers.
    fn service(&self, price: &mut Price, ending: &str, service: Service) {
        let Some(first) = self.read("", ending, Some(&price.base)) else { return };
        price.insert(Row { service, above: 0, rates: first });
        let usual: Vec<Row> = price.usual().skip(1).collect();
        for row in usual {
            let above = format!("_above_{}k_tokens", row.above.div_ceil(1000));
            let rates = self.read(&above, ending, Some(&row.rates));
            // A tier that is not listed for a class is as much dearer there as it is usually.
            let rates = rates.unwrap_or_else(|| proportional(&price.base, &row.rates, &first));
            price.insert(Row { service, above: row.above, rates });
        }
    }

    fn extras(&self, price: &mut Price) {
        let factor = |key: &str| self.fields.get(key).and_then(|raw| milli(raw)).unwrap_or(ONCE);
        let entry = inner(self.fields, "provider_specific_entry");
        let own = |key: &str| entry.get(key).and_then(|raw| milli(raw));
        price.fast = own("fast").unwrap_or(ONCE);
        price.us = own("us").unwrap_or_else(|| factor("regional_processing_uplift_multiplier_us"));
        price.eu = factor("regional_processing_uplift_multiplier_eu");
        let region = factor("regional_endpoint_uplift_multiplier");
        if region != ONCE && self.section == "vertex" {
            // All endpoints of Vertex but the global one, those of several regions included.
            (price.us, price.eu, price.region) = (region, region, region);
        }
        price.max_output = self
            .number("max_output_tokens", 0)
            .filter(|tokens| *tokens <= limits::PRICE_TOKENS_MAX)
            .unwrap_or(0);
        let search = inner(self.fields, "search_context_cost_per_query");
        // How much a search looked at is not in the answer: the dearest holds.
        let dearest = search.values().filter_map(|raw| number(raw, FEE_PLACES)).max();
        let sold = |(part, _): &&(&str, u64)| self.name.contains(part) || self.section == *part;
        let unsaid = SEARCHES.iter().find(sold).map_or(0, |(_, fee)| *fee);
        price.web_search = dearest.filter(|fee| *fee > 0).unwrap_or(unsaid);
    }
}

/// Rates that a list may leave out/// Rates that a list may leave out.
struct Written {
    read: Option<u64>,
    short: Option<u64>,
    long: Option<u64>,
    think: Option<u64>,
}

impl Written {
    fn alone(self, input: u64, output: u64, claude: bool) -> Rates {
        let write_short = self.short.unwrap_or(input);
        // Anthropic's price for an hour is twice that of input, wherever its models are sold.
        let long = if claude { write_short.max(input.saturating_mul(2)) } else { write_short };
        Rates {
            input,
            output,
            reasoning: self.think.unwrap_or(output),
            cache_read: self.read.unwrap_or(input),
            write_short,
            write_long: self.long.unwrap_or(long),
        }
    }

    fn beside(self, usual: &Rates, input: u64, output: u64) -> Rates {
        let of_input = |rate| in_proportion(rate, input, usual.input);
        Rates {
            input,
            output,
            reasoning: self.think.unwrap_or_else(|| in_proportion(usual.reasoning, output, usual.output)),
            // Not all who give a discount on input give it on what they have kept.
            cache_read: self
                .read
                .unwrap_or_else(|| of_input(usual.cache_read).max(usual.cache_read.min(input))),
            write_short: self.short.unwrap_or_else(|| of_input(usual.write_short)),
            write_long: self.long.unwrap_or_else(|| of_input(usual.write_long)),
        }
    }
}

/// `first` times what the rates of a tier are to the usual ones.
fn proportional(base: &Rates, tier: &Rates, first: &Rates) -> Rates {
    Rates {
        input: in_proportion(tier.input, first.input, base.input),
        output: in_proportion(tier.output, first.output, base.output),
        reasoning: in_proportion(tier.reasoning, first.reasoning, base.reasoning),
        cache_read: in_proportion(tier.cache_read, first.cache_read, base.cache_read),
        write_short: in_proportion(tier.write_short, first.write_short, base.write_short),
        write_long: in_proportion(tier.write_long, first.write_long, base.write_long),
    }
}

/// `rate * part / whole`, rounded up; `rate` where there is no whole.
fn in_proportion(rate: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return rate;
    }
    let exact = (u128::from(rate) * u128::from(part)).div_ceil(u128::from(whole));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

/// The elements of an array as they stand there.
fn items(raw: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let all = json::elements(raw.as_bytes(), 0..raw.len(), |value| {
        found.push(raw.get(value.span).unwrap_or_default());
        Ok::<(), Fault>(())
    });
    all.ok().map(|()| found)
}

/// A number of JSON in units of `10^-places`, within the bound of a price.
fn number(raw: &str, places: u32) -> Option<u64> {
    decimal::read_json(raw, places).ok().filter(|value| *value <= limits::PRICE_MAX)
}

fn milli(raw: &str) -> Option<Milli> {
    let milli = Milli::try_from(number(raw, 3)?).ok()?;
    (1..=limits::PRICE_FACTOR_MAX).contains(&milli).then_some(milli)
}
