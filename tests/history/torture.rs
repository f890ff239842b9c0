//! Real daemons, killed again and again while clients talk; then everything is read back, and the checker looks at all of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::Daemon;
use tests::checker::{Anomaly, Deliver};

use crate::amount;
use crate::crowd::Crowd;
use crate::rng::Rng;
use crate::scene::{Home, Scene};

/// How many talk.
const CLIENTS: usize = 8;

/// So many kills show that what is only in memory is lost.
const KILLS_WITHOUT_DISK: u64 = 3;

/// What a run came to.
struct Run {
    scene: Arc<Scene>,
    /// The longest that a daemon took from its start until it served.
    slowest_start: Duration,
    /// Who had not heard all at the end.
    lacking: Vec<String>,
}

impl Run {
    /// Fails where a promise was broken.
    fn is_clean(&self, name: &str) {
        self.is_clean_where(Deliver::Stored, name);
    }

    /// The same of what is delivered so.
    fn is_clean_where(&self, deliver: Deliver, name: &str) {
        assert!(self.lacking.is_empty(), "{name}: {:?}", self.lacking);
        self.scene.is_clean_where(deliver, name);
        let line = format!("{name}: the slowest start took {:.1?}\n", self.slowest_start);
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
}

/// Starts a daemon so many times, and kills it while all talk; the last one lives.
fn tortured(home: &Home, cycles: u64, seed: u64, lets_go: Option<u64>) -> Run {
    let scene = Arc::new(Scene::new());
    let mut rng = Rng::new(seed);
    scene.fault("not started");
    let crowd = Crowd::start(&scene, CLIENTS, seed, lets_go);
    let mut slowest_start = Duration::ZERO;
    for _ in 0..cycles {
        let mut daemon = started(home, &scene, &mut slowest_start);
        // Also while it has hardly begun, and while it is in full swing.
        let most = rng.pick(&[0, 0, 10, 100, 600]);
        scene.after_acknowledgments(rng.range(0, most));
        let signal = if rng.chance(900) { Signal::SIGKILL } else { Signal::SIGTERM };
        scene.fault(signal.as_str());
        daemon.signal(signal);
        daemon.ends();
    }
    let _daemon = started(home, &scene, &mut slowest_start);
    scene.after_acknowledgments(if cycles == 0 { 3_000 } else { 300 });
    let lacking = crowd.finish();
    Run { scene, slowest_start, lacking }
}

fn started(home: &Home, scene: &Scene, slowest: &mut Duration) -> Daemon {
    let begun = Instant::now();
    let daemon = home.setup().start();
    *slowest = begun.elapsed().max(*slowest);
    scene.serves(&daemon);
    daemon
}

/// How many cycles a campaign has where the environment says no other number.
fn cycles(sample: u64, whole: u64) -> u64 {
    let given = std::env::var("CHATD_CYCLES").ok();
    given.map_or_else(|| amount(sample, whole), |cycles| cycles.parse().unwrap())
}

/// `CHATD_CYCLES=200 cargo test -p tests --test history kills -- --nocapture` runs that many.
#[test]
fn nothing_acknowledged_is_lost_or_doubled_over_kills() {
    let run = tortured(&Home::new("sync"), cycles(20, 1_000), 3, Some(2_000));
    run.is_clean("killed");
    assert_eq!(run.scene.histories().len(), 1, "the history is one");
}

/// What the operating system has outlives the process, though not the machine.
#[test]
fn nothing_acknowledged_is_lost_over_kills_where_the_system_has_it() {
    let run = tortured(&Home::new("write"), cycles(5, 100), 4, Some(2_000));
    run.is_clean("killed-write");
}

/// Heard before it is stored: what was heard may be gone, what was acknowledged not, and no number is given again.
#[test]
fn nothing_acknowledged_is_lost_over_kills_where_it_is_heard_at_once() {
    let home = Home::new("sync").config("deliver = \"at_once\"");
    let run = tortured(&home, cycles(10, 200), 5, Some(2_000));
    run.is_clean_where(Deliver::AtOnce, "killed-at-once");
}

/// Clients that come and go, with a daemon that lives.
#[test]
fn clients_that_let_go_of_their_connections_get_all_they_are_owed() {
    let run = tortured(&Home::new("none"), 0, 1, Some(100));
    run.is_clean("letting-go");
}

/// The run below can fail: what is only in memory does not outlive the daemon, and the checker says so.
#[test]
fn a_history_in_memory_is_lost_with_the_daemon() {
    let scene = tortured(&Home::new("none"), KILLS_WITHOUT_DISK, 2, None).scene;
    let (report, histories) = (scene.report(Deliver::Stored), scene.histories().len());
    let lost = report.of(Anomaly::Lost).count;
    assert!(lost > 0 && histories > 1, "it lost {lost}, with {histories} histories:\n{report}");
}
