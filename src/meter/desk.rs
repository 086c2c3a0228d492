//! Where one core reserves and settles: all budgets of a call in one step, or none.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::limits;
use crate::meter::budget::{Budgets, Plan, Standing};
use crate::meter::cells::Cell;
use crate::meter::instances::Crowded;
use crate::meter::refused::{Cause, Refused, Warning};
use crate::meter::scope::{Who, part};
use crate::meter::window::{Span, Window};

/// What a call may cost, before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The most that it can cost, pico-dollars: strict budgets reserve this.
    pub worst_pico: u64,
    /// What it is expected to cost, pico-dollars; more than the worst counts as the worst. It is what the
    /// call is charged when nothing more is ever heard of it.
    pub estimate_pico: u64,
}

/// A reservation, known to the desk that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId {
    desk: u64,
    serial: u64,
}

/// A reservation that lapsed, and what it was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapsed {
    /// Which.
    pub lease: LeaseId,
    /// Pico-dollars: the last that was heard, or else the estimate.
    pub charged_pico: u64,
}

/// The budgets as one core uses them. No operation waits for another core, except when one of them meets
/// an instance or a window for the first time. A desk that is dropped lets all its reservations lapse.
#[derive(Debug)]
pub struct Desk {
    budgets: Arc<Budgets>,
    number: u64,
    next_serial: u64,
    plan: Arc<Plan>,
    plan_number: u64,
    /// For each budget of the plan the counters that this core has met.
    seats: Vec<Seats>,
    leases: HashMap<u64, Lease>,
}

/// The counters of one budget by instance, and for how long each of them is the one.
type Seats = HashMap<Box<str>, (Span, Arc<Cell>)>;

#[derive(Debug)]
struct Lease {
    legs: Vec<Leg>,
    estimate_pico: u64,
    /// What the call has cost so far, once it was said.
    heard_pico: Option<u64>,
    /// The last sign of life, or when it lapsed.
    at_ms: u64,
    lapsed: bool,
}

/// What a reservation holds in one budget.
#[derive(Debug)]
struct Leg {
    standing: Arc<Standing>,
    instance: Box<str>,
    span: Span,
    cell: Arc<Cell>,
    /// Where the cell is to charge it.
    part: u64,
    reserved_pico: u64,
    /// What the cell was charged when it lapsed.
    charged_pico: u64,
}

impl Ask {
    /// A call whose price is known.
    pub const fn exactly(pico: u64) -> Self {
        Self { worst_pico: pico, estimate_pico: pico }
    }
}

impl Leg {
    /// What is to be reserved for a call at its beginning.
    fn first(&self, ask: Ask) -> u64 {
        match self.standing.chunk_pico {
            None => ask.worst_pico,
            Some(chunk) => ask.estimate_pico.max(chunk).min(ask.worst_pico),
        }
    }

    fn fits(&self, wanted: u64) -> bool {
        let held = self.cell.held();
        wanted == 0 || self.standing.series.limit_pico().checked_sub(held).is_some_and(|room| wanted <= room)
    }

    /// Reserves more, at least `least`; says how much.
    fn grow(&mut self, least: u64, most: u64) -> Option<u64> {
        let grown = self.cell.reserve(least, most, self.standing.series.limit_pico())?;
        self.reserved_pico = self.reserved_pico.saturating_add(grown);
        Some(grown)
    }

    fn shrink(&mut self, grown: u64) {
        self.cell.release(grown);
        self.reserved_pico = self.reserved_pico.saturating_sub(grown);
    }

    fn refused(&self, wanted: u64) -> Box<Refused> {
        Box::new(Refused::spent(&self.standing.series, &self.instance, &self.cell, self.span, wanted))
    }
}

impl Lease {
    /// Charges what is known, and reserves no longer.
    fn lapse(&mut self, now_ms: u64) -> u64 {
        let charged = self.heard_pico.unwrap_or(self.estimate_pico);
        for leg in &mut self.legs {
            leg.charged_pico = leg.cell.settle(leg.part, leg.reserved_pico, charged);
            leg.reserved_pico = 0;
        }
        (self.lapsed, self.at_ms) = (true, now_ms);
        charged
    }

    /// Takes up a reservation that had lapsed: what it was charged is reserved again.
    fn wake(&mut self) {
        if self.lapsed {
            for leg in &mut self.legs {
                leg.reserved_pico = leg.cell.reopen(leg.part, leg.charged_pico);
                leg.charged_pico = 0;
            }
            self.lapsed = false;
        }
    }

    fn covered_pico(&self) -> u64 {
        self.legs.iter().map(|leg| leg.reserved_pico).min().unwrap_or(u64::MAX)
    }
}

impl Desk {
    /// A desk for one core.
    pub fn new(budgets: &Arc<Budgets>) -> Self {
        let (plan_number, plan) = budgets.plan();
        Self {
            number: budgets.next_desk(),
            next_serial: 0,
            seats: plan.standing.iter().map(|_| HashMap::new()).collect(),
            plan,
            plan_number,
            leases: HashMap::new(),
            budgets: Arc::clone(budgets),
        }
    }

