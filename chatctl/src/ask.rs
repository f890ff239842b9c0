//! One request, one reply: what the commands that only ask do, and the opening of every connection.
//!
//! It waits; the clock is asked before each wait. Events that come meanwhile go to whoever wants them.

use crate::args::Global;
use crate::client::{Client, Event, Fields, Happening, Refusal};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::moments;
use crate::requests;
use crate::server::Server;
use crate::voice::Voice;
use nix::poll::PollFlags;
use proto::{Nick, Now, RoomName};
use serde_json::Value;
use std::os::fd::BorrowedFd;

/// Why a daemon may close a connection over a network at once.
const REFUSED: &str = "perhaps a ban or a limit of connections by address: see the daemon's log, or `chatctl status` there";

/// What every command needs: whom to call, for how long to wait, how to print.
pub struct Context {
    /// The daemon.
    pub server: Server,
    /// The flags of every command.
    pub flags: Global,
    /// The two streams.
    pub voice: Voice,
}

impl Context {
    /// Takes the flags at their word; what is no address or no name is said.
    pub fn new(mut flags: Global, voice: Voice) -> Result<Self, (Failure, Voice)> {
        flags.as_nick = flags.as_nick.map(|name| bare(&name).to_owned());
        let server = match flags.server.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Server::parse(text),
            None => Ok(Server::usual()),
        };
        let name = flags.as_nick.as_deref().map(Nick::parse_any).transpose();
        match (server, name) {
            (Ok(server), Ok(_)) => Ok(Self { server, flags, voice }),
            (Err(failure), _) => Err((failure, voice)),
            (_, Err(error)) => Err((Failure::usage(format!("--as: {error}")), voice)),
        }
    }

    /// When the patience that `--timeout` grants ends, if it begins now.
    pub fn deadline(&self) -> Now {
        clock::now().after(self.flags.timeout)
    }

    /// Calls the daemon.
    pub fn connect(&self) -> Result<Client, Failure> {
        let client = self.server.connect(self.deadline())?;
        self.voice.whisper("connected", &format!("connected to {}", self.server));
        Ok(client)
    }

    /// Calls the daemon to ask it something; where it does not know who calls, after a greeting.
    pub fn call(&self) -> Result<Client, Failure> {
        let mut client = self.connect()?;
        if self.server.is_remote() {
            self.greet(&mut client)?;
        }
        Ok(client)
    }

    /// Says hello, so that the daemon knows who asks, and learns what it is.
    pub fn greet(&self, client: &mut Client) -> Result<Fields, Failure> {
        self.ask(client, "hello", hello(), &mut |_| Ok(()))
    }

    /// Asks and waits for the reply. A refusal is a failure.
    pub fn ask(
        &self,
        client: &mut Client,
        request: &str,
        fields: Fields,
        heard: &mut dyn FnMut(Event) -> Result<(), Failure>,
    ) -> Result<Fields, Failure> {
        let id = client.ask(request, fields, self.deadline());
        let mut bye = None;
        loop {
            client
                .step(clock::now(), None, &[])
                .map_err(|error| Failure::unreachable(error.to_string()))?;
            client.expire(clock::now());
            while let Some(happening) = client.take() {
                match happening {
                    Happening::Replied(of, outcome) if of == id => {
                        return outcome.map_err(|refusal| refused(request, refusal));
                    }
                    Happening::TimedOut(of) if of == id => return Err(self.no_answer()),
                    Happening::Complaint(refusal) => return Err(refusal.into()),
                    Happening::Lost { reason, .. } => {
                        return Err(self.lost(client, &bye.unwrap_or(reason)));
                    }
                    Happening::Event(event) if event.name == "bye" => {
                        bye = event.text("reason").map(str::to_owned);
                    }
                    Happening::Event(event) => heard(event)?,
                    Happening::Replied(..) | Happening::TimedOut(_) => {}
                }
            }
        }
    }

    /// Asks for a list, page by page: `list` is the field with the entries, and each further page is asked for with `cursor` set
    /// to the `name` of the last entry.
    pub fn ask_pages(
        &self,
        client: &mut Client,
        request: &str,
        mut fields: Fields,
        (list, name, cursor): (&str, &str, &str),
    ) -> Result<Vec<Value>, Failure> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let reply = self.ask(client, request, fields.clone(), &mut |_| Ok(()))?;
            let before = all.last().and_then(|entry| entry[name].as_str()).map(str::to_owned);
            all.extend(reply.get(list).and_then(Value::as_array).into_iter().flatten().cloned());
            let end = all.last().and_then(|entry| entry[name].as_str());
            // A page that does not lead on is the last one, whatever it says of more.
            let end = end.filter(|end| has_more(&reply) && before.as_deref() != Some(end));
            match end {
                Some(end) => fields.insert(cursor.to_owned(), Value::from(end)),
                None => return Ok(all),
            };
        }
    }

    /// Writes what was gathered for stdout, at its reader's pace, while the daemon keeps getting signs of life. A wait
    /// ends where `until` comes, or one of `others` can be read: then some is left, and the answer is no.
    pub fn hand_out(
        &mut self,
        client: &mut Client,
        until: Option<Now>,
        others: &[BorrowedFd<'_>],
    ) -> Result<bool, Failure> {
        while !self.voice.hand_out()? {
            let now = clock::now();
            if until.is_some_and(|until| now >= until) {
                return Ok(false);
            }
            let mut watched = vec![(self.voice.descriptor(), PollFlags::POLLOUT)];
            watched.extend(others.iter().map(|fd| (*fd, PollFlags::POLLIN)));
            let ready = client
                .rest(now, until, &watched)
                .map_err(|error| Failure::unreachable(error.to_string()))?;
            if ready.iter().skip(1).any(|flags| !flags.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The daemon is there and says nothing.
    pub fn no_answer(&self) -> Failure {
        let waited = moments::span_shown(self.flags.timeout.as_micros());
        Failure::timed_out(format!("no answer from {} within {waited}", self.server))
    }

    /// The daemon went away, or was never there for us: one that closes without a word may not want to talk with this
    /// address, and tells nobody so, since answering floods is work.
    pub fn lost(&self, client: &Client, reason: &str) -> Failure {
        if !client.has_heard() {
            let server = &self.server;
            let why = if server.is_remote() { REFUSED } else { "see the daemon's log" };
            let message = format!("{server} closed the connection before a word; {why}");
            return Failure::new(Exit::NotReachable, "closed", message);
        }
        Failure::unreachable(format!("lost the daemon at {}: {reason}", self.server))
    }
}

/// A refusal as a failure. Who may not use a request is told so of the command, since that is what they typed; what to do about it
/// the server knows.
fn refused(request: &str, refusal: Refusal) -> Failure {
    let mut failure = Failure::from(refusal);
    let command = requests::command_called_by(request);
    if let Some(command) = command.filter(|_| failure.exit == Exit::NotPermitted) {
        let command = format!("`chatctl {command}`");
        failure.message = failure.message.replacen(&format!("`{request}`"), &command, 1);
    }
    failure
}

/// What this program says of itself.
pub fn hello() -> Fields {
    let mut fields = Fields::new();
    fields.insert("version".to_owned(), Value::from(proto::vocabulary::VERSION));
    let agent = concat!("chatctl ", env!("CARGO_PKG_VERSION"));
    fields.insert("agent".to_owned(), Value::from(agent));
    fields
}

/// A nickname without the `@` that people may write before it.
pub fn bare(text: &str) -> &str {
    text.strip_prefix('@').unwrap_or(text)
}

/// A nickname as people write it, with or without the `@` before it.
pub fn nick(text: &str) -> Result<String, Failure> {
    Nick::parse_any(bare(text))
        .map(|nick| nick.as_str().to_owned())
        .map_err(|error| Failure::new(Exit::Usage, "bad_nickname", format!("`{text}`: {error}")))
}

/// A room as people write it, in the one form that names it on the wire.
pub fn room(text: &str) -> Result<String, Failure> {
    RoomName::parse(text)
        .map(|name| name.as_str().to_owned())
        .map_err(|error| Failure::new(Exit::Usage, "bad_room", format!("`{text}`: {error}")))
}

/// Whether a page says that there are others behind it.
pub fn has_more(reply: &Fields) -> bool {
    reply.get("more").and_then(Value::as_bool) == Some(true)
}

/// Fields with nothing but the room.
pub fn of_room(room: &str) -> Fields {
    let mut fields = Fields::new();
    fields.insert("room".to_owned(), Value::from(room));
    fields
}
