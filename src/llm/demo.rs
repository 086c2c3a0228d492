//! The built-in `demo` model: a script that answers in Anthropic's form where no provider is configured.
//!
//! It says what it is in every answer. Token counts are estimates, bytes by four. The same body and id give
//! the same bytes.

use crate::ids::CallId;
use crate::json::{self, Fault, Field, Kind, Value};
use crate::limits;

/// The model's name, as asked for and as told.
pub const MODEL: &str = "demo";

/// Characters of one `text_delta`, more or less: it ends with a word.
const DELTA_CHARS: usize = 40;

/// Texts that Claude Code adds to what the user wrote begin so.
const REMINDER: &str = "<system-reminder>";

/// The answer to `/v1/messages` without `stream`.
pub fn message(body: &[u8], call: CallId) -> Vec<u8> {
    let text = script(body);
    let content = format!("[{{\"type\":\"text\",\"text\":\"{}\"}}]", json::escape(&text));
    envelope(call, &content, "\"end_turn\"", &usage(body, tokens(text.len()))).into_bytes()
}

/// The answer to `/v1/messages` with `stream`: one event an item, each complete with its blank line.
pub fn events(body: &[u8], call: CallId) -> Vec<Vec<u8>> {
    let text = script(body);
    let start = envelope(call, "[]", "null", &usage(body, 1));
    let mut events = vec![
        event("message_start", &format!(",\"message\":{start}")),
        event("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}"),
        event("ping", ""),
    ];
    for part in parts(&text) {
        let part = json::escape(part);
        let delta = format!(",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{part}\"}}");
        events.push(event("content_block_delta", &delta));
    }
    events.push(event("content_block_stop", ",\"index\":0"));
    let end = format!(
        ",\"delta\":{{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}},\
         \"usage\":{{\"output_tokens\":{}}}",
        tokens(text.len())
    );
    events.push(event("message_delta", &end));
    events.push(event("message_stop", ""));
    events
}

/// The answer to `/v1/messages/count_tokens`.
pub fn count_tokens(body: &[u8]) -> Vec<u8> {
    format!("{{\"input_tokens\":{}}}", tokens(body.len())).into_bytes()
}

fn tokens(bytes: usize) -> usize {
    (bytes / 4).max(1)
}

fn usage(body: &[u8], output_tokens: usize) -> String {
    let input_tokens = tokens(body.len());
    format!(
        "{{\"input_tokens\":{input_tokens},\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\
         \"output_tokens\":{output_tokens}}}"
    )
}

fn envelope(call: CallId, content: &str, stop_reason: &str, usage: &str) -> String {
    format!(
        "{{\"id\":\"msg_{:032x}\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"{MODEL}\",\
         \"content\":{content},\"stop_reason\":{stop_reason},\"stop_sequence\":null,\"usage\":{usage}}}",
        call.0
    )
}

fn event(name: &str, fields: &str) -> Vec<u8> {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{fields}}}\n\n").into_bytes()
}

/// What the model says.
fn script(body: &[u8]) -> String {
    let mut text = String::from(
        "This is Tollgate's built-in demo model: a script, not a language model. It answers because no \
         provider is configured.\n\nTo get real answers, set ANTHROPIC_API_KEY in Tollgate's environment, or \
         list your providers in a tollgate.yaml, and start Tollgate again.",
    );
    if let Some(words) = last_words(body) {
        text.push_str("\n\nYou wrote: ");
        text.extend(words.chars().take(limits::DEMO_QUOTE_CHARS_MAX));
        if words.chars().nth(limits::DEMO_QUOTE_CHARS_MAX).is_some() {
            text.push_str(" ...");
        }
    }
    text
}

/// The text cut into pieces that end with a blank or with the text.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut part_chars = 0;
    text.split_inclusive(move |letter: char| {
        part_chars += 1;
        let cut = part_chars >= DELTA_CHARS && letter.is_whitespace();
        if cut {
            part_chars = 0;
        }
        cut
    })
}

/// The last text that the user wrote, as far as the body can be read.
fn last_words(body: &[u8]) -> Option<String> {
    let mut words = None;
    let walked = json::fields(body, |Field { key, value }| {
        if key.raw != b"messages" || value.kind != Kind::Array {
            return Ok(());
        }
        json::elements(body, value.span, |message| {
            words = words_of(body, message)?.or_else(|| words.take());
            Ok::<_, Fault>(())
        })
    });
    walked.ok().and(words)
}

/// The last text of a message, if it is the user's.
fn words_of(body: &[u8], message: Value) -> Result<Option<String>, Fault> {
    let (mut content, mut by_user) = (None, false);
    if message.kind != Kind::Object {
        return Ok(None);
    }
    json::fields_at(body, message.span, |Field { key, value }| {
        match key.raw {
            b"role" => by_user = value.inner(body) == Some(b"user"),
            b"content" => content = Some(value),
            _ => {}
        }
        Ok::<_, Fault>(())
    })?;
    let Some(content) = content.filter(|_| by_user) else { return Ok(None) };
    let mut words = written(body, &content);
    if content.kind == Kind::Array {
        json::elements(body, content.span, |block| {
            words = text_of(body, block)?.or_else(|| words.take());
            Ok::<_, Fault>(())
        })?;
    }
    Ok(words)
}

