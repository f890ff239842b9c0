//! The same test again in a process that has something of its own: a network, or what is mounted where.

use std::io::{self, Write};
use std::process::Command;
use std::time::Duration;

use nix::unistd::Uid;

use crate::{left_out, program};

/// Set in a process that has it, to what it is.
const APART: &str = "CHATD_TEST_APART";

/// What a process can have of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// A network, without an address.
    Network,
    /// Mounts, which nobody else sees and which go with it. Only root may mount what tests mount.
    Mounts,
}

impl Own {
    const fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Mounts => "mounts",
        }
    }

    /// How such a process is started; none where that is not allowed here.
    fn unshare(self) -> Option<Command> {
        let is_root = Uid::effective().is_root();
        let arguments: &[&str] = match self {
            Self::Network if is_root => &["-n"],
            Self::Network => &["-n", "-r"],
            Self::Mounts if is_root => &["-m"],
            Self::Mounts => return None,
        };
        let command = || {
            let mut command = Command::new("unshare");
            command.args(arguments);
            command
        };
        let can = command().arg("true").output().is_ok_and(|done| done.status.success());
        can.then(command)
    }
}

/// Runs the test of this name again in a process apart, unless this is that process: whether it is. It may take so long.
///
/// # Panics
/// Where the test fails there.
pub fn is_apart(test: &str, own: Own, deadline: Duration) -> bool {
    let word = own.word();
    if std::env::var(APART).is_ok_and(|apart| apart == word) {
        return true;
    }
    let Some(mut command) = own.unshare() else {
        left_out(&format!("{test}: to have {word} of one's own is not allowed here"));
        return false;
    };
    let this = std::env::current_exe().unwrap();
    let again = ["--exact", test, "--nocapture"];
    let done = program::run_within(command.arg(this).args(again).env(APART, word), &[], deadline);
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (words(&done.stdout), words(&done.stderr));
    assert!(done.status.success() && out.contains("1 passed"), "{out}\n{err}");
    // What it measured is for whoever reads the tests' output.
    let _ = io::stderr().write_all(err.as_bytes());
    false
}
