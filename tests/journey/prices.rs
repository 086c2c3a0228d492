//! What calls cost by our arithmetic and prices, and by those of others: every difference has a known reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::glob::Glob;
use tollgate::meter::book::{Book, Seller};
use tollgate::meter::cost::{self, Served, Usage};
use tollgate::meter::price::Service;

use crate::gateway::Folder;
use crate::peers;
use crate::program;

/// Sections of our table, and providers of theirs.
const SELLERS: &[(&str, &str)] = &[
    ("anthropic", "anthropic"),
    ("azure", "azure"),
    ("bedrock", "aws"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("deepseek", "deepseek"),
    ("gemini", "google"),
    ("groq", "groq"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("moonshot", "moonshotai"),
    ("openai", "openai"),
    ("vertex", "google"),
    ("xai", "x-ai"),
    ("zai", "zai"),
];

/// What can be charged for, each by itself first.
const KINDS: &[&str] = &["input", "output", "thought", "read", "short", "long", "search"];

/// Ways to be served that both know.
const WAYS: &[(&str, &str, &str)] = &[
    ("batch", "processing", "batch"),
    ("flex", "service_tier", "flex"),
    ("priority", "service_tier", "priority"),
    ("priority", "service_tier", "fast"),
    ("fast", "speed", "fast"),
];

/// Sizes of input around the tiers that there are, and beyond all of them.
const SIZES: &[u64] = &[
    32_000, 32_001, 100_000, 100_001, 128_000, 128_001, 200_000, 200_001, 256_001, 272_000, 272_001, 512_001,
    999_983,
];

/// One question to both.
struct Call {
    section: &'static str,
    model: String,
    /// What would be wrong if the answers differed: a kind, `tiers`, or a way.
    about: &'static str,
    usage: Usage,
    served: Served,
    context: Value,
}

impl Call {
    fn ours(&self, book: &Book) -> u64 {
        let priced = book.price(Seller { provider: "test", section: self.section }, &self.model);
        cost::cost(&priced.price, self.served, &self.usage)
    }

    /// They count what came from the cache and went there as input; thinking is a part of output for both.
    fn theirs(&self) -> Value {
        let usage = &self.usage;
        let counts = [
            ("input_tokens", usage.total_input()),
            ("output_tokens", usage.output),
            ("cache_read_tokens", usage.cache_read),
            ("cache_write_tokens", usage.cache_write_5m + usage.cache_write_1h),
            ("cache_write_1h_tokens", usage.cache_write_1h),
            ("web_searches", usage.web_searches),
            ("output_reasoning_tokens", usage.reasoning),
        ];
        let usage: BTreeMap<_, _> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        let provider =
            SELLERS.iter().find(|(section, _)| *section == self.section).map(|(_, theirs)| *theirs);
        json!({ "provider": provider, "model": self.model, "usage": usage, "context": self.context })
    }
}

/// So much of each kind, in numbers that make every mistake visible.
fn usage(kinds: &[&str], size: u64) -> Usage {
    let count = |kind: &str, count: u64| if kinds.contains(&kind) { count } else { 0 };
    let (read, short, long) = (count("read", size / 3), count("short", size / 7), count("long", size / 11));
    let input = if kinds.contains(&"input") { size - read - short - long } else { 0 };
    let output = count("output", 1009).max(count("thought", 1013));
    Usage {
        input,
        output,
        reasoning: count("thought", 503),
        cache_read: read,
        cache_write_5m: short,
        cache_write_1h: long,
        web_searches: count("search", 3),
    }
}

/// Asks them all questions at once: name of the model there, and pico-dollars rounded up.
fn ask(calls: &[Call]) -> Vec<Option<(String, u64)>> {
    let questions: Vec<Value> = calls.iter().map(Call::theirs).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/other_prices.py");
    let input = serde_json::to_vec(&questions).expect("questions are JSON");
    let mut python = Command::new(peers::prices_python());
    let outcome = program::run_with_input(python.arg(script), &input, Duration::from_secs(300)).succeeded();
    let answers: Vec<Option<String>> = serde_json::from_str(&outcome.stdout).expect("answers are JSON");
    assert_eq!(answers.len(), calls.len());
    let read = |answer: String| {
        let (name, pico) = answer.rsplit_once(' ').expect("a name and a price");
        let (whole, part) = pico.split_once('.').unwrap_or((pico, ""));
        let up = u64::from(part.bytes().any(|digit| digit != b'0'));
        (name.to_owned(), whole.parse::<u64>().expect("a price") + up)
    };
    answers.into_iter().map(|answer| answer.map(read)).collect()
}

type Differences = BTreeMap<(&'static str, String, &'static str), String>;

/// Asks both, notes what differs, and returns what was compared.
fn compare(book: &Book, calls: &[Call], found: &mut Differences) -> BTreeSet<(String, &'static str)> {
    let mut compared = BTreeSet::new();
    for (call, answer) in calls.iter().zip(ask(calls)) {
        // Nobody sells for nothing: 0 is how they write that they do not know.
        let Some((name, theirs)) = answer.filter(|(_, theirs)| *theirs > 0) else { continue };
        compared.insert((format!("{} {}", call.section, call.model), call.about));
        let ours = call.ours(book);
        if ours != theirs {
            let text = format!("ours {ours}, theirs {theirs} ({name}) for {:?}", call.usage);
            found.entry((call.section, call.model.clone(), call.about)).or_insert(text);
        }
    }
    compared
}

/// A difference that is known: section, model, what it is about, and who is right.
type Known = (&'static str, &'static str, &'static [&'static str], &'static str);

const TOKENS: &[&str] = &["input", "output", "thought"];
const CACHED: &[&str] = &["input", "output", "thought", "read"];
const ALL: &[&str] = &["input", "output", "thought", "read", "short", "long"];

const REGION: &str = "they have one price for all regions of a cloud, and this region has its own";
const TIERS: &str = "their list has no tier; ours has, and is dearer by it";
const UNLISTED: &str = "our list has no price for this class of service, so the usual one holds: too much";
const ANOTHER: &str = "they take the name for that of another model";
const RETIRED: &str = "nobody can call it any more, and the lists have stopped at different days";
const MOVED: &str = "what the name stands for has changed between the lists";
const PREVIEW: &str = "our list has the price of the older tool for searches";

const KNOWN: &[Known] = &[
    ("anthropic", "claude-sonnet-4-5", &["tiers"], "their tier is that of a beta which ended in 2026-04"),
    ("azure", "eu/o4-mini*", CACHED, REGION),
    ("azure", "us/o4-mini*", CACHED, REGION),
    ("bedrock", "ap-*/*", TOKENS, REGION),
    ("bedrock", "apac.amazon.*", CACHED, REGION),
    ("bedrock", "ca-*/*", TOKENS, REGION),
    ("bedrock", "eu-*/*", TOKENS, REGION),
    ("bedrock", "eu.amazon.*", CACHED, REGION),
    ("bedrock", "eu.meta.*", TOKENS, REGION),
    ("bedrock", "jp.amazon.*", CACHED, REGION),
    ("bedrock", "sa-*/*", TOKENS, REGION),
    ("bedrock", "us-gov-*/*", CACHED, REGION),
    ("bedrock", "us-gov.anthropic.*", ALL, REGION),
    ("bedrock", "us-gov.nvidia.*", TOKENS, REGION),
    ("bedrock", "us-gov.openai.*", TOKENS, REGION),
    ("bedrock", "claude-sonnet-4-5-*", ALL, "a name without a vendor, which Bedrock does not have"),
    ("bedrock", "*anthropic.claude-sonnet-4-*", &["tiers"], TIERS),
    ("bedrock", "openai.gpt-5.4", &["tiers"], TIERS),
    ("bedrock", "openai.gpt-5.5", &["tiers"], TIERS),
    ("deepseek", "deepseek-chat", CACHED, RETIRED),
    ("deepseek", "deepseek-reasoner", CACHED, RETIRED),
    ("deepseek", "deepseek-v3.2", TOKENS, RETIRED),
    ("gemini", "gemini-flash-*latest", &["batch"], "what batches read from the cache is not in our list"),
    ("groq", "openai/gpt-oss-*", &["batch"], UNLISTED),
    (
        "groq",
        "openai/gpt-oss-safeguard-20b",
        &["read"],
        "half of the price of input is $0.0375, our list has cut the last digit",
    ),
    ("mistral", "*", &["batch"], UNLISTED),
    ("mistral", "magistral-*-latest", TOKENS, MOVED),
    ("mistral", "mistral-large-4*", CACHED, "our list has the price of before 2026-10-29"),
    ("mistral", "mistral-large-latest", TOKENS, MOVED),
    ("mistral", "mistral-medium", CACHED, MOVED),
    ("mistral", "open-mistral-nemo", TOKENS, RETIRED),
    ("openai", "ft:gpt-*", &["batch"], UNLISTED),
    ("openai", "gpt-3.5-turbo", &["batch"], UNLISTED),
    ("openai", "gpt-4*", &["batch"], UNLISTED),
    ("openai", "gpt-4.1*", &["search"], PREVIEW),
    ("openai", "gpt-4o-mini*", &["search"], PREVIEW),
    ("openai", "gpt-4o-mini-search-preview", &["priority"], ANOTHER),
    ("openai", "gpt-5*-chat*", &["batch", "flex", "priority"], ANOTHER),
    ("openai", "gpt-5*-codex*", &["batch", "flex", "priority"], ANOTHER),
    (
        "openai",
        "gpt-5.6-cyber",
        &["tiers"],
        "its page has no tier, our list has that of its siblings: dearer",
    ),
    ("vertex", "claude-3-*", &["input", "output", "thought", "read", "short"], RETIRED),
    ("vertex", "gemini-2.0-flash", CACHED, "theirs is the price of the Gemini API"),
    ("vertex", "gemini-2.5-*-preview-*", &["batch"], UNLISTED),
    ("vertex", "gemini-3.1-flash-lite-preview", &["batch"], UNLISTED),
    (
        "vertex",
        "gemini-3.5-flash-lite",
        &["batch"],
        "the Gemini API rounds what batches read, Vertex does not",
    ),
    ("vertex", "gemini-3.8-flash-cyber", CACHED, ANOTHER),
    ("vertex", "gemini-3.8-flash-cyber", &["search"], ANOTHER),
    ("xai", "grok-4.20-multi-agent-beta-*", &["batch"], UNLISTED),
    (
        "xai",
        "grok-code-fast*",
        CACHED,
        "the price has been raised, as the provider's own list of models says",
    ),
    ("zai", "glm-4.5*", &["read"], "our list has no price of the cache, so that of input holds"),
];

/// What is different for no known reason, and what is said to be different and is not.
fn complaints(found: &Differences) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = BTreeSet::new();
    for ((section, model, about), text) in found {
        let fits = |known: &Known| {
            known.0 == *section && known.2.contains(about) && Glob::new(known.1).matches(model)
        };
        let reasons: Vec<usize> = (0..KNOWN.len()).filter(|place| fits(&KNOWN[*place])).collect();
        if reasons.is_empty() {
            complaints.push(format!("{section} {model}, {about}: {text}"));
        }
        used.extend(reasons.into_iter().map(|place| (place, *about)));
    }
    for (place, (section, model, abouts, why)) in KNOWN.iter().enumerate() {
        let unused = abouts.iter().filter(|about| !used.contains(&(place, **about)));
        complaints.extend(
            unused.map(|about| format!("{section} {model}, {about}: no difference any more, but: {why}")),
        );
    }
    complaints
}

/// Asks for everything by itself, and then for what is alike by itself all together.
fn differences(book: &Book) -> (Differences, usize) {
    let mut found = Differences::new();
    let models: Vec<(&str, &str)> = SELLERS
        .iter()
        .flat_map(|(section, _)| book.table().sections[*section].keys().map(|model| (*section, &**model)))
        .collect();
    let call = |section, model: &str, about, usage| Call {
        section,
        model: model.to_owned(),
        about,
        usage,
        served: Served::default(),
        context: json!({}),
    };
    let mut calls = Vec::new();
    for (section, model) in &models {
        calls.extend(KINDS.iter().map(|kind| call(section, model, kind, usage(&[kind], 3001))));
    }
    let compared = compare(book, &calls, &mut found);
    let mut calls = Vec::new();
    for (section, model) in &models {
        let alike = |kind: &&str| {
            compared.contains(&(format!("{section} {model}"), *kind))
                && !found.contains_key(&(*section, (*model).to_owned(), *kind))
        };
        let alike: Vec<&str> = KINDS.iter().copied().filter(alike).collect();
        if !alike.contains(&"input") || !alike.contains(&"output") {
            continue;
        }
        calls.extend(SIZES.iter().map(|size| call(section, model, "tiers", usage(&alike, *size))));
        let tokens: Vec<&str> = alike.iter().copied().filter(|kind| *kind != "search").collect();
        for (about, key, word) in WAYS {
            let served =
                Served { service: Service::named(about), fast: *about == "fast", ..Served::default() };
            let mixtures = [&["input", "output"][..], &["input", "read"], &tokens];
            for kinds in mixtures.into_iter().filter(|kinds| kinds.iter().all(|kind| tokens.contains(kind))) {
                let context = json!({ *key: word });
                calls.push(Call { served, context, ..call(section, model, about, usage(kinds, 3001)) });
            }
        }
    }
    let more = compare(book, &calls, &mut found);
    (found, compared.len() + more.len())
}

#[test]
fn every_price_is_that_of_others_or_differs_for_a_known_reason() {
    let book = Book::shipped().expect("the shipped table can be read");
    let (found, compared) = differences(&book);
    let complaints = complaints(&found);
    assert!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    // A few hundred models by themselves and in all tiers, or the question was not understood.
    assert!(compared > 2000, "only {compared} prices were compared");
}

#[test]
fn another_price_is_noticed() {
    let book = Book::shipped().expect("the shipped table can be read");
    let line = "[anthropic]\nclaude-";
    let dear = "[anthropic]\nclaude-opus-5 5/25 read=0.5 write=6.25/10.000001\nclaude-";
    let text =
        book.table().write("").replace("\nclaude-opus-5 5/25", "\nsomething-else 5/25").replace(line, dear);
    let (found, _) = differences(&Book::read(&text).expect("a table"));
    let complaints = complaints(&found);
    assert!(
        complaints.iter().any(|text| text.starts_with("anthropic claude-opus-5, long:")),
        "{complaints:?}"
    );
    assert!(complaints.iter().all(|text| text.contains("claude-opus-5, ")), "{complaints:?}");
}

fn tollgate(folder: &Folder, arguments: &[&str]) -> program::Outcome {
    program::run(crate::gateway::tollgate(folder.path()).args(arguments), Duration::from_secs(60))
}

/// A package with a list of one price a model, as pip would download it.
fn wheel(folder: &Folder, models: usize) -> String {
    let price = json!({
        "litellm_provider": "anthropic", "mode": "chat",
        "input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05,
    });
    let list: BTreeMap<String, &Value> =
        (0..models).map(|model| (format!("claude-m{model}"), &price)).collect();
    let package = folder.path().join("litellm");
    std::fs::create_dir_all(&package).expect("a folder can be made");
    let text = serde_json::to_vec(&list).expect("a list is JSON");
    std::fs::write(package.join("model_prices_and_context_window_backup.json"), text).expect("a file");
    let mut zip = Command::new("python3");
    zip.args(["-m", "zipfile", "-c", "litellm-9.8.7-py3-none-any.whl", "litellm"]).current_dir(folder.path());
    program::run(&mut zip, Duration::from_secs(60)).succeeded();
    "litellm-9.8.7-py3-none-any.whl".to_owned()
}

#[test]
fn a_table_is_made_from_a_package_and_shown() {
    let folder = Folder::new();
    let wheel = wheel(&folder, 120);
    let import = ["prices", "import", "--wheel", &wheel, "--output", "mine.txt"];
    let outcome = tollgate(&folder, &import).succeeded();
    let changed = |sign: &str, model: &str, price: &str| {
        let words = format!("{sign} anthropic {model} {price}");
        let mut lines =
            outcome.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(lines.any(|line| line.starts_with(&words)), "{words}: {}", outcome.stdout);
    };
    changed("+", "claude-m7", "2/10 write=2/4 search=0.01");
    changed("-", "claude-opus-5", "5/25 read=0.5");
    assert!(outcome.stderr.starts_with("120 prices of "), "{}", outcome.stderr);
    let again = tollgate(&folder, &import).succeeded();
    assert_eq!(again.stdout, "", "against what was there before, nothing has changed");
    assert!(again.stderr.contains("from litellm-9.8.7, are in mine.txt; 0 differ"), "{}", again.stderr);
    let text = std::fs::read_to_string(folder.path().join("mine.txt")).expect("the table");
    assert!(text.contains("Copyright (c) 2023 Berri AI") && text.contains(" litellm-9.8.7\n[anthropic]\n"));

    let shown = tollgate(&folder, &["prices", "show", "claude-m7[1m]", "--file", "mine.txt"]).succeeded();
    let lines: Vec<Vec<&str>> = shown.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["SECTION", "MODEL", "FOUND", "INPUT", "OUTPUT", "READ", "WRITE", "LONG", "MORE"]);
    assert_eq!(lines[1], ["anthropic", "claude-m7", "alias", "2", "10", "2", "2", "4", "search=0.01"]);
    let json =
        tollgate(&folder, &["prices", "show", "claude-m1*", "--file", "mine.txt", "--json"]).succeeded();
    let json: Value = serde_json::from_str(&json.stdout).expect("it is JSON");
    assert_eq!(json["prices"].as_array().map(Vec::len), Some(31), "1, 10 to 19, 100 to 119");
    assert_eq!(json["prices"][0]["input"], "2");

    // What cannot be taken leaves what was there.
    for (arguments, why) in [
        (&["prices", "import", "--wheel", "mine.txt", "--output", "mine.txt"][..], "python3"),
        (&["prices", "import", "--list", "mine.txt", "--output", "mine.txt"], "not what LiteLLM publishes"),
        (&["prices", "show", "--file", &wheel], "utf-8"),
        (&["prices", "show", "no-such-model"], "costs 5/25"),
        (&["prices", "show", "--section", "nowhere"], "known: anthropic, azure"),
    ] {
        let outcome = tollgate(&folder, arguments);
        assert_eq!(outcome.status.code(), Some(1), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(why), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("mine.txt")).expect("the table"), text);
    let odd = tollgate(&folder, &["prices", "import", "--version", "1.0 --index-url=x"]);
    assert_eq!((odd.status.code(), odd.stderr.contains("is no version")), (Some(2), true), "{odd:?}");
    std::fs::write(folder.path().join("bad.txt"), "tollgate-prices 1 2026-11-22 x\n[a]\nm 1/x\n")
        .expect("a file");
    let outcome = tollgate(&folder, &["prices", "show", "--file", "bad.txt"]);
    assert!(outcome.stderr.contains("bad.txt: line 3: `x`"), "{}", outcome.stderr);
}

#[test]
fn the_shipped_prices_are_shown() {
    let folder = Folder::new();
    let shown = tollgate(&folder, &["prices", "show", "us.anthropic.claude-opus-5-v1:0"]).succeeded();
    assert!(
        shown.stdout.contains("bedrock    anthropic.claude-opus-5  alias    5.5    27.5"),
        "{}",
        shown.stdout
    );
    let all = tollgate(&folder, &["prices", "show"]).succeeded();
    assert!(all.stdout.lines().count() > 800, "{}", all.stdout.len());
}
