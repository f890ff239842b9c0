//! `chatctl tail`: what is asked, what is printed, and what becomes of losses.

use crate::fake::{self, Fake, Folder, HISTORY, command, data, ended, message, run};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Answers the requests with which following begins.
pub(crate) fn follow(caller: &mut fake::Caller, rooms: Value) -> Value {
    caller.greet();
    let asked = caller.hear("rooms");
    caller.yes(&asked, json!({"rooms": rooms}));
    let tail = caller.hear("tail");
    caller.yes(&tail, json!({"rooms": ["lobby"]}));
    tail
}

#[test]
fn messages_are_lines_and_bytes_when_piped() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let tail = follow(&mut caller, json!([]));
        assert_eq!((&tail["rooms"], &tail["last"]), (&json!(["lobby"]), &json!(2)));
        caller.say(&json!({"event": "joined", "room": "lobby", "nick": "bob"}));
        caller.say(&message("lobby", 1, "alice", "hello\nworld"));
        caller.say(&data("lobby", 2, "bob", "/wD/"));
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "lobby", "-n", "2", "--count", "2"], b"");
    let expected =
        b"2026-01-02 03:04:05 alice: hello\nworld\n2026-01-02 03:04:05 bob: \xff\x00\xff\n";
    assert_eq!((ran.code, ran.bytes.as_slice(), ran.err.as_str()), (Some(0), &expected[..], ""));
}

#[test]
fn raw_and_json_pass_on_what_came() {
    let script = |door: &mut fake::Door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        caller.say_raw(b"{\"seq\":1,\"room\":\"lobby\",\"event\":\"message\",\"from\":\"a\",\"text\":\"x y\",\"new\":1}\n");
        caller.hung_up();
    };
    let ran = Fake::new(script).run(&["tail", "lobby", "--count", "1", "--raw"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "x y\n"));
    let ran = Fake::new(script).run(&["tail", "lobby", "--count", "1", "--json"], b"");
    let expected = "{\"seq\":1,\"room\":\"lobby\",\"event\":\"message\",\"from\":\"a\",\"text\":\"x y\",\"new\":1}\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected));
}

#[test]
fn filters_choose_and_events_add() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let tail = follow(&mut caller, json!([]));
        assert_eq!(tail.get("rooms"), None);
        caller.say(&json!({"event": "joined", "room": "lobby", "nick": "Alice"}));
        caller.say(&json!({"event": "left", "room": "lobby", "nick": "bob"}));
        caller.say(&message("lobby", 1, "bob", "an ERROR"));
        caller.say(&message("ops", 1, "Alice", "all is well"));
        caller.say(&message("ops", 2, "Alice", "an ERROR"));
        caller.hung_up();
    });
    let args = ["tail", "--from", "@alice", "--grep", "ERR.R", "--events", "--count", "1"];
    let ran = fake.run(&args, b"");
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].ends_with(" #lobby -- Alice joined"), "{ran:?}");
    assert_eq!(lines[1], "2026-01-02 03:04:05 #ops Alice: an ERROR");
}

#[test]
fn the_time_to_follow_ends_it_and_a_missing_message_is_status_5() {
    let quiet = |door: &mut fake::Door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        caller.hung_up();
    };
    assert_eq!(Fake::new(quiet).run(&["tail", "lobby", "--for", "50ms"], b"").code, Some(0));
    let ran = Fake::new(quiet).run(&["tail", "lobby", "--for", "50ms", "--count", "1"], b"");
    assert_eq!(ran.code, Some(5), "{ran:?}");
}

/// What a server may let others say that drives a terminal: it cannot be relied on to refuse it.
const EVIL: &str = "x\r\n00:00:00 root: forged\u{1b}[2J\u{9b}31m\u{7}\u{202e}txt\u{200b}";

/// Says one of every event with hostile text wherever text can be, a message last.
fn evil_events(caller: &mut fake::Caller) {
    follow(caller, json!([]));
    for name in ["joined", "left", "renamed", "topic", "away", "notice", "unheard_of"] {
        caller.say(&json!({"event": name, "room": EVIL, "nick": EVIL, "new_nick": EVIL,
            "topic": EVIL, "away": EVIL, "text": EVIL}));
    }
    caller.say(&message(EVIL, 1, EVIL, EVIL));
    caller.hung_up();
}

