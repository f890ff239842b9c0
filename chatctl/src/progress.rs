//! How far a long piece of work has come, on one line of the terminal that a person looks at.
//!
//! There is none where stderr is no terminal, where a terminal gets the data itself, and where words were not wanted.

use crate::args::Global;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::env;
use std::io::IsTerminal;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Messages are counted, and stdout gets them.
    Export,
    /// The bytes of a file are counted.
    Import,
}

/// The line, or nothing.
pub struct Progress(ProgressBar);

impl Progress {
    /// Begins work of this size; where nobody knows it, what has been done is all there is to tell.
    pub fn new(flags: &Global, work: Work, size: Option<u64>) -> Self {
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_data_seen = work == Work::Export && std::io::stdout().is_terminal();
        let is_wanted = !flags.quiet && !flags.json && !is_dumb && !is_data_seen;
        let target = if is_wanted && std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let shape = match (work, size) {
            (_, None) => "{msg}  {elapsed}",
            (Work::Export, Some(_)) => "[{bar:30}] {human_pos} of {human_len}  {msg}  {eta} left",
            (Work::Import, Some(_)) => "[{bar:30}] {bytes} of {total_bytes}  {msg}  {eta} left",
        };
        let bar = ProgressBar::with_draw_target(size, target);
        let style = ProgressStyle::with_template(shape).expect("the shape is one of ours");
        bar.set_style(style.progress_chars("=> "));
        Self(bar)
    }

    /// So much is done, and this is to be said of it.
    pub fn at(&self, done: u64, what: String) {
        self.0.set_position(done);
        self.0.set_message(what);
    }

    /// Takes the line away while something else is said.
    pub fn aside<T>(&self, say: impl FnOnce() -> T) -> T {
        self.0.suspend(say)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
