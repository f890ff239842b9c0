//! `chatctl` as a process against a fake daemon: exit codes, what goes to stdout and what to stderr.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "json!() is made to be given away")]

mod completing;
mod cursor;
mod fake;
mod following;
mod history;
mod manual;
mod network;
mod operating;
mod programs;
mod receipts;
mod seeing;
mod transfer;

use fake::{DEADLINE, Fake, Folder, command, ended, message, run};
use serde_json::{Value, json};
use std::io::Write;

const UUID: &str = "0b7f2f0e-58d4-4d6e-9d0f-3d1b2a6c7e11";

/// A daemon that takes one post and says what it was.
fn stored(check: impl FnOnce(&Value) + Send + 'static) -> Fake {
    Fake::greeting(move |caller| {
        let post = caller.hear("post");
        check(&post);
        caller.yes(&post, json!({"room": post["room"], "seq": 7, "time": "2026-01-02T03:04:05Z"}));
        caller.hung_up();
    })
}

#[test]
fn text_given_is_sent_and_stdin_is_not_touched() {
    let fake = stored(|post| {
        assert_eq!(post["room"], "lobby");
        assert_eq!(post["text"], "hello  world");
        assert_eq!(post["id"].as_str().unwrap().len(), 36);
        assert_eq!(post["nick"], "Bob");
    });
    let socket = fake.folder.socket();
    // stdin stays open for the whole run: a program that reads it would not end.
    // A `@` before the name is no part of it.
    let args = ["send", "#Lobby", "hello ", "world", "--as", "@Bob"];
    let mut child = command(&socket, &args).spawn().unwrap();
    let stdin = child.stdin.take();
    let ran = ended(child);
    drop(stdin);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
}

