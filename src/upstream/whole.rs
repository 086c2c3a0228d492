//! A small answer as a whole: for lists and documents of our own calls, never for a caller's.

use std::io;

use crate::http::body::Decoder;
use crate::http::head::ResponseHead;
use crate::limits;
use crate::upstream::pool::Connection;

/// Reads the body of the answer whose head stands at the front of the input, at most `bytes_max`.
///
/// # Errors
/// Those of the connection, `InvalidData` for broken framing, `FileTooLarge` beyond the bound.
pub async fn read(connection: &mut Connection, head: &ResponseHead, bytes_max: usize) -> io::Result<Vec<u8>> {
    let stream = &mut connection.stream;
    let mut decoder = Decoder::new(head.framing);
    let mut body = Vec::new();
    stream.consume(head.bytes);
    loop {
        let mut raw = stream.take_input();
        let decoded = decoder
            .decode(raw.filled_mut())
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        body.extend_from_slice(raw.filled().get(decoded.body).unwrap_or_default());
        raw.consume(decoded.consumed);
        stream.put_input(raw);
        if body.len() > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if decoded.done {
            return Ok(body);
        }
        if stream.fill(limits::STREAM_READ_BYTES / 2).await? == 0 {
            return decoder
                .on_eof()
                .map(|()| body)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault));
        }
    }
}
