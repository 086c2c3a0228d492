//! What the catalog of tools costs: reading lists the first time and again, and making what callers see.
//!
//! Reads the lists of published servers where they lie beside the repository, and otherwise a made list.

#![expect(clippy::expect_used, reason = "a bench that cannot run says so by panicking")]
#![expect(clippy::print_stderr, reason = "a bench may say what it measures")]

#[path = "samples/list.rs"]
mod list;

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate::call::{Class, ToolMode};
use tollgate::ids::ServerName;
use tollgate::mcp::definition::ItemKind;
use tollgate::mcp::list::{List, Pages, ServerLists};
use tollgate::mcp::presentation::Presentation;
use tollgate::mcp::store::Store;
use tollgate::mcp::view::{Admission, Part, Plan, Reader, Scope, View};

criterion_group!(benches, ingest, view);
criterion_main!(benches);

fn ingest(criterion: &mut Criterion) {
    let lists = published();
    let bytes: usize = lists.iter().map(Vec::len).sum();
    let mut group = criterion.benchmark_group("catalog");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("ingest_cold", |bench| {
        bench.iter(|| {
            let store = Store::new();
            lists.iter().map(|list| read(&store, list).items.len()).sum::<usize>()
        });
    });
    let store = Store::new();
    let kept: Vec<List> = lists.iter().map(|list| read(&store, list)).collect();
    group.bench_function("ingest_warm", |bench| {
        bench.iter(|| lists.iter().map(|list| read(&store, black_box(list)).items.len()).sum::<usize>());
    });
    drop(kept);
    group.finish();
}

fn view(criterion: &mut Criterion) {
    let store = Store::new();
    let listed = |server: u64| read(&store, &list::made(server, 50));
    let lists: Vec<ServerLists> =
        (0..40).map(|server| ServerLists { tools: listed(server), ..ServerLists::default() }).collect();
    let names: Vec<ServerName> =
        (0..40).map(|server: u64| ServerName::new(&format!("server{server}"))).collect();
    let presentation = Presentation::default();
    let parts: Vec<Part<'_>> = names
        .iter()
        .zip(&lists)
        .map(|(server, lists)| Part { server, lists, presentation: &presentation, trusted: false })
        .collect();
    let allow = |server: &ServerName, _: ItemKind, _: &str, _: Class| match server.as_str() {
        "server7" => Admission::Hidden,
        _ => Admission::Open,
    };
    let scope = Scope::All { endpoint_key: "tollgate" };
    let plan =
        Plan { parts: &parts, scope, allow: Some(&allow), mode: ToolMode::Raw, is_core: None, ttl_ms: 1000 };
    criterion.bench_function("catalog/tables_of_2000_tools", |bench| {
        bench.iter(|| View::new(black_box(&plan)));
    });
    criterion.bench_function("catalog/tables_and_list_of_2000_tools", |bench| {
        bench.iter(|| {
            let view = View::new(black_box(&plan));
            view.page(ItemKind::Tool, Reader::Modern, None).map(|body| body.len())
        });
    });
    let view = View::new(&plan);
    criterion.bench_function("catalog/find_a_tool", |bench| {
        bench.iter(|| view.find(ItemKind::Tool, black_box("server20__tool_7")).is_some());
    });
}

fn read(store: &Store, result: &[u8]) -> List {
    let mut pages = Pages::new(ItemKind::Tool);
    pages.add(store, result).expect("the list is good");
    pages.finish()
}

/// The lists of published servers, or some made ones.
fn published() -> Vec<Vec<u8>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/tools"));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|is| is == "json")).collect();
    files.sort();
    let lists: Vec<Vec<u8>> = files.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    if lists.is_empty() {
        eprintln!("WARNING: {} has no lists; made ones are measured", folder.display());
        return (0..40).map(|server| list::made(server, 50)).collect();
    }
    lists
}
