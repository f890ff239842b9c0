//! The world in which the daemon dies: network, clients and disk outlive it. It moves while a daemon polls, and while there is none.

use std::cell::{RefCell, RefMut};
use std::panic::resume_unwind;
use std::rc::Rc;

use hub::{Level, Notice, Peer, Planted, Rights};
use proto::Transport;
use tests::checker::{NEMESIS, Op, Record};

use crate::clock::{Clock, MS, SECOND, Wake};
use crate::driver::{Outside, Shared};
use crate::net::{Net, Stage};
use crate::reach::Reach;
use crate::rng::Rng;
use crate::trace::{Kind, Trace};

use super::chatter::Chatter;
use super::person::{Notes, Person};
use super::plan::CrashPlan;
use super::storage::Storage;

/// What the daemon calls itself.
pub const SERVER_NAME: &str = "sim.server";

/// A killed daemon lives for so many steps at most after the moment of its death was drawn.
const STEPS_LEFT_MAX: u64 = 300;

/// What the run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Everybody talks, and the daemon dies.
    Chaos,
    /// No new faults; everything that is owed must come.
    Healing,
    /// One reads everything from its beginning.
    Reading,
    /// TERM was sent, for good.
    Stopping,
}

/// The daemon was killed: its stack is unwound to whoever started it.
pub struct Killed;

/// Who is at a connection.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Person(usize),
    Chatter(usize),
    Reader,
}

/// See the module.
pub struct Scene {
    pub net: Net,
    pub plan: CrashPlan,
    pub planted: Option<Planted>,
    /// Out of its place while the daemon calls it.
    pub storage: Option<Storage>,
    pub people: Vec<Person>,
    pub chatters: Vec<Chatter>,
    /// The one who reads everything at the end.
    pub reader: Option<Person>,
    pub records: Vec<Record>,
    pub reached: Reach,
    pub phase: Phase,
    /// A daemon runs.
    pub is_up: bool,
    pub phase_due: bool,
    pub stop_signal: bool,
    /// The daemon dies after so many steps more.
    steps_left: Option<u64>,
    /// The faults are over once another daemon has begun.
    heals_with_next: bool,
    pub restarts_left: usize,
    lateness: u64,
    pub rng: Rng,
    owners: Vec<Owner>,
}

impl Scene {
    /// The scene of a plan, at its beginning.
    pub fn shared(plan: CrashPlan, planted: Option<Planted>, whole: bool) -> Shared<Self> {
        let mut rng = Rng::new(plan.seed ^ 0x5ce_4e00);
        let start = rng.range(1, 1 << 40);
        let net = Net::new(Clock::new(start), Trace::new(whole), rng.fork(), plan.base.net.clone());
        let storage = Storage::new(plan.store.clone(), plan.deliver, planted, rng.fork());
        let (temper, lets_go) = (&plan.base.temper, plan.lets_go);
        let person = |no| Person::new(no, rng.fork(), temper.clone(), lets_go);
        let people: Vec<Person> = (0..plan.people).map(person).collect();
        let chatter = |no| Chatter::new(no, rng.fork(), temper.clone(), lets_go);
        let chatters: Vec<Chatter> = (0..plan.chatters).map(chatter).collect();
        let mut scene = Self {
            net,
            planted,
            storage: Some(storage),
            people,
            chatters,
            reader: None,
            records: Vec::new(),
            reached: Reach::default(),
            phase: Phase::Chaos,
            is_up: false,
            phase_due: false,
            stop_signal: false,
            steps_left: None,
            heals_with_next: false,
            restarts_left: usize::from(plan.restarted_last),
            lateness: 0,
            rng,
            owners: Vec::new(),
            plan,
        };
        scene.schedule();
        Rc::new(RefCell::new(scene))
    }

