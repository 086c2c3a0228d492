//! Credentials that clouds hand out for a while: which requests to make for them, and how to read the
//! answers.
//!
//! Nothing here sends, reads files or knows the time. A source says which file it wants to see, a fetch says
//! which [`Ask`] comes next until it is [`Step::Done`], and what it has then says when to begin anew. Sources
//! are looked for in the order that the clouds' own tools have, so that what works for those works here.
//!
//! ```text
//! source -> begin -> Ask -> answer -> (Ask -> answer)* -> Done(Fresh)
//! ```

mod answer;
pub mod aws;
pub mod azure;
pub mod chain;
pub mod gcp;

use std::fmt;

use crate::limits;
use crate::secret::Secret;

/// A request to be made.
#[derive(Clone)]
pub struct Ask {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// The whole address, `https://...`, or `http://...` where `own_machine`.
    pub url: String,
    /// Header lines beside `host` and `content-length`: names in lower case.
    pub headers: Vec<(&'static str, Secret)>,
    /// The body; may be empty.
    pub body: Secret,
    /// It goes to the service beside this machine, at an address that is reserved for it, in plain HTTP. No
    /// proxy has a part in it.
    pub own_machine: bool,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Step<T> {
    /// One more request.
    Ask(Ask),
    /// There is nothing left to ask.
    Done(Fresh<T>),
}

/// What has been handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh<T> {
    /// It.
    pub value: T,
    /// When it ends, in seconds since 1970; `None`: never.
    pub expires_s: Option<u64>,
}

impl<T> Fresh<T> {
    /// When to fetch anew, in seconds since 1970, for what was fetched at `fetched_s`:
    /// `limits::CREDENTIALS_AHEAD_S` before its end, or after half of a shorter time. `None`: never.
    pub fn refresh_at_s(&self, fetched_s: u64) -> Option<u64> {
        let expires_s = self.expires_s?;
        let lasts_s = expires_s.saturating_sub(fetched_s);
        let ahead_s = limits::CREDENTIALS_AHEAD_S.min(lasts_s / 2);
        Some(expires_s.saturating_sub(ahead_s).max(fetched_s))
    }

    /// From when on it is too late to send a request with it, in seconds since 1970, for what was fetched at
    /// `fetched_s`: `limits::CREDENTIALS_SPENT_S` before its end, or after nine tenths of a shorter time.
    /// `None`: never.
    pub fn spent_at_s(&self, fetched_s: u64) -> Option<u64> {
        let expires_s = self.expires_s?;
        let lasts_s = expires_s.saturating_sub(fetched_s);
        Some(expires_s.saturating_sub(limits::CREDENTIALS_SPENT_S.min(lasts_s / 10)))
    }
}

/// Why there are no credentials. Nothing of a secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something that is needed is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Something that is asked for is not known here.
    #[error("{0} is not supported: use another source of credentials")]
    Unsupported(&'static str),
    /// A file is not what it should be.
    #[error("{0} cannot be read: it has another form")]
    Form(&'static str),
    /// The private key is none that can sign.
    #[error("the private key cannot be used: it must be RSA of 2048 bits or more, as PKCS#8 in PEM")]
    Key,
    /// An address to which no token may be sent.
    #[error("the address of {0} must be https, or that of this machine's own service")]
    Address(&'static str),
    /// The other side said no.
    #[error("it was refused with status {status} {code}")]
    Refused {
        /// The status.
        status: u16,
        /// Its word for why: letters, digits, `.`, `_` and `-` alone; may be empty.
        code: String,
    },
    /// What came is no answer.
    #[error("the answer cannot be read")]
    Answer,
}

/// Scheme and host of an address; nothing when it has no host, or a user in front of it.
fn host_of(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    Some((scheme, host))
}

/// Whether a secret may be sent there: encrypted, or not beyond this machine and what is built into it.
fn own_machine(url: &str, what: &'static str) -> Result<bool, Fault> {
    /// Of the container services of AWS, and of all three clouds' machines.
    const RESERVED: &[&str] = &[
        "169.254.170.2",
        "169.254.170.23",
        "169.254.169.254",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "metadata.google.internal",
    ];
    match host_of(url) {
        Some(("https", _)) => Ok(false),
        Some(("http", host)) => {
            let loopback = host == "localhost"
                || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            if loopback || RESERVED.contains(&host) { Ok(true) } else { Err(Fault::Address(what)) }
        }
        _ => Err(Fault::Address(what)),
    }
}

/// Method and address alone.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.url.split('?').next().unwrap_or_default();
        write!(f, "{} {bare}", self.method)
    }
}

impl Ask {
    fn get(url: String, headers: Vec<(&'static str, Secret)>) -> Self {
        Self { method: "GET", url, headers, body: Secret::new(""), own_machine: false }
    }

    /// A form, as OAuth 2.0 and the queries of AWS have it.
    fn form(url: String, fields: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (name, value) in fields {
            if !body.is_empty() {
                body.push('&');
            }
            body.push_str(name);
            body.push('=');
            push_escaped(&mut body, value);
        }
        let kind = ("content-type", Secret::new("application/x-www-form-urlencoded"));
        let headers = vec![kind, ("accept", Secret::new("application/json"))];
        Self { method: "POST", url, headers, body: Secret::new(body), own_machine: false }
    }
}

/// Appends the text with all bytes escaped that RFC 3986 does not call unreserved.
fn push_escaped(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ask, Fault, Fresh, own_machine};
    use crate::secret::Secret;

    #[test]
    fn what_ends_is_fetched_ahead_of_its_end() {
        let fresh = |expires_s| Fresh { value: (), expires_s };
        assert_eq!(fresh(Some(3600)).refresh_at_s(0), Some(3300));
        assert_eq!(fresh(Some(1400)).refresh_at_s(1000), Some(1200), "half of a short time");
        assert_eq!(fresh(Some(900)).refresh_at_s(1000), Some(1000), "over already");
        assert_eq!(fresh(None).refresh_at_s(0), None);
        assert_eq!(fresh(Some(3600)).spent_at_s(0), Some(3570));
        assert_eq!(fresh(Some(1100)).spent_at_s(1000), Some(1090), "nine tenths of a short time");
        assert_eq!(fresh(Some(900)).spent_at_s(1000), Some(900), "over already");
        assert_eq!(fresh(None).spent_at_s(0), None);
    }

    #[test]
    fn secrets_leave_this_machine_encrypted_only() {
        for own in
            ["http://localhost:1338/a", "http://127.0.0.1/", "http://[::1]:80/x", "http://169.254.170.23/v1"]
        {
            assert_eq!(own_machine(own, "x"), Ok(true), "{own}");
        }
        assert_eq!(own_machine("https://sts.googleapis.com/v1/token", "x"), Ok(false));
        for wrong in [
            "http://169.254.170.2.evil.example/",
            "http://evil.example/?http://127.0.0.1",
            "http://127.0.0.1@evil.example/",
            "http://localhost.evil.example",
            "ftp://127.0.0.1/",
            "",
        ] {
            assert_eq!(own_machine(wrong, "x"), Err(Fault::Address("x")), "{wrong}");
        }
    }

    #[test]
    fn forms_are_escaped_and_not_shown() {
        let ask = Ask::form("https://a.example/t?k=secret".to_owned(), &[("a", "b c&d=é"), ("e", "")]);
        assert_eq!(ask.body, Secret::new("a=b%20c%26d%3D%C3%A9&e="));
        assert_eq!(format!("{ask:?}"), "POST https://a.example/t");
    }
}
