//! The store of contents: what goes in comes out, once, in little room, and not for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::Strategy;
use serde_json::{Value as Tree, json};

use super::blocks::cut;
use super::index::Index;
use super::record::{Item, Kind, hash, hashes, items, records, write};
use super::{Counted, Fault, Kept, MS_OF_DAY, Part, Policy, Report, Settings, Store, packs};
use crate::ids::CallId;
use crate::limits;

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-content-{}-{number}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    fn open(&self) -> (Store, Report) {
        let settings = Settings { dir: self.0.clone(), retain_days: 30, stream: |_| None };
        Store::open(settings).unwrap()
    }

    fn packs(&self) -> Vec<PathBuf> {
        packs::numbers(&self.0).unwrap().into_iter().map(|number| packs::path(&self.0, number)).collect()
    }

    fn bytes(&self) -> u64 {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const DAY: u64 = 20_000 * MS_OF_DAY;

fn put(store: &Store, call: u128, body: &[u8], now_ms: u64) {
    let kept = store.put(CallId(call), Part::Request, Policy::Full, Bytes::copy_from_slice(body), now_ms);
    assert_eq!(kept, Kept::Queued);
}

fn get(store: &Store, call: u128) -> Option<Vec<u8>> {
    store.read(CallId(call), Part::Request).unwrap()
}

/// Text that says nothing twice, different for every seed.
fn text(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = String::new();
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.push_str(&format!("{:x} ", state & 0xff_ffff));
    }
    out.truncate(bytes);
    out
}

fn request(messages: &[Tree]) -> Vec<u8> {
    let tools = json!([{"name": "Read", "description": text(1, 3000)}, {"name": "Bash", "input_schema": {}}]);
    let system = json!([{"type": "text", "text": text(2, 4000)}]);
    json!({"model": "m", "messages": messages, "system": system, "tools": tools}).to_string().into_bytes()
}

fn said(seed: u64, bytes: usize) -> Tree {
    json!({"role": "user", "content": [{"type": "text", "text": text(seed, bytes)}]})
}

// === pieces ===

fn pieces(body: &str) -> Vec<&str> {
    let pieces: Vec<&str> = cut(body.as_bytes()).into_iter().map(|piece| body.get(piece).unwrap()).collect();
    assert_eq!(pieces.concat(), body);
    pieces
}

