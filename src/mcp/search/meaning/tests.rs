//! Files that are made here, what is found by them, and what is said of broken ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::Embedding;
use super::fault::{Fault, TokenizerFault, WeightsFault};
use super::fuzz::fuzz_files;
use super::pieces::Pieces;
use super::table::Table;
use crate::corpus::replay;
use crate::limits;
use crate::mcp::search::{Document, Hit, Index};

/// A safetensors file of one tensor.
pub(crate) fn weights(dtype: &str, rows: usize, columns: usize, values: &[u8]) -> Vec<u8> {
    let offsets = format!("[0,{}]", values.len());
    let tensor = format!(r#"{{"dtype":"{dtype}","shape":[{rows},{columns}],"data_offsets":{offsets}}}"#);
    with_header(&format!(r#"{{"__metadata__":{{"by":"hand"}},"embedding.weight":{tensor}}}"#), values)
}

fn with_header(header: &str, values: &[u8]) -> Vec<u8> {
    let length = u64::try_from(header.len()).unwrap().to_le_bytes();
    [&length[..], header.as_bytes(), values].concat()
}

/// The two files of a table that knows these words, with what each of them means.
pub(crate) fn files(words: &[(&str, [f32; 4])]) -> (Vec<u8>, Vec<u8>) {
    let mut vocab: Vec<String> = Vec::new();
    let singles: BTreeSet<char> = words.iter().flat_map(|(word, _)| word.chars()).collect();
    vocab.push("\u{2581}".to_owned());
    vocab.extend(singles.iter().map(char::to_string));
    let mut merges = Vec::new();
    for (word, _) in words {
        let mut piece = "\u{2581}".to_owned();
        for c in word.chars() {
            let (left, right) = (piece.clone(), c.to_string());
            piece.push(c);
            if !vocab.contains(&piece) {
                vocab.push(piece.clone());
                merges.push(format!("{left} {right}"));
            }
        }
    }
    let meaning = |piece: &String| {
        let word = words.iter().find(|(word, _)| piece.strip_prefix('\u{2581}') == Some(*word));
        word.map_or([0.0; 4], |(_, meaning)| *meaning)
    };
    let values: Vec<u8> = vocab.iter().flat_map(meaning).flat_map(|value: f32| value.to_le_bytes()).collect();
    let ids: serde_json::Map<String, serde_json::Value> =
        vocab.iter().enumerate().map(|(id, piece)| (piece.clone(), id.into())).collect();
    let model = serde_json::json!({ "type": "BPE", "vocab": ids, "merges": merges });
    let tokenizer = serde_json::json!({ "version": "1.0", "model": model }).to_string();
    (weights("F32", vocab.len(), 4, &values), tokenizer.into_bytes())
}

/// A small table: money, weather, and words that mean nothing.
pub(crate) const WORDS: [(&str, [f32; 4]); 9] = [
    ("invoice", [1.0, 0.0, 0.0, 0.0]),
    ("bill", [0.9, 0.1, 0.0, 0.0]),
    ("customer", [0.5, 0.0, 0.5, 0.0]),
    ("send", [0.0, 0.0, 1.0, 0.0]),
    ("mail", [0.1, 0.0, 0.9, 0.1]),
    ("weather", [0.0, 1.0, 0.0, 0.0]),
    ("umbrella", [0.0, 0.9, 0.0, 0.2]),
    ("tomorrow", [0.0, 0.3, 0.0, 0.3]),
    ("zebra", [0.0, 0.0, 0.0, -1.0]),
];

fn small() -> Arc<Embedding> {
    let (weights, tokenizer) = files(&WORDS);
    Arc::new(Embedding::new(weights, &tokenizer).unwrap())
}

const TOOLS: [Document<'static>; 3] = [
    Document { server: "pay", name: "create_invoice", description: "For a customer.", parameters: "" },
    Document { server: "sky", name: "get_weather", description: "", parameters: "" },
    Document { server: "post", name: "send_mail", description: "", parameters: "" },
];

fn names(hits: &[Hit]) -> Vec<&'static str> {
    hits.iter().map(|hit| TOOLS[hit.place].name).collect()
}

#[test]
fn a_question_in_other_words_finds_its_tool() {
    let (words, both) = (Index::new(TOOLS, None), Index::new(TOOLS, Some(&small())));
    let find = |index: &Index, question: &str| names(&index.find(question, 5, |_| true));
    assert_eq!(find(&words, "do I need an umbrella tomorrow"), Vec::<&str>::new());
    assert_eq!(find(&both, "do I need an umbrella tomorrow"), ["get_weather"]);
    assert_eq!(find(&both, "the BILL"), ["create_invoice"]);
    // A word that is there goes before what only means something like it.
    assert_eq!(find(&both, "mail the bill")[0], "send_mail");
    // What is near to nothing, or unknown to the table, finds nothing; words still do by themselves.
    assert_eq!(find(&both, "zebra"), Vec::<&str>::new());
    assert_eq!(find(&both, "\u{1f993} zzz 17"), Vec::<&str>::new());
    assert_eq!(find(&both, "the of and"), Vec::<&str>::new());
    assert_eq!(find(&both, "sky"), ["get_weather"]);
}

#[test]
fn who_may_not_see_a_tool_does_not_find_what_it_means_and_nothing_is_pushed_aside_by_it() {
    let index = Index::new(TOOLS, Some(&small()));
    assert_eq!(names(&index.find("umbrella bill", 1, |place| place != 1)), ["create_invoice"]);
    assert!(index.find("umbrella", 5, |place| place != 1).is_empty());
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("embedding", 4, fuzz_files);
}

#[test]
fn words_are_taken_apart_as_the_merges_say() {
    let vocab = r#"{"▁":0,"a":1,"b":2,"ab":3,"▁a":4,"bb":5,"<0xC3>":6,"<0xA9>":7,"▁ab":8}"#;
    let pieces = |merges: &str| {
        let file = format!(r#"{{"model":{{"type":"BPE","vocab":{vocab},"merges":{merges}}}}}"#);
        Pieces::new(file.as_bytes()).unwrap()
    };
    let split = |pieces: &Pieces, word: &str| pieces.of(word).into_vec();
    let one = pieces(r#"["a b","▁ a","▁ ab"]"#);
    assert_eq!(split(&one, "ab"), [8]);
    assert_eq!(split(&one, "aab"), [4, 3], "the earlier merge goes first, wherever it is");
    let other = pieces(r#"[["b","b"],["▁","a"],["a","b"]]"#);
    assert_eq!(split(&other, "abbb"), [4, 5, 2], "of equal ones the first from the left");
    assert_eq!(split(&other, "\u{e9}x"), [0, 6, 7], "bytes for what is no piece, nothing for the rest");
}

#[test]
fn both_widths_say_the_same() {
    let halves: Vec<u8> = [0x3c00_u16, 0xb800].iter().flat_map(|half| half.to_le_bytes()).collect();
    let singles: Vec<u8> = [1.0_f32, -0.5].iter().flat_map(|single| single.to_le_bytes()).collect();
    for file in [weights("F16", 1, 2, &halves), weights("F32", 1, 2, &singles)] {
        let table = Table::new(file).unwrap();
        let mut sum = [1.0, 1.0];
        table.add(0, 2.0, &mut sum);
        table.add(1, 9.0, &mut sum);
        assert_eq!((table.rows(), table.dimensions(), sum), (1, 2, [3.0, 0.0]));
    }
}

#[test]
fn broken_weights_are_refused_by_what_is_wrong() {
    let fault = |file: Vec<u8>| Table::new(file).err().map(|why| why.to_string()).unwrap_or_default();
    let good = weights("F16", 2, 2, &[0; 8]);
    assert_eq!(fault(good.clone()), "");
    let no_header = "it is no safetensors file: it has no header of at most 65536 bytes";
    assert_eq!(fault(Vec::new()), no_header);
    assert_eq!(fault(vec![0xff; 64]), no_header);
    assert_eq!(fault(good[..40].to_vec()), no_header);
    assert!(fault(with_header("{\"a\":", &[])).contains("its header: EOF"));
    assert_eq!(
        fault(with_header("{}", &[])),
        "it has 0 tensors: expected one, a row for each piece of a word"
    );
    assert_eq!(fault(weights("BF16", 2, 2, &[0; 8])), "its values are BF16: expected F16 or F32");
    let shape = fault(weights("F16", 0, 2, &[]));
    assert_eq!(shape, "its tensor has the shape [0, 2]: expected 1 to 524288 rows of 1 to 1024 values");
    assert!(fault(weights("F16", 2, limits::EMBEDDING_DIMENSIONS_MAX + 1, &[])).contains("1025"));
    assert!(fault(weights("F16", usize::MAX, 2, &[])).contains("shape"));
    let size = "it is cut short, or its header is wrong: its shape takes 8 bytes, and it has 7";
    assert_eq!(fault(good[..good.len() - 1].to_vec()), size);
    assert_eq!(fault(weights("F16", 2, 2, &[0; 7])), size);
    let endless =
        r#"{"a":{"dtype":"F16","shape":[2,2],"data_offsets":[18446744073709551607,18446744073709551615]}}"#;
    assert!(fault(with_header(endless, &[0; 8])).contains("cut short"));
    let value = "row 1 has a value that is not finite or far too large";
    assert_eq!(fault(weights("F16", 2, 2, &[0, 0, 0, 0, 0, 0, 0, 0x7c])), value);
    for bad in [f32::NAN, f32::NEG_INFINITY, 1e30] {
        let values: Vec<u8> = [1.0, -1.0, 0.0, bad].iter().flat_map(|one| one.to_le_bytes()).collect();
        assert_eq!(fault(weights("F32", 2, 2, &values)), value);
    }
}

#[test]
fn broken_tokenizers_are_refused_by_what_is_wrong() {
    let fault =
        |text: &str| Pieces::new(text.as_bytes()).err().map(|why| why.to_string()).unwrap_or_default();
    let model = |kind: &str, vocab: &str, merges: &str| {
        format!(r#"{{"model":{{"type":"{kind}","vocab":{vocab},"merges":{merges}}}}}"#)
    };
    assert_eq!(fault(&model("BPE", r#"{"▁":0,"a":1,"▁a":2}"#, r#"["▁ a"]"#)), "");
    let form = "it is no tokenizer.json with `model.vocab` and `model.merges`: ";
    for text in ["", "[]", "{}", r#"{"model":{"type":"BPE"}}"#, &model("BPE", r#"{"▁":-1}"#, "[]")] {
        assert!(fault(text).starts_with(form), "{text}: {}", fault(text));
    }
    assert_eq!(
        fault(&model("Unigram", "[[\"a\",0.1]]", "[]")),
        "its model is \"Unigram\": only \"BPE\" is read"
    );
    assert!(fault(&model("BPE", r#"{"\u0120":0}"#, "[]")).starts_with("its vocabulary has no ▁"));
    let merge = "merge 1 names pieces that its vocabulary does not have";
    assert_eq!(fault(&model("BPE", r#"{"▁":0,"a":1,"▁a":2}"#, r#"["▁ a","▁ b"]"#)), merge);
    assert_eq!(fault(&model("BPE", r#"{"▁":0,"a":1,"▁a":2}"#, r#"["▁ a","a a"]"#)), merge);
    let deep = "[".repeat(100_000);
    assert!(fault(&deep).starts_with(form));
}

#[test]
fn files_of_two_packages_are_told_apart() {
    let (weights, tokenizer) = files(&WORDS);
    let short = super::tests::weights("F32", 2, 4, &[0; 32]);
    let told = Embedding::new(short, &tokenizer).unwrap_err();
    assert!(matches!(told, Fault::Apart { rows: 2, .. }), "{told}");
    assert!(matches!(Embedding::new(weights, b"{}"), Err(Fault::Tokenizer(TokenizerFault::Form(_)))));
    assert!(matches!(Embedding::new(tokenizer, b"{}"), Err(Fault::Weights(WeightsFault::NoHeader))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..400,
        at in 0_usize..400,
        with in any::<u8>(),
    ) {
        let (whole, tokenizer) = files(&WORDS[..2]);
        drop(Table::new(bytes.clone()));
        drop(Pieces::new(&bytes));
        let cut = cut.min(whole.len() - 1);
        prop_assert!(Table::new(whole[..cut].to_vec()).is_err());
        prop_assert!(Pieces::new(&tokenizer[..cut.min(tokenizer.len() - 1)]).is_err());
        let mut changed = whole;
        let at = at.min(changed.len() - 1);
        changed[at] = with;
        drop(Embedding::new(changed, &tokenizer));
    }

    #[test]
    fn any_text_can_be_searched_for_by_meaning(
        texts in proptest::collection::vec("(umbrella|bill|[a-z]{0,9}|.{0,9})( mail|.{0,9})", 0..40),
        question in "(umbrella|weather|.{0,20}) ?(send|.{0,30})",
        most in 0_usize..10,
    ) {
        let documents = texts.iter().map(|text| Document { name: text, ..Document::default() });
        let index = Index::new(documents, Some(&small()));
        let hits = index.find(&question, most, |place| place.is_multiple_of(2));
        prop_assert!(hits.len() <= most);
        let fits = |hit: &Hit| hit.place < texts.len() && hit.place.is_multiple_of(2) && hit.score > 0.0;
        prop_assert!(hits.iter().all(fits));
        let ordered = |pair: &[Hit]| {
            pair[0].score > pair[1].score || pair[0].score == pair[1].score && pair[0].place < pair[1].place
        };
        prop_assert!(hits.windows(2).all(ordered));
        prop_assert_eq!(&hits, &index.find(&question, most, |place| place.is_multiple_of(2)));
    }
}
