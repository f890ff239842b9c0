//! `chatctl`: the process around the library of the same name. It owns the exit status.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    ExitCode::from(chatctl::run(&line))
}
