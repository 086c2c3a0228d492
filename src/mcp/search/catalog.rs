//! The index over the lists of all servers, which finds tools by server and name.

use std::collections::HashMap;
use std::sync::Arc;

use super::meaning::Embedding;
use super::{Document, Hit, Index};
use crate::ids::ServerName;
use crate::json::{self, Kind};
use crate::mcp::list::ServerLists;
use crate::mcp::names::overrides::Overrides;
use crate::mcp::presentation::Presentation;

/// One server with what it lists.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its name.
    pub server: &'a ServerName,
    /// Its lists.
    pub lists: &'a ServerLists,
    /// What the config changes about its tools.
    pub presentation: &'a Presentation,
}

/// All tools of some servers but those that are hidden from everybody. Immutable.
#[derive(Debug, Default)]
pub struct Catalog {
    index: Index,
    places: HashMap<ServerName, HashMap<Box<str>, usize>>,
}

/// What is searched of a tool.
struct Words<'a> {
    server: &'a str,
    name: &'a str,
    description: String,
    parameters: String,
}

impl Catalog {
    /// Makes the index; with a table tools are found by what they mean as well. For thousands of tools this
    /// takes a good part of a second.
    pub fn new<'a>(parts: impl IntoIterator<Item = Part<'a>>, embedding: Option<&Arc<Embedding>>) -> Self {
        let mut all: Vec<Words<'a>> = Vec::new();
        let mut places: HashMap<ServerName, HashMap<Box<str>, usize>> = HashMap::new();
        for part in parts {
            let overrides = Overrides::new(part.presentation);
            let own = places.entry(part.server.clone()).or_default();
            for tool in &part.lists.tools.items {
                let change = overrides.of(tool.key());
                if change.hide {
                    continue;
                }
                own.insert(tool.key().into(), all.len());
                let described = || tool.description().unwrap_or_default().into_owned();
                all.push(Words {
                    server: part.server.as_str(),
                    name: change.rename.unwrap_or_else(|| tool.key()),
                    description: change.description.map_or_else(described, str::to_owned),
                    parameters: parameters(tool.input_schema().unwrap_or_default()),
                });
            }
        }
        let documents = all.iter().map(|words| Document {
            server: words.server,
            name: words.name,
            description: &words.description,
            parameters: &words.parameters,
        });
        let index = Index::new(documents, embedding);
        Self { index, places }
    }

    /// How many tools can be found.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing can be found.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Where a tool stands, by its server and the server's own name for it.
    pub fn place(&self, server: &ServerName, tool: &str) -> Option<usize> {
        self.places.get(server)?.get(tool).copied()
    }

    /// As [`Index::find`].
    pub fn find(&self, question: &str, most: usize, may: impl Fn(usize) -> bool) -> Vec<Hit> {
        self.index.find(question, most, may)
    }
}

/// The names of the parameters of a tool, with spaces between them.
fn parameters(schema: &[u8]) -> String {
    let mut names = String::new();
    let outer = json::fields(schema, |field| {
        if field.key.raw == b"properties" && field.value.kind == Kind::Object {
            json::fields_at(schema, field.value.span, |property| {
                if let Ok(name) = json::text(property.key.raw) {
                    names.push_str(&name);
                    names.push(' ');
                }
                Ok::<_, json::Fault>(())
            })?;
        }
        Ok::<_, json::Fault>(())
    });
    // What cannot be read is found by its name and description.
    if outer.is_err() {
        names.clear();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{Catalog, Part, parameters};
    use crate::ids::ServerName;
    use crate::mcp::definition::ItemKind;
    use crate::mcp::list::{Pages, ServerLists};
    use crate::mcp::presentation::{Presentation, ToolOverride};
    use crate::mcp::store::Store;

    fn lists(tools: &[(&str, &str)]) -> ServerLists {
        let tool = |(name, words): &(&str, &str)| {
            let schema = r#"{"type":"object","properties":{"city":{"type":"string"}}}"#;
            format!("{{\"name\":\"{name}\",\"description\":\"{words}\",\"inputSchema\":{schema}}}")
        };
        let tools: Vec<String> = tools.iter().map(tool).collect();
        let mut pages = Pages::new(ItemKind::Tool);
        pages.add(&Store::new(), format!("{{\"tools\":[{}]}}", tools.join(",")).as_bytes()).unwrap();
        ServerLists { tools: pages.finish(), ..ServerLists::default() }
    }

    #[test]
    fn tools_are_found_by_what_callers_read_of_them() {
        let (one, two) = (ServerName::new("one"), ServerName::new("two"));
        let first = lists(&[("forecast", "The weather."), ("secret", "Weather for few.")]);
        let second = lists(&[("forecast", "Of sales.")]);
        let change = |name: &str| ToolOverride { name: name.to_owned(), ..ToolOverride::default() };
        let tools = vec![
            ToolOverride { hide: true, ..change("secret") },
            ToolOverride { rename: Some("outlook".to_owned()), ..change("forecast") },
        ];
        let changed = Presentation { tools, ..Presentation::default() };
        let plain = Presentation::default();
        let parts = [
            Part { server: &one, lists: &first, presentation: &changed },
            Part { server: &two, lists: &second, presentation: &plain },
        ];
        let catalog = Catalog::new(parts, None);
        assert_eq!((catalog.len(), catalog.is_empty()), (2, false));
        let [mine, other] = [&one, &two].map(|server| catalog.place(server, "forecast").unwrap());
        let found = |words: &str| -> Vec<usize> {
            catalog.find(words, 5, |_| true).iter().map(|hit| hit.place).collect()
        };
        assert_eq!(found("weather"), [mine]);
        assert_eq!(found("outlook"), [mine]);
        assert_eq!(found("sales"), [other]);
        assert_eq!(found("city").len(), 2, "parameters count");
        assert_eq!((catalog.place(&one, "secret"), catalog.place(&one, "outlook")), (None, None));
        assert!(catalog.find("weather", 5, |place| place != mine).is_empty());
    }

    #[test]
    fn parameters_are_named() {
        let schema = br#"{"type":"object","properties":{"owner":{},"re\u0070o":{"properties":{"no":{}}}}}"#;
        assert_eq!(parameters(schema), "owner repo ");
        assert_eq!(parameters(br#"{"properties":[]}"#), "");
        assert_eq!(parameters(br#"{"properties":{"a":{}"#), "");
    }
}
