//! `export` and `import`: whole lines, in order, under their own ids, and what is said where something is missing or refused.

use crate::fake::{self, Caller, Fake, Folder, Ran, command, data, ended, message, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::Read;
use std::process::Stdio;

fn listed(caller: &mut Caller, rooms: &[(&str, u64)]) {
    let asked = caller.hear("rooms");
    let rooms: Vec<_> = rooms.iter().map(|(room, seq)| json!({"room": room, "seq": seq})).collect();
    caller.yes(&asked, json!({"rooms": rooms, "more": false}));
}

/// Answers the next question for a room's history, which must be this one.
fn page(
    caller: &mut Caller,
    room: &str,
    bounds: (u64, u64),
    events: &[Value],
    more: bool,
    gone: u64,
) {
    let asked = caller.hear("history");
    let expected = (&json!(room), &json!(bounds.0), &json!(bounds.1));
    assert_eq!((&asked["room"], &asked["after"], &asked["before"]), expected);
    for event in events {
        caller.say(event);
    }
    let count = events.len();
    caller.yes(&asked, json!({"room": room, "count": count, "more": more, "forgotten": gone}));
}

const LINE: &str = r#"{"room":"ops","seq":3,"time":"2026-01-02T03:04:05.000000Z","message_id":"00000000-0000-4000-8000-000000000000","from":"a","text":"c\u0000"}"#;

#[test]
fn rooms_are_exported_by_name_each_up_to_where_it_was() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        listed(&mut caller, &[("lobby", 0), ("ops", 4)]);
        page(&mut caller, "lobby", (0, 1), &[], false, 0);
        let first = [message("ops", 3, "a", "c\0")];
        page(&mut caller, "ops", (0, 5), &first, true, 2);
        page(&mut caller, "ops", (3, 5), &[data("ops", 4, "b", "/wAK")], false, 2);
        caller.hung_up();
    });
    let ran = fake.run(&["export"], b"");
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!((ran.code, lines.len(), lines[0], ran.err.as_str()), (Some(0), 2, LINE, ""));
    let last: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!((&last["seq"], &last["data"], last.get("text")), (&json!(4), &json!("/wAK"), None));
}

#[test]
fn an_export_goes_on_behind_a_place() {
    let rooms = [("lobby", 9), ("ops", 4), ("work", 1)];
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        listed(&mut caller, &rooms);
        page(&mut caller, "ops", (2, 5), &[message("ops", 3, "a", "c")], false, 2);
        page(&mut caller, "work", (0, 2), &[message("work", 1, "a", "d")], false, 0);
        caller.hung_up();
    });
    let ran = fake.run(&["export", "--after", "ops:2"], b"");
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2), "{ran:?}");
    // In one room the number is enough; what is behind it is owed.
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        listed(&mut caller, &rooms);
        page(&mut caller, "ops", (1, 5), &[message("ops", 3, "a", "c")], false, 2);
        caller.hung_up();
    });
    let ran = fake.run(&["export", "#ops", "--after", "1"], b"");
    let gone = "chatctl: message 2 of #ops is gone\n";
    assert_eq!((ran.code, ran.out.lines().count(), ran.err.as_str()), (Some(6), 1, gone));
    let nowhere = Folder::new();
    for args in
        [&["export", "--after", "3"][..], &["export", "a", "--after", "b:3"], &["export", "a b"]]
    {
        assert_eq!(run(&nowhere.socket(), args, b"").code, Some(2), "{args:?}");
    }
}

#[test]
fn an_export_of_no_such_room_prints_nothing() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        listed(&mut caller, &[("lobby", 9)]);
        caller.hung_up();
    });
    let ran = fake.run(&["export", "lobby", "nowhere"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(7), ""), "{ran:?}");
    assert!(ran.err.contains("#nowhere"), "{ran:?}");
}

