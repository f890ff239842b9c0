//! What is said of a command line that cannot be understood, in the form that was asked for.
//!
//! Commands of later versions are known here, so that whoever reads of them somewhere is told where they are; and nothing
//! that does harm is suggested to who mistyped something else.

use crate::args::CommandLine;
use crate::check;
use crate::failure::{Exit, Failure};
use crate::visible;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;
use std::io::Write;

/// Commands that are designed and not built.
const UNBUILT: [&str; 3] = ["top", "user", "token"];

/// Commands that nobody shall type since they were suggested: they do harm, or are for programs.
const HARMFUL: [&str; 6] = ["stop", "kick", "ban", "unban", "announce", "__complete"];

/// Help and version go to stdout; what cannot be understood is said on stderr.
pub fn misunderstood(line: &[OsString], mut error: clap::Error) -> u8 {
    let is_json = line.iter().any(|word| word == "--json");
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nobody is left to be told that the stream is closed.
        let _ = error.print();
        return Exit::Done.code();
    }
    tame(&mut error);
    if is_check(line) {
        return check::failed(&Failure::usage(sentence(&error)), is_json);
    }
    if let Some(failure) = unbuilt(&error) {
        let words = if is_json {
            visible::json(&failure.as_json())
        } else {
            format!("chatctl: {}", visible::line(&failure.message))
        };
        let _ = writeln!(std::io::stderr(), "{words}");
        return failure.exit.code();
    }
    if is_json {
        let failure = Failure::usage(sentence(&error));
        let _ = writeln!(std::io::stderr(), "{}", visible::json(&failure.as_json()));
    } else {
        let _ = error.print();
    }
    Exit::Usage.code()
}

/// Whether it was `check` that was not understood: whoever runs that reads one line and its own statuses.
fn is_check(line: &[OsString]) -> bool {
    let matches = CommandLine::command().ignore_errors(true).try_get_matches_from(line);
    matches.is_ok_and(|matches| matches.subcommand_name() == Some("check"))
}

/// Takes suggestions away that would do harm.
fn tame(error: &mut clap::Error) {
    let names = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::String(name)) => vec![name.clone()],
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => return,
    };
    let left: Vec<_> = names.into_iter().filter(|name| !HARMFUL.contains(&&**name)).collect();
    if left.is_empty() {
        error.remove(ContextKind::SuggestedSubcommand);
    } else {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(left));
    }
}

/// What is to be said where a later version will understand the line.
fn unbuilt(error: &clap::Error) -> Option<Failure> {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    if name == "away" {
        let message = "`away` is a state of a connection, and one of chatctl ends at once: there is nobody to miss";
        return Some(Failure::usage(message));
    }
    let message = format!("`{name}` is not built yet in this version");
    UNBUILT.contains(&&**name).then(|| Failure::new(Exit::Usage, "not_built_yet", message))
}

/// The message alone: no prefix, no usage, one line.
fn sentence(error: &clap::Error) -> String {
    let nothing =
        [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if nothing.contains(&error.kind()) {
        return "say what is to be done; `chatctl --help` has the commands".to_owned();
    }
    let said = error.render().to_string();
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let end = ["\n\nUsage:", "\n\nFor more"].iter().filter_map(|mark| said.find(mark)).min();
    let said = said.get(..end.unwrap_or(said.len())).unwrap_or(said);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
