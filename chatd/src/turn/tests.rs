//! The turn over a driver that does what a test says: errors, edges and budgets that real sockets show rarely.

mod budgets;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use hub::{ConnId, Hub, Level, Measured, Notice, Peer, Rights, Settings};
use nix::errno::Errno;
use proto::{MessageId, Nick, Now, Span, Transport, WallTime, native};

use super::accept::LISTENER_REST;
use super::{Driver, ListenerId, Log, Ready, Server, Supervised, Tuning, Turn};
use crate::history::MemoryStore;
use crate::log::Kind;

const TCP: ListenerId = ListenerId(0);
const CONTROL: ListenerId = ListenerId(1);

/// The end of a connection that the turn does not have.
#[derive(Default)]
struct Pipe {
    inbox: VecDeque<u8>,
    /// What each of the next reads says instead.
    read_errors: VecDeque<ErrorKind>,
    write_error: Option<ErrorKind>,
    ended: bool,
    /// What the kernel still takes.
    room: Option<usize>,
    written: Vec<u8>,
}

/// What the turn sees of the world.
#[derive(Default)]
struct World {
    now: u64,
    /// What an accept, a read, a write or a close takes, in microseconds.
    call_cost: u64,
    /// What a look at the clock takes.
    look_cost: u64,
    waiting: [usize; 2],
    descriptors: Option<usize>,
    accept_error: Option<Errno>,
    accepts: usize,
    shed: usize,
    refused: Vec<Vec<u8>>,
    reads: usize,
    ready: Vec<Ready>,
    /// What the last poll might sleep.
    timeout: Option<Duration>,
    ids: Vec<ConnId>,
    pipes: BTreeMap<ConnId, Pipe>,
    lines: Vec<&'static str>,
    level: Option<Level>,
    closed: Vec<&'static str>,
    /// Whom the turn asked the kernel about.
    measured: Vec<ConnId>,
    /// What the service manager was told, and whether it has no room for more.
    told: Vec<String>,
    is_manager_full: bool,
}

#[derive(Clone, Default)]
struct Script(Rc<RefCell<World>>);

fn errno(errno: Errno) -> io::Error {
    io::Error::from(errno)
}

impl Driver for Script {
    type Stream = ();

    /// Nothing happens but what the test put in: the time that may be slept is slept.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.timeout = timeout;
        if world.ready.is_empty() {
            world.now += timeout.map_or(0, |sleep| u64::try_from(sleep.as_micros()).unwrap());
        }
        ready.append(&mut world.ready);
        Ok(())
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<((), Peer)> {
        let mut world = self.0.borrow_mut();
        world.now += world.call_cost;
        world.accepts += 1;
        if let Some(error) = world.accept_error {
            return Err(errno(error));
        }
        if world.waiting[listener.0] == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        if world.descriptors.is_some_and(|most| world.pipes.len() >= most) {
            return Err(errno(Errno::EMFILE));
        }
        world.waiting[listener.0] -= 1;
        let operator = listener == CONTROL;
        let transport = if operator { Transport::ControlSocket } else { Transport::Stream };
        let login = operator.then(|| Nick::parse("ada").unwrap());
        let peer = Peer {
            transport,
            address: "test".into(),
            ip: None,
            login,
            rights: if operator { Rights::ADMIN } else { Rights::TALK },
            exempt: operator,
            protocols: proto::Protocols::ALL,
        };
        Ok(((), peer))
    }

