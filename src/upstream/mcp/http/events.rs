//! An event stream as MCP uses it: from bytes in pieces of any size to messages, ids and delays.

use std::collections::VecDeque;
use std::time::Duration;

use crate::http::sse::{Piece, Splitter};
use crate::limits;

/// What a stream says, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream::mcp) enum Event {
    /// The data of an event without a name or with the name `message`; never empty, and at most
    /// `limits::MCP_MESSAGE_BYTES_MAX`.
    Message(Vec<u8>),
    /// The data of an event `endpoint`.
    Endpoint(Vec<u8>),
    /// The id of the event that has just been told, or of an event without data. Empty when it takes back
    /// earlier ones.
    Id(String),
    /// How long to wait before the stream is asked for again, within our bounds.
    Retry(Duration),
    /// A message has grown beyond `limits::MCP_MESSAGE_BYTES_MAX`: it is left out. Said as soon as it does.
    TooLarge,
}

/// Reads one stream.
#[derive(Debug, Default)]
pub(in crate::upstream::mcp) struct Events {
    splitter: Splitter,
    block: Block,
    /// What of one push nobody has taken: no more than the push had bytes, and one event before it.
    ready: VecDeque<Event>,
}

/// The event that is under way.
#[derive(Debug, Default)]
struct Block {
    data: Vec<u8>,
    id: Option<Vec<u8>>,
    retry: Option<Vec<u8>>,
    too_large: bool,
}

impl Events {
    /// Takes the next bytes of the stream.
    pub(in crate::upstream::mcp) fn push(&mut self, bytes: &[u8]) {
        let Self { splitter, block, ready } = self;
        splitter.push(bytes, |piece| match piece {
            Piece::Data(data) => block.more_data(data, ready),
            Piece::Id(value) => gather(&mut block.id, value),
            Piece::Retry(value) => gather(&mut block.retry, value),
            Piece::Name(_) => {}
            Piece::End(name) => block.end(Some(name), ready),
            Piece::Void => block.end(None, ready),
        });
    }

    /// What comes next of the bytes so far.
    pub(in crate::upstream::mcp) fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }
}

impl Block {
    fn more_data(&mut self, data: &[u8], ready: &mut VecDeque<Event>) {
        if self.too_large {
            return;
        }
        if self.data.len() + data.len() > limits::MCP_MESSAGE_BYTES_MAX {
            self.too_large = true;
            self.data = Vec::new();
            ready.push_back(Event::TooLarge);
        } else {
            self.data.extend_from_slice(data);
        }
    }

    /// At the blank line; without a name where there was no data.
    fn end(&mut self, name: Option<&[u8]>, ready: &mut VecDeque<Event>) {
        let Self { data, id, retry, .. } = std::mem::take(self);
        match name {
            // A server says such an event only to hand out its id.
            _ if data.trim_ascii().is_empty() => {}
            Some(b"" | b"message") => ready.push_back(Event::Message(data)),
            Some(b"endpoint") => ready.push_back(Event::Endpoint(data)),
            Some(_) | None => {}
        }
        ready.extend(id.and_then(usable_id).map(Event::Id));
        ready.extend(retry.and_then(|value| delay(&value)).map(Event::Retry));
    }
}

