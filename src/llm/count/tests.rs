//! Counts of whole conversations, of images by their headers, what ratios learn and what the cache keeps.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::{Value as Tree, json};

use super::{Counts, Images, Ratio, Size, estimate, rough, size_of};
use crate::base64::encode_padded;
use crate::limits;
use crate::llm::conversation;
use crate::tokens;

fn count(body: &Tree) -> u64 {
    let body = body.to_string();
    let read = conversation::read(body.as_bytes()).unwrap();
    let (exact, rough) = (estimate(&read, Images::Anthropic), rough(&read, Images::Anthropic));
    assert!(rough > 0 && exact > 0);
    exact
}

/// What these members add to a conversation that says nothing.
fn added(members: &Tree) -> u64 {
    let mut body = json!({"model": "m", "messages": []});
    let empty = count(&body);
    assert_eq!(empty, 1, "never 0, and nothing for nothing");
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    count(&body)
}

/// What one block in a user's turn adds.
fn block(block: &Tree) -> u64 {
    added(&json!({"messages": [{"role": "user", "content": [block]}]})) - 4
}

const WORDS: &str = "The quick brown fox jumps over the lazy dog, and then \"again\".\n";

fn words() -> u64 {
    u64::try_from(tokens::count(WORDS)).unwrap()
}

#[test]
fn every_kind_of_content_counts() {
    let text = json!({"type": "text", "text": WORDS});
    assert_eq!(block(&text), words());
    assert_eq!(added(&json!({"messages": [{"role": "user", "content": WORDS}]})), words() + 4);
    assert_eq!(added(&json!({"system": WORDS})), words());
    assert_eq!(added(&json!({"system": [text, text]})), 2 * words());
    let long = "x".repeat(40_000);
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://e.com/a.png"}});
    let pdf = |data: &str| {
        let source = json!({"type": "base64", "media_type": "application/pdf", "data": data});
        json!({"type": "document", "source": source})
    };
    let told = json!({"type": "text", "media_type": "text/plain", "data": WORDS});
    let table = [
        (image.clone(), 1600),
        (pdf("JVBE"), 2_250),
        (pdf(&"A".repeat(4_000_000)), 150_000),
        (json!({"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}}), 22_500),
        (json!({"type": "document", "title": WORDS, "context": WORDS, "source": told}), 3 * words()),
        (json!({"type": "thinking", "thinking": WORDS, "signature": long}), words()),
        (json!({"type": "thinking", "thinking": "", "signature": long}), 8_572),
        (json!({"type": "redacted_thinking", "data": long}), 8_572),
        (json!({"type": "tool_result", "tool_use_id": "a", "content": [text, image]}), 12 + words() + 1600),
        (json!({"type": "tool_result", "tool_use_id": "a"}), 12),
        (
            json!({"type": "search_result", "source": WORDS, "title": WORDS, "content": [text]}),
            12 + 3 * words(),
        ),
    ];
    for (content, expected) in table {
        assert_eq!(block(&content), expected, "{content:.200}");
    }
    let call = json!({"type": "tool_use", "id": "a", "name": "Read", "input": {"path": WORDS}});
    assert!(block(&call) > 12 + words(), "the input of a call");
    let server = json!({"type": "server_tool_use", "id": "s", "name": "n", "input": {"query": WORDS}});
    assert!(block(&server) > words());
    assert!(block(&json!({"type": "of_tomorrow", "words": WORDS})) > words());
}

#[test]
fn tools_count_as_soon_as_they_are_in_the_prompt() {
    let tool = |name: &str, deferred: bool| {
        json!({"name": name, "description": WORDS, "defer_loading": deferred,
            "input_schema": {"type": "object", "description": WORDS}})
    };
    let one = added(&json!({"tools": [tool("a", false)]}));
    assert!(one > 346 + 2 * words(), "{one}");
    let two = added(&json!({"tools": [tool("a", false), tool("b", false)]}));
    assert!(two > one + 2 * words() && two < one + 2 * words() + 60, "{two}");
    assert_eq!(added(&json!({"tools": [tool("a", false), tool("b", true)]})), one, "hidden");
    assert_eq!(added(&json!({"tools": [tool("b", true)]})), 1, "nothing is shown");
    let reference = json!({"type": "tool_reference", "tool_name": "b"});
    let found = json!({"tools": [tool("a", false), tool("b", true)], "messages": [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "s", "content": [reference]}]}]});
    assert!(added(&found) > two, "found");
    let shell = json!({"tools": [{"type": "bash_20250124", "name": "bash"}]});
    assert!(added(&shell) >= 346 + 500);
    let format = json!({"output_config": {"format": {"type": "json_schema",
        "schema": {"type": "object", "description": WORDS}}}});
    assert!(added(&format) > words());
}