    fn register(&mut self, (): (), id: ConnId) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.ids.push(id);
        world.pipes.insert(id, Pipe::default());
        Ok(())
    }

    fn refuse(&mut self, (): (), words: &[u8]) {
        self.0.borrow_mut().refused.push(words.to_vec());
    }

    fn shed(&mut self, listener: ListenerId) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if world.waiting[listener.0] == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        world.waiting[listener.0] -= 1;
        world.shed += 1;
        Ok(())
    }

    fn read(&mut self, id: ConnId, into: &mut [u8]) -> io::Result<usize> {
        let mut world = self.0.borrow_mut();
        world.now += world.call_cost;
        world.reads += 1;
        let pipe = world.pipes.get_mut(&id).expect("only open connections are read");
        if let Some(error) = pipe.read_errors.pop_front() {
            return Err(error.into());
        }
        if pipe.inbox.is_empty() && !pipe.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = into.len().min(pipe.inbox.len());
        for (place, byte) in into.iter_mut().zip(pipe.inbox.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    fn write_vectored(&mut self, id: ConnId, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut world = self.0.borrow_mut();
        world.now += world.call_cost;
        let pipe = world.pipes.get_mut(&id).expect("only open connections are written");
        if let Some(error) = pipe.write_error {
            return Err(error.into());
        }
        let all: Vec<u8> = from.iter().flat_map(|slice| slice.iter().copied()).collect();
        let count = all.len().min(pipe.room.unwrap_or(usize::MAX));
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        pipe.room = pipe.room.map(|room| room - count);
        pipe.written.extend(&all[..count]);
        Ok(count)
    }

    fn finish(&mut self, _id: ConnId) {}

    fn shutdown(&mut self, id: ConnId) {
        let mut world = self.0.borrow_mut();
        world.now += world.call_cost;
        world.pipes.remove(&id).expect("a connection is closed once");
    }

    fn measure(&mut self, id: ConnId) -> Measured {
        self.0.borrow_mut().measured.push(id);
        let rtt_us = u32::try_from(id.index()).ok().map(|place| 100 + place);
        Measured { rtt_us, kernel_bytes: Some(0), under_way: Some(0) }
    }

    fn tell_manager(&mut self, words: &str) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if world.is_manager_full {
            return Err(ErrorKind::WouldBlock.into());
        }
        world.told.push(words.to_owned());
        Ok(())
    }

    fn now(&self) -> Now {
        let mut world = self.0.borrow_mut();
        world.now += world.look_cost;
        Now::from_micros(world.now)
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(i64::try_from(self.0.borrow().now).unwrap())
    }
}

impl Log for Script {
    fn notice(&mut self, notice: Notice) {
        if let Notice::Closed { reason, .. } = notice {
            self.0.borrow_mut().closed.push(reason.word());
        }
    }

    fn line(&mut self, _: Level, kind: Kind, _: String) {
        self.0.borrow_mut().lines.push(kind.word());
    }

    fn set_level(&mut self, level: Level) {
        self.0.borrow_mut().level = Some(level);
    }
}

/// A daemon in a scripted world.
struct Scene {
    world: Rc<RefCell<World>>,
    server: Server<Script, MemoryStore, Script>,
}

impl Scene {
    /// Without keepalives: what a test does not mention does not happen.
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::tuned(Tuning::default(), change)
    }

    fn tuned(tuning: Tuning, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { keepalive: None, idle: None, ..Settings::default() };
        change(&mut settings);
        let script = Script::default();
        script.0.borrow_mut().now = 1_000_000;
        let hub = Hub::new(settings, 1, MessageId([9; 16]), script.now());
        let world = Rc::clone(&script.0);
        let store = MemoryStore::default();
        Self { world, server: Server::new(hub, script.clone(), store, script, tuning) }
    }

    fn turn(&mut self) -> Turn {
        self.server.turn().expect("the scripted poll does not fail")
    }

    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            assert_eq!(self.turn(), Turn::Running);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.borrow_mut())
    }

    /// Connections arrive, and are accepted.
    fn dial(&mut self, listener: ListenerId, count: usize) -> Vec<ConnId> {
        let before = self.change(|world| {
            world.waiting[listener.0] += count;
            world.ready.push(Ready::Listener(listener));
            world.ids.len()
        });
        self.turn();
        self.change(|world| world.ids[before..].to_vec())
    }

    fn edge(&self, id: ConnId) {
        self.flags(id, false, false);
    }

    fn flags(&self, id: ConnId, read_closed: bool, hang_up: bool) {
        let ready = Ready::Connection { id, readable: true, writable: false, read_closed, hang_up };
        self.change(|world| world.ready.push(ready));
    }

    fn say(&self, id: ConnId, bytes: &[u8]) {
        self.change(|world| world.pipes.get_mut(&id).unwrap().inbox.extend(bytes));
        self.edge(id);
    }

    fn heard(&self, id: ConnId) -> Vec<u8> {
        self.change(|world| world.pipes[&id].written.clone())
    }

    fn unread(&self, id: ConnId) -> usize {
        self.change(|world| world.pipes[&id].inbox.len())
    }

    fn is_open(&self, id: ConnId) -> bool {
        self.change(|world| world.pipes.contains_key(&id))
    }

    fn sleeps(&self) -> Option<Duration> {
        self.change(|world| world.timeout)
    }
}

