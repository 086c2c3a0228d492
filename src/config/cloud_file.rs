//! What a person writes about a provider in a cloud: where it is, whose, and the keys that sign.

use std::fmt;

use serde::Serialize;

use crate::config::credentials_file;
use crate::config::faults::Mark;
use crate::config::providers::Surroundings;
use crate::config::reader::{At, Fields, Reader};
use crate::config::secrets::{self, Source};
use crate::config::shown::{MASK, word};
use crate::config::yaml::Node;
use crate::llm::{bedrock, vertex};
use crate::upstream::cloud;
use crate::upstream::provider::Dialect;
use crate::upstream::sigv4::Signer;

/// The keys of a provider that are a cloud's. `region` says where a provider may run, which need not be
/// where it is asked: a profile may spread its model.
pub(crate) const CLOUD_KEYS: &[&str] = &["aws_region", "aws", "project", "location", "gcp", "azure"];

/// A provider in a cloud.
#[derive(Clone, Debug)]
pub(crate) enum Cloud {
    /// Amazon Bedrock.
    Bedrock {
        /// Whose runtime is asked.
        region: At<String>,
        /// Nothing where an API key is shown.
        keys: Option<AwsKeys>,
    },
    /// Vertex AI.
    Vertex { project: At<String>, location: At<String> },
}

/// `aws:`, keys that sign.
#[derive(Clone, Debug)]
pub(crate) struct AwsKeys {
    id: At<Source>,
    secret: At<Source>,
    token: Option<At<Source>>,
}

/// Reads what is a cloud's. Nothing after a fault, nothing inside for other dialects.
#[expect(clippy::option_option, reason = "a fault is another thing than a provider that is in no cloud")]
pub(crate) fn read(
    fields: &Fields<'_>,
    what: &str,
    dialect: Option<Dialect>,
    reader: &mut Reader,
) -> Option<Option<Cloud>> {
    let (own, name): (&[&str], &str) = match dialect? {
        Dialect::Bedrock | Dialect::BedrockConverse => (&["aws_region", "aws"], "bedrock"),
        Dialect::Vertex => (&["project", "location", "gcp"], "vertex"),
        Dialect::Anthropic | Dialect::OpenAiChat | Dialect::OpenAiResponses => (&["azure"], ""),
        _ => (&[], ""),
    };
    for key in CLOUD_KEYS.iter().filter(|key| !own.contains(key)) {
        if let Some(node) = fields.get(key) {
            let whose = match *key {
                "aws_region" | "aws" => "bedrock` or `bedrock_converse",
                "azure" => "anthropic`, `openai_chat` or `openai_responses",
                _ => "vertex",
            };
            reader.fault(node.mark, format!("{what}.{key}: only a provider of `{whose}` has it, remove it"));
        }
    }
    if name.is_empty() {
        return Some(None);
    }
    if let Some(node) = fields.get("auth") {
        reader.fault(node.mark, format!("{what}: a key for `{name}` is a bearer's, remove `auth`"));
    }
    let cloud = if name == "bedrock" { bedrock(fields, what, reader) } else { vertex(fields, what, reader) };
    cloud.map(Some)
}

