//! The second oracle: limits, deadlines and reasons. After every turn memory is within its limits and
//! nothing is overdue; every close that the daemon reports has a cause that the simulator knows of.

use std::cell::RefCell;
use std::rc::Rc;

use chatd::turn::Log;
use hub::{CloseReason, ConnId, Hub, Level, Notice};

use crate::asking::{Asked, Greeting};
use crate::clients::{Client, Life, Sort};
use crate::clock::{MS, SECOND};
use crate::driver::Shared;
use crate::net::{Link, Stage};
use crate::pairing::TALK_BYTES_MAX;
use crate::poster::Request;
use crate::swarm::{Limits, Plan, Quotas};
use crate::trace::Kind;
use crate::world::{Phase, World};

/// A deadline may be met this much late: the wheel's tick, the flush's pause and the calls' cost.
const SLACK: u64 = 20 * MS;
/// The most that one read takes.
const READ_BYTES_MAX: usize = 64 * 1024;
/// The longest answer to most requests.
const ANSWER_BYTES_MAX: usize = 300;
/// The longest answer to those that look something up.
const LOOK_BYTES_MAX: usize = 8 * 1024;
/// The longest `gap` or `bye`.
const GAP_BYTES_MAX: usize = 160;
/// Whoever has said something has its turn in this time.
const FORGOTTEN_MAX: u64 = 2 * SECOND;
/// No frame may take longer than this.
const FRAME_TIMEOUT_MAX: u64 = 30 * SECOND;
/// Who is over its address's share stands no longer than this without a word.
const STANDS_MAX: u64 = SECOND;
/// How long the daemon waits at most for a peer to end its side, too.
const LINGERS_MAX: u64 = 5 * SECOND;

/// What is remembered of a connection between turns.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Bytes in its queue at the end of the last turn.
    pending: usize,
    /// How long the daemon has chosen not to read it, in all.
    paused: u64,
    /// It was not to be read at the end of the last turn.
    waits: bool,
    /// Since when it has bytes or whole frames that the daemon might take.
    work_since: Option<u64>,
}

/// What is remembered between turns.
pub struct Watch {
    limits: Limits,
    quotas: Quotas,
    seen: Vec<Seen>,
    turn_at: u64,
    /// Blocks and private bytes at the end of the last turn.
    queued: usize,
    /// Gaps told so far.
    gaps: u64,
    /// Bytes of input that were kept at the end of the last turn, and all that was read until then.
    kept: (usize, u64),
}

impl Watch {
    /// A watch over a run of this plan.
    pub fn new(plan: &Plan) -> Self {
        let (limits, quotas) = (plan.limits.clone(), plan.quotas.clone());
        Self { limits, quotas, seen: Vec::new(), turn_at: 0, queued: 0, gaps: 0, kept: (0, 0) }
    }

    /// A turn has ended.
    pub fn after_turn(&mut self, hub: &Hub, world: &mut World) {
        self.seen.resize(world.net.links.len(), Seen::default());
        self.memory_in_limits(hub, world);
        assert!(
            !world.net.forgotten_listener(),
            "connections wait, descriptors are free, nobody accepts"
        );
        let now = world.net.clock.now();
        let passed = now.saturating_sub(self.turn_at);
        self.turn_at = now;
        for (&token, &no) in &world.net.by_token {
            let id = ConnId::from_u64(token);
            let pending = hub.pending(id);
            self.seen[no].pending = pending;
            let limit = self.limits.outbox;
            assert!(pending <= limit, "#{no} has {pending} bytes queued, the limit is {limit}");
            self.no_work_forgotten(hub, id, no, world);
            // A pause may begin and end between two looks.
            let waits = !hub.wants_read(id);
            if std::mem::replace(&mut self.seen[no].waits, waits) || waits {
                self.seen[no].paused += passed;
            }
            if !waits && world.phase != Phase::Stopping {
                self.nothing_overdue(no, world);
            }
        }
        // What is held until the next flush may still be said.
        if !hub.is_said_full() {
            world.oracle.released_now = 0;
        }
        self.kept = (hub.memory().kept_bytes, read_in_all(world));
        if world.phase != Phase::Stopping {
            world.oracle.check_expulsions(world.woke_at, world.resumed_at);
        }
    }

