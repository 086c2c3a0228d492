//! Credentials of AWS: fixed keys, roles by a web identity (IRSA), of containers and of instances.
//!
//! Follows "Standardized credential providers" of the AWS SDKs and Tools reference guide,
//! "AssumeRoleWithWebIdentity" of the STS API reference and "Use the Instance Metadata Service" of the EC2
//! user guide (read 2026-11).

mod chain;
#[cfg(test)]
mod tests;

use crate::secret::Secret;
use crate::upstream::credentials::answer::{element, seconds, sound, text, time};
use crate::upstream::credentials::{Ask, Fault, Fresh, Step, own_machine, push_escaped};

pub use chain::{Files, profile_source, sources};

/// The service beside an instance.
const INSTANCE: &str = "http://169.254.169.254";

/// Seconds for which a session with that service is good: its most.
const INSTANCE_SESSION_S: &str = "21600";

/// What a request is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The id of the key.
    pub access_key: Secret,
    /// The key.
    pub secret_key: Secret,
    /// What says that a key for a while is good.
    pub session_token: Option<Secret>,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// They stand there: of the environment or of a profile.
    Fixed(Keys),
    /// A token in a file says who we are, and STS gives the keys of a role for it.
    WebIdentity(WebIdentity),
    /// The service of ECS or of EKS Pod Identity.
    Container(Container),
    /// The metadata service of an EC2 instance, version 2.
    Instance {
        /// Where it is, without a slash at the end.
        endpoint: String,
    },
}

/// A role and who takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebIdentity {
    /// The role.
    pub role_arn: String,
    /// The file with the token, which is written anew from time to time.
    pub token_file: String,
    /// What the session is called.
    pub session_name: String,
    /// The region whose STS is asked.
    pub region: String,
    /// The STS that is asked instead.
    pub endpoint: Option<String>,
}

/// A container's service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its address.
    pub url: String,
    /// What it wants in `authorization`.
    pub token: ContainerToken,
}

/// What a container's service wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerToken {
    /// Nothing.
    Nothing,
    /// This.
    Value(Secret),
    /// What stands in this file.
    File(String),
}

impl Source {
    /// The file that has to be read anew for each [`Fetch::begin`].
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::WebIdentity(identity) => Some(&identity.token_file),
            Self::Container(Container { token: ContainerToken::File(file), .. }) => Some(file),
            Self::Fixed(_) | Self::Container(_) | Self::Instance { .. } => None,
        }
    }

    /// What nobody may see and what makes it another source when it changes.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Fixed(Keys { access_key, secret_key, session_token }) => {
                [access_key, secret_key].into_iter().chain(session_token).collect()
            }
            Self::Container(Container { token: ContainerToken::Value(token), .. }) => vec![token],
            Self::WebIdentity(_) | Self::Container(_) | Self::Instance { .. } => Vec::new(),
        }
    }

    /// What people call it.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Fixed(_) => "keys of the environment or a profile",
            Self::WebIdentity(_) => "web identity",
            Self::Container(_) => "container service",
            Self::Instance { .. } => "instance metadata",
        }
    }
}

/// A fetch under way.
#[derive(Clone, Debug)]
pub struct Fetch(Stage);

#[derive(Clone, Debug)]
enum Stage {
    Fixed,
    Sts,
    Container,
    /// Of an instance at this address: a session is asked for, the name of the role, its keys.
    Session(String),
    Role(String, Secret),
    Keys,
}