#[test]
fn an_export_that_loses_the_daemon_says_how_to_go_on() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        listed(&mut caller, &[("ops", 9)]);
        page(&mut caller, "ops", (0, 10), &[message("ops", 3, "a", "c")], true, 0);
        caller.hear("history");
        caller.say(&message("ops", 4, "a", "of a page that never ends"));
    });
    let ran = fake.run(&["export"], b"");
    assert_eq!((ran.code, ran.out.lines().count()), (Some(3), 1), "{ran:?}");
    assert!(ran.err.contains("go on with --after ops:3"), "{ran:?}");
}

#[test]
fn an_export_that_is_ended_ends_behind_a_whole_line() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        listed(&mut caller, &[("ops", 40)]);
        let events: Vec<_> =
            (1..=40).map(|seq| message("ops", seq, "a", &"x".repeat(8_000))).collect();
        page(&mut caller, "ops", (0, 41), &events, true, 0);
        let _ = caller.rest();
    });
    let mut child = command(fake.address(), &["export"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    // It is at work when its pipe has something, and then it fills.
    let mut read = vec![0];
    out.read_exact(&mut read).unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    out.read_to_end(&mut read).unwrap();
    let ran = ended(child);
    assert_eq!(ran.signal, Some(Signal::SIGTERM as i32), "{ran:?}");
    fake.end(ran);
    let text = String::from_utf8(read).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 40);
}

/// A line of an export.
fn exported(id: u64, text: &str) -> String {
    json!({"room": "ops", "seq": id, "time": "t", "from": "Ada", "message_id": uuid(id), "text": text})
        .to_string()
        + "\n"
}

fn uuid(id: u64) -> String {
    format!("00000000-0000-4000-8000-{id:012}")
}

/// Answers the next post, which must be this one.
fn posted(caller: &mut Caller, id: u64, text: &str) -> Value {
    let post = caller.hear("post");
    let expected = (&json!(uuid(id)), &json!("ops"), &json!(text));
    assert_eq!((&post["id"], &post["room"], &post["text"]), expected);
    assert_eq!(post.as_object().unwrap().len(), 4, "{post}");
    post
}

fn yes(caller: &mut Caller, post: &Value) {
    caller.yes(post, json!({"room": "ops", "seq": 1, "time": "t"}));
}

#[test]
fn lines_are_posted_in_order_under_their_ids_and_what_is_refused_is_told() {
    let fake = Fake::greeting(|caller| {
        let posts: Vec<_> = [(1, "one"), (2, "two"), (3, "three")]
            .map(|(id, text)| posted(caller, id, text))
            .into();
        yes(caller, &posts[0]);
        caller.no(&posts[1], "id_conflict", "Another message has this id.");
        yes(caller, &posts[2]);
        caller.hung_up();
    });
    let lines =
        [exported(1, "one"), "\nno JSON\n".to_owned(), exported(2, "two"), exported(3, "three")];
    let ran = fake.run(&["import"], lines.concat().as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    let said: Vec<_> = ran.err.lines().collect();
    assert!(said[0].starts_with("chatctl: stdin line 3: it is no JSON object"), "{ran:?}");
    assert_eq!(said[1], "chatctl: stdin line 4: Another message has this id.");
    assert_eq!(said[2], "chatctl: messages imported: 2, lines refused: 2");
    assert_eq!(said[3], "chatctl: lines that were refused, as is said above: 2 of 5");
    assert_eq!(said.len(), 4, "{ran:?}");
}

#[test]
fn an_import_of_a_file_says_with_json_what_became_of_each() {
    let folder = Folder::new();
    let path = folder.file("ops.jsonl", exported(1, "one").trim_end().as_bytes());
    let fake = Fake::greeting(|caller| {
        let post = posted(caller, 1, "one");
        yes(caller, &post);
        caller.hung_up();
    });
    let ran = fake.run(&["import", path.to_str().unwrap(), "--json"], b"");
    let reply: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &reply["message_id"]), (Some(0), &json!(uuid(1))), "{ran:?}");
    let ran = run(&folder.socket(), &["import", "/nowhere/ops.jsonl"], b"");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