    /// What the daemon could read or decide does not lie there.
    fn no_work_forgotten(&mut self, hub: &Hub, id: ConnId, no: usize, world: &World) {
        let waits = hub.wants_read(id) && !world.net.links[no].inbox.is_empty();
        let since = &mut self.seen[no].work_since;
        if !waits && !hub.has_kept_work(id) {
            *since = None;
            return;
        }
        let since = (*since.get_or_insert(world.woke_at)).max(world.resumed_at);
        let forgotten = world.woke_at.saturating_sub(since);
        assert!(
            forgotten <= FORGOTTEN_MAX,
            "#{no} has said something, forgotten for {forgotten} us"
        );
    }

    fn memory_in_limits(&mut self, hub: &Hub, world: &World) {
        let memory = hub.memory();
        self.queued = memory.blocks_bytes + memory.private_bytes;
        // A gap is told when its receiver takes something, which is after the budget was looked at.
        let gaps = std::mem::replace(&mut self.gaps, hub.stats().gaps);
        let told = (self.gaps - gaps) as usize * GAP_BYTES_MAX;
        let (queued, limit) = (self.queued, self.limits.store);
        assert!(queued <= limit + told, "{queued} bytes are queued, the limit is {limit}");
        let frame = (6 * self.limits.message + 4_096).max(66 * 1024);
        let kept_max = world.net.by_token.len() * (READ_BYTES_MAX + frame);
        let kept = memory.kept_bytes;
        let kept_max = self.quotas.kept.map_or(kept_max, |limit| limit.min(kept_max));
        assert!(kept <= kept_max, "{kept} bytes of input are kept, {kept_max} may be");
        let (recent, limit) = (memory.recent_bytes, self.limits.recent);
        assert!(recent <= limit, "{recent} bytes are recent, the limit is {limit}");
    }

    /// A connection that is neither paused nor on its way out has no deadline behind it.
    fn nothing_overdue(&self, no: usize, world: &World) {
        let (link, client) = (&world.net.links[no], &world.clients[no]);
        let seen = self.seen[no];
        let slack = SLACK + world.lateness;
        let now = world.woke_at;
        let age = |since: u64| now.saturating_sub(since.max(world.resumed_at));
        if world.oracle.voices[no].turned_away {
            let stands = if link.wrote_total == 0 { age(link.registered_at) } else { 0 };
            assert!(stands <= STANDS_MAX + slack, "#{no} stands for {stands} us");
            return;
        }
        // Who has asked over HTTP says nothing while it takes the answer.
        let asked = asks_over_http(client);
        if is_to_be_heard_of(client) && !(asked && seen.pending > 0) {
            let taken = if asked { link.wrote_at } else { 0 };
            let silent = age(link.read_at.max(taken));
            // Whose end was told, perhaps for its silence, is waited for, so that nothing is lost on the way.
            let most = self.limits.idle + if link.half_closed { LINGERS_MAX } else { 0 };
            let allowed = most + seen.paused + slack;
            assert!(silent <= allowed, "#{no} was silent for {silent} us and is still there");
        }
        // Who is told its end is not waited for to say something whole.
        let half = half_frame(link, client).filter(|_| !link.half_closed);
        if let Some((since, length)) = half {
            let whole = self.limits.frame_timeout + (length / 1024 + 1) * SECOND;
            let allowed =
                whole.min(FRAME_TIMEOUT_MAX.max(self.limits.frame_timeout)) + seen.paused + slack;
            let half = age(since);
            assert!(half <= allowed, "#{no} has half a frame for {half} us and is still there");
        }
        if link.write_blocked && seen.pending > 0 {
            let stuck = age(link.blocked_at.max(link.wrote_at));
            assert!(
                stuck <= self.limits.stall + slack,
                "#{no} takes nothing for {stuck} us and is still there"
            );
        }
        if let Some(since) = native_since(link, client, self.limits.detect)
            && seen.pending == 0
        {
            let quiet = age(link.wrote_at.max(since));
            assert!(
                quiet <= self.limits.keepalive + slack,
                "#{no} got nothing for {quiet} us, no keepalive"
            );
        }
    }

    /// The daemon says that its memory is short: it must have had, at the end of the last turn and with
    /// what was said or asked for since, more than its budget.
    fn pressed(&self, bytes: usize, limit: usize, world: &World) {
        assert!(bytes > limit && limit == self.limits.store, "{bytes} bytes are not over {limit}");
        let asked = |client: &Client| {
            let streams = usize::from(client.web.stream.is_some());
            let asked = client.asking.asked.len() + client.asking.faceless as usize;
            asked + client.web.asked.len() + streams
        };
        let pages: usize = world.clients.iter().map(asked).sum();
        let told = world.net.by_token.len() * GAP_BYTES_MAX;
        let talkers = world.clients.iter().filter(|client| client.asking.side.begun).count();
        let told = told + talkers * TALK_BYTES_MAX;
        let most = self.queued + world.oracle.released_now + pages * self.limits.outbox + told;
        assert!(bytes <= most, "{bytes} bytes are queued, and {most} at most can be");
    }

