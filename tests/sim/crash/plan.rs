//! The plan of a seed in the world in which the daemon dies: how it is killed, what its store suffers, who talks.

use tests::checker::Deliver;

use crate::clock::{MS, SECOND};
use crate::rng::Rng;
use crate::swarm::Plan;

/// What the store suffers; chances are per mille.
#[derive(Clone, Debug)]
pub struct StoreFaults {
    /// Shortest and longest time of a commit, and of a page.
    pub delay: (u64, u64),
    pub batch_max: usize,
    /// A commit breaks.
    pub breaks: u64,
    /// What broke cannot be mended: the daemon is to end.
    pub fails: u64,
    /// The disk is full for a while.
    pub fills: bool,
    /// A page cannot be read.
    pub unreadable: u64,
    pub prunes: bool,
    /// Numbers are reserved so many at once.
    pub reserves: u64,
    /// An id that is new may be an old one for all that the loop knows.
    pub unsure: u64,
}

impl StoreFaults {
    /// The same without faults.
    pub fn heal(&mut self) {
        (self.breaks, self.fails, self.unreadable) = (0, 0, 0);
        (self.fills, self.prunes) = (false, false);
        self.delay = (MS / 10, MS);
    }
}

/// Everything that a seed decides before its first event.
#[derive(Clone, Debug)]
pub struct CrashPlan {
    pub seed: u64,
    /// Network, limits and clients as in the other world, but for what would only be in the way.
    pub base: Plan,
    pub deliver: Deliver,
    /// Who speaks v1, and who v0.5.
    pub people: usize,
    pub chatters: usize,
    /// How long the faults last.
    pub chaos: u64,
    /// How often the daemon ends meanwhile, per mille of these by TERM.
    pub ends: usize,
    pub terms: u64,
    /// How long until another begins, at most.
    pub away: u64,
    /// A connection is let go of by its client, per mille of its acts.
    pub lets_go: u64,
    /// The last fault is a kill.
    pub killed_last: bool,
    /// The daemon ends cleanly and begins anew before everything is read back.
    pub restarted_last: bool,
    pub store: StoreFaults,
}

impl CrashPlan {
    /// What this seed does.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xc4a5_8000);
        let rng = &mut rng;
        let mut base = Plan::of(rng.next());
        let limits = &mut base.limits;
        (limits.connections, limits.rooms, limits.rooms_joined) = (1_000, 100, 100);
        (limits.messages_per_s, limits.bytes_per_s) = (None, None);
        limits.message = limits.message.max(256);
        base.net.message_max = limits.message;
        limits.outbox = limits.outbox.max(2 * limits.message);
        limits.store = limits.store.max(limits.outbox);
        base.net.descriptors = 10_000;
        let quotas = &mut base.quotas;
        (quotas.clients_per_ip, quotas.accepts, quotas.fanout) = (None, None, None);
        (quotas.nick_changes, quotas.kept) = (None, None);
        base.store.durable = true;
        let people = rng.size(1, 7);
        let acts = rng.scale(60, 400);
        let think = u64::midpoint(base.temper.think.0, base.temper.think.1);
        Self {
            seed,
            deliver: if rng.below(4) == 0 { Deliver::AtOnce } else { Deliver::Stored },
            people,
            chatters: if rng.below(3) == 0 { rng.size(1, 3) } else { 0 },
            chaos: (acts * think / people as u64).clamp(SECOND / 2, 30 * SECOND),
            ends: rng.size(1, 4),
            terms: if rng.below(2) == 0 { 300 } else { 0 },
            away: rng.scale(MS, 2 * SECOND),
            lets_go: if rng.below(2) == 0 { rng.scale(1, 50) } else { 0 },
            killed_last: rng.below(3) == 0,
            restarted_last: rng.below(2) == 0,
            store: store(rng),
            base,
        }
    }
}

fn store(rng: &mut Rng) -> StoreFaults {
    let on = |rng: &mut Rng, one_in: u64| rng.below(one_in) == 0;
    let shortest = rng.scale(10, 20 * MS);
    StoreFaults {
        delay: (shortest, shortest * rng.range(1, 20)),
        batch_max: rng.size(1, 32),
        breaks: if on(rng, 3) { rng.scale(10, 200) } else { 0 },
        fails: if on(rng, 3) { 300 } else { 0 },
        fills: on(rng, 4),
        unreadable: if on(rng, 6) { rng.scale(10, 300) } else { 0 },
        prunes: on(rng, 4),
        reserves: rng.scale(1, 64),
        unsure: if on(rng, 2) { 200 } else { 0 },
    }
}
