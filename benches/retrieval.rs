//! How well and how fast tools are found: `cargo bench --bench retrieval` prints the tables.
//!
//! Questions and lists are read from `../shared/corpus`, or from the folder in `TOLLGATE_CORPUS`; without
//! them nothing is measured. What was chosen by the even questions is shown for the odd ones by itself.

#![expect(clippy::print_stdout, reason = "its tables are what it is for")]
#![expect(clippy::print_stderr, reason = "a bench may say what it does not measure")]
#![expect(clippy::disallowed_methods, reason = "a bench takes the time as it is")]

#[path = "samples/labelled.rs"]
mod labelled;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tollgate::mcp::search;
use tollgate::mcp::search::Index;

use labelled::{Labelled, Question, Tool, hits, index, keywords, read};

/// Hits in a thousand among the first five that a change may not fall below, with their sets.
const FLOORS: [(&str, usize); 3] = [("steps", 720), ("steps, keywords", 700), ("steps, all tools", 690)];

/// Tools for which times are promised.
const MANY: usize = 3_000;

/// What a query may take then, and the making of the index.
const QUERY: Duration = Duration::from_micros(100);
/// See [`QUERY`].
const INDEX: Duration = Duration::from_millis(200);

/// How often everything is done that is timed; the fastest counts, since others use the machine too.
const TURNS: usize = 20;

fn main() -> ExitCode {
    let Some(all) = read() else { return ExitCode::SUCCESS };
    let missed = found(&all);
    timed(&all);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what is found; how many promises are missed.
fn found(all: &Labelled) -> usize {
    let alone = index(&all.tools);
    let among = index(all.tools.iter().chain(&all.others));
    let sets: [(&str, &Index, bool, &[Question]); 6] = [
        ("steps", &alone, false, &all.steps),
        ("steps, keywords", &alone, true, &all.steps),
        ("steps, all tools", &among, false, &all.steps),
        ("steps, keywords, all tools", &among, true, &all.steps),
        ("tasks", &alone, false, &all.tasks),
        ("tasks, all tools", &among, false, &all.tasks),
    ];
    println!(
        "{:<27} {:>6} {:>7} {:>6} {:>6} {:>6} {:>7} {:>7} {:>6}",
        "hit@k in %", "tools", "queries", "@1", "@5", "@10", "@5 even", "@5 odd", "found"
    );
    let mut missed = 0;
    for (name, index, short, questions) in sets {
        let at = |most| hits(index, most, short, questions.iter());
        let half = |first: usize| hits(index, 5, short, questions.iter().skip(first).step_by(2));
        let five = at(5);
        println!(
            "{name:<27} {:>6} {:>7} {:>6} {:>6} {:>6} {:>7} {:>7} {:>6}",
            index.len(),
            questions.len(),
            tenths(at(1)),
            tenths(five),
            tenths(at(10)),
            tenths(half(0)),
            tenths(half(1)),
            mean(index, short, questions)
        );
        if let Some((_, floor)) = FLOORS.iter().find(|(of, floor)| *of == name && five < *floor) {
            println!("MISSED: hit@5 of {name} is below {} %", tenths(*floor));
            missed += 1;
        }
    }
    missed
}

fn tenths(permille: usize) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

/// Tools that a search gives which may give five.
fn mean(index: &Index, short: bool, questions: &[Question]) -> String {
    let count = |question: &Question| {
        let words = if short { keywords(&question.words) } else { question.words.clone() };
        index.find(&words, 5, |_| true).len()
    };
    let sum: usize = questions.iter().map(count).sum();
    let hundredths = sum * 100 / questions.len().max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Prints how long it takes, with as many tools as labels are about, with all, and with as many as promised
/// for.
fn timed(all: &Labelled) {
    let tools: Vec<&Tool> = all.tools.iter().chain(&all.others).chain(&all.others).take(MANY).collect();
    println!("\n{:>6} {:>12} {:>14}", "tools", "index", "query");
    for many in [all.tools.len(), all.tools.len() + all.others.len(), tools.len()] {
        let some = || tools.iter().take(many).copied();
        let made = (0..TURNS).map(|_| time(|| drop(black_box(index(some()))))).min().unwrap_or_default();
        let index = index(some());
        let ask = || all.steps.iter().for_each(|step| drop(black_box(index.find(&step.words, 5, |_| true))));
        let asked = (0..TURNS).map(|_| time(ask)).min().unwrap_or_default();
        let each = asked / u32::try_from(all.steps.len().max(1)).unwrap_or(u32::MAX);
        let verdict = match (made <= INDEX, each <= QUERY) {
            (true, true) => "",
            _ if cfg!(debug_assertions) => "  (not optimised)",
            _ => "  MORE THAN PROMISED",
        };
        println!("{many:>6} {:>9} ms {:>11} us{verdict}", made.as_millis(), each.as_micros());
    }
    println!("promised for {MANY} tools: {} ms, {} us", INDEX.as_millis(), QUERY.as_micros());
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}
