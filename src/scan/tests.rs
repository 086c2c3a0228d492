//! What is found, what is not, and that a masked document stays the document that it was.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::document::{arguments, masked, messages, params, result};
use super::{Kind, Kinds, find};

fn all() -> Kinds {
    Kinds::of(&Kind::ALL)
}

fn found(text: &str) -> Vec<(&str, &'static str)> {
    find(text, all()).into_iter().map(|find| (text.get(find.span).unwrap(), find.kind.name())).collect()
}

#[test]
fn addresses_of_mail() {
    for (text, expected) in [
        ("write to ada@lovelace.dev.", "ada@lovelace.dev"),
        ("Ada <ada.b+c@mail.lovelace.co.uk>", "ada.b+c@mail.lovelace.co.uk"),
        ("mailto=ada_1@x-y.io,", "ada_1@x-y.io"),
        ("\"ada@lovelace.dev\": 1", "ada@lovelace.dev"),
        ("...ada@lovelace.dev...", "ada@lovelace.dev"),
        ("ada@lovelace.dev: hello", "ada@lovelace.dev"),
    ] {
        assert_eq!(found(text), [(expected, "mail")], "{text}");
    }
    for text in [
        "git@github.com:a/b.git",
        "https://ada@lovelace.dev/x",
        "x:y@lovelace.dev",
        "left-pad@10.0.1",
        "@types/node",
        "noreply@anthropic.com",
        "you@example.com",
        "ada@localhost",
        "ada@.dev",
        "ada@a..dev",
        "a @ b.dev",
        "decorator @app.route",
        "scp ada@host.dev:/tmp/x",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn accounts_and_cards_by_their_digits() {
    for (text, expected, kind) in [
        ("IBAN DE89 3704 0044 0532 0130 00!", "DE89 3704 0044 0532 0130 00", "iban"),
        ("de89370400440532013000", "de89370400440532013000", "iban"),
        ("(GB29NWBK60161331926819)", "GB29NWBK60161331926819", "iban"),
        ("NO9386011117947", "NO9386011117947", "iban"),
        ("4111 1111 1111 1111", "4111 1111 1111 1111", "card"),
        ("card=5555555555554444;", "5555555555554444", "card"),
        ("378282246310005.", "378282246310005", "card"),
        ("6011-1111-1111-1117", "6011-1111-1111-1117", "card"),
    ] {
        assert_eq!(found(text), [(expected, kind)], "{text}");
    }
    for text in [
        "DE89 3704 0044 0532 0130 01",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "4111 1111 1111 1112",
        "4111111111111111a",
        "a4111111111111111",
        "0.4111111111111111",
        "4111111111111111.5",
        "41111111111111111111",
        "1700000000000",
        "4444444444444444",
        "9fd0e4111111111111111",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn telephones() {
    for (text, expected) in [
        ("call +49 30 1234567 now", "+49 30 1234567"),
        ("tel:+14155550123", "+14155550123"),
        ("(+1 (415) 555-0123)", "+1 (415) 555-0123"),
    ] {
        assert_eq!(found(text), [(expected, "phone")], "{text}");
    }
    for text in ["1+4155550123", "+1", "x = a +12345678", "+0301234567", "+1234567890123456", "+12345678abc"]
    {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn finds_stand_in_order_and_apart() {
    let secret = format!("ghp_{}", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5");
    let text = format!("a@b.dev {secret} 4111111111111111 postgres://u:a@b.dev@h.dev/x");
    let names: Vec<&str> = found(&text).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(names, ["mail", "secret", "card", "secret"]);
    assert_eq!(find(&text, Kinds::of(&[Kind::Card])).len(), 1);
    assert_eq!(find(&text, Kinds::default()), []);
}

#[test]
fn only_what_is_said_counts() {
    let mail = "ada@lovelace.dev";
    let image = "A".repeat(80) + "4111111111111111";
    let body = json!({
        "model": mail,
        "metadata": { "user_id": mail },
        "system": mail,
        "messages": [
            { "role": "user", "content": mail },
            { "role": "user", "content": [
                { "type": "text", "text": mail },
                { "type": "tool_result", "tool_use_id": mail, "content": [{ "type": "text", "text": mail }] },
                { "type": "image", "source": { "type": "base64", "data": image } },
                { "type": "document", "source": { "type": "text", "data": mail } },
                { "type": "thinking", "thinking": "", "signature": mail },
            ] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": mail, "input": [mail] },
                { "type": "tool_use", "id": mail, "input": { "id": [mail] } },
            ] },
        ],
    });
    let text = body.to_string();
    let seen = messages(text.as_bytes(), all()).unwrap();
    assert_eq!(seen.counts.to_string(), "mail 6");
    assert!(messages(b"{\"messages\":[}", all()).is_err());
    assert!(messages(b"{}", all()).unwrap().counts.is_empty());
}

#[test]
fn masks_keep_the_document() {
    let doc = r#"{"a": "x \u0061da@lovelace.dev\ny",
        "b":["\ud83d\ude00 ada\u0040lovelace.dev \"z\"", 1.50, null],
        "n":{"text":"{\"iban\":\"DE89370400440532013000\"}"},"ada@lovelace.dev":true}"#;
    let seen = result(doc.as_bytes(), all()).unwrap();
    assert_eq!(seen.counts.to_string(), "mail 2, iban 1");
    let out = String::from_utf8(masked(doc.as_bytes(), &seen.finds)).unwrap();
    let expected = doc
        .replace("\\u0061da@lovelace.dev\\n", "[masked:mail]\\n")
        .replace("ada\\u0040lovelace.dev ", "[masked:mail] ")
        .replace("DE89370400440532013000", "[masked:iban]");
    assert_eq!(out, expected);
    serde_json::from_str::<Value>(&out).unwrap();
    let again = result(out.as_bytes(), all()).unwrap();
    assert!(again.counts.is_empty(), "a mask is nothing that is found");
}

#[test]
fn arguments_are_looked_at_whatever_they_are_called() {
    let doc = json!({
        "id": "ada@lovelace.dev",
        "password": "aB3dE5gH7jK9mN1pQ3",
        "data": "A".repeat(100),
        "max_tokens": "aB3dE5gH7jK9mN1pQ3",
        "api_key": ["aB3dE5gH7jK9mN1pQ3"],
    });
    let doc = doc.to_string();
    let seen = arguments(doc.as_bytes(), all()).unwrap();
    assert_eq!(seen.counts.to_string(), "secret 2, mail 1");
    let mail = doc.replacen("\"id\"", "\"taskId\"", 1);
    assert_eq!(result(mail.as_bytes(), all()).unwrap().counts.to_string(), "secret 2");
    let out = String::from_utf8(masked(doc.as_bytes(), &seen.finds)).unwrap();
    assert!(
        out.contains(r#""password":"[masked:secret]""#) && out.contains(r#"["[masked:secret]"]"#),
        "{out}"
    );
}

const SECRET: &str = "ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5";

#[test]
fn encoded_bytes_are_passed_over_in_their_places_alone() {
    // What a decoder of Base64 takes, so that nothing but its place says what it is.
    let bytes = format!("{}/{SECRET}/{}", "A".repeat(80), "B".repeat(80));
    let block = |of: &str| json!({ "type": of, "mimeType": "image/png", "data": bytes });
    let blob = json!({ "uri": "file:///a", "blob": bytes });
    for (doc, secrets) in [
        (json!({ "content": [block("image"), block("audio")] }), 0),
        (json!({ "content": [block("text")] }), 1),
        (json!({ "content": [{ "data": bytes }] }), 1),
        (json!({ "content": [{ "type": "resource", "resource": blob }] }), 0),
        (json!({ "content": [{ "type": "resource", "data": bytes }] }), 1),
        (json!({ "content": [{ "type": "image", "resource": blob }] }), 1),
        (json!({ "content": [{ "type": "image", "blob": bytes }] }), 1),
        (json!({ "contents": [blob, { "uri": "file:///b", "text": bytes }] }), 1),
        (json!({ "messages": [{ "role": "user", "content": block("image") }] }), 0),
        (json!({ "structuredContent": { "data": bytes, "blob": [bytes] } }), 2),
        (json!({ "structuredContent": { "content": [block("image")] } }), 1),
        (json!({ "structuredContent": { "id": SECRET, "_meta": { "uri": SECRET } } }), 2),
        (json!({ "structuredContent": { "type": SECRET, "signature": SECRET } }), 2),
        (json!({ "content": [{ "type": "text", "text": "", "annotations": { "id": SECRET } }] }), 1),
        (json!({ "content": [{ "type": "text", "id": { "of": SECRET }, "signature": SECRET }] }), 1),
        (json!({ "_meta": { "x": SECRET }, "requestState": SECRET }), 0),
        (json!({ "result": { "content": [block("image")], "structuredContent": { "data": bytes } } }), 1),
        (json!({ "data": bytes, "blob": bytes, "uri": SECRET }), 3),
        (json!([block("image")]), 1),
    ] {
        let text = doc.to_string();
        let seen = result(text.as_bytes(), all()).unwrap();
        let expected = if secrets == 0 { String::new() } else { format!("secret {secrets}") };
        assert_eq!(seen.counts.to_string(), expected, "{text}");
        let masks = String::from_utf8(masked(text.as_bytes(), &seen.finds)).unwrap();
        assert_eq!(masks.matches("[masked:secret]").count(), secrets, "{masks}");
        let anywhere = arguments(text.as_bytes(), all()).unwrap();
        assert_eq!(
            masked(text.as_bytes(), &anywhere.finds).windows(4).filter(|four| four == b"ghp_").count(),
            0
        );
    }
    // Whichever type comes first, and however often it is said.
    let twice = format!(r#"{{"content":[{{"type":"image","data":"{bytes}","type":"text"}}]}}"#);
    let last = format!(r#"{{"content":[{{"data":"{bytes}","type":"image"}},"{SECRET}"]}}"#);
    for doc in [twice, last] {
        assert_eq!(result(doc.as_bytes(), all()).unwrap().counts.to_string(), "secret 1", "{doc}");
    }
    let source = |of: &str| {
        json!([{ "role": "user", "content": [
        { "type": "tool_result", "tool_use_id": SECRET, "content": [
            { "type": "document", "source": { "type": of, "media_type": "text/plain", "data": bytes } },
            { "type": "document", "source": { "type": "content", "content": [
                { "type": "image", "source": { "data": bytes, "type": of } } ] } },
        ] },
        { "type": "tool_use", "input": { "source": { "type": of, "data": bytes } } },
    ] }])
    };
    for (of, expected) in [("base64", "secret 1"), ("text", "secret 3")] {
        let body = json!({ "messages": source(of) }).to_string();
        assert_eq!(messages(body.as_bytes(), all()).unwrap().counts.to_string(), expected, "{body}");
    }
}

#[test]
fn what_servers_say_beside_results_is_looked_through() {
    let doc = json!({ "progressToken": SECRET, "message": SECRET, "data": { "_meta": SECRET } }).to_string();
    let seen = params(doc.as_bytes(), all()).unwrap();
    assert_eq!(seen.counts.to_string(), "secret 2");
    let out = masked(doc.as_bytes(), &seen.finds);
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["progressToken"], SECRET);
}

#[test]
fn names_and_values_are_read_without_their_escapes() {
    let value = "aB3dE5gH7jK9mN1pQ3";
    for doc in [
        format!(r#"{{"password":"{value}"}}"#),
        format!(r#"{{"pass\u0077ord":"{value}"}}"#),
        format!(r#"{{"password":"\u0061{}"}}"#, value.get(1..).unwrap()),
    ] {
        let seen = arguments(doc.as_bytes(), all()).unwrap();
        assert_eq!(seen.counts.to_string(), "secret 1", "{doc}");
        let out = String::from_utf8(masked(doc.as_bytes(), &seen.finds)).unwrap();
        assert!(out.ends_with(r#":"[masked:secret]"}"#), "{out}");
    }
    for broken in [r#"{"a":"ada@x.dev \x"}"#, r#"{"a":"ada@x.dev \u00g0"}"#, r#"{"a":"ada@x.dev \u00"}"#] {
        assert!(arguments(broken.as_bytes(), all()).is_err(), "{broken}");
    }
}

/// One character, or half of one, as it may be written.
fn character() -> impl Strategy<Value = String> {
    let unit = |unit: u16| format!("\\u{unit:04x}");
    prop_oneof![
        4 => "[ a-z:@.=/é😀\u{fffd}-]",
        2 => prop_oneof![Just("\\\""), Just("\\\\"), Just("\\/"), Just("\\b"), Just("\\n"), Just("\\t")]
            .prop_map(str::to_owned),
        2 => any::<char>().prop_map(move |letter| {
            letter.encode_utf16(&mut [0; 2]).iter().map(|one| unit(*one)).collect()
        }),
        1 => (0xD800_u16..0xE000).prop_map(move |half| unit(half).replace("\\ud", "\\uD")),
        1 => (0_u16..0x80).prop_map(unit),
    ]
}

/// Something that is found, with any of its characters written as escapes.
fn secret() -> impl Strategy<Value = String> {
    let all = prop_oneof![Just("ada@x.dev"), Just(SECRET), Just("4111 1111 1111 1111")];
    (all, any::<u64>()).prop_map(|(text, bits)| {
        let written = text.bytes().enumerate().map(|(place, byte)| match bits >> (place % 64) & 1 {
            0 => char::from(byte).to_string(),
            _ => format!("\\u{byte:04X}"),
        });
        format!(" {} ", written.collect::<String>())
    })
}

/// A JSON document of such strings.
fn document() -> impl Strategy<Value = String> {
    let string = vec(prop_oneof![6 => character(), 1 => secret()], 0..12)
        .prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    let leaf = prop_oneof![6 => string, 1 => Just("-1.50e3".to_owned()), 1 => Just("null".to_owned())];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let names = prop_oneof![
            Just("data"),
            Just("structuredContent"),
            Just("content"),
            Just("_meta"),
            Just("type"),
            Just("\\ud800"),
            Just("password"),
            Just("id"),
        ];
        let member = (names, inner.clone()).prop_map(|(name, value)| format!("\"{name}\" : {value}"));
        prop_oneof![
            vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(",\n"))),
            vec(member, 0..4).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

/// A document apart from its strings, and its strings as UTF-16 reads them, which is not how we do.
fn taken_apart(doc: &str) -> (String, Vec<String>) {
    let (mut frame, mut strings) = (String::new(), Vec::new());
    let mut letters = doc.chars();
    while let Some(letter) = letters.next() {
        frame.push(letter);
        if letter != '"' {
            continue;
        }
        let mut units: Vec<u16> = Vec::new();
        loop {
            match letters.next().unwrap() {
                '"' => break,
                '\\' => units.push(match letters.next().unwrap() {
                    'u' => {
                        let digits: String = letters.by_ref().take(4).collect();
                        u16::from_str_radix(&digits, 16).unwrap()
                    }
                    'b' => 8,
                    'n' => 10,
                    't' => 9,
                    other => u16::try_from(u32::from(other)).unwrap(),
                }),
                plain => units.extend_from_slice(plain.encode_utf16(&mut [0; 2])),
            }
        }
        strings.push(String::from_utf16_lossy(&units));
    }
    (frame, strings)
}

proptest! {
    #[test]
    fn any_strings_of_any_document_are_masked_in_place(doc in document()) {
        let seen = arguments(doc.as_bytes(), all()).unwrap();
        let out = String::from_utf8(masked(doc.as_bytes(), &seen.finds)).unwrap();
        // All of it is checked, but halves of characters are let pass.
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(&out);
        prop_assert!(valid.is_ok(), "{out}");
        let ((frame, before), (now, after)) = (taken_apart(&doc), taken_apart(&out));
        prop_assert_eq!(frame, now);
        prop_assert_eq!(before.len(), after.len());
        for (text, after) in before.iter().zip(&after) {
            let mut expected = text.clone();
            for find in find(text, all()).iter().rev() {
                expected.replace_range(find.span.clone(), find.kind.mask());
            }
            prop_assert_eq!(after, &expected, "{} -> {}", doc, out);
            for planted in ["ada@x.dev ", SECRET] {
                prop_assert!(!after.contains(&format!(" {planted}")), "{} -> {}", doc, out);
            }
        }
        let within = result(doc.as_bytes(), all()).unwrap();
        prop_assert!(within.finds.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
        prop_assert!(within.finds.iter().all(|find| seen.finds.contains(find)));
    }

    #[test]
    fn any_text(text in "\\PC{0,80}", digits in "[0-9 @.+-]{0,60}") {
        for text in [&text, &digits, &format!("{text}a@b.dev{digits}")] {
            let mut end = 0;
            for find in find(text, all()) {
                prop_assert!(find.span.start >= end && find.span.end > find.span.start);
                prop_assert!(text.get(find.span.clone()).is_some());
                end = find.span.end;
            }
        }
    }

    #[test]
    fn any_document(texts in vec("[a-z\"\\\\\\n@😀é]{0,12}", 1..6), ascii in any::<bool>()) {
        let said: Vec<_> = texts.iter().map(|text| format!("{text} ada@x.dev {text}")).collect();
        let tree = json!({ "list": said });
        let mut doc = tree.to_string();
        if ascii {
            // As writers do that send ASCII alone.
            doc = doc.chars().map(|letter| match letter {
                '@' => "\\u0040".to_owned(),
                letter if letter.is_ascii() => letter.to_string(),
                letter => {
                    letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }
            }).collect();
        }
        let seen = result(doc.as_bytes(), all()).unwrap();
        let out = masked(doc.as_bytes(), &seen.finds);
        let read: Value = serde_json::from_slice(&out).unwrap();
        for (text, now) in texts.iter().zip(read["list"].as_array().unwrap()) {
            let before = format!("{text} ada@x.dev {text}");
            let finds = find(&before, all());
            prop_assert!(!finds.is_empty());
            let mut expected = before.clone();
            for find in finds.iter().rev() {
                expected.replace_range(find.span.clone(), find.kind.mask());
            }
            prop_assert_eq!(now.as_str().unwrap(), expected);
        }
    }

    #[test]
    fn any_bytes(doc in vec(any::<u8>(), 0..120)) {
        if let Ok(seen) = arguments(&doc, all()) {
            masked(&doc, &seen.finds);
        }
    }
}
