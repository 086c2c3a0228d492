//! `tollgate code-worker`: the process of one script. The gateway starts it, confined, and talks to it.

use std::io;

use crate::cli::output::Failure;
use crate::net::confine;
use crate::script::worker;

/// Gives up what a script must not have, then runs the one that comes in.
pub(crate) fn run() -> Result<(), Failure> {
    let unsafe_here = |why: io::Error| Failure::Refused(format!("a script cannot be confined here: {why}"));
    confine::renounce().map_err(unsafe_here)?;
    let served = worker::serve(io::BufReader::new(io::stdin()), io::stdout());
    served.map_err(|why| Failure::Refused(why.to_string()))
}
