//! The house rules that no compiler knows, as a test: edges, homes of packages, names, sizes, words.
//!
//! A complaint names file, line, rule and what to do. Every rule is shown to bite by a test of its own below.
#![expect(clippy::expect_used, reason = "a test that cannot read its own tree has nothing better to do")]

use std::fs;
use std::path::Path;

/// Modules without I/O that everyone may use; they may use only each other. `base64` is among them because
/// keys, proxies, sealed states and header values are all written in it, and `tokens` because conversations
/// and results of tools are both measured in them.
const WORDS: &[&str] = &[
    "base64", "call", "clock", "corpus", "error", "glob", "ids", "json", "limits", "near", "scan", "secret",
    "shell", "tokens",
];

/// Who may use whom beside the words, lowest first: a row names only rows above it, so circles cannot be.
const EDGES: &[(&str, &[&str])] = &[
    ("http", &[]),
    ("identity", &[]),
    // For `Principal` and what it holds: what identity found out is what policy decides about.
    ("policy", &["identity"]),
    ("route", &[]),
    ("meter", &[]),
    ("ledger", &[]),
    ("net", &[]),
    // A process of its own: what runs there has nothing of ours but words.
    ("script", &[]),
    ("llm", &["http"]),
    ("mcp", &["http"]),
    // mcp: a pipe carries many calls at once, and only the message says whose answer it is.
    ("upstream", &["http", "net", "policy", "mcp"]),
    ("config", &["llm", "mcp", "identity", "policy", "route", "meter", "ledger", "net", "upstream"]),
    ("admin", &["http", "mcp", "identity", "policy", "route", "meter", "ledger", "config"]),
    (
        "gateway",
        &[
            "http", "identity", "policy", "route", "meter", "ledger", "net", "script", "llm", "mcp",
            "upstream", "config", "admin",
        ],
    ),
    ("cli", &["identity", "mcp", "meter", "ledger", "net", "script", "config", "gateway"]),
];

/// Packages that may be named in one place only, so that they can be replaced there.
const HOMES: &[(&str, &[&str])] = &[
    ("tokio_uring", &["net"]),
    ("io_uring", &["net"]),
    ("rustls", &["net"]),
    ("rustix", &["net", "ledger"]),
    ("tokio", &["net", "upstream", "gateway", "admin"]),
    ("httparse", &["http"]),
    ("simd_json", &["json"]),
    ("saphyr", &["config"]),
    ("clap", &["cli"]),
    ("anyhow", &["cli"]),
    ("dashmap", &["mcp"]),
    // route: a session finds its target by hash, the same on every core and replica.
    ("xxhash_rust", &["mcp", "route", "gateway"]),
    // identity: signatures of tokens are verified where tokens are read.
    ("aws_lc_rs", &["identity", "mcp", "ledger", "upstream"]),
    ("rusqlite", &["ledger"]),
    ("memmap2", &["ledger"]),
    ("zstd", &["ledger"]),
    // llm: frames of AWS's event streams carry two sums each.
    ("crc32fast", &["ledger", "llm"]),
    ("jiff", &["meter", "ledger"]),
    ("cedar_policy", &["policy"]),
    ("regex", &["policy"]),
    ("bpe_openai", &["tokens"]),
    // The engine of scripts, which runs in a process of its own alone.
    ("rquickjs", &["script"]),
];

/// Stages that may wait; all others compute.
const ASYNC: &[&str] = &["net", "upstream", "gateway", "admin"];

/// Where memory is handled by hand; a folder ends in `/`.
const UNSAFE: &[&str] =
    // net/confine.rs: a child can be confined only between fork and exec, and what runs there is unsafe to
    // give.
    &[
        "src/net/uring.rs",
        "src/net/buffer.rs",
        "src/net/confine.rs",
        "src/json.rs",
        "src/json/",
        "src/ledger/map.rs",
    ];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "types", "service", "manager", "handler", "core", "misc",
];

/// What the root may hold beside dotfiles; the last three are made by running and are not tracked.
const ROOT: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "src",
    "benches",
    "fuzz",
    "tests",
    "target",
    "tollgate-data",
    "tollgate.yaml",
];

const FILE_LINES_MAX: usize = 600;
const TESTS_LINES_MAX: usize = 1_200;
const LINE_CHARS_MAX: usize = 110;

/// Unfinished work, spelt so that this file does not complain about itself.
const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("HA", "CK")];

/// One source file as the rules see it: its path from the root, with `/`, and its text.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

