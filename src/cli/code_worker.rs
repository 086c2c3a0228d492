//! `tollgate code-worker`: the process of one script. The gateway starts it, confined, and talks to it.

use std::io;

use crate::cli::output::Failure;
use crate::limits;
use crate::net::confine::{self, Bounds};
use crate::script::worker;

/// Gives up what a script must not have, then runs the one that comes in. `parent` is the gateway's process.
pub(crate) fn run(parent: i32) -> Result<(), Failure> {
    let bounds = Bounds {
        memory_bytes: Some(limits::CODE_PROCESS_BYTES_MAX),
        processes: Some(0),
        open_files: Some(0),
        cpu_s: Some(limits::CODE_CPU_S),
        file_bytes: Some(0),
    };
    let unsafe_here = |why: io::Error| Failure::Refused(format!("a script cannot be confined here: {why}"));
    confine::renounce(&bounds, parent).map_err(unsafe_here)?;
    let served = worker::serve(io::BufReader::new(io::stdin()), io::stdout());
    served.map_err(|why| Failure::Refused(why.to_string()))
}
