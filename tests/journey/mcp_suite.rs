//! The official conformance suite as a program that judges an address, and what it said, check by check.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::gateway::{Folder, KEY};
use crate::peers;
use crate::program::{self, Outcome, eventually};

/// A run takes 2 to 12 seconds on a quiet machine.
const SUITE_DEADLINE: Duration = Duration::from_secs(240);

/// Scenarios whose messages the suite does not hold against the schema, so that they cannot say so.
const WITHOUT_WIRE_CHECK: &[&str] = &[
    "dns-rebinding-protection",
    "server-sse-multiple-streams",
    "server-session-lifecycle",
    "server-sse-polling",
    "server-stateless",
    "tasks-status-notifications",
];

/// A failure that is known, and why it is none of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// `<scenario>:<check>` in the suite's names; `<scenario>` for all of its checks.
    pub(crate) entry: &'static str,
    /// Why this can only fail. Goes into the file that the suite reads.
    pub(crate) reason: &'static str,
}

/// One statement of the suite.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) id: String,
    /// `SUCCESS`, `FAILURE`, `WARNING`, `SKIPPED` or `INFO`.
    pub(crate) status: String,
    pub(crate) message: String,
}

impl Check {
    fn failed(&self) -> bool {
        matches!(&*self.status, "FAILURE" | "WARNING")
    }
}

/// What the suite said about one address.
#[derive(Debug)]
pub(crate) struct Report {
    /// The scenarios that count, in the suite's order.
    scored: Vec<String>,
    /// All that were run, with their checks.
    scenarios: BTreeMap<String, Vec<Check>>,
    /// Whether silence can pass: in front of a server that is not there it can.
    of_server: bool,
    took: Duration,
    said: String,
}

impl Report {
    /// How many of the scenarios that count have passed without a warning, and how many there are.
    pub(crate) fn score(&self) -> (usize, usize) {
        let passed = |name: &&String| {
            let checks = self.scenarios.get(*name);
            checks.is_some_and(|checks| !checks.is_empty() && !checks.iter().any(Check::failed))
        };
        (self.scored.iter().filter(passed).count(), self.scored.len())
    }

    /// How many checks have passed, and how many were made.
    pub(crate) fn checks(&self) -> (usize, usize) {
        let all = || self.scenarios.values().flatten();
        let passed = all().filter(|check| check.status == "SUCCESS").count();
        (passed, passed + all().filter(|check| check.failed()).count())
    }

    /// The failed checks that nobody expected, each `<scenario>:<check>: why`.
    pub(crate) fn surprises(&self, expected: &[Expected]) -> Vec<String> {
        let known = |scenario: &str, id: &str| {
            expected.iter().any(|known| known.entry == scenario || known.entry == format!("{scenario}:{id}"))
        };
        let mut found = Vec::new();
        for (scenario, checks) in &self.scenarios {
            for check in checks.iter().filter(|check| check.failed() && !known(scenario, &check.id)) {
                found.push(format!("{scenario}:{}: {}", check.id, check.message));
            }
        }
        found
    }

    /// The scenarios that may have passed because nobody was there.
    pub(crate) fn vacuous(&self) -> Vec<&str> {
        if !self.of_server {
            return Vec::new();
        }
        let spoke = |checks: &[Check]| checks.iter().any(|check| check.id == "wire-schema-valid");
        let silent = self.scenarios.iter().filter(|(_, checks)| !spoke(checks)).map(|(name, _)| &**name);
        let missing = self.scored.iter().filter(|name| !self.scenarios.contains_key(*name));
        silent.filter(|name| !WITHOUT_WIRE_CHECK.contains(name)).chain(missing.map(|name| &**name)).collect()
    }

    /// Demands that everything has passed but what was expected, and that someone was there.
    #[track_caller]
    pub(crate) fn passed_but(&self, expected: &[Expected]) {
        let surprises = self.surprises(expected);
        assert!(surprises.is_empty(), "{self}\n{}\n{}", surprises.join("\n"), self.said);
        let failed = |entry: &str| {
            self.scenarios.iter().any(|(scenario, checks)| {
                let mut failed = checks.iter().filter(|check| check.failed());
                failed.any(|check| entry == scenario || entry == format!("{scenario}:{}", check.id))
            })
        };
        let stale: Vec<_> = expected.iter().filter(|known| !failed(known.entry)).collect();
        assert!(stale.is_empty(), "{self}\nthese pass now: {stale:?}");
        assert!(self.vacuous().is_empty(), "{self}\nnothing was said in {:?}\n{}", self.vacuous(), self.said);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scenarios, checks) = (self.score(), self.checks());
        write!(to, "{}/{} scenarios, ", scenarios.0, scenarios.1)?;
        write!(to, "{}/{} checks, {:.1?}", checks.0, checks.1, self.took)
    }
}

/// Runs the set that a revision requires of a server.
#[track_caller]
pub(crate) fn judge_server(url: &str, revision: &str, expected: &[Expected]) -> Report {
    let of_leg = ["--url", url, "--requirements", revision];
    let (scenarios, outcome) = run("server", &of_leg, expected);
    let scored = required("server", revision);
    let (took, said) = (outcome.took, outcome.stdout + &outcome.stderr);
    Report { scored, scenarios, of_server: true, took, said }
}

