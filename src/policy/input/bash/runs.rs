//! Follows commands to the programs that run: through `sudo`, `xargs`, `sh -c`, `eval` and what is like them.

use std::collections::BTreeMap;

use crate::limits;
use crate::policy::input::bash::table::{Table, product};
use crate::policy::input::bash::{BREAK, Command, Feed, Line, OUTSIDE, PART, Set, Value, WORDS, Why, Word};
use crate::policy::input::bash::{is_gap, reader};
use crate::policy::input::host;
use crate::shell::is_name;

/// What is known of a line.
#[derive(Debug, Default)]
pub(in crate::policy::input) struct Seen {
    /// Each command that runs with its words, in every form; gaps in it.
    pub(in crate::policy::input) commands: Vec<String>,
    /// Each list of commands with the signs between them.
    pub(in crate::policy::input) lists: Vec<String>,
    /// Why it cannot be judged.
    pub(in crate::policy::input) why: Option<Why>,
    /// A host that is reached cannot be told.
    pub(in crate::policy::input) host_unclear: bool,
}

/// Looks at a line.
pub(in crate::policy::input) fn see(text: &str) -> Seen {
    let mut table = Table::default();
    // What `eval` sets counts in the whole line, so it is gone through until nothing new comes up.
    for _ in 0..limits::COMMAND_DEPTH_MAX {
        table.grown = false;
        let mut look = Look { table, seen: Seen::default(), bytes: 0, steps: 0 };
        look.line(text, 0, false);
        if !look.table.grown {
            return look.seen;
        }
        table = look.table;
    }
    Seen { why: Some(Why::Size), ..Seen::default() }
}

/// A program that runs another one.
struct Runner {
    name: &'static str,
    /// Its options without a value.
    flags: &'static str,
    /// Those with one.
    values: &'static str,
    /// How many words stand before that other program.
    before: usize,
}

/// What an option of a runner means.
struct Taken {
    takes_next: bool,
    /// Nobody knows whether the next word is its value.
    unclear: bool,
    /// A shell is run where no program is named.
    as_shell: bool,
}

impl Runner {
    /// Reads an option from behind its first dash.
    fn option(&self, option: &str) -> Taken {
        let long = option.strip_prefix('-');
        let value = option.find(|letter: char| self.values.contains(letter));
        let known = |letter: char| self.flags.contains(letter) || letter.is_ascii_digit();
        let plain = option.get(..value.unwrap_or(option.len())).unwrap_or_default();
        Taken {
            takes_next: match long {
                Some(name) => LONG_WITH_VALUE.contains(&name),
                None => value == option.len().checked_sub(1),
            },
            unclear: option.contains(is_gap) || (long.is_none() && !plain.chars().all(known)),
            as_shell: matches!(self.name, "sudo" | "doas") && long.is_none() && plain.contains(['s', 'i']),
        }
    }
}

const fn runner(name: &'static str, flags: &'static str, values: &'static str, before: usize) -> Runner {
    Runner { name, flags, values, before }
}

const RUNNERS: &[Runner] = &[
    runner("builtin", "", "", 0),
    runner("busybox", "", "", 0),
    runner("caffeinate", "dimsu", "tw", 0),
    runner("chroot", "", "", 1),
    runner("command", "pvV", "", 0),
    runner("doas", "nLs", "Cu", 0),
    runner("env", "0iv", "uC", 0),
    runner("exec", "cl", "a", 0),
    runner("flock", "ensuxFo", "wE", 1),
    runner("gosu", "", "", 1),
    runner("ionice", "t", "cn", 0),
    runner("nice", "", "n", 0),
    runner("nohup", "", "", 0),
    runner("parallel", "0kqtuvX", "jnNIPSa", 0),
    runner("pkexec", "", "", 0),
    runner("proxychains", "q", "f", 0),
    runner("setsid", "cfw", "", 0),
    runner("stdbuf", "", "ioe", 0),
    runner("strace", "cCdDfFhiknqrtTvVwxyzZ", "aAbeEIoOpPsSuUX", 0),
    runner("su-exec", "", "", 1),
    runner("sudo", "AbBEeHiKklnPsSvV", "aCDghpRrTtUu", 0),
    runner("time", "apqvV", "fo", 0),
    runner("timeout", "fpv", "ks", 1),
    runner("torify", "", "", 0),
    runner("toybox", "", "", 0),
    runner("xargs", "0oprtx", "adEIJLnPRsS", 0),
];

/// Long options of those that have their value in the next word.
const LONG_WITH_VALUE: &[&str] = &[
    "adjustment",
    "arg-file",
    "chdir",
    "class",
    "classdata",
    "close-from",
    "command-timeout",
    "delimiter",
    "error",
    "format",
    "group",
    "host",
    "input",
    "jobs",
    "kill-after",
    "max-args",
    "max-chars",
    "max-lines",
    "max-procs",
    "other-user",
    "output",
    "prompt",
    "role",
    "signal",
    "timeout",
    "type",
    "unset",
    "user",
];