fn bedrock(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<Cloud> {
    let region = text(fields, what, "aws_region", reader)?;
    if bedrock::host_name(&region.value).is_none() {
        let wanted = "expected a region of AWS, such as eu-central-1";
        reader.fault(region.mark, format!("{what}.aws_region: {wanted}"));
        return None;
    }
    let keys = match fields.get("aws") {
        // Where they are fetched from is read with all other sources.
        Some(node) if credentials_file::is_chain(node) => None,
        Some(node) => Some(read_keys(node, &format!("{what}.aws"), reader)?),
        None => None,
    };
    let shown = fields.get("key").or_else(|| fields.get("keys"));
    match (fields.get("aws"), shown) {
        (Some(_), Some(node)) => {
            reader.fault(node.mark, format!("{what}: `aws` and an API key are two ways; write one of them"));
        }
        (None, None) if fields.get("base_url").is_none() => {
            let ways = "`aws: default` for what AWS's own tools find, `aws: { profile }`, \
                        `aws: { access_key_id, secret_access_key }`, or `key:`, an API key of Bedrock";
            reader.fault(fields.mark, format!("{what}: nothing says who calls; write {ways}"));
        }
        _ => {}
    }
    Some(Cloud::Bedrock { region, keys })
}

fn read_keys(node: &Node, what: &str, reader: &mut Reader) -> Option<AwsKeys> {
    let fields = reader.fields(node, what, &["access_key_id", "secret_access_key", "session_token"])?;
    let secret = |name: &str, reader: &mut Reader| {
        let node = reader.required(&fields, what, name)?;
        secrets::read(node, &format!("{what}.{name}"), reader)
    };
    let id = secret("access_key_id", reader);
    let key = secret("secret_access_key", reader);
    let token = fields.get("session_token");
    let token = token.and_then(|node| secrets::read(node, &format!("{what}.session_token"), reader));
    Some(AwsKeys { id: id?, secret: key?, token })
}

fn vertex(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<Cloud> {
    let project = text(fields, what, "project", reader);
    let location = text(fields, what, "location", reader);
    let (project, location) = (project?, location?);
    if vertex::host_name(&location.value).is_none() {
        let wanted = "expected global, us, eu or a region such as europe-west1";
        reader.fault(location.mark, format!("{what}.location: {wanted}"));
        return None;
    }
    if vertex::count_path(&project.value, &location.value).is_none() {
        reader.fault(project.mark, format!("{what}.project: expected the id of a project of Google Cloud"));
        return None;
    }
    let shown = ["gcp", "key", "keys", "base_url"].iter().any(|name| fields.get(name).is_some());
    if !shown {
        let ways = "`gcp: default` for what Google's own tools find, \
                    `gcp: { credentials: \"${file:...}\" }`, or `key:`, an access token";
        let text = format!("{what}: nothing says who calls; write {ways}");
        reader.fault(fields.mark, text);
    }
    Some(Cloud::Vertex { project, location })
}

fn text(fields: &Fields<'_>, what: &str, name: &str, reader: &mut Reader) -> Option<At<String>> {
    let node = reader.required(fields, what, name)?;
    reader.text(node, &format!("{what}.{name}"))
}

impl Cloud {
    /// Where the cloud's own service is.
    pub(crate) fn base_url(&self) -> At<String> {
        let (place, host): (&At<String>, _) = match self {
            Self::Bedrock { region, .. } => (region, bedrock::host_name(&region.value)),
            Self::Vertex { location, .. } => (location, vertex::host_name(&location.value)),
        };
        At { mark: place.mark, value: format!("https://{}", host.unwrap_or_default()) }
    }

    fn secrets(&self) -> impl Iterator<Item = &At<Source>> {
        let keys = match self {
            Self::Bedrock { keys, .. } => keys.as_ref(),
            Self::Vertex { .. } => None,
        };
        keys.into_iter().flat_map(|keys| [&keys.id, &keys.secret].into_iter().chain(&keys.token))
    }

    /// The lines on which secrets stand in the config itself.
    pub(crate) fn written_secrets(&self) -> impl Iterator<Item = Mark> {
        self.secrets().filter(|one| matches!(one.value, Source::Written(_))).map(|one| one.mark)
    }
}

impl Surroundings<'_> {
    /// The cloud of a provider with its secrets; nothing after a fault.
    pub(crate) fn cloud(&mut self, written: &Cloud, what: &str, reader: &mut Reader) -> Option<cloud::Cloud> {
        match written {
            Cloud::Bedrock { region, keys: None } => {
                Some(cloud::Cloud::Bedrock { signer: None, region: region.value.clone() })
            }
            Cloud::Bedrock { region, keys: Some(AwsKeys { id, secret, token }) } => {
                let mut find = |source: &At<Source>, name: &str| {
                    self.finder.find(source, &format!("{what}.aws.{name}"), reader)
                };
                let access_key = find(id, "access_key_id");
                let secret_key = find(secret, "secret_access_key");
                let session_token = match token {
                    Some(token) => Some(find(token, "session_token")?),
                    None => None,
                };
                let signer = Signer {
                    access_key: access_key?,
                    secret_key: secret_key?,
                    session_token,
                    region: region.value.clone(),
                    service: bedrock::SERVICE,
                };
                Some(cloud::Cloud::Bedrock { signer: Some(signer), region: region.value.clone() })
            }
            Cloud::Vertex { project, location } => Some(cloud::Cloud::Vertex {
                project: project.value.clone(),
                location: location.value.clone(),
            }),
        }
    }
}

/// The cloud of a provider, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct ShownCloud {
    /// The region of AWS that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_region: Option<String>,
    /// The keys that sign, each a mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws: Option<ShownAwsKeys>,
    /// The project of Google Cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Where in Google Cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Keys that sign, each a mask.
#[derive(Clone, Debug, Serialize)]
pub struct ShownAwsKeys {
    /// The id of the key.
    pub access_key_id: &'static str,
    /// The key.
    pub secret_access_key: &'static str,
    /// What says that a key for a while is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<&'static str>,
}

impl ShownCloud {
    /// As it was written.
    pub(crate) fn of(written: &Cloud) -> Self {
        let mut shown = Self { aws_region: None, aws: None, project: None, location: None };
        match written {
            Cloud::Bedrock { region, keys } => {
                shown.aws_region = Some(region.value.clone());
                shown.aws = keys.as_ref().map(|keys| ShownAwsKeys {
                    access_key_id: MASK,
                    secret_access_key: MASK,
                    session_token: keys.token.as_ref().map(|_token| MASK),
                });
            }
            Cloud::Vertex { project, location } => {
                shown.project = Some(project.value.clone());
                shown.location = Some(location.value.clone());
            }
        }
        shown
    }
}

impl fmt::Display for ShownCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places =
            [("aws_region", &self.aws_region), ("project", &self.project), ("location", &self.location)];
        let mut entries: Vec<String> = places
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}: {}", word(value))))
            .collect();
        if let Some(ShownAwsKeys { access_key_id, secret_access_key, session_token }) = &self.aws {
            let token = session_token.map(|token| format!(", session_token: \"{token}\""));
            entries.push(format!(
                "aws: {{ access_key_id: \"{access_key_id}\", secret_access_key: \"{secret_access_key}\"{} }}",
                token.unwrap_or_default()
            ));
        }
        f.write_str(&entries.join(", "))
    }
}
