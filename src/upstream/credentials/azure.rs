//! Access tokens of Microsoft Entra: applications with a secret or a federated token, and managed identities.
//!
//! Follows "OAuth 2.0 client credentials flow" and "How to use managed identities on an Azure VM to acquire
//! an access token" of Microsoft's documentation (read 2026-11).

use crate::secret::Secret;
use crate::upstream::credentials::answer::{number, oauth_code, sound, text};
use crate::upstream::credentials::{Ask, Fault, Fresh, Step, own_machine, push_escaped};

/// What a token for Azure OpenAI and Foundry is good for.
pub const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// Where applications show who they are.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The host of the service beside a machine of Azure's.
const INSTANCE: &str = "http://169.254.169.254";

/// What is asked of it.
const IDENTITY: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";

/// Where a token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An application with a secret.
    Secret {
        /// The tenant, by its id or domain.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: Secret,
        /// Where it shows who it is, without a slash at the end; nothing for the usual place.
        authority: Option<String>,
    },
    /// An application for which another issuer's token in a file is good, as in Kubernetes.
    Federated {
        /// The tenant, by its id or domain.
        tenant: String,
        /// The application.
        client: String,
        /// The file, which is written anew from time to time.
        token_file: String,
        /// Where it shows who it is, without a slash at the end; nothing for the usual place.
        authority: Option<String>,
    },
    /// The identity of the machine.
    Managed {
        /// Which, where it has several.
        client: Option<String>,
        /// Another address of the service, without a slash at the end.
        endpoint: Option<String>,
    },
    /// The identity of an App Service or a function.
    AppService {
        /// Where it is asked for.
        endpoint: String,
        /// What shows that it is us who asks.
        header: Secret,
        /// Which, where it has several.
        client: Option<String>,
    },
}

/// All sources by the variables that Azure's own tools read, the first of which is to be asked first.
///
/// # Errors
/// When a half of something is there.
pub fn sources(variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Source>, Fault> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (tenant, client) = (set("AZURE_TENANT_ID"), set("AZURE_CLIENT_ID"));
    let place = |name: &str| set(name).map(|url| url.trim_end_matches('/').to_owned());
    let authority = place("AZURE_AUTHORITY_HOST");
    let mut found = Vec::new();
    let application = || match (tenant.clone(), client.clone()) {
        (Some(tenant), Some(client)) => Ok((tenant, client)),
        (None, _) => Err(Fault::Missing("AZURE_TENANT_ID")),
        (_, None) => Err(Fault::Missing("AZURE_CLIENT_ID")),
    };
    if let Some(secret) = set("AZURE_CLIENT_SECRET") {
        let (tenant, client) = application()?;
        let authority = authority.clone();
        found.push(Source::Secret { tenant, client, secret: Secret::new(secret), authority });
    }
    if let Some(token_file) = set("AZURE_FEDERATED_TOKEN_FILE") {
        let (tenant, client) = application()?;
        found.push(Source::Federated { tenant, client, token_file, authority });
    }
    match (set("IDENTITY_ENDPOINT"), set("IDENTITY_HEADER")) {
        (Some(endpoint), Some(header)) => {
            found.push(Source::AppService { endpoint, header: Secret::new(header), client });
        }
        _ => found.push(Source::Managed { client, endpoint: place("AZURE_POD_IDENTITY_AUTHORITY_HOST") }),
    }
    Ok(found)
}

impl Source {
    /// The file that has to be read anew for each [`Fetch::begin`].
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Federated { token_file, .. } => Some(token_file),
            _ => None,
        }
    }

    /// What nobody may see and what makes it another source when it changes.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Secret { secret, .. } => vec![secret],
            Self::AppService { header, .. } => vec![header],
            Self::Federated { .. } | Self::Managed { .. } => Vec::new(),
        }
    }

    /// What people call it.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client secret",
            Self::Federated { .. } => "federated token",
            Self::Managed { .. } => "managed identity",
            Self::AppService { .. } => "identity of the App Service",
        }
    }
}

/// A fetch under way.
#[derive(Clone, Debug)]
pub struct Fetch {
    now_s: u64,
}

