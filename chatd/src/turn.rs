//! The turn of the loop: what ready sockets say goes to the hub, what the hub queued goes to ready sockets.
//!
//! The program runs at its own pace: an event only sets a flag, and the phases of [`Server::turn`] do the work, each within its
//! budget. One phase reads, one writes, one closes. What stopped at a budget is carried over, and the next poll does not sleep.
//! The sockets are behind [`Driver`]: the one that ships is [`crate::driver::MioDriver`], and the simulator has its own, so that
//! what ships is what is simulated. What a message means is the hub's business.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use hub::{Answer, ConnId, Effect, HangUp, Hub, Level, Notice, Outbox, Peer, Planted, Record};
use proto::{Now, Span, WallTime};

use crate::pace::Pace;

/// The one buffer that all sockets are read into, and the most that is read from one of them in a turn.
const SCRATCH_BYTES: usize = 64 * 1024;
/// The most frames that are decided in a turn: what everybody else may have to wait for.
const FRAMES_MAX: u32 = 256;
/// The most frames of one connection in a turn, so that four busy ones share it.
const FRAMES_BY_CONNECTION_MAX: u32 = FRAMES_MAX / 4;
/// The most connections that are accepted in a turn.
const ACCEPTS_MAX: usize = 256;
/// The most timers that fire in a turn.
const EXPIRIES_MAX: usize = 256;
/// The most connections that are closed in a turn.
const CLOSES_MAX: usize = 256;
/// The most writes of one flush: some 5 ms of kernel time.
const WRITES_MAX: usize = 1024;
/// The most parts of one write. A queue has one run for each room and block, so a few are usual.
const SLICES_MAX: usize = 64;
/// The most connections that are turned away by the reserve descriptor before the listener rests.
const SHEDS_MAX: usize = 16;
/// How long a listener rests when there are no descriptors left: no edge would wake it.
const LISTENER_REST: Span = Span::from_millis(100);
/// How often the lack of descriptors is logged.
const EMFILE_NOTICE: Span = Span::from_secs(10);

const _: () = assert!(FRAMES_BY_CONNECTION_MAX > 0 && SLICES_MAX <= 1024, "IOV_MAX is 1024");

/// Names one listener, in the order in which the driver has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerId(pub usize);

/// Something that [`Driver::poll`] saw: one edge for each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Connections wait.
    Listener(ListenerId),
    /// A connection changed.
    Connection {
        /// Which; perhaps one that is no more.
        id: ConnId,
        /// There are bytes to read.
        readable: bool,
        /// There is room to write.
        writable: bool,
        /// The peer will send no more.
        read_closed: bool,
        /// Both directions are gone, or the connection broke.
        hang_up: bool,
    },
    /// The process was told to end.
    Stop,
    /// Another thread has something for the loop.
    Waker,
}

/// The sockets and the clock, as the turn needs them. Nothing here blocks but `poll`.
pub trait Driver {
    /// A connection that is accepted and not registered.
    type Stream;

    /// Waits for at most `timeout`, for ever without one, and adds what happened to `ready`. Interrupted is nothing happened.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
    /// Takes one waiting connection. `PermissionDenied`: there was one, and it has been told that it may not.
    fn accept(&mut self, listener: ListenerId) -> io::Result<(Self::Stream, Peer)>;
    /// Watches a connection from now on, both directions at once, edge triggered.
    fn register(&mut self, stream: Self::Stream, id: ConnId) -> io::Result<()>;
    /// Turns a connection away: at most one write, then it is closed.
    fn refuse(&mut self, stream: Self::Stream, words: &[u8]);
    /// Turns the first waiting connection away when no descriptors are left, by means of one kept in reserve.
    fn shed(&mut self, listener: ListenerId) -> io::Result<()>;
    /// Reads what is there.
    fn read(&mut self, id: ConnId, into: &mut [u8]) -> io::Result<usize>;
    /// Writes what there is room for.
    fn write_vectored(&mut self, id: ConnId, from: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Closes both directions, and forgets the connection.
    fn shutdown(&mut self, id: ConnId);
    /// The monotonic clock.
    fn now(&self) -> Now;
    /// The wall clock.
    fn wall(&self) -> WallTime;
}

/// Where messages go before they are acknowledged.
pub trait Store {
    /// Takes one message.
    fn submit(&mut self, record: Record);
    /// Adds what has been decided about messages since.
    fn answers(&mut self, into: &mut Vec<Answer>);
}

/// Where notices go. It never blocks.
pub trait Log {
    /// Something that the hub noticed.
    fn notice(&mut self, notice: Notice);
    /// Something that the hub knows nothing of: how much it matters, one word, and a text for people.
    fn line(&mut self, level: Level, kind: &'static str, text: String);
}

/// What an operator can set about the turn itself.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Whether the flush paces itself while messages keep arriving.
    pub paced: bool,
    /// How long draining may take.
    pub shutdown_timeout: Span,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { paced: true, shutdown_timeout: Span::from_secs(5) }
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
}

/// What a listener waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    /// An edge.
    Idle,
    /// Its turn: accepting has not ended in `WouldBlock`.
    Ready,
    /// Descriptors.
    Resting(Now),
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
    slots: Vec<Slot>,
    listeners: Vec<Listening>,
    to_read: VecDeque<ConnId>,
    to_flush: VecDeque<ConnId>,
    to_close: VecDeque<ConnId>,
    /// More timers were due than a turn lets fire.
    overdue: bool,
    /// Posts that went to the store in this turn.
    posted: usize,
    /// When the lack of descriptors was logged last.
    emfile_noticed: Option<Now>,
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
            slots: Vec::new(),
            listeners: Vec::new(),
            to_read: VecDeque::new(),
            to_flush: VecDeque::new(),
            to_close: VecDeque::new(),
            overdue: false,
            posted: 0,
            emfile_noticed: None,
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

