//! The connection: which phase it is in, when it is tried again, and what is asked when it is there.
//!
//! One enum has the phases, one function the legal edges. While the nickname is somebody else's (our own lost connection's, most
//! often) nothing is said under any other: it is asked for again, until it can be had or the person takes another.

use super::replies::Asked;
use super::{Joined, Model, Moment, Output, with};
use crate::ask::hello;
use crate::client::{Fields, NO_DAEMON, Refusal};
use crate::moments;
use crate::reconnect::Backoff;
use proto::{Now, Span};
use serde_json::Value;

/// Between two times that a nickname is asked for which somebody else has: a lost connection is given up after 15 s.
const HELD_PAUSE: Span = Span::from_secs(1);

/// A connection that lasted so long is no reason to call with longer pauses.
const STEADY_SPAN: Span = Span::from_secs(2);

/// The most content of a message, until the daemon says what it takes.
const MESSAGE_BYTES_ASSUMED: usize = 65_530;

/// Where the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    Away {
        /// When it is tried next.
        next: Now,
        /// Why there is none; empty at the beginning.
        why: String,
    },
    /// The daemon is being called.
    Calling,
    /// It is there, and has been told who calls.
    Greeting,
    /// It is there, but the nickname cannot be had.
    Held {
        /// When it is asked for again; never, where it can never be had.
        next: Option<Now>,
        /// Why it cannot.
        why: String,
    },
    /// All requests can be asked.
    Up,
}

/// The connection, and what is known of the server.
#[derive(Debug)]
pub struct Link {
    phase: Phase,
    backoff: Backoff,
    /// Since when it is as it is: there, or not there.
    since: Now,
    /// Whether the person was told that there is none.
    is_told: bool,
    /// The nickname that the person was told cannot be had.
    held_told: Option<String>,
    nick: Option<String>,
    server: Option<String>,
    history: Option<String>,
    message_bytes: usize,
    /// Why the server closes, by its own word.
    pub(super) bye: Option<String>,
}

impl Link {
    pub(super) fn new(now: Now) -> Self {
        Self {
            phase: Phase::Away { next: now, why: String::new() },
            backoff: Backoff::default(),
            since: now,
            is_told: false,
            held_told: None,
            nick: None,
            server: None,
            history: None,
            message_bytes: MESSAGE_BYTES_ASSUMED,
            bye: None,
        }
    }

    /// Where it is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether all requests can be asked.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        match self.phase {
            Phase::Away { .. } | Phase::Calling => false,
            Phase::Greeting | Phase::Held { .. } | Phase::Up => true,
        }
    }

    /// The name that is had.
    pub fn nick(&self) -> Option<&str> {
        self.nick.as_deref().filter(|_| self.is_up())
    }

    /// The name that was had last.
    pub(super) fn last_nick(&self) -> Option<&str> {
        self.nick.as_deref()
    }

    /// What the server calls itself.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Whether a daemon has ever answered.
    pub fn was_up(&self) -> bool {
        self.server.is_some()
    }

    /// The most content of a message.
    pub fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// When the daemon is called, or the nickname asked for, the next time: what a banner counts down to.
    pub fn next(&self) -> Option<Now> {
        match self.phase {
            Phase::Away { next, .. } => Some(next),
            Phase::Held { next, .. } => next,
            Phase::Calling | Phase::Greeting | Phase::Up => None,
        }
    }

    pub(super) fn set_nick(&mut self, nick: &str) {
        assert!(self.is_up(), "a name is had on a connection");
        self.nick = Some(nick.to_owned());
    }

    /// The one place where the phase changes.
    fn go(&mut self, to: Phase) {
        let legal = matches!(
            (&self.phase, &to),
            (Phase::Away { .. }, Phase::Calling | Phase::Away { .. })
                | (Phase::Calling, Phase::Greeting | Phase::Away { .. })
                | (Phase::Greeting, Phase::Up | Phase::Held { .. } | Phase::Away { .. })
                | (Phase::Held { .. }, Phase::Greeting | Phase::Away { .. })
                | (Phase::Up, Phase::Away { .. })
        );
        assert!(legal, "no way leads from {:?} to {to:?}", self.phase);
        self.phase = to;
    }

    pub(super) fn check_invariants(&self) {
        assert!(!self.is_up() || self.nick.is_some(), "who is connected has a name");
        assert!(
            self.is_connected() || self.bye.is_none(),
            "nobody says goodbye over no connection"
        );
    }
}

impl Model {
    /// The daemon was reached.
    pub fn called(&mut self, at: Moment) {
        assert_eq!(self.link.phase, Phase::Calling, "who was called is reached");
        self.link.go(Phase::Greeting);
        self.greet(at);
        self.check_invariants();
    }

    /// The daemon was not reached, for this reason.
    pub fn not_called(&mut self, at: Moment, why: &str) {
        assert_eq!(self.link.phase, Phase::Calling, "who was called is not reached");
        self.stay_away(at, why);
        self.check_invariants();
    }

    pub(super) fn tick_link(&mut self, at: Moment) {
        if self.link.next().is_none_or(|next| next > at.now) {
            return;
        }
        match self.link.phase {
            Phase::Away { .. } => {
                self.link.go(Phase::Calling);
                self.out.push_back(Output::Call);
            }
            Phase::Held { .. } => {
                self.link.go(Phase::Greeting);
                self.greet(at);
            }
            Phase::Calling | Phase::Greeting | Phase::Up => unreachable!("these wait for no time"),
        }
    }

