//! One talk with one other program: what came in becomes happenings, what is said becomes bytes to write.
//!
//! Pure: no socket, no clock. Its owner brings bytes and moments, takes what happened, decides who is let in, and says which
//! messages it has by `acknowledge`. A fault of the other side is a happening, the last one; a call that the owner may not
//! make is our own bug.

mod hello;

pub use hello::Hello;

use super::frames::{self, Fault, Word};
use super::{
    CONTENT_BYTES_MAX, FAREWELL_SPAN_MAX, FRAME_SPAN_MAX, HELLO_SPAN_MAX, IDLE_SPAN_MAX,
    KEEPALIVE_INTERVAL, OUTGOING_BYTES_MAX, UNACKNOWLEDGED_BYTES_MAX, UNACKNOWLEDGED_MAX,
};
use crate::client::{Fields, Refusal};
use proto::{MessageId, Now, Span, native};
use std::collections::{BTreeMap, VecDeque};

/// The ids of the requests that each side makes once at most, but `pass`, which has no other outstanding.
const HELLO_ID: &str = "hello";
const HANGUP_ID: &str = "hangup";
const PASS_ID: &str = "pass";

/// The requests of a talk that has begun.
const OF_A_TALK: [&str; 3] = ["say", "pass", "hangup"];

/// What happened in a talk.
#[derive(Debug, PartialEq)]
pub enum Happening {
    /// A caller said who it is: it is to be welcomed, or turned away.
    Called(Hello),
    /// Our call was answered by who this is: the talk is on.
    Welcomed(Hello),
    /// The other side said this; it waits for `acknowledge`.
    Said {
        /// The message's id.
        id: String,
        /// Its content, any bytes.
        content: Vec<u8>,
    },
    /// The other side has our message.
    Delivered {
        /// Which.
        id: String,
        /// From when it was said until this was heard.
        round_trip: Span,
    },
    /// The other side does not take our message.
    NotTaken {
        /// Which.
        id: String,
        /// Why.
        refusal: Refusal,
    },
    /// Whose turn it is has changed without a message: see `Peer::turn`.
    Passed,
    /// The talk is over. Nothing happens behind this.
    Ended(End),
}

/// How a talk ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The other side hung up.
    HungUp,
    /// We hung up, and the other side knows, or has gone meanwhile.
    Left,
    /// The other side does not want to talk: `busy`, most likely.
    Refused(Refusal),
    /// The connection ended without a farewell, for this reason where the network told one.
    Lost(Option<String>),
    /// Nothing came for too long: the other side is gone, or the way to it is.
    Silent,
    /// It takes nothing of what waits for it.
    Stuck,
    /// It does not say who it is, or does not end what it has begun to say.
    Slow,
    /// What it says makes no sense.
    Nonsense(Fault),
    /// A chat daemon answers there.
    Daemon,
}

impl End {
    /// What the other side has done, as a person is told of it behind its name.
    pub fn how(&self) -> String {
        match self {
            Self::HungUp | Self::Left => "has hung up".to_owned(),
            Self::Silent => "has fallen silent".to_owned(),
            Self::Nonsense(fault) => format!("makes no sense: {fault}"),
            Self::Lost(Some(why)) => format!("is gone: {why}"),
            Self::Lost(None) | Self::Stuck | Self::Slow | Self::Refused(_) | Self::Daemon => {
                "is gone".to_owned()
            }
        }
    }
}

/// Whose turn it is to say something, where turns are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Ours.
    Yours,
    /// The other side's.
    Theirs,
}

/// The life of a talk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// We called and said who we are.
    Calling {
        /// When we give up.
        until: Now,
    },
    /// Somebody called.
    Called,
    /// They said who they are under this id, and the owner decides.
    Asked(String),
    /// Both may speak.
    Talking,
    /// We hung up, and wait for the answer until then.
    Leaving(Now),
    /// Nothing is said or heard any more; what is to be written still is.
    Over,
}

/// A message of ours that has no answer yet.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Now,
    bytes: usize,
}