/// `text` of a content block that has one.
fn text_of(body: &[u8], block: Value) -> Result<Option<String>, Fault> {
    let mut words = None;
    if block.kind == Kind::Object {
        json::fields_at(body, block.span, |Field { key, value }| {
            if key.raw == b"text" {
                words = written(body, &value);
            }
            Ok::<_, Fault>(())
        })?;
    }
    Ok(words)
}

/// A string that holds the user's own words.
fn written(body: &[u8], value: &Value) -> Option<String> {
    let words = json::text(value.inner(body)?).ok()?;
    let words = words.trim();
    (!words.is_empty() && !words.starts_with(REMINDER)).then(|| words.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Tree;

    use super::{count_tokens, events, message};
    use crate::ids::CallId;
    use crate::llm::anthropic::response::AnswerReader;
    use crate::llm::anthropic::stream::UsageReader;
    use crate::llm::usage::Answer;

    const CALL: CallId = CallId(7);

    fn text(body: &str) -> String {
        let answer: Tree = serde_json::from_slice(&message(body.as_bytes(), CALL)).unwrap();
        answer["content"][0]["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn it_says_what_it_is_and_what_to_do() {
        for body in ["", "no JSON", "[]", "{}", r#"{"messages":[7,{"role":"user","content":[1,{}]}]}"#] {
            let text = text(body);
            for word in ["demo model", "no provider is configured", "ANTHROPIC_API_KEY", "tollgate.yaml"] {
                assert!(text.contains(word), "{body}: {text}");
            }
            assert!(!text.contains("You wrote"), "{body}: {text}");
        }
    }

    #[test]
    fn it_quotes_the_last_words_of_the_user() {
        let said = |messages: &str| text(&format!("{{\"messages\":{messages}}}"));
        assert!(said(r#"[{"role":"user","content":"say \"hi\"\n"}]"#).ends_with("You wrote: say \"hi\""));
        let mixed = r#"[{"role":"user","content":"first"},{"role":"user","content":[
            {"type":"text","text":"second"},{"type":"text","text":"<system-reminder>x"}]},
            {"role":"assistant","content":"no"},{"role":"user","content":[{"type":"tool_result"}]}]"#;
        assert!(said(mixed).ends_with("You wrote: second"), "{}", said(mixed));
        let long = said(&format!(r#"[{{"role":"user","content":"{}"}}]"#, "é".repeat(201)));
        assert!(long.ends_with(&format!("You wrote: {} ...", "é".repeat(200))));
    }

    #[test]
    fn deltas_are_lines_of_a_few_words() {
        let text = "one two three four five six seven eight nine ten eleven\ntwelve";
        let parts: Vec<_> = super::parts(text).collect();
        assert_eq!(parts, ["one two three four five six seven eight ", "nine ten eleven\ntwelve"]);
    }

    #[test]
    fn the_stream_and_the_message_say_the_same() {
        let body = br#"{"messages":[{"role":"user","content":"one\ttwo"}],"stream":true}"#;
        let answer: Tree = serde_json::from_slice(&message(body, CALL)).unwrap();
        let (mut streamed, mut names) = (String::new(), Vec::new());
        let mut reader = UsageReader::default();
        for event in events(body, CALL) {
            assert!(reader.between_events());
            reader.push(&event);
            let event = String::from_utf8(event).unwrap();
            let (name, data) = event.trim_end().split_once("\ndata: ").unwrap();
            let data: Tree = serde_json::from_str(data).unwrap();
            assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
            streamed.push_str(data["delta"]["text"].as_str().unwrap_or_default());
            names.push(data["type"].as_str().unwrap().to_owned());
        }
        assert_eq!(answer["content"][0]["text"], streamed.as_str());
        names.dedup();
        let expected = "message_start content_block_start ping content_block_delta content_block_stop \
                        message_delta message_stop";
        assert_eq!(names.join(" "), expected);
        assert!(reader.finished() && reader.unread() == 0);
        let mut whole = AnswerReader::default();
        whole.push(&message(body, CALL));
        let framed = Answer { produced_bytes: whole.answer().produced_bytes, ..reader.answer().clone() };
        assert_eq!(&framed, whole.answer());
        assert_eq!(whole.answer().model.as_deref(), Some("demo"));
        assert_eq!(whole.answer().message_id.as_deref(), Some("msg_00000000000000000000000000000007"));
        assert_eq!(whole.answer().usage.input_tokens, 16);
        assert_eq!(count_tokens(body), br#"{"input_tokens":16}"#);
        assert_eq!(count_tokens(b""), br#"{"input_tokens":1}"#);
    }
}
