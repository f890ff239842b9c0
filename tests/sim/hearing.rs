//! The listening half of the oracle: where each receiver stands in each room, and whether the next
//! thing it gets is the next thing it must get.

use std::collections::BTreeMap;

use crate::catching::Catching;
use crate::following::{Follow, Marks};
use crate::oracle::{LOBBY, Message, Oracle};

/// The backlog of an undecided connection: past either, its oldest runs are dropped.
const BACKLOG_FRAMES: usize = 256;
const BACKLOG_BYTES: usize = 64 * 1024;
/// A frame of v0.5 is split where its length field would pass this.
const NATIVE_LENGTH_MAX: usize = 65_536;

/// What one receiver has got.
#[derive(Default)]
pub struct Ear {
    /// The lobby's messages from here on are a v0.5 connection's.
    pub start: usize,
    cursor: usize,
    /// Bytes of the message under the cursor that came in earlier frames.
    part: usize,
    begun: bool,
    /// Empty messages that came before it was known where it begins.
    blanks: usize,
    /// What the lobby had released when the daemon first wrote to this connection.
    pub shown_at: Option<usize>,
    /// Replays that it has asked for and that are not answered.
    pub catching: Vec<Catching>,
    /// Rooms that a v1 connection follows.
    pub follows: BTreeMap<String, Follow>,
    /// A message that is for it alone, of which it got the beginning.
    pub direct: Option<((usize, usize), usize)>,
    /// It follows every room, also those that come later.
    pub tails_all: bool,
    /// Something was left out for it: it may have missed who came and went.
    pub was_skipped: bool,
    /// Where the replay that was answered last ended with a gap: of these rooms.
    pub cut: Option<Marks>,
}

impl Oracle {
    /// The daemon registered a connection: what the lobby says from now on is held for it.
    pub fn registered(&mut self, no: usize) {
        self.voices[no].opened = Some(self.now);
        self.check_let_in(no);
        let start = self.released(LOBBY).len();
        let ear = &mut self.ears[no];
        (ear.start, ear.cursor) = (start, start);
    }

    /// The daemon wrote to a connection.
    pub fn wrote(&mut self, no: usize) {
        if self.ears[no].shown_at.is_none() {
            self.ears[no].shown_at = Some(self.released(LOBBY).len());
        }
    }

    /// Something is left out for a connection from here on.
    pub fn skipped(&mut self, no: usize) {
        self.ears[no].was_skipped = true;
        self.forget_present(no, |_| true);
    }

    /// A v0.5 client got a Broadcast.
    pub fn broadcast(&mut self, no: usize, from: &str, text: &str) {
        if let Some(from) = from.strip_suffix(" (to you)") {
            self.direct_broadcast(no, from, text);
            return;
        }
        self.deliveries += 1;
        self.skip_own(no);
        if !self.ears[no].begun && !self.find_beginning(no, from, text) {
            return;
        }
        self.skip_own(no);
        let ear = &self.ears[no];
        let Some(&number) = self.released(LOBBY).get(ear.cursor) else {
            panic!("#{no} got a message that was not released to it: {from}: {}", brief(text));
        };
        let message = &self.messages[number];
        let rest = &message.text[ear.part..];
        assert!(
            message.from == from && rest.starts_with(text) && (!text.is_empty() || rest.is_empty()),
            "#{no} should get seq {} `{}: {}`, and got `{from}: {}`",
            message.seq,
            message.from,
            brief(rest),
            brief(text)
        );
        let whole = rest.len() == text.len();
        let length = 4 + 1 + from.len() + 2 + text.len();
        assert!(
            whole || length > NATIVE_LENGTH_MAX - 4,
            "#{no} got a piece of a frame that was not full"
        );
        let ear = &mut self.ears[no];
        ear.begun = true;
        if whole {
            (ear.cursor, ear.part) = (ear.cursor + 1, 0);
        } else {
            ear.part += text.len();
        }
    }

    /// Its own messages do not come back to a v0.5 client.
    fn skip_own(&mut self, no: usize) {
        while self.ears[no].part == 0
            && let Some(&number) = self.released(LOBBY).get(self.ears[no].cursor)
            && self.messages[number].author == no
        {
            self.ears[no].cursor += 1;
        }
    }

