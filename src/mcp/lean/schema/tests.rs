//! Which schemas become smaller and how, and that they still accept the same.

use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use serde_json::{Map, Value as Tree, json};

use super::{dedent, minify};
use crate::corpus::replay;
use crate::limits;
use crate::mcp::lean::fuzz::fuzz_schema;

#[test]
fn seeds_of_the_fuzz_target_hold() {
    replay("mcp_schema", 3, fuzz_schema);
}

fn small(schema: &str) -> String {
    String::from_utf8(minify(schema.as_bytes()).into_owned()).unwrap()
}

#[test]
fn what_says_nothing_goes() {
    let table = [
        (r#"{ "type" : "object" , "properties" : { } }"#, r#"{"type":"object","properties":{}}"#),
        (
            r#"{"type":"object","title":"T","$comment":"c","required":[],"description":"  "}"#,
            r#"{"type":"object"}"#,
        ),
        (r#"{"type":"object","additionalProperties":true}"#, r#"{"type":"object"}"#),
        (r#"{"type":"object","additionalProperties":{"title":"T"}}"#, r#"{"type":"object"}"#),
        (
            r#"{"type":"object","additionalProperties":false}"#,
            r#"{"type":"object","additionalProperties":false}"#,
        ),
        (r#"{"minLength":0,"minItems":0,"minProperties":0,"uniqueItems":false}"#, "{}"),
        (
            r#"{"minLength":0.0,"minItems":1,"uniqueItems":true}"#,
            r#"{"minLength":0.0,"minItems":1,"uniqueItems":true}"#,
        ),
        (r#"{"readOnly":false,"writeOnly":false,"deprecated":false,"examples":[]}"#, "{}"),
        (r#"{"propertyNames":{"type":"string"},"patternProperties":{}}"#, "{}"),
        (
            r#"{"propertyNames":{"type":"string","minLength":2}}"#,
            r#"{"propertyNames":{"type":"string","minLength":2}}"#,
        ),
        (r#"{"type":["string"],"items":{}}"#, r#"{"type":"string","items":{}}"#),
        (
            r#"{"description":"\n  One.\n    Two.  \n\n\n  Three.\n"}"#,
            r#"{"description":"One.\n  Two.\n\nThree."}"#,
        ),
        (r#"{"description":"\u0041\/é \u00e9"}"#, r#"{"description":"A/é é"}"#),
        (r#"{"maximum":1.50e+3,"default":-0}"#, r#"{"maximum":1.50e+3,"default":-0}"#),
    ];
    for (schema, expected) in table {
        assert_eq!(small(schema), expected, "{schema}");
    }
}

#[test]
fn names_and_values_are_no_keywords() {
    for schema in [
        r#"{"properties":{"title":{"type":"string"},"required":{"type":"array"},"$ref":{"type":"string"}}}"#,
        r#"{"properties":{"$defs":{"type":"object"},"$anchor":{"enum":[1]},"$comment":{"minLength":1}}}"#,
        r#"{"enum":[{"title":"T","required":[]},{"additionalProperties":true}]}"#,
        r#"{"const":{"title":"T","anyOf":[{"type":"string"},{"type":"null"}]}}"#,
        r#"{"default":{"description":"  d  ","uniqueItems":false},"examples":[{"$comment":"c"}]}"#,
        r#"{"required":["title"],"properties":{"a":{"default":null}}}"#,
        r#"{"patternProperties":{"title":{"type":"null"}},"dependentRequired":{"title":[]}}"#,
    ] {
        assert_eq!(small(schema), schema);
    }
}

#[test]
fn choices_between_types_are_lists_of_types() {
    let described =
        r#"{"anyOf":[{"type":"number","minimum":1,"description":"d"},{"type":"null"}],"description":"d"}"#;
    let table = [
        (
            r#"{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}"#,
            r#"{"type":["string","null"],"default":null}"#,
        ),
        (
            r#"{"oneOf":[{"type":"string"},{"type":["number","boolean"]}]}"#,
            r#"{"type":["string","number","boolean"]}"#,
        ),
        (r#"{"anyOf":[{"type":"integer"},{"type":"number"}]}"#, r#"{"type":["integer","number"]}"#),
        (r#"{"anyOf":[{"type":"string","title":"S"}]}"#, r#"{"type":"string"}"#),
        (
            r#"{"anyOf":[{"type":"string","minLength":1,"format":"uri"},{"type":"null"}],"description":"d"}"#,
            r#"{"type":["string","null"],"minLength":1,"format":"uri","description":"d"}"#,
        ),
        (described, r#"{"type":["number","null"],"minimum":1,"description":"d"}"#),
        (
            r#"{"anyOf":[{"type":"null"},{"type":"string","enum":["a","b"],"description":"d"}],"title":"T"}"#,
            r#"{"type":["null","string"],"enum":["a","b",null],"description":"d"}"#,
        ),
        (
            r#"{"anyOf":[{"type":"array","items":{"type":"string"},"maxItems":3},{"type":"string"}]}"#,
            r#"{"type":["array","string"],"items":{"type":"string"},"maxItems":3}"#,
        ),
    ];
    for (schema, expected) in table {
        assert_eq!(small(schema), expected, "{schema}");
    }
}

#[test]
fn choices_that_are_more_stay() {
    for schema in [
        // An integer is a number too, so exactly one never holds.
        r#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#,
        r#"{"oneOf":[{"type":["string","null"]},{"type":"null"}]}"#,
        // The short strings that the first refuses are taken by the second.
        r#"{"anyOf":[{"type":"string","minLength":3},{"type":["string","null"]}]}"#,
        r#"{"anyOf":[{"type":"integer","minimum":3},{"type":"number"}]}"#,
        r#"{"anyOf":[{"type":"string","minLength":3},{"type":"array","maxItems":1}]}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"null"}],"type":"string"}"#,
        r##"{"anyOf":[{"type":"string"},{"type":"null"}],"$ref":"#"}"##,
        r#"{"anyOf":[{"type":"string","enum":["a"]},{"type":"number"}]}"#,
        r#"{"anyOf":[{"type":"string","not":{"const":"a"}},{"type":"null"}]}"#,
        r#"{"anyOf":[{"type":"string","description":"a"},{"type":"number"}]}"#,
        r#"{"anyOf":[{"type":"string","description":"a"},{"type":"null"}],"description":"b"}"#,
        r#"{"anyOf":[{"type":"object","additionalProperties":false},{"type":"null"}],"properties":{"a":{}}}"#,
        r#"{"anyOf":[{"type":"object","minProperties":1},{"type":"null"}],"unevaluatedProperties":false}"#,
        r#"{"additionalProperties":true,"unevaluatedProperties":false}"#,
        r#"{"anyOf":[{"type":"strange"},{"type":"null"}]}"#,
        r#"{"anyOf":[{"const":"a"},{"type":"null"}]}"#,
    ] {
        assert_eq!(small(schema), schema);
    }
}

#[test]
fn definitions_go_where_they_are_used() {
    let table = [
        (
            r##"{"properties":{"a":{"type":"string"}},"$defs":{"X":{"$ref":"#/$defs/Y"},"Y":{}}}"##,
            r#"{"properties":{"a":{"type":"string"}}}"#,
        ),
        (
            r##"{"not":{"$ref":"#/$defs/X","description":"d"},"$defs":{"X":{"type":"string","title":"X"}}}"##,
            r#"{"not":{"type":"string","description":"d"}}"#,
        ),
        (
            r##"{"not":{"$ref":"#/$defs/X"},"$defs":{"X":{"items":{"$ref":"#/$defs/Y"}},"Y":{"enum":[1]}}}"##,
            r#"{"not":{"items":{"enum":[1]}}}"#,
        ),
        (
            r##"{"items":{"$ref":"#/$defs/a~1b~0c%25"},"$defs":{"a/b~c%":{"type":"null"},"a":{}}}"##,
            r#"{"items":{"type":"null"}}"#,
        ),
        // Somebody means a part of it.
        (
            r##"{ "items":{"$ref":"#/$defs/A"},"not":{"$ref":"#/$defs/A/not"},"$defs":{"A":{"not":{}}}}"##,
            r##"{"items":{"$ref":"#/$defs/A"},"not":{"$ref":"#/$defs/A/not"},"$defs":{"A":{"not":{}}}}"##,
        ),
        // One that stands in another.
        (
            r##"{"items":{"$ref":"#/$defs/A/$defs/B"},"$defs":{"A":{"$defs":{"B":{"enum":[1]}}}}}"##,
            r#"{"items":{"enum":[1]}}"#,
        ),
        // A definition that is only another name.
        (
            r##"{"items":{"$ref":"#/$defs/A"},"$defs":{"A":{"$ref":"#/$defs/B"},"B":{"type":"null"}}}"##,
            r##"{"items":{"type":"null"}}"##,
        ),
        // Used once, but inside of what is used nowhere.
        (
            r##"{"not":{"$ref":"#/$defs/A"},"$defs":{"A":{"enum":[1]},"B":{"not":{"$ref":"#/$defs/A"}}}}"##,
            r#"{"not":{"enum":[1]}}"#,
        ),
    ];
    for (schema, expected) in table {
        assert_eq!(small(schema), expected, "{schema}");
    }
}

#[test]
fn definitions_that_are_needed_stay() {
    for schema in [
        // Twice, and round in a circle.
        r##"{"items":{"$ref":"#/$defs/A"},"not":{"$ref":"#/$defs/A"},"$defs":{"A":{"type":"null"}}}"##,
        r##"{"items":{"$ref":"#/$defs/A"},"$defs":{"A":{"items":{"$ref":"#/$defs/A"}}}}"##,
        // Both say what it is.
        r##"{"items":{"$ref":"#/$defs/A","description":"a"},"$defs":{"A":{"description":"b"}}}"##,
        // A reader of draft 7 does not see what stands beside the reference.
        r##"{"items":{"$ref":"#/$defs/A","minLength":2},"$defs":{"A":{"type":"string"}}}"##,
        // Somebody means a part of it.
        r##"{"items":{"$ref":"#/$defs/A"},"not":{"$ref":"#/$defs/A/items"},"$defs":{"A":{"items":{}}}}"##,
        // Places that are pointed at stay: the branch, and the word that says nothing.
        r##"{"items":{"anyOf":[{"type":"string"},{"type":"null"}]},"not":{"$ref":"#/items/anyOf/0"}}"##,
        r##"{"additionalProperties":{},"items":{"$ref":"#/additionalProperties"}}"##,
    ] {
        assert_eq!(small(schema), schema);
    }
}

#[test]
fn marks_go_where_nothing_depends_on_them() {
    let mark = |draft: &str, rest: &str| format!("{{\"$schema\":\"{draft}\",{rest}}}");
    let (d6, d7) = ("http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-07/schema#");
    let (d19, d20) =
        ("https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema");
    for (draft, rest, goes) in [
        (d7, r#""type":"object","properties":{"a":{"const":1,"format":"date-time"}}"#, true),
        (d7, r#""type":"array","items":[{"type":"string"}]"#, false),
        (d7, r#""type":"array","items":[{"type":"string"}],"additionalItems":false"#, false),
        (d7, r#""type":"string","format":"uuid""#, false),
        (d7, r#""unevaluatedProperties":false"#, false),
        (d7, r#""dependencies":{"a":["b"]}"#, false),
        (
            d7,
            r##""not":{"$ref":"#/$defs/A","minimum":1},"$defs":{"A":{}},"items":{"$ref":"#/$defs/A"}"##,
            false,
        ),
        (
            d7,
            r##""not":{"$ref":"#/$defs/A","default":1},"$defs":{"A":{}},"items":{"$ref":"#/$defs/A"}"##,
            true,
        ),
        (d7, r#""if":{"type":"string"},"then":{"minLength":1}"#, true),
        (d6, r#""if":{"type":"string"},"then":{"minLength":1}"#, false),
        (d6, r#""type":"string","format":"date""#, false),
        (d6, r#""type":"string","format":"uri""#, true),
        (d19, r#""unevaluatedProperties":false,"dependentRequired":{"a":["b"]}"#, true),
        (d19, r#""items":[{"type":"string"}]"#, false),
        (d20, r#""prefixItems":[{"type":"string"}],"unevaluatedItems":false"#, true),
        ("http://json-schema.org/draft-04/schema#", r#""type":"integer","title":"T""#, false),
        ("http://json-schema.org/schema#", r#""type":"integer","title":"T""#, false),
        ("urn:x", r#""type":"integer","title":"T""#, false),
    ] {
        let schema = mark(draft, rest);
        assert_eq!(small(&schema), if goes { format!("{{{rest}}}") } else { schema }, "{draft} {rest}");
    }
    assert_eq!(small(r#"{"$id":"https://example.com/s","type":"object"}"#), r#"{"type":"object"}"#);
}

#[test]
fn what_is_odd_stays_byte_for_byte() {
    for schema in [
        "",
        "{",
        "{} {}",
        " [ ]",
        "5",
        r#"{ "title":"T","title":"U" }"#,
        r#"{ "$anchor":"a","title":"T" }"#,
        r##"{ "$dynamicRef":"#a","title":"T" }"##,
        r#"{ "$recursiveRef":"x","title":"T" }"#,
        r#"{ "items":{"$id":"b"},"title":"T" }"#,
        r#"{ "items":{"id":"b"},"title":"T" }"#,
        r#"{ "items":{"$schema":"b"},"title":"T" }"#,
        r#"{ "$ref":"other.json","title":"T" }"#,
        r##"{ "$ref":"#a","title":"T" }"##,
        r##"{ "$ref":"#/$defs/none","title":"T" }"##,
        r##"{ "items":{"$ref":"#/enum/0"},"enum":[{}],"title":"T" }"##,
        r##"{ "items":{"$ref":"#/components/A"},"components":{"A":{}},"title":"T" }"##,
        r##"{ "items":{"$ref":"#/anyOf/00"},"anyOf":[{}],"title":"T" }"##,
        r##"{ "items":{"$ref":"#/$defs/%zz"},"$defs":{"%zz":{}},"title":"T" }"##,
        r##"{ "items":{"$ref":"#/$defs/~2"},"$defs":{"~2":{}},"title":"T" }"##,
        r#"{ "required":true,"title":"T" }"#,
        r#"{ "properties":[],"title":"T" }"#,
        r#"{ "anyOf":{},"title":"T" }"#,
        r#"{ "items":5,"title":"T" }"#,
        r#"{ "type":{},"title":"T" }"#,
        r#"{ "title":"\ud800" }"#,
    ] {
        assert_eq!(small(schema), schema);
    }
    let deep = limits::LEAN_SCHEMA_DEPTH_MAX + 2;
    let schema = format!("{} {{}} {}", "{\"not\":".repeat(deep), "}".repeat(deep));
    assert_eq!(small(&schema), schema);
    let large = format!("{{ \"enum\":[\"{}\"] }}", "x".repeat(limits::MCP_DEFINITION_BYTES_MAX));
    assert_eq!(small(&large), large);
}

#[test]
fn a_chain_of_definitions_is_bounded() {
    let count = limits::LEAN_SCHEMA_DEPTH_MAX * 4;
    let links: Vec<String> =
        (0..count).map(|n| format!("\"d{n}\":{{\"not\":{{\"$ref\":\"#/$defs/d{}\"}}}}", n + 1)).collect();
    let schema = format!(
        "{{\"not\":{{\"$ref\":\"#/$defs/d0\"}},\"$defs\":{{{},\"d{count}\":{{ }}}}}}",
        links.join(",")
    );
    assert_eq!(small(&schema), schema);
}

#[test]
fn dedent_takes_the_layout_and_leaves_the_words() {
    for (text, expected) in [
        ("one", "one"),
        ("  one \t", "one"),
        ("one\n    two\n      three\n    four", "one\ntwo\n  three\nfour"),
        ("\n    one\n    two\n", "one\ntwo"),
        ("a\r\nb\r\n", "a\nb"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("```\na\n\n\nb\n```", "```\na\n\n\nb\n```"),
        ("a\n\tb\n  c", "a\n\tb\n  c"),
        ("\u{a0}a\u{a0}", "\u{a0}a\u{a0}"),
    ] {
        assert_eq!(dedent(text), expected, "{text:?}");
    }
}

const D6: Draft = Draft::Draft6;
const D7: Draft = Draft::Draft7;
const D19: Draft = Draft::Draft201909;
const D20: Draft = Draft::Draft202012;

/// The draft that a schema names, with the name.
fn named(draft: Draft) -> &'static str {
    match draft {
        Draft::Draft6 => "http://json-schema.org/draft-06/schema#",
        Draft::Draft7 => "http://json-schema.org/draft-07/schema#",
        Draft::Draft201909 => "https://json-schema.org/draft/2019-09/schema",
        _ => "https://json-schema.org/draft/2020-12/schema",
    }
}

fn validator(schema: &Tree, draft: Draft, formats: bool) -> Option<Validator> {
    jsonschema::options().with_draft(draft).should_validate_formats(formats).build(schema).ok()
}

/// Pairs of drafts by which the original and the small schema have to agree.
fn readings(original: &Tree, small: &Tree) -> Vec<(Draft, Draft)> {
    let Some(mark) = original.get("$schema") else {
        return vec![(D6, D6), (D7, D7), (D19, D19), (D20, D20)];
    };
    let Some(draft) = [D6, D7, D19, D20].into_iter().find(|draft| named(*draft) == mark) else {
        return Vec::new();
    };
    if small.get("$schema").is_some() { vec![(draft, draft)] } else { vec![(draft, draft), (draft, D20)] }
}

/// Compares what both accept; how many instances they took and how many not.
pub(in crate::mcp::lean) fn compare(
    original: &Tree,
    small: &Tree,
    instances: &[Tree],
    formats: bool,
) -> [usize; 2] {
    let mut counts = [0, 0];
    for (one, other) in readings(original, small) {
        let Some(one) = validator(original, one, formats) else { continue };
        let other = validator(small, other, formats).expect("a small schema that is one");
        for instance in instances {
            let accepted = one.is_valid(instance);
            assert_eq!(accepted, other.is_valid(instance), "{instance}\n{original}\n{small}");
            counts[usize::from(!accepted)] += 1;
        }
    }
    counts
}

/// An instance that a schema may accept, or nearly: `dice` gives numbers.
pub(in crate::mcp::lean) fn instance(
    root: &Tree,
    schema: &Tree,
    dice: &mut dyn FnMut() -> usize,
    depth: usize,
) -> Tree {
    let words = ["", "a", "b", "abcd", "a@b.example", "2026-11-23T00:00:00Z", "https://a.example/b", "x y"];
    let word = Tree::from(words[dice() % words.len()]);
    if depth > 8 || dice().is_multiple_of(16) {
        return [json!(null), json!(1), word, json!([]), json!({}), json!(true), json!(1.5)][dice() % 7]
            .clone();
    }
    for list in ["enum", "anyOf", "oneOf", "allOf"] {
        if let Some(items) = schema.get(list).and_then(Tree::as_array).filter(|items| !items.is_empty()) {
            let item = &items[dice() % items.len()];
            return if list == "enum" { item.clone() } else { instance(root, item, dice, depth + 1) };
        }
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(target) = schema.get("$ref").and_then(Tree::as_str) {
        let target = root.pointer(&target.replacen('#', "", 1).replace("%25", "%")).unwrap_or(&Tree::Null);
        return instance(root, target, dice, depth + 1);
    }
    let name = match schema.get("type") {
        Some(Tree::String(name)) => name.clone(),
        Some(Tree::Array(names)) if !names.is_empty() => {
            names[dice() % names.len()].as_str().unwrap_or_default().to_owned()
        }
        _ => ["object", "array", "string", "integer"][dice() % 4].to_owned(),
    };
    match &*name {
        "object" => {
            let mut object = Map::new();
            let required = schema.get("required").and_then(Tree::as_array);
            for (name, property) in schema.get("properties").and_then(Tree::as_object).into_iter().flatten() {
                let needed = required.is_some_and(|names| names.iter().any(|one| one == name));
                if dice() % 8 < if needed { 7 } else { 3 } {
                    object.insert(name.clone(), instance(root, property, dice, depth + 1));
                }
            }
            if dice().is_multiple_of(6) {
                object.insert("other".to_owned(), word);
            }
            Tree::Object(object)
        }
        "array" => {
            let item = schema.get("items").filter(|items| items.is_object()).unwrap_or(&Tree::Null);
            (0..dice() % 3).map(|_| instance(root, item, dice, depth + 1)).collect()
        }
        "integer" | "number" => {
            [json!(0), json!(1), json!(7), json!(-3), json!(250), json!(0.5)][dice() % 6].clone()
        }
        "boolean" => json!(dice().is_multiple_of(2)),
        "null" => Tree::Null,
        _ => word,
    }
}

/// Numbers from a seed, the same on every machine.
pub(in crate::mcp::lean) fn dice(seed: u64) -> impl FnMut() -> usize {
    let mut state = seed | 1;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 40).unwrap()
    }
}

/// Names that are words of schemas too.
const NAMES: [&str; 9] = ["a", "b", "title", "required", "items", "enum", "default", "$ref", "description"];

/// Any schema of a few levels, with everything that is looked at, and references to `#/$defs` and elsewhere.
fn schema() -> impl Strategy<Value = Tree> {
    let data = prop_oneof![
        Just(json!(null)),
        Just(json!("a")),
        Just(json!(1)),
        Just(json!({"title": "t", "required": [], "description": "  d "})),
        Just(json!([{"anyOf": [{"type": "null"}]}])),
    ];
    let types =
        prop::sample::select(vec!["string", "number", "integer", "null", "object", "array", "boolean"]);
    let word = prop_oneof![
        3 => types.clone().prop_map(|name| ("type", json!(name))),
        1 => prop::sample::subsequence(vec!["string", "integer", "null", "number"], 1..3)
            .prop_map(|names| ("type", json!(names))),
        1 => data.clone().prop_map(|value| ("default", value)),
        1 => prop::collection::vec(data.clone(), 1..3).prop_map(|values| ("enum", json!(values))),
        1 => data.prop_map(|value| ("const", value)),
        4 => prop::sample::select(vec![
            ("title", json!("T")), ("$comment", json!("c")), ("description", json!(" d\n   e ")),
            ("required", json!([])), ("required", json!(["a"])), ("required", json!(["title"])),
            ("additionalProperties", json!(true)), ("additionalProperties", json!(false)),
            ("additionalProperties", json!({})), ("minLength", json!(0)), ("minLength", json!(2)),
            ("minItems", json!(0)), ("maxItems", json!(1)), ("uniqueItems", json!(false)),
            ("minProperties", json!(0)), ("maxProperties", json!(1)), ("minimum", json!(1)),
            ("propertyNames", json!({"type": "string"})), ("propertyNames", json!({"maxLength": 1})),
            ("format", json!("date-time")), ("format", json!("uuid")), ("format", json!("email")),
            ("unevaluatedProperties", json!(false)), ("deprecated", json!(false)),
            ("dependentRequired", json!({"a": ["b"]})), ("dependencies", json!({"a": ["b"]})),
            ("contains", json!({"type": "string"})), ("items", json!([{"type": "string"}])),
            ("prefixItems", json!([{"type": "string"}])), ("patternProperties", json!({})),
        ]),
        3 => prop::sample::select(vec![
            "#/$defs/A", "#/$defs/B", "#/$defs/~1c%25", "#/definitions/D", "#", "#/$defs/A/items",
        ])
        .prop_map(|pointer| ("$ref", json!(pointer))),
    ];
    let rich = prop::sample::select(vec![
        json!({"type": "string", "minLength": 2}),
        json!({"type": "string", "enum": ["a", "abcd"]}),
        json!({"type": ["integer", "null"], "minimum": 1}),
        json!({"type": "array", "maxItems": 1}),
        json!({"type": "object", "additionalProperties": false}),
    ]);
    let leaf = prop_oneof![2 => prop::collection::vec(word.clone(), 0..3).prop_map(object), 1 => rich];
    leaf.prop_recursive(3, 24, 3, move |inner| {
        let list = prop::collection::vec(inner.clone(), 1..3);
        let other = prop::sample::select(vec!["null", "null", "string", "integer"]);
        let with_null = (inner.clone(), other).prop_map(|(one, other)| vec![one, json!({"type": other})]);
        let plain = types.clone().prop_map(|name| vec![json!({"type": name}), json!({"type": "string"})]);
        let choice = prop_oneof![list, with_null, plain];
        let names = prop::sample::select(NAMES.to_vec());
        let map = prop::collection::btree_map(names, inner.clone(), 0..3);
        let deep = prop_oneof![
            2 => map.prop_map(|map| ("properties", json!(map))),
            2 => choice.clone().prop_map(|list| ("anyOf", json!(list))),
            2 => choice.prop_map(|list| ("oneOf", json!(list))),
            1 => inner.clone().prop_map(|one| ("items", one)),
            1 => inner.clone().prop_map(|one| ("not", one)),
            1 => inner.clone().prop_map(|one| ("if", one)),
            1 => inner.clone().prop_map(|one| ("then", one)),
            1 => inner.clone().prop_map(|one| ("allOf", json!([one]))),
            1 => inner.prop_map(|one| ("additionalProperties", one)),
        ];
        (prop::collection::vec(deep, 1..3), prop::collection::vec(word.clone(), 0..2))
            .prop_map(|(deep, words)| object(deep.into_iter().chain(words).collect()))
    })
}

fn object(members: Vec<(&'static str, Tree)>) -> Tree {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

/// Whether a schema, read for one instance, leads to itself: a validator would never end.
fn spins<'t>(root: &'t Tree, schema: &'t Tree, open: &mut Vec<&'t Tree>, done: &mut Vec<&'t Tree>) -> bool {
    let known = |list: &[&Tree]| list.iter().any(|one| std::ptr::eq(*one, schema));
    if known(open) || known(done) {
        return known(open);
    }
    open.push(schema);
    let lists = ["anyOf", "oneOf", "allOf"].iter().filter_map(|name| schema.get(name)?.as_array()).flatten();
    let ones = ["not", "if", "then", "else"].iter().filter_map(|name| schema.get(name));
    let target = schema.get("$ref").and_then(Tree::as_str);
    let target = target.and_then(|target| root.pointer(&target.replacen('#', "", 1).replace("%25", "%")));
    let found = lists.chain(ones).chain(target).any(|next| spins(root, next, open, done));
    open.pop();
    done.push(schema);
    let within: Vec<&Tree> = match schema {
        Tree::Object(members) => members.values().collect(),
        Tree::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    found || within.into_iter().any(|next| spins(root, next, &mut Vec::new(), done))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_small_schema_accepts_the_same(
        body in prop::collection::btree_map(prop::sample::select(NAMES.to_vec()), schema(), 1..4),
        more in schema(),
        shelf in prop::array::uniform4(schema()),
        draft in prop::option::of(prop::sample::select(vec![D6, D7, D19, D20])),
        seed in any::<u64>(),
    ) {
        let [a, b, c, d] = shelf;
        let mut a = a;
        a["items"] = json!({"type": ["string", "null"]});
        let shelf = json!({"A": a, "B": b, "/c%": c});
        let mut root = json!({"properties": body, "$defs": shelf, "definitions": {"D": d}});
        for (name, value) in more.as_object().unwrap() {
            if name != "$ref" && root.get(name).is_none() {
                root[name] = value.clone();
            }
        }
        if let Some(draft) = draft {
            root["$schema"] = named(draft).into();
            root["$id"] = "https://example.com/s".into();
        }
        prop_assume!(!spins(&root, &root, &mut Vec::new(), &mut Vec::new()));
        let text = root.to_string();
        let small = minify(text.as_bytes());
        let small: Tree = serde_json::from_slice(&small).unwrap();
        let mut dice = dice(seed);
        let instances: Vec<Tree> = (0..12).map(|_| instance(&root, &root, &mut dice, 0)).collect();
        for formats in [false, true] {
            compare(&root, &small, &instances, formats);
        }
    }
}
