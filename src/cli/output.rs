//! The one writer to standard output and standard error.

use std::io::{self, Write};

use crate::config::faults::Faults;
use crate::config::key_file::KeyFault;

/// Both streams of a command.
pub(crate) struct Output<'w> {
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
}

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was understood and cannot be done: exit code 1.
    Refused(String),
    /// It was not understood: exit code 2.
    Usage(String),
    /// A stream cannot be written.
    Stream(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Refused(faults.to_string())
    }
}

impl From<KeyFault> for Failure {
    fn from(fault: KeyFault) -> Self {
        Self::Refused(fault.to_string())
    }
}

impl<'w> Output<'w> {
    /// Writes results to `out` and everything else to `err`.
    pub(crate) fn new(out: &'w mut dyn Write, err: &'w mut dyn Write) -> Self {
        Self { out, err }
    }

    /// Writes a result, with a newline at its end.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            self.out.write_all(b"\n")?;
        }
        Ok(self.out.flush()?)
    }

    /// Where results go that are no text.
    pub(crate) fn raw(&mut self) -> &mut dyn Write {
        &mut *self.out
    }

    /// Writes a result as JSON for programs.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.text(&text)
    }

    /// Writes a line beside the result.
    pub(crate) fn note(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.err, "{text}")?)
    }

    /// Tells why the command ends; its exit code. That a reader went away (`| head`) is no failure.
    pub(crate) fn finish(&mut self, failure: &Failure) -> u8 {
        let (code, text) = match failure {
            Failure::Stream(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
            Failure::Stream(error) => (1, error.to_string()),
            Failure::Refused(text) => (1, text.clone()),
            Failure::Usage(text) => (2, text.clone()),
        };
        // Where standard error is gone too, nobody is left to tell.
        drop(writeln!(self.err, "{}", text.trim_end()));
        code
    }
}
