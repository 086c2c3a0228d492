//! How loud a server may be: the levels of RFC 5424, as MCP spells them.

/// A level of a log message, the least urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// For those who look for a fault.
    Debug,
    /// That something went its way.
    Info,
    /// That something unusual went its way.
    Notice,
    /// That something may go wrong.
    Warning,
    /// That something went wrong.
    Error,
    /// That a part has failed.
    Critical,
    /// That somebody has to act now.
    Alert,
    /// That nothing works.
    Emergency,
}

impl Level {
    const NAMES: [(Self, &str); 8] = [
        (Self::Debug, "debug"),
        (Self::Info, "info"),
        (Self::Notice, "notice"),
        (Self::Warning, "warning"),
        (Self::Error, "error"),
        (Self::Critical, "critical"),
        (Self::Alert, "alert"),
        (Self::Emergency, "emergency"),
    ];

    /// Reads a level; any other word is none.
    pub fn parse(word: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, name)| *name == word).map(|(level, _)| *level)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(level, _)| *level == self).map_or("debug", |(_, name)| name)
    }

    /// Whether somebody who asked for `wanted` gets a message of this level.
    pub fn reaches(self, wanted: Self) -> bool {
        self >= wanted
    }

    /// What a server has to be told so that everyone gets what they asked for; nothing when nobody asked.
    pub fn loudest(wanted: impl IntoIterator<Item = Self>) -> Option<Self> {
        wanted.into_iter().min()
    }
}
