//! The world around the daemon: network, clients, store and oracle under one clock. It moves only
//! while the daemon polls; what it does there is all that the daemon ever sees.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hub::{Fetch, Outcome, Peer, Rights, Ticket};
use proto::Transport;

use crate::asking::Greeting;
use crate::clients::{Client, Life, Sort};
use crate::clock::{Clock, MS, SECOND, Wake};
use crate::driver::Outside;
use crate::net::{Net, Stage};
use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::swarm::{Plan, WebPlan};
use crate::trace::{Kind, Trace};
use crate::web;

/// What the hub lets one user have at once on the control socket.
const CONTROL_CONNECTIONS_BY_USER_MAX: usize = 16;

/// The listener of TCP and the control socket, as the network numbers them.
pub const TCP: usize = 0;
/// See `TCP`.
pub const CONTROL: usize = 1;

/// What the run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Clients come and go, faults happen.
    Chaos,
    /// No new faults; everything that is owed must come.
    Healing,
    /// TERM was sent.
    Stopping,
}

/// A message on its way through the simulated store.
pub struct InStore {
    /// The daemon's ticket.
    pub ticket: Ticket,
    /// The oracle's number; of what was stored before that of the first.
    pub number: usize,
    /// It was stored before: what it is told then.
    pub known: Option<Outcome>,
}

/// The simulated store's inside.
#[derive(Default)]
pub struct StoreState {
    pub holds: VecDeque<InStore>,
    /// Answers that wait to be fetched: ticket, number, stored.
    pub answers: Vec<(InStore, bool)>,
    pub busy: bool,
    /// The numbers of the messages that a durable store keeps, by room and place.
    pub kept: BTreeMap<String, BTreeMap<u64, usize>>,
    /// The same by their ids.
    pub ids: BTreeMap<[u8; 16], usize>,
    /// What it was asked for and has not found, and what it has found since.
    pub asked: VecDeque<Fetch>,
    pub found: VecDeque<Fetch>,
    /// The daemon is to be woken for the answers.
    pub woke: bool,
}

/// Everything outside the daemon.
pub struct World {
    pub net: Net,
    pub oracle: Oracle,
    pub clients: Vec<Client>,
    pub plan: Plan,
    pub phase: Phase,
    pub store: StoreState,
    pub stop_signal: bool,
    /// How late the last poll woke, and when it did.
    pub lateness: u64,
    pub woke_at: u64,
    /// When the machine last woke from a sleep of its own.
    pub resumed_at: u64,
    /// The loop asked to sleep for ever, and nothing would ever happen.
    pub asleep_for_ever: bool,
    pub healed_at: u64,
    pub settled_once: bool,
    rng: Rng,
    /// Chance of its own for who comes over HTTP, so that seeds without them do everything else as before.
    web: Rng,
    arrivals_left: usize,
    suspended: bool,
    phase_due: bool,
}

/// An address in one of the networks that clients come from.
pub fn address(place: u64, host: u16) -> IpAddr {
    let place = u16::try_from(place).expect("few addresses");
    if place.is_multiple_of(2) {
        Ipv6Addr::new(0x2001, 0xdb8, 0, place, host, 0, 0, 1).into()
    } else {
        Ipv4Addr::new(192, 0, 2, place as u8).into()
    }
}

impl World {
    /// The world of a plan, at its beginning.
    pub fn new(plan: Plan, trace_all: bool) -> Self {
        let mut rng = Rng::new(plan.seed ^ 0x5eed);
        let start = rng.range(0, 1 << 40);
        let net = Net::new(Clock::new(start), Trace::new(trace_all), rng.fork(), plan.net.clone());
        let mut world = Self {
            net,
            oracle: Oracle {
                server_name: "sim.server".into(),
                outbox: plan.limits.outbox,
                places: plan.quotas.addresses,
                durable: plan.store.durable,
                ..Oracle::default()
            },
            clients: Vec::new(),
            phase: Phase::Chaos,
            store: StoreState::default(),
            stop_signal: false,
            lateness: 0,
            woke_at: start,
            resumed_at: start,
            asleep_for_ever: false,
            healed_at: 0,
            settled_once: false,
            arrivals_left: plan.clients,
            suspended: false,
            phase_due: false,
            rng,
            web: Rng::new(plan.seed ^ 0x3eb),
            plan,
        };
        world.schedule_faults();
        world
    }