impl Source<'_> {
    /// The top module that the file belongs to; `None` for `lib.rs`, `main.rs` and files outside `src`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next().unwrap_or(inside);
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (name != "lib" && name != "main").then_some(name)
    }

    /// Its lines with their numbers, comments cut off.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, without_comment(line)))
    }
}

/// Cuts a `//` comment that is not inside a string. A string over several lines is not followed.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut previous = ' ';
    for (at, now) in line.char_indices() {
        match now {
            '"' if previous != '\\' && previous != '\'' => quoted = !quoted,
            '/' if previous == '/' && !quoted => return line.get(..at - 1).unwrap_or(line),
            _ => {}
        }
        previous = if previous == '\\' && now == '\\' { ' ' } else { now };
    }
    line
}

/// Whether `c` can be part of a Rust name.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The places where `word` stands as a whole word: what is before it, and what follows.
fn places<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    line.match_indices(word).filter_map(move |(at, _)| {
        let before = line.get(..at)?;
        let after = line.get(at + word.len()..)?;
        let whole = !before.ends_with(is_name) && !after.starts_with(is_name);
        whole.then_some((before, after))
    })
}

fn edges(source: &Source<'_>) -> Vec<String> {
    let Some(module) = source.module() else { return Vec::new() };
    let allowed: &[&str] = if WORDS.contains(&module) {
        &[]
    } else if let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == module) {
        allowed
    } else {
        return vec![format!(
            "{}:1: edges: module `{module}` stands in no row; add one to tests/tidy.rs and say why",
            source.path
        )];
    };
    let mut found = Vec::new();
    for (number, line) in source.code() {
        for (_, after) in places(line, "crate") {
            let Some(rest) = after.strip_prefix("::") else { continue };
            let used = rest.split(|c| !is_name(c)).next().unwrap_or("");
            let known = WORDS.contains(&used) || EDGES.iter().any(|(name, _)| *name == used);
            if known && used != module && !WORDS.contains(&used) && !allowed.contains(&used) {
                found.push(format!(
                    "{}:{number}: edges: `{module}` may not use `{used}`; let the gateway pass the value",
                    source.path
                ));
            }
        }
    }
    found
}

fn hidden_paths(source: &Source<'_>) -> Vec<String> {
    let shapes = [
        ("crate::{", "write one `use crate::module::...` a line, so that edges can be read"),
        ("super::super", "name the module from the root: `crate::module::...`"),
    ];
    source
        .code()
        .filter(|_| source.path.starts_with("src/"))
        .flat_map(|(number, line)| {
            shapes
                .iter()
                .filter(move |(shape, _)| line.contains(shape))
                .map(move |(shape, cure)| (number, *shape, *cure))
        })
        .map(|(number, shape, cure)| format!("{}:{number}: hidden path: `{shape}`; {cure}", source.path))
        .collect()
}

fn homes(source: &Source<'_>) -> Vec<String> {
    let Some(module) = source.module() else { return Vec::new() };
    let mut found = Vec::new();
    for (number, line) in source.code() {
        for (package, homes) in HOMES {
            let named = places(line, package).any(|(before, after)| {
                let ours = before.strip_suffix("::").is_some_and(|path| path.ends_with(is_name));
                let imported = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
                !ours && (after.starts_with("::") || imported)
            });
            if named && !homes.contains(&module) {
                found.push(format!(
                    "{}:{number}: home: `{package}` is named in {} only; ask that module for what you need",
                    source.path,
                    homes.join(", ")
                ));
            }
        }
    }
    found
}

fn waiting(source: &Source<'_>) -> Vec<String> {
    let Some(module) = source.module().filter(|module| !ASYNC.contains(module)) else { return Vec::new() };
    source
        .code()
        .filter(|(_, line)| line.contains("async fn"))
        .map(|(number, _)| {
            format!(
                "{}:{number}: waiting: `{module}` computes and never waits; take bytes, return values",
                source.path
            )
        })
        .collect()
}

fn sizes(source: &Source<'_>) -> Vec<String> {
    let lines = source.text.lines().count();
    let tests = source.path.ends_with("/tests.rs");
    let most = if tests { TESTS_LINES_MAX } else { FILE_LINES_MAX };
    let mut found = Vec::new();
    if lines > most {
        found.push(format!(
            "{}:{lines}: size: a file has at most {most} lines; split it by what it is about",
            source.path
        ));
    }
    for (index, line) in source.text.lines().enumerate() {
        let chars = line.chars().count();
        if chars > LINE_CHARS_MAX {
            found.push(format!(
                "{}:{}: size: {chars} characters, at most {LINE_CHARS_MAX}; break the line",
                source.path,
                index + 1
            ));
        }
    }
    found
}

