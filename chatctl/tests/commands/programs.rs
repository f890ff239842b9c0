//! `tail --exec`: a program by message.

use crate::fake::{Fake, Folder, command, ended, message, run};
use crate::following::follow;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};

fn says(texts: &'static [&'static str]) -> Fake {
    Fake::new(move |door| {
        let mut caller = door.open();
        follow(&mut caller, json!([]));
        for (seq, text) in (1..).zip(texts) {
            caller.say(&message("lobby", seq, "$(touch /tmp/x)", text));
        }
        caller.hung_up();
    })
}

#[test]
fn a_program_gets_content_and_fields_and_no_shell_sees_them() {
    let fake = says(&["`id`; $HOME\nline 2", "two"]);
    let script = "printf '[%s %s %s %.4s] ' \"$0\" \"$CHAT_SEQ\" \"$CHAT_FROM\" \"$CHAT_HISTORY\"; cat; echo .";
    let args = ["tail", "lobby", "--count", "2", "--exec", "/bin/sh", "-c", script, "an arg; $x"];
    let ran = fake.run(&args, b"");
    let expected = "[an arg; $x 1 $(touch /tmp/x) 1111] `id`; $HOME\nline 2.\n[an arg; $x 2 $(touch /tmp/x) 1111] two.\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), expected, ""));
}

#[test]
fn a_program_need_not_read_and_may_fail() {
    let fake = says(&["one", "two"]);
    let ran = fake.run(&["tail", "lobby", "--count", "2", "--exec", "/bin/false"], b"");
    // Each failed run is said, and that there were any is the end's status.
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for seq in [1, 2] {
        let said = format!("--exec /bin/false: message {seq} of #lobby: exit status: 1\n");
        assert!(ran.err.contains(&said), "{ran:?}");
    }
    assert!(ran.err.ends_with("runs of --exec that failed: 2, as is said above\n"), "{ran:?}");
}

#[test]
fn a_program_that_is_not_there_is_said_at_once() {
    let ran = run(&Folder::new().socket(), &["tail", "--exec", "no-such-program"], b"");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("no-such-program"), "{ran:?}");
}

/// The one that runs is let finish, and is the last of which the file says that it was.
#[test]
fn a_signal_waits_for_the_program_that_runs() {
    let folder = Folder::new();
    let (path, go) = (folder.path("cursor"), folder.path("go"));
    let made = std::process::Command::new("mkfifo").arg(&go).status().unwrap();
    assert!(made.success());
    let fake = says(&["one", "two", "three"]);
    let script = "echo begins; read line < \"$0\"; echo $line $CHAT_SEQ";
    let args = [
        "tail",
        "lobby",
        "--cursor-file",
        path.to_str().unwrap(),
        "--exec",
        "/bin/sh",
        "-c",
        script,
        go.to_str().unwrap(),
    ];
    let mut child = command(fake.address(), &args).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line(), "begins\n");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    std::fs::write(&go, "ends\n").unwrap();
    assert_eq!(line(), "ends 1\n");
    let ran = ended(child);
    assert_eq!(ran.signal, Some(Signal::SIGTERM as i32), "{ran:?}");
    assert_eq!(line(), "", "no other was begun");
    fake.end(ran);
    let cursor: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(cursor["rooms"]["lobby"], 1);
}