    fn schedule_faults(&mut self) {
        let clock = &mut self.net.clock;
        let chaos = self.plan.chaos;
        clock.after(0, Wake::Arrival);
        clock.after(chaos, Wake::Phase);
        if self.plan.starves {
            let from = self.rng.below(chaos);
            clock.after(from, Wake::Descriptors(true));
            clock.after(from + self.rng.scale(MS, 4 * SECOND), Wake::Descriptors(false));
        }
        if self.plan.wall_steps {
            for _ in 0..4 {
                let by = self.rng.range(0, 7_200 * SECOND) as i64 - 3_600 * SECOND as i64;
                clock.after(self.rng.below(chaos), Wake::WallStep(by));
            }
        }
    }

    fn sleep_until_ready(&mut self, timeout: Option<u64>) {
        if self.net.rng.chance(self.net.plan.interrupted) {
            return;
        }
        self.run_due();
        if self.anything_ready() || timeout == Some(0) {
            return;
        }
        let deadline = timeout.map(|timeout| self.net.clock.now() + timeout);
        while !self.anything_ready() {
            let next = self.net.clock.next();
            let until = match (next, deadline) {
                (Some(next), Some(deadline)) => next.min(deadline),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => {
                    self.asleep_for_ever = true;
                    return;
                }
            };
            self.net.clock.advance(until);
            if next == Some(until) {
                self.run_due();
            } else {
                break;
            }
        }
        self.oversleep();
    }

    /// The loop wakes late by its dice, and once, perhaps, after the machine itself has slept.
    fn oversleep(&mut self) {
        let mut late = self.rng.below(self.plan.net.late + 1);
        if let Some(length) = self.plan.suspends
            && self.phase == Phase::Chaos
            && !self.suspended
            && self.rng.chance(3)
        {
            self.suspended = true;
            late += length;
        }
        let until = self.net.clock.now() + late;
        while let Some(next) = self.net.clock.next().filter(|next| *next <= until) {
            self.net.clock.advance(next.max(self.net.clock.now()));
            self.run_due();
        }
        self.net.clock.advance(until.max(self.net.clock.now()));
        self.lateness = late;
        if late >= SECOND {
            self.resumed_at = until;
        }
    }

    fn anything_ready(&self) -> bool {
        self.net.anything_ready() || self.store.woke || self.stop_signal || self.phase_due
    }

    /// The run's next phase was due: true once.
    pub fn take_phase(&mut self) -> bool {
        std::mem::take(&mut self.phase_due)
    }

    fn run_due(&mut self) {
        while let Some(wake) = self.net.clock.due() {
            self.run(wake);
        }
    }

    fn run(&mut self, wake: Wake) {
        let calm = self.phase != Phase::Chaos;
        self.oracle.now = self.net.clock.now();
        match wake {
            Wake::Dial(no) => self.net.arrive_dial(no),
            Wake::Arrive(no) => self.net.arrive(no),
            Wake::Deliver(no) => {
                if self.net.deliver(no) {
                    self.clients[no].wake_reader(&mut self.net);
                }
            }
            Wake::Again(no, readable) => self.net.again(no, readable),
            Wake::Act(no) => {
                self.clients[no].act(&mut self.net, &mut self.oracle, calm);
                self.may_come_back(no);
            }
            Wake::Sip(no) => {
                self.clients[no].sip(&mut self.net, &mut self.oracle);
                self.may_come_back(no);
            }
            Wake::Return(no) => self.comes_back(no),
            Wake::Stored => self.finish_store(),
            Wake::Found => self.find(),
            Wake::Arrival => self.arrival(),
            Wake::Descriptors(starved) => self.net.descriptors(starved && !calm),
            Wake::WallStep(by) => self.net.clock.wall_ahead += by,
            Wake::Phase => self.phase_due = true,
            Wake::Kill | Wake::Prune | Wake::Space(_) => unreachable!("nobody does that here"),
        }
    }

    /// The next client connects.
    fn arrival(&mut self) {
        if self.arrivals_left == 0 || self.phase != Phase::Chaos {
            return;
        }
        self.arrivals_left -= 1;
        let dice = self.rng.below(1_000);
        let Plan { mute, v1, control, foreign, .. } = self.plan;
        let sort = match dice {
            _ if dice < control => Sort::Control,
            _ if dice < control + mute => Sort::Mute,
            _ if dice < control + mute + foreign => Sort::Foreign,
            _ if dice < control + mute + foreign + v1 => Sort::V1,
            _ => self.native_or_web(),
        };
        let no = self.connect(sort);
        // Who comes with a request says it at once.
        let first = if sort.is_web() { 0 } else { self.rng.scale(1, 2 * SECOND) };
        self.net.clock.after(first, Wake::Act(no));
        let next = self.rng.scale(1, self.plan.arrivals);
        self.net.clock.after(next, Wake::Arrival);
    }

