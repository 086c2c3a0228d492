//! Which server a URI belongs to.
//!
//! URIs are not rewritten: they also stand in results, in links and in `_meta`, where we do not look. So a
//! URI is looked up, in this order:
//!
//! 1. among the resources that are listed;
//! 2. among the templates that are listed, those with more literal text first, then in the order of the
//!    config;
//! 3. by its scheme and authority, then by its scheme, where resources and templates of one server alone have
//!    them. Where several have, it belongs to nobody: a guess could show one server what is another's.
//!
//! When two servers list one and the same URI or template, the one written first in the config has it. That
//! of the other gets `#tollgate-server=NAME` at its end (`&` instead of `#` where it has a `#` already), so
//! that scheme, authority and path stay, and `ui://` is still `ui://`. It goes to its server without that. A
//! link to it inside a result of that server still leads to the first one: this cannot be seen from the URI.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::limits;
use crate::mcp::names::normal;

/// A resource or template that a server lists.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// The place of its server in the config.
    pub server: usize,
    /// The name of its server.
    pub server_name: &'a str,
    /// The URI, or the template.
    pub uri: &'a str,
    /// Whether the caller may see it. What it may not see keeps its place, so that no rule further down
    /// leads there.
    pub open: bool,
}

/// Where a URI leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The place of the server in the config.
    pub server: usize,
    /// The URI as that server knows it.
    pub uri: Cow<'a, str>,
}

/// The table. Says where a URI leads, not whether the caller may go there.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    exact: HashMap<Box<str>, Target>,
    patterns: Vec<Pattern>,
    /// By `scheme://authority` and by `scheme:`; `None` where there are several servers.
    owners: HashMap<String, Option<usize>>,
    /// Servers of which the caller sees a resource or template.
    open: Vec<usize>,
    /// The server that everything goes to that is not listed, where there is only one.
    only: Option<usize>,
}

#[derive(Clone, Debug)]
struct Target {
    server: usize,
    open: bool,
    /// As the server knows it, where that is not how it is listed.
    original: Option<Box<str>>,
}

#[derive(Clone, Debug)]
struct Pattern {
    template: Template,
    /// What is at the end of a qualified one.
    mark: Option<Box<str>>,
    target: Target,
}

impl Routes {
    /// The table of all resources and templates, whose order is that of the config. Gives the URIs and
    /// templates as they are listed, too, in that order.
    pub fn new(resources: &[Address<'_>], templates: &[Address<'_>]) -> (Self, [Vec<String>; 2]) {
        let mut made = Self::default();
        let listed = [qualified(resources), qualified(templates)];
        for address in resources.iter().chain(templates) {
            made.own(address);
        }
        let [resource_names, template_names] = &listed;
        for (address, uri) in resources.iter().zip(resource_names) {
            let original = (uri != address.uri).then(|| address.uri.into());
            let target = Target { server: address.server, open: address.open, original };
            made.exact.insert(uri.as_str().into(), target);
        }
        for (address, uri) in templates.iter().zip(template_names) {
            let Some(template) = Template::read(address.uri) else { continue };
            let mark = uri.strip_prefix(address.uri).filter(|mark| !mark.is_empty()).map(Into::into);
            let target = Target { server: address.server, open: address.open, original: None };
            made.patterns.push(Pattern { template, mark, target });
        }
        made.patterns.sort_by(|one, other| {
            let order = |pattern: &Pattern| {
                (pattern.mark.is_none(), usize::MAX - pattern.template.literal, pattern.target.server)
            };
            order(one).cmp(&order(other)).then_with(|| one.template.parts.cmp(&other.template.parts))
        });
        (made, listed)
    }

    /// The table where there is one server alone, to which also goes what it does not list.
    pub fn with_only(self, server: usize) -> Self {
        Self { only: Some(server), ..self }
    }

    /// Where `uri` leads; nothing for what the caller may not see, and for what nobody has.
    pub fn find<'a>(&self, uri: &'a str) -> Option<Route<'a>> {
        if uri.len() > limits::MCP_URI_BYTES_MAX {
            return None;
        }
        if let Some(target) = self.exact.get(uri) {
            let original = target.original.as_ref().map(|original| Cow::Owned(String::from(&**original)));
            let route = Route { server: target.server, uri: original.unwrap_or(Cow::Borrowed(uri)) };
            return target.open.then_some(route);
        }
        for pattern in &self.patterns {
            let bare = match &pattern.mark {
                Some(mark) => uri.strip_suffix(&**mark),
                None => Some(uri),
            };
            if let Some(bare) = bare.filter(|bare| pattern.template.matches(bare)) {
                let route = Route { server: pattern.target.server, uri: Cow::Borrowed(bare) };
                return pattern.target.open.then_some(route);
            }
        }
        let owner = keys(uri).into_iter().flatten().find_map(|key| self.owners.get(&key).copied().flatten());
        let owner = owner.filter(|server| self.open.contains(server)).or(self.only)?;
        Some(Route { server: owner, uri: Cow::Borrowed(uri) })
    }

    fn own(&mut self, address: &Address<'_>) {
        if address.open && !self.open.contains(&address.server) {
            self.open.push(address.server);
        }
        let literal = address.uri.split('{').next().unwrap_or_default();
        let cut = literal.len() < address.uri.len();
        let [mut authority, scheme] = keys(literal);
        // An authority that runs into a variable is none yet.
        if cut && !literal.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#'])) {
            authority = None;
        }
        for key in [authority, scheme].into_iter().flatten() {
            let owner = self.owners.entry(key).or_insert(Some(address.server));
            if *owner != Some(address.server) {
                *owner = None;
            }
        }
    }
}

