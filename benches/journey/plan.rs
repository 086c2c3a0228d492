//! The order of measuring: variants take turns in every round, full load first, then half of the slowest's.

use std::io::{Write, stderr};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::load::{self, Load, Question, Seen};
use crate::mcp::messages;
use crate::procfs::{Ran, Role};
use crate::proxies::{Proxy, Variant, Yard};
use crate::wire::{self, ANSWER_BYTES, Pace};

/// Streams held open for the measurement of memory.
pub(crate) const HELD_STREAMS: usize = 1000;

/// The gap between two events of a held stream.
const HELD_GAP: Duration = Duration::from_secs(1);

/// After this every held stream has seen an event, and buffers that were ever to be given back have been.
const HELD_FOR: Duration = Duration::from_millis(2500);

/// Streams of the cases that measure events.
const STREAMS: usize = 64;

/// The gap between two events of a paced stream: 64 streams make 16,000 events a second.
const GAP: Duration = Duration::from_millis(4);

/// Warming up before each turn: a quarter of the turn, but not more.
const WARM_MAX: Duration = Duration::from_millis(400);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Small,
    Large,
    Stream(Pace),
    /// A call of a tool of an MCP server that has so many.
    Call {
        tools: usize,
    },
    /// The list of so many tools.
    List {
        tools: usize,
    },
}

/// One row group of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
}

/// What a proxy is asked until it answers.
pub(crate) const READY: Case = Case { kind: Kind::Small, connections: 1 };

impl Case {
    pub(crate) fn name(self) -> String {
        let kind = match self.kind {
            Kind::Small => "2 KiB".to_owned(),
            Kind::Large => "60 KiB".to_owned(),
            Kind::Stream(pace) if pace.gap.is_zero() => "SSE unpaced".to_owned(),
            Kind::Stream(pace) if pace.ticks => "SSE ticks".to_owned(),
            Kind::Stream(_) => "SSE even".to_owned(),
            Kind::Call { tools } => format!("call 1 of {tools}"),
            Kind::List { tools } => format!("list {tools}"),
        };
        let connections = self.connections;
        match self.kind {
            Kind::Stream(_) => format!("{kind}, {connections} streams"),
            _ => format!("{kind}, {connections} conn"),
        }
    }

    pub(crate) fn streams(self) -> bool {
        matches!(self.kind, Kind::Stream(_))
    }

    pub(crate) fn question(self) -> Question {
        let whole = Some(ANSWER_BYTES);
        match self.kind {
            Kind::Small => {
                Question { request: wire::small_request(), answer_bytes: whole, ..Question::default() }
            }
            Kind::Large => {
                Question { request: wire::large_request(), answer_bytes: whole, ..Question::default() }
            }
            Kind::Stream(pace) => Question { request: wire::stream_request(pace), ..Question::default() },
            Kind::Call { tools } => messages::call(tools),
            Kind::List { tools } => messages::list(tools),
        }
    }
}

/// One turn of one variant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// CPU per answer or event; none without a proxy.
    pub(crate) cpu_us: Option<f64>,
    /// The same by the role of the threads that used it, in the order of `Role::ALL`.
    pub(crate) roles_us: [f64; Role::ALL.len()],
    pub(crate) per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) resident_kib: u64,
}

/// All turns of one variant in one case.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) case: Case,
    pub(crate) variant: Variant,
    pub(crate) full: Vec<Turn>,
    /// Turns at `half_rate`; none for streams, whose pace is fixed anyway.
    pub(crate) half: Vec<Turn>,
    pub(crate) half_rate: Option<f64>,
}

/// Resident memory of one variant, KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) variant: Variant,
    pub(crate) idle_kib: u64,
    /// With `HELD_STREAMS` open streams.
    pub(crate) held_kib: u64,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) cells: Vec<Cell>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// What could not be measured.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct LeftOut {
    /// Which variant, in which case, and why.
    pub(crate) what: String,
    /// Whether it is merely not installed; anything else is a fault.
    pub(crate) absent: bool,
}

/// What to measure and for how long.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) turn: Duration,
    pub(crate) quick: bool,
    /// A part of the names of the cases that are wanted.
    pub(crate) case: String,
    pub(crate) unpaced: bool,
    pub(crate) origin: Instant,
    pub(crate) variants: Vec<Variant>,
}

impl Plan {
    /// Measures memory of fresh processes, then the cases with fresh processes again.
    pub(crate) fn run(&self, yard: &Yard) -> Result<Measured> {
        let mut measured = Measured::default();
        let mut running = Vec::new();
        for variant in self.variants.iter().copied() {
            if !variant.is_installed() {
                let what = format!("{}: not installed; apt-get install nginx haproxy", variant.name());
                measured.leave_out(what, true)?;
                continue;
            }
            let memory =
                if variant == Variant::Direct { Ok(None) } else { self.memory(variant, yard).map(Some) };
            let started = memory.and_then(|memory| Ok((memory, Proxy::start(variant, yard)?)));
            match started {
                Ok((memory, proxy)) => {
                    measured.memory.extend(memory);
                    running.push((variant, proxy));
                }
                Err(error) => measured.leave_out(format!("{}: {error:#}", variant.name()), false)?,
            }
        }
        for case in self.cases() {
            self.measure(case, &running, &mut measured)?;
        }
        Ok(measured)
    }

    fn cases(&self) -> Vec<Case> {
        let counts: &[usize] = if self.quick { &[32] } else { &[1, 32, 256] };
        let mut cases = Vec::new();
        for kind in [Kind::Small, Kind::Large] {
            cases.extend(counts.iter().map(|connections| Case { kind, connections: *connections }));
        }
        let even = Pace { gap: if self.unpaced { Duration::ZERO } else { GAP }, ticks: false };
        cases.push(Case { kind: Kind::Stream(even), connections: STREAMS });
        if !self.unpaced {
            cases.push(Case { kind: Kind::Stream(Pace { gap: GAP, ticks: true }), connections: STREAMS });
        }
        cases.retain(|case| case.name().contains(&self.case));
        cases
    }

