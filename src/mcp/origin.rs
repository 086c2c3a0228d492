//! Which `Host` and `Origin` an MCP endpoint answers to, so that a web page cannot reach it through a
//! browser.
//!
//! Follows "Security & Endpoint" of the Streamable HTTP transport: a browser that was led here by DNS
//! rebinding names a foreign host, and a page of another site names its own origin.

use std::net::IpAddr;

use crate::glob::Glob;

/// What is let in.
#[derive(Clone, Copy, Debug)]
pub struct Doors<'a> {
    /// Hosts that callers may address us by, with or without a port, in lower case; empty means any, but see
    /// `loopback`.
    pub hosts: &'a [Glob],
    /// Origins of web pages that may call, as browsers write them, in lower case.
    pub origins: &'a [Glob],
    /// Whether we listen on loopback addresses only: then only loopback names are right, unless listed.
    pub loopback: bool,
}

impl Doors<'_> {
    /// Whether a request with these headers comes in; `None` where a header is missing.
    pub fn admit(&self, host: Option<&[u8]>, origin: Option<&[u8]>) -> bool {
        let lower = |text: &[u8]| String::from_utf8_lossy(text).to_ascii_lowercase();
        let (host, origin) = (host.map(lower), origin.map(lower));
        let host_fits = match host.as_deref() {
            // HTTP/1.0; a browser always names the host.
            None => true,
            Some(host) => {
                let name = name_of(host);
                let listed = self.hosts.iter().any(|known| known.matches(name) || known.matches(host));
                listed || is_loopback(name) || (self.hosts.is_empty() && !self.loopback)
            }
        };
        host_fits && self.admits_origin(host.as_deref(), origin.as_deref())
    }

    fn admits_origin(&self, host: Option<&str>, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if self.origins.iter().any(|known| known.matches(origin)) {
            return true;
        }
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let name = name_of(authority);
        if self.loopback {
            return is_loopback(name);
        }
        // A page that we might serve ourselves.
        host.is_some_and(|host| name_of(host) == name) && !is_loopback(name)
    }
}

/// The host without its port; an IPv6 address without its brackets.
fn name_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::Doors;
    use crate::glob::Glob;

    fn check(doors: Doors<'_>, host: &str, origin: Option<&str>, expected: bool) {
        let admitted = doors.admit(Some(host.as_bytes()), origin.map(str::as_bytes));
        assert_eq!(admitted, expected, "{host} {origin:?}");
    }

    #[test]
    fn on_loopback_only_loopback_names() {
        let doors = Doors { hosts: &[], origins: &[], loopback: true };
        for host in ["localhost:4000", "127.0.0.1:4000", "[::1]:4000", "LOCALHOST", "127.3.2.1"] {
            check(doors, host, None, true);
            check(doors, host, Some("http://localhost:4000"), true);
            check(doors, host, Some("http://evil.example.com"), false);
            check(doors, host, Some("null"), false);
        }
        for host in ["evil.example.com", "localhost.evil.example.com", "127.0.0.1.evil.com", "", "[::2]"] {
            check(doors, host, None, false);
        }
        assert!(doors.admit(None, None));
    }

    #[test]
    fn elsewhere_pages_of_other_sites_stay_out() {
        let doors = Doors { hosts: &[], origins: &[], loopback: false };
        check(doors, "gate.example.com", None, true);
        check(doors, "gate.example.com", Some("https://gate.example.com"), true);
        check(doors, "gate.example.com", Some("https://evil.example.com"), false);
        check(doors, "localhost:4000", Some("http://localhost:9"), false);
    }

    #[test]
    fn lists_are_kept_to() {
        let (hosts, origins) = ([Glob::new("gate.example.com")], [Glob::new("https://tool.example.com")]);
        let doors = Doors { hosts: &hosts, origins: &origins, loopback: false };
        check(doors, "Gate.Example.com:443", Some("https://tool.example.com"), true);
        check(doors, "other.example.com", None, false);
        check(doors, "gate.example.com", Some("https://other.example.com"), false);
        check(doors, "127.0.0.1", None, true);
    }
}
