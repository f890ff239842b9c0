//! What the hub does about talks: states are entered, peers looked for, both sides told, deadlines kept.
//!
//! Who is gone is only noted where that happens, deep in other work, and its peer hears of it when the turn is settled, or before it
//! says something itself: telling somebody may close them, too.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use proto::{Dialect, Event, Nick, encode};

use crate::Hub;
use crate::connection::ConnId;
use crate::deadlines::Alarm;
use crate::leave::Course;
use crate::outbox::Outbox;
use crate::planted::Planted;
use crate::talks::machine::{Input, Pair, Refused, State, Step, Tale, Turn, transition};
use crate::talks::queue::Waiter;
use crate::talks::{Talker, Wish};

/// So many are looked at when a turn is settled; the others in the next ones.
const SETTLED_AT_ONCE: usize = 16;

/// What an input came to, while both sides are still to be told.
#[derive(Debug)]
pub(crate) struct Done {
    /// Who the other side was, or is now.
    pub(crate) peer: Option<ConnId>,
    pub(crate) step: Step,
}

impl Hub {
    /// Something happens to a connection's talk: both sides enter their new states, and nobody is told yet.
    pub(crate) fn talk_step(&mut self, id: ConnId, input: Input) -> Result<Done, Refused> {
        let peer = self.talks.peer(id);
        let before = self.talks.pair(id);
        let mut step = transition(before, input)?;
        if self.settings.plants(Planted::TurnStays) && input == Input::Say {
            step.pair = before;
        }
        self.enter_pair(id, peer, before, &step);
        Ok(Done { peer, step })
    }

    fn enter_pair(&mut self, id: ConnId, peer: Option<ConnId>, before: Pair, step: &Step) {
        let Pair { mine, theirs } = step.pair;
        if mine != before.mine {
            self.enter_talk_state(id, mine, peer);
        }
        if let Some(peer) = peer.filter(|_| theirs != before.theirs) {
            let keeps_place = step.to_them.contains(&Tale::Waiting { keeps_place: true });
            if theirs == State::Waiting && !keeps_place {
                self.goes_to_the_end(peer);
            }
            self.enter_talk_state(peer, theirs, Some(id));
        }
        assert_eq!(self.talks.state(id), mine, "it is in its new state");
    }

    /// Its place is behind all others from now on.
    fn goes_to_the_end(&mut self, id: ConnId) {
        let place = self.talks.next_place();
        let talker = self.talks.talkers.get_mut(&id).expect("who has a peer is a talker");
        assert!(talker.place < place, "the end is behind all others");
        (talker.place, talker.since) = (place, self.now);
    }

    /// One side enters a state.
    fn enter_talk_state(&mut self, id: ConnId, state: State, peer: Option<ConnId>) {
        self.disarm_talk(id);
        self.talks.queue.leave(id);
        let lives = self.connections.get(id).is_some_and(|connection| connection.phase.is_live());
        if state == State::Registered || (state == State::Waiting && !lives) {
            self.talks.talkers.remove(&id);
            return;
        }
        let talker = self.talks.talkers.get_mut(&id).expect("who enters a state is a talker");
        talker.state = state;
        if talker.peer != peer {
            talker.former = None;
        }
        talker.peer = peer.filter(|_| state.has_peer());
        talker.entered = self.now;
        assert_eq!(talker.peer.is_some(), state.has_peer(), "who has found somebody knows whom");
        if state == State::Waiting {
            let waiter = self.waiter(id);
            self.talks.queue.enter(waiter);
        }
        self.arm_talk(id);
    }

    /// A connection waits from now on, at the end of all who do, for what it wishes.
    pub(crate) fn await_talk(&mut self, id: ConnId, wish: Wish) -> Result<(), Refused> {
        transition(self.talks.pair(id), Input::Bridge)?;
        let place = self.talks.next_place();
        let talker = Talker {
            state: State::Waiting,
            peer: None,
            wish,
            since: self.now,
            place,
            former: None,
            entered: self.now,
            timer: None,
        };
        self.disarm_talk(id);
        self.talks.queue.leave(id);
        self.talks.talkers.insert(id, talker);
        self.enter_talk_state(id, State::Waiting, None);
        assert!(self.talks.queue.get(id).is_some(), "who waits is in the queue");
        Ok(())
    }