#[test]
fn the_rough_count_is_of_the_same_size() {
    let body = json!({"model": "m", "system": WORDS.repeat(50), "messages": [
        {"role": "user", "content": WORDS.repeat(200)}]})
    .to_string();
    let read = conversation::read(body.as_bytes()).unwrap();
    let (exact, rough) = (estimate(&read, Images::Gemini), rough(&read, Images::Gemini));
    assert!(rough > exact / 2 && rough < exact * 2, "{rough} {exact}");
}

#[test]
fn published_tools_count_as_their_index_says() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/tools"));
    let Ok(index) = std::fs::read_to_string(folder.join("index.tsv")) else {
        eprintln!("SKIPPED: there is no index of published tools in {}", folder.display());
        return;
    };
    let mut lines = index.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let column = |name: &str| names.iter().position(|column| *column == name).unwrap();
    let (server, expected) = (column("server"), column("tokens_o200k"));
    let (mut seen, mut all, mut known) = (0, 0, 0);
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        let list: Tree =
            serde_json::from_slice(&std::fs::read(folder.join(format!("{}.json", cells[server]))).unwrap())
                .unwrap();
        let definitions: Vec<Tree> = list["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| {
                json!({"name": tool["name"], "description": tool["description"],
                "input_schema": tool["inputSchema"]})
            })
            .collect();
        let expected: u64 = cells[expected].parse().unwrap();
        let frames = 16 * u64::try_from(definitions.len()).unwrap();
        let counted = count(&json!({"model": "m", "messages": [], "tools": definitions})) - frames - 346;
        // The index counts the three texts of a definition in one, with what stands between them.
        let near = counted.abs_diff(expected) < expected / 4 + frames;
        assert!(near, "{}: {counted}, not {expected}", cells[server]);
        (all, known) = (all + counted, known + expected);
        seen += 1;
    }
    assert!(seen > 10 && all.abs_diff(known) * 10 < known, "{all}, not {known}");
}

// === images ===

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    file.extend(width.to_be_bytes());
    file.extend(height.to_be_bytes());
    file.extend(b"\x08\x06\0\0\0\0\0\0\0\0");
    file
}

fn gif(width: u16, height: u16) -> Vec<u8> {
    [&b"GIF89a"[..], &width.to_le_bytes(), &height.to_le_bytes()].concat()
}

/// A JPEG with so many bytes of other things in front of its frame.
fn jpeg(width: u16, height: u16, before: &[u16]) -> Vec<u8> {
    let mut file = b"\xff\xd8".to_vec();
    for length in before {
        file.extend(b"\xff\xe1");
        file.extend((length + 2).to_be_bytes());
        // A small image of itself, with a frame of its own.
        file.extend(b"\xff\xc0\0\x11\x08\0\x10\0\x10\0".iter().cycle().take(usize::from(*length)));
    }
    file.extend(b"\xff\xff\xc2\0\x11\x08");
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.extend(b"\x03\x01\x22\0\x02");
    file
}

fn webp(chunk: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    file.extend(chunk);
    file.resize(40, 0);
    file
}

fn size(file: &[u8]) -> Option<(u32, u32)> {
    size_of(&encode_padded(file)).map(|Size { width, height }| (width, height))
}

#[test]
fn sizes_are_read_from_headers() {
    let table = [
        (png(1024, 768), Some((1024, 768))),
        (png(0, 768), None),
        (png(u32::MAX, 768), None),
        (gif(640, 480), Some((640, 480))),
        ([gif(640, 480), vec![0; 80]].concat(), Some((640, 480))),
        (jpeg(4032, 3024, &[]), Some((4032, 3024))),
        (jpeg(4032, 3024, &[14, 65_000, 3, 65_001, 1000]), Some((4032, 3024))),
        (jpeg(4032, 3024, &[65_000; 20]), None),
        (jpeg(4032, 3024, &[1; 300]), None),
        (webp(b"VP8 \0\0\0\0\x10\0\0\x9d\x01\x2a\x20\x03\x58\xc2"), Some((800, 600))),
        (webp(b"VP8L\0\0\0\0\x2f\x1f\xc3\x95\0"), Some((800, 600))),
        (webp(b"VP8X\x0a\0\0\0\x10\0\0\0\x1f\x03\0\x57\x02\0"), Some((800, 600))),
        (webp(b"VP9 \x0a\0\0\0\x10\0\0\0\x1f\x03\0\x57\x02\0"), None),
        (b"%PDF-1.7".to_vec(), None),
        (b"\xff\xd8\xff".to_vec(), None),
        (Vec::new(), None),
    ];
    for (index, (file, expected)) in table.into_iter().enumerate() {
        assert_eq!(size(&file), expected, "case {index}");
    }
    assert_eq!(size_of("not base64 at all, but long enough to be looked at"), None);
}

