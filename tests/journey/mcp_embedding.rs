//! Tools found by what they mean, with a published table of embeddings: no labelled question is worse off,
//! and a question in other words than the tool's finds it, in a gateway that is told of the table while it
//! runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tollgate::mcp::search;
use tollgate::mcp::search::Index;
use tollgate::mcp::search::meaning::Embedding;

use crate::gateway::{Engine, Folder, Gateway, NARROW_KEY, config, tollgate};
use crate::mcp_caller::Caller;
use crate::peer::speaks_mcp::{self, Era};
use crate::peers;
use crate::program::{self, eventually};

#[path = "../../benches/samples/labelled.rs"]
mod labelled;

#[test]
fn no_labelled_question_is_worse_off() {
    let Some(all) = labelled::read() else { return };
    let [weights, tokenizer] = peers::wordllama().each_ref().map(|file| fs::read(file).expect("it is there"));
    let table = Arc::new(Embedding::new(weights, &tokenizer).expect("a published table can be read"));
    assert_eq!((table.rows(), table.dimensions()), (32_000, 256));
    let pair = |tools: &[&labelled::Tool]| -> [Index; 2] {
        [None, Some(&table)].map(|table| labelled::index(tools.iter().copied(), table))
    };
    let alone: Vec<&labelled::Tool> = all.tools.iter().collect();
    let among: Vec<&labelled::Tool> = all.tools.iter().chain(&all.others).collect();
    let mut gained = 0;
    for [by_words, by_both] in [pair(&alone), pair(&among)] {
        let tools = by_words.len();
        for (questions, short) in [(&all.steps, false), (&all.steps, true), (&all.tasks, false)] {
            for most in [1, 5, 10] {
                let hits = |index| labelled::hits(index, most, short, questions.iter());
                let (words, both) = (hits(&by_words), hits(&by_both));
                println!("@{most} among {tools} tools, keywords: {short}: {words} and {both} of 1000");
                assert!(both >= words, "@{most} among {tools}, keywords: {short}: {both} after {words}");
                gained += both - words;
            }
        }
    }
    assert!(gained > 100, "all in all {gained} of 1000 more");
}

/// A gateway whose other team searches; with these entries of `mcp:`.
fn text(server: &str, entries: &str) -> String {
    let servers =
        format!("mcp: {{ {entries} }}\nmcp_servers:\n  desk: {{ url: \"{server}/mcp\", trusted: true }}\n");
    let text = config(Engine::Epoll, "http://127.0.0.1:9", &servers);
    text.replace("narrow: { models", "narrow: { tools: search, servers: { desk: [\"*\"] }, models")
}

fn embedding(weights: &Path, tokenizer: &Path) -> String {
    format!("embedding: {{ weights: {}, tokenizer: {} }}", weights.display(), tokenizer.display())
}

#[test]
fn a_question_in_other_words_finds_its_tool_once_there_is_a_table() {
    let [weights, tokenizer] = peers::wordllama();
    let server = speaks_mcp::start(Era::Modern, |asked, exchange| match &*asked.method {
        "tools/list" => {
            let tool = |name: &str, words: &str| {
                let schema = json!({ "type": "object" });
                json!({ "name": name, "description": words, "inputSchema": schema })
            };
            let tools = json!([
                tool("get_forecast", "The weather of the next days."),
                tool("create_invoice", "Makes an invoice for a customer."),
                tool("delete_repository", "Deletes a repository for good."),
            ]);
            let whole = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
            asked.answer(exchange, &format!("{{\"tools\":{tools},{whole}}}"))
        }
        _ => Ok(None),
    });
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text(&server.url(), ""));
    let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
    let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, "{}");
    let mut find = |query: &str| {
        let arguments = json!({ "query": query }).to_string();
        caller.call("1", "find_tools", &arguments).result()["content"][0]["text"].to_string()
    };
    assert!(find("will it rain tomorrow").contains("Nothing fits"));
    assert!(find("weather").contains("get_forecast"));
    gateway.folder().write("tollgate.yaml", &text(&server.url(), &embedding(weights, tokenizer)));
    let deadline = Duration::from_secs(60);
    eventually("the table is used", deadline, || find("will it rain tomorrow").contains("get_forecast"));
    assert!(!find("will it rain tomorrow").contains("create_invoice"));
    assert!(find("erase a git repo permanently").contains("delete_repository"));
    assert!(find("zebra").contains("Nothing fits"));
    // A table that is cut short is told of, and changes nothing.
    let half = gateway.folder().join("half.safetensors");
    let bytes = fs::read(weights).expect("it is there");
    fs::write(&half, &bytes[..bytes.len() / 2]).expect("the folder can be written");
    gateway.folder().write("tollgate.yaml", &text(&server.url(), &embedding(&half, tokenizer)));
    eventually("the fault is in the log", deadline, || gateway.log().text().contains("cut short"));
    assert!(find("will it rain tomorrow").contains("get_forecast"));
    // Without one it is as it was.
    gateway.folder().write("tollgate.yaml", &text(&server.url(), ""));
    eventually("words alone count", deadline, || find("will it rain tomorrow").contains("Nothing fits"));
}

#[test]
fn a_table_that_cannot_be_read_is_named_by_its_line() {
    let [weights, tokenizer] = peers::wordllama();
    let folder = Folder::new();
    let shown = |entries: &str| {
        folder.write("tollgate.yaml", &text("http://127.0.0.1:9", entries));
        program::run(tollgate(folder.path()).arg("check"), Duration::from_secs(60))
    };
    let good = shown(&embedding(weights, tokenizer));
    assert!(good.stdout.contains("} } # 32000 x 256"), "{} {}", good.stdout, good.stderr);
    let missing = shown(&embedding(Path::new("nowhere.safetensors"), tokenizer));
    let text = &missing.stderr;
    assert!(!missing.status.success() && text.contains("mcp.embedding.weights: "), "{text}");
    assert!(text.contains("nowhere.safetensors cannot be read: No such file"), "{text}");
    let exchanged = shown(&embedding(tokenizer, weights)).stderr;
    assert!(exchanged.contains("it is no safetensors file"), "{exchanged}");
}
