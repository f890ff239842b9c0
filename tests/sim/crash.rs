//! The simulator's second world, in which the daemon dies: between any two of its calls to the kernel, the store or the log, with all
//! that its disk had not synced. Another begins over the same disk, the clients come back, post again what has no answer under the same
//! ids, and ask for what they missed. The store is late, full, cannot be read or breaks in a commit. What all of them wrote down is
//! judged by the history checker.
//!
//! `CHATD_SEED=17 cargo test -p tests --test sim crashes_pass -- --nocapture` replays one seed with its whole log; `CHATD_SEEDS` makes the
//! campaign longer.

mod chatter;
mod judge;
mod life;
mod line;
mod person;
mod plan;
mod scene;
mod storage;

use hub::Planted;

use crate::reach::Wanted;
use crate::run::{Failure, Outcome, observed};
use crate::{Campaign, from_environment, must_be_found_by, run_seeds, tell, tell_all};

/// How many seeds every run of the tests takes.
const SEEDS: u64 = 500;
/// The test that replays a seed.
const REPLAY: &str = "crashes_pass";

/// What must happen at least once in a campaign of the usual length.
const WANTED: &Wanted = &[
    ("end", &["killed", "by TERM", "by its store"]),
    ("disk", &["had what was not answered", "lost what was not answered", "forgot a room"]),
    (
        "answer",
        &["taken", "stored", "repeated", "conflict", "refused", "unknown, stored", "unknown, lost"],
    ),
    ("store", &["page", "unreadable", "pruned"]),
    ("close", &["store_broke", "drain"]),
    ("hear", &["replay", "live", "gap", "delivered", "bye", "v0.5"]),
    ("post", &["again", "known", "conflict"]),
];

/// Runs a seed, perhaps with a planted bug; `whole` keeps the whole log.
fn run(seed: u64, planted: Option<Planted>, whole: bool) -> Result<(Outcome, String), Failure> {
    let scene = scene::Scene::shared(plan::CrashPlan::of(seed), planted, whole);
    let result = observed(whole, || life::lives(&scene));
    let log = scene.borrow().net.trace.lines();
    match result {
        Ok(outcome) => Ok((outcome, log)),
        Err(what) => Err(Failure { seed, what, log }),
    }
}

#[test]
fn crashes_pass() {
    if let Some(seed) = from_environment("CHATD_SEED") {
        match run(seed, None, true) {
            Ok((outcome, log)) => println!("{log}{outcome:?}"),
            Err(failure) => panic!("{}", tell(&failure, REPLAY)),
        }
        return;
    }
    let seeds = from_environment("CHATD_SEEDS").unwrap_or(SEEDS);
    let Campaign { failures, reached, .. } = run_seeds(seeds, |seed| run(seed, None, false));
    tell_all(&failures, REPLAY);
    let missing = reached.missing(WANTED);
    assert!(seeds < SEEDS || missing.is_empty(), "never in {seeds} seeds: {missing:?}");
}

#[test]
fn same_crashes_same_trace() {
    for seed in 0..20 {
        let [once, twice] = [(); 2].map(|()| run(seed, None, false));
        let what = |result: Result<(Outcome, String), Failure>| {
            result.map(|(outcome, _)| outcome).map_err(|failure| failure.what)
        };
        assert_eq!(what(once), what(twice), "seed {seed} went two ways");
    }
}

fn must_be_found(planted: Planted) {
    must_be_found_by(run, REPLAY, planted);
}

#[test]
fn planted_acknowledged_early() {
    must_be_found(Planted::AcknowledgedEarly);
}

#[test]
fn planted_heard_early() {
    must_be_found(Planted::HeardEarly);
}

#[test]
fn planted_number_given_again() {
    must_be_found(Planted::NumberGivenAgain);
}

#[test]
fn planted_id_forgotten() {
    must_be_found(Planted::IdForgotten);
}

#[test]
fn planted_first_reply_forgotten() {
    must_be_found(Planted::FirstReplyForgotten);
}

#[test]
fn planted_unknown_is_no() {
    must_be_found(Planted::UnknownIsNo);
}

#[test]
fn planted_page_skips_one() {
    must_be_found(Planted::PageSkipsOne);
}

#[test]
fn planted_gone_untold() {
    must_be_found(Planted::GoneUntold);
}