    fn schedule(&mut self) {
        let Self { net, rng, plan, .. } = self;
        let chaos = plan.chaos;
        for no in 0..plan.people + plan.chatters {
            net.clock.after(rng.below(SECOND / 2), Wake::Act(no));
        }
        for _ in 0..plan.ends {
            net.clock.after(rng.below(chaos), Wake::Kill);
        }
        if plan.store.fills {
            let from = rng.below(chaos);
            net.clock.after(from, Wake::Space(false));
            net.clock.after(from + rng.scale(MS, chaos), Wake::Space(true));
        }
        if plan.store.prunes {
            for _ in 0..rng.size(1, 6) {
                net.clock.after(rng.below(chaos), Wake::Prune);
            }
        }
        net.clock.after(chaos, Wake::Phase);
        self.tell(Op::Fault, "chaos");
    }

    /// Whoever does harm writes it down.
    pub fn tell(&mut self, op: Op, why: &str) {
        self.records.push(Record::new(self.net.clock.now(), NEMESIS, 0, op).why(why));
    }

    pub fn storage(&mut self) -> &mut Storage {
        self.storage.as_mut().expect("it is in its place")
    }

    /// Whether the time for the next phase has come, once.
    pub fn take_phase(&mut self) -> bool {
        std::mem::take(&mut self.phase_due)
    }

    /// Lets time pass in which no daemon runs.
    pub fn pass(&mut self, span: u64) {
        let until = self.net.clock.now() + span;
        while let Some(next) = self.net.clock.next().filter(|next| *next <= until) {
            self.net.clock.advance(next.max(self.net.clock.now()));
            self.run_due();
        }
        self.net.clock.advance(until.max(self.net.clock.now()));
    }

    fn run_due(&mut self) {
        while let Some(wake) = self.net.clock.due() {
            self.run(wake);
        }
    }

    fn run(&mut self, wake: Wake) {
        let calm = self.phase != Phase::Chaos;
        match wake {
            Wake::Dial(no) if self.is_up => self.net.arrive_dial(no),
            Wake::Dial(no) => self.net.refuse_dial(no),
            Wake::Arrive(no) => self.net.arrive(no),
            Wake::Deliver(no) => {
                if self.net.deliver(no) {
                    self.wake_reader(no);
                }
            }
            Wake::Again(no, readable) => self.net.again(no, readable),
            Wake::Act(no) => self.act(no, calm),
            Wake::Sip(no) => self.sip(no),
            Wake::Stored => self.with_storage(Storage::commit),
            Wake::Found => self.with_storage(|storage, _, reached| storage.find(reached)),
            Wake::Prune if !calm => {
                self.with_storage(|storage, _, reached| storage.prune(reached));
            }
            Wake::Space(has_space) => self.storage().fills(!has_space && !calm),
            Wake::Kill if !calm => self.ends(),
            Wake::Phase => self.phase_due = true,
            Wake::Prune | Wake::Kill => {}
            Wake::Arrival | Wake::Return(_) | Wake::Descriptors(_) | Wake::WallStep(_) => {
                unreachable!("nobody does that here")
            }
        }
    }

    fn with_storage(&mut self, run: impl FnOnce(&mut Storage, &mut Net, &mut Reach)) {
        let Self { storage, net, reached, .. } = self;
        run(storage.as_mut().expect("it is in its place"), net, reached);
    }

    /// The daemon is to end, by a kill or by TERM.
    fn ends(&mut self) {
        if !self.is_up {
            return;
        }
        if self.rng.chance(self.plan.terms) {
            self.stop_signal = true;
        } else {
            self.steps_left = Some(self.rng.scale(1, STEPS_LEFT_MAX) - 1);
        }
    }

    fn act(&mut self, no: usize, calm: bool) {
        let owner = match no.checked_sub(self.people.len()) {
            None => Owner::Person(no),
            Some(at) if at < self.chatters.len() => Owner::Chatter(at),
            Some(_) => Owner::Reader,
        };
        let Self { net, records, reached, .. } = self;
        let mut notes = Notes { net, records, reached };
        let (pause, link) = match owner {
            Owner::Person(no) => self.people[no].act(&mut notes, calm),
            Owner::Chatter(no) => self.chatters[no].act(notes.net, calm),
            Owner::Reader => self.reader.as_mut().expect("it acts").act(&mut notes, calm),
        };
        if link.is_some() {
            assert_eq!(link, Some(self.owners.len()), "connections are numbered in their order");
            self.owners.push(owner);
        }
        self.net.clock.after(pause, Wake::Act(no));
    }

