//! The strict path: a document read whole, by the book.

use simd_json::{Buffers, ErrorType};

use crate::json::Fault;
use crate::limits;

/// Reads all of `doc` by the grammar of RFC 8259, and overwrites it by doing so.
///
/// It builds a tape of about 28 bytes for each byte of a hostile document, so it takes documents of at most
/// `limits::JSON_STRICT_BYTES_MAX`.
///
/// # Errors
/// What is wrong and about where: the place may be that of the value which the fault is in.
pub fn strict(doc: &mut [u8]) -> Result<(), Fault> {
    if doc.len() > limits::JSON_STRICT_BYTES_MAX {
        return Err(Fault::TooLarge { at: limits::JSON_STRICT_BYTES_MAX });
    }
    let end = doc.len();
    let mut buffers = Buffers::with_max_depth(doc.len(), limits::JSON_DEPTH_MAX);
    match simd_json::to_tape_with_buffers(doc, &mut buffers) {
        Ok(_) => Ok(()),
        Err(error) => {
            let at = error.index().min(end);
            Err(match error.error() {
                ErrorType::InvalidUtf8 => Fault::Utf8 { at },
                ErrorType::DepthLimitExceeded => Fault::Depth { at },
                ErrorType::InvalidEscape
                | ErrorType::InvalidUnicodeEscape
                | ErrorType::InvalidUnicodeCodepoint => Fault::Escape { at },
                _ => Fault::Value { at },
            })
        }
    }
}