fn chats(count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        native::chat(b"hello", &mut bytes);
    }
    bytes
}

fn pings(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|no| format!("{{\"request\":\"ping\",\"id\":\"{no}\"}}\n").into_bytes())
        .collect()
}

fn lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

#[test]
fn without_descriptors_a_listener_sheds_rests_and_comes_back_by_itself() {
    let mut scene = Scene::new(|_| {});
    scene.change(|world| world.descriptors = Some(2));
    scene.dial(TCP, 10);
    assert_eq!(scene.change(|world| (world.ids.len(), world.shed)), (2, 8));
    assert_eq!(scene.change(|world| world.lines.clone()), ["cannot_accept"]);
    // A queue that is longer than what is shed at once: no edge will come for the rest of it.
    scene.change(|world| world.waiting[TCP.0] = 100);
    scene.change(|world| world.ready.push(Ready::Listener(TCP)));
    scene.turn();
    let accepts = scene.change(|world| world.accepts);
    scene.turn();
    assert!(scene.sleeps().is_some_and(|sleep| sleep > Duration::from_millis(90)), "it spins");
    assert_eq!(
        scene.change(|world| world.accepts),
        accepts + 1,
        "one look each time it has rested"
    );
    assert_eq!(scene.change(|world| world.lines.clone()), ["cannot_accept"], "said once");
    scene.change(|world| world.descriptors = None);
    scene.turns(2);
    assert_eq!(scene.change(|world| world.waiting[TCP.0]), 0, "nobody is left waiting");
    assert!(scene.change(|world| world.ids.len()) > 60);
}

#[test]
fn an_accept_that_keeps_failing_does_not_spin() {
    let mut scene = Scene::new(|_| {});
    scene.change(|world| world.accept_error = Some(Errno::EINVAL));
    scene.dial(TCP, 1);
    assert_eq!(scene.change(|world| world.accepts), 1);
    scene.turn();
    let rest = Duration::from_micros(LISTENER_REST.as_micros());
    assert_eq!(scene.sleeps(), Some(rest));
    scene.change(|world| world.accept_error = None);
    scene.turn();
    assert_eq!(scene.change(|world| world.ids.len()), 1);
}

#[test]
fn a_connection_that_went_away_before_its_accept_is_passed_over() {
    let mut scene = Scene::new(|_| {});
    scene.change(|world| world.accept_error = Some(Errno::ECONNABORTED));
    scene.dial(TCP, 1);
    scene.change(|world| world.accept_error = None);
    scene.turn();
    assert_eq!(scene.sleeps(), Some(Duration::ZERO), "no new edge comes");
    assert_eq!(scene.change(|world| (world.ids.len(), world.lines.len())), (1, 0));
}

#[test]
fn a_flood_of_strangers_does_not_keep_the_operator_out() {
    let mut scene = Scene::new(|_| {});
    scene.change(|world| {
        world.waiting = [1_000, 1];
        world.ready.extend([Ready::Listener(TCP), Ready::Listener(CONTROL)]);
    });
    scene.turn();
    assert_eq!(scene.change(|world| (world.waiting[CONTROL.0], world.ids.len())), (0, 129));
    scene.turns(4);
    assert_eq!(scene.change(|world| world.waiting[TCP.0]), 0);
}

