//! Where the credentials of providers come from, resolved: chains of sources, and the ways to what they ask.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::config::atomic;
use crate::config::base_url;
use crate::config::credentials_file::{Azure, Written};
use crate::config::faults::Mark;
use crate::config::providers::{Surroundings, site};
use crate::config::proxy::ProxyVariables;
use crate::config::reader::{At, Reader};
use crate::config::secrets;
use crate::config::shown::{MASK, word};
use crate::limits;
use crate::net::reach::{Allow, Network, Reach};
use crate::net::tls::ClientTls;
use crate::secret::Secret;
use crate::upstream::credentials::Ask;
use crate::upstream::credentials::aws::{self, Files};
use crate::upstream::credentials::azure;
use crate::upstream::credentials::chain::{Chain, Source};
use crate::upstream::credentials::gcp;
use crate::upstream::mcp::server::Remote;

/// All that is fetched from for providers.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// One for each that differs; providers share them.
    pub chains: Vec<Arc<Chain>>,
    tls: Option<Arc<ClientTls>>,
    proxies: ProxyVariables,
    allow: Arc<Allow>,
}

/// Where the credentials of a provider come from, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct ShownCredentials {
    /// As it is written: `aws: default`.
    pub from: String,
    /// What is asked, in this order, until one answers.
    pub asked: Vec<&'static str>,
}

impl ShownCredentials {
    /// Of a chain.
    pub(crate) fn of(chain: &Chain) -> Self {
        Self { from: chain.label.clone(), asked: chain.sources.iter().map(Source::words).collect() }
    }
}

/// The networks of services that stand beside a machine: link-local ones, and where EC2 has them by IPv6.
const BESIDE: &[&str] = &["169.254.0.0/16", "fd00:ec2::/32", "127.0.0.0/8", "::1"];

impl Sources {
    /// The way of a request for credentials. Link-local addresses are reached by requests alone that are for
    /// the service beside this machine.
    ///
    /// # Errors
    /// What is wrong with its address.
    pub fn remote(&self, ask: &Ask) -> Result<Remote, String> {
        let (origin, path) = base_url::parse_endpoint(&ask.url).map_err(|why| why.to_string())?;
        let proxy = match ask.own_machine {
            true => None,
            false => self.proxies.for_origin(&origin).map_err(|why| format!("HTTPS_PROXY: {why}"))?,
        };
        let tls = self.tls.clone().filter(|_| origin.https);
        if origin.https && tls.is_none() {
            return Err("https cannot be used here".to_owned());
        }
        let reach = match ask.own_machine {
            true => {
                let networks = BESIDE.iter().filter_map(|text| Network::parse(text)).collect();
                Reach { written: true, allow: Arc::new(Allow { networks, names: Vec::new() }) }
            }
            false => Reach { written: true, allow: Arc::clone(&self.allow) },
        };
        let site = Arc::new(site("credentials", origin, tls, proxy, reach));
        let headers = ask.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Ok(Remote { site, path, headers })
    }
}

