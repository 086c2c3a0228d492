//! The fuzz body of OpenAPI: documents and arguments are anything, and a request is still one.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use serde_json::{Value, json};

use super::request::steps;
use super::{Answer, HttpRequest, OpenApi, result};
use crate::limits;

/// A document whose places are all of the kinds there are.
pub(super) fn places() -> Value {
    let schema = json!({});
    let parameter = |name: &str, within: &str| json!({"name": name, "in": within, "schema": schema});
    let with = |name: &str, style: &str, explode: bool| {
        json!({"name": name, "in": "query", "schema": {}, "style": style,
            "explode": explode})
    };
    json!({"openapi": "3.1.0", "info": {}, "paths": {"/v1/a{p}b/{q}/end": {"post": {
        "operationId": "all",
        "parameters": [
            parameter("p", "path"), parameter("q", "path"), parameter("plain", "query"),
            parameter("x-note", "header"), with("deep", "deepObject", true), with("list", "form", false),
            with("bars", "pipeDelimited", false),
            {"name": "json", "in": "query", "content": {"application/json": {"schema": {}}}},
        ],
        "requestBody": {"content": {"application/json": {"schema": {}}}},
    }}}})
}

/// Reads any document, and calls each of its operations and a fixed one with any arguments.
pub fn fuzz_openapi(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(api) = OpenApi::read(&text) {
        for operation in api.operations() {
            assert!((1..=limits::OPENAPI_NAME_BYTES_MAX).contains(&operation.name.len()));
            serde_json::from_slice::<Value>(&operation.definition).expect("our own definition");
            for arguments in [b"{}".as_slice(), br#"{"id":"../x","body":{}}"#] {
                if let Ok(request) = api.request(&operation.name, arguments) {
                    check(&request);
                }
            }
        }
    }
    let api = OpenApi::read(&places().to_string()).expect("a good document");
    if let Ok(request) = api.request("all", data) {
        check(&request);
        let path = request.path_and_query.split('?').next().unwrap_or_default();
        let parts: Vec<_> = path.split('/').collect();
        assert!(
            matches!(parts.as_slice(), ["", "v1", a, q, "end"] if a.len() > 2 && !q.is_empty()),
            "{path}"
        );
    }
    let shown =
        result(&Answer { status: 200, content_type: Some("application/json"), body: data, whole: true });
    serde_json::from_slice::<Value>(&shown).expect("our own result");
}

/// What holds for every request.
pub(super) fn check(request: &HttpRequest) {
    let target = &request.path_and_query;
    assert!(target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()), "{target}");
    assert!(!target.contains(['#', '\\', '"', '<']) && target.matches('?').count() < 2, "{target}");
    assert!(!steps(target.split('?').next().unwrap_or_default()), "{target}");
    for (name, value) in &request.headers {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{name}");
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{value}");
    }
    if let Some(body) = &request.body {
        serde_json::from_slice::<Value>(body).expect("a body of JSON");
    }
}
