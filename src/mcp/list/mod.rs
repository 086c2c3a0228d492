//! The lists of a server, read page by page, item by item.
//!
//! A list comes as the `result` of `tools/list` and its three sisters, in pages that a cursor strings
//! together. One item that is broken is left out and said; the rest of the list stays. Only a page that
//! cannot be read as a page is an error.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::json::{Fault, Kind, Value, elements, fields, text};
use crate::limits;
use crate::mcp::canonical::name;
use crate::mcp::definition::{Broken, Definition, ItemKind};
use crate::mcp::pin::barred::Barred;
use crate::mcp::store::Store;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;

/// Who may be given a list that was asked for on behalf of somebody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheScope {
    /// Everybody.
    Public,
    /// Nobody, also where a server does not say.
    #[default]
    Private,
}

impl CacheScope {
    /// As it stands in a result.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// Why a page is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// It cannot be read.
    #[error("it is no JSON object: {0}")]
    Json(#[from] Fault),
    /// The member that holds the items is missing.
    #[error("it has no `{0}`")]
    Missing(&'static str),
    /// A member is of the wrong kind or occurs twice.
    #[error("its `{0}` is not what it has to be")]
    Member(&'static str),
    /// The cursor has more than `limits::MCP_CURSOR_BYTES_MAX`, or has been given before: the list would
    /// never end.
    #[error("its `nextCursor` leads nowhere")]
    Cursor,
    /// There are more than `limits::MCP_LIST_PAGES_MAX` pages.
    #[error("there are too many pages")]
    Pages,
}

/// An item that is not in a list, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its place in the list, from 0, over all pages.
    pub index: usize,
    /// Its name or URI, as far as it can be told; at most `limits::RECORD_TEXT_BYTES_MAX` bytes.
    pub key: Option<String>,
    /// What is wrong.
    pub why: Broken,
}

/// One list of one server, complete.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The items in the server's order, no two of one name or URI; at most `limits::MCP_LIST_ITEMS_MAX`.
    pub items: Vec<Arc<Definition>>,
    /// What was left out, for the log; at most `limits::MCP_LEFT_OUT_MAX`.
    pub left_out: Vec<LeftOut>,
    /// How many were left out.
    pub left_out_count: usize,
    /// For how many milliseconds it stays good: the least that a page said, at most
    /// `limits::MCP_TTL_MS_MAX`. Nothing where a page did not say.
    pub ttl_ms: Option<u64>,
    /// Who may see it: private where a page says so, or does not say.
    pub scope: CacheScope,
}

/// All lists of one server. A list that it does not have is empty.
#[derive(Clone, Debug, Default)]
pub struct ServerLists {
    /// `tools/list`.
    pub tools: List,
    /// `prompts/list`.
    pub prompts: List,
    /// `resources/list`.
    pub resources: List,
    /// `resources/templates/list`.
    pub templates: List,
    /// Tools that cannot be called, for what they have become.
    pub barred: Barred,
}

impl ServerLists {
    /// One of them.
    pub const fn list(&self, kind: ItemKind) -> &List {
        match kind {
            ItemKind::Tool => &self.tools,
            ItemKind::Prompt => &self.prompts,
            ItemKind::Resource => &self.resources,
            ItemKind::Template => &self.templates,
        }
    }

    /// The place of one of them, to be replaced when it has been read anew.
    pub const fn list_mut(&mut self, kind: ItemKind) -> &mut List {
        match kind {
            ItemKind::Tool => &mut self.tools,
            ItemKind::Prompt => &mut self.prompts,
            ItemKind::Resource => &mut self.resources,
            ItemKind::Template => &mut self.templates,
        }
    }
}

/// Puts the pages of one list together.
///
/// ```text
/// add -> Some(cursor): ask for the page after it, and again
///     -> None: the list is complete, finish
/// ```
#[derive(Debug)]
pub struct Pages {
    kind: ItemKind,
    list: List,
    /// Pages read, bytes kept, items seen.
    pages: usize,
    bytes: usize,
    seen: usize,
    names: HashSet<Arc<str>>,
    cursors: HashSet<String>,
}

impl Pages {
    /// Nothing read yet.
    pub fn new(kind: ItemKind) -> Self {
        Self {
            kind,
            list: List::default(),
            pages: 0,
            bytes: 0,
            seen: 0,
            names: HashSet::new(),
            cursors: HashSet::new(),
        }
    }

