//! `tollgate budget show`: the budgets of a config, and how they stand by what the ledger has.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::BudgetCommand;
use crate::cli::entries::or_dash;
use crate::cli::output::{Failure, Output};
use crate::cli::table::columns;
use crate::clock;
use crate::config::load;
use crate::config::snapshot::Spending;
use crate::gateway::accounts;
use crate::ledger::follow::Follower;
use crate::ledger::index::store;
use crate::ledger::index::thread;
use crate::meter::book;
use crate::meter::budget::{Budgets, State};
use crate::meter::refused::dollars;
use crate::net::terminal;

/// Shows them.
pub(crate) fn run(
    config: Option<&Path>,
    BudgetCommand::Show { json }: &BudgetCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let loaded = load::read(config)?;
    let spending = &loaded.snapshot.spending;
    let now_ms = clock::unix_ms(clock::wall());
    let refused = |fault: &dyn std::fmt::Display| Failure::Refused(fault.to_string());
    let data_dir = &loaded.fixed.data_dir;
    let budgets = if data_dir.join("ledger").is_dir() {
        let index = store::path_in(data_dir);
        if let Err(fault) = thread::catch_up(&index, |from| Follower::offline(data_dir, from)) {
            output.note(&format!("warning: {fault}; what was spent last may be missing"))?;
        }
        accounts::budgets(spending, &index, now_ms).map_err(|fault| refused(&fault))?
    } else {
        Budgets::new(&spending.budgets).map_err(|fault| refused(&fault))?
    };
    let rows = rows(spending, &budgets.states(now_ms));
    if *json {
        return output.json(&rows);
    }
    if rows.is_empty() {
        return output.text("the config has no budgets; see `budgets:` in the README");
    }
    output.text(&table(&rows, terminal::columns()))
}

/// One budget, or one part of it.
#[derive(Serialize)]
struct Row {
    name: String,
    scope: String,
    limit_usd: String,
    spent_usd: String,
    used_percent: u64,
    resets_at_ms: Option<u64>,
    /// For people.
    #[serde(skip)]
    cells: [String; 3],
}

/// All budgets: those of which nobody has spent anything, too.
fn rows(spending: &Spending, states: &[State]) -> Vec<Row> {
    let mut rows = Vec::new();
    for budget in &spending.budgets {
        let zone = budget.window.zone();
        let before = rows.len();
        for state in states.iter().filter(|state| *state.name == *budget.name) {
            let resets = state.resets_at_ms.map(|at_ms| zone.shown(at_ms)).unwrap_or_default();
            rows.push(row(&budget.name, &state.scope, (state.limit_pico, state.spent_pico), resets));
            if let Some(row) = rows.last_mut() {
                row.resets_at_ms = state.resets_at_ms;
            }
        }
        if rows.len() == before {
            let of = match budget.each {
                Some(each) => format!("each {} of {}", each.noun(), budget.scope),
                None => budget.scope.to_string(),
            };
            rows.push(row(&budget.name, &of, (budget.limit_pico, 0), String::new()));
        }
    }
    rows
}

fn row(name: &str, scope: &str, (limit, spent): (u64, u64), resets: String) -> Row {
    let percent = u128::from(spent).saturating_mul(100).checked_div(u128::from(limit)).unwrap_or(100);
    Row {
        name: name.to_owned(),
        scope: scope.to_owned(),
        limit_usd: book::dollars(limit),
        spent_usd: book::dollars(spent),
        used_percent: u64::try_from(percent).unwrap_or(u64::MAX),
        resets_at_ms: None,
        cells: [dollars(limit), dollars(spent), resets],
    }
}

fn table(rows: &[Row], width: Option<usize>) -> String {
    let mut cells = vec![["BUDGET", "LIMIT", "SPENT", "USED", "BEGINS ANEW", "OF"].map(str::to_owned)];
    for row in rows {
        let [limit, spent, resets] = row.cells.clone();
        let used = format!("{} %", row.used_percent);
        cells.push([row.name.clone(), limit, spent, used, or_dash(&resets), row.scope.clone()]);
    }
    columns(&cells, &[1, 2, 3], width)
}