/// One talk with one other program.
#[derive(Debug)]
pub struct Peer {
    state: State,
    inbox: Vec<u8>,
    outgoing: Vec<u8>,
    written: usize,
    happened: VecDeque<Happening>,
    /// Ours that wait for their acknowledgments, by id.
    sent: BTreeMap<String, Sent>,
    sent_bytes: usize,
    /// Theirs that wait for ours.
    owed: BTreeMap<String, usize>,
    owed_bytes: usize,
    turn: Option<Turn>,
    /// Whether anything came that belongs to a talk, be it a sign of life.
    is_heard: bool,
    began: Now,
    heard: Now,
    said: Now,
    /// Since when a frame has been incomplete.
    partial: Option<Now>,
    /// Since when nothing was taken of what waits.
    stuck: Option<Now>,
}

impl Peer {
    /// We call: this is who we are, and so long we wait for an answer.
    pub fn calling(ours: &Hello, now: Now, until: Now) -> Self {
        let mut peer = Self::new(State::Calling { until }, now);
        frames::put_request("hello", HELLO_ID, ours.fields(), &mut peer.outgoing);
        peer.turn = ours.turns.then_some(Turn::Yours);
        peer
    }

    /// Somebody called, and is to say who it is.
    pub fn called(now: Now) -> Self {
        Self::new(State::Called, now)
    }

    fn new(state: State, now: Now) -> Self {
        Self {
            state,
            inbox: Vec::new(),
            outgoing: Vec::new(),
            written: 0,
            happened: VecDeque::new(),
            sent: BTreeMap::new(),
            sent_bytes: 0,
            owed: BTreeMap::new(),
            owed_bytes: 0,
            turn: None,
            is_heard: false,
            began: now,
            heard: now,
            said: now,
            partial: None,
            stuck: None,
        }
    }

    /// The next thing that happened, in order.
    pub fn take(&mut self) -> Option<Happening> {
        self.happened.pop_front()
    }

