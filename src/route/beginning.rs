//! Whether what comes under a good status is an answer at all: by its content type and its first bytes.
//!
//! A proxy in between has a mind of its own: a page to sign in at, a stream under a name that nobody reads as
//! one. Passed on, such a thing looks like an answer that cost nothing and said nothing.

use crate::route::failure::Kind;

/// What came in the place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// A page for people.
    Page,
    /// JSON or events, under a content type that says neither.
    Unnamed,
    /// Events that are called JSON.
    Events,
    /// JSON that is called a stream of events.
    Document,
    /// Neither JSON nor events.
    Garbage,
    /// A body without a byte.
    Nothing,
    /// The connection, or the stream, ended before it said anything.
    Cut,
    /// No byte of the body came in time.
    Silence,
}

impl Came {
    /// In words that follow "answered with".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Page => "a page for people (HTML), where JSON or a stream of events was due",
            Self::Unnamed => "a content type that is neither application/json nor text/event-stream",
            Self::Events => "a stream of events under the content type application/json",
            Self::Document => "one document of JSON under the content type text/event-stream",
            Self::Garbage => "a body that is neither JSON nor a stream of events",
            Self::Nothing => "an empty body",
            Self::Cut => "a beginning without content, and broke off",
            Self::Silence => "a head alone, and fell silent",
        }
    }

    /// What it is as a failure.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Silence => Kind::TimedOut,
            Self::Cut
            | Self::Page
            | Self::Unnamed
            | Self::Events
            | Self::Document
            | Self::Garbage
            | Self::Nothing => Kind::Failing,
        }
    }

    /// Whether a model may have been at work on it, which is paid for: no page comes from one.
    pub const fn may_cost(self) -> bool {
        !matches!(self, Self::Page)
    }
}

/// What a look at a beginning has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// More bytes have to be seen.
    More,
    /// It begins as an answer does.
    Answer,
    /// It is none.
    Wrong(Came),
}

/// What an answer calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// `text/event-stream`.
    Events,
    /// `application/json`.
    Json,
    /// `text/html`.
    Page,
    /// Anything else.
    Other,
    /// Nothing: then what it looks like counts.
    Nothing,
}

impl Named {
    /// Of a `content-type` header, whatever parameters it has.
    pub fn of(content_type: &[u8]) -> Self {
        let is = |name: &[u8]| {
            content_type.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        if content_type.is_empty() {
            Self::Nothing
        } else if is(b"text/event-stream") {
            Self::Events
        } else if is(b"application/json") {
            Self::Json
        } else if is(b"text/html") {
            Self::Page
        } else {
            Self::Other
        }
    }
}

/// Looks at the first bytes of a body. `last` is its last byte that is no white space, where the whole of it
/// has come: `first` is all of it then, or its beginning.
pub fn look(named: Named, first: &[u8], last: Option<u8>) -> Look {
    let whole = last.is_some();
    let shape = shape(first);
    match (named, shape) {
        (Named::Page, _) | (_, Shape::Page) => Look::Wrong(Came::Page),
        (_, Shape::Unclear) if !whole => Look::More,
        (_, Shape::Unclear) if first.trim_ascii().is_empty() => Look::Wrong(Came::Nothing),
        (Named::Json | Named::Nothing, Shape::Object) if !matches!(last, None | Some(b'}')) => {
            Look::Wrong(Came::Garbage)
        }
        (Named::Json | Named::Nothing, Shape::Object)
        | (Named::Events, Shape::Events | Shape::Strange)
        | (Named::Nothing, Shape::Events) => Look::Answer,
        (Named::Events, Shape::Object) => Look::Wrong(Came::Document),
        (Named::Json, Shape::Events) => Look::Wrong(Came::Events),
        (Named::Other, Shape::Object | Shape::Events) => Look::Wrong(Came::Unnamed),
        (_, Shape::Unclear | Shape::Broken | Shape::Strange) => Look::Wrong(Came::Garbage),
    }
}

/// What the first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Too few to tell.
    Unclear,
    /// An object of JSON.
    Object,
    /// A line of an event stream.
    Events,
    /// A tag.
    Page,
    /// The bracket of an object or of a list, and nothing that may follow in an answer.
    Broken,
    /// Something else.
    Strange,
}

/// The names of the fields of an event, and its comments, which have none.
const FIELDS: [&[u8]; 5] = [b"event:", b"data:", b"id:", b"retry:", b":"];

