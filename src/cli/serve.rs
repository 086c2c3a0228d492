//! `tollgate serve`: load, say what a person must know, hand over to the gateway.

use std::path::Path;

use crate::cli::claude;
use crate::cli::output::{Failure, Output};
use crate::config::load::{self, Loaded};

/// Serves until the process is asked to stop.
pub(crate) fn run(config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failure> {
    let loaded = load::load(config)?;
    announce(&loaded, output)?;
    Err(Failure::Refused("this build cannot serve yet".to_owned()))
}

/// Prints the warnings, and the first key with the two lines that a developer pastes.
fn announce(loaded: &Loaded, output: &mut Output<'_>) -> Result<(), Failure> {
    for warning in &loaded.warnings {
        output.note(&format!("warning: {warning}"))?;
    }
    if let Some(key) = &loaded.first_key {
        let url = claude::base_url(&loaded.fixed.listen, loaded.snapshot.server_tls.is_some());
        let lines = claude::exports(&url, Some(key.expose()));
        output.text(&format!(
            "A first key was made. It is shown only now; paste these lines and run `claude`:\n{lines}"
        ))?;
    }
    Ok(())
}