#[test]
fn past_the_limit_a_caller_is_told_and_turned_away() {
    let mut scene = Scene::new(|_| {});
    scene.dial(CONTROL, 257);
    scene.turn();
    let refused = scene.change(|world| world.refused.clone());
    let words = String::from_utf8(refused.concat()).unwrap();
    assert!(refused.len() == 1 && words.contains("limit_reached"), "{words}");
    assert_eq!(scene.server.hub().stats().connections_control, 256);
}

#[test]
fn an_event_for_a_dead_connection_does_not_reach_the_newborn_one() {
    let mut scene = Scene::new(|_| {});
    let dead = scene.dial(TCP, 1)[0];
    scene.flags(dead, true, true);
    scene.change(|world| world.pipes.get_mut(&dead).unwrap().ended = true);
    scene.turn();
    assert!(!scene.is_open(dead));
    let newborn = scene.dial(TCP, 1)[0];
    assert_eq!(newborn.index(), dead.index());
    scene.flags(dead, true, true);
    scene.turn();
    assert!(scene.is_open(newborn));
}

#[test]
fn only_would_block_ends_reading() {
    let mut scene = Scene::new(|_| {});
    let id = scene.dial(CONTROL, 1)[0];
    scene.change(|world| {
        let pipe = world.pipes.get_mut(&id).unwrap();
        pipe.read_errors.extend([ErrorKind::Interrupted, ErrorKind::Interrupted]);
    });
    scene.say(id, &pings(1));
    scene.turn();
    assert_eq!(lines(&scene.heard(id)), 1, "interrupted reads are done again");
    let reads = scene.change(|world| world.reads);
    scene.turn();
    assert_eq!(scene.change(|world| world.reads), reads, "it was driven to its end");
}

#[test]
fn a_turn_is_shared_by_those_who_speak_and_nothing_that_was_carried_over_is_lost() {
    let mut scene = Scene::new(|_| {});
    let ids = scene.dial(CONTROL, 6);
    for id in &ids {
        scene.say(*id, &pings(200));
    }
    scene.turn();
    let heard = |scene: &Scene| ids.iter().map(|id| lines(&scene.heard(*id))).collect::<Vec<_>>();
    assert_eq!(heard(&scene), [64, 64, 64, 64, 0, 0], "256 frames, 64 of each");
    scene.turn();
    assert_eq!(scene.sleeps(), Some(Duration::ZERO));
    assert_eq!(heard(&scene), [128, 128, 64, 64, 64, 64], "who waited comes first");
    scene.turns(4);
    assert_eq!(heard(&scene), [200; 6]);
    scene.turn();
    assert_ne!(scene.sleeps(), Some(Duration::ZERO));
}

#[test]
fn partial_frames_of_many_do_not_make_a_turn_long() {
    let mut scene = Scene::new(|_| {});
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.extend(scene.dial(TCP, 256));
    }
    scene.turns(4);
    for id in &ids {
        scene.say(*id, &[0]);
    }
    let before = scene.change(|world| world.reads);
    scene.turn();
    assert!(scene.change(|world| world.reads) - before <= 1024);
    scene.turns(6);
    assert_eq!(ids.iter().map(|id| scene.unread(*id)).sum::<usize>(), 0);
}

#[test]
fn who_is_silenced_by_its_quota_is_resumed_without_an_edge() {
    let mut scene = Scene::new(|settings| {
        settings.message_burst = 2;
        settings.messages_per_s = Some(10);
    });
    let ids = scene.dial(TCP, 2);
    scene.say(ids[0], &chats(1));
    scene.say(ids[1], &chats(5));
    scene.turn();
    assert_eq!(scene.server.hub().stats().messages, 3);
    for _ in 0..40 {
        scene.turn();
    }
    assert_eq!(scene.server.hub().stats().messages, 6);
}

