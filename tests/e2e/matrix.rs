//! Every request of the vocabulary, over the control socket and over TCP: what works where, and what is said where it does not.

use proto::{Permission, REQUESTS, RequestKind};
use serde_json::{Value, json};
use tests::roles::{UUID, fields};
use tests::{Control, Daemon, Setup, V1Client};

/// The error of a request that has its fields, where the other side is what is missing.
fn error_over_the_socket(kind: RequestKind) -> Option<&'static str> {
    // A control connection occupies no nickname: it takes none, and is not away.
    matches!(kind, RequestKind::Nick | RequestKind::Away).then_some("bad_request")
}

/// A daemon with a room, somebody in it, and a message there that waits for a receipt of Grace.
fn scene() -> (Daemon, V1Client, V1Client) {
    let daemon = Setup::new().start();
    let mut witness = V1Client::connect(daemon.address(), "Witness");
    assert_eq!(witness.asks("join", json!({"room": "ops"}))["ok"], true);
    let post = json!({"id": format!("{UUID}9"), "room": "ops", "text": "hear me", "receipt": true});
    assert_eq!(witness.asks("post", post)["ok"], true);
    let victim = V1Client::connect(daemon.address(), "Victim");
    (daemon, witness, victim)
}

/// Somebody comes as far in a talk with the witness as a request needs it.
fn begin_talk(
    kind: RequestKind,
    witness: &mut V1Client,
    ask: &mut dyn FnMut(&str, Value) -> Value,
) {
    let opens = matches!(kind, RequestKind::Say | RequestKind::Pass);
    let waits = matches!(kind, RequestKind::Unbridge | RequestKind::Hangup);
    if opens || kind == RequestKind::Chat {
        assert_eq!(witness.asks("bridge", json!({"turns": "yes"}))["ok"], true);
    }
    if opens || waits || kind == RequestKind::Chat {
        assert_eq!(ask("bridge", json!({}))["ok"], true);
    }
    if opens {
        assert_eq!(ask("chat", json!({}))["turn"], "yours");
    }
}

#[test]
fn every_request_works_over_the_socket() {
    for row in REQUESTS {
        let (daemon, mut witness, _victim) = scene();
        let mut ops: Control = daemon.control();
        assert_eq!(ops.asks("join", json!({"room": "ops"}))["ok"], true);
        if row.kind == RequestKind::Unban {
            assert_eq!(ops.asks("ban", fields(RequestKind::Ban))["ok"], true);
        }
        begin_talk(row.kind, &mut witness, &mut |request, fields| ops.asks(request, fields));
        let fields = fields(row.kind);
        let reply = match fields["id"].as_str() {
            Some(id) => ops.asks_as(id, row.name, fields.clone()),
            None => ops.asks(row.name, fields.clone()),
        };
        match error_over_the_socket(row.kind) {
            None => assert_eq!(reply["ok"], true, "{}: {reply}", row.name),
            Some(code) => assert_eq!(reply["error"], code, "{}: {reply}", row.name),
        }
    }
}

#[test]
fn every_request_works_over_tcp_or_says_who_may_use_it() {
    for row in REQUESTS {
        let (daemon, mut witness, _victim) = scene();
        let mut grace = V1Client::connect(daemon.address(), "Grace");
        if row.kind != RequestKind::Join {
            assert_eq!(grace.asks("join", json!({"room": "ops"}))["ok"], true);
        }
        begin_talk(row.kind, &mut witness, &mut |request, fields| grace.asks(request, fields));
        let reply = grace.asks(row.name, fields(row.kind));
        match row.permission {
            Permission::Admin => {
                assert_eq!(reply["error"], "forbidden", "{}: {reply}", row.name);
                let text = reply["message"].as_str().unwrap();
                assert!(text.contains("control socket"), "{}: {reply}", row.name);
            }
            Permission::Anyone | Permission::Watch | Permission::Send | Permission::Talk => {
                assert_eq!(reply["ok"], true, "{}: {reply}", row.name);
            }
        }
    }
}

/// The protocol's rule for a client that has not said `hello`.
#[test]
fn nothing_but_hello_is_answered_before_hello() {
    let daemon = Daemon::start();
    for row in REQUESTS.iter().filter(|row| row.kind != RequestKind::Hello) {
        let mut late = V1Client::silent(daemon.address());
        let reply = late.asks(row.name, fields(row.kind));
        assert_eq!(reply["error"], "bad_request", "{}: {reply}", row.name);
        assert!(reply["message"].as_str().unwrap().contains("hello"), "{reply}");
    }
}

#[test]
fn a_request_that_lacks_a_field_says_which() {
    let daemon = Daemon::start();
    let (mut ada, mut ops) = (V1Client::connect(daemon.address(), "Ada"), daemon.control());
    for row in REQUESTS {
        for field in row.fields.iter().filter(|field| field.required) {
            let mut lacking = fields(row.kind);
            let names: Vec<&str> = field.wire.iter().map(|(name, _)| *name).collect();
            if names == ["id"] {
                continue;
            }
            for name in &names {
                lacking.as_object_mut().unwrap().remove(*name);
            }
            // Over TCP nobody is told what an administrator's request lacks.
            let reply = match row.permission {
                Permission::Admin => ops.asks(row.name, lacking),
                Permission::Anyone | Permission::Watch | Permission::Send | Permission::Talk => {
                    ada.asks(row.name, lacking)
                }
            };
            assert_eq!(reply["error"], "bad_request", "{} without {names:?}: {reply}", row.name);
            let said = reply["message"].as_str().unwrap();
            assert!(names.iter().all(|name| said.contains(name)), "{said}");
        }
    }
}