    /// One who waits, as it stands in the queue.
    fn waiter(&self, id: ConnId) -> Waiter {
        let talker = &self.talks.talkers[&id];
        let connection = self.connections.get(id).expect("who waits is there");
        let nick = connection.nick.as_ref().expect("who waits has a name");
        Waiter {
            who: id,
            called: nick.key(),
            wanted: talker.wish.peer.as_ref().map(Nick::key),
            turns: talker.wish.turns,
            place: talker.place,
        }
    }

    /// Looks for somebody who goes with one that waits; both are told.
    pub(crate) fn seek_peer(&mut self, id: ConnId, out: &mut Outbox) {
        if self.course != Course::Serving || self.talks.queue.get(id).is_none() {
            return;
        }
        let seeker = self.talks.queue.leave(id).expect("it waits");
        let found = self.talks.queue.first_for(&seeker, &|waiter| self.speaks_for_itself(waiter));
        let found = found.map(|other| (other.who, seeker.turns.with(other.turns)));
        self.talks.queue.enter(seeker);
        let Some((peer, turns)) = found else { return };
        let place = self.talks.talkers[&peer].place;
        if self.settings.plants(Planted::InvitationForgotten) && place.is_multiple_of(3) {
            return;
        }
        let turns = turns.expect("who goes together agrees about turns");
        let pair = Pair { mine: State::Waiting, theirs: State::Waiting };
        let step = transition(pair, Input::Found { turns }).expect("two who wait can be found");
        self.enter_talk_state(id, step.pair.mine, Some(peer));
        self.enter_talk_state(peer, step.pair.theirs, Some(id));
        assert!(self.talks.pair(id).is_sound(), "both sides agree");
        self.tell_step(id, &Done { peer: Some(peer), step }, out);
    }

    /// Whether a name means this one: a login name means its user on the control socket, and whoever had it before does not speak
    /// for that user.
    fn speaks_for_itself(&self, waiter: &Waiter) -> bool {
        let is_local = |dialect| dialect == Dialect::Control;
        self.connections.get(waiter.who).is_some_and(|who| is_local(who.dialect))
            || !self.names.is_login(&waiter.called)
    }

    /// Both sides are told what came of an input, and who waits again is looked for somebody.
    pub(crate) fn tell_step(&mut self, id: ConnId, done: &Done, out: &mut Outbox) {
        self.has_done(1);
        let sides =
            [(Some(id), done.peer, done.step.to_me), (done.peer, Some(id), done.step.to_them)];
        for (who, other, tales) in sides {
            for tale in tales {
                if let Some(who) = who {
                    self.tell_tale(who, other, *tale, out);
                }
            }
        }
        for who in [Some(id), done.peer].into_iter().flatten() {
            self.seek_peer(who, out);
        }
    }

    fn tell_tale(&mut self, id: ConnId, peer: Option<ConnId>, tale: Tale, out: &mut Outbox) {
        // When all go, nobody is told of the others.
        let lives = self.connections.get(id).is_some_and(|connection| connection.phase.is_live());
        if self.course != Course::Serving || !lives {
            return;
        }
        let name = peer.and_then(|peer| self.connections.get(peer));
        let name = name.and_then(|peer| peer.nick.as_ref()).map(|nick| nick.as_str().to_string());
        let name = name.as_deref();
        let turn = match self.talks.state(id) {
            State::Relayed(turn) | State::Direct(turn) => turn,
            State::Registered | State::Waiting | State::Ready { .. } => Turn::Free,
        };
        let (address, wanted): (Option<String>, Option<Nick>);
        let event = match tale {
            Tale::Waiting { .. } => {
                let Some(since) = self.talks.since(id) else { return };
                wanted = self.talks.wish(id).and_then(|wish| wish.peer.clone());
                let since = self.wall_at(since);
                Event::TalkWaiting { since, peer: wanted.as_ref().map(Nick::as_str) }
            }
            Tale::Ready => {
                let State::Ready { turns } = self.talks.state(id) else { return };
                address = peer.and_then(|peer| self.direct_address(id, peer));
                let direct = peer.and_then(|peer| self.talks.wish(peer)?.port).is_some();
                let address = address.as_deref();
                Event::TalkReady { peer: name.unwrap_or(""), turns, direct, address }
            }
            Tale::Started => {
                let direct = matches!(self.talks.state(id), State::Direct(_));
                Event::TalkStarted { peer: name.unwrap_or(""), turn: turn.word(), direct }
            }
            Tale::Turn { late } => {
                let reason = late.then_some("timeout");
                Event::TalkTurn { turn: turn.word().unwrap_or(""), reason }
            }
            Tale::Ended(ending) => Event::TalkEnded { peer: name, reason: ending.word() },
            Tale::Message => unreachable!("what is said is told by whoever says it"),
        };
        let mut bytes = Vec::new();
        encode::event(self.reply_dialect(id), &event, &mut bytes);
        self.push_private(id, bytes, out);
    }

