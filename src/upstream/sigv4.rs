//! Signature Version 4: how a request to AWS, or to who speaks like AWS, says who makes it.
//!
//! Follows "Create a signed AWS API request" of the IAM user guide, and for S3 "Signature Calculations for
//! the Authorization Header: Transferring Payload in a Single Chunk" of its API reference (read 2026-11): a
//! canonical form of the request is hashed, and the hash is signed with a key that is made from the secret
//! for one day, one region and one service. S3 differs from all others in two things: it wants the hash of
//! the body in a header, and it signs the path as it is sent, where others escape it once more.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// Who asks, and for what the key is good.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The id of the key.
    pub access_key: Secret,
    /// The key.
    pub secret_key: Secret,
    /// What says that a key for a while is good; none with keys that stay.
    pub session_token: Option<Secret>,
    /// The region, such as `us-east-1`.
    pub region: String,
    /// The service, such as `s3` or `bedrock`.
    pub service: &'static str,
}

/// A request, as far as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it is sent, already escaped; no query.
    pub path: &'a str,
    /// Header lines that are signed beside those that signing adds, `host` among them: names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl Signer {
    /// The header lines that make a request a signed one, to be sent with those of the request: the time,
    /// `authorization`, for S3 the hash of the body, and with a key for a while its token. `at_s` is the time
    /// in seconds since 1970; servers want it within 15 minutes of theirs.
    pub fn sign(&self, request: &Request<'_>, at_s: u64) -> Vec<(&'static str, Secret)> {
        let (day, time) = stamp(at_s);
        let of_s3 = self.service == S3;
        let body_hash = hex(&Sha256::digest(request.body));
        let mut added = vec![("x-amz-date", Secret::new(time.as_str()))];
        if of_s3 {
            added.push(("x-amz-content-sha256", Secret::new(body_hash.as_str())));
        }
        if let Some(token) = &self.session_token {
            added.push(("x-amz-security-token", token.clone()));
        }
        let mut headers = request.headers.to_vec();
        headers.extend(added.iter().map(|(name, value)| (*name, value.expose())));
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let path = if of_s3 { request.path.to_owned() } else { escaped_again(request.path) };
        let mut canonical = format!("{}\n{path}\n\n", request.method);
        for (name, value) in &headers {
            // Writing to a string cannot fail.
            let _infallible = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _infallible = write!(canonical, "\n{names}\n{body_hash}");
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let hash = hex(&Sha256::digest(Secret::new(canonical).expose()));
        let said = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let signature = hex(mac(self.key_of(&day).as_ref(), said.as_bytes()).as_ref());
        let id = self.access_key.expose();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}");
        added.push(("authorization", Secret::new(authorization)));
        added
    }

    /// The key of one day.
    fn key_of(&self, day: &str) -> hmac::Tag {
        let secret = Secret::new(format!("AWS4{}", self.secret_key.expose()));
        let parts = [self.region.as_str(), self.service, "aws4_request"];
        let of_day = mac(secret.expose().as_bytes(), day.as_bytes());
        parts.iter().fold(of_day, |key, part| mac(key.as_ref(), part.as_bytes()))
    }
}

/// The service whose signatures are made otherwise.
const S3: &str = "s3";

