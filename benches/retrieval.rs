//! How well and how fast tools are found: `cargo bench --bench retrieval` prints the tables.
//!
//! Questions and lists are read from `../shared/corpus`, or from the folder in `TOLLGATE_CORPUS`; without
//! them nothing is measured. What was chosen by the even questions is shown for the odd ones by itself.
//! By meaning as well is measured with the table that the journey tests install, or with the two files that
//! `TOLLGATE_EMBEDDING` names, with a colon between weights and tokenizer.

#![expect(clippy::print_stdout, reason = "its tables are what it is for")]
#![expect(clippy::print_stderr, reason = "a bench may say what it does not measure")]
#![expect(clippy::disallowed_methods, reason = "a bench takes the time as it is")]

#[path = "samples/labelled.rs"]
mod labelled;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::mcp::search;
use tollgate::mcp::search::Index;
use tollgate::mcp::search::meaning::Embedding;

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
    let table = table();
    let mut missed = 0;
    println!("by words");
    let by_words = found(&all, None, &mut missed);
    timed(&all, None);
    if let Some(table) = &table {
        println!("\nby words and by meaning");
        let by_both = found(&all, Some(table), &mut missed);
        for ((name, words), (_, both)) in by_words.iter().zip(&by_both) {
            if both < words {
                println!("MISSED: hit@5 of {name} is below that by words alone");
                missed += 1;
            }
        }
        timed(&all, Some(table));
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The table of embeddings, if it is there.
fn table() -> Option<Arc<Embedding>> {
    let named = std::env::var("TOLLGATE_EMBEDDING").ok();
    let named = named.as_deref().and_then(|named| named.split_once(':'));
    let named = named.map(|(weights, tokenizer)| [weights, tokenizer].map(PathBuf::from));
    let Some([weights, tokenizer]) = named.or_else(installed) else {
        let how = "`cargo test --test journey mcp_embedding` installs one";
        eprintln!("WARNING: there is no table of embeddings ({how}): by words alone");
        return None;
    };
    let begin = Instant::now();
    let files = std::fs::read(&weights).and_then(|weights| Ok((weights, std::fs::read(&tokenizer)?)));
    let files = files.map_err(|why| why.to_string());
    let made = |(weights, tokenizer): (Vec<u8>, Vec<u8>)| Embedding::new(weights, &tokenizer);
    match files.and_then(|files| made(files).map_err(|why| why.to_string())) {
        Ok(table) => {
            println!("{} x {}, read in {} ms", table.rows(), table.dimensions(), begin.elapsed().as_millis());
            Some(Arc::new(table))
        }
        Err(why) => {
            eprintln!("WARNING: {}: {why}", weights.display());
            None
        }
    }
}

/// Where the journey tests have put one.
fn installed() -> Option<[PathBuf; 2]> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let packages = std::fs::read_dir(target.join("peers/wordllama/lib")).ok()?.flatten();
    let package =
        packages.map(|entry| entry.path().join("site-packages/wordllama")).find(|path| path.is_dir())?;
    let files = ["weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"];
    Some(files.map(|file| package.join(file)))
}

/// Prints what is found, and counts the promises that are missed; hits in a thousand among the first five, by
/// set.
fn found(all: &Labelled, table: Option<&Arc<Embedding>>, missed: &mut usize) -> Vec<(&'static str, usize)> {
    let alone = index(&all.tools, table);
    let among = index(all.tools.iter().chain(&all.others), table);
    let sets: [(&'static str, &Index, bool, &[Question]); 6] = [
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
    let mut out = Vec::new();
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
            *missed += 1;
        }
        out.push((name, five));
    }
    out
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
fn timed(all: &Labelled, table: Option<&Arc<Embedding>>) {
    let tools: Vec<&Tool> = all.tools.iter().chain(&all.others).chain(&all.others).take(MANY).collect();
    println!("\n{:>6} {:>12} {:>14}", "tools", "index", "query");
    for many in [all.tools.len(), all.tools.len() + all.others.len(), tools.len()] {
        let some = || tools.iter().take(many).copied();
        let made =
            (0..TURNS).map(|_| time(|| drop(black_box(index(some(), table))))).min().unwrap_or_default();
        let index = index(some(), table);
        let ask = |step: &Question| drop(black_box(index.find(&step.words, 5, |_| true)));
        let fastest = |step: &Question| (0..TURNS).map(|_| time(|| ask(step))).min().unwrap_or_default();
        let asked: Duration = all.steps.iter().map(fastest).sum();
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