impl Fetch {
    /// Begins, with what stands in [`Source::file`] where there is one.
    ///
    /// # Errors
    /// [`Fault::Missing`] without the content of that file, [`Fault::Address`], [`Fault::Form`] for a region
    /// that is none.
    pub fn begin(source: &Source, file: Option<&Secret>) -> Result<(Self, Step<Keys>), Fault> {
        let content = || file.map(|text| Secret::new(text.expose().trim())).filter(|text| !text.is_empty());
        Ok(match source {
            Source::Fixed(keys) => {
                (Self(Stage::Fixed), Step::Done(Fresh { value: keys.clone(), expires_s: None }))
            }
            Source::WebIdentity(identity) => {
                let token = content().ok_or(Fault::Missing("the token of AWS_WEB_IDENTITY_TOKEN_FILE"))?;
                (Self(Stage::Sts), Step::Ask(assume(identity, &token)?))
            }
            Source::Container(container) => {
                let token = match &container.token {
                    ContainerToken::Nothing => None,
                    ContainerToken::Value(token) => Some(token.clone()),
                    ContainerToken::File(_) => Some(
                        content()
                            .ok_or(Fault::Missing("the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))?,
                    ),
                };
                if token.as_ref().is_some_and(|token| token.expose().contains(['\r', '\n'])) {
                    return Err(Fault::Form("the token for the container's credentials"));
                }
                let mut headers = vec![("accept", Secret::new("application/json"))];
                headers.extend(token.map(|token| ("authorization", token)));
                let own_machine = own_machine(&container.url, "AWS_CONTAINER_CREDENTIALS_FULL_URI")?;
                let ask = Ask { own_machine, ..Ask::get(container.url.clone(), headers) };
                (Self(Stage::Container), Step::Ask(ask))
            }
            Source::Instance { endpoint } => {
                let life = ("x-aws-ec2-metadata-token-ttl-seconds", Secret::new(INSTANCE_SESSION_S));
                let own_machine = own_machine(endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT")?;
                let ask = Ask::get(format!("{endpoint}/latest/api/token"), vec![life]);
                let ask = Ask { method: "PUT", own_machine, ..ask };
                (Self(Stage::Session(endpoint.clone())), Step::Ask(ask))
            }
        })
    }

    /// Takes the answer to the last [`Ask`].
    ///
    /// # Errors
    /// [`Fault::Refused`] and [`Fault::Answer`]: the fetch is over.
    pub fn answer(&mut self, status: u16, body: &[u8]) -> Result<Step<Keys>, Fault> {
        match &self.0 {
            Stage::Fixed => Err(Fault::Answer),
            Stage::Sts => {
                let word = |body: &[u8]| element(std::str::from_utf8(body).ok()?, "Code");
                of_sts(sound(status, body, word)?).map(Step::Done).ok_or(Fault::Answer)
            }
            Stage::Container | Stage::Keys => {
                let body = sound(status, body, |body| text(body, "code").or_else(|| text(body, "Code")))?;
                // An instance answers 200 when its role cannot be taken.
                match text(body, "Code") {
                    Some(code) if code != "Success" => Err(Fault::Refused { status, code: word(&code) }),
                    _ => of_json(body).map(Step::Done).ok_or(Fault::Answer),
                }
            }
            Stage::Session(endpoint) => {
                let session = line(sound(status, body, |_| None)?).ok_or(Fault::Answer)?;
                let ask = of_instance(format!("{endpoint}{ROLES}"), &session)?;
                self.0 = Stage::Role(endpoint.clone(), session);
                Ok(Step::Ask(ask))
            }
            Stage::Role(endpoint, session) => {
                let role = line(sound(status, body, |_| None)?).ok_or(Fault::Answer)?;
                let mut url = format!("{endpoint}{ROLES}");
                push_escaped(&mut url, role.expose());
                let ask = of_instance(url, session)?;
                self.0 = Stage::Keys;
                Ok(Step::Ask(ask))
            }
        }
    }
}

/// The first line of a short text, as a header can carry it.
fn line(body: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(body).ok()?.trim().lines().next()?;
    let fits = !text.is_empty() && text.len() <= 4096 && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(text))
}

/// A word of a service with nothing in it but letters and digits.
fn word(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

/// Where an instance's service lists the roles, and below which their keys are.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn of_instance(url: String, session: &Secret) -> Result<Ask, Fault> {
    let headers = vec![("x-aws-ec2-metadata-token", session.clone())];
    let own_machine = own_machine(&url, "AWS_EC2_METADATA_SERVICE_ENDPOINT")?;
    Ok(Ask { own_machine, ..Ask::get(url, headers) })
}

/// `AssumeRoleWithWebIdentity`, which is not signed: the token is the proof.
fn assume(identity: &WebIdentity, token: &Secret) -> Result<Ask, Fault> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=32).contains(&identity.region.len()) || !identity.region.bytes().all(letter) {
        return Err(Fault::Form("AWS_REGION"));
    }
    let domain = if identity.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let (url, own_machine) = match &identity.endpoint {
        Some(url) => (url.clone(), own_machine(url, "AWS_ENDPOINT_URL_STS")?),
        None => (format!("https://sts.{}.{domain}/", identity.region), false),
    };
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", identity.role_arn.as_str()),
        ("RoleSessionName", identity.session_name.as_str()),
        ("WebIdentityToken", token.expose()),
    ];
    let mut ask = Ask { own_machine, ..Ask::form(url, &fields) };
    ask.headers.retain(|(name, _)| *name != "accept");
    Ok(ask)
}

/// Reads `<Credentials>` with `<AccessKeyId>`, `<SecretAccessKey>`, `<SessionToken>` and `<Expiration>`.
fn of_sts(body: &[u8]) -> Option<Fresh<Keys>> {
    let doc = std::str::from_utf8(body).ok()?;
    let (_, rest) = doc.split_once("<Credentials>")?;
    let (inner, _) = rest.split_once("</Credentials>")?;
    let secret = |name| element(inner, name).map(Secret::new);
    Some(Fresh {
        value: Keys {
            access_key: secret("AccessKeyId")?,
            secret_key: secret("SecretAccessKey")?,
            session_token: Some(secret("SessionToken")?),
        },
        expires_s: Some(seconds(&element(inner, "Expiration")?)?),
    })
}

/// Reads `{"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}`.
fn of_json(body: &[u8]) -> Option<Fresh<Keys>> {
    let secret = |name| text(body, name).map(Secret::new);
    Some(Fresh {
        value: Keys {
            access_key: secret("AccessKeyId")?,
            secret_key: secret("SecretAccessKey")?,
            session_token: secret("Token"),
        },
        expires_s: Some(time(body, "Expiration")?),
    })
}
