//! What follows from answers of providers as they are.

use crate::limits;
use crate::route::attempts::is_better;
use crate::route::failure::{Answered, Kind, Limit, Next, Verdict, of_answer, of_event};
use crate::route::headroom::Headroom;
use crate::route::said::{duration_ms, moment_ms, retry_after_ms};

/// 2027-01-15T08:00:00Z.
const NOW: u64 = 1_800_000_000_000;

fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Verdict> {
    let header =
        |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_bytes());
    of_answer(&Answered { status, header, body: body.as_bytes() }, NOW)
}

type Case = (u16, &'static [(&'static str, &'static str)], &'static str, Kind, Next, Option<(Limit, u64)>);

const CASES: &[Case] = &[
    (
        429,
        &[("retry-after", "17")],
        "",
        Kind::Limited(Limit::Unknown),
        Next::Other,
        Some((Limit::Unknown, 17_000)),
    ),
    (
        429,
        &[("retry-after", "3"), ("anthropic-ratelimit-input-tokens-remaining", "0")],
        "",
        Kind::Limited(Limit::InputTokens),
        Next::Other,
        Some((Limit::InputTokens, 3_000)),
    ),
    (
        429,
        &[("retry-after", "9")],
        r#"{"error":{"type":"rate_limit_error","message":"... rate limit of 50 requests per minute"}}"#,
        Kind::Limited(Limit::Requests),
        Next::Other,
        Some((Limit::Requests, 9_000)),
    ),
    (
        429,
        &[("retry-after", "Fri, 15 Jan 2027 08:00:42 GMT")],
        "",
        Kind::Limited(Limit::Unknown),
        Next::Other,
        Some((Limit::Unknown, 42_000)),
    ),
    (
        429,
        &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0.5s")],
        "",
        Kind::Limited(Limit::Tokens),
        Next::Other,
        Some((Limit::Tokens, 360_500)),
    ),
    (
        429,
        &[],
        r#"{"error":{"code":"insufficient_quota"}}"#,
        Kind::Quota,
        Next::Other,
        Some((Limit::Quota, 16 * 3_600_000)),
    ),
    (429, &[], "", Kind::Limited(Limit::Unknown), Next::Other, Some((Limit::Unknown, 60_000))),
    (
        429,
        &[("retry-after", "soon")],
        "",
        Kind::Limited(Limit::Unknown),
        Next::Other,
        Some((Limit::Unknown, 60_000)),
    ),
    (
        429,
        &[("retry-after", "99999999999999999999999")],
        "",
        Kind::Limited(Limit::Unknown),
        Next::Other,
        Some((Limit::Unknown, limits::COOLDOWN_MS_MAX)),
    ),
    (402, &[], "", Kind::Quota, Next::Other, Some((Limit::Quota, 16 * 3_600_000))),
    (401, &[], "", Kind::Credential, Next::Other, Some((Limit::Credential, 60_000))),
    (403, &[], "", Kind::Credential, Next::Other, None),
    (404, &[], "", Kind::Missing, Next::Other, None),
    (408, &[], "", Kind::Failing, Next::Other, None),
    (500, &[], "<html>", Kind::Failing, Next::Other, None),
    (501, &[], "", Kind::Failing, Next::Other, None),
    (502, &[("retry-after", "9")], "", Kind::Failing, Next::Other, None),
    (503, &[], "", Kind::Overloaded, Next::Other, None),
    (529, &[], "", Kind::Overloaded, Next::Other, None),
    (529, &[("retry-after", "2")], "", Kind::Overloaded, Next::Other, Some((Limit::Unknown, 2_000))),
    (
        200,
        &[("content-type", "Text/HTML; charset=utf-8")],
        "<!doctype html>",
        Kind::Failing,
        Next::Other,
        None,
    ),
    (400, &[], r#"{"error":{"message":"messages.3.role: ..."}}"#, Kind::Refused, Next::Return, None),
    (413, &[], "", Kind::Refused, Next::Return, None),
    (422, &[], "", Kind::Refused, Next::Return, None),
    (409, &[], "", Kind::Refused, Next::Return, None),
    (400, &[], "prompt is too long: 210000 tokens > 200000 maximum", Kind::TooLong, Next::Larger, None),
    (400, &[], r#"{"error":{"code":"context_length_exceeded"}}"#, Kind::TooLong, Next::Larger, None),
    (400, &[], "Your credit balance is too low to access", Kind::Quota, Next::Other, None),
    (
        400,
        &[],
        r#"{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}"#,
        Kind::Credential,
        Next::Other,
        None,
    ),
];

#[test]
fn each_answer_has_its_verdict() {
    for (status, headers, body, kind, next, cool) in CASES {
        let expected = Verdict { kind: *kind, next: *next, cool: *cool };
        assert_eq!(verdict(*status, headers, body), Some(expected), "{status} {headers:?} {body}");
    }
    for status in [200, 201, 204, 301, 304] {
        assert_eq!(verdict(status, &[("content-type", "text/event-stream")], "rate limit"), None, "{status}");
    }
}

#[test]
fn words_that_a_caller_may_have_written_cool_nobody_down() {
    let echoed = "tools.0.name: 'insufficient_quota API_KEY_INVALID credit balance is too low'";
    for status in [400, 403, 404, 409, 413, 422, 500, 529] {
        let cool = verdict(status, &[], echoed).and_then(|verdict| verdict.cool);
        assert_eq!(cool, None, "{status}");
    }
    // What is behind the bytes that are read is as if it were not there.
    let far = format!("{}prompt is too long", " ".repeat(limits::FAILURE_BODY_BYTES_MAX));
    assert_eq!(verdict(400, &[], &far).map(|verdict| verdict.kind), Some(Kind::Refused));
}

#[test]
fn an_error_event_before_any_content_is_as_good_as_a_status() {
    for (kind, expected, next) in [
        ("overloaded_error", Kind::Overloaded, Next::Other),
        ("rate_limit_error", Kind::Limited(Limit::Unknown), Next::Other),
        ("api_error", Kind::Failing, Next::Other),
        ("invalid_request_error", Kind::Refused, Next::Return),
        ("authentication_error", Kind::Credential, Next::Other),
        ("something_new", Kind::Failing, Next::Other),
    ] {
        assert_eq!((of_event(kind).kind, of_event(kind).next), (expected, next), "{kind}");
        assert_eq!(of_event(kind).cool, None);
    }
}

#[test]
fn the_most_useful_failure_is_told() {
    let order = [
        Kind::Refused,
        Kind::TooLong,
        Kind::Limited(Limit::Tokens),
        Kind::Quota,
        Kind::Credential,
        Kind::Missing,
        Kind::Overloaded,
        Kind::Failing,
        Kind::TimedOut,
        Kind::Closed,
    ];
    for (at, one) in order.iter().enumerate() {
        assert!(is_better(*one, *one), "of equal ones the last");
        for less in &order[at + 1..] {
            assert!(is_better(*one, *less) && !is_better(*less, *one), "{one:?} {less:?}");
        }
    }
}

#[test]
fn headroom_is_that_of_the_tightest_limit() {
    let read = |headers: &[(&str, &str)]| {
        Headroom::read(
            |wanted| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_bytes()),
            NOW,
        )
    };
    let anthropic = read(&[
        ("anthropic-ratelimit-requests-limit", "1000"),
        ("anthropic-ratelimit-requests-remaining", "900"),
        ("anthropic-ratelimit-input-tokens-limit", "80000"),
        ("anthropic-ratelimit-input-tokens-remaining", "20000"),
        ("anthropic-ratelimit-input-tokens-reset", "2027-01-15T08:00:30Z"),
    ]);
    let anthropic = anthropic.unwrap();
    assert_eq!((anthropic.limit, anthropic.until_ms), (Limit::InputTokens, NOW + 30_000));
    assert_eq!((anthropic.share(NOW), anthropic.share(NOW + 30_000)), (0.25, 1.0));
    let openai = read(&[
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-limit-tokens", "18446744073709551615"),
        ("x-ratelimit-remaining-tokens", "9223372036854775807"),
    ]);
    let openai = openai.unwrap();
    assert!(openai.is_used_up() && openai.limit == Limit::Requests && openai.until_ms == NOW + 1_000);
    assert_eq!(openai.share(NOW), limits::HEADROOM_LEAST);
    // Of nonsense nothing is believed.
    for bad in ["", "x", "-1", "1e9"] {
        assert_eq!(read(&[("x-ratelimit-remaining-tokens", bad), ("x-ratelimit-limit-tokens", "5")]), None);
    }
    assert_eq!(read(&[("x-ratelimit-remaining-tokens", "5")]), None);
    let more = read(&[("x-ratelimit-remaining-tokens", "9"), ("x-ratelimit-limit-tokens", "5")]).unwrap();
    assert_eq!(more.share(NOW), 1.0);
}

#[test]
fn times_are_read_as_providers_write_them() {
    for (text, expected) in [
        ("1s", Some(1_000)),
        ("6m0s", Some(360_000)),
        ("2m59.56s", Some(179_560)),
        ("20ms", Some(20)),
        ("1h", Some(3_600_000)),
        ("1d2h", Some(93_600_000)),
        ("1.5", None),
        ("s", None),
        ("1.2.3s", None),
        ("", None),
        ("1y", None),
        ("99999999999999999999s", Some(u64::MAX)),
    ] {
        assert_eq!(duration_ms(text.as_bytes()), expected, "{text}");
    }
    for (text, expected) in [
        ("0", Some(0)),
        ("12", Some(12_000)),
        ("1.5", Some(1_500)),
        ("0.0004", Some(0)),
        ("Fri, 15 Jan 2027 08:00:01 GMT", Some(1_000)),
        ("Fri, 15 Jan 2027 07:59:59 GMT", Some(0)),
        ("Fri, 15 Jan 2027 08:00:01 UTC", None),
        ("Fri, 5 Jan 2027 08:00:01 GMT", None),
        ("-1", None),
        ("1e3", None),
    ] {
        assert_eq!(retry_after_ms(text.as_bytes(), NOW), expected, "{text}");
    }
    assert_eq!(moment_ms(b"2027-01-15T08:00:00.250Z"), Some(NOW + 250));
    assert_eq!(retry_after_ms(b"\xff", NOW), None);
}
