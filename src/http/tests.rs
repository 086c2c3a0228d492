//! Heads, bodies and their encoding: every refusal with its legal twin, every split with the same result.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::corpus::replay;
use crate::http::body::{BodyFault, Decoded, Decoder};
use crate::http::encode::{
    CHUNK_END, CHUNK_HEADROOM, Fields, LAST_CHUNK, RelayedResponse, UpstreamRequest, chunk_prefix, own_head,
    own_response, put_chunk_prefix_before, reason, request_head, response_head,
};
use crate::http::fuzz;
use crate::http::head::{Framing, Method, Progress, RequestHead, ResponseHead, Version};
use crate::http::headers::{Listed, crosses_to_caller, crosses_to_upstream};
use crate::http::refusal::Refusal;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX, TRAILER_BYTES_MAX};

fn parse(buf: &[u8]) -> Result<RequestHead, Refusal> {
    let mut head = RequestHead::new();
    match head.parse(buf)? {
        Progress::Complete => Ok(head),
        Progress::Partial => panic!("partial: {}", String::from_utf8_lossy(buf)),
    }
}

fn parse_response(buf: &[u8]) -> Result<ResponseHead, Refusal> {
    let mut head = ResponseHead::new();
    assert_eq!(head.parse(buf, false)?, Progress::Complete, "{}", String::from_utf8_lossy(buf));
    Ok(head)
}

/// A POST with these header lines, each with its own line end, beside `Host`.
fn post(lines: &str) -> Vec<u8> {
    format!("POST /v1/messages HTTP/1.1\r\nHost: gate\r\n{lines}\r\n").into_bytes()
}

fn answer(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes()
}

#[track_caller]
fn refused(buf: impl AsRef<[u8]>, refusal: Refusal, status: u16) {
    let buf = buf.as_ref();
    assert_eq!(parse(buf).map(|_| ()), Err(refusal), "{}", String::from_utf8_lossy(buf));
    assert_eq!(refusal.code().status(), status);
}

#[track_caller]
fn taken(buf: impl AsRef<[u8]>) -> RequestHead {
    let buf = buf.as_ref();
    let head = parse(buf).unwrap_or_else(|refusal| panic!("{refusal:?}: {}", String::from_utf8_lossy(buf)));
    assert_eq!(head.bytes, buf.len());
    head
}

#[test]
fn a_request_of_claude_code() {
    let buf = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/request_head/claude_code"))
        .expect("a seed");
    let head = parse(&buf).expect("a good head");
    assert_eq!(&buf[head.bytes..], b"{}");
    assert_eq!((head.method, head.version), (Method::Post, Version::Http11));
    assert_eq!(head.method_name.get(&buf), b"POST");
    assert_eq!(head.path_and_query(&buf), (&b"/v1/messages"[..], Some(&b"beta=true"[..])));
    assert_eq!(head.framing, Framing::Length(2));
    assert!(head.keep_alive && !head.expect_continue);
    assert_eq!(head.headers.len(), 11);
    assert_eq!(head.headers.first(&buf, "anthropic-VERSION"), Some(&b"2023-06-01"[..]));
    assert_eq!(head.headers.first(&buf, "anthropic"), None);
    assert_eq!(
        head.headers.iter(&buf).nth(4),
        Some((&b"X-Claude-Code-Session-Id"[..], &b"5f0c"[..])),
        "name case is kept"
    );
}

