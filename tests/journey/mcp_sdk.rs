//! The official SDKs of MCP in all their ages, as clients of an address and as servers on a port or on pipes.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::KEY;
use crate::peers;
use crate::program::{self, eventually};

/// Starting Python and importing a large package, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// One version of one SDK. The clients of the newest take `-legacy` and `-modern` behind the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    TypeScript(&'static str),
    Python(&'static str),
}

/// All of them, the oldest first.
pub(crate) const ALL: &[Sdk] = &[
    Sdk::TypeScript("1.0.4"),
    Sdk::Python("1.1.3"),
    Sdk::TypeScript("1.12.3"),
    Sdk::Python("1.9.4"),
    Sdk::TypeScript("1.24.3"),
    Sdk::Python("1.22.0"),
    Sdk::TypeScript("1.32.2"),
    Sdk::Python("1.30.0"),
    Sdk::TypeScript("2.4.0"),
    Sdk::Python("2.3.0"),
];

impl Sdk {
    /// Lists, calls, reads and gets at `url`; what came, as the script reports it.
    #[track_caller]
    pub(crate) fn visit(self, url: &str) -> Value {
        let mut command = self.script("mcp_client");
        let outcome = program::run(command.args([url, KEY]), DEADLINE).succeeded();
        let line = outcome.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|why| panic!("{self:?}: {why}: {outcome:?}"))
    }

    /// All of each tool at `url` as `key` sees it, and what `test_echo` says to `text`. For Python.
    #[track_caller]
    pub(crate) fn definitions(self, url: &str, key: &str) -> Value {
        let mut command = self.script("mcp_client");
        let outcome = program::run(command.args([url, key, "definitions"]), DEADLINE).succeeded();
        let line = outcome.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|why| panic!("{self:?}: {why}: {outcome:?}"))
    }

    /// The names of the tools at `url` as `key` sees them, and what comes of each `[name, arguments]` of
    /// `calls`. For Python.
    #[track_caller]
    pub(crate) fn calls(self, url: &str, key: &str, calls: &Value) -> Value {
        let mut command = self.script("mcp_client");
        let calls = calls.to_string();
        let outcome = program::run(command.args([url, key, "calls", &calls]), DEADLINE).succeeded();
        let line = outcome.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|why| panic!("{self:?}: {why}: {outcome:?}"))
    }

    /// The names of the tools at `url`, for servers that have other fixtures.
    #[track_caller]
    pub(crate) fn tools(self, url: &str) -> Vec<String> {
        let mut command = self.script("mcp_client");
        let outcome = program::run(command.args([url, KEY, "tools"]), DEADLINE).succeeded();
        let seen: Value = serde_json::from_str(outcome.stdout.trim()).expect("the script prints JSON");
        serde_json::from_value(seen["tools"].clone()).expect("it lists names")
    }

    /// The command line of it as a server on pipes.
    pub(crate) fn on_pipes(self) -> (PathBuf, Vec<String>) {
        let mut command = self.script("mcp_server");
        command.arg("stdio");
        let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
        (PathBuf::from(command.get_program()), words.collect())
    }

    /// Starts it as a server over HTTP.
    #[track_caller]
    pub(crate) fn serve(self) -> SdkServer {
        let mut command = self.script("mcp_server");
        let mut child = command
            .arg("http")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|why| panic!("{self:?} does not start: {why}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url).expect("it says where it listens");
        let server = SdkServer { child, url: url.trim().to_owned() };
        let host = server.url.split('/').nth(2).unwrap_or_default();
        let addr: SocketAddr = host.parse().unwrap_or_else(|why| panic!("{self:?}: {why}: {url:?}"));
        eventually("the server can be called", DEADLINE, || TcpStream::connect(addr).is_ok());
        server
    }

    /// The program and its first words: a script of this folder with the SDK named.
    fn script(self, name: &str) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey");
        match self {
            Self::TypeScript(version) => {
                let mut command = Command::new(peers::node());
                command.arg(folder.join(format!("{name}.mjs"))).arg(peers::mcp_typescript()).arg(version);
                command
            }
            Self::Python(version) => {
                let installed = version.split('-').next().unwrap_or(version);
                let mut command = Command::new(peers::mcp_python(installed));
                command.args(["-W", "ignore"]).arg(folder.join(format!("{name}.py"))).arg(version);
                command
            }
        }
    }
}

/// A server over HTTP; killed when dropped.
pub(crate) struct SdkServer {
    child: Child,
    url: String,
}

impl SdkServer {
    /// Its address: `/mcp` for streamable HTTP, `/sse` for the oldest transport.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for SdkServer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What every client must find at every server of ours, whatever else is there.
#[track_caller]
pub(crate) fn assert_visited(seen: &Value) {
    let has = |list: &str, name: &str| {
        let names = seen[list].as_array();
        assert!(names.is_some_and(|names| names.contains(&json!(name))), "no {name} in {list} of {seen}");
    };
    has("tools", "test_simple_text");
    has("resources", "test://static-text");
    has("prompts", "test_simple_prompt");
    assert_eq!(seen["called"], "This is a simple text response for testing.", "{seen}");
    assert_eq!(seen["read"], "This is the content of the static text resource.", "{seen}");
    assert_eq!(seen["got"], "This is a simple prompt for testing.", "{seen}");
}