    /// One turn: poll, accept, read, expire, settle, flush, reap.
    ///
    /// # Errors
    /// Only those of [`Driver::poll`] itself: no peer can cause one.
    pub fn turn(&mut self) -> io::Result<Turn> {
        self.poll()?;
        self.accept();
        self.read();
        self.take_answers();
        self.expire();
        self.settle();
        self.flush();
        self.reap();
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
                Ready::Waker => {}
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
            || !self.to_read.is_empty()
            || !self.to_close.is_empty()
            || (flushes && self.pace.holds_until().is_none())
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
        let next = rest.chain(drained).chain(held).chain(self.hub.deadline()).min()?;
        Some(Duration::from_micros(next.since(self.driver.now()).as_micros()))
    }

    fn listener_ready(&mut self, index: usize) {
        if self.listeners.len() <= index {
            self.listeners.resize(index + 1, Listening::Idle);
        }
        if self.listeners[index] == Listening::Idle {
            self.listeners[index] = Listening::Ready;
        }
    }

    fn connection_ready(&mut self, id: ConnId, readable: bool, writable: bool, hung_up: bool) {
        let Some(id) = self.current(id) else { return };
        let slot = self.slot(id).expect("a current connection has a slot");
        slot.readable |= readable;
        slot.writable |= writable;
        slot.hung_up |= hung_up;
        if readable {
            self.queue_read(id);
        }
        if writable {
            self.queue_flush(id);
        }
    }

    /// The connection that an event is for; none where the event is for one that is no more.
    fn current(&self, id: ConnId) -> Option<ConnId> {
        let holder = self.slots.get(index(id))?.id?;
        if self.hub.settings().plants(Planted::StaleToken) {
            return Some(holder);
        }
        (holder == id).then_some(id)
    }

    fn slot(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.slots.get_mut(index(id)).filter(|slot| slot.id == Some(id))
    }

    fn queue_read(&mut self, id: ConnId) {
        if let Some(slot) = self.slot(id)
            && !slot.to_read
        {
            slot.to_read = true;
            self.to_read.push_back(id);
        }
    }

    fn queue_flush(&mut self, id: ConnId) {
        if let Some(slot) = self.slot(id)
            && slot.dirty
            && slot.writable
            && !slot.to_flush
        {
            slot.to_flush = true;
            self.to_flush.push_back(id);
        }
    }

    /// Takes waiting connections, from each ready listener in turn.
    fn accept(&mut self) {
        let mut left = ACCEPTS_MAX;
        for index in 0..self.listeners.len() {
            if let Listening::Resting(until) = self.listeners[index]
                && until <= self.now
            {
                self.listeners[index] = Listening::Ready;
            }
            while left > 0 && self.listeners[index] == Listening::Ready {
                left -= 1;
                self.accept_one(ListenerId(index));
            }
        }
    }

    fn accept_one(&mut self, listener: ListenerId) {
        match self.driver.accept(listener) {
            Ok((stream, peer)) => self.admit(stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.listeners[listener.0] = Listening::Idle;
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                self.log.line(Level::Warn, "forbidden", error.to_string());
            }
            Err(error) if is_exhaustion(&error) => self.shed(listener, &error),
            // The connection went away while it waited, or a signal came.
            Err(_) => {}
        }
    }

