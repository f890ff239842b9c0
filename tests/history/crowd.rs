//! Several clients at once, and the one that comes when all is over and reads every room from its beginning.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use serde_json::json;
use tests::checker::{FINAL, Op, Record, hash_of};

use crate::client::{Client, ROOMS, content_of};
use crate::scene::Scene;
use crate::wire::Wire;

/// Several clients at once.
pub(crate) struct Crowd {
    scene: Arc<Scene>,
    threads: Vec<JoinHandle<BTreeMap<&'static str, u64>>>,
}

impl Crowd {
    /// So many; each lets go of its connection once in `lets_go` steps.
    pub(crate) fn start(scene: &Arc<Scene>, count: usize, seed: u64, lets_go: Option<u64>) -> Self {
        let thread = |number| {
            let client = Client::new(scene, seed, number, lets_go);
            thread::spawn(move || client.talks(count))
        };
        Self { scene: Arc::clone(scene), threads: (0..count).map(thread).collect() }
    }

    /// Lets them come to an end with the daemon that runs; then the final log is read. Whoever lacks its end is told.
    pub(crate) fn finish(self) -> Vec<String> {
        self.scene.end();
        let Self { scene, threads } = self;
        scene.waits("the clients' end", || threads.iter().all(JoinHandle::is_finished));
        let seen: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let mut lacking = Vec::new();
        for (room, last) in final_log(&scene) {
            for (number, seen) in seen.iter().enumerate() {
                // Its own last post it has heard of by the reply.
                let reached = seen[room].max(own_last(&scene, number, room));
                if reached != last {
                    lacking.push(format!("client-{number} came to {reached} of {last} in {room}"));
                }
            }
        }
        lacking
    }
}

fn own_last(scene: &Scene, number: usize, room: &str) -> u64 {
    let name = format!("client-{number}");
    let records = scene.records();
    let own = records.iter().filter(|record| {
        record.op == Op::Ok && record.client == name && record.room.as_deref() == Some(room)
    });
    own.filter_map(|record| record.seq).max().unwrap_or(0)
}

/// Reads every room from its beginning, and gives the last place of each.
pub(crate) fn final_log(scene: &Scene) -> BTreeMap<&'static str, u64> {
    let record = |op| Record::new(scene.now(), FINAL, 1, op);
    let mut wire = Wire::connect(&scene.way(true).unwrap()).unwrap();
    let mut last = BTreeMap::new();
    for room in ROOMS {
        scene.writes(record(Op::Join).room(room).seq(0));
        wire.sends("join", room, json!({ "room": room, "after": 0 })).unwrap();
        last.insert(room, 0);
        loop {
            let said = wire.hears(10_000).unwrap().expect("the replay goes on");
            let seq = said["seq"].as_u64().unwrap_or(0);
            if said["reply"] == room {
                assert_eq!(said["ok"], true, "{said}");
                break;
            } else if said["event"] == "message" {
                assert_eq!(said["room"], room, "{said}");
                let (id, hash) =
                    (said["message_id"].as_str().unwrap(), hash_of(&content_of(&said)));
                scene.writes(record(Op::Replay).room(room).id(id).seq(seq).hash(&hash));
                last.insert(room, seq);
            } else if said["event"] == "gap" {
                let [from, to] = ["from_seq", "to_seq"].map(|name| said[name].as_u64().unwrap());
                scene.writes(record(Op::Gap).room(room).seq(from).to(to));
            }
        }
    }
    scene.writes(record(Op::Close));
    last
}
