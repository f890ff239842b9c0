//! The network and the kernel under the daemon: per connection two pipes of bytes with bounded
//! buffers, delays, windows that close, ends and resets; listeners with a queue; and readiness that is
//! reported once per change and never again until something changes anew.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::{Clock, Wake};
use crate::rng::Rng;
use crate::swarm::NetPlan;
use crate::trace::{Kind, Trace};

/// Connections that wait to be accepted; the kernel refuses more.
const BACKLOG_MAX: usize = 64;

/// What travels from a client to the daemon.
pub enum Segment {
    /// Some bytes.
    Data(VecDeque<u8>),
    /// The end of the client's direction.
    Fin,
    /// Both directions end at once.
    Reset,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On its way to the listener.
    Dialing,
    /// In the listener's queue.
    Waiting,
    /// Accepted, not yet registered.
    Accepted,
    /// Registered with the poll.
    Open,
    /// Closed by the daemon, refused, or never let in.
    Closed,
}

/// One connection.
pub struct Link {
    pub listener: usize,
    pub stage: Stage,
    pub token: u64,
    pub flight: VecDeque<(u64, Segment)>,
    pub inbox: VecDeque<u8>,
    pub fin_seen: bool,
    pub reset: bool,
    pub vanished: bool,
    /// The client's program is gone: what reaches it is answered by a reset.
    pub client_closed: bool,
    /// What the daemon wrote last was lost when it closed.
    pub cut: bool,
    /// The daemon has ended its direction; it had read so much then, and drops what it reads since.
    pub half_closed: bool,
    pub heard_total: u64,
    pub read_armed: bool,
    pub read_total: u64,
    pub read_at: u64,
    /// After each read: how much was read in all, and when.
    pub reads: Vec<(u64, u64)>,
    pub sendq: VecDeque<u8>,
    pub write_blocked: bool,
    pub blocked_at: u64,
    pub wrote_total: u64,
    pub wrote_at: u64,
    delivering: bool,
    /// What the client's kernel holds for its program.
    pub client_inbox: VecDeque<u8>,
    pub registered_at: u64,
}

/// Readiness on its way to the daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edge {
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
    pub read_closed: bool,
    pub hang_up: bool,
    pub stale: bool,
}

impl Edge {
    pub fn flags(self) -> u64 {
        [self.readable, self.writable, self.read_closed, self.hang_up, self.stale]
            .iter()
            .enumerate()
            .map(|(bit, set)| u64::from(*set) << bit)
            .sum()
    }
}

/// A failed system call, as errno says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    Again,
    Interrupted,
    Reset,
    Pipe,
    TooManyFiles,
    Aborted,
}

/// Takes bytes from the front of a buffer, whole slices at a time.
pub fn take(from: &mut VecDeque<u8>, count: usize) -> Vec<u8> {
    let (front, back) = from.as_slices();
    let mut taken = front[..count.min(front.len())].to_vec();
    taken.extend_from_slice(&back[..count - taken.len()]);
    from.drain(..count);
    taken
}

/// All connections and listeners of a world.
pub struct Net {
    pub clock: Clock,
    pub trace: Trace,
    pub rng: Rng,
    pub plan: NetPlan,
    pub links: Vec<Link>,
    /// Open connections by the daemon's token.
    pub by_token: BTreeMap<u64, usize>,
    /// All there ever were.
    pub owners: BTreeMap<u64, usize>,
    pub backlogs: [VecDeque<usize>; 2],
    pub listener_armed: [bool; 2],
    pub listener_edges: [bool; 2],
    pub edges: Vec<Edge>,
    pub starved: bool,
    pub dead_tokens: Vec<u64>,
    /// When the queue of waiting connections last got shorter or was empty.
    pub accepted_at: u64,
}

impl Net {
    /// A network without connections.
    pub fn new(clock: Clock, trace: Trace, rng: Rng, plan: NetPlan) -> Self {
        Self {
            clock,
            trace,
            rng,
            plan,
            links: Vec::new(),
            by_token: BTreeMap::new(),
            owners: BTreeMap::new(),
            backlogs: [VecDeque::new(), VecDeque::new()],
            listener_armed: [true; 2],
            listener_edges: [false; 2],
            edges: Vec::new(),
            starved: false,
            dead_tokens: Vec::new(),
            accepted_at: 0,
        }
    }