    /// The daemon says why it closed a connection: the simulator must know that cause.
    fn closed(&self, no: usize, reason: &CloseReason, world: &World) {
        let (link, client) = (&world.net.links[no], &world.clients[no]);
        let now = world.net.clock.now();
        let aged = |since: u64, limit: u64| now.saturating_sub(since) + SLACK >= limit;
        let limits = &self.limits;
        let pending = self.seen.get(no).map_or(0, |seen| seen.pending);
        let paging = client.asking.asks(|asked| matches!(asked, Asked::History)) > 0
            || client.web.asked.iter().any(Request::is_page);
        // What is held for an undecided connection is not yet counted as queued.
        let held = if link.wrote_total == 0 { world.oracle.native_owed(no) } else { 0 };
        let voice = &world.oracle.voices[no];
        let wishes = voice.wishes.iter().filter(|wish| wish.granted.is_none()).count();
        let looks = client.asking.asks(|asked| matches!(asked, Asked::Other | Asked::Admin));
        let asked = client.asking.asks(|_| true) + client.asking.faceless as usize;
        let looks = looks + client.web.asked.len();
        let answers = (wishes + asked) * ANSWER_BYTES_MAX + looks * LOOK_BYTES_MAX;
        let talks = if client.asking.side.begun { world.clients.len() * TALK_BYTES_MAX } else { 0 };
        let more = world.oracle.released_now + world.oracle.directs_under_way() + held + answers;
        let more = more + talks;
        let believable = match reason {
            CloseReason::PeerClosed => link.fin_seen,
            CloseReason::Answered => {
                let stream = client.web.stream.as_ref();
                let is_last = client.web.is_last || stream.is_some_and(|stream| stream.is_last);
                client.sort == Sort::Foreign || is_last
            }
            CloseReason::SocketClosed => client.web.said_close,
            CloseReason::Reset => link.reset,
            CloseReason::Idle => is_to_be_heard_of(client) && aged(link.read_at, limits.idle),
            CloseReason::FrameTimeout => {
                half_frame(link, client).is_some_and(|(since, _)| aged(since, limits.frame_timeout))
            }
            CloseReason::Stall => link.write_blocked && aged(link.wrote_at, limits.stall),
            CloseReason::OutboxFull => pending + more > limits.outbox || paging,
            CloseReason::MemoryBudget => world.oracle.memory_short,
            CloseReason::TooLarge | CloseReason::Fault(_) => {
                client.bad_from.is_some_and(|from| link.read_total > from)
                    || client.sort.is_web() && is_late_to_choose(link, limits.detect)
            }
            CloseReason::StoreUnavailable => world.oracle.voices[no].store_refused,
            // Nobody comes through a proxy here, this store never breaks, and each listener serves everything.
            CloseReason::TooMany => voice.turned_away,
            CloseReason::StoreBroke | CloseReason::NotServed => false,
            CloseReason::Drain => world.phase == Phase::Stopping,
            CloseReason::Kicked | CloseReason::Banned => world.oracle.may_be_expelled(no),
            CloseReason::InputBudget => {
                let (kept, read) = self.kept;
                // Memory that grows is at most twice what is in it.
                let most = 2 * (kept as u64 + read_in_all(world) - read);
                self.quotas.kept.is_some_and(|limit| most > limit as u64)
            }
        };
        let sort = client.sort;
        assert!(
            believable,
            "#{no} ({sort:?}) was closed for {reason:?} without that cause, {pending} bytes were queued \
             and {more} more may be"
        );
    }
}

/// How many bytes of all connections the daemon has read.
fn read_in_all(world: &World) -> u64 {
    world.net.links.iter().map(|link| link.read_total).sum()
}

/// Since when the daemon has only a part of a frame, and how long that frame is.
fn half_frame(link: &Link, client: &Client) -> Option<(u64, u64)> {
    let read = if link.half_closed { link.heard_total } else { link.read_total };
    let whole = client.ends.partition_point(|end| *end <= read);
    let start = if whole == 0 { 0 } else { client.ends[whole - 1] };
    if start == read {
        return None;
    }
    let first = link.reads.partition_point(|(total, _)| *total <= start);
    let length = client.ends.get(whole).map_or(0, |end| end - start);
    link.reads.get(first).map(|(_, at)| (*at, length))
}

