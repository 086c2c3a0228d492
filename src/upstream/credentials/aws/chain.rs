//! Which sources of AWS keys there are, in the order of AWS's own tools: environment, profile, web identity,
//! container, instance.

use std::collections::BTreeMap;

use crate::limits;
use crate::secret::Secret;
use crate::upstream::credentials::Fault;
use crate::upstream::credentials::aws::{Container, ContainerToken, INSTANCE, Keys, Source, WebIdentity};

/// The content of the two files that AWS's tools share; empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`.
    pub credentials: &'a str,
    /// `AWS_CONFIG_FILE`, or `~/.aws/config`.
    pub config: &'a str,
}

/// Where a container asks for its keys unless it is told a whole address.
const CONTAINER_HOST: &str = "http://169.254.170.2";

/// What a session is called that nobody has named.
const SESSION: &str = "tollgate";

/// Members of a profile that stand for sources which are not known here.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("credential_process", "`credential_process` of the AWS profile"),
    ("sso_session", "`sso_session` of the AWS profile"),
    ("sso_start_url", "`sso_start_url` of the AWS profile"),
    ("source_profile", "`source_profile` of the AWS profile"),
    ("credential_source", "`credential_source` of the AWS profile"),
];

/// All sources, the first of which is to be asked first and the next only when it fails. `variable` gives the
/// value of an environment variable. The instance is among them unless `AWS_EC2_METADATA_DISABLED` is `true`.
///
/// # Errors
/// When a half of something is there, or a profile that is named asks for what is not known here.
pub fn sources(variable: &dyn Fn(&str) -> Option<String>, files: Files<'_>) -> Result<Vec<Source>, Fault> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let mut found = Vec::new();
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        (Some(access_key), Some(secret_key)) => found.push(Source::Fixed(Keys {
            access_key: Secret::new(access_key),
            secret_key: Secret::new(secret_key),
            session_token: set("AWS_SESSION_TOKEN").map(Secret::new),
        })),
        (Some(_), None) => return Err(Fault::Missing("AWS_SECRET_ACCESS_KEY")),
        (None, Some(_)) => return Err(Fault::Missing("AWS_ACCESS_KEY_ID")),
        (None, None) => {}
    }
    let sts = set("AWS_ENDPOINT_URL_STS");
    found.extend(profile(set("AWS_PROFILE").as_deref(), files, (region.clone(), sts.clone()))?);
    if let Some(token_file) = set("AWS_WEB_IDENTITY_TOKEN_FILE") {
        found.push(Source::WebIdentity(WebIdentity {
            role_arn: set("AWS_ROLE_ARN").ok_or(Fault::Missing("AWS_ROLE_ARN"))?,
            token_file,
            session_name: set("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| SESSION.to_owned()),
            region: region.ok_or(Fault::Missing("AWS_REGION"))?,
            endpoint: sts,
        }));
    }
    let url = match set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        // Behind a host of its own it must not become another host.
        Some(path) if path.starts_with('/') => Some(format!("{CONTAINER_HOST}{path}")),
        Some(_) => return Err(Fault::Form("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")),
        None => set("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    };
    if let Some(url) = url {
        let file = set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(ContainerToken::File);
        let value =
            || set("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|it| ContainerToken::Value(Secret::new(it)));
        let token = file.or_else(value).unwrap_or(ContainerToken::Nothing);
        found.push(Source::Container(Container { url, token }));
    }
    if !set("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let endpoint = set("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE.to_owned());
        found.push(Source::Instance { endpoint: endpoint.trim_end_matches('/').to_owned() });
    }
    Ok(found)
}

/// The source that the profile of this name stands for; of the variables only region and addresses count.
///
/// # Errors
/// When there is no such profile, or it asks for what is not known here.
pub fn profile_source(
    name: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    files: Files<'_>,
) -> Result<Source, Fault> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    let found = profile(Some(name), files, (region, set("AWS_ENDPOINT_URL_STS")))?;
    found.ok_or(Fault::Missing(NO_PROFILE))
}

/// A profile that there is not.
const NO_PROFILE: &str = "the profile that AWS_PROFILE or the config names";

/// The source that a profile names. One that nobody has asked for may be missing or of another kind.
fn profile(
    name: Option<&str>,
    files: Files<'_>,
    (region, endpoint): (Option<String>, Option<String>),
) -> Result<Option<Source>, Fault> {
    let wanted = name.unwrap_or("default");
    let mut members = section(files.config, &[&format!("profile {wanted}"), wanted], wanted == "default")?;
    // What the file of credentials says counts more.
    members.extend(section(files.credentials, &[wanted], true)?);
    let get = |member: &str| members.get(member).cloned();
    if let (Some(access_key), Some(secret_key)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
        let session_token = get("aws_session_token").map(Secret::new);
        let (access_key, secret_key) = (Secret::new(access_key), Secret::new(secret_key));
        return Ok(Some(Source::Fixed(Keys { access_key, secret_key, session_token })));
    }
    if let (Some(role_arn), Some(token_file)) = (get("role_arn"), get("web_identity_token_file")) {
        return Ok(Some(Source::WebIdentity(WebIdentity {
            role_arn,
            token_file,
            session_name: get("role_session_name").unwrap_or_else(|| SESSION.to_owned()),
            region: get("region").or(region).ok_or(Fault::Missing("AWS_REGION"))?,
            endpoint,
        })));
    }
    if name.is_none() {
        return Ok(None);
    }
    match UNSUPPORTED.iter().find(|(member, _)| members.contains_key(*member)) {
        Some((_, what)) => Err(Fault::Unsupported(what)),
        None if members.is_empty() => Err(Fault::Missing(NO_PROFILE)),
        None => Err(Fault::Missing("`aws_access_key_id` or `role_arn` in the AWS profile")),
    }
}

/// The members of the section with one of these names. `bare` says whether the last name counts: in the file
/// of settings only `default` goes without a word in front.
fn section(text: &str, names: &[&str], bare: bool) -> Result<BTreeMap<String, String>, Fault> {
    if text.len() > limits::CREDENTIALS_FILE_BYTES_MAX {
        return Err(Fault::Form("the file of AWS credentials"));
    }
    let taken = if bare { names } else { names.split_last().map_or(names, |(_, others)| others) };
    let (mut members, mut inside) = (BTreeMap::new(), false);
    for line in text.lines() {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = plain.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            let words = header.split_whitespace().collect::<Vec<_>>().join(" ");
            inside = taken.contains(&words.as_str());
            continue;
        }
        // What is set in belongs to the member before it.
        let nested = line.starts_with([' ', '\t']);
        if let (true, false, Some((name, value))) = (inside, nested, plain.split_once('=')) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            if !value.is_empty() {
                members.insert(name.trim().to_ascii_lowercase(), value.to_owned());
            }
        }
    }
    Ok(members)
}