#[test]
fn stdin_is_one_message_without_its_last_newline() {
    let ran = stored(|post| assert_eq!(post["text"], "a\nb\n")).run(&["send", "x"], b"a\nb\n\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = stored(|post| assert_eq!(post["text"], "a\n")).run(&["send", "x", "--raw"], b"a\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran =
        stored(|post| assert_eq!(post["data"], "/wAK/w==")).run(&["send", "x"], b"\xff\0\n\xff\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn empty_input_is_refused_unless_allowed() {
    for (args, stdin) in [
        (vec!["send", "x"], ""),
        (vec!["send", "x"], "\n"),
        (vec!["send", "x", ""], ""),
        (vec!["send", "x", "-l"], "\n\n"),
    ] {
        let ran = Fake::greeting(fake::Caller::hung_up).run(&args, stdin.as_bytes());
        assert_eq!(ran.code, Some(2), "{args:?} {ran:?}");
        assert!(ran.err.contains("--allow-empty"), "{ran:?}");
    }
    let fake = stored(|post| assert_eq!(post["text"], ""));
    assert_eq!(fake.run(&["send", "x", "--allow-empty"], b"\n").code, Some(0));
}

#[test]
fn a_file_is_sent_and_a_missing_one_is_named() {
    let folder = Folder::new();
    let path = folder.file("report", b"all is well\n");
    let fake = stored(|post| assert_eq!(post["text"], "all is well"));
    let ran = fake.run(&["send", "x", "-f", path.to_str().unwrap()], b"not this");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run(&folder.socket(), &["send", "x", "-f", "/no/such/file"], b"");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("/no/such/file"), "{ran:?}");
}

#[test]
fn lines_are_sent_as_they_come() {
    let (posted, posts) = std::sync::mpsc::channel();
    let fake = Fake::greeting(move |caller| {
        for _ in 0..3 {
            let post = caller.hear("post");
            posted.send(post["text"].as_str().unwrap().to_owned()).unwrap();
            caller.yes(&post, json!({"room": "x", "seq": 1, "time": "t"}));
        }
        caller.hung_up();
    });
    let mut child = command(&fake.folder.socket(), &["send", "x", "-l"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in ["one", "two"] {
        write!(stdin, "{line}\n\n").unwrap();
        assert_eq!(posts.recv_timeout(DEADLINE).unwrap(), line);
    }
    write!(stdin, "three").unwrap();
    drop(stdin);
    assert_eq!(posts.recv_timeout(DEADLINE).unwrap(), "three");
    assert_eq!(ended(child).code, Some(0));
}

#[test]
fn nul_separates_messages_and_many_may_be_on_their_way() {
    let fake = Fake::greeting(|caller| {
        // None is answered before all have come, and then the last one first.
        let posts: Vec<_> = (0..3).map(|_| caller.hear("post")).collect();
        let texts: Vec<_> = posts.iter().map(|post| post["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["a\nb", "c", "d"]);
        for post in posts.iter().rev() {
            caller.yes(post, json!({"room": "x", "seq": 1, "time": "t"}));
        }
        caller.hung_up();
    });
    assert_eq!(fake.run(&["send", "x", "-0"], b"a\nb\0c\0d").code, Some(0));
}

#[test]
fn a_message_over_the_limit_says_size_and_limit() {
    let fake = Fake::greeting(fake::Caller::hung_up);
    let ran = fake.run(&["send", "x"], &[b'a'; 101]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.err.contains("101 bytes") && ran.err.contains("limit is 100"), "{ran:?}");
    let ran = stored(|_| ()).run(&["send", "x"], &[&[b'a'; 100][..], b"\n"].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn refusals_have_exit_codes() {
    for (code, exit) in [
        ("forbidden", 4),
        ("no_such_room", 7),
        ("too_large", 8),
        ("rate_limited", 8),
        ("limit_reached", 8),
        ("id_conflict", 1),
        ("store_unavailable", 1),
    ] {
        let fake = Fake::greeting(move |caller| {
            let post = caller.hear("post");
            caller.no(&post, code, "Because.");
            caller.hung_up();
        });
        let ran = fake.run(&["send", "x", "hello"], b"");
        assert_eq!((ran.code, ran.err.as_str()), (Some(exit), "chatctl: Because.\n"), "{code}");
    }
}

#[test]
fn with_json_an_error_is_one_object_on_stderr() {
    let fake = Fake::greeting(|caller| {
        let post = caller.hear("post");
        caller.no(&post, "id_conflict", "Another message has this id.");
    });
    let ran = fake.run(&["send", "x", "hello", "--json", "--id", UUID], b"");
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        error,
        json!({"error": "id_conflict", "message": "Another message has this id.", "exit": 1})
    );
    let ran = run(&Folder::new().socket(), &["--json", "sned"], b"");
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((ran.code, &error["error"]), (Some(2), &json!("usage")));
}

#[test]
fn who_is_not_admitted_is_told_so() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        caller.say(&json!({"reply": null, "ok": false, "error": "forbidden", "message": "Join group chat."}));
    });
    let ran = fake.run(&["send", "x", "hello"], b"");
    assert_eq!((ran.code, ran.err.as_str()), (Some(4), "chatctl: Join group chat.\n"));
}

#[test]
fn an_unreachable_daemon_is_named_with_the_way_to_start_one() {
    let folder = Folder::new();
    let ran = run(&folder.socket(), &["ping"], b"");
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains(folder.socket().to_str().unwrap()), "{ran:?}");
    assert!(ran.err.contains("start one with `chatd`"), "{ran:?}");
}

#[test]
fn what_is_no_socket_is_wrong_use() {
    let folder = Folder::new();
    let file = folder.file("plain", b"");
    for path in [&*file, folder.path("").as_path()] {
        let ran = run(path, &["ping"], b"");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("is no socket"), "{ran:?}");
    }
}

#[test]
fn what_is_not_built_says_so() {
    let socket = Folder::new().socket();
    for (server, said) in
        [("tls://localhost:33333", "not built yet"), ("wss://chat.example", "use ws://")]
    {
        let ran = run(&socket, &["ping", "-s", server], b"");
        assert_eq!(ran.code, Some(2), "{server}");
        assert!(ran.err.contains(said), "{ran:?}");
    }
    assert_eq!(run(&socket, &["send", "no room", "x"], b"").code, Some(2));
    assert_eq!(run(&socket, &["send", "x", "x", "--as", " bob"], b"").code, Some(2));
}

/// What the next versions do is known, and nothing else is suggested in its place.
#[test]
fn commands_to_come_are_known_and_none_of_harm_is_suggested() {
    let socket = Folder::new().socket();
    for name in "top user token".split(' ') {
        let ran = run(&socket, &[name, "--flag", "x"], b"");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_eq!(ran.err, format!("chatctl: `{name}` is not built yet in this version\n"));
    }
    let ran = run(&socket, &["--json", "top"], b"");
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"], "not_built_yet");
    for (typed, never) in [("stpo", "stop"), ("kik", "kick"), ("bann", "ban")] {
        let ran = run(&socket, &[typed], b"");
        assert!(ran.code == Some(2) && !ran.err.contains(&format!("'{never}'")), "{ran:?}");
    }
    let ran = run(&socket, &["tial"], b"");
    assert!(ran.err.contains("'tail'"), "{ran:?}");
    let ran = run(&socket, &["away", "lunch"], b"");
    assert!(ran.code == Some(2) && ran.err.contains("a connection"), "{ran:?}");
}

#[test]
fn help_is_a_command_too() {
    let socket = Folder::new().socket();
    let ran = run(&socket, &["help"], b"");
    assert!(ran.code == Some(0) && ran.out.starts_with("Examples:"), "{ran:?}");
    let ran = run(&socket, &["help", "kick"], b"");
    assert!(ran.code == Some(0) && ran.out.starts_with("Examples:"), "{ran:?}");
    assert!(ran.out.contains("Request: `kick`, for administrators:"), "{ran:?}");
}

#[test]
fn a_usage_error_as_json_is_a_sentence() {
    let socket = Folder::new().socket();
    for (args, message) in [
        (&["--json", "tail", "--count", "x"][..], "invalid value 'x' for '--count <N>'"),
        (&["--json", "send"], "the following required arguments were not provided: <ROOM|@NICK>"),
        (&["--json"], "say what is to be done; `chatctl --help` has the commands"),
    ] {
        let ran = run(&socket, args, b"");
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        let said = error["message"].as_str().unwrap();
        assert!(ran.code == Some(2) && said.starts_with(message), "{ran:?}");
        assert!(
            !said.contains("error:") && !said.contains("Usage") && !said.contains('\n'),
            "{said}"
        );
    }
}

#[test]
fn a_silent_daemon_is_a_time_out() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        caller.hear("ping");
        caller.hung_up();
    });
    let ran = fake.run(&["ping", "--timeout", "100ms"], b"");
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.err.contains("no answer"), "{ran:?}");
}

