//! The seeds of the fuzz targets, for the ordinary tests to replay: what was found once stays found.

use std::path::Path;

/// Runs a fuzz body over every file of `fuzz/corpus/<target>`.
///
/// # Panics
/// Where the body does, and when the target has fewer than `seeds_min` seeds.
pub(crate) fn replay(target: &str, seeds_min: usize, body: fn(&[u8])) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus")).join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    assert!(files.len() >= seeds_min, "{target} has lost its seeds");
    for file in files {
        eprintln!("{}", file.display());
        body(&std::fs::read(file).unwrap());
    }
}
