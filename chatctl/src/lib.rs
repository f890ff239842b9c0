//! The command line client of chatd, as a library: `client` speaks with a daemon over any transport, the
//! rest are the commands. The program itself, `main.rs`, only calls `run`.
//!
//! It reaches the server's code by no path but the wire: of this workspace it knows `proto` alone.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "assertions tell of our own bugs only")]

pub mod args;
pub mod ask;
pub mod catching;
pub mod client;
pub mod clock;
pub mod failure;
pub mod history;
pub mod input;
pub mod look;
pub mod moments;
pub mod operate;
pub mod resolve;
pub mod send;
pub mod server;
pub mod signals;
pub mod table;
pub mod tail;
pub mod talk;
pub mod visible;

use args::{Command, CommandLine};
use ask::Context;
use clap::Parser;
use clap::error::ErrorKind;
use failure::Failure;
use std::ffi::OsString;
use std::io::Write;
use talk::Talk;

/// Carries out a command line, and says what the process is to end with.
pub fn run(line: &[OsString]) -> u8 {
    let command_line = match CommandLine::try_parse_from(line) {
        Ok(command_line) => command_line,
        Err(error) => return misunderstood(line, &error),
    };
    let talk = Talk::new(&command_line.global);
    let (failure, talk) = match Context::new(command_line.global, talk) {
        Ok(mut context) => match carry_out(&mut context, &command_line.command) {
            Ok(()) => return failure::Exit::Done.code(),
            Err(failure) => (failure, context.talk),
        },
        Err(pair) => pair,
    };
    talk.fail(&failure);
    failure.exit.code()
}

fn carry_out(context: &mut Context, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Send(args) => send::send(context, args),
        Command::Tail(args) => tail::tail(context, args),
        Command::History(args) => history::history(context, args),
        Command::Who(args) => look::who(context, args),
        Command::Rooms => look::rooms(context),
        Command::Status => look::status(context),
        Command::Ping => look::ping(context),
        Command::Whois(args) => operate::whois(context, args),
        Command::Clients(args) => operate::clients(context, args),
        Command::Kick(args) => operate::kick(context, args),
        Command::Ban(args) => operate::ban(context, args),
        Command::Unban(args) => operate::unban(context, args),
        Command::Bans => operate::bans(context),
        Command::Announce(args) => operate::announce(context, args),
        Command::LogLevel(args) => operate::log_level(context, args),
        Command::Stop => look::stop(context),
    }
}

/// Help and version go to stdout; what cannot be understood is said on stderr in the form that was asked for.
fn misunderstood(line: &[OsString], error: &clap::Error) -> u8 {
    let harmless = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !harmless && line.iter().any(|word| word == "--json") {
        let text = error.render().to_string();
        let _ = writeln!(std::io::stderr(), "{}", Failure::usage(text.trim_end()).as_json());
    } else {
        // Nobody is left to be told that the stream is closed.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(failure::Exit::Usage.code())
}
