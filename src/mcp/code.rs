//! What a call of a tool gives a script: a value to go on with, or why there is none.

use crate::json::{self, Kind as JsonKind, Value};
use crate::mcp::bridge::results::{ResultType, result_type};
use crate::mcp::message::{self, Kind};

/// The value that a response stands for, as JSON: `structuredContent` where the result has one; else its
/// text, and where that is an object or an array in JSON, that; else its content blocks as they are.
///
/// # Errors
/// What the script and its reader are told: the error's message, what the tool says of its failure.
pub fn given(response: &[u8]) -> Result<Vec<u8>, String> {
    let odd = || "the tool's answer cannot be read".to_owned();
    let read = message::read(response).map_err(|_fault| odd())?;
    if read.kind == Kind::Error {
        let error = read.error.and_then(|place| message::read_error(response, place).ok());
        let words = error.and_then(|error| message::text(response, error.message?));
        return Err(words.map_or_else(odd, Into::into));
    }
    let result = read.result.and_then(|place| response.get(place)).ok_or_else(odd)?;
    if !matches!(result_type(result), Ok(ResultType::Complete)) {
        return Err("the tool asks something before it goes on, and nobody can be asked here".to_owned());
    }
    let names = ["content", "structuredContent", "isError"];
    let [content, structured, is_error] =
        message::pick(result, 0..result.len(), &names).map_err(|_fault| odd())?;
    let texts = match &content {
        Some(content) => texts(result, content),
        None => Some(Vec::new()),
    };
    if is_error.is_some_and(|is_error| is_error.kind == JsonKind::True) {
        let words = texts.unwrap_or_default().join("\n");
        return Err(if words.is_empty() { "the tool has failed without a word".to_owned() } else { words });
    }
    if let Some(structured) = structured.filter(|value| value.kind != JsonKind::Null) {
        return Ok(structured.bytes(result).to_vec());
    }
    match (texts.as_deref(), content) {
        (Some([one]), _) if is_document(one) => Ok(one.as_bytes().to_vec()),
        (Some(texts), _) => {
            let mut out = Vec::new();
            json::write_string(&mut out, &texts.join("\n"));
            Ok(out)
        }
        (None, Some(content)) => Ok(content.bytes(result).to_vec()),
        (None, None) => Err(odd()),
    }
}

/// The texts of content blocks; nothing where any block is something else.
fn texts(result: &[u8], content: &Value) -> Option<Vec<String>> {
    let mut blocks = Vec::new();
    let read: Result<(), json::Fault> = json::elements(result, content.span.clone(), |block| {
        blocks.push(block);
        Ok(())
    });
    read.ok()?;
    blocks
        .into_iter()
        .map(|block| {
            let [kind, text] = message::pick(result, block.span, &["type", "text"]).ok()?;
            let kind = kind.and_then(|kind| message::text(result, kind.span))?;
            let text = text.filter(|_| kind == "text").and_then(|text| message::text(result, text.span))?;
            Some(text.into_owned())
        })
        .collect()
}

/// Whether a text is an object or an array in JSON, and not merely begins like one.
fn is_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::given;

    #[test]
    fn a_result_becomes_the_value_that_a_script_wants() {
        let text = |text: &str| format!(r#"{{"content":[{{"type":"text","text":{text}}}]}}"#);
        let image = r#"{"content":[{"type":"image","data":"AA==","mimeType":"image/png"}]}"#;
        let cases: [(String, Result<&str, &str>); 11] = [
            (text(r#""plain words""#), Ok(r#""plain words""#)),
            (text(r#""{\"a\": [1]}""#), Ok(r#"{"a": [1]}"#)),
            (text(r#""{almost""#), Ok(r#""{almost""#)),
            (text(r#""7""#), Ok(r#""7""#)),
            (r#"{"content":[],"structuredContent":{"a":1}}"#.into(), Ok(r#"{"a":1}"#)),
            (r#"{"content":[],"structuredContent":null}"#.into(), Ok(r#""""#)),
            (
                r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#.into(),
                Ok(r#""a\nb""#),
            ),
            (image.into(), Ok(r#"[{"type":"image","data":"AA==","mimeType":"image/png"}]"#)),
            (
                r#"{"content":[{"type":"text","text":"no such row"}],"isError":true}"#.into(),
                Err("no such row"),
            ),
            (r#"{"content":[],"isError":true}"#.into(), Err("the tool has failed without a word")),
            (
                r#"{"resultType":"input_required","inputRequests":{}}"#.into(),
                Err("the tool asks something before it goes on, and nobody can be asked here"),
            ),
        ];
        for (result, expected) in cases {
            let response = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
            let given = given(response.as_bytes()).map(|value| String::from_utf8(value).unwrap());
            assert_eq!(given, expected.map(str::to_owned).map_err(str::to_owned), "{result}");
        }
    }

    #[test]
    fn an_error_is_told_in_its_own_words() {
        let error = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"not yours"}}"#;
        assert_eq!(given(error), Err("not yours".to_owned()));
        assert_eq!(given(b"{"), Err("the tool's answer cannot be read".to_owned()));
    }
}
