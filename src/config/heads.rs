//! `ledger.heads:`: where signed heads go beside their file.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::config::base_url;
use crate::config::file::File;
use crate::config::homes::Homes;
use crate::config::places_file;
use crate::config::providers::{Surroundings, site};
use crate::config::reader::{At, Fields, Reader, is_name, quoted};
use crate::config::secrets::{self, Source};
use crate::config::shown::{MASK, shown_origin, word};
use crate::config::snapshot::{Bucket, HeadTargets, Webhook};
use crate::config::template::{self, Syntax, Template};
use crate::config::yaml::Node;
use crate::limits;
use crate::secret::Secret;
use crate::upstream::mcp::server::Remote;
use crate::upstream::sigv4::Signer;
use crate::upstream::site::Origin;

/// As written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads {
    webhook: Option<WrittenWebhook>,
    s3: Option<WrittenBucket>,
}

#[derive(Clone, Debug)]
struct WrittenWebhook {
    url: At<Template>,
    region: Option<At<String>>,
    secret: Option<At<Source>>,
}

#[derive(Clone, Debug)]
struct WrittenBucket {
    endpoint: At<String>,
    bucket: At<String>,
    prefix: Option<At<String>>,
    region: Option<At<String>>,
    access_key: At<Source>,
    secret_key: At<Source>,
}

/// The region of who says none, and of most that are not AWS.
const REGION: &str = "us-east-1";

const BUCKET_KEYS: [&str; 6] = ["endpoint", "bucket", "prefix", "region", "access_key", "secret_key"];

/// Reads `ledger.heads:`.
pub(crate) fn read(node: &Node, reader: &mut Reader) -> Option<Heads> {
    let fields = reader.fields(node, "ledger.heads", &["webhook", "s3"])?;
    Some(Heads {
        webhook: fields.get("webhook").and_then(|node| read_webhook(node, reader)),
        s3: fields.get("s3").and_then(|node| read_bucket(node, reader)),
    })
}

fn read_webhook(node: &Node, reader: &mut Reader) -> Option<WrittenWebhook> {
    let what = "ledger.heads.webhook";
    let fields = reader.fields(node, what, &["url", "secret", "region"])?;
    let url = reader.required(&fields, what, "url");
    let url = url.and_then(|node| template::read(node, &format!("{what}.url"), Syntax::Ours, reader));
    let secret = fields.get("secret").map(|node| secrets::read(node, &format!("{what}.secret"), reader));
    let region = fields
        .get("region")
        .and_then(|node| places_file::read_region(node, &format!("{what}.region"), reader));
    Some(WrittenWebhook {
        url: url?,
        region,
        // A secret that cannot be read is no leave to go without one.
        secret: match secret {
            None => None,
            Some(secret) => Some(secret?),
        },
    })
}

fn read_bucket(node: &Node, reader: &mut Reader) -> Option<WrittenBucket> {
    let what = "ledger.heads.s3";
    let fields = reader.fields(node, what, &BUCKET_KEYS)?;
    let endpoint = reader.required(&fields, what, "endpoint");
    let endpoint = endpoint.and_then(|node| reader.text(node, &format!("{what}.endpoint")));
    let bucket = reader.required(&fields, what, "bucket");
    let bucket = bucket.and_then(|node| read_word(node, &format!("{what}.bucket"), reader));
    let region = fields.get("region").and_then(|node| read_word(node, &format!("{what}.region"), reader));
    let prefix = fields.get("prefix").and_then(|node| read_prefix(node, reader));
    let access_key = read_secret(&fields, "access_key", reader);
    let secret_key = read_secret(&fields, "secret_key", reader);
    Some(WrittenBucket {
        endpoint: endpoint?,
        bucket: bucket?,
        prefix,
        region,
        access_key: access_key?,
        secret_key: secret_key?,
    })
}

fn read_secret(fields: &Fields<'_>, name: &str, reader: &mut Reader) -> Option<At<Source>> {
    let what = "ledger.heads.s3";
    let node = reader.required(fields, what, name)?;
    secrets::read(node, &format!("{what}.{name}"), reader)
}

/// A part of a path that needs no escapes and leads nowhere else.
fn is_part(text: &str) -> bool {
    is_name(text) && text != "." && text != ".."
}

fn read_word(node: &Node, what: &str, reader: &mut Reader) -> Option<At<String>> {
    let text = reader.text(node, what)?;
    if is_part(&text.value) {
        return Some(text);
    }
    let (shown, max) = (quoted(&text.value), limits::NAME_CHARS_MAX);
    reader.fault(node.mark, format!("{what}: use 1 to {max} of a-z A-Z 0-9 . _ -, not {shown}"));
    None
}

