//! `embedding:` of `mcp:`.

use std::sync::Arc;

use crate::config::load::Keys;
use crate::config::tests::{Folder, faults, load_text};
use crate::mcp::search::meaning::tests::{WORDS, files};

const CONFIG: &str = "mcp: { embedding: { weights: w.safetensors, tokenizer: t.json } }\n";

#[test]
fn a_table_is_read_once_for_the_same_files() {
    let folder = Folder::new();
    let write = |count: usize| {
        let (weights, tokenizer) = files(&WORDS[..count]);
        let paths = [folder.write("w.safetensors", weights), folder.write("t.json", tokenizer)];
        (load_text(&folder, CONFIG, &[], &Keys::Read).unwrap(), paths)
    };
    let (first, paths) = write(9);
    let table = first.snapshot.mcp.embedding.clone().unwrap();
    assert_eq!(table.dimensions(), 4);
    assert!(paths.iter().all(|path| first.watched.contains(path)), "{:?}", first.watched);
    let line = format!("weights: w.safetensors, tokenizer: t.json }} }} # {} x 4", table.rows());
    assert!(first.shown.to_string().contains(&line), "{}", first.shown);
    assert_eq!(serde_json::to_value(&first.shown).unwrap()["mcp"]["embedding"]["dimensions"], 4);
    let (again, _) = write(9);
    assert!(Arc::ptr_eq(&table, again.snapshot.mcp.embedding.as_ref().unwrap()));
    assert_eq!(first.snapshot.version, again.snapshot.version);
    let (other, _) = write(8);
    assert!(other.snapshot.mcp.embedding.unwrap().rows() < table.rows());
    assert_ne!(first.snapshot.version, other.snapshot.version);
}

#[test]
fn what_is_wrong_with_a_table_is_said_where_it_is_written() {
    assert_eq!(
        faults("mcp: { embedding: { weights: a, words: b } }\n", &[]),
        "tollgate.yaml:1:19: mcp.embedding: `tokenizer` is missing\n\
         tollgate.yaml:1:33: unknown key \"words\" in mcp.embedding; known here: weights, tokenizer"
    );
    let folder = Folder::new();
    let told = || load_text(&folder, CONFIG, &[], &Keys::Read).unwrap_err().to_string();
    let (weights, tokenizer) = files(&WORDS);
    folder.write("w.safetensors", &weights[..weights.len() - 1]);
    assert!(told().contains("mcp.embedding.tokenizer: "), "{}", told());
    folder.write("t.json", &tokenizer);
    assert!(
        told().contains("tollgate.yaml:1:30: mcp.embedding.weights: w.safetensors: it is cut short"),
        "{}",
        told()
    );
    folder.write("w.safetensors", &weights);
    folder.write("t.json", "{}");
    assert!(told().contains("mcp.embedding.tokenizer: t.json: it is no tokenizer.json"), "{}", told());
}
