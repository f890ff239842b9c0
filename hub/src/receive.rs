//! From bytes to commands: what a connection sent, within its quota and the turn's budget.
//!
//! A connection keeps bytes of its own only for an unfinished frame, or for what a quota did not let it say yet. What a
//! command does is decided in `decide`.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use proto::http::BodyLength;
use proto::{Command, Dialect, Fault, Foreign, Item, Protocol, ws};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Connection, Pause, Phase, Unfinished};
use crate::hits::Limit;
use crate::kept::Kept;
use crate::outbox::{Notice, Outbox};
use crate::settings::{STORE_QUEUE_BYTES_MAX, STORE_QUEUE_MESSAGES_MAX};
use crate::web::share_of;
use crate::work::looks_something_up;

/// So much memory is kept for messages of a WebSocket that come whole: what most reads have.
const MESSAGE_KEPT_BYTES: usize = 64 * 1024;

/// Who lingers may have so many bytes on their way that nobody hears: more than a client sends before it sees that it is answered, and
/// nothing to a line that is kept busy.
const DROPPED_BYTES_MAX: u32 = 256 * 1024;

/// How far the bytes of one input were read.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    consumed: usize,
    /// Some frame came to its end.
    ended_a_frame: bool,
}

impl Hub {
    /// Bytes came from a connection; with none, what was held back goes on.
    ///
    /// Each command takes one of `work`, the turn's budget, and as much more as it makes the server do: one by room that hears
    /// of it, one by KiB of its reply. What the budget, a portion of what receivers take ([`Hub::is_said_full`]) or
    /// the connection's quota does not let through is kept, and nothing more is to be read until then: see [`Hub::wants_read`].
    pub fn receive(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        work: &mut u32,
        now: proto::Now,
        out: &mut Outbox,
    ) {
        self.tick(now);
        if !self.is_heard(id) {
            self.drop_unheard(id, bytes.len(), out);
            return;
        }
        let connection = self.connections.known(id);
        if !bytes.is_empty() {
            connection.last_read = self.now;
            self.counters.bytes_in += bytes.len() as u64;
        }
        let mut kept = core::mem::take(&mut connection.kept);
        self.kept_bytes -= kept.capacity();
        let most = self.settings.wire.frame();
        let progress = if kept.is_empty() {
            let progress = self.hear(id, bytes, work, out);
            kept.extend(&bytes[progress.consumed..], most);
            progress
        } else {
            kept.extend(bytes, most);
            let progress = self.hear(id, kept.bytes(), work, out);
            kept.consume(progress.consumed);
            progress
        };
        self.keep(id, kept, bytes.len(), progress);
        self.check_ended(id, out);
        self.limit_kept(out);
    }

    /// Whether more bytes of a connection may be read now: not while it is paused, closing, or has work left from before.
    pub fn wants_read(&self, id: ConnId) -> bool {
        self.is_heard(id)
            && self
                .connections
                .get(id)
                .is_some_and(|connection| connection.pause == Pause::No && !connection.ended)
            || self.lingers(id)
    }

    /// Whether what a connection still says is read and dropped.
    fn lingers(&self, id: ConnId) -> bool {
        let connection = self.connections.get(id);
        connection.is_some_and(|it| matches!(it.phase, Phase::Lingering { .. }) && !it.ended)
    }

    /// What who lingers still says is dropped. Who says much has had its last words long ago, or never takes them.
    fn drop_unheard(&mut self, id: ConnId, count: usize, out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        assert!(connection.kept.is_empty() || connection.phase.is_live(), "nothing is kept of it");
        let Phase::Lingering { reason, dropped } = &mut connection.phase else { return };
        *dropped = dropped.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        if *dropped > DROPPED_BYTES_MAX {
            let reason = reason.clone();
            self.close(id, reason, out);
        }
    }

    /// Whether a call of [`Hub::receive`] without bytes goes on with what only the turn's budget stopped.
    pub fn has_kept_work(&self, id: ConnId) -> bool {
        self.is_heard(id)
            && self.connections.get(id).is_some_and(|connection| connection.pause == Pause::Turn)
    }

