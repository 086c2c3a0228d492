//! Where a server is and how it is reached: all that a connection needs to know.

use std::sync::Arc;

use crate::net::reach::Reach;
use crate::net::tls::ClientTls;
use crate::secret::Secret;

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

/// One place on the network that we connect to. Immutable; a reload makes new ones.
#[derive(Clone, Debug)]
pub struct Site {
    /// What the config calls the server behind it.
    pub name: Arc<str>,
    /// Scheme, host and port.
    pub origin: Origin,
    /// The value of its `Host` header, made once: `origin.host_header()`.
    pub host: String,
    /// Present exactly when `origin.https`.
    pub tls: Option<Arc<ClientTls>>,
    /// The proxy to go through, if any.
    pub proxy: Option<Proxy>,
    /// Which addresses may be connected to in its name.
    pub reach: Reach,
}
