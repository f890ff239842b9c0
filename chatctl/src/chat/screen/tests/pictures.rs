//! Pictures of the main views, in three sizes, against the files in `docs/screens/`; and that any size and any text can be drawn.

use super::{Stage, row_of};
use crate::chat::screen::theme::Theme;
use crate::visible::is_unsafe;
use proptest::prelude::*;
use ratatui_core::layout::Rect;
use ratatui_core::style::Color;
use serde_json::json;
use std::path::Path;
use std::{env, fs};

const SIZES: [(u16, u16); 3] = [(80, 24), (40, 10), (200, 50)];

/// Before the picture in the README.
const README_PICTURE: &str = "```text\n";

fn are_made_anew() -> bool {
    env::var_os("UPDATE_GOLDEN").is_some_and(|value| value != "0")
}

fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Holds the picture of this name against its file.
fn is_as_before(stage: &Stage, name: &str) {
    let (width, height) = stage.size;
    let path = checkout().join(format!("docs/screens/{name}-{width}x{height}.txt"));
    let shown = stage.shown() + "\n";
    if are_made_anew() {
        fs::write(&path, shown).expect("written");
        return;
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, before, "{}: UPDATE_GOLDEN=1 writes it anew", path.display());
}

/// A room with all that can stand in one.
fn room(size: (u16, u16)) -> Stage {
    let mut stage = Stage::new(size, &["lobby", "ops"]);
    stage.connects();
    stage.joins("lobby", 0);
    stage.joins("ops", 0);
    stage.hears("lobby", 1, "bob", "hello, does anybody know what there is for lunch today?");
    stage.event("joined", json!({"room": "lobby", "nick": "mallory"}));
    stage.hears("lobby", 2, "mallory", "\u{1b}[2Jgone\u{202e}, or so I thought\nbob: I am bob");
    stage.event(
        "message",
        json!({"room": "lobby", "seq": 3, "from": "eve", "data": "/wABAg==", "message_id": "l3"}),
    );
    stage.hears("lobby", 4, "eve", "\u{4f60}\u{597d}, ada!");
    stage.presses("soup, I think\x1b\rand bread\r");
    let post = stage.replies("post", json!({"seq": 5, "time": "2026-03-01T12:00:17Z"}));
    stage.now = stage.now.after(proto::Span::from_micros(1_250));
    stage.event("delivered", json!({"message_id": post.id, "by": "bob"}));
    stage.presses("or is it fish?\r");
    stage.replies("post", json!({"seq": 6, "time": "2026-03-01T12:00:19Z"}));
    stage.presses("who is there\r");
    stage.event("gap", json!({"room": "ops", "from_seq": 1, "to_seq": 3}));
    stage.hears("ops", 4, "bob", "the build is red");
    stage.hears("ops", 5, "bob", "ada: yours");
    stage.is_told("eve", "psst");
    stage.presses("I will lo");
    stage
}

/// The same, seen when something came that was not seen.
fn unread(size: (u16, u16)) -> Stage {
    let mut stage = room(size);
    stage.presses("\x1ba");
    stage
}

fn lost(size: (u16, u16)) -> Stage {
    let mut stage = room(size);
    stage.is_lost();
    stage.presses("\x15this waits\r");
    stage
}

fn talk(size: (u16, u16)) -> Stage {
    let mut stage = Stage::in_lobby(size);
    stage.presses("/bridge --turns yes\r");
    stage.replies("bridge", json!({"since": "2026-03-01T12:00:20Z"}));
    stage.event("talk_ready", json!({"peer": "bob"}));
    stage.presses("/chat\r");
    stage.replies("chat", json!({"turn": "yours"}));
    stage.event("talk_started", json!({"peer": "bob", "turn": "yours"}));
    stage.presses("shall we play?\r");
    let say = stage.replies("say", json!({"message_id": "x", "turn": "theirs"}));
    stage.now = stage.now.after(proto::Span::from_micros(870));
    stage.event("delivered", json!({"message_id": say.id, "by": "bob"}));
    stage.event(
        "talk_message",
        json!({"from": "bob", "message_id": "m", "text": "e4", "turn": "yours"}),
    );
    stage.presses("e5");
    stage
}

