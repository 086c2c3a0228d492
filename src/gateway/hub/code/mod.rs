//! Scripts that call tools: each in a process of its own, its calls those of the tools themselves.
//!
//! | file | what |
//! |---|---|
//! | `gate.rs` | how many run at once, what starts their processes, and the pace of their calls and frames |
//! | `run.rs` | one process, from its start to what it comes to |
//! | `inner.rs` | one call of a script, which goes the way of all calls |

mod gate;
mod inner;
mod run;

use std::rc::Rc;

use tokio::sync::Notify;

use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::doors;
use crate::gateway::hub::watch;
use crate::json::write_string;
use crate::mcp::doors::{self as tools, Door};
use crate::mcp::rpc::RpcError;

pub(super) use gate::Gate;
use inner::Inner;
use run::{Ran, Running, give_way};

/// Runs the script of a call and answers with what it returns.
pub(super) async fn run(
    hub: &Rc<Hub>,
    caller: &Caller,
    mut leg: Leg,
    question: &Question,
    cancelled: &Rc<Notify>,
) {
    let mut about = doors::about(caller, question, Door::Run);
    if about.tool_use_id.is_empty() {
        // What its calls are known by in the ledger.
        about.tool_use_id = format!("code-{:016x}", hub.random());
    }
    let arguments = question.at(question.params.arguments.as_ref()).unwrap_or(b"{}");
    let source = match tools::read_run(arguments) {
        Ok(source) => source,
        Err(wrong) => {
            leg.about(about).await;
            return doors::answer(caller, &leg, &wrong.to_string(), true).await;
        }
    };
    leg.sieve = watch::sieve(hub, caller, question.method);
    leg.about(about.clone()).await;
    let inner = Inner::new(hub, caller, about.tool_use_id.clone());
    let script = async {
        let _turn = hub.scripts.enter(&caller.principal.key_id).await?;
        let mut running = Running::start(inner, source).await?;
        Ok(running.follow().await)
    };
    // A caller with a session may hang up and still get its answer.
    let modern = caller.version.is_modern();
    let ran: Result<Ran, RpcError> = tokio::select! {
        ran = Box::pin(script) => ran,
        () = leg.reply.closed(), if modern => return,
        () = cancelled.notified() => return leg.end().await,
    };
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => return leg.refuse(caller, &error).await,
    };
    about.decision = ran.told();
    leg.about(about).await;
    let result = written(&ran);
    give_way(result.len()).await;
    doors::finish(caller, &leg, &result, ran.ended.is_err()).await;
}

/// What a script has come to, as the result of a tool: what it returned, or why it failed, and what it wrote
/// to its console.
fn written(ran: &Ran) -> Vec<u8> {
    let nothing = "the script returned nothing: end it with `return`";
    let text = match &ran.ended {
        Ok(value) => value.as_deref().unwrap_or(nothing),
        Err(why) => why,
    };
    let mut out = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    write_string(&mut out, text);
    if !ran.log.is_empty() {
        out.extend_from_slice(b"},{\"type\":\"text\",\"text\":");
        write_string(&mut out, &format!("console:\n{}", ran.log));
    }
    out.extend_from_slice(if ran.ended.is_err() { b"}],\"isError\":true}" } else { b"}]}" });
    out
}

#[cfg(test)]
mod tests {
    use super::run::Ran;
    use super::written;

    #[test]
    fn a_result_is_what_was_returned_and_logged() {
        let ran = |ended: Result<Option<&str>, &str>, log: &str| Ran {
            ended: ended.map(|value| value.map(str::to_owned)).map_err(str::to_owned),
            log: log.to_owned(),
            calls: 2,
            failed: 1,
        };
        let text = |ran: Ran| String::from_utf8(written(&ran)).unwrap();
        let done = ran(Ok(Some(r#"{"a":"b"}"#)), "");
        assert_eq!(done.told(), "made 2 calls, 1 of them failed");
        assert_eq!(text(done), r#"{"content":[{"type":"text","text":"{\"a\":\"b\"}"}]}"#);
        let logged = concat!(
            r#"{"content":[{"type":"text","text":"no"},{"type":"text","text":"console:\nx"}],"#,
            r#""isError":true}"#
        );
        assert_eq!(text(ran(Err("no"), "x")), logged);
        assert!(text(ran(Ok(None), "")).contains("end it with `return`"));
    }
}