impl Fetch {
    /// Begins at `now_s`, seconds since 1970, for a `scope` that ends in `/.default`, with what stands in
    /// [`Source::file`] where there is one.
    ///
    /// # Errors
    /// [`Fault::Missing`] without the content of that file, [`Fault::Form`] for a tenant that is none,
    /// [`Fault::Address`].
    pub fn begin(
        source: &Source,
        file: Option<&Secret>,
        scope: &str,
        now_s: u64,
    ) -> Result<(Self, Ask), Fault> {
        let ask = match source {
            Source::Secret { tenant, client, secret, authority } => application(
                (authority.as_deref(), tenant, client),
                scope,
                &[("client_secret", secret.expose())],
            )?,
            Source::Federated { tenant, client, authority, .. } => {
                let token = file.map(|text| text.expose().trim()).filter(|text| !text.is_empty());
                let proof = [
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    (
                        "client_assertion",
                        token.ok_or(Fault::Missing("the token of AZURE_FEDERATED_TOKEN_FILE"))?,
                    ),
                ];
                application((authority.as_deref(), tenant, client), scope, &proof)?
            }
            Source::Managed { client, endpoint } => {
                let url = format!("{}{IDENTITY}", endpoint.as_deref().unwrap_or(INSTANCE));
                let own_machine = own_machine(&url, "AZURE_POD_IDENTITY_AUTHORITY_HOST")?;
                let url = of_identity(url, scope, client.as_deref());
                Ask { own_machine, ..Ask::get(url, vec![("metadata", Secret::new("true"))]) }
            }
            Source::AppService { endpoint, header, client } => {
                let own_machine = own_machine(endpoint, "IDENTITY_ENDPOINT")?;
                if endpoint.contains('?') || header.expose().contains(['\r', '\n']) {
                    return Err(Fault::Form("IDENTITY_ENDPOINT or IDENTITY_HEADER"));
                }
                let url = of_identity(format!("{endpoint}?api-version=2019-08-01"), scope, client.as_deref());
                Ask { own_machine, ..Ask::get(url, vec![("x-identity-header", header.clone())]) }
            }
        };
        Ok((Self { now_s }, ask))
    }

    /// Takes the answer to the [`Ask`]: nothing more has to be asked.
    ///
    /// # Errors
    /// [`Fault::Refused`] and [`Fault::Answer`].
    pub fn answer(&mut self, status: u16, body: &[u8]) -> Result<Step<Secret>, Fault> {
        let body = sound(status, body, oauth_code)?;
        let token = text(body, "access_token").ok_or(Fault::Answer)?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::Answer);
        }
        let lasts = number(body, "expires_in").map(|lasts_s| self.now_s.saturating_add(lasts_s));
        let expires_s = Some(lasts.or_else(|| number(body, "expires_on")).ok_or(Fault::Answer)?);
        Ok(Step::Done(Fresh { value: Secret::new(token), expires_s }))
    }
}

fn application(
    (authority, tenant, client): (Option<&str>, &str, &str),
    scope: &str,
    proof: &[(&str, &str)],
) -> Result<Ask, Fault> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !(1..=253).contains(&tenant.len()) || !tenant.bytes().all(letter) || tenant.starts_with('.') {
        return Err(Fault::Form("the tenant"));
    }
    let mut fields = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", scope)];
    fields.extend_from_slice(proof);
    let authority = authority.unwrap_or(AUTHORITY);
    let own_machine = own_machine(authority, "AZURE_AUTHORITY_HOST")?;
    Ok(Ask { own_machine, ..Ask::form(format!("{authority}/{tenant}/oauth2/v2.0/token"), &fields) })
}

