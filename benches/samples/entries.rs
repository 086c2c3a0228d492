//! Entries such as an org of two thousand people makes, without end and always the same.

use std::collections::VecDeque;

use tollgate::ids::CallId;
use tollgate::ledger::entry::{Action, Class, Entry, Kind, Tokens};

/// Numbers that look random and are not.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn any(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.any() >> 16) % bound
    }

    /// A number below a bound, small ones far more often.
    fn low(&mut self, bound: u64) -> u64 {
        self.below(self.0 % bound + 1)
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = self.low(words.len() as u64);
        words.get(usize::try_from(at).unwrap_or(0)).copied().unwrap_or("")
    }

    fn text(&mut self, digits: usize) -> String {
        const DIGITS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        (0..digits).map(|_| char::from(DIGITS[usize::try_from(self.below(58)).unwrap_or(0)])).collect()
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.any(), self.any());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }
}

/// What one person is at.
#[derive(Debug)]
struct Desk {
    session: String,
    prompt: String,
    calls_left: u64,
    prompt_left: u64,
    context: u64,
    /// Uses of MCP tools that the model has asked for.
    asked: VecDeque<String>,
}

/// The org.
#[derive(Debug)]
pub(crate) struct Org {
    dice: Dice,
    desks: Vec<Desk>,
    at_ms: u64,
    /// Mean time between two entries.
    pace_ms: u64,
}

const USERS: usize = 2000;

const MODELS: &[&str] = &[
    "claude-sonnet-5",
    "claude-opus-4-6",
    "claude-haiku-4-5",
    "claude-fable-1",
    "gpt-6",
    "gemini-3-pro",
    "qwen3-coder",
    "glm-5",
];

const SERVERS: &[&str] = &[
    "github",
    "jira",
    "prod-db",
    "grafana",
    "slack",
    "confluence",
    "sentry",
    "k8s",
    "stripe",
    "pagerduty",
    "figma",
    "vault",
    "s3",
    "bigquery",
    "linear",
    "search",
];

const VERBS: &[&str] = &[
    "get", "list", "search", "create", "update", "delete", "read", "write", "run", "query", "merge", "close",
];

const NOUNS: &[&str] = &[
    "issue",
    "file",
    "table",
    "page",
    "alert",
    "pull_request",
    "comment",
    "secret",
    "bucket",
    "pod",
    "invoice",
    "incident",
    "dashboard",
    "channel",
    "branch",
    "deployment",
    "user",
    "log",
];

pub(crate) const FOLDERS: &[&str] = &[
    "src",
    "tests",
    "api",
    "web",
    "infra",
    "prod",
    "staging",
    "billing",
    "auth",
    "docs",
    "scripts",
    "migrations",
    "components",
    "handlers",
    "models",
    "terraform",
    "charts",
    "payments",
    "search",
    "mobile",
];

const COMMANDS: &[&str] = &[
    "cargo test --lib",
    "git status",
    "git diff HEAD~1 --stat",
    "npm run build",
    "pytest -x -q",
    "ls -la",
    "rg -n unwrap",
    "kubectl -n prod get pods",
    "docker compose up -d",
    "make lint",
    "psql -h prod-db -c select",
    "terraform plan",
    "curl -s https://status.example.com/api",
    "gh pr view --json title",
    "go test ./...",
    "rm -rf node_modules",
    "aws s3 ls s3://prod-data",
];

const ERRORS: &[&str] = &[
    "the upstream did not answer in time",
    "connection refused",
    "rate limit of the provider reached",
    "overloaded",
    "the budget team:web is used up",
    "tool not found",
    "invalid arguments: missing property owner",
    "permission denied for table orders",
    "the caller hung up",
    "certificate of the server has expired",
];

impl Org {
    /// An org whose entries begin at a time, so many milliseconds apart.
    pub(crate) fn new(begin_ms: u64, pace_ms: u64) -> Self {
        let mut dice = Dice::new(7);
        let desks = (0..USERS).map(|_| desk(&mut dice)).collect();
        Self { dice, desks, at_ms: begin_ms, pace_ms }
    }

