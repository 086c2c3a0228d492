//! What is found, by whom, and how well on labelled questions.

use std::path::Path;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use crate::limits;
use crate::mcp::search::{Document, Hit, Index, words};

fn split(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    words::each(text, |word| out.push(word.to_owned()));
    out
}

#[test]
fn identifiers_and_sentences_give_the_same_words() {
    let same =
        ["getPullRequests", "get_pull_requests", "Get pull requests", "get-pull.request", "GETPullRequest"];
    for text in same {
        assert_eq!(split(text), ["pull", "request"], "{text}");
    }
    let cases: [(&str, &[&str]); 9] = [
        ("HTTPServer2Go", &["http", "server", "2", "go"]),
        ("running stopped copies boxes classes files", &["run", "stop", "copy", "box", "class", "fil"]),
        ("created creating creates create", &["creat", "creat", "creat", "creat"]),
        ("the of and", &[]),
        ("", &[]),
        ("Stra\u{df}e \u{c4}rger", &["stra\u{df}e", "\u{e4}rger"]),
        ("\u{641c}\u{7d22}", &["\u{641c}", "\u{7d22}"]),
        ("calling calls called", &["call", "call", "call"]),
        ("s3 v2", &["s", "3", "v", "2"]),
    ];
    for (text, expected) in cases {
        assert_eq!(split(text), expected, "{text}");
    }
}

const TOOLS: [Document<'static>; 4] = [
    Document {
        server: "github",
        name: "create_issue",
        description: "Opens a new issue in a repository.",
        parameters: "owner repo title body",
    },
    Document {
        server: "github",
        name: "merge_pull_request",
        description: "Merges a pull request.",
        parameters: "owner repo number",
    },
    Document {
        server: "weather",
        name: "get_forecast",
        description: "The weather of the next days.",
        parameters: "city",
    },
    Document {
        server: "jira",
        name: "createIssue",
        description: "Creates an issue in a project.",
        parameters: "project",
    },
];

fn names(hits: &[Hit]) -> Vec<&'static str> {
    hits.iter().map(|hit| TOOLS[hit.place].name).collect()
}

#[test]
fn what_is_asked_for_is_found_first() {
    let index = Index::new(TOOLS);
    assert_eq!(index.len(), 4);
    let find = |question: &str| names(&index.find(question, 5, |_| true));
    assert_eq!(find("what will the weather be in Paris")[0], "get_forecast");
    assert_eq!(find("merging pull requests")[0], "merge_pull_request");
    assert_eq!(find("create an issue in jira")[0], "createIssue");
    assert_eq!(find("new github issue with a title")[0], "create_issue");
    // Beginnings count: nothing has the word itself.
    assert_eq!(find("forecasting"), ["get_forecast"]);
    assert_eq!(find("zebra"), Vec::<&str>::new());
    assert_eq!(find(""), Vec::<&str>::new());
    // What fits much worse is left out.
    assert_eq!(find("get_forecast city"), ["get_forecast"]);
    assert!(Index::default().is_empty() && Index::default().find("x", 5, |_| true).is_empty());
}

#[test]
fn who_may_not_see_a_tool_does_not_find_it_and_nothing_is_pushed_aside_by_it() {
    let index = Index::new(TOOLS);
    let hits = index.find("create issue", 1, |place| place != 3);
    assert_eq!(names(&hits), ["create_issue"]);
    assert!(index.find("create issue", 5, |_| false).is_empty());
}

/// Questions, each with the one tool that is right.
struct Labelled {
    tools: Vec<Value>,
    steps: Vec<(String, u64)>,
    /// Tools of other servers, among which they are to be found as well.
    others: Vec<Value>,
}

/// The labelled questions and the lists of published servers; nothing where they do not lie beside the
/// repository.
fn labelled() -> Option<Labelled> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(text) = std::fs::read(folder.join("retrieval/livemcpbench.json")) else {
        eprintln!("WARNING: no labelled questions beside the repository; retrieval is not measured");
        return None;
    };
    let all: Value = serde_json::from_slice(&text).unwrap();
    let tools = all["tools"].as_array().unwrap().clone();
    let steps = all["steps"].as_array().unwrap().iter();
    let steps = steps
        .map(|step| (step["query"].as_str().unwrap().to_owned(), step["labels"][0][0].as_u64().unwrap()));
    let mut others = Vec::new();
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("tools")).unwrap().flatten().map(|file| file.path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let list: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for tool in list["tools"].as_array().unwrap() {
            let mut tool = tool.clone();
            tool["server"] = file.file_stem().unwrap().to_str().unwrap().into();
            tool["schema"] = tool["inputSchema"].take();
            others.push(tool);
        }
    }
    Some(Labelled { tools, steps: steps.collect(), others })
}