/// The URIs as they are listed: the first of equals as it is, the others with a mark.
fn qualified(addresses: &[Address<'_>]) -> Vec<String> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (index, address) in addresses.iter().enumerate() {
        let holder = first.entry(address.uri).or_insert(index);
        if addresses.get(*holder).is_some_and(|held| held.server > address.server) {
            *holder = index;
        }
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut names: Vec<String> = addresses.iter().map(|address| address.uri.to_owned()).collect();
    let mut later: Vec<usize> = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        if first.get(address.uri) != Some(&index) {
            later.push(index);
        }
    }
    let key = |index: &usize| addresses.get(*index).map(|address| (address.server, address.uri));
    later.sort_by_key(key);
    for index in later {
        let (Some(address), Some(name)) = (addresses.get(index), names.get_mut(index)) else { continue };
        let between = if address.uri.contains('#') { '&' } else { '#' };
        let mark = format!("{}{between}tollgate-server={}", address.uri, normal(address.server_name));
        // Somebody may list such a URI by itself; then a number tells them apart.
        let turns = (2..).map(|turn| format!("{mark}-{turn}"));
        let mut free = std::iter::once(mark.clone()).chain(turns);
        let free = free.find(|one| !first.contains_key(one.as_str()) && !taken.contains_key(one));
        if let Some(free) = free {
            taken.insert(free.clone(), index);
            *name = free;
        }
    }
    names
}

/// `scheme://authority` and `scheme:` of a URI, in lower case.
fn keys(uri: &str) -> [Option<String>; 2] {
    let Some((scheme, rest)) = uri.split_once(':') else { return [None, None] };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(letter) {
        return [None, None];
    }
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        format!("{scheme}://{}", rest.get(..end).unwrap_or_default().to_ascii_lowercase())
    });
    [authority, Some(format!("{scheme}:"))]
}

/// A URI template (RFC 6570) as far as matching needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    parts: Vec<Piece>,
    /// Bytes of literal text.
    literal: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Text(Box<str>),
    /// `{x}`: one byte or more, none of `/?#`, which expansion would have escaped.
    Segment,
    /// An expression with an operator, such as `{+path}` or `{?query}`: anything.
    Anything,
}

