//! Why a token is not good.

/// One sentence for the person whose token it is, without anything of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no token of the compact form.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    /// Its algorithm is one that nobody should use, or one that the config does not name.
    #[error("the token is signed with an algorithm that is not allowed here")]
    Algorithm,
    /// No issuer of the config has made it for us.
    #[error("the token comes from an issuer that this gateway does not know")]
    Issuer,
    /// It was made for somebody else.
    #[error("the token is for another audience than this gateway")]
    Audience,
    /// The issuer has no such key, as far as we know.
    #[error("the token is signed with a key that its issuer does not have")]
    Key,
    /// The issuer's keys have not been fetched.
    #[error("the keys of the token's issuer cannot be fetched right now, try again")]
    NoKeys,
    /// It was changed, or made by somebody else.
    #[error("the signature of the token is not good")]
    Signature,
    /// Its time is over.
    #[error("the token has expired: sign in again")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet: is the clock of its issuer right?")]
    NotYet,
    /// It does not say something that it has to say, or not in the right form.
    #[error("the token has no usable claim {0:?}")]
    Claim(String),
    /// The person has no place here.
    #[error("{0} has signed in, but none of the groups belongs to a team here: ask for a group that does")]
    NoTeam(String),
    /// The person or the session was revoked.
    #[error("{0} was revoked: ask an administrator")]
    Revoked(String),
}

impl Fault {
    /// A short stable name for counts and records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Key => "unknown key",
            Self::NoKeys => "no keys",
            Self::Signature => "bad signature",
            Self::Expired => "expired",
            Self::NotYet => "not yet valid",
            Self::Claim(_) => "claim",
            Self::NoTeam(_) => "no team",
            Self::Revoked(_) => "revoked",
        }
    }
}
