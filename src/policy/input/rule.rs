//! One rule about inputs of tools: from its words to what it tests.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::glob::Glob;
use crate::limits;
use crate::policy::input::bash::outline::Outline;
use crate::policy::input::bash::{Seen, Why, is_gap};
use crate::policy::input::facts::Facts;
use crate::policy::input::host::HostPattern;
use crate::policy::input::path::{PathPattern, Place, Spot};

/// What is wrong with a rule: where in its text, in characters from 1, and a sentence for who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {text}")]
pub struct RuleFault {
    /// Where.
    pub at: usize,
    /// What, and what to write instead.
    pub text: String,
}

/// A rule, ready to be tried.
#[derive(Clone, Debug)]
pub struct Rule {
    text: Arc<str>,
    /// In lower case.
    tools: Vec<Glob>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// Every use.
    Always,
    Matching(Vec<Expression>),
    Inside(Vec<PathPattern>),
    Outside(Vec<PathPattern>),
    To {
        hosts: Vec<HostPattern>,
        unless: Vec<HostPattern>,
    },
}

/// Tools that are told command lines: what they read and write cannot be seen from those.
const SHELLS: &[&str] = &["bash", "powershell", "bash_code_execution"];

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RuleFault> {
        if text.len() > limits::INPUT_RULE_BYTES_MAX {
            let max = limits::INPUT_RULE_BYTES_MAX;
            return Err(RuleFault { at: 1, text: format!("a rule has at most {max} bytes") });
        }
        let mut words = Words { text, at: 0 };
        match words.next()? {
            Some((_, Word::Bare("deny"))) => {}
            Some((at, Word::Bare("ask" | "allow"))) => {
                return Err(words.fault(at, "a rule about inputs can only be stricter: begin with `deny`"));
            }
            found => return Err(words.fault(found.map_or(0, |(at, _)| at), "a rule begins with `deny`")),
        }
        let tools = words.next()?;
        let Some((at, Word::Bare(list))) = tools else {
            let text = "expected the name of a tool, such as Bash or mcp__prod__delete_*, without quotes";
            return Err(words.fault(tools.map_or(text.len(), |(at, _)| at), text));
        };
        let tools = tools_of(list).map_err(|text| words.fault(at, text))?;
        let test = test_of(&mut words, &tools)?;
        Ok(Self { text: text.into(), tools, test })
    }

    /// The rule as written.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether it speaks of a tool that has one of these names.
    pub(super) fn names(&self, names: &[&str]) -> bool {
        names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            self.tools.iter().any(|tool| tool.matches(&name))
        })
    }

    /// Whether it denies an input.
    pub(super) fn matches(&self, facts: &Facts<'_>, place: &Place) -> Verdict {
        match &self.test {
            Test::Always => Verdict::Denies,
            Test::Matching(expressions) => matching(expressions, facts),
            Test::Inside(patterns) => {
                let within = |spot: &Spot<'_>| patterns.iter().any(|pattern| pattern.may_hold(spot, place));
                Verdict::when(facts.spots().iter().any(within))
            }
            Test::Outside(patterns) => {
                let within = |spot: &Spot<'_>| patterns.iter().any(|pattern| pattern.holds(spot, place));
                Verdict::when(!facts.spots().iter().all(within))
            }
            Test::To { hosts, unless } => {
                let Some(named) = facts.hosts() else { return Verdict::Unjudged(Why::Size) };
                let denied = named.iter().any(|host| {
                    hosts.iter().any(|pattern| pattern.fits(host))
                        && !unless.iter().any(|pattern| pattern.is(host))
                });
                match facts.seen() {
                    _ if denied => Verdict::Denies,
                    Some(Seen { why: Some(why), .. }) => Verdict::Unjudged(*why),
                    Some(seen) if seen.host_unclear => Verdict::Unjudged(Why::Host),
                    _ => Verdict::Passes,
                }
            }
        }
    }
}