    pub fn note(&mut self, kind: Kind, who: usize, a: u64, b: u64) {
        self.trace.note(self.clock.now(), kind, who as u32, a, b);
    }

    pub fn note_text(&mut self, kind: Kind, who: usize, text: &str) {
        self.trace.note_text(self.clock.now(), kind, who as u32, text);
    }

    /// A system call takes its time.
    pub fn cost(&mut self) {
        let cost = self.rng.below(self.plan.call_cost + 1);
        self.clock.advance(self.clock.now() + cost);
    }

    fn delay(&mut self) -> u64 {
        self.rng.range(self.plan.delay.0, self.plan.delay.1)
    }

    // ---- what clients do -------------------------------------------------------------------------

    /// A client connects to a listener.
    pub fn dial(&mut self, listener: usize) -> usize {
        let no = self.links.len();
        self.links.push(Link {
            listener,
            stage: Stage::Dialing,
            token: 0,
            flight: VecDeque::new(),
            inbox: VecDeque::new(),
            fin_seen: false,
            reset: false,
            vanished: false,
            client_closed: false,
            cut: false,
            half_closed: false,
            heard_total: 0,
            read_armed: true,
            read_total: 0,
            read_at: 0,
            reads: Vec::new(),
            sendq: VecDeque::new(),
            write_blocked: false,
            blocked_at: 0,
            wrote_total: 0,
            wrote_at: 0,
            delivering: false,
            client_inbox: VecDeque::new(),
            registered_at: 0,
        });
        let delay = self.delay();
        self.clock.after(delay, Wake::Dial(no));
        no
    }

    /// A client sends bytes, cut into `pieces` segments that travel `apart` from each other.
    pub fn send(&mut self, no: usize, bytes: &[u8], pieces: usize, apart: u64) {
        let mut rest = bytes;
        let pieces = pieces.clamp(1, bytes.len().max(1));
        for left in (1..=pieces).rev() {
            let even = rest.len() / left;
            let cut = if left == 1 { rest.len() } else { self.rng.size(1, (even * 2).max(1)) };
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            rest = tail;
            if !head.is_empty() {
                let gap = self.rng.below(apart + 1);
                self.launch(no, Segment::Data(head.iter().copied().collect()), gap);
            }
        }
    }

    /// A client ends its direction, behind all that it sent.
    pub fn finish(&mut self, no: usize) {
        self.note(Kind::Fin, no, 0, 0);
        self.launch(no, Segment::Fin, 0);
    }

    /// A client resets the connection; the reset does not overtake what was sent.
    pub fn abort(&mut self, no: usize) {
        self.note(Kind::Reset, no, 0, 0);
        self.links[no].client_closed = true;
        self.launch(no, Segment::Reset, 0);
    }

    /// A client's machine loses its power: nothing more comes from it or reaches it.
    pub fn vanish(&mut self, no: usize) {
        self.note(Kind::Vanish, no, 0, 0);
        self.links[no].vanished = true;
        self.links[no].flight.clear();
    }

    fn launch(&mut self, no: usize, segment: Segment, gap: u64) {
        let delay = self.delay();
        let now = self.clock.now();
        let link = &mut self.links[no];
        if link.vanished {
            return;
        }
        let behind = link.flight.back().map_or(0, |(at, _)| at + gap);
        let at = behind.max(now + delay);
        link.flight.push_back((at, segment));
        self.clock.at(at, Wake::Arrive(no));
    }

    // ---- what the world does at its moments ------------------------------------------------------

    /// A connection reaches the listener's queue.
    pub fn arrive_dial(&mut self, no: usize) {
        let listener = self.links[no].listener;
        if self.backlogs[listener].len() >= BACKLOG_MAX {
            self.links[no].stage = Stage::Closed;
            return;
        }
        if self.backlogs[listener].is_empty() {
            self.accepted_at = self.clock.now();
        }
        self.links[no].stage = Stage::Waiting;
        self.backlogs[listener].push_back(no);
        if self.listener_armed[listener] || !self.plan.strict_edges {
            self.listener_armed[listener] = false;
            self.listener_edges[listener] = true;
        }
    }