#[test]
fn a_lost_connection_is_retried_with_the_same_id() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        caller.greet();
        let first = caller.hear("post");
        drop(caller);
        let mut caller = door.open();
        let second = caller.hear("post");
        assert_eq!((&first["id"], &first["text"]), (&second["id"], &second["text"]));
        caller.yes(&second, json!({"room": "x", "seq": 7, "time": "t"}));
        caller.hung_up();
    });
    let ran = fake.run(&["send", "x", "hello"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("trying again"), "{ran:?}");
}

#[test]
fn a_message_with_an_unknown_fate_says_how_to_send_it_again() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        caller.greet();
        caller.hear("post");
        door.close();
    });
    let args = ["send", "x", "hello", "--id", UUID, "--timeout", "300ms"];
    let ran = fake.run(&args, b"");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains(&format!("--id {UUID}")), "{ran:?}");
}

#[test]
fn nobody_waits_with_wait_none() {
    let fake = Fake::greeting(|caller| {
        caller.hear("post");
        caller.hung_up();
    });
    assert_eq!(fake.run(&["send", "x", "hello", "--wait", "none"], b"").code, Some(0));
}

#[test]
fn the_reply_to_a_post_is_data_with_json() {
    let ran = stored(|_| ()).run(&["send", "x", "hello", "--json", "--id", UUID], b"");
    let reply: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&reply["seq"], &reply["message_id"]), (&json!(7), &json!(UUID)));
}

