//! `chatctl doctor`: what could be wrong between a daemon and its users, a line each, with what to do about it.
//!
//! It looks and changes nothing, asks nobody but the daemon, and uses no network but to a daemon that was named with an address.
//! What can be seen of the machine alone is in `machine`.

mod machine;

use crate::ask::Context;
use crate::client::Fields;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::look::bytes_shown;
use crate::status::asked;
use machine::Machine;
use nix::unistd::{Gid, Group, Uid, User};
use serde_json::{Value, json};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Descriptors of the daemon that are no connections.
const DESCRIPTORS_RESERVED: u64 = 64;
/// Past so many percent of the connections that there may be, newcomers are near to be turned away.
const CROWDED_PERCENT: u64 = 80;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ok,
    Warn,
    Bad,
}

/// One thing that was looked at, and what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    what: &'static str,
    state: State,
    found: String,
    advice: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Ok, found: found.into(), advice: None }
    }

    fn warn(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, state: State::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    fn bad(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, state: State::Bad, found: found.into(), advice: Some(advice.into()) }
    }

    fn word(&self) -> &'static str {
        match self.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Bad => "bad",
        }
    }

    fn line(&self) -> String {
        let advice = self.advice.as_ref().map_or(String::new(), |advice| format!(": {advice}"));
        format!("{:5} {:12} {}{advice}", self.word(), self.what, self.found)
    }

    fn json(&self) -> String {
        json!({"check": self.what, "state": self.word(), "found": self.found, "advice": self.advice})
            .to_string()
    }
}

/// `chatctl doctor`.
pub fn doctor(context: &mut Context) -> Result<(), Failure> {
    let answer = asked(context);
    let mut findings = sockets(context, answer.is_ok());
    let is_local = !context.server.is_remote();
    match &answer {
        Ok((hello, stats)) => findings.extend(answered(hello, stats, is_local)),
        Err(failure) => findings.push(unanswered(failure)),
    }
    if is_local {
        let folder = context.server.paths().last().and_then(Path::parent).map(Path::to_owned);
        findings.extend(Machine::this().findings(
            &clock::wall(),
            folder.as_deref(),
            answer.is_ok(),
        ));
    }
    for finding in &findings {
        if context.voice.is_json() {
            context.voice.object(&finding.json())?;
        } else {
            context.voice.line(&finding.line())?;
        }
    }
    context.voice.flush()?;
    let bad = findings.iter().filter(|finding| finding.state == State::Bad).count();
    match bad {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Refused, "bad", "one thing is bad")),
        bad => Err(Failure::new(Exit::Refused, "bad", format!("{bad} things are bad"))),
    }
}

/// The control sockets that are there, whose they are and what their modes say.
fn sockets(context: &Context, is_answered: bool) -> Vec<Finding> {
    let mut findings: Vec<Finding> = context.server.paths().filter_map(socket).collect();
    if findings.is_empty() && !context.server.is_remote() {
        let (found, advice) = (
            format!("there is none at {}", context.server),
            "start chatd, or name its socket with -s or CHATD_SERVER",
        );
        findings.push(Finding::bad("socket", found, advice));
    }
    // A dead one is no harm where another answers.
    if is_answered {
        findings
            .iter_mut()
            .filter(|finding| finding.state == State::Bad)
            .for_each(|finding| finding.state = State::Warn);
    }
    findings
}

fn socket(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            let advice =
                "its folder is not open to you; see the `RuntimeDirectoryMode` of chatd's unit";
            return Some(Finding::bad("socket", format!("{shown}: {error}"), advice));
        }
    };
    if !found.file_type().is_socket() {
        let advice = "move it away, and start chatd";
        return Some(Finding::bad("socket", format!("{shown} is no socket"), advice));
    }
    let uid = Uid::from_raw(found.uid());
    let owner = User::from_uid(uid).ok().flatten().map_or(uid.to_string(), |user| user.name);
    let gid = Gid::from_raw(found.gid());
    let group = Group::from_gid(gid).ok().flatten().map_or(gid.to_string(), |group| group.name);
    let mode = found.mode() & 0o777;
    Some(Finding::ok("socket", format!("{shown}, mode {mode:04o}, of {owner}:{group}")))
}

/// Why nothing is known of the daemon: it is not there, or does not tell this user.
fn unanswered(failure: &Failure) -> Finding {
    let found = match failure.exit {
        Exit::NotPermitted => "answers, but not to you",
        _ => "does not answer",
    };
    Finding::bad("daemon", found, &failure.message)
}

/// What the daemon's own words say.
fn answered(hello: &Fields, stats: &Fields, is_local: bool) -> Vec<Finding> {
    let text = |name: &str| stats.get(name).and_then(Value::as_str).unwrap_or("?");
    let ours = env!("CARGO_PKG_VERSION");
    let (server, theirs) = (text("server"), text("version"));
    let mut findings = vec![if theirs == ours {
        Finding::ok(
            "daemon",
            format!("{server} answers; its version is {theirs}, as that of this program"),
        )
    } else {
        let advice = "start the daemon again after an upgrade, or install the same version of both";
        Finding::warn(
            "daemon",
            format!("{server} is of version {theirs}, this program of {ours}"),
            advice,
        )
    }];
    if let Some(durability) = hello.get("durability").and_then(Value::as_str) {
        let found = match durability {
            "none" => {
                "messages are kept in memory only, and nothing is written to a disk".to_owned()
            }
            kept => format!("messages are kept on disk, as `{kept}`"),
        };
        findings.push(history(found, stats.get("store").unwrap_or(&Value::Null)));
    }
    match stats.get("process") {
        Some(process) => findings.push(descriptors(stats, process)),
        None if is_local => {
            let found = "the daemon does not count you among its administrators, so its limits are not told";
            let advice = "run this as root or as the user that chatd runs as, or see [control] in chatd.toml";
            findings.push(Finding::warn("rights", found, advice));
        }
        None => findings.push(Finding::ok(
            "rights",
            "over a network nobody is an administrator; its limits are not told",
        )),
    }
    findings
}

