//! What a command line does to the machine it runs on, as far as that can be seen without running it.
//!
//! A wrong `Read` would hide a change from whoever searches for changes, so a line has to be plain to get
//! that word: everything that could hide a command (substitutions, variables in the wrong place, programs
//! that run others) makes it a no. The other words need one command that is on a list.

use crate::llm::action::Class;
use crate::shell::{RUNNERS, Script, Word, is_name};

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
