//! Chooses one lane of a call's, by what is known of each, and remembers what became of it.
//!
//! Of the lanes that are neither cooling down nor resting, those of the lowest number of priority are looked
//! at. A session goes where its prompt cache is warm; where none is, it goes where its hash leads, which all
//! cores and replicas agree about. Without a session two lanes are drawn by weight, health and headroom, and
//! the one with less under way is taken. A session that had to move stays where it is until its cache is
//! cold: a second move would cost a second cache.

use std::collections::HashMap;

use crate::limits;
use crate::route::breaker::{Breaker, Ticket, Turn, Went, left};
use crate::route::failure::{Limit, Verdict};
use crate::route::headroom::Headroom;
use crate::route::lanes::{Lane, Names, Tried, mixed};

/// What one core knows of all lanes.
#[derive(Debug)]
pub struct Health {
    slots: HashMap<u64, Slot>,
    seats: HashMap<u64, Seat>,
    /// When room was made among the seats last.
    swept_ms: u64,
    dice: Dice,
    news: Vec<News>,
}

/// What is known under one name.
#[derive(Clone, Debug, Default)]
struct Slot {
    breaker: Breaker,
    /// By the place of the limit: until when it cools down; 0 for not at all.
    cooled: [u64; Limit::ALL.len()],
    headroom: Option<Headroom>,
    in_flight: u32,
    used_ms: u64,
}

/// Where the prompt cache of a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    lane: u64,
    /// Until when it is warm.
    until_ms: u64,
}

/// A session, as far as its prompt cache goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is, see [`crate::route::lanes::session`].
    pub hash: u64,
    /// Milliseconds that its cache stays warm.
    pub warm_ms: u64,
}

/// What a call asks.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Its lanes.
    pub lanes: &'a [Lane],
    /// Those that it has been to.
    pub tried: Tried,
    /// Its session, where it has one.
    pub session: Option<Session>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

/// What a call gets.
#[derive(Debug)]
pub enum Picked {
    /// Go there.
    Lane(Pass),
    /// All that are left rest, the first of them for so many milliseconds.
    Resting(u64),
    /// None is left.
    Exhausted,
}

/// Leave to go by a lane; to be given back by [`Health::release`].
#[derive(Debug)]
pub struct Pass {
    /// The place of the lane among those that were asked with.
    pub lane: usize,
    names: Names,
    /// Until its outcome is known.
    ticket: Option<Ticket>,
    session: Option<Session>,
    /// Whether the session is away from where its hash leads.
    moved: bool,
}

/// Something that the other cores should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A limit was met.
    Cooled {
        /// The name.
        name: u64,
        /// Which limit.
        limit: Limit,
        /// Until when, milliseconds since 1970.
        until_ms: u64,
    },
    /// A breaker has changed.
    Turned {
        /// The name of the place.
        place: u64,
        /// How.
        turn: Turn,
    },
    /// A session is warm elsewhere than its hash leads.
    Seated {
        /// Its hash.
        session: u64,
        /// The name of the lane.
        lane: u64,
        /// Until when, milliseconds since 1970.
        until_ms: u64,
    },
}

impl Health {
    /// Knows of nothing; `seed` is what its draws begin with.
    pub fn new(seed: u64) -> Self {
        Self { slots: HashMap::new(), seats: HashMap::new(), swept_ms: 0, dice: Dice(seed), news: Vec::new() }
    }

    /// Chooses a lane.
    pub fn pick(&mut self, ask: &Ask<'_>) -> Picked {
        let &Ask { lanes, tried, session, now_ms } = ask;
        let mut soonest: Option<u64> = None;
        let mut open = Vec::with_capacity(lanes.len());
        for (place, lane) in lanes.iter().enumerate().filter(|(place, _)| !tried.has(*place)) {
            match self.rests_for(lane.names, now_ms) {
                0 => open.push(place),
                rest => soonest = Some(soonest.map_or(rest, |other| other.min(rest))),
            }
        }
        let at = |place: &usize| lanes.get(*place);
        let Some(first) = open.iter().filter_map(at).map(|lane| lane.priority).min() else {
            return soonest.map_or(Picked::Exhausted, Picked::Resting);
        };
        let group: Vec<usize> =
            open.iter().copied().filter(|place| at(place).is_some_and(|it| it.priority == first)).collect();
        let warm = session.and_then(|session| self.warm(session, ask, &open));
        let chosen = match (warm, session) {
            (Some(place), _) => Some(place),
            (None, Some(session)) => self.begin(session, ask, &group),
            (None, None) => self.draw_two(ask, &group),
        };
        match chosen.and_then(|place| Some((place, at(&place)?))) {
            Some((place, lane)) => self.enter(place, lane, ask),
            None => Picked::Exhausted,
        }
    }