    /// Takes one command after the other from the bytes. What has come of an unfinished message of a WebSocket is its connection's
    /// own; others are put together in memory that all share, so that nobody has any between two messages.
    fn hear(&mut self, id: ConnId, bytes: &[u8], work: &mut u32, out: &mut Outbox) -> Progress {
        let connection = self.connections.known(id);
        let is_own = !connection.message.is_empty() && connection.session.is_socket();
        let mut message = if is_own {
            self.kept_bytes -= connection.message.capacity();
            connection.message.take()
        } else {
            core::mem::take(&mut self.message)
        };
        let progress = self.hear_all(id, bytes, (&mut message, work), out);
        let connection = self.connections.known(id);
        if !message.is_empty() && connection.phase.is_live() {
            let own = if is_own { message } else { message.clone() };
            connection.message = Kept::of(own);
            self.kept_bytes += connection.message.capacity();
        } else if !is_own {
            message.clear();
            message.shrink_to(MESSAGE_KEPT_BYTES);
            self.message = message;
        }
        progress
    }

    /// Takes one command after the other from the bytes and lets it do what it does.
    fn hear_all(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        (message, work): (&mut Vec<u8>, &mut u32),
        out: &mut Outbox,
    ) -> Progress {
        let mut progress = Progress::default();
        loop {
            let rest = &bytes[progress.consumed..];
            let connection = self.connections.known(id);
            if connection.pause == Pause::Turn {
                connection.pause = Pause::No;
            }
            if rest.is_empty() || !connection.phase.is_live() {
                return progress;
            }
            if *work == 0 || self.portion.is_full() {
                connection.pause = Pause::Turn;
                return progress;
            }
            if self.must_pause(id, out) {
                return progress;
            }
            let connection = self.connections.known(id);
            let step = connection.session.feed(rest, message, self.settings.wire);
            progress.consumed += step.consumed;
            let share = share_of(connection, &self.proxies, &mut self.addresses);
            // Whose a head is, it says itself.
            if let Some(share) = share.filter(|_| !matches!(step.item, Item::Head(_))) {
                share.take_bytes(&self.rates, step.consumed, self.now);
            }
            match step.item {
                Item::More | Item::Echo(ws::Item::More, _) => return progress,
                Item::Decided(protocol) => self.decided(id, protocol, out),
                Item::Source(source) => self.comes_from(id, source, out),
                Item::Command(command) => {
                    progress.ended_a_frame = true;
                    let done = self.carry_out_frame(id, command, out);
                    *work = work.saturating_sub(done);
                    message.clear();
                }
                Item::Socket(item) => {
                    // Within a message it ends nothing: that has the deadline that it has.
                    progress.ended_a_frame |= !connection.session.mid_frame();
                    *work = work.saturating_sub(1);
                    self.hear_socket(id, &item, out);
                }
                Item::Echo(item, said) => {
                    let is_message = matches!(item, ws::Item::Message(_));
                    *work = work.saturating_sub(1);
                    self.hear_echo(id, &item, said, out);
                    let connection = self.connections.known(id);
                    progress.ended_a_frame |= is_message || !connection.session.mid_frame();
                    if is_message {
                        message.clear();
                    }
                }
                Item::Head(head) => {
                    progress.ended_a_frame |= head.body == BodyLength::None;
                    let is_here = bytes.len() > progress.consumed;
                    let Some(done) = self.hear_head(id, &head, (step.consumed, is_here), out)
                    else {
                        self.connections.known(id).session.read_again();
                        progress.consumed -= step.consumed;
                        return progress;
                    };
                    *work = work.saturating_sub(done);
                }
                Item::Body { bytes, last } => {
                    progress.ended_a_frame |= last;
                    let done = self.hear_body(id, bytes, last, out);
                    *work = work.saturating_sub(done);
                }
                Item::Fault(fault) => self.fault(id, fault, out),
            }
        }
    }

    /// Applies a command, and returns how much work that was: one at least.
    pub(crate) fn carry_out_frame(
        &mut self,
        id: ConnId,
        command: Command<'_>,
        out: &mut Outbox,
    ) -> u32 {
        let looks = looks_something_up(&command);
        self.charge(id, &command);
        self.take_work();
        self.decide(id, command, out);
        let work = self.take_work();
        if looks {
            self.charge_look_up(id, work);
        }
        work.saturating_add(1)
    }

    /// Stops reading a connection that has used up its share, or everybody while the store has too much to do.
    fn must_pause(&mut self, id: ConnId, out: &mut Outbox) -> bool {
        let connection = self.connections.known(id);
        if connection.pause != Pause::No {
            return true;
        }
        // What comes next over a proxy's connection may be somebody else's, who does not wait for this one.
        let is_nobodys = connection.phase == Phase::Http && self.is_between_clients(id);
        if !is_nobodys && self.waits_for_share(id, out) {
            return true;
        }
        let queue = &self.store_queue;
        if queue.messages >= STORE_QUEUE_MESSAGES_MAX || queue.bytes >= STORE_QUEUE_BYTES_MAX {
            self.connections.known(id).pause = Pause::Store { since: self.now };
            self.behind_store.push_back(id);
            self.hit(Limit::StoreQueue, id);
            return true;
        }
        false
    }