/// Shells, which run what follows `-c`, what a file holds, or what they read.
const SHELLS: &[&str] = &["ash", "bash", "dash", "fish", "ksh", "mksh", "rbash", "sh", "zsh"];

struct Look {
    table: Table,
    seen: Seen,
    bytes: usize,
    steps: usize,
}

/// The command that words belong to.
#[derive(Clone, Copy)]
struct At<'a> {
    line: &'a Line,
    input: &'a Feed,
    depth: usize,
}

impl Look {
    fn fail(&mut self, why: Why) {
        self.seen.why.get_or_insert(why);
    }

    fn line(&mut self, text: &str, depth: usize, piped: bool) {
        self.steps += 1;
        if depth > limits::COMMAND_DEPTH_MAX || self.steps > limits::COMMAND_STEPS_MAX {
            return self.fail(Why::Size);
        }
        if text.contains(is_gap) {
            return self.fail(Why::Code);
        }
        let Some(line) = reader::read(text, piped) else { return self.fail(Why::Syntax) };
        line.sets.iter().for_each(|set| self.table.add(set));
        let mut lists: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for command in &line.commands {
            if command.words.is_empty() && command.sets.iter().any(|name| name == "IFS") {
                self.table.divide();
            }
            let variants = self.variants(&command.words);
            let mut texts = Vec::new();
            for words in &variants {
                self.run(words, At { line: &line, input: &command.input, depth });
                texts.push(joined(words));
            }
            texts.iter_mut().filter(|_| !command.after.is_empty()).for_each(|text| {
                text.push_str(&format!(" {} ", command.after.chars().take(2).collect::<String>()));
            });
            let list = lists.entry(command.list).or_insert_with(|| vec![String::new()]);
            *list = product(list, &texts, WORDS);
        }
        for text in lists.into_values().flatten() {
            self.bytes += text.len();
            self.seen.lists.push(text);
        }
    }