    fn measure(&self, case: Case, running: &[(Variant, Proxy)], measured: &mut Measured) -> Result<()> {
        let question = case.question();
        let mut cells: Vec<Cell> = running
            .iter()
            .map(|(variant, _)| Cell { case, variant: *variant, full: vec![], half: vec![], half_rate: None })
            .collect();
        self.rounds(case, &question, None, (running, &mut cells), measured)?;
        let slowest =
            cells.iter().map(|cell| crate::report::median(&cell.full, |turn| turn.per_s)).reduce(f64::min);
        if let Some(slowest) = slowest.filter(|rate| !case.streams() && *rate > 0.0) {
            self.rounds(case, &question, Some(slowest / 2.0), (running, &mut cells), measured)?;
        }
        measured.cells.append(&mut cells);
        Ok(())
    }

    /// Lets every variant have its turn, `rounds` times; one that breaks is out of the case.
    fn rounds(
        &self,
        case: Case,
        question: &Question,
        rate: Option<f64>,
        (running, cells): (&[(Variant, Proxy)], &mut Vec<Cell>),
        measured: &mut Measured,
    ) -> Result<()> {
        for round in 1..=self.rounds {
            let load = if rate.is_some() { "half" } else { "full" };
            writeln!(stderr(), "{}, {load} load, round {round} of {}", case.name(), self.rounds)?;
            for (variant, proxy) in running {
                let Some(place) = cells.iter().position(|cell| cell.variant == *variant) else { continue };
                match (self.turn(case, question, rate, proxy), cells.get_mut(place)) {
                    (Ok(turn), Some(cell)) if rate.is_some() => {
                        cell.half_rate = rate;
                        cell.half.push(turn);
                    }
                    (Ok(turn), Some(cell)) => cell.full.push(turn),
                    (Err(error), _) => {
                        cells.remove(place);
                        measured
                            .leave_out(format!("{}, {}: {error:#}", case.name(), variant.name()), false)?;
                    }
                    (Ok(_), None) => {}
                }
            }
        }
        Ok(())
    }

    /// One turn of one proxy.
    pub(crate) fn turn(
        &self,
        case: Case,
        question: &Question,
        rate: Option<f64>,
        proxy: &Proxy,
    ) -> Result<Turn> {
        let streams = case.streams();
        let load = Load {
            target: if streams { proxy.streams } else { proxy.plain },
            question,
            connections: case.connections,
            rate,
            streams,
            warm: (self.turn / 4).min(WARM_MAX),
            measured: self.turn,
            origin: self.origin,
        };
        let mut ran_ns = Vec::with_capacity(2);
        let mut resident_kib = 0;
        let seen = load::drive(&load, &mut || {
            ran_ns.push(proxy.run_time_ns()?);
            resident_kib = proxy.resident_kib()?;
            Ok(())
        })?;
        ensure!(seen.done > 0, "no answer within {:?}", self.turn);
        let mut busy_ns = Ran::default();
        if let (Some(last), Some(first)) = (ran_ns.last(), ran_ns.first()) {
            for (busy, (last, first)) in busy_ns.iter_mut().zip(last.iter().zip(first)) {
                *busy = last.saturating_sub(*first);
            }
        }
        Ok(summarise(seen, &busy_ns, resident_kib))
    }

    fn memory(&self, variant: Variant, yard: &Yard) -> Result<Memory> {
        writeln!(stderr(), "memory of {}", variant.name())?;
        let proxy = Proxy::start(variant, yard)?;
        std::thread::park_timeout(WARM_MAX);
        let idle_kib = proxy.resident_kib()?;
        let held =
            Case { kind: Kind::Stream(Pace { gap: HELD_GAP, ticks: false }), connections: HELD_STREAMS };
        let load = Load {
            target: proxy.streams,
            question: &held.question(),
            connections: HELD_STREAMS,
            rate: None,
            streams: true,
            warm: HELD_FOR,
            measured: Duration::ZERO,
            origin: self.origin,
        };
        let mut held_kib = 0;
        let seen = load::drive(&load, &mut || {
            held_kib = proxy.resident_kib()?;
            Ok(())
        })?;
        ensure!(seen.served == HELD_STREAMS, "only {} of {HELD_STREAMS} streams had an event", seen.served);
        Ok(Memory { variant, idle_kib, held_kib })
    }
}

impl Measured {
    pub(crate) fn leave_out(&mut self, what: String, absent: bool) -> Result<()> {
        writeln!(stderr(), "\n!!! LEFT OUT: {what}\n")?;
        self.left_out.push(LeftOut { what, absent });
        Ok(())
    }
}

fn summarise(seen: Seen, busy_ns: &Ran, resident_kib: u64) -> Turn {
    let mut latencies = seen.latencies_ns;
    latencies.sort_unstable();
    let at = |percent: usize| {
        let place = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(0.0, |ns| *ns as f64 / 1e3)
    };
    let (sum_ns, per_one) = (busy_ns.iter().sum::<u64>(), |ns: u64| ns as f64 / 1e3 / seen.done as f64);
    Turn {
        cpu_us: (sum_ns > 0).then(|| per_one(sum_ns)),
        roles_us: busy_ns.map(per_one),
        per_s: seen.done as f64 / seen.elapsed.as_secs_f64(),
        p50_us: at(50),
        p99_us: at(99),
        resident_kib,
    }
}