/// Since when a connection is a native one that gets keepalives, if it is.
fn native_since(link: &Link, client: &Client, detect: u64) -> Option<u64> {
    match client.sort {
        Sort::Native | Sort::Mute | Sort::V1 => {
            let first = link.reads.first().map_or(u64::MAX, |(_, at)| *at);
            Some(first.min(link.registered_at + detect))
        }
        // A stream or a WebSocket, until its end is told.
        Sort::Reader | Sort::Socket if client.asking.greeting == Greeting::Done => {
            Some(link.registered_at).filter(|_| !link.half_closed)
        }
        Sort::Control | Sort::Foreign | Sort::Poster | Sort::Reader | Sort::Socket => None,
    }
}

/// Whether a connection has asked over HTTP, and takes the answer.
fn asks_over_http(client: &Client) -> bool {
    let is_open = client.asking.greeting == Greeting::Done;
    client.sort == Sort::Foreign || client.sort.is_web() && !is_open
}

/// Whether a connection that says nothing for long is closed: not those of the control socket, nor who only reads.
fn is_to_be_heard_of(client: &Client) -> bool {
    match client.sort {
        Sort::Control => false,
        Sort::Reader => !client.web.stream.as_ref().is_some_and(|stream| stream.is_open),
        _ => true,
    }
}

/// Whether a connection may have been spoken to as a v0.5 one before its first bytes chose something else.
fn is_late_to_choose(link: &Link, detect: u64) -> bool {
    // What the shortest choice takes.
    let chosen = link.reads.iter().find(|(total, _)| *total >= 5).map_or(u64::MAX, |(_, at)| *at);
    chosen.saturating_add(SLACK) >= link.registered_at + detect
}

/// Whether a connection has got everything up to its end, which is an administrator's doing: then a `bye` is the last of it.
fn owes_bye(no: usize, reason: &CloseReason, world: &World) -> bool {
    let (link, client) = (&world.net.links[no], &world.clients[no]);
    let expelled = matches!(reason, CloseReason::Kicked | CloseReason::Banned);
    let stayed = client.life == Life::Living && client.bad_from.is_none();
    expelled && stayed && !link.write_blocked && !world.oracle.may_be_expelled_again(no)
}

/// The daemon's log in the simulated world: every notice goes into the trace, closes are judged.
pub struct SimLog {
    world: Shared<World>,
    watch: Rc<RefCell<Watch>>,
}

impl SimLog {
    /// A log in this world.
    pub fn new(world: Shared<World>, watch: Rc<RefCell<Watch>>) -> Self {
        Self { world, watch }
    }
}

impl Log for SimLog {
    fn notice(&mut self, notice: Notice) {
        let mut world = self.world.borrow_mut();
        let about =
            notice.subject().connection.and_then(|id| world.net.owners.get(&id.as_u64()).copied());
        let now = world.net.clock.now();
        world.net.trace.note_text(
            now,
            Kind::Notice,
            about.unwrap_or(0) as u32,
            &notice.to_string(),
        );
        if let Notice::MemoryPressure { bytes, limit } = notice {
            world.oracle.memory_short = true;
            self.watch.borrow().pressed(bytes, limit, &world);
        }
        match &notice {
            Notice::Skipped { .. } => {
                world.oracle.skipped(about.expect("who is skipped is there"));
                world.oracle.reach("notice", notice.kind());
            }
            Notice::Paused { .. } | Notice::MemoryPressure { .. } | Notice::StoreRefused { .. } => {
                world.oracle.reach("notice", notice.kind());
            }
            Notice::Refused { address, reason } => {
                world.oracle.reach("refuse", reason.word());
                let no = address.strip_prefix("sim:").and_then(|no| no.parse::<usize>().ok());
                // Who is closed at once has no place with the kernel.
                if let Some(no) = no.filter(|no| world.net.links[*no].stage == Stage::Open) {
                    world.turned_away(no);
                }
            }
            _ => {}
        }
        if let (Notice::Closed { reason, .. }, Some(no)) = (&notice, about) {
            self.watch.borrow().closed(no, reason, &world);
            world.oracle.voices[no].reason = Some((reason.clone(), now));
            world.oracle.reached.closed(reason);
            world.oracle.voices[no].bye_due |= owes_bye(no, reason, &world);
        }
    }

    fn line(&mut self, _level: Level, kind: chatd::log::Kind, text: String) {
        let mut world = self.world.borrow_mut();
        let now = world.net.clock.now();
        world.net.trace.note_text(now, Kind::Notice, 0, &format!("{}: {text}", kind.word()));
    }

    /// The trace has everything, whatever the level.
    fn set_level(&mut self, _level: Level) {}
}
