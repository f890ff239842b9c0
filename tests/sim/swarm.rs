//! The plan of a seed. Each seed draws its own mix of faults and its own small limits: a seed that
//! has everything at once rarely goes deep into anything, so most faults are off in most seeds.

use crate::clock::{MS, SECOND};
use crate::rng::Rng;

/// Faults and sizes of the network and the kernel; chances are per mille.
#[derive(Clone, Debug)]
pub struct NetPlan {
    /// Shortest and longest way of a segment.
    pub delay: (u64, u64),
    /// What a system call takes at most.
    pub call_cost: u64,
    /// How late the loop wakes at most.
    pub late: u64,
    pub segment_max: usize,
    pub inbox_max: usize,
    pub send_max: usize,
    pub client_inbox_max: usize,
    pub short_reads: u64,
    pub short_writes: u64,
    pub interrupted: u64,
    pub pretended_again: u64,
    pub partial_polls: u64,
    pub stale_events: u64,
    /// New bytes raise no new edge before the daemon has seen EAGAIN.
    pub strict_edges: bool,
    pub descriptors: usize,
    /// The limit of a message, which fixes that of a line.
    pub message_max: usize,
}

impl NetPlan {
    /// The same sizes without faults.
    pub fn heal(&mut self) {
        self.short_reads = 0;
        self.short_writes = 0;
        self.interrupted = 0;
        self.pretended_again = 0;
        self.stale_events = 0;
        self.delay = (0, MS);
        self.segment_max = self.segment_max.max(16 * 1024);
        self.client_inbox_max = self.client_inbox_max.max(64 * 1024);
    }
}

/// The character of a seed's clients; chances are per mille.
#[derive(Clone, Debug)]
pub struct Temper {
    /// Shortest and longest time between two acts.
    pub think: (u64, u64),
    /// A client that has sent nothing for this long sends a keepalive.
    pub keepalive: u64,
    /// How often it does not.
    pub silence: u64,
    /// Largest content.
    pub size: u64,
    /// Most frames at once.
    pub burst: u64,
    /// How far apart segments of one frame travel at most.
    pub apart: u64,
    pub half: u64,
    /// A half frame stays one for another act.
    pub abandon: u64,
    pub bad: u64,
    pub moods: u64,
    pub finish: u64,
    pub reset: u64,
    pub vanish: u64,
    pub repeats: u64,
    pub kicks: u64,
    /// See [`Quotas::talks`].
    pub talks: u64,
    /// How often who comes over HTTP loses the connection.
    pub drops: u64,
    /// What was posted under a key may be posted again, however late: ids are known as long as the run lasts.
    pub again: bool,
}

/// How the simulated store behaves.
#[derive(Clone, Debug)]
pub struct StorePlan {
    /// It answers in the same turn.
    pub at_once: bool,
    pub delay: (u64, u64),
    pub batch_max: usize,
    pub refuses: u64,
    /// Its disk is full again and again: how often, and for how long.
    pub full: Option<(u64, u64)>,
    /// It keeps what it stores, and the daemon may ask for it.
    pub durable: bool,
}

/// The limits of the daemon, shrunk so that they are hit; `None` is off.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    pub messages_per_s: Option<u32>,
    pub message_burst: u32,
    pub bytes_per_s: Option<u32>,
    pub byte_burst: u32,
    pub message: usize,
    pub outbox: usize,
    pub store: usize,
    pub detect: u64,
    pub frame_timeout: u64,
    pub idle: u64,
    pub keepalive: u64,
    pub stall: u64,
    pub recent: usize,
    pub rooms: usize,
    pub rooms_joined: usize,
    pub shutdown_timeout: u64,
    pub endpoint_names: bool,
    pub pace: bool,
}

/// Quotas, shrunk so that they are hit; most are off in most seeds.
#[derive(Clone, Debug)]
pub struct Quotas {
    /// From how many addresses clients come.
    pub addresses: u64,
    pub clients_per_ip: Option<u32>,
    /// So many in a second, after so many at once.
    pub accepts: Option<(u32, u32)>,
    /// So many bytes times receivers in a second, after so many at once.
    pub fanout: Option<(u32, u32)>,
    /// So many in a second.
    pub nick_changes: Option<u32>,
    /// Bytes of unfinished frames, and of what is held back.
    pub kept: Option<usize>,
    /// Rooms of more members gather who comes and goes.
    pub small_room: Option<usize>,
    /// How long somebody may wait for a talk, and have the turn in one.
    pub wait_timeout: Option<u64>,
    pub turn_timeout: Option<u64>,
    /// How often clients do something about talks, per mille.
    pub talks: u64,
}

/// How many per mille of those who would be v0.5 clients come over HTTP, by what they do there.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebPlan {
    pub poster: u64,
    pub reader: u64,
    pub socket: u64,
}