fn read_prefix(node: &Node, reader: &mut Reader) -> Option<At<String>> {
    let what = "ledger.heads.s3.prefix";
    let mut text = reader.text(node, what)?;
    text.value = text.value.trim_matches('/').to_owned();
    let fits = text.value.len() <= limits::HEADS_PREFIX_BYTES_MAX && text.value.split('/').all(is_part);
    if !fits {
        let max = limits::HEADS_PREFIX_BYTES_MAX;
        let wanted = format!("words of a-z A-Z 0-9 . _ - with slashes between, at most {max} characters");
        reader.fault(node.mark, format!("{what}: expected {wanted}, found {}", quoted(&text.value)));
        return None;
    }
    Some(text)
}

/// Checks that heads, which are about the records of all teams, stay in the regions of each.
pub(crate) fn check_places(file: &File, reader: &mut Reader) {
    let homes = Homes::of(file);
    let Heads { webhook, s3 } = &file.ledger.heads;
    let webhook = webhook.as_ref().map(|hook| ("webhook", hook.url.mark, hook.region.as_ref()));
    let s3 = s3.as_ref().map(|bucket| ("s3", bucket.endpoint.mark, bucket.region.as_ref()));
    for (name, mark, region) in webhook.into_iter().chain(s3) {
        let region = region.map(|region| region.value.as_str());
        let Some((_, rule)) = homes.against(region).into_iter().next() else { continue };
        let text = match region {
            Some(region) => format!(
                "ledger.heads.{name}: signed heads are about the records of all teams, and may not go to \
                 {region} ({rule})"
            ),
            None => format!(
                "ledger.heads.{name}: signed heads are about the records of all teams, and nobody knows \
                 where they go ({rule}): say so with `region`, such as `region: eu`"
            ),
        };
        reader.fault(mark, text);
    }
}

impl Surroundings<'_> {
    /// Finds the secrets of the destinations and the ways to them.
    pub(crate) fn head_targets(&mut self, heads: &Heads, reader: &mut Reader) -> HeadTargets {
        HeadTargets {
            webhook: heads.webhook.as_ref().and_then(|hook| self.webhook(hook, reader)).map(Arc::new),
            bucket: heads.s3.as_ref().and_then(|bucket| self.bucket(bucket, reader)).map(Arc::new),
        }
    }

    fn webhook(&mut self, written: &WrittenWebhook, reader: &mut Reader) -> Option<Webhook> {
        let what = "ledger.heads.webhook";
        let secret = self.secret(written.secret.as_ref(), &format!("{what}.secret"), reader)?;
        let url = template::fill(&written.url, &format!("{what}.url"), &mut self.finder, reader)?;
        let parsed = base_url::parse_endpoint(url.expose());
        let (origin, path) =
            parsed.inspect_err(|why| reader.fault(written.url.mark, format!("{what}.url: {why}"))).ok()?;
        let remote = self.destination("webhook", (origin, path), &written.url, reader)?;
        Some(Webhook { remote, secret })
    }

    fn bucket(&mut self, written: &WrittenBucket, reader: &mut Reader) -> Option<Bucket> {
        let what = "ledger.heads.s3";
        let access_key = self.secret(Some(&written.access_key), &format!("{what}.access_key"), reader)?;
        let secret_key = self.secret(Some(&written.secret_key), &format!("{what}.secret_key"), reader)?;
        let parsed = base_url::parse_whole(&written.endpoint.value);
        let (origin, path) = parsed
            .inspect_err(|why| reader.fault(written.endpoint.mark, format!("{what}.endpoint: {why}")))
            .ok()?;
        let prefix = written.prefix.as_ref().map_or_else(String::new, |prefix| format!("/{}", prefix.value));
        let path = format!("{path}/{}{prefix}", written.bucket.value);
        let region = written.region.as_ref().map_or(REGION, |region| &region.value).to_owned();
        let remote = self.destination("s3", (origin, path), &written.endpoint, reader)?;
        let (access_key, secret_key) = (access_key?, secret_key?);
        Some(Bucket {
            remote,
            signer: Signer { access_key, secret_key, session_token: None, region, service: "s3" },
        })
    }

    /// `None` after a fault, `Some(None)` where nothing is written.
    fn secret(
        &mut self,
        source: Option<&At<Source>>,
        what: &str,
        reader: &mut Reader,
    ) -> Option<Option<Secret>> {
        let Some(source) = source else { return Some(None) };
        if let At { mark, value: Source::Written(_) } = source {
            let hint = "write `${env:NAME}` or `${file:PATH}` to keep it out";
            self.warnings.push(format!("{what}: it stands in the config itself, line {}; {hint}", mark.line));
        }
        self.finder.find(source, what, reader).map(Some)
    }

    fn destination<T>(
        &mut self,
        name: &str,
        (origin, path): (Origin, String),
        At { mark, .. }: &At<T>,
        reader: &mut Reader,
    ) -> Option<Remote> {
        let what = format!("ledger.heads.{name}");
        let proxy = self.proxy((None, *mark), &what, &origin, reader)?;
        let tls = if origin.https { Some(self.client_tls(*mark, reader)?) } else { None };
        let site = site(&what, origin, tls, proxy, self.reach(true));
        Some(Remote { site: Arc::new(site), path, headers: Vec::new() })
    }
}