impl Surroundings<'_> {
    /// What a provider's credentials are fetched from; nothing after a fault. `region` is that of its cloud.
    pub(crate) fn chain(
        &mut self,
        written: &At<Written>,
        (what, region): (&str, Option<&str>),
        reader: &mut Reader,
    ) -> Option<Arc<Chain>> {
        self.client_tls(written.mark, reader)?;
        let found = match &written.value {
            Written::Aws { profile } => self.aws(profile.as_ref(), region),
            Written::Gcp { document } => self.gcp(document.as_ref(), what, reader)?,
            Written::Azure { who, scope } => self.azure(who, scope, (what, written.mark), reader)?,
        };
        let chain = match found {
            Ok(chain) => Arc::new(chain),
            Err(why) => {
                reader.fault(written.mark, format!("{what}: credentials cannot be looked for: {why}"));
                return None;
            }
        };
        if let Some(known) = self.chains.iter().find(|known| **known == chain) {
            return Some(Arc::clone(known));
        }
        self.chains.push(Arc::clone(&chain));
        Some(chain)
    }

    /// All chains, and how what they ask is reached.
    pub(crate) fn sources(&self) -> Sources {
        if self.chains.is_empty() {
            return Sources::default();
        }
        Sources {
            chains: self.chains.clone(),
            tls: self.tls.clone(),
            proxies: self.proxies.clone(),
            allow: Arc::clone(&self.allow),
        }
    }

    fn aws(&mut self, profile: Option<&At<String>>, region: Option<&str>) -> Result<Chain, String> {
        let credentials = self.shared_file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")?;
        let config = self.shared_file("AWS_CONFIG_FILE", ".aws/config")?;
        let environment = self.finder.environment;
        let variable = |name: &str| match (environment.read_set(name), name) {
            // A provider says itself where it is.
            (None, "AWS_REGION") => region.map(str::to_owned),
            (found, _) => found,
        };
        let files = Files { credentials: credentials.expose(), config: config.expose() };
        let (label, sources) = match profile {
            None => ("aws: default".to_owned(), aws::sources(&variable, files)),
            Some(name) => {
                let source = aws::profile_source(&name.value, &variable, files);
                (format!("aws: {{ profile: {} }}", word(&name.value)), source.map(|source| vec![source]))
            }
        };
        let sources: Vec<_> =
            sources.map_err(|fault| fault.to_string())?.into_iter().map(Source::Aws).collect();
        if sources.is_empty() {
            return Err(
                "nothing is left where AWS_EC2_METADATA_DISABLED is true: set AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY, or write a profile"
                    .to_owned(),
            );
        }
        Ok(Chain { label, sources })
    }

    /// Nothing after a fault that has been told.
    fn gcp(
        &mut self,
        document: Option<&At<secrets::Source>>,
        what: &str,
        reader: &mut Reader,
    ) -> Option<Result<Chain, String>> {
        if let Some(At { mark, value }) = document {
            let text = self.finder.fetch(value, *mark, &format!("{what}.gcp.credentials"), reader)?;
            let source = gcp::read(text.expose().as_bytes()).map_err(|fault| fault.to_string());
            let label = format!("gcp: {{ credentials: \"{MASK}\" }}");
            return Some(source.map(|source| Chain { label, sources: vec![Source::Gcp(source)] }));
        }
        let found = self.google();
        Some(
            found
                .map(|source| Chain { label: "gcp: default".to_owned(), sources: vec![Source::Gcp(source)] }),
        )
    }

    /// What Google's own tools find: the first that is there counts, and no other.
    fn google(&mut self) -> Result<gcp::Source, String> {
        let environment = self.finder.environment;
        let document = match environment.read_set("GOOGLE_APPLICATION_CREDENTIALS") {
            Some(path) => {
                let found = self.read(Path::new(&path))?;
                Some(found.ok_or_else(|| {
                    format!("GOOGLE_APPLICATION_CREDENTIALS names {path}, which is not there")
                })?)
            }
            None => {
                let name = "application_default_credentials.json";
                let folder = match environment.read_set("CLOUDSDK_CONFIG") {
                    Some(folder) => Some(PathBuf::from(folder)),
                    None => environment.read_set("HOME").map(|home| Path::new(&home).join(".config/gcloud")),
                };
                match folder {
                    Some(folder) => self.read(&folder.join(name))?,
                    None => None,
                }
            }
        };
        match document {
            Some(text) => gcp::read(text.expose().as_bytes()).map_err(|fault| fault.to_string()),
            None => {
                let host = environment.read_set("GCE_METADATA_HOST");
                let host = host.unwrap_or_else(|| gcp::METADATA_HOST.to_owned());
                Ok(gcp::Source::Metadata { account: "default".to_owned(), host })
            }
        }
    }

    /// Nothing after a fault that has been told.
    fn azure(
        &mut self,
        who: &Azure,
        scope: &str,
        (what, mark): (&str, Mark),
        reader: &mut Reader,
    ) -> Option<Result<Chain, String>> {
        let environment = self.finder.environment;
        let place = |name: &str| {
            let url = environment.read_set(name)?;
            Some(url.trim_end_matches('/').to_owned())
        };
        let (label, found) = match who {
            Azure::Default => {
                let found = azure::sources(&|name| environment.read_set(name));
                ("azure: default".to_owned(), found.map_err(|fault| fault.to_string()))
            }
            Azure::Managed { client } => {
                let endpoint = place("AZURE_POD_IDENTITY_AUTHORITY_HOST");
                let source = azure::Source::Managed { client: Some(client.clone()), endpoint };
                (format!("azure: {{ client_id: {} }}", word(client)), Ok(vec![source]))
            }
            Azure::Secret { tenant, client, secret } => {
                let what = format!("{what}.azure.client_secret");
                let At { value, .. } = secret;
                let secret = self.finder.fetch(value, mark, &what, reader)?;
                let authority = place("AZURE_AUTHORITY_HOST");
                let (of, own) = (tenant.clone(), client.clone());
                let source = azure::Source::Secret { tenant: of, client: own, secret, authority };
                let (tenant, client) = (word(tenant), word(client));
                let who = format!("tenant_id: {tenant}, client_id: {client}, client_secret: \"{MASK}\"");
                (format!("azure: {{ {who} }}"), Ok(vec![source]))
            }
        };
        let of = |source| Source::Azure { source, scope: scope.to_owned() };
        Some(found.map(|found| Chain { label, sources: found.into_iter().map(of).collect() }))
    }

    /// A file that AWS's tools share, named by a variable or below the home; empty where there is none.
    fn shared_file(&mut self, variable: &str, usual: &str) -> Result<Secret, String> {
        let environment = self.finder.environment;
        let path = match environment.read_set(variable) {
            Some(path) => Some(PathBuf::from(path)),
            None => environment.read_set("HOME").map(|home| Path::new(&home).join(usual)),
        };
        let found = match path {
            Some(path) => self.read(&path)?,
            None => None,
        };
        Ok(found.unwrap_or_else(|| Secret::new("")))
    }

    /// The text of a file, which is watched from now on; nothing where there is none.
    fn read(&mut self, path: &Path) -> Result<Option<Secret>, String> {
        let path = self.finder.folder.join(path);
        let shown = |why: &dyn std::fmt::Display| format!("{} cannot be read: {why}", path.display());
        self.finder.note(&path).map_err(|why| shown(&why))?;
        match atomic::read(&path, limits::CREDENTIALS_FILE_BYTES_MAX as u64) {
            Ok(bytes) => {
                String::from_utf8(bytes).map(|text| Some(Secret::new(text))).map_err(|_why| shown(&"no text"))
            }
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(why) => Err(shown(&why)),
        }
    }
}