    /// Most are v0.5 clients; some come over HTTP, where the plan has them.
    fn native_or_web(&mut self) -> Sort {
        let dice = self.web.below(1_000);
        let WebPlan { poster, reader, socket } = self.plan.web;
        match dice {
            _ if dice < poster => Sort::Poster,
            _ if dice < poster + reader => Sort::Reader,
            _ if dice < poster + reader + socket => Sort::Socket,
            _ => Sort::Native,
        }
    }

    /// Somebody of this sort connects.
    fn connect(&mut self, sort: Sort) -> usize {
        let listener = if sort == Sort::Control { CONTROL } else { TCP };
        let no = self.net.dial(listener);
        let login = (sort == Sort::Control).then(|| format!("user{}", no % 3));
        self.oracle.connect(login);
        self.oracle.voices[no].is_guest = sort == Sort::Socket;
        if self.plan.empties && self.oracle.empty_sayer.is_none() && sort == Sort::Native {
            self.oracle.empty_sayer = Some(no);
        }
        let mut client = Client::new(no, sort, self.rng.fork(), self.plan.temper.clone());
        client.asking.admin = self.rng.chance(500);
        client.exempt = self.rng.chance(self.plan.exempt);
        self.net.note(Kind::Connect, no, sort as u64, 0);
        self.clients.push(client);
        no
    }

    /// Somebody whose connection is gone may come again.
    fn may_come_back(&mut self, no: usize) {
        if let Some(pause) = web::comes_back(&mut self.clients[no]) {
            self.net.clock.after(pause, Wake::Return(no));
        }
    }

    /// Somebody comes again, and knows what there was before.
    fn comes_back(&mut self, before: usize) {
        if self.phase == Phase::Stopping {
            return;
        }
        let sort = self.clients[before].sort;
        let memory = web::remembered(&mut self.clients[before]);
        let no = self.connect(sort);
        self.clients[no].web = memory;
        self.net.clock.after(0, Wake::Act(no));
    }

    // ---- the store -------------------------------------------------------------------------------

    /// A message came to the store.
    pub fn store_submit(&mut self, held: InStore) {
        self.store.holds.push_back(held);
        if self.plan.store.at_once || self.phase == Phase::Healing {
            let woke = self.store.woke;
            self.finish_store();
            // They are taken in this very turn.
            self.store.woke = woke;
        } else if !self.store.busy {
            self.store.busy = true;
            let delay = self.rng.range(self.plan.store.delay.0, self.plan.store.delay.1);
            self.net.clock.after(delay, Wake::Stored);
        }
    }

    /// One batch of what the store holds is answered.
    fn finish_store(&mut self) {
        self.store.busy = false;
        let count = self.rng.size(1, self.plan.store.batch_max);
        let whole = self.plan.store.at_once || self.phase == Phase::Healing;
        let count = if whole { self.store.holds.len() } else { count.min(self.store.holds.len()) };
        let now = self.net.clock.now();
        let is_full = self.plan.store.full.is_some_and(|(every, span)| now % every < span);
        let refuses = match self.phase {
            Phase::Healing => 0,
            _ if is_full => 1_000,
            _ => self.plan.store.refuses,
        };
        for held in self.store.holds.drain(..count) {
            let stored = held.known.is_some() || !self.rng.chance(refuses);
            if stored && held.known.is_none() && self.plan.store.durable {
                let message = &self.oracle.messages[held.number];
                let kept = self.store.kept.entry(message.room.clone()).or_default();
                let before = kept.insert(message.seq, held.number);
                assert!(before.is_none(), "a place has one message");
                let before = self.store.ids.insert(message.id, held.number);
                assert!(before.is_none(), "an id has one message");
            }
            self.store.answers.push((held, stored));
        }
        self.store.woke |= !self.store.answers.is_empty();
        if !self.store.holds.is_empty() {
            self.store.busy = true;
            let delay = self.rng.range(self.plan.store.delay.0, self.plan.store.delay.1);
            self.net.clock.after(delay, Wake::Stored);
        }
    }

    /// The store is asked for past messages.
    pub fn store_fetch(&mut self, fetch: Fetch) {
        assert!(self.plan.store.durable, "a store that keeps nothing is never asked");
        self.store.asked.push_back(fetch);
        let (least, most) = self.plan.store.delay;
        let calm = self.plan.store.at_once || self.phase == Phase::Healing;
        let delay = if calm { 1 } else { self.rng.range(least, most) };
        self.net.clock.after(delay, Wake::Found);
    }

