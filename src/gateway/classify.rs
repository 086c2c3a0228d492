//! From method and path to what is wanted. Pure.
//!
//! The model side answers at its plain addresses, under `/anthropic`, under a team's prefix `/t/<team>`,
//! under both, and with a doubled `/v1`, since a base URL may or may not end in it.

use crate::call::Endpoint;
use crate::error::Code;
use crate::gateway::metadata;
use crate::gateway::serve_mcp::Form;
use crate::http::head::Method;
use crate::llm::cloud_caller::{self, Called, Operation};

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// The kind of call.
    pub(super) endpoint: Endpoint,
    /// The team whose prefix stands in the path.
    pub(super) team: Option<&'a str>,
    /// The model of `/v1/models/<model>`, the server of `/mcp/<server>`, or what follows `/admin/`.
    pub(super) name: Option<&'a str>,
    /// The transport of an MCP endpoint.
    pub(super) form: Form,
    /// What is asked of a cloud, where it is asked in a cloud's form.
    pub(super) cloud: Option<Called<'a>>,
}

/// Finds what is wanted, or the code to refuse with.
pub(super) fn classify(method: Method, path: &[u8]) -> Result<Wanted<'_>, Code> {
    let path = str::from_utf8(path).map_err(|_why| Code::NotFound)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if let Some(inner) = path.strip_prefix(metadata::PATH) {
        return well_known(method, inner);
    }
    let (team, rest) = match path.strip_prefix("/t/") {
        Some(rest) => {
            let (team, rest) =
                rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).ok_or(Code::NotFound)?;
            if team.is_empty() {
                return Err(Code::NotFound);
            }
            (Some(team), rest)
        }
        None => (None, path),
    };
    if let Some(inner) = rest.strip_prefix("/mcp").filter(|inner| inner.is_empty() || inner.starts_with('/'))
    {
        let (form, name) = mcp(inner)?;
        let allowed = match form {
            Form::Streamable => matches!(method, Method::Get | Method::Post | Method::Delete),
            Form::SseStream => method == Method::Get,
            Form::SsePost => method == Method::Post,
        };
        let wanted = Wanted { endpoint: Endpoint::Mcp, team, name, form, cloud: None };
        return if allowed { Ok(wanted) } else { Err(Code::MethodNotAllowed) };
    }
    if let Some(called) = cloud_caller::read(rest) {
        return of_cloud(method, team, called);
    }
    let rest = match rest.strip_prefix("/anthropic") {
        Some(inner) if inner.starts_with('/') => inner,
        _ => rest,
    };
    let rest = if rest.starts_with("/v1/v1/") { rest.get(3..).unwrap_or_default() } else { rest };
    let (endpoint, name) = match rest {
        "/v1/messages" => (Endpoint::Messages, None),
        "/v1/messages/count_tokens" => (Endpoint::CountTokens, None),
        "/v1/chat/completions" => (Endpoint::ChatCompletions, None),
        "/v1/responses" => (Endpoint::Responses, None),
        "/v1/models" => (Endpoint::Models, None),
        "/api/hello" => (Endpoint::Hello, None),
        "/healthz" | "/readyz" if team.is_none() => (Endpoint::Health, None),
        "/metrics" if team.is_none() => (Endpoint::Metrics, None),
        _ => match (rest.strip_prefix("/v1/models/"), path.strip_prefix("/admin/")) {
            (Some(model), _) if !model.is_empty() => (Endpoint::Models, Some(model)),
            (_, Some(inner)) if !inner.is_empty() => (Endpoint::Admin, Some(inner)),
            _ => return Err(Code::NotFound),
        },
    };
    let allowed = match endpoint {
        Endpoint::Messages | Endpoint::CountTokens => method == Method::Post,
        Endpoint::ChatCompletions | Endpoint::Responses => method == Method::Post,
        // What there is, and by which method, stands in a table of its own.
        Endpoint::Admin => true,
        _ => matches!(method, Method::Get | Method::Head),
    };
    if allowed {
        Ok(Wanted { endpoint, team, name, form: Form::Streamable, cloud: None })
    } else {
        Err(Code::MethodNotAllowed)
    }
}