#[test]
fn a_paused_speaker_that_hangs_up_is_closed_at_once_and_one_that_only_ended_is_heard_out() {
    let mut scene = Scene::new(|settings| {
        settings.message_burst = 2;
        settings.messages_per_s = Some(1);
    });
    let ids = scene.dial(TCP, 2);
    for id in &ids {
        scene.say(*id, &chats(4));
        scene.change(|world| world.pipes.get_mut(id).unwrap().ended = true);
    }
    scene.turn();
    scene.flags(ids[0], true, true);
    scene.flags(ids[1], true, false);
    scene.turn();
    assert!(!scene.is_open(ids[0]) && scene.is_open(ids[1]));
    for _ in 0..40 {
        scene.turn();
    }
    assert!(!scene.is_open(ids[1]));
    assert_eq!(scene.server.hub().stats().messages, 2 + 4);
    assert_eq!(scene.change(|world| world.closed.clone()), ["reset", "peer_closed"]);
}

#[test]
fn what_was_said_before_the_speaker_went_is_carried_out_although_it_takes_no_replies() {
    let mut scene = Scene::new(|_| {});
    let ids = scene.dial(CONTROL, 1);
    let id = ids[0];
    let mut said = pings(1);
    for no in 0..300 {
        said.extend(
            format!(
                "{{\"request\":\"post\",\"id\":\"00000000-0000-4000-8000-{no:012}\",\"room\":\"lobby\",\"text\":\"x\"}}\n"
            )
            .bytes(),
        );
    }
    scene.change(|world| {
        let pipe = world.pipes.get_mut(&id).unwrap();
        pipe.ended = true;
        pipe.write_error = Some(ErrorKind::BrokenPipe);
    });
    scene.say(id, &said);
    scene.turns(8);
    assert_eq!(scene.server.hub().stats().messages, 300);
    assert!(!scene.is_open(id));
}

#[test]
fn a_blocked_receiver_is_written_again_only_at_its_edge() {
    let mut scene = Scene::new(|_| {});
    let id = scene.dial(CONTROL, 1)[0];
    scene.change(|world| world.pipes.get_mut(&id).unwrap().room = Some(10));
    scene.say(id, &pings(1));
    scene.turns(3);
    assert_eq!(scene.heard(id).len(), 10);
    assert_ne!(scene.sleeps(), Some(Duration::ZERO), "it spins");
    scene.change(|world| {
        world.pipes.get_mut(&id).unwrap().room = None;
        world.ready.push(Ready::Connection {
            id,
            readable: false,
            writable: true,
            read_closed: false,
            hang_up: false,
        });
    });
    scene.turn();
    assert_eq!(lines(&scene.heard(id)), 1);
}

#[test]
fn who_is_closed_while_it_waits_to_be_read_leaves_no_place_in_the_queue() {
    let mut scene = Scene::new(|settings| settings.idle = Some(Span::from_secs(1)));
    let busy = scene.dial(CONTROL, 4);
    let silent = scene.dial(TCP, 1)[0];
    for id in &busy {
        scene.say(*id, &pings(200));
    }
    scene.say(silent, &chats(1));
    scene.change(|world| world.now += 1_500_000);
    scene.turn();
    assert!(!scene.is_open(silent), "its deadline came before its turn");
    let newborn = scene.dial(TCP, 1)[0];
    assert_eq!(newborn.index(), silent.index());
    scene.turn();
    assert!(scene.is_open(newborn));
    assert_eq!(scene.change(|world| world.closed.clone()), ["idle"]);
}

#[test]
fn the_kernel_is_asked_about_connections_within_the_turn() {
    let mut scene = Scene::new(|_| {});
    let operator = scene.dial(CONTROL, 1)[0];
    let others = scene.dial(TCP, 2);
    scene.say(operator, b"{\"request\":\"connections\",\"id\":\"1\"}\n");
    scene.turn();
    assert_eq!(scene.change(|world| world.measured.clone()), [operator, others[0], others[1]]);
    let heard = String::from_utf8(scene.heard(operator)).unwrap();
    let told: Vec<usize> = ["\"rtt_us\":100", "\"rtt_us\":101", "\"rtt_us\":102"]
        .map(|rtt| heard.find(rtt).unwrap())
        .to_vec();
    assert!(told.is_sorted() && heard.ends_with("\"more\":false}\n"), "{heard}");
}