/// Everything that a seed decides before its first event.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub net: NetPlan,
    pub temper: Temper,
    pub store: StorePlan,
    pub limits: Limits,
    pub quotas: Quotas,
    /// How long the faults last.
    pub chaos: u64,
    /// How many clients come in all, and the longest time between two.
    pub clients: usize,
    pub arrivals: u64,
    /// Per mille of clients by sort; the rest are v0.5.
    pub mute: u64,
    pub v1: u64,
    pub control: u64,
    pub foreign: u64,
    pub exempt: u64,
    pub web: WebPlan,
    /// Descriptors run out for a while.
    pub starves: bool,
    pub wall_steps: bool,
    /// The machine sleeps for this long once.
    pub suspends: Option<u64>,
    /// TERM comes in the middle of it all.
    pub stops_early: bool,
    pub empties: bool,
}

/// On in a few seeds: this chance, else never.
fn sometimes(rng: &mut Rng, one_in: u64, most: u64) -> u64 {
    if rng.below(one_in) == 0 { rng.scale(1, most) } else { 0 }
}

impl Plan {
    /// What this seed does.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        let limits = limits(rng);
        let store = StorePlan { full: full(seed), ..store(rng) };
        let quotas = quotas(seed);
        let (web, drops) = web(seed);
        let again = store.durable || (limits.recent > 1 << 20 && limits.rooms > 2);
        let temper = Temper { talks: quotas.talks, drops, again, ..temper(rng, &limits) };
        let net = network(rng, &limits, temper.size);
        let clients = match rng.below(32) {
            // More than a room has whose members hear of each one who comes.
            0 => rng.size(60, 80),
            1..8 => rng.size(16, 40),
            _ => rng.size(2, 14),
        };
        // About so many acts of clients in all, however long they think.
        let acts = rng.scale(80, 600);
        let chaos = acts * (temper.think.0 + temper.think.1) / 2 / clients as u64;
        let chaos = chaos.clamp(SECOND / 2, 30 * SECOND);
        Self {
            seed,
            chaos,
            clients,
            arrivals: rng.scale(MS, 600 * MS).min(chaos / clients as u64),
            mute: if rng.below(3) == 0 { 200 } else { 30 },
            control: if rng.below(4) == 0 { 0 } else { rng.range(100, 500) },
            v1: if rng.below(4) == 0 { 0 } else { rng.range(100, 400) },
            foreign: if rng.below(4) == 0 { 150 } else { 0 },
            exempt: if rng.below(3) == 0 { 300 } else { 0 },
            starves: rng.below(6) == 0,
            wall_steps: rng.below(4) == 0,
            suspends: (rng.below(8) == 0).then(|| rng.scale(SECOND, 60 * SECOND)),
            stops_early: rng.below(5) == 0,
            empties: rng.below(4) == 0,
            web,
            net,
            temper,
            store,
            limits,
            quotas,
        }
    }
}

/// Drawn apart, as quotas are.
fn full(seed: u64) -> Option<(u64, u64)> {
    let mut rng = Rng::new(seed ^ 0xf011);
    let is_full = rng.below(4) == 0;
    let span = rng.scale(MS, 12 * SECOND);
    is_full.then(|| (span * rng.range(2, 8), span))
}

/// Drawn apart, so that a seed does everything else as it did without them.
fn quotas(seed: u64) -> Quotas {
    let mut rng = Rng::new(seed ^ 0xadd7);
    let rng = &mut rng;
    let on = |rng: &mut Rng| rng.below(4) == 0;
    Quotas {
        addresses: rng.range(1, 6),
        clients_per_ip: on(rng).then(|| rng.scale(2, 12) as u32),
        accepts: on(rng).then(|| (rng.scale(1, 20) as u32, rng.scale(2, 20) as u32)),
        fanout: on(rng)
            .then(|| (rng.scale(256 << 10, 64 << 20) as u32, rng.scale(1, 4 << 20) as u32)),
        nick_changes: on(rng).then(|| rng.scale(1, 20) as u32),
        kept: on(rng).then(|| rng.scale(256, 64 << 10) as usize),
        small_room: (rng.below(2) == 0).then(|| rng.size(2, 8)),
        wait_timeout: on(rng).then(|| rng.scale(SECOND / 2, 10 * SECOND)),
        turn_timeout: on(rng).then(|| rng.scale(SECOND / 2, 10 * SECOND)),
        talks: if rng.below(4) == 0 { rng.range(100, 700) } else { 0 },
    }
}

