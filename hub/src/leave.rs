//! How connections end, and how the server does: leaving (flush, then close), closing (at once), being reaped.
//!
//! Nothing is closed here: an effect asks for it, and [`Hub::reaped`] says that it happened.

use alloc::vec::Vec;

use proto::{Dialect, Event, Nick, Now, encode, ws};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Connection, Pause, Phase};
use crate::farewell::Farewell;
use crate::kept::Kept;
use crate::outbox::{Effect, Notice, Outbox};
use crate::planted::Planted;
use crate::queue::Chunk;
use crate::rooms::{Pending, Standing};
use crate::settings::ROOMS_AT_ONCE;

/// How a peer ended its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// It ended its direction; what it said before counts.
    Eof,
    /// The connection is broken.
    Reset,
}

/// How far the server's own life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Course {
    /// It serves.
    Serving,
    /// It listens to nobody any more, and waits for what the store still has.
    Draining,
    /// It has said bye to everybody.
    Ending,
}

impl Course {
    /// Whether nobody is heard any more.
    pub(crate) const fn is_deaf(self) -> bool {
        match self {
            Self::Serving => false,
            Self::Draining | Self::Ending => true,
        }
    }
}

impl Hub {
    /// A peer ended its side. After an end in good order what it said before is carried out, at its quota, and what
    /// waits for it is flushed; then both directions are closed together.
    pub fn hang_up(&mut self, id: ConnId, how: HangUp, now: Now, out: &mut Outbox) {
        self.tick(now);
        let Some(connection) = self.connections.get_mut(id) else { return };
        match how {
            HangUp::Reset => self.close(id, CloseReason::Reset, out),
            HangUp::Eof if connection.phase.is_live() => {
                connection.ended = true;
                self.check_ended(id, out);
            }
            HangUp::Eof => self.end_lingering(id, out),
        }
    }

    /// The peer ended its side, too: nothing is waited for any more.
    fn end_lingering(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        connection.ended = true;
        if let Phase::Lingering { reason, .. } = &connection.phase {
            let reason = reason.clone();
            self.close(id, reason, out);
        }
    }

    /// A connection that has ended leaves when nothing whole is kept of it.
    pub(crate) fn check_ended(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        let waits = connection.pause != Pause::No;
        if !connection.phase.is_live() || !connection.ended || (waits && !self.course.is_deaf()) {
            return;
        }
        match connection.phase {
            Phase::Undecided | Phase::TurnedAway => {
                self.close(id, CloseReason::PeerClosed, out);
            }
            Phase::Listening
            | Phase::Native
            | Phase::V1
            | Phase::Control
            | Phase::Http
            | Phase::Events
            | Phase::Echo => {
                self.leave(id, CloseReason::PeerClosed, Vec::new(), out);
            }
            Phase::Leaving(_) | Phase::Lingering { .. } | Phase::Closing => {}
        }
    }

    /// A connection gets what waits for it and `words`, nothing more, and is closed.
    pub(crate) fn leave(
        &mut self,
        id: ConnId,
        reason: CloseReason,
        words: Vec<u8>,
        out: &mut Outbox,
    ) {
        self.settle_connection(id, out);
        self.end_replays(id, &reason, out);
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let connection = self.connections.known(id);
        if connection.phase.is_live() && connection.queue.bytes() + words.len() > limit {
            // The last words need room, too: what its rooms said makes it, and is told by gaps before them.
            self.fell_behind(id, out);
        }
        self.tell_gaps(id, out);
        let now = self.now;
        let connection = self.connections.known(id);
        if !connection.phase.is_live() {
            return;
        }
        connection.become_(Phase::Leaving(reason));
        connection.since = now;
        connection.pause = Pause::No;
        connection.unfinished = None;
        self.forget_kept(id);
        self.forget_refused(id);
        self.talk_lost(id);
        if !words.is_empty() {
            self.push_private(id, words, out);
        }
        self.list(id, out);
        self.rearm(id);
        self.check_left(id, out);
    }

    /// A connection is to go, not by its own doing: who speaks v1 is told `bye` and why, and others have no word for it. Who has
    /// been shown nothing yet has nothing to wait for.
    pub(crate) fn dismiss(&mut self, id: ConnId, reason: CloseReason, bye: &str, out: &mut Outbox) {
        let connection = self.connections.known(id);
        match connection.phase {
            Phase::Undecided | Phase::TurnedAway => self.close(id, reason, out),
            Phase::Listening | Phase::Native => self.leave(id, reason, Vec::new(), out),
            Phase::Http => self.dismiss_http(id, reason, bye, out),
            Phase::Echo => self.close_socket(id, reason, bye, out),
            Phase::V1 | Phase::Control | Phase::Events => {
                let mut words = Vec::new();
                encode::event(connection.dialect, &Event::Bye { reason: bye }, &mut words);
                if connection.dialect == Dialect::WebSocket {
                    ws::close(reason.close_code(), bye, &mut words);
                }
                self.leave(id, reason, words, out);
            }
            Phase::Leaving(_) | Phase::Lingering { .. } | Phase::Closing => {}
        }
    }