    /// Calls now, whatever was waited for; over a connection that is there the whole begins anew.
    pub(super) fn reconnect(&mut self, at: Moment) {
        if self.link.is_up() || self.link.phase == Phase::Greeting {
            self.out.push_back(Output::HangUp);
            self.lost(at, "as you wish");
        }
        match &mut self.link.phase {
            Phase::Away { next, .. } => *next = at.now,
            Phase::Held { next, .. } => *next = Some(at.now),
            Phase::Calling | Phase::Greeting | Phase::Up => {}
        }
        self.tick_link(at);
    }

    /// The connection is gone: nothing asked has an answer, and nothing is had any more.
    pub(super) fn lost(&mut self, at: Moment, why: &str) {
        if !self.link.is_connected() {
            return;
        }
        let was_up = self.link.is_up();
        self.link.bye = None;
        for asked in std::mem::take(&mut self.asked).values() {
            self.older_lost(asked);
        }
        for room in self.rooms.values_mut() {
            room.lost();
        }
        if was_up {
            // One that is lost again and again at once is called at growing pauses.
            if at.now.since(self.link.since) >= STEADY_SPAN {
                self.link.backoff = Backoff::default();
            }
            self.link.since = at.now;
        }
        self.stay_away(at, why);
        // First why, and then what came of it.
        self.talk_lost(at);
        self.outgoing.lost();
        assert!(!self.link.is_connected() && self.asked.is_empty(), "nothing is had");
    }

    fn stay_away(&mut self, at: Moment, why: &str) {
        let pause = self.link.backoff.pause(at.chance);
        let next = at.now.after(pause);
        self.link.go(Phase::Away { next, why: why.to_owned() });
        if !std::mem::replace(&mut self.link.is_told, true) {
            let what = if self.link.was_up() { "lost the daemon" } else { "no daemon yet" };
            self.tell(at, format!("{what} ({why}); looking for it"));
        }
    }

    fn greet(&mut self, at: Moment) {
        let mut fields = hello();
        if let Some(nick) = &self.wanted.nick {
            fields = with(fields, "nick", nick.as_str());
        }
        self.ask(at, "hello", fields, Asked::Hello);
    }

    /// The server does not take the greeting.
    pub(super) fn not_greeted(&mut self, at: Moment, refusal: &Refusal) {
        assert_eq!(self.link.phase, Phase::Greeting, "a greeting has one answer");
        if refusal.code == NO_DAEMON && !self.link.was_up() {
            self.hopeless = Some(refusal.clone());
            return;
        }
        let next = match refusal.code.as_str() {
            "nickname_in_use" | "rate_limited" => {
                let pause = refusal.retry_after.map_or(HELD_PAUSE, seconds);
                Some(at.now.after(pause))
            }
            "bad_nickname" | "forbidden" if self.wanted.nick.is_some() => None,
            _ => {
                self.out.push_back(Output::HangUp);
                return self.lost(at, &refusal.message);
            }
        };
        let why = refusal.message.clone();
        let nick = self.wanted.nick.clone().unwrap_or_default();
        if self.link.held_told.as_deref() != Some(nick.as_str()) {
            let text = match next {
                Some(_) => format!(
                    "the nickname {nick} cannot be had yet, it may be your lost connection's: asking again; /nick NAME takes another"
                ),
                None => format!("{why} /nick NAME takes another"),
            };
            self.tell(at, text);
            self.link.held_told = Some(nick);
        }
        self.link.go(Phase::Held { next, why });
    }

    /// The server knows who calls: what is wanted is asked for.
    pub(super) fn greeted(&mut self, at: Moment, reply: &Fields) {
        let text = |name: &str| reply.get(name).and_then(Value::as_str).map(str::to_owned);
        let limit = reply.get("limits").and_then(|limits| limits["message"].as_u64());
        if let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) {
            self.link.message_bytes = limit;
        }
        let was_up = self.link.was_up();
        self.link.nick = text("nick").or_else(|| self.wanted.nick.clone()).or(Some(String::new()));
        self.link.server = Some(text("server").unwrap_or_else(|| "chatd".to_owned()));
        self.link.go(Phase::Up);
        self.link.held_told = None;
        self.link.is_told = false;
        let nick = self.link.nick.clone().unwrap_or_default();
        let words = if was_up {
            let gone = moments::span_shown(at.now.since(self.link.since).as_micros());
            format!("found the daemon after {gone}; you are {nick}")
        } else {
            format!("connected; you are {nick}")
        };
        self.link.since = at.now;
        self.tell(at, words);
        let history = text("history");
        let known = std::mem::replace(&mut self.link.history, history.clone());
        if known.is_some() && known != history {
            self.new_history(at);
        }
        let rooms: Vec<_> = self.rooms.keys().cloned().collect();
        for room in &rooms {
            self.ask_join(at, room);
        }
        if let Some(away) = self.wanted.away.clone() {
            let asked = Asked::Away { wish: Some(away.clone()), before: None, view: None };
            self.ask(at, "away", with(Fields::new(), "text", away), asked);
        }
        self.ask_bridge(at);
        assert!(self.rooms.values().all(|room| room.joined != Joined::No), "all are asked for");
    }
}

/// Seconds as the server writes them; what is no sensible number is a second.
pub(super) fn seconds(seconds: f64) -> Span {
    let whole = std::time::Duration::try_from_secs_f64(seconds.clamp(0.1, 60.0));
    let micros = whole.map_or(1_000_000, |span| span.as_micros());
    Span::from_micros(u64::try_from(micros).unwrap_or(1_000_000))
}