/// The path with each byte of its segments escaped that is not unreserved (RFC 3986), `%` among them.
fn escaped_again(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `HMAC-SHA256` of a text with a key, as hexadecimal digits.
pub fn hmac_hex(key: &[u8], text: &[u8]) -> String {
    hex(mac(key, text).as_ref())
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day as `20130524`, and the second as `20130524T000000Z`.
fn stamp(at_s: u64) -> (String, String) {
    // What lies after the year 9999 has no such form.
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s.min(LAST_S));
    let text = humantime::format_rfc3339_seconds(at).to_string();
    let time: String = text.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let day = time.split('T').next().unwrap_or_default().to_owned();
    (day, time)
}

/// The last second that has a year of four digits.
const LAST_S: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The credentials and the time of all examples of the documentation.
    fn example() -> (Signer, u64) {
        let signer = Signer {
            access_key: Secret::new("AKIAIOSFODNN7EXAMPLE"),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: "s3",
        };
        (signer, 1_369_353_600)
    }

    /// The lines by their names, in the order of the names.
    fn lines(signer: &Signer, request: &Request<'_>, at_s: u64) -> BTreeMap<&'static str, String> {
        signer
            .sign(request, at_s)
            .into_iter()
            .map(|(name, value)| (name, value.expose().to_owned()))
            .collect()
    }

    fn authorization(request: &Request<'_>) -> String {
        let (signer, at_s) = example();
        let mut lines = lines(&signer, request, at_s);
        assert_eq!(lines["x-amz-date"], "20130524T000000Z");
        assert_eq!(lines.len(), 3, "{lines:?}");
        lines.remove("authorization").unwrap()
    }

    /// The signature of a request at the time and with the key of AWS's published test suite.
    fn of_suite(signer: &Signer, request: &Request<'_>) -> (String, String) {
        let lines = lines(signer, request, 1_440_938_160);
        assert_eq!(lines["x-amz-date"], "20150830T123600Z");
        assert!(!lines.contains_key("x-amz-content-sha256"));
        assert_eq!(lines.contains_key("x-amz-security-token"), signer.session_token.is_some());
        let (before, signature) = lines["authorization"].rsplit_once(",Signature=").unwrap();
        let (_, names) = before.rsplit_once("SignedHeaders=").unwrap();
        (names.to_owned(), signature.to_owned())
    }

    fn suite(service: &'static str, region: &str, session_token: Option<&str>) -> Signer {
        Signer {
            access_key: Secret::new("AKIDEXAMPLE"),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(Secret::new),
            region: region.to_owned(),
            service,
        }
    }

    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAe\
        MicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQ\
        DYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8F\
        DrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let host = [("host", "example.amazonaws.com")];
        let request = |method, path| Request { method, path, headers: &host, body: b"" };
        let signed = |request| of_suite(&suite("service", "us-east-1", None), &request);
        for (request, signature) in [
            // get-vanilla, post-vanilla, get-utf8, get-space
            (request("GET", "/"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (request("POST", "/"), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (request("GET", "/\u{1234}"), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
            (
                request("GET", "/example space/"),
                "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
            ),
        ] {
            assert_eq!(signed(request), ("host;x-amz-date".to_owned(), signature.to_owned()));
        }
        // post-sts-header-before
        let (names, signature) = of_suite(&suite("service", "us-east-1", Some(TOKEN)), &request("POST", "/"));
        assert_eq!(names, "host;x-amz-date;x-amz-security-token");
        assert_eq!(signature, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
    }

    /// Expected is what botocore 1.43.11 signs.
    #[test]
    fn paths_of_bedrock_are_escaped_twice() {
        let headers =
            [("content-type", "application/json"), ("host", "bedrock-runtime.us-east-1.amazonaws.com")];
        let path = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream";
        let request = Request { method: "POST", path, headers: &headers, body: b"{\"a\":1}" };
        let (names, signature) = of_suite(&suite("bedrock", "us-east-1", None), &request);
        assert_eq!(names, "content-type;host;x-amz-date");
        assert_eq!(signature, "159e8b1719cdb3d1757cfbb2801cfd77aa1ebcce1ff16e7321c7be40aa63705b");
        let headers =
            [("content-type", "application/json"), ("host", "bedrock-runtime.eu-west-1.amazonaws.com")];
        let path = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2F\
            abc\
            /invoke";
        let request = Request { method: "POST", path, headers: &headers, body: b"{\"a\":1}" };
        let (_, signature) = of_suite(&suite("bedrock", "eu-west-1", Some(TOKEN)), &request);
        assert_eq!(signature, "14c792b90e811070b3d08299a78704aae9e54093a497f51a977d99a144c7a189");
    }

    #[test]
    fn an_object_is_put_as_the_documentation_has_it() {
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let body = b"Welcome to Amazon S3.";
        let request = Request { method: "PUT", path: "/test%24file.text", headers: &headers, body };
        assert_eq!(
            authorization(&request),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,\
             Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }

    #[test]
    fn a_part_of_one_is_read_as_the_documentation_has_it() {
        let headers = [("host", "examplebucket.s3.amazonaws.com"), ("range", "bytes=0-9")];
        let request = Request { method: "GET", path: "/test.txt", headers: &headers, body: b"" };
        assert_eq!(
            authorization(&request),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn a_mac_is_that_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac_hex(b"Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn nothing_of_the_key_is_shown() {
        let shown = format!("{:?}", example().0);
        assert!(!shown.contains("wJalr") && !shown.contains("AKIA"), "{shown}");
    }
}
