//! The store of the world in which the daemon dies: one transaction after the other over a disk, late, and not always well. What a
//! process knew is gone with it; the disk keeps what was synced.

use std::collections::{BTreeSet, VecDeque};

use chatd::turn::Store;
use hub::{
    Answer, Condition, Fetch, FetchError, Fetched, Outcome, Planted, Pruned, Record, StoreState,
};
use proto::{MessageId, Seq};
use tests::checker::Deliver;
use tests::disk::Disk;

use crate::clock::Wake;
use crate::driver::Shared;
use crate::net::Net;
use crate::reach::Reach;
use crate::rng::Rng;
use crate::trace::Kind;

use super::plan::StoreFaults;
use super::scene::Scene;

/// The disk, and what the process that uses it knows.
pub struct Storage {
    pub disk: Disk,
    pub plan: StoreFaults,
    rng: Rng,
    deliver: Deliver,
    planted: Option<Planted>,
    /// Nothing can be written.
    is_full: bool,
    /// The loop is to be woken.
    pub woke: bool,
    /// What broke cannot be mended: the process is to end, and nobody is to be answered.
    pub failed: bool,
    /// What the loop may take for certain never to be given again.
    reserved: Seq,
    /// Numbers up to this one were perhaps shown to somebody, and their messages are not on the disk.
    floor: Seq,
    /// Ids that came since the process began.
    seen: BTreeSet<MessageId>,
    waiting: VecDeque<Record>,
    /// What the transaction has that runs.
    batch: Vec<Record>,
    answers: Vec<Answer>,
    asked: VecDeque<Fetch>,
    found: VecDeque<Fetched>,
    pruned: VecDeque<Pruned>,
}

impl Storage {
    /// An empty disk.
    pub fn new(plan: StoreFaults, deliver: Deliver, planted: Option<Planted>, rng: Rng) -> Self {
        Self {
            disk: Disk::default(),
            plan,
            rng,
            deliver,
            planted,
            is_full: false,
            woke: false,
            failed: false,
            reserved: Seq(0),
            floor: Seq(0),
            seen: BTreeSet::new(),
            waiting: VecDeque::new(),
            batch: Vec::new(),
            answers: Vec::new(),
            asked: VecDeque::new(),
            found: VecDeque::new(),
            pruned: VecDeque::new(),
        }
    }

    /// Whether everybody has the answers that are due.
    pub fn is_idle(&self) -> bool {
        let posts = self.waiting.len() + self.batch.len() + self.answers.len();
        posts + self.asked.len() + self.found.len() == 0
    }