#[test]
fn images_cost_what_the_providers_say() {
    let size = |width, height| Some(Size { width, height });
    let table = [
        // docs.claude.com: 200 x 200 is about 54 tokens, 1000 x 1000 about 1334, 1092 x 1092 about 1590.
        (Images::Anthropic, size(200, 200), 54),
        (Images::Anthropic, size(1000, 1000), 1334),
        (Images::Anthropic, size(1092, 1092), 1590),
        (Images::Anthropic, size(4000, 4000), 1600),
        (Images::Anthropic, size(4000, 40), 34),
        (Images::Anthropic, size(1, 1), 1),
        (Images::Anthropic, None, 1600),
        // OpenAI's own examples: 1024 x 1024 is 765, 2048 x 4096 is 1105.
        (Images::OpenAi, size(1024, 1024), 765),
        (Images::OpenAi, size(2048, 4096), 1105),
        (Images::OpenAi, size(100, 100), 255),
        (Images::Gemini, size(384, 384), 258),
        (Images::Gemini, size(960, 540), 516),
        (Images::Gemini, size(60_000, 60_000), 2322),
        (Images::Gemini, None, 2322),
    ];
    for (images, size, expected) in table {
        assert_eq!(images.tokens(size), expected, "{images:?} {size:?}");
    }
    let data = encode_padded(&png(1000, 1000));
    let shown =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    assert_eq!(block(&shown), 1334);
}

// === ratios ===

#[test]
fn a_ratio_learns_what_a_provider_counts() {
    let mut ratio = Ratio::CLAUDE;
    assert_eq!((ratio.expected(1000), ratio.upper(1000), ratio.seen()), (1250, 1450, 0));
    ratio.learn(1000, 1100);
    assert_eq!((ratio.expected(1000), ratio.seen()), (1100, 1));
    assert!(ratio.upper(1000) > 1100);
    for _ in 0..400 {
        ratio.learn(10_000, 13_500);
    }
    assert!(ratio.expected(1000).abs_diff(1350) <= 1, "{ratio:?}");
    assert!(ratio.upper(1000) >= ratio.expected(1000) && ratio.upper(1000) < 1400, "{ratio:?}");
    let before = ratio;
    ratio.learn(10, 1_000_000);
    ratio.learn(1000, 0);
    assert_eq!(ratio, before, "short requests and nothing teach nothing");
    assert_eq!((ratio.expected(0), ratio.upper(0)), (1, 1), "never 0");
    assert_eq!(Ratio::starting_at(0, 0).millionths().0, limits::RATIO_MILLIONTHS_MIN);
}

#[test]
fn one_of_twenty_is_above_the_upper_bound() {
    let (mut ratio, mut dice, mut above) = (Ratio::default(), 12_345_u64, 0);
    for step in 0..4000 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Between 0.9 and 1.3.
        let actual = 9_000 + (dice >> 33) % 4_000;
        if step >= 2000 {
            above += u64::from(actual > ratio.upper(10_000));
        }
        ratio.learn(10_000, actual);
    }
    let mean = ratio.expected(10_000);
    assert!((10_600..11_400).contains(&mean), "{mean}");
    assert!((40..200).contains(&above), "{above} of 2000");
}

proptest! {
    #[test]
    fn ratios_stay_in_their_bounds(pairs in vec((any::<u64>(), any::<u64>()), 0..50)) {
        let mut ratio = Ratio::default();
        for (estimated, actual) in pairs {
            ratio.learn(estimated, actual);
            let (mean, upper) = ratio.millionths();
            assert!(limits::RATIO_MILLIONTHS_MIN <= mean && mean <= upper);
            assert!(upper <= limits::RATIO_MILLIONTHS_MAX);
            assert!(ratio.expected(estimated) >= 1 && ratio.upper(estimated) >= ratio.expected(estimated));
        }
    }

    #[test]
    fn any_bytes_are_images_or_none(mut bytes in vec(any::<u8>(), 0..200), head in 0_usize..5) {
        let heads: [&[u8]; 5] =
            [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"\xff\xd8\xff"];
        bytes.splice(0..0, heads[head].iter().copied());
        if let Some((width, height)) = size(&bytes) {
            assert!(width.min(height) >= 1 && width.max(height) <= limits::IMAGE_SIDE_MAX);
        }
        size_of(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn the_cache_keeps_what_is_asked_for_again_within_its_room() {
    let mut counts = Counts::with_room(8);
    assert!(counts.is_empty() && counts.get(7).is_none());
    counts.keep(7, 70);
    for key in 100..200 {
        counts.keep(key, 1);
        assert_eq!(counts.get(7), Some(70), "after {key}");
        assert!(counts.len() <= 8);
    }
    assert_eq!(counts.get(100), None, "what nobody asks for makes room");
    counts.keep(7, 71);
    assert_eq!(counts.get(7), Some(71));
    let mut large = Counts::with_room(usize::MAX);
    for key in 0..20_000 {
        large.keep(key, 1);
    }
    assert!(large.len() <= limits::COUNTS_KEPT_MAX);
}
