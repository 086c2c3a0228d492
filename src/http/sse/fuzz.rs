//! The fuzz body of the event splitter: any split says the same, and it says what the standard says.

use super::{NAME_BYTES_MAX, Piece, Splitter};

/// An event: name and data.
type Event = (Vec<u8>, Vec<u8>);

/// Splits the stream `data[1..]` at places drawn from `data[0]` and compares with a reading of the whole.
pub fn fuzz_sse(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    check(stream, usize::from(seed % 17) + 1);
}

/// Pushes `stream` in pieces of `step` bytes.
pub(super) fn check(stream: &[u8], step: usize) {
    let mut splitter = Splitter::default();
    let mut events: Vec<Event> = Vec::new();
    let mut data = Vec::new();
    let mut name = Vec::new();
    let (mut id, mut retry) = (None, None);
    let mut passed = 0;
    assert!(splitter.between_events());
    for piece in stream.chunks(step) {
        splitter.push(piece, |piece| match piece {
            Piece::Name(bytes) => name = bytes.to_vec(),
            Piece::Data(bytes) => data.extend_from_slice(bytes),
            Piece::End(bytes) => {
                assert_eq!(std::mem::take(&mut name), bytes);
                events.push((bytes.to_vec(), std::mem::take(&mut data)));
            }
            Piece::Void => {
                assert!(data.is_empty());
                name.clear();
            }
            Piece::Id(bytes) => gather(&mut id, bytes),
            Piece::Retry(bytes) => gather(&mut retry, bytes),
        });
        passed += piece.len();
        let so_far = stream.get(..passed).unwrap_or_default();
        let (expected, between) = read_whole(so_far);
        assert_eq!(events, expected, "{}", so_far.escape_ascii());
        assert_eq!(splitter.between_events(), between, "{}", so_far.escape_ascii());
    }
    // What has been said of a line that is not over cannot be read from whole lines.
    splitter.push(b"\n", |piece| match piece {
        Piece::Id(bytes) => gather(&mut id, bytes),
        Piece::Retry(bytes) => gather(&mut retry, bytes),
        Piece::Name(_) | Piece::Data(_) | Piece::End(_) | Piece::Void => {}
    });
    let ended = [stream, b"\n"].concat();
    assert_eq!(id, last_value(&ended, b"id"), "{}", stream.escape_ascii());
    assert_eq!(retry, last_value(&ended, b"retry"), "{}", stream.escape_ascii());
}

/// Takes a piece of a value; an empty one begins another.
fn gather(value: &mut Option<Vec<u8>>, piece: &[u8]) {
    if piece.is_empty() {
        *value = Some(Vec::new());
    }
    value.get_or_insert_default().extend_from_slice(piece);
}

/// The value of the last line of that field.
fn last_value(stream: &[u8], field: &[u8]) -> Option<Vec<u8>> {
    let text = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let lines = text.split(|&byte| byte == b'\r' || byte == b'\n');
    let mut values = lines.filter_map(|line| match line.strip_prefix(field)? {
        [] => Some(&b""[..]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    });
    values.next_back().map(<[u8]>::to_vec)
}

/// Reads a whole stream line by line, by the words of the standard; also whether it stops between events.
fn read_whole(stream: &[u8]) -> (Vec<Event>, bool) {
    let mark = b"\xef\xbb\xbf";
    let text = stream.strip_prefix(mark).unwrap_or(stream);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\r' || byte == b'\n' {
            if byte == b'\r' && bytes.peek() == Some(&b'\n') {
                bytes.next();
            }
            lines.push(std::mem::take(&mut line));
        } else {
            line.push(byte);
        }
    }
    let mut events = Vec::new();
    let (mut name, mut data, mut under_way) = (Vec::new(), Vec::<u8>::new(), false);
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                events.push((std::mem::take(&mut name), std::mem::take(&mut data)));
            }
            name.clear();
            under_way = false;
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        under_way |= colon != 0;
        match field {
            b"event" => name = if value.len() > NAME_BYTES_MAX { Vec::new() } else { value.to_vec() },
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            _ => {}
        }
    }
    let in_mark = !stream.is_empty() && stream.len() < mark.len() && mark.starts_with(stream);
    (events, line.is_empty() && !under_way && !in_mark)
}
