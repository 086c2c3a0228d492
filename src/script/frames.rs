//! What a worker is told and what it says: one line of JSON each.
//!
//! Values of scripts are JSON inside of a text, so that a frame is read without reading them.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::limits;

/// What a worker is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Run this. The first that it is told, and once.
    Run {
        /// The body of an asynchronous function.
        source: String,
    },
    /// A call has given this.
    Given {
        /// The number of the call.
        id: u32,
        /// JSON.
        value: String,
    },
    /// A call has failed, or was refused.
    Refused {
        /// The number of the call.
        id: u32,
        /// Why, for the script and whoever reads what it says.
        why: String,
    },
}

/// What a worker says. After `Done` and `Failed` nothing follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    /// The script calls a tool.
    Call {
        /// The number of the call: another for each.
        id: u32,
        /// The name of the tool.
        name: String,
        /// Its arguments: a JSON object.
        arguments: String,
    },
    /// The script has written this to its console.
    Log {
        /// A line, or several.
        text: String,
    },
    /// The script has ended.
    Done {
        /// What it has returned, as JSON; nothing where it has returned nothing.
        value: Option<String>,
    },
    /// The script has failed.
    Failed {
        /// Why.
        why: String,
    },
}

/// Why a line is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not one of those above.
    #[error("no frame that is known")]
    Unknown,
    /// A part of it is larger than it may be.
    #[error("more in a frame than it may hold")]
    TooLarge,
    /// A part of it that has to be JSON is none.
    #[error("a value that is no JSON")]
    NoJson,
}

impl Order {
    /// The frame, with its line end.
    pub fn line(&self) -> Vec<u8> {
        line(self)
    }

    /// Reads a frame. Who says it is believed, so its parts are not looked at.
    ///
    /// # Errors
    /// [`Fault::Unknown`].
    pub fn read(line: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(line).map_err(|_why| Fault::Unknown)
    }
}

impl Said {
    /// The frame, with its line end.
    pub fn line(&self) -> Vec<u8> {
        line(self)
    }

    /// Reads a frame, and holds each part against its bound. What is to be JSON is.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn read(line: &[u8]) -> Result<Self, Fault> {
        let said: Self = serde_json::from_slice(line).map_err(|_why| Fault::Unknown)?;
        let (parts, json): ([(&str, usize); 2], Option<&str>) = match &said {
            Self::Call { name, arguments, .. } => {
                let name = (name.as_str(), limits::MCP_NAME_BYTES_MAX);
                ([name, (arguments, limits::CODE_ARGUMENTS_BYTES_MAX)], Some(arguments))
            }
            Self::Log { text } => ([(text, limits::CODE_LOG_BYTES_MAX), ("", 0)], None),
            Self::Done { value } => {
                let text = value.as_deref().unwrap_or_default();
                ([(text, limits::CODE_RESULT_BYTES_MAX), ("", 0)], value.as_deref())
            }
            Self::Failed { why } => ([(why, limits::CODE_ERROR_BYTES_MAX), ("", 0)], None),
        };
        if parts.iter().any(|(text, most)| text.len() > *most) {
            return Err(Fault::TooLarge);
        }
        let object = !matches!(said, Self::Call { .. }) || json.is_some_and(|text| text.starts_with('{'));
        if object && json.is_none_or(is_json) { Ok(said) } else { Err(Fault::NoJson) }
    }
}

/// Whether a text is JSON; how deep it may be is its readers' matter.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A frame as a line. JSON has no line end inside of texts, and serde writes none between.
fn line(frame: &impl Serialize) -> Vec<u8> {
    // Frames are made of texts and numbers, which can always be written.
    let mut line = serde_json::to_vec(frame).unwrap_or_default();
    line.push(b'\n');
    line
}

/// As much of a text as fits into `most` bytes, and a sign that there was more.
pub fn cut(mut text: String, most: usize) -> String {
    const MORE: &str = "...";
    if text.len() > most {
        let sign = MORE.get(..most).unwrap_or(MORE);
        text.truncate(text.floor_char_boundary(most - sign.len()));
        text.push_str(sign);
    }
    text
}