#[test]
fn who_rooms_status_ping_and_stop_print_what_they_learn() {
    let rooms = json!({"rooms": [
        {"room": "lobby", "members": 2, "followers": 1, "seq": 7},
        {"room": "ops", "members": 1, "followers": 0, "seq": 0}]});
    let listed = rooms.clone();
    let ask = move |name: &'static str, fields: Value| {
        Fake::new(move |door| {
            let mut caller = door.open();
            let asked = caller.hear(name);
            caller.yes(&asked, fields);
            caller.hung_up();
        })
    };
    let ran = ask("rooms", rooms).run(&["rooms"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 3, "{ran:?}");
    assert!(ran.out.lines().nth(1).unwrap().starts_with("#lobby "), "{ran:?}");
    let members = json!({"room": "lobby", "members": [{"nick": "alice"}, {"nick": "bob"}]});
    let ran = ask("members", members.clone()).run(&["who", "lobby"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "alice\nbob\n"));
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        let asked = caller.hear("rooms");
        caller.yes(&asked, listed);
        let asked = caller.hear("members");
        caller.yes(&asked, members);
        let asked = caller.hear("members");
        caller.no(&asked, "no_such_room", "Gone.");
    });
    let ran = fake.run(&["who"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "#lobby\talice\n#lobby\tbob\n"));
    let fake = Fake::greeting(|caller| {
        let asked = caller.hear("stats");
        caller.yes(
            &asked,
            json!({"stats": {"rooms": 2, "uptime_ms": 61_000, "kept_bytes": 65_536, "paused_bytes": 0,
                             "who": [{"limit": "bytes", "who": "Ada", "times": 2, "ago_ms": 3_000}]}}),
        );
    });
    let ran = fake.run(&["status"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in [
        "history                11111111-1111-4111-8111-111111111111",
        "uptime                 1m 1s",
        "rooms                  2",
        "unfinished frames      64 KiB",
    ] {
        assert!(ran.out.lines().any(|said| said == line), "{line} {ran:?}");
    }
    assert!(ran.out.contains("hit bytes              Ada, 2 times, 3 s ago\n"), "{ran:?}");
    assert!(!ran.out.contains("paused"), "what nobody hits is not said: {ran:?}");
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        for _ in 0..2 {
            let asked = caller.hear("ping");
            caller.yes(&asked, json!({}));
        }
    });
    let ran = fake.run(&["ping"], b"");
    assert!(ran.code == Some(0) && ran.out.contains("answered in"), "{ran:?}");
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("stop");
        caller.yes(&asked, json!({}));
        caller.say(&json!({"event": "bye", "reason": "drain"}));
        drop(caller);
        // Who calls while it is ending is not answered.
        drop(door.open());
        door.close();
    });
    let ran = fake.run(&["stop"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
}

#[test]
fn a_room_that_is_not_there_is_status_7() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let asked = caller.hear("members");
        caller.no(&asked, "no_such_room", "There is no room nowhere.");
    });
    assert_eq!(fake.run(&["who", "nowhere"], b"").code, Some(7));
}