/// Runs the scenarios that a revision requires of a client, except those about authorization, through the
/// program `tollgate` in front of the suite's own servers; `direct` for no gateway at all.
#[track_caller]
pub(crate) fn judge_client(tollgate: &str, revision: &str, expected: &[Expected]) -> Report {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/mcp_client_mode.mjs");
    let words = [peers::node(), &*script, peers::mcp_typescript(), Path::new(tollgate), Path::new(KEY)];
    let words: Vec<_> = words.iter().map(|word| word.to_str().expect("paths are UTF-8")).collect();
    // The suite splits the command at blanks.
    assert!(!words.iter().any(|word| word.contains(' ')), "a blank in a path: {words:?}");
    let command = words.join(" ");
    let names = required("client", revision);
    let (took, said) = (Duration::ZERO, String::new());
    let (scored, scenarios) = (Vec::new(), BTreeMap::new());
    let mut whole = Report { scored, scenarios, of_server: false, took, said };
    for name in names.into_iter().filter(|name| !name.starts_with("auth/")) {
        let of_leg = ["--command", &command, "--scenario", &name, "--spec-version", revision];
        let (scenarios, outcome) = run("client", &of_leg, expected);
        whole.scenarios.extend(scenarios);
        whole.scored.push(name);
        whole.took += outcome.took;
        whole.said += &(outcome.stdout + &outcome.stderr);
    }
    whole
}

/// Runs the suite once; its results by scenario, and what it printed.
#[track_caller]
fn run(leg: &str, of_leg: &[&str], expected: &[Expected]) -> (BTreeMap<String, Vec<Check>>, Outcome) {
    let folder = Folder::new();
    let (results, known) = (folder.join("results"), folder.join("expected.yaml"));
    let mut command = Command::new(peers::node());
    command.arg(peers::conformance_suite().join("dist/index.js")).arg(leg).args(of_leg);
    command.arg("--output-dir").arg(&results).current_dir(folder.path());
    if !expected.is_empty() {
        fs::write(&known, baseline(leg, expected)).expect("the build folder can be written");
        command.arg("--expected-failures").arg(&known);
    }
    let outcome = program::run(&mut command, SUITE_DEADLINE);
    assert!(results.is_dir(), "the suite left no results\n{}\n{}", outcome.stdout, outcome.stderr);
    (read_results(&results, leg), outcome)
}

/// The file that tells the suite what is expected to fail.
fn baseline(leg: &str, expected: &[Expected]) -> String {
    let mut text = format!("{leg}:\n");
    for Expected { entry, reason } in expected {
        assert!(!reason.is_empty(), "{entry} is expected to fail for no reason");
        text += &format!("  # {reason}\n  - \"{entry}\"\n");
    }
    text
}

/// The scenarios that a revision requires: the list that is named after the leg.
fn required(leg: &str, revision: &str) -> Vec<String> {
    let file = peers::conformance_suite().join(format!("requirements/{revision}.yaml"));
    let text = fs::read_to_string(&file).expect("the suite brings its lists");
    let after = text.lines().skip_while(|line| *line != format!("{leg}:")).skip(1);
    let names: Vec<_> = after
        .take_while(|line| line.is_empty() || line.starts_with([' ', '#']))
        .filter_map(|line| line.strip_prefix("  - ").map(str::to_owned))
        .collect();
    assert!(!names.is_empty(), "{} has no list of {leg}", file.display());
    names
}

/// Reads all `<scenario>-<time>/checks.json`. A `/` in a name is one in the path.
fn read_results(results: &Path, leg: &str) -> BTreeMap<String, Vec<Check>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![results.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the results can be read") {
            let path = entry.expect("the results can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("checks.json") {
                let name =
                    folder.strip_prefix(results).expect("it lies below").to_string_lossy().into_owned();
                // The time is 24 characters long and stands after a dash.
                let name = name.get(..name.len().saturating_sub(25)).unwrap_or_default();
                // Only runs against servers say so in front.
                let name = if leg == "server" { name.strip_prefix("server-").unwrap_or(name) } else { name };
                found.insert(name.to_owned(), read_checks(&path));
            }
        }
    }
    found
}

fn read_checks(path: &Path) -> Vec<Check> {
    let text = fs::read_to_string(path).expect("the results can be read");
    let checks: Vec<Value> = serde_json::from_str(&text).expect("the suite writes lists");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |check: &Value| Check {
        id: word(&check["id"]),
        status: word(&check["status"]),
        message: match check["errorMessage"].as_str() {
            Some(message) => message.to_owned(),
            None => check["details"].to_string().chars().take(600).collect(),
        },
    };
    checks.iter().map(read).collect()
}

/// A reference server over HTTP; killed when dropped.
pub(crate) struct ReferenceServer {
    child: Child,
    addr: SocketAddr,
}

impl ReferenceServer {
    /// Starts one that speaks `both` eras, or only the `legacy` or the `modern` one, and waits until it can
    /// be called.
    pub(crate) fn start(era: &str) -> Self {
        let mut command = Command::new(peers::reference_server());
        command.args(["--listen", "127.0.0.1:0", "--era", era]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the reference server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let addr: SocketAddr = line.trim().parse().expect("it says where it listens");
        eventually("the reference server can be called", Duration::from_secs(10), || {
            TcpStream::connect(addr).is_ok()
        });
        Self { child, addr }
    }

    /// Where it listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for clients and for the gateway.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }
}

impl Drop for ReferenceServer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