    fn admit(&mut self, stream: D::Stream, peer: Peer) {
        match self.hub.accept(peer, self.now, &mut self.outbox) {
            Ok(id) => {
                if self.slots.len() <= index(id) {
                    self.slots.resize(index(id) + 1, Slot::default());
                }
                let slot = &mut self.slots[index(id)];
                assert!(slot.id.is_none(), "a place is free before it is given again");
                *slot = Slot { id: Some(id), writable: true, ..Slot::default() };
                if self.driver.register(stream, id).is_err() {
                    self.hub.hang_up(id, HangUp::Reset, self.now, &mut self.outbox);
                }
            }
            Err(refusal) => self.driver.refuse(stream, &refusal.words),
        }
        self.drain_outbox();
    }

    /// No descriptors are left: those who wait are told so by a close, and the listener rests, since no edge will come for them.
    fn shed(&mut self, listener: ListenerId, cause: &io::Error) {
        let due = self.emfile_noticed.is_none_or(|last| self.now >= last.after(EMFILE_NOTICE));
        if due {
            self.emfile_noticed = Some(self.now);
            let text = format!(
                "cannot accept: {cause}; new connections are closed at once. Raise LimitNOFILE= (ulimit -n), or lower \
                 [limits] connections"
            );
            self.log.line(Level::Error, "descriptors", text);
        }
        for _ in 0..SHEDS_MAX {
            if let Err(error) = self.driver.shed(listener) {
                if error.kind() == ErrorKind::WouldBlock {
                    self.listeners[listener.0] = Listening::Idle;
                    return;
                }
                break;
            }
        }
        self.listeners[listener.0] = Listening::Resting(self.now.after(LISTENER_REST));
    }

    /// Reads each connection that has something to say, within the turn's and its own budget.
    fn read(&mut self) {
        let mut frames = FRAMES_MAX;
        for _ in 0..self.to_read.len() {
            if frames == 0 {
                break;
            }
            let Some(id) = self.to_read.pop_front() else { break };
            let Some(slot) = self.slot(id) else { continue };
            slot.to_read = false;
            let mut share = frames.min(FRAMES_BY_CONNECTION_MAX);
            let before = share;
            let more = self.read_one(id, &mut share);
            frames -= before - share;
            if more && !self.hub.settings().plants(Planted::LostCarryOver) {
                self.queue_read(id);
            }
            self.look_for_hang_up(id);
        }
        self.pace.looked(self.posted > 0);
    }