#[test]
fn history_goes_forward_page_by_page_from_a_beginning() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let page = caller.hear("history");
        assert_eq!(
            (&page["after"], &page["since"]),
            (&json!(5), &json!("2026-01-01T00:00:00.000000Z"))
        );
        caller.say(&message("lobby", 6, "a", "six"));
        caller.yes(&page, json!({"room": "lobby", "count": 1, "more": true}));
        let page = caller.hear("history");
        assert_eq!(page["after"], 6);
        caller.say(&message("lobby", 8, "a", "eight"));
        caller.yes(&page, json!({"room": "lobby", "count": 1, "more": false}));
        caller.hung_up();
    });
    let args = ["history", "lobby", "--after", "5", "--since", "2026-01-01", "--raw"];
    let ran = fake.run(&args, b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "six\neight\n"), "{ran:?}");
}

/// A daemon with messages 6 and 7, which has forgotten those up to `forgotten`.
fn forgetful(args: &[&str], forgotten: u64, messages: &'static [u64]) -> fake::Ran {
    let fake = Fake::new(move |door| {
        let mut caller = door.open();
        let page = caller.hear("history");
        for seq in messages {
            caller.say(&message("lobby", *seq, "a", &seq.to_string()));
        }
        let reply = json!({"room": "lobby", "count": messages.len(), "more": false, "forgotten": forgotten});
        caller.yes(&page, reply);
        caller.hung_up();
    });
    fake.run(&[&["history", "lobby", "--raw"][..], args].concat(), b"")
}

/// Printed it looked as if nothing had been said in between, with status 0.
#[test]
fn history_says_what_is_gone_behind_the_place_that_was_named() {
    let two = &[6, 7][..];
    for args in [&["--after", "1"][..], &["--after", "1", "-n", "5"]] {
        let ran = forgetful(args, 5, two);
        assert_eq!((ran.code, ran.out.as_str()), (Some(6), "6\n7\n"), "{ran:?}");
        assert_eq!(ran.err, "chatctl: messages 2 to 5 of #lobby are gone\n");
    }
    // Nothing that was asked for is missing.
    for args in [&["--after", "5"][..], &["--after", "1", "-n", "2"], &["-n", "all"], &[]] {
        let ran = forgetful(args, 5, two);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (Some(0), "6\n7\n", ""),
            "{args:?}"
        );
    }
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let page = caller.hear("history");
        caller.yes(&page, json!({"room": "lobby", "count": 0, "more": false, "forgotten": 5}));
    });
    let ran = fake.run(&["history", "lobby", "--after", "4", "--json"], b"");
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    let expected = json!({"error": "gap", "exit": 6, "message": "message 5 of #lobby is gone"});
    assert_eq!((ran.code, error), (Some(6), expected));
}

#[test]
fn history_of_which_all_is_gone_says_so() {
    for args in [&[][..], &["-n", "all"], &["--before", "9"]] {
        let ran = forgetful(args, 5, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(6), ""), "{args:?}");
        assert_eq!(ran.err, "chatctl: messages 1 to 5 of #lobby are gone\n");
    }
    let ran = forgetful(&[], 0, &[]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "nothing was ever said");
    let ran = forgetful(&["--grep", "x"], 5, &[]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "whether it was there nobody knows");
}

#[test]
fn the_last_messages_are_printed_in_order() {
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        let page = caller.hear("history");
        assert_eq!((&page["limit"], page.get("before")), (&json!(500), None));
        caller.say(&message("lobby", 6, "a", "six"));
        caller.say(&message("lobby", 7, "a", "seven"));
        caller.yes(&page, json!({"room": "lobby", "count": 2, "more": true}));
        let page = caller.hear("history");
        assert_eq!((&page["limit"], &page["before"]), (&json!(500), &json!(6)));
        caller.say(&message("lobby", 4, "a", "four"));
        caller.say(&message("lobby", 5, "a", "five"));
        caller.yes(&page, json!({"room": "lobby", "count": 2, "more": true}));
        caller.hung_up();
    });
    let ran = fake.run(&["history", "lobby", "-n", "600", "--after", "4", "--raw"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "five\nsix\nseven\n"), "{ran:?}");
}
