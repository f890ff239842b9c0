//! The daemon's own log: a peer can make it write only so much, what is left out is counted, and USR1 asks for a summary.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Daemon, Setup, eventually};

/// Lines of one kind within a second, as chatd promises.
const LINES_PER_S: u64 = 100;

/// The log's lines as objects.
fn lines(daemon: &Daemon) -> Vec<Value> {
    daemon.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many lines of this kind each second had that had any.
fn by_second(lines: &[Value], kind: &str) -> BTreeMap<String, u64> {
    let mut seconds = BTreeMap::new();
    for line in lines.iter().filter(|line| line["kind"] == kind) {
        let (second, _) = line["timestamp"].as_str().unwrap().split_once('.').unwrap();
        *seconds.entry(second.to_owned()).or_default() += 1;
    }
    seconds
}

/// How many lines of this kind were said to be left out.
fn left_out(lines: &[Value], kind: &str) -> u64 {
    let named = format!("'{kind}'");
    let said = lines.iter().filter(|line| line["kind"] == "log_limited");
    let said = said.filter_map(|line| line["message"].as_str());
    let said = said.filter(|text| text.contains(&named));
    said.map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_crowd_fills_a_hundred_lines_of_a_kind_a_second_and_the_rest_is_counted() {
    const CROWD: usize = 400;
    let daemon = Setup::new().config("[log]\nlevel = \"debug\"\nformat = \"json\"\n").start();
    let crowd: Vec<_> = (0..CROWD).map(|_| daemon.native()).collect();
    drop(crowd);
    // Each came and went; what a second had too much is said once the second is over.
    for kind in ["accepted", "closed"] {
        let lines = eventually("every line is written or counted", || {
            let lines = lines(&daemon);
            let written: u64 = by_second(&lines, kind).values().sum();
            (written + left_out(&lines, kind) == CROWD as u64).then_some(lines)
        });
        let seconds = by_second(&lines, kind);
        assert!(seconds.values().all(|count| *count <= LINES_PER_S), "{seconds:?}");
        // On a slow machine the crowd takes a while, but never four seconds.
        assert!(left_out(&lines, kind) > 0, "the crowd was too slow to show anything: {seconds:?}");
        let limited = by_second(&lines, "log_limited");
        // Two kinds, and one line of each for a second.
        assert!(limited.values().all(|count| *count <= 2), "{limited:?}");
        assert_eq!(left_out(&lines, "log_limited"), 0);
    }
    assert!(!daemon.log().contains("log_lost"), "nothing was lost unseen");
}

#[test]
fn usr1_logs_all_that_stats_counts_at_any_level_and_the_daemon_goes_on() {
    let daemon = Setup::new().config("[log]\nlevel = \"error\"\nformat = \"json\"\n").start();
    let _ada = daemon.named("Ada");
    let mut ops = daemon.control();
    ops.asks("ping", json!({}));
    for _ in 0..2 {
        let counted = daemon.log().lines().count();
        daemon.signal(Signal::SIGUSR1);
        eventually("a summary", || (daemon.log().lines().count() > counted).then_some(()));
    }
    let stats = ops.asks("stats", json!({}))["stats"].clone();
    let lines = lines(&daemon);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert_eq!(
            (line["kind"].as_str(), line["level"].as_str()),
            (Some("summary"), Some("INFO"))
        );
        let text = line["message"].as_str().unwrap();
        assert!(
            text.contains(" connections_native=1 connections_v1=0 connections_control=1 "),
            "{text}"
        );
        for (name, _) in stats.as_object().unwrap().iter().filter(|(_, value)| value.is_number()) {
            assert!(text.contains(&format!(" {name}=")), "{name} is in stats, and not in {text}");
        }
        assert!(!text.contains("Ada"), "{text}");
    }
}
