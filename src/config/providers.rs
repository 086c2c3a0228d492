//! Providers as written, or as the environment suggests them, to providers as workers need them.

use std::sync::Arc;

use crate::config::base_url;
use crate::config::cloud_file;
use crate::config::defaults;
use crate::config::dialect_file;
use crate::config::environment::Environment;
use crate::config::faults::Mark;
use crate::config::file::{self, Auth};
use crate::config::places_file::Stand;
use crate::config::proxy::{self, ProxyVariables};
use crate::config::reader::{At, Reader};
use crate::config::secrets::{Finder, Source};
use crate::ids::ProviderName;
use crate::llm::speech::Speech;
use crate::net::reach::{Allow, Reach};
use crate::net::tls::ClientTls;
use crate::policy::residency::Place;
use crate::secret::Secret;
use crate::upstream::cloud::Cloud;
use crate::upstream::credentials::chain::Chain;
use crate::upstream::provider::{Credential, Dialect, Provider, Spare};
use crate::upstream::site::{Origin, Proxy, Site};

/// A provider, and how it is spoken to where it does not speak as callers do.
pub(crate) type Known = (Provider, Option<Speech>);

/// What all providers share.
pub(crate) struct Surroundings<'e> {
    /// The proxy variables.
    pub(crate) proxies: ProxyVariables,
    /// The extra roots of `ca_file`, PEM.
    pub(crate) ca_pem: Option<Vec<u8>>,
    /// Made when the first https provider asks for it, then shared.
    pub(crate) tls: Option<Arc<ClientTls>>,
    /// The way to secrets.
    pub(crate) finder: Finder<'e>,
    /// Lines for people.
    pub(crate) warnings: Vec<String>,
    /// What may be reached beside the Internet.
    pub(crate) allow: Arc<Allow>,
    /// What credentials are fetched from.
    pub(crate) chains: Vec<Arc<Chain>>,
}

/// The region of AWS that a provider is asked in.
fn region_of(cloud: Option<&Cloud>) -> Option<&str> {
    match cloud {
        Some(Cloud::Bedrock { region, .. }) => Some(region),
        Some(Cloud::Vertex { .. }) | None => None,
    }
}

/// The providers of a config that names none: what the environment has keys for, else the demo.
pub(crate) fn suggested(environment: &Environment, warnings: &mut Vec<String>) -> Vec<file::Provider> {
    fn at<T>(value: T) -> At<T> {
        At { mark: Mark::default(), value }
    }
    if environment.read_set("OPENAI_API_KEY").is_some() {
        warnings
            .push("OPENAI_API_KEY is set: write `providers:` and `models:` to have its models".to_owned());
    }
    let mut provider = file::Provider {
        name: at("demo".to_owned()),
        dialect: Dialect::Demo,
        takes: None,
        cloud: None,
        base_url: None,
        key: None,
        keys: Vec::new(),
        source: None,
        auth: None,
        proxy: None,
        stand: Stand::default(),
    };
    if environment.read_set("ANTHROPIC_API_KEY").is_some() {
        provider.name = at("anthropic".to_owned());
        provider.dialect = Dialect::Anthropic;
        provider.base_url = Some(at(defaults::ANTHROPIC_URL.to_owned()));
        provider.key = Some(at(Source::Variable("ANTHROPIC_API_KEY".to_owned())));
    } else {
        warnings.push(
            "no provider is known, so the scripted demo model answers: \
             set ANTHROPIC_API_KEY or write `providers:`"
                .to_owned(),
        );
    }
    vec![provider]
}