    fn find(&mut self) {
        let fetch = self.store.asked.pop_front().expect("each question is found once");
        self.store.found.push_back(fetch);
        self.store.woke = true;
    }

    // ---- phases ----------------------------------------------------------------------------------

    /// The faults end.
    pub fn heal(&mut self) {
        self.phase = Phase::Healing;
        self.healed_at = self.net.clock.now();
        self.net.note(Kind::Phase, 0, 1, 0);
        self.net.plan.heal();
        self.net.descriptors(false);
        if !self.store.holds.is_empty() {
            self.finish_store();
        }
        for client in &mut self.clients {
            client.calm(&mut self.net);
        }
        self.net.clock.after(SECOND, Wake::Phase);
    }

    /// True once nothing is under way any more: all bytes are where they belong, and connections that
    /// must end have ended.
    pub fn settled(&self) -> Result<(), String> {
        for (no, link) in self.net.links.iter().enumerate() {
            let client = &self.clients[no];
            let open = link.stage == Stage::Open;
            let dying = link.fin_seen || link.reset || link.vanished || client.bad_from.is_some();
            let dying = dying || self.oracle.voices[no].turned_away;
            if open && dying {
                return Err(format!("#{no} ({:?}) ought to be closed", client.sort));
            }
            if open && !(link.flight.is_empty() && link.inbox.is_empty()) {
                return Err(format!("#{no} has bytes that the daemon does not read"));
            }
            let moving = !link.sendq.is_empty() || !link.client_inbox.is_empty();
            if moving && open && client.life != Life::Gone {
                return Err(format!("#{no} has bytes under way to it"));
            }
            if open && self.oracle.is_held_back(no) {
                return Err(format!("#{no} said what the store has not taken yet"));
            }
            if matches!(link.stage, Stage::Dialing | Stage::Waiting)
                && self.net.plan.descriptors > 1_000
            {
                return Err(format!("#{no} waits to be accepted"));
            }
        }
        let StoreState { holds, answers, asked, found, .. } = &self.store;
        if !(holds.is_empty() && answers.is_empty() && asked.is_empty() && found.is_empty()) {
            return Err("the store is not done".into());
        }
        if self.oracle.awaits_expulsion() {
            return Err("somebody is still to go".into());
        }
        Ok(())
    }

    /// Everything that was owed has come.
    pub fn check_complete(&mut self) {
        assert!(!self.oracle.awaits_store(), "messages wait for a store that has answered");
        let open = |client: &&Client| self.net.links[client.no].stage == Stage::Open;
        let open: Vec<&Client> = self.clients.iter().filter(open).collect();
        self.oracle.check_talks(&open);
        for no in 0..self.clients.len() {
            let link = &self.net.links[no];
            if link.stage != Stage::Open {
                continue;
            }
            self.oracle.check_all_decided(no, link.read_total);
            self.oracle.check_directs(no);
            let asking = &self.clients[no].asking;
            match self.clients[no].sort {
                Sort::V1 | Sort::Control => {
                    let asked = &asking.asked;
                    assert!(asked.is_empty(), "#{no} got no reply to {asked:?}");
                    let faceless = asking.faceless;
                    assert!(faceless == 0, "#{no} got no answer to {faceless} bad requests");
                }
                Sort::Socket => {
                    let waits = asking.asked.len() + asking.faceless as usize;
                    assert!(waits == 0, "#{no} got no reply to {:?}", asking.asked);
                    let pings = &self.clients[no].web.pings;
                    assert!(pings.is_empty(), "#{no} got no answer to the pings {pings:?}");
                    assert_eq!(asking.greeting, Greeting::Done, "#{no} is no socket");
                }
                Sort::Poster => {
                    let asked = &self.clients[no].web.asked;
                    assert!(asked.is_empty(), "#{no} got no answer to {asked:?}");
                }
                Sort::Native | Sort::Mute | Sort::Foreign | Sort::Reader => {}
            }
            match self.clients[no].sort {
                Sort::V1 if asking.greeting != Greeting::Done => {
                    self.oracle.check_native_complete(no);
                }
                Sort::V1 | Sort::Control | Sort::Socket | Sort::Reader => {
                    self.oracle.check_followed_complete(no);
                }
                Sort::Native | Sort::Mute => self.oracle.check_native_complete(no),
                Sort::Foreign | Sort::Poster => {}
            }
        }
    }

    /// Where a client comes from: half of them by IPv6, each from a network of its own or one of its neighbours'.
    pub fn address(&self, no: usize) -> Option<IpAddr> {
        if self.clients[no].sort == Sort::Control {
            return None;
        }
        Some(address(no as u64 % self.plan.quotas.addresses, no as u16))
    }