fn help(size: (u16, u16)) -> Stage {
    let mut stage = Stage::in_lobby(size);
    stage.presses("/help\r");
    stage
}

fn paste(size: (u16, u16)) -> Stage {
    let mut stage = Stage::in_lobby(size);
    stage.presses("look: \x1b[200~one\rtwo\rthree\r\x1b[201~");
    stage
}

fn direct(size: (u16, u16)) -> Stage {
    let mut stage = room(size);
    stage.presses("\x1b4");
    stage.presses("what is it?\r");
    stage
}

#[test]
fn the_main_views_look_as_they_did() {
    for size in SIZES {
        for (name, view) in [
            ("room", room as fn((u16, u16)) -> Stage),
            ("unread", unread),
            ("lost", lost),
            ("talk", talk),
            ("help", help),
            ("paste", paste),
            ("direct", direct),
        ] {
            is_as_before(&view(size), name);
        }
    }
}

#[test]
fn the_readme_shows_a_first_session_as_it_is() {
    let mut stage = Stage::in_lobby((72, 11));
    stage.hears("lobby", 1, "bob", "hello, ada!");
    stage.presses("hello, and lunch?\r");
    let post = stage.replies("post", json!({"seq": 2, "time": "2026-03-01T12:00:12Z"}));
    stage.now = stage.now.after(proto::Span::from_micros(640));
    stage.event("delivered", json!({"message_id": post.id, "by": "bob"}));
    stage.is_told("eve", "soup again");
    stage.presses("at noo");
    let shown = stage.shown() + "\n";
    let path = checkout().join("README.md");
    let readme = fs::read_to_string(&path).expect("a README");
    let (before, behind) = readme.split_once(README_PICTURE).expect("a picture in it");
    let (picture, behind) = behind.split_once("```").expect("the end of the picture");
    if are_made_anew() {
        let readme = format!("{before}{README_PICTURE}{shown}```{behind}");
        return fs::write(&path, readme).expect("written");
    }
    assert_eq!(shown, picture, "UPDATE_GOLDEN=1 puts it into the README");
}

#[test]
fn a_small_screen_has_the_line_the_state_and_messages() {
    let stage = room((40, 10));
    stage.sees("ada> I will lo");
    stage.sees("registered");
    stage.sees("#ops 2!");
    let stage = room((12, 3));
    assert!(stage.rows()[2].starts_with("ada>"), "{}", stage.shown());
    assert!(stage.buffer().1.is_some(), "the cursor is seen");
}

/// Whatever else is to be known, what is unread elsewhere is not cut off.
#[test]
fn on_a_small_screen_unread_marks_stay_in_every_state_of_a_talk() {
    let size = (40, 10);
    let mut stage = Stage::in_lobby(size);
    stage.presses("/bridge --turns yes\r");
    stage.replies("bridge", json!({"since": "2026-03-01T12:00:20Z"}));
    for seq in 1..=4 {
        stage.hears("lobby", seq, "bob", "ada: look");
    }
    stage.sees("\u{2500}\u{2500} waiting for anyone | #lobby 4!");
    let peer = "bob-who-has-a-long-name";
    stage.event("talk_ready", json!({"peer": peer}));
    stage.sees("\u{2500}\u{2500} bob-who-has-a-long-nam... | #lobby 4!");
    stage.presses("/chat\r");
    stage.replies("chat", json!({"turn": "yours"}));
    stage.event("talk_started", json!({"peer": peer, "turn": "yours"}));
    stage.sees("\u{2500}\u{2500} your turn, with bob-wh... | #lobby 4!");
    let mut stage = lost(size);
    stage.sees("\u{2500}\u{2500} not registered | #ops 2! | @eve 1!");
    stage = room(size);
    stage.presses("\x1b[5~");
    stage.sees("\u{2500}\u{2500} registered | back | #ops 2! | @eve 1!");
    stage.presses("\x1b>");
    for number in 0..40 {
        stage.is_told(&format!("somebody-{number}"), "psst");
    }
    stage.sees("\u{2500}\u{2500} registered | #ops 2! | @eve 1! | +40!");
    stage.presses("\x1ba");
    stage.sees("\u{2500}\u{2500} registered | @eve 1! | +40!");
}

