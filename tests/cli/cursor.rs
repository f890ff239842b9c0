//! `chatctl tail --cursor-file` while followers are ended and the network is cut: every message once; killed, none is lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{Daemon, Fault, Program, Proxy, eventually};

use crate::{ended_with, ways};

/// How often a follower is ended, and how often meanwhile the network is.
const ROUNDS: usize = 12;

/// How often one is killed; each lives until its file is replaced.
const KILLS: usize = 5;

/// Somebody who posts all the time, numbers in one room, until told to stop; then how many.
struct Poster {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Poster {
    fn start(daemon: &Daemon) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, mut control) = (Arc::clone(&over), daemon.control());
        let thread = thread::spawn(move || {
            let mut posted = 0;
            while !theirs.load(Ordering::SeqCst) {
                posted += 1;
                assert_eq!(control.posts("ops", &posted.to_string()), posted);
                // As fast as a person cannot, and slow enough that the memory of the daemon holds it all.
                let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(2_u8));
            }
            posted
        });
        Self { over, thread }
    }

    fn stop(self) -> u64 {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// A follower that is started over and over with one cursor file.
struct Follower<'a> {
    daemon: &'a Daemon,
    way: String,
    cursor: PathBuf,
    printed: Vec<String>,
}

impl<'a> Follower<'a> {
    fn new(daemon: &'a Daemon, way: String) -> Self {
        let cursor = daemon.folder().join("ops.cursor");
        Self { daemon, way, cursor, printed: Vec::new() }
    }

    fn start(&self, more: &[&str]) -> Program {
        let cursor = self.cursor.to_str().unwrap();
        // All from the beginning, the first time.
        let arguments =
            ["-s", &self.way, "tail", "ops", "-n", "all", "--json", "--cursor-file", cursor];
        Program::start(self.daemon.chatctl(&arguments).args(more))
    }

    /// Runs it until it has printed so many lines, lets something be done to it meanwhile, and ends it.
    fn round(&mut self, signal: Signal, lines: usize, meanwhile: impl FnOnce(&Program)) {
        let mut program = self.start(&[]);
        program.stdout.line(lines - 1);
        meanwhile(&program);
        program.signal(signal);
        assert_eq!(program.exit_code(), 128 + signal as i32, "{}", program.stderr.all());
        self.take(&program);
    }

    /// Lets it come to the last message.
    fn last(&mut self, posted: u64) {
        let mut program = self.start(&["-v"]);
        let is_last = |line: &String| seq_of(line) == Some(posted);
        // What was printed by the run before may be all there is.
        program.stderr.line_with(&["following"]);
        let seen = || {
            self.printed.iter().any(is_last)
                || program.stdout.all().lines().any(|line| is_last(&line.to_owned()))
        };
        eventually("the last message is printed", || seen().then_some(()));
        program.signal(Signal::SIGTERM);
        assert_eq!(program.exit_code(), 128 + Signal::SIGTERM as i32);
        self.take(&program);
    }

    /// What the file says; 0 where there is none.
    fn kept(&self) -> u64 {
        seq_in(&self.cursor)
    }

    fn take(&mut self, program: &Program) {
        let ended = || program.stdout.find(|_| None::<()>);
        assert_eq!(ended(), None, "the stream has ended");
        self.printed.extend(program.stdout.all().lines().map(str::to_owned));
    }
}

/// The number of the room's last message that a cursor file names.
fn seq_in(cursor: &Path) -> u64 {
    let text = std::fs::read_to_string(cursor).unwrap_or_default();
    let cursor: Value = serde_json::from_str(&text).unwrap_or_default();
    cursor["rooms"]["ops"].as_u64().unwrap_or(0)
}

/// The number of a message that was printed whole.
fn seq_of(line: &str) -> Option<u64> {
    let event: Value = serde_json::from_str(line).ok()?;
    let seq = event["seq"].as_u64()?;
    assert_eq!(event["text"], seq.to_string(), "each message is what was posted");
    Some(seq)
}

#[test]
fn followers_ended_by_term_print_every_message_once() {
    for number in [0, 1] {
        // Each way has a daemon whose room begins at 1.
        let daemon = Daemon::start();
        let [control, tcp] = ways(&daemon);
        let way = if number == 0 { control } else { tcp };
        let poster = Poster::start(&daemon);
        let mut follower = Follower::new(&daemon, way);
        for round in 1..=ROUNDS {
            follower.round(Signal::SIGTERM, 3 * round, |_| {});
        }
        let last = poster.stop();
        follower.last(last);
        let seqs: Vec<u64> = follower.printed.iter().map(|line| seq_of(line).unwrap()).collect();
        assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
    }
}

