//! The name that a person has chosen, asked for once and kept in a file: `$XDG_STATE_HOME/chatctl/nick`, without that variable
//! `~/.local/state/chatctl/nick`.
//!
//! Over a control socket nobody is asked: there the daemon knows who calls.

use crate::ask::Context;
use crate::failure::{Exit, Failure};
use nix::unistd::{User, getuid};
use proto::Nick;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The name to ask the daemon for, where it does not know who calls.
pub(super) fn name(context: &Context) -> Result<Option<String>, Failure> {
    let given = context.flags.as_nick.as_deref();
    if !context.server.is_remote() {
        let text =
            "over a control socket you have the name that you logged in with; --as is for tcp://";
        return given.map_or(Ok(None), |_| Err(Failure::usage(text)));
    }
    if let Some(given) = given {
        return Ok(Some(given.to_owned()));
    }
    if let Some(kept) =
        path().and_then(|path| fs::read_to_string(path).ok()).and_then(|text| valid(&text))
    {
        return Ok(Some(kept));
    }
    let login = login_name();
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return login.map(Some).ok_or_else(|| Failure::usage("name yourself with --as NICK"));
    }
    let chosen = asked(login.as_deref())?;
    keep(&chosen).unwrap_or_else(|failure| context.voice.say("name", &failure.message));
    Ok(Some(chosen))
}

/// Keeps the name for the next time.
pub(super) fn keep(nick: &str) -> Result<(), Failure> {
    let Some(path) = path() else { return Ok(()) };
    let failed = |error: &io::Error| Failure::file(&path.display().to_string(), error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    fs::write(&path, format!("{nick}\n")).map_err(|error| failed(&error))
}

fn path() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|folder| !folder.is_empty());
    let state = folder("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(Path::new(&folder("HOME")?).join(".local/state")))?;
    Some(state.join("chatctl/nick"))
}

fn valid(text: &str) -> Option<String> {
    Nick::parse_any(text.trim()).ok().map(|nick| nick.as_str().to_owned())
}

fn login_name() -> Option<String> {
    valid(&User::from_uid(getuid()).ok().flatten()?.name)
}

/// Asks until there is an answer that can be a name; an empty one is the login name.
fn asked(login: Option<&str>) -> Result<String, Failure> {
    let unreadable = |error: io::Error| Failure::file("stdin", &error);
    loop {
        let offered = login.map(|login| format!(" [{login}]")).unwrap_or_default();
        let mut stderr = io::stderr();
        let _ = write!(stderr, "What do you want to be called?{offered} ");
        let mut line = String::new();
        if io::stdin().read_line(&mut line).map_err(unreadable)? == 0 {
            return Err(Failure::new(
                Exit::Usage,
                "no_nickname",
                "no name was given; --as NICK gives one",
            ));
        }
        let line = line.trim();
        let chosen = if line.is_empty() { login.unwrap_or_default() } else { line };
        match Nick::parse_any(chosen) {
            Ok(nick) => return Ok(nick.as_str().to_owned()),
            Err(error) => {
                let _ = writeln!(stderr, "{}", crate::visible::line(&error.to_string()));
            }
        }
    }
}