/// Runs `chatctl` with a terminal for its output; what the terminal is shown. What the operator says goes to standard error, which
/// is fit for a terminal whatever it is.
fn shown_on_a_terminal(fake: Fake, args: &[&str]) -> String {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = command(fake.address(), args);
    let child = command.stdout(Stdio::from(terminal.slave)).stdin(Stdio::null()).spawn().unwrap();
    drop(command);
    let reader = fake::shown(terminal.master);
    let ran = fake.end(ended(child));
    assert_eq!((ran.code, ran.err.lines().count()), (Some(0), 1), "{ran:?}");
    assert!(ran.err.contains("forged") && !ran.err.contains(is_driving), "{ran:?}");
    reader.join().unwrap()
}

fn is_driving(c: char) -> bool {
    c != '\n' && !proto::is_printable(c)
}

#[test]
fn on_a_terminal_no_event_and_no_message_drives_it_or_forges_a_line() {
    let args = ["tail", "--events", "--count", "1", "--color", "never"];
    let shown = shown_on_a_terminal(Fake::new(|door| evil_events(&mut door.open())), &args);
    assert!(!shown.contains(is_driving), "{shown:?}");
    let lines: Vec<&str> = shown.lines().collect();
    let events = lines.iter().filter(|line| line.contains(" -- ")).count();
    // A message may have lines; all but its first are indented.
    assert_eq!((events, lines.len()), (6, 8), "{shown}");
    assert!(lines[7].starts_with("    00:00:00 root: forged\\e[2J"), "{shown}");
    assert!(lines.iter().all(|line| !line.starts_with("00:00:00 root: forged")), "{shown}");
}

#[test]
fn on_a_terminal_json_is_escaped_and_says_the_same() {
    let args = ["tail", "--events", "--count", "1", "--json"];
    let shown = shown_on_a_terminal(Fake::new(|door| evil_events(&mut door.open())), &args);
    assert!(!shown.contains(is_driving), "{shown:?}");
    let said: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), 7, "{shown}");
    assert!(said.iter().all(|event| event["room"] == EVIL), "{shown}");
}

/// Answers a replay of a room, from a message on.
pub(crate) fn replays(caller: &mut fake::Caller, room: &str, after: u64, events: &[Value]) {
    let tail = caller.hear("tail");
    assert_eq!((&tail["rooms"], &tail["after"]), (&json!([room]), &json!(after)));
    for event in events {
        let mut event = event.clone();
        if event["event"] == "message" {
            event["history"] = tail["id"].clone();
        }
        caller.say(&event);
    }
    caller.yes(&tail, json!({"rooms": [room]}));
}

pub(crate) fn numbered(range: std::ops::RangeInclusive<u64>) -> Vec<Value> {
    range.map(|seq| message("lobby", seq, "a", &seq.to_string())).collect()
}

fn left_out(from: u64, to: u64) -> Value {
    json!({"event": "gap", "room": "lobby", "from_seq": from, "to_seq": to})
}

/// A daemon whose receiver was too slow for messages 2 to 8, and which no longer has those before `first`.
fn gap(first: u64) -> Fake {
    Fake::new(move |door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        caller.say(&message("lobby", 1, "a", "1"));
        caller.say(&left_out(2, 8));
        caller.say(&message("lobby", 9, "a", "9"));
        let mut events = numbered(first..=9);
        if first > 2 {
            events.insert(0, left_out(2, first - 1));
        }
        replays(&mut caller, "lobby", 1, &events);
        caller.hung_up();
    })
}

#[test]
fn a_gap_is_filled_by_a_replay() {
    let ran = gap(2).run(&["tail", "lobby", "--raw", "--count", "9"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "1\n2\n3\n4\n5\n6\n7\n8\n9\n"), "{ran:?}");
    assert_eq!(ran.err, "");
}

