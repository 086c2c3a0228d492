//! The fuzz bodies of the price book: tables and lists are anything, and what is taken can be written again.

use crate::meter::book::{Book, Seller};
use crate::meter::litellm;
use crate::meter::names;
use crate::meter::table::Table;

/// Reads any table; one that is read says the same when it is written, and prices any name.
pub fn price_table(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(table) = Table::read(&text) else { return };
    assert_eq!(Table::read(&table.write("")).as_ref(), Ok(&table));
    let name = text.lines().last().unwrap_or_default();
    let book = Book::of(table);
    for section in book.table().sections.keys() {
        let priced = book.price(Seller { provider: "any", section }, name);
        assert!(priced.listed.is_empty() || priced.price.rows().len() <= crate::limits::PRICE_ROWS_MAX);
    }
    let _section = names::section_of_host(name);
}

/// Imports any list.
pub fn price_list(data: &[u8]) {
    if let Ok(imported) = litellm::import(data, "2026-11-22", "any") {
        assert!(
            imported
                .table
                .sections
                .values()
                .flat_map(|models| models.values())
                .all(|price| { price.base.input > 0 && price.base.output > 0 })
        );
    }
}
