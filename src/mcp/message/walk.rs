//! Reads the usual message in one walk over its bytes: the top level, `params` and `_meta` together.
//!
//! It knows no faults. Whatever is not plain, it leaves to the readers that go level by level; what it does
//! take, they take, too, and find the same.

use std::ops::Range;

use crate::json::{Cursor, Key, Kind as JsonKind};
use crate::limits;
use crate::mcp::message::{
    CLIENT_CAPABILITIES, CLIENT_INFO, Kind, LOG_LEVEL, Message, Meta, PROGRESS_TOKEN, PROTOCOL_VERSION,
    Params, SUBSCRIPTION_ID, TOOL_USE_ID, Want,
};
use crate::mcp::method::Method;

/// Where a member goes: its bit among those seen, the kind it has to have, its field.
type Place<'f> = Option<(u32, Want, &'f mut Option<Range<usize>>)>;

/// Makes the names of an object's members, and the way from a name to its field.
macro_rules! members {
    ($names:ident, $place:ident of $whole:ty: $($bit:literal $name:expr => $want:ident $field:ident,)+) => {
        const $names: &[&str] = &[$($name,)+];

        #[inline]
        fn $place<'f>(whole: &'f mut $whole, name: &[u8]) -> Place<'f> {
            // A chain with constants, not a loop over the table: it becomes a jump by the name's length.
            $(if name == $name.as_bytes() {
                return Some((1 << $bit, Want::$want, &mut whole.$field));
            })+
            None
        }
    };
}

// `result` and `error` have no place: a response has nothing inside that this walk is for.
members! { TOP, top_place of Message:
    0 "method" => String method_span,
    1 "params" => Object params,
    2 "id" => Token id,
}

members! { PARAMS, params_place of Params:
    0 "name" => String name,
    1 "arguments" => Object arguments,
    3 "uri" => String uri,
    4 PROGRESS_TOKEN => Token progress_token,
    5 "progress" => Number progress,
    6 "requestId" => Token request_id,
    7 "cursor" => String cursor,
    8 "inputResponses" => Object input_responses,
    9 "requestState" => String request_state,
    10 "taskId" => String task_id,
    11 "task" => Object task,
    12 "ref" => Object reference,
    13 "argument" => Object argument,
    14 "level" => String level,
    15 "notifications" => Object notifications,
    16 "protocolVersion" => String protocol_version,
    17 "capabilities" => Object capabilities,
    18 "clientInfo" => Object client_info,
}

members! { META, meta_place of Meta:
    0 PROGRESS_TOKEN => Token progress_token,
    1 TOOL_USE_ID => String tool_use_id,
    2 PROTOCOL_VERSION => String protocol_version,
    3 CLIENT_INFO => Object client_info,
    4 CLIENT_CAPABILITIES => Object client_capabilities,
    5 LOG_LEVEL => String log_level,
    6 SUBSCRIPTION_ID => Token subscription_id,
    7 "traceparent" => String traceparent,
}

/// Reads a request or a notification with its params into two fresh ones; nothing of a message that has
/// anything unusual in it, good or not.
pub(super) fn walk(doc: &[u8], message: &mut Message, params: &mut Params) -> Option<()> {
    let mut cursor = Cursor::new(doc);
    let (mut version, mut seen) = (None, 0);
    cursor.enter_object().ok()?;
    while let Some(key) = cursor.key().ok()? {
        if key.raw == b"params" && cursor.ahead() == Some(JsonKind::Object) {
            let start = cursor.place();
            walk_params(&mut cursor, params)?;
            put(&mut seen, 1 << 1, &mut message.params, start..cursor.place())?;
        } else if key.raw == VERSION.as_bytes() {
            take(&mut cursor, &key, &mut seen, Some((1 << 3, Want::String, &mut version)), || true)?;
        } else {
            let place = top_place(message, key.raw);
            take(&mut cursor, &key, &mut seen, place, || is_like(&key, TOP) || is_like(&key, &OTHERS))?;
        }
    }
    cursor.finish().ok()?;
    let inner = |span: &Range<usize>| doc.get(span.clone())?.strip_prefix(b"\"")?.strip_suffix(b"\"");
    message.method = Method::from_name(inner(message.method_span.as_ref()?)?);
    if message.id.is_some() {
        message.kind = Kind::Request;
    }
    let fits = message.id.as_ref().is_none_or(|id| id.len() <= limits::MCP_ID_BYTES_MAX);
    (fits && message.method != Method::Other && inner(&version?)? == b"2.0").then_some(())
}

const VERSION: &str = "jsonrpc";

/// Names at the top level that are not among `TOP`, and that others must not be like.
const OTHERS: [&str; 3] = [VERSION, "result", "error"];

const META_NAME: &str = "_meta";

fn walk_params(cursor: &mut Cursor<'_>, params: &mut Params) -> Option<()> {
    let mut seen = 0;
    cursor.enter_object().ok()?;
    while let Some(key) = cursor.key().ok()? {
        if key.raw == META_NAME.as_bytes() {
            if cursor.ahead() != Some(JsonKind::Object) || params.meta.is_some() {
                return None;
            }
            walk_meta(cursor, params.meta.insert(Meta::default()))?;
        } else {
            let place = params_place(params, key.raw);
            take(cursor, &key, &mut seen, place, || is_like(&key, PARAMS) || is_like(&key, &[META_NAME]))?;
        }
    }
    Some(())
}

