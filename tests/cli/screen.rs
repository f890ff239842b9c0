//! `chatctl chat` in real terminals of three sizes: people meet, paste, resize, lose the daemon and take turns; and whatever happens
//! the terminal is theirs again afterwards.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use tests::terminal::AS_IT_WAS;
use tests::{Daemon, Folder, Pane, Setup, Tmux, program};

type Size = (u16, u16);

/// A daemon that can be killed and started again in its place, with the same history.
struct House {
    home: Folder,
    daemon: Daemon,
    address: String,
}

impl House {
    fn new() -> Self {
        let home = Folder::new();
        let daemon = Self::setup(&home).start();
        let address = daemon.address().to_string();
        Self { home, daemon, address }
    }

    fn setup(home: &Folder) -> Setup {
        let setup = Setup::new().control(&home.join("control")).argument("--state-dir");
        setup.argument(home.join("state").to_str().unwrap())
    }

    fn is_killed(&mut self) {
        self.daemon.signal(Signal::SIGKILL);
        self.daemon.ends();
    }

    fn starts_again(&mut self) {
        self.daemon = Self::setup(&self.home).listen(&self.address).start();
    }

    /// `chatctl chat` over TCP for somebody whose home outlives the daemon's.
    fn chat(&self, arguments: &[&str]) -> Command {
        let mut command = self.daemon.chatctl(&["chat", &format!("tcp://{}", self.address)]);
        tests::daemon::at_home(&mut command, &self.home);
        command.args(arguments);
        command
    }
}

#[test]
fn an_evening_at_80x24() {
    evening("an_evening_at_80x24", (80, 24));
}

#[test]
fn an_evening_at_40x10() {
    evening("an_evening_at_40x10", (40, 10));
}

#[test]
fn an_evening_at_200x50() {
    evening("an_evening_at_200x50", (200, 50));
}

/// Two people from the first start to the end.
fn evening(test: &str, size: Size) {
    let Some(tmux) = Tmux::new(test) else { return };
    let mut house = House::new();
    let ada = tmux.pane(size, &house.chat(&[]));
    ada.sees("What do you want to be called?");
    ada.enters("Ada");
    ada.sees("#lobby (1)");
    let bob = tmux.pane(size, &house.chat(&["--as", "Bob"]));
    for pane in [&ada, &bob] {
        pane.sees("#lobby (2)");
    }
    chatting(&ada, &bob);
    hostile(&house, &ada);
    pasting(&ada, &bob);
    resizing(&ada, size);
    losing(&mut house, &ada, &bob);
    taking_turns(&ada, &bob);
    ada.enters("/rtt");
    ada.sees("to the reader and back: p50 ");
    ada.sees(", p99 ");
    // The talk is over: now Ctrl-C ends all.
    ada.presses(&["C-c"]);
    ada.sees(&format!("ended with 0, {AS_IT_WAS}"));
    bob.enters("/unbridge");
    bob.enters("/quit");
    bob.sees(&format!("ended with 0, {AS_IT_WAS}"));
}

/// Messages are acknowledged, and what is unread is marked and gone to.
fn chatting(ada: &Pane<'_>, bob: &Pane<'_>) {
    ada.enters("/register Ada");
    ada.sees("you are Ada, at 127.0.0.1:");
    ada.enters("/jion ops");
    ada.sees("did you mean /join?");
    ada.sees("Ada> /jion ops");
    ada.presses(&["C-u"]);
    ada.enters("hello");
    ada.sees("Ada: hello [received, ");
    bob.sees("Ada: hello");
    for pane in [ada, bob] {
        pane.enters("/join ops");
        pane.sees("#ops (");
    }
    ada.presses(&["M-2"]);
    ada.sees("#lobby (2)");
    bob.enters("nothing new");
    bob.types("ad");
    bob.presses(&["Tab"]);
    bob.sees("Bob> Ada:");
    bob.enters("you are wanted");
    ada.sees("2!");
    ada.rings();
    ada.presses(&["M-a"]);
    ada.sees("#ops (2)");
    ada.sees(" new \u{2500}");
    ada.sees("Bob: Ada: you are wanted");
    for pane in [ada, bob] {
        pane.enters("/go lobby");
        pane.sees("#lobby (2)");
    }
}

/// Nobody's message drives the terminal.
fn hostile(house: &House, ada: &Pane<'_>) {
    let message = b"\x1b[2J\x1b]0;mine\x07\x9b1;1H \xe2\x80\xaeevil";
    let mut command = house.daemon.chatctl(&["send", "lobby", "-q"]);
    assert!(program::run(&mut command, message).status.success());
    ada.sees("bytes: 1b 5b 32 4a");
    let message = "\u{1b}[2J\u{1b}]0;mine\u{7}\u{9b}1;1H \u{202e}evil";
    assert!(
        program::run(&mut house.daemon.chatctl(&["send", "lobby", message]), b"").status.success()
    );
    ada.sees("\\u{202e}evil");
    ada.sees("\\e[2J\\e]0;mine");
    ada.sees("#lobby");
    assert_ne!(ada.fact("pane_title"), "mine");
}