/// The address with what the token is for: a resource, which is a scope without its end.
fn of_identity(mut url: String, scope: &str, client: Option<&str>) -> String {
    url.push_str("&resource=");
    push_escaped(&mut url, scope.strip_suffix("/.default").unwrap_or(scope));
    if let Some(client) = client {
        url.push_str("&client_id=");
        push_escaped(&mut url, client);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::{Fault, Fetch, SCOPE, Source, Step, sources};
    use crate::secret::Secret;

    fn with<'v>(set: &'v [(&'v str, &'v str)]) -> Result<Vec<Source>, Fault> {
        sources(&|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const IDS: [(&str, &str); 2] = [("AZURE_TENANT_ID", "t-1"), ("AZURE_CLIENT_ID", "c 1")];

    #[test]
    fn sources_are_found_in_their_order() {
        let all = [&IDS[..], &[("AZURE_CLIENT_SECRET", "s"), ("AZURE_FEDERATED_TOKEN_FILE", "/f")]].concat();
        let found = with(&all).unwrap();
        assert!(matches!(
            &found[..],
            [Source::Secret { .. }, Source::Federated { .. }, Source::Managed { .. }]
        ));
        assert_eq!(found.iter().map(Source::file).collect::<Vec<_>>(), [None, Some("/f"), None]);
        assert_eq!(with(&[]).unwrap(), [Source::Managed { client: None, endpoint: None }]);
        let service = [("IDENTITY_ENDPOINT", "http://127.0.0.1:41/msi"), ("IDENTITY_HEADER", "h")];
        assert!(matches!(&with(&service).unwrap()[..], [Source::AppService { .. }]));
        assert_eq!(with(&[("AZURE_CLIENT_SECRET", "s")]).unwrap_err(), Fault::Missing("AZURE_TENANT_ID"));
        assert_eq!(
            with(&[IDS[0], ("AZURE_FEDERATED_TOKEN_FILE", "/f")]).unwrap_err(),
            Fault::Missing("AZURE_CLIENT_ID")
        );
    }

    #[test]
    fn applications_prove_who_they_are() {
        let source = with(&[&IDS[..], &[("AZURE_CLIENT_SECRET", "s&1")]].concat()).unwrap().remove(0);
        let (_, ask) = Fetch::begin(&source, None, SCOPE, 100).unwrap();
        assert_eq!((ask.method, ask.own_machine), ("POST", false));
        assert_eq!(ask.url, "https://login.microsoftonline.com/t-1/oauth2/v2.0/token");
        let scope = "https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
        let body = format!("grant_type=client_credentials&client_id=c%201&scope={scope}&client_secret=s%261");
        assert_eq!(ask.body.expose(), body);
        let federated =
            with(&[&IDS[..], &[("AZURE_FEDERATED_TOKEN_FILE", "/f")]].concat()).unwrap().remove(0);
        let token = Secret::new("ey.J\n");
        let (_, ask) = Fetch::begin(&federated, Some(&token), SCOPE, 100).unwrap();
        assert!(ask.body.expose().ends_with("client-assertion-type%3Ajwt-bearer&client_assertion=ey.J"));
        assert!(Fetch::begin(&federated, None, SCOPE, 100).is_err());
        let odd = Source::Secret {
            tenant: "a/../b".into(),
            client: "c".into(),
            secret: Secret::new("s"),
            authority: None,
        };
        assert_eq!(Fetch::begin(&odd, None, SCOPE, 1).unwrap_err(), Fault::Form("the tenant"));
    }

    #[test]
    fn machines_are_asked_for_their_identity() {
        let (_, ask) =
            Fetch::begin(&Source::Managed { client: Some("c 1".into()), endpoint: None }, None, SCOPE, 1)
                .unwrap();
        let query = "&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=c%201";
        assert_eq!(ask.url, format!("{}{}{query}", super::INSTANCE, super::IDENTITY));
        assert_eq!((ask.own_machine, ask.headers), (true, vec![("metadata", Secret::new("true"))]));
        let service = |endpoint: &str| Source::AppService {
            endpoint: endpoint.into(),
            header: Secret::new("h"),
            client: None,
        };
        let (_, ask) = Fetch::begin(&service("http://127.0.0.1:41/msi"), None, SCOPE, 1).unwrap();
        assert!(ask.url.starts_with("http://127.0.0.1:41/msi?api-version=2019-08-01&resource="));
        let away = Fetch::begin(&service("http://10.0.0.1/msi"), None, SCOPE, 1).unwrap_err();
        assert_eq!(away, Fault::Address("IDENTITY_ENDPOINT"));
    }

    #[test]
    fn answers_say_how_long_they_hold() {
        let (mut fetch, _) =
            Fetch::begin(&Source::Managed { client: None, endpoint: None }, None, SCOPE, 100).unwrap();
        for (answer, end) in [
            (r#"{"access_token":"t","expires_in":"3600","expires_on":"9"}"#, 3700),
            (r#"{"access_token":"t","expires_in":3600}"#, 3700),
            (r#"{"access_token":"t","expires_on":"5000"}"#, 5000),
        ] {
            let Ok(Step::Done(fresh)) = fetch.answer(200, answer.as_bytes()) else { panic!("{answer}") };
            assert_eq!((fresh.value, fresh.expires_s), (Secret::new("t"), Some(end)));
        }
        for wrong in ["{}", r#"{"access_token":"t"}"#, r#"{"access_token":"a\nb","expires_in":1}"#, "<html>"]
        {
            assert_eq!(fetch.answer(200, wrong.as_bytes()).unwrap_err(), Fault::Answer, "{wrong}");
        }
        let refused = Fault::Refused { status: 401, code: "invalid_client".to_owned() };
        assert_eq!(fetch.answer(401, br#"{"error":"invalid_client"}"#).unwrap_err(), refused);
    }
}