    /// Where a peer listens, for one side: only if both said where they do, and both are on this machine or neither is.
    pub(crate) fn direct_address(&self, id: ConnId, peer: ConnId) -> Option<String> {
        let port = |id| self.talks.wish(id).and_then(|wish| wish.port);
        let (_, port) = (port(id)?, port(peer)?);
        let host = |id| {
            let ip = self.connections.get(id).and_then(|connection| connection.ip);
            ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
        };
        let (own, theirs): (IpAddr, IpAddr) = (host(id), host(peer));
        let reaches = own.is_loopback() == theirs.is_loopback();
        reaches.then(|| SocketAddr::new(theirs, port).to_string())
    }

    /// A connection is not heard any more. Its peer is told later; who only waits is forgotten at once.
    pub(crate) fn talk_lost(&mut self, id: ConnId) {
        match self.talks.state(id) {
            State::Registered => {}
            State::Waiting => self.enter_talk_state(id, State::Registered, None),
            State::Ready { .. } | State::Relayed(_) | State::Direct(_) => {
                self.talks.unsettled.push_back(id);
            }
        }
    }

    /// A connection that is not there any more is out of its talk.
    pub(crate) fn talk_gone(&mut self, id: ConnId, out: &mut Outbox) {
        let done = self.talk_step(id, Input::Gone).expect("anybody may be gone");
        assert_eq!(self.talks.state(id), State::Registered, "nothing is left of it");
        self.tell_step(id, &done, out);
    }

    /// Who asks something of a talk hears first that its peer is gone, if it is.
    pub(crate) fn settle_peer(&mut self, id: ConnId, out: &mut Outbox) {
        let Some(peer) = self.talks.peer(id) else { return };
        let lives = self.connections.get(peer).is_some_and(|peer| peer.phase.is_live());
        if !lives {
            self.talk_gone(peer, out);
        }
    }

    /// Looks at some of those who are to be looked at.
    pub(crate) fn settle_talks(&mut self, out: &mut Outbox) {
        for _ in 0..SETTLED_AT_ONCE {
            let Some(id) = self.talks.unsettled.pop_front() else { return };
            let lives =
                self.connections.get(id).is_some_and(|connection| connection.phase.is_live());
            if lives {
                self.seek_peer(id, out);
            } else {
                self.talk_gone(id, out);
            }
        }
    }

    /// A connection has another name: its peer hears so, and who waits for that name may be found.
    pub(crate) fn talker_renamed(&mut self, id: ConnId, before: &Nick, out: &mut Outbox) {
        if self.talks.queue.leave(id).is_some() {
            let waiter = self.waiter(id);
            self.talks.queue.enter(waiter);
            self.talks.unsettled.push_back(id);
        }
        let Some(peer) = self.talks.peer(id) else { return };
        let talker = self.talks.talkers.get_mut(&id).expect("who has a peer is a talker");
        talker.former = Some(before.clone());
        let nick = self.connections.known(id).nick.clone().expect("who was renamed has a name");
        let (nick, new_nick) = (before.as_str(), nick.as_str());
        let mut bytes = Vec::new();
        let event = Event::Renamed { room: None, nick, new_nick };
        encode::event(self.reply_dialect(peer), &event, &mut bytes);
        self.push_private(peer, bytes, out);
    }

    /// A login name is nobody's on the control socket any more: who has it over TCP is meant by it again.
    pub(crate) fn login_is_free(&mut self, login: &Nick) {
        let owner = self.names.owner(login).filter(|_| !self.names.is_login(&login.key()));
        if let Some(owner) = owner.filter(|owner| self.talks.queue.get(*owner).is_some()) {
            self.talks.unsettled.push_back(owner);
        }
    }

