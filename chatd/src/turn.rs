//! The turn of the loop: what ready sockets say goes to the hub, what the hub queued goes to ready sockets.
//!
//! The program runs at its own pace: an event only sets a flag, and the phases of [`Server::turn`] do the work, each within its
//! budget. One phase reads, one writes, one closes. What stopped at a budget is carried over, and the next poll does not sleep.
//! The sockets are behind [`Driver`]: the one that ships is [`crate::driver::MioDriver`], and the simulator has its own, so that
//! what ships is what is simulated. What a message means is the hub's business.

mod accept;
mod flush;
mod read;
mod seam;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use hub::{Answer, ConnId, Effect, Hub, Level, Measure, Measured, Outbox, Planted};
use proto::{Now, Span};

pub use crate::reports::Supervised;

pub use self::seam::{Driver, ListenerId, Log, Ready, Reloaded, Store};

use self::accept::Listening;
use self::summary::summary;
use crate::log::Kind;
use crate::pace::Pace;
use crate::reports::Reports;

/// The one buffer that all sockets are read into, and the most that is read from one of them in a turn.
const SCRATCH_BYTES: usize = 64 * 1024;
/// The most timers that fire in a turn, fewer where what they make is more than a frame.
const EXPIRIES_MAX: u32 = 256;
/// So many fire between two looks at the clock.
const EXPIRIES_AT_ONCE: u32 = 16;
/// The most connections that are closed in a turn.
const CLOSES_MAX: usize = 256;

const _: () = assert!(EXPIRIES_MAX.is_multiple_of(EXPIRIES_AT_ONCE));

/// The longest that one phase of a turn goes on: five of them keep a turn below 10 ms, however slow the machine's calls are. What
/// is done between two looks at the clock has a budget of work.
const PHASE_MAX: Span = Span::from_micros(250);

/// What an operator can set about the turn itself.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Whether the flush paces itself while messages keep arriving.
    pub paced: bool,
    /// How long draining may take.
    pub shutdown_timeout: Span,
    /// What the service manager wishes to be told; none where there is none.
    pub supervised: Option<Supervised>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { paced: true, shutdown_timeout: Span::from_secs(5), supervised: None }
    }
}

/// Whether there will be another turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Yes.
    Running,
    /// No: everything is drained.
    Stopped,
}

/// What the turn knows of a connection: the edges that have not been driven to `WouldBlock`, and where it waits.
#[allow(clippy::struct_excessive_bools, reason = "edges and queues, each true or false by itself")]
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Who has this place now.
    id: Option<ConnId>,
    /// Reading has not ended in `WouldBlock` since the last edge.
    readable: bool,
    /// Writing has not ended in `WouldBlock` since the last edge.
    writable: bool,
    /// Both directions are gone, or the connection broke.
    hung_up: bool,
    /// The hub has something queued for it.
    dirty: bool,
    /// It stands in the queue of those to be read.
    to_read: bool,
    /// It stands in the queue of those to be written.
    to_flush: bool,
    /// The flush in which it was written last: see [`Server::queue_flush`].
    flushed_in: u16,
}

/// Where the daemon is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Serving,
    /// Until then at most.
    Draining(Now),
    /// Everything is to be closed at once.
    Abandoned,
}

/// The daemon: the hub, its driver, its store and its log, and the phases that move bytes between them.
pub struct Server<D: Driver, S: Store, L: Log> {
    hub: Hub,
    driver: D,
    store: S,
    log: L,
    now: Now,
    life: Life,
    shutdown_timeout: Span,
    pace: Pace,
    reports: Reports,
    slots: Vec<Slot>,
    listeners: Vec<Listening>,
    to_read: VecDeque<ConnId>,
    to_flush: VecDeque<ConnId>,
    /// Bytes that were read since the last whole flush.
    read_bytes: usize,
    /// Everything that was queued has been offered to the kernel: in the next turn the hub may say more.
    offered: bool,
    /// How many of these are of the flush that is going on, or was the last; the others are of the next one.
    flush_left: usize,
    /// The number of that flush. That numbers come again does no harm: who seems to have been written just now waits a little.
    flush_no: u16,
    to_close: VecDeque<ConnId>,
    /// More timers were due than a turn lets fire.
    overdue: bool,
    /// Posts that went to the store in this turn.
    posted: usize,
    /// When it was logged last that nobody can be taken in.
    complained: Option<Now>,
    ready: Vec<Ready>,
    outbox: Outbox,
    answers: Vec<Answer>,
    scratch: Box<[u8]>,
}

