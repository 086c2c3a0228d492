//! MCP servers as written to MCP servers as the gateway needs them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::base_url::{self, UrlFault};
use crate::config::confines_file;
use crate::config::faults::Mark;
use crate::config::mcp_file::{self, Endpoint, Reach};
use crate::config::openapi;
use crate::config::pinning::Pinning;
use crate::config::policy_file::ServerGrant;
use crate::config::providers::{Surroundings, site};
use crate::config::proxy;
use crate::config::reader::{At, Reader};
use crate::config::snapshot::{Mcp, McpServer};
use crate::config::template::{self, Template};
use crate::glob::Glob;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::search::meaning::Embedding;
use crate::net::confine::Confines;
use crate::policy::residency;
use crate::secret::Secret;
use crate::upstream::mcp::server::{Api, Document, Program, Remote, Server, Transport};
use crate::upstream::site::Origin;

/// `mcp:`, with the servers and the table that go with it.
pub(crate) fn mcp(
    written: &Endpoint,
    servers: Vec<McpServer>,
    pinning: Pinning,
    embedding: Option<Arc<Embedding>>,
) -> Mcp {
    let globs = |texts: &[String]| texts.iter().map(|text| Glob::new(text)).collect();
    let default = Mcp::default();
    Mcp {
        servers,
        allowed_origins: globs(&written.allowed_origins),
        allowed_hosts: globs(&written.allowed_hosts),
        legacy_sse: written.legacy_sse,
        endpoint_key: written.endpoint_key.clone().unwrap_or(default.endpoint_key),
        pinning,
        tools: written.tools.unwrap_or_default(),
        embedding,
    }
}

/// A line for each grant that fits no server: it does no harm, but somebody meant something.
pub(crate) fn idle_grants(whose: &str, grants: &[ServerGrant], servers: &[McpServer]) -> Vec<String> {
    let fits = |grant: &&ServerGrant| {
        let glob = Glob::new(&grant.server.value);
        !servers.iter().any(|known| glob.matches(known.server.name.as_str()))
    };
    let idle = grants.iter().filter(fits);
    idle.map(|grant| {
        let line = grant.server.mark.line;
        format!("{whose}: no server has the name {:?}, line {line}", grant.server.value)
    })
    .collect()
}

/// A place in the config: where, and what people call it.
#[derive(Clone, Copy)]
struct Place<'w> {
    mark: Mark,
    what: &'w str,
    /// Whether the address stands in the config itself, not in a document that it names.
    stands: bool,
}