    /// Reserves for a call in every budget that it belongs to. The reservation holds until it is settled,
    /// and lapses `limits::LEASE_TTL` after the last `renew` or `top_up`.
    ///
    /// # Errors
    /// `Refused` names the budget that it does not fit into, of several the one that begins anew last;
    /// nothing is reserved then. What costs nothing fits into every budget.
    pub fn reserve(&mut self, who: &Who<'_>, ask: Ask, now_ms: u64) -> Result<LeaseId, Box<Refused>> {
        if self.leases.len() >= limits::LEASES_MAX {
            return Err(Box::new(Refused::without_budget(Cause::Crowded)));
        }
        let ask = Ask { estimate_pico: ask.estimate_pico.min(ask.worst_pico), ..ask };
        let mut legs = self.legs(who, now_ms)?;
        // Looking first spares other cores the sight of reservations that are about to be taken back.
        if let Some(refused) = last_of(legs.iter().map(|leg| (leg, leg.first(ask)))) {
            return Err(refused);
        }
        for place in 0..legs.len() {
            let Some(leg) = legs.get_mut(place) else { break };
            let first = leg.first(ask);
            if leg.grow(first, first).is_none() {
                let refused = leg.refused(first);
                for earlier in legs.iter_mut().take(place) {
                    earlier.shrink(earlier.reserved_pico);
                }
                return Err(last_of(legs.iter().map(|leg| (leg, leg.first(ask)))).unwrap_or(refused));
            }
        }
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let lease =
            Lease { legs, estimate_pico: ask.estimate_pico, heard_pico: None, at_ms: now_ms, lapsed: false };
        self.leases.insert(serial, lease);
        Ok(LeaseId { desk: self.number, serial })
    }

    /// Says what a call has cost so far, and reserves more where that is more than was reserved: a chunk, or
    /// the rest of the budget. Says how much is reserved from now on: there is no need to ask again before
    /// the call has cost that. A sign of life, like `renew`.
    ///
    /// # Errors
    /// `Refused` when a budget has no room for what it has cost: the call should end. What was reserved
    /// before still is.
    pub fn top_up(&mut self, lease: LeaseId, needed_pico: u64, now_ms: u64) -> Result<u64, Box<Refused>> {
        let Some(lease) = self.find(lease) else {
            return Err(Box::new(Refused::without_budget(Cause::Gone)));
        };
        lease.wake();
        lease.at_ms = now_ms;
        lease.heard_pico = Some(lease.heard_pico.map_or(needed_pico, |heard| heard.max(needed_pico)));
        let mut grown = Vec::new();
        for place in 0..lease.legs.len() {
            let Some(leg) = lease.legs.get_mut(place) else { break };
            leg.cell.advance(now_ms);
            let least = needed_pico.saturating_sub(leg.reserved_pico);
            let most = if least == 0 { 0 } else { least.max(leg.standing.chunk_pico.unwrap_or(0)) };
            match leg.grow(least, most) {
                Some(more) => grown.push(more),
                None => {
                    let refused = leg.refused(least);
                    for (earlier, more) in lease.legs.iter_mut().zip(grown) {
                        earlier.shrink(more);
                    }
                    return Err(refused);
                }
            }
        }
        Ok(lease.covered_pico())
    }

    /// Reserves so much more for a call in each of its budgets, because it has cost as much beside what it
    /// was taken for. Says what is covered from now on. A sign of life, like `renew`.
    ///
    /// # Errors
    /// `Refused` when a budget has no room for it; what was reserved before still is.
    pub fn widen(&mut self, lease: LeaseId, by_pico: u64, now_ms: u64) -> Result<u64, Box<Refused>> {
        let Some(lease) = self.find(lease) else {
            return Err(Box::new(Refused::without_budget(Cause::Gone)));
        };
        lease.wake();
        lease.at_ms = now_ms;
        for place in 0..lease.legs.len() {
            let Some(leg) = lease.legs.get_mut(place) else { break };
            leg.cell.advance(now_ms);
            if leg.grow(by_pico, by_pico).is_none() {
                let refused = leg.refused(by_pico);
                lease.legs.iter_mut().take(place).for_each(|earlier| earlier.shrink(by_pico));
                return Err(refused);
            }
        }
        lease.estimate_pico = lease.estimate_pico.saturating_add(by_pico);
        lease.heard_pico = lease.heard_pico.map(|heard| heard.saturating_add(by_pico));
        Ok(lease.covered_pico())
    }

    /// What a reservation covers, pico-dollars: the least that is reserved in any of its budgets, and
    /// `u64::MAX` when it has none; 0 for one that is not there.
    pub fn covered_pico(&self, lease: LeaseId) -> u64 {
        match self.leases.get(&lease.serial) {
            Some(found) if lease.desk == self.number => found.covered_pico(),
            _ => 0,
        }
    }

    /// A sign of life, to be given at least every half of `limits::LEASE_TTL`. Says whether there is such a
    /// reservation.
    pub fn renew(&mut self, lease: LeaseId, now_ms: u64) -> bool {
        let Some(lease) = self.find(lease) else { return false };
        lease.wake();
        lease.at_ms = now_ms;
        true
    }

