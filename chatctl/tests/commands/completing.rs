//! `chatctl __complete` at a daemon that is not well: whoever pressed the key is writing a line, and does not wait.

use crate::fake::{Door, Fake, Ran};
use serde_json::json;
use std::time::{Duration, Instant};

/// The daemon has half a second in all; a machine that is busy needs some for itself. Other commands wait 10 s for each answer.
const SPAN_MAX: Duration = Duration::from_secs(4);

/// What could stand behind `chatctl send`, in a time that a person at the keys takes for none.
#[allow(clippy::disallowed_methods, reason = "a real process lives by the real clock")]
fn completed(fake: Fake) -> Ran {
    let begin = Instant::now();
    let ran = fake.run(&["__complete", "zsh", "--", "chatctl", "send", ""], b"");
    assert!(begin.elapsed() < SPAN_MAX, "{:?}", begin.elapsed());
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    ran
}

#[test]
fn completion_does_not_wait_for_a_daemon_that_hangs() {
    let never_answers = |door: &mut Door| {
        door.open().rest();
    };
    for fake in [Fake::new(never_answers), Fake::over_tcp(never_answers)] {
        assert_eq!(completed(fake).out, "words\n");
    }
}

#[test]
fn completion_offers_what_came_before_a_daemon_hung() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("rooms");
        let rooms = json!([{"room": "lobby", "members": 3}]);
        caller.yes(&asked, json!({"rooms": rooms, "more": true}));
        caller.rest();
    });
    assert_eq!(completed(fake).out, "words\nlobby\t3 members\n");
}

#[test]
fn completion_ends_where_a_daemon_never_does() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        for number in 0.. {
            let heard = caller.request();
            let Some(asked) = heard else { break };
            let rooms = json!([{"room": format!("room-{number:09}"), "members": 1}]);
            caller.yes(&asked, json!({"rooms": rooms, "more": true}));
        }
    });
    let out = completed(fake).out;
    assert!(out.starts_with("words\nroom-000000000\t1 member\n"), "{out}");
}