/// What a rule says of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passes,
    Denies,
    /// It cannot be told, so it counts as denied.
    Unjudged(Why),
}

impl Verdict {
    fn when(denied: bool) -> Self {
        if denied { Self::Denies } else { Self::Passes }
    }
}

/// An expression, and what of it can be told of texts that are not whole.
#[derive(Clone, Debug)]
struct Expression {
    whole: Regex,
    /// Nothing where the expression is too unusual: then it may match whatever has a gap.
    outline: Option<Outline>,
}

fn matching(expressions: &[Expression], facts: &Facts<'_>) -> Verdict {
    let hit = |text: &str| expressions.iter().any(|expression| expression.whole.is_match(text));
    if hit(facts.written) || facts.texts().any(hit) {
        return Verdict::Denies;
    }
    let Some(forms) = facts.forms() else { return Verdict::Unjudged(Why::Size) };
    let Some(seen) = facts.seen() else { return Verdict::when(forms.iter().any(|form| hit(form))) };
    // What is not known may be nothing at all.
    let without = |text: &String| hit(text) || (text.contains(is_gap) && hit(&text.replace(is_gap, "")));
    if forms.iter().any(|form| hit(form)) || seen.commands.iter().chain(&seen.lists).any(without) {
        return Verdict::Denies;
    }
    if let Some(why) = seen.why {
        return Verdict::Unjudged(why);
    }
    let mut commands = seen.commands.iter().filter(|text| text.contains(is_gap));
    let mut lists = seen.lists.iter().filter(|text| text.contains(is_gap));
    let may = |text: &String, signs: bool| {
        expressions.iter().any(|expression| match &expression.outline {
            Some(outline) => (!signs || outline.names_signs) && outline.may_match(text),
            None => true,
        })
    };
    if commands.any(|text| may(text, false)) || lists.any(|text| may(text, true)) {
        return Verdict::Unjudged(Why::Words);
    }
    Verdict::Passes
}

/// The names of tools: each fits what a model writes.
fn tools_of(list: &str) -> Result<Vec<Glob>, &'static str> {
    let mut tools = Vec::new();
    for name in list.split(',') {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.*:/".contains(&byte);
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(
                "a tool has a name of letters, digits, _ - . and *; several stand with commas between",
            );
        }
        let name = name.to_ascii_lowercase();
        if let Some((server, tool)) = name.split_once('.').filter(|_| !name.starts_with("mcp__")) {
            // Claude Code puts `_` for what it does not take in names.
            let plain = |text: &str| -> String {
                let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-*".contains(letter);
                text.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect()
            };
            tools.push(Glob::new(&format!("mcp__{}__{}", plain(server), plain(tool))));
        }
        tools.push(Glob::new(&name));
    }
    Ok(tools)
}

fn test_of(words: &mut Words<'_>, tools: &[Glob]) -> Result<Test, RuleFault> {
    let Some((at, word)) = words.next()? else { return Ok(Test::Always) };
    let Word::Bare(word) = word else {
        return Err(
            words.fault(at, "expected `matching`, `inside`, `outside` or `to` before a text in quotes")
        );
    };
    let (texts, next) = words.quoted()?;
    if texts.is_empty() {
        return Err(words.fault(at, format!("`{word}` wants a text in double quotes behind it")));
    }
    let shell = SHELLS.iter().any(|shell| tools.iter().any(|tool| tool.matches(shell)));
    let test = match word {
        "matching" => Test::Matching(each(words, &texts, expression)?),
        "inside" | "outside" if shell => {
            let text = format!(
                "`{word}` is for tools that are told a path; a command line hides its paths, \
                                use `matching`, and name the tools without those"
            );
            return Err(words.fault(at, text));
        }
        "inside" => Test::Inside(each(words, &texts, PathPattern::parse)?),
        "outside" => Test::Outside(each(words, &texts, PathPattern::parse)?),
        "to" => {
            let hosts = each(words, &texts, HostPattern::parse)?;
            let unless = match next {
                None => Vec::new(),
                Some((_, Word::Bare("unless"))) => {
                    let (texts, after) = words.quoted()?;
                    if let Some((at, _)) = after {
                        return Err(words.fault(at, "nothing more can follow here"));
                    }
                    each(words, &texts, HostPattern::parse)?
                }
                Some((at, _)) => {
                    return Err(words.fault(at, "behind hosts only `unless` with other hosts can follow"));
                }
            };
            return Ok(Test::To { hosts, unless });
        }
        _ => {
            let text = format!("there is no `{word}`; known: matching, inside, outside, to");
            return Err(words.fault(at, text));
        }
    };
    match next {
        None => Ok(test),
        Some((at, _)) => Err(words.fault(at, "a rule has one test; write another rule for another")),
    }
}

