//! The OpenAPI 3.1 document of the admin API, made from the table of routes.

use serde_json::{Map, Value, json};

use crate::admin::api::routes::{ROUTES, Route, Sure};
use crate::admin::api::shape::{example, schema};
use crate::http::head::Method;

/// Makes it; equal tables give equal bytes.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let method = if route.method == Method::Get { "get" } else { "post" };
        let place = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(methods) = place.as_object_mut() {
            methods.insert(method.to_owned(), operation(route));
        }
    }
    let error = json!({
        "type": "object",
        "properties": {
            "type": { "const": "error" },
            "error": {
                "type": "object",
                "properties": { "type": { "type": "string" }, "message": { "type": "string" } },
                "required": ["type", "message"],
            },
            "request_id": { "type": "string" },
        },
        "required": ["type", "error"],
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate, for administrators",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
        },
        "security": [{ "bearer": [] }, { "header": [] }],
        "paths": paths,
        "components": {
            "schemas": { "Error": error },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "header": { "type": "apiKey", "in": "header", "name": "x-api-key" },
            },
        },
    })
}

const DESCRIPTION: &str = "Every address needs an administrator's key, also on this machine. Changes want \
    `Content-Type: application/json` and say by `If-Match` which state they were made for: 428 without, 412 \
    when the state is another by now, which the `etag` header then has. Every change is in the ledger \
    (`kind:admin`) with what was before and after.";

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    if route.path.contains("{name}") {
        parameters.push(json!({
            "name": "name", "in": "path", "required": true, "schema": { "type": "string" },
        }));
    }
    for parameter in route.query {
        let mut shown = json!({
            "name": parameter.name, "in": "query", "schema": { "type": "string" },
            "description": parameter.says,
        });
        if let Some(fields) = shown.as_object_mut().filter(|_| !parameter.example.is_empty()) {
            fields.insert("example".to_owned(), parameter.example.into());
        }
        parameters.push(shown);
    }
    for (name, says) in conditions(route.sure) {
        parameters.push(json!({
            "name": name, "in": "header", "schema": { "type": "string" }, "description": says,
        }));
    }
    let mut responses: Map<String, Value> = Map::new();
    for (status, says) in route.success {
        let content = json!({ "application/json": { "schema": schema(route.answer, false) } });
        responses.insert(status.to_string(), json!({ "description": says, "content": content }));
    }
    for (status, says) in refusals(route) {
        let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
        responses.insert(status.to_string(), json!({ "description": says, "content": content }));
    }
    let mut shown = json!({
        "operationId": route.id,
        "summary": route.says,
        "x-permission": route.need.name(),
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(members), Some(fields)) = (route.body, shown.as_object_mut()) {
        let content = json!({ "schema": schema(members, true), "example": example(members) });
        let body = json!({ "required": !members.is_empty(), "content": { "application/json": content } });
        fields.insert("requestBody".to_owned(), body);
    }
    shown
}

const fn conditions(sure: Sure) -> &'static [(&'static str, &'static str)] {
    match sure {
        Sure::Nothing => &[],
        Sure::OfOne => &[("If-Match", "the `etag` of the thing as it was seen")],
        Sure::OfList => &[
            ("If-Match", "the `etag` of the list as it was seen; this or `If-None-Match`"),
            ("If-None-Match", "`*`: only if there is nothing of this name"),
        ],
    }
}

/// What can be refused there, and why.
fn refusals(route: &Route) -> Vec<(u16, &'static str)> {
    let mut out = vec![
        (400, "what was sent cannot be understood; the message says what to send"),
        (401, "no valid key"),
        (403, "the key does not allow it, or a web page of another site asks"),
        (429, "too many of them; `retry-after` says when"),
        (503, "not now; `retry-after` says when"),
    ];
    if route.path.contains("{name}") || !route.query.is_empty() {
        out.push((404, "there is no such thing"));
    }
    if route.body.is_some() {
        out.push((413, "the body is too large"));
        out.push((415, "the body is not announced as application/json"));
    }
    if route.changes() {
        out.push((409, "it cannot be done to what is there"));
        out.push((412, "the state is another by now; the `etag` header has it"));
        out.push((428, "no state was named"));
    }
    out
}
