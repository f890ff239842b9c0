//! `-s tcp://`: frames, the greeting, names, signs of life, and strangers who answer.

use crate::fake::{Caller, Fake, HISTORY, message, run};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;

/// Greets somebody who wishes for this name, or for none.
fn welcomes(caller: &mut Caller, wish: Option<&str>, name: &str) {
    let hello = caller.hear("hello");
    assert_eq!(hello.get("nick").and_then(Value::as_str), wish, "{hello}");
    caller.welcome(&hello, HISTORY, Some(name));
}

fn stores(caller: &mut Caller, text: &str) {
    let post = caller.hear("post");
    assert_eq!((&post["room"], &post["text"], post.get("nick")), (&json!("x"), &json!(text), None));
    caller.yes(&post, json!({"room": "x", "seq": 1, "time": "t"}));
}

#[test]
fn a_message_goes_over_tcp_under_the_name_that_is_given() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        // What the lobby says before the greeting, and signs of life, are passed over.
        caller.say_frame(1, b"\x01a\x00\x02hi");
        caller.say_frame(2, b"");
        welcomes(&mut caller, Some("Bob"), "Bob");
        caller.say_frame(2, b"");
        stores(&mut caller, "hello");
        caller.hung_up();
    });
    let ran = fake.run(&["send", "x", "hello", "--as", "Bob"], b"");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn the_login_name_is_taken_or_a_guests_will_do() {
    let script = |door: &mut crate::fake::Door| {
        let mut caller = door.open();
        let hello = caller.hear("hello");
        assert!(hello["nick"].is_string(), "the login name: {hello}");
        caller.no(&hello, "nickname_in_use", "Somebody has this name.");
        welcomes(&mut caller, None, "guest-7");
        stores(&mut caller, "hello");
        caller.hung_up();
    };
    let ran = Fake::over_tcp(script).run(&["send", "x", "hello"], b"");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "it is nothing to be told of");
    let ran = Fake::over_tcp(script).run(&["send", "x", "hello", "-v"], b"");
    assert!(
        ran.err.contains("Somebody has this name.") && ran.err.contains("speaking as guest-7"),
        "{ran:?}"
    );
}

#[test]
fn a_name_that_was_asked_for_and_is_taken_is_an_error() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        let hello = caller.hear("hello");
        caller.no(&hello, "nickname_in_use", "Somebody has this name.");
        caller.hung_up();
    });
    let ran = fake.run(&["send", "x", "hello", "--as", "Bob"], b"");
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "chatctl: Somebody has this name.\n"));
}

/// The name that was asked for is waited for until the lost connection has left it.
#[test]
fn a_message_is_sent_again_under_the_name_that_was_asked_for() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        let hello = caller.hear("hello");
        caller.welcome(&hello, HISTORY, Some("Bob"));
        let first = caller.hear("post");
        drop(caller);
        let mut caller = door.open();
        let hello = caller.hear("hello");
        assert_eq!(hello["nick"], "Bob");
        caller.no(&hello, "nickname_in_use", "Somebody has this name.");
        drop(caller);
        let mut caller = door.open();
        welcomes(&mut caller, Some("Bob"), "Bob");
        let second = caller.hear("post");
        assert_eq!((&first["id"], &first["text"]), (&second["id"], &second["text"]));
        caller.yes(&second, json!({"room": "x", "seq": 1, "time": "t"}));
        caller.hung_up();
    });
    let ran = fake.run(&["send", "x", "hello", "--as", "Bob"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// The id alone says which message it is: nobody waits for the name of a guest.
#[test]
fn a_message_is_sent_again_under_another_name() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        let hello = caller.hear("hello");
        caller.welcome(&hello, HISTORY, Some("guest-7"));
        let first = caller.hear("post");
        drop(caller);
        let mut caller = door.open();
        let hello = caller.hear("hello");
        assert_eq!(hello["nick"], "guest-7");
        caller.no(&hello, "nickname_in_use", "Somebody has this name.");
        welcomes(&mut caller, None, "guest-8");
        let second = caller.hear("post");
        assert_eq!((&first["id"], &first["text"]), (&second["id"], &second["text"]));
        caller.yes(&second, json!({"room": "x", "seq": 1, "time": "t"}));
        caller.hung_up();
    });
    let ran = fake.run(&["send", "x", "hello"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn who_asks_over_tcp_greets_first_and_takes_no_name() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        welcomes(&mut caller, None, "guest-7");
        let asked = caller.hear("members");
        caller.yes(&asked, json!({"room": "lobby", "members": [{"nick": "alice"}]}));
        caller.hung_up();
    });
    let ran = fake.run(&["who", "lobby"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "alice\n"), "{ran:?}");
}