    /// A leaving connection is closed once everything that it is owed is written.
    pub(crate) fn check_left(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        let Phase::Leaving(reason) = &connection.phase else { return };
        let awaits_reply = connection.owed > 0 && *reason == CloseReason::PeerClosed;
        if !connection.queue.is_empty() || awaits_reply {
            return;
        }
        let reason = reason.clone();
        // Whoever ended its side has nothing on its way to us, and the daemon's own end waits for nobody.
        let lingers = connection.dialect.is_web() && !connection.ended;
        if lingers && self.course != Course::Ending {
            self.linger(id, reason, out);
        } else {
            self.close(id, reason, out);
        }
    }

    /// Everything is said to a connection, and its peer is to end its side. Nobody meets it any more: it goes from its rooms when it is its
    /// turn, and its name is free.
    fn linger(&mut self, id: ConnId, reason: CloseReason, out: &mut Outbox) {
        let connection = self.connections.known(id);
        assert!(connection.queue.is_empty() && connection.kept.is_empty(), "all is said and heard");
        assert!(connection.gaps == 0 && connection.replays.is_none(), "it misses nothing");
        connection.become_(Phase::Lingering { reason, dropped: 0 });
        connection.since = self.now;
        connection.listed = false;
        if connection.rooms.is_empty() {
            self.free_name(id);
        } else {
            self.lingering.push_back(id);
        }
        out.effect(Effect::Finish(id));
        self.rearm(id);
    }

    /// A connection is to be closed at once; what waits for it is dropped. Its name and its places are freed when it is
    /// reaped.
    pub(crate) fn close(&mut self, id: ConnId, reason: CloseReason, out: &mut Outbox) {
        let connection = self.connections.known(id);
        if connection.phase == Phase::Closing {
            return;
        }
        self.forget_replays(id);
        let connection = self.connections.known(id);
        connection.become_(Phase::Closing);
        connection.pause = Pause::No;
        connection.unfinished = None;
        self.counters.cut_slow += u64::from(reason.is_slowness());
        let (address, nick) = (connection.address.to_box(), connection.nick.clone());
        self.forget_kept(id);
        self.forget_refused(id);
        self.forget_queue(id);
        self.disarm(id);
        self.talk_lost(id);
        out.effect(Effect::Close(id));
        out.notice(Notice::Closed { id, address, nick, reason });
        let connection = self.connections.known(id);
        assert!(connection.queue.is_empty() && connection.kept.is_empty(), "nothing is left of it");
        assert!(connection.timer.is_none(), "nobody wakes the dead");
    }

    fn forget_kept(&mut self, id: ConnId) {
        let connection = self.connections.known(id);
        self.kept_bytes -= connection.kept_bytes();
        connection.kept = Kept::default();
        connection.message = Kept::default();
    }

    /// Drops what waits for a connection.
    pub(crate) fn forget_queue(&mut self, id: ConnId) {
        let leaks = self.settings.plants(Planted::LeakedBlock);
        let connection = self.connections.known(id);
        connection.held_frames = 0;
        self.private_bytes -= core::mem::take(&mut connection.private);
        for chunk in connection.queue.take() {
            match chunk {
                Chunk::Run(run) if !leaks => self.blocks.release(run.block),
                Chunk::Run(_) | Chunk::Private(_) | Chunk::Fixed(_) => {}
            }
        }
    }

    /// Both directions of a connection are closed: its name and its places are free, and its rooms hear that it left.
    pub fn reaped(&mut self, id: ConnId, now: Now, out: &mut Outbox) {
        self.tick(now);
        if self.connections.get(id).is_none() {
            return;
        }
        self.close(id, CloseReason::Reset, out);
        if !self.depart(id, out) {
            self.departing.push_back(id);
        }
    }

    /// The next of those who follow everything and are gone goes from some rooms more, or of those who linger; false where there is nobody.
    pub(crate) fn depart_next(&mut self, out: &mut Outbox) -> bool {
        if let Some(id) = self.departing.pop_front() {
            if !self.depart(id, out) {
                self.departing.push_back(id);
            }
        } else if let Some(id) = self.lingering.pop_front() {
            let phase = self.connections.get(id).map(|connection| &connection.phase);
            // Who was closed meanwhile goes when it is reaped.
            let lingers = matches!(phase, Some(Phase::Lingering { .. }));
            if lingers && !self.go_from_rooms(id, out) {
                self.lingering.push_back(id);
            }
        } else {
            return false;
        }
        self.has_done(ROOMS_AT_ONCE / 8);
        true
    }