    /// When a talker's deadline is; nothing where it has none.
    fn talk_deadline(&self, talker: &Talker) -> Option<proto::Now> {
        let span = match talker.state {
            State::Waiting => self.settings.wait_timeout,
            State::Relayed(Turn::Mine) => self.settings.turn_timeout,
            State::Registered | State::Ready { .. } | State::Relayed(_) | State::Direct(_) => None,
        };
        span.map(|span| talker.entered.max(self.woke).after(span))
    }

    fn arm_talk(&mut self, id: ConnId) {
        let talker = &self.talks.talkers[&id];
        assert!(talker.timer.is_none(), "a talker has one timer");
        if let Some(at) = self.talk_deadline(talker) {
            let timer = self.wheel.arm(at, Alarm::Talk(id));
            let talker = self.talks.talkers.get_mut(&id).expect("it was there just now");
            talker.timer = Some(timer);
        }
    }

    fn disarm_talk(&mut self, id: ConnId) {
        let timer = self.talks.talkers.get_mut(&id).and_then(|talker| talker.timer.take());
        if let Some(timer) = timer {
            let cancelled = self.wheel.cancel(timer);
            assert_eq!(cancelled, Some(Alarm::Talk(id)), "a talker's timer names it");
        }
    }

    /// Deadlines are as they are set from now on.
    pub(crate) fn rearm_talks(&mut self) -> usize {
        let ids: Vec<ConnId> = self.talks.talkers.keys().copied().collect();
        for id in &ids {
            self.disarm_talk(*id);
            self.arm_talk(*id);
        }
        ids.len()
    }

    /// A talker's timer fires: it has waited for long enough, or had the turn for too long.
    pub(crate) fn talk_timer(&mut self, id: ConnId, out: &mut Outbox) {
        let talker = self.talks.talkers.get_mut(&id).expect("a timer is some talker's");
        talker.timer = None;
        let talker = &self.talks.talkers[&id];
        if self.talk_deadline(talker).is_none_or(|at| at > self.now) {
            self.arm_talk(id);
            return;
        }
        let input = match talker.state {
            State::Waiting => Input::WaitedTooLong,
            State::Registered | State::Ready { .. } | State::Relayed(_) | State::Direct(_) => {
                Input::TurnTooLong
            }
        };
        let done = self.talk_step(id, input).expect("who has a deadline can miss it");
        self.tell_step(id, &done, out);
    }

    /// Sweeps, in tests: both sides agree, who waits is in the queue exactly once, and nobody waits in vain.
    pub(crate) fn check_talks(&self) -> usize {
        self.talks.queue.check_invariants();
        let mut timers = 0;
        for (id, talker) in &self.talks.talkers {
            let connection = self.connections.get(*id).expect("a talker is there");
            let is_noted = self.talks.unsettled.contains(id);
            assert!(connection.phase.is_live() || is_noted, "who is gone is to be looked at");
            assert!(talker.state != State::Registered, "who asks for nothing is no talker");
            let waits = talker.state == State::Waiting;
            assert_eq!(self.talks.queue.get(*id).is_some(), waits, "who waits is in the queue");
            assert!(!waits || *self.talks.queue.get(*id).expect("it is") == self.waiter(*id));
            assert!(self.talks.pair(*id).is_sound(), "both sides agree");
            let back = talker.peer.and_then(|peer| self.talks.peer(peer));
            assert_eq!(back, talker.peer.map(|_| *id), "a peer's peer is oneself");
            assert_eq!(
                talker.timer.is_some_and(|timer| self.wheel.is_armed(timer)),
                self.talk_deadline(talker).is_some(),
                "who has a deadline has a timer"
            );
            timers += usize::from(talker.timer.is_some());
        }
        if self.course == Course::Serving {
            let is_new = |id: &ConnId| self.talks.unsettled.contains(id);
            let is_meant = |waiter: &Waiter| self.speaks_for_itself(waiter);
            let mut in_vain = self.talks.queue.unmatched(&is_meant);
            let forgotten = in_vain.find(|(one, other)| !is_new(one) && !is_new(other));
            assert_eq!(forgotten, None, "two who go together both wait");
        }
        timers
    }
}
