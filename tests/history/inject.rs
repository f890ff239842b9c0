//! The disk fails: one system call of the daemon after the other is told by `strace` that it did not work, and nothing that was
//! acknowledged is lost, nothing doubled, whatever the daemon made of it.

use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::Signal;

use crate::crowd::Crowd;
use crate::scene::{Home, Scene, can_trace};

/// How many talk.
const CLIENTS: usize = 4;

/// So many calls are made to fail, one after the other, in a whole campaign.
const CALLS: u64 = 100;

/// Which of them in a sample.
const SAMPLE: [u64; 7] = [1, 2, 3, 4, 6, 9, 14];

/// So much more is acknowledged after a failure, before the daemon is ended.
const AFTERWARDS: u64 = 30;

/// A daemon that has acknowledged so many did not make a call of that number.
const UNTIL_MAX: u64 = 12_000;

/// What is done to the calls of these names.
fn under(calls: &str, error: &str, number: u64, log: &str) -> Vec<String> {
    let inject = format!("inject={calls}:error={error}:when={number}");
    let trace = format!("trace={calls}");
    let words = ["strace", "-D", "-f", "-qq", "-o", log, "-e", &trace, "-e", &inject];
    words.map(str::to_owned).to_vec()
}

/// One daemon, one failing call.
struct Try<'a> {
    home: &'a Home,
    scene: &'a Scene,
    log: PathBuf,
}

impl Try<'_> {
    /// Whether the call was made at all.
    fn is_injected(&self) -> bool {
        std::fs::read_to_string(&self.log).is_ok_and(|log| log.contains("(INJECTED)"))
    }

    /// Runs a daemon until the call failed and it went on or ended; what it ended with, if it did.
    fn run(&self, calls: &str, error: &str, number: u64) -> Option<i32> {
        let words = under(calls, error, number, self.log.to_str().unwrap());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut daemon = match self.home.setup().under(&words).try_start() {
            Ok(daemon) => daemon,
            Err((code, log)) => {
                assert!(log.contains("chatd: "), "it says why it does not start: {log}");
                return Some(code);
            }
        };
        self.scene.serves(&daemon);
        let before = self.scene.acknowledged();
        let mut ended = false;
        self.scene.waits("the failure", || {
            ended = !daemon.runs();
            let on = self.scene.acknowledged() - before;
            ended || (on > AFTERWARDS && self.is_injected()) || on > UNTIL_MAX
        });
        let more = self.scene.acknowledged() + AFTERWARDS;
        self.scene.waits("its end, or that it goes on", || {
            ended = !daemon.runs();
            ended || self.scene.acknowledged() >= more
        });
        self.scene.fault("killed");
        if !ended {
            daemon.signal(Signal::SIGKILL);
        }
        let status = daemon.ends();
        status.code().filter(|_| ended)
    }
}

/// Lets each of these calls fail once, and looks at everything at the end.
fn injected(name: &str, calls: &str, error: &str) {
    if !can_trace(&format!("inject::{name}")) {
        return;
    }
    let home = Home::new("sync");
    let scene = Arc::new(Scene::new());
    scene.fault("not started");
    let crowd = Crowd::start(&scene, CLIENTS, 10, None);
    let (mut met, mut ended) = (0, 0);
    let numbers = if crate::amount(0, 1) == 0 { SAMPLE.to_vec() } else { (1..=CALLS).collect() };
    for number in numbers {
        let one = Try { home: &home, scene: &scene, log: home.folder().join("strace") };
        let code = one.run(calls, error, number);
        met += u32::from(one.is_injected());
        ended += u32::from(code.is_some());
        assert!(code.is_none_or(|code| code == 1), "{calls} {number}: it ended with {code:?}");
    }
    let daemon = home.setup().start();
    scene.serves(&daemon);
    scene.after_acknowledgments(AFTERWARDS);
    let lacking = crowd.finish();
    let line =
        format!("{name}: {met} calls of {calls} failed with {error}, {ended} daemons ended\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(met > 0, "no call of {calls} was made at all");
    assert!(lacking.is_empty(), "{lacking:?}");
    scene.is_clean(name);
    assert_eq!(scene.histories().len(), 1, "the history is one");
}

#[test]
fn a_sync_that_fails_loses_nothing() {
    injected("sync-fails", "fsync,fdatasync", "EIO");
}

#[test]
fn a_write_that_fails_loses_nothing() {
    injected("write-fails", "pwrite64", "EIO");
}

#[test]
fn a_write_for_which_there_is_no_space_loses_nothing() {
    injected("write-full", "pwrite64", "ENOSPC");
}
