//! The oracle: what was said and decided, in the one order of each room, and from it what every
//! receiver must get. It sees what goes into the store and what comes out of it, what clients send
//! and what reaches them; it knows nothing of the hub's inside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hub::CloseReason;

use crate::direct::{Direct, Receipts};
use crate::expelling::{Expulsion, Lift};
use crate::hearing::Ear;
use crate::pairing::Talks;
use crate::reach::Reach;

/// The room that every v0.5 connection is in.
pub const LOBBY: &str = "lobby";

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// With the store.
    Pending,
    /// Stored; everyone gets it.
    Stored,
    /// Refused; nobody gets it.
    Refused,
}

/// A message as it came to the store.
#[derive(Debug)]
pub struct Message {
    pub room: String,
    pub seq: u64,
    pub time: i64,
    pub id: [u8; 16],
    pub from: String,
    pub content: Vec<u8>,
    pub text: String,
    pub author: usize,
    /// Which of its author's posts.
    pub count: usize,
    pub fate: Fate,
}

impl Message {
    /// What this message takes on the wire of v0.5.
    pub fn native_len(&self) -> usize {
        4 + 4 + 1 + self.from.len() + 2 + self.text.len()
    }
}

/// The order of a room.
#[derive(Default)]
pub struct RoomLog {
    /// Messages that the store has, in order.
    pub released: Vec<usize>,
    pub by_seq: BTreeMap<u64, usize>,
    awaiting: VecDeque<usize>,
    last_seq: u64,
    last_time: i64,
}

/// One post that a client sent.
#[derive(Debug, Default)]
pub struct Post {
    pub room: String,
    pub content: Vec<u8>,
    pub id: Option<[u8; 16]>,
    /// Where its frame ends in the client's stream.
    pub end: u64,
    /// Over which other connections it was sent, and where it ends in their streams.
    pub again: Vec<(usize, u64)>,
    pub message: Option<usize>,
    /// It was sent more than once.
    pub resent: bool,
    /// The store refused it before it took it when it came again.
    pub refused: bool,
    /// Its first reply came.
    pub replied: bool,
    /// Its only reply was that it is not stored.
    pub denied: bool,
    /// Who it says it is from, where that is not the client's own name.
    pub as_nick: Option<String>,
    /// It was said in v0.5, which has no answer to it.
    pub chat: bool,
    /// It is for one nickname.
    pub direct: Option<Direct>,
    pub receipts: Receipts,
}

/// One wish for a nickname.
#[derive(Debug)]
pub struct Wish {
    /// The request's id, of v0.5: those are answered in order.
    pub request: Option<[u8; 16]>,
    pub nick: String,
    /// How many posts came before it.
    pub after_posts: usize,
    pub granted: Option<bool>,
    pub end: u64,
    /// When it was sent, and when its answer came.
    pub sent: u64,
    pub known: u64,
}

/// All that one connection says.
#[derive(Default)]
pub struct Voice {
    pub posts: Vec<Post>,
    pub wishes: Vec<Wish>,
    pub submitted: usize,
    pub login: Option<String>,
    /// One of its posts was refused by the store.
    pub store_refused: bool,
    /// Names that it was seen to have.
    pub names: BTreeSet<String>,
    /// It has a generated name from the beginning, which nobody is told.
    pub is_guest: bool,
    /// Its address is over its share: it is let stand for a moment, and is no client.
    pub turned_away: bool,
    /// When the daemon let it in, and when it closed it.
    pub opened: Option<u64>,
    pub closed: Option<u64>,
    /// Why and when the daemon says that it is to be closed.
    pub reason: Option<(CloseReason, u64)>,
    /// If it speaks v1, a `bye` is the last thing that it gets.
    pub bye_due: bool,
    /// It ends by its own doing, or its kernel has lost it.
    pub leaving: bool,
}

