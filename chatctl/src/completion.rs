//! Completion in shells: the scripts that they load, and the question those ask at each press of the key.
//!
//! A script knows nothing but how to ask: what could stand at the cursor is decided here, by the table of flags and by the daemon.
//! Whatever goes wrong gives no candidates and no word: a person is typing. Names are strangers' text, and the scripts never hand
//! one to `eval` or to an unquoted expansion.

mod line;
mod live;
mod wanted;

use crate::args::{CommandLine, Complete, Completion, Shell};
use crate::failure::Failure;
use crate::visible;
use crate::voice::Voice;
use clap::CommandFactory;
use line::Line;
use wanted::{Place, Wanted};

/// Something that could stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    /// The whole word, without quotes.
    value: String,
    /// What it is, in a line; perhaps nothing.
    help: String,
}

/// `chatctl completion`: the script to load.
pub fn script(voice: &mut Voice, args: &Completion) -> Result<(), Failure> {
    let script = match args.shell {
        Shell::Bash => include_str!("completion/chatctl.bash"),
        Shell::Zsh => include_str!("completion/chatctl.zsh"),
        Shell::Fish => include_str!("completion/chatctl.fish"),
    };
    for line in script.lines() {
        voice.line(line)?;
    }
    voice.flush()
}

/// `chatctl __complete`: a line that says who completes (`words`: we do; `files`, `commands`: the shell does), then a line by candidate.
pub fn complete(voice: &mut Voice, server: Option<String>, args: &Complete) -> Result<(), Failure> {
    let mut words: Vec<_> =
        args.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut line = None;
    if args.shell == Shell::Bash {
        let [text, name, replaced] = words.as_slice() else { return Ok(()) };
        let Some(read) = Line::read(text, name, replaced) else { return Ok(()) };
        if read.is_redirection {
            voice.line("files")?;
            return voice.flush();
        }
        words.clone_from(&read.words);
        line = Some(read);
    }
    let place = wanted::place(&mut CommandLine::command(), words.get(1..).unwrap_or_default());
    let server = place.server.clone().or(server);
    let (who, candidates) = match &place.wanted {
        Wanted::Files => ("files", Vec::new()),
        Wanted::Programs => ("commands", Vec::new()),
        Wanted::Words(candidates) => ("words", candidates.clone()),
        Wanted::Live(names) => ("words", live::candidates(server, *names, &place.part)),
    };
    voice.line(who)?;
    for candidate in candidates.iter().filter(|candidate| fits(candidate, &place)) {
        let value = format!("{}{}", place.head, candidate.value);
        match &line {
            Some(line) => {
                if let Some(typed) = line.typed(&value) {
                    voice.line(&typed)?;
                }
            }
            None if candidate.help.is_empty() => voice.line(&value)?,
            None => voice.line(&format!("{value}\t{}", visible::line(&candidate.help)))?,
        }
    }
    voice.flush()
}

/// Whether it begins as what is typed does, and is harmless to show. Names have no case.
fn fits(candidate: &Candidate, place: &Place) -> bool {
    let begins = candidate.value.get(..place.part.len());
    begins.is_some_and(|begins| begins.eq_ignore_ascii_case(&place.part))
        && !candidate.value.chars().any(visible::is_unsafe)
}
