//! A v1 client over TCP: a native connection that says `hello`, and from then on asks as control clients do, in frames of
//! type 16. It has its own reader: before its `hello` is answered it may get what v0.5 gets, afterwards nothing of it but
//! keepalives.

use crate::answers;
use crate::asking::{self, Greeting, V1_TYPE};
use crate::clients::Client;
use crate::native::{self, BAD_FRAMES, KEEPALIVE};
use crate::net::Net;
use crate::oracle::Oracle;

/// Does one thing.
pub fn act(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let half = client.rng.chance(client.temper.half);
    let greeting = client.asking.greeting;
    match client.rng.below(100) {
        0..4 => client.send_framed(net, &KEEPALIVE, half),
        4..8 => {
            let bytes = native::nonsense(client);
            client.send_framed(net, &bytes, half);
        }
        8..11 if client.rng.chance(client.temper.bad) => {
            client.bad_from = Some(client.sent);
            let bad = client.rng.pick(&BAD_FRAMES);
            client.send_frame(net, bad);
        }
        _ if greeting == Greeting::None => begin(client, net, oracle, half),
        11..15 if greeting == Greeting::Done => v05(client, net, half),
        15..18 if greeting == Greeting::Done => {
            let bytes = asking::hello(client, oracle, client.sent);
            client.send_framed(net, &bytes, half);
        }
        _ => asking::act(client, net, oracle),
    }
}

/// On the way to v1: most say `hello` at once, some live as v0.5 for a while.
fn begin(client: &mut Client, net: &mut Net, oracle: &mut Oracle, half: bool) {
    match client.rng.below(10) {
        0..2 => native::act(client, net, oracle),
        2 => asking::act(client, net, oracle),
        _ => {
            let bytes = asking::hello(client, oracle, client.sent);
            client.asking.greeting = Greeting::Said;
            client.send_framed(net, &bytes, half);
        }
    }
}

/// What v0.5 says: it is answered with an error once the connection speaks v1.
fn v05(client: &mut Client, net: &mut Net, half: bool) {
    let bytes = if client.rng.chance(500) {
        native::chat(b"what v0.5 says")
    } else {
        native::frame(3, &[&[7; 16][..], b"\x03bob"].concat())
    };
    client.asking.faceless += 1;
    client.send_framed(net, &bytes, half);
}

/// Reads every whole frame that has come.
pub fn hear(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    for (kind, payload) in native::frames(client) {
        let no = client.no;
        if kind == V1_TYPE {
            answers::take(client, &payload, net, oracle);
            continue;
        }
        let late = client.asking.greeting == Greeting::Done && kind != 2;
        assert!(!late, "#{no} speaks v1 and got a frame of type {kind}");
        assert!(!client.asking.bye, "#{no} got a frame of type {kind} after its bye");
        native::one(no, kind, &payload, net, oracle);
    }
}