/// Everything that the oracle knows.
#[derive(Default)]
pub struct Oracle {
    pub rooms: BTreeMap<String, RoomLog>,
    pub messages: Vec<Message>,
    pub voices: Vec<Voice>,
    pub ears: Vec<Ear>,
    pub server_name: String,
    /// The connection whose posts carry no mark, since they are empty.
    pub empty_sayer: Option<usize>,
    pub deliveries: u64,
    /// The limit of one receiver's queue.
    pub outbox: usize,
    /// The daemon's memory was short at some time: what was held for the undecided may be less.
    pub memory_short: bool,
    /// What was released since the last turn's end, as bytes of the longest dialect.
    pub released_now: usize,
    /// The time, as far as clients know it.
    pub now: u64,
    /// Bytes of messages to one nickname that are not answered, by whose they are and which.
    pub under_way: BTreeMap<(usize, usize), usize>,
    /// Whom administrators asked to close.
    pub expelled: Vec<Expulsion>,
    /// Whom they let in again.
    pub lifts: Vec<Lift>,
    /// From how many networks connections come.
    pub places: u64,
    /// The sessions of v1 connections over TCP.
    pub sessions: BTreeMap<usize, u64>,
    /// How often what seldom happens did.
    pub reached: Reach,
    /// What is known of talks.
    pub talks: Talks,
    /// The daemon was told to end.
    pub stopping: bool,
    /// What is stored is never forgotten.
    pub durable: bool,
}

/// Who said it: every content begins with the connection's number and its own count, `c3.17|`.
pub fn author_of(content: &[u8]) -> Option<(usize, usize)> {
    let end = content.iter().position(|byte| *byte == b'|')?;
    let mark = std::str::from_utf8(&content[..end]).ok()?.strip_prefix('c')?;
    let (who, count) = mark.split_once('.')?;
    Some((who.parse().ok()?, count.parse().ok()?))
}

impl Oracle {
    /// A connection more.
    pub fn connect(&mut self, login: Option<String>) {
        self.voices.push(Voice { login, ..Voice::default() });
        self.ears.push(Ear::default());
    }

    /// Something happened that a campaign must not miss.
    pub fn reach(&mut self, kind: &'static str, what: &'static str) {
        self.reached.count(kind, what);
    }

    /// Everything released in a room so far.
    pub fn released(&self, room: &str) -> &[usize] {
        self.rooms.get(room).map_or(&[], |log| &log.released)
    }

    /// A record came to the store: returns its number. `read` tells how much of each connection's
    /// stream the daemon has read.
    pub fn submit(&mut self, mut message: Message, read: impl Fn(usize) -> u64) -> usize {
        let number = self.messages.len();
        let (author, count) = self.attribute(&message);
        (message.author, message.count) = (author, count);
        let voice = &mut self.voices[author];
        // What v1 says may be refused with an answer; a chat has none.
        let skipped = voice.submitted..count.max(voice.submitted);
        let left_out = voice.posts[skipped].iter().any(|post| post.chat);
        assert!(!left_out, "chats of #{author} were left out: the store got post {count}");
        let post = &mut voice.posts[count];
        let before = post.message.map(|number| self.messages[number].fate);
        assert!(
            before.is_none() || before == Some(Fate::Refused),
            "post {count} of #{author} came to the store twice"
        );
        // Who has no answer is carried out when the store takes it.
        let again = post.chat && before.is_some();
        let repeated = post.resent || again;
        assert!(
            repeated || count >= voice.submitted,
            "post {count} of #{author} came behind a later one"
        );
        let is_read = |(no, end): &(usize, u64)| *end <= read(*no);
        assert!(
            is_read(&(author, post.end)) || post.again.iter().any(is_read),
            "post {count} of #{author} was decided before it was read"
        );
        assert!(
            !post.denied || repeated,
            "post {count} of #{author} was refused, and came to the store then"
        );
        assert!(post.direct.is_none(), "post {count} of #{author} is for one nickname");
        assert_eq!(post.room, message.room, "post {count} of #{author} is in another room");
        assert!(post.content == message.content, "post {count} of #{author} has other content");
        assert!(
            post.id.is_none_or(|id| id == message.id),
            "post {count} of #{author} has another id"
        );
        if again {
            let later = voice.posts[count + 1..].iter().filter(|post| post.chat);
            let mut fates = later.filter_map(|post| Some(self.messages[post.message?].fate));
            assert!(
                fates.all(|fate| fate != Fate::Stored),
                "post {count} of #{author} came to the store behind a later one that it has"
            );
            self.reached.count("store", "again");
        }
        let post = &mut voice.posts[count];
        voice.submitted = voice.submitted.max(count + 1);
        post.refused |= before.is_some();
        post.message = Some(number);
        if post.as_nick.is_none() {
            voice.names.insert(message.from.clone());
            let others: Vec<usize> = post.again.iter().map(|(no, _)| *no).collect();
            for other in others {
                self.voices[other].names.insert(message.from.clone());
            }
        }
        let log = self.rooms.entry(message.room.clone()).or_default();
        assert!(
            message.seq > log.last_seq,
            "seq {} of {} is not after {}",
            message.seq,
            message.room,
            log.last_seq
        );
        assert!(message.time >= log.last_time, "the time of {} went back", message.room);
        (log.last_seq, log.last_time) = (message.seq, message.time);
        log.by_seq.insert(message.seq, number);
        log.awaiting.push_back(number);
        self.messages.push(message);
        number
    }