    /// Ends a reservation and charges what the call really cost, in the windows that it was reserved in.
    /// What a lapsed one was charged is put right. Says whether there was such a reservation: for a second
    /// time there is not, and nothing happens.
    pub fn settle(&mut self, lease: LeaseId, actual_pico: u64) -> bool {
        let known = lease.desk == self.number;
        let Some(mut lease) = known.then(|| self.leases.remove(&lease.serial)).flatten() else {
            return false;
        };
        lease.wake();
        for leg in &lease.legs {
            leg.cell.settle(leg.part, leg.reserved_pico, actual_pico);
        }
        true
    }

    /// Lets reservations lapse that gave no sign of life for `limits::LEASE_TTL`, and forgets those that
    /// lapsed `limits::LEASE_LATE` ago; to be called about once a second. When the clock was set back, they
    /// live from now on.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Lapsed> {
        let (ttl, late) = (millis(limits::LEASE_TTL), millis(limits::LEASE_LATE));
        let mut lapsed = Vec::new();
        let desk = self.number;
        self.leases.retain(|&serial, lease| {
            lease.at_ms = lease.at_ms.min(now_ms);
            let silent = now_ms.saturating_sub(lease.at_ms);
            if !lease.lapsed && silent >= ttl {
                let charged_pico = lease.lapse(now_ms);
                lapsed.push(Lapsed { lease: LeaseId { desk, serial }, charged_pico });
                return true;
            }
            !lease.lapsed || silent < late
        });
        lapsed.sort_unstable_by_key(|lapsed| lapsed.lease);
        lapsed
    }

    /// The names of the budgets that a reservation is held against.
    pub fn charged(&self, lease: LeaseId) -> Vec<Arc<str>> {
        let found = self.leases.get(&lease.serial).filter(|_| lease.desk == self.number);
        found.map_or_else(Vec::new, |lease| {
            lease.legs.iter().map(|leg| Arc::clone(&leg.standing.series.name)).collect()
        })
    }

    /// How far the budget is used that is used farthest of those that a call belongs to; `None` when it
    /// belongs to none.
    pub fn warning(&mut self, who: &Who<'_>, now_ms: u64) -> Option<Warning> {
        let mut most: Option<Warning> = None;
        for leg in self.legs(who, now_ms).ok()? {
            let resets_at_ms = match &leg.standing.series.window {
                Window::Rolling { .. } => leg.standing.series.window.next_reset(now_ms),
                Window::Total | Window::Calendar { .. } => leg.span.resets_at_ms(),
            };
            let warning = Warning::new(&leg.standing, &leg.instance, &leg.cell, resets_at_ms);
            if most.as_ref().is_none_or(|most| warning.outranks(most)) {
                most = Some(warning);
            }
        }
        most
    }

    fn find(&mut self, lease: LeaseId) -> Option<&mut Lease> {
        let known = lease.desk == self.number;
        self.leases.get_mut(&lease.serial).filter(|_| known)
    }

    /// The counters of all budgets that a call belongs to, nothing reserved.
    fn legs(&mut self, who: &Who<'_>, now_ms: u64) -> Result<Vec<Leg>, Box<Refused>> {
        if self.plan_number != self.budgets.number() {
            (self.plan_number, self.plan) = self.budgets.plan();
            self.seats = self.plan.standing.iter().map(|_| HashMap::new()).collect();
        }
        let places = self.plan.index.places(who);
        let mut legs = Vec::with_capacity(places.len());
        for place in places {
            let (Some(standing), Some(seats)) = (self.plan.standing.get(place), self.seats.get_mut(place))
            else {
                continue;
            };
            let Some(instance) = part(standing.series.each, who) else { continue };
            let seat = match seats.get(&*instance).filter(|(span, _)| span.contains(now_ms)) {
                Some(seat) => seat.clone(),
                None => {
                    let crowded = |Crowded| Box::new(Refused::without_budget(Cause::Crowded));
                    let seat = standing.series.open(&instance, now_ms).map_err(crowded)?;
                    if seats.len() >= limits::BUDGET_INSTANCES_MAX {
                        seats.clear();
                    }
                    seats.insert((&*instance).into(), seat.clone());
                    seat
                }
            };
            legs.push(Leg {
                standing: Arc::clone(standing),
                instance: (&*instance).into(),
                span: seat.0,
                part: seat.1.advance(now_ms),
                cell: seat.1,
                reserved_pico: 0,
                charged_pico: 0,
            });
        }
        Ok(legs)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for lease in self.leases.values_mut().filter(|lease| !lease.lapsed) {
            lease.lapse(lease.at_ms);
        }
    }
}

/// Of the budgets that their call does not fit into, the one that begins anew last.
fn last_of<'a>(wanted: impl Iterator<Item = (&'a Leg, u64)>) -> Option<Box<Refused>> {
    wanted
        .filter(|(leg, wanted)| !leg.fits(*wanted))
        .map(|(leg, wanted)| leg.refused(wanted))
        .min_by_key(|refused| Reverse(refused.resets_at_ms.unwrap_or(u64::MAX)))
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