    /// What is due of a connection's segments reaches the daemon's kernel, as far as it has room.
    pub fn arrive(&mut self, no: usize) {
        let now = self.clock.now();
        let room_max = self.plan.inbox_max;
        let link = &mut self.links[no];
        if link.vanished || link.reset {
            return;
        }
        let (mut data, mut fin) = (false, false);
        while let Some((at, segment)) = link.flight.front_mut() {
            if *at > now {
                break;
            }
            match segment {
                Segment::Data(bytes) => {
                    let room = room_max.saturating_sub(link.inbox.len()).min(bytes.len());
                    if room == 0 {
                        break;
                    }
                    let part = take(bytes, room);
                    link.inbox.extend(&part);
                    data = true;
                    if !bytes.is_empty() {
                        break;
                    }
                }
                Segment::Fin => {
                    link.fin_seen = true;
                    fin = true;
                }
                Segment::Reset => {
                    link.reset = true;
                    link.inbox.clear();
                    link.sendq.clear();
                    link.flight.clear();
                    break;
                }
            }
            link.flight.pop_front();
        }
        if link.stage != Stage::Open {
            return;
        }
        let token = link.token;
        if link.reset {
            let edge = Edge {
                readable: true,
                writable: true,
                read_closed: true,
                hang_up: true,
                ..Edge::default()
            };
            self.raise(Edge { token, ..edge });
        } else if fin {
            self.raise(Edge { token, readable: true, read_closed: true, ..Edge::default() });
        } else if data && (link.read_armed || !self.plan.strict_edges) {
            link.read_armed = false;
            self.raise(Edge { token, readable: true, ..Edge::default() });
        }
    }

    /// The daemon's kernel sends what the client's window lets through. True if the client got bytes.
    pub fn deliver(&mut self, no: usize) -> bool {
        let chunk = self.rng.scale(1, self.plan.segment_max as u64) as usize;
        let link = &mut self.links[no];
        link.delivering = false;
        if link.vanished || link.reset {
            return false;
        }
        if link.client_closed {
            if !link.sendq.is_empty() {
                link.sendq.clear();
                self.launch(no, Segment::Reset, 0);
            }
            return false;
        }
        let room = self.plan.client_inbox_max.saturating_sub(link.client_inbox.len());
        let count = room.min(link.sendq.len()).min(chunk);
        let part = take(&mut link.sendq, count);
        link.client_inbox.extend(&part);
        self.note(Kind::Delivered, no, count as u64, 0);
        self.freed(no);
        self.pump(no);
        count > 0
    }

    /// Writable again, once a third of the kernel's buffer is free.
    fn freed(&mut self, no: usize) {
        let link = &mut self.links[no];
        let enough = self.plan.send_max - self.plan.send_max / 3;
        if link.write_blocked && link.sendq.len() <= enough && link.stage == Stage::Open {
            link.write_blocked = false;
            let token = link.token;
            self.raise(Edge { token, writable: true, ..Edge::default() });
        }
    }

    /// Sees to it that the kernel sends while there is something to send and a window.
    pub fn pump(&mut self, no: usize) {
        let link = &self.links[no];
        let window = link.client_inbox.len() < self.plan.client_inbox_max || link.client_closed;
        if link.delivering || link.sendq.is_empty() || !window {
            return;
        }
        self.links[no].delivering = true;
        let delay = self.delay();
        self.clock.after(delay, Wake::Deliver(no));
    }

    /// A pretended EAGAIN is over.
    pub fn again(&mut self, no: usize, readable: bool) {
        let link = &mut self.links[no];
        if link.stage != Stage::Open {
            return;
        }
        let token = link.token;
        if readable {
            link.read_armed = false;
        } else {
            link.write_blocked = false;
        }
        self.raise(Edge { token, readable, writable: !readable, ..Edge::default() });
    }
}