    /// Whose post it is, and which of its posts.
    fn attribute(&self, message: &Message) -> (usize, usize) {
        if let Some((who, count)) = author_of(&message.content) {
            assert!(who < self.voices.len(), "a message of nobody");
            assert!(count < self.voices[who].posts.len(), "#{who} never said its post {count}");
            return (who, count);
        }
        let who = self.empty_sayer.expect("content without a mark that nobody said");
        let voice = &self.voices[who];
        let empty = |post: &Post| post.content.is_empty() && self.is_refused(post);
        let again = voice.posts.iter().position(empty).unwrap_or(voice.submitted);
        assert!(again < voice.posts.len(), "a post without a mark that nobody said");
        (who, again)
    }

    /// Whether a room's message is stored, released and never forgotten.
    pub fn must_be_kept(&self, room: &str, seq: u64) -> bool {
        let number = self.rooms.get(room).and_then(|log| log.by_seq.get(&seq));
        let is_released = |number: &usize| {
            let released = self.released(room);
            released.binary_search_by_key(&seq, |number| self.messages[*number].seq).is_ok()
                && self.messages[*number].fate == Fate::Stored
        };
        self.durable && number.is_some_and(is_released)
    }

    /// Whether a chat was refused, and is not with the store again.
    fn is_refused(&self, post: &Post) -> bool {
        let fate = post.message.map(|number| self.messages[number].fate);
        post.chat && fate == Some(Fate::Refused)
    }

    /// Whether something that a connection said is still to be taken by the store.
    pub fn is_held_back(&self, no: usize) -> bool {
        self.voices[no].posts.iter().any(|post| self.is_refused(post))
    }

    /// The store answered. A room's messages are released in their order, so one that is answered
    /// early waits for those before it.
    pub fn answered(&mut self, number: usize, stored: bool) {
        let message = &mut self.messages[number];
        assert_eq!(message.fate, Fate::Pending, "the simulated store answers once");
        message.fate = if stored { Fate::Stored } else { Fate::Refused };
        if !stored {
            self.voices[message.author].store_refused = true;
        }
        let log = self.rooms.get_mut(&message.room).expect("a message has its room");
        while let Some(&first) = log.awaiting.front() {
            match self.messages[first].fate {
                Fate::Pending => break,
                Fate::Stored => {
                    self.released_now += 512 + 6 * self.messages[first].content.len();
                    log.released.push(first);
                }
                Fate::Refused => {}
            }
            log.awaiting.pop_front();
        }
    }

    /// True while some message is with the store.
    pub fn awaits_store(&self) -> bool {
        self.rooms.values().any(|log| !log.awaiting.is_empty())
    }

    /// What the daemon has read and not decided: the first post of each connection in `alive` that
    /// never came to the store.
    pub fn check_all_decided(&self, no: usize, read: u64) {
        let voice = &self.voices[no];
        let lost = voice
            .posts
            .iter()
            .position(|post| post.chat && post.end <= read && post.message.is_none());
        assert!(lost.is_none(), "post {} of #{no} was read and never decided", lost.unwrap_or(0));
        assert!(!self.is_held_back(no), "something of #{no} was refused and never carried out");
        let mute = voice.wishes.iter().position(|wish| wish.end <= read && wish.granted.is_none());
        assert!(mute.is_none(), "nickname request {} of #{no} got no answer", mute.unwrap_or(0));
    }
}
