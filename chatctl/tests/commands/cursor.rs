//! `tail --cursor-file`: what the file holds, and what the next run makes of it.

use crate::fake::{Fake, Folder, HISTORY, Ran, command, ended, interruptible, message, run};
use crate::following::{follow, follow_again, replays};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

fn held(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Follows the lobby with a cursor file to its end.
fn follows(fake: Fake, path: &Path, args: &[&str]) -> Ran {
    let path = path.to_str().unwrap();
    let all = [&["tail", "lobby", "--raw", "--cursor-file", path][..], args].concat();
    fake.run(&all, b"")
}

/// A daemon that a follower comes to for the first time, at message 4.
fn first(seqs: std::ops::Range<u64>) -> Fake {
    Fake::new(move |door| {
        let mut caller = door.open();
        follow(&mut caller, json!([{"room": "lobby", "seq": 4}]));
        for seq in seqs {
            caller.say(&message("lobby", seq, "a", &seq.to_string()));
        }
        caller.hung_up();
    })
}

#[test]
fn the_next_run_goes_on_behind_the_last_message() {
    let folder = Folder::new();
    let path = folder.path("cursor");
    // The seventh message is there, and not asked for any more.
    let ran = follows(first(5..8), &path, &["--count", "2"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "5\n6\n"), "{ran:?}");
    let expected = json!({"history": HISTORY, "follows": ["lobby"], "rooms": {"lobby": 6}});
    assert_eq!(held(&path), expected);
    let again = Fake::new(|door| {
        let mut caller = door.open();
        follow_again(&mut caller, HISTORY, &[], json!([{"room": "lobby", "seq": 8}]));
        replays(
            &mut caller,
            "lobby",
            6,
            &[message("lobby", 7, "a", "7"), message("lobby", 8, "a", "8")],
        );
        caller.hung_up();
    });
    let ran = follows(again, &path, &["--count", "2", "-n", "5"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "7\n8\n", ""));
    assert_eq!(held(&path)["rooms"], json!({"lobby": 8}));
}

#[test]
fn where_following_began_is_kept_before_the_first_message() {
    let folder = Folder::new();
    let path = folder.path("cursor");
    let ran = follows(first(5..5), &path, &["--for", "100ms"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(held(&path)["rooms"], json!({"lobby": 4}));
}

#[test]
fn another_history_begins_anew_and_says_so() {
    let folder = Folder::new();
    let path = folder.file(
        "cursor",
        json!({"history": "another", "follows": ["lobby"], "rooms": {"lobby": 60}})
            .to_string()
            .as_bytes(),
    );
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        follow_again(&mut caller, HISTORY, &[], json!([{"room": "lobby", "seq": 1}]));
        replays(&mut caller, "lobby", 0, &[message("lobby", 1, "a", "1")]);
        caller.hung_up();
    });
    let ran = follows(fake, &path, &["--count", "1"]);
    // What came behind message 60 of the other one nobody knows.
    assert_eq!((ran.code, ran.out.as_str()), (Some(6), "1\n"), "{ran:?}");
    assert!(ran.err.contains("new history"), "{ran:?}");
    let expected = json!({"history": HISTORY, "follows": ["lobby"], "rooms": {"lobby": 1}});
    assert_eq!(held(&path), expected);
}

#[test]
fn what_cannot_be_a_cursor_is_refused_before_anything_is_asked() {
    let folder = Folder::new();
    let cursor = |name: &str, content: &str| {
        folder.file(name, content.as_bytes()).to_str().unwrap().to_owned()
    };
    let all = json!({"history": HISTORY, "follows": null, "rooms": {}}).to_string();
    for path in [
        cursor("words", "hello"),
        cursor("others", &all),
        "/nowhere/cursor".to_owned(),
        "/".to_owned(),
    ] {
        let ran = run(&folder.socket(), &["tail", "lobby", "--cursor-file", &path], b"");
        assert_eq!(ran.code, Some(2), "{path} {ran:?}");
        assert!(ran.err.contains(&path), "{ran:?}");
    }
}

/// Ended in the middle of it all, a follower has written what its file says, and no more.
#[test]
fn ended_by_a_signal_the_file_says_what_was_printed() {
    let folder = Folder::new();
    let path = folder.path("cursor");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let fake = first(5..7);
        let args = ["tail", "lobby", "--raw", "--cursor-file", path.to_str().unwrap()];
        let mut child = interruptible(fake.address(), &args).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        out.read_to_string(&mut line).unwrap();
        let ran = ended(child);
        // A shell says 128 and the number of the signal.
        assert_eq!((ran.code, ran.signal, ran.err.as_str()), (None, Some(signal as i32), ""));
        fake.end(ran);
        let printed: Vec<u64> = line.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(held(&path)["rooms"]["lobby"], *printed.last().unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}

/// A reader who takes nothing keeps a signal from nothing: what it did not get comes again.
#[test]
fn a_reader_who_does_not_read_gets_it_the_next_time() {
    let folder = Folder::new();
    let path = folder.path("cursor");
    let fake = Fake::new(|door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        for seq in 1..=40 {
            caller.say(&message("lobby", seq, "a", &"x".repeat(8_000)));
        }
        caller.hung_up();
    });
    let args = ["tail", "lobby", "--raw", "--cursor-file", path.to_str().unwrap()];
    let mut child = command(fake.address(), &args).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    // It is at work when its pipe has something, and then it fills.
    out.read_exact(&mut [0; 1]).unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let ran = ended(child);
    assert_eq!(ran.signal, Some(Signal::SIGTERM as i32), "{ran:?}");
    fake.end(ran);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let whole = u64::try_from(rest.matches('\n').count()).unwrap();
    let kept = held(&path)["rooms"]["lobby"].as_u64().unwrap();
    assert!(kept <= whole, "{kept} of {whole}");
}
