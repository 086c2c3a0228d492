//! Tables of prices: what is read, what is refused where, and that writing is the reverse of reading.

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use crate::limits;
use crate::meter::price::{ONCE, Price, Rates, Row, Service};
use crate::meter::table::{Table, day, factor, read_price, write_more, write_price};

const HEAD: &str = "tollgate-prices 1 2026-11-22 somewhere-1.0\n";

#[test]
fn a_line_says_all_of_a_price() {
    let price = read_price(
        "5/25 read=0.5 write=6.25/10 think=30 search=0.01 fast=2 us=1.1 eu=1.05 region=1.2 max=128000 \
         >200000 10/50 read=1 batch*0.5 priority>0 7/35 priority>300000 8/40 write=9",
    );
    let price = price.unwrap();
    let base = Rates {
        input: 5_000_000,
        output: 25_000_000,
        reasoning: 30_000_000,
        cache_read: 500_000,
        write_short: 6_250_000,
        write_long: 10_000_000,
    };
    assert_eq!(price.base, base);
    assert_eq!((price.fast, price.us, price.eu, price.region), (2000, 1100, 1050, 1200));
    assert_eq!((price.web_search, price.max_output), (10_000_000_000, 128_000));
    let tier = Rates { cache_read: 1_000_000, ..Rates::flat(10_000_000, 50_000_000) };
    assert_eq!(*price.rates(Service::Standard, 200_001), tier);
    assert_eq!(*price.rates(Service::Batch, 1), base.times(500));
    assert_eq!(*price.rates(Service::Batch, 200_001), tier.times(500));
    assert_eq!(*price.rates(Service::Priority, 1), Rates::flat(7_000_000, 35_000_000));
    let long = price.rates(Service::Priority, 300_001);
    assert_eq!((long.write_short, long.write_long, long.cache_read), (9_000_000, 9_000_000, 8_000_000));
}

#[test]
fn what_is_not_understood_is_refused() {
    for (text, why) in [
        ("", "missing"),
        ("read=1", "no rates before"),
        ("5", "not `input/output`"),
        ("5/x", "`x`"),
        ("-5/1", "missing"),
        ("5/25 6/30", "whose rates"),
        ("5/25 read=1 read=2", "twice"),
        ("5/25 write=1/2/3", "2/3"),
        ("5/25 read=1/2", "1/2"),
        ("5/25 us=1.1 us=1.2", "twice"),
        ("5/25 max=1 max=1", "twice"),
        ("5/25 max=1.5", "more digits"),
        ("5/25 search=0.01 search=0.01", "twice"),
        ("5/25 nonsense=1", "not known"),
        ("5/25 us=0", "more than 0"),
        ("5/25 us=1.0001", "more digits"),
        ("5/25 us=1001", "at most 1000"),
        ("0.0000001/1", "more digits"),
        ("1000000001/1", "more than 1000 dollars"),
        ("5/25 max=1000000001", "too many"),
        ("5/25 >200000", "missing"),
        ("5/25 > 1/1", "no decimal"),
        ("5/25 >0 1/1", "no class"),
        ("5/25 nonsense 1/1", "no class"),
        ("5/25 standard 1/1", "no class"),
        ("5/25 >200 1/1 >200 1/1", "already"),
        ("5/25 batch*0.5 batch 1/1", "already"),
        ("5/25 batch 1/1 batch*0.5", "already"),
        ("5/25 batch*0.5 1/1", "whose rates"),
        ("5/25 batch*0.5 read=1", "no rates before"),
        ("batch*0.5", "missing"),
    ] {
        let fault = read_price(text).expect_err(text);
        assert!(fault.contains(why), "{text}: {fault}");
    }
    let tiers: String = (1..=65).map(|tier| format!(" >{tier} 1/1")).collect();
    assert!(read_price(&format!("5/25{tiers}")).is_err_and(|fault| fault.contains("at most 64")));
    for text in ["", "0", "1.0001", "1e3", "-1", "1000.001"] {
        assert!(factor(text).is_err(), "{text}");
    }
    assert_eq!(factor("1000"), Ok(limits::PRICE_FACTOR_MAX));
}

#[track_caller]
fn refused(text: &str, line: usize, why: &str) {
    let fault = Table::read(text).expect_err(text);
    assert_eq!(fault.line, line, "{fault}");
    assert!(fault.why.contains(why), "{fault}");
}

