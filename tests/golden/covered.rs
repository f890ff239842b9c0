//! Nothing of the vocabulary is left without a script: each request is asked, each event and error code is seen.

use proto::REQUESTS;
use proto::vocabulary::{ERROR_CODES, EVENTS};

use crate::scripts;

/// Error codes that no peer can meet yet, and why.
const UNREACHABLE: &[(&str, &str)] =
    &[("busy", "the daemon talks with many at once: only `chatctl talk --listen` says so")];

fn all() -> String {
    scripts().iter().map(|(_, path)| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn each_request_is_asked_in_a_script() {
    let all = all();
    for row in REQUESTS {
        let asked = format!("\"request\":\"{}\"", row.name);
        assert!(all.contains(&asked), "no script asks `{}`", row.name);
    }
}

#[test]
fn each_event_is_seen_in_a_script() {
    let all = all();
    for (event, _, _) in EVENTS {
        let seen = all.contains(&format!("{{\"event\":\"{event}\""));
        assert!(seen, "no script shows event `{event}`");
    }
}

#[test]
fn each_error_code_is_seen_in_a_script() {
    let all = all();
    for (_, word, _) in ERROR_CODES {
        let seen = all.contains(&format!("\"ok\":false,\"error\":\"{word}\""));
        let unreachable = UNREACHABLE.iter().any(|(known, _)| known == word);
        assert!(seen != unreachable, "{word}: seen {seen}, listed as unreachable {unreachable}");
    }
}

#[test]
fn each_script_opens_with_what_it_shows() {
    for (name, path) in scripts() {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with("# "), "{name} does not say what it shows");
    }
}
