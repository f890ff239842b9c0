//! The daemon's binary: arguments in, exit status out. Everything else is in the library.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use chatd::args::{Args, Print};
use chatd::config::Config;
use chatd::daemonized::{Side, Waiting, detach, lost_log, usual_pid_file};
use chatd::identity::Identity;
use chatd::log::{Sink, stderr_is_journals};
use chatd::run::{Bound, RunError, recover, run};
use chatd::signals::Signals;
use chatd::systemd::Systemd;

/// The daemon could not start, or a system call failed that nothing works without.
const FAILURE: u8 = 1;
/// The configuration is bad: sysexits.h calls it `EX_CONFIG`, and systemd does not start it again.
const BAD_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let args = match Args::take() {
        Ok(args) => args,
        Err(error) => return complain(&error, FAILURE),
    };
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
    if args.recover {
        return match recover(&config) {
            Ok(text) => print(&text),
            Err(error) => complain(&error, FAILURE),
        };
    }
    // Before anything is opened, and while there is one thread.
    let systemd = match Systemd::take() {
        Ok(systemd) => systemd,
        Err(error) => return complain(&error, BAD_CONFIGURATION),
    };
    let mut waiting = Waiting::default();
    match start(&args, config, systemd, &mut waiting) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let run = error.downcast_ref::<RunError>();
            let is_configuration = run.is_some_and(RunError::is_configuration);
            let status = if is_configuration { BAD_CONFIGURATION } else { FAILURE };
            if waiting.failed(status, &error.to_string()) {
                return ExitCode::from(status);
            }
            complain(&*error, status)
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
fn complain(error: &dyn Error, status: u8) -> ExitCode {
    say(&error.to_string());
    ExitCode::from(status)
}

/// A line on standard error.
fn say(text: &str) {
    // The journal takes the priority from the line's beginning, see sd-daemon(3).
    let priority = if stderr_is_journals() { "<3>" } else { "" };
    let _ = writeln!(io::stderr(), "{priority}chatd: {text}");
}

/// Prints where the daemon listens. Nobody may be there to read it; it serves all the same.
fn say_where(places: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(places.as_bytes()).and_then(|()| out.flush());
}

/// Binds everything, as who starts the daemon; then forks, if it is to; and serves. Returns the exit status.
fn start(
    args: &Args,
    mut config: Config,
    systemd: Systemd,
    waiting: &mut Waiting,
) -> Result<u8, Box<dyn Error>> {
    if !args.daemon {
        // First of all, so that who is told to end while it starts removes what it made.
        let signals = Signals::block()?;
        let bound = Bound::take(&config, systemd, None)?;
        let places = bound.places();
        return serve(args, &config, bound, signals, || say_where(&places));
    }
    config.control = std::path::absolute(&config.control)?;
    let identity = Identity::named(args)?;
    let bound = Bound::take(&config, systemd, identity.as_ref())?;
    let pid_file = args.pid_file.clone().unwrap_or_else(|| usual_pid_file(&config.control));
    match detach(&pid_file, identity.as_ref(), waiting)? {
        Side::Starter(status, text) => {
            if status == 0 {
                say_where(&bound.places());
                if let Some(advice) = lost_log(config.log_format) {
                    say(advice);
                }
            } else {
                say(&text);
            }
            bound.leave_to_child();
            Ok(status)
        }
        Side::Daemon(_pid_file) => {
            serve(args, &config, bound, Signals::block()?, || waiting.ready())
        }
    }
}

/// Starts the log thread, which inherits the blocked signals, and then everything else.
fn serve(
    args: &Args,
    config: &Config,
    bound: Bound,
    signals: Signals,
    ready: impl FnOnce(),
) -> Result<u8, Box<dyn Error>> {
    let sink = Sink::start(config.log_level, config.log_format, args.daemon)?;
    run((args, config), bound, signals, sink, ready)?;
    Ok(0)
}