#[test]
fn what_the_daemon_no_longer_has_is_told_and_is_status_6() {
    let ran = gap(5).run(&["tail", "lobby", "--raw", "--count", "6"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(6), "1\n5\n6\n7\n8\n9\n"), "{ran:?}");
    assert!(ran.err.contains("2 to 4 of #lobby are gone"), "{ran:?}");
    let ran = gap(9).run(&["tail", "lobby", "--json", "--events", "--count", "2"], b"");
    assert_eq!(ran.code, Some(6), "{ran:?}");
    let gap: Value = serde_json::from_str(ran.out.lines().nth(1).unwrap()).unwrap();
    assert_eq!(gap, left_out(2, 8));
}

#[test]
fn a_gap_told_before_a_replay_is_mended_by_it() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        caller.say(&message("lobby", 1, "a", "1"));
        caller.say(&left_out(2, 3));
        let tail = caller.hear("tail");
        // Meanwhile it was too slow again, also for what comes right behind.
        caller.say(&left_out(4, 4));
        caller.say(&message("lobby", 5, "a", "5"));
        caller.say(&left_out(6, 6));
        for mut event in numbered(2..=6) {
            event["history"] = tail["id"].clone();
            caller.say(&event);
        }
        caller.yes(&tail, json!({"rooms": ["lobby"]}));
        caller.say(&message("lobby", 7, "a", "7"));
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "lobby", "--raw", "--count", "7"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "1\n2\n3\n4\n5\n6\n7\n"), "{ran:?}");
}

/// Answers the requests with which a follower comes back.
pub(crate) fn follow_again(
    caller: &mut fake::Caller,
    history: &str,
    before_list: &[Value],
    rooms: Value,
) {
    caller.greet_as(history);
    let tail = caller.hear("tail");
    assert_eq!(tail.get("after"), None);
    caller.yes(&tail, json!({"rooms": ["lobby"]}));
    for event in before_list {
        caller.say(event);
    }
    let asked = caller.hear("rooms");
    caller.yes(&asked, json!({"rooms": rooms}));
}

#[test]
fn a_lost_daemon_is_found_again_without_loss_or_double() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        caller.greet();
        let asked = caller.hear("rooms");
        let rooms = json!([{"room": "lobby", "seq": 4}, {"room": "ops", "seq": 2}]);
        caller.yes(&asked, json!({"rooms": rooms}));
        let tail = caller.hear("tail");
        caller.yes(&tail, json!({"rooms": ["lobby", "ops"]}));
        caller.say(&message("lobby", 5, "a", "5"));
        caller.say(&json!({"event": "bye", "reason": "drain"}));
        drop(caller);
        let mut caller = door.open();
        // Live messages come before the answers about what was missed.
        let live = [message("lobby", 8, "a", "8")];
        let rooms = json!([{"room": "lobby", "seq": 8}, {"room": "new", "seq": 1}, {"room": "ops", "seq": 2}]);
        follow_again(&mut caller, HISTORY, &live, rooms);
        replays(&mut caller, "lobby", 5, &numbered(6..=8));
        // Of a room made meanwhile all was missed; of one without news nothing.
        replays(&mut caller, "new", 0, &[message("new", 1, "a", "first")]);
        caller.say(&message("lobby", 9, "a", "9"));
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "--raw", "--count", "6"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "5\n6\n7\n8\nfirst\n9\n"), "{ran:?}");
    assert!(ran.err.contains("lost the daemon (drain)"), "{ran:?}");
    assert!(ran.err.contains("found the daemon"), "{ran:?}");
}

#[test]
fn all_pages_of_the_list_of_rooms_come_before_following_begins() {
    let page = |room: &str, seq: u64, more: bool| json!({"rooms": [{"room": room, "seq": seq}], "more": more});
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        caller.greet();
        let asked = caller.hear("rooms");
        assert_eq!(asked.get("room"), None);
        caller.yes(&asked, page("lobby", 4, true));
        let asked = caller.hear("rooms");
        assert_eq!(asked["room"], "lobby");
        caller.yes(&asked, page("ops", 2, false));
        let tail = caller.hear("tail");
        caller.yes(&tail, json!({"rooms": ["lobby"], "more": true}));
        caller.say(&message("lobby", 5, "a", "5"));
        drop(caller);
        let mut caller = door.open();
        follow_again(&mut caller, HISTORY, &[], page("lobby", 5, true)["rooms"].clone());
        caller.say(&message("ops", 3, "a", "3"));
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "--raw", "--count", "2"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "5\n3\n"), "{ran:?}");
}