fn index_of(tools: &[Value]) -> Index {
    let parameters: Vec<String> = tools
        .iter()
        .map(|tool| {
            let properties = tool["schema"]["properties"].as_object();
            properties.map_or_else(String::new, |all| all.keys().cloned().collect::<Vec<_>>().join(" "))
        })
        .collect();
    Index::new(tools.iter().zip(&parameters).map(|(tool, parameters)| Document {
        server: tool["server"].as_str().unwrap(),
        name: tool["name"].as_str().unwrap(),
        description: tool["description"].as_str().unwrap_or_default(),
        parameters,
    }))
}

/// The first eight words of a question that are not small ones.
fn keywords(question: &str) -> String {
    let of_words = |word: &&str| !split(word).is_empty();
    question.split_whitespace().filter(of_words).take(8).collect::<Vec<_>>().join(" ")
}

#[test]
fn labelled_questions_find_their_tools() {
    let Some(Labelled { tools, steps, others }) = labelled() else { return };
    let alone = index_of(&tools);
    let among: Vec<Value> = tools.iter().chain(&others).cloned().collect();
    let among = index_of(&among);
    let hit = |index: &Index, question: &str, label: u64, most: usize| {
        let hits = index.find(question, most, |_| true);
        hits.iter().any(|hit| tools.get(hit.place).is_some_and(|tool| tool["id"].as_u64() == Some(label)))
    };
    let permille = |index: &Index, cut: &dyn Fn(&str) -> String, most: usize| {
        let found = steps.iter().filter(|(question, label)| hit(index, &cut(question), *label, most)).count();
        found * 1000 / steps.len()
    };
    let whole = |question: &str| question.to_owned();
    let table = [
        ("sentences", permille(&alone, &whole, 1), permille(&alone, &whole, 5), permille(&alone, &whole, 10)),
        (
            "keywords",
            permille(&alone, &keywords, 1),
            permille(&alone, &keywords, 5),
            permille(&alone, &keywords, 10),
        ),
        (
            "sentences, all tools",
            permille(&among, &whole, 1),
            permille(&among, &whole, 5),
            permille(&among, &whole, 10),
        ),
        (
            "keywords, all tools",
            permille(&among, &keywords, 1),
            permille(&among, &keywords, 5),
            permille(&among, &keywords, 10),
        ),
    ];
    eprintln!(
        "{} tools, and {} among which they are sought; hits of 1000 at 1, 5, 10:",
        alone.len(),
        among.len()
    );
    table.iter().for_each(|(what, one, five, ten)| eprintln!("{what:22} {one:4} {five:4} {ten:4}"));
    assert!(table[0].2 >= 720 && table[1].2 >= 700 && table[2].2 >= 690, "{table:?}");
}

proptest! {
    #[test]
    fn any_text_can_be_searched_for(
        texts in proptest::collection::vec(".{0,40}", 0..8),
        question in ".{0,60}",
        most in 0_usize..10,
    ) {
        let documents = texts.iter().map(|text| {
            Document { server: text, name: text, description: text, parameters: text }
        });
        let index = Index::new(documents);
        let hits = index.find(&question, most, |place| place.is_multiple_of(2));
        prop_assert!(hits.len() <= most);
        let fits = |hit: &Hit| hit.place < texts.len() && hit.place.is_multiple_of(2) && hit.score > 0.0;
        prop_assert!(hits.iter().all(fits));
        prop_assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        prop_assert_eq!(&hits, &index.find(&question, most, |place| place.is_multiple_of(2)));
    }

    #[test]
    fn a_question_of_any_length_is_bounded(
        word in "[a-z]{1,3}",
        times in 1_usize..20_000,
        all in any::<bool>(),
    ) {
        let index = Index::new(TOOLS);
        let question = format!("{word} ").repeat(times);
        prop_assert!(index.find(&question, 5, |_| all).len() <= 5);
        let long = "x".repeat(times);
        prop_assert!(split(&long).iter().all(|word| word.len() <= limits::SEARCH_WORD_BYTES_MAX));
    }
}
