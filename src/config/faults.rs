//! What is wrong with a config: every fault with its place and what to do about it.

use std::fmt;
use std::sync::Arc;

use crate::limits;

/// A place in a file, both counted from 1; line 0 stands for the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named to us.
    pub file: Arc<str>,
    /// Where in it.
    pub mark: Mark,
    /// What is wrong and what to do. Never holds a secret.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mark.line == 0 {
            write!(f, "{}: {}", self.file, self.text)
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.mark.line, self.mark.column, self.text)
        }
    }
}

/// All faults of one config, in the order in which they were found. As an error it is never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    list: Vec<Fault>,
    unshown: usize,
}

impl Faults {
    /// One fault about a whole file.
    pub fn of_file(file: &str, text: impl Into<String>) -> Self {
        let mut faults = Self::default();
        faults.push(Fault { file: file.into(), mark: Mark::default(), text: text.into() });
        faults
    }

    /// Adds a fault; beyond `limits::CONFIG_FAULTS_MAX` they are only counted.
    pub fn push(&mut self, fault: Fault) {
        if self.list.len() < limits::CONFIG_FAULTS_MAX {
            self.list.push(fault);
        } else {
            self.unshown += 1;
        }
    }

    /// Adds the faults of another file.
    pub fn extend(&mut self, other: Self) {
        self.unshown += other.unshown;
        other.list.into_iter().for_each(|fault| self.push(fault));
    }

    /// The faults that are shown.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `value` when there is no fault, else the faults.
    ///
    /// # Errors
    /// The faults themselves.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            return Ok(value);
        }
        self.list.sort_by(|a, b| (&a.file, a.mark).cmp(&(&b.file, b.mark)));
        Err(self)
    }
}

impl std::error::Error for Faults {}

/// One line each.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.list.iter().enumerate() {
            let newline = if place == 0 { "" } else { "\n" };
            write!(f, "{newline}{fault}")?;
        }
        if self.unshown > 0 {
            write!(f, "\nand {} more", self.unshown)?;
        }
        Ok(())
    }
}