/// How messages are kept, and whether they can be.
fn history(found: String, store: &Value) -> Finding {
    let free = bytes_shown(store["free_bytes"].as_u64().unwrap_or(0));
    match store["state"].as_str() {
        Some("full") => {
            let advice = "make room on that disk, or lower `history.max_bytes`; the daemon goes on by itself";
            let found = format!("{found}; the disk is full ({free} free), and posts are refused");
            Finding::bad("history", found, advice)
        }
        Some("broken") => {
            let advice = "see the daemon's log, and what the kernel says of the disk";
            let found = format!("{found}; it cannot be written, and posts are refused");
            Finding::bad("history", found, advice)
        }
        _ => Finding::ok("history", found),
    }
}

/// Whether there are descriptors for as many connections as there may be.
fn descriptors(stats: &Fields, process: &Value) -> Finding {
    const WHAT: &str = "descriptors";
    let number = |name: &str| stats.get(name).and_then(Value::as_u64);
    let descriptors = process["descriptors_max"].as_u64().unwrap_or(0);
    let kinds = [
        "connections_native",
        "connections_v1",
        "connections_control",
        "connections_websocket",
        "connections_http",
        "connections_events",
        "connections_undecided",
    ];
    let connected: u64 = kinds.iter().filter_map(|name| number(name)).sum();
    let raise = "raise LimitNOFILE= in chatd's unit, or `ulimit -n` where it is started by hand";
    let room = descriptors.saturating_sub(DESCRIPTORS_RESERVED);
    let Some(most) = number("connections_max") else {
        let found =
            format!("limits.connections is off, and {descriptors} descriptors allow {room}");
        return Finding::warn(
            WHAT,
            found,
            "set limits.connections to no more than that, so that newcomers are told",
        );
    };
    if most > room {
        let found =
            format!("limits.connections is {most}, but {descriptors} descriptors allow {room}");
        return Finding::bad(WHAT, found, raise);
    }
    let found = format!("{descriptors}, enough for {most} connections; there are {connected}");
    if connected.saturating_mul(100) > most.saturating_mul(CROWDED_PERCENT) {
        return Finding::warn(WHAT, found, raise);
    }
    Finding::ok(WHAT, found)
}

#[cfg(test)]
mod tests {
    use super::{Finding, State, answered, descriptors, unanswered};
    use crate::client::Fields;
    use crate::failure::{Exit, Failure};
    use serde_json::{Value, json};

    fn fields(value: &Value) -> Fields {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_finding_is_one_line_with_what_to_do() {
        let finding = Finding::bad("clock", "it is 1970", "set it");
        assert_eq!(finding.line(), "bad   clock        it is 1970: set it");
        assert_eq!(Finding::ok("disk", "fine").line(), "ok    disk         fine");
        let said: Value = serde_json::from_str(&finding.json()).expect("an object");
        assert_eq!((&said["state"], &said["advice"]), (&json!("bad"), &json!("set it")));
    }

    #[test]
    fn a_daemon_that_refuses_is_there() {
        let refused = Failure::new(Exit::NotPermitted, "forbidden", "join the group `chat`");
        let said = unanswered(&refused).line();
        assert_eq!(said, "bad   daemon       answers, but not to you: join the group `chat`");
        let said = unanswered(&Failure::unreachable("no such socket")).line();
        assert_eq!(said, "bad   daemon       does not answer: no such socket");
    }

    #[test]
    fn another_version_is_said() {
        let said = answered(&Fields::new(), &fields(&json!({"version": "0.0.1"})), true);
        assert_eq!(said[0].state, State::Warn, "{said:?}");
        assert_eq!((said[1].what, said[1].state), ("rights", State::Warn), "{said:?}");
        let same = json!({"version": env!("CARGO_PKG_VERSION"), "connections_max": 960,
                          "process": {"descriptors_max": 1_024}});
        let said = answered(&fields(&json!({"durability": "none"})), &fields(&same), true);
        assert!(said.iter().all(|finding| finding.state == State::Ok), "{said:?}");
    }

    #[test]
    fn descriptors_are_held_against_the_connections_that_may_be() {
        let process = json!({"descriptors_max": 1_024});
        let state = |stats: &Value| descriptors(&fields(stats), &process).state;
        assert_eq!(state(&json!({"connections_max": 960, "connections_native": 768})), State::Ok);
        assert_eq!(state(&json!({"connections_max": 960, "connections_native": 769})), State::Warn);
        assert_eq!(state(&json!({"connections_max": 961})), State::Bad);
        assert_eq!(state(&json!({"connections_max": null})), State::Warn);
    }
}