    /// All that the words of a command may come to.
    fn variants(&self, words: &[Word]) -> Vec<Vec<String>> {
        let mut all = vec![String::new()];
        for (place, word) in words.iter().enumerate() {
            if place > 0 {
                all.iter_mut().for_each(|text| text.push(BREAK));
            }
            all = product(&all, &self.table.texts(word, 0), WORDS);
        }
        let words = |text: &String| {
            text.split(BREAK).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        all.iter().map(words).collect()
    }

    fn push(&mut self, words: &[String]) {
        let text = joined(words);
        self.bytes += text.len() + 1;
        self.steps += 1;
        if self.bytes > limits::COMMAND_FORMS_BYTES_MAX || self.steps > limits::COMMAND_STEPS_MAX {
            return self.fail(Why::Size);
        }
        self.seen.host_unclear |= text.contains(is_gap) && host::is_unclear(words, is_gap);
        if !self.seen.commands.contains(&text) {
            self.seen.commands.push(text);
        }
    }

    /// Follows a command to what it runs.
    fn run(&mut self, words: &[String], at: At<'_>) {
        let mut words = words.to_vec();
        loop {
            if words.is_empty() || self.seen.why == Some(Why::Size) {
                return;
            }
            self.push(&words);
            let Some(program) = words.first().and_then(|word| program(word)).map(str::to_owned) else {
                return self.fail(Why::Program);
            };
            let rest = words.get(1..).unwrap_or_default();
            if let Some(text) = self.table.aliased(&program).map(str::to_owned) {
                if at.depth == limits::COMMAND_DEPTH_MAX {
                    return self.fail(Why::Size);
                }
                let own = text.split_whitespace().map(str::to_owned);
                let changed: Vec<String> = own.chain(rest.iter().cloned()).collect();
                // An alias may have the name of what it runs.
                if changed.first() != words.first() {
                    return self.run(&changed, At { depth: at.depth + 1, ..at });
                }
                self.push(&changed);
            }
            self.sets(&program, rest);
            match program.as_str() {
                "eval" => return self.code(&rest.join(" "), at),
                "trap" => return self.code(rest.first().map_or("", String::as_str), at),
                "watch" | "ssh" => return self.code_behind(&program, rest, at),
                "su" | "script" | "runuser" => return self.option_code(rest, at),
                "find" | "fd" => return self.found(rest, at),
                "at" | "batch" => return self.read_code(at),
                // What is read from here on is something else.
                "exec" if rest.is_empty() && matches!(at.input, Feed::Pipe(_) | Feed::Text(_)) => {
                    return self.fail(Why::Code);
                }
                "source" | "." => return self.shell(rest, at),
                name if SHELLS.contains(&name) => return self.shell(rest, at),
                _ => {}
            }
            let Some(runner) = RUNNERS.iter().find(|runner| runner.name == program) else { return };
            match self.behind(runner, rest, at) {
                Some(next) => words = next,
                None => return,
            }
        }
    }

    /// What a runner runs.
    fn behind(&mut self, runner: &Runner, rest: &[String], at: At<'_>) -> Option<Vec<String>> {
        let mut rest = rest;
        let mut before = runner.before;
        let mut as_shell = false;
        while let Some((word, more)) = rest.split_first() {
            let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
                let sets = word.split_once('=').is_some_and(|(name, _)| is_name(name));
                if !sets && before == 0 {
                    break;
                }
                before -= usize::from(!sets);
                rest = more;
                continue;
            };
            rest = more;
            if option == "-" && before == 0 {
                break;
            }
            if let Some(code) = split_code(runner.name, option, rest) {
                self.code(&code, at);
                return None;
            }
            let read = runner.option(option);
            if read.unclear && rest.iter().any(|word| word.contains(is_gap)) {
                self.fail(Why::Program);
            }
            as_shell |= read.as_shell;
            if read.takes_next {
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        match runner.name {
            "parallel" if rest.is_empty() => {
                self.read_code(at);
                None
            }
            // What is read stands behind the words of the command.
            "xargs" if rest.is_empty() => Some(vec!["echo".to_owned(), WORDS.into()]),
            "xargs" | "parallel" => Some(rest.iter().cloned().chain([WORDS.into()]).collect()),
            _ => {
                if as_shell && rest.is_empty() {
                    self.read_code(at);
                }
                Some(rest.to_vec())
            }
        }
    }

    /// Looks at a script.
    fn code(&mut self, text: &str, at: At<'_>) {
        if text.contains("{}") && starts_made(text) {
            return self.fail(Why::Program);
        }
        let piped = matches!(at.input, Feed::Pipe(_) | Feed::Text(_));
        self.line(text, at.depth + 1, piped);
    }

    /// Looks at the script behind the first word that is no option: of `ssh`, the one behind the host.
    fn code_behind(&mut self, program: &str, rest: &[String], at: At<'_>) {
        let values = if program == "ssh" { "BbcDEeFIiJLlmOopQRSWw" } else { "nq" };
        let mut rest = rest;
        while let Some((word, more)) = rest.split_first() {
            if !word.starts_with('-') {
                break;
            }
            let takes_next = word.len() == 2 && word.ends_with(|letter: char| values.contains(letter));
            rest = if takes_next { more.get(1..).unwrap_or_default() } else { more };
        }
        if program == "ssh" {
            rest = rest.get(1..).unwrap_or_default();
        }
        if rest.is_empty() {
            return self.read_code(at);
        }
        self.code(&rest.join(" "), at);
    }

    /// Looks at the script behind `-c`.
    fn option_code(&mut self, rest: &[String], at: At<'_>) {
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            if matches!(word.as_str(), "-c" | "--command" | "-lc" | "-qc") {
                let code = words.next().map_or("", String::as_str);
                return self.code(code, at);
            }
            if let Some(code) = word.strip_prefix("--command=") {
                return self.code(code, at);
            }
        }
        self.read_code(at);
    }

    /// Looks at the commands that `find` runs.
    fn found(&mut self, rest: &[String], at: At<'_>) {
        let mut parts = rest.iter();
        while let Some(word) = parts.next() {
            if matches!(word.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir" | "-x" | "-X" | "--exec") {
                let end = |word: &&String| !matches!(word.as_str(), ";" | "+");
                let command: Vec<String> = parts.by_ref().take_while(end).cloned().collect();
                self.run(&command, at);
            }
        }
    }

    /// Looks at what a shell runs: `-c`, a file, or what it reads.
    fn shell(&mut self, rest: &[String], at: At<'_>) {
        let mut rest = rest;
        let mut has_code = false;
        let mut reads = false;
        while let Some((word, more)) = rest.split_first() {
            let is_option = word.len() > 1 && word.starts_with(['-', '+']);
            if !is_option {
                break;
            }
            rest = more;
            if word.starts_with("--") {
                if matches!(word.as_str(), "--rcfile" | "--init-file") {
                    rest = rest.get(1..).unwrap_or_default();
                }
                continue;
            }
            if word.contains(is_gap) {
                return self.fail(Why::Code);
            }
            has_code |= word.contains('c') && word.starts_with('-');
            reads |= word.contains('s');
            if word.contains(['o', 'O']) {
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        let operand = rest.first().map(String::as_str);
        match operand {
            Some(code) if has_code => {
                // A word that stands in the place of a name in the script.
                if code.contains("{}") {
                    return self.fail(Why::Code);
                }
                self.code(code, at);
            }
            // What comes next is only known later.
            None if has_code => self.fail(Why::Code),
            Some(word) if word.chars().all(is_gap) => self.fail(Why::Code),
            Some("-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0") => self.read_code(at),
            Some(_) if !reads => {}
            _ => self.read_code(at),
        }
    }

    /// Looks at the script that a command reads.
    fn read_code(&mut self, at: At<'_>) {
        let texts = match at.input {
            Feed::Nothing | Feed::File => return,
            Feed::Text(word) => {
                self.table.texts(word, 0).iter().map(|text| text.replace(BREAK, " ")).collect()
            }
            Feed::Pipe(from) => match from.and_then(|from| at.line.commands.get(from)) {
                Some(command) => self.printed(command),
                None => vec![WORDS.into()],
            },
        };
        for text in texts {
            self.code(&text, at);
        }
    }

    /// The texts that a command prints.
    fn printed(&self, command: &Command) -> Vec<String> {
        let unknown = || WORDS.to_string();
        let print = |words: Vec<String>| {
            let rest = words.get(1..).unwrap_or_default();
            let plain = |word: &String| !word.contains(['\\', '%']) && !word.starts_with('-');
            match (words.first().and_then(|word| program(word)), &command.input) {
                (Some("echo" | "printf"), _) if rest.iter().all(plain) => rest.join(" "),
                (Some("cat"), Feed::Text(word)) if rest.is_empty() => {
                    let texts = self.table.texts(word, 0);
                    if texts.len() == 1 { texts.concat().replace(BREAK, " ") } else { unknown() }
                }
                // The same as running those files.
                (Some("cat"), _) if !rest.is_empty() && !rest.iter().any(|word| word.contains(is_gap)) => {
                    String::new()
                }
                _ => unknown(),
            }
        };
        self.variants(&command.words).into_iter().map(print).collect()
    }

    /// Remembers what a command sets.
    fn sets(&mut self, program: &str, rest: &[String]) {
        let mut set = |name: &str, value: Value| self.table.add(&Set { name: name.to_owned(), value });
        let unclear = rest.iter().any(|word| word.starts_with(is_gap));
        match program {
            "declare" | "typeset" | "local" | "export" | "readonly" => {
                let by_name = program != "export"
                    && rest.iter().any(|word| word.starts_with('-') && word.contains('n'));
                let divides = rest.iter().any(|word| word.starts_with("IFS="));
                if unclear || by_name {
                    self.table.forget();
                }
                if divides {
                    self.table.divide();
                }
            }
            "read" | "mapfile" | "readarray" | "getopts" | "let" => {
                for word in rest {
                    let name = word.split(['=', '+', '-', '[']).next().unwrap_or_default();
                    if is_name(name) {
                        set(name, Value::Unknown);
                    }
                }
                if unclear {
                    self.table.forget();
                }
            }
            "printf" if rest.first().is_some_and(|word| word.starts_with("-v")) => {
                let attached = rest.first().and_then(|word| word.get(2..)).filter(|name| !name.is_empty());
                match attached
                    .or_else(|| rest.get(1).map(String::as_str))
                    .filter(|name| !name.contains(is_gap))
                {
                    Some(name) => set(name.split('[').next().unwrap_or_default(), Value::Unknown),
                    None => self.table.forget(),
                }
            }
            "unset" => rest.iter().for_each(|name| set(name, Value::Known(Word::default()))),
            "alias" => {
                for word in rest {
                    if let Some((name, text)) = word.split_once('=') {
                        self.table.alias(name, text);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The command in an option of a runner, with the words behind it: `env -S`, `flock -c`.
fn split_code(runner: &str, option: &str, rest: &[String]) -> Option<String> {
    let text = match runner {
        "env" => option.strip_prefix("-split-string").or_else(|| option.strip_prefix('S'))?,
        "flock" => option.strip_prefix('c')?,
        _ => return None,
    };
    Some(format!("{} {}", text.trim_start_matches('='), rest.join(" ")))
}

/// Whether the first word of a script has a place in it that is filled in later.
fn starts_made(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|word| word.contains("{}"))
}

/// The program that a word names, without its folder; nothing where that is not known.
fn program(word: &str) -> Option<&str> {
    let (folder, name) = word.rsplit_once('/').unwrap_or(("", word));
    // A folder that is not known does not change the name, unless it is several words.
    let folder_known = folder.chars().all(|letter| !is_gap(letter) || letter == OUTSIDE || letter == PART);
    (folder_known && !name.contains(is_gap) && !name.contains("{}")).then_some(name)
}

/// The words of a command, the first without its folder.
fn joined(words: &[String]) -> String {
    let mut out = String::new();
    for (place, word) in words.iter().enumerate() {
        if place == 0 {
            out.push_str(word.rsplit_once('/').map_or(word.as_str(), |(_, name)| name));
        } else {
            out.push(' ');
            out.push_str(word);
        }
    }
    out
}
