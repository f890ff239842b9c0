//! What happened, in order: every observable event goes into a running 64-bit hash, the last ones are
//! kept to be read after a failure. The same seed must give the same hash twice.

use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::rng::mix;

/// How many events are kept to be printed; a replay of one seed keeps all.
const KEPT_EVENTS: usize = 60;

/// What kind of event it was; the words are those of the printed log.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The loop woke: events, time slept.
    Poll,
    /// A readiness event went to the daemon: flags, 1 if stale.
    Ready,
    /// A connection was accepted: listener.
    Accept,
    /// Accepting failed: errno.
    AcceptFailed,
    /// A connection was refused with words: bytes.
    Refuse,
    /// Accept-and-close by the reserve descriptor.
    Shed,
    /// Registered: its token.
    Register,
    /// A read: bytes, or 0 at the end.
    Read,
    /// A read failed: errno.
    ReadFailed,
    /// A write: bytes taken, bytes offered.
    Write,
    /// A write failed: errno.
    WriteFailed,
    /// The daemon closed a connection.
    Shutdown,
    HalfClose,
    /// Bytes reached the client.
    Delivered,
    /// A client connected: its kind.
    Connect,
    /// A client sent bytes.
    Send,
    /// A client ended its direction.
    Fin,
    /// A client reset the connection.
    Reset,
    /// A client vanished.
    Vanish,
    /// A client saw the daemon's close.
    ClientClosed,
    /// A record came to the store: seq, its number.
    Submit,
    /// The store answered: number, 1 if stored.
    Answer,
    /// A client got a room message: seq or index.
    Got,
    /// A client got a reply, Ack or Nak.
    Replied,
    /// A client got a gap: from, to.
    Gap,
    /// A notice for the log.
    Notice,
    /// The run went into its next phase.
    Phase,
    /// A daemon begins: which of the run.
    Begin,
    /// It is gone: 1 if it was killed.
    End,
}

struct Event {
    at: u64,
    kind: Kind,
    who: u32,
    a: u64,
    b: u64,
    text: Option<Box<str>>,
}

/// The record of one run.
pub struct Trace {
    hash: u64,
    count: u64,
    kept: VecDeque<Event>,
    keep: usize,
}

impl Trace {
    /// An empty record; with `all`, nothing is forgotten.
    pub fn new(all: bool) -> Self {
        let keep = if all { usize::MAX } else { KEPT_EVENTS };
        Self { hash: 0, count: 0, kept: VecDeque::new(), keep }
    }

    /// Notes an event at a virtual time about connection `who`.
    pub fn note(&mut self, at: u64, kind: Kind, who: u32, a: u64, b: u64) {
        self.push(Event { at, kind, who, a, b, text: None });
    }

    /// Notes an event that carries words.
    pub fn note_text(&mut self, at: u64, kind: Kind, who: u32, text: &str) {
        let sum = text.bytes().fold(0, |sum, byte| mix(sum ^ u64::from(byte)));
        self.push(Event { at, kind, who, a: sum, b: 0, text: Some(text.into()) });
    }

    fn push(&mut self, event: Event) {
        let words = [event.at, event.kind as u64, u64::from(event.who), event.a, event.b];
        for word in words {
            self.hash = mix(self.hash.rotate_left(5) ^ word);
        }
        self.count += 1;
        if self.kept.len() >= self.keep {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }

    /// The hash over everything so far, and how many events that was.
    pub fn sum(&self) -> (u64, u64) {
        (self.hash, self.count)
    }

    /// The kept events, one a line.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for event in &self.kept {
            let seconds = event.at as f64 / 1e6;
            let _ = write!(
                out,
                "{seconds:>12.6} {:<13} #{:<3}",
                format!("{:?}", event.kind),
                event.who
            );
            let _ = match &event.text {
                Some(text) => writeln!(out, " {text}"),
                None => writeln!(out, " {} {}", event.a, event.b),
            };
        }
        out
    }
}
