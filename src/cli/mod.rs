//! The face on the command line: arguments in, texts and an exit code out.
//!
//! Exit codes: 0 done, 1 refused or faulty, 2 not understood.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;

mod args;
mod budget;
mod check;
mod claude;
mod code_worker;
mod entries;
mod key;
mod key_args;
mod ledger;
mod ledger_args;
mod ordered_json;
mod output;
mod pin_diff;
mod pins;
mod policy;
mod policy_args;
mod prices;
mod search;
mod serve;
mod show;
mod spend;
mod table;
mod tools;
mod tools_cost;
mod tools_session;
mod tools_spent;
mod tools_suggest;
mod tools_trim;
mod tools_usage;

#[cfg(test)]
mod tests;

use args::{Args, Command, LedgerCommand, ToolsCommand};
use ledger_args::EntryCommand;
use output::{Failure, Output};

/// Runs the program with its arguments, the first of which is its own name.
pub fn run(args: std::env::ArgsOs) -> ExitCode {
    // Not locked for good: the gateway's own lines go to the same streams while `serve` runs.
    let (mut out, mut err) = (io::stdout(), io::stderr());
    ExitCode::from(run_with(args, &mut Output::new(&mut out, &mut err)))
}

/// Runs one command; the exit code.
fn run_with(args: impl IntoIterator<Item = OsString>, output: &mut Output<'_>) -> u8 {
    let done = match Args::try_parse_from(args) {
        Ok(args) => dispatch(args, output),
        Err(error) if error.use_stderr() => Err(Failure::Usage(error.render().to_string())),
        Err(help) => output.text(&help.render().to_string()),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => output.finish(&failure),
    }
}

fn dispatch(args: Args, output: &mut Output<'_>) -> Result<(), Failure> {
    let config = args.config.as_deref();
    match args.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(config, output),
        Command::Check { json } => check::run(config, json, output),
        Command::Key { command } => key::run(config, command, output),
        Command::Tools { command } => match command {
            ToolsCommand::List(wish) => tools::run(config, &wish, output),
            ToolsCommand::Cost(wish) => tools_cost::run(config, &wish, output),
            ToolsCommand::Suggest(wish) => tools_suggest::run(config, &wish, output),
            ToolsCommand::Trim(wish) => tools_trim::run(&wish, output),
            ToolsCommand::Pins(wish) => pins::list(config, &wish, output),
            ToolsCommand::Diff(wish) => pins::diff(config, &wish, output),
            ToolsCommand::Approve(wish) => pins::decide(config, pins::Word::Approve, &wish, output),
            ToolsCommand::Reject(wish) => pins::decide(config, pins::Word::Reject, &wish, output),
            ToolsCommand::Lock(wish) => pins::write_lock(config, &wish, output),
        },
        Command::Prices { command } => prices::run(&command, output),
        Command::Ledger { command: LedgerCommand::Chain(command) } => ledger::run(config, command, output),
        Command::Ledger { command: LedgerCommand::Entry(command) } => match command {
            EntryCommand::Search(wish) => search::run(config, &wish, output),
            EntryCommand::Show(wish) => show::run(config, &wish, output),
            EntryCommand::Export(wish) => search::export(config, &wish, output),
            EntryCommand::Rebuild => entries::rebuild(config, output),
        },
        Command::Policy { command } => policy::run(config, command, output),
        Command::Budget { command } => budget::run(config, &command, output),
        Command::Spend(wish) => spend::run(config, &wish, output),
        Command::Claude(wish) => claude::run(config, &wish, output),
        Command::CodeWorker { parent } => code_worker::run(parent),
    }
}
