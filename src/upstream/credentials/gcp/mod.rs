//! Access tokens of Google Cloud: service accounts, people, workload identities and the metadata service.
//!
//! Follows "How Application Default Credentials works", "Using OAuth 2.0 for Server to Server Applications"
//! and "Obtain short-lived credentials for Workload Identity Federation" of Google's documentation (read
//! 2026-11).

mod assertion;
#[cfg(test)]
mod tests;

use crate::secret::Secret;
use crate::upstream::credentials::answer::{number, oauth_code, object, sound, text, time};
use crate::upstream::credentials::{Ask, Fault, Fresh, Step, own_machine, push_escaped};

/// What a token is good for: all that the account may do.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where tokens are asked for unless a file says otherwise.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// The service beside a machine of Google's. It has a name, which only such machines resolve; its address is
/// always the same.
pub const METADATA_HOST: &str = "169.254.169.254";

/// Where a token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A key of a service account.
    ServiceAccount(ServiceAccount),
    /// A person who has signed in on this machine.
    Person(Person),
    /// A token of another issuer, which Google exchanges.
    Workload(Workload),
    /// The metadata service.
    Metadata {
        /// The account; `default` where a machine has one only.
        account: String,
        /// Its host, and its port where it has one: [`METADATA_HOST`], or what `GCE_METADATA_HOST` says.
        host: String,
    },
}

/// A key of a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its address.
    pub email: String,
    /// The id of the key.
    pub key_id: Option<String>,
    /// The key: PKCS#8 in PEM.
    pub key: Secret,
    /// Where it is exchanged.
    pub token_url: String,
}

/// What is kept of somebody who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
}

/// Another issuer's token and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    audience: String,
    subject_kind: String,
    token_url: String,
    /// The account that the token is exchanged for once more.
    impersonation_url: Option<String>,
    subject: Subject,
    /// The member of a JSON document that the token stands in; else the document is the token.
    field: Option<String>,
}

/// Where the other issuer's token is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    File(String),
    Url(String, Vec<(String, Secret)>),
}

/// Reads the file that `GOOGLE_APPLICATION_CREDENTIALS` names, or that `gcloud` keeps for a person.
///
/// # Errors
/// [`Fault::Form`], [`Fault::Missing`], [`Fault::Unsupported`], [`Fault::Address`].
pub fn read(file: &[u8]) -> Result<Source, Fault> {
    let get = |name: &'static str| text(file, name).ok_or(Fault::Missing(name));
    let kind = text(file, "type").ok_or(Fault::Form("the file of GOOGLE_APPLICATION_CREDENTIALS"))?;
    match kind.as_str() {
        "service_account" => {
            let token_url = text(file, "token_uri").unwrap_or_else(|| TOKEN_URL.to_owned());
            own_machine(&token_url, "token_uri")?;
            Ok(Source::ServiceAccount(ServiceAccount {
                email: get("client_email")?,
                key_id: text(file, "private_key_id"),
                key: Secret::new(get("private_key")?),
                token_url,
            }))
        }
        "authorized_user" => Ok(Source::Person(Person {
            client_id: get("client_id")?,
            client_secret: Secret::new(get("client_secret")?),
            refresh_token: Secret::new(get("refresh_token")?),
        })),
        "external_account" => workload(file).map(Source::Workload),
        _ => Err(Fault::Unsupported("this `type` of Google credentials")),
    }
}

