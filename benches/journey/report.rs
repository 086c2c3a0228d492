//! The numbers as people and programs read them.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};

use crate::plan::{Cell, HELD_STREAMS, Measured, Plan, Turn};
use crate::procfs::Role;
use crate::proxies::version;
use crate::verdict::Verdict;

/// Takes the median of one number over turns; not a number without turns.
pub(crate) fn median(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 }
}

/// Takes the smallest.
pub(crate) fn best(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    turns.iter().map(of).reduce(f64::min).unwrap_or(f64::NAN)
}

/// Renders the tables and the targets.
pub(crate) fn text(plan: &Plan, measured: &Measured, verdicts: &[Verdict]) -> Result<String> {
    let mut out = head(plan)?;
    table(&mut out, measured)?;
    writeln!(out, "\n{:<19}{:>10}{:>15}{:>17}", "resident MiB", "idle", "1,000 streams", "most under load")?;
    for memory in &measured.memory {
        let mine = measured.cells.iter().filter(|cell| cell.variant == memory.variant);
        let most =
            mine.flat_map(|cell| cell.full.iter().chain(&cell.half)).map(|turn| turn.resident_kib).max();
        let (name, mib) = (memory.variant.name(), |kib: u64| kib as f64 / 1024.0);
        let most = mib(most.unwrap_or_default());
        writeln!(out, "{name:<19}{:>10.1}{:>15.1}{most:>17.1}", mib(memory.idle_kib), mib(memory.held_kib))?;
    }
    judgement(&mut out, measured, verdicts)?;
    Ok(out)
}

/// Renders the table and the targets of the MCP side.
pub(crate) fn mcp_text(plan: &Plan, measured: &Measured, verdicts: &[Verdict]) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "journey, MCP: {} rounds of {:.2} s per variant and case; proxies on one processor, load and server \
         on the other; nginx {}\ncall: 591 bytes of Claude Code, 1.2 KB back; list: latency to the \
         first byte\nleft: as fast as answers come; right: half of the slowest's rate; latency from sending \
         (at a rate: from when it was due)",
        plan.rounds,
        plan.turn.as_secs_f64(),
        version("nginx").unwrap_or_else(|| "not installed".to_owned())
    )?;
    table(&mut out, measured)?;
    judgement(&mut out, measured, verdicts)?;
    Ok(out)
}

fn table(out: &mut String, measured: &Measured) -> Result<()> {
    let (cpu, turns) = ("CPU us", "turns");
    writeln!(
        out,
        "\n{:<24}{:<19}{cpu:>8}{:>9}{:>10}{:>9}{:>9}{:>10}{:>9}{:>9}{:>9}{turns:>7}",
        "case", "variant", "[best]", "per s", "p50 us", "p99 us", "half/s", "CPU us", "p50 us", "p99 us"
    )?;
    let mut last = None;
    for cell in &measured.cells {
        if last.replace(cell.case).is_some_and(|last| last != cell.case) {
            writeln!(out)?;
        }
        row(out, cell)?;
    }
    roles(out, measured)
}

/// Whose CPU it was: of the gateway, whose threads have names.
fn roles(out: &mut String, measured: &Measured) -> Result<()> {
    write!(out, "\n{:<24}{:<19}", "CPU us at full load by", "threads")?;
    for role in Role::ALL {
        write!(out, "{:>9}", role.name())?;
    }
    writeln!(out, "{:>15}", "data, half load")?;
    for cell in measured.cells.iter().filter(|cell| cell.variant.is_gateway()) {
        write!(out, "{:<24}{:<19}", cell.case.name(), cell.variant.name())?;
        for role in Role::ALL {
            write!(out, "{:>9}", number(median(&cell.full, |turn| of_role(turn, role)), 1))?;
        }
        writeln!(out, "{:>15}", number(median(&cell.half, |turn| of_role(turn, Role::Data)), 1))?;
    }
    Ok(())
}

/// What the threads of a role used for one answer or event.
pub(crate) fn of_role(turn: &Turn, wanted: Role) -> f64 {
    Role::ALL.into_iter().zip(turn.roles_us).filter(|(role, _)| *role == wanted).map(|(_, us)| us).sum()
}

fn judgement(out: &mut String, measured: &Measured, verdicts: &[Verdict]) -> Result<()> {
    writeln!(out, "\nratios of medians [of best rounds], against the target")?;
    for verdict in verdicts {
        judged(out, verdict)?;
    }
    for left_out in &measured.left_out {
        writeln!(out, "LEFT OUT: {}", left_out.what)?;
    }
    Ok(())
}

