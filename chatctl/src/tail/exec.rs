//! `--exec`: a program run for each event that would be printed, one after another, never through a shell.
//!
//! The content goes to its stdin, the other fields are in its environment as `CHAT_*`; what it says goes where ours
//! goes. Nothing here waits: the owner is told by descriptors when there is something to do.

use crate::client::Event;
use crate::failure::{Exit, Failure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use nix::unistd::{AccessFlags, access};
use serde_json::Value;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Fails where there is no such program, so that one need not wait for the first message to learn it.
pub(super) fn check(line: &[OsString]) -> Result<(), Failure> {
    let Some(program) = line.first() else { return Ok(()) };
    let path = Path::new(program);
    let found = if program.as_encoded_bytes().contains(&b'/') {
        is_program(path)
    } else {
        let folders = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        env::split_paths(&folders).any(|folder| is_program(&folder.join(path)))
    };
    if found {
        return Ok(());
    }
    Err(Failure::usage(format!("--exec: there is no program `{}`", path.display())))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// A program that runs.
pub(super) struct Running {
    stdin: Option<ChildStdin>,
    content: Vec<u8>,
    written: usize,
    /// Closed when the program has ended.
    over: PipeReader,
    status: Receiver<io::Result<ExitStatus>>,
}

impl Running {
    /// Starts the program for an event.
    /// `history` is the one that its number belongs to.
    pub(super) fn start(
        line: &[OsString],
        event: &Event,
        history: Option<&str>,
    ) -> Result<Self, Failure> {
        let (program, arguments) = line.split_first().unwrap_or_else(|| unreachable!("a program"));
        let failed = |error: io::Error| {
            let program = Path::new(program).display();
            Failure::new(Exit::Usage, "exec", format!("--exec {program}: {error}"))
        };
        let mut command = Command::new(program);
        command.args(arguments).envs(environment(event, history)).stdin(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let stdin = child.stdin.take();
        if let Some(stdin) = &stdin {
            never_wait(stdin).map_err(|errno| failed(errno.into()))?;
        }
        let (over, end) = io::pipe().map_err(failed)?;
        let (said, status) = mpsc::channel();
        let waiter = thread::Builder::new().spawn(move || {
            // Signals are held when this thread begins, and so they are in it.
            let _ = said.send(child.wait());
            drop(end);
        });
        waiter.map_err(failed)?;
        let content = proto::client::content(&event.fields).unwrap_or_default();
        let mut running = Self { stdin, content, written: 0, over, status };
        running.feed();
        Ok(running)
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut all = vec![(self.over.as_fd(), PollFlags::POLLIN)];
        all.extend(self.stdin.as_ref().map(|stdin| (stdin.as_fd(), PollFlags::POLLOUT)));
        all
    }

    /// Hands over what the program takes of the content; one that does not want it all is right, too.
    pub(super) fn feed(&mut self) {
        while let Some(stdin) = &mut self.stdin {
            let rest = self.content.get(self.written..).unwrap_or_default();
            match stdin.write(rest) {
                Ok(count) if count > 0 => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // All is written, or the program has closed its stdin.
                Ok(_) | Err(_) => self.stdin = None,
            }
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<io::Result<ExitStatus>> {
        self.status.try_recv().ok()
    }
}

/// What is said of a run that failed: which program, for which message, and how.
pub(super) fn failed(line: &[OsString], event: &Event, why: &str) -> String {
    let program = line.first().map(|program| Path::new(program).display().to_string());
    let what = match (event.text("room"), event.number("seq")) {
        (Some(room), Some(seq)) => format!("message {seq} of #{room}"),
        (Some(room), None) => format!("`{}` of #{room}", event.name),
        _ => format!("`{}`", event.name),
    };
    format!("--exec {}: {what}: {why}", program.unwrap_or_default())
}

/// Our own pipe, of which nobody else has this end.
fn never_wait(stdin: &ChildStdin) -> Result<(), Errno> {
    fcntl(stdin, FcntlArg::F_SETFL(OFlag::O_NONBLOCK | OFlag::O_WRONLY)).map(drop)
}

/// The fields of an event but its content, as `CHAT_ROOM`, `CHAT_SEQ`, ...: what is no plain name or value is left out. What
/// an event calls `history` is a request of ours, which means nothing to a program: it gets the history that room and number
/// belong to.
fn environment(event: &Event, history: Option<&str>) -> Vec<(OsString, OsString)> {
    let field = |(name, value): (&String, &Value)| {
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let shown = match value {
            Value::String(text) if !text.contains('\0') => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            _ => return None,
        };
        let is_other = ["text", "data", "history"].contains(&name.as_str());
        (plain && !is_other).then(|| {
            (OsString::from(format!("CHAT_{}", name.to_uppercase())), OsString::from(shown))
        })
    };
    // What our own environment has of these names must not pass for a field.
    let ours = env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"CHAT_"));
    let mut all: Vec<_> = ours.map(|(name, _)| (name, OsStr::new("").to_owned())).collect();
    all.extend(event.fields.iter().filter_map(field));
    all.extend(history.map(|history| ("CHAT_HISTORY".into(), history.into())));
    all
}

#[cfg(test)]
mod tests {
    use super::{check, environment};
    use crate::client::Event;
    use serde_json::json;

    #[test]
    fn fields_are_in_the_environment_and_content_is_not() {
        let value = json!({"event": "message", "room": "ops", "seq": 7, "from": "$(reboot)\n", "text": "x",
            "receipt": true, "history": "r3", "Bad=Name": "x", "nul": "\u{0}"});
        let fields = value.as_object().expect("an object").clone();
        let event = Event { name: "message".to_owned(), fields, line: String::new() };
        let mut all: Vec<(String, String)> = environment(&event, Some("an id"))
            .into_iter()
            .map(|(name, value)| {
                (name.into_string().expect("text"), value.into_string().expect("text"))
            })
            .collect();
        all.sort();
        let expected = [
            ("CHAT_EVENT", "message"),
            ("CHAT_FROM", "$(reboot)\n"),
            ("CHAT_HISTORY", "an id"),
            ("CHAT_RECEIPT", "true"),
            ("CHAT_ROOM", "ops"),
            ("CHAT_SEQ", "7"),
        ];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_program_that_is_not_there_is_known_before_the_first_message() {
        assert!(check(&["true".into()]).is_ok() && check(&[]).is_ok());
        assert!(check(&["/bin/sh".into(), "-c".into()]).is_ok());
        for wrong in ["no-such-program-anywhere", "/etc/passwd", "./"] {
            assert_eq!(check(&[wrong.into()]).expect_err(wrong).exit.code(), 2);
        }
    }
}
