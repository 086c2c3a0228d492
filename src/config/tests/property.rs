//! Any bytes give a config or faults.

use proptest::prelude::{ProptestConfig, Strategy, any, proptest};

use crate::config::fuzz;
use crate::config::tests::faults;
use crate::config::tests::good::DESIGN;
use crate::corpus::replay;

/// Pieces of configs.
const PIECES: &[&str] = &[
    "listen",
    "providers",
    "models",
    "keys",
    "teams",
    "tls",
    "timeouts",
    "mcp_servers",
    "mcp",
    "servers",
    "command",
    "args",
    "env",
    "url",
    "headers",
    "tools",
    "rename",
    "prefix",
    "Bearer ${env:SET}",
    "name",
    "secret",
    "dialect",
    "demo",
    "anthropic",
    "base_url",
    "http://h",
    "head_ms",
    "provider",
    "model",
    "team",
    "a",
    "*",
    "'*'",
    "&a ",
    "*a ",
    "!!str ",
    ": ",
    ":\n  ",
    ":\n    ",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "{ ",
    " }",
    "[",
    "]",
    ", ",
    "? ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "${env:SET}",
    "${env:",
    "${file:x}",
    "}",
    "1",
    "-1",
    "~",
    "\t",
    "\r",
    "\u{feff}",
    "\u{e000}",
    "\u{85}",
    "\\x",
    "\0",
    "<<",
];

/// Pieces of configs in any order: far more likely to get past the parser than random bytes.
fn yaml_like() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_of_yaml_never_panic(text in yaml_like()) {
        fuzz::config_file(text.as_bytes());
    }

    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::config_file(&bytes);
    }

    #[test]
    fn near_misses_never_panic(at in 0_usize..2000, byte in any::<u8>(), cut in any::<bool>()) {
        // Plain http, since every https provider reads the roots of the system anew.
        let mut bytes = DESIGN.replace("https", "http").into_bytes();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        fuzz::config_file(&bytes);
    }
}

#[test]
fn as_many_keys_as_fit_are_told_from_each_other() {
    // Whoever compared each with all others would do that three thousand million times.
    let text: String = (0..80_000).chain([7]).map(|n| format!("k{n}:\n")).collect();
    let found = faults(&text, &[]);
    assert!(found.contains("tollgate.yaml:80001:1: \"k7\" is given twice, first on line 8"), "{found}");
    fuzz::config_file(text.as_bytes());
}

#[test]
fn deep_and_wide_files_end() {
    for piece in ["[", "{", "- ", "? ", "a: {", "[[[[", "!a ", "&a ", "'", "|\n", "\n ", "a:\n "] {
        let text = piece.repeat(200_000 / piece.len());
        fuzz::config_file(text.as_bytes());
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("config_file", 3, fuzz::config_file);
}
