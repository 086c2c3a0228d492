//! Fuzz bodies: what must hold for any bytes. `fuzz/` feeds them, and the tests replay its corpus.

use crate::ledger::encode;
use crate::limits;

/// Bytes that are taken for a record are the same record after they have been written again, and no longer
/// than any that is written.
pub fn record(data: &[u8]) {
    let Ok(record) = encode::decode(data) else { return };
    let mut out = Vec::new();
    encode::encode(&record, &mut out);
    assert!(out.len() <= limits::RECORD_BYTES_MAX);
    assert!(out.len() <= data.len(), "what is written is the shortest form");
    assert_eq!(encode::decode(&out).as_ref(), Ok(&record));
}
