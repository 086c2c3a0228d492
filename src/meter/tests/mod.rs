//! Tests of the meter, by what they look at.

mod book;
mod budget;
mod litellm;
mod model;
mod rate;
mod simulation;
mod table;

use crate::corpus::replay;
use crate::meter::fuzz;

#[test]
fn the_seeds_of_the_fuzz_targets_hold() {
    replay("price_table", 3, fuzz::price_table);
    replay("price_list", 2, fuzz::price_list);
}
