//! Calls to other servers: connections, pools, one exchange at a time.
//!
//! Nothing here decides whether a call may be made: every exchange takes a `policy` permit. Nothing here
//! reads an answer's body either: the exchange ends with the head of the answer, its connection in hand.

pub mod cloud;
pub mod credentials;
pub mod exchange;
pub mod mcp;
pub mod message;
pub mod pool;
pub mod provider;
pub mod sigv4;
pub mod site;
pub mod whole;