#[test]
fn following_over_tcp_goes_on_after_a_loss() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        crate::following::follow(&mut caller, json!([]));
        caller.say(&message("lobby", 1, "a", "one"));
        // In the middle of a frame.
        caller.say_raw(&[0, 0, 0, 50, 0, 0, 0, 16, b'{']);
        drop(caller);
        let mut caller = door.open();
        let rooms = json!([{"room": "lobby", "seq": 2}]);
        crate::following::follow_again(&mut caller, HISTORY, &[], rooms);
        crate::following::replays(&mut caller, "lobby", 1, &[message("lobby", 2, "a", "two")]);
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "lobby", "--raw", "--count", "2"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "one\ntwo\n"), "{ran:?}");
}

/// A silent client is closed by the daemon after 15 s: it gives a sign of life before.
#[test]
fn a_follower_with_nothing_to_say_gives_signs_of_life() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        crate::following::follow(&mut caller, json!([]));
        assert_eq!(caller.frame_called(2), b"");
        caller.say(&message("lobby", 1, "a", "one"));
        caller.hung_up();
    });
    let ran = fake.run(&["tail", "lobby", "--raw", "--count", "1"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "one\n"), "{ran:?}");
}

#[test]
fn whoever_answers_with_anything_else_is_no_daemon() {
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "does not speak chatd's frames"),
        (&[0, 0, 0, 3, 0, 0, 0, 16][..], "a length of 3 bytes"),
        (&[1, 0, 0, 0][..], "does not speak chatd's frames"),
        (&[0, 0, 0, 6, 0, 0, 0, 16, b'{', b'x'][..], "no reply and no event"),
        (&[0, 0, 0, 200, 0, 0, 0, 16, b'{'][..], "closed the connection"),
    ] {
        let fake = Fake::over_tcp(move |door| {
            let mut caller = door.open();
            caller.hear("hello");
            caller.say_raw(answer);
        });
        let ran = fake.run(&["ping"], b"");
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.err.contains(words), "{ran:?}");
    }
}

#[test]
fn where_nobody_listens_is_said_with_the_address() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let address = format!("tcp://{host}:{port}");
        let ran = run(Path::new(&address), &["ping"], b"");
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.err.contains(&address) && ran.err.contains("no daemon at"), "{ran:?}");
    }
    let ran = run(Path::new("tcp://nowhere.invalid"), &["ping"], b"");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("cannot be looked up"), "{ran:?}");
    let ran = run(Path::new("tcp://host:port"), &["ping"], b"");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

/// A queue of callers that nobody takes in: connecting ends in time.
#[test]
fn a_host_that_does_not_answer_is_a_matter_of_the_timeout() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        caller.hear("hello");
        caller.hung_up();
    });
    let ran = fake.run(&["ping", "--timeout", "100ms"], b"");
    assert_eq!(ran.code, Some(5), "{ran:?}");
}

/// With nobody to wait for the answers they are taken all the same, so that closing takes nothing back.
#[test]
fn nobody_waits_and_nothing_is_lost() {
    let fake = Fake::over_tcp(|door| {
        let mut caller = door.open();
        let hello = caller.hear("hello");
        caller.welcome(&hello, HISTORY, Some("Bob"));
        for number in 0..60 {
            let post = caller.hear("post");
            assert_eq!(post["text"], number.to_string());
            caller.yes(&post, json!({"room": "x", "seq": 1, "time": "t"}));
        }
        caller.hung_up();
    });
    let lines: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    let ran = fake.run(&["send", "x", "-l", "--wait", "none"], lines.join("\n").as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// A daemon that refuses an address says nothing: what its caller can tell is that there was not a word.
#[test]
fn a_daemon_that_closes_without_a_word_is_not_lost() {
    for args in [
        &["ping"][..],
        &["tail", "x"],
        &["history", "x"],
        &["send", "x", "y", "--timeout", "200ms"],
    ] {
        let fake = Fake::over_tcp(|door| {
            // Closed where it said something, and where it had no time to; `send` tries again until its time is over.
            for _ in 0..2 {
                drop(door.open());
            }
        });
        let ran = run(fake.address(), args, b"");
        assert_eq!(ran.code, Some(3), "{args:?} {ran:?}");
        assert!(ran.err.contains("closed the connection before a word; perhaps a ban"), "{ran:?}");
        assert!(!ran.err.contains("lost the daemon"), "{ran:?}");
    }
}
