//! What keeps web pages of others from using the API through an administrator's browser.
//!
//! There are no cookies, so a page would have to know the key; and a page that does not come from us is
//! refused before that matters: by its `Origin`, by what the browser says of it (Fetch Metadata,
//! `Sec-Fetch-Site`), and by the content type of what it posts, which no form can send and no script across
//! sites without leave. We give no such leave: there are no CORS headers.

use crate::mcp::origin::Doors;

/// What a request says of where it comes from; `None` where a line is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking<'a> {
    /// `Host`.
    pub host: Option<&'a [u8]>,
    /// `Origin`.
    pub origin: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Intrusion {
    /// A page of another site asks.
    #[error("a web page of another site asks: /admin answers to pages of its own host only")]
    Page,
    /// The body may be that of a form.
    #[error("send `Content-Type: application/json`: bodies of other kinds are not read here")]
    Form,
}

/// Decides whether a request comes in; `posts` says that it is more than a look. Origins that may call the
/// MCP side have no place here: `doors.origins` is not asked.
///
/// # Errors
/// `Page` and `Form`.
pub fn admit(asking: &Asking<'_>, posts: bool, doors: Doors<'_>) -> Result<(), Intrusion> {
    if let Some(origin) = asking.origin {
        let doors = Doors { origins: &[], ..doors };
        if !is_of(origin, asking.host) || !doors.admit(asking.host, Some(origin)) {
            return Err(Intrusion::Page);
        }
    }
    // `same-site` is another host of the same company: it has no business here either.
    if asking.site.is_some_and(|site| !matches!(site.trim_ascii(), b"same-origin" | b"none")) {
        return Err(Intrusion::Page);
    }
    if posts && !asking.content_type.is_some_and(is_json) {
        return Err(Intrusion::Form);
    }
    Ok(())
}

/// Whether an origin is the host that was asked, port and all.
fn is_of(origin: &[u8], host: Option<&[u8]>) -> bool {
    let Some(authority) = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = origin.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    }) else {
        return false;
    };
    host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}