fn workload(file: &[u8]) -> Result<Workload, Fault> {
    let get = |name: &'static str| text(file, name).ok_or(Fault::Missing(name));
    let source = object(file, "credential_source").ok_or(Fault::Missing("credential_source"))?;
    let subject = match (text(source, "file"), text(source, "url")) {
        (Some(file), None) => Subject::File(file),
        (None, Some(url)) if text(source, "environment_id").is_none() => {
            own_machine(&url, "credential_source.url")?;
            Subject::Url(url, headers(source)?)
        }
        _ => return Err(Fault::Unsupported("a `credential_source` that is neither `file` nor `url`")),
    };
    let format = object(source, "format");
    let field = match format.and_then(|format| text(format, "type")).as_deref() {
        None | Some("text") => None,
        Some("json") => {
            let name = format.and_then(|format| text(format, "subject_token_field_name"));
            Some(name.ok_or(Fault::Missing("subject_token_field_name"))?)
        }
        Some(_) => return Err(Fault::Unsupported("this `format` of a `credential_source`")),
    };
    let token_url = get("token_url")?;
    own_machine(&token_url, "token_url")?;
    let impersonation_url = text(file, "service_account_impersonation_url");
    if let Some(url) = &impersonation_url {
        own_machine(url, "service_account_impersonation_url")?;
    }
    Ok(Workload {
        audience: get("audience")?,
        subject_kind: get("subject_token_type")?,
        token_url,
        impersonation_url,
        subject,
        field,
    })
}

/// The header lines that the other issuer wants to see.
fn headers(source: &[u8]) -> Result<Vec<(String, Secret)>, Fault> {
    let Some(headers) = object(source, "headers") else { return Ok(Vec::new()) };
    // Of the services that are in use one wants `Metadata: true`, and GitHub's wants `Authorization`.
    let known =
        ["Metadata", "Authorization", "authorization", "metadata", "Accept", "X-aws-ec2-metadata-token"];
    let found =
        known.iter().filter_map(|name| Some((name.to_ascii_lowercase(), Secret::new(text(headers, name)?))));
    let found: Vec<(String, Secret)> = found.collect();
    let plain =
        |(_, value): &(String, Secret)| value.expose().bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if found.iter().all(plain) { Ok(found) } else { Err(Fault::Form("credential_source.headers")) }
}

impl Source {
    /// The file that has to be read anew for each [`Fetch::begin`].
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Workload(Workload { subject: Subject::File(file), .. }) => Some(file),
            _ => None,
        }
    }

    /// What nobody may see and what makes it another source when it changes.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::ServiceAccount(account) => vec![&account.key],
            Self::Person(person) => vec![&person.client_secret, &person.refresh_token],
            Self::Workload(Workload { subject: Subject::Url(_, lines), .. }) => {
                lines.iter().map(|(_, value)| value).collect()
            }
            Self::Workload(_) | Self::Metadata { .. } => Vec::new(),
        }
    }

    /// What people call it.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::ServiceAccount(_) => "service account",
            Self::Person(_) => "person of gcloud",
            Self::Workload(_) => "workload identity",
            Self::Metadata { .. } => "metadata service",
        }
    }
}

/// A fetch under way.
#[derive(Clone, Debug)]
pub struct Fetch {
    now_s: u64,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The other issuer's token is asked for, exchanged, and exchanged once more.
    Subject(Workload),
    Exchange(Option<String>),
    Account,
    Token,
}

