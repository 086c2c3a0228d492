//! The five revisions of the protocol, and what each of them can do.

use std::fmt;

/// A revision, named by its date; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP+SSE; the oldest.
    V2024_11_05,
    /// Streamable HTTP; the only one with batches.
    V2025_03_26,
    /// Structured results, elicitation, the version header.
    V2025_06_18,
    /// Elicitation by URL, experimental tasks; the last with sessions.
    V2025_11_25,
    /// No session: every request says what it needs to be understood.
    V2026_07_28,
}

impl Version {
    /// All of them, the newest first: the order in which they are told to others.
    pub const ALL: [Self; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];

    /// What a legacy session is opened with, and what a caller gets that asks for one we do not know.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// What is meant by a request over HTTP that belongs to a session and names no version.
    pub const UNNAMED: Self = Self::V2025_03_26;

    /// The revision of that date, written exactly so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// Its date, as it stands in messages and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether it has no session, but `_meta` in every request.
    pub fn is_modern(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether several messages may come in one array.
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether it is spoken over Streamable HTTP; the one before has an event stream beside its posts.
    pub fn has_streamable_http(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether content may be sound.
    pub fn has_audio(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether HTTP requests name the version in a header.
    pub fn has_version_header(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether a tool's result may have `structuredContent`, and its definition an `outputSchema`.
    pub fn has_structured_content(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether those two may be something else than an object.
    pub fn has_any_structured_content(self) -> bool {
        self.is_modern()
    }

    /// Whether a tool's result may link to a resource.
    pub fn has_resource_links(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether a server may ask the user by a form.
    pub fn has_elicitation(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether a server may send the user to a page.
    pub fn has_url_elicitation(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether the error -32042 asks for that; later ones ask by a result.
    pub fn has_url_elicitation_error(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether a sampling request may bring tools.
    pub fn has_sampling_tools(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether tasks are asked for by `params.task` and fetched by a blocking `tasks/result`.
    pub fn has_blocking_tasks(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether a missing resource is the error -32002 instead of -32602.
    pub fn has_resource_error(self) -> bool {
        !self.is_modern()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use crate::mcp::version::Version;

    #[test]
    fn a_version_is_its_date() {
        for version in Version::ALL {
            assert_eq!(Version::parse(version.as_str()), Some(version));
            assert_eq!(version.to_string(), version.as_str());
        }
        for wrong in ["", "2026-07-28 ", "2025-11-24", "DRAFT-2026-v1", "2026-7-28"] {
            assert_eq!(Version::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn newer_is_greater() {
        assert!(Version::ALL.is_sorted_by(|newer, older| newer > older));
        assert!(
            Version::ALL.iter().all(|version| version.is_modern() != (*version <= Version::LATEST_LEGACY))
        );
    }

    #[test]
    fn what_came_and_went() {
        type Question = fn(Version) -> bool;
        // Answers from the newest to the oldest.
        let table: &[(&str, Question, [u8; 5])] = &[
            ("batches", Version::has_batches, [0, 0, 0, 1, 0]),
            ("audio", Version::has_audio, [1, 1, 1, 1, 0]),
            ("streamable", Version::has_streamable_http, [1, 1, 1, 1, 0]),
            ("version header", Version::has_version_header, [1, 1, 1, 0, 0]),
            ("structured", Version::has_structured_content, [1, 1, 1, 0, 0]),
            ("any structured", Version::has_any_structured_content, [1, 0, 0, 0, 0]),
            ("links", Version::has_resource_links, [1, 1, 1, 0, 0]),
            ("forms", Version::has_elicitation, [1, 1, 1, 0, 0]),
            ("pages", Version::has_url_elicitation, [1, 1, 0, 0, 0]),
            ("page error", Version::has_url_elicitation_error, [0, 1, 0, 0, 0]),
            ("sampling tools", Version::has_sampling_tools, [1, 1, 0, 0, 0]),
            ("blocking tasks", Version::has_blocking_tasks, [0, 1, 0, 0, 0]),
            ("resource error", Version::has_resource_error, [0, 1, 1, 1, 1]),
        ];
        for (what, question, expected) in table {
            assert_eq!(Version::ALL.map(|version| u8::from(question(version))), *expected, "{what}");
        }
    }
}
