//! The budgets of a turn, where each call takes its time: every phase stops in time, and what is left is carried over.

use super::*;
use crate::turn::PHASE_MAX;

/// What a call costs: the third ends the phase.
const CALL: u64 = 100;

/// How many more calls a phase makes than it has time for: the last begins in time.
const CALLS_MAX: usize = 3;

const _: () = assert!(PHASE_MAX.as_micros() > 2 * CALL && PHASE_MAX.as_micros() <= 3 * CALL);

impl Scene {
    /// A scene in which calls cost nothing until [`Scene::costs`].
    fn free() -> Self {
        Self::new(|settings| settings.detect = None)
    }

    fn costs(&self, call: u64) {
        self.change(|world| world.call_cost = call);
    }

    /// How often each turn did something that `count` counts, until it was done `all` times.
    fn by_turn(&mut self, all: usize, count: impl Fn(&Self) -> usize) -> Vec<usize> {
        let mut turns = Vec::new();
        let mut before = 0;
        while before < all {
            self.turn();
            let now = count(self);
            turns.push(now - before);
            before = now;
            assert!(turns.len() < 10 * all, "it is never done: {turns:?}");
        }
        turns
    }
}

/// The most of a turn, and that the longest of all was within what is promised.
fn most(scene: &Scene, turns: &[usize]) -> usize {
    let longest = scene.server.hub().stats().turns.longest_us;
    assert!(longest <= 10_000, "a turn of {longest} us");
    *turns.iter().max().unwrap()
}

#[test]
fn a_phase_accepts_for_its_time_and_the_operator_comes_in_beside_a_flood() {
    let mut scene = Scene::free();
    scene.costs(CALL);
    scene.change(|world| {
        world.waiting = [20, 1];
        world.ready.extend([Ready::Listener(TCP), Ready::Listener(CONTROL)]);
    });
    scene.turn();
    assert_eq!(scene.change(|world| world.waiting), [20 - CALLS_MAX, 0]);
    scene.turn();
    assert_eq!(scene.sleeps(), Some(Duration::ZERO), "no edge comes for who waits");
    let turns = scene.by_turn(21, |scene| scene.change(|world| world.ids.len()));
    assert_eq!(most(&scene, &turns[1..]), CALLS_MAX);
}

#[test]
fn a_phase_reads_for_its_time_and_who_waits_comes_before_who_speaks_again() {
    let mut scene = Scene::free();
    let ids = scene.dial(CONTROL, 12);
    scene.costs(CALL);
    for id in &ids {
        scene.say(*id, &pings(1));
    }
    let all = ids;
    let read = move |scene: &Scene| {
        scene.say(all[0], &pings(1));
        all[1..].iter().filter(|id| scene.unread(**id) == 0).count()
    };
    let turns = scene.by_turn(11, read);
    assert!(most(&scene, &turns) <= CALLS_MAX, "{turns:?}");
    assert!(turns.len() <= 12, "who speaks all the time is one of all: {turns:?}");
}

#[test]
fn a_phase_writes_for_its_time_and_each_is_written() {
    let mut scene = Scene::free();
    let ids = scene.dial(TCP, 14);
    for id in &ids {
        scene.say(*id, &native_keepalive());
    }
    scene.turns(4);
    scene.costs(CALL);
    scene.say(ids[0], &chats(1));
    let all = ids;
    let written =
        move |scene: &Scene| all[1..].iter().filter(|id| !scene.heard(**id).is_empty()).count();
    let turns = scene.by_turn(13, written);
    assert!(most(&scene, &turns) <= CALLS_MAX, "{turns:?}");
}

#[test]
fn who_is_in_another_room_is_held_up_neither_by_a_long_flush_nor_by_the_pause_after_it() {
    let mut scene = Scene::free();
    let ids = scene.dial(TCP, 30);
    for id in &ids {
        scene.say(*id, &native_keepalive());
    }
    let pair = scene.dial(CONTROL, 2);
    for id in &pair {
        scene.say(*id, b"{\"request\":\"join\",\"id\":\"j\",\"room\":\"side\"}\n");
    }
    scene.turns(8);
    scene.costs(CALL);
    let mut said = 0;
    // The lobby keeps talking for some flushes, each of ten turns, and their pauses; the pair is in each but once.
    for turn in 0..240 {
        if turn % 3 == 0 {
            scene.say(ids[turn % 2], &chats(1));
        }
        if turn % 29 == 1 {
            said += 1;
            let post = format!(
                "{{\"request\":\"post\",\"id\":\"00000000-0000-4000-8000-{said:012}\",\"room\":\"side\",\"text\":\"{said}\"}}\n"
            );
            scene.say(pair[0], post.as_bytes());
            scene.turn();
        }
        scene.turn();
        let heard = String::from_utf8(scene.heard(pair[1])).unwrap();
        assert_eq!(heard.matches("\"event\":\"message\"").count(), said, "turn {turn}");
    }
    let last = *ids.last().unwrap();
    assert!(scene.heard(last).len() > 100, "the lobby heard its flushes, too");
}

#[test]
fn a_phase_closes_for_its_time_and_the_rest_in_the_next() {
    let mut scene = Scene::free();
    scene.dial(TCP, 10);
    scene.costs(CALL);
    scene.change(|world| world.ready.push(Ready::Stop));
    let turns = scene.by_turn(10, |scene| 10 - scene.change(|world| world.pipes.len()));
    assert_eq!(turns, [3, 3, 3, 1]);
    most(&scene, &turns);
}

#[test]
fn timers_fire_for_their_time_and_the_rest_in_the_next() {
    let mut scene = Scene::new(|settings| settings.detect = Some(Span::from_secs(1)));
    scene.dial(TCP, 100);
    scene.change(|world| {
        world.now += 1_500_000;
        world.look_cost = PHASE_MAX.as_micros();
    });
    let fired = |scene: &Scene| 100 - scene.server.hub().stats().connections_undecided;
    let turns = scene.by_turn(100, fired);
    assert_eq!(turns, [16, 16, 16, 16, 16, 16, 4], "the clock is looked at after sixteen");
    assert_eq!(scene.sleeps(), Some(Duration::ZERO), "who is overdue does not wait");
}

#[test]
fn one_peer_is_read_64_kib_of_in_a_turn_and_another_in_the_same() {
    let mut scene = Scene::free();
    let ids = scene.dial(TCP, 2);
    let length = 300 * 1024_u32;
    let mut frame = [length.to_be_bytes(), 99_u32.to_be_bytes()].concat();
    frame.resize(frame.len() + length as usize - 4, b'x');
    scene.say(ids[0], &frame);
    scene.say(ids[1], &chats(1));
    let mut left = frame.len();
    for turn in 0..100 {
        scene.turn();
        let unread = scene.unread(ids[0]);
        assert!(left - unread <= 64 * 1024, "{} bytes in a turn", left - unread);
        left = unread;
        assert_eq!(scene.server.hub().stats().messages, 1, "the other is heard at once");
        if left == 0 {
            assert!(turn >= 4);
            scene.say(ids[0], &chats(1));
            scene.turns(3);
            assert_eq!(scene.server.hub().stats().messages, 2, "what was skipped is behind it");
            return;
        }
    }
    panic!("{left} bytes are never read");
}

fn native_keepalive() -> Vec<u8> {
    let mut bytes = Vec::new();
    native::keepalive(&mut bytes);
    bytes
}
