//! `embedding:` of `mcp:`: the two files of the table by which tools are found by what they mean.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::reader::{At, Reader};
use crate::config::yaml::Node;
use crate::mcp::search::meaning::{Embedding, Fault};

/// What is written: both are needed.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) weights: At<String>,
    pub(crate) tokenizer: At<String>,
}

/// A file that has been read, with the SHA-256 of it.
pub(crate) struct Hashed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: [u8; 32],
}

/// Reads it.
pub(crate) fn read(node: &Node, reader: &mut Reader) -> Option<Written> {
    let fields = reader.fields(node, WHAT, &["weights", "tokenizer"])?;
    let weights = reader.required(&fields, WHAT, "weights");
    let tokenizer = reader.required(&fields, WHAT, "tokenizer");
    let weights = weights.and_then(|node| reader.text(node, "mcp.embedding.weights"));
    let tokenizer = tokenizer.and_then(|node| reader.text(node, "mcp.embedding.tokenizer"));
    Some(Written { weights: weights?, tokenizer: tokenizer? })
}

const WHAT: &str = "mcp.embedding";

/// A table, while it is in use, and the SHA-256 of its files.
type Used = ([[u8; 32]; 2], Weak<Embedding>);

/// Makes the table of both files. Files that are those of a table in use give that one: a reload for another
/// reason neither reads millions of numbers again nor has the tools indexed anew.
pub(crate) fn resolve(
    written: &Written,
    weights: Hashed,
    tokenizer: &Hashed,
    reader: &mut Reader,
) -> Option<Arc<Embedding>> {
    static LAST: Mutex<Option<Used>> = Mutex::new(None);
    let both = [weights.sha256, tokenizer.sha256];
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let known = last.as_ref().filter(|(hashes, _)| *hashes == both);
    if let Some(used) = known.and_then(|(_, table)| table.upgrade()) {
        return Some(used);
    }
    match Embedding::new(weights.bytes, &tokenizer.bytes) {
        Ok(table) => {
            let table = Arc::new(table);
            *last = Some((both, Arc::downgrade(&table)));
            Some(table)
        }
        Err(why) => {
            let (key, path) = match why {
                Fault::Tokenizer(_) => ("tokenizer", &written.tokenizer),
                Fault::Weights(_) | Fault::Apart { .. } | Fault::LeftOut => ("weights", &written.weights),
            };
            reader.fault(path.mark, format!("{WHAT}.{key}: {}: {why}", path.value));
            None
        }
    }
}