    /// Reads the `result` of the next page; gives the cursor of the page after it, which may be empty text.
    /// A list over its bounds ends here, and the rest of this page counts as left out.
    ///
    /// # Errors
    /// What is wrong with the page. Nothing of it has been added then.
    pub fn add(&mut self, store: &Store, result: &[u8]) -> Result<Option<String>, PageFault> {
        if self.pages == limits::MCP_LIST_PAGES_MAX {
            return Err(PageFault::Pages);
        }
        let page = Page::read(self.kind, result)?;
        if page.next.as_ref().is_some_and(|next| self.cursors.contains(next)) {
            return Err(PageFault::Cursor);
        }
        // Once to see that all of it can be read, once to use it: no list of places, for there may be
        // millions of ones.
        elements(result, page.items.clone(), |_| Ok::<_, Fault>(()))?;
        let first = self.pages == 0;
        let mut full = false;
        elements(result, page.items.clone(), |place| {
            full |= self.item(store, result, &place);
            Ok::<_, Fault>(())
        })?;
        self.pages += 1;
        self.list.ttl_ms = match (self.list.ttl_ms, page.ttl_ms) {
            (one, other) if first => one.or(other),
            (Some(one), Some(other)) => Some(one.min(other)),
            _ => None,
        };
        self.list.scope = if first { page.scope } else { self.list.scope.max(page.scope) };
        if let Some(next) = &page.next {
            self.cursors.insert(next.clone());
        }
        Ok(page.next.filter(|_| !full))
    }

    /// The list of all pages added.
    pub fn finish(self) -> List {
        self.list
    }

    /// Reads one item; says whether the list is full.
    fn item(&mut self, store: &Store, result: &[u8], place: &Value) -> bool {
        let index = self.seen;
        self.seen += 1;
        let raw = place.bytes(result);
        let full = self.list.items.len() == limits::MCP_LIST_ITEMS_MAX
            || self.bytes + raw.len() > limits::MCP_LIST_BYTES_MAX;
        let read = if full { Err(Broken::Full) } else { store.intern(self.kind, raw) };
        let why = match read {
            Ok(item) if self.names.insert(Arc::from(item.key())) => {
                self.bytes += raw.len();
                self.list.items.push(item);
                return false;
            }
            Ok(_) => Broken::Again,
            Err(why) => why,
        };
        self.list.left_out_count += 1;
        if self.list.left_out.len() < limits::MCP_LEFT_OUT_MAX {
            self.list.left_out.push(LeftOut { index, key: key_of(self.kind, raw), why });
        }
        full
    }
}

/// The name or URI of an item that is broken in some way, if that much can be read.
fn key_of(kind: ItemKind, raw: &[u8]) -> Option<String> {
    let mut key = None;
    // A fault may stand behind the name: then it is told anyway.
    let _whole = fields(raw, |field| {
        if key.is_none() && field.key.raw == kind.key().as_bytes() {
            key = field.value.inner(raw).and_then(|inner| text(inner).ok()).map(|text| {
                let end = text.floor_char_boundary(limits::RECORD_TEXT_BYTES_MAX);
                text.get(..end).unwrap_or_default().to_owned()
            });
        }
        Ok::<_, Fault>(())
    });
    key
}

/// The frame of one page.
struct Page {
    items: Range<usize>,
    next: Option<String>,
    ttl_ms: Option<u64>,
    scope: CacheScope,
}

impl Page {
    fn read(kind: ItemKind, result: &[u8]) -> Result<Self, PageFault> {
        let mut found: [Option<Value>; 4] = [None, None, None, None];
        let names = [kind.member(), "nextCursor", "ttlMs", "cacheScope"];
        fields(result, |field| {
            let read = name(&field.key)?;
            let known = names.iter().zip(&mut found).find(|(name, _)| **name == read);
            if let Some((name, place)) = known
                && place.replace(field.value).is_some()
            {
                return Err(PageFault::Member(name));
            }
            Ok(())
        })?;
        let [items, next, ttl, scope] = found;
        let items = items.ok_or_else(|| PageFault::Missing(kind.member()))?;
        if items.kind != Kind::Array {
            return Err(PageFault::Member(kind.member()));
        }
        let scope = scope.and_then(|value| value.inner(result));
        Ok(Self {
            items: items.span,
            next: next.map(|value| cursor(result, &value)).transpose()?.flatten(),
            ttl_ms: ttl.map(|value| ttl_ms(result, &value)),
            scope: if scope == Some(b"public") { CacheScope::Public } else { CacheScope::Private },
        })
    }
}

/// A cursor: `null` is none, empty text is one.
fn cursor(result: &[u8], value: &Value) -> Result<Option<String>, PageFault> {
    if value.kind == Kind::Null {
        return Ok(None);
    }
    let inner = value.inner(result).ok_or(PageFault::Member("nextCursor"))?;
    if inner.len() > limits::MCP_CURSOR_BYTES_MAX {
        return Err(PageFault::Cursor);
    }
    Ok(Some(text(inner)?.into_owned()))
}

/// How long a page stays good; a number that cannot be used means not at all, as a negative one does.
fn ttl_ms(result: &[u8], value: &Value) -> u64 {
    value.as_u64(result).unwrap_or(0).min(limits::MCP_TTL_MS_MAX)
}
