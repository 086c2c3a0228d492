//! What is found, what is not, and that a masked document stays the document that it was.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::document::{arguments, masked, messages, result};
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
            { "role": "assistant", "content": [{ "type": "tool_use", "id": mail, "input": [mail] }] },
        ],
    });
    let text = body.to_string();
    let seen = messages(text.as_bytes(), all()).unwrap();
    assert_eq!(seen.counts.to_string(), "mail 5");
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
    assert_eq!(result(doc.as_bytes(), all()).unwrap().counts.to_string(), "secret 2");
    let out = String::from_utf8(masked(doc.as_bytes(), &seen.finds)).unwrap();
    assert!(
        out.contains(r#""password":"[masked:secret]""#) && out.contains(r#"["[masked:secret]"]"#),
        "{out}"
    );
}

proptest! {
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
