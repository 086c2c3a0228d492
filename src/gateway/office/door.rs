//! Who comes in at `/admin`, and with what: the row of the table that is wanted, the right to it, the pace,
//! and that no web page of others asks.

use crate::admin::api::guard::{Asking, Intrusion, admit};
use crate::admin::api::pace::Step;
use crate::admin::api::routes::{Found, Route, Sure, find};
use crate::admin::api::shape;
use crate::admin::api::tag::{Condition, condition};
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::admin_view;
use crate::gateway::caller::Caller;
use crate::gateway::record::Record;
use crate::gateway::request_body;
use crate::gateway::worker::Worker;
use crate::http::head::{Framing, Method};
use crate::identity::principal::Principal;
use crate::limits;
use crate::mcp::origin::Doors;

/// A request that may be served.
#[derive(Debug)]
pub(in crate::gateway) struct Wish {
    /// What is wanted.
    pub(in crate::gateway) route: &'static Route,
    /// Of which thing, where the address names one.
    pub(in crate::gateway) name: String,
    /// The state that a change is made for.
    condition: Option<Condition>,
}

impl Wish {
    /// The state that a change is made for.
    ///
    /// # Errors
    /// 428 where none is named.
    pub(in crate::gateway) fn condition(&self) -> Result<&Condition, CallError> {
        self.condition.as_ref().ok_or_else(|| {
            let text = match self.route.sure {
                Sure::OfList => {
                    "say which state this is made for: `If-Match` with the etag of GET /admin/keys, or \
                     `If-None-Match: *` for a name that nothing has yet"
                }
                Sure::OfOne | Sure::Nothing => {
                    "say which state this is made for: `If-Match` with the etag that GET /admin/keys gives \
                     for the key"
                }
            };
            CallError::new(Code::NoState).context(text)
        })
    }
}

/// Lets a request in, or not. `what` is the path behind `/admin/`.
///
/// # Errors
/// 404 and 405 for what there is not, 403 without the right and for pages of others, 415, 428 and 429.
pub(in crate::gateway) fn enter(
    worker: &Worker,
    caller: &Caller,
    snapshot: &Snapshot,
    principal: &Principal,
    what: &str,
) -> Result<Wish, CallError> {
    let input = caller.stream.input();
    let header = |name| caller.head.headers.first(input, name);
    let all = |name| caller.head.headers.all(input, name);
    let method = caller.head.method;
    let posts = !matches!(method, Method::Get | Method::Head);
    let doors = Doors { hosts: &snapshot.mcp.allowed_hosts, origins: &[], loopback: worker.loopback };
    let asking = Asking {
        host: header("host"),
        origin: header("origin"),
        site: header("sec-fetch-site"),
        content_type: header("content-type"),
    };
    let refused = |why: Intrusion| {
        let code = if why == Intrusion::Form { Code::UnsupportedMedia } else { Code::Forbidden };
        CallError::new(code).context(why.to_string())
    };
    // Whether it is a page that asks does not depend on what there is.
    admit(&asking, false, doors).map_err(refused)?;
    let path = format!("/admin/{what}");
    let (route, name) = match find(method, &path) {
        Found::Route(route, name) => (route, name.unwrap_or_default().to_owned()),
        Found::Methods(methods) => {
            let text = format!("{path} understands {methods}");
            let headers = vec![("allow", methods)];
            return Err(CallError::new(Code::MethodNotAllowed).context(text).headers(headers));
        }
        Found::Nothing => {
            let text = "there is nothing at this address; GET /admin/openapi.json tells all there is";
            return Err(CallError::new(Code::NotFound).context(text));
        }
    };
    admin_view::may(principal, route.need)?;
    let step = if route.changes() { Step::Change } else { Step::Look };
    worker.registrar.pace(&principal.key_id, step)?;
    admit(&asking, posts, doors).map_err(refused)?;
    let condition = condition(all("if-match"), all("if-none-match"));
    let wish = Wish { route, name, condition };
    if route.changes() {
        wish.condition()?;
    }
    Ok(wish)
}

/// Reads the body of a request that has one, by its row.
///
/// # Errors
/// 400 for what the row does not know, 413 for too much, and those of `request_body::take`.
pub(in crate::gateway) async fn body(
    worker: &Worker,
    caller: &mut Caller,
    snapshot: &Snapshot,
    wish: &Wish,
    record: &mut Record,
) -> Result<serde_json::Map<String, serde_json::Value>, CallError> {
    let members = wish.route.body.unwrap_or_default();
    let none = matches!(caller.head.framing, Framing::None | Framing::Length(0));
    let bad = |text: String| CallError::new(Code::BadRequest).context(text);
    if none {
        return shape::read(b"", members).map_err(bad);
    }
    let most = limits::ADMIN_BODY_BYTES_MAX;
    let taken = request_body::take_within(worker, caller, &snapshot.timeouts, most).await;
    let whole = taken.map_err(|error| match error.code() {
        Code::BodyTooLarge => error.context(format!("a body for /admin has at most {most} bytes")),
        _ => error,
    })?;
    record.request_bytes = u64::try_from(whole.body().len()).unwrap_or(u64::MAX);
    shape::read(whole.body(), members).map_err(bad)
}