    fn wake_reader(&mut self, link: usize) {
        let end = match self.owners[link] {
            Owner::Person(no) => &mut self.people[no].line,
            Owner::Chatter(no) => &mut self.chatters[no].line,
            Owner::Reader => &mut self.reader.as_mut().expect("it is there").line,
        };
        if end.link == Some(link) {
            end.wake(&mut self.net);
        }
    }

    fn sip(&mut self, link: usize) {
        let Self { net, records, reached, .. } = self;
        let mut notes = Notes { net, records, reached };
        let person = match self.owners[link] {
            Owner::Person(no) => &mut self.people[no],
            Owner::Reader => self.reader.as_mut().expect("it is there"),
            Owner::Chatter(no) => {
                let chatter = &mut self.chatters[no];
                if chatter.line.link == Some(link) {
                    chatter.sip(notes.net, notes.reached);
                }
                return;
            }
        };
        if person.line.link == Some(link) {
            person.sip(&mut notes);
        }
    }

    /// The faults end; perhaps the last of them is a kill.
    pub fn heal(&mut self) {
        self.phase = Phase::Healing;
        self.net.note(Kind::Phase, 0, 1, 0);
        self.net.plan.heal();
        let storage = self.storage();
        storage.plan.heal();
        storage.fills(false);
        for person in &mut self.people {
            person.line.read(&mut self.net, crate::clients::Reading::Eager);
        }
        for chatter in &mut self.chatters {
            chatter.line.read(&mut self.net, crate::clients::Reading::Eager);
        }
        if self.plan.killed_last {
            self.steps_left = Some(self.rng.scale(1, STEPS_LEFT_MAX) - 1);
            self.heals_with_next = true;
        } else {
            self.tell(Op::Heal, "all is well");
        }
        self.net.clock.after(SECOND, Wake::Phase);
    }

    /// The daemon ends once more, by TERM, before everything is read back.
    pub fn restarts(&mut self) {
        assert!(self.restarts_left > 0, "it is restarted as often as was planned");
        self.restarts_left -= 1;
        self.tell(Op::Fault, "TERM");
        self.heals_with_next = true;
        self.stop_signal = true;
    }

    /// One comes who reads everything.
    pub fn read_back(&mut self) {
        self.phase = Phase::Reading;
        let mut temper = self.plan.base.temper.clone();
        (temper.moods, temper.keepalive) = (0, temper.keepalive.min(SECOND));
        self.reader = Some(Person::last(self.rng.fork(), temper));
        self.net.clock.after(0, Wake::Act(self.people.len() + self.chatters.len()));
        self.net.clock.after(SECOND, Wake::Phase);
    }

    /// TERM, for good.
    pub fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.stop_signal = true;
    }

    /// A daemon begins.
    pub fn begins(&mut self, life: u64) {
        self.net.note(Kind::Begin, 0, life, 0);
        (self.is_up, self.steps_left) = (true, None);
        if std::mem::take(&mut self.heals_with_next) {
            self.tell(Op::Heal, "it is there again");
        }
    }

    /// The daemon is gone.
    pub fn is_gone(&mut self, was_killed: bool) {
        self.net.note(Kind::End, 0, was_killed.into(), 0);
        let by_store = was_killed && self.storage().failed;
        let how = if by_store { "by its store" } else { "killed" };
        self.reached.count("end", if was_killed { how } else { "by TERM" });
        (self.is_up, self.stop_signal, self.steps_left) = (false, false, None);
        self.net.process_ends();
        self.with_storage(|storage, _, reached| {
            if was_killed {
                storage.dies(reached);
            } else {
                storage.closes(reached);
            }
        });
    }

    /// Whether everybody has all that is owed, and nothing is under way.
    pub fn settled(&self) -> Result<(), String> {
        for (no, link) in self.net.links.iter().enumerate() {
            let dying = link.fin_seen || link.reset || link.vanished;
            let moving = !link.flight.is_empty() || !link.inbox.is_empty();
            if link.stage == Stage::Open && (dying || moving) {
                return Err(format!("#{no} is not done"));
            }
        }
        if let Some(busy) = self.people.iter().find(|person| !person.is_idle()) {
            return Err(format!("{} waits for something: {busy:?}", busy.name));
        }
        if let Some(lost) = self.chatters.iter().find(|chatter| chatter.line.link.is_none()) {
            return Err(format!("{} is not connected", lost.name));
        }
        if !self.storage.as_ref().is_some_and(Storage::is_idle) {
            return Err("the store is not done".into());
        }
        Ok(())
    }

    fn anything_ready(&self) -> bool {
        let woke = self.storage.as_ref().is_some_and(|storage| storage.woke);
        self.net.anything_ready() || woke || self.stop_signal || self.phase_due
    }
}

