//! Why the index cannot do what it was asked.

use std::path::PathBuf;

/// What is wrong with the index. No text of an entry or of a search stands in it.
#[derive(Debug, thiserror::Error)]
pub enum IndexFault {
    /// SQLite could not do it: a full disk, a lock held for too long, a damaged file.
    #[error("the index cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file was written by a program that makes it otherwise.
    #[error(
        "the index {path} is of version {found}, this program makes {ours}: `tollgate ledger rebuild` makes \
         it anew"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The version it should have.
        ours: i64,
    },
    /// There is no index yet.
    #[error("there is no index {0} yet: it is made by a running gateway, or by `tollgate ledger rebuild`")]
    Missing(PathBuf),
    /// A block of entries cannot be read.
    #[error("the index is damaged at position {0}: `tollgate ledger rebuild` makes it anew")]
    Damaged(u64),
    /// Records were given in another order than the chain's.
    #[error("the record {0} comes after one that stands behind it")]
    Order(u64),
    /// The file cannot be made or deleted.
    #[error("the index {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl IndexFault {
    /// Whether the file is at fault, so that a new one would do.
    pub(super) fn is_cured_by_a_new_file(&self) -> bool {
        match self {
            Self::Version { .. } | Self::Damaged(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
            ),
            Self::Missing(_) | Self::Order(_) | Self::File { .. } => false,
        }
    }
}