fn shape(first: &[u8]) -> Shape {
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    match first {
        [] => Shape::Unclear,
        [b'<', ..] => Shape::Page,
        [b'[', ..] => Shape::Broken,
        [b'{', rest @ ..] => object(rest),
        // What has been made known of a name is too little to tell it from another word.
        _ if FIELDS.iter().any(|name| name.len() > first.len() && name.starts_with(first)) => Shape::Unclear,
        _ => match first.strip_prefix(b"data:") {
            Some(data) => data_line(data),
            None if FIELDS.iter().any(|name| first.starts_with(name)) => Shape::Events,
            None => Shape::Strange,
        },
    }
}

/// What follows the first bracket.
fn object(rest: &[u8]) -> Shape {
    match rest.trim_ascii_start() {
        [] => Shape::Unclear,
        [b'"' | b'}', ..] => Shape::Object,
        _ => Shape::Broken,
    }
}

/// The first line of data: JSON has to begin as such, whatever else there may be.
fn data_line(data: &[u8]) -> Shape {
    let line = data.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let ended = line.len() < data.len();
    match line.trim_ascii_start() {
        [] if !ended => Shape::Unclear,
        [b'{', rest @ ..] => match object(rest) {
            Shape::Unclear if !ended => Shape::Unclear,
            // An object may go on in the next line of the same event.
            Shape::Unclear | Shape::Object => Shape::Events,
            other => other,
        },
        _ => Shape::Events,
    }
}

#[cfg(test)]
mod tests {
    use super::{Came, Look, Named, look};

    fn seen(named: Named, body: &[u8], whole: bool) -> Look {
        let last = body.trim_ascii_end().last().copied().unwrap_or(b' ');
        look(named, body, whole.then_some(last))
    }

    #[track_caller]
    fn check(content_type: &str, body: &str, expected: Look) {
        let named = Named::of(content_type.as_bytes());
        assert_eq!(seen(named, body.as_bytes(), true), expected, "{content_type}: {body:?}");
        // Whatever has come of it, what is told of a part is never taken back but for its end.
        for cut in 0..body.len() {
            let part = seen(named, &body.as_bytes()[..cut], false);
            let by_its_end = expected == Look::Wrong(Came::Garbage) && part == Look::Answer;
            assert!(part == Look::More || part == expected || by_its_end, "{body:?} up to {cut}: {part:?}");
        }
    }

    #[test]
    fn what_is_called_by_its_name_passes() {
        check("application/json", r#"{"id":"msg_1"}"#, Look::Answer);
        check("Application/JSON; charset=utf-8", " \n{\n  \"id\": 1 }\n", Look::Answer);
        check("application/json", "{}", Look::Answer);
        check("text/event-stream; charset=utf-8", "event: message_start\ndata: {}\n\n", Look::Answer);
        check("text/event-stream", ": warm\n\nevent: ping\n", Look::Answer);
        check("text/event-stream", "data: {\"id\":1}\n\n", Look::Answer);
        check("text/event-stream", "data:{\ndata:\"id\":1}\n\n", Look::Answer);
        check("text/event-stream", "data: [DONE]\n\n", Look::Answer);
        check("text/event-stream", "\u{feff}retry: 3\n", Look::Answer);
        check("text/event-stream", "unheard-of: 1\n", Look::Answer);
        check("", "event: ping\n", Look::Answer);
        check("", "{}", Look::Answer);
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let wrong = Look::Wrong;
        check("application/json", "<!doctype html>", wrong(Came::Page));
        check("text/event-stream", "\n<html>", wrong(Came::Page));
        check("text/plain", "data: {\"a\":1}\n\n", wrong(Came::Unnamed));
        check("application/octet-stream", r#"{"id":1}"#, wrong(Came::Unnamed));
        check("", "<html>", wrong(Came::Page));
        check("application/json", "event: ping\n\n", wrong(Came::Events));
        check("text/event-stream", r#"{"id":1}"#, wrong(Came::Document));
        check("application/json", r#"{"id":"#, wrong(Came::Garbage));
        check("application/json", "{oops}", wrong(Came::Garbage));
        check("application/json", r#"["id"]"#, wrong(Came::Garbage));
        check("application/json", "{", wrong(Came::Garbage));
        check("application/json", "upstream timed out", wrong(Came::Garbage));
        check("text/event-stream", "data: {oops\n\n", wrong(Came::Garbage));
        check("application/json", "", wrong(Came::Nothing));
        check("text/event-stream", "\r\n", wrong(Came::Nothing));
        assert_eq!(seen(Named::of(b"text/html; charset=utf-8"), b"", false), wrong(Came::Page));
    }

    #[test]
    fn only_what_a_model_may_have_made_costs() {
        assert!(!Came::Page.may_cost() && Came::Garbage.may_cost() && Came::Cut.may_cost());
    }
}
