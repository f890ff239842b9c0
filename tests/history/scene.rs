//! What all clients of a run share: where the daemon is now, what they wrote down, and whether it is time to come to an end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::checker::{self, Deliver, History, NEMESIS, Op, Record, Report};
use tests::{Daemon, Folder, Setup, left_out};

use crate::wire::Way;

/// How long anything of a whole run may take.
const RUN_WAIT: Duration = Duration::from_mins(1);

/// Whether a daemon can be run under `strace` here; where it cannot, it is said of which test that is.
pub(crate) fn can_trace(test: &str) -> bool {
    let can = Command::new("strace").arg("-V").output().is_ok_and(|done| done.status.success());
    if !can {
        left_out(&format!("{test}: needs strace (Debian package strace)"));
    }
    can
}

/// Where a daemon keeps its history, and how.
#[derive(Debug)]
pub(crate) struct Home {
    folder: Folder,
    state: Option<PathBuf>,
    config: String,
}

impl Home {
    /// With this durability; `none` keeps nothing.
    pub(crate) fn new(durability: &str) -> Self {
        let folder = Folder::new();
        let state = (durability != "none").then(|| folder.join("state"));
        let config =
            format!("[limits]\nmessages = \"off\"\n[history]\ndurability = \"{durability}\"\n");
        Self { folder, state, config }
    }

    /// The history is kept here instead.
    pub(crate) fn state(mut self, path: &Path) -> Self {
        self.state = Some(path.to_owned());
        self
    }

    /// Appends a line to the configuration's part about the history.
    pub(crate) fn config(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Its folder, which is gone with it.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where a daemon's control socket is, whichever runs.
    pub(crate) fn control(&self) -> PathBuf {
        self.folder.join("control")
    }

    /// How a daemon is started here.
    pub(crate) fn setup(&self) -> Setup {
        let setup = Setup::new().config(&self.config).control(&self.control());
        match &self.state {
            Some(state) => setup.argument("--state-dir").argument(state.to_str().unwrap()),
            None => setup,
        }
    }
}

/// What all clients of a run share.
#[derive(Debug)]
pub(crate) struct Scene {
    begun: Instant,
    records: Mutex<Vec<Record>>,
    server: Mutex<Option<[Way; 2]>>,
    acknowledged: AtomicU64,
    over: AtomicBool,
    broken: AtomicBool,
    /// How many clients have nothing left to ask.
    idle: AtomicUsize,
    histories: Mutex<BTreeSet<String>>,
    refusals: Mutex<BTreeMap<String, u64>>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            records: Mutex::default(),
            server: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            over: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            idle: AtomicUsize::new(0),
            histories: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// Now, on the clock that all share.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap()
    }

    /// Writes something down.
    pub(crate) fn writes(&self, record: Record) {
        if record.op == Op::Ok {
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        self.records.lock().unwrap().push(record);
    }

    /// A daemon serves here from now on.
    pub(crate) fn serves(&self, daemon: &Daemon) {
        let ways = [Way::Tcp(daemon.address()), Way::Control(daemon.control_path().to_owned())];
        *self.server.lock().unwrap() = Some(ways);
        self.writes(Record::new(self.now(), NEMESIS, 0, Op::Heal));
    }

    /// It is about to be harmed.
    pub(crate) fn fault(&self, why: &str) {
        self.writes(Record::new(self.now(), NEMESIS, 0, Op::Fault).why(why));
        *self.server.lock().unwrap() = None;
    }

    /// Something breaks beside the daemon, or is whole again.
    pub(crate) fn notes(&self, op: Op, why: &str) {
        self.writes(Record::new(self.now(), NEMESIS, 0, op).why(why));
    }

    /// The way to the daemon, where there is one.
    pub(crate) fn way(&self, over_control: bool) -> Option<Way> {
        let ways = self.server.lock().unwrap();
        ways.as_ref().map(|[tcp, control]| if over_control { control } else { tcp }.clone())
    }

    /// A daemon said which history it has.
    pub(crate) fn has_history(&self, history: &str) {
        self.histories.lock().unwrap().insert(history.to_owned());
    }

    /// Which histories the daemons said they had.
    pub(crate) fn histories(&self) -> Vec<String> {
        self.histories.lock().unwrap().iter().cloned().collect()
    }

    /// A post was refused with this code.
    pub(crate) fn refused(&self, code: &str) {
        *self.refusals.lock().unwrap().entry(code.to_owned()).or_default() += 1;
    }

    /// How many posts were refused with this code.
    pub(crate) fn refusals(&self, code: &str) -> u64 {
        self.refusals.lock().unwrap().get(code).copied().unwrap_or(0)
    }

    /// How many acknowledgments there were.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits for so many more acknowledgments.
    pub(crate) fn after_acknowledgments(&self, more: u64) {
        let enough = self.acknowledged() + more;
        self.waits("acknowledgments", || self.acknowledged() >= enough);
    }

    /// Waits until something of the run has happened.
    pub(crate) fn waits(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let end = Instant::now() + RUN_WAIT;
        while !happened() {
            assert!(!self.broken.load(Ordering::SeqCst), "a client failed");
            assert!(Instant::now() < end, "waited {RUN_WAIT:?} in vain for {what}");
            pause();
        }
    }

    /// Nobody is to say anything new from now on.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// A client failed.
    pub(crate) fn breaks(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// A client has nothing left to ask.
    pub(crate) fn is_idle(&self) {
        self.idle.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.load(Ordering::SeqCst)
    }

    /// All that was written down so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    /// What the checker says to all that was written down.
    pub(crate) fn report(&self, deliver: Deliver) -> Report {
        checker::check(&History::of(&self.records()).unwrap(), deliver)
    }

    /// Fails where there is anything to report, and leaves the history for a closer look.
    pub(crate) fn is_clean(&self, run: &str) {
        self.is_clean_where(Deliver::Stored, run);
    }

    /// The same of what is delivered so.
    pub(crate) fn is_clean_where(&self, deliver: Deliver, run: &str) {
        let report = self.report(deliver);
        let line = format!("{run}: {report}");
        if report.is_clean() {
            let refusals = self.refusals.lock().unwrap();
            let short = line.lines().next().unwrap_or_default();
            let short = format!("{short}, refused {refusals:?}: nothing found\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), short.as_bytes());
            return;
        }
        let name = format!("chatd-history-{}-{run}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        let lines: Vec<String> = self.records().iter().map(Record::line).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        panic!("{line}\nthe history is in {}", path.display());
    }
}

/// Between two looks at what nothing announces.
pub(crate) fn pause() {
    let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(2_u8));
}
