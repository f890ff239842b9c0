//! What the daemon knows now: rooms, nicks, bans. It is asked as any command asks, in a time that a person at the keys does not
//! notice; what came by then is what there is, and a daemon that is away or refuses gives nothing.

use super::Candidate;
use super::wanted::Names;
use crate::args::{Color, Global};
use crate::ask::{Context, has_more, of_room};
use crate::client::{Client, Fields};
use crate::clock;
use crate::failure::Failure;
use crate::voice::Voice;
use proto::{Network, Now, Span};
use serde_json::Value;
use std::collections::BTreeSet;

/// How long the daemon has in all.
const PATIENCE: Span = Span::from_millis(500);

/// How many names are gathered: more is not read by anybody, and each is sorted and written.
const NAMES_MAX: usize = 10_000;

/// How many connections are asked for at once; the daemon may give fewer.
const PAGE_CONNECTIONS: u32 = 500;

/// The names there are of this kind, as they are typed where `part` is.
pub(super) fn candidates(server: Option<String>, names: Names, part: &str) -> Vec<Candidate> {
    let Some(mut asking) = Asking::begin(server) else { return Vec::new() };
    match names {
        Names::Nicks => asking.nick_candidates(part),
        Names::Banned => asking.banned(part).unwrap_or_default(),
        Names::Receivers if part.starts_with('@') => asking.nick_candidates(part),
        Names::Receivers if part.is_empty() => {
            [asking.room_candidates(part), asking.nick_candidates("@")].concat()
        }
        Names::Rooms | Names::Receivers => asking.room_candidates(part),
    }
}

/// A daemon that is asked, until the time is over.
struct Asking {
    context: Context,
    client: Client,
    end: Now,
}

impl Asking {
    fn begin(server: Option<String>) -> Option<Self> {
        let end = clock::now().after(PATIENCE);
        let flags = Global {
            server,
            as_nick: None,
            json: false,
            quiet: true,
            verbose: false,
            color: Color::Never,
            timeout: PATIENCE,
        };
        let voice = Voice::new(&flags);
        let context = Context::new(flags, voice).ok()?;
        let client = context.connect().ok()?;
        let mut asking = Self { context, client, end };
        if asking.context.server.is_remote() {
            asking.hurry();
            asking.context.greet(&mut asking.client).ok()?;
        }
        Some(asking)
    }

    /// What is left of the time is all there is for the next wait.
    fn hurry(&mut self) {
        self.context.flags.timeout = self.end.since(clock::now());
    }

    fn ask(&mut self, request: &str, fields: Fields) -> Result<Fields, Failure> {
        self.hurry();
        self.context.ask(&mut self.client, request, fields, &mut |_| Ok(()))
    }

    /// The entries of a list, page by page: those behind the last one's `name` are asked for in the field `beyond`. Where the
    /// first page is refused nothing is known.
    fn pages(
        &mut self,
        request: &str,
        mut fields: Fields,
        (entries, name, beyond): (&str, &str, &str),
    ) -> Option<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        while all.len() < NAMES_MAX {
            let Ok(reply) = self.ask(request, fields.clone()) else {
                return (!all.is_empty()).then_some(all);
            };
            let previous = all.last().map(|entry| entry[name].clone());
            all.extend(reply.get(entries).and_then(Value::as_array).into_iter().flatten().cloned());
            // A page that does not lead on is the last one, whatever it says of more.
            let last = all.last().map(|entry| entry[name].clone());
            match last.filter(|last| has_more(&reply) && previous.as_ref() != Some(last)) {
                Some(last) => fields.insert(beyond.to_owned(), last),
                None => break,
            };
        }
        Some(all)
    }

    fn rooms(&mut self) -> Vec<Value> {
        self.pages("rooms", Fields::new(), ("rooms", "room", "room")).unwrap_or_default()
    }

    fn room_candidates(&mut self, part: &str) -> Vec<Candidate> {
        let candidate = |entry: &Value| {
            let name = entry["room"].as_str()?;
            // What begins with a dash would be an option.
            let sign = if part.starts_with('#') || name.starts_with('-') { "#" } else { "" };
            let help = match entry["members"].as_u64() {
                Some(1) => "1 member".to_owned(),
                Some(members) => format!("{members} members"),
                None => String::new(),
            };
            Some(Candidate { value: format!("{sign}{name}"), help })
        };
        self.rooms().iter().filter_map(candidate).collect()
    }

    /// Who is connected; where that is not for us to know, who is in the rooms.
    fn nicks(&mut self) -> BTreeSet<String> {
        let mut fields = Fields::new();
        fields.insert("slow".to_owned(), Value::from(false));
        fields.insert("session".to_owned(), Value::from(0));
        fields.insert("limit".to_owned(), Value::from(PAGE_CONNECTIONS));
        let nick = |entry: &Value| entry["nick"].as_str().map(str::to_owned);
        let connected = self.pages("connections", fields, ("connections", "session", "session"));
        if let Some(connected) = connected {
            return connected.iter().filter_map(nick).collect();
        }
        let mut nicks = BTreeSet::new();
        for room in self.rooms() {
            let Some(name) = room["room"].as_str() else { continue };
            let members = self.pages("members", of_room(name), ("members", "nick", "nick"));
            nicks.extend(members.unwrap_or_default().iter().filter_map(nick));
            if nicks.len() >= NAMES_MAX || clock::now() >= self.end {
                break;
            }
        }
        nicks
    }

    fn nick_candidates(&mut self, part: &str) -> Vec<Candidate> {
        let nicks = self.nicks();
        nicks
            .iter()
            .map(|nick| Candidate { value: signed(nick, part), help: String::new() })
            .collect()
    }

    fn banned(&mut self, part: &str) -> Option<Vec<Candidate>> {
        let reply = self.ask("bans", Fields::new()).ok()?;
        let bans = reply.get("bans").and_then(Value::as_array)?;
        let candidate = |entry: &Value| {
            let nick = entry["nick"].as_str().map(|nick| signed(nick, part));
            let value = nick.or_else(|| entry["network"].as_str().map(str::to_owned))?;
            let help = entry["reason"].as_str().unwrap_or_default().to_owned();
            Some(Candidate { value, help })
        };
        Some(bans.iter().filter_map(candidate).collect())
    }
}

/// A nickname as it is typed: with an `@` where one is typed already, or where it would be taken for something else.
fn signed(nick: &str, part: &str) -> String {
    let is_other = nick.starts_with(['-', '@']) || nick.parse::<Network>().is_ok();
    let sign = if part.starts_with('@') || is_other { "@" } else { "" };
    format!("{sign}{nick}")
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn a_nickname_that_looks_like_something_else_has_a_sign() {
        assert_eq!(signed("ada", ""), "ada");
        assert_eq!(signed("ada", "@a"), "@ada");
        for nick in ["-l", "@x", "192.0.2.1"] {
            assert_eq!(signed(nick, ""), format!("@{nick}"));
        }
    }
}
