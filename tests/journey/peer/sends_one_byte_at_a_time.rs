//! An upstream whose every byte is a packet of its own: no boundary that a reader could lean on.

use super::{After, Peer};

/// Streams `text` in chunks of `chunk` bytes, each byte of the wire written alone.
pub(crate) fn start(text: &str, chunk: usize) -> Peer {
    let mut wire = Vec::new();
    for piece in text.as_bytes().chunks(chunk) {
        wire.extend_from_slice(format!("{:X};ext=1\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\nTrailer: dropped\r\n\r\n");
    Peer::start(move |_, exchange| {
        exchange.start_events()?;
        for byte in &wire {
            exchange.raw(&[*byte])?;
        }
        Ok(After::KeepOpen)
    })
}
