//! What a command line does to the machine it runs on, as far as that can be seen without running it.
//!
//! A wrong `Read` would hide a change from whoever searches for changes, so a line has to be plain to get
//! that word: everything that could hide a command (substitutions, variables in the wrong place, programs
//! that run others) makes it a no. The other words need one command that is on a list.

use crate::llm::action::Class;

/// Programs that write nothing, whatever their options and operands are.
const READERS: &[&str] = &[
    "basename",
    "cat",
    "cd",
    "cmp",
    "cut",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "egrep",
    "false",
    "fgrep",
    "grep",
    "head",
    "id",
    "jq",
    "ls",
    "md5sum",
    "nl",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "sha256sum",
    "stat",
    "tail",
    "test",
    "tr",
    "true",
    "type",
    "uname",
    "wc",
    "which",
    "whoami",
];

/// Programs that write nothing unless a word of theirs begins with one of these, or one of these letters
/// stands among their short options.
const READERS_BUT: &[(&str, &[&str], &[char])] = &[
    ("file", &["--c"], &['C']),
    ("find", &["-delete", "-exec", "-ok", "-fprint", "-fls"], &[]),
    ("rg", &["--pre", "--hostname-bin"], &[]),
    ("sort", &["--o", "--compress", "--t"], &['o', 'T']),
    ("tree", &["--output"], &['o']),
];

/// What of git writes nothing but where `--output` or an external program says so.
const GIT_READERS: &[&str] = &[
    "blame",
    "describe",
    "diff",
    "grep",
    "log",
    "ls-files",
    "ls-tree",
    "rev-parse",
    "shortlog",
    "show",
    "status",
];

/// Programs that change files.
const WRITERS: &[&str] = &[
    "chgrp", "chmod", "chown", "cp", "install", "ln", "mkdir", "mktemp", "mv", "patch", "rsync", "tee",
    "touch",
];

/// What of git changes the repository or another one.
const GIT_WRITERS: &[&str] = &[
    "add",
    "am",
    "apply",
    "branch",
    "checkout",
    "cherry-pick",
    "clone",
    "commit",
    "fetch",
    "init",
    "merge",
    "mv",
    "pull",
    "push",
    "rebase",
    "reset",
    "restore",
    "revert",
    "rm",
    "stash",
    "switch",
    "tag",
    "worktree",
];

/// Programs that take away what was there.
const DESTROYERS: &[&str] =
    &["dd", "fdisk", "mkswap", "parted", "rm", "rmdir", "shred", "truncate", "unlink", "wipefs"];

/// Programs, and words that have to be among theirs, that take away what was there.
const DESTROYERS_WITH: &[(&str, &[&str])] = &[
    ("docker", &["rm", "rmi", "prune"]),
    ("dropdb", &[]),
    ("find", &["-delete"]),
    ("helm", &["uninstall", "delete"]),
    ("kubectl", &["delete", "drain"]),
    ("podman", &["rm", "rmi", "prune"]),
    ("rsync", &["--delete"]),
    ("terraform", &["destroy"]),
    ("tofu", &["destroy"]),
];

/// Programs that run the program named behind them, and words of the shell that a command follows.
const RUNNERS: &[&str] = &[
    "!", "command", "do", "doas", "elif", "else", "env", "exec", "if", "nice", "nohup", "sudo", "then",
    "time", "timeout", "until", "while", "xargs", "{",
];

/// What the command line `line` does: the worst of what its commands are known to do, `Unknown` when there
/// is nothing known but reading and not all of that is.
pub(crate) fn class(line: &str) -> Class {
    let script = Script::read(line);
    let (mut read, mut wrote) = (!script.hidden, script.writes);
    let commands = || script.commands.iter().filter(|command| !command.is_empty());
    for command in commands() {
        match class_of(command) {
            Class::Destructive => return Class::Destructive,
            Class::Write => wrote = true,
            Class::Unknown => read = false,
            Class::Read => {}
        }
    }
    match (wrote, read && commands().next().is_some()) {
        (true, _) => Class::Write,
        (false, true) => Class::Read,
        (false, false) => Class::Unknown,
    }
}