#[test]
fn a_level_that_an_administrator_sets_reaches_the_log() {
    let mut scene = Scene::new(|_| {});
    let operator = scene.dial(CONTROL, 1)[0];
    scene.say(operator, b"{\"request\":\"log_level\",\"id\":\"1\",\"level\":\"debug\"}\n");
    scene.turn();
    assert_eq!(scene.change(|world| world.level), Some(Level::Debug));
    assert_eq!(lines(&scene.heard(operator)), 1);
}

#[test]
fn two_stop_requests_are_one_wish_and_two_signals_end_at_once() {
    let mut scene = Scene::new(|_| {});
    let ids = scene.dial(CONTROL, 2);
    scene
        .say(ids[0], b"{\"request\":\"stop\",\"id\":\"1\"}\n{\"request\":\"stop\",\"id\":\"2\"}\n");
    scene.change(|world| world.pipes.get_mut(&ids[1]).unwrap().room = Some(0));
    scene.turns(1);
    assert!(scene.is_open(ids[1]), "the drain waits for who is slow");
    scene.change(|world| world.ready.push(Ready::Stop));
    assert_eq!(scene.turn(), Turn::Stopped);
    assert!(!scene.is_open(ids[1]));
}

#[test]
fn a_summary_is_one_line_of_the_log_and_ends_nothing() {
    let mut scene = Scene::new(|_| {});
    let id = scene.dial(CONTROL, 1)[0];
    scene.change(|world| world.ready.push(Ready::Summary));
    assert_eq!(scene.turn(), Turn::Running);
    assert_eq!(scene.change(|world| world.lines.clone()), ["summary"]);
    assert!(scene.is_open(id));
}

#[test]
fn a_drain_is_bounded() {
    let mut scene = Scene::new(|_| {});
    let id = scene.dial(CONTROL, 1)[0];
    scene.change(|world| {
        world.pipes.get_mut(&id).unwrap().room = Some(0);
        world.ready.push(Ready::Stop);
    });
    let begun = scene.change(|world| world.now);
    let mut turns = 0;
    while scene.turn() == Turn::Running {
        turns += 1;
        assert!(turns < 20, "it spins");
    }
    let took = scene.change(|world| world.now) - begun;
    assert!(took <= Tuning::default().shutdown_timeout.as_micros());
}

#[test]
fn a_daemon_that_ends_takes_nobody_in() {
    let mut scene = Scene::new(|_| {});
    let id = scene.dial(CONTROL, 1)[0];
    scene.change(|world| {
        world.pipes.get_mut(&id).unwrap().room = Some(0);
        world.ready.push(Ready::Stop);
    });
    scene.turn();
    assert!(scene.dial(CONTROL, 1).is_empty());
    let words = String::from_utf8(scene.change(|world| world.refused.concat())).unwrap();
    assert!(words.contains("shutting_down"), "{words}");
}

#[test]
fn a_turn_closes_so_many_and_the_rest_in_the_next() {
    let mut scene = Scene::new(|settings| settings.detect = Some(Span::from_secs(1)));
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.extend(scene.dial(TCP, 256));
    }
    assert_eq!(ids.len(), 1024);
    scene.change(|world| world.ready.push(Ready::Stop));
    scene.turn();
    assert_eq!(scene.change(|world| world.pipes.len()), 1024 - 256);
    scene.turns(2);
    assert_eq!(scene.turn(), Turn::Stopped);
}

fn supervised() -> Scene {
    let supervised = Some(Supervised { watchdog: Some(Span::from_secs(9)) });
    Scene::tuned(Tuning { supervised, ..Tuning::default() }, |_| {})
}

#[test]
fn the_watchdog_is_fed_by_a_loop_that_has_nothing_else_to_do() {
    let mut scene = supervised();
    scene.turn();
    assert_eq!(scene.world.borrow().timeout, Some(Duration::ZERO), "ready is said at once");
    for _ in 0..3 {
        scene.turn();
        assert_eq!(scene.world.borrow().timeout, Some(Duration::from_secs(3)));
    }
    let told = std::mem::take(&mut scene.world.borrow_mut().told);
    assert!(told[0].starts_with("READY=1\n"), "{told:?}");
    assert_eq!(told[1..], ["WATCHDOG=1"; 3]);
}

