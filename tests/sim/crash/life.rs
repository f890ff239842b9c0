//! One run: one daemon after the other over the same disk, from the first client to the clean end of the last, and what is judged then.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use chatd::turn::{Server, Turn};
use hub::Hub;
use proto::{MessageId, Now};

use crate::clock::{MS, SECOND, Wake};
use crate::driver::{Shared, SimDriver};
use crate::run::Outcome;
use crate::settings::{settings, tuning};

use super::judge;
use super::person::Person;
use super::scene::{CrashLog, Killed, Phase, Scene};
use super::storage::CrashStore;

/// How long the world may take to settle after its last fault.
const SETTLE_MAX: u64 = 300 * SECOND;
/// Longer than anything may be late after its last fault: only then its lateness shows.
const REST: u64 = 8 * SECOND;
/// More turns than this within a millisecond of virtual time is a loop that spins.
const TURNS_PER_MS_MAX: u32 = 5_000;
/// Faults end after so many turns, so that no seed takes the time of fifty others.
const TURNS_MAX: u64 = 3_000;

/// Names the sequence numbers of the one history.
const HISTORY: MessageId = MessageId([7; 16]);

type CrashServer = Server<SimDriver<Scene>, CrashStore, CrashLog>;

/// How far a run has come.
#[derive(Debug, Default)]
struct Way {
    turns: u64,
    /// When the faults ended, and since when all is settled.
    healed_at: u64,
    settled_at: Option<u64>,
}

/// Runs everything.
pub fn lives(scene: &Shared<Scene>) -> Outcome {
    let start = scene.borrow().net.clock.now();
    let mut way = Way::default();
    for life in 0.. {
        let server = AssertUnwindSafe(begins(scene, life));
        let done = catch_unwind(AssertUnwindSafe(|| serves(server, scene, &mut way)));
        let was_killed = done.err().is_some_and(is_killed);
        let mut scene = scene.borrow_mut();
        scene.is_gone(was_killed);
        if !was_killed && scene.phase == Phase::Stopping {
            break;
        }
        way.settled_at = None;
        let away = scene.plan.away;
        let away = if scene.phase == Phase::Chaos { scene.rng.scale(1, away) } else { MS };
        scene.pass(away);
    }
    let scene = scene.borrow();
    judge::judge(&scene);
    let (hash, events) = scene.net.trace.sum();
    let lasted = scene.net.clock.now() - start;
    let (deliveries, reached) = (scene.records.len() as u64, scene.reached.clone());
    Outcome { hash, events, turns: way.turns, deliveries, lasted, reached }
}

/// Whether what ended the daemon was a kill; anything else is a finding.
fn is_killed(payload: Box<dyn Any + Send>) -> bool {
    if payload.is::<Killed>() {
        return true;
    }
    resume_unwind(payload)
}

fn begins(scene: &Shared<Scene>, life: u64) -> CrashServer {
    let hub = {
        let mut scene = scene.borrow_mut();
        scene.begins(life);
        let plan = &scene.plan;
        let now = Now::from_micros(scene.net.clock.now());
        let settings = settings(&plan.base, scene.planted);
        let mut hub = Hub::new(settings, plan.seed ^ life << 40, HISTORY, now);
        let disk = &scene.storage().disk;
        hub.restore(&disk.rooms(), disk.reserved, disk.unknown);
        hub
    };
    let (driver, store) = (SimDriver::new(Rc::clone(scene)), CrashStore::new(Rc::clone(scene)));
    let tuning = tuning(&scene.borrow().plan.base);
    Server::new(hub, driver, store, CrashLog::new(Rc::clone(scene)), tuning)
}

/// One daemon, until it has ended by TERM; where it is killed, it does not return.
fn serves(mut server: AssertUnwindSafe<CrashServer>, scene: &Shared<Scene>, way: &mut Way) {
    let (mut at_once, mut since) = (0_u32, 0);
    let is_sound = scene.borrow().planted.is_none();
    loop {
        let turn = server.turn().expect("the simulated poll does not fail");
        way.turns += 1;
        // A planted bug is for the judge to find, not for the hub itself.
        if is_sound {
            server.hub().check_invariants();
        }
        if scene.borrow_mut().storage().failed {
            resume_unwind(Box::new(Killed));
        }
        if turn == Turn::Stopped {
            return;
        }
        let now = scene.borrow().net.clock.now();
        (at_once, since) = if now > since + MS { (0, now) } else { (at_once + 1, since) };
        assert!(at_once < TURNS_PER_MS_MAX, "the loop spins");
        phases(&mut scene.borrow_mut(), way);
    }
}

/// Goes from chaos to healing to the one who reads everything to the end when the time has come.
fn phases(scene: &mut Scene, way: &mut Way) {
    let enough = scene.phase == Phase::Chaos && way.turns > TURNS_MAX;
    if !scene.take_phase() && !enough {
        return;
    }
    let now = scene.net.clock.now();
    match scene.phase {
        Phase::Chaos => {
            way.healed_at = now;
            return scene.heal();
        }
        Phase::Stopping => return,
        Phase::Reading if scene.reader.as_ref().is_some_and(Person::has_all) => {
            return scene.stop();
        }
        Phase::Reading => {}
        Phase::Healing => match scene.settled() {
            Ok(()) => {
                let rested = now - *way.settled_at.get_or_insert(now);
                if rested > REST && scene.restarts_left > 0 {
                    scene.restarts();
                } else if rested > REST {
                    return scene.read_back();
                }
            }
            Err(why) => {
                way.settled_at = None;
                assert!(now - way.healed_at < SETTLE_MAX, "nothing settles: {why}");
            }
        },
    }
    assert!(now - way.healed_at < SETTLE_MAX, "it comes to no end");
    scene.net.clock.after(SECOND, Wake::Phase);
}
