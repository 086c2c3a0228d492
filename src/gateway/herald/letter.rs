//! One signed head on its way: the request that carries it, and what counts as arrived.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::timeout;

use crate::config::snapshot::{Bucket, Webhook};
use crate::ledger::heads;
use crate::ledger::record::Head;
use crate::limits::{self, Timeouts};
use crate::mcp::openapi::HttpRequest;
use crate::net::engine::Engine;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::api::{ApiAnswer, ApiLink};
use crate::upstream::mcp::server::Remote;
use crate::upstream::pool::Pool;
use crate::upstream::sigv4;

/// A head with its address.
pub(super) struct Letter {
    to: To,
    /// The whole address, for those who remember where a head has gone.
    address: String,
    /// Behind the path of the destination.
    path: String,
    body: String,
}

enum To {
    Webhook(Arc<Webhook>),
    Bucket(Arc<Bucket>),
}

/// Without its address, in which people put secrets.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("body", &self.body).finish_non_exhaustive()
    }
}

impl Letter {
    /// A head to be posted.
    pub(super) fn to_webhook(webhook: &Arc<Webhook>, head: &Head) -> Self {
        let address = address(&webhook.remote);
        let to = To::Webhook(Arc::clone(webhook));
        Self { to, address, path: String::new(), body: heads::line(head) }
    }

    /// A head to become the object `<key of the ledger>/<records>.json`.
    pub(super) fn to_bucket(bucket: &Arc<Bucket>, head: &Head) -> Self {
        let address = address(&bucket.remote);
        let path = format!("/{}/{}.json", heads::hex(&head.key), head.size);
        Self { to: To::Bucket(Arc::clone(bucket)), address, path, body: heads::line(head) }
    }

    /// Where it goes.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends it at `at_s`, seconds since 1970, and waits for `limits::HEADS_DEADLINE` at most.
    ///
    /// # Errors
    /// Why it has not arrived, in words for the log: without anything of the address but the host.
    pub(super) async fn send(&self, engine: Engine, at_s: u64) -> Result<(), String> {
        let request = self.request(at_s);
        // A connection would be idle for a minute, and closed by then: each letter has its own.
        let pool = Rc::new(Pool::new(engine));
        let link = ApiLink::new(pool, self.remote().clone(), Timeouts::default(), limits::HEADS_DEADLINE);
        let permit = PlacedPermit::own();
        let answer = timeout(limits::HEADS_DEADLINE, link.call(&permit, &request)).await;
        let answer = answer.map_err(|_elapsed| "there was no answer in time".to_owned())?;
        let answer = answer.map_err(|failure| failure.to_string())?;
        match answer.status {
            200..=299 => Ok(()),
            status @ 300..=399 => Err(format!("it answered {status}: give the address that it leads to")),
            status => Err(format!("it answered {status}{}", self.said(&answer))),
        }
    }

    /// The error code of an S3, which says what is wrong. What others say may repeat a secret address.
    fn said(&self, answer: &ApiAnswer) -> String {
        let To::Bucket(_) = self.to else { return String::new() };
        let text = String::from_utf8_lossy(&answer.body);
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let fits = |code: &&str| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        code.map(|(code, _)| code).filter(fits).map_or_else(String::new, |code| format!(" {code}"))
    }

    fn remote(&self) -> &Remote {
        match &self.to {
            To::Webhook(webhook) => &webhook.remote,
            To::Bucket(bucket) => &bucket.remote,
        }
    }

    fn request(&self, at_s: u64) -> HttpRequest {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let method = match &self.to {
            To::Webhook(webhook) => {
                headers.push(("x-tollgate-timestamp".to_owned(), at_s.to_string()));
                if let Some(secret) = &webhook.secret {
                    let said = format!("{at_s}.{}", self.body);
                    let mac = sigv4::hmac_hex(secret.expose().as_bytes(), said.as_bytes());
                    headers.push(("x-tollgate-signature".to_owned(), format!("sha256={mac}")));
                }
                "POST"
            }
            To::Bucket(bucket) => {
                let path = format!("{}{}", bucket.remote.path, self.path);
                let host = [("host", bucket.remote.site.host.as_str())];
                let body = self.body.as_bytes();
                let request = sigv4::Request { method: "PUT", path: &path, headers: &host, body };
                let signed = bucket.signer.sign(&request, at_s);
                headers.extend(
                    signed.iter().map(|(name, value)| ((*name).to_owned(), value.expose().to_owned())),
                );
                "PUT"
            }
        };
        let (path_and_query, body) = (self.path.clone(), Some(self.body.clone().into_bytes()));
        HttpRequest { method, path_and_query, headers, body }
    }
}

fn address(remote: &Remote) -> String {
    let scheme = if remote.site.origin.https { "https" } else { "http" };
    format!("{scheme}://{}{}", remote.site.host, remote.path)
}
