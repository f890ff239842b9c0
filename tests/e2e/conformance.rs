//! The Autobahn test suite against the echo: every case but those about compression, which is not offered.
//!
//! The suite runs under Python 2.7 only; `tests/run` fetches it where there is one, and says in `CHATD_WSTEST` how it is called.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::program::run_within;
use tests::{Folder, Setup, left_out};

/// How many cases there are outside compression.
const CASES: usize = 301;
/// They take half a minute where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(400);

#[test]
fn all_cases_of_the_autobahn_suite_pass() {
    let Some(wstest) = std::env::var_os("CHATD_WSTEST") else {
        return left_out(
            "the Autobahn test suite: needs Python 2.7, and tests/run --install to fetch it",
        );
    };
    let limits = "[limits]\nmessages = \"off\"\nbytes = \"off\"";
    let daemon = Setup::new().config(limits).argument("--ws-echo").argument("/echo").start();
    let folder = Folder::new();
    let report = folder.join("report");
    let spec = json!({
        "outdir": report,
        "servers": [{"agent": "chatd", "url": format!("ws://{}/echo", daemon.address())}],
        "cases": ["*"],
        "exclude-cases": ["12.*", "13.*"],
        "exclude-agent-cases": {},
    });
    let spec = folder.write("spec.json", spec.to_string());
    let mut command = Command::new(wstest);
    command.args(["-m", "fuzzingclient", "-s"]).arg(&spec).stdin(Stdio::null());
    let output = run_within(&mut command, &[], PATIENCE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let index = fs::read_to_string(report.join("index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let cases = index["chatd"].as_object().unwrap();
    let wrong: Vec<String> = cases
        .iter()
        .flat_map(|(case, outcome)| {
            [(case, &outcome["behavior"]), (case, &outcome["behaviorClose"])]
        })
        .filter(|(_, how)| !matches!(how.as_str(), Some("OK" | "INFORMATIONAL")))
        .map(|(case, how)| format!("{case}: {how}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(cases.len(), CASES);
}
