//! The price book: the shipped one, names spelt otherwise, overrides, unknown models.

use std::borrow::Cow;

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use crate::glob::Glob;
use crate::limits;
use crate::meter::book::{Book, BookFault, Change, How, Override, Seller, compacted, differences};
use crate::meter::price::{Price, Rates, Service};
use crate::meter::table::{Table, read_price};

fn seller(section: &str) -> Seller<'_> {
    Seller { provider: "ours", section }
}

#[track_caller]
fn check(book: &Book, section: &str, model: &str, how: How, listed: &str) {
    let priced = book.price(seller(section), model);
    assert_eq!((priced.how, priced.listed), (how, listed), "{section} {model}");
    assert!(priced.price.base.input > 0 && priced.price.base.output > 0, "{section} {model} is free");
}

#[test]
fn the_shipped_prices_are_whole() {
    let book = Book::shipped().unwrap();
    assert!(book.table().len() > 800 && include_str!("../prices.txt").len() < 150 * 1024);
    assert!(book.version() >= "2026-11-22");
    for (section, models) in &book.table().sections {
        for (model, price) in models {
            let rates = std::iter::once(&price.base).chain(price.rows().iter().map(|row| &row.rates));
            for rates in rates {
                let paid = [rates.input, rates.output, rates.reasoning, rates.cache_read, rates.write_short];
                assert!(paid.iter().all(|rate| *rate > 0), "{section} {model}: {rates:?}");
                // What a mistake in units would break: 1 to 1000 dollars for a million.
                assert!(
                    rates.output < 1_500_000_000 && rates.input <= rates.output * 20,
                    "{section} {model}"
                );
                assert!(rates.write_long >= rates.write_short && rates.write_short >= rates.input);
                assert!(rates.cache_read <= rates.input, "{section} {model}: {rates:?}");
            }
            check(&book, section, model, How::Exact, model);
        }
    }
}

