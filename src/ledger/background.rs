//! How threads that nobody waits for stand back behind those that carry requests.

/// The priority of such a thread: about a tenth of the time of a core that others want whole, and all that
/// they leave. The lowest there is, 19, would be a seventieth: whoever searches the index waits while a
/// transaction that has begun is kept from its end.
const NICE: i32 = 10;

/// Lets the calling thread, and no other of the process, stand back.
pub(crate) fn stand_back() {
    // Where the system does not let it, it works as before.
    rustix::process::setpriority_process(None, NICE).unwrap_or_default();
}
