//! `chatctl tail --cursor-file` that is ended and started again while a crowd talks and the daemon is killed: with TERM it prints every
//! message exactly once, with KILL none is lost.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::checker::{FINAL, Op};
use tests::daemon::at_home;
use tests::{Daemon, Program, binaries, eventually};

use crate::amount;
use crate::crowd::Crowd;
use crate::rng::Rng;
use crate::scene::{Home, Scene};

/// Whom it follows.
const ROOM: &str = "ops";

/// How many talk.
const CLIENTS: usize = 4;

/// The number of a message that was printed whole.
fn seq_of(line: &str) -> Option<u64> {
    let event: Value = serde_json::from_str(line).ok()?;
    assert_ne!(event["event"], "gap", "nothing is left out: {line}");
    event["seq"].as_u64()
}

/// Kills the daemon and starts it again until it is told to stop; the last one lives.
fn kills(home: &Home, scene: &Scene, seed: u64, stop: &AtomicBool) -> Daemon {
    let mut rng = Rng::new(seed);
    loop {
        let mut daemon = home.setup().start();
        scene.serves(&daemon);
        scene.after_acknowledgments(rng.range(50, 500));
        if stop.load(Ordering::SeqCst) {
            return daemon;
        }
        scene.fault("killed");
        daemon.signal(Signal::SIGKILL);
        daemon.ends();
    }
}

/// A follower that goes on where it ended.
fn follower(home: &Home) -> Program {
    let mut command = Command::new(binaries::chatctl());
    at_home(&mut command, home.folder());
    command.arg("-s").arg(home.control()).args(["tail", ROOM, "-n", "all", "--json"]);
    command.arg("--cursor-file").arg(home.folder().join("cursor"));
    Program::start(command.args(["--reconnect", "forever"]))
}

/// Follows until it has printed so many lines, or one with this number, is ended, and gives what it printed.
fn round(home: &Home, signal: Signal, lines: usize, last: Option<u64>, known: &[u64]) -> Vec<u64> {
    let mut program = follower(home);
    match last {
        None => drop(program.stdout.line(lines)),
        Some(last) if known.contains(&last) => {}
        Some(last) => eventually("the last message is printed", || {
            let all = program.stdout.all();
            all.lines().any(|line| seq_of(line) == Some(last)).then_some(())
        }),
    }
    program.signal(signal);
    assert_eq!(program.exit_code(), 128 + signal as i32, "{}", program.stderr.all());
    // All that it printed has been collected when its output is at its end.
    assert_eq!(program.stdout.find(|_| None::<()>), None);
    program.stdout.all().lines().filter_map(seq_of).collect()
}

/// What it printed, over so many rounds, and what there was.
fn followed(signal: Signal, rounds: u64, seed: u64) -> (Vec<u64>, Vec<u64>) {
    let home = Home::new("sync");
    let scene = Arc::new(Scene::new());
    scene.fault("not started");
    let crowd = Crowd::start(&scene, CLIENTS, seed, None);
    let stop = AtomicBool::new(false);
    let mut rng = Rng::new(seed);
    let mut printed = Vec::new();
    let _daemon = thread::scope(|scope| {
        let daemons = scope.spawn(|| kills(&home, &scene, seed, &stop));
        let ends = Ends(&stop);
        for _ in 0..rounds {
            printed.extend(round(&home, signal, rng.size(0, 60), None, &[]));
        }
        drop(ends);
        daemons.join().unwrap()
    });
    let lacking = crowd.finish();
    assert!(lacking.is_empty(), "{lacking:?}");
    scene.is_clean(if signal == Signal::SIGTERM { "followed-term" } else { "followed-kill" });
    let records = scene.records();
    let is_final = |op, client: &str| op == Op::Replay && client == FINAL;
    let of_room = records.iter().filter(|record| {
        is_final(record.op, &record.client) && record.room.as_deref() == Some(ROOM)
    });
    let kept: Vec<u64> = of_room.filter_map(|record| record.seq).collect();
    let last = kept.last().copied();
    printed.extend(round(&home, Signal::SIGTERM, 0, last, &printed));
    (printed, kept)
}

/// Ends the killing, also where the follower fails: it would be waited for otherwise.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_follower_ended_by_term_prints_every_message_once_over_kills_of_the_daemon() {
    let (printed, kept) = followed(Signal::SIGTERM, amount(12, 300), 6);
    assert_eq!(printed, kept);
}

#[test]
fn a_follower_that_is_killed_loses_nothing_over_kills_of_the_daemon() {
    let (printed, kept) = followed(Signal::SIGKILL, amount(12, 300), 7);
    let printed: BTreeSet<u64> = printed.into_iter().collect();
    assert_eq!(printed.into_iter().collect::<Vec<_>>(), kept);
}