impl<D: Driver, S: Store, L: Log> Server<D, S, L> {
    /// A daemon that serves from its first turn on.
    pub fn new(hub: Hub, driver: D, store: S, log: L, tuning: Tuning) -> Self {
        let now = driver.now();
        Self {
            hub,
            driver,
            store,
            log,
            now,
            life: Life::Serving,
            shutdown_timeout: tuning.shutdown_timeout,
            pace: Pace::new(tuning.paced),
            reports: Reports::new(tuning.supervised, tuning.shutdown_timeout, now),
            slots: Vec::new(),
            listeners: Vec::new(),
            to_read: VecDeque::new(),
            to_flush: VecDeque::new(),
            read_bytes: 0,
            offered: false,
            flush_left: 0,
            flush_no: 0,
            to_close: VecDeque::new(),
            overdue: false,
            posted: 0,
            complained: None,
            ready: Vec::new(),
            outbox: Outbox::default(),
            answers: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        }
    }

    /// The hub, to be looked at.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The driver.
    pub const fn driver_mut(&mut self) -> &mut D {
        &mut self.driver
    }

    /// The store.
    pub const fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// The store and the log, when there is no turn any more.
    pub fn into_store_and_log(self) -> (S, L) {
        (self.store, self.log)
    }

    /// One turn: poll, accept, read, expire, settle, flush, reap.
    ///
    /// # Errors
    /// Only those of [`Driver::poll`] itself: no peer can cause one.
    pub fn turn(&mut self) -> io::Result<Turn> {
        self.poll()?;
        self.hear_on();
        self.accept();
        self.read();
        self.take_answers();
        self.expire();
        self.settle();
        self.flush();
        self.reap();
        self.report();
        self.hub.turned(self.driver.now().since(self.now));
        self.check();
        let over = self.life != Life::Serving && self.hub.is_empty();
        Ok(if over { Turn::Stopped } else { Turn::Running })
    }