fn each<T>(
    words: &Words<'_>,
    texts: &[(usize, String)],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, RuleFault> {
    if let Some((at, _)) = texts.get(limits::INPUT_RULE_PATTERNS_MAX) {
        return Err(
            words.fault(*at, format!("a rule has at most {} patterns", limits::INPUT_RULE_PATTERNS_MAX))
        );
    }
    texts.iter().map(|(at, text)| read(text).map_err(|why| words.fault(*at, why))).collect()
}

fn expression(text: &str) -> Result<Expression, String> {
    let built = RegexBuilder::new(text)
        .size_limit(limits::INPUT_REGEX_BYTES_MAX)
        .dfa_size_limit(limits::INPUT_REGEX_BYTES_MAX)
        .nest_limit(limits::INPUT_REGEX_DEPTH_MAX)
        .dot_matches_new_line(true)
        .build();
    let whole = built.map_err(|why| {
        let why = why.to_string();
        // The package draws the place over several lines; the last one says what is wrong.
        let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("{text:?} is no regular expression that can be used: {last}")
    })?;
    Ok(Expression { whole, outline: Outline::of(text) })
}

/// The words of a rule.
struct Words<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

#[derive(Clone, Debug)]
enum Word<'a> {
    Bare(&'a str),
    Quoted(String),
}

/// Texts with their places, and the word behind them.
type Quoted<'a> = (Vec<(usize, String)>, Option<(usize, Word<'a>)>);

impl<'a> Words<'a> {
    fn fault(&self, at: usize, text: impl Into<String>) -> RuleFault {
        let before = self.text.get(..at).unwrap_or(self.text);
        RuleFault { at: before.chars().count() + 1, text: text.into() }
    }

    /// The next word and where it begins, in bytes.
    fn next(&mut self) -> Result<Option<(usize, Word<'a>)>, RuleFault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        let start = self.at + (rest.len() - trimmed.len());
        let Some(quoted) = trimmed.strip_prefix('"') else {
            let end = trimmed.find(|letter: char| letter.is_whitespace() || letter == '"');
            let word = trimmed.get(..end.unwrap_or(trimmed.len())).unwrap_or_default();
            self.at = start + word.len();
            return Ok((!word.is_empty()).then_some((start, Word::Bare(word))));
        };
        let mut out = String::new();
        let mut letters = quoted.char_indices();
        while let Some((place, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at = start + 1 + place + 1;
                    return Ok(Some((start, Word::Quoted(out))));
                }
                // Only what has to be is taken for an escape, so that expressions read as they do elsewhere.
                '\\' => match letters.next() {
                    Some((_, other @ ('"' | '\\'))) => out.push(other),
                    Some((_, other)) => out.extend(['\\', other]),
                    None => out.push('\\'),
                },
                _ => out.push(letter),
            }
        }
        Err(self.fault(start, "the text that begins here has no closing quote"))
    }

    /// The texts in quotes that come next.
    fn quoted(&mut self) -> Result<Quoted<'a>, RuleFault> {
        let mut texts = Vec::new();
        loop {
            match self.next()? {
                Some((at, Word::Quoted(text))) => texts.push((at, text)),
                other => return Ok((texts, other)),
            }
        }
    }
}
