//! The targets: each a measured number, the most it may be, and whether it was reached.

use crate::plan::{Case, Cell, Kind, Measured, Turn};
use crate::procfs::Role;
use crate::proxies::Variant;
use crate::report::{best, median, of_role};

/// The most CPU, as a share of nginx's in the same run.
const SMALL_SHARE_MAX: f64 = 0.7;
const LARGE_SHARE_MAX: f64 = 0.9;
const EVENT_SHARE_MAX: f64 = 0.9;
pub(crate) const CALL_SHARE_MAX: f64 = 0.8;

/// The most that one engine may cost over the other.
const ENGINES_SHARE_MAX: f64 = 1.15;

/// The most p99 at half load, as a share of nginx's.
const P99_SHARE_MAX: f64 = 1.0;

const IDLE_MIB_MAX: f64 = 15.0;
const HELD_MIB_MAX: f64 = 60.0;

/// One target and what was measured.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) value: f64,
    /// The same from the best rounds instead of the median ones; none for memory.
    pub(crate) best: Option<f64>,
    pub(crate) unit: &'static str,
    /// The most it may be; none where the line is there for comparison only.
    pub(crate) target: Option<f64>,
    pub(crate) reached: Option<bool>,
}

/// Judges everything that was measured; what was not has no line.
pub(crate) fn all(measured: &Measured) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for nginx in measured.cells.iter().filter(|cell| cell.variant == Variant::Nginx) {
        for variant in [Variant::Haproxy, Variant::IoUring, Variant::Epoll] {
            verdicts
                .extend(find(measured, nginx.case, variant).into_iter().flat_map(|cell| rivals(cell, nginx)));
        }
    }
    for uring in measured.cells.iter().filter(|cell| cell.variant == Variant::IoUring) {
        let epoll = find(measured, uring.case, Variant::Epoll);
        verdicts.extend(epoll.into_iter().flat_map(|epoll| engines(epoll, uring)));
    }
    for memory in &measured.memory {
        let ours = matches!(memory.variant, Variant::IoUring | Variant::Epoll);
        for (what, kib, most) in [
            ("resident, idle", memory.idle_kib, IDLE_MIB_MAX),
            ("resident, 1,000 streams", memory.held_kib, HELD_MIB_MAX),
        ] {
            let what = format!("{what}: {}", memory.variant.name());
            verdicts.push(Verdict::new(what, kib as f64 / 1024.0, None, "MiB", ours.then_some(most)));
        }
    }
    verdicts
}

/// Finds what one variant did in one case.
pub(crate) fn find(measured: &Measured, case: Case, variant: Variant) -> Option<&Cell> {
    measured.cells.iter().find(|cell| cell.case == case && cell.variant == variant)
}

/// Compares one variant with nginx; haproxy has no target.
fn rivals(cell: &Cell, nginx: &Cell) -> Vec<Verdict> {
    let most = match cell.case.kind {
        Kind::Small => SMALL_SHARE_MAX,
        Kind::Large => LARGE_SHARE_MAX,
        Kind::Stream(_) => EVENT_SHARE_MAX,
        Kind::Call { .. } | Kind::List { .. } => CALL_SHARE_MAX,
    };
    let ours = cell.variant != Variant::Haproxy;
    let name = |what: &str| format!("{what}, {}: {} / nginx", cell.case.name(), cell.variant.name());
    let mut lines = Vec::new();
    lines.extend(ratio(name("CPU"), (&cell.full, &nginx.full), cpu, ours.then_some(most)));
    if ours {
        // What the core that carries requests has to do; the other threads may run elsewhere.
        let data = |turn: &Turn| of_role(turn, Role::Data);
        lines.extend(ratio(name("CPU of data threads"), (&cell.full, &nginx.full), data, None));
    }
    let p99 = |turn: &Turn| turn.p99_us;
    let (what, pair) = if cell.case.streams() {
        ("p99 at that pace", (cell.full.as_slice(), nginx.full.as_slice()))
    } else {
        ("p99 at half load", (cell.half.as_slice(), nginx.half.as_slice()))
    };
    lines.extend(ratio(name(what), pair, p99, ours.then_some(P99_SHARE_MAX)));
    lines
}

/// Compares the engines, the dearer over the cheaper.
fn engines(epoll: &Cell, uring: &Cell) -> Option<Verdict> {
    let dearer_is_epoll = median(&epoll.full, cpu) >= median(&uring.full, cpu);
    let (dear, cheap) = if dearer_is_epoll { (epoll, uring) } else { (uring, epoll) };
    let what = format!("CPU, {}: {} / {}", epoll.case.name(), dear.variant.name(), cheap.variant.name());
    ratio(what, (&dear.full, &cheap.full), cpu, Some(ENGINES_SHARE_MAX))
}

/// Compares two variants by one number.
pub(crate) fn ratio(
    what: String,
    (ours, theirs): (&[Turn], &[Turn]),
    of: impl Fn(&Turn) -> f64 + Copy,
    target: Option<f64>,
) -> Option<Verdict> {
    let share = median(ours, of) / median(theirs, of);
    let best = best(ours, of) / best(theirs, of);
    share
        .is_finite()
        .then(|| Verdict::new(what, share, Some(best).filter(|best| best.is_finite()), "x", target))
}

/// CPU of a turn; not a number without a proxy.
pub(crate) fn cpu(turn: &Turn) -> f64 {
    turn.cpu_us.unwrap_or(f64::NAN)
}

impl Verdict {
    /// Compares a number with its target.
    pub(crate) fn new(
        what: String,
        value: f64,
        best: Option<f64>,
        unit: &'static str,
        target: Option<f64>,
    ) -> Self {
        let reached = target.map(|most| value <= most);
        Self { what, value, best, unit, target, reached }
    }
}