#[test]
fn a_faulty_table_is_refused_by_its_line() {
    refused("", 1, "begins with");
    refused("# only a comment\n\n", 2, "begins with");
    refused("[anthropic]\n", 1, "begins with");
    refused("tollgate-prices 2 2026-11-22 x\n", 1, "only one known");
    refused("tollgate-prices 1 22.11.2026 x\n", 1, "begins with");
    refused("tollgate-prices 1 2026-11-22\n", 1, "begins with");
    refused("tollgate-prices 1 2026-11-22 x y\n", 1, "begins with");
    refused(&format!("{HEAD}model 1/2\n"), 2, "section");
    refused(&format!("{HEAD}[Anthropic]\n"), 2, "`[name]`");
    refused(&format!("{HEAD}[a\n"), 2, "`[name]`");
    refused(&format!("{HEAD}[]\n"), 2, "`[name]`");
    refused(&format!("{HEAD}[a]\n\n# x\nmodel\n"), 5, "no rates");
    refused(&format!("{HEAD}[a]\nm\u{f6}del 1/2\n"), 3, "visible characters");
    refused(&format!("{HEAD}[a]\n{} 1/2\n", "m".repeat(257)), 3, "visible characters");
    refused(&format!("{HEAD}[a]\nm 1/2\n[b]\nm 1/2\n[a]\nm 1/2\n"), 7, "already");
    refused(&format!("{HEAD}[a]\nm 1/2 x\n"), 3, "no class");
    refused(&format!("{HEAD}[a]\n#{}\n", "x".repeat(5000)), 3, "4096 bytes");
    refused(&" ".repeat(5 * 1024 * 1024), 1, "4194304 bytes");
    let many: String = (0..=limits::PRICES_MAX).map(|model| format!("m{model} 1/2\n")).collect();
    refused(&format!("{HEAD}[a]\n{many}"), limits::PRICES_MAX + 3, "32768 models");
    let many: String = (0..=limits::PRICE_SECTIONS_MAX).map(|name| format!("[s{name}]\nm 1/2\n")).collect();
    refused(&format!("{HEAD}{many}"), limits::PRICE_SECTIONS_MAX * 2 + 2, "256 sections");
}

#[test]
fn comments_blank_lines_and_line_ends_say_nothing() {
    let text = "# c\r\n\r\ntollgate-prices  1 2026-11-22 x\r\n  [a]\r\n\tm 1/2  read=0.5\r\n[empty]\n";
    let table = Table::read(text).unwrap();
    assert_eq!((&*table.date, &*table.source, table.len()), ("2026-11-22", "x", 1));
    assert_eq!(
        table.write("one\n\ntwo"),
        "# one\n#\n# two\ntollgate-prices 1 2026-11-22 x\n[a]\nm 1/2 read=0.5\n"
    );
}

#[test]
fn what_is_usual_is_not_written() {
    for text in
        ["1/2", "1/2 write=3", "1/2 write=1/2", "1/2 think=3 >5 2/4 batch*0.5", "0/0", "1/2 flex>7 3/4"]
    {
        assert_eq!(write_price(&read_price(text).unwrap()), text);
    }
    let price = read_price("1/2 read=1 write=1/1 think=2 us=1 batch 0.5/1").unwrap();
    assert_eq!(write_price(&price), "1/2 batch*0.5");
    assert_eq!(write_more(&price), " batch*0.5");
}

#[test]
fn days_are_those_of_the_calendar() {
    assert_eq!(day(0).as_deref(), Some("1970-01-01"));
    assert_eq!(day(1_795_305_599).as_deref(), Some("2026-11-21"));
    assert_eq!(day(1_795_305_600).as_deref(), Some("2026-11-22"));
    assert_eq!(day(u64::MAX), None);
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = || prop_oneof![Just(1_000_000u64), 0..=limits::PRICE_MAX];
    (rate(), rate(), rate(), rate(), rate(), rate()).prop_map(
        |(input, output, reasoning, read, short, long)| Rates {
            input,
            output,
            reasoning,
            cache_read: read,
            write_short: short,
            write_long: long,
        },
    )
}

fn price() -> impl Strategy<Value = Price> {
    let factor = || prop_oneof![Just(ONCE), 1..=limits::PRICE_FACTOR_MAX];
    let service = prop_oneof![
        Just(Service::Standard),
        Just(Service::Batch),
        Just(Service::Flex),
        Just(Service::Priority),
        Just(Service::Ultrafast)
    ];
    let rows = proptest::collection::vec((service, 0..=limits::PRICE_TOKENS_MAX, rates()), 0..6);
    let numbers = (0..=limits::PRICE_MAX, 0..=limits::PRICE_TOKENS_MAX);
    // Half a price of the usual one, where it is not below what can be paid.
    (rates(), rows, (factor(), factor(), factor(), factor()), numbers, any::<bool>()).prop_map(
        |(base, rows, (fast, us, eu, region), (web_search, max_output), half)| {
            let mut price = Price { fast, us, eu, region, web_search, max_output, ..Price::of(base) };
            for (service, above, rates) in rows {
                price.insert(Row { service, above, rates });
            }
            if half {
                price.insert_times(Service::Batch, 500);
            }
            price
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(price in price()) {
        let text = write_price(&price);
        prop_assert_eq!(read_price(&text), Ok(price), "{}", text);
    }

    #[test]
    fn any_text_is_a_table_or_refused(
        text in "(tollgate-prices 1 2026-11-22 x\n)?([a-z0-9/=*>. \n\\[\\]#-]|batch){0,200}|\\PC{0,200}",
    ) {
        if let Ok(table) = Table::read(&text) {
            prop_assert_eq!(Table::read(&table.write("")), Ok(table));
        }
    }
}