    /// Sleeps until something is to be done, and takes note of what happened. Does nothing about it.
    fn poll(&mut self) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        let timeout = self.timeout();
        self.driver.poll(timeout, &mut ready)?;
        self.now = self.driver.now();
        self.hub.wall_is(self.driver.wall(), self.now);
        self.hub.store_is(self.store.condition());
        self.posted = 0;
        for event in ready.drain(..) {
            match event {
                Ready::Listener(ListenerId(index)) => self.listener_ready(index),
                Ready::Connection { id, readable, writable, read_closed, hang_up } => {
                    self.connection_ready(
                        id,
                        readable || read_closed || hang_up,
                        writable,
                        hang_up,
                    );
                }
                Ready::Stop => self.stop(),
                Ready::Summary => self.summarize(),
                Ready::Reload => {
                    self.hub.reload(self.now, &mut self.outbox);
                    self.drain_outbox();
                }
                Ready::Waker => self.take_reloaded(),
            }
        }
        self.ready = ready;
        if let Life::Draining(until) = self.life
            && self.now >= until
        {
            self.abandon();
        }
        Ok(())
    }

    /// How long the next poll may sleep.
    fn timeout(&self) -> Option<Duration> {
        let accepts = self.listeners.contains(&Listening::Ready);
        let flushes = !self.to_flush.is_empty();
        if accepts
            || self.overdue
            || self.pace.looks()
            || self.hub.is_said_full()
            || !self.to_read.is_empty()
            || !self.to_close.is_empty()
            || self.flush_left > 0
            || (flushes && (self.is_read_full() || self.pace.holds_until().is_none()))
        {
            return Some(Duration::ZERO);
        }
        let rest = self.listeners.iter().filter_map(|state| match state {
            Listening::Resting(until) => Some(*until),
            Listening::Idle | Listening::Ready => None,
        });
        let drained = match self.life {
            Life::Draining(until) => Some(until),
            Life::Serving | Life::Abandoned => None,
        };
        let held = self.pace.holds_until().filter(|_| flushes);
        let report = self.reports.next(self.life != Life::Serving, self.hub.census());
        let next =
            rest.chain(drained).chain(held).chain(self.hub.deadline()).chain(report).min()?;
        Some(Duration::from_micros(next.since(self.driver.now()).as_micros()))
    }

    fn connection_ready(&mut self, id: ConnId, readable: bool, writable: bool, hung_up: bool) {
        let Some(id) = self.current(id) else { return };
        let slot = self.slot(id).expect("a current connection has a slot");
        slot.readable |= readable;
        let unblocked = writable && slot.dirty && !slot.writable;
        slot.writable |= writable;
        slot.hung_up |= hung_up;
        if readable {
            self.queue_read(id);
        }
        if unblocked {
            self.hub.unblocked(id, self.now);
        }
        if writable {
            self.queue_flush(id);
        }
    }

    /// The connection that an event is for; none where the event is for one that is no more.
    fn current(&self, id: ConnId) -> Option<ConnId> {
        let holder = self.slots.get(id.index())?.id?;
        if self.hub.settings().plants(Planted::StaleToken) {
            return Some(holder);
        }
        (holder == id).then_some(id)
    }

    fn slot(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index()).filter(|slot| slot.id == Some(id))
    }

    fn queue_read(&mut self, id: ConnId) {
        if let Some(slot) = self.slot(id)
            && !slot.to_read
        {
            slot.to_read = true;
            self.to_read.push_back(id);
        }
    }

    /// Queues a connection to be written. Who was not written in the flush that is going on, or was the last, still has its place
    /// in that one, before the others: the crowd of one room, and the pause for its sake, hold nobody else up. Each has one place in
    /// each flush, so nobody is overtaken for ever.
    fn queue_flush(&mut self, id: ConnId) {
        let flush_no = self.flush_no;
        let Some(slot) = self.slot(id) else { return };
        if !slot.dirty || !slot.writable || slot.to_flush {
            return;
        }
        slot.to_flush = true;
        if slot.flushed_in == flush_no {
            self.to_flush.push_back(id);
        } else {
            self.to_flush.push_front(id);
            self.flush_left += 1;
        }
    }

    /// Lets due timers fire.
    fn expire(&mut self) {
        let begun = self.driver.now();
        self.overdue = true;
        for at in 0..EXPIRIES_MAX / EXPIRIES_AT_ONCE {
            if at > 0 && !self.has_time(begun) {
                break;
            }
            let done = self.hub.expire(self.now, EXPIRIES_AT_ONCE, &mut self.outbox);
            self.overdue = done == EXPIRIES_AT_ONCE;
            if !self.overdue {
                break;
            }
        }
        self.drain_outbox();
        self.take_answers();
    }

    /// Ends the deciding of this turn: every member of a room that spoke gets its run.
    fn settle(&mut self) {
        self.hub.settle(self.now, &mut self.outbox);
        self.drain_outbox();
    }

    /// Whether a phase of the turn that began then may do one thing more.
    fn has_time(&self, begun: Now) -> bool {
        self.driver.now().since(begun) < PHASE_MAX
    }

    /// Closes what is to be closed: both directions, and only here.
    fn reap(&mut self) {
        let count = self.to_close.len().min(CLOSES_MAX);
        let mut waited = false;
        let begun = self.driver.now();
        for at in 0..count {
            if at > 0 && !self.has_time(begun) {
                break;
            }
            let Some(id) = self.to_close.pop_front() else { break };
            let slot = self.slot(id).expect("a connection is closed once");
            waited |= slot.to_read || slot.to_flush;
            *slot = Slot::default();
            self.driver.shutdown(id);
            self.hub.reaped(id, self.now, &mut self.outbox);
            self.drain_outbox();
        }
        if waited {
            let slots = &self.slots;
            let lives = |id: &ConnId| slots[id.index()].id == Some(*id);
            self.to_read.retain(lives);
            self.to_flush.retain(lives);
            self.flush_left = self.flush_left.min(self.to_flush.len());
        }
        if count > 0 {
            self.settle();
        }
    }

    /// Tells the service manager what is due. It comes last in the turn, so that the manager hears of a loop that went round.
    fn report(&mut self) {
        let (ends, census) = (self.life != Life::Serving, self.hub.census());
        let Some(words) = self.reports.due(ends, census, self.now) else { return };
        match self.driver.tell_manager(&words) {
            Ok(()) => self.reports.said(ends, census, self.now),
            // It has no room or is gone; no loop may wait for it.
            Err(_) => self.reports.unsaid(self.now),
        }
    }

    /// Does what the hub asks for. The answers of the store are a new input and wait for [`Self::take_answers`]; those of the
    /// kernel only make one reply.
    fn drain_outbox(&mut self) {
        while let Some(effect) = self.outbox.effects.pop_front() {
            match effect {
                Effect::Store(record) => {
                    self.posted += 1;
                    self.store.submit(record);
                }
                Effect::Fetch(fetch) => self.store.fetch(fetch),
                Effect::Resume(id) => self.queue_read(id),
                Effect::Finish(id) => {
                    self.driver.finish(id);
                    self.queue_read(id);
                }
                Effect::Close(id) => self.to_close.push_back(id),
                Effect::Notice(notice) => self.log.notice(notice),
                Effect::Measure(measure) => self.measure(&measure),
                Effect::LogLevel(level) => self.log.set_level(level),
                Effect::Stall(span) => self.driver.stall(span),
                Effect::Reload => self.driver.reload(),
                Effect::Stop => self.drain(),
            }
        }
        let mut flush = std::mem::take(&mut self.outbox.flush);
        for id in flush.drain(..) {
            if let Some(slot) = self.slot(id) {
                slot.dirty = true;
            }
            self.queue_flush(id);
        }
        self.outbox.flush = flush;
    }

    /// Asks the kernel about some connections; the hub makes its reply of it at once.
    fn measure(&mut self, measure: &Measure) {
        let answers: Vec<Measured> =
            measure.connections.iter().map(|id| self.driver.measure(*id)).collect();
        self.hub.measured(measure, &answers, self.now, &mut self.outbox);
    }

    /// What the store has found and decided since is an input like any other.
    fn take_answers(&mut self) {
        while let Some((level, kind, text)) = self.store.remark() {
            self.log.line(level, kind, text);
        }
        while let Some(pruned) = self.store.pruned() {
            self.hub.pruned(&pruned, self.now);
        }
        while let Some(fetched) = self.store.fetched() {
            self.hub.fetched(fetched, self.now, &mut self.outbox);
            self.drain_outbox();
        }
        self.store.answers(&mut self.answers);
        if self.answers.is_empty() {
            return;
        }
        let mut answers = std::mem::take(&mut self.answers);
        self.hub.stored(&answers, self.now, &mut self.outbox);
        self.drain_outbox();
        answers.clear();
        self.answers = answers;
    }

    /// What was decided anew holds from here on, or everything is as it was.
    fn take_reloaded(&mut self) {
        while let Some(outcome) = self.driver.reloaded() {
            let outcome = outcome.map(|reloaded| {
                self.shutdown_timeout = reloaded.shutdown_timeout;
                self.pace.set(reloaded.paced);
                self.store.keep(reloaded.retention);
                self.hub.listens_on(reloaded.listeners);
                let mut words = reloaded.words;
                words.insert(0, "the configuration was read anew and holds".to_owned());
                self.log.line(Level::Info, Kind::Reloaded, words.join("; "));
                reloaded.settings
            });
            if let Err(why) = &outcome {
                let text = format!("the configuration stays as it was: {why}");
                self.log.line(Level::Error, Kind::ReloadFailed, text);
            }
            self.reports.reloaded();
            self.hub.reloaded(outcome, self.now, &mut self.outbox);
            self.drain_outbox();
        }
    }

    /// The operator's wish by signal: it begins the end, and the second time ends at once.
    fn stop(&mut self) {
        match self.life {
            Life::Serving => self.drain(),
            Life::Draining(_) => self.abandon(),
            Life::Abandoned => {}
        }
    }

    /// Logs what the hub counts, as an operator asked for.
    fn summarize(&mut self) {
        self.log.line(Level::Info, Kind::Summary, summary(&self.hub.stats()));
    }

    fn drain(&mut self) {
        if self.life == Life::Serving {
            self.life = Life::Draining(self.now.after(self.shutdown_timeout));
            self.hub.drain(self.now, &mut self.outbox);
            self.drain_outbox();
        }
    }

    fn abandon(&mut self) {
        self.life = Life::Abandoned;
        self.hub.abandon(self.now, &mut self.outbox);
        self.drain_outbox();
    }

    /// What must hold between two turns: the cheap part always, all of it where assertions are to find bugs.
    fn check(&self) {
        assert!(
            self.outbox.effects.is_empty() && self.outbox.flush.is_empty(),
            "the outbox is drained"
        );
        assert!(self.to_read.len() <= self.slots.len(), "a connection waits to be read once");
        assert!(self.to_flush.len() <= self.slots.len(), "a connection waits to be written once");
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    /// Whether the queues and the flags of all connections tell the same story.
    fn check_invariants(&self) {
        let holds = |flag: fn(&Slot) -> bool, queue: &VecDeque<ConnId>| {
            let flagged = self.slots.iter().filter(|slot| flag(slot)).count();
            let there = queue.iter().all(|id| {
                let slot = &self.slots[id.index()];
                slot.id == Some(*id) && flag(slot)
            });
            there && flagged == queue.len()
        };
        assert!(holds(|slot| slot.to_read, &self.to_read), "who is to be read waits, once");
        assert!(holds(|slot| slot.to_flush, &self.to_flush), "who is to be written waits, once");
        for slot in &self.slots {
            assert_eq!(
                slot.to_flush,
                slot.dirty && slot.writable,
                "what can be written waits for it"
            );
            assert!(
                slot.id.is_some() || !(slot.to_read || slot.dirty),
                "a free place wants nothing"
            );
        }
    }
}
