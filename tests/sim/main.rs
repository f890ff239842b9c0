//! The deterministic simulator: the daemon's very turn over a simulated kernel, network, store and
//! clock, with clients that behave by seed and an oracle that knows what each must get.
//!
//! `CHATD_SEED=17 cargo test -p tests --test sim seeds_pass -- --nocapture` replays one seed with its
//! whole log; `CHATD_SEEDS=100000` runs the long campaign. A campaign tells how often happened what seldom does, and one of the
//! usual length or more fails where some of that never did.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::struct_excessive_bools,
    unreachable_pub,
    missing_docs,
    reason = "a test that panics is a test that fails; its numbers are its own and small"
)]

mod answers;
mod asking;
mod catching;
mod clients;
mod clock;
mod control;
mod crash;
mod direct;
mod driver;
mod expelling;
mod following;
mod hearing;
mod kernel;
mod naming;
mod native;
mod net;
mod oracle;
mod pairing;
mod poster;
mod reach;
mod reader;
mod rng;
mod run;
mod settings;
mod socket;
mod store;
mod swarm;
mod talking;
mod trace;
mod v1;
mod watch;
mod web;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

use hub::Planted;

use crate::reach::{Reach, WANTED};
use crate::run::{Failure, Outcome, run};

/// How many seeds every run of the tests takes.
const SEEDS: u64 = 1_000;
/// The test that replays a seed.
const REPLAY: &str = "seeds_pass";
/// Within how many seeds a planted bug must be found.
const PLANTED_SEEDS: u64 = 200;
/// A campaign ends early after so many.
const FAILURES_MAX: usize = 20;
/// Two, as on the machines that run this always.
const THREADS: usize = 2;

/// Seeds that failed once, with what they showed.
const REGRESSIONS: &[(u64, &str)] = &[
    (331, "a bye passed the limit of a queue that was nearly full"),
    (2437, "a bye passed the limit of a queue that was nearly full"),
];

fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{value}`")))
}

/// A failure, and how the test replays it.
fn tell(failure: &Failure, replay: &str) -> String {
    let Failure { seed, what, log } = failure;
    format!(
        "seed {seed} failed: {what}\n\nthe last events:\n{log}\nreplay: CHATD_SEED={seed} cargo test -p \
         tests --test sim {replay} -- --nocapture\n"
    )
}

/// Fails with the first of these, if there is one, and names the others.
fn tell_all(failures: &[Failure], replay: &str) {
    if let Some((first, others)) = failures.split_first() {
        let others =
            others.iter().map(|failure| format!("seed {}: {}\n", failure.seed, failure.what));
        panic!("{}{}", tell(first, replay), others.collect::<String>());
    }
}

/// What came of many seeds.
struct Campaign {
    seeds: u64,
    /// The lowest seed first.
    failures: Vec<Failure>,
    reached: Reach,
}

/// The campaign that the environment asks for, which runs once.
fn campaign() -> &'static Campaign {
    static CAMPAIGN: OnceLock<Campaign> = OnceLock::new();
    let seeds = || from_environment("CHATD_SEEDS").unwrap_or(SEEDS);
    CAMPAIGN.get_or_init(|| run_seeds(seeds(), |seed| run(seed, None, false)))
}

/// Runs seeds on all threads, until some have failed.
fn run_seeds(
    seeds: u64,
    run: impl Fn(u64) -> Result<(Outcome, String), Failure> + Sync,
) -> Campaign {
    let next = AtomicU64::new(0);
    let (turns, deliveries) = (AtomicU64::new(0), AtomicU64::new(0));
    let (failures, reached) = (Mutex::new(Vec::new()), Mutex::new(Reach::default()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let result = run(seed);
                    if let Ok((outcome, _)) = &result {
                        turns.fetch_add(outcome.turns, Ordering::Relaxed);
                        deliveries.fetch_add(outcome.deliveries, Ordering::Relaxed);
                        reached.lock().unwrap().add(&outcome.reached);
                    }
                    if let Err(failure) = result {
                        let mut failures = failures.lock().unwrap();
                        failures.push(failure);
                        if failures.len() >= FAILURES_MAX {
                            next.store(seeds, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (turns, deliveries) = (turns.into_inner(), deliveries.into_inner());
    let reached = reached.into_inner().unwrap();
    println!("{seeds} seeds: {turns} turns, {deliveries} deliveries\n{}", reached.lines());
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(|failure| failure.seed);
    Campaign { seeds, failures, reached }
}

#[test]
fn seeds_pass() {
    if let Some(seed) = from_environment("CHATD_SEED") {
        match run(seed, None, true) {
            Ok((outcome, log)) => println!("{log}{outcome:?}"),
            Err(failure) => panic!("{}", tell(&failure, REPLAY)),
        }
        return;
    }
    tell_all(&campaign().failures, REPLAY);
}

#[test]
fn what_matters_is_reached() {
    let alone = from_environment("CHATD_SEED").is_some();
    let campaign = if alone { return } else { campaign() };
    let missing = campaign.reached.missing(WANTED);
    assert!(
        campaign.seeds < SEEDS || missing.is_empty(),
        "these never happened in {} seeds: {missing:?}",
        campaign.seeds
    );
}

#[test]
fn same_seed_same_trace() {
    for seed in 0..20 {
        let once =
            run(seed, None, false).map(|(outcome, _)| outcome).map_err(|failure| failure.what);
        let twice =
            run(seed, None, false).map(|(outcome, _)| outcome).map_err(|failure| failure.what);
        assert_eq!(once, twice, "seed {seed} went two ways");
    }
}

#[test]
fn regressions() {
    for (seed, showed) in REGRESSIONS {
        if let Err(failure) = run(*seed, None, false) {
            panic!("it is back: {showed}\n{}", tell(&failure, REPLAY));
        }
    }
}

/// Runs a seed in one of the worlds, with a bug or without, telling all as it happens or not.
type Run = fn(u64, Option<Planted>, bool) -> Result<(Outcome, String), Failure>;

/// The bug must be found within the seeds, and the same seed without it must be clean.
fn must_be_found_by(run: Run, replay: &str, planted: Planted) {
    for seed in 0..PLANTED_SEEDS {
        let Err(failure) = run(seed, Some(planted), false) else { continue };
        if let Err(clean) = run(seed, None, false) {
            panic!("seed {seed} fails without {planted:?}, too: {}", tell(&clean, replay));
        }
        println!("{planted:?}: seed {seed}: {}", failure.what);
        return;
    }
    panic!("{planted:?} was not found within {PLANTED_SEEDS} seeds");
}

fn must_be_found(planted: Planted) {
    must_be_found_by(run, REPLAY, planted);
}

#[test]
fn planted_skipped_receiver() {
    must_be_found(Planted::SkippedReceiver);
}

#[test]
fn planted_double_after_short_write() {
    must_be_found(Planted::DoubleAfterShortWrite);
}

#[test]
fn planted_lost_carry_over() {
    must_be_found(Planted::LostCarryOver);
}

#[test]
fn planted_stale_token() {
    must_be_found(Planted::StaleToken);
}

#[test]
fn planted_wheel_cascade() {
    must_be_found(Planted::WheelCascade);
}

#[test]
fn planted_run_across_excluded() {
    must_be_found(Planted::RunAcrossExcluded);
}

#[test]
fn planted_backlog_order() {
    must_be_found(Planted::BacklogOrder);
}

#[test]
fn planted_leaked_block() {
    must_be_found(Planted::LeakedBlock);
}

#[test]
fn planted_receipt_twice() {
    must_be_found(Planted::ReceiptTwice);
}

#[test]
fn planted_stale_owner() {
    must_be_found(Planted::StaleOwner);
}

#[test]
fn planted_seam_drops_one() {
    must_be_found(Planted::SeamDropsOne);
}

#[test]
fn planted_seam_doubles_one() {
    must_be_found(Planted::SeamDoublesOne);
}

#[test]
fn planted_gap_off_by_one() {
    must_be_found(Planted::GapOffByOne);
}

#[test]
fn planted_kick_stays() {
    must_be_found(Planted::KickStays);
}

#[test]
fn planted_ban_forgotten() {
    must_be_found(Planted::BanForgotten);
}

#[test]
fn planted_presence_forgets() {
    must_be_found(Planted::PresenceForgets);
}

#[test]
fn planted_turn_stays() {
    must_be_found(Planted::TurnStays);
}

#[test]
fn planted_invitation_forgotten() {
    must_be_found(Planted::InvitationForgotten);
}
