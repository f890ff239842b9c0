//! Where the messages of `send` come from, by the command line.

use crate::args::Send;
use crate::failure::Failure;
use crate::input::{Cut, Input};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The messages, each at most `limit` bytes.
pub(super) fn input(args: &Send, source: Option<File>, limit: usize) -> Input {
    match source {
        None => Input::of(&words(&args.text), limit),
        Some(file) => Input::new(file, cut(args), limit),
    }
}

fn cut(args: &Send) -> Cut {
    match (args.lines, args.nul) {
        (true, _) => Cut::At(b'\n'),
        (_, true) => Cut::At(0),
        _ => Cut::Whole { raw: args.raw },
    }
}

/// The words of the command line as one message, byte for byte.
fn words(text: &[OsString]) -> Vec<u8> {
    let words: Vec<_> = text.iter().map(|word| word.clone().into_vec()).collect();
    words.join(&b' ')
}

/// Where the messages are read from; `None` where they are on the command line, and stdin is not touched.
pub(super) fn source(args: &Send) -> Result<Option<File>, Failure> {
    if !args.text.is_empty() {
        return Ok(None);
    }
    opened(args.file.as_deref().filter(|path| path.as_os_str() != "-")).map(Some)
}

/// This file, or stdin.
pub fn opened(path: Option<&Path>) -> Result<File, Failure> {
    if let Some(path) = path {
        return File::open(path)
            .map_err(|error| Failure::file(&path.display().to_string(), &error));
    }
    let stdin = std::io::stdin().as_fd().try_clone_to_owned();
    stdin.map(File::from).map_err(|error| Failure::file("stdin", &error))
}
