//! `chatctl man`: the pages of the manual, which this program carries with it.
//!
//! On a terminal `man` shows them, in this process's place, so that the terminal and its signals are `man`'s alone. Otherwise, and
//! where there is no `man`, it is their source that is printed, so that it can be installed.

use crate::args::Man;
use crate::failure::{Exit, Failure};
use crate::voice::Voice;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The pages, as the command line names them.
pub const NAMES: [&str; 4] = ["chatd", "chatctl", "chatd.toml", "chatd-protocol"];

/// The sources, made by tests/man.rs, in the order of `NAMES`.
const SOURCES: [&str; 4] = [
    include_str!("../../docs/man/chatd.8"),
    include_str!("../../docs/man/chatctl.1"),
    include_str!("../../docs/man/chatd.toml.5"),
    include_str!("../../docs/man/chatd-protocol.7"),
];

/// `chatctl man`.
pub fn man(voice: &mut Voice, args: &Man) -> Result<(), Failure> {
    if voice.is_json() {
        return Err(Failure::usage("a page of the manual has no form as JSON"));
    }
    let at = NAMES.iter().position(|name| *name == args.page);
    let source = SOURCES[at.expect("the command line takes these names only")];
    if voice.is_terminal() {
        // It comes back only where it failed.
        let error = show(source);
        if error.kind() != ErrorKind::NotFound {
            return Err(Failure::new(Exit::Refused, "man", format!("man: {error}")));
        }
        voice.say("no_man", "there is no `man` on this machine: this is the page's source");
    }
    for line in source.lines() {
        voice.line(line)?;
    }
    voice.flush()
}

/// Becomes `man`, with the page as its input; why that cannot be.
fn show(source: &str) -> io::Error {
    match held(source) {
        Ok(file) => Command::new("man").args(["-l", "-"]).stdin(file).exec(),
        Err(error) => error,
    }
}

/// The page as a file without a name: a pipe would not take all of it before it has a reader.
fn held(source: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("chatctl-man", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(source.as_bytes())?;
    file.rewind()?;
    Ok(file)
}
