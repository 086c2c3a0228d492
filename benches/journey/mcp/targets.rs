//! The targets of the MCP side.

use crate::mcp::messages::{FEW, MANY};
use crate::mcp::state::{STORM_CALLERS, STREAMS, State};
use crate::mcp::{CONNECTIONS, lists};
use crate::plan::{Case, Cell, Kind, Measured, Turn};
use crate::proxies::Variant;
use crate::report::{best, median};
use crate::verdict::{CALL_SHARE_MAX, Verdict, cpu, find, ratio};

/// Microseconds that the gateway adds to a call, where a caller is alone.
const ADDED_US_MAX: f64 = 60.0;

/// Microseconds to the first byte of a list that is cached.
const FIRST_BYTE_US_MAX: f64 = 50.0;

/// The most that a call may cost with many tools, over one with few.
const FLAT_SHARE_MAX: f64 = 1.1;

/// KiB of resident memory of a stream on which nothing happens.
const STREAM_KIB_MAX: f64 = 6.0;

/// Judges the cases.
pub(crate) fn of_cells(measured: &Measured) -> Vec<Verdict> {
    let call = |tools, connections| Case { kind: Kind::Call { tools }, connections };
    let mut verdicts = Vec::new();
    for connections in [1, CONNECTIONS] {
        let case = call(FEW, connections);
        let Some(direct) = find(measured, case, Variant::Direct) else { continue };
        for variant in Variant::MCP.into_iter().filter(|variant| *variant != Variant::Direct) {
            let Some(cell) = find(measured, case, variant) else { continue };
            verdicts.extend(added(cell, direct));
            let relay = find(measured, case, Variant::Relay).filter(|_| variant != Variant::Relay);
            verdicts.extend(relay.and_then(|relay| added(cell, relay)));
            if let Some(nginx) = find(measured, case, Variant::Nginx).filter(|_| variant != Variant::Nginx) {
                let what = format!("CPU, {}: {} / nginx", case.name(), variant.name());
                let target = variant.is_gateway().then_some(CALL_SHARE_MAX);
                verdicts.extend(ratio(what, (&cell.full, &nginx.full), cpu, target));
            }
        }
    }
    for variant in [Variant::IoUring, Variant::Epoll] {
        for connections in [1, CONNECTIONS] {
            let cells = [MANY, FEW].map(|tools| find(measured, call(tools, connections), variant));
            let [Some(many), Some(few)] = cells else { continue };
            let what = format!("CPU, call 1 of {MANY} / 1 of {FEW}, {connections} conn: {}", variant.name());
            verdicts.extend(ratio(what, (&many.full, &few.full), cpu, Some(FLAT_SHARE_MAX)));
        }
        verdicts.extend(find(measured, lists(), variant).map(|cell| {
            let what = format!("p50 to the first byte of {MANY} tools: {}", variant.name());
            let p50 = |turn: &Turn| turn.p50_us;
            let (value, best) = (median(&cell.full, p50), best(&cell.full, p50));
            Verdict::new(what, value, Some(best), "us", Some(FIRST_BYTE_US_MAX))
        }));
    }
    verdicts
}

/// The latency that a proxy adds to another variant's: as fast as answers come for one caller, at half load
/// for many, which otherwise wait for each other.
fn added(cell: &Cell, base: &Cell) -> Option<Verdict> {
    let (alone, p50) = (cell.case.connections == 1, |turn: &Turn| turn.p50_us);
    let (ours, theirs) = if alone { (&cell.full, &base.full) } else { (&cell.half, &base.half) };
    let value = median(ours, p50) - median(theirs, p50);
    let best = best(ours, p50) - best(theirs, p50);
    let load = if alone { "" } else { " at half load" };
    let (name, over) = (cell.variant.name(), base.variant.name());
    let what = format!("p50{load}, {}: {name} - {over}", cell.case.name());
    let judged = alone && cell.variant.is_gateway() && base.variant == Variant::Direct;
    let target = judged.then_some(ADDED_US_MAX);
    value.is_finite().then(|| Verdict::new(what, value, Some(best), "us", target))
}

/// Judges what a gateway holds and does not ask twice.
pub(crate) fn of_state(variant: Variant, state: &State) -> [Verdict; 3] {
    let name = variant.name();
    [
        Verdict::new(
            format!("resident, each of {STREAMS} idle streams: {name}"),
            state.stream_kib,
            None,
            "KiB",
            Some(STREAM_KIB_MAX),
        ),
        Verdict::new(
            format!("lists asked after a change, {} callers: {name}", state.callers),
            state.lists_asked as f64,
            None,
            "",
            Some(1.0),
        ),
        Verdict::new(
            format!("the first {STORM_CALLERS} of them were answered within: {name}"),
            state.storm_ms,
            None,
            "ms",
            None,
        ),
    ]
}
