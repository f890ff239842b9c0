//! A history that takes long to open: the service manager hears that this goes on, and does not give up.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tests::eventually;

use crate::scene::{Home, can_trace};

/// How long a read of the database takes, in microseconds: longer than the manager is left without a word.
const READ_US: u32 = 3_000_000;

/// Where a history is, the service manager's end of its socket, and the words under which a daemon takes so long, in microseconds, for the first read of its database;
/// nothing, and it is said, on a machine that cannot do that.
fn slow_to_open(delay_us: u32) -> Option<(Home, UnixDatagram, Vec<String>)> {
    if !can_trace("opening") {
        return None;
    }
    let home = Home::new("sync");
    let mut daemon = home.setup().start();
    daemon.signal(Signal::SIGTERM);
    daemon.ends();
    let socket = home.folder().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let [notify, log, database] = [
        format!("NOTIFY_SOCKET={}", socket.display()),
        home.folder().join("strace").display().to_string(),
        home.folder().join("state/history.db").display().to_string(),
    ];
    let inject = format!("inject=pread64:delay_enter={delay_us}:when=1");
    let words = ["env", &notify, "strace", "-D", "-f", "-qq", "-o", &log, "-P", &database];
    let words = [&words[..], &["-e", "trace=pread64", "-e", &inject]].concat();
    let words = words.into_iter().map(str::to_owned).collect();
    Some((home, manager, words))
}

/// A daemon that opened its history did not hear that it was to end until that was done, which may take minutes.
#[test]
fn who_is_told_to_end_while_its_history_is_opened_ends_at_once() {
    let Some((home, manager, words)) = slow_to_open(3 * READ_US) else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (mut opening, _folder) = home.setup().under(&words).begin();
    let mut heard = [0; 1024];
    let length = manager.recv(&mut heard).unwrap();
    let heard = String::from_utf8_lossy(&heard[..length]).into_owned();
    assert!(heard.contains("EXTEND_TIMEOUT_USEC="), "{heard}");
    let since = Instant::now();
    opening.signal(Signal::SIGTERM);
    opening.stderr.line_with(&["told to end while it was opened"]);
    eventually("what it made is removed", || (!home.control().exists()).then_some(()));
    assert!(since.elapsed() < Duration::from_micros(READ_US.into()), "{:?}", since.elapsed());
    // Whoever traces it lets it go when the read is over.
    assert_eq!(opening.exit_code(), 0, "{}", opening.stderr.all());
    assert!(!opening.stderr.all().contains("opened in"), "it had not come to its end");
    let daemon = home.setup().start();
    assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
}

#[test]
fn the_service_manager_is_asked_to_wait_while_the_history_is_opened() {
    let Some((home, manager, words)) = slow_to_open(READ_US) else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let _daemon = home.setup().under(&words).start();
    let mut heard = String::new();
    while !heard.contains("READY=1") {
        let mut words = [0; 1024];
        let length = manager.recv(&mut words).unwrap();
        heard.push_str(std::str::from_utf8(&words[..length]).unwrap());
        heard.push('\n');
    }
    let before = heard.split("READY=1").next().unwrap();
    assert!(before.contains("EXTEND_TIMEOUT_USEC=") && before.contains("STATUS="), "{heard}");
}