#[test]
fn blocks_are_cut_out() {
    let body =
        r#"{"messages":[{"role":"user","content":"a"},{"content":[{"x":1},{"y":[2]}]}],"tools":[{"z":3}]}"#;
    let expected = [
        r#"{"messages":[{"role":"user","content":"#,
        r#""a""#,
        r#"},{"content":["#,
        r#"{"x":1"#,
        "},",
        r#"{"y":[2]"#,
        r#"}]}],"tools":["#,
        r#"{"z":3"#,
        "}]}",
    ];
    assert_eq!(pieces(body), expected);
    assert_eq!(pieces(r#"{"system":"s"}"#), [r#"{"system":"#, "\"s\"", "}"]);
    assert_eq!(pieces(r#"{"content":[{}],"x":1}"#), [r#"{"content":["#, "{", r#"}],"x":1}"#]);
    for other in ["data: {}", "[1]", "{\"messages\":[{\"content\":[{}", "{\"messages\":7}", "{}"] {
        assert_eq!(pieces(other), [other]);
    }
    assert!(pieces("").is_empty());
}

#[test]
fn the_mark_for_caching_is_no_part_of_a_block() {
    let plain = r#"{"content":[{"type":"text","text":"a"},{"b":1}]}"#;
    let marked = r#"{"content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"b":1}]}"#;
    let (plain, marked) = (pieces(plain), pieces(marked));
    assert_eq!(plain.get(1), marked.get(1));
    assert_eq!(plain.get(3), marked.get(3));
    assert_eq!(marked.get(2), Some(&r#","cache_control":{"type":"ephemeral"}},"#));
    let alone = pieces(r#"{"content":[{"cache_control":{}}]}"#);
    assert_eq!(alone.get(1), Some(&"{"));
}

#[test]
fn pieces_are_bounded() {
    let blocks = vec![json!({"a": 1}); limits::CONTENT_PIECES_MAX];
    let body = json!({ "content": blocks }).to_string();
    assert_eq!(pieces(&body).len(), limits::CONTENT_PIECES_MAX - 1);
}

#[test]
fn lists_and_records_read_as_written() {
    let longest = [7; limits::CONTENT_LITERAL_BYTES_MAX];
    let written = [Item::Literal(b"a"), Item::Stored([9; 32]), Item::Literal(&longest)];
    let mut list = Vec::new();
    written.iter().for_each(|item| item.write(&mut list));
    assert_eq!(items(&list).unwrap(), written);
    assert_eq!(items(&list[..list.len() - 1]), None);
    assert_eq!(hashes(&[1; 64]).unwrap().len(), 2);
    assert_eq!(hashes(&[1; 63]), None);
    assert_ne!(hash(Kind::Piece, b"x"), hash(Kind::List, b"x"));
    let mut frame = Vec::new();
    let at = write(&mut frame, Kind::Piece, &[3; 32], 8, b"bytes").unwrap();
    write(&mut frame, Kind::Turn, &[4; 32], 9, b"").unwrap();
    let read: Vec<_> = records(&frame).map(Option::unwrap).collect();
    assert_eq!(
        read.iter().map(|record| (record.kind, record.day)).collect::<Vec<_>>(),
        [(Kind::Piece, 8), (Kind::Turn, 9)]
    );
    assert_eq!((read[0].at, read[0].bytes), (at, &b"bytes"[..]));
    assert_eq!(records(&frame[..frame.len() - 1]).last(), Some(None));
}

// === in and out ===

#[test]
fn what_goes_in_comes_out() {
    let folder = Folder::new();
    let bodies: Vec<Vec<u8>> = vec![
        request(&[said(3, 10_000), said(4, 10)]),
        Vec::new(),
        b"not JSON".to_vec(),
        vec![0xff; 3_000_000],
        request(&[]),
        request(&(0..500).map(|seed| said(seed, 100)).collect::<Vec<_>>()),
    ];
    let (store, report) = folder.open();
    assert_eq!(report, Report::default());
    for (call, body) in (0..).zip(&bodies) {
        put(&store, call, body, DAY);
    }
    let answer = Bytes::from_static(b"{\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}");
    store.put(CallId(0), Part::Answer, Policy::Full, answer.clone(), DAY);
    store.flush();
    assert_eq!(store.counted(), Counted { stored: 7, ..Counted::default() });
    let check = |store: &Store| {
        for (call, body) in (0..).zip(&bodies) {
            assert!(get(store, call).as_ref() == Some(body), "body {call}");
        }
        assert_eq!(store.read(CallId(0), Part::Answer).unwrap().unwrap(), answer);
        assert_eq!(get(store, 99), None);
    };
    check(&store);
    drop(store);
    let (store, report) = folder.open();
    assert_eq!(report, Report::default(), "a good end leaves nothing to do");
    check(&store);
}

#[test]
fn the_policy_is_kept() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    let secret = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0".repeat(2));
    let body = Bytes::from(request(&[json!({"role": "user", "content": format!("use {secret}\nplease")})]));
    for (call, policy) in [(1, Policy::Off), (2, Policy::Metadata)] {
        assert_eq!(store.put(CallId(call), Part::Request, policy, body.clone(), DAY), Kept::No);
    }
    store.put(CallId(3), Part::Request, Policy::Redacted, body.clone(), DAY);
    store.flush();
    assert_eq!((get(&store, 1), get(&store, 2)), (None, None));
    let redacted = String::from_utf8(get(&store, 3).unwrap()).unwrap();
    assert_eq!(redacted, str::from_utf8(&body).unwrap().replace(&secret, "[redacted:github]"));
    let hidden = |folder: &Folder| {
        folder.packs().iter().all(|path| {
            let file = fs::File::open(path).unwrap();
            let mut at = 0;
            while let Some(frame) = packs::read(&file, at).unwrap() {
                if memchr::memmem::find(&frame.raw, secret.as_bytes()).is_some() {
                    return false;
                }
                at = frame.next;
            }
            true
        })
    };
    assert!(hidden(&folder));
    store.put(CallId(4), Part::Request, Policy::Full, body, DAY);
    store.flush();
    assert!(!hidden(&folder), "the test can see what is there");
    assert_eq!([Kept::No, Kept::Queued, Kept::Skipped].map(Kept::word), ["", "kept", "skipped"]);
    assert_eq!(Policy::of("redacted"), Some(Policy::Redacted));
    assert_eq!(Policy::of("all"), None);
}

#[test]
fn streamed_answers_are_put_together_first() {
    let folder = Folder::new();
    let stream = |body: &[u8]| body.strip_prefix(b"data: ").map(<[u8]>::to_vec);
    let (store, _) = Store::open(Settings { dir: folder.0.clone(), retain_days: 1, stream }).unwrap();
    for part in [Part::Request, Part::Answer] {
        store.put(CallId(1), part, Policy::Full, Bytes::from_static(b"data: {}"), DAY);
    }
    store.flush();
    assert_eq!(store.read(CallId(1), Part::Request).unwrap().unwrap(), b"data: {}");
    assert_eq!(store.read(CallId(1), Part::Answer).unwrap().unwrap(), b"{}");
}

#[test]
fn a_full_queue_skips_and_counts() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    let body = Bytes::from(vec![b'x'; 32 << 20]);
    let kept = |call| store.put(CallId(call), Part::Request, Policy::Full, body.clone(), DAY);
    let skipped = (0..64).filter(|call| kept(*call) == Kept::Skipped).count() as u64;
    store.flush();
    let counted = store.counted();
    assert!(skipped > 0, "64 bodies of 32 MiB are more than wait");
    assert_eq!(counted, Counted { stored: 64 - skipped, skipped, failed: 0, queued_bytes: 0 });
    assert_eq!(kept(99), Kept::Queued, "there is room again");
}

// === little room ===

/// The turns of a session that grows to about 200,000 tokens, each with all that was before: sources read and
/// changed, as they are.
fn session(turns: usize) -> Vec<Vec<u8>> {
    let mut sources = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push(path);
            }
        }
    }
    sources.sort();
    let read = |turn: usize| fs::read_to_string(&sources[turn * 7 % sources.len()]).unwrap();
    let tools: Vec<Tree> = (0..40)
        .map(|tool| json!({"name": format!("tool_{tool}"), "description": read(tool).get(..900)}))
        .collect();
    let mut messages: Vec<Tree> = Vec::new();
    let mut bodies = Vec::new();
    for turn in 0..turns {
        let source: String = (read(turn) + &read(turn + 51)).chars().take(7_800).collect();
        let id =
            format!("toolu_{:x}", u128::from_be_bytes(*b"0123456789abcdef").wrapping_mul(turn as u128 + 1));
        let result = json!({"type": "tool_result", "tool_use_id": id, "content": source,
            "cache_control": {"type": "ephemeral"}});
        messages.push(json!({"role": "user", "content": [result]}));
        let header = format!("x-anthropic-billing-header: cc_version=2; cch={turn:05x};");
        let body = json!({"model": "claude-opus-5", "messages": messages,
            "system": [{"type": "text", "text": header}, {"type": "text", "text": read(3)}],
            "tools": tools, "metadata": {"user_id": "{\"session_id\":\"x\"}"}, "stream": true});
        bodies.push(body.to_string().into_bytes());
        // The mark moves on, and the model has answered.
        let last = messages.last_mut().unwrap();
        last["content"][0].as_object_mut().unwrap().remove("cache_control");
        let input = json!({"file_path": sources[turn % sources.len()].to_str(), "limit": turn});
        messages.push(json!({"role": "assistant", "content": [
            {"type": "text", "text": format!("Next I look at file {turn}.")},
            {"type": "tool_use", "id": id, "name": "Read", "input": input}]}));
    }
    bodies
}

#[test]
fn a_session_of_100_turns_takes_an_eighth_of_its_bytes() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    let bodies = session(100);
    let last = bodies.last().unwrap().len();
    assert!((700_000..1_100_000).contains(&last), "{last} bytes are about 200,000 tokens");
    let raw: usize = bodies.iter().map(Vec::len).sum();
    for (call, body) in (0..).zip(&bodies) {
        put(&store, call, body, DAY);
        // Turns come one by one: each is written by itself, which compresses worst.
        store.flush();
    }
    for (call, body) in (0..).zip(&bodies).step_by(11) {
        assert!(get(&store, call).as_ref() == Some(body), "turn {call}");
    }
    drop(store);
    let stored = folder.bytes();
    println!("{raw} bytes sent, {stored} stored: 1/{}", raw as u64 / stored);
    assert!(stored * 8 <= raw as u64, "{raw} bytes sent, {stored} stored");
    // 1/54 when this was written: less than half of it would mean that something is stored twice.
    assert!(stored * 30 <= raw as u64, "{raw} bytes sent, {stored} stored");
}

// === crashes ===

#[test]
fn a_torn_tail_is_cut_and_the_rest_is_there() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    put(&store, 1, &request(&[said(5, 2000)]), DAY);
    store.flush();
    drop(store);
    let pack = folder.packs().pop().unwrap();
    let first = fs::metadata(&pack).unwrap().len();
    let saved = fs::read(folder.0.join("index.sqlite")).unwrap();
    let (store, _) = folder.open();
    put(&store, 2, &request(&[said(5, 2000), said(6, 2000)]), DAY);
    drop(store);
    let whole = fs::read(&pack).unwrap();
    let end = whole.len() as u64;
    assert!(end > first);
    for len in [first, first + 1, first + 11, first + 12, (first + end) / 2, end - 1, end] {
        // The index has not heard of the second turn, or has heard of one that is not there.
        for old_index in [true, false] {
            if old_index {
                fs::write(folder.0.join("index.sqlite"), &saved).unwrap();
            }
            fs::write(&pack, &whole[..usize::try_from(len).unwrap()]).unwrap();
            let (store, report) = folder.open();
            let cut = if len == end { 0 } else { len - first };
            assert_eq!(report.cut_bytes, cut, "{len} of {end} bytes");
            assert_eq!(fs::metadata(&pack).unwrap().len(), len - cut, "nothing is left behind the end");
            assert_eq!(get(&store, 1), Some(request(&[said(5, 2000)])));
            assert_eq!(get(&store, 2).is_some(), len == end);
            put(&store, 3, &request(&[said(7, 3000)]), DAY);
            store.flush();
            assert_eq!(get(&store, 3), Some(request(&[said(7, 3000)])));
        }
    }
}