fn walk_meta(cursor: &mut Cursor<'_>, meta: &mut Meta) -> Option<()> {
    let (start, mut seen) = (cursor.place(), 0);
    cursor.enter_object().ok()?;
    while let Some(key) = cursor.key().ok()? {
        let place = meta_place(meta, key.raw);
        take(cursor, &key, &mut seen, place, || is_like(&key, META))?;
    }
    meta.span = start..cursor.place();
    Some(())
}

/// Passes a value, and puts its span into its place; one without a place is passed if its name is like none.
#[inline(always)]
fn take(
    cursor: &mut Cursor<'_>,
    key: &Key<'_>,
    seen: &mut u32,
    place: Place<'_>,
    is_like: impl Fn() -> bool,
) -> Option<()> {
    let value = cursor.skip().ok()?;
    match place {
        Some((bit, want, field)) if want.takes(value.kind) => put(seen, bit, field, value.span),
        Some(_) => None,
        None => (!key.escaped && key.raw.is_ascii() && !is_like()).then_some(()),
    }
}

/// Fills a field, once.
#[inline(always)]
fn put(seen: &mut u32, bit: u32, field: &mut Option<Range<usize>>, span: Range<usize>) -> Option<()> {
    if *seen & bit != 0 {
        return None;
    }
    *seen |= bit;
    *field = Some(span);
    Some(())
}

/// Whether a name in ASCII is one of `names` but for case.
fn is_like(key: &Key<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(key.raw))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use crate::mcp::message::walk::{META, OTHERS, PARAMS, TOP, walk};
    use crate::mcp::message::{self, NOTHING, Params, params, read};

    /// Every name with a value of each kind, once and twice, in one document each: what is taken is what the
    /// readers find that go level by level.
    #[test]
    fn every_member_is_found_as_level_by_level() {
        let values = [r#""x""#, "1", "{}", r#"{"a":[1]}"#, "null", "true", "[]"];
        let mut taken = 0;
        for (names, before, after) in [
            (TOP, "{", r#""jsonrpc":"2.0","method":"ping"}"#),
            (&OTHERS, "{", r#""method":"ping"}"#),
            (&["result", "error", "Result", "Id", "x"], "{", r#""jsonrpc":"2.0","method":"ping"}"#),
            (PARAMS, r#"{"jsonrpc":"2.0","method":"ping","params":{"#, "\"z\":1}}"),
            (
                &["_meta", "_Meta", "Name", "other"],
                r#"{"jsonrpc":"2.0","method":"ping","params":{"#,
                "\"z\":1}}",
            ),
            (META, r#"{"jsonrpc":"2.0","method":"ping","params":{"_meta":{"#, "\"z\":1}}}"),
        ] {
            for (name, value) in names.iter().flat_map(|name| values.map(|value| (name, value))) {
                let once = format!("{before}\"{name}\":{value},{after}");
                taken += usize::from(agree(once.as_bytes()));
                let twice = format!("{before}\"{name}\":{value},\"{name}\":{value},{after}");
                assert!(!agree(twice.as_bytes()) || ["other", "x"].contains(name), "{twice}");
                agree(once.to_uppercase().as_bytes());
            }
        }
        // Of each member one value, or two of an object and a token; all of the unknown ones.
        assert_eq!(taken, 60);
    }

    /// The names of both ways are the same.
    #[test]
    fn the_names_are_those_of_the_readers() {
        let sorted = |names: &[&'static str], more: &[&'static str]| {
            let mut names: Vec<_> = names.iter().chain(more).copied().collect();
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(PARAMS, &["_meta"]), sorted(&message::PARAMS, &[]));
        assert_eq!(sorted(META, &[]), sorted(&message::META, &[]));
        assert_eq!(sorted(TOP, &OTHERS), sorted(&message::TOP, &[]));
    }

    /// Whether the quick way takes a document.
    fn agree(doc: &[u8]) -> bool {
        let (mut message, mut found) = (NOTHING, Params::default());
        if walk(doc, &mut message, &mut found).is_none() {
            return false;
        }
        assert_eq!(params(doc, &message), Ok(found));
        assert_eq!(read(doc), Ok(message));
        true
    }

    proptest! {
        #[test]
        fn a_changed_call_is_read_as_level_by_level(
            changes in prop::collection::vec((any::<Index>(), 0..3, any::<Index>()), 0..4),
        ) {
            let mut doc = CALL.to_vec();
            prop_assert!(agree(&doc));
            for (place, what, byte) in changes {
                let place = place.index(doc.len());
                let byte = *byte.get(b"{}[]\":,\\ \n01aeZ_\xc3\xa9\x7f\x01".as_slice());
                match what {
                    0 => drop(doc.remove(place)),
                    1 => doc.insert(place, byte),
                    _ => doc[place] = byte,
                }
            }
            agree(&doc);
        }
    }

    const CALL: &[u8] = br#"{"method":"tools/call","params":{"name":"a","x":[1],"arguments":{"b":"c"},
        "_meta":{"claudecode/toolUseId":"t","o":{"p":[]},"progressToken":1}},
        "jsonrpc":"2.0","id":"i","y":{}}"#;
}
