//! Lines as people type them, and what completes them.

use super::{
    COMMANDS, Command, Completion, Line, Names, Place, TalkWish, Turns, complete, help, parse,
};
use proptest::prelude::*;

struct Known;

impl Names for Known {
    fn nicks(&self) -> Vec<String> {
        ["bob", "Build Bot", "Émile", "ada"].map(str::to_owned).into()
    }

    fn rooms(&self) -> Vec<String> {
        ["lobby", "logs", "ops"].map(str::to_owned).into()
    }

    fn views(&self) -> Vec<String> {
        ["server", "#lobby", "@bob", "talk"].map(str::to_owned).into()
    }
}

fn completed(line: &str) -> Completion {
    complete(line, line.len(), &Known)
}

#[test]
fn what_begins_with_no_slash_is_said() {
    assert_eq!(parse("hello /there\r\n"), Ok(Line::Say("hello /there".into())));
    assert_eq!(parse("//etc/passwd"), Ok(Line::Say("/etc/passwd".into())));
    assert_eq!(parse(""), Ok(Line::Nothing));
    assert_eq!(parse("  "), Ok(Line::Say("  ".into())));
}

#[test]
fn commands_are_understood() {
    let name = || "ada".to_owned();
    for (line, command) in [
        ("/help", Command::Help(None)),
        ("/help msg", Command::Help(Some("msg".into()))),
        ("/NICK ada", Command::Nick(name(), None)),
        ("/nick Build Bot", Command::Nick("Build Bot".into(), None)),
        ("/register ada 4000", Command::Nick(name(), Some(4000))),
        ("/join #Lobby", Command::Join("lobby".into())),
        ("/leave", Command::Leave(None)),
        ("/msg @ada  hello  you ", Command::Message(name(), Some("hello  you".into()))),
        ("/msg \"Build Bot\" hi", Command::Message("Build Bot".into(), Some("hi".into()))),
        ("/msg ada", Command::Message(name(), None)),
        ("/who ops", Command::Who(Some("ops".into()))),
        ("/topic all is well", Command::Topic(Some("all is well".into()))),
        ("/away", Command::Away("away".into())),
        ("/away for lunch", Command::Away("for lunch".into())),
        ("/ignore", Command::Ignore(None)),
        ("/bridge", Command::Bridge(TalkWish::default())),
        (
            "/bridge --turns yes ada --direct",
            Command::Bridge(TalkWish { peer: Some(name()), turns: Turns::Yes, direct: true }),
        ),
        (
            "/bridge --turns=no",
            Command::Bridge(TalkWish { turns: Turns::No, ..TalkWish::default() }),
        ),
        ("/history", Command::History(50)),
        ("/history 7", Command::History(7)),
        ("/go @ada", Command::Go(Some(Place::Nick(name())))),
        ("/go talk", Command::Go(Some(Place::Talk))),
        ("/quit", Command::Quit),
    ] {
        assert_eq!(parse(line), Ok(Line::Do(command)), "{line}");
    }
}

#[test]
fn what_is_not_understood_says_what_to_write() {
    for (line, said) in [
        ("/jion lobby", "did you mean /join?"),
        ("/unbrige", "did you mean /unbridge?"),
        ("/xyzzy42", "/help has"),
        ("/", "/help has"),
        ("/join", "write /join ROOM"),
        ("/join a b", "one word too many"),
        ("/join no+such/room", "write /join ROOM"),
        ("/register ada 70000", "is no port"),
        ("/history 0", "1 to 500"),
        ("/bridge --turns maybe", "yes, no or any"),
        ("/bridge a b", "one nickname only"),
        ("/bridge --loud", "there is no --loud"),
        ("/quit now", "one word too many"),
    ] {
        let why = parse(line).expect_err(line);
        assert!(why.contains(said), "{line}: {why}");
    }
}

#[test]
fn the_help_has_every_command() {
    let all = help(None).expect("a list").join("\n");
    for row in COMMANDS {
        assert!(all.contains(&row.usage()), "{}", row.name);
        assert!(help(Some(row.name)).expect(row.name).concat().contains(row.summary));
    }
    assert!(help(Some("/jion")).expect_err("unknown").contains("/join"));
}

#[test]
fn commands_nicks_and_rooms_are_completed() {
    let is = |from, all: &[&str]| {
        let candidates = all.iter().map(|one| (*one).to_owned()).collect();
        Completion { from, candidates }
    };
    assert_eq!(completed("/jo"), is(1, &["join "]));
    assert_eq!(completed("/join lo"), is(6, &["lobby ", "logs "]));
    assert_eq!(completed("/join #op"), is(6, &["#ops "]));
    assert_eq!(completed("/join ops x"), is(10, &[]));
    assert_eq!(completed("/msg b"), is(5, &["bob ", "\"Build Bot\" "]));
    assert_eq!(completed("/msg \"Build B"), is(5, &["\"Build Bot\" "]));
    assert_eq!(completed("/msg bob hi, ad"), is(13, &["ada "]));
    assert_eq!(completed("/bridge bob --t").candidates.len(), 4);
    assert_eq!(completed("/bridge --d"), is(8, &["--direct "]));
    assert_eq!(completed("/go #"), is(4, &["#lobby "]));
    assert_eq!(completed("/help j"), is(6, &["join "]));
    assert_eq!(completed("bo"), is(0, &["bob: "]));
    assert_eq!(completed("ask bo"), is(4, &["bob "]));
    assert_eq!(completed("see #o"), is(4, &["#ops "]));
    assert_eq!(completed("é"), is(0, &["Émile: "]));
    assert_eq!(completed(""), is(0, &[]));
    assert_eq!(completed("//jo"), is(0, &[]));
    assert_eq!(complete("é", 1, &Known), Completion::default());
}

proptest! {
    #[test]
    fn no_line_is_too_strange(line in any::<String>(), cursor in 0_usize..40) {
        if let Ok(Line::Say(said)) = parse(&line) {
            prop_assert!(line.contains(&said));
        }
        let found = complete(&line, cursor, &Known);
        prop_assert!(line.is_char_boundary(found.from) && found.from <= line.len());
    }

    #[test]
    fn what_is_offered_is_understood(number in 0..COMMANDS.len()) {
        let row = &COMMANDS[number];
        let line = format!("/{} ", row.name);
        for candidate in completed(&line).candidates {
            let whole = format!("{line}{candidate}");
            if !candidate.starts_with("--") {
                prop_assert!(parse(&whole).is_ok(), "{whole}");
            }
        }
    }
}