fn head(plan: &Plan) -> Result<String> {
    let mut out = String::new();
    let installed = |name| version(name).unwrap_or_else(|| "not installed".to_owned());
    writeln!(
        out,
        "journey: {} rounds of {:.2} s per variant and case; proxies on one processor, load and provider \
         on the other; rivals: {}, haproxy {}",
        plan.rounds,
        plan.turn.as_secs_f64(),
        installed("nginx"),
        installed("haproxy")
    )?;
    let pace = if plan.unpaced { "as fast as they are read" } else { "16,000 events/s" };
    writeln!(
        out,
        "left: as fast as answers come; right: half of the slowest's rate; latency from sending (at a rate: \
         from when it was due) to the last byte\nSSE: {pace}, numbers per event, latency from the provider's \
         write to the caller's read; even: each stream at moments of its own, ticks: many each millisecond"
    )?;
    Ok(out)
}

fn row(out: &mut String, cell: &Cell) -> Result<()> {
    let cpu = |turn: &Turn| turn.cpu_us.unwrap_or(f64::NAN);
    let (full, half) = (&cell.full, &cell.half);
    write!(
        out,
        "{:<24}{:<19}{:>8}{:>9}{:>10.0}{:>9.0}{:>9.0}",
        cell.case.name(),
        cell.variant.name(),
        number(median(full, cpu), 1),
        format!("[{}]", number(best(full, cpu), 1)),
        median(full, |turn| turn.per_s),
        median(full, |turn| turn.p50_us),
        median(full, |turn| turn.p99_us),
    )?;
    write!(
        out,
        "{:>10}{:>9}{:>9}{:>9}",
        number(cell.half_rate.unwrap_or(f64::NAN), 0),
        number(median(half, cpu), 1),
        number(median(half, |turn| turn.p50_us), 0),
        number(median(half, |turn| turn.p99_us), 0),
    )?;
    writeln!(out, "{:>7}", full.len())?;
    Ok(())
}

fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "-".to_owned() }
}

fn judged(out: &mut String, verdict: &Verdict) -> Result<()> {
    let Verdict { what, value, best, unit, target, .. } = verdict;
    write!(out, "{what:<66}{value:>7.2}{unit:<4}")?;
    write!(out, "{:<8}", best.map_or_else(String::new, |best| format!("[{best:.2}]")))?;
    match target {
        Some(most) if value <= most => writeln!(out, "<= {most:<5} reached")?,
        Some(most) => writeln!(out, "<= {most:<5} MISSED by {:.1} %", (value / most - 1.0) * 100.0)?,
        None => writeln!(out)?,
    }
    Ok(())
}

/// Renders the same as one JSON document: medians and every turn.
pub(crate) fn json(plan: &Plan, measured: &Measured, verdicts: &[Verdict]) -> Result<String> {
    let turns = |turns: &[Turn]| -> Vec<Value> {
        let one = |turn: &Turn| {
            json!({
                "cpu_us": turn.cpu_us, "per_s": turn.per_s, "p50_us": turn.p50_us, "p99_us": turn.p99_us,
                "resident_kib": turn.resident_kib,
                "data_us": of_role(turn, Role::Data), "writer_us": of_role(turn, Role::Writer),
                "index_us": of_role(turn, Role::Index), "packer_us": of_role(turn, Role::Packer),
                "other_us": of_role(turn, Role::Other),
            })
        };
        turns.iter().map(one).collect()
    };
    let cells: Vec<Value> = measured
        .cells
        .iter()
        .map(|cell| {
            let kind = if cell.case.streams() { "event" } else { "request" };
            json!({
                "case": cell.case.name(), "connections": cell.case.connections, "per": kind,
                "variant": cell.variant.name(), "half_rate": cell.half_rate,
                "cpu_us": cell_cpu(cell), "full": turns(&cell.full), "half": turns(&cell.half),
            })
        })
        .collect();
    let memory: Vec<Value> = measured
        .memory
        .iter()
        .map(|memory| {
            json!({
                "variant": memory.variant.name(), "idle_kib": memory.idle_kib, "held_kib": memory.held_kib,
                "held_streams": HELD_STREAMS,
            })
        })
        .collect();
    let document = json!({
        "rounds": plan.rounds, "turn_s": plan.turn.as_secs_f64(), "unpaced": plan.unpaced,
        "nginx": version("nginx"), "haproxy": version("haproxy"),
        "cells": cells, "memory": memory, "verdicts": verdicts, "left_out": measured.left_out,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn cell_cpu(cell: &Cell) -> Option<f64> {
    Some(median(&cell.full, |turn| turn.cpu_us.unwrap_or(f64::NAN))).filter(|cpu| cpu.is_finite())
}
