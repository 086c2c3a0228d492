//! Where to: from the model that a caller names to the targets that may serve it, and from what became of a
//! call to who is asked next.
//!
//! Facts in, a plan out. Time comes as numbers, milliseconds since 1970; no clock is read, nothing waits.
//!
//! A call goes this way: [`model::Table`] gives the targets of its model, unless a [`rule::Rule`] names
//! others; [`fit`] leaves out what cannot take it; [`lanes`] makes one lane of each target and key of its
//! provider; [`choose::Health::pick`] takes one; [`beginning`] and [`failure`] read what came of it;
//! [`attempts`] says whether another one may be asked, and which failure is told in the end.
//!
//! # Whose state it is
//!
//! Each core has a [`choose::Health`] of its own: plain numbers, so that a call neither takes a lock nor
//! writes to memory that another core reads. What all cores should know is rare (a limit was met, a breaker
//! has opened or closed, a session has moved): it is kept as [`choose::News`] and sent to the others by
//! message. So a limit costs one refused call and not one a core, while a probe is one a core at most.
//! Words of shared atomics would make that one of the process; the price would be two contended writes a
//! call and a breaker that has to be right under every order of loads and stores, for a probe that the next
//! target answers anyway when it fails.
//!
//! A session needs no state to find its target: the cores, and other replicas, agree by a hash of names. Only
//! what has moved away from there is remembered.

pub mod attempts;
pub mod beginning;
pub mod breaker;
pub mod choose;
pub mod failure;
pub mod fit;
pub mod headroom;
pub mod lanes;
pub mod model;
pub mod rule;
pub mod said;
pub mod tier;
pub mod version;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
