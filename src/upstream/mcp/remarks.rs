//! What there is to say about a child process, for the log: few lines, clean ones, and no secrets.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::process::ExitStatus;
use std::time::Instant;

use crate::limits;
use crate::secret::Secret;

/// A piece of news about a child process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark<'a> {
    /// A line of its standard error, without control characters.
    Said(&'a str),
    /// The beginning of a line of its standard output that is no message, without control characters.
    Garbage(&'a str),
    /// So many remarks were left out because there were too many.
    LeftOut(u32),
    /// It has ended; without a status when the kernel did not tell.
    Ended(Option<ExitStatus>),
}

/// Takes remarks, and hands on not more than `limits::MCP_STDERR_LINES_MAX` in a window.
pub(super) struct Remarks {
    sink: Box<dyn Fn(Remark<'_>)>,
    /// Values of its environment, which it may print.
    secrets: Vec<Secret>,
    window: RefCell<Option<Instant>>,
    made: Cell<u32>,
    left_out: Cell<u32>,
}

impl fmt::Debug for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remarks")
    }
}

/// Shorter values are words like `debug` or `true`, which are not secret and occur everywhere.
const SECRET_BYTES_MIN: usize = 8;

impl Remarks {
    /// Hands remarks to `sink`, with the values of `env` masked.
    pub(super) fn new(env: &[(String, Secret)], sink: impl Fn(Remark<'_>) + 'static) -> Self {
        let values = env.iter().map(|(_, value)| value);
        Self {
            sink: Box::new(sink),
            secrets: values.filter(|value| value.expose().len() >= SECRET_BYTES_MIN).cloned().collect(),
            window: RefCell::default(),
            made: Cell::default(),
            left_out: Cell::default(),
        }
    }

    /// A line of standard error.
    pub(super) fn said(&self, line: &[u8], now: Instant) {
        if self.may_speak(now) {
            (self.sink)(Remark::Said(&self.cleaned(line)));
        }
    }

    /// A line of standard output that is no message.
    pub(super) fn garbage(&self, line: &[u8], now: Instant) {
        if self.may_speak(now) {
            let shown = line.get(..limits::MCP_GARBAGE_SHOWN_BYTES_MAX).unwrap_or(line);
            (self.sink)(Remark::Garbage(&self.cleaned(shown)));
        }
    }

    /// The end, which is always told.
    pub(super) fn ended(&self, status: Option<ExitStatus>) {
        self.admit();
        (self.sink)(Remark::Ended(status));
    }

    /// Counts a remark; whether it may be made.
    fn may_speak(&self, now: Instant) -> bool {
        let since = *self.window.borrow_mut().get_or_insert(now);
        if now.saturating_duration_since(since) >= limits::MCP_STDERR_WINDOW {
            self.window.replace(Some(now));
            self.made.set(0);
            self.admit();
        }
        let may = self.made.get() < limits::MCP_STDERR_LINES_MAX;
        let count = if may { &self.made } else { &self.left_out };
        count.set(count.get().saturating_add(1));
        may
    }

    /// Tells how much has been left out.
    fn admit(&self) {
        let left_out = self.left_out.take();
        if left_out > 0 {
            (self.sink)(Remark::LeftOut(left_out));
        }
    }

    /// The line as a text for a log: no control characters, no secrets.
    fn cleaned(&self, line: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(line).into_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "***");
            }
        }
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{Remark, Remarks};
    use crate::clock;
    use crate::limits::{MCP_STDERR_LINES_MAX, MCP_STDERR_WINDOW};
    use crate::secret::Secret;

    fn remarks(env: &[(&str, &str)]) -> (Remarks, Rc<RefCell<Vec<String>>>) {
        let env: Vec<_> = env.iter().map(|&(name, value)| (name.to_owned(), Secret::new(value))).collect();
        let told: Rc<RefCell<Vec<String>>> = Rc::default();
        let sink = Rc::clone(&told);
        let remarks = Remarks::new(&env, move |remark| {
            sink.borrow_mut().push(match remark {
                Remark::Said(text) => text.to_owned(),
                other => format!("{other:?}"),
            });
        });
        (remarks, told)
    }

    #[test]
    fn a_line_is_cleaned() {
        let (remarks, told) = remarks(&[("TOKEN", "sk-very-secret"), ("LEVEL", "debug")]);
        let now = clock::now();
        remarks.said(b"\x1b[31mdebug: token sk-very-secret\xff\r\x07", now);
        remarks.garbage(&[b'g'; 9_999], now);
        let told = told.borrow();
        assert_eq!(told[0], " [31mdebug: token ***\u{fffd}  ");
        assert!(told[1].starts_with("Garbage(\"ggg") && told[1].len() < 300);
    }

    #[test]
    fn a_flood_is_counted_and_not_told() {
        let (remarks, told) = remarks(&[]);
        let now = clock::now();
        for _ in 0..MCP_STDERR_LINES_MAX + 5 {
            remarks.said(b"x", now);
        }
        assert_eq!(told.borrow().len(), MCP_STDERR_LINES_MAX as usize);
        remarks.said(b"later", now + MCP_STDERR_WINDOW);
        assert_eq!(told.borrow()[MCP_STDERR_LINES_MAX as usize..], ["LeftOut(5)", "later"]);
        remarks.ended(None);
        assert_eq!(told.borrow().last().unwrap(), "Ended(None)");
    }
}