/// Two requests of one id at a time would be a bug of the tool's own.
#[test]
fn a_line_that_is_there_twice_waits_for_its_first_answer() {
    let fake = Fake::greeting(|caller| {
        let post = posted(caller, 1, "one");
        yes(caller, &post);
        let post = posted(caller, 1, "one");
        yes(caller, &post);
        caller.hung_up();
    });
    let ran = fake.run(&["import"], exported(1, "one").repeat(2).as_bytes());
    assert_eq!(ran.err, "chatctl: messages imported: 2, lines refused: 0\n", "{ran:?}");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn what_has_no_answer_is_posted_again_under_the_same_id() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        caller.greet();
        let first = posted(&mut caller, 1, "one");
        posted(&mut caller, 2, "two");
        yes(&mut caller, &first);
        drop(caller);
        let mut caller = door.open();
        for (id, text) in [(2, "two"), (3, "three")] {
            let post = posted(&mut caller, id, text);
            yes(&mut caller, &post);
        }
        caller.hung_up();
    });
    let mut child = command(fake.address(), &["import"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut told = child.stderr.take().unwrap();
    std::io::Write::write_all(
        &mut stdin,
        [exported(1, "one"), exported(2, "two")].concat().as_bytes(),
    )
    .unwrap();
    // The third comes when the connection is lost.
    told.read_exact(&mut [0; 1]).unwrap();
    std::io::Write::write_all(&mut stdin, exported(3, "three").as_bytes()).unwrap();
    drop(stdin);
    let mut words = String::new();
    told.read_to_string(&mut words).unwrap();
    let ran = ended(child);
    assert_eq!(ran.code, Some(0), "{words}");
    fake.end(ran);
    assert!(words.ends_with("chatctl: messages imported: 3, lines refused: 0\n"), "{words}");
}

#[test]
fn what_would_meet_every_line_ends_an_import() {
    let fake = Fake::greeting(|caller| {
        let post = posted(caller, 1, "one");
        caller.no(&post, "forbidden", "You may not send.");
        caller.rest();
    });
    let ran = fake.run(&["import"], exported(1, "one").as_bytes());
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.err.contains("import it again: what is there already is not added again"),
        "{ran:?}"
    );
}

/// What a run shows on a terminal: its stderr, or all.
fn seen(fake: Fake, args: &[&str], all: bool) -> (Ran, String) {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = command(fake.address(), args);
    command.env("TERM", "xterm").stdin(Stdio::null());
    if all {
        command.stdout(Stdio::from(terminal.slave.try_clone().unwrap()));
    }
    let child = command.stderr(Stdio::from(terminal.slave)).spawn().unwrap();
    drop(command);
    let reader = fake::shown(terminal.master);
    let ran = fake.end(ended(child));
    (ran, reader.join().unwrap())
}

#[test]
fn a_terminal_sees_how_far_it_is() {
    let exporting = || {
        Fake::new(|door| {
            let mut caller = door.open();
            listed(&mut caller, &[("ops", 4)]);
            page(&mut caller, "ops", (0, 5), &[message("ops", 2, "a", "b")], true, 0);
            page(&mut caller, "ops", (2, 5), &[message("ops", 4, "a", "d")], false, 0);
            caller.hung_up();
        })
    };
    let (ran, shown) = seen(exporting(), &["export"], false);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2), "{shown}");
    assert!(shown.contains("of 4") && shown.contains("#ops"), "{shown:?}");
    let (_, shown) = seen(exporting(), &["export", "-q"], false);
    assert_eq!(shown, "");
    // Lines that are looked at are not disturbed.
    let (_, shown) = seen(exporting(), &["export"], true);
    assert!(shown.lines().count() == 2 && !shown.contains("of 4"), "{shown:?}");
    let folder = Folder::new();
    let path = folder.file("ops.jsonl", exported(1, "one").as_bytes());
    for all in [false, true] {
        let fake = Fake::greeting(|caller| {
            let post = posted(caller, 1, "one");
            yes(caller, &post);
            caller.hung_up();
        });
        let (ran, shown) = seen(fake, &["import", path.to_str().unwrap()], all);
        assert_eq!(ran.code, Some(0), "{shown}");
        let words = ["1 imported", "messages imported: 1"];
        assert!(words.iter().all(|words| shown.contains(words)), "{shown:?}");
    }
}
