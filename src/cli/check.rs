//! `tollgate check`: the config as it will hold, or every fault in it.

use std::path::Path;

use crate::cli::output::{Failure, Output};
use crate::config::load;

/// Reads the config and prints it resolved.
pub(crate) fn run(config: Option<&Path>, json: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    let loaded = load::read(config)?;
    for warning in &loaded.warnings {
        output.note(&format!("warning: {warning}"))?;
    }
    if json { output.json(&loaded.shown) } else { output.text(&loaded.shown.to_string()) }
}