impl Template {
    /// Nothing where braces do not match, or there are more than `limits::MCP_TEMPLATE_VARIABLES_MAX`.
    fn read(template: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (expression, after) = after.split_once('}')?;
            if !before.is_empty() {
                parts.push(Piece::Text(before.into()));
            }
            let plain = expression.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            parts.push(if plain { Piece::Segment } else { Piece::Anything });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Piece::Text(rest.into()));
        }
        let length = |part: &Piece| if let Piece::Text(text) = part { Some(text.len()) } else { None };
        let variables = parts.iter().filter(|part| length(part).is_none()).count();
        let literal = parts.iter().filter_map(length).sum();
        (variables <= limits::MCP_TEMPLATE_VARIABLES_MAX).then_some(Self { parts, literal })
    }

    /// Whether `uri` can come of it, in time proportional to its length times the number of parts.
    fn matches(&self, uri: &str) -> bool {
        if let Some(Piece::Text(first)) = self.parts.first()
            && !uri.starts_with(&**first)
        {
            return false;
        }
        let uri = uri.as_bytes();
        // Places up to which the parts so far can reach.
        let mut reached = vec![false; uri.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        for part in &self.parts {
            let mut next = vec![false; uri.len() + 1];
            let mut open = false;
            for (at, place) in reached.iter().enumerate() {
                match part {
                    Piece::Text(text) => {
                        if *place
                            && uri.get(at..).is_some_and(|rest| rest.starts_with(text.as_bytes()))
                            && let Some(end) = next.get_mut(at + text.len())
                        {
                            *end = true;
                        }
                    }
                    Piece::Segment | Piece::Anything => {
                        open |= *place;
                        let passes = *part == Piece::Anything
                            || uri.get(at).is_some_and(|byte| !matches!(byte, b'/' | b'?' | b'#'));
                        if *part == Piece::Anything
                            && open
                            && let Some(here) = next.get_mut(at)
                        {
                            *here = true;
                        }
                        open &= passes;
                        if open && let Some(end) = next.get_mut(at + 1) {
                            *end = true;
                        }
                    }
                }
            }
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Routes, Template};

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn addresses<'a>(rows: &[(usize, &'a str)]) -> Vec<Address<'a>> {
        let address = |row: &(usize, &'a str)| Address {
            server: row.0,
            server_name: NAMES[row.0],
            uri: row.1,
            open: true,
        };
        rows.iter().map(address).collect()
    }

    fn found(routes: &Routes, uri: &str) -> Option<(usize, String)> {
        routes.find(uri).map(|route| (route.server, route.uri.into_owned()))
    }

    #[test]
    fn templates_match_what_comes_of_them() {
        let cases = [
            ("db://{table}", "db://users", true),
            ("db://{table}", "db://", false),
            ("db://{table}", "db://users/1", false),
            ("db://{table}/{id}", "db://users/1", true),
            ("file:///{+path}", "file:///a/b?c#d", true),
            ("file:///{+path}", "file:///", true),
            ("x://a{?q,r}", "x://a?q=1&r=2", true),
            ("x://a{?q}", "x://a", true),
            ("x://{a}-{b}.txt", "x://1-2-3.txt", true),
            ("x://{a}-{b}.txt", "x://1-2-3.md", false),
            ("x://{a}{b}", "x://1", false),
            ("x://{a}{b}", "x://12", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            ("x://é{a}", "x://éè", true),
        ];
        for (template, uri, expected) in cases {
            assert_eq!(Template::read(template).unwrap().matches(uri), expected, "{template} {uri}");
        }
        for bad in ["x://{a", &"{a}".repeat(17)] {
            assert_eq!(Template::read(bad), None);
        }
    }

    #[test]
    fn what_is_listed_goes_before_what_fits() {
        let resources = addresses(&[(0, "x://h/special"), (1, "y://one")]);
        let templates = addresses(&[(1, "x://h/{any}"), (2, "x://h/s{any}"), (2, "z://{+all}")]);
        let (routes, _) = Routes::new(&resources, &templates);
        let cases = [
            ("x://h/special", Some(0)),
            ("x://h/some", Some(2)),
            ("x://h/other", Some(1)),
            ("x://h/a/b", None),
            ("y://one/more", Some(1)),
            ("Y://two", Some(1)),
            ("z://q", Some(2)),
            ("w://q", None),
            ("no uri", None),
        ];
        for (uri, server) in cases {
            let expected = server.map(|server| (server, uri.to_owned()));
            assert_eq!(found(&routes, uri), expected, "{uri}");
        }
    }

    #[test]
    fn of_two_the_first_keeps_its_uri() {
        let resources = addresses(&[
            (1, "ui://app#x"),
            (0, "ui://app#x"),
            (0, "f:a"),
            (2, "f:a"),
            (1, "f:a#tollgate-server=c"),
        ]);
        let templates = addresses(&[(0, "t://{x}"), (1, "t://{x}")]);
        let (routes, [listed, listed_templates]) = Routes::new(&resources, &templates);
        let expected = [
            "ui://app#x&tollgate-server=b",
            "ui://app#x",
            "f:a",
            "f:a#tollgate-server=c-2",
            "f:a#tollgate-server=c",
        ];
        assert_eq!(listed, expected);
        assert_eq!(listed_templates, ["t://{x}", "t://{x}#tollgate-server=b"]);
        for (address, uri) in resources.iter().zip(&listed) {
            assert_eq!(found(&routes, uri), Some((address.server, address.uri.to_owned())));
        }
        assert_eq!(found(&routes, "t://1"), Some((0, "t://1".to_owned())));
        assert_eq!(found(&routes, "t://1#tollgate-server=b"), Some((1, "t://1".to_owned())));
    }

    #[test]
    fn what_may_not_be_seen_is_not_reached_by_another_way() {
        let mut resources = addresses(&[(0, "x://h/secret"), (1, "q://1")]);
        let templates = addresses(&[(0, "x://h/{any}")]);
        resources[0].open = false;
        resources[1].open = false;
        let (routes, _) = Routes::new(&resources, &templates);
        assert_eq!(found(&routes, "x://h/secret"), None);
        assert_eq!(found(&routes, "x://h/other"), Some((0, "x://h/other".to_owned())));
        assert_eq!(found(&routes, "q://2"), None, "a server of which nothing is seen owns nothing");
    }

    #[test]
    fn one_server_alone_gets_everything() {
        let mut resources = addresses(&[(1, "x://h/secret")]);
        resources[0].open = false;
        let routes = Routes::new(&resources, &[]).0.with_only(1);
        assert_eq!(found(&routes, "anything"), Some((1, "anything".to_owned())));
        assert_eq!(found(&routes, "x://h/secret"), None);
    }
}
