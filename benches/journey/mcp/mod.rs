//! The MCP side of the comparison: calls of tools through the gateway, through nginx and a null relay which
//! look at nothing, and without a proxy; lists from the cache; streams that wait for news.

pub(crate) mod messages;
mod server;
mod state;
mod targets;

use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::mcp::messages::{FEW, MANY, OTHER_KEY};
use crate::mcp::server::Counts;
use crate::plan::{Case, Cell, Kind, Measured, Plan};
use crate::proxies::{Proxy, Variant, Yard};
use crate::report::median;
use crate::verdict::Verdict;

/// Connections of the cases with many callers.
const CONNECTIONS: usize = 32;

/// After this, the server has taken everything that was sent.
const SETTLED: Duration = Duration::from_millis(20);

/// The scripted server and what stands in front of it.
pub(crate) struct Scene {
    yard: Yard,
    counts: Arc<Counts>,
    /// Lists that the server was asked for while callers were given cached ones.
    lists_asked: Vec<(Variant, u64)>,
}

impl Scene {
    /// Starts the server on processor `load_cpu`; proxies will be on `cpu`, their files in `dir`.
    pub(crate) fn new(dir: PathBuf, gateway: PathBuf, cpu: usize, load_cpu: usize) -> Result<Self> {
        let (upstream, counts) = server::start(load_cpu)?;
        let question = messages::call(FEW);
        let yard = Yard { dir, upstream, cpu, gateway, config: config(upstream), question };
        Ok(Self { yard, counts, lists_asked: Vec::new() })
    }

    /// Measures everything and judges it.
    pub(crate) fn run(&mut self, plan: &Plan) -> Result<(Measured, Vec<Verdict>)> {
        let mut measured = Measured::default();
        let mut running = Vec::new();
        for variant in plan.variants.iter().copied() {
            if !variant.is_installed() {
                measured.leave_out(format!("{}: not installed", variant.name()), true)?;
                continue;
            }
            match Proxy::start(variant, &self.yard) {
                Ok(proxy) => running.push((variant, proxy)),
                Err(error) => measured.leave_out(format!("{}: {error:#}", variant.name()), false)?,
            }
        }
        self.measure(plan, &running, &mut measured)?;
        let mut verdicts = targets::of_cells(&measured);
        for (variant, asked) in &self.lists_asked {
            let what = format!("lists asked of the server while it lists: {}", variant.name());
            verdicts.push(Verdict::new(what, *asked as f64, None, "", Some(0.0)));
        }
        drop(running);
        for variant in plan.variants.iter().copied().filter(|variant| variant.is_gateway()) {
            match state::measure(variant, &self.yard, &self.counts, plan) {
                Ok(seen) => verdicts.extend(targets::of_state(variant, &seen)),
                Err(error) => {
                    measured.leave_out(format!("streams and lists, {}: {error:#}", variant.name()), false)?;
                }
            }
        }
        Ok((measured, verdicts))
    }

    /// All cases in every round, so that what changes with time changes all of them.
    fn measure(&mut self, plan: &Plan, running: &[(Variant, Proxy)], measured: &mut Measured) -> Result<()> {
        let call = |tools, connections| Case { kind: Kind::Call { tools }, connections };
        let full = [call(FEW, 1), call(MANY, 1), call(FEW, CONNECTIONS), call(MANY, CONNECTIONS), lists()];
        for round in 1..=plan.rounds {
            for case in full {
                writeln!(stderr(), "{}, full load, round {round} of {}", case.name(), plan.rounds)?;
                self.turns(plan, (case, None), running, measured)?;
            }
        }
        let many = call(FEW, CONNECTIONS);
        let cells = measured.cells.iter().filter(|cell| cell.case == many);
        let slowest = cells.map(|cell| median(&cell.full, |turn| turn.per_s)).reduce(f64::min);
        for round in 1..=plan.rounds {
            writeln!(stderr(), "{}, half load, round {round} of {}", many.name(), plan.rounds)?;
            self.turns(plan, (many, slowest.map(|rate| rate / 2.0)), running, measured)?;
        }
        Ok(())
    }

    fn turns(
        &mut self,
        plan: &Plan,
        (case, rate): (Case, Option<f64>),
        running: &[(Variant, Proxy)],
        measured: &mut Measured,
    ) -> Result<()> {
        let question = case.question();
        let is_list = matches!(case.kind, Kind::List { .. });
        for (variant, proxy) in running {
            // What only copies bytes has no lists.
            if is_list && !variant.is_gateway() && *variant != Variant::Direct {
                continue;
            }
            if is_list {
                // What the variant before this one asked last may still be on its way.
                std::thread::park_timeout(SETTLED);
            }
            let before = self.counts.lists(MANY);
            let turn = match plan.turn(case, &question, rate, proxy) {
                Ok(turn) => turn,
                Err(error) => {
                    let what = format!("{}, {}: {error:#}", case.name(), variant.name());
                    measured.leave_out(what, false)?;
                    continue;
                }
            };
            if is_list && variant.is_gateway() {
                let asked = self.counts.lists(MANY) - before;
                match self.lists_asked.iter_mut().find(|(other, _)| other == variant) {
                    Some((_, sum)) => *sum += asked,
                    None => self.lists_asked.push((*variant, asked)),
                }
            }
            let place = measured.cells.iter().position(|cell| cell.case == case && cell.variant == *variant);
            let place = place.unwrap_or_else(|| {
                let (full, half) = (Vec::new(), Vec::new());
                measured.cells.push(Cell { case, variant: *variant, full, half, half_rate: None });
                measured.cells.len() - 1
            });
            if let Some(cell) = measured.cells.get_mut(place) {
                cell.half_rate = rate.or(cell.half_rate);
                if rate.is_some() { cell.half.push(turn) } else { cell.full.push(turn) }
            }
        }
        Ok(())
    }
}

/// The case of a list from the cache.
fn lists() -> Case {
    Case { kind: Kind::List { tools: MANY }, connections: 1 }
}

/// Two servers that are one, two keys, and rules that look at every name.
fn config(upstream: SocketAddr) -> String {
    let [few, many] = [FEW, MANY].map(messages::server_name);
    let tools = "[\"tool_*\", \"only_*\"]";
    let servers = format!("servers: {{ {few}: {tools}, {many}: {tools} }}");
    format!(
        "mcp: {{ tools: native }}\nmcp_servers:\n  \
         {few}: {{ url: \"http://{upstream}/mcp/{few}\", era: modern }}\n  \
         {many}: {{ url: \"http://{upstream}/mcp/{many}\", era: modern }}\n\
         keys:\n  - {{ name: bench, secret: \"${{env:BENCH_KEY}}\", {servers} }}\n  \
         - {{ name: other, secret: {OTHER_KEY}, {servers} }}\n"
    )
}
