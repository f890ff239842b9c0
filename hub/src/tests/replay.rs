//! Catching up, sentence by sentence.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use proto::RoomName;

use crate::testing::{StoreMode, Turn, chat, lines, quiet};
use crate::{CloseReason, ConnId, HangUp, Settings};

pub(super) fn number(line: &str, key: &str) -> Option<u64> {
    let rest = line.split(&format!("\"{key}\":")).nth(1)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

pub(super) fn text(line: &str, key: &str) -> Option<String> {
    let rest = line.split(&format!("\"{key}\":\"")).nth(1)?;
    rest.split('"').next().map(Into::into)
}

pub(super) fn room_no(turn: &Turn, room: &str) -> Option<crate::rooms::RoomNo> {
    turn.hub.rooms.find(&RoomName::parse(room).unwrap())
}

pub(super) fn last_released(turn: &Turn, room: &str) -> u64 {
    room_no(turn, room).map_or(0, |no| turn.hub.rooms.known(no).last_released.0)
}

pub(super) fn post(turn: &mut Turn, id: ConnId, count: u32, room: &str, length: usize) {
    let (uuid, text) = (format!("00000000-0000-4000-8000-{count:012}"), "x".repeat(length));
    turn.ask(id, &format!(r#"{{"request":"post","id":"{uuid}","room":"{room}","text":"{text}"}}"#));
}

/// Reads everything that comes, however many turns that takes.
fn read_all(turn: &mut Turn, id: ConnId) -> Vec<u8> {
    let mut got = Vec::new();
    loop {
        turn.settle();
        let more = turn.read(id);
        if more.is_empty() && turn.hub.replaying.is_empty() {
            return got;
        }
        got.extend(more);
    }
}

/// The places of messages (history or not), gaps and replies, as words.
pub(super) fn short(bytes: &[u8]) -> Vec<String> {
    let word = |line: &String| match text(line, "event").as_deref() {
        Some("message") => {
            let mark = if line.contains("\"history\"") { "h" } else { "" };
            format!("{mark}{}", number(line, "seq").unwrap())
        }
        Some("gap") => {
            format!("{}-{}", number(line, "from_seq").unwrap(), number(line, "to_seq").unwrap())
        }
        Some(event) => event.into(),
        None => format!("={}", text(line, "reply").unwrap()),
    };
    lines(bytes).iter().map(word).collect()
}

fn filled(settings: Settings, messages: u32, length: usize) -> (Turn, ConnId) {
    let mut turn = Turn::new(settings);
    let author = turn.control("ada");
    for count in 0..messages {
        post(&mut turn, author, count, "ops", length);
    }
    turn.read(author);
    (turn, author)
}

fn join(after: u64) -> String {
    format!(r#"{{"request":"join","id":"j","room":"ops","after":{after}}}"#)
}

#[test]
fn a_join_replays_what_is_later_then_replies_then_goes_on_live() {
    let (mut turn, author) = filled(quiet(), 5, 10);
    let bob = turn.control("bob");
    turn.ask(bob, &join(3));
    let line = lines(&turn.read_some(bob, 0));
    assert!(line.is_empty());
    assert_eq!(short(&turn.read(bob)), ["h4", "h5", "=j"]);
    post(&mut turn, author, 9, "ops", 10);
    assert_eq!(short(&turn.read(bob)), ["6"]);
    turn.ask(bob, &join(6));
    turn.ask(bob, &join(u64::MAX));
    assert_eq!(short(&turn.read(bob)), ["=j", "=j"], "nothing is later than the last");
    turn.ask(bob, &join(4));
    assert_eq!(short(&turn.read(bob)), ["h5", "h6", "=j"], "who is in the room may ask again");
}

#[test]
fn what_memory_has_forgotten_is_named_first_and_refused_numbers_are_not() {
    let (mut turn, author) = filled(Settings { recent: Some(1_000), ..quiet() }, 9, 10);
    turn.store = StoreMode::Holds;
    post(&mut turn, author, 100, "ops", 10);
    post(&mut turn, author, 101, "ops", 10);
    turn.answer(1, false);
    turn.answer(1, true);
    let bob = turn.control("bob");
    turn.ask(bob, &join(2));
    assert_eq!(short(&turn.read(bob)), ["3-6", "h7", "h8", "h9", "h11", "=j"]);
    turn.ask(bob, &join(9));
    assert_eq!(short(&turn.read(bob)), ["h11", "=j"], "number 10 was never a message");
}

#[test]
fn a_slow_reader_of_a_long_replay_holds_a_page_and_misses_nothing() {
    let (mut turn, author) = filled(quiet(), 600, 1_000);
    let bob = turn.control("bob");
    turn.ask(bob, &join(0));
    assert!(turn.hub.pending(bob) <= 66_000, "a page at once");
    let mut got = Vec::new();
    for count in 600..700 {
        post(&mut turn, author, count, "ops", 1_000);
        got.extend(turn.read_some(bob, 2_000));
        assert!(turn.hub.memory().private_bytes <= 600_000);
    }
    turn.read(author);
    got.extend(read_all(&mut turn, bob));
    let all = short(&got);
    let expected: Vec<String> =
        (1..=700).map(|seq| format!("h{seq}")).chain(["=j".into()]).collect();
    assert_eq!(all, expected);
    post(&mut turn, author, 900, "ops", 10);
    assert_eq!(short(&turn.read(bob)), ["701"]);
}

#[test]
fn a_reader_that_takes_nothing_stops_its_own_replay_and_nobody_elses() {
    let (mut turn, author) = filled(quiet(), 2_000, 1_000);
    let (stuck, bob) = (turn.control("eve"), turn.control("bob"));
    turn.ask(stuck, &join(0));
    for _ in 0..50 {
        turn.settle();
    }
    assert!(turn.hub.pending(stuck) <= 66_000, "it gets no page before it takes one");
    assert_eq!(turn.hub.deadline(), turn.hub.wheel.next(), "and the loop may sleep");
    turn.ask(bob, &join(1_990));
    assert_eq!(short(&turn.read(bob)).len(), 11);
    post(&mut turn, author, 9_000, "ops", 10);
    assert_eq!(short(&turn.read(bob)), ["2001"]);
}

#[test]
fn retention_that_overtakes_a_replay_is_named_where_it_does() {
    let (mut turn, author) = filled(Settings { recent: Some(400_000), ..quiet() }, 300, 1_000);
    let bob = turn.control("bob");
    turn.ask(bob, &join(0));
    let mut got = turn.read_some(bob, 10);
    for count in 300..600 {
        post(&mut turn, author, count, "ops", 1_000);
    }
    turn.read(author);
    got.extend(read_all(&mut turn, bob));
    let all = short(&got);
    let at = all.iter().position(|word| word.starts_with('h')).unwrap();
    let gap = all.iter().rposition(|word| word.contains('-')).unwrap();
    assert!(at < 2 && gap > 50, "{all:?}");
    let kept = room_no(&turn, "ops").map(|no| turn.hub.rooms.known(no).recent.len()).unwrap();
    assert_eq!(all[gap].split('-').nth(1).unwrap(), format!("{}", 600 - kept));
    assert_eq!(all[gap + 1..].len(), kept + 1);
}

#[test]
fn a_message_that_is_longer_than_the_outbox_is_a_gap() {
    let (mut turn, author) = filled(Settings { outbox: Some(2_000), ..quiet() }, 1, 10);
    post(&mut turn, author, 10, "ops", 3_000);
    post(&mut turn, author, 11, "ops", 1_500);
    post(&mut turn, author, 12, "ops", 10);
    turn.read(author);
    let bob = turn.control("bob");
    turn.ask(bob, &join(0));
    assert_eq!(short(&read_all(&mut turn, bob)), ["h1", "2-2", "h3", "h4", "=j"]);
}

#[test]
fn a_tail_begins_where_the_last_of_its_bounds_is() {
    let (mut turn, author) = filled(quiet(), 5, 10);
    turn.wait(1_000);
    post(&mut turn, author, 10, "ops", 10);
    turn.read(author);
    let bob = turn.control("bob");
    let mut tail = |bounds: &str| {
        turn.ask(bob, &format!(r#"{{"request":"tail","id":"t","rooms":["ops"],{bounds}}}"#));
        short(&turn.read(bob)).join(" ")
    };
    assert_eq!(tail(r#""last":2"#), "h5 h6 =t");
    assert_eq!(tail(r#""last":2,"after":5"#), "h6 =t");
    assert_eq!(tail(r#""last":0"#), "=t");
    assert_eq!(tail(r#""since":"1970-01-01T00:00:02Z""#), "h6 =t");
    assert_eq!(tail(r#""since":"1970-01-01T00:00:02Z","after":1"#), "h6 =t");
    assert_eq!(tail(r#""since":"2970-01-01T00:00:02Z""#), "=t");
    assert_eq!(tail(r#""after":4,"last":100"#), "h5 h6 =t");
}

#[test]
fn a_room_is_replayed_once_at_a_time_and_several_rooms_one_after_the_other() {
    let (mut turn, author) = filled(quiet(), 200, 1_000);
    post(&mut turn, author, 1_000, "dev", 10);
    let bob = turn.control("bob");
    turn.ask(bob, &join(0));
    turn.ask(bob, &join(100));
    turn.ask(bob, r#"{"request":"tail","id":"t","after":0}"#);
    turn.ask(bob, r#"{"request":"join","id":"k","room":"dev","after":0}"#);
    turn.ask(bob, r#"{"request":"join","id":"l","room":"ops"}"#);
    let got = read_all(&mut turn, bob);
    let refused = lines(&got).iter().filter(|line| line.contains("limit_reached")).count();
    assert_eq!(refused, 2);
    let all = short(&got);
    let (end, rest) = (all.len() - 4, all.split_at(all.len() - 4).1);
    assert_eq!(rest, ["h200", "=j", "h1", "=k"], "{end}");
    assert_eq!(all.iter().filter(|word| *word == "=j").count(), 2, "its own, and the refusal");
}

#[test]
fn leaving_in_the_middle_names_the_rest_and_answers_both() {
    let (mut turn, author) = filled(quiet(), 200, 1_000);
    let bob = turn.control("bob");
    turn.ask(bob, &join(0));
    turn.ask(bob, r#"{"request":"leave","id":"l","room":"ops"}"#);
    post(&mut turn, author, 1_000, "ops", 10);
    let all = short(&read_all(&mut turn, bob));
    let [gap, joined, left] = &all[all.len() - 3..] else { panic!("{all:?}") };
    assert_eq!((joined.as_str(), left.as_str()), ("=j", "=l"));
    assert_eq!(*gap, format!("{}-200", all.len() - 2));
    turn.ask(bob, &join(200));
    assert_eq!(short(&turn.read(bob)), ["h201", "=j"]);
}

#[test]
fn who_ends_its_side_in_the_middle_gets_a_page_the_gap_and_its_reply() {
    let (mut turn, _) = filled(quiet(), 200, 1_000);
    let bob = turn.control("bob");
    turn.say_more(bob, format!("{}\n", join(0)).as_bytes());
    turn.hang_up(bob, HangUp::Eof);
    let all = short(&turn.read(bob));
    let [.., last, gap, joined] = &all[..] else { panic!("{all:?}") };
    assert_eq!(joined, "=j");
    assert_eq!(
        (last.as_str(), gap.as_str()),
        (&*format!("h{}", all.len() - 2), &*format!("{}-200", all.len() - 1))
    );
    assert_eq!(turn.closed(bob), Some(CloseReason::PeerClosed));
    let eve = turn.control("eve");
    turn.ask(eve, &join(0));
    turn.hang_up(eve, HangUp::Reset);
    assert!(turn.hub.replaying.is_empty() && turn.hub.memory().private_bytes == 0);
}

#[test]
fn a_drain_in_the_middle_says_bye() {
    let (mut turn, _) = filled(quiet(), 200, 1_000);
    let bob = turn.control("bob");
    turn.ask(bob, &join(0));
    turn.stop();
    let all = short(&turn.read(bob));
    assert_eq!(all[all.len() - 3..], [format!("{}-200", all.len() - 2), "=j".into(), "bye".into()]);
    assert_eq!(turn.hub.deadline(), turn.hub.wheel.next());
}

/// A room in which messages of so many NULs were said, each six bytes of JSON, in turn.
fn nulls(lengths: &[usize], times: usize) -> Turn {
    let mut turn = Turn::new(Settings { store: None, ..quiet() });
    let author = turn.native();
    for length in lengths.repeat(times) {
        turn.say(author, &chat(&"\0".repeat(length)));
    }
    turn
}

#[test]
fn a_page_does_not_encode_what_cannot_fit() {
    let turn = nulls(&[10, 65_530], 4);
    let room = turn.hub.rooms.known(turn.hub.rooms.home);
    let id = proto::RequestId::parse("r").unwrap();
    let dialect = proto::Dialect::Control;
    let asker = crate::recent::Asker { dialect, request: &id, of: proto::MessageId([0; 16]) };
    let page = room.page_forward(0..8, 500, 64 * 1024, asker);
    assert_eq!((page.count, page.encoded, page.more), (1, page.bytes.len(), true));
    let page = room.page_forward(1..8, 500, 64 * 1024, asker);
    assert_eq!((page.count, page.encoded, page.more), (1, page.bytes.len(), true));
    assert!(page.bytes.len() > 6 * 65_530, "the first is there, however long");
    let page = room.page_backward(0..7, 500, 64 * 1024, asker);
    assert_eq!((page.count, page.encoded, page.more), (1, page.bytes.len(), true));
}

#[test]
fn the_pages_of_a_turn_cost_what_was_encoded_and_not_what_was_left_of_it() {
    let mut turn = nulls(&[3_000], 40);
    let many: Vec<ConnId> = (0..20).map(|count| turn.control(&format!("u{count}"))).collect();
    for id in &many {
        turn.say_more(*id, b"{\"request\":\"join\",\"id\":\"j\",\"room\":\"lobby\",\"after\":0}\n");
    }
    turn.hub.settle(turn.now, &mut crate::Outbox::default());
    let served = many.iter().filter(|id| turn.hub.pending(**id) > 0).count();
    assert_eq!(served, 4, "each page has three messages of 18 KB, and tried a fourth");
}

#[test]
fn the_pages_of_a_turn_have_a_limit_and_the_next_turn_goes_on() {
    let (mut turn, _) = filled(Settings { store: None, ..quiet() }, 100, 1_000);
    let many: Vec<ConnId> = (0..20).map(|count| turn.control(&format!("u{count}"))).collect();
    for id in &many {
        turn.say_more(*id, format!("{}\n", join(0)).as_bytes());
    }
    assert_eq!(turn.hub.deadline(), Some(turn.now), "there is work without any input");
    let served = |turn: &Turn| many.iter().filter(|id| turn.hub.pending(**id) > 0).count();
    let settle = |turn: &mut Turn| turn.hub.settle(turn.now, &mut crate::Outbox::default());
    settle(&mut turn);
    let first = served(&turn);
    assert!((4..=5).contains(&first), "a page is 64 KiB, or a little less: {first}");
    for _ in 0..4 {
        settle(&mut turn);
    }
    assert_eq!(served(&turn), 20);
}

#[test]
fn who_goes_in_the_middle_of_many_replays_is_told_a_gap_for_each_and_every_reply() {
    let (mut turn, author) = filled(quiet(), 100, 1_000);
    for room in 0..5 {
        post(&mut turn, author, 1_000 + room, &format!("r{room}"), 10);
    }
    turn.read(author);
    let bob = turn.control("bob");
    turn.say_more(bob, format!("{}\n", join(0)).as_bytes());
    let tail = r#"{"request":"tail","id":"t","rooms":["r0","r1","r2"],"after":0}"#;
    turn.say_more(bob, format!("{tail}\n").as_bytes());
    let tail = r#"{"request":"tail","id":"u","rooms":["r3","r4"],"after":0}"#;
    turn.say_more(bob, format!("{tail}\n").as_bytes());
    turn.stop();
    let got = turn.read(bob);
    assert_eq!(
        short(&got),
        ["1-100", "=j", "1-1", "1-1", "1-1", "=t", "1-1", "1-1", "=u", "bye"],
        "in the order in which they were asked for"
    );
    let rooms: Vec<_> = lines(&got).iter().filter_map(|line| text(line, "room")).collect();
    assert_eq!(rooms, ["ops", "ops", "r0", "r1", "r2", "r3", "r4"]);
    assert!(turn.hub.replaying.is_empty(), "nothing is left to be replayed");
}

/// One page of history: the places of its messages, and whether there is more.
fn history(turn: &mut Turn, id: ConnId, bounds: &str) -> (Vec<u64>, bool) {
    turn.ask(id, &format!(r#"{{"request":"history","id":"p","room":"ops","limit":500{bounds}}}"#));
    let got = turn.read(id);
    assert!(got.len() <= 513 * 1024, "a page of {} bytes", got.len());
    let told = lines(&got);
    let (last, messages) = told.split_last().unwrap();
    assert_eq!(number(last, "count"), Some(messages.len() as u64), "{last}");
    let places = messages.iter().map(|line| number(line, "seq").unwrap()).collect();
    (places, last.contains("\"more\":true"))
}

#[test]
fn a_page_of_history_of_long_messages_has_its_budget_and_its_reader_lives() {
    let (mut turn, _) = filled(quiet(), 40, 60_000);
    let bob = turn.control("bob");
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for count in 1.. {
        let after = forward.last().copied().unwrap_or(0);
        let (places, more) = history(&mut turn, bob, &format!(",\"after\":{after}"));
        assert!((1..=8).contains(&places.len()), "{places:?}");
        forward.extend(places);
        assert_eq!(more, forward.len() < 40);
        if !more {
            assert_eq!(count, 5);
            break;
        }
    }
    loop {
        let before = backward.first().copied().unwrap_or(41);
        let (mut places, more) = history(&mut turn, bob, &format!(",\"before\":{before}"));
        assert!((1..=8).contains(&places.len()) && places.is_sorted(), "{places:?}");
        places.append(&mut backward);
        backward = places;
        assert_eq!(more, backward.len() < 40);
        if !more {
            break;
        }
    }
    assert_eq!((&forward, &backward), (&(1..=40).collect(), &(1..=40).collect()));
    assert_eq!(turn.closed(bob), None);
}

#[test]
fn pages_of_history_that_nobody_reads_get_shorter_and_close_nobody() {
    let (mut turn, _) = filled(quiet(), 40, 60_000);
    let bob = turn.control("bob");
    for _ in 0..4 {
        turn.ask(bob, r#"{"request":"history","id":"p","room":"ops","limit":500,"after":0}"#);
    }
    assert_eq!(turn.closed(bob), None, "each has half of what is left");
    let replies = lines(&turn.read(bob));
    let counts = replies.iter().filter_map(|line| number(line, "count"));
    assert_eq!(counts.collect::<Vec<_>>(), [8, 4, 2, 1]);
}

/// A room of this name had so many messages, and is gone.
fn had(turn: &mut Turn, author: ConnId, room: &str, numbers: core::ops::Range<u32>) {
    for count in numbers {
        post(turn, author, count, room, 10);
    }
    turn.read(author);
}

#[test]
fn a_room_that_never_was_begins_without_a_gap() {
    let mut turn = Turn::new(Settings { recent: Some(0), ..quiet() });
    let ada = turn.control("ada");
    had(&mut turn, ada, "dev", 0..3);
    let bob = turn.control("bob");
    turn.ask(bob, r#"{"request":"join","id":"j","room":"ops","after":0}"#);
    assert_eq!(short(&turn.read(bob)), ["=j"], "what `dev` had is no hole in `ops`");
    turn.ask(bob, r#"{"request":"history","id":"h","room":"ops","after":0}"#);
    assert!(turn.lines(bob)[0].contains(r#""forgotten":0"#));
    post(&mut turn, ada, 10, "ops", 10);
    assert_eq!(short(&turn.read(bob)), ["4"], "though its numbers go on");
    let eve = turn.control("eve");
    turn.ask(eve, r#"{"request":"tail","id":"t","rooms":["ops"],"after":0}"#);
    assert_eq!(short(&turn.read(eve)), ["4-4", "=t"], "only what it had is forgotten");
}

#[test]
fn what_an_earlier_room_of_the_name_had_is_named_by_a_gap() {
    let mut turn = Turn::new(Settings { recent: Some(0), ..quiet() });
    let ada = turn.control("ada");
    had(&mut turn, ada, "ops", 0..2);
    had(&mut turn, ada, "dev", 10..15);
    let bob = turn.control("bob");
    turn.ask(bob, &join(1));
    assert_eq!(short(&turn.read(bob)), ["2-2", "=j"]);
    turn.ask(bob, &join(2));
    assert_eq!(short(&turn.read(bob)), ["=j"], "it had no other");
    turn.ask(bob, r#"{"request":"leave","id":"l","room":"ops"}"#);
    turn.read(bob);
    turn.ask(bob, &join(0));
    assert_eq!(short(&turn.read(bob)), ["1-2", "=j"], "a life without messages forgets nothing");
}

#[test]
fn a_replay_of_a_room_without_messages_is_cut_without_a_gap() {
    let mut turn = Turn::new(Settings { recent: Some(100_000), outbox: Some(4_096), ..quiet() });
    let ada = turn.control("ada");
    had(&mut turn, ada, "dev", 0..1);
    had(&mut turn, ada, "ops", 1_000..2_000);
    let bob = turn.control("bob");
    turn.ask(bob, r#"{"request":"join","id":"j","room":"new"}"#);
    turn.ask(bob, r#"{"request":"tail","id":"t","rooms":["ops","new"],"after":0}"#);
    turn.ask(bob, r#"{"request":"leave","id":"l","room":"new"}"#);
    let all = short(&read_all(&mut turn, bob));
    assert_eq!(all.first().map(String::as_str), Some("=j"));
    assert!(all.iter().all(|line| !line.ends_with("-1")), "nothing of `new` is left out: {all:?}");
}
