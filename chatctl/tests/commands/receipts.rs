//! `send @NICK` and `--wait delivered`.

use crate::fake::{Caller, Fake};
use serde_json::{Value, json};

fn takes(caller: &mut Caller) -> Value {
    let post = caller.hear("post");
    assert_eq!((&post["to"], post.get("room")), (&json!("alice"), None));
    caller.yes(&post, json!({"to": "alice", "time": "t"}));
    post["id"].clone()
}

fn delivered(id: &Value) -> Value {
    json!({"event": "delivered", "message_id": id, "by": "alice", "time": "t"})
}

#[test]
fn a_message_to_one_person_has_no_number() {
    let fake = || {
        Fake::greeting(|caller| {
            takes(caller);
            caller.hung_up();
        })
    };
    let ran = fake().run(&["send", "@alice", "hello"], b"");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let ran = fake().run(&["send", "@alice", "hello", "-v"], b"");
    assert!(ran.err.contains("sent to @alice"), "{ran:?}");
}

#[test]
fn nobody_of_that_name_is_status_7() {
    let fake = Fake::greeting(|caller| {
        let post = caller.hear("post");
        caller.no(&post, "no_such_nick", "Nobody is called alice.");
        caller.hung_up();
    });
    assert_eq!(fake.run(&["send", "@alice", "hello"], b"").code, Some(7));
    let nowhere = crate::fake::Folder::new();
    let ran = crate::fake::run(&nowhere.socket(), &["send", "@", "hello"], b"");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn delivered_is_done_when_somebody_has_it() {
    let fake = || {
        Fake::greeting(|caller| {
            let post = caller.hear("post");
            assert_eq!(post["receipt"], true);
            // Receipts of others' messages, and second ones, are nobody's business.
            caller.say(&delivered(&json!("another")));
            caller.yes(&post, json!({"to": "alice", "time": "t"}));
            caller.say(&delivered(&post["id"]));
            caller.say(&delivered(&post["id"]));
            caller.hung_up();
        })
    };
    let args = ["send", "@alice", "hello", "--wait", "delivered"];
    let ran = fake().run(&args, b"");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let ran = fake().run(&[&args[..], &["--json"]].concat(), b"");
    let lines: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["to"], &lines[1]["by"]), (&json!("alice"), &json!("alice")), "{ran:?}");
    assert_eq!(lines[0]["message_id"], lines[1]["message_id"]);
}

#[test]
fn a_receipt_that_does_not_come_is_a_time_out() {
    let fake = Fake::greeting(|caller| {
        takes(caller);
        caller.hung_up();
    });
    let args = ["send", "@alice", "hello", "--wait", "delivered", "--timeout", "200ms"];
    let ran = fake.run(&args, b"");
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.err.contains("nobody said in time to have it"), "{ran:?}");
}

/// The word of who has it would come to the lost connection; the message itself was taken, and is not sent again.
#[test]
fn a_loss_before_the_receipt_says_what_is_known() {
    let fake = Fake::greeting(|caller| {
        takes(caller);
    });
    let ran = fake.run(&["send", "@alice", "hello", "--wait", "delivered"], b"");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("was taken"), "{ran:?}");
}

#[test]
fn every_line_waits_for_its_receipt() {
    let fake = Fake::greeting(|caller| {
        let posts: Vec<_> = (0..3).map(|_| takes(caller)).collect();
        for id in posts.iter().rev() {
            caller.say(&delivered(id));
        }
        caller.hung_up();
    });
    let ran = fake.run(&["send", "@alice", "-l", "--wait", "delivered"], b"a\nb\nc\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
