//! What is known of one provider: where it is and how we show who we are.

use std::sync::Arc;

use crate::ids::ProviderName;
use crate::net::tls::ClientTls;
use crate::secret::Secret;

/// The wire format that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Anthropic Messages API.
    Anthropic,
    /// The built-in scripted model: no connection is made.
    Demo,
}

/// Scheme, host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Origin {
    /// The value of a `Host` header: the port only where it is not the scheme's own (RFC 9110 section 7.2).
    pub fn host_header(&self) -> String {
        let host = self.bracketed();
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Host and port, always both: the target of a `CONNECT`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// The header that shows a provider who we are.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Header name in lower case: `x-api-key` or `authorization`.
    pub header: &'static str,
    /// The whole header value (for `authorization`: with its `Bearer `).
    pub value: Secret,
}

/// An HTTP proxy that is asked to `CONNECT` to the provider.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Host of the proxy.
    pub host: String,
    /// Port of the proxy.
    pub port: u16,
    /// Value of `Proxy-Authorization`, when the proxy's URL carried a user and password.
    pub authorization: Option<Secret>,
}

/// One provider, as a worker needs it. Immutable; a reload makes new ones.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the config.
    pub name: ProviderName,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where it is. Unused for `Dialect::Demo`.
    pub origin: Origin,
    /// The value of its `Host` header, made once: `origin.host_header()`.
    pub host: String,
    /// Path of its base URL, `""` or `/x/y`: without a slash at the end and without a last `/v1`.
    pub base_path: String,
    /// What we show it, if anything.
    pub credential: Option<Credential>,
    /// Present exactly when `origin.https`.
    pub tls: Option<Arc<ClientTls>>,
    /// The proxy to go through, if any.
    pub proxy: Option<Proxy>,
}