impl Surroundings<'_> {
    /// Resolves one server; faults go to `reader`.
    pub(crate) fn mcp_server(
        &mut self,
        written: &mcp_file::McpServer,
        reader: &mut Reader,
    ) -> Option<McpServer> {
        let name = &written.name.value;
        let what = format!("mcp_servers.{name}");
        let transport = match &written.reach {
            Reach::Program { command, args, env, cwd, confines } => {
                let confines = confines_file::resolve(confines, &what, &mut self.warnings, reader);
                let program = self.program((command, args, cwd.as_ref()), env, &what, reader)?;
                Transport::Stdio(Program { confines: confines?, ..program })
            }
            Reach::Remote { url, headers, sse } => {
                let headers = self.headers(headers, &what, reader);
                let place = Place { mark: url.mark, what: &what, stands: true };
                let url = self.fill(url, &format!("{what}.url"), reader)?;
                let (origin, path) = parsed(base_url::parse_endpoint(url.expose()), "url", place, reader)?;
                let remote = self.remote(written, place, (origin, path, headers?), reader)?;
                if *sse { Transport::Sse(remote) } else { Transport::Http(remote) }
            }
            Reach::Api { openapi, base_url, headers } => {
                let headers = self.headers(headers, &what, reader)?;
                Transport::OpenApi(self.api(written, (openapi, base_url.as_ref()), headers, reader)?)
            }
        };
        let server = Server {
            name: ServerName::new(name),
            transport,
            era: written.era.unwrap_or_default(),
            trusted: written.trusted,
            call_deadline: written.call_timeout_ms.map_or(limits::MCP_CALL_DEADLINE, Duration::from_millis),
            sharing: written.sharing.unwrap_or_default(),
            idle: written.idle_s.map_or(limits::MCP_IDLE, Duration::from_secs),
            place: residency::Place::of_server(name, &written.stand.regions, written.stand.tenancy),
        };
        Some(McpServer { server: Arc::new(server), presentation: written.presentation.clone() })
    }

    fn fill(&mut self, template: &At<Template>, what: &str, reader: &mut Reader) -> Option<Secret> {
        template::fill(template, what, &mut self.finder, reader)
    }

    fn program(
        &mut self,
        (command, args, cwd): (&At<Template>, &[At<Template>], Option<&At<String>>),
        env: &[(String, At<Template>)],
        what: &str,
        reader: &mut Reader,
    ) -> Option<Program> {
        let mut word = |template: &At<Template>, key: &str, reader: &mut Reader| {
            let what = format!("{what}.{key}");
            let found = self.fill(template, &what, reader)?;
            // The system ends a text at its first zero byte, and so would run something else.
            if found.expose().contains('\0') {
                reader.fault(template.mark, format!("{what}: it holds a zero byte"));
                return None;
            }
            Some(found)
        };
        let command = word(command, "command", reader);
        let args: Vec<Option<Secret>> = args.iter().map(|arg| word(arg, "args", reader)).collect();
        let values: Vec<Option<(String, Secret)>> = env
            .iter()
            .map(|(name, value)| Some((name.clone(), word(value, &format!("env.{name}"), reader)?)))
            .collect();
        env.iter().for_each(|(name, value)| self.warn_of_written(&format!("{what}.env"), name, value));
        let folder = self.finder.folder;
        let command = command?;
        let command = command.expose();
        // A path is one from here, not from wherever the server runs; a bare word is found in `PATH`.
        let command = if command.contains('/') {
            absolute(folder, command).to_string_lossy().into_owned()
        } else {
            command.to_owned()
        };
        let args = args.into_iter().map(|arg| Some(arg?.expose().to_owned())).collect::<Option<_>>()?;
        let cwd = absolute(folder, cwd.map_or(".", |cwd| &cwd.value));
        let env = values.into_iter().collect::<Option<_>>()?;
        Some(Program { command, args, env, cwd, confines: Confines::default() })
    }

    fn headers(
        &mut self,
        headers: &[(String, At<Template>)],
        what: &str,
        reader: &mut Reader,
    ) -> Option<Vec<(String, Secret)>> {
        let mut out = Vec::with_capacity(headers.len());
        for (name, template) in headers {
            self.warn_of_written(&format!("{what}.headers"), name, template);
            let what = format!("{what}.headers.{name}");
            let Some(value) = self.fill(template, &what, reader) else { continue };
            let text = value.expose();
            let fits = |byte: u8| (0x20..=0x7e).contains(&byte) || byte == b'\t';
            if text.is_empty() || text.trim() != text || !text.bytes().all(fits) {
                let text = "it is empty or holds what cannot stand in a header";
                reader.fault(template.mark, format!("{what}: {text}"));
                continue;
            }
            out.push((name.clone(), value));
        }
        (out.len() == headers.len()).then_some(out)
    }

    fn remote(
        &mut self,
        written: &mcp_file::McpServer,
        Place { mark, what, stands }: Place<'_>,
        (origin, path, headers): (Origin, String, Vec<(String, Secret)>),
        reader: &mut Reader,
    ) -> Option<Remote> {
        let proxy = self.proxy((written.proxy.as_ref(), written.name.mark), what, &origin, reader)?;
        let tls = if origin.https { Some(self.client_tls(mark, reader)?) } else { None };
        let secret = headers.iter().any(|(name, _)| is_secret(name));
        if secret && !origin.https && !proxy::is_loopback(&origin.host) {
            self.warnings.push(format!("{what}: its headers go over the network unencrypted (http)"));
        }
        let site = site(&written.name.value, origin, tls, proxy, self.reach(stands));
        Some(Remote { site: Arc::new(site), path, headers })
    }

    fn api(
        &mut self,
        written: &mcp_file::McpServer,
        (document, base): (&At<String>, Option<&At<String>>),
        headers: Vec<(String, Secret)>,
        reader: &mut Reader,
    ) -> Option<Api> {
        let what = format!("mcp_servers.{}", written.name.value);
        let place = Place { mark: document.mark, what: &what, stands: true };
        let at_url = ["http://", "https://"].iter().any(|scheme| document.value.starts_with(scheme));
        let text = if at_url {
            None
        } else {
            let path = self.finder.folder.join(&document.value);
            if let Err(why) = self.finder.note(&path) {
                reader.fault(document.mark, format!("{what}.openapi: {}: {why}", path.display()));
                return None;
            }
            Some(openapi::read(&path, document.mark, &format!("{what}.openapi"), reader)?)
        };
        let named = text.as_deref().and_then(openapi::first_server);
        let stands = base.is_some();
        let Some(base) = base.map(|base| base.value.as_str()).or(named.as_deref()) else {
            let text = "`base_url` is missing, and the document names no server of its own";
            reader.fault(document.mark, format!("{what}: {text}"));
            return None;
        };
        let (origin, path) = parsed(base_url::parse_whole(base), "base_url", place, reader)?;
        let base =
            self.remote(written, Place { stands, ..place }, (origin, path, headers.clone()), reader)?;
        let document = match text {
            Some(text) => Document::Text(text.into()),
            None => {
                let endpoint = base_url::parse_endpoint(&document.value);
                let (origin, path) = parsed(endpoint, "openapi", place, reader)?;
                // What opens the API is not shown to whoever else publishes its description.
                let headers = if origin == base.site.origin { headers } else { Vec::new() };
                Document::Remote(self.remote(written, place, (origin, path, headers), reader)?)
            }
        };
        Some(Api { document, base })
    }

    /// Warns of a secret that stands in the config itself.
    fn warn_of_written(&mut self, what: &str, name: &str, value: &At<Template>) {
        if value.value.refers() || value.value.is_empty() || !is_secret(name) {
            return;
        }
        let line = value.mark.line;
        self.warnings.push(if line == 0 {
            format!("{what}.{name}: it stands in the file itself; write `${{NAME}}` to keep it out")
        } else {
            format!(
                "{what}.{name}: it stands in the config itself, line {line}; \
                 write `${{env:NAME}}` or `${{file:PATH}}` to keep it out"
            )
        });
    }
}

