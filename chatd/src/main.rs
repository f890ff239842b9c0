//! The daemon's binary: arguments in, exit status out. Everything else is in the library.

use std::process::ExitCode;

use chatd::args::{Args, Print};
use chatd::config::Config;
use chatd::log::Sink;
use chatd::run::run;
use chatd::signals::Signals;
use clap::Parser;

/// The daemon could not start, or a system call failed that nothing works without.
const FAILURE: u8 = 1;
/// The configuration is bad: sysexits.h calls it `EX_CONFIG`, and systemd does not start it again.
const BAD_CONFIGURATION: u8 = 78;

#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a person who typed the command sees"
)]
fn main() -> ExitCode {
    let args = Args::parse();
    if args.print_config == Some(Print::Default) {
        print!("{}", Config::print_default());
        return ExitCode::SUCCESS;
    }
    let config = match Config::load(&args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("chatd: {error}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if args.print_config == Some(Print::Effective) {
        print!("{}", config.print_effective());
        return ExitCode::SUCCESS;
    }
    if args.check_config {
        println!("chatd: the configuration is good");
        return ExitCode::SUCCESS;
    }
    let served = serve(&config);
    if let Err(error) = &served {
        eprintln!("chatd: {error}");
    }
    served.map_or(ExitCode::from(FAILURE), |()| ExitCode::SUCCESS)
}

/// Blocks the signals, then starts the log thread, which inherits that, and then everything else.
fn serve(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let signals = Signals::block()?;
    let sink = Sink::start(config.log_level, config.log_format)?;
    Ok(run(config, signals, sink)?)
}