#[test]
fn the_index_can_be_made_again() {
    let folder = Folder::new();
    let bodies: Vec<_> =
        (0..20).map(|turn| request(&(0..turn).map(|seed| said(seed, 500)).collect::<Vec<_>>())).collect();
    let (store, _) = folder.open();
    for (call, body) in (0..).zip(&bodies) {
        put(&store, call, body, DAY);
        store.flush();
    }
    drop(store);
    for damage in [None, Some(b"not a database, but long enough to be taken for the head of one".to_vec())] {
        match damage {
            None => fs::remove_file(folder.0.join("index.sqlite")).unwrap(),
            Some(bytes) => fs::write(folder.0.join("index.sqlite"), bytes.repeat(100)).unwrap(),
        }
        let (store, report) = folder.open();
        assert!(report.frames_read >= 20 && report.cut_bytes == 0, "{report:?}");
        for (call, body) in (0..).zip(&bodies) {
            assert!(get(&store, call).as_ref() == Some(body));
        }
    }
}

#[test]
fn the_index_is_for_its_owner_only() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    put(&store, 1, b"text", DAY);
    store.flush();
    for file in ["index.sqlite", "index.sqlite-wal"] {
        let mode = fs::metadata(folder.0.join(file)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_damaged_byte_is_found_and_never_read() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    let body = request(&[said(8, 2000)]);
    put(&store, 1, &body, DAY);
    store.flush();
    let pack = folder.packs().pop().unwrap();
    let whole = fs::read(&pack).unwrap();
    for place in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        fs::write(&pack, &bytes).unwrap();
        match store.read(CallId(1), Part::Request) {
            // The length before compression is no part of what is checked, until it is used.
            Ok(read) => assert_eq!(read, Some(body.clone()), "byte {place}"),
            Err(fault) => assert!(matches!(fault, Fault::Damaged), "byte {place}: {fault}"),
        }
    }
    fs::write(&pack, &whole).unwrap();
    assert_eq!(get(&store, 1), Some(body));
}