#[test]
fn request_lines() {
    let with = |line: &str| format!("{line}\r\nHost: gate\r\n\r\n");
    let refusals = [
        ("GET  / HTTP/1.1", Refusal::BadRequestLine, 400),
        ("GET /  HTTP/1.1", Refusal::BadRequestLine, 400),
        ("GET / HTTP/1.1 ", Refusal::BadRequestLine, 400),
        ("GET\t/ HTTP/1.1", Refusal::BadRequestLine, 400),
        ("GET /", Refusal::BadRequestLine, 400),
        ("GET", Refusal::BadRequestLine, 400),
        (" GET / HTTP/1.1", Refusal::BadRequestLine, 400),
        ("G(T / HTTP/1.1", Refusal::BadRequestLine, 400),
        ("GET / http/1.1", Refusal::BadRequestLine, 400),
        ("GET /a b HTTP/1.1", Refusal::BadRequestLine, 400),
        ("\r\n\r\nGET / HTTP/1.1", Refusal::BadRequestLine, 400),
        ("GET / HTTP/2.0", Refusal::UnsupportedVersion, 505),
        ("GET / HTTP/0.9", Refusal::UnsupportedVersion, 505),
        ("GET / HTTP/1.2", Refusal::UnsupportedVersion, 505),
        ("PRI * HTTP/2.0", Refusal::UnsupportedVersion, 505),
        ("GET http://gate/ HTTP/1.1", Refusal::AbsoluteTarget, 400),
        ("GET gate:443 HTTP/1.1", Refusal::AuthorityTarget, 400),
        ("GET v1/messages HTTP/1.1", Refusal::AuthorityTarget, 400),
        ("OPTIONS * HTTP/1.1", Refusal::AsteriskTarget, 400),
        ("CONNECT gate:443 HTTP/1.1", Refusal::Connect, 501),
        ("CONNECT / HTTP/1.1", Refusal::Connect, 501),
        ("GET /a#b HTTP/1.1", Refusal::BadTarget, 400),
        ("GET /\u{e9} HTTP/1.1", Refusal::BadTarget, 400),
        ("GET /\x01 HTTP/1.1", Refusal::BadTarget, 400),
        ("GET /\x7f HTTP/1.1", Refusal::BadTarget, 400),
    ];
    for (line, refusal, status) in refusals {
        refused(with(line), refusal, status);
    }
    assert_eq!(taken(with("GET / HTTP/1.1")).method, Method::Get);
    assert_eq!(taken(with("OPTIONS /v1/models HTTP/1.1")).method, Method::Options);
    assert_eq!(taken(with("connect / HTTP/1.1")).method, Method::Other);
    assert_eq!(taken(with("\r\nGET /?u=http://gate/ HTTP/1.1")).method, Method::Get);
    assert_eq!(taken("GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
    assert!(!taken("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

#[test]
fn line_ends_and_names() {
    let refusals = [
        ("X: 1\n", Refusal::BareLf),
        ("X: 1\r\n\n", Refusal::BareLf),
        ("X: 1\rY: 2\r\n", Refusal::BareCr),
        ("X: 1\r\r\n", Refusal::BareCr),
        ("X: 1\r\n\rY", Refusal::BareCr),
        ("X: \0\r\n", Refusal::Nul),
        ("X: 1\r\n folded\r\n", Refusal::ObsFold),
        ("X: 1\r\n\tfolded\r\n", Refusal::ObsFold),
        ("X : 1\r\n", Refusal::SpaceBeforeColon),
        ("X\t: 1\r\n", Refusal::SpaceBeforeColon),
        ("Y: 2\r\nTransfer-Encoding : chunked\r\n", Refusal::SpaceBeforeColon),
        ("X Y: 1\r\n", Refusal::BadHeaderName),
        (": 1\r\n", Refusal::BadHeaderName),
        ("X\r\n", Refusal::BadHeaderName),
        ("X\u{e9}: 1\r\n", Refusal::BadHeaderName),
        ("X\x0b: 1\r\n", Refusal::BadHeaderName),
        ("X: \x0b1\r\n", Refusal::BadHeaderValue),
        ("X: 1\x7f\r\n", Refusal::BadHeaderValue),
    ];
    for (lines, refusal) in refusals {
        refused(post(lines), refusal, 400);
        let upstream = parse_response(&answer(lines)).map(|_| ());
        assert_eq!(upstream, Err(refusal), "as an answer: {lines:?}");
    }
    refused("GET / HTTP/1.1\r\n Host: gate\r\n\r\n", Refusal::ObsFold, 400);
    let buf = post("X:\t 1 \u{e9}\t 2 \t\r\nEmpty:\r\n");
    let head = taken(&buf);
    assert_eq!(head.headers.first(&buf, "x"), Some("1 \u{e9}\t 2".as_bytes()));
    assert_eq!(head.headers.first(&buf, "empty"), Some(&b""[..]));
}

#[test]
fn hosts_and_expectations() {
    let with = |lines: &str| format!("POST / HTTP/1.1\r\n{lines}\r\n");
    refused(with(""), Refusal::MissingHost, 400);
    refused(with("Host: a\r\nhost: a\r\n"), Refusal::RepeatedHost, 400);
    for host in ["", "a b", "a/b", "a@b", "a,b", "a\u{e9}"] {
        refused(with(&format!("Host: {host}\r\n")), Refusal::BadHost, 400);
    }
    for host in ["a", "127.0.0.1:4000", "[::1]:80", "my_host.example."] {
        taken(with(&format!("Host: {host}\r\n")));
    }
    refused(post("Expect: 200-ok\r\n"), Refusal::UnknownExpectation, 417);
    refused(post("Expect: 100-continue, x\r\n"), Refusal::UnknownExpectation, 417);
    assert!(taken(post("Expect: 100-Continue\r\nContent-Length: 1\r\n")).expect_continue);
    assert!(!taken(post("Expect: 100-continue\r\nContent-Length: 0\r\n")).expect_continue);
    assert!(!taken("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").expect_continue);
}

#[test]
fn smuggled_framing() {
    let refusals = [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Refusal::RepeatedContentLength, 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", Refusal::RepeatedContentLength, 400),
        ("Content-Length: 5, 5\r\n", Refusal::RepeatedContentLength, 400),
        ("Content-Length: +5\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: -5\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: 0x5\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: 5 5\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: 5;\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: 5a\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: \u{665}\r\n", Refusal::BadContentLength, 400),
        ("Content-Length:\r\n", Refusal::BadContentLength, 400),
        ("Content-Length:\t5\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: 18446744073709551616\r\n", Refusal::BadContentLength, 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Refusal::LengthAndTransferEncoding, 400),
        ("Transfer-Encoding: chunked\r\nContent-length: 0\r\n", Refusal::LengthAndTransferEncoding, 400),
        ("Transfer-Encoding: xchunked\r\n", Refusal::UnknownTransferCoding, 501),
        ("Transfer-Encoding: chunkedx\r\n", Refusal::UnknownTransferCoding, 501),
        ("Transfer-Encoding: \"chunked\"\r\n", Refusal::UnknownTransferCoding, 501),
        ("Transfer-Encoding: chunked;q=1\r\n", Refusal::UnknownTransferCoding, 501),
        ("Transfer-Encoding: identity\r\n", Refusal::UnknownTransferCoding, 501),
        ("Transfer-Encoding: gzip, chunked\r\n", Refusal::UnknownTransferCoding, 501),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Refusal::UnknownTransferCoding, 501),
        ("Transfer-Encoding: chunked, identity\r\n", Refusal::ChunkedNotOnceAndLast, 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", Refusal::ChunkedNotOnceAndLast, 400),
        ("Transfer-Encoding: chunked, chunked\r\n", Refusal::ChunkedNotOnceAndLast, 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Refusal::ChunkedNotOnceAndLast, 400),
        ("Transfer-Encoding:\r\n", Refusal::BadTransferEncoding, 400),
        ("Transfer-Encoding: chunked,\r\n", Refusal::BadTransferEncoding, 400),
        ("Transfer-Encoding:\tchunked\r\n", Refusal::BadTransferEncoding, 400),
        ("Transfer-Encoding: chunked\t\r\n", Refusal::BadTransferEncoding, 400),
        ("Transfer-Encoding: \x0bchunked\r\n", Refusal::BadHeaderValue, 400),
        ("Transfer-Encoding:\r\n chunked\r\n", Refusal::ObsFold, 400),
        ("Transfer Encoding: chunked\r\n", Refusal::BadHeaderName, 400),
        ("Content-Length : 5\r\n", Refusal::SpaceBeforeColon, 400),
    ];
    for (lines, refusal, status) in refusals {
        refused(post(lines), refusal, status);
        if lines != "Content-Length: 5\r\nContent-Length: 5\r\n" {
            assert_eq!(parse_response(&answer(lines)).map(|_| ()), Err(refusal), "as an answer: {lines:?}");
        }
    }
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::TransferEncodingOnHttp10, 400);
    assert_eq!(taken(post("")).framing, Framing::None);
    assert_eq!(taken(post("Content-Length: 0\r\n")).framing, Framing::Length(0));
    assert_eq!(taken(post("Content-Length:5 \r\n")).framing, Framing::Length(5));
    assert_eq!(taken(post("content-length: 18446744073709551615\r\n")).framing, Framing::Length(u64::MAX));
    assert_eq!(taken(post("Transfer-Encoding: Chunked\r\n")).framing, Framing::Chunked);
    assert_eq!(taken(post("X-Transfer-Encoding: gzip\r\n")).framing, Framing::None);
}

#[test]
fn bounds_of_heads() {
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "p".repeat(bytes - 1));
    taken(target(TARGET_BYTES_MAX));
    refused(target(TARGET_BYTES_MAX + 1), Refusal::TargetTooLong, 414);
    refused(target(TARGET_BYTES_MAX + 100), Refusal::TargetTooLong, 414);
    refused(vec![b'a'; TARGET_BYTES_MAX + 65], Refusal::TargetTooLong, 414);
    let mut head = RequestHead::new();
    assert_eq!(head.parse(&vec![b'a'; TARGET_BYTES_MAX + 64]), Ok(Progress::Partial));

    let frame = post("X: \r\n").len();
    let filled = |bytes: usize| post(&format!("X: {}\r\n", "v".repeat(bytes - frame)));
    taken(filled(HEAD_BYTES_MAX));
    refused(filled(HEAD_BYTES_MAX + 1), Refusal::HeadTooLarge, 431);
    let large = filled(2 * HEAD_BYTES_MAX);
    assert_eq!(head.parse(&large[..HEAD_BYTES_MAX - 1]), Ok(Progress::Partial));
    assert_eq!(head.parse(&large[..HEAD_BYTES_MAX]), Err(Refusal::HeadTooLarge));
    assert_eq!(
        parse_response(&answer(&format!("X: {}\r\n", "v".repeat(HEAD_BYTES_MAX)))).map(|_| ()),
        Err(Refusal::HeadTooLarge)
    );

    assert_eq!(taken(post(&"X: 1\r\n".repeat(HEADERS_MAX - 1))).headers.len(), HEADERS_MAX);
    refused(post(&"X: 1\r\n".repeat(HEADERS_MAX)), Refusal::TooManyHeaders, 431);
    let options = |count: usize| post(&format!("Connection: a{}\r\n", ",a".repeat(count - 1)));
    taken(options(16));
    refused(options(17), Refusal::TooManyOptions, 431);
}

#[test]
fn texts_name_the_bounds_that_hold() {
    assert!(Refusal::HeadTooLarge.text().contains(&format!("{} KiB", HEAD_BYTES_MAX / 1024)));
    assert!(Refusal::TargetTooLong.text().contains(&format!("{} KiB", TARGET_BYTES_MAX / 1024)));
    assert!(Refusal::TooManyHeaders.text().contains(&HEADERS_MAX.to_string()));
    assert!(BodyFault::TrailerTooLarge.text().contains(&format!("{} KiB", TRAILER_BYTES_MAX / 1024)));
    for refusal in Refusal::ALL {
        assert!(refusal.text().len() > 20 && refusal.code().status() >= 400);
    }
}

#[test]
fn a_head_that_comes_byte_by_byte() {
    let buf = post("Accept: */*\r\nContent-Length: 3\r\nConnection: close\r\n");
    let (mut whole, mut head) = (RequestHead::new(), RequestHead::new());
    assert_eq!(whole.parse(&buf), Ok(Progress::Complete));
    for cut in 0..buf.len() {
        assert_eq!(head.parse(&buf[..cut]), Ok(Progress::Partial), "at {cut}");
    }
    assert_eq!(head.parse(&buf), Ok(Progress::Complete));
    assert_eq!(format!("{head:?}"), format!("{whole:?}"));
    let first = head.headers.spans().as_ptr();
    assert_eq!(head.parse(&post("A: 1\r\n")), Ok(Progress::Complete));
    assert_eq!(head.headers.spans().as_ptr(), first, "the list is reused");
    assert!(head.keep_alive && head.framing == Framing::None, "nothing is left of the request before");
}

#[test]
fn answers_and_their_framing() {
    let framing = |status: u16, lines: &str, to_head: bool| {
        let mut head = ResponseHead::new();
        let buf = format!("HTTP/1.1 {status} Reason\r\n{lines}\r\n");
        assert_eq!(head.parse(buf.as_bytes(), to_head), Ok(Progress::Complete), "{buf}");
        assert_eq!((head.status, head.reason.get(buf.as_bytes())), (status, &b"Reason"[..]));
        (head.framing, head.keep_alive)
    };
    assert_eq!(framing(200, "", false), (Framing::UntilClose, false));
    assert_eq!(framing(200, "", true), (Framing::None, true));
    assert_eq!(framing(200, "Content-Length: 7\r\n", false), (Framing::Length(7), true));
    assert_eq!(framing(200, "Content-Length: 7\r\nContent-Length: 7\r\n", false).0, Framing::Length(7));
    assert_eq!(framing(200, "Content-Length: 7\r\n", true).0, Framing::None);
    assert_eq!(framing(529, "Transfer-Encoding: chunked\r\n", false), (Framing::Chunked, true));
    assert!(!framing(200, "Content-Length: 7\r\nConnection: x, Close\r\n", false).1);
    for status in [100, 103, 204, 304] {
        assert_eq!(framing(status, "Content-Length: 7\r\n", false).0, Framing::None, "{status}");
    }
    let old = parse_response(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").expect("a good head");
    assert_eq!((old.version, old.framing, old.keep_alive), (Version::Http10, Framing::Length(1), false));
    assert!(parse_response(b"HTTP/1.1 100\r\n\r\n").expect("a good head").is_interim());
    assert!(!parse_response(b"HTTP/1.1 200 \r\n\r\n").expect("a good head").is_interim());
}

#[test]
fn answers_that_are_refused() {
    let refusals: [(&[u8], Refusal); 11] = [
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", Refusal::BadStatusLine),
        (b"{\"error\":1}", Refusal::BadStatusLine),
        (b"HTTP/1.1 099 Low\r\n\r\n", Refusal::BadStatusLine),
        (b"HTTP/1.1 600 High\r\n\r\n", Refusal::BadStatusLine),
        (b"HTTP/1.1 20 OK\r\n\r\n", Refusal::BadStatusLine),
        (b"HTTP/1.1 2000 OK\r\n\r\n", Refusal::BadStatusLine),
        (b"HTTP/1.1  200 OK\r\n\r\n", Refusal::BadStatusLine),
        (b"HTTQ/1.1 200 OK\r\n\r\n", Refusal::BadStatusLine),
        (b"HTTP/2 200\r\n\r\n", Refusal::UnsupportedVersion),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", Refusal::UnexpectedUpgrade),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::TransferEncodingOnHttp10),
    ];
    for (buf, refusal) in refusals {
        assert_eq!(parse_response(buf).map(|_| ()), Err(refusal), "{}", String::from_utf8_lossy(buf));
    }
}

#[test]
fn what_crosses() {
    let both = "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer \
                transfer-encoding upgrade content-length x-tollgate-key X-Tollgate-Anything";
    let upstream = "host expect accept-encoding authorization x-api-key cookie forwarded x-forwarded-for \
                    X-Forwarded-Proto x-real-ip via";
    let caller = "set-cookie alt-svc strict-transport-security anthropic-ratelimit-requests-limit \
                  Anthropic-RateLimit-Unified-Status";
    let crossing = "anthropic-version anthropic-beta X-Stainless-Lang x-claude-code-session-id user-agent \
                    accept content-type x-forwarded x-api-keys tea hosts date server request-id retry-after \
                    x-should-retry content-encoding mcp-session-id cf-ray t x";
    let stays = |names: &str, to_upstream: bool, to_caller: bool| {
        for name in names.split_whitespace() {
            for name in [name.to_lowercase(), name.to_uppercase(), name.to_owned()] {
                let name = name.as_bytes();
                assert_eq!(crosses_to_upstream(name, &Listed::NONE), to_upstream, "{names:?}");
                assert_eq!(crosses_to_caller(name, &Listed::NONE), to_caller, "{names:?}");
            }
        }
    };
    stays(both, false, false);
    stays(upstream, false, true);
    stays(caller, true, false);
    stays(crossing, true, true);
}

#[test]
fn names_listed_in_connection_stay() {
    let buf =
        post("Connection: Keep-Alive\r\nConnection: X-Hop , other\r\nx-hop: 1\r\nOTHER: 2\r\nX-Hope: 3\r\n");
    let head = taken(&buf);
    let listed = head.headers.listed(&buf);
    assert!(!crosses_to_upstream(b"x-hop", &listed) && !crosses_to_caller(b"other", &listed));
    assert!(crosses_to_upstream(b"x-hope", &listed));
    let plain = post("Connection: keep-alive\r\n");
    assert!(!taken(&plain).headers.listed(&plain).contains(b"x-hop"));
}

#[test]
fn a_request_goes_out_as_it_came() {
    let buf = post(
        "Accept:  application/json\r\nAuthorization: Bearer tg-secret\r\nX-Api-Key: tg-secret\r\n\
         Anthropic-Version:2023-06-01 \r\nX-App: cli\r\nX-GOOG-api-key: mine\r\n\
         Connection: x-hop\r\nX-Hop: 1\r\n\
         anthropic-beta: a,b\r\nContent-Length: 999\r\nX-Last: \u{e9}\r\n",
    );
    let head = taken(&buf);
    let mut out = b"before".to_vec();
    let request = UpstreamRequest {
        method: "POST",
        path: &[b"/base path", b"/v1/messages"],
        query: Some(b"beta=true"),
        host: "api.example",
        credential: Some(("x-goog-api-key", "sk\r\nX-Evil: 1")),
        extra: &[("x-more", b"1")],
        content_length: Some(18_446_744_073_709_551_615),
    };
    request_head(&mut out, &request, Fields { headers: &head.headers, buf: &buf });
    let expected = "beforePOST /base%20path/v1/messages?beta=true HTTP/1.1\r\nhost: api.example\r\n\
                    Accept:  application/json\r\nAnthropic-Version:2023-06-01 \r\nX-App: cli\r\n\
                    anthropic-beta: a,b\r\nX-Last: \u{e9}\r\nx-goog-api-key: sk  X-Evil: 1\r\nx-more: 1\r\n\
                    accept-encoding: identity\r\ncontent-length: 18446744073709551615\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);

    out.clear();
    let request = UpstreamRequest {
        method: "GET",
        path: &[b"/v1/models"],
        query: None,
        credential: None,
        extra: &[],
        content_length: None,
        ..request
    };
    request_head(&mut out, &request, Fields::NONE);
    assert_eq!(out, b"GET /v1/models HTTP/1.1\r\nhost: api.example\r\naccept-encoding: identity\r\n\r\n");
}

#[test]
fn an_answer_goes_back_as_it_came() {
    let buf = answer(
        "Date: now\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\nrequest-id: req_1\r\nCF-Ray: 7\r\n",
    );
    let head = parse_response(&buf).expect("a good head");
    let fields = Fields { headers: &head.headers, buf: &buf };
    let relay = |framing, close| {
        let mut out = Vec::new();
        let reason = head.reason.get(&buf);
        let extra: &[(&str, &[u8])] = &[("x-tollgate-request-id", b"c1")];
        response_head(&mut out, &RelayedResponse { status: 200, reason, framing, close, extra }, fields);
        String::from_utf8(out).expect("ASCII")
    };
    let begin =
        "HTTP/1.1 200 OK\r\nDate: now\r\nrequest-id: req_1\r\nCF-Ray: 7\r\nx-tollgate-request-id: c1\r\n";
    assert_eq!(relay(Framing::Chunked, false), format!("{begin}transfer-encoding: chunked\r\n\r\n"));
    assert_eq!(relay(Framing::Length(0), false), format!("{begin}content-length: 0\r\n\r\n"));
    assert_eq!(
        relay(Framing::Length(5), true),
        format!("{begin}content-length: 5\r\nconnection: close\r\n\r\n")
    );
    assert_eq!(relay(Framing::UntilClose, false), format!("{begin}connection: close\r\n\r\n"));
    assert_eq!(relay(Framing::None, false), format!("{begin}\r\n"));
}

#[test]
fn answers_of_our_own() {
    let mut out = Vec::new();
    own_response(&mut out, 401, "application/json", &[("x-should-retry", b"false")], b"{}");
    let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                x-should-retry: false\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), format!("{head}{{}}"));
    out.clear();
    own_head(&mut out, 401, "application/json", &[("x-should-retry", b"false")], 2);
    assert_eq!(String::from_utf8_lossy(&out), head, "HEAD is told the length that GET would get");
    out.clear();
    own_response(&mut out, 204, "text/plain", &[], b"lost");
    assert_eq!(out, b"HTTP/1.1 204 No Content\r\n\r\n");
    for code in crate::error::Code::ALL {
        assert!(!reason(code.status()).is_empty(), "{code:?}");
    }
}

/// Decodes `wire` in pieces of the given lengths, over and over, and says how much of it was used.
fn decode(framing: Framing, wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), BodyFault> {
    let mut decoder = Decoder::new(framing);
    let (mut content, mut used) = (Vec::new(), 0);
    let mut cuts = cuts.iter().copied().cycle();
    while used < wire.len() && !decoder.at_end() {
        let take = cuts.next().expect("cuts").clamp(1, wire.len() - used);
        let mut raw = wire[used..used + take].to_vec();
        let found = decoder.decode(&mut raw)?;
        content.extend_from_slice(&raw[found.body]);
        used += found.consumed;
        assert!(found.done || found.consumed == take);
    }
    Ok((content, used, decoder.at_end()))
}

#[test]
fn chunked_bodies() {
    let good: [(&str, &str); 6] = [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("A\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
        ("1;a=b;c=\"d;e\"\r\nx\r\n1 ;a\r\ny\r\n0;last\r\n\r\n", "xy"),
        ("1\r\nx\r\n0\r\nSum: 1\r\nContent-Length: 9\r\n\r\n", "x"),
        ("2\r\n\r\n\r\n3\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n"),
    ];
    for (wire, content) in good {
        let pipelined = format!("{wire}GET / HTTP/1.1\r\n");
        for cut in 1..=pipelined.len() {
            let result = decode(Framing::Chunked, pipelined.as_bytes(), &[cut]);
            assert_eq!(result, Ok((content.into(), wire.len(), true)), "{wire:?} by {cut}");
        }
    }
}

#[test]
fn chunked_bodies_that_are_refused() {
    let long_line = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(253));
    let many_zeros = format!("{}1\r\n", "0".repeat(254));
    let trailer = |bytes: usize| format!("0\r\nX: {}\r\n\r\n", "v".repeat(bytes - 7));
    let long_trailer = trailer(TRAILER_BYTES_MAX + 1);
    let all_framing = format!("1;{}\r\nx\r\n", "e".repeat(200)).repeat(100);
    let cases: [(&str, BodyFault); 28] = [
        ("\r\n", BodyFault::BadChunkSize),
        ("g\r\n", BodyFault::BadChunkSize),
        ("-1\r\n", BodyFault::BadChunkSize),
        ("+1\r\n", BodyFault::BadChunkSize),
        (" 1\r\n", BodyFault::BadChunkSize),
        ("0x1\r\n", BodyFault::BadChunkSize),
        (";a\r\n", BodyFault::BadChunkSize),
        ("1_0\r\n", BodyFault::BadChunkSize),
        ("1 \r\nx\r\n", BodyFault::BadChunkSize),
        ("1 2\r\n", BodyFault::BadChunkSize),
        ("10000000000000000\r\n", BodyFault::ChunkSizeOverflow),
        ("1\nx\r\n", BodyFault::BareLineEnd),
        ("\n", BodyFault::BareLineEnd),
        ("1;a\nx\r\n", BodyFault::BareLineEnd),
        ("1\rx\r\n", BodyFault::BareLineEnd),
        ("1;a\0\r\nx\r\n", BodyFault::BadChunkExtension),
        ("1\r\nxy\r\n", BodyFault::BadChunkEnd),
        ("1\r\nx\n0\r\n\r\n", BodyFault::BadChunkEnd),
        ("1\r\nx\r0\r\n\r\n", BodyFault::BadChunkEnd),
        ("0\r\n\n", BodyFault::BareLineEnd),
        ("0\r\n\rX", BodyFault::BareLineEnd),
        ("0\r\nX: 1\n\r\n", BodyFault::BareLineEnd),
        ("0\r\nX: 1\0\r\n\r\n", BodyFault::BadTrailer),
        ("0\r\nX: 1\r\n folded\r\n\r\n", BodyFault::BadTrailer),
        (&long_line, BodyFault::ChunkLineTooLong),
        (&many_zeros, BodyFault::ChunkLineTooLong),
        (&long_trailer, BodyFault::TrailerTooLarge),
        (&all_framing, BodyFault::TooMuchFraming),
    ];
    for (wire, fault) in cases {
        for cut in [1, 2, 3, wire.len()] {
            assert_eq!(decode(Framing::Chunked, wire.as_bytes(), &[cut]), Err(fault), "{wire:?} by {cut}");
        }
    }
    let line = "e".repeat(252);
    let fits = format!("1;{line}\r\nx\r\n1;{line}\r\ny\r\n0;{line}\r\n\r\n");
    assert_eq!(decode(Framing::Chunked, fits.as_bytes(), &[7]), Ok((b"xy".to_vec(), fits.len(), true)));
    let fits = trailer(TRAILER_BYTES_MAX);
    assert_eq!(decode(Framing::Chunked, fits.as_bytes(), &[7]), Ok((vec![], fits.len(), true)));
    let one_byte_chunks = "1\r\nx\r\n".repeat(20_000);
    let result = decode(Framing::Chunked, one_byte_chunks.as_bytes(), &[4096]);
    assert_eq!(result.map(|(content, ..)| content.len()), Ok(20_000));
}

#[test]
fn a_fault_stays() {
    let mut decoder = Decoder::new(Framing::Chunked);
    assert_eq!(decoder.decode(&mut b"x".to_vec()), Err(BodyFault::BadChunkSize));
    assert_eq!(decoder.decode(&mut b"0\r\n\r\n".to_vec()), Err(BodyFault::BadChunkSize));
    assert_eq!(decoder.on_eof(), Err(BodyFault::BadChunkSize));
    assert!(!decoder.at_end());
}

#[test]
fn content_is_moved_only_where_it_must() {
    let mut raw = b"4\r\nabcd\r\n2\r\nef\r\n3\r\nghi".to_vec();
    let found = Decoder::new(Framing::Chunked).decode(&mut raw).expect("good chunks");
    assert_eq!((found.body.clone(), &raw[found.body]), (3..12, &b"abcdefghi"[..]));
    let mut raw = b"4\r\nabcd\r\n0\r\n\r\nGET".to_vec();
    let found = Decoder::new(Framing::Chunked).decode(&mut raw);
    assert_eq!(found, Ok(Decoded { body: 3..7, consumed: 14, done: true }));
    assert_eq!(raw, b"4\r\nabcd\r\n0\r\n\r\nGET");
}

#[test]
fn bodies_of_known_and_unknown_length() {
    assert_eq!(decode(Framing::None, b"next", &[4]), Ok((vec![], 0, true)));
    assert_eq!(decode(Framing::Length(0), b"next", &[4]), Ok((vec![], 0, true)));
    assert_eq!(decode(Framing::Length(5), b"hellonext", &[2]), Ok((b"hello".to_vec(), 5, true)));
    assert_eq!(decode(Framing::Length(9), b"hello", &[3]), Ok((b"hello".to_vec(), 5, false)));
    assert_eq!(decode(Framing::UntilClose, b"all of it", &[3]), Ok((b"all of it".to_vec(), 9, false)));
    let mut decoder = Decoder::new(Framing::Length(5));
    assert_eq!((decoder.wants(), decoder.on_eof()), (Some(5), Err(BodyFault::Premature)));
    decoder.decode(&mut [0; 3]).expect("a part");
    assert_eq!(decoder.wants(), Some(2));
    decoder.decode(&mut [0; 3]).expect("the rest");
    assert_eq!((decoder.wants(), decoder.on_eof(), decoder.at_end()), (Some(0), Ok(()), true));
    assert_eq!(Decoder::new(Framing::UntilClose).on_eof(), Ok(()));
    assert_eq!(Decoder::new(Framing::Chunked).on_eof(), Err(BodyFault::Premature));
    assert_eq!(Decoder::new(Framing::Chunked).wants(), None);
}

#[test]
fn chunk_prefixes() {
    for (len, line) in [(0, "0\r\n"), (1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (16_384, "4000\r\n")] {
        assert_eq!(chunk_prefix(len).as_bytes(), line.as_bytes());
    }
    assert_eq!(chunk_prefix(usize::MAX).as_bytes().len(), CHUNK_HEADROOM);
    let mut buf = *b"..............------hello";
    assert_eq!(put_chunk_prefix_before(&mut buf, 20, 5), Some(17));
    assert_eq!(&buf, b"..............---5\r\nhello");
    assert_eq!(put_chunk_prefix_before(&mut buf, 2, 5), None);
    assert_eq!(put_chunk_prefix_before(&mut buf, 26, 5), None);
    assert_eq!(put_chunk_prefix_before(&mut buf, 20, 0), None, "that would end the body");
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("request_head", 6, fuzz::request_head);
    replay("response_head", 6, fuzz::response_head);
    replay("chunked", 6, fuzz::chunked);
}

/// Text that is nearly HTTP: random bytes alone never get past the first line.
fn nearly_http() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        proptest::sample::select(vec![
            "GET / HTTP/1.1",
            "POST /a?b HTTP/1.0",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 204",
            "\r\n",
            "\r\n",
            "\r\n\r\n",
            "\n",
            "\r",
            " ",
            "\t",
            "Host: a\r\n",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: x-a, close\r\n",
            "X-A: 1\r\n",
            "x-api-key: k\r\n",
            ":",
            ",",
            "5\r\nhello\r\n",
            "0\r\n",
            "1;a\r\nx\r\n",
            "\0",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        vec(any::<u8>(), 0..6),
    ];
    vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_breaks_what_must_hold(data in nearly_http()) {
        fuzz::request_head(&data);
        fuzz::response_head(&data);
        fuzz::chunked(&data);
    }

    #[test]
    fn heads_in_pieces(data in nearly_http()) {
        let data = [b"POST / HTTP/1.1\r\nHost: a\r\n", data.as_slice()].concat();
        let mut head = RequestHead::new();
        let whole = head.parse(&data);
        let mut pieces = Ok(Progress::Partial);
        for end in 0..=data.len() {
            pieces = head.parse(&data[..end]);
            if pieces != Ok(Progress::Partial) {
                break;
            }
        }
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn answers_in_pieces(data in nearly_http()) {
        let data = [b"HTTP/1.1 200 OK\r\n", data.as_slice()].concat();
        let mut head = ResponseHead::new();
        let whole = head.parse(&data, false);
        let mut pieces = (0..=data.len()).map(|end| head.parse(&data[..end], false));
        let decided = pieces.find(|result| *result != Ok(Progress::Partial));
        prop_assert_eq!(decided.unwrap_or(Ok(Progress::Partial)), whole);
    }

    #[test]
    fn chunks_in_pieces(
        chunks in vec(vec(any::<u8>(), 1..40), 0..8),
        cuts in vec(1_usize..50, 1..6),
        next in vec(any::<u8>(), 0..20),
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            // Through the headroom, as the relay writes it.
            let mut buf = vec![0; CHUNK_HEADROOM];
            buf.extend_from_slice(chunk);
            let start = put_chunk_prefix_before(&mut buf, CHUNK_HEADROOM, chunk.len()).expect("headroom");
            wire.extend_from_slice(&buf[start..]);
            wire.extend_from_slice(CHUNK_END);
        }
        wire.extend_from_slice(LAST_CHUNK);
        let length = wire.len();
        wire.extend_from_slice(&next);
        prop_assert_eq!(decode(Framing::Chunked, &wire, &cuts), Ok((chunks.concat(), length, true)));
        // One byte less and it is not over.
        prop_assert!(!decode(Framing::Chunked, &wire[..length - 1], &cuts).expect("no fault").2);
    }
}
