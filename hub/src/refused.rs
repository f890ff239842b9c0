//! What the store refuses of those who have no reply: it is held back, and posted again.
//!
//! A v0.5 client hears nothing of its messages, so that to refuse one would be to lose it silently. Its author is not read while something
//! of it is held back. Each [`TRY_SPAN`] the message that has waited longest goes to the store again, and all of them do once the store
//! takes any message; they keep their author's order. Whoever waits so for `stall` is closed, and what is held back of it is forgotten;
//! so is whoever of whom more is refused than may be held back, or a later message is stored than one that is held back.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use proto::{Nick, Seq, Span};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Pause};
use crate::deadlines::Alarm;
use crate::hits::Limit;
use crate::leave::Course;
use crate::outbox::Outbox;
use crate::publish::Draft;
use crate::recent::Recent;
use crate::settings::{STORE_QUEUE_BYTES_MAX, STORE_QUEUE_MESSAGES_MAX};
use crate::wheel::TimerId;

/// How often something that the store refused goes to it again: it is a try, and service is back soon after the store is.
const TRY_SPAN: Span = Span::from_millis(250);
/// So many messages are held back, all connections together: as many as the store may have at once.
const REFUSED_MESSAGES_MAX: usize = STORE_QUEUE_MESSAGES_MAX;
/// The same in bytes of content.
const REFUSED_BYTES_MAX: usize = STORE_QUEUE_BYTES_MAX;

/// A message that is held back.
#[derive(Debug)]
struct HeldPost {
    from: Nick,
    content: Arc<[u8]>,
    /// It is with the store again, at this place.
    sent: Option<Seq>,
}

/// What is held back of one connection, in its order; never nothing.
#[derive(Debug, Default)]
struct Held {
    posts: VecDeque<HeldPost>,
    /// It is on the list of those of whom something is to go to the store again.
    listed: bool,
}

/// All that is held back.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    by_author: BTreeMap<ConnId, Held>,
    /// Of whom something is to go to the store again, the longest waiting first.
    waiting: VecDeque<ConnId>,
    messages: usize,
    bytes: usize,
    /// When something goes there, whatever happens; armed while anything is held back.
    timer: Option<TimerId>,
}

impl Refused {
    fn list(&mut self, author: ConnId) {
        let held = self.by_author.get_mut(&author).expect("something of it is held back");
        if !core::mem::replace(&mut held.listed, true) {
            self.waiting.push_back(author);
        }
    }

    /// How many timers it has.
    pub(crate) fn timers(&self) -> usize {
        usize::from(self.timer.is_some())
    }
}

impl Hub {
    /// The store refused a message whose author has no reply: it is held back where its author is there, at the place that it had.
    pub(crate) fn hold_back(&mut self, author: ConnId, message: Recent, out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(author) else { return };
        if !connection.phase.is_live() || self.course != Course::Serving {
            return;
        }
        let (now, refused) = (self.now, &mut self.refused);
        let Recent { seq, from, content, .. } = message;
        let held = refused.by_author.entry(author).or_default();
        if let Some(post) = held.posts.iter_mut().find(|post| post.sent == Some(seq)) {
            post.sent = None;
        } else {
            refused.messages += 1;
            refused.bytes += content.len();
            held.posts.push_back(HeldPost { from, content, sent: None });
        }
        refused.list(author);
        if refused.timer.is_none() {
            refused.timer = Some(self.wheel.arm(now.after(TRY_SPAN), Alarm::Refused));
        }
        if refused.messages > REFUSED_MESSAGES_MAX || refused.bytes > REFUSED_BYTES_MAX {
            return self.close(author, CloseReason::StoreUnavailable, out);
        }
        if !matches!(connection.pause, Pause::Refused { .. }) {
            connection.go_on(now);
            connection.pause = Pause::Refused { since: now };
            self.hit(Limit::StoreQueue, author);
            self.rearm(author);
        }
    }

