//! One list of sources of one cloud, and a fetch from whichever it is.

use crate::secret::Secret;
use crate::upstream::credentials::aws;
use crate::upstream::credentials::azure;
use crate::upstream::credentials::gcp;
use crate::upstream::credentials::{Fault, Fresh, Step};

/// Where the credentials of providers come from. Equal chains are fetched from once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// What people call it, as the config has it: `aws: default`.
    pub label: String,
    /// The first one is asked first, and the next only when it fails; never empty.
    pub sources: Vec<Source>,
}

/// One source of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Of keys that sign.
    Aws(aws::Source),
    /// Of a bearer's token.
    Gcp(gcp::Source),
    /// Of a bearer's token.
    Azure {
        /// Where it comes from.
        source: azure::Source,
        /// What it is good for; ends in `/.default`.
        scope: String,
    },
}

/// What a source gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Keys that sign requests to AWS.
    Keys(aws::Keys),
    /// A bearer's token, without its `Bearer `.
    Token(Secret),
}

impl Chain {
    /// What makes it another chain when it changes, for a hash that nobody can turn back.
    pub fn facts(&self) -> Vec<Secret> {
        let shown = std::iter::once(Secret::new(format!("{self:?}")));
        shown.chain(self.sources.iter().flat_map(Source::secrets).cloned()).collect()
    }
}

impl Source {
    fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Aws(source) => source.secrets(),
            Self::Gcp(source) => source.secrets(),
            Self::Azure { source, .. } => source.secrets(),
        }
    }

    /// The file that has to be read anew for each [`Fetch::begin`].
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Aws(source) => source.file(),
            Self::Gcp(source) => source.file(),
            Self::Azure { source, .. } => source.file(),
        }
    }

    /// What people call it.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Aws(source) => source.words(),
            Self::Gcp(source) => source.words(),
            Self::Azure { source, .. } => source.words(),
        }
    }
}

/// A fetch under way.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// From AWS.
    Aws(aws::Fetch),
    /// From Google Cloud.
    Gcp(gcp::Fetch),
    /// From Azure.
    Azure(azure::Fetch),
}

impl Fetch {
    /// Begins at `now_s`, seconds since 1970, with what stands in [`Source::file`] where there is one.
    ///
    /// # Errors
    /// Those of the cloud's own fetch.
    pub fn begin(source: &Source, file: Option<&Secret>, now_s: u64) -> Result<(Self, Step<Given>), Fault> {
        Ok(match source {
            Source::Aws(source) => {
                let (fetch, step) = aws::Fetch::begin(source, file)?;
                (Self::Aws(fetch), of(step, Given::Keys))
            }
            Source::Gcp(source) => {
                let (fetch, ask) = gcp::Fetch::begin(source, file, now_s)?;
                (Self::Gcp(fetch), Step::Ask(ask))
            }
            Source::Azure { source, scope } => {
                let (fetch, ask) = azure::Fetch::begin(source, file, scope, now_s)?;
                (Self::Azure(fetch), Step::Ask(ask))
            }
        })
    }

    /// Takes the answer to the last request.
    ///
    /// # Errors
    /// [`Fault::Refused`] and [`Fault::Answer`]: the fetch is over.
    pub fn answer(&mut self, status: u16, body: &[u8]) -> Result<Step<Given>, Fault> {
        Ok(match self {
            Self::Aws(fetch) => of(fetch.answer(status, body)?, Given::Keys),
            Self::Gcp(fetch) => of(fetch.answer(status, body)?, Given::Token),
            Self::Azure(fetch) => of(fetch.answer(status, body)?, Given::Token),
        })
    }
}

/// The same step towards what all clouds give.
fn of<T>(step: Step<T>, given: impl Fn(T) -> Given) -> Step<Given> {
    match step {
        Step::Ask(ask) => Step::Ask(ask),
        Step::Done(Fresh { value, expires_s }) => Step::Done(Fresh { value: given(value), expires_s }),
    }
}