    /// Notes that a call was served; from here on only [`Health::release`] is left to do.
    pub fn served(&mut self, pass: &mut Pass, headroom: Option<Headroom>, now_ms: u64) {
        self.told(pass, Went::Well, now_ms);
        if let Some(headroom) = headroom {
            self.slot(pass.names.lane, now_ms).headroom = Some(headroom);
        }
        let Some(Session { hash, warm_ms }) = pass.session else { return };
        let until_ms = now_ms.saturating_add(warm_ms.min(limits::CACHE_WARM_MS_LONG));
        self.seat(hash, Seat { lane: pass.names.lane, until_ms }, now_ms);
        if pass.moved {
            self.tell(News::Seated { session: hash, lane: pass.names.lane, until_ms });
        }
    }

    /// Notes that a call has failed there.
    pub fn failed(&mut self, pass: &mut Pass, verdict: &Verdict, now_ms: u64) {
        let went = if verdict.kind.is_strike() { Went::Badly } else { Went::Unknown };
        self.told(pass, went, now_ms);
        let Some((limit, for_ms)) = verdict.cool else { return };
        let name = if limit == Limit::Credential { pass.names.access } else { pass.names.lane };
        let until_ms = now_ms.saturating_add(for_ms.min(limits::COOLDOWN_MS_MAX));
        self.cool(name, limit, until_ms, now_ms);
        self.tell(News::Cooled { name, limit, until_ms });
    }

    /// Takes a pass back. One of which nobody has said what became of its call tells nothing.
    pub fn release(&mut self, mut pass: Pass, now_ms: u64) {
        self.told(&mut pass, Went::Unknown, now_ms);
        if let Some(slot) = self.slots.get_mut(&pass.names.lane) {
            slot.in_flight = slot.in_flight.saturating_sub(1);
        }
    }

    /// Takes what the other cores should know.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Takes over what another core has told.
    pub fn hear(&mut self, news: &News, now_ms: u64) {
        match *news {
            News::Cooled { name, limit, until_ms } => self.cool(name, limit, until_ms, now_ms),
            News::Turned { place, turn } => self.slot(place, now_ms).breaker.hear(turn, now_ms),
            News::Seated { session, lane, until_ms } => self.seat(session, Seat { lane, until_ms }, now_ms),
        }
    }

    /// Milliseconds until a lane can be used again; 0 when that is at once.
    pub fn rests_for(&self, names: Names, now_ms: u64) -> u64 {
        let cooled = [names.lane, names.access].into_iter().filter_map(|name| self.slots.get(&name));
        let cooled = cooled.flat_map(|slot| slot.cooled);
        let cooled = cooled.map(|until_ms| left(until_ms, now_ms, limits::COOLDOWN_MS_MAX)).max();
        let broken = self.slots.get(&names.place).map_or(0, |slot| slot.breaker.rests_for(now_ms));
        cooled.unwrap_or(0).max(broken)
    }

    /// Calls that are under way on a lane.
    pub fn in_flight(&self, names: Names) -> u32 {
        self.slots.get(&names.lane).map_or(0, |slot| slot.in_flight)
    }

    /// Where the cache of a session is warm, if one can go there. It may be of another priority: a session
    /// does not go back before its cache is cold.
    fn warm(&self, session: Session, ask: &Ask<'_>, open: &[usize]) -> Option<usize> {
        let seat = self.seats.get(&session.hash)?;
        if left(seat.until_ms, ask.now_ms, limits::CACHE_WARM_MS_LONG) == 0 {
            return None;
        }
        let is_there = |place: &usize| ask.lanes.get(*place).is_some_and(|it| it.names.lane == seat.lane);
        open.iter().copied().find(is_there)
    }

    /// Where a session without a warm cache begins: where its hash leads, unless that is short of headroom
    /// or ails while another lane does neither.
    fn begin(&mut self, session: Session, ask: &Ask<'_>, group: &[usize]) -> Option<usize> {
        let home = home(session.hash, ask.lanes, group)?;
        let at = |place: usize| ask.lanes.get(place).map_or(0.0, |lane| self.ease(lane.names, ask.now_ms));
        let ease = at(home);
        let better = |place: &usize| at(*place) >= 5.0 * limits::HEADROOM_STARVED;
        if ease >= limits::HEADROOM_STARVED || !group.iter().any(better) {
            return Some(home);
        }
        self.draw_two(ask, group)
    }

    /// Draws two lanes and takes the one with less under way for its weight.
    fn draw_two(&mut self, ask: &Ask<'_>, group: &[usize]) -> Option<usize> {
        let at = |place: usize| ask.lanes.get(place);
        let mut scores: Vec<(usize, f64)> = Vec::with_capacity(group.len());
        for &place in group {
            let Some(lane) = at(place) else { continue };
            scores.push((place, lane.weight * self.ease(lane.names, ask.now_ms)));
        }
        let one = self.dice.draw(&scores)?;
        scores.retain(|(place, _)| *place != one);
        let Some(other) = self.dice.draw(&scores) else { return Some(one) };
        let load = |place: usize| {
            at(place).map_or(f64::MAX, |lane| f64::from(self.in_flight(lane.names)) / lane.weight)
        };
        Some(if load(other) < load(one) { other } else { one })
    }

