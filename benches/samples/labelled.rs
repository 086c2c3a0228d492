//! Questions that are labelled with the tools that answer them, and the lists of published servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::search::meaning::Embedding;
use super::search::{Document, Index, says_something};
use serde_json::Value;

/// A tool as it is searched.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    server: String,
    name: String,
    description: String,
    parameters: String,
}

/// A question, and the places of the tools that are right.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) words: String,
    pub(crate) right: Vec<usize>,
}

/// All that lies beside the repository.
#[derive(Debug)]
pub(crate) struct Labelled {
    /// The tools that labels are about.
    pub(crate) tools: Vec<Tool>,
    /// Single steps, each with one need.
    pub(crate) steps: Vec<Question>,
    /// Tasks of several steps: each need of a task with the words of the whole task.
    pub(crate) tasks: Vec<Question>,
    /// Tools of other servers, among which they are to be found as well.
    pub(crate) others: Vec<Tool>,
}

/// Where questions and lists lie: `TOLLGATE_CORPUS`, or beside the repository.
pub(crate) fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    std::env::var_os("TOLLGATE_CORPUS").map_or_else(beside, PathBuf::from)
}

/// Reads it; nothing, and a loud word, where it is not there.
pub(crate) fn read() -> Option<Labelled> {
    let folder = folder();
    let labelled = of(&folder);
    if labelled.is_none() {
        eprintln!("WARNING: {} has no labelled questions; retrieval is not measured", folder.display());
    }
    labelled
}

fn of(folder: &Path) -> Option<Labelled> {
    let all = json(&folder.join("retrieval/livemcpbench.json"))?;
    let tools = all.get("tools")?.as_array()?;
    let place = |id: &Value| tools.iter().position(|tool| tool.get("id") == Some(id));
    let questions = |of: &Value| -> Option<Vec<Question>> {
        let needs = of.as_array()?.iter().flat_map(|asked| {
            let words = text(asked, "query");
            let needs = asked.get("labels").and_then(Value::as_array).into_iter().flatten();
            needs.map(move |need| {
                let right = need.as_array().into_iter().flatten().filter_map(place).collect();
                Question { words: words.clone(), right }
            })
        });
        Some(needs.collect())
    };
    let (steps, tasks) = (questions(all.get("steps")?)?, questions(all.get("questions")?)?);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("tools")).ok()?.flatten().map(|file| file.path()).collect();
    files.sort();
    let mut others = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let server = file.file_stem()?.to_str()?;
        others.extend(
            json(file)?.get("tools")?.as_array()?.iter().map(|tool| read_tool(tool, server, "inputSchema")),
        );
    }
    let of_label = |tool: &Value| read_tool(tool, &text(tool, "server"), "schema");
    Some(Labelled { tools: tools.iter().map(of_label).collect(), steps, tasks, others })
}

fn json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn text(of: &Value, member: &str) -> String {
    of.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn read_tool(tool: &Value, server: &str, schema: &str) -> Tool {
    let names = tool.get(schema).and_then(|schema| schema.get("properties")?.as_object());
    let parameters = names.map_or_else(String::new, |all| all.keys().cloned().collect::<Vec<_>>().join(" "));
    let (name, description) = (text(tool, "name"), text(tool, "description"));
    Tool { server: server.to_owned(), name, description, parameters }
}

/// An index of tools, in their order; with a table by what they mean as well.
pub(crate) fn index<'t>(
    tools: impl IntoIterator<Item = &'t Tool>,
    embedding: Option<&Arc<Embedding>>,
) -> Index {
    let documents = tools.into_iter().map(|tool| Document {
        server: &tool.server,
        name: &tool.name,
        description: &tool.description,
        parameters: &tool.parameters,
    });
    Index::new(documents, embedding)
}

/// The first eight words of a question that are not small ones.
pub(crate) fn keywords(words: &str) -> String {
    let all = words.split_whitespace().filter(|word| says_something(word));
    all.take(8).collect::<Vec<_>>().join(" ")
}

/// Of some questions, how many in a thousand find a right tool among the first `most`.
pub(crate) fn hits<'q>(
    index: &Index,
    most: usize,
    keywords_only: bool,
    questions: impl Iterator<Item = &'q Question>,
) -> usize {
    let (mut hits, mut all) = (0, 0_usize);
    for question in questions {
        let words = if keywords_only { keywords(&question.words) } else { question.words.clone() };
        let found = index.find(&words, most, |_| true);
        hits += usize::from(found.iter().any(|hit| question.right.contains(&hit.place)));
        all += 1;
    }
    hits * 1000 / all.max(1)
}
