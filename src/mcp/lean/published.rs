//! All forms over the tools of published servers, where they lie beside the repository.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::Value as Tree;

use super::cost::{Cost, listed};
use super::schema::minify;
use super::schema::tests::{compare, dice, instance};
use super::session::{Catalog, Doors, Estimate, Way};
use crate::mcp::definition::{Definition, ItemKind};
use crate::mcp::list::Pages;
use crate::mcp::store::Store;

/// The tools by server; none, and a loud word, where the corpus is not there.
fn published() -> Vec<(String, Vec<Arc<Definition>>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/tools"));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|is| is == "json")).collect();
    files.sort();
    if files.is_empty() {
        eprintln!("WARNING: {} has no lists; the test over published tools is skipped", folder.display());
    }
    let store = Store::new();
    let read = |path: &std::path::PathBuf| {
        let mut pages = Pages::new(ItemKind::Tool);
        pages.add(&store, &std::fs::read(path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), pages.finish().items)
    };
    files.iter().map(read).collect()
}

/// A server and the names of its tools, with what they cost.
type Counted = (String, Vec<(String, Cost)>);

/// The tools by server, counted once for all tests.
fn counted() -> &'static [Counted] {
    static COUNTED: LazyLock<Vec<Counted>> = LazyLock::new(|| {
        let count = |tool: &Arc<Definition>| (tool.key().to_owned(), Cost::of(tool.key(), None, tool));
        published().into_iter().map(|(name, tools)| (name, tools.iter().map(count).collect())).collect()
    });
    &COUNTED
}

/// `form` against `raw` in tenths of a percent.
fn change(raw: usize, form: usize) -> i64 {
    let (raw, form) = (i64::try_from(raw).unwrap(), i64::try_from(form).unwrap());
    (form - raw) * 1000 / raw.max(1)
}

fn percent(raw: usize, form: usize) -> String {
    let tenths = change(raw, form);
    let sign = if tenths < 0 { "-" } else { "+" };
    format!("{sign}{}.{} %", tenths.abs() / 10, tenths.abs() % 10)
}

#[test]
fn every_form_has_the_tokens_that_it_promises() {
    let published = counted();
    if published.is_empty() {
        return;
    }
    let mut total = [0; 4];
    println!(
        "{:<20} {:>5} {:>8} {:>18} {:>18} {:>18}",
        "server", "tools", "raw", "lossless", "brief", "signature"
    );
    let line = |name: &str, tools: usize, sum: [usize; 4]| {
        let [raw, rest @ ..] = sum;
        let cells = rest.map(|form| format!("{form:>8} {:>9}", percent(raw, form)));
        println!("{name:<20} {tools:>5} {raw:>8} {}", cells.join(" "));
    };
    let mut tools = 0;
    for (name, definitions) in published {
        let mut sum = [0; 4];
        for (tool, cost) in definitions {
            let forms = [cost.raw, cost.native, cost.lean, cost.signature];
            assert!(forms[1] <= forms[0], "{name} {tool}: lossless is more than raw: {forms:?}");
            assert!(forms[2] <= forms[1], "{name} {tool}: brief is more than lossless: {forms:?}");
            sum = std::array::from_fn(|form| sum[form] + forms[form]);
        }
        line(name, definitions.len(), sum);
        tools += definitions.len();
        total = std::array::from_fn(|form| total[form] + sum[form]);
    }
    line("all", tools, total);
    let [lossless, brief, signature] = [1, 2, 3].map(|form| change(total[0], total[form]));
    assert!(lossless <= -65, "{lossless}");
    assert!(brief <= -380, "{brief}");
    assert!(signature <= -850, "{signature}");
}

/// The servers of a developer: 492 tools.
const DEVELOPER: [&str; 12] = [
    "atlassian",
    "aws-eks",
    "desktop-commander",
    "fetch",
    "filesystem",
    "git",
    "github",
    "k8s-go",
    "mongodb",
    "opensearch",
    "pagerduty",
    "playwright-ea",
];

/// Left out of the catalog of forty: their definitions are the largest of all.
const LARGEST: [&str; 2] = ["ms365", "postman"];

#[test]
fn a_session_costs_less_by_searching_than_by_what_claude_code_does_itself() {
    let counted = counted();
    if counted.is_empty() {
        return;
    }
    for tools in [492, 1_254, 1_802] {
        let is_in = |name: &str| match tools {
            492 => DEVELOPER.contains(&name),
            1_254 => !LARGEST.contains(&name),
            _ => true,
        };
        let mut all = Catalog::default();
        for (server, tools) in counted.iter().filter(|(server, _)| is_in(server)) {
            for (name, cost) in tools {
                all.tools += 1;
                all.cost += *cost;
                all.names += listed(server, name);
            }
        }
        all.doors = Doors::of(counted.iter().map(|(name, _)| name.as_str()).filter(|name| is_in(name)));
        assert_eq!(all.tools, tools);
        let [raw, own, native, jit, search, code] =
            [Way::AllRaw, Way::Deferred, Way::AllNative, Way::Jit, Way::Search, Way::Code]
                .map(|way| Estimate::of(way, &all));
        println!("{tools} tools: {own:?} {jit:?} {search:?} {code:?}");
        assert!(native.session <= raw.session);
        assert!(jit.permille_of(&own) <= 350, "{tools}: {}", jit.permille_of(&own));
        assert!(search.permille_of(&own) <= 250, "{tools}: {}", search.permille_of(&own));
        assert!(code.permille_of(&own) <= 250, "{tools}: {}", code.permille_of(&own));
        for way in [jit, search, code] {
            assert!(way.permille_of(&raw) <= 30, "{tools}: {}", way.permille_of(&raw));
        }
    }
}

#[test]
fn small_schemas_of_published_tools_accept_the_same() {
    let mut counts = [0, 0];
    for (server, definitions) in published() {
        for (index, tool) in definitions.iter().enumerate() {
            let schema = tool.input_schema().unwrap();
            let small = minify(schema);
            let read = |bytes: &[u8]| serde_json::from_slice::<Tree>(bytes).unwrap();
            let (original, small) = (read(schema), read(&small));
            let mut dice = dice(u64::try_from(index).unwrap() * 2 + 1);
            let instances: Vec<Tree> =
                (0..10).map(|_| instance(&original, &original, &mut dice, 0)).collect();
            let [accepted, refused] = compare(&original, &small, &instances, index % 2 == 0);
            counts = [counts[0] + accepted, counts[1] + refused];
            assert!(
                minify(&serde_json::to_vec(&small).unwrap()).len() <= small.to_string().len(),
                "{server}"
            );
        }
    }
    println!("instances that both accept and that both refuse: {counts:?}");
    assert!(counts == [0, 0] || counts.iter().all(|count| *count > 1000), "{counts:?}");
}