/// Drawn apart, too: who comes over HTTP, and how often they lose their connections.
fn web(seed: u64) -> (WebPlan, u64) {
    let mut rng = Rng::new(seed ^ 0x3eb5);
    if rng.below(2) == 0 {
        return (WebPlan::default(), 0);
    }
    let mut share = || rng.range(0, 330);
    let plan = WebPlan { poster: share(), reader: share(), socket: share() };
    (plan, sometimes(&mut rng, 2, 100))
}

fn limits(rng: &mut Rng) -> Limits {
    let off = |rng: &mut Rng| rng.below(3) == 0;
    let message = if rng.below(3) == 0 { 65_530 } else { rng.scale(64, 8_000) as usize };
    let outbox = rng.scale(2 * 1024, 256 * 1024) as usize;
    Limits {
        connections: if rng.below(4) == 0 { rng.size(2, 8) } else { 1_000 },
        messages_per_s: (!off(rng)).then(|| rng.scale(20, 200) as u32),
        message_burst: rng.scale(1, 40) as u32,
        bytes_per_s: (!off(rng)).then(|| rng.scale(16 * 1024, 256 * 1024) as u32),
        byte_burst: rng.scale(66 * 1024, 1024 * 1024) as u32,
        message,
        outbox: outbox.max(2 * message),
        store: (outbox.max(2 * message)) * rng.size(1, 12),
        detect: rng.scale(20 * MS, SECOND),
        frame_timeout: rng.scale(SECOND / 2, 10 * SECOND),
        idle: rng.scale(3 * SECOND, 15 * SECOND),
        keepalive: rng.scale(SECOND / 2, 6 * SECOND),
        stall: rng.scale(SECOND / 2, 10 * SECOND),
        recent: if rng.below(5) == 0 { 64 << 20 } else { rng.scale(1, 12_000) as usize },
        rooms: if rng.below(4) == 0 { 2 } else { 100 },
        rooms_joined: if rng.below(4) == 0 { 2 } else { 100 },
        shutdown_timeout: rng.scale(SECOND / 10, 5 * SECOND),
        endpoint_names: rng.below(4) == 0,
        pace: rng.below(3) != 0,
    }
}

fn store(rng: &mut Rng) -> StorePlan {
    let shortest = rng.scale(10, 5 * MS);
    StorePlan {
        at_once: rng.below(2) == 0,
        delay: (shortest, shortest * rng.range(1, 20)),
        batch_max: rng.size(1, 64),
        refuses: sometimes(rng, 4, 100),
        full: None,
        durable: rng.below(2) == 0,
    }
}

fn temper(rng: &mut Rng, limits: &Limits) -> Temper {
    let size = (limits.message as u64).min(if rng.below(6) == 0 { 40_000 } else { 1_000 });
    let shortest = rng.scale(MS, 300 * MS);
    Temper {
        think: (shortest, shortest * rng.range(2, 20)),
        keepalive: limits.idle / 3,
        silence: sometimes(rng, 3, 300),
        size,
        burst: rng.scale(2, if size > 1_000 { 8 } else { 300 }),
        apart: rng.scale(1, 200 * MS),
        half: sometimes(rng, 2, 200),
        abandon: sometimes(rng, 2, 800),
        bad: sometimes(rng, 2, 300),
        moods: sometimes(rng, 2, 300),
        finish: sometimes(rng, 2, 40),
        reset: sometimes(rng, 3, 40),
        vanish: sometimes(rng, 4, 20),
        repeats: if limits.recent > 1 << 20 { sometimes(rng, 2, 400) } else { 0 },
        kicks: if rng.below(3) == 0 { rng.range(20, 150) } else { 0 },
        talks: 0,
        drops: 0,
        again: false,
    }
}

fn network(rng: &mut Rng, limits: &Limits, size: u64) -> NetPlan {
    let shortest = rng.scale(1, 20 * MS) - 1;
    NetPlan {
        delay: (shortest, shortest + rng.scale(1, 50 * MS)),
        call_cost: if rng.below(2) == 0 { rng.scale(1, 40) } else { 0 },
        late: if rng.below(2) == 0 { rng.scale(1, 3 * MS) } else { 0 },
        segment_max: rng.scale(40 + size / 8, 64 * 1024) as usize,
        inbox_max: rng.scale(512, 64 * 1024) as usize,
        send_max: rng.scale(256, 64 * 1024) as usize,
        client_inbox_max: rng.scale(256, 64 * 1024) as usize,
        short_reads: sometimes(rng, 2, 900),
        short_writes: sometimes(rng, 2, 900),
        interrupted: sometimes(rng, 3, 200),
        pretended_again: sometimes(rng, 3, 200),
        partial_polls: sometimes(rng, 2, 900),
        stale_events: sometimes(rng, 2, 900),
        strict_edges: rng.below(3) != 0,
        descriptors: if rng.below(6) == 0 { rng.size(3, 10) } else { 10_000 },
        message_max: limits.message,
    }
}