fn class_of(command: &[Word]) -> Class {
    let mut words = command;
    // Variables that are set for one command may turn any program into another.
    let mut plain = true;
    while let Some((first, rest)) = words.split_first() {
        let set = first.text.split_once('=').is_some_and(|(name, _)| is_name(name));
        if !set && !RUNNERS.contains(&first.program()) {
            break;
        }
        plain = false;
        let options = rest.iter().take_while(|word| !set && word.is_option()).count();
        words = rest.get(options..).unwrap_or_default();
    }
    let Some((program, operands)) = words.split_first() else { return Class::Unknown };
    // Where one program runs another, that one may stand behind any number of options.
    let runs = !plain || program.program() == "find";
    let ends =
        (0..if runs { words.len() } else { 1 }).filter_map(|skipped| words.get(skipped..)?.split_first());
    for (program, operands) in ends {
        if destroys(program.program(), operands) {
            return Class::Destructive;
        }
    }
    if plain && program.bare && reads(&program.text, operands) {
        Class::Read
    } else if writes(program.program(), operands) {
        Class::Write
    } else {
        Class::Unknown
    }
}

fn destroys(program: &str, operands: &[Word]) -> bool {
    let has = |signs: &[&str]| operands.iter().any(|word| signs.contains(&word.text.as_str()));
    if program == "git" {
        return match verb(operands) {
            "clean" => true,
            "reset" => has(&["--hard"]),
            "push" => {
                operands.iter().any(|word| {
                    word.text.starts_with("--force")
                        || word.text.starts_with('+')
                        || word.has_letter(&['f', 'd'])
                }) || has(&["--delete", "--mirror", "--prune"])
            }
            "branch" | "tag" => has(&["-d", "-D", "--delete"]),
            "checkout" | "restore" => has(&[".", "--", "-f", "--force"]),
            "stash" => has(&["drop", "clear"]),
            _ => false,
        };
    }
    let with = DESTROYERS_WITH.iter().find(|(name, _)| *name == program);
    DESTROYERS.contains(&program)
        || program.starts_with("mkfs")
        || with.is_some_and(|(_, signs)| signs.is_empty() || has(signs))
}

fn writes(program: &str, operands: &[Word]) -> bool {
    match program {
        "git" => GIT_WRITERS.contains(&verb(operands)),
        "sed" | "perl" => operands.iter().any(|word| word.is_option() && word.text.contains('i')),
        _ => WRITERS.contains(&program),
    }
}

fn reads(program: &str, operands: &[Word]) -> bool {
    let never = |signs: &[&str], letters: &[char]| {
        let hides = |word: &Word| {
            word.expands || word.has_letter(letters) || signs.iter().any(|sign| word.text.starts_with(sign))
        };
        !operands.iter().any(hides)
    };
    if program == "git" {
        let known = operands.first().is_some_and(|verb| GIT_READERS.contains(&verb.text.as_str()));
        // Options may be cut short, so `--op` opens a pager; these two are the harmless ones.
        let harmless = |word: &Word| matches!(word.text.as_str(), "--oneline" | "--others");
        let out = operands.iter().any(|word| word.text.starts_with("--o") && !harmless(word));
        return known && !out && never(&["--ext", "--textconv"], &['O']);
    }
    match READERS_BUT.iter().find(|(name, ..)| *name == program) {
        Some((_, signs, letters)) => never(signs, letters),
        None => READERS.contains(&program),
    }
}

/// What git is told to do: the first word that is neither an option nor the place behind `-C` or `-c`.
fn verb(operands: &[Word]) -> &str {
    let mut words = operands.iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "-C" | "-c" => drop(words.next()),
            text if text.starts_with('-') => {}
            text => return text,
        }
    }
    ""
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A word with its quotes taken off.
#[derive(Debug, Default)]
struct Word {
    text: String,
    /// It was written without quotes, escapes and variables.
    bare: bool,
    /// The shell may make other words of it: it begins with a variable, a pattern or braces, or is an option
    /// with some in it.
    expands: bool,
}

impl Word {
    /// The program that it names, without its folder.
    fn program(&self) -> &str {
        self.text.rsplit_once('/').map_or(self.text.as_str(), |(_, name)| name)
    }