    /// Reads one connection until it has no more, may say no more, or its budget is spent: then there is more.
    fn read_one(&mut self, id: ConnId, frames: &mut u32) -> bool {
        let mut bytes = SCRATCH_BYTES;
        loop {
            if self.hub.has_kept_work(id) {
                self.hub.receive(id, &[], frames, self.now, &mut self.outbox);
                self.drain_outbox();
                if *frames == 0 || self.hub.has_kept_work(id) {
                    return true;
                }
            }
            let readable = self.slot(id).is_some_and(|slot| slot.readable);
            if !readable || !self.hub.wants_read(id) {
                return false;
            }
            if bytes == 0 || *frames == 0 {
                return true;
            }
            match self.driver.read(id, &mut self.scratch[..bytes]) {
                Ok(0) => self.end_reading(id, HangUp::Eof),
                Ok(count) => {
                    bytes -= count;
                    self.hub.receive(
                        id,
                        &self.scratch[..count],
                        frames,
                        self.now,
                        &mut self.outbox,
                    );
                    self.drain_outbox();
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        self.slot(id).expect("it is being read").readable = false;
                    }
                    ErrorKind::Interrupted => {}
                    _ => self.end_reading(id, HangUp::Reset),
                },
            }
        }
    }

    fn end_reading(&mut self, id: ConnId, how: HangUp) {
        if let Some(slot) = self.slot(id) {
            slot.readable = false;
        }
        self.hub.hang_up(id, how, self.now, &mut self.outbox);
        self.drain_outbox();
    }

    /// A speaker that its quota has silenced is not read, so that only this tells that it is gone.
    fn look_for_hang_up(&mut self, id: ConnId) {
        let gone = self.slot(id).is_some_and(|slot| slot.hung_up);
        if gone && !self.hub.wants_read(id) && !self.hub.has_kept_work(id) {
            self.hub.hang_up(id, HangUp::Reset, self.now, &mut self.outbox);
            self.drain_outbox();
        }
    }

    /// Lets due timers fire.
    fn expire(&mut self) {
        let fired = self.hub.expire(self.now, EXPIRIES_MAX, &mut self.outbox);
        self.overdue = fired == EXPIRIES_MAX;
        self.drain_outbox();
        self.take_answers();
    }

    /// Ends the deciding of this turn: every member of a room that spoke gets its run.
    fn settle(&mut self) {
        self.hub.settle(self.now, &mut self.outbox);
        self.drain_outbox();
    }

    /// Writes each connection that has something queued, once; or not yet, where a pause makes the writes larger.
    fn flush(&mut self) {
        if self.to_flush.is_empty() || !self.pace.lets_flush(self.now) {
            return;
        }
        let begun = self.driver.now();
        for _ in 0..self.to_flush.len().min(WRITES_MAX) {
            let Some(id) = self.to_flush.pop_front() else { break };
            let Some(slot) = self.slot(id) else { continue };
            slot.to_flush = false;
            self.write_one(id);
        }
        if self.to_flush.is_empty() {
            self.pace.flushed(begun, self.driver.now());
        }
    }

    fn write_one(&mut self, id: ConnId) {
        let mut parts: [&[u8]; SLICES_MAX] = [&[]; SLICES_MAX];
        let count = self.hub.gather(id, &mut parts);
        if count == 0 {
            self.slot(id).expect("it is being written").dirty = self.hub.pending(id) > 0;
            return;
        }
        let slices = parts.map(IoSlice::new);
        match self.driver.write_vectored(id, &slices[..count]) {
            Ok(written) => self.hub.wrote(id, written, self.now, &mut self.outbox),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => {
                    self.slot(id).expect("it is being written").writable = false;
                    self.hub.blocked(id, self.now);
                }
                ErrorKind::Interrupted => {}
                _ => self.hub.hang_up(id, HangUp::Reset, self.now, &mut self.outbox),
            },
        }
        let pending = self.hub.pending(id) > 0;
        if let Some(slot) = self.slot(id) {
            slot.dirty = pending;
        }
        self.drain_outbox();
        self.queue_flush(id);
    }

    /// Closes what is to be closed: both directions, and only here.
    fn reap(&mut self) {
        let count = self.to_close.len().min(CLOSES_MAX);
        for _ in 0..count {
            let Some(id) = self.to_close.pop_front() else { break };
            let slot = self.slot(id).expect("a connection is closed once");
            *slot = Slot::default();
            self.driver.shutdown(id);
            self.hub.reaped(id, self.now, &mut self.outbox);
            self.drain_outbox();
        }
        if count > 0 {
            self.settle();
        }
    }

    /// Does what the hub asks for. Only the answers of the store are a new input, and they wait for [`Self::take_answers`].
    fn drain_outbox(&mut self) {
        while let Some(effect) = self.outbox.effects.pop_front() {
            match effect {
                Effect::Store(record) => {
                    self.posted += 1;
                    self.store.submit(record);
                }
                Effect::Resume(id) => self.queue_read(id),
                Effect::Close(id) => self.to_close.push_back(id),
                Effect::Notice(notice) => self.log.notice(notice),
                Effect::Stop => self.stop(),
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

    fn take_answers(&mut self) {
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

    /// Begins to end; at the second time, ends at once.
    fn stop(&mut self) {
        match self.life {
            Life::Serving => {
                self.life = Life::Draining(self.now.after(self.shutdown_timeout));
                self.hub.drain(self.now, &mut self.outbox);
                self.drain_outbox();
            }
            Life::Draining(_) => self.abandon(),
            Life::Abandoned => {}
        }
    }

    fn abandon(&mut self) {
        self.life = Life::Abandoned;
        self.hub.abandon(self.now, &mut self.outbox);
        self.drain_outbox();
    }

    /// What must hold between two turns.
    fn check(&self) {
        assert!(
            self.outbox.effects.is_empty() && self.outbox.flush.is_empty(),
            "the outbox is drained"
        );
        assert!(self.to_read.len() <= self.slots.len(), "a connection waits to be read once");
        assert!(self.to_flush.len() <= self.slots.len(), "a connection waits to be written once");
    }
}

/// A connection's place in tables: the lower half of its number.
fn index(id: ConnId) -> usize {
    usize::try_from(id.as_u64() & u64::from(u32::MAX)).expect("32 bits are an index")
}

/// Whether an accept failed for want of descriptors or memory, so that it will fail again.
fn is_exhaustion(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.contains(&Errno::from_raw(code)))
}
