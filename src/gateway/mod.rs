//! Puts the stages together: from an accepted connection to the last byte of an answer.
//!
//! Every other folder knows one thing; this one knows their order. It decides nothing itself.

pub mod accounts;
mod admin_view;
mod books;
mod budget;
mod caller;
mod charge;
mod choice;
mod classify;
mod clerk;
mod cloud_caller;
mod connection;
mod contents;
pub mod control;
mod counting;
mod credentials;
mod deprecated;
mod destination;
mod direct;
mod evidence;
mod failover;
mod foreign;
mod guard;
mod herald;
mod hosted;
mod hub;
mod identify;
mod inbound;
mod issuers;
mod leftovers;
mod log;
mod marks;
mod metadata;
mod native_count;
mod offers;
mod office;
mod outages;
mod pins;
mod published;
mod read_along;
mod record;
mod request_body;
mod serve_admin;
mod serve_demo;
mod serve_llm;
mod serve_mcp;
mod serve_models;
mod serve_platform;
mod showcase;
mod sieve;
mod sign_ins;
pub mod start;
mod strangers;
mod stream_back;
pub mod survey;
mod today;
pub mod trial;
mod trim;
mod worker;

#[cfg(test)]
mod tests;
