//! One talk of the command: who it is with, what was counted, and how its end is told.
//!
//! It prints nothing; it makes the sentences and the objects.

use crate::client::{Event, Fields};
use crate::clock;
use crate::direct::{End, Hello, Link, Trips};
use crate::failure::{Exit, Failure};
use crate::moments;
use serde_json::{Value, json};

/// A talk with somebody.
pub(super) struct Conversation {
    /// The way to them.
    pub(super) link: Link,
    /// Their nickname, or the address where they gave none.
    pub(super) name: String,
    /// Whether they called us.
    is_called: bool,
    /// Whether they were welcomed, or welcomed us.
    pub(super) begun: bool,
    /// How long messages took.
    pub(super) trips: Trips,
    /// How many messages we said.
    pub(super) said: u64,
    /// How many they said.
    pub(super) heard: u64,
    /// Theirs that are not acknowledged before stdout has taken them.
    pub(super) withheld: Vec<String>,
}

impl Conversation {
    /// With whom we call.
    pub(super) fn calling(link: Link) -> Self {
        Self::new(link, false)
    }

    /// With who called us.
    pub(super) fn called(link: Link) -> Self {
        Self::new(link, true)
    }

    fn new(link: Link, is_called: bool) -> Self {
        let name = link.address().to_string();
        let (trips, withheld) = (Trips::default(), Vec::new());
        Self { link, name, is_called, begun: false, trips, said: 0, heard: 0, withheld }
    }

    /// It begins; who is there, in words.
    pub(super) fn begin(&mut self, hello: &Hello) -> String {
        assert!(!self.begun, "a talk begins once");
        self.begun = true;
        let address = self.link.address();
        if let Some(nick) = &hello.nick {
            self.name.clone_from(nick);
            return format!("talking with {nick} ({address})");
        }
        format!("talking with {address}")
    }

    pub(super) fn started(&self) -> Event {
        let fields = json!({"peer": self.name, "address": self.link.address().to_string()});
        event("talk_started", fields)
    }

    pub(super) fn message(&self, id: &str, content: &[u8]) -> Event {
        let time = moments::rfc3339(clock::wall().timestamp());
        let mut message =
            event("talk_message", json!({"from": self.name, "message_id": id, "time": time}));
        proto::client::put_content(&mut message.fields, content);
        message.line = Value::Object(message.fields.clone()).to_string();
        message
    }

    pub(super) fn delivered(&self, id: &str, micros: u64) -> Event {
        event("delivered", json!({"message_id": id, "by": self.name, "round_trip_us": micros}))
    }

    pub(super) fn not_taken(&self, id: &str, code: &str, message: &str) -> Event {
        let fields = json!({"message_id": id, "by": self.name, "error": code, "message": message});
        event("not_delivered", fields)
    }

    pub(super) fn ended(&self, end: &End) -> Event {
        let micros = |percent| self.trips.percentile(percent).map(proto::Span::as_micros);
        let fields = json!({
            "peer": self.name, "reason": reason(end), "said": self.said, "heard": self.heard,
            "unacknowledged": self.link.peer.unacknowledged(),
            "round_trip_us": {"min": self.trips.least().map(proto::Span::as_micros),
                "p50": micros(50), "p99": micros(99)},
        });
        event("talk_ended", fields)
    }

    /// The end, as a person is told of it.
    pub(super) fn farewell(&self, end: &End) -> String {
        let lost = match self.link.peer.unacknowledged() {
            0 => String::new(),
            some => format!(", {some} not acknowledged"),
        };
        let trips = self.trips.shown().map(|trips| format!("; {trips}")).unwrap_or_default();
        format!("{}; {} said, {} heard{lost}{trips}", self.how(end), self.said, self.heard)
    }

    /// How it ended, in words.
    pub(super) fn how(&self, end: &End) -> String {
        let name = &self.name;
        match end {
            End::HungUp => format!("{name} has hung up"),
            End::Left => format!("the talk with {name} is over"),
            End::Refused(refusal) => refusal.message.clone(),
            // Nobody can tell by its hello: it is that of a client of the daemon, too.
            End::Lost(_) if self.is_called && !self.link.peer.is_heard() => {
                format!("{name} is gone, with no more than a hello: perhaps it looked for a daemon")
            }
            End::Lost(None) => format!("{name} is gone without a word"),
            End::Lost(Some(why)) => format!("{name} is gone: {why}"),
            End::Silent => format!("{name} has fallen silent: nothing came for 15 s"),
            End::Stuck => format!("{name} takes nothing of what is said"),
            End::Slow => format!("{name} does not end what it has begun to say"),
            End::Nonsense(fault) => format!("{name}: {fault}"),
            End::Daemon => format!("a chat daemon answers at {name}"),
        }
    }

    /// How a call ended, where that is no good end; `whole` is whether all was said.
    pub(super) fn failure(&self, end: &End, whole: bool) -> Option<Failure> {
        let how = self.how(end);
        let name = &self.name;
        Some(match end {
            End::Left => return None,
            End::HungUp if whole && self.link.peer.unacknowledged() == 0 => return None,
            End::HungUp => {
                let message = format!("{how} before all was said and acknowledged");
                Failure::new(Exit::Refused, "talk_ended", message)
            }
            End::Refused(refusal) => Failure::new(
                Exit::of_code(&refusal.code),
                &refusal.code,
                format!("{name} does not take the call: {}", refusal.message),
            ),
            End::Lost(_) if !self.begun => {
                let message = format!("{name} closed the connection before a word");
                Failure::new(Exit::NotReachable, "closed", message)
            }
            End::Slow if !self.begun => {
                Failure::timed_out(format!("{name} took the call and does not answer"))
            }
            End::Daemon => {
                let message = format!("{how}; its rooms are reached with -s tcp://HOST:PORT");
                Failure::new(Exit::Refused, "daemon", message)
            }
            End::Lost(_) | End::Silent | End::Stuck | End::Slow | End::Nonsense(_) => {
                Failure::new(Exit::Refused, reason(end), how)
            }
        })
    }
}

/// The end in one word, for scripts.
fn reason(end: &End) -> &'static str {
    match end {
        End::HungUp => "hangup",
        End::Left => "left",
        End::Refused(_) => "refused",
        End::Lost(_) | End::Silent | End::Stuck | End::Slow => "gone",
        End::Nonsense(_) => "nonsense",
        End::Daemon => "daemon",
    }
}

/// An event of this program's own making, with these fields.
fn event(name: &str, fields: Value) -> Event {
    let mut all = Fields::new();
    all.insert("event".to_owned(), Value::from(name));
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    let line = Value::Object(all.clone()).to_string();
    Event { name: name.to_owned(), fields: all, line }
}