/// Several pasted lines are asked about, and are no commands.
fn pasting(ada: &Pane<'_>, bob: &Pane<'_>) {
    ada.pastes("one line ");
    ada.sees("Ada> one line");
    ada.pastes("/quit\ntwo\nthree\n");
    ada.sees("paste 3 lines, 16 bytes?");
    ada.presses(&["l"]);
    ada.loses("paste 3 lines");
    for pane in [ada, bob] {
        pane.sees("Ada: /quit");
        pane.sees("Ada: two");
        pane.sees("Ada: three");
    }
    ada.pastes("four\nfive");
    ada.sees("paste 2 lines");
    ada.presses(&["Enter"]);
    ada.sees("one line four");
    ada.presses(&["Enter"]);
    bob.sees("Ada: one line four five");
    ada.sees("five [received, ");
}

/// Whatever becomes of the size, what is shown fits it; and it is drawn anew where something else was written over it.
fn resizing(ada: &Pane<'_>, size: Size) {
    let before = ada.rows();
    let is_as_before = |rows: &[String]| rows == before;
    ada.resize((20, 5));
    ada.until("the line is not the last of five", |rows| {
        rows.len() == 5 && rows[4].starts_with("Ada>") && rows[0].starts_with("#lobby")
    });
    ada.resize((7, 2));
    ada.until("two rows have no line", |rows| rows.len() == 2 && rows[1].is_empty());
    ada.resize((size.0 + 30, size.1 + 10));
    ada.until("the line is not the last", |rows| {
        rows.len() == usize::from(size.1) + 10 && rows.last().unwrap().starts_with("Ada>")
    });
    ada.resize(size);
    ada.until("it is not as before", is_as_before);
    let tty = OpenOptions::new().write(true).open(ada.fact("pane_tty"));
    tty.unwrap().write_all(b"\x1b[Hscribbled over").unwrap();
    ada.sees("scribbled over");
    ada.presses(&["C-l"]);
    ada.until("it is not as before", is_as_before);
}

/// The daemon is killed and started again: what was typed meanwhile is sent, once.
fn losing(house: &mut House, ada: &Pane<'_>, bob: &Pane<'_>) {
    house.is_killed();
    ada.sees("not connected");
    ada.sees("Ctrl-R tries now");
    ada.enters("this waits");
    ada.sees("this waits [sending]");
    ada.sees("1 to be sent");
    house.starts_again();
    ada.presses(&["C-r"]);
    ada.loses("not connected");
    // Whoever came back first was alone for a moment.
    for pane in [ada, bob] {
        pane.sees("#lobby (2)");
        pane.sees("Ada: this waits");
    }
    ada.loses("to be sent");
    bob.enters("once");
    ada.sees("Bob: once");
    ada.until("what waited is there twice", |rows| {
        rows.iter().filter(|row| row.contains("this waits")).count() == 1
    });
}

/// A talk with turns, its states shown all along; Ctrl-C ends the talk and not the program.
fn taking_turns(ada: &Pane<'_>, bob: &Pane<'_>) {
    ada.sees("\u{2500} registered");
    ada.enters("/bridge --turns yes");
    ada.sees("waiting for anyone since ");
    bob.enters("/bridge Ada");
    ada.sees("\u{2500} Bob is ready: /chat opens the talk");
    bob.sees("\u{2500} Ada is ready: /chat opens the talk");
    ada.enters("/chat");
    ada.sees("\u{2500} your turn, with Bob");
    bob.sees("\u{2500} Ada's turn");
    bob.enters("too early");
    bob.sees("not sent: it is Ada's turn");
    bob.sees("Bob> too early");
    ada.enters("your move");
    ada.sees("Ada: your move [received, ");
    ada.sees("\u{2500} Bob's turn");
    bob.sees("\u{2500} your turn, with Ada");
    bob.presses(&["Enter"]);
    ada.sees("Bob: too early");
    ada.enters("/pass");
    bob.sees("\u{2500} your turn, with Ada");
    ada.presses(&["C-c"]);
    ada.sees("you ended the talk");
    ada.sees("\u{2500} registered");
    bob.sees("Ada ended the talk");
    bob.sees("\u{2500} waiting for Ada since ");
}

