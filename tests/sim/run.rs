//! One run: the daemon's own turn in a simulated world, from its first client to the end of its
//! drain, with the hub's invariants and the oracle's limits looked at after every turn.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

use chatd::turn::{Server, Turn};
use hub::{Hub, Planted};
use proto::{MessageId, Now};

use crate::clock::{MS, SECOND, Wake};
use crate::driver::{Shared, SimDriver};
use crate::reach::Reach;
use crate::settings::{settings, tuning};
use crate::store::SimStore;
use crate::swarm::Plan;
use crate::watch::{SimLog, Watch};
use crate::world::{Phase, World};

/// How long the world may take to settle after its last fault.
const SETTLE_MAX: u64 = 300 * SECOND;
/// More turns than this within a millisecond of virtual time is a loop that spins.
const TURNS_PER_MS_MAX: u32 = 5_000;

/// Faults end after so many turns or events, so that no seed takes the time of fifty others.
const TURNS_MAX: u64 = 2_000;
/// See `TURNS_MAX`.
const EVENTS_MAX: u64 = 20_000;

/// A run that found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub hash: u64,
    pub events: u64,
    pub turns: u64,
    pub deliveries: u64,
    /// Virtual time in microseconds.
    pub lasted: u64,
    /// What seldom happens.
    pub reached: Reach,
}

/// A run that found something.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub what: String,
    pub log: String,
}

thread_local! {
    /// While a daemon is simulated on this thread: whether its panics are printed, too.
    static SIMULATING: Cell<Option<bool>> = const { Cell::new(None) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of a simulated daemon are findings: they are kept, not printed.
fn silence_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let simulating = SIMULATING.get();
            if simulating.is_some() {
                let at = info.location().map(ToString::to_string).unwrap_or_default();
                let what = info.payload_as_str().unwrap_or("a panic");
                SAID.with_borrow_mut(|said| *said = format!("{what} ({at})"));
            }
            if simulating != Some(false) {
                loud(info);
            }
        }));
    });
}

/// Runs a simulation, or says what its panic said; `whole` prints that, too.
pub fn observed<T>(whole: bool, run: impl FnOnce() -> T) -> Result<T, String> {
    silence_panics();
    SIMULATING.set(Some(whole));
    let result = catch_unwind(AssertUnwindSafe(run));
    SIMULATING.set(None);
    result.map_err(|_| SAID.take())
}

/// Runs a seed, perhaps with a planted bug; `whole` keeps the whole log.
pub fn run(seed: u64, planted: Option<Planted>, whole: bool) -> Result<(Outcome, String), Failure> {
    let world: Shared<World> = Rc::new(RefCell::new(World::new(Plan::of(seed), whole)));
    let result = observed(whole, || drive(&world, planted));
    let log = world.borrow().net.trace.lines();
    match result {
        Ok(outcome) => Ok((outcome, log)),
        Err(what) => Err(Failure { seed, what, log }),
    }
}

type SimServer = Server<SimDriver<World>, SimStore, SimLog>;

fn drive(world: &Shared<World>, planted: Option<Planted>) -> Outcome {
    let (plan, start) = {
        let world = world.borrow();
        (world.plan.clone(), world.net.clock.now())
    };
    let watch = Rc::new(RefCell::new(Watch::new(&plan)));
    let hub =
        Hub::new(settings(&plan, planted), plan.seed, MessageId([7; 16]), Now::from_micros(start));
    let log = SimLog::new(Rc::clone(world), Rc::clone(&watch));
    let driver = SimDriver::new(Rc::clone(world));
    let mut server = Server::new(hub, driver, SimStore::new(Rc::clone(world)), log, tuning(&plan));
    let (mut turns, mut at_once, mut since) = (0_u64, 0_u32, start);
    loop {
        let turn = server.turn().expect("the simulated poll does not fail");
        turns += 1;
        // A planted bug is for the oracle to find, not for the hub itself.
        if planted.is_none() {
            server.hub().check_invariants();
        }
        watch.borrow_mut().after_turn(server.hub(), &mut world.borrow_mut());
        if turn == Turn::Stopped {
            break;
        }
        let now = world.borrow().net.clock.now();
        (at_once, since) = if now > since + MS { (0, now) } else { (at_once + 1, since) };
        assert!(at_once < TURNS_PER_MS_MAX, "the loop spins");
        let enough = turns > TURNS_MAX || world.borrow().net.trace.sum().1 > EVENTS_MAX;
        phases(&server, world, enough);
    }
    check_end(&server, world);
    let world = world.borrow();
    let (hash, events) = world.net.trace.sum();
    let lasted = world.net.clock.now() - start;
    let (deliveries, reached) = (world.oracle.deliveries, world.oracle.reached.clone());
    Outcome { hash, events, turns, deliveries, lasted, reached }
}

/// Goes from chaos to healing to the drain when the time has come.
fn phases(server: &SimServer, world: &Shared<World>, enough: bool) {
    let mut world = world.borrow_mut();
    assert!(!world.asleep_for_ever, "the loop sleeps for ever");
    let due = world.take_phase() || (enough && world.phase == Phase::Chaos);
    if !due {
        return;
    }
    match world.phase {
        Phase::Chaos if world.plan.stops_early => world.stop(),
        Phase::Chaos => world.heal(),
        Phase::Healing => {
            let kept = server.hub().memory().kept_bytes;
            let settled = world.settled();
            let settled =
                if kept > 0 { settled.and(Err(format!("{kept} bytes are kept"))) } else { settled };
            let waited = world.net.clock.now() - world.healed_at;
            match settled {
                Ok(()) if world.settled_once => {
                    world.check_complete();
                    world.stop();
                }
                Ok(()) => {
                    world.settled_once = true;
                    world.net.clock.after(SECOND, Wake::Phase);
                }
                Err(why) => {
                    assert!(waited < SETTLE_MAX, "nothing settles: {why}");
                    world.settled_once = false;
                    world.net.clock.after(SECOND, Wake::Phase);
                }
            }
        }
        Phase::Stopping => {}
    }
}

/// After the drain there is nothing.
fn check_end(server: &SimServer, world: &Shared<World>) {
    let hub = server.hub();
    assert!(hub.is_empty(), "connections are left after the drain");
    let memory = hub.memory();
    assert_eq!(memory.blocks, 0, "blocks are left after the drain");
    assert_eq!(memory.private_bytes, 0, "private bytes are left after the drain");
    assert_eq!(memory.kept_bytes, 0, "kept bytes are left after the drain");
    assert_eq!(hub.deadline(), None, "timers are left after the drain");
    let world = world.borrow();
    assert!(world.net.by_token.is_empty(), "sockets are left after the drain");
    world.oracle.check_names();
}
