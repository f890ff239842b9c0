//! `status`, `check` and `doctor` against a daemon that is well.

use serde_json::Value;
use tests::Setup;

use crate::ended_with;

#[test]
fn administrators_see_where_it_listens_and_what_it_does() {
    let daemon = Setup::new().start();
    let _ada = daemon.named("Ada");
    daemon.control().posts("lobby", "hello");
    let (status, _) = ended_with(0, &daemon.ctl(&["status"]));
    let listens = format!("{:22} {}", "listens on", daemon.address());
    assert!(status.lines().any(|line| line == listens), "{status}");
    assert!(status.contains(&format!("process {}", daemon.pid())), "{status}");
    assert!(
        status.contains(": 1 v0.5, 0 v1, 1 control, 0 websocket, 0 http, 0 events, 0 undecided\n"),
        "{status}"
    );
    let over_tcp = format!("tcp://{}", daemon.address());
    let (json, _) =
        ended_with(0, &daemon.chatctl(&["-s", &over_tcp, "status", "--json"]).output().unwrap());
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["recent"]["messages"], 1, "{told}");
    assert!(told["turns"].as_u64() > Some(0), "{told}");
    assert!(told["turn_p50_us"].as_u64() <= told["turn_longest_us"].as_u64(), "{told}");
    assert_eq!(told.get("process"), None, "addresses are for administrators: {told}");
}

#[test]
fn a_daemon_that_is_well_is_ok_and_one_that_is_gone_is_critical() {
    let mut daemon = Setup::new().start();
    // A test machine may be slower than any that is watched.
    let check = ["check", "--turn", "60000,60000"];
    let (said, _) = ended_with(0, &daemon.ctl(&check));
    assert!(said.starts_with("CHATD OK - ") && said.lines().count() == 1, "{said}");
    assert!(said.contains(" | connections=1;"), "{said}");
    ended_with(0, &daemon.ctl(&["stop"]));
    daemon.ends();
    let (said, _) = ended_with(2, &daemon.ctl(&check));
    assert!(said.starts_with("CHATD CRITICAL - ") && said.lines().count() == 1, "{said}");
}

#[test]
fn doctor_finds_nothing_bad_with_a_daemon_of_its_own_version() {
    let daemon = Setup::new().start();
    let output = daemon.ctl(&["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |what: &str| {
        let begin = format!("ok    {what:12} ");
        said.lines()
            .find(|line| line.starts_with(&begin))
            .unwrap_or_else(|| panic!("{what}: {said}"))
    };
    assert!(line("socket").contains(&daemon.control_path().display().to_string()), "{said}");
    assert!(line("daemon").contains("its version is"), "{said}");
    assert!(line("descriptors").contains("enough for"), "{said}");
    // What else is bad is this machine's.
    let bad: Vec<_> = said.lines().filter(|line| line.starts_with("bad")).collect();
    assert!(bad.iter().all(|line| line.contains(" disk ") || line.contains(" clock ")), "{said}");
}
