//! HTTP APIs that are no MCP servers: their documents, and one request with its answer for each call.

use std::rc::Rc;
use std::time::Duration;

use crate::limits::{self, Timeouts};
use crate::mcp::openapi::HttpRequest;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::Failure;
use crate::upstream::mcp::http::answer::{Answer, Content, Door, JSON, Request, Silence};
use crate::upstream::mcp::server::Remote;
use crate::upstream::pool::Pool;

/// An API as one thread talks to it. Connections come from the pool and go back to it.
#[derive(Debug)]
pub struct ApiLink {
    door: Door,
    deadline: Duration,
}

/// What an API has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAnswer {
    /// The status.
    pub status: u16,
    /// `Content-Type` without its parameters; empty when there is none.
    pub content_type: String,
    /// The body, or its beginning: then more than `limits::OPENAPI_RESULT_BYTES_MAX`.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
    /// Seconds that it is good for, by the `max-age` of its `Cache-Control`.
    pub max_age_s: Option<u64>,
}

impl ApiLink {
    /// A link to `remote`: where the paths of the API begin, or where its document is. A request has to be
    /// answered within `deadline`; of `timeouts` only the one for connecting counts here.
    pub fn new(pool: Rc<Pool>, remote: Remote, timeouts: Timeouts, deadline: Duration) -> Self {
        Self { door: Door::new(pool, remote, timeouts), deadline }
    }