#[test]
fn what_is_left_out_of_a_room_made_anew_is_asked_for_from_there_on() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        follow(&mut caller, json!([{"room": "lobby", "seq": 11}]));
        caller.say(&message("lobby", 12, "a", "12"));
        // The room was gone, and goes on behind the numbers of all others: none between was ever in it.
        caller.say(&left_out(41, 42));
        replays(&mut caller, "lobby", 40, &numbered(41..=42));
        caller.say(&message("lobby", 43, "a", "43"));
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "lobby", "--raw", "--count", "4"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "12\n41\n42\n43\n"), "{ran:?}");
}

#[test]
fn a_new_history_begins_its_numbers_anew() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        follow(&mut caller, json!([{"room": "lobby", "seq": 4}]));
        caller.say(&message("lobby", 5, "a", "old"));
        drop(caller);
        let mut caller = door.open();
        let rooms = json!([{"room": "lobby", "seq": 1}]);
        follow_again(&mut caller, &HISTORY.replace('1', "2"), &[], rooms);
        replays(&mut caller, "lobby", 0, &[message("lobby", 1, "a", "new")]);
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "lobby", "--raw", "--count", "2"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(6), "old\nnew\n"));
    assert!(ran.err.contains("new history"), "{ran:?}");
}

/// Following that begins with a replay: what is asked for, and what comes of it.
/// Answers whether a room has a message of before a time; its messages up to the sixth are kept no more.
fn earlier(caller: &mut fake::Caller, asked: &Value, since: &Value, seq: Option<u64>) {
    assert_eq!((&asked["room"], &asked["until"]), (&json!("lobby"), since));
    if let Some(seq) = seq {
        let mut event = message("lobby", seq, "a", "of before");
        event["history"] = asked["id"].clone();
        caller.say(&event);
    }
    let count = seq.iter().count();
    caller.yes(asked, json!({"room": "lobby", "count": count, "more": true, "forgotten": 6}));
}

/// Who began at a time was told nothing of what had been said then, and was kept no more.
#[test]
fn what_is_gone_of_the_time_that_was_named_is_told() {
    let since = json!("2026-01-01T00:00:00.000000Z");
    let fake = |all: bool, there: Option<u64>| {
        let since = since.clone();
        Fake::new(move |door| {
            let mut caller = door.open();
            caller.greet();
            let asked = caller.hear("rooms");
            let rooms = json!([{"room": "lobby", "seq": 8}, {"room": "new", "seq": 0}]);
            caller.yes(&asked, json!({"rooms": rooms}));
            let asked = caller.hear("history");
            // Of rooms that are named this is known first; who follows everything does not wait for it.
            let early = all.then(|| caller.hear("tail"));
            earlier(&mut caller, &asked, &since, there);
            let tail = early.unwrap_or_else(|| caller.hear("tail"));
            assert_eq!(tail["since"], since);
            caller.say(&message("lobby", 8, "a", "8"));
            caller.yes(&tail, json!({"rooms": ["lobby"]}));
            caller.say(&message("lobby", 9, "a", "9"));
            caller.hung_up();
        })
    };
    for (rooms, all) in [(&["lobby"][..], false), (&[], true)] {
        let args =
            [&["tail", "--raw", "--since", "2026-01-01", "--count", "2"][..], rooms].concat();
        let ran = fake(all, None).run(&args, b"");
        assert_eq!((ran.code, ran.out.as_str()), (Some(6), "8\n9\n"), "{ran:?}");
        let words = "messages 1 to 6 of #lobby are gone, perhaps some from that time";
        assert!(ran.err.contains(words), "{ran:?}");
        let ran = fake(all, Some(5)).run(&args, b"");
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "8\n9\n", ""));
    }
}

