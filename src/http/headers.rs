//! Which headers cross the gateway, in either direction.
//!
//! Everything crosses unless it is named here: new headers of Claude Code and of providers must pass
//! untouched. Matching is by length first and then by case-insensitive comparison, and never allocates.

use crate::http::head::Headers;

/// The names that a `Connection` header takes off the way. Made by `Headers::listed`.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a>(Option<(&'a Headers, &'a [u8])>);

impl<'a> Listed<'a> {
    /// Nothing is listed.
    pub const NONE: Self = Self(None);

    /// Names in the `Connection` lines of these headers; at most `limits::CONNECTION_OPTIONS_MAX`.
    pub(in crate::http) const fn new(source: Option<(&'a Headers, &'a [u8])>) -> Self {
        Self(source)
    }

    /// Whether `name` is listed, whatever its case.
    pub fn contains(&self, name: &[u8]) -> bool {
        // Nearly always `None`: only `close` and `keep-alive` are ever written there.
        let Some((headers, buf)) = self.0 else { return false };
        headers
            .all(buf, "connection")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(name))
    }
}

/// Whether a caller's header goes out to the upstream.
///
/// Not: what concerns one connection only (RFC 9110 section 7.6.1), what we write ourselves (`host`, framing,
/// `accept-encoding`, because usage is read from the passing answer), the caller's credentials and cookies,
/// who the caller is (`forwarded` and its kin), and what is meant for us (`x-tollgate-*`).
pub fn crosses_to_upstream(name: &[u8], listed: &Listed<'_>) -> bool {
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    let stays = match name.len() {
        3 => is(b"via"),
        4 => is(b"host"),
        6 => is(b"expect") || is(b"cookie"),
        9 => is(b"x-api-key") || is(b"x-real-ip") || is(b"forwarded"),
        13 => is(b"authorization"),
        14 => is(b"content-length"),
        15 => is(b"accept-encoding"),
        _ => false,
    };
    !stays
        && !is_hop_by_hop(name)
        && !begins(name, b"x-tollgate-")
        && !begins(name, b"x-forwarded-")
        && !listed.contains(name)
}

/// Whether an upstream's header goes back to the caller.
///
/// Not: what concerns one connection only, the framing (we write our own), what binds the caller to the
/// provider's host instead of ours (`set-cookie`, `alt-svc`, `strict-transport-security`), the org's own rate
/// limits and account at the provider (`anthropic-ratelimit-*`, `anthropic-organization-id`), and what only
/// we may say (`x-tollgate-*`).
pub fn crosses_to_caller(name: &[u8], listed: &Listed<'_>) -> bool {
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    let stays = match name.len() {
        7 => is(b"alt-svc"),
        10 => is(b"set-cookie"),
        14 => is(b"content-length"),
        25 => is(b"strict-transport-security") || is(b"anthropic-organization-id"),
        _ => false,
    };
    !stays
        && !is_hop_by_hop(name)
        && !begins(name, b"x-tollgate-")
        && !begins(name, b"anthropic-ratelimit-")
        && !listed.contains(name)
}

fn is_hop_by_hop(name: &[u8]) -> bool {
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    match name.len() {
        2 => is(b"te"),
        7 => is(b"trailer") || is(b"upgrade"),
        10 => is(b"connection") || is(b"keep-alive"),
        16 => is(b"proxy-connection"),
        17 => is(b"transfer-encoding"),
        18 => is(b"proxy-authenticate"),
        19 => is(b"proxy-authorization"),
        _ => false,
    }
}

fn begins(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