fn header(source: &Source<'_>) -> Vec<String> {
    let starts = source.text.starts_with("//! ") || source.text.starts_with("#![doc = include_str!(");
    if starts {
        return Vec::new();
    }
    vec![format!("{}:1: header: begin with one `//! ` sentence that says what the file is", source.path)]
}

fn names(source: &Source<'_>) -> Vec<String> {
    source
        .path
        .split('/')
        .map(|part| part.strip_suffix(".rs").unwrap_or(part))
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| {
            format!("{}:1: name: `{part}` says nothing; take the noun that one would search for", source.path)
        })
        .collect()
}

fn by_hand(source: &Source<'_>) -> Vec<String> {
    let home = UNSAFE
        .iter()
        .any(|home| source.path == *home || (home.ends_with('/') && source.path.starts_with(home)));
    if home || !source.path.starts_with("src/") {
        return Vec::new();
    }
    source
        .code()
        .filter(|(_, line)| places(line, "unsafe").next().is_some())
        .map(|(number, _)| {
            format!("{}:{number}: unsafe: it lives in {} only; call those", source.path, UNSAFE.join(", "))
        })
        .collect()
}

fn unfinished(source: &Source<'_>) -> Vec<String> {
    let ignored = concat!("#[", "ignore");
    let mut found = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let number = index + 1;
        for word in UNFINISHED {
            if places(line, word).next().is_some() {
                found.push(format!(
                    "{}:{number}: unfinished: `{word}`; finish it, or leave it out of the tree",
                    source.path
                ));
            }
        }
        if line.contains(ignored) {
            found.push(format!(
                "{}:{number}: ignored test: a test that does not run guards nothing; mend or delete it",
                source.path
            ));
        }
    }
    found
}

fn root_entry(name: &str) -> Option<String> {
    let allowed = name.starts_with('.') || ROOT.contains(&name);
    (!allowed).then(|| {
        format!("{name}:1: root: the root holds {} and dotfiles only; find it a folder", ROOT.join(", "))
    })
}

/// All that is wrong with one file.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let source = Source { path, text };
    let rules = [edges, hidden_paths, homes, waiting, sizes, header, names, by_hand, unfinished];
    rules.iter().flat_map(|rule| rule(&source)).collect()
}

/// Every Rust file below `folder`, as path from the root.
fn rust_files(root: &Path, folder: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.expect("the entries of a folder can be read");
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            rust_files(root, &path, found);
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        rust_files(root, folder, &mut files);
    }
    files.sort();
    assert!(files.len() > 10, "the sources were not found below {}", root.display());
    let mut found = Vec::new();
    for path in &files {
        let text = fs::read_to_string(root.join(path)).expect("a source file is UTF-8");
        found.extend(complaints(path, &text));
    }
    for entry in fs::read_dir(root).expect("the root can be read") {
        let name = entry.expect("the entries of the root can be read").file_name();
        found.extend(root_entry(&name.to_string_lossy()));
    }
    assert!(found.is_empty(), "{} complaint(s)\n{}", found.len(), found.join("\n"));
}

/// Asserts that exactly the rule `rule` complains, about line `line`.
fn check(path: &str, text: &str, line: usize, rule: &str) {
    let found = complaints(path, text);
    let expected = format!("{path}:{line}: {rule}:");
    let only = matches!(found.as_slice(), [one] if one.starts_with(&expected));
    assert!(only, "wanted one `{expected}`, got {found:#?}");
}

#[test]
fn clean_text_raises_no_complaint() {
    let text =
        "//! Ok.\nuse crate::limits::X;\nuse crate::http::head::Head;\n// crate::gateway and tokio::spawn\n";
    assert_eq!(complaints("src/upstream/pool.rs", text), Vec::<String>::new());
    assert_eq!(complaints("src/lib.rs", "#![doc = include_str!(\"A.md\")]\n"), Vec::<String>::new());
    let words =
        "//! Ok.\nconst NAME: &str = \"io_uring\"; // unsafe\nfn f() -> crate::net::tls::ClientTls;\n";
    assert_eq!(complaints("src/config/file.rs", words), Vec::<String>::new());
}

