//! The daemon's binary: arguments in, exit status out. Everything else is in the library.

use std::io::{self, Write};
use std::process::ExitCode;

use chatd::args::{Args, Print};
use chatd::config::Config;
use chatd::log::{Sink, stderr_is_journals};
use chatd::run::{RunError, run};
use chatd::signals::Signals;
use chatd::systemd::Systemd;
use clap::Parser;

/// The daemon could not start, or a system call failed that nothing works without.
const FAILURE: u8 = 1;
/// The configuration is bad: sysexits.h calls it `EX_CONFIG`, and systemd does not start it again.
const BAD_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.print_config == Some(Print::Default) {
        return print(&Config::print_default());
    }
    let config = match Config::load(&args) {
        Ok(config) => config,
        Err(error) => {
            let status = complain(&error, BAD_CONFIGURATION);
            Systemd::turn_away();
            return status;
        }
    };
    if args.print_config == Some(Print::Effective) {
        return print(&config.print_effective());
    }
    if args.check_config {
        return print("chatd: the configuration is good\n");
    }
    // Before anything is opened, and while there is one thread.
    let systemd = match Systemd::take() {
        Ok(systemd) => systemd,
        Err(error) => return complain(&error, BAD_CONFIGURATION),
    };
    match serve(&args, &config, systemd) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let run = error.downcast_ref::<RunError>();
            let is_configuration = run.is_some_and(RunError::is_configuration);
            complain(&*error, if is_configuration { BAD_CONFIGURATION } else { FAILURE })
        }
    }
}

/// Prints what was asked for. Who closed the pipe has read enough.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(&error, FAILURE),
        _ => ExitCode::SUCCESS,
    }
}

/// Says what went wrong. Nobody may be there to read it; the exit status says it too.
fn complain(error: &dyn std::error::Error, status: u8) -> ExitCode {
    // The journal takes the priority from the line's beginning, see sd-daemon(3).
    let priority = if stderr_is_journals() { "<3>" } else { "" };
    let _ = writeln!(io::stderr(), "{priority}chatd: {error}");
    ExitCode::from(status)
}

/// Blocks the signals, then starts the log thread, which inherits that, and then everything else.
fn serve(args: &Args, config: &Config, systemd: Systemd) -> Result<(), Box<dyn std::error::Error>> {
    let signals = Signals::block()?;
    let sink = Sink::start(config.log_level, config.log_format)?;
    Ok(run((args, config), systemd, signals, sink)?)
}