/// What a path of a cloud's wants.
fn of_cloud<'a>(method: Method, team: Option<&'a str>, called: Called<'a>) -> Result<Wanted<'a>, Code> {
    let (endpoint, allowed) = match called.operation {
        Operation::Profiles => (Endpoint::Models, method == Method::Get),
        Operation::Count => (Endpoint::CountTokens, method == Method::Post),
        Operation::Whole | Operation::Stream => (Endpoint::Messages, method == Method::Post),
    };
    let wanted = Wanted { endpoint, team, name: None, form: Form::Streamable, cloud: Some(called) };
    if allowed { Ok(wanted) } else { Err(Code::MethodNotAllowed) }
}

/// Finds the resource that metadata is wanted of: all of us, or an address of MCP.
fn well_known(method: Method, inner: &str) -> Result<Wanted<'_>, Code> {
    let resource = match inner {
        "" => "",
        _ => match classify(Method::Post, inner.as_bytes())? {
            Wanted { endpoint: Endpoint::Mcp, form: Form::Streamable, .. } => inner,
            _ => return Err(Code::NotFound),
        },
    };
    if !matches!(method, Method::Get | Method::Head) {
        return Err(Code::MethodNotAllowed);
    }
    let (endpoint, name) = (Endpoint::WellKnown, Some(resource));
    Ok(Wanted { endpoint, team: None, name, form: Form::Streamable, cloud: None })
}

