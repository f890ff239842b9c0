//! The command line client of chatd, as a library: `client` speaks with a daemon over any transport, the
//! rest are the commands. The program itself, `main.rs`, only calls `run`.
//!
//! It reaches the server's code by no path but the wire: of this workspace it knows `proto` alone.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "assertions tell of our own bugs only")]

pub mod args;
pub mod ask;
pub mod background;
pub mod catching;
pub mod chance;
pub mod chat;
pub mod check;
pub mod client;
pub mod clock;
pub mod completion;
pub mod direct;
pub mod doctor;
pub mod export;
pub mod failure;
pub mod history;
pub mod import;
pub mod input;
pub mod look;
pub mod man;
pub mod meet;
pub mod moments;
pub mod operate;
pub mod past;
pub mod progress;
pub mod reconnect;
pub mod requests;
pub mod resolve;
pub mod send;
pub mod server;
pub mod signals;
pub mod status;
pub mod table;
pub mod tail;
pub mod talk;
pub mod tcp;
pub mod topic;
pub mod usage;
pub mod visible;
pub mod voice;

use args::{Command, CommandLine};
use ask::Context;
use clap::{CommandFactory, FromArgMatches};
use failure::Failure;
use std::ffi::OsString;
use voice::Voice;

/// Carries out a command line, and says what the process is to end with.
pub fn run(line: &[OsString]) -> u8 {
    let command = requests::described(CommandLine::command());
    let matches = command.try_get_matches_from(line);
    let mut command_line = match matches.and_then(|matches| CommandLine::from_arg_matches(&matches))
    {
        Ok(command_line) => command_line,
        Err(error) => return usage::misunderstood(line, error),
    };
    match command_line.command {
        // The manual is no matter of a daemon: whoever named one wrongly reads there how to name it.
        Command::Man(_) => {
            (command_line.global.server, command_line.global.as_nick) = (None, None);
        }
        // A talk needs none.
        Command::Talk(_) => command_line.global.server = None,
        _ => {}
    }
    if let Command::Chat(args) = &command_line.command
        && args.url.is_some()
    {
        command_line.global.server.clone_from(&args.url);
    }
    let mut voice = Voice::new(&command_line.global);
    // These two need no daemon, and say nothing of one that is named wrongly.
    let printed = match &command_line.command {
        Command::Completion(args) => Some(completion::script(&mut voice, args)),
        Command::Complete(args) => {
            Some(completion::complete(&mut voice, command_line.global.server.clone(), args))
        }
        _ => None,
    };
    if let Some(printed) = printed {
        return printed.map_or_else(|failure| failure.exit.code(), |()| failure::Exit::Done.code());
    }
    let (is_check, is_json) = (matches!(command_line.command, Command::Check(_)), voice.is_json());
    let (failure, voice) = match Context::new(command_line.global, voice) {
        Ok(mut context) => match carry_out(&mut context, &command_line.command) {
            Ok(status) => return status,
            Err(failure) => (failure, context.voice),
        },
        Err(pair) => pair,
    };
    if is_check {
        return check::failed(&failure, is_json);
    }
    voice.fail(&failure);
    failure.exit.code()
}

/// Carries out a command; what the process is to end with where nothing failed.
fn carry_out(context: &mut Context, command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Check(args) => return check::check(context, args),
        Command::Send(args) => send::send(context, args),
        Command::Chat(args) => return chat::chat(context, args),
        Command::Tail(args) => tail::tail(context, args),
        Command::History(args) => history::history(context, args),
        Command::Export(args) => export::export(context, args),
        Command::Import(args) => import::import(context, args),
        Command::Meet(args) => meet::meet(context, args),
        Command::Talk(args) => talk::talk(context, args),
        Command::Who(args) => look::who(context, args),
        Command::Rooms => look::rooms(context),
        Command::Topic(args) => topic::topic(context, args),
        Command::Doctor => doctor::doctor(context),
        Command::Status => status::status(context),
        Command::Ping => look::ping(context),
        Command::Whois(args) => operate::whois(context, args),
        Command::Clients(args) => operate::clients(context, args),
        Command::Kick(args) => operate::kick(context, args),
        Command::Ban(args) => operate::ban(context, args),
        Command::Unban(args) => operate::unban(context, args),
        Command::Bans => operate::bans(context),
        Command::Announce(args) => operate::announce(context, args),
        Command::LogLevel(args) => operate::log_level(context, args),
        Command::DebugStall(args) => operate::debug_stall(context, args),
        Command::Reload => operate::reload(context),
        Command::Stop => look::stop(context),
        Command::Completion(_) | Command::Complete(_) => unreachable!("`run` did it already"),
        Command::Man(args) => man::man(&mut context.voice, args),
    }?;
    Ok(failure::Exit::Done.code())
}
