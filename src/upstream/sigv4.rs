//! Signature Version 4: how a request to AWS, or to who speaks like AWS, says who makes it.
//!
//! Follows "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk" of
//! the API reference of Amazon S3 (read 2026-11): a canonical form of the request is hashed, and the hash is
//! signed with a key that is made from the secret for one day, one region and one service.

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
    /// The region, such as `us-east-1`.
    pub region: String,
    /// The service, such as `s3`.
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
    /// The header lines that make a request a signed one, to be sent with those of the request: the hash of
    /// the body, the time, and `authorization`. `at_s` is the time in seconds since 1970; servers want it
    /// within 15 minutes of theirs.
    pub fn sign(&self, request: &Request<'_>, at_s: u64) -> [(&'static str, String); 3] {
        let (day, time) = stamp(at_s);
        let body_hash = hex(&Sha256::digest(request.body));
        let mut headers = request.headers.to_vec();
        headers.extend([("x-amz-content-sha256", body_hash.as_str()), ("x-amz-date", time.as_str())]);
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut canonical = format!("{}\n{}\n\n", request.method, request.path);
        for (name, value) in &headers {
            // Writing to a string cannot fail.
            let _infallible = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _infallible = write!(canonical, "\n{names}\n{body_hash}");
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let said = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let signature = hex(mac(self.key_of(&day).as_ref(), said.as_bytes()).as_ref());
        let id = self.access_key.expose();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}");
        [("x-amz-content-sha256", body_hash), ("x-amz-date", time), ("authorization", authorization)]
    }

    /// The key of one day.
    fn key_of(&self, day: &str) -> hmac::Tag {
        let secret = Secret::new(format!("AWS4{}", self.secret_key.expose()));
        let parts = [self.region.as_str(), self.service, "aws4_request"];
        let of_day = mac(secret.expose().as_bytes(), day.as_bytes());
        parts.iter().fold(of_day, |key, part| mac(key.as_ref(), part.as_bytes()))
    }
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
    use super::*;

    /// The credentials and the time of all examples of the documentation.
    fn example() -> (Signer, u64) {
        let signer = Signer {
            access_key: Secret::new("AKIAIOSFODNN7EXAMPLE"),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1".to_owned(),
            service: "s3",
        };
        (signer, 1_369_353_600)
    }

    fn authorization(request: &Request<'_>) -> String {
        let (signer, at_s) = example();
        let [_, (_, time), (_, authorization)] = signer.sign(request, at_s);
        assert_eq!(time, "20130524T000000Z");
        authorization
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