#[test]
fn a_character_of_several_columns_goes_with_its_view() {
    let Some(tmux) = Tmux::new("a_character_of_several_columns_goes_with_its_view") else { return };
    let house = House::new();
    let pane = tmux.pane((80, 24), &house.chat(&["--as", "Ada"]));
    pane.sees("#lobby (1)");
    // More than the other view has: not all of them are written over there.
    for number in 0..12 {
        let message = format!("thai \u{e01}\u{e33} end {number}");
        let mut send = house.daemon.chatctl(&["send", "lobby", &message]);
        assert!(program::run(&mut send, b"").status.success());
        pane.sees(&message);
    }
    pane.presses(&["M-1"]);
    pane.loses(" end");
    let is_gone = |rows: &[String]| !rows.concat().contains('\u{e33}');
    pane.until("a part of it is still there", is_gone);
}

#[test]
fn the_terminal_is_given_back_at_every_end() {
    let Some(tmux) = Tmux::new("the_terminal_is_given_back_at_every_end") else { return };
    let house = House::new();
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let pane = tmux.pane((60, 12), &house.chat(&["--as", "Ada"]));
        pane.sees("#lobby (1)");
        kill(pane.program(), signal).unwrap();
        pane.sees(&format!("ended with {status}, {AS_IT_WAS}"));
        assert_eq!(pane.fact("mouse_any_flag"), "0", "the mouse is the terminal's");
        assert_eq!(pane.fact("cursor_flag"), "1", "the cursor is seen");
    }
}

#[test]
fn what_was_given_up_is_named_on_the_terminal_that_is_given_back() {
    let test = "what_was_given_up_is_named_on_the_terminal_that_is_given_back";
    let Some(tmux) = Tmux::new(test) else { return };
    let mut house = House::new();
    let pane = tmux.pane((60, 12), &house.chat(&["--as", "Ada"]));
    pane.sees("#lobby (1)");
    house.is_killed();
    pane.sees("not connected");
    pane.enters("this waits");
    pane.sees("1 to be sent");
    pane.presses(&["C-c"]);
    pane.sees("1 not sent yet; /quit once more gives it up");
    pane.presses(&["C-c"]);
    pane.sees("chatctl: it was: this waits");
    pane.sees(&format!("ended with 0, {AS_IT_WAS}"));
}

#[test]
fn whoever_suspends_it_has_the_terminal_until_it_comes_back() {
    let Some(tmux) = Tmux::new("whoever_suspends_it_has_the_terminal_until_it_comes_back") else {
        return;
    };
    let house = House::new();
    let chat = house.chat(&["--as", "Ada"]);
    let mut shell = Command::new("bash");
    shell.envs(chat.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PS1", "prompt> ").args(["--norc", "--noprofile", "-i"]);
    let pane = tmux.pane((60, 12), &shell);
    pane.sees("prompt>");
    let words: Vec<_> = [chat.get_program()].into_iter().chain(chat.get_args()).collect();
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
    pane.enters(&words.join(" "));
    pane.sees("#lobby (1)");
    pane.types("half a line");
    pane.presses(&["C-z"]);
    pane.sees("Stopped");
    pane.enters("stty -a | grep -ow -e '-*icanon'; echo so");
    pane.sees("icanon so");
    pane.enters("fg");
    pane.sees("Ada> half a line");
    pane.presses(&["C-c", "C-c"]);
    pane.sees("prompt> fg");
    pane.loses("half a line");
}

#[test]
fn in_plain_mode_ctrl_c_ends_the_talk_and_only_then_the_program() {
    let test = "in_plain_mode_ctrl_c_ends_the_talk_and_only_then_the_program";
    let Some(tmux) = Tmux::new(test) else { return };
    let house = House::new();
    let ada = tmux.pane((100, 20), &house.chat(&["--plain", "--as", "Ada"]));
    let bob = tmux.pane((100, 20), &house.chat(&["--plain", "--as", "Bob"]));
    for pane in [&ada, &bob] {
        pane.sees("connected; you are");
        pane.enters("/bridge");
    }
    for pane in [&ada, &bob] {
        pane.sees("is ready: /chat opens the talk");
    }
    ada.enters("/chat");
    bob.sees("in a talk with Ada");
    bob.presses(&["C-c"]);
    bob.sees("you ended the talk");
    ada.sees("Bob ended the talk");
    bob.enters("/rtt");
    bob.sees("to the reader and back: none yet");
    // Ada waits again.
    ada.sees("waiting for anyone");
    ada.presses(&["C-c"]);
    ada.sees("you wait for no talk any more");
    for pane in [&ada, &bob] {
        pane.presses(&["C-c"]);
        pane.sees(&format!("ended with 130, {AS_IT_WAS}"));
    }
}
