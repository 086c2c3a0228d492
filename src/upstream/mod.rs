//! Calls to other servers: connections, pools, one exchange at a time.
//!
//! Nothing here decides whether a call may be made: every exchange takes a `policy::Permit`.

pub mod provider;
