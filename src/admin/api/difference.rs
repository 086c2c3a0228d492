//! What differs between two JSON documents, for people.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::limits;

/// Tells what differs from `before` to `after`: `{path, before, after}` for each place, and how many more
/// there are than are told. Lists of objects are compared by the members' `name` or `pattern`, all others as
/// wholes.
pub fn difference(before: &Value, after: &Value) -> (Vec<Value>, u64) {
    let mut found = Found::default();
    found.compare("", Some(before), Some(after));
    (found.told, found.more)
}

#[derive(Default)]
struct Found {
    told: Vec<Value>,
    more: u64,
}

impl Found {
    fn compare(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        if before == after {
            return;
        }
        let members = match (before, after) {
            (Some(Value::Object(one)), Some(Value::Object(two))) => {
                let names = one.keys().chain(two.keys().filter(|name| !one.contains_key(*name)));
                names.map(|name| (name.clone(), one.get(name), two.get(name))).collect()
            }
            (Some(Value::Array(one)), Some(Value::Array(two))) => named(one, two),
            _ => Vec::new(),
        };
        if members.is_empty() {
            if self.told.len() >= limits::ADMIN_DIFFERENCES_MAX {
                self.more += 1;
                return;
            }
            return self.told.push(json!({ "path": path, "before": before, "after": after }));
        }
        for (name, before, after) in members {
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            self.compare(&path, before, after);
        }
    }
}

type Pair<'v> = (String, Option<&'v Value>, Option<&'v Value>);

/// The members of two lists by name; nothing where one of them has none, or two of one name.
fn named<'v>(one: &'v [Value], two: &'v [Value]) -> Vec<Pair<'v>> {
    let name_of = |value: &Value| {
        let name = value.get("name").or_else(|| value.get("pattern"));
        name.and_then(Value::as_str).map(str::to_owned)
    };
    let mut pairs: Vec<Pair<'v>> = Vec::with_capacity(one.len());
    let mut places = HashMap::with_capacity(one.len());
    for value in one {
        let Some(name) = name_of(value) else { return Vec::new() };
        if places.insert(name.clone(), pairs.len()).is_some() {
            return Vec::new();
        }
        pairs.push((name, Some(value), None));
    }
    for value in two {
        let Some(name) = name_of(value) else { return Vec::new() };
        match places.get(&name).and_then(|place| pairs.get_mut(*place)) {
            Some((_, _, Some(_))) => return Vec::new(),
            Some((_, _, after)) => *after = Some(value),
            None => {
                places.insert(name.clone(), pairs.len());
                pairs.push((name, None, Some(value)));
            }
        }
    }
    // What only the order of a list tells apart is told as a whole.
    if pairs.iter().all(|(_, before, after)| before == after) { Vec::new() } else { pairs }
}