#[test]
fn a_manager_that_has_no_room_is_told_later() {
    let mut scene = supervised();
    scene.world.borrow_mut().is_manager_full = true;
    scene.turn();
    scene.turn();
    assert_eq!(scene.world.borrow().timeout, Some(Duration::from_millis(250)), "it does not spin");
    scene.world.borrow_mut().is_manager_full = false;
    scene.turn();
    assert!(scene.world.borrow().told[0].starts_with("READY=1\n"));
}

#[test]
fn the_manager_hears_of_the_end_before_the_last_is_gone() {
    let mut scene = supervised();
    scene.dial(TCP, 1);
    scene.world.borrow_mut().ready.push(Ready::Stop);
    while scene.turn() == Turn::Running {}
    let told = scene.world.borrow().told.join("\n");
    assert!(told.contains("STOPPING=1\n") && told.contains("Ending; "), "{told}");
}

/// What a peer that reads takes between two turns: a portion and the frame that passes it.
const KERNEL_BYTES: usize = (112 + 3 * 64 + 1) * 1024;

/// Who reads has room for a kernel buffer again.
fn takes(scene: &Scene, id: ConnId) {
    scene.change(|world| {
        world.pipes.get_mut(&id).unwrap().room = Some(KERNEL_BYTES);
        world.ready.push(Ready::Connection {
            id,
            readable: false,
            writable: true,
            read_closed: false,
            hang_up: false,
        });
    });
}

/// Each of them says what shows that it speaks v0.5.
fn all_are_there(scene: &mut Scene, ids: &[ConnId]) {
    for id in ids {
        let mut bytes = Vec::new();
        native::keepalive(&mut bytes);
        scene.say(*id, &bytes);
    }
    scene.turn();
}

/// Chats of octets that come out as three each.
fn worst_chats(count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        native::chat(&vec![0xff; 65_530], &mut bytes);
    }
    bytes
}

#[test]
fn a_burst_of_octets_that_grow_does_not_cut_who_reads_a_portion_each_turn() {
    const CHATS: usize = 15;
    let mut scene = Scene::new(|settings| settings.bytes_per_s = None);
    let ids = scene.dial(TCP, 5);
    let (reader, speakers) = (ids[0], &ids[1..]);
    all_are_there(&mut scene, &ids);
    scene.change(|world| world.pipes.get_mut(&reader).unwrap().room = Some(KERNEL_BYTES));
    for speaker in speakers {
        scene.say(*speaker, &worst_chats(CHATS));
    }
    let all = speakers.len() * CHATS * 3 * 65_530;
    let mut turns = 0;
    while scene.is_open(reader) && scene.heard(reader).len() < all {
        takes(&scene, reader);
        scene.turn();
        turns += 1;
        assert!(turns < 1_000, "it hears {} bytes", scene.heard(reader).len());
    }
    assert_eq!(scene.change(|world| world.closed.clone()), [""; 0]);
}

#[test]
fn who_reads_nothing_is_cut_and_holds_up_nobody() {
    let mut scene = Scene::new(|settings| settings.bytes_per_s = None);
    let ids = scene.dial(TCP, 3);
    let (deaf, reader, speaker) = (ids[0], ids[1], ids[2]);
    all_are_there(&mut scene, &ids);
    scene.change(|world| world.pipes.get_mut(&deaf).unwrap().room = Some(KERNEL_BYTES));
    scene.say(speaker, &worst_chats(15));
    let begun = scene.change(|world| world.now);
    let mut turns = 0;
    while scene.heard(reader).len() < 15 * 3 * 65_530 {
        scene.turn();
        turns += 1;
        assert!(turns < 1_000, "the others hear {} bytes", scene.heard(reader).len());
    }
    assert_eq!(scene.change(|world| world.closed.clone()), ["outbox_full"]);
    assert_eq!(scene.change(|world| world.now), begun, "nobody waited");
}