#[test]
fn the_shipped_prices_are_found_by_every_name() {
    let book = Book::shipped().unwrap();
    let opus = book.price(seller("anthropic"), "claude-opus-5");
    assert_eq!(
        opus.price.base,
        Rates {
            input: 5_000_000,
            output: 25_000_000,
            reasoning: 25_000_000,
            cache_read: 500_000,
            write_short: 6_250_000,
            write_long: 10_000_000,
        }
    );
    assert_eq!((opus.price.fast, opus.price.us, opus.price.web_search), (2000, 1100, 10_000_000_000));
    assert_eq!(opus.price.rates(Service::Batch, 1).output, 12_500_000);
    for (section, model, listed) in [
        ("anthropic", "claude-opus-5[1m]", "claude-opus-5"),
        ("anthropic", "claude-opus-5-20260401", "claude-opus-5"),
        ("anthropic", "claude-opus-4.5", "claude-opus-4-5"),
        ("anthropic", "anthropic/claude-opus-5", "claude-opus-5"),
        ("vertex", "claude-opus-5@default", "claude-opus-5"),
        ("vertex", "claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("vertex", "publishers/anthropic/models/claude-opus-5", "claude-opus-5"),
        ("bedrock", "us.anthropic.claude-opus-5-v1:0", "anthropic.claude-opus-5"),
        ("bedrock", "global.anthropic.claude-opus-5-v1:0", "global.anthropic.claude-opus-5"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5",
            "anthropic.claude-opus-5",
        ),
        ("openai", "gpt-5-2025-08-07", "gpt-5"),
        ("gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        // A seller that is in no list: whoever makes the model has its price there.
        ("somewhere", "claude-opus-5", "claude-opus-5"),
        ("groq", "gpt-5.6", "gpt-5.6"),
    ] {
        check(&book, section, model, How::Alias, listed);
    }
    for (section, model) in [
        ("anthropic", "claude-opus-99"),
        ("anthropic", ""),
        ("somewhere", "llama"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"),
    ] {
        check(&book, section, model, How::Unknown, "");
    }
    let names = ["us.anthropic.claude-opus-5", "anthropic.claude-opus-5", "global.anthropic.claude-opus-5"];
    let [us, bare, world] = names.map(|model| book.price(seller("bedrock"), model).price.base.input);
    assert!(us == bare && bare > world, "a region is dearer than the world");
}

fn book(lines: &str) -> Book {
    Book::read(&format!("tollgate-prices 1 2026-11-22 x\n{lines}")).unwrap()
}

#[test]
fn the_nearest_name_wins() {
    let book = book(
        "[anthropic]\nclaude-a-20250101 1/1\nclaude-a-2025-06-01 2/2\nclaude-a-20250301 3/3\n\
         claude-a-b 4/4\nclaude-b 5/5\n\
         [bedrock]\nus.anthropic.claude-b 6/6\nus.anthropic.claude-d-20250101-v1:0 9/9\n\
         anthropic.claude-b-v1 7/7\nus-gov-west-1/anthropic.claude-b 8/8\n",
    );
    // Without a day the newest, and no model whose name only begins alike.
    check(&book, "anthropic", "claude-a", How::Alias, "claude-a-2025-06-01");
    check(&book, "anthropic", "claude-a-20250101", How::Exact, "claude-a-20250101");
    check(&book, "anthropic", "claude-a-20990101", How::Alias, "claude-a-2025-06-01");
    check(&book, "anthropic", "claude", How::Unknown, "");
    // Where a model runs has a price: the profile is given up last.
    check(&book, "bedrock", "us.anthropic.claude-b-v1:0", How::Alias, "us.anthropic.claude-b");
    check(&book, "bedrock", "eu.anthropic.claude-b-v1:0", How::Alias, "anthropic.claude-b-v1");
    check(&book, "bedrock", "us.anthropic.claude-d", How::Alias, "us.anthropic.claude-d-20250101-v1:0");
    check(&book, "bedrock", "us.anthropic.claude-b", How::Exact, "us.anthropic.claude-b");
    let gov = "arn:aws-us-gov:bedrock:us-gov-west-1:1:foundation-model/anthropic.claude-b";
    check(&book, "bedrock", gov, How::Alias, "us-gov-west-1/anthropic.claude-b");
    check(&book, "bedrock", "eu.anthropic.claude-a", How::Alias, "claude-a-2025-06-01");
    assert!(book.of_section("bedrock", "claude-a").is_none(), "another section has it");
    assert!(book.of_section("anthropic", "claude-b@default").is_some());
    assert!(book.of_section("nowhere", "claude-b").is_none());
}

fn said(seller: &str, model: &str, change: &str) -> Override {
    Override { seller: seller.into(), model: Glob::new(model), change: Change::read(change).unwrap() }
}

#[test]
fn the_config_has_the_last_word() {
    let mut book = book("[anthropic]\nclaude-a 10/20 search=1\nclaude-b 1/1\n");
    book.merge([
        said("anthropic", "claude-*", "*0.5"),
        said("anthropic", "*", "*0.25"),
        said("ours", "llama", "0/0"),
        said("anthropic", "claude-c*", "3/4"),
        said("anthropic", "claude-cc", "5/6"),
        said("theirs", "claude-a", "7/8"),
    ])
    .unwrap();
    let half = book.price(seller("anthropic"), "claude-a");
    assert_eq!(half.how, How::Exact);
    assert_eq!(*half.price, read_price("5/10 search=0.5").unwrap());
    assert_eq!(*book.price(seller("anthropic"), "claude-x").price, book.unknown().clone().times(500));
    assert_eq!(book.price(seller("anthropic"), "claude-x").how, How::Unknown);
    for (section, model, listed, price) in [
        ("anthropic", "claude-cd", "claude-c*", "3/4"),
        ("anthropic", "claude-cc", "claude-cc", "5/6"),
        // What one runs oneself may be free.
        ("anything", "llama", "llama", "0/0"),
    ] {
        let found = book.price(seller(section), model);
        assert_eq!((found.how, found.listed), (How::Override, listed));
        assert_eq!(found.price, Cow::Owned(read_price(price).unwrap()));
    }
    let theirs = Seller { provider: "theirs", section: "anthropic" };
    assert_eq!(book.price(theirs, "claude-a").price.base.input, 7_000_000);
    let many = || (0..limits::PRICE_OVERRIDES_MAX).map(|_| said("a", "b", "1/1"));
    assert_eq!(book.merge(many()), Err(BookFault::TooMany));
    assert_eq!(book.price(theirs, "claude-a").how, How::Override, "nothing of it was taken");
    for text in ["", "*", "*0", "x", "*0.5 5/25"] {
        assert!(Change::read(text).is_err(), "{text}");
    }
    assert!(Change::read(&format!("1/1{}", " ".repeat(5000))).is_err());
}

#[test]
fn unknown_models_are_never_free() {
    let mut book = book("[a]\nm 1/1\n");
    for free in ["0/1", "1/0", "1/1 >5 0/1", "1/1 batch 1/0", "1/1 think=0"] {
        assert_eq!(book.set_unknown(read_price(free).unwrap()), Err(BookFault::FreeUnknown), "{free}");
    }
    book.set_unknown(Price::of(Rates::flat(1, 2))).unwrap();
    assert_eq!(book.price(seller("a"), "n").price.base, Rates::flat(1, 2));
}

#[test]
fn a_table_holds_no_more_than_it_has_to() {
    let full = Table::read(
        "tollgate-prices 1 2026-11-22 x\n[anthropic]\n\
         claude-a 1/1\nclaude-a-20250101 1/1\nclaude-a@default 1/1\nclaude-b 1/1\n\
         claude-b-20250101 2/2\nclaude-c-20250101 1/1\nclaude-c-20250102 2/2\nclaude-c 2/2\n",
    )
    .unwrap();
    let small = Table { sections: compacted(&full.sections), ..full.clone() };
    let names: Vec<&str> =
        small.sections.values().flat_map(|models| models.keys().map(|name| &**name)).collect();
    assert_eq!(names, ["claude-a", "claude-b", "claude-b-20250101", "claude-c", "claude-c-20250101"]);
    let [full, small] = [full, small].map(Book::of);
    for model in full.table().sections.values().flat_map(|models| models.keys()) {
        let [before, after] = [&full, &small].map(|book| book.price(seller("anthropic"), model));
        assert_eq!(before.price, after.price, "{model}");
    }
}

#[test]
fn what_was_left_out_for_another_is_put_back_when_that_goes_too() {
    let full = Table::read(
        "tollgate-prices 1 2026-11-22 x\n[bedrock]\n\
         anthropic.claude-a 1/1\nanthropic.claude-a-20250101:0 1/1\nclaude-a 1/1\nclaude-a-20250101:0 2/2\n",
    )
    .unwrap();
    let small = Book::of(Table { sections: compacted(&full.sections), ..full });
    let priced = small.price(seller("bedrock"), "anthropic.claude-a-20250101:0");
    assert_eq!(priced.price.base, Rates::flat(1_000_000, 1_000_000));
}

#[test]
fn differences_are_named() {
    let [before, after] = ["[a]\nm 1/1\nn 1/1\no 1/1\n", "[a]\nm 1/1\nn 2/1\n[b]\np 1/1\n"].map(book);
    let found = differences(before.table(), after.table());
    let shown: Vec<_> = found
        .iter()
        .map(|found| (found.section, found.model, found.before.is_some(), found.after.is_some()))
        .collect();
    assert_eq!(shown, [("a", "n", true, true), ("a", "o", true, false), ("b", "p", false, true)]);
}

/// Names of few models in all the spellings there are.
fn name() -> impl Strategy<Value = String> {
    let heads = ["", "us.", "eu.", "us-gov-west-1/", "models/"];
    let models = ["claude-a", "Claude-A", "claude-4.5", "claude-4-5", "claude-v2"];
    let ends = ["", "-20250101", "-20250301", "@20250101", "@default", "-latest", "[1m]"];
    let (heads, models, ends) = (select(heads.to_vec()), select(models.to_vec()), select(ends.to_vec()));
    let parts =
        (heads, select(&["", "anthropic."][..]), models, ends, select(&["", "-v1", ":0", "-v1:0"][..]));
    parts.prop_map(|(head, vendor, model, end, version)| format!("{head}{vendor}{model}{end}{version}"))
}

proptest! {
    #[test]
    fn every_name_keeps_its_price_in_a_smaller_table(
        prices in proptest::collection::btree_map(name(), 1u64..3, 1..12),
    ) {
        let models = prices.into_iter().map(|(name, rate)| (name.into(), Price::of(Rates::flat(rate, 1))));
        let full = Table { sections: [("bedrock".into(), models.collect())].into(), ..Table::default() };
        let small = Table { sections: compacted(&full.sections), ..Table::default() };
        prop_assert!(small.len() <= full.len());
        let [full, small] = [full, small].map(Book::of);
        for model in full.table().sections["bedrock"].keys() {
            let [before, after] = [&full, &small].map(|book| book.price(seller("bedrock"), model).price);
            prop_assert_eq!(before, after, "{}", model);
        }
    }

    #[test]
    fn any_name_has_a_price(
        section in "[a-z]{0,9}|bedrock|vertex", model in "\\PC{0,300}|[a-z.:/@-]{0,300}",
    ) {
        let book = book("[bedrock]\nanthropic.claude-b 1/1\n[vertex]\nm 1/1\n");
        let priced = book.price(Seller { provider: "x", section: &section }, &model);
        prop_assert!(priced.price.base.input > 0);
    }
}