fn parsed<T>(
    found: Result<T, UrlFault>,
    key: &str,
    Place { mark, what, .. }: Place<'_>,
    reader: &mut Reader,
) -> Option<T> {
    found
        .inspect_err(|why| {
            let why = match why {
                UrlFault::UserInfo => "a user or password has no place in it; use `headers`".to_owned(),
                why => why.to_string(),
            };
            reader.fault(mark, format!("{what}.{key}: {why}"));
        })
        .ok()
}

/// Whether a header or variable of this name is a secret in all likelihood.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = ["auth", "key", "token", "secret", "password", "passwd", "credential", "cookie"];
    parts.iter().any(|part| name.contains(part))
}

/// A path from `folder`, whole: a server may run anywhere.
fn absolute(folder: &Path, path: &str) -> PathBuf {
    let path = folder.join(path);
    std::path::absolute(&path).unwrap_or(path)
}

/// The secrets of a server, and the document that it was made from: what its shown form does not tell.
pub(crate) fn facts(server: &Server) -> Vec<&str> {
    let mut out = Vec::new();
    match &server.transport {
        Transport::Http(remote) | Transport::Sse(remote) => remote_facts(remote, &mut out),
        Transport::Stdio(program) => {
            out.push(program.command.as_str());
            out.extend(program.args.iter().map(String::as_str));
            out.extend(program.env.iter().map(|(_, value)| value.expose()));
        }
        Transport::OpenApi(api) => {
            remote_facts(&api.base, &mut out);
            match &api.document {
                Document::Text(text) => out.push(text),
                Document::Remote(remote) => remote_facts(remote, &mut out),
            }
        }
    }
    out
}

fn remote_facts<'s>(remote: &'s Remote, out: &mut Vec<&'s str>) {
    out.push(&remote.path);
    out.extend(remote.headers.iter().map(|(_, value)| value.expose()));
    let password = remote.site.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
    out.push(password.map_or("", Secret::expose));
}