    /// The store took a message whose author has no reply. Where nothing of it is held back any more it goes on.
    pub(crate) fn is_taken(&mut self, author: ConnId, seq: Seq, out: &mut Outbox) {
        let refused = &mut self.refused;
        let Some(held) = refused.by_author.get_mut(&author) else { return };
        if held.posts.front().is_none_or(|first| first.sent != Some(seq)) {
            // What is held back came before it, and cannot come behind it.
            return self.close(author, CloseReason::StoreUnavailable, out);
        }
        let first = held.posts.pop_front().expect("it is there");
        let is_last = held.posts.is_empty();
        refused.messages -= 1;
        refused.bytes -= first.content.len();
        if is_last {
            self.forget_refused(author);
            self.go_on(author, out);
            self.rearm(author);
        }
    }

    /// Nothing of a connection is held back any more.
    pub(crate) fn forget_refused(&mut self, author: ConnId) {
        let refused = &mut self.refused;
        let Some(held) = refused.by_author.remove(&author) else { return };
        refused.messages -= held.posts.len();
        refused.bytes -= held.posts.iter().map(|post| post.content.len()).sum::<usize>();
        if held.listed {
            refused.waiting.retain(|other| *other != author);
        }
        if refused.by_author.is_empty() {
            assert!(
                (refused.messages, refused.bytes) == (0, 0),
                "all that is held back is counted"
            );
            let timer = refused.timer.take().expect("it is armed while anything is held back");
            let cancelled = self.wheel.cancel(timer);
            assert_eq!(cancelled, Some(Alarm::Refused), "the timer is its own");
        }
    }

    /// It is time to find out whether the store takes anything.
    pub(crate) fn try_refused(&mut self, out: &mut Outbox) {
        assert!(
            !self.refused.by_author.is_empty(),
            "the timer is armed while anything is held back"
        );
        self.refused.timer = Some(self.wheel.arm(self.now.after(TRY_SPAN), Alarm::Refused));
        self.post_refused(1, out);
    }

    /// The store takes messages: what is held back goes to it again, at most so many of them, and as many as it has room for.
    pub(crate) fn post_refused(&mut self, most: usize, out: &mut Outbox) {
        let mut left = most;
        while self.course == Course::Serving && left > 0 {
            let queue = &self.store_queue;
            if queue.messages >= STORE_QUEUE_MESSAGES_MAX || queue.bytes >= STORE_QUEUE_BYTES_MAX {
                return;
            }
            let Some(author) = self.refused.waiting.front().copied() else { return };
            let held = self.refused.by_author.get_mut(&author).expect("who is listed waits");
            let Some(post) = held.posts.iter_mut().find(|post| post.sent.is_none()) else {
                held.listed = false;
                self.refused.waiting.pop_front();
                continue;
            };
            let room = self.rooms.home;
            // The number that it is about to be given.
            post.sent = Some(self.rooms.known(room).last_taken.next());
            let (from, content) = (post.from.clone(), Arc::clone(&post.content));
            let message = (room, self.new_message_id());
            self.post(Draft::of_v05(message, (author, from), &content), out);
            left -= 1;
        }
    }

    /// Sweeps what is held back.
    pub(crate) fn check_refused(&self) {
        let refused = &self.refused;
        let (mut messages, mut bytes) = (0, 0);
        for (author, held) in &refused.by_author {
            let connection = self.connections.get(*author).expect("who waits is there");
            assert!(matches!(connection.pause, Pause::Refused { .. }), "who waits is not read");
            assert!(!held.posts.is_empty(), "who waits has something to wait for");
            assert_eq!(held.listed, refused.waiting.contains(author), "each is listed once");
            let unsent = held.posts.iter().any(|post| post.sent.is_none());
            assert!(held.listed || !unsent, "what is to go to the store again is listed");
            messages += held.posts.len();
            bytes += held.posts.iter().map(|post| post.content.len()).sum::<usize>();
        }
        assert_eq!(
            (messages, bytes),
            (refused.messages, refused.bytes),
            "what is held back counts"
        );
        let paused =
            |one: &&crate::connection::Connection| matches!(one.pause, Pause::Refused { .. });
        let paused = self.connections.iter().filter(paused).count();
        assert_eq!(paused, refused.by_author.len(), "nobody waits for nothing");
        assert_eq!(refused.timer.is_some(), paused > 0, "and somebody sees to it");
        assert!(refused.timer.is_none_or(|timer| self.wheel.is_armed(timer)), "it is armed");
    }
}
