//! The value of `date` headers: written once a second, not once an answer.

use std::cell::Cell;

use crate::clock;
use crate::http::date::{DATE_BYTES, imf_fixdate};

/// The date that one core wrote last.
#[derive(Debug)]
pub(super) struct Today {
    written: Cell<(u64, [u8; DATE_BYTES])>,
}

impl Default for Today {
    fn default() -> Self {
        Self { written: Cell::new((0, imf_fixdate(0))) }
    }
}

impl Today {
    /// The date of this second (RFC 9110 section 6.6.1).
    pub(super) fn date(&self) -> [u8; DATE_BYTES] {
        self.at(clock::unix_s(clock::wall()))
    }

    fn at(&self, second: u64) -> [u8; DATE_BYTES] {
        let (of, date) = self.written.get();
        if of == second {
            return date;
        }
        let date = imf_fixdate(second);
        self.written.set((second, date));
        date
    }
}

#[cfg(test)]
mod tests {
    use super::Today;

    #[test]
    fn it_follows_the_clock_also_backwards() {
        let today = Today::default();
        for (second, end) in
            [(0, "00:00:00 GMT"), (61, "00:01:01 GMT"), (61, "00:01:01 GMT"), (5, "00:00:05 GMT")]
        {
            assert!(today.at(second).ends_with(end.as_bytes()), "{second}");
        }
    }
}