impl Surroundings<'_> {
    /// Resolves one provider; faults go to `reader`.
    pub(crate) fn resolve(&mut self, written: &file::Provider, reader: &mut Reader) -> Option<Known> {
        let name = ProviderName::new(&written.name.value);
        let what = format!("providers.{name}");
        let Some(url) = &written.base_url else {
            return Some((demo(name, &written.stand), None));
        };
        for At { mark, value } in written.key.iter().chain(&written.keys) {
            let (Source::Written(_), line) = (value, mark.line) else { continue };
            let hint = "write `${env:NAME}` or `${file:PATH}` to keep it out";
            self.warnings.push(format!("{what}: its key stands in the config itself, line {line}; {hint}"));
        }
        let (first, spare) = match written.keys.split_first() {
            Some((first, more)) => (Some(first), more),
            None => (written.key.as_ref(), &[][..]),
        };
        for mark in written.cloud.iter().flat_map(cloud_file::Cloud::written_secrets) {
            let (line, hint) = (mark.line, "write `${env:NAME}` or `${file:PATH}` to keep it out");
            self.warnings
                .push(format!("{what}: a key of `aws` stands in the config itself, line {line}; {hint}"));
        }
        let key = first.map(|key| self.finder.find(key, &format!("{what}.key"), reader));
        let parsed = base_url::parse(&url.value);
        let (origin, base_path) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => {
                reader.fault(url.mark, format!("{what}.base_url: {why}"));
                return None;
            }
        };
        let proxy = self.proxy((written.proxy.as_ref(), written.name.mark), &what, &origin, reader)?;
        let tls = if origin.https { Some(self.client_tls(url.mark, reader)?) } else { None };
        let usual = dialect_file::usual_auth(written.dialect);
        let cloud = match &written.cloud {
            Some(cloud) => Some(Arc::new(self.cloud(cloud, &what, reader)?)),
            None => None,
        };
        let source = match &written.source {
            Some(source) => Some(self.chain(source, (&what, region_of(cloud.as_deref())), reader)?),
            None => None,
        };
        let more = spare.iter().filter_map(|key| self.finder.find(key, &format!("{what}.keys"), reader));
        let more = more.map(|key| credential(written.auth.unwrap_or(usual), &key)).collect();
        let credential = match key {
            None => None,
            Some(key) => Some(credential(written.auth.unwrap_or(usual), &key?)),
        };
        let spare = Spare::new(credential.as_ref(), more);
        if (credential.is_some() || source.is_some()) && !origin.https && !proxy::is_loopback(&origin.host) {
            self.warnings.push(format!("{what}: its key goes over the network unencrypted (http)"));
        }
        let speech =
            dialect_file::speech(written.dialect, (name.as_str(), &origin.host), written.takes.as_ref());
        let base_path = dialect_file::base_path(written.dialect, url, base_path);
        let reach = self.reach(true);
        let site = Arc::new(site(name.as_str(), origin, tls, proxy, reach));
        let Stand { regions, tenancy } = &written.stand;
        let place = Place::of_provider(name.as_str(), regions, *tenancy);
        let dialect = written.dialect;
        let provider = Provider { name, dialect, cloud, site, base_path, credential, spare, place, source };
        Some((provider, speech))
    }

    /// `None` after a fault, `Some(None)` for the direct way. `mark` is where to complain of variables.
    pub(crate) fn proxy(
        &mut self,
        (written, mark): (Option<&At<Source>>, Mark),
        what: &str,
        origin: &Origin,
        reader: &mut Reader,
    ) -> Option<Option<Proxy>> {
        let Some(source) = written else {
            let found = self.proxies.for_origin(origin);
            return found
                .inspect_err(|why| {
                    let text = format!("{what}: HTTPS_PROXY is not http://[user:password@]host:port: {why}");
                    reader.fault(mark, text);
                })
                .ok();
        };
        let url = self.finder.find(source, &format!("{what}.proxy"), reader)?;
        if url.expose() == "none" {
            return Some(None);
        }
        let parsed = proxy::parse(url.expose());
        let wanted = "expected `none` or http://[user:password@]host:port";
        parsed
            .inspect_err(|why| reader.fault(source.mark, format!("{what}.proxy: {wanted}: {why}")))
            .ok()
            .map(Some)
    }

    /// What may be connected to for a host that an administrator wrote, or that was found elsewhere.
    pub(crate) fn reach(&self, written: bool) -> Reach {
        Reach { written, allow: Arc::clone(&self.allow) }
    }

    /// The TLS that all who speak https share.
    pub(crate) fn client_tls(&mut self, mark: Mark, reader: &mut Reader) -> Option<Arc<ClientTls>> {
        if let Some(tls) = &self.tls {
            return Some(Arc::clone(tls));
        }
        match ClientTls::new(self.ca_pem.as_deref()) {
            Ok(tls) => Some(Arc::clone(self.tls.insert(Arc::new(tls)))),
            Err(why) => {
                reader.fault(mark, format!("https cannot be used: {why}"));
                None
            }
        }
    }
}

fn credential(auth: Auth, key: &Secret) -> Credential {
    match auth {
        Auth::ApiKey => Credential { header: "x-api-key", value: key.clone() },
        Auth::GoogApiKey => Credential { header: "x-goog-api-key", value: key.clone() },
        Auth::AzureKey => Credential { header: "api-key", value: key.clone() },
        Auth::Bearer => {
            Credential { header: "authorization", value: Secret::new(format!("Bearer {}", key.expose())) }
        }
    }
}

/// A site whose `Host` header is made here, once.
pub(crate) fn site(
    name: &str,
    origin: Origin,
    tls: Option<Arc<ClientTls>>,
    proxy: Option<Proxy>,
    reach: Reach,
) -> Site {
    Site { name: name.into(), host: origin.host_header(), origin, tls, proxy, reach }
}

fn demo(name: ProviderName, stand: &Stand) -> Provider {
    let place = Place::of_provider(name.as_str(), &stand.regions, stand.tenancy);
    let origin = Origin { https: false, host: "demo".to_owned(), port: 80 };
    let site = Arc::new(site(name.as_str(), origin, None, None, Reach::written()));
    Provider {
        name,
        dialect: Dialect::Demo,
        cloud: None,
        site,
        base_path: String::new(),
        credential: None,
        spare: Spare::default(),
        place,
        source: None,
    }
}