    /// The next entry.
    pub(crate) fn entry(&mut self) -> Entry {
        let dice = &mut self.dice;
        self.at_ms += dice.below(2 * self.pace_ms + 1);
        let user = usize::try_from(dice.low(USERS as u64)).unwrap_or(0);
        let Some(desk_of) = self.desks.get_mut(user) else { return blank(dice) };
        if desk_of.calls_left == 0 {
            *desk_of = desk(dice);
        }
        if desk_of.prompt_left == 0 {
            desk_of.prompt = dice.uuid();
            desk_of.prompt_left = 1 + dice.low(20);
        }
        desk_of.calls_left -= 1;
        desk_of.prompt_left -= 1;
        let desk = desk_of;
        let mut entry = Entry {
            took_us: 200_000 + dice.low(30_000_000),
            key: format!("dev-{user:04}"),
            key_id: format!("{:012x}", Dice::new(user as u64).any() >> 16),
            team: format!("team-{:02}", user % 40),
            user: format!("{}{user}@example.com", FOLDERS[user % FOLDERS.len()]),
            client: format!("claude-cli/2.1.{} (external, cli)", 300 + user % 40),
            session: desk.session.clone(),
            prompt: desk.prompt.clone(),
            budgets: vec![format!("team:team-{:02}", user % 40), "org".into()],
            outcome: "done".into(),
            status: 200,
            request_bytes: 2000 + dice.low(4000),
            answer_bytes: 500 + dice.low(30_000),
            ..Entry::new(id(dice), Kind::ModelCall, self.at_ms)
        };
        match (desk.asked.pop_front(), dice.below(100)) {
            (Some(asked), _) => tool(&mut entry, dice, asked),
            (None, 0..=7) => {
                entry.kind = Kind::CountTokens;
                entry.model = "claude-sonnet-5".into();
                entry.provider = "anthropic".into();
            }
            (None, 8..=11) => {
                entry.kind = Kind::McpOther;
                entry.method = "tools/list".into();
                entry.server = dice.pick(SERVERS).into();
            }
            (None, 12) => {
                entry.kind = Kind::Refusal;
                entry.status = 403;
                entry.outcome = "refused".into();
                entry.decision = "deny: teams.web.models".into();
            }
            _ => model(&mut entry, dice, desk),
        }
        if dice.below(100) < 4 {
            let place = format!("{}-{}", dice.pick(FOLDERS), dice.below(400));
            entry.error = format!("{} ({place}.internal:443)", dice.pick(ERRORS));
            entry.status = [500, 429, 529, 504][usize::try_from(dice.below(4)).unwrap_or(0)];
            entry.outcome = "upstream_cut".into();
        }
        entry
    }
}

fn desk(dice: &mut Dice) -> Desk {
    Desk {
        session: dice.uuid(),
        prompt: String::new(),
        calls_left: 20 + dice.low(300),
        prompt_left: 0,
        context: 14_000,
        asked: VecDeque::new(),
    }
}

fn blank(dice: &mut Dice) -> Entry {
    Entry::new(id(dice), Kind::Admin, 0)
}

fn id(dice: &mut Dice) -> CallId {
    CallId(u128::from(dice.any()) << 64 | u128::from(dice.any()))
}

fn model(entry: &mut Entry, dice: &mut Dice, desk: &mut Desk) {
    let model = dice.pick(MODELS);
    entry.model = model.into();
    entry.served_model = format!("{model}-20260801");
    entry.provider = if model.starts_with("claude") { "anthropic".into() } else { "openrouter".into() };
    entry.upstream_id = format!("req_011C{}", dice.text(20));
    entry.first_byte_us = entry.took_us / 7;
    entry.request_bytes = desk.context * 4;
    let fresh = 50 + dice.low(4000);
    entry.tokens = Tokens {
        input: 3 + dice.below(10),
        output: 40 + dice.low(2000),
        cache_read: desk.context,
        cache_write_5m: fresh,
        cache_write_1h: 0,
    };
    desk.context += fresh;
    entry.cost_pico = desk.context * 300_000 + entry.tokens.output * 15_000_000 + fresh * 3_750_000;
    entry.priced = "2026-11-01".into();
    entry.decision = format!("allow: {}.models[0]", entry.team);
    entry.stop_reason = if dice.below(10) < 7 { "tool_use".into() } else { "end_turn".into() };
    if entry.stop_reason == "tool_use" {
        for _ in 0..1 + dice.low(3) {
            let id = format!("toolu_01{}", dice.text(22));
            let (name, class, detail) = match dice.below(10) {
                0..=3 => ("Bash", Class::Write, format!("{} {}", dice.pick(COMMANDS), path(dice))),
                4..=5 => ("Read", Class::Read, path(dice)),
                6 => ("Edit", Class::Write, path(dice)),
                7 => ("Grep", Class::Read, dice.pick(NOUNS).into()),
                _ => {
                    desk.asked.push_back(id.clone());
                    ("mcp__tollgate__call", Class::Unknown, String::new())
                }
            };
            entry.actions.push(Action { id, name: name.into(), class, detail });
        }
    }
}

fn path(dice: &mut Dice) -> String {
    let (one, two) = (dice.pick(FOLDERS), dice.pick(FOLDERS));
    format!("/home/dev/{one}/{two}/{}_{}.rs", dice.pick(NOUNS), dice.low(60))
}

fn tool(entry: &mut Entry, dice: &mut Dice, asked: String) {
    entry.kind = Kind::ToolCall;
    entry.method = "tools/call".into();
    entry.server = dice.pick(SERVERS).into();
    let verb = dice.pick(VERBS);
    entry.tool = format!("{verb}_{}", dice.pick(NOUNS));
    entry.tool_hash = format!("{:016x}", Dice::new(u64::from(crc(&entry.tool))).any());
    entry.class = match verb {
        "get" | "list" | "search" | "read" | "query" => Class::Read,
        "delete" => Class::Destructive,
        _ => Class::Write,
    };
    entry.tool_use_id = asked;
    entry.decision = format!("allow: {}.servers.{}", entry.team, entry.server);
    entry.cost_pico = if entry.server == "search" { 5_000_000_000 } else { 0 };
}

/// A number that is always the same for a text.
fn crc(text: &str) -> u32 {
    text.bytes().fold(17, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}