#[test]
fn another_piece_is_never_read_in_its_place() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    put(&store, 1, &request(&[said(14, 300), said(15, 300)]), DAY);
    store.flush();
    let sound = get(&store, 1).unwrap();
    let index = Index::open(&folder.0).unwrap();
    let piece = |seed| {
        hash(Kind::Piece, said(seed, 300)["content"][0].to_string().strip_suffix('}').unwrap().as_bytes())
    };
    let place = index.find(&piece(14)).unwrap().expect("blocks are stored without their bracket");
    let other = index.find(&piece(15)).unwrap().unwrap();
    let at = |at: usize| i64::try_from(at).unwrap();
    let put_at = |to: usize| {
        index.db.execute("UPDATE place SET at = ?2 WHERE name = ?1", (piece(14), at(to))).unwrap();
    };
    put_at(other.at);
    let read = store.read(CallId(1), Part::Request);
    assert!(matches!(read, Err(Fault::Damaged)), "{read:?}");
    put_at(place.at);
    assert_eq!(get(&store, 1), Some(sound));
}

// === not for ever ===

#[test]
fn what_is_old_goes_and_what_is_used_stays() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    let shared = said(9, 5000);
    let old = request(&[shared.clone(), said(10, 5000)]);
    let new = request(&[shared, said(11, 200)]);
    put(&store, 1, &old, DAY);
    store.flush();
    let later = DAY + 20 * MS_OF_DAY;
    assert!(store.sweep(later));
    put(&store, 2, &new, later);
    store.flush();
    assert_eq!(folder.packs().len(), 2, "a sweep ends a pack of another day");
    assert_eq!(get(&store, 1).as_ref(), Some(&old));
    // The first turn is over; what the second shares with it is not.
    assert!(store.sweep(DAY + 31 * MS_OF_DAY));
    store.flush();
    assert_eq!(get(&store, 1), None);
    assert_eq!(get(&store, 2).as_ref(), Some(&new));
    let gone = text(10, 5000);
    let there = |needle: &str| {
        folder.packs().iter().any(|path| {
            let file = fs::File::open(path).unwrap();
            let mut frames = std::iter::successors(packs::read(&file, 0).unwrap(), |frame| {
                packs::read(&file, frame.next).unwrap()
            });
            frames.any(|frame| memchr::memmem::find(&frame.raw, needle.as_bytes()).is_some())
        })
    };
    assert!(there(&text(11, 200)));
    assert!(!there(&gone), "it is not in any file any more");
    drop(store);
    let (store, report) = folder.open();
    assert_eq!(report, Report::default());
    assert_eq!(get(&store, 2).as_ref(), Some(&new));
    assert!(store.sweep(later + 40 * MS_OF_DAY));
    store.flush();
    assert_eq!(get(&store, 2), None);
    assert_eq!(folder.packs(), Vec::<PathBuf>::new());
    assert_eq!(store.counted().failed, 0);
}