    /// Makes a request, and reads as much of the answer as a model is shown. Dropping the future closes the
    /// connection. Only what reads is sent again when a kept connection turns out to be dead. Redirects are
    /// not followed, and no status is a failure.
    ///
    /// # Errors
    /// `Unreachable`, `Ended`, `TimedOut`, and `Garbage` for what is not HTTP.
    pub async fn call(&self, permit: &PlacedPermit, request: &HttpRequest) -> Result<ApiAnswer, Failure> {
        let path = format!("{}{}", self.door.remote.path, request.path_and_query);
        // What the config says of a header holds, whatever the document made an argument of.
        let fixed = &self.door.remote.headers;
        let is_free = |name: &str| !fixed.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let headers: Vec<_> = request.headers.iter().filter(|(name, _)| is_free(name)).cloned().collect();
        let first = |name: &str| {
            let found = request.headers.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.as_str())
        };
        let reads = matches!(request.method, "GET" | "HEAD");
        let carries = matches!(request.method, "POST" | "PUT" | "PATCH");
        let request = Request {
            method: request.method,
            path: &path,
            accept: first("accept").unwrap_or("*/*"),
            content_type: first("content-type").unwrap_or_default(),
            headers: &headers,
            last_event_id: None,
            // Some servers want to hear the length of nothing as well.
            body: request.body.as_deref().or_else(|| carries.then_some(b"".as_slice())),
            again: reads,
        };
        let mut silence = Silence::new(Some(self.deadline));
        let mut answer = self.door.ask_once(permit, &request, &mut silence).await?;
        let (body, whole) = self.read(&mut answer, &mut silence, limits::OPENAPI_RESULT_BYTES_MAX).await?;
        let content_type = match &answer.content {
            Content::Json => JSON.to_owned(),
            Content::Events => "text/event-stream".to_owned(),
            Content::Other(kind) => kind.clone(),
        };
        Ok(ApiAnswer { status: answer.status, content_type, body, whole, max_age_s: answer.max_age_s })
    }

    /// Fetches a document: the whole body, at most `limits::OPENAPI_BYTES_MAX`, of a successful GET.
    ///
    /// # Errors
    /// As `call`, and `Status`, `TooLarge`, or `Garbage` for what is no text.
    pub async fn document(&self, permit: &PlacedPermit) -> Result<String, Failure> {
        let request = Request {
            method: "GET",
            path: &self.door.remote.path,
            accept: JSON,
            content_type: "",
            headers: &[],
            last_event_id: None,
            body: None,
            again: true,
        };
        let mut silence = Silence::new(Some(self.deadline));
        let mut answer = self.door.ask(permit, &request, &mut silence).await?;
        if !answer.is_success() {
            let body = answer.read_off(&self.door.pool).await;
            return Err(answer.as_failure(&body));
        }
        let most = usize::try_from(limits::OPENAPI_BYTES_MAX).unwrap_or(usize::MAX);
        let (body, whole) = self.read(&mut answer, &mut silence, most).await?;
        if !whole || body.len() > most {
            return Err(Failure::TooLarge);
        }
        String::from_utf8(body)
            .map_err(|_broken| Failure::Garbage("the document is not UTF-8 text".to_owned()))
    }

    /// Reads a body until it ends or has more than `most` bytes; whether it has ended. Then its connection is
    /// kept.
    async fn read(
        &self,
        answer: &mut Answer,
        silence: &mut Silence,
        most: usize,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let mut body = Vec::new();
        while !answer.has_ended() && body.len() <= most {
            answer.more(silence, |bytes| body.extend_from_slice(bytes)).await?;
        }
        answer.give_back(&self.door.pool);
        Ok((body, answer.has_ended()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::mcp::scripted::{SOON, Seen, Server, Step, answer, on_each, send};

    fn wanted(method: &'static str, headers: &[(&str, &str)], body: Option<&[u8]>) -> HttpRequest {
        HttpRequest {
            method,
            path_and_query: "/pets?limit=2".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.map(<[u8]>::to_vec),
        }
    }

    async fn asked(
        pool: &Rc<Pool>,
        request: &HttpRequest,
        steps: Vec<Step>,
    ) -> (String, Result<ApiAnswer, Failure>) {
        let server = Server::start(vec![steps]);
        let link = ApiLink::new(Rc::clone(pool), server.remote("/v1"), Timeouts::default(), SOON);
        let answered = link.call(&PlacedPermit::own(), request).await;
        (server.request().await, answered)
    }

    #[test]
    fn a_call_is_one_request_below_the_base() {
        on_each(async |pool| {
            let json = answer(201, "content-type: application/json; charset=utf-8\r\n", "{}");
            let given =
                [("accept", "text/x"), ("content-type", "application/merge-patch+json"), ("x-a", "1")];
            let (seen, answered) =
                asked(&pool, &wanted("PATCH", &given, Some(b"{}")), vec![Step::Read, json]).await;
            assert!(seen.starts_with("PATCH /v1/pets?limit=2 HTTP/1.1\r\n"), "{seen}");
            for line in ["accept: text/x", "content-type: application/merge-patch+json", "x-a: 1"] {
                assert_eq!(seen.matches(&format!("\r\n{line}\r\n")).count(), 1, "{seen}");
            }
            let answered = answered.unwrap();
            assert_eq!((answered.status, answered.content_type.as_str()), (201, "application/json"));
            assert_eq!((answered.body.as_slice(), answered.whole), (b"{}".as_slice(), true));
            let elsewhere = answer(307, "location: /v1/other\r\n", "");
            let (_, answered) = asked(&pool, &wanted("POST", &[], None), vec![Step::Read, elsewhere]).await;
            assert_eq!(answered.unwrap().status, 307, "the document says where operations are, nobody else");
        });
    }

    #[test]
    fn a_post_of_nothing_says_so_and_an_answer_to_head_has_no_body() {
        on_each(async |pool| {
            let (seen, _) =
                asked(&pool, &wanted("POST", &[], None), vec![Step::Read, answer(204, "", "")]).await;
            assert!(seen.contains("content-length: 0\r\n") && !seen.contains("content-type"), "{seen}");
            let head = send("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
            let (_, answered) =
                asked(&pool, &wanted("HEAD", &[], None), vec![Step::Read, head, Step::Hang]).await;
            assert_eq!(answered.unwrap().body, b"");
        });
    }

    #[test]
    fn what_the_config_sets_no_argument_replaces() {
        on_each(async |pool| {
            let server = Server::start(vec![vec![Step::Read, answer(200, "", "")]]);
            let mut remote = server.remote("");
            remote.headers = vec![("x-tenant".to_owned(), crate::secret::Secret::new("ours"))];
            let link = ApiLink::new(Rc::clone(&pool), remote, Timeouts::default(), SOON);
            link.call(&PlacedPermit::own(), &wanted("GET", &[("x-tenant", "theirs")], None)).await.unwrap();
            let seen = server.request().await;
            assert!(seen.contains("\r\nx-tenant: ours\r\n") && !seen.contains("theirs"), "{seen}");
        });
    }

    #[test]
    fn a_huge_answer_is_read_no_further_than_it_is_shown() {
        on_each(async |pool| {
            let body = "x".repeat(limits::OPENAPI_RESULT_BYTES_MAX * 8);
            let steps = vec![Step::Read, answer(200, "", &body), Step::Note];
            let (_, answered) = asked(&pool, &wanted("GET", &[], None), steps).await;
            let answered = answered.unwrap();
            assert!(!answered.whole && answered.body.len() > limits::OPENAPI_RESULT_BYTES_MAX);
            assert!(answered.body.len() < limits::OPENAPI_RESULT_BYTES_MAX * 2);
        });
    }

    #[test]
    fn a_caller_who_leaves_takes_the_connection_along() {
        on_each(async |pool| {
            let server = Server::start(vec![vec![Step::Read, Step::Hang]]);
            let link = ApiLink::new(Rc::clone(&pool), server.remote(""), Timeouts::default(), SOON);
            let wanted = wanted("GET", &[], None);
            let permit = PlacedPermit::own();
            let left = tokio::time::timeout(Duration::from_millis(100), link.call(&permit, &wanted)).await;
            assert!(left.is_err());
            assert!(matches!(server.seen().await, Seen::Request(_)));
            assert_eq!(server.seen().await, Seen::Closed);
        });
    }

    #[test]
    fn a_document_is_whole_text_or_nothing() {
        on_each(async |pool| {
            let fetched = async |step: Step| {
                let server = Server::start(vec![vec![Step::Read, step]]);
                let link = ApiLink::new(Rc::clone(&pool), server.remote("/spec"), Timeouts::default(), SOON);
                link.document(&PlacedPermit::own()).await
            };
            assert_eq!(fetched(answer(200, "", "{}")).await.unwrap(), "{}");
            let failed = fetched(answer(500, "", "oops")).await;
            assert!(matches!(failed, Err(Failure::Status { status: 500, .. })), "{failed:?}");
            let failed =
                fetched(Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xff".to_vec())).await;
            assert!(matches!(failed, Err(Failure::Garbage(_))), "{failed:?}");
            let broken = fetched(send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}")).await;
            assert!(matches!(broken, Err(Failure::Ended)), "{broken:?}");
        });
    }
}