/// Takes a piece of a value; an empty one begins another. Beyond its bound a value only has to stay too long.
fn gather(value: &mut Option<Vec<u8>>, piece: &[u8]) {
    if piece.is_empty() {
        *value = Some(Vec::new());
    }
    let value = value.get_or_insert_default();
    if value.len() <= limits::MCP_EVENT_ID_BYTES_MAX {
        let room = limits::MCP_EVENT_ID_BYTES_MAX + 1 - value.len();
        value.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
}

/// An id that can be sent back as the value of a header. One that cannot is as good as none, and must not
/// leave an earlier one in force: what lies between would come twice.
fn usable_id(value: Vec<u8>) -> Option<String> {
    // By the standard an id with a zero byte is as if it had not been written.
    if value.contains(&0) {
        return None;
    }
    let fits = value.len() <= limits::MCP_EVENT_ID_BYTES_MAX && !value.iter().any(u8::is_ascii_control);
    Some(String::from_utf8(value).ok().filter(|_| fits).unwrap_or_default())
}

/// Digits alone are a delay in milliseconds.
fn delay(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More digits than fit are a long delay all the same.
    let ms = std::str::from_utf8(value).ok()?.parse().unwrap_or(u64::MAX);
    Some(Duration::from_millis(ms).clamp(limits::MCP_RETRY_MIN, limits::MCP_RETRY_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Event, Events};
    use crate::limits;

    fn read<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let mut events = Events::default();
        let mut found = Vec::new();
        for part in parts {
            events.push(part);
            while let Some(event) = events.next() {
                found.push(event);
            }
        }
        found
    }

    fn message(text: &str) -> Event {
        Event::Message(text.as_bytes().to_vec())
    }

    fn id(text: &str) -> Event {
        Event::Id(text.to_owned())
    }

    #[test]
    fn streams_say_what_they_should() {
        let ms = |ms| Event::Retry(Duration::from_millis(ms));
        let long = "i".repeat(limits::MCP_EVENT_ID_BYTES_MAX);
        let long_id = format!("id: {long}\n\nid: {long}i\n\n");
        let cases: &[(&str, &[Event])] = &[
            ("data: {}\n\n", &[message("{}")]),
            ("event: message\ndata: {}\r\n\r\n", &[message("{}")]),
            ("event: other\ndata: {}\n\n", &[]),
            ("event: endpoint\ndata: /m?s=1\n\n", &[Event::Endpoint(b"/m?s=1".to_vec())]),
            ("data: {\rdata: }\r\r", &[message("{\n}")]),
            (": ping\n\n:\n\n", &[]),
            ("id: 1\ndata:\n\n", &[id("1")]),
            ("id: 1\ndata: \n\nid: 2\ndata: {}\nretry: 500\n\n", &[id("1"), message("{}"), id("2"), ms(500)]),
            ("id: 1\nid: 2\n\n", &[id("2")]),
            ("id\n\n", &[id("")]),
            ("id: a\0b\n\n", &[]),
            ("id: a\u{7}b\n\n", &[id("")]),
            ("id: \u{e9}\n\n", &[id("\u{e9}")]),
            (&long_id, &[id(&long), id("")]),
            ("retry: 0\n\nretry: 99999999999999999999999\n\n", &[ms(100), ms(30_000)]),
            ("retry: -1\n\nretry: 1s\n\nretry:\n\n", &[]),
            ("id: 1\ndata: {}\n", &[]),
        ];
        for (stream, expected) in cases {
            assert_eq!(read([stream.as_bytes()]), *expected, "{stream:?}");
        }
    }

    #[test]
    fn a_message_beyond_the_bound_is_left_out_and_said_so_at_once() {
        let mut events = Events::default();
        events.push(b"data: 1\n\ndata: ");
        let line = vec![b'x'; limits::MCP_MESSAGE_BYTES_MAX];
        events.push(&line);
        assert_eq!(events.next(), Some(message("1")));
        assert_eq!(events.next(), None, "that much is allowed");
        events.push(b"x");
        assert_eq!(events.next(), Some(Event::TooLarge));
        assert!(events.block.data.capacity() == 0, "what is refused is not kept");
        events.push(&line);
        events.push(b"\ndata: more\nid: 7\n\ndata: 2\n\n");
        assert_eq!(events.next(), Some(id("7")));
        assert_eq!(events.next(), Some(message("2")));
        assert_eq!(events.next(), None);
    }

    proptest! {
        #[test]
        fn any_split_says_the_same(
            words in vec(proptest::sample::select(vec![
                "data: ", "data:{\"a\":1}", "data", "event: message", "event: endpoint", "event: x", "id: 1",
                "id: 22", "id", "retry: 7", "retry", ": c", "\u{feff}", "\n", "\n", "\n\n", "\r", "\r\n",
                "\r\n\r\n", "{}", "[]",
            ]), 0..40),
            cuts in vec(1_usize..9, 1..40),
        ) {
            let stream = words.concat().into_bytes();
            let mut parts = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                parts.push(part);
                rest = after;
            }
            parts.push(rest);
            prop_assert_eq!(read(parts), read([stream.as_slice()]));
        }
    }
}