/// Takes apart what follows `/mcp`: nothing, a server, and behind either the two addresses of HTTP+SSE.
fn mcp(inner: &str) -> Result<(Form, Option<&str>), Code> {
    let mut parts = inner.split('/').skip(1);
    let found = match (parts.next(), parts.next(), parts.next()) {
        (None, _, _) => (Form::Streamable, None),
        (Some("sse"), None, _) => (Form::SseStream, None),
        (Some("messages"), None, _) => (Form::SsePost, None),
        (Some(server), None, _) => (Form::Streamable, Some(server)),
        (Some(server), Some("sse"), None) => (Form::SseStream, Some(server)),
        (Some(server), Some("messages"), None) => (Form::SsePost, Some(server)),
        _ => return Err(Code::NotFound),
    };
    if found.1.is_some_and(str::is_empty) { Err(Code::NotFound) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, classify};
    use crate::call::Endpoint;
    use crate::error::Code;
    use crate::gateway::serve_mcp::Form;
    use crate::http::head::Method;

    fn check(method: Method, path: &str, expected: Result<(Endpoint, Option<&str>, Option<&str>), Code>) {
        let form = Form::Streamable;
        let expected =
            expected.map(|(endpoint, team, name)| Wanted { endpoint, team, name, form, cloud: None });
        assert_eq!(classify(method, path.as_bytes()), expected, "{path}");
    }

    #[test]
    fn every_way_to_write_an_address() {
        for prefix in ["", "/anthropic", "/v1", "/anthropic/v1"] {
            for end in ["", "/"] {
                let path = format!("{prefix}/v1/messages{end}");
                check(Method::Post, &path, Ok((Endpoint::Messages, None, None)));
                let path = format!("{prefix}/v1/chat/completions{end}");
                check(Method::Post, &path, Ok((Endpoint::ChatCompletions, None, None)));
                check(Method::Post, &format!("{prefix}/v1/responses"), Ok((Endpoint::Responses, None, None)));
                let path = format!("/t/payments{prefix}/v1/messages/count_tokens{end}");
                check(Method::Post, &path, Ok((Endpoint::CountTokens, Some("payments"), None)));
            }
        }
        check(Method::Get, "/v1/models/claude-x", Ok((Endpoint::Models, None, Some("claude-x"))));
        check(Method::Head, "/api/hello", Ok((Endpoint::Hello, None, None)));
        check(Method::Head, "/t/a/api/hello", Ok((Endpoint::Hello, Some("a"), None)));
        check(Method::Get, "/readyz", Ok((Endpoint::Health, None, None)));
        check(Method::Get, "/admin/spend/", Ok((Endpoint::Admin, None, Some("spend"))));
    }

    #[test]
    fn addresses_of_clouds() {
        let check = |path: &str, endpoint, team, model| {
            let wanted = classify(Method::Post, path.as_bytes()).unwrap();
            let called = wanted.cloud.map(|called| called.model);
            assert_eq!((wanted.endpoint, wanted.team, called), (endpoint, team, Some(model)), "{path}");
        };
        check("/model/m%3A0/invoke", Endpoint::Messages, None, "m%3A0");
        check("/bedrock/model/m/count-tokens", Endpoint::CountTokens, None, "m");
        let models = "projects/p/locations/l/publishers/anthropic/models";
        check(&format!("/t/a/v1/{models}/m:rawPredict"), Endpoint::Messages, Some("a"), "m");
        check(&format!("/{models}/count-tokens:rawPredict"), Endpoint::CountTokens, None, "");
        let profiles = classify(Method::Get, b"/inference-profiles").unwrap();
        assert_eq!((profiles.endpoint, profiles.name), (Endpoint::Models, None));
        check_refused(Method::Get, "/model/m/invoke");
        check_refused(Method::Post, "/inference-profiles");
    }

    #[test]
    fn addresses_of_mcp() {
        let check = |method, path: &str, form, name| {
            let wanted = classify(method, path.as_bytes()).map(|wanted| (wanted.form, wanted.name));
            assert_eq!(wanted, Ok((form, name)), "{path}");
        };
        for team in ["", "/t/payments"] {
            check(Method::Post, &format!("{team}/mcp"), Form::Streamable, None);
            check(Method::Delete, &format!("{team}/mcp/"), Form::Streamable, None);
            check(Method::Get, &format!("{team}/mcp/github"), Form::Streamable, Some("github"));
            check(Method::Get, &format!("{team}/mcp/github/sse"), Form::SseStream, Some("github"));
            check(Method::Post, &format!("{team}/mcp/messages"), Form::SsePost, None);
        }
        for path in ["/mcpx", "/mcp//", "/mcp/a/b", "/mcp/a/sse/c", "/mcp//sse"] {
            assert_eq!(classify(Method::Get, path.as_bytes()), Err(Code::NotFound), "{path}");
        }
        check_refused(Method::Post, "/mcp/sse");
        check_refused(Method::Put, "/mcp");
    }

    fn check_refused(method: Method, path: &str) {
        assert_eq!(classify(method, path.as_bytes()), Err(Code::MethodNotAllowed), "{path}");
    }

    #[test]
    fn metadata_is_that_of_an_address_of_mcp() {
        let path = "/.well-known/oauth-protected-resource";
        for inner in ["", "/mcp", "/mcp/github", "/t/payments/mcp", "/t/payments/mcp/github"] {
            check(Method::Get, &format!("{path}{inner}"), Ok((Endpoint::WellKnown, None, Some(inner))));
        }
        for inner in
            ["x", "/", "/v1/messages", "/mcp/a/b", "/mcp/sse", "/.well-known/oauth-protected-resource/mcp"]
        {
            let path = format!("{path}{inner}");
            let found = classify(Method::Get, path.as_bytes());
            // A slash at the end of an address counts for nothing, here as anywhere.
            assert_eq!(found.is_ok(), inner == "/", "{inner}");
        }
        check(Method::Post, &format!("{path}/mcp"), Err(Code::MethodNotAllowed));
    }

    #[test]
    fn what_is_not_there() {
        for path in [
            "/",
            "",
            "/v1",
            "/v1/messages/x",
            "/t/",
            "/t//v1/messages",
            "/anthropicv1/messages",
            "/v1/models//",
        ] {
            let method = if path == "/v1/models//" { Method::Post } else { Method::Get };
            assert!(classify(method, path.as_bytes()).is_err(), "{path}");
        }
        check(Method::Get, "/v1/messages", Err(Code::MethodNotAllowed));
        check(Method::Post, "/t/team/metrics", Err(Code::NotFound));
        for path in ["/admin", "/admin/", "/t/team/admin/spend", "/anthropic/admin/spend"] {
            check(Method::Get, path, Err(Code::NotFound));
        }
        check(Method::Post, "/admin/keys", Ok((Endpoint::Admin, None, Some("keys"))));
        check(Method::Post, "/\u{fe}", Err(Code::NotFound));
    }
}