impl Fetch {
    /// Begins at `now_s`, seconds since 1970, with what stands in [`Source::file`] where there is one.
    ///
    /// # Errors
    /// [`Fault::Key`], [`Fault::Missing`] without the content of that file, [`Fault::Form`] when it is
    /// another.
    pub fn begin(source: &Source, file: Option<&Secret>, now_s: u64) -> Result<(Self, Ask), Fault> {
        let (stage, ask) = match source {
            Source::ServiceAccount(account) => {
                let assertion = assertion::sign(account, SCOPE, now_s)?;
                let fields = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.expose()),
                ];
                let own_machine = own_machine(&account.token_url, "token_uri")?;
                (Stage::Token, Ask { own_machine, ..Ask::form(account.token_url.clone(), &fields) })
            }
            Source::Person(person) => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", person.client_id.as_str()),
                    ("client_secret", person.client_secret.expose()),
                    ("refresh_token", person.refresh_token.expose()),
                ];
                (Stage::Token, Ask::form(TOKEN_URL.to_owned(), &fields))
            }
            Source::Workload(workload) => match &workload.subject {
                Subject::File(_) => {
                    let content = file.ok_or(Fault::Missing("the file of `credential_source`"))?;
                    let subject = subject(workload, content.expose().as_bytes())?;
                    (Stage::Exchange(workload.impersonation_url.clone()), exchange(workload, &subject)?)
                }
                Subject::Url(url, lines) => {
                    let name = |name: &str| match name {
                        "metadata" => "metadata",
                        "accept" => "accept",
                        "x-aws-ec2-metadata-token" => "x-aws-ec2-metadata-token",
                        _ => "authorization",
                    };
                    let lines = lines.iter().map(|(key, value)| (name(key), value.clone()));
                    let own_machine = own_machine(url, "credential_source.url")?;
                    let ask = Ask { own_machine, ..Ask::get(url.clone(), lines.collect()) };
                    (Stage::Subject(workload.clone()), ask)
                }
            },
            Source::Metadata { account, host } => {
                let mut url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/");
                push_escaped(&mut url, account);
                url.push_str("/token");
                let flavour = ("metadata-flavor", Secret::new("Google"));
                let own_machine = own_machine(&url, "GCE_METADATA_HOST")?;
                (Stage::Token, Ask { own_machine, ..Ask::get(url, vec![flavour]) })
            }
        };
        Ok((Self { now_s, stage }, ask))
    }

    /// Takes the answer to the last [`Ask`].
    ///
    /// # Errors
    /// [`Fault::Refused`] and [`Fault::Answer`]: the fetch is over.
    pub fn answer(&mut self, status: u16, body: &[u8]) -> Result<Step<Secret>, Fault> {
        let body = sound(status, body, oauth_code)?;
        match &self.stage {
            Stage::Subject(workload) => {
                let ask = exchange(workload, &subject(workload, body)?)?;
                self.stage = Stage::Exchange(workload.impersonation_url.clone());
                Ok(Step::Ask(ask))
            }
            Stage::Exchange(Some(url)) => {
                let federated = bearer(text(body, "access_token").ok_or(Fault::Answer)?)?;
                let kind = ("content-type", Secret::new("application/json"));
                let headers = vec![kind, ("authorization", federated)];
                let own_machine = own_machine(url, "service_account_impersonation_url")?;
                let ask = Ask {
                    method: "POST",
                    body: Secret::new(format!("{{\"scope\":[\"{SCOPE}\"],\"lifetime\":\"3600s\"}}")),
                    own_machine,
                    ..Ask::get(url.clone(), headers)
                };
                self.stage = Stage::Account;
                Ok(Step::Ask(ask))
            }
            Stage::Account => {
                let token = text(body, "accessToken").ok_or(Fault::Answer)?;
                let expires_s = Some(time(body, "expireTime").ok_or(Fault::Answer)?);
                Ok(Step::Done(Fresh { value: whole(token)?, expires_s }))
            }
            Stage::Exchange(None) | Stage::Token => {
                let token = text(body, "access_token").ok_or(Fault::Answer)?;
                let lasts_s = number(body, "expires_in").ok_or(Fault::Answer)?;
                let expires_s = Some(self.now_s.saturating_add(lasts_s));
                Ok(Step::Done(Fresh { value: whole(token)?, expires_s }))
            }
        }
    }
}

/// A token as a header can carry it.
fn whole(token: String) -> Result<Secret, Fault> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret::new(token))
    } else {
        Err(Fault::Answer)
    }
}

fn bearer(token: String) -> Result<Secret, Fault> {
    Ok(Secret::new(format!("Bearer {}", whole(token)?.expose())))
}

/// The other issuer's token out of what it has written.
fn subject(workload: &Workload, content: &[u8]) -> Result<Secret, Fault> {
    let token = match &workload.field {
        Some(field) => text(content, field),
        None => std::str::from_utf8(content).ok().map(|text| text.trim().to_owned()),
    };
    token
        .filter(|token| !token.is_empty())
        .map(Secret::new)
        .ok_or(Fault::Form("the token of `credential_source`"))
}

fn exchange(workload: &Workload, subject: &Secret) -> Result<Ask, Fault> {
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", workload.audience.as_str()),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", workload.subject_kind.as_str()),
        ("subject_token", subject.expose()),
    ];
    let own_machine = own_machine(&workload.token_url, "token_url")?;
    Ok(Ask { own_machine, ..Ask::form(workload.token_url.clone(), &fields) })
}
