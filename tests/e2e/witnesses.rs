//! Two witnesses who chat, first alone and then beside an attack: they must get everything, in order, nothing twice, and be about as
//! fast as before.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Daemon, V1Client};

/// What they say in quiet, and at least beside the attack.
const MESSAGES_MIN: u64 = 100;

/// Below this latency is no question of the daemon's: a debug build checks its whole state after each turn, and where other tests
/// run on the same few processors a thread that is ready waits for several slices of 4 ms. Twice a quiet 1 ms would be noise.
const P99_FLOOR: Duration = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 10 });

/// One speaks, the other hears.
struct Witnesses {
    speaker: V1Client,
    hearer: V1Client,
    said: u64,
}

impl Witnesses {
    fn connect(daemon: &Daemon, names: [&str; 2]) -> Self {
        let [mut speaker, mut hearer] = names.map(|name| V1Client::connect(daemon.address(), name));
        for witness in [&mut speaker, &mut hearer] {
            assert_eq!(witness.asks("join", json!({"room": "witnesses"}))["ok"], true);
        }
        Self { speaker, hearer, said: 0 }
    }

    /// One message, which must be the next one heard; how long that took.
    fn exchange(&mut self) -> Duration {
        self.said += 1;
        // Who says nothing for the idle limit is closed.
        self.hearer.sends("ping", json!({}));
        let begun = Instant::now();
        assert_eq!(self.speaker.posts("witnesses", &self.said.to_string()), self.said);
        let heard = self.hearer.event_called("message");
        let took = begun.elapsed();
        let expected = (&json!(self.said), &json!(self.said.to_string()));
        assert_eq!((&heard["seq"], &heard["text"]), expected);
        took
    }
}

/// The time that 99 of 100 did not pass.
fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[(times.len() * 99).div_ceil(100) - 1]
}

/// Ends the witnesses' chat, also where the attack panics: it would be waited for otherwise.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lets two witnesses chat in quiet, and then until `attack` is over.
pub(crate) fn beside_witnesses(daemon: &Daemon, attack: impl FnOnce(&Daemon)) {
    beside_witnesses_called(daemon, ["Witness One", "Witness Two"], attack);
}

/// The same with names of one's own for them.
pub(crate) fn beside_witnesses_called(
    daemon: &Daemon,
    names: [&str; 2],
    attack: impl FnOnce(&Daemon),
) {
    let mut witnesses = Witnesses::connect(daemon, names);
    let mut quiet: Vec<Duration> = (0..MESSAGES_MIN).map(|_| witnesses.exchange()).collect();
    let over = AtomicBool::new(false);
    let mut attacked = thread::scope(|scope| {
        let speaks = scope.spawn(|| {
            let mut attacked = Vec::new();
            while (attacked.len() as u64) < MESSAGES_MIN || !over.load(Ordering::SeqCst) {
                attacked.push(witnesses.exchange());
            }
            attacked
        });
        let ends = Ends(&over);
        attack(daemon);
        drop(ends);
        speaks.join().unwrap()
    });
    assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
    let (count, quiet, attacked) = (attacked.len(), p99(&mut quiet), p99(&mut attacked));
    let limit = (2 * quiet).max(P99_FLOOR);
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!(
        "{test}: p99 {attacked:.1?} of {count} beside the attack, {quiet:.1?} in quiet, limit {limit:.1?}\n"
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
    assert!(attacked < limit, "{line}");
}