/// What the shown form does not tell, for the version.
pub(crate) fn facts(targets: &HeadTargets) -> Vec<&str> {
    let mut out = Vec::new();
    if let Some(hook) = &targets.webhook {
        out.extend([hook.remote.path.as_str(), hook.secret.as_ref().map_or("", Secret::expose)]);
    }
    if let Some(Bucket { signer, .. }) = targets.bucket.as_deref() {
        out.extend([signer.access_key.expose(), signer.secret_key.expose()]);
    }
    let remotes = targets.webhook.iter().map(|hook| &hook.remote);
    for remote in remotes.chain(targets.bucket.iter().map(|bucket| &bucket.remote)) {
        let password = remote.site.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
        out.push(password.map_or("", Secret::expose));
    }
    out
}

/// What people may see of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownHeads {
    /// Where heads are posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<ShownWebhook>,
    /// The bucket that they are put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<ShownBucket>,
}

/// `webhook:`.
#[derive(Clone, Debug, Serialize)]
pub struct ShownWebhook {
    /// Scheme, host and port; the rest, in which people put secrets, is masked.
    pub url: String,
    /// The mask, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<&'static str>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// `s3:`.
#[derive(Clone, Debug, Serialize)]
pub struct ShownBucket {
    /// Scheme, host and port.
    pub endpoint: String,
    /// The bucket, with the prefix behind it.
    pub bucket: String,
    /// Before the names of objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The region.
    pub region: String,
    /// The mask.
    pub access_key: &'static str,
    /// The mask.
    pub secret_key: &'static str,
}

impl ShownHeads {
    pub(crate) fn of(written: &Heads, targets: &HeadTargets) -> Option<Self> {
        let webhook =
            written.webhook.as_ref().zip(targets.webhook.as_ref()).map(|(written, hook)| ShownWebhook {
                url: format!("{}/{MASK}", shown_origin(&hook.remote.site.origin)),
                secret: hook.secret.as_ref().map(|_| MASK),
                region: written.region.as_ref().map(|region| region.value.clone()),
            });
        let s3 = written.s3.as_ref().zip(targets.bucket.as_ref()).map(|(written, bucket)| ShownBucket {
            endpoint: written.endpoint.value.clone(),
            bucket: written.bucket.value.clone(),
            prefix: written.prefix.as_ref().map(|prefix| prefix.value.clone()),
            region: bucket.signer.region.clone(),
            access_key: MASK,
            secret_key: MASK,
        });
        (webhook.is_some() || s3.is_some()).then_some(Self { webhook, s3 })
    }
}

/// In the shape of a config file.
impl fmt::Display for ShownHeads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(ShownWebhook { url, secret, region }) = &self.webhook {
            let region = region.as_ref().map_or_else(String::new, |region| format!(", region: {region}"));
            let secret = secret.map_or_else(String::new, |mask| format!(", secret: \"{mask}\""));
            parts.push(format!("webhook: {{ url: {}{secret}{region} }}", word(url)));
        }
        if let Some(ShownBucket { endpoint, bucket, prefix, region, .. }) = &self.s3 {
            let prefix = prefix.as_ref().map_or_else(String::new, |text| format!(", prefix: {}", word(text)));
            let place = format!("endpoint: {}, bucket: {}{prefix}", word(endpoint), word(bucket));
            let region = word(region);
            parts.push(format!(
                "s3: {{ {place}, region: {region}, access_key: \"{MASK}\", secret_key: \"{MASK}\" }}"
            ));
        }
        write!(f, "heads: {{ {} }}", parts.join(", "))
    }
}
