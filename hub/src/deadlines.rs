//! Deadlines: one timer for each connection, at or before the first of its deadlines, one for each room that gathers who comes
//! and goes, and one while the store refuses what has no reply.
//!
//! What a connection says and hears only moves the moments that its deadlines are counted from. When its timer fires, the
//! deadlines are looked at, and it is armed again for the first of them: a message costs the wheel nothing.

use proto::{Fault, Now, Protocol, Span};

use crate::Hub;
use crate::bucket::{Rates, Share};
use crate::close::CloseReason;
use crate::connection::{ConnId, Connection, Pause, Phase};
use crate::outbox::{Effect, Outbox};
use crate::rooms::RoomNo;
use crate::settings::{FRAME_BYTES_PER_SECOND, FRAME_TIMEOUT_MAX, Settings};
use crate::web::{TURNED_AWAY_FOR, share_of};
use crate::wheel::Wheel;

/// A leaving connection takes what waits for it in this time, and has as long again to end its side where that is waited for: long enough
/// for a slow line, short enough for nobody to hold a place with a half-closed connection.
const LEAVING_MAX: Span = Span::from_secs(5);

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// The first deadline of a connection.
    Connection(ConnId),
    /// A large room is told who came and went.
    Presence(RoomNo),
    /// What the store refused goes to it again.
    Refused,
    /// The deadline of a talker.
    Talk(ConnId),
}

/// The deadlines of one connection; none where it has no such deadline now.
#[derive(Clone, Copy, Debug, Default)]
struct Deadlines {
    /// It was silent long enough to be a listener.
    detect: Option<Now>,
    idle: Option<Now>,
    frame: Option<Now>,
    stall: Option<Now>,
    keepalive: Option<Now>,
    /// There is something in its token buckets again.
    resume: Option<Now>,
    /// The store has refused what it said for long enough.
    refused: Option<Now>,
    /// It had enough time to take its last words, or for saying why it came.
    left: Option<Now>,
}

impl Deadlines {
    fn first(&self) -> Option<Now> {
        let all = [
            self.detect,
            self.idle,
            self.frame,
            self.stall,
            self.keepalive,
            self.resume,
            self.refused,
            self.left,
        ];
        all.into_iter().flatten().min()
    }
}

/// The deadlines of a connection as things stand, which has used this of its share. No peer's silence counts while this machine slept,
/// until `woke`.
fn deadlines(
    connection: &Connection,
    share: Option<Share>,
    (settings, rates): (&Settings, &Rates),
    woke: Now,
) -> Deadlines {
    let from = |moment: Now, span: Option<Span>| span.map(|span| moment.max(woke).after(span));
    let queue_waits = !connection.queue.is_empty();
    let mut due = Deadlines::default();
    match connection.phase {
        Phase::Closing => return due,
        Phase::Leaving(_) if connection.flushes_at_its_pace() => {
            due.stall = from(connection.waiting_since, settings.stall);
            return due;
        }
        Phase::TurnedAway => {
            due.left = Some(connection.since.after(TURNED_AWAY_FOR));
            return due;
        }
        Phase::Leaving(_) | Phase::Lingering { .. } => {
            due.left = Some(connection.since.after(LEAVING_MAX));
            return due;
        }
        Phase::Undecided => {
            // Where nobody listens to v0.5, silence says nothing of who is there.
            let session = &connection.session;
            let tells = session.is_nobodys() || connection.protocols.has(Protocol::Native);
            let detect = settings.detect.filter(|_| tells);
            due.detect = detect.map(|span| connection.since.after(span));
        }
        Phase::Listening | Phase::Native | Phase::V1 | Phase::Events => {
            let quiet = settings.keepalive.filter(|_| !queue_waits);
            due.keepalive = quiet.map(|span| connection.last_written.after(span));
        }
        Phase::Control | Phase::Http | Phase::Echo => {}
    }
    if queue_waits && connection.phase != Phase::Undecided {
        due.stall = from(connection.waiting_since, settings.stall);
    }
    match connection.pause {
        Pause::Bucket { since } => {
            // What it said before may still be handed out, and then it waits for longer.
            let share = share.unwrap_or_default();
            due.resume = Some(share.waits_until(rates, since).map_or(since, |(until, _)| until));
        }
        Pause::Store { .. } | Pause::Answer { .. } | Pause::Written { .. } => {}
        Pause::Refused { since } => due.refused = from(since, settings.stall),
        Pause::No | Pause::Turn => {
            // The kernel says when a local peer is gone, and who only hears says nothing; a half-open TCP connection is only seen by its silence.
            if connection.phase == Phase::Http {
                // While it takes an answer it has nothing to say.
                let quiet = settings.idle.filter(|_| !queue_waits);
                due.idle = from(connection.last_read.max(connection.last_written), quiet);
            } else if !matches!(connection.phase, Phase::Control | Phase::Events) {
                due.idle = from(connection.last_read, settings.idle);
            }
            due.frame = connection.unfinished.and_then(|unfinished| {
                from(unfinished.since, frame_time(settings.frame_timeout, unfinished.bytes.get()))
            });
        }
    }
    due
}

/// How long a frame may take of which so many bytes have come.
fn frame_time(least: Option<Span>, bytes: u32) -> Option<Span> {
    let least = least?;
    let more = Span::from_secs(u64::from(bytes) / FRAME_BYTES_PER_SECOND);
    let most = least.max(FRAME_TIMEOUT_MAX);
    Some(Span::from_micros(least.as_micros() + more.as_micros()).min(most))
}