#[test]
fn without_colours_there_are_none_and_signs_say_the_same() {
    let mut stage = room((80, 24));
    stage.theme = Theme { colour: false, lines: false };
    let (buffer, _) = stage.buffer();
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let text: String = (0..24).map(|y| row_of(&buffer, y)).collect();
    assert!(!text.contains('\u{2502}') && text.contains("2!"), "{text}");
}

#[test]
fn the_banner_counts_down_to_the_next_try() {
    let mut stage = Stage::in_lobby((80, 24));
    stage.is_lost();
    let next = stage.model.link().next().expect("a next try");
    stage.now = next;
    let millis = |stage: &mut Stage, left: u64| {
        stage.now = proto::Now::from_micros(next.as_micros() - left * 1_000);
    };
    millis(&mut stage, 1_400);
    stage.sees("not connected: next try in 2 s; Ctrl-R tries now (the daemon ended)");
    millis(&mut stage, 900);
    stage.sees("next try in 1 s");
    assert!(stage.model.link().next().is_some());
    stage.presses("\x12");
    stage.sees("not connected: calling the daemon");
    stage.connects();
    stage.does_not_see("not connected");
}

/// The countdown and the reason are both there; advice goes first where there is no room for all.
#[test]
fn on_a_small_screen_the_banner_says_when_and_why() {
    let why = |why: &str| {
        let mut stage = Stage::new((40, 10), &["lobby"]);
        let at = stage.at();
        stage.model.not_called(at, why);
        stage.now = stage.model.link().next().expect("a next try");
        stage
    };
    let place = "no daemon at tcp://127.0.0.1:33333 (nobody listens there)";
    let stage =
        why(&format!("{place}; is chatd running there, and does it listen on that address?"));
    let rows = stage.rows();
    let banner = rows[5..8].join(" ");
    assert!(banner.starts_with("not connected: next try now; "), "{}", stage.shown());
    assert!(
        banner.ends_with("(tcp://127.0.0.1:33333 (nobody listens there))"),
        "{}",
        stage.shown()
    );
    let stage = why(&"x".repeat(200));
    assert!(stage.rows()[7].ends_with("xxx..."), "{}", stage.shown());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_fits_any_screen_and_drives_none(
        size in (0_u16..130, 0_u16..40),
        said in proptest::collection::vec(any::<String>(), 0..6),
        typed in any::<String>(),
    ) {
        let mut stage = Stage::in_lobby((80, 24));
        for (seq, text) in (1..).zip(&said) {
            stage.hears("lobby", seq, text, text);
        }
        stage.presses(&format!("\x1b[200~{typed}\x1b[201~"));
        for keys in ["", "\x1b[5~", "\x1b<", "\x1b>", "\x1b", "\x1bOP", "\x1b[6~", "\x1b[5~"] {
            stage.size = size;
            stage.presses(keys);
            let (buffer, cursor) = stage.buffer();
            for cell in buffer.content() {
                prop_assert!(!cell.symbol().chars().any(is_unsafe), "{:?}", cell.symbol());
            }
            let area = Rect::new(0, 0, size.0, size.1);
            prop_assert!(cursor.is_none_or(|cursor| area.contains(cursor)));
        }
    }
}