    /// Those who share a client's quota by address: itself, too, unless it has none or was turned away.
    fn neighbours(&self, no: usize) -> impl Iterator<Item = usize> {
        let counted = move |other: usize| {
            let client = &self.clients[other];
            let counts = !self.oracle.voices[other].turned_away;
            client.sort != Sort::Control && !client.exempt && counts
        };
        let addresses = self.plan.quotas.addresses as usize;
        (0..self.clients.len())
            .filter(move |other| other % addresses == no % addresses && counted(no))
            .filter(move |other| counted(*other))
    }

    fn has_too_many(&self, no: usize) -> bool {
        let open = self.neighbours(no).filter(|other| self.net.links[*other].stage == Stage::Open);
        let open = open.count();
        self.plan.quotas.clients_per_ip.is_some_and(|most| open >= most as usize)
    }

    /// Whether a user's other control connections are as many as one user may have.
    fn user_has_too_many(&self, no: usize) -> bool {
        let login = |no: usize| self.oracle.voices[no].login.as_deref();
        let others = (0..self.clients.len()).filter(|other| {
            self.net.links[*other].stage == Stage::Open && login(*other) == login(no)
        });
        login(no).is_some() && others.count() >= CONTROL_CONNECTIONS_BY_USER_MAX
    }

    fn comes_too_often(&self, no: usize) -> bool {
        let came = self.neighbours(no).filter(|other| self.net.links[*other].registered_at > 0);
        let came = came.count();
        self.plan.quotas.accepts.is_some_and(|(_, burst)| came >= burst as usize)
    }

    /// A connection is let stand that is over its address's share.
    pub fn turned_away(&mut self, no: usize) {
        assert!(self.has_too_many(no) || self.comes_too_often(no), "#{no} has done nothing");
        assert!(!self.clients[no].exempt, "#{no} has no share");
        let voice = &mut self.oracle.voices[no];
        (voice.turned_away, voice.leaving) = (true, true);
        let stand = (0..self.clients.len()).filter(|other| {
            self.oracle.voices[*other].turned_away && self.net.links[*other].stage == Stage::Open
        });
        assert!(stand.count() <= hub::TURNED_AWAY_CONNECTIONS_MAX, "only so many stand");
        self.oracle.reach("refuse", "stands");
    }

    /// TERM.
    pub fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.oracle.stopping = true;
        self.net.note(Kind::Phase, 0, 2, 0);
        self.stop_signal = true;
    }
}

impl Outside for World {
    fn net(&mut self) -> &mut Net {
        &mut self.net
    }

    fn sleep(&mut self, timeout: Option<u64>) {
        self.net.cost();
        self.lateness = 0;
        self.sleep_until_ready(timeout);
        self.woke_at = self.net.clock.now();
    }

    fn lateness(&self) -> u64 {
        self.lateness
    }

    fn take_woke(&mut self) -> bool {
        std::mem::take(&mut self.store.woke)
    }

    fn take_stop(&mut self) -> bool {
        std::mem::take(&mut self.stop_signal)
    }

    fn peer(&self, no: usize) -> Peer {
        let client = &self.clients[no];
        let login = self.oracle.voices[no].login.as_deref();
        let is_admin = login.is_some() && client.asking.admin;
        Peer {
            transport: if login.is_some() { Transport::ControlSocket } else { Transport::Stream },
            address: format!("sim:{no}").into(),
            ip: self.address(no),
            login: login.map(|name| proto::Nick::parse(name).expect("a good name")),
            rights: if is_admin { Rights::ADMIN } else { Rights::TALK },
            exempt: client.exempt,
            protocols: proto::Protocols::ALL,
        }
    }

    /// It must be at its limit, or ending.
    fn refused(&mut self, no: usize) {
        let full = self.net.by_token.len() >= self.plan.limits.connections;
        let limited =
            self.has_too_many(no) || self.comes_too_often(no) || self.user_has_too_many(no);
        let unwanted = self.phase == Phase::Stopping || self.oracle.may_be_kept_out(no);
        assert!(full || limited || unwanted, "#{no} was refused without a cause");
    }

    fn registered(&mut self, no: usize) {
        self.oracle.now = self.net.clock.now();
        self.oracle.registered(no);
    }

    fn wrote(&mut self, no: usize) {
        self.oracle.wrote(no);
    }

    fn closed(&mut self, no: usize) {
        self.oracle.now = self.net.clock.now();
        self.oracle.closed(no);
    }
}