/// Arms a connection's timer for `at`, unless it fires before anyway.
pub(crate) fn arm_by(connection: &mut Connection, wheel: &mut Wheel<Alarm>, at: Now) {
    if let Some(timer) = connection.timer {
        if connection.armed_at <= at {
            return;
        }
        let cancelled = wheel.cancel(timer);
        let named = Some(Alarm::Connection(connection.id));
        assert_eq!(cancelled, named, "a connection's timer names it");
    }
    connection.timer = Some(wheel.arm(at, Alarm::Connection(connection.id)));
    connection.armed_at = at;
}

impl Hub {
    /// Lets timers fire and who is to go go, at most `budget` in all, fewer where they make more work; returns how much that was.
    /// As much as `budget`: there may be more.
    pub fn expire(&mut self, now: Now, budget: u32, out: &mut Outbox) -> u32 {
        self.tick(now);
        let mut done: u32 = 0;
        while done < budget {
            self.take_work();
            // One after the other: neither waits for all of the others.
            let did = [self.fire_one(out), self.send_off_next(out), self.depart_next(out)];
            let count = did.into_iter().map(u32::from).sum();
            if count == 0 {
                return done;
            }
            done = done.saturating_add(self.take_work()).saturating_add(count);
        }
        budget
    }

    /// Lets a timer fire, if one is due.
    fn fire_one(&mut self, out: &mut Outbox) -> bool {
        match self.wheel.expire_one(self.now) {
            Some(Alarm::Connection(id)) => {
                self.connections.known(id).timer = None;
                self.fired(id, out);
                self.rearm(id);
            }
            Some(Alarm::Talk(id)) => self.talk_timer(id, out),
            Some(Alarm::Presence(no)) => self.end_gathering(no, out),
            Some(Alarm::Refused) => self.try_refused(out),
            None => return false,
        }
        true
    }

    /// Does what is due of a connection, the gravest first.
    fn fired(&mut self, id: ConnId, out: &mut Outbox) {
        let now = self.now;
        let connection = self.connections.known(id);
        let share = share_of(connection, &self.proxies, &mut self.addresses).copied();
        let due = deadlines(connection, share, (&self.settings, &self.rates), self.woke);
        let is_due = |deadline: Option<Now>| deadline.is_some_and(|deadline| deadline <= now);
        if is_due(due.left) {
            self.is_left(id, out);
        } else if is_due(due.stall) {
            self.close(id, CloseReason::Stall, out);
        } else if is_due(due.refused) {
            self.close(id, CloseReason::StoreUnavailable, out);
        } else if is_due(due.frame) {
            self.frame_is_late(id, out);
        } else if is_due(due.idle) {
            self.is_silent(id, out);
        } else if is_due(due.detect) && connection.session.is_nobodys() {
            self.close(id, CloseReason::Fault(Fault::NoProxy), out);
        } else if is_due(due.detect) {
            self.release_backlog(id, Phase::Listening, out);
        } else if is_due(due.keepalive) {
            self.push_keepalive(id, out);
        }
        if is_due(due.resume) {
            self.go_on(id, out);
        }
    }

    /// Who is to go had enough time for it.
    fn is_left(&mut self, id: ConnId, out: &mut Outbox) {
        let reason = match &self.connections.known(id).phase {
            Phase::TurnedAway => CloseReason::TooMany,
            Phase::Leaving(reason) | Phase::Lingering { reason, .. } => reason.clone(),
            Phase::Undecided
            | Phase::Listening
            | Phase::Native
            | Phase::V1
            | Phase::Control
            | Phase::Http
            | Phase::Events
            | Phase::Echo
            | Phase::Closing => unreachable!("only who is to go has a deadline for it"),
        };
        self.close(id, reason, out);
    }

    /// A frame or a request was not complete in time. Only who came over HTTP understands that it is told so.
    fn frame_is_late(&mut self, id: ConnId, out: &mut Outbox) {
        let (connection, reason) = (self.connections.known(id), CloseReason::FrameTimeout);
        if connection.phase == Phase::Http {
            self.request_is_late(id, out);
        } else if connection.session.is_socket() {
            self.close_socket(id, reason, "The message was not complete in time.", out);
        } else {
            self.close(id, reason, out);
        }
    }

    /// Nothing came from a connection for too long. One that is there all the same is told so over a WebSocket.
    fn is_silent(&mut self, id: ConnId, out: &mut Outbox) {
        let reason = CloseReason::Idle;
        if self.connections.known(id).session.is_socket() {
            self.close_socket(id, reason, "Nothing came for too long.", out);
        } else {
            self.close(id, reason, out);
        }
    }

    /// A paused connection may speak again: what was held back goes on, then it is read again.
    pub(crate) fn go_on(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        if connection.phase.is_live() {
            connection.go_on(self.now);
            out.effect(Effect::Resume(id));
            self.check_ended(id, out);
        }
    }

    /// Sees to it that a connection's timer fires at its first deadline or before; a later one stays as it is armed.
    pub(crate) fn rearm(&mut self, id: ConnId) {
        let connection = self.connections.known(id);
        let settings = (&self.settings, &self.rates);
        let share = share_of(connection, &self.proxies, &mut self.addresses).copied();
        if let Some(at) = deadlines(connection, share, settings, self.woke).first() {
            arm_by(connection, &mut self.wheel, at);
        }
    }

    /// A connection needs no timer any more.
    pub(crate) fn disarm(&mut self, id: ConnId) {
        let connection = self.connections.known(id);
        if let Some(timer) = connection.timer.take() {
            let cancelled = self.wheel.cancel(timer);
            assert_eq!(cancelled, Some(Alarm::Connection(id)), "a connection's timer names it");
        }
    }
}