#[test]
fn days_of_use_survive_the_index() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    let body = request(&[said(12, 3000)]);
    put(&store, 1, &body, DAY);
    put(&store, 2, &body, DAY + 20 * MS_OF_DAY);
    drop(store);
    fs::remove_file(folder.0.join("index.sqlite")).unwrap();
    let (store, _) = folder.open();
    assert!(store.sweep(DAY + 40 * MS_OF_DAY));
    store.flush();
    assert_eq!((get(&store, 1), get(&store, 2)), (None, Some(body)));
}

#[test]
fn a_deletion_that_fails_is_tried_again() {
    let folder = Folder::new();
    let (store, _) = folder.open();
    put(&store, 1, &request(&[said(13, 3000)]), DAY);
    store.flush();
    let pack = folder.packs().pop().unwrap();
    let bytes = fs::read(&pack).unwrap();
    // Nobody can delete a folder as a file.
    fs::remove_file(&pack).unwrap();
    fs::create_dir(&pack).unwrap();
    assert!(store.sweep(DAY + 40 * MS_OF_DAY));
    store.flush();
    assert_eq!(store.counted().failed, 1);
    drop(store);
    fs::remove_dir(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let (store, report) = folder.open();
    assert_eq!(report.frames_read, 0, "what is dead is not read as if it were new");
    assert_eq!(get(&store, 1), None);
    assert!(store.sweep(DAY + 40 * MS_OF_DAY));
    put(&store, 2, &request(&[said(13, 3000)]), DAY + 40 * MS_OF_DAY);
    store.flush();
    assert!(!pack.exists());
    assert_eq!(get(&store, 2), Some(request(&[said(13, 3000)])));
}

// === any bodies ===

fn body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        6 => select(vec![
            "{", "}", "[", "]", ",", ":", "\"messages\"", "\"content\"", "\"system\"",
            "\"tools\"", "\"cache_control\"",
            "{\"messages\":[{\"content\":[", "{\"text\":\"a text longer than a literal may be\"}",
            "]}]}",
            "\"a\"", "7", "null", " ", "{\"content\":[{\"a\":1,\"cache_control\":{}},{}]}",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..9),
    ];
    vec(word, 0..20).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn pieces_are_the_body_again(body in body()) {
        let pieces = cut(&body);
        let mut from = 0;
        for piece in pieces {
            assert_eq!(piece.start, from);
            assert!(piece.end > from);
            from = piece.end;
        }
        assert_eq!(from, body.len());
    }

    #[test]
    fn any_list_and_frame_is_survived(bytes in vec(any::<u8>(), 0..200)) {
        drop(items(&bytes));
        assert!(records(&bytes).count() <= bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_bodies_come_back(bodies in vec(body(), 1..20), flushes in vec(any::<bool>(), 20)) {
        let folder = Folder::new();
        let (store, _) = folder.open();
        for ((call, body), flush) in (0..).zip(&bodies).zip(flushes) {
            put(&store, call, body, DAY + u64::from(flush) * MS_OF_DAY);
            if flush {
                store.flush();
            }
        }
        store.flush();
        for (call, body) in (0..).zip(&bodies) {
            assert_eq!(get(&store, call).as_ref(), Some(body));
        }
    }
}