    /// The first message of a v0.5 client is the first since it was accepted, unless more was said
    /// than is held for an undecided connection: then it may begin later. False where that place cannot
    /// be told from an empty text; it is looked for with the next one.
    fn find_beginning(&mut self, no: usize, from: &str, text: &str) -> bool {
        let ear = &self.ears[no];
        let released = self.released(LOBBY);
        let shown_at = ear.shown_at.unwrap_or(released.len());
        if !self.overflows(no, &released[ear.start..shown_at]) {
            return true;
        }
        if text.is_empty() {
            self.ears[no].blanks += 1;
            return false;
        }
        let theirs = |at: &usize| self.messages[released[*at]].author != no;
        let fits = |at: &usize| {
            let message = &self.messages[released[*at]];
            let begins = message.text.starts_with(text) && text.len() > NATIVE_LENGTH_MAX / 2;
            message.from == from && (message.text == text || begins) && theirs(at)
        };
        let found = (ear.start..shown_at).find(fits).unwrap_or(shown_at);
        let mut before = (ear.start..found).rev().filter(theirs);
        for _ in 0..ear.blanks {
            let blank = before.next().is_some_and(|at| self.messages[released[at]].text.is_empty());
            assert!(blank, "#{no} got empty messages that nobody said there");
        }
        self.ears[no].cursor = found;
        true
    }

    fn overflows(&self, no: usize, held: &[usize]) -> bool {
        let of_others = |number: &&usize| self.messages[**number].author != no;
        let frames = held.iter().filter(of_others).count();
        frames > BACKLOG_FRAMES
            || self.bytes_for(no, held) > BACKLOG_BYTES.min(self.outbox)
            || self.memory_short
    }

    fn bytes_for(&self, no: usize, messages: &[usize]) -> usize {
        let messages = messages.iter().map(|number| &self.messages[*number]);
        messages.filter(|message| message.author != no).map(Message::native_len).sum()
    }

    /// Bytes that a v0.5 client is owed and has not read.
    pub fn native_owed(&self, no: usize) -> usize {
        self.bytes_for(no, &self.released(LOBBY)[self.ears[no].cursor..])
    }

    /// A native client said `hello` and speaks v1 from here on: it has left the lobby, of which it got, as any other, what
    /// was released before it said so.
    pub fn greeted(&mut self, no: usize, lobby: usize) {
        self.skip_own(no);
        let ear = &self.ears[no];
        let released = self.released(LOBBY);
        let excused = !ear.begun && self.overflows(no, &released[ear.start..]);
        let missing = lobby.saturating_sub(ear.cursor);
        assert!(missing == 0 || excused, "#{no} said hello and was owed {missing} messages");
        assert!(ear.part == 0, "#{no} speaks v1 in the middle of a message");
    }

    /// A `gap` of the lobby came to a native client that has said `hello`: what was still under way to it when it did.
    pub fn gap_before_hello(&mut self, no: usize, from: u64, to: u64) {
        self.skip_own(no);
        let ear = &self.ears[no];
        let released = self.released(LOBBY);
        let seq = |at: usize| released.get(at).map(|number| self.messages[*number].seq);
        assert!(ear.part == 0, "#{no} got a gap in the middle of a message");
        let mut first = ear.cursor;
        if !ear.begun && self.overflows(no, &released[ear.start..]) {
            while seq(first).is_some_and(|seq| seq < from) {
                first += 1;
            }
        }
        assert!(
            seq(first) == Some(from) && from <= to,
            "#{no} got a gap of the lobby from {from} to {to}, and {:?} is the next",
            seq(first)
        );
        let end = released.partition_point(|number| self.messages[*number].seq <= to);
        assert_eq!(seq(end - 1), Some(to), "#{no}: the lobby has no {to}");
        let ear = &mut self.ears[no];
        (ear.begun, ear.cursor) = (true, end);
    }

    /// At the end, after everything flowed: a v0.5 client that is still there has got all.
    pub fn check_native_complete(&mut self, no: usize) {
        self.skip_own(no);
        let ear = &self.ears[no];
        let released = self.released(LOBBY);
        let missing = released.len() - ear.cursor;
        let excused = !ear.begun && self.overflows(no, &released[ear.start..]);
        assert!(missing == 0 || excused, "#{no} is owed {missing} messages that never came");
    }
}

/// The beginning of a text, for a failure's line.
pub fn brief(text: &str) -> String {
    text.chars().take(40).collect()
}
