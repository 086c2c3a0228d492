//! `tollgate claude`: what a developer's Claude Code needs to come through the gateway.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::cli::args::{Claude, Format};
use crate::cli::ordered_json::Json;
use crate::cli::output::{Failure, Output};
use crate::config::atomic;
use crate::config::outline;
use crate::limits;

/// Prints or writes it.
pub(crate) fn run(config: Option<&Path>, wish: &Claude, output: &mut Output<'_>) -> Result<(), Failure> {
    if wish.write.is_some() && wish.format == Format::Mcp {
        let text = "--write puts settings in their place; send `--format mcp` to a file: > .mcp.json";
        return Err(Failure::Usage(text.to_owned()));
    }
    if let (Format::Mcp, Some(name @ (TOKEN | API_KEY))) = (wish.format, wish.key_env.as_deref()) {
        let text = format!("--key-env: Claude Code hides {name} from MCP servers; name another variable");
        return Err(Failure::Usage(text));
    }
    let outline = outline::outline(config);
    // Whoever names an address may be far from the config, or may not be allowed to read it.
    let name = outline.as_ref().map_or_else(|_far| "tollgate".to_owned(), |found| found.endpoint_key.clone());
    let url = match &wish.base_url {
        Some(url) if is_plain(url) && (url.starts_with("http://") || url.starts_with("https://")) => {
            url.trim_end_matches('/').to_owned()
        }
        Some(url) => {
            return Err(Failure::Usage(format!("--base-url: expected http:// or https://, found {url:?}")));
        }
        None => {
            let outline = outline?;
            base_url(&outline.listen, outline.tls)
        }
    };
    let key = match (&wish.key, &wish.key_env) {
        (Some(key), _) => Some(key.clone()),
        (None, Some(name)) => {
            let unset = || Failure::Refused(format!("the environment variable {name} is not set"));
            Some(outline::variable(name).ok_or_else(unset)?)
        }
        (None, None) => None,
    };
    if key.as_deref().is_some_and(|key| !is_plain(key)) {
        return Err(Failure::Usage("the key holds spaces or other characters that no key has".to_owned()));
    }
    if let Some(folder) = &wish.write {
        return write(folder, &url, key.as_deref(), output);
    }
    match wish.format {
        Format::Env => output.text(&exports(&url, key.as_deref()))?,
        Format::Settings => output.json(&merged(Json::Map(Vec::new()), &url, key.as_deref())?)?,
        Format::Mcp => {
            // Such a file is shared, so a key that a variable holds stays in it; Claude Code looks there.
            let variable = wish.key_env.as_deref().unwrap_or(MCP_KEY);
            let key = wish.key.clone().unwrap_or_else(|| format!("${{{variable}}}"));
            output.json(&mcp_file(&name, &url, &key))?;
            if wish.key.is_none() {
                let why = format!("Claude Code hides {TOKEN} from MCP servers");
                output.note(&format!("set {variable} to the key where `claude` runs: {why}"))?;
            }
        }
    }
    if wish.format != Format::Mcp {
        output.note(&format!("for the tools of the MCP servers, once: {}", mcp_command(&name, &url)))?;
    }
    if key.is_none() {
        output.note(
            "no key was given: make one with `tollgate key create --name YOU`, then use --key or --key-env",
        )?;
    }
    Ok(())
}

/// The address at which this machine reaches the first of `listen`.
pub(crate) fn base_url(listen: &[SocketAddr], tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let Some(mut address) = listen.first().copied() else { return format!("{scheme}://127.0.0.1:4000") };
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        });
    }
    format!("{scheme}://{address}")
}

/// The two lines for a shell.
pub(crate) fn exports(url: &str, key: Option<&str>) -> String {
    let key = key.map_or_else(|| "YOUR_TOLLGATE_KEY".to_owned(), shell_word);
    format!("export {URL}={}\nexport {TOKEN}={key}\n", shell_word(url))
}

/// The command that makes Claude Code use our MCP endpoint; the key comes from where `exports` puts it.
fn mcp_command(name: &str, url: &str) -> String {
    let url = shell_word(&format!("{url}/mcp"));
    format!("claude mcp add --transport http {name} {url} --header \"Authorization: Bearer ${TOKEN}\"")
}

/// A `.mcp.json` that names our MCP endpoint.
fn mcp_file(name: &str, url: &str, key: &str) -> Json {
    let map = |key: &str, value: Json| Json::Map(vec![(key.to_owned(), value)]);
    let text = |text: String| Json::Plain(text.into());
    let server = Json::Map(vec![
        ("type".to_owned(), text("http".to_owned())),
        ("url".to_owned(), text(format!("{url}/mcp"))),
        ("headers".to_owned(), map("Authorization", text(format!("Bearer {key}")))),
    ]);
    map("mcpServers", map(name, server))
}

const URL: &str = "ANTHROPIC_BASE_URL";
const TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
const API_KEY: &str = "ANTHROPIC_API_KEY";

/// What holds the key for a `.mcp.json`: in such a file Claude Code puts nothing in place of `TOKEN` and
/// `API_KEY`, so that a project cannot send them away.
const MCP_KEY: &str = "TOLLGATE_KEY";

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// Bare where a shell takes it as it is, else in single quotes.
fn shell_word(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(bare) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Puts the two variables into `env` of some settings; everything else stays, in its order.
fn merged(settings: Json, url: &str, key: Option<&str>) -> Result<Json, Failure> {
    let refused = |what: &str| Failure::Refused(format!("{what} is not a JSON object: nothing was written"));
    let Json::Map(mut entries) = settings else { return Err(refused("the settings file")) };
    if !entries.iter().any(|(name, _)| name == "env") {
        entries.push(("env".to_owned(), Json::Map(Vec::new())));
    }
    for (_, env) in entries.iter_mut().filter(|(name, _)| name == "env") {
        let Json::Map(variables) = env else { return Err(refused("`env` of the settings file")) };
        for (name, value) in [(URL, Some(url)), (TOKEN, key)] {
            let Some(value) = value.map(|value| Json::Plain(value.into())) else { continue };
            match variables.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value,
                None => variables.push((name.to_owned(), value)),
            }
        }
    }
    Ok(Json::Map(entries))
}

fn write(folder: &Path, url: &str, key: Option<&str>, output: &mut Output<'_>) -> Result<(), Failure> {
    let path = folder.join(".claude").join("settings.json");
    let shown = path.display();
    let refused = |why: String| Failure::Refused(format!("{shown}: {why}"));
    let old = match atomic::read(&path, limits::SETTINGS_BYTES_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|why| refused(format!("it is not valid JSON ({why}): nothing was written")))?,
        Err(why) if why.kind() == io::ErrorKind::NotFound => Json::Map(Vec::new()),
        Err(why) => return Err(refused(why.to_string())),
    };
    let mut text = serde_json::to_vec_pretty(&merged(old, url, key)?).map_err(io::Error::from)?;
    text.push(b'\n');
    if !folder.is_dir() {
        return Err(refused("its folder's parent does not exist".to_owned()));
    }
    std::fs::create_dir_all(folder.join(".claude")).map_err(|why| refused(why.to_string()))?;
    atomic::replace(&path, &text).map_err(|why| refused(why.to_string()))?;
    output.text(&format!("{shown} is written"))?;
    if key.is_some() {
        output.note("it holds a key: keep it out of version control")?;
    } else {
        output.note(&format!("no key was given: set {TOKEN} where `claude` runs"))?;
    }
    Ok(())
}