    fn is_option(&self) -> bool {
        self.text.starts_with('-') && self.text.len() > 1
    }

    /// Whether it is a group of short options with one of these among them.
    fn has_letter(&self, letters: &[char]) -> bool {
        self.is_option() && !self.text.starts_with("--") && self.text.contains(letters)
    }
}

/// A line taken apart.
#[derive(Debug, Default)]
struct Script {
    commands: Vec<Vec<Word>>,
    /// Something is written to a file that a redirection names.
    writes: bool,
    /// There may be commands that were not seen.
    hidden: bool,
}

impl Script {
    fn read(line: &str) -> Self {
        let mut script = Self { commands: vec![Vec::new()], ..Self::default() };
        let mut word: Option<Word> = None;
        let mut letters = line.chars().peekable();
        let mut quoted = false;
        while let Some(letter) = letters.next() {
            match letter {
                '"' => {
                    quoted = !quoted;
                    begun(&mut word).bare = false;
                }
                '\'' if !quoted => {
                    let held = begun(&mut word);
                    held.bare = false;
                    held.text.extend(letters.by_ref().take_while(|&letter| letter != '\''));
                }
                '\\' => {
                    let held = begun(&mut word);
                    held.bare = false;
                    held.text.extend(letters.next().filter(|&letter| letter != '\n'));
                }
                '`' => {
                    script.hidden = true;
                    script.end_command(&mut word);
                }
                '$' if letters.peek() == Some(&'(') => {
                    script.hidden = true;
                    script.end_command(&mut word);
                }
                '$' | '{' | '*' | '?' | '[' if !quoted || letter == '$' => {
                    let held = begun(&mut word);
                    held.bare = false;
                    held.expands |= held.text.is_empty() || held.text.starts_with('-');
                    // `${x:=y}` sets a variable, and the text of it may run.
                    script.hidden |= letter == '$' && letters.peek() == Some(&'{');
                    held.text.push(letter);
                }
                '#' if !quoted && word.is_none() => {
                    while letters.next_if(|&letter| letter != '\n').is_some() {}
                }
                _ if quoted => begun(&mut word).text.push(letter),
                ' ' | '\t' => script.end_word(&mut word),
                '\n' | ';' | '|' | '&' | '(' | ')' => script.end_command(&mut word),
                '<' if letters.peek() == Some(&'<') => {
                    // What follows on the next lines is text, and may look like commands.
                    script.hidden = true;
                    let rest: String = letters.by_ref().take_while(|&letter| letter != '\n').collect();
                    script.writes |= rest.contains('>');
                    script.end_command(&mut word);
                    break;
                }
                '<' => {
                    script.hidden |= letters.peek() == Some(&'(');
                    script.end_word(&mut word);
                }
                '>' => {
                    // A number in front of it says what is sent, and is no word of the command.
                    word = word.take().filter(|held| !held.text.bytes().all(|byte| byte.is_ascii_digit()));
                    script.end_word(&mut word);
                    script.writes |= !goes_nowhere(&mut letters);
                }
                '\r' => script.hidden = true,
                _ => begun(&mut word).text.push(letter),
            }
        }
        script.end_command(&mut word);
        script.hidden |= quoted;
        script
    }

    fn end_word(&mut self, word: &mut Option<Word>) {
        if let (Some(word), Some(command)) = (word.take(), self.commands.last_mut()) {
            command.push(word);
        }
    }

    fn end_command(&mut self, word: &mut Option<Word>) {
        self.end_word(word);
        self.commands.push(Vec::new());
    }
}

/// The word under way.
fn begun(word: &mut Option<Word>) -> &mut Word {
    word.get_or_insert_with(|| Word { bare: true, ..Word::default() })
}

/// Reads the target of a redirection from behind its sign: whether it is `/dev/null` or another descriptor.
fn goes_nowhere(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    while letters.next_if(|letter| matches!(letter, '>' | '|' | ' ' | '\t')).is_some() {}
    let to_descriptor = letters.next_if_eq(&'&').is_some();
    let mut target = String::new();
    while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace() && !";|&()<>".contains(*letter))
    {
        target.push(letter);
    }
    if to_descriptor {
        return !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    }
    target == "/dev/null"
}