    /// What is to be written.
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.get(self.written..).unwrap_or_default()
    }

    /// Whether the talk is over: nothing is read any more, and closed once everything is written.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether both may speak: it was welcomed, and nobody has hung up.
    pub fn is_talking(&self) -> bool {
        self.state == State::Talking
    }

    /// Whose turn it is; none where turns are off.
    pub fn turn(&self) -> Option<Turn> {
        self.turn
    }

    /// Whether it has said anything behind its hello that belongs to a talk: who meant something else has not.
    pub fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// How many messages of ours have no answer.
    pub fn unacknowledged(&self) -> usize {
        self.sent.len()
    }

    /// Whether a message of so many bytes can be said now.
    pub fn may_say(&self, bytes: usize) -> bool {
        self.state == State::Talking
            && self.turn != Some(Turn::Theirs)
            && self.sent.len() < UNACKNOWLEDGED_MAX
            && self.sent_bytes.saturating_add(bytes) <= UNACKNOWLEDGED_BYTES_MAX
    }

    /// Lets the caller in: this is who we are. What it said behind its hello is heard now.
    pub fn welcome(&mut self, ours: &Hello, now: Now) {
        let State::Asked(id) = std::mem::replace(&mut self.state, State::Talking) else {
            unreachable!("only who asked is welcomed")
        };
        frames::put_yes(&id, ours.fields(), &mut self.outgoing);
        self.understand(now);
        self.check_invariants();
    }

    /// Turns the caller away.
    pub fn turn_away(&mut self, code: &str, message: &str) {
        let State::Asked(id) = std::mem::replace(&mut self.state, State::Over) else {
            unreachable!("only who asked is turned away")
        };
        frames::put_no(&id, code, message, &mut self.outgoing);
        self.inbox = Vec::new();
        self.check_invariants();
    }

    /// Says something, which `may_say` allows, under a fresh UUID. Where turns are on, the turn is given with it.
    pub fn say(&mut self, id: &str, content: &[u8], now: Now) {
        assert!(content.len() <= CONTENT_BYTES_MAX, "its owner knows the limit");
        assert!(self.may_say(content.len()), "its owner asks first");
        let sent = Sent { at: now, bytes: content.len() };
        let before = self.sent.insert(id.to_owned(), sent);
        assert!(before.is_none(), "a message's id is its own");
        self.sent_bytes += content.len();
        let mut fields = Fields::new();
        proto::client::put_content(&mut fields, content);
        frames::put_request("say", id, fields, &mut self.outgoing);
        self.turn = self.turn.map(|_| Turn::Theirs);
        self.check_invariants();
    }

    /// Gives the turn, which is ours, without a message.
    pub fn pass(&mut self) {
        assert!(self.state == State::Talking && self.turn == Some(Turn::Yours), "it is ours");
        frames::put_request("pass", PASS_ID, Fields::new(), &mut self.outgoing);
        self.turn = Some(Turn::Theirs);
    }

    /// Tells the other side that we have this message of theirs. Nothing is told where the talk is over.
    pub fn acknowledge(&mut self, id: &str) {
        let bytes = self.owed.remove(id).expect("a message is acknowledged once");
        self.owed_bytes -= bytes;
        if self.state != State::Over {
            frames::put_yes(id, Fields::new(), &mut self.outgoing);
        }
        self.check_invariants();
    }

    /// Ends the talk: the other side is told, and what it said until it knows is still heard. Ends at once what has not begun.
    pub fn hang_up(&mut self, now: Now) {
        match self.state {
            State::Talking => {
                frames::put_request("hangup", HANGUP_ID, Fields::new(), &mut self.outgoing);
                self.state = State::Leaving(now.after(FAREWELL_SPAN_MAX));
            }
            State::Calling { .. } | State::Called | State::Asked(_) => self.end(End::Left),
            State::Leaving(_) | State::Over => {}
        }
    }

    /// Bytes came.
    pub fn receive(&mut self, bytes: &[u8], now: Now) {
        if self.is_over() {
            return;
        }
        self.heard = self.heard.max(now);
        self.inbox.extend_from_slice(bytes);
        self.understand(now);
        self.check_invariants();
    }

    /// The connection ended, for this reason where the network told one.
    pub fn lost(&mut self, reason: Option<String>) {
        match self.state {
            State::Over => {}
            // To close is an answer to a farewell, too.
            State::Leaving(_) => self.end(End::Left),
            State::Calling { .. } | State::Called | State::Asked(_) | State::Talking => {
                self.end(End::Lost(reason));
            }
        }
        // There is nobody to write to.
        (self.outgoing, self.written) = (Vec::new(), 0);
    }

    /// So much of `outgoing` has been written.
    pub fn wrote(&mut self, count: usize, now: Now) {
        self.written += count;
        assert!(self.written <= self.outgoing.len(), "no more than there was");
        if count > 0 {
            self.said = self.said.max(now);
            self.stuck = None;
        }
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
    }

    /// Does what is due at this moment. Called after what came was received: who slept is not taken for dead.
    pub fn expire(&mut self, now: Now) {
        let waits = !self.outgoing().is_empty();
        if waits && now.since(*self.stuck.get_or_insert(now)) >= IDLE_SPAN_MAX {
            self.end(End::Stuck);
            (self.outgoing, self.written) = (Vec::new(), 0);
        }
        let slow = self.partial.is_some_and(|began| now.since(began) >= FRAME_SPAN_MAX);
        let silent = now.since(self.heard) >= IDLE_SPAN_MAX;
        match self.state {
            State::Over => {}
            State::Calling { until } if now >= until => self.end(End::Slow),
            State::Called | State::Asked(_) if now.since(self.began) >= HELLO_SPAN_MAX => {
                self.end(End::Slow);
            }
            State::Leaving(until) if now >= until => self.end(End::Left),
            _ if slow => self.end(End::Slow),
            State::Talking | State::Leaving(_) if silent => self.end(End::Silent),
            State::Talking | State::Leaving(_) => {
                if !waits && now.since(self.said) >= KEEPALIVE_INTERVAL {
                    self.said = now;
                    native::keepalive(&mut self.outgoing);
                }
            }
            State::Calling { .. } | State::Called | State::Asked(_) => {}
        }
        self.check_invariants();
    }

    /// When to call `expire` the next time; none where nothing will ever be due.
    pub fn next(&self) -> Option<Now> {
        let stuck = self.stuck.filter(|_| !self.outgoing().is_empty());
        let stuck = stuck.map(|since| since.after(IDLE_SPAN_MAX));
        if self.is_over() {
            return stuck;
        }
        let own = match self.state {
            State::Calling { until } | State::Leaving(until) => until,
            State::Called | State::Asked(_) => self.began.after(HELLO_SPAN_MAX),
            State::Talking | State::Over => self.heard.after(IDLE_SPAN_MAX),
        };
        let talking = matches!(self.state, State::Talking | State::Leaving(_));
        let sign = talking && self.outgoing().is_empty();
        let sign = sign.then(|| self.said.after(KEEPALIVE_INTERVAL));
        let slow = self.partial.map(|began| began.after(FRAME_SPAN_MAX));
        [Some(own), stuck, sign, slow].into_iter().flatten().min()
    }

    /// Takes whole frames from the inbox, as long as there is somebody to take them.
    fn understand(&mut self, now: Now) {
        let inbox = std::mem::take(&mut self.inbox);
        let mut from = 0;
        while !matches!(self.state, State::Over | State::Asked(_)) {
            let rest = inbox.get(from..).unwrap_or_default();
            match frames::take(rest) {
                Ok(Some((count, word))) => {
                    from += count;
                    self.partial = None;
                    self.hear(word, now);
                }
                Ok(None) => {
                    self.partial = if rest.is_empty() { None } else { self.partial.or(Some(now)) };
                    break;
                }
                Err(fault) => self.end(End::Nonsense(fault)),
            }
            if self.outgoing().len() > OUTGOING_BYTES_MAX {
                self.end(End::Stuck);
            }
        }
        if self.state != State::Over {
            self.inbox = inbox;
            self.inbox.drain(..from);
        }
    }

    fn hear(&mut self, word: Word, now: Now) {
        let is_of_talk = match &word {
            Word::Request { name, .. } => OF_A_TALK.contains(&name.as_str()),
            Word::Reply { .. } | Word::Nothing => true,
        };
        self.is_heard |= is_of_talk && !matches!(self.state, State::Calling { .. } | State::Called);
        match (word, &self.state) {
            (Word::Request { name, id, fields }, State::Called) => {
                if name == "hello" {
                    self.hear_hello(id, &fields);
                } else {
                    let message = "say hello first";
                    frames::put_no(&id, "bad_request", message, &mut self.outgoing);
                }
            }
            (Word::Request { id, .. }, State::Calling { .. }) => {
                let message = "the call was not answered yet";
                frames::put_no(&id, "bad_request", message, &mut self.outgoing);
            }
            (Word::Request { name, id, fields }, _) => self.hear_request(&name, &id, &fields),
            (Word::Reply { outcome, .. }, State::Calling { .. }) => self.hear_answer(outcome),
            (Word::Reply { id: Some(id), outcome }, _) => self.hear_reply(id, outcome, now),
            (Word::Reply { id: None, .. } | Word::Nothing, _) => {}
        }
    }

    fn hear_hello(&mut self, id: String, fields: &Fields) {
        match Hello::of(fields) {
            Ok(hello) => {
                self.turn = hello.turns.then_some(Turn::Theirs);
                self.state = State::Asked(id);
                self.happened.push_back(Happening::Called(hello));
            }
            Err(refusal) => {
                frames::put_no(&id, &refusal.code, &refusal.message, &mut self.outgoing);
                self.end(End::Refused(refusal));
            }
        }
    }

    fn hear_answer(&mut self, outcome: Result<Fields, Refusal>) {
        match outcome {
            Ok(fields) if fields.contains_key("server") => self.end(End::Daemon),
            Ok(fields) => match Hello::of(&fields) {
                Ok(hello) => {
                    self.state = State::Talking;
                    self.happened.push_back(Happening::Welcomed(hello));
                }
                Err(refusal) => self.end(End::Refused(refusal)),
            },
            Err(refusal) => self.end(End::Refused(refusal)),
        }
    }

    fn hear_request(&mut self, name: &str, id: &str, fields: &Fields) {
        let no = match name {
            "say" => match self.hear_say(id, fields) {
                Ok(()) => return,
                Err(no) => no,
            },
            "pass" if self.turn == Some(Turn::Theirs) => {
                self.turn = Some(Turn::Yours);
                self.happened.push_back(Happening::Passed);
                return frames::put_yes(id, Fields::new(), &mut self.outgoing);
            }
            "pass" if self.turn.is_none() => ("bad_request", "there are no turns in this talk"),
            "pass" => ("not_your_turn", "it is not your turn"),
            "hangup" => {
                frames::put_yes(id, Fields::new(), &mut self.outgoing);
                // Where both hang up at once each still has the other's answer to come.
                if self.state == State::Talking {
                    self.end(End::HungUp);
                }
                return;
            }
            "hello" => ("bad_request", "hello was said already"),
            _ => ("unknown_request", "no request of a talk has this name"),
        };
        frames::put_no(id, no.0, no.1, &mut self.outgoing);
    }

    /// Takes a message, or says why not.
    fn hear_say(&mut self, id: &str, fields: &Fields) -> Result<(), (&'static str, &'static str)> {
        let content = proto::client::content(fields);
        let content =
            content.ok_or(("bad_request", "a message has `text`, or `data` in base64"))?;
        if MessageId::parse(id).is_none() || self.owed.contains_key(id) {
            return Err(("bad_request", "a message's id is a UUID of its own"));
        }
        if content.len() > CONTENT_BYTES_MAX {
            return Err(("too_large", "the message is longer than 65530 bytes"));
        }
        if self.turn == Some(Turn::Yours) {
            return Err(("not_your_turn", "it is not your turn"));
        }
        let bytes = self.owed_bytes.saturating_add(content.len());
        if self.owed.len() >= UNACKNOWLEDGED_MAX || bytes > UNACKNOWLEDGED_BYTES_MAX {
            return Err(("limit_reached", "too much is not acknowledged yet"));
        }
        self.turn = self.turn.map(|_| Turn::Yours);
        self.owed.insert(id.to_owned(), content.len());
        self.owed_bytes = bytes;
        self.happened.push_back(Happening::Said { id: id.to_owned(), content });
        Ok(())
    }

    fn hear_reply(&mut self, id: String, outcome: Result<Fields, Refusal>, now: Now) {
        if let Some(sent) = self.sent.remove(&id) {
            self.sent_bytes -= sent.bytes;
            let happening = match outcome {
                Ok(_) => Happening::Delivered { id, round_trip: now.since(sent.at) },
                Err(refusal) => {
                    // What was not taken gave no turn.
                    self.turn = self.turn.map(|_| Turn::Yours);
                    Happening::NotTaken { id, refusal }
                }
            };
            self.happened.push_back(happening);
        } else if id == HANGUP_ID && matches!(self.state, State::Leaving(_)) {
            self.end(End::Left);
        }
    }

    fn end(&mut self, end: End) {
        if self.state == State::Over {
            return;
        }
        self.state = State::Over;
        self.inbox = Vec::new();
        self.partial = None;
        self.happened.push_back(Happening::Ended(end));
    }

    fn check_invariants(&self) {
        assert!(self.sent.len() <= UNACKNOWLEDGED_MAX && self.owed.len() <= UNACKNOWLEDGED_MAX);
        assert!(self.sent_bytes <= UNACKNOWLEDGED_BYTES_MAX, "what we say is bounded");
        assert!(self.owed_bytes <= UNACKNOWLEDGED_BYTES_MAX, "what they say is bounded");
        debug_assert_eq!(self.sent.values().map(|sent| sent.bytes).sum::<usize>(), self.sent_bytes);
        debug_assert_eq!(self.owed.values().sum::<usize>(), self.owed_bytes);
        assert!(!self.is_over() || self.inbox.is_empty(), "nothing is read from who is gone");
    }
}

#[cfg(test)]
mod tests;