    /// Who is gone goes from its rooms, or from some of them. True where nothing is left of it.
    fn depart(&mut self, id: ConnId, out: &mut Outbox) -> bool {
        if !self.go_from_rooms(id, out) {
            return false;
        }
        self.talk_gone(id, out);
        let connection = self.connections.remove(id);
        self.forget_everywhere(&connection);
        self.receipts.author_is_gone(id);
        self.let_out(&connection);
        assert!(self.connections.get(id).is_none(), "its id names nobody now");
        true
    }

    /// Nobody meets a connection any more: it goes from its rooms, or from some of them, since who follows everything is in all. True
    /// where it is in none any more; then its name is free, too.
    fn go_from_rooms(&mut self, id: ConnId, out: &mut Outbox) -> bool {
        let nick = self.connections.known(id).nick.clone();
        for _ in 0..ROOMS_AT_ONCE {
            // The last first: each is taken from the end of its list.
            let Some(no) = self.connections.known(id).rooms.last().copied() else { break };
            let member = self.exit(id, no);
            // When all go, nobody is told of the others.
            let told = member.standing.is_shown() && self.course != Course::Ending;
            if let Some(nick) = nick.clone().filter(|_| told) {
                self.announce(no, Pending::Left { conn: id, nick }, out);
            }
            self.sweep(no);
        }
        let is_out = self.connections.known(id).rooms.is_empty();
        if is_out {
            self.free_name(id);
        }
        is_out
    }

    /// A connection gives its name back, where it has not done so before. It is still called so in the log.
    fn free_name(&mut self, id: ConnId) {
        let connection = self.connections.known(id);
        assert!(!connection.phase.is_live(), "who lives keeps its name");
        assert!(connection.rooms.is_empty(), "who is in a room is called something there");
        let is_owner = |nick: &&Nick| self.names.owner(nick) == Some(id);
        if let Some(nick) = connection.nick.as_ref().filter(is_owner) {
            self.names.release(nick, id);
        }
    }

    fn forget_everywhere(&mut self, connection: &Connection) {
        self.rooms.follow_nothing(connection.id);
        self.rooms.maker_is_gone(connection.id);
        self.proxies.remove(&connection.id);
        self.turned_away.remove(&connection.id);
        self.fetches.look_ups.remove(&connection.id);
        self.behind_store.retain(|other| *other != connection.id);
    }

    /// The daemon ends: there are no new connections, nobody is heard any more, what the store has is waited for, then
    /// everybody is told `bye` and closed when their queue is flushed. The caller bounds it: see [`Hub::abandon`].
    pub fn drain(&mut self, now: Now, out: &mut Outbox) {
        self.tick(now);
        if self.course == Course::Serving {
            self.course = Course::Draining;
            out.notice(Notice::Draining { connections: self.clients() });
            self.end_if_stored(out);
        }
    }

    /// Nobody waits for the store any more: everybody leaves.
    pub(crate) fn end_if_stored(&mut self, out: &mut Outbox) {
        if self.course != Course::Draining || self.store_queue.messages > 0 {
            return;
        }
        self.course = Course::Ending;
        self.send_off(Farewell::Ending, self.connections.ids(), out);
    }

    /// Closes everything, and waits for nobody: the time for draining is over.
    pub fn abandon(&mut self, now: Now, out: &mut Outbox) {
        self.tick(now);
        self.course = Course::Ending;
        self.send_off(Farewell::Abandoned, self.connections.ids(), out);
    }

    /// A connection comes into a room.
    pub(crate) fn enter(&mut self, id: ConnId, no: crate::rooms::RoomNo, standing: Standing) {
        let connection = self.connections.known(id);
        let room = self.rooms.known_mut(no);
        let heard = room.open[connection.dialect.index()];
        let heard = heard.map_or(0, |block| self.blocks.get(block).len());
        room.enter(id, connection.dialect, standing, heard);
        let is_own = standing != Standing::Overhearing;
        let at = connection.rooms.binary_search(&no).expect_err("nobody comes in twice");
        connection.rooms.insert(at, no);
        self.rooms.own_rooms_changed(id, isize::from(is_own));
    }

    /// A connection goes from a room; what is gathered for nobody is forgotten.
    pub(crate) fn exit(&mut self, id: ConnId, no: crate::rooms::RoomNo) -> crate::rooms::Member {
        let connection = self.connections.known(id);
        let at = connection.rooms.binary_search(&no).expect("who goes from a room knows it");
        connection.rooms.remove(at);
        let room = self.rooms.known_mut(no);
        let member = room.exit(id);
        assert!(room.shown <= room.members.len(), "who is shown is a member");
        if room.members.is_empty() {
            self.forget_gathering(no);
        }
        let is_own = member.standing != Standing::Overhearing;
        self.rooms.own_rooms_changed(id, -isize::from(is_own));
        member
    }
}
