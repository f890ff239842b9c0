//! A history that takes long to open: the service manager hears that this goes on, and does not give up.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::left_out;

use crate::scene::Home;

/// How long a read of the database takes, in microseconds: longer than the manager is left without a word.
const READ_US: u32 = 3_000_000;

#[test]
fn the_service_manager_is_asked_to_wait_while_the_history_is_opened() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|done| done.status.success()) {
        left_out("opening: needs strace (Debian package strace)");
        return;
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
    let inject = format!("inject=pread64:delay_enter={READ_US}:when=1");
    let words = ["env", &notify, "strace", "-D", "-f", "-qq", "-o", &log, "-P", &database];
    let words = [&words[..], &["-e", "trace=pread64", "-e", &inject]].concat();
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
