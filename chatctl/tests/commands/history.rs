//! `history`: what is looked for, how much of it, and what is told of messages that are not kept any more.

use crate::fake::{Caller, Fake, Ran, message};
use serde_json::{Value, json};

/// Answers the next question of the lobby's history with these messages, and gives the question.
fn page(caller: &mut Caller, events: &[Value], more: bool, forgotten: u64) -> Value {
    let asked = caller.hear("history");
    for event in events {
        caller.say(event);
    }
    let count = events.iter().filter(|event| event["event"] == "message").count();
    let reply = json!({"room": "lobby", "count": count, "more": more, "forgotten": forgotten});
    caller.yes(&asked, reply);
    asked
}

/// Messages of these numbers that say these words.
fn said<const N: usize>(messages: [(u64, &str); N]) -> Vec<Value> {
    messages.map(|(seq, text)| message("lobby", seq, "a", text)).to_vec()
}

fn history(fake: Fake, args: &[&str]) -> Ran {
    fake.run(&[&["history", "lobby", "--raw"][..], args].concat(), b"")
}

fn told(ran: &Ran) -> (Option<i32>, &str, &str) {
    (ran.code, ran.out.as_str(), ran.err.as_str())
}

#[test]
fn the_last_that_match_are_as_many_as_were_asked_for() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let newest = said([(4, "4 no"), (5, "5 no"), (6, "6 yes")]);
        let asked = page(&mut caller, &newest, true, 0);
        assert_eq!((&asked["limit"], asked.get("before")), (&json!(500), None));
        let older = said([(1, "1 yes"), (2, "2 yes"), (3, "3 no")]);
        assert_eq!(page(&mut caller, &older, true, 0)["before"], 4);
        caller.hung_up();
    });
    let ran = history(fake, &["-n", "2", "--grep", "yes$"]);
    assert_eq!(told(&ran), (Some(0), "2 yes\n6 yes\n", ""));
}

#[test]
fn who_looks_for_something_looks_through_everything() {
    let fake = |search: bool| {
        Fake::new(move |door| {
            let mut caller = door.open();
            let asked = page(&mut caller, &said([(1, "one"), (2, "no")]), true, 0);
            assert_eq!(asked["after"], 0);
            let words = search.then(|| json!("one \"two three\""));
            assert_eq!(asked.get("search"), words.as_ref());
            assert_eq!(page(&mut caller, &said([(7, "one")]), false, 0)["after"], 2);
            caller.hung_up();
        })
    };
    let ran = history(fake(false), &["--grep", "one"]);
    assert_eq!(told(&ran), (Some(0), "one\none\n", ""));
    let ran = history(fake(true), &["--search", "one \"two three\""]);
    assert_eq!(
        told(&ran),
        (Some(0), "one\nno\none\n", ""),
        "what is found is for the daemon to say"
    );
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("history");
        caller.no(&asked, "bad_request", "This daemon keeps no history that could be searched.");
    });
    let ran = history(fake, &["--search", "one"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn a_limit_takes_the_first_behind_a_place_and_otherwise_the_last() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = page(&mut caller, &said([(6, "6"), (7, "7")]), true, 0);
        assert_eq!((&asked["after"], &asked["limit"]), (&json!(5), &json!(2)));
        caller.hung_up();
    });
    assert_eq!(told(&history(fake, &["--after", "5", "--limit", "2"])), (Some(0), "6\n7\n", ""));
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = page(&mut caller, &said([(8, "8"), (9, "9")]), true, 0);
        assert_eq!((asked.get("after"), &asked["limit"]), (None, &json!(2)));
        caller.hung_up();
    });
    assert_eq!(told(&history(fake, &["--limit", "2"])), (Some(0), "8\n9\n", ""));
}

/// A message that was damaged on disk was passed over without a word.
#[test]
fn a_gap_within_the_range_is_told() {
    let gap = || json!({"event": "gap", "room": "lobby", "from_seq": 2, "to_seq": 2});
    for args in [&["-n", "all"][..], &["-n", "3"]] {
        let fake = Fake::new(move |door| {
            let mut caller = door.open();
            let mut events = said([(1, "1"), (3, "3")]);
            events.insert(1, gap());
            page(&mut caller, &events, false, 0);
            caller.hung_up();
        });
        let ran = history(fake, args);
        assert_eq!(told(&ran), (Some(6), "1\n3\n", "chatctl: message 2 of #lobby is gone\n"));
    }
    // A page that has nothing but a gap leads on, too.
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        page(&mut caller, &[gap()], true, 0);
        assert_eq!(page(&mut caller, &said([(3, "3")]), false, 0)["after"], 2);
        caller.hung_up();
    });
    let ran = history(fake, &["--after", "1"]);
    assert_eq!(told(&ran), (Some(6), "3\n", "chatctl: message 2 of #lobby is gone\n"));
}

/// It was taken for granted that what is kept no more was said before the time that was named.
#[test]
fn what_is_gone_may_be_from_the_time_that_was_named() {
    const SINCE: &str = "2026-01-01T00:00:00.000000Z";
    let fake = |earlier: bool, kept: bool| {
        Fake::new(move |door| {
            let mut caller = door.open();
            let messages = if kept { said([(6, "6")]) } else { Vec::new() };
            assert_eq!(page(&mut caller, &messages, false, 5)["since"], SINCE);
            let before = if earlier { said([(5, "5")]) } else { Vec::new() };
            let asked = page(&mut caller, &before, earlier, 5);
            assert_eq!((&asked["until"], &asked["limit"]), (&json!(SINCE), &json!(1)));
            caller.hung_up();
        })
    };
    for how_many in [&[][..], &["-n", "9"], &["--limit", "9"]] {
        for (kept, out) in [(true, "6\n"), (false, "")] {
            let args = [&["--since", "2026-01-01"][..], how_many].concat();
            let words =
                "chatctl: messages 1 to 5 of #lobby are gone, perhaps some from that time\n";
            let ran = history(fake(false, kept), &args);
            assert_eq!(told(&ran), (Some(6), out, words), "{args:?}");
            // Times never go back: where an earlier message is kept nothing of that time is gone.
            assert_eq!(told(&history(fake(true, kept), &args)), (Some(0), out, ""), "{args:?}");
        }
    }
    // Where as many came as were wanted, what lies before them is nobody's business.
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        page(&mut caller, &said([(6, "6")]), true, 5);
        caller.hung_up();
    });
    let ran = history(fake, &["--since", "2026-01-01", "-n", "1"]);
    assert_eq!(told(&ran), (Some(0), "6\n", ""));
}

/// Going backward holds what it found, but not without end: the newest are let go and asked for again in their turn.
#[test]
fn a_large_history_is_not_held_in_memory() {
    let long = |seq: u64| message("lobby", seq, "a", &format!("{seq} {}", "x".repeat(17 << 20)));
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        page(&mut caller, &[long(9)], true, 0);
        page(&mut caller, &[long(8)], true, 0);
        assert_eq!(page(&mut caller, &said([(7, "seven")]), false, 0)["before"], 8);
        // Message 10 was said meanwhile.
        let asked = page(&mut caller, &[long(9)], false, 0);
        assert_eq!((&asked["after"], &asked["before"]), (&json!(8), &json!(10)));
        caller.hung_up();
    });
    let ran = history(fake, &["-n", "20"]);
    let lines: Vec<_> = ran.out.lines().map(|line| line.get(..5).unwrap_or(line)).collect();
    assert_eq!((ran.code, lines), (Some(0), vec!["seven", "8 xxx", "9 xxx"]), "{}", ran.err);
}
