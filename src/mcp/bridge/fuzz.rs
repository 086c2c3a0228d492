//! The fuzz body of the bridge: whatever comes, what goes out is JSON where JSON came in, and says so again.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use serde_json::Value;

use crate::mcp::bridge::capabilities::{CapabilitySet, ClientFacts, params_for_legacy, params_for_modern};
use crate::mcp::bridge::errors::{ForModern, error_code, error_for_legacy, error_for_modern};
use crate::mcp::bridge::opening::{read_discover_result, read_initialize, read_initialize_result};
use crate::mcp::bridge::results::{
    ResultKind, ResultType, result_for_legacy, result_for_modern, result_type,
};
use crate::mcp::bridge::rounds::{read_input_required, read_retry, request_for_modern, write_input_required};
use crate::mcp::bridge::tasks::{
    created_for_modern, created_with_id, legacy_created, params_as_call, read_task, related_task,
    task_for_modern, with_related_task, without_related_task,
};
use crate::mcp::version::Version;

/// Reads any bytes as every part of a message and sends them to the other era.
pub fn fuzz_bridge(data: &[u8]) {
    // What is not looked into is not checked, so only good JSON promises good JSON.
    let good = serde_json::from_slice::<Value>(data).is_ok();
    let sound = |out: &[u8]| assert!(!good || serde_json::from_slice::<Value>(out).is_ok(), "{out:?}");
    if let Ok(out) = result_for_modern(data, ResultKind::Cacheable) {
        sound(&out);
        assert_eq!(result_type(&out), Ok(ResultType::Complete));
        let again = result_for_modern(&out, ResultKind::Cacheable).expect("our own result");
        assert_eq!(again, out, "what is whole stays as it is");
    }
    if let Ok(out) = result_for_legacy(data) {
        sound(&out);
    }
    if let Ok(ForModern::Error(out)) = error_for_modern(data, "resources/read", true) {
        sound(&out);
        let code = error_code(&out).expect("our own error");
        assert!(code != -32002 && !(-32099..=-32020).contains(&code), "{code}");
    }
    if let Ok(out) = error_for_legacy(data, "tools/call") {
        sound(&out);
        let code = error_code(&out).expect("our own error");
        assert!(!(-32099..=-32020).contains(&code), "{code}");
    }
    if let Ok(read) = read_input_required(data) {
        let out = write_input_required(&read.requests, Some("state"));
        sound(&out);
        assert_eq!(read_input_required(&out).expect("our own result").requests, read.requests);
    }
    let facts =
        ClientFacts { version: Version::V2026_07_28, capabilities: data, client_info: None, log_level: None };
    for out in [
        params_for_modern(Some(data), &ClientFacts { capabilities: b"{}", ..facts.clone() }, Some(1)),
        params_for_modern(None, &facts, None),
        params_for_legacy(Some(data), Some(1)),
        created_for_modern(data, "id"),
        task_for_modern(data, "id", None),
        created_with_id(data, "id"),
        params_as_call(data).map(std::borrow::Cow::into_owned),
        without_related_task(data).map(std::borrow::Cow::into_owned),
        request_for_modern(data).map(std::borrow::Cow::into_owned),
    ]
    .into_iter()
    .flatten()
    {
        sound(&out);
    }
    if let Ok(set) = CapabilitySet::read(data) {
        assert_eq!(CapabilitySet::read(&set.write()), Ok(set));
    }
    if let Ok(out) = with_related_task(data, "id") {
        sound(&out);
        assert_eq!(related_task(&out), Ok(Some("id".to_owned())));
    }
    // These only read.
    drop((read_retry(data), legacy_created(data), read_task(data)));
    drop((read_initialize(data), read_initialize_result(data), read_discover_result(data)));
}