    /// The disk is full, or has space again.
    pub fn fills(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    fn submit(&mut self, record: Record, net: &mut Net) {
        let is_new = self.seen.insert(record.message_id) && !self.disk.knows(record.message_id);
        let at_once = self.deliver == Deliver::AtOnce && record.seq <= self.reserved;
        if (at_once || self.planted == Some(Planted::HeardEarly))
            && is_new
            && !self.is_full
            && !self.rng.chance(self.plan.unsure)
        {
            self.answers.push(Answer { ticket: record.ticket, outcome: Outcome::Taken });
            self.woke = true;
        }
        self.waiting.push_back(record);
        self.begin(net);
    }

    /// The next transaction begins, where none runs.
    fn begin(&mut self, net: &mut Net) {
        if !self.batch.is_empty() || self.waiting.is_empty() {
            return;
        }
        self.batch = self.next_batch();
        net.clock.after(self.rng.range(self.plan.delay.0, self.plan.delay.1), Wake::Stored);
    }

    fn next_batch(&mut self) -> Vec<Record> {
        let count = self.rng.size(1, self.plan.batch_max).min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    /// The transaction that runs is over.
    pub fn commit(&mut self, net: &mut Net, reached: &mut Reach) {
        if self.batch.is_empty() || self.failed {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let outcomes = if self.is_full {
            let last = batch.iter().map(|record| record.seq).max();
            self.floor = last.max(Some(self.floor)).unwrap_or_default();
            batch.iter().map(|record| self.disk.look_up(record)).collect()
        } else if self.rng.chance(self.plan.breaks) {
            self.broken(&batch)
        } else {
            self.keep(&batch)
        };
        if self.failed {
            return;
        }
        for (record, outcome) in batch.iter().zip(&outcomes) {
            reached.count("answer", word(*outcome));
            let text = format!("{} {} {outcome:?}", record.room, record.seq);
            net.note_text(Kind::Answer, 0, &text);
        }
        let tickets = batch.iter().map(|record| record.ticket);
        let answers = tickets.zip(outcomes).map(|(ticket, outcome)| Answer { ticket, outcome });
        self.answers.extend(answers);
        self.woke = true;
        self.begin(net);
    }

    /// Everything of a transaction is on the disk.
    fn keep(&mut self, batch: &[Record]) -> Vec<Outcome> {
        let last = batch.iter().map(|record| record.seq.0).max().unwrap_or_default();
        let reserves = self.plan.reserves;
        if self.deliver == Deliver::AtOnce && last + reserves / 2 > self.disk.reserved.0 {
            self.disk.reserved = Seq(last + reserves);
            self.reserved = self.disk.reserved;
        }
        batch.iter().map(|record| self.disk.keep(record)).collect()
    }

    /// A commit broke: the whole of it is there or nothing, and that is found out, if the disk can still be trusted. It is opened anew
    /// then, and what was reserved stays so: some of these numbers were perhaps shown.
    fn broken(&mut self, batch: &[Record]) -> Vec<Outcome> {
        if self.rng.chance(500) {
            self.keep(batch);
        }
        self.floor = self.floor.max(self.disk.reserved);
        if self.rng.chance(self.plan.fails) {
            (self.failed, self.woke) = (true, true);
        }
        batch.iter().map(|record| Outcome::Unknown { stored: self.disk.has(record) }).collect()
    }

    fn fetch(&mut self, fetch: Fetch, net: &mut Net) {
        self.asked.push_back(fetch);
        net.clock.after(self.rng.range(self.plan.delay.0, self.plan.delay.1), Wake::Found);
    }

    /// What was asked for first is found.
    pub fn find(&mut self, reached: &mut Reach) {
        let Some(fetch) = self.asked.pop_front() else { return };
        let is_well = !self.rng.chance(self.plan.unreadable);
        reached.count("store", if is_well { "page" } else { "unreadable" });
        let outcome =
            if is_well { Ok(self.disk.find(&fetch)) } else { Err(FetchError::Unavailable) };
        self.found.push_back(Fetched { no: fetch.no, outcome });
        self.woke = true;
    }

    /// Retention takes something of some room.
    pub fn prune(&mut self, reached: &mut Reach) {
        let names = self.disk.names();
        if names.is_empty() || self.failed {
            return;
        }
        let room = &names[self.rng.size(0, names.len() - 1)];
        let count = if self.rng.chance(200) { usize::MAX } else { self.rng.size(1, 10) };
        if let Some(pruned) = self.disk.prune(room, count) {
            reached.count("store", "pruned");
            self.pruned.push_back(pruned);
            self.woke = true;
        }
    }

    /// The process is gone. What it had submitted and was not answered may be on the disk: whole transactions, in their order.
    pub fn dies(&mut self, reached: &mut Reach) {
        let mut is_there = self.rng.chance(500) && !self.failed;
        let mut batch = std::mem::take(&mut self.batch);
        while !(batch.is_empty() && self.waiting.is_empty()) {
            if is_there && !self.is_full {
                reached.count("disk", "had what was not answered");
                self.keep(&batch);
            } else {
                reached.count("disk", "lost what was not answered");
            }
            is_there &= self.rng.chance(300);
            batch = self.next_batch_or_none();
        }
        self.forget(reached);
    }

    fn next_batch_or_none(&mut self) -> Vec<Record> {
        if self.waiting.is_empty() { Vec::new() } else { self.next_batch() }
    }

    /// The process ends cleanly: all that it had submitted is on the disk, and it is known which numbers were given.
    pub fn closes(&mut self, reached: &mut Reach) {
        let batch: Vec<Record> = self.batch.drain(..).chain(self.waiting.drain(..)).collect();
        if !self.is_full {
            self.keep(&batch);
            self.disk.reserved = self.floor;
        }
        self.forget(reached);
    }

    /// What a process knew is gone with it.
    fn forget(&mut self, reached: &mut Reach) {
        let rooms = self.disk.names().len();
        if self.rng.chance(500) {
            self.disk.forget_empty();
        }
        if self.disk.names().len() < rooms {
            reached.count("disk", "forgot a room");
        }
        if self.planted == Some(Planted::IdForgotten) {
            self.disk.lose_ids();
        }
        (self.woke, self.failed) = (false, false);
        (self.reserved, self.floor) = (self.disk.reserved, self.disk.reserved);
        self.seen.clear();
        self.answers.clear();
        self.asked.clear();
        self.found.clear();
        self.pruned.clear();
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Taken => "taken",
        Outcome::Stored => "stored",
        Outcome::Repeated { .. } => "repeated",
        Outcome::Conflict => "conflict",
        Outcome::Refused => "refused",
        Outcome::Unknown { stored: true } => "unknown, stored",
        Outcome::Unknown { stored: false } => "unknown, lost",
    }
}

/// The daemon's hand at it: each call is a step before which the daemon may die.
pub struct CrashStore {
    scene: Shared<Scene>,
}

impl CrashStore {
    pub fn new(scene: Shared<Scene>) -> Self {
        Self { scene }
    }

    fn step<T>(&self, run: impl FnOnce(&mut Storage, &mut Scene) -> T) -> T {
        crate::driver::Outside::step(self.scene.borrow_mut());
        let mut scene = self.scene.borrow_mut();
        let mut storage = scene.storage.take().expect("the storage is there between two steps");
        let done = run(&mut storage, &mut scene);
        scene.storage = Some(storage);
        done
    }
}

impl Store for CrashStore {
    fn submit(&mut self, record: Record) {
        self.step(|storage, scene| {
            let text = format!("{} {}", record.room, record.seq);
            scene.net.note_text(Kind::Submit, 0, &text);
            storage.submit(record, &mut scene.net);
        });
    }

    fn answers(&mut self, into: &mut Vec<Answer>) {
        self.step(|storage, scene| {
            // Who cannot trust its disk answers nobody.
            if storage.failed {
                return;
            }
            let is_taken = |answer: &&Answer| answer.outcome == Outcome::Taken;
            for _ in storage.answers.iter().filter(is_taken) {
                scene.reached.count("answer", "taken");
            }
            into.append(&mut storage.answers);
        });
    }

    fn fetch(&mut self, fetch: Fetch) {
        self.step(|storage, scene| storage.fetch(fetch, &mut scene.net));
    }

    fn fetched(&mut self) -> Option<Fetched> {
        self.step(|storage, _| storage.found.pop_front())
    }

    fn pruned(&mut self) -> Option<Pruned> {
        self.step(|storage, _| storage.pruned.pop_front())
    }

    fn condition(&self) -> Condition {
        self.step(|storage, _| {
            let state = if storage.is_full { StoreState::Full } else { StoreState::Well };
            Condition { state, ..Condition::default() }
        })
    }
}
