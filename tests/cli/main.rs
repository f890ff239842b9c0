//! `chatctl` as scripts use it: exit codes and output against the real daemon.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test that panics is a test that fails, and real processes live by the real clock"
)]

mod chat;
mod completion;
mod cursor;
mod keyboard;
mod looks;
mod meet;
mod network;
mod one_to_one;
mod operate;
mod outage;
mod past;
mod screen;
mod seeing;
mod send;
mod tail;
mod talk;
mod transfer;
mod unsent;

use std::process::{Command, Output};

use tests::Daemon;

/// The two ways to a daemon, as `-s` takes them: its control socket, and TCP.
pub(crate) fn ways(daemon: &Daemon) -> [String; 2] {
    [daemon.control_path().display().to_string(), format!("tcp://{}", daemon.address())]
}

/// What a program printed, and how it ended.
pub(crate) fn shown(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The same command, started so that signals end it: what is started in the background of a shell ignores INT, and what `nohup`
/// starts HUP.
pub(crate) fn interruptible(command: &Command) -> Command {
    let mut other = Command::new("env");
    other.arg("--default-signal=INT,TERM,HUP").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

/// Fails unless it ended with this code; gives what it printed on stdout and stderr.
pub(crate) fn ended_with(code: i32, output: &Output) -> (String, String) {
    let (status, stdout, stderr) = shown(output);
    assert_eq!(status, Some(code), "stdout:\n{stdout}\nstderr:\n{stderr}");
    (stdout, stderr)
}
