//! The fuzz body of the frames: what a worker says may be anything.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use crate::limits;
use crate::script::frames::{Order, Said, cut};

/// Reads any line in both directions; what is a frame is the same after it was written.
pub fn fuzz_frames(data: &[u8]) {
    if let Ok(said) = Said::read(data) {
        let line = said.line();
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        assert!(line.len() <= limits::CODE_FRAME_BYTES_MAX + data.len());
        assert_eq!(Said::read(&line).expect("what was written can be read"), said);
    }
    if let Ok(order) = Order::read(data) {
        assert_eq!(Order::read(&order.line()).expect("what was written can be read"), order);
    }
    let text = String::from_utf8_lossy(data).into_owned();
    for most in [0, 2, 7] {
        assert!(cut(text.clone(), most).len() <= most);
    }
}