#[test]
fn followers_and_network_ended_over_and_over_print_every_message_once() {
    let daemon = Daemon::start();
    let proxy = Proxy::start(daemon.address(), Fault::None);
    let poster = Poster::start(&daemon);
    let mut follower = Follower::new(&daemon, format!("tcp://{}", proxy.address()));
    for round in 0..ROUNDS {
        let cut = 500 + 700 * round;
        follower.round(Signal::SIGTERM, 1 + round, |program| {
            let lines = || program.stdout.all().lines().count();
            let before = lines();
            let connections = proxy.accepted();
            match round % 4 {
                // In the middle of whatever is under way, with and without order.
                0 => proxy.break_all(),
                1 => proxy.set(Fault::Cut(cut)),
                2 => proxy.set(Fault::Reset(cut)),
                // Ended while it looks for the daemon.
                _ => {
                    proxy.set(Fault::Refuse);
                    proxy.break_all();
                    program.stderr.line_with(&["lost"]);
                    return;
                }
            }
            eventually("it has come back", || (proxy.accepted() > connections).then_some(()));
            proxy.set(Fault::None);
            eventually("it goes on", || (lines() > before).then_some(()));
        });
        proxy.set(Fault::None);
    }
    let last = poster.stop();
    follower.last(last);
    let seqs: Vec<u64> = follower.printed.iter().map(|line| seq_of(line).unwrap()).collect();
    assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
}

#[test]
fn followers_that_are_killed_lose_nothing() {
    let daemon = Daemon::start();
    let proxy = Proxy::start(daemon.address(), Fault::None);
    let poster = Poster::start(&daemon);
    let mut follower = Follower::new(&daemon, format!("tcp://{}", proxy.address()));
    for round in 0..KILLS {
        let (cursor, before) = (follower.cursor.clone(), follower.kept());
        let repeated = follower.printed.len();
        follower.round(Signal::SIGKILL, 1, |_| {
            if round % 3 == 0 {
                proxy.break_all();
            }
            // The file is replaced while it works, not at its end alone.
            eventually("the file goes on", || (seq_in(&cursor) > before).then_some(()));
        });
        // What is repeated is what came behind the file.
        assert_eq!(seq_of(&follower.printed[repeated]), Some(before + 1));
    }
    let last = poster.stop();
    follower.last(last);
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    // A line that was cut by the kill is none, and its message comes again.
    for seq in follower.printed.iter().filter_map(|line| seq_of(line)) {
        *times.entry(seq).or_default() += 1;
    }
    assert_eq!(times.into_keys().collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
}

/// What a program has had, it does not get again.
#[test]
fn programs_run_once_by_message() {
    let daemon = Daemon::start();
    let poster = Poster::start(&daemon);
    let done = daemon.folder().join("done");
    let cursor = daemon.folder().join("cursor");
    let cursor = cursor.to_str().unwrap();
    let script = "echo $CHAT_SEQ >> \"$0\"";
    let arguments =
        ["tail", "ops", "-n", "all", "--cursor-file", cursor, "--exec", "/bin/sh", "-c"];
    let read = || -> Vec<u64> {
        let text = std::fs::read_to_string(&done).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    for _ in 0..5 {
        let before = read().len();
        let mut program = Program::start(daemon.chatctl(&arguments).arg(script).arg(&done));
        eventually("it does something", || (read().len() > before).then_some(()));
        program.signal(Signal::SIGTERM);
        assert_eq!(program.exit_code(), 128 + Signal::SIGTERM as i32, "{}", program.stderr.all());
    }
    let _ = poster.stop();
    let seqs = read();
    assert_eq!(seqs, (1..=u64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
}

#[test]
fn a_cursor_of_another_daemon_is_recognised() {
    let first = Daemon::start();
    first.control().posts("ops", "old");
    let cursor = first.folder().join("cursor");
    let follow = |daemon: &Daemon| {
        let cursor = cursor.to_str().unwrap();
        daemon.ctl(&["tail", "ops", "-n", "all", "--raw", "--count", "1", "--cursor-file", cursor])
    };
    assert_eq!(ended_with(0, &follow(&first)).0, "old\n");
    let second = Daemon::start();
    second.control().posts("ops", "new");
    let (stdout, stderr) = ended_with(6, &follow(&second));
    assert_eq!(stdout, "new\n");
    assert!(stderr.contains("new history"), "{stderr}");
}

/// Rooms that were made while nobody followed are followed from their beginning.
#[test]
fn a_follower_of_all_rooms_misses_none_that_was_made_meanwhile() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    ops.posts("old", "before");
    let cursor = daemon.folder().join("cursor");
    let cursor = cursor.to_str().unwrap();
    for way in ways(&daemon) {
        let arguments = ["-s", &way, "--raw", "--cursor-file", cursor];
        let mut first = daemon.follower(&arguments);
        first.signal(Signal::SIGTERM);
        assert_eq!(first.exit_code(), 128 + Signal::SIGTERM as i32);
        assert_eq!(first.stdout.all(), "");
        ops.posts("old", "one");
        ops.posts(&format!("new-{}", way.len()), "two");
        let second = daemon.follower(&arguments);
        assert_eq!([second.stdout.line(0), second.stdout.line(1)].map(|text| text.len()), [3, 3]);
        ops.posts("old", "three");
        assert_eq!(second.stdout.line(2), "three");
        let mut second = second;
        second.signal(Signal::SIGTERM);
        assert_eq!(second.exit_code(), 128 + Signal::SIGTERM as i32);
        assert_eq!(second.stdout.all().lines().count(), 3);
    }
}
