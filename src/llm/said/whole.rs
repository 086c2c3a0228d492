//! Blocks of which all is known when they come: what a provider's own tools have done.

use crate::json::write_string;
use crate::llm::said::Search;

/// A block that comes whole.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    /// Its members as they open it in a stream, from the value of `type` on, without the closing bracket.
    opened: Vec<u8>,
    /// The one delta of a stream: its type and member, and the text.
    delta: Option<((&'static str, &'static str), String)>,
    /// Its members as they stand in a document, in the same form.
    all: Vec<u8>,
}

impl Whole {
    /// The call of the search and what was found.
    pub(super) fn of_search(search: &Search<'_>) -> [Self; 2] {
        let mut input = b"{\"query\":".to_vec();
        write_string(&mut input, search.query);
        input.push(b'}');
        let mut call = b"\"server_tool_use\",\"id\":".to_vec();
        write_string(&mut call, search.id);
        call.extend_from_slice(b",\"name\":\"web_search\",\"input\":");
        let (mut opened, mut all) = (call.clone(), call);
        opened.extend_from_slice(b"{}");
        all.extend_from_slice(&input);
        let input = String::from_utf8(input).unwrap_or_default();
        let call = Self { opened, delta: Some((("input_json_delta", "partial_json"), input)), all };
        let mut found = b"\"web_search_tool_result\",\"tool_use_id\":".to_vec();
        write_string(&mut found, search.id);
        found.extend_from_slice(b",\"content\":[");
        for (index, hit) in search.hits.iter().enumerate() {
            if index > 0 {
                found.push(b',');
            }
            found.extend_from_slice(b"{\"type\":\"web_search_result\",\"url\":");
            write_string(&mut found, &hit.url);
            found.extend_from_slice(b",\"title\":");
            write_string(&mut found, if hit.title.is_empty() { &hit.url } else { &hit.title });
            // What pages say the provider has kept for itself.
            found.extend_from_slice(b",\"encrypted_content\":\"\",\"page_age\":null}");
        }
        found.push(b']');
        [call, Self { opened: found.clone(), delta: None, all: found }]
    }

    /// What the provider has made of the conversation, which only it can read.
    pub(super) fn of_compaction(text: &str) -> Self {
        let mut all = b"\"compaction\",\"content\":".to_vec();
        let mut opened = all.clone();
        opened.extend_from_slice(b"null");
        write_string(&mut all, text);
        Self { opened, delta: Some((("compaction_delta", "content"), text.to_owned())), all }
    }

    pub(super) fn opened(&self) -> &[u8] {
        &self.opened
    }

    pub(super) fn delta(&self) -> Option<((&'static str, &'static str), &str)> {
        self.delta.as_ref().map(|(kind, text)| (*kind, text.as_str()))
    }

    pub(super) fn all(&self) -> &[u8] {
        &self.all
    }

    /// Bytes that it takes to hold it.
    pub(super) fn bytes(&self) -> usize {
        self.opened.len() + self.all.len()
    }
}