#[test]
fn an_edge_upwards_is_refused() {
    check("src/policy/decide.rs", "//! A.\nuse crate::llm::usage::Usage;\n", 2, "edges");
    check("src/ids.rs", "//! A.\nfn f(x: &crate::http::Head) {}\n", 2, "edges");
    check("src/glob.rs", "//! A.\n\nuse crate::cli::run;\n", 3, "edges");
    check("src/novelty/mod.rs", "//! A.\n", 1, "edges");
}

#[test]
fn the_table_has_no_circle() {
    for (index, (module, allowed)) in EDGES.iter().enumerate() {
        for used in *allowed {
            let above = EDGES.iter().take(index).any(|(name, _)| name == used);
            assert!(above, "`{module}` may use `{used}`, which stands below it");
        }
    }
}

#[test]
fn paths_that_hide_an_edge_are_refused() {
    check("src/http/head.rs", "//! A.\nuse crate::{limits, ids};\n", 2, "hidden path");
    check("src/http/head.rs", "//! A.\nuse super::super::net;\n", 2, "hidden path");
}

#[test]
fn a_package_stays_at_home() {
    check("src/gateway/accept.rs", "//! A.\nuse tokio_uring::net::TcpStream;\n", 2, "home");
    check("src/upstream/pool.rs", "//! A.\nfn f() { let x = rustls::Y; }\n", 2, "home");
    check("src/llm/usage.rs", "//! A.\nuse tokio::sync::mpsc;\n", 2, "home");
    check("src/http/head.rs", "//! A.\nuse simd_json as j;\n", 2, "home");
    check("src/net/stream.rs", "//! A.\nuse httparse;\n", 2, "home");
    check("src/route/plan.rs", "//! A.\nuse saphyr::Yaml;\n", 2, "home");
    check("src/config/file.rs", "//! A.\nuse anyhow::Result;\n", 2, "home");
    check("src/gateway/accept.rs", "//! A.\nuse clap::Parser;\n", 2, "home");
    check("src/gateway/accept.rs", "//! A.\nuse io_uring::IoUring;\n", 2, "home");
}

#[test]
fn only_the_shell_waits() {
    check("src/route/plan.rs", "//! A.\nasync fn f() {}\n", 2, "waiting");
}

#[test]
fn long_files_and_lines_are_refused() {
    let long = format!("//! A.\n{}", "x\n".repeat(FILE_LINES_MAX));
    check("src/http/head.rs", &long, FILE_LINES_MAX + 1, "size");
    assert_eq!(complaints("src/http/tests.rs", &long), Vec::<String>::new());
    let longer = format!("//! A.\n{}", "x\n".repeat(TESTS_LINES_MAX));
    check("src/http/tests.rs", &longer, TESTS_LINES_MAX + 1, "size");
    check("src/http/head.rs", &format!("//! A.\n{}\n", "x".repeat(LINE_CHARS_MAX + 1)), 2, "size");
}

#[test]
fn a_file_without_a_sentence_is_refused() {
    check("src/http/head.rs", "use std::fmt;\n", 1, "header");
    check("src/http/head.rs", "", 1, "header");
}

#[test]
fn empty_names_are_refused() {
    check("src/http/util.rs", "//! A.\n", 1, "name");
    check("tests/journey/common/mod.rs", "//! A.\n", 1, "name");
}

#[test]
fn memory_by_hand_stays_at_home() {
    check("src/http/head.rs", "//! A.\nfn f() { unsafe { g() } }\n", 2, "unsafe");
    for home in ["src/net/uring.rs", "src/net/buffer.rs", "src/json.rs", "src/json/span.rs"] {
        assert_eq!(complaints(home, "//! A.\nunsafe fn f() {}\n"), Vec::<String>::new());
    }
}

#[test]
fn unfinished_work_is_refused() {
    for word in UNFINISHED {
        check("src/http/head.rs", &format!("//! A.\n// {word}: later\n"), 2, "unfinished");
    }
    check(
        "src/http/tests.rs",
        &format!("//! A.\n{}]\nfn f() {{}}\n", concat!("#[", "ignore")),
        2,
        "ignored test",
    );
}

#[test]
fn the_root_is_closed() {
    assert!(root_entry("notes.md").is_some_and(|complaint| complaint.contains("root")));
    assert_eq!(root_entry("Cargo.toml"), None);
    assert_eq!(root_entry(".ci"), None);
}

#[test]
fn comments_are_cut_and_strings_kept() {
    assert_eq!(without_comment("a // b"), "a ");
    assert_eq!(without_comment("\"http://x\"; // y"), "\"http://x\"; ");
    assert_eq!(without_comment("'\"'; // y"), "'\"'; ");
}
