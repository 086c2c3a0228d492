//! `tollgate serve`: load, say what a person must know, hand over to the gateway.

use std::net::SocketAddr;
use std::path::Path;

use crate::cli::claude;
use crate::cli::output::{Failure, Output};
use crate::config::load;
use crate::gateway::control::Control;
use crate::gateway::start::{self, StartFault};
use crate::secret::Secret;

/// Serves until the process is asked to stop.
pub(crate) fn run(config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut loaded = load::load(config)?;
    let first_key = loaded.first_key.take();
    let secured = loaded.snapshot.server_tls.is_some();
    let refused = |fault: StartFault| Failure::Refused(fault.to_string());
    let control = Control::new().map_err(refused)?;
    let running = start::start(loaded, config).map_err(refused)?;
    // Printed once the port is known and the lines work as they stand.
    announce(first_key.as_ref(), &running.addresses, secured, output)?;
    running.wait(control).map_err(refused)
}

/// Prints the first key with the two lines that a developer pastes.
fn announce(
    first_key: Option<&Secret>,
    addresses: &[SocketAddr],
    secured: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if let Some(key) = first_key {
        let lines = claude::exports(&claude::base_url(addresses, secured), Some(key.expose()));
        output.text(&format!(
            "A first key was made. It is shown only now; paste these lines and run `claude`:\n{lines}"
        ))?;
    }
    Ok(())
}