impl Outside for Scene {
    fn step(mut scene: RefMut<'_, Self>) {
        let Some(left) = &mut scene.steps_left else { return };
        if *left > 0 {
            *left -= 1;
            return;
        }
        scene.steps_left = None;
        drop(scene);
        // No panic: nobody is to hear of it but whoever waits for it.
        resume_unwind(Box::new(Killed));
    }

    fn net(&mut self) -> &mut Net {
        &mut self.net
    }

    fn sleep(&mut self, timeout: Option<u64>) {
        self.net.cost();
        self.lateness = 0;
        if self.net.rng.chance(self.net.plan.interrupted) {
            return;
        }
        self.run_due();
        let deadline = timeout.map(|timeout| self.net.clock.now() + timeout);
        while !self.anything_ready() && timeout != Some(0) {
            let next = self.net.clock.next();
            let until = next.into_iter().chain(deadline).min();
            let until = until.expect("somebody always does something");
            self.net.clock.advance(until);
            if next != Some(until) {
                break;
            }
            self.run_due();
        }
        if timeout != Some(0) {
            self.lateness = self.rng.below(self.plan.base.net.late + 1);
            self.pass(self.lateness);
        }
    }

    fn lateness(&self) -> u64 {
        self.lateness
    }

    fn take_woke(&mut self) -> bool {
        std::mem::take(&mut self.storage().woke)
    }

    fn take_stop(&mut self) -> bool {
        std::mem::take(&mut self.stop_signal)
    }

    fn peer(&self, no: usize) -> Peer {
        let login = match self.owners[no] {
            Owner::Person(who) if self.people[who].is_local() => Some(format!("user{who}")),
            Owner::Reader if self.reader.as_ref().is_some_and(Person::is_local) => {
                Some("reader".to_owned())
            }
            Owner::Person(_) | Owner::Chatter(_) | Owner::Reader => None,
        };
        let is_tcp = login.is_none();
        Peer {
            transport: if is_tcp { Transport::Stream } else { Transport::ControlSocket },
            address: format!("sim:{no}").into(),
            ip: is_tcp.then(|| crate::world::address(no as u64 % 4, no as u16)),
            login: login.map(|name| proto::Nick::parse(&name).expect("a good name")),
            rights: Rights::TALK,
            exempt: false,
            protocols: proto::Protocols::ALL,
        }
    }
}

/// The daemon's log in this world: each line is a step before which the daemon may die.
pub struct CrashLog {
    scene: Shared<Scene>,
}

impl CrashLog {
    pub fn new(scene: Shared<Scene>) -> Self {
        Self { scene }
    }

    fn note(&self, text: &str) -> RefMut<'_, Scene> {
        Scene::step(self.scene.borrow_mut());
        let mut scene = self.scene.borrow_mut();
        scene.net.note_text(Kind::Notice, 0, text);
        scene
    }
}

impl chatd::turn::Log for CrashLog {
    fn notice(&mut self, notice: Notice) {
        let mut scene = self.note(&notice.to_string());
        if let Notice::Closed { reason, .. } = &notice {
            scene.reached.closed(reason);
        }
    }

    fn line(&mut self, _level: Level, kind: chatd::log::Kind, text: String) {
        drop(self.note(&format!("{}: {text}", kind.word())));
    }

    /// The trace has everything, whatever the level.
    fn set_level(&mut self, _level: Level) {}
}