    /// How well a lane is off: health times headroom, above 0 and at most 1.
    fn ease(&self, names: Names, now_ms: u64) -> f64 {
        let slot = |name: u64| self.slots.get(&name);
        let health = slot(names.place).map_or(1.0, |slot| 1.0 - slot.breaker.rate(now_ms));
        let headroom = slot(names.lane).and_then(|slot| slot.headroom.as_ref());
        health.clamp(limits::HEADROOM_LEAST, 1.0) * headroom.map_or(1.0, |headroom| headroom.share(now_ms))
    }

    fn enter(&mut self, place: usize, lane: &Lane, ask: &Ask<'_>) -> Picked {
        let now_ms = ask.now_ms;
        let Some(ticket) = self.slot(lane.names.place, now_ms).breaker.enter(now_ms) else {
            return Picked::Exhausted;
        };
        self.slot(lane.names.lane, now_ms).in_flight += 1;
        let moved = ask.session.is_some_and(|session| {
            // Where it would be if all were well.
            let first = ask.lanes.iter().map(|lane| lane.priority).min();
            let all: Vec<usize> = (0..ask.lanes.len())
                .filter(|&place| ask.lanes.get(place).map(|lane| lane.priority) == first)
                .collect();
            home(session.hash, ask.lanes, &all) != Some(place)
        });
        let (names, session) = (lane.names, ask.session);
        Picked::Lane(Pass { lane: place, names, ticket: Some(ticket), session, moved })
    }

    fn told(&mut self, pass: &mut Pass, went: Went, now_ms: u64) {
        let Some(ticket) = pass.ticket.take() else { return };
        let place = pass.names.place;
        if let Some(turn) = self.slot(place, now_ms).breaker.leave(ticket, went, now_ms) {
            self.tell(News::Turned { place, turn });
        }
    }

    fn cool(&mut self, name: u64, limit: Limit, until_ms: u64, now_ms: u64) {
        if let Some(cooled) = self.slot(name, now_ms).cooled.get_mut(limit.place()) {
            // What the provider has said last holds, also where it is less.
            *cooled = until_ms;
        }
    }

    fn tell(&mut self, news: News) {
        if self.news.len() < limits::NEWS_MAX {
            self.news.push(news);
        }
    }

    /// The slot of a name; where there is no room the one goes that was used longest ago, but none by which
    /// a call is under way.
    fn slot(&mut self, name: u64, now_ms: u64) -> &mut Slot {
        if self.slots.len() >= limits::HEALTH_SLOTS_MAX && !self.slots.contains_key(&name) {
            let idle = self.slots.iter().filter(|(_, slot)| slot.in_flight == 0);
            if let Some(oldest) = idle.min_by_key(|(_, slot)| slot.used_ms).map(|(name, _)| *name) {
                self.slots.remove(&oldest);
            }
        }
        let slot = self.slots.entry(name).or_default();
        slot.used_ms = now_ms;
        slot
    }

    /// Remembers a seat. Where there is no room those that are cold go, once a second; then it is forgotten:
    /// the session's hash still leads somewhere.
    fn seat(&mut self, session: u64, seat: Seat, now_ms: u64) {
        if self.seats.len() >= limits::SEATS_MAX && !self.seats.contains_key(&session) {
            if now_ms.abs_diff(self.swept_ms) >= 1_000 {
                self.swept_ms = now_ms;
                self.seats.retain(|_, seat| left(seat.until_ms, now_ms, limits::CACHE_WARM_MS_LONG) > 0);
            }
            if self.seats.len() >= limits::SEATS_MAX {
                return;
            }
        }
        self.seats.insert(session, seat);
    }
}

/// Where the hash of a session leads among some lanes: weighted rendezvous, so that each lane gets its part
/// of the sessions, and only those of a lane that goes away move.
fn home(session: u64, lanes: &[Lane], group: &[usize]) -> Option<usize> {
    let cost = |place: usize| {
        lanes.get(place).map_or(f64::MAX, |lane| {
            let part = unit(mixed(session, lane.names.lane));
            -part.ln() / lane.weight
        })
    };
    group.iter().copied().min_by(|&one, &other| cost(one).total_cmp(&cost(other)))
}

/// A number above 0 and below 1 of the upper half of a hash.
fn unit(hash: u64) -> f64 {
    let upper = u32::try_from(hash >> 32).unwrap_or(u32::MAX);
    (f64::from(upper) + 0.5) / 4_294_967_296.0
}

/// Draws that depend on nothing but where they began (splitmix64).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let one = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let two = (one ^ (one >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        two ^ (two >> 31)
    }

    /// One of them, each as often as its number says.
    fn draw(&mut self, scores: &[(usize, f64)]) -> Option<usize> {
        let sum: f64 = scores.iter().map(|(_, score)| score).sum();
        let mut rest = unit(self.next()) * sum;
        for (place, score) in scores {
            rest -= score;
            if rest <= 0.0 {
                return Some(*place);
            }
        }
        scores.last().map(|(place, _)| *place)
    }
}

#[cfg(test)]
mod tests;