fn beginning(args: &[&str], wish: (&'static str, Value), events: Vec<Value>) -> fake::Ran {
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        caller.greet();
        let asked = caller.hear("rooms");
        caller.yes(&asked, json!({"rooms": [{"room": "lobby", "seq": 8}]}));
        if wish.0 == "since" {
            let asked = caller.hear("history");
            earlier(&mut caller, &asked, &wish.1, Some(5));
        }
        let tail = caller.hear("tail");
        assert_eq!(tail[wish.0], wish.1);
        for mut event in events {
            event["history"] = tail["id"].clone();
            caller.say(&event);
        }
        caller.yes(&tail, json!({"rooms": ["lobby"]}));
        caller.say(&message("lobby", 9, "a", "live"));
        caller.hung_up();
    });
    fake.run(&[&["tail", "lobby", "--raw"][..], args].concat(), b"")
}

#[test]
fn following_begins_where_it_is_told_to() {
    let two = || numbered(7..=8);
    let ran = beginning(&["--after", "6", "--count", "3"], ("after", json!(6)), two());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "7\n8\nlive\n"), "{ran:?}");
    let since = ("since", json!("2026-01-01T00:00:00.000000Z"));
    let ran = beginning(&["--since", "2026-01-01", "--count", "3"], since, two());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "7\n8\nlive\n"), "{ran:?}");
    // Who wants all there is gets what there is; who names a place is told what lacks.
    let some = || [vec![left_out(1, 6)], two()].concat();
    let ran = beginning(&["-n", "all", "--count", "3"], ("after", json!(0)), some());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "7\n8\nlive\n", ""));
    let ran = beginning(&["--after", "0", "--count", "3"], ("after", json!(0)), some());
    assert_eq!((ran.code, ran.out.as_str()), (Some(6), "7\n8\nlive\n"), "{ran:?}");
    let nowhere = Folder::new();
    for args in [
        &["tail", "--after", "3"][..],
        &["tail", "a", "b", "--after", "3"],
        &["tail", "--since", "soon"],
    ] {
        assert_eq!(run(&nowhere.socket(), args, b"").code, Some(2), "{args:?}");
    }
}

#[test]
fn reconnect_never_and_for_a_while_end_with_status_3() {
    for wish in ["never", "200ms"] {
        let fake = Fake::new(|door| {
            let mut caller = door.open();
            follow(&mut caller, json!([]));
            door.close();
        });
        let ran = fake.run(&["tail", "lobby", "--reconnect", wish], b"");
        assert_eq!(ran.code, Some(3), "{wish} {ran:?}");
        assert_eq!(ran.err.contains("looking for it"), wish != "never", "{ran:?}");
    }
}

/// As those who follow a broker or a log expect: what is not there at the start is an error, unless one says to wait.
#[test]
fn a_daemon_that_is_not_there_at_the_start_is_status_3() {
    let folder = Folder::new();
    for more in [&[][..], &["--reconnect", "never"], &["--for", "10m"]] {
        let ran = run(&folder.socket(), &[&["tail", "lobby"][..], more].concat(), b"");
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.err.contains("no daemon at") && !ran.err.contains("looking"), "{ran:?}");
    }
}

#[test]
fn following_for_a_time_without_a_daemon_is_no_success() {
    let folder = Folder::new();
    let args = ["tail", "lobby", "--for", "300ms"];
    let ran = run(&folder.socket(), &[&args[..], &["--reconnect", "forever"]].concat(), b"");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let frozen = Fake::new(|door| {
        // However far the caller gets in its time.
        door.open().rest();
    });
    let ran = frozen.run(&args, b"");
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.err.contains("no answer") && ran.err.contains("within 300 ms"), "{ran:?}");
}

#[test]
fn reconnect_given_waits_for_the_first_daemon_too() {
    let folder = Folder::new();
    let args = ["tail", "lobby", "--raw", "--count", "1", "--reconnect", "forever"];
    let mut child = command(&folder.socket(), &args).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("no daemon yet"), "{said}");
    let fake = Fake::within(folder, |door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        caller.say(&message("lobby", 1, "a", "here"));
        caller.hung_up();
    });
    let ran = ended(child);
    let ran = fake.end(ran);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "here\n"));
}

#[test]
fn a_closed_pipe_ends_quietly_without_another_message() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        caller.say(&message("lobby", 1, "a", "one"));
        caller.hung_up();
    });
    let mut command = command(&fake.folder.socket(), &["tail", "lobby", "--raw"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(out);
    let ran = ended(child);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}