    /// Stops reading a connection that has used up its share, until there is some of it again.
    pub(crate) fn waits_for_share(&mut self, id: ConnId, out: &mut Outbox) -> bool {
        let now = self.now;
        let connection = self.connections.known(id);
        let share = share_of(connection, &self.proxies, &mut self.addresses);
        let waits = share.and_then(|share| share.waits_until(&self.rates, now));
        let Some((_, limit)) = waits else { return false };
        connection.pause = Pause::Bucket { since: now };
        connection.pauses = connection.pauses.saturating_add(1);
        if connection.pauses == 1 {
            out.notice(Notice::Paused { id });
        }
        self.hit(limit, id);
        self.rearm(id);
        true
    }

    /// Keeps what was not consumed, and notes since when a frame is unfinished.
    fn keep(&mut self, id: ConnId, kept: Kept, came: usize, progress: Progress) {
        let connection = self.connections.known(id);
        if !connection.phase.is_live() {
            return;
        }
        let held_back = connection.pause != Pause::No;
        let partial = !kept.is_empty() || connection.session.mid_frame();
        connection.unfinished = match connection.unfinished {
            _ if !partial || held_back => None,
            Some(before) if !progress.ended_a_frame => {
                let more = u32::try_from(came).unwrap_or(u32::MAX);
                Some(Unfinished { bytes: before.bytes.saturating_add(more), ..before })
            }
            Some(_) | None => {
                let bytes = u32::try_from(kept.bytes().len()).unwrap_or(u32::MAX);
                let bytes = NonZeroU32::new(bytes).unwrap_or(NonZeroU32::MIN);
                Some(Unfinished { since: self.now, bytes })
            }
        };
        self.kept_bytes += kept.capacity();
        connection.kept = kept;
        if connection.unfinished.is_some() {
            self.rearm(id);
        }
    }

    /// All unfinished frames together have a limit; past it the largest goes.
    fn limit_kept(&mut self, out: &mut Outbox) {
        let limit = self.settings.kept;
        if self.kept_bytes <= limit {
            return;
        }
        // An eighth is freed at once, so that this is seldom looked for.
        let size = |connection: &Connection| (connection.kept_bytes(), connection.id);
        let mut largest: Vec<_> = self.connections.iter().map(size).collect();
        largest.sort_unstable();
        while self.kept_bytes > limit / 8 * 7 {
            let (_, id) = largest.pop().expect("bytes are kept by somebody");
            self.close(id, CloseReason::InputBudget, out);
        }
    }

    /// The first bytes chose the protocol. What was held of the lobby is let through; the first frame tells whether the newcomer is
    /// shown in it, or says `hello`.
    fn decided(&mut self, id: ConnId, protocol: Protocol, out: &mut Outbox) {
        let is_turned_away = self.is_turned_away(id);
        match protocol {
            // Its first request is answered, when its head is there.
            Protocol::Http if is_turned_away => self.connections.known(id).dialect = Dialect::Http,
            Protocol::Native if is_turned_away => self.close(id, CloseReason::TooMany, out),
            Protocol::Native => self.release_backlog(id, Phase::Native, out),
            Protocol::Http => self.begin_http(id, out),
            Protocol::V1 | Protocol::Control | Protocol::WebSocket | Protocol::Echo => {
                unreachable!("no first byte chooses these")
            }
        }
    }

    /// Bytes that cannot be read on. A foreign protocol is told so in its own words, and nothing else.
    fn fault(&mut self, id: ConnId, fault: Fault, out: &mut Outbox) {
        let words = fault.farewell(self.wall);
        let connection = self.connections.known(id);
        match connection.phase {
            Phase::Undecided | Phase::Listening => self.drop_backlog(id),
            // It is told nothing else than who asks for something.
            Phase::TurnedAway if !matches!(fault, Fault::Http(_)) => {
                self.close(id, CloseReason::TooMany, out);
                return;
            }
            Phase::TurnedAway
            | Phase::Native
            | Phase::V1
            | Phase::Control
            | Phase::Http
            | Phase::Events
            | Phase::Echo
            | Phase::Leaving(_)
            | Phase::Lingering { .. }
            | Phase::Closing => {}
        }
        if fault == Fault::Foreign(Foreign::BadHttp) {
            self.connections.known(id).dialect = Dialect::Http;
        }
        if words.is_empty() {
            self.close(id, CloseReason::Fault(fault), out);
        } else {
            self.leave(id, CloseReason::Fault(fault), words, out);
        }
    }
}
