//! `chatctl export` and `import`: every message comes over whole, in order, and once; `history --grep`.

use serde_json::{Value, json};
use tests::{Control, Daemon, Program, Setup, program};

use crate::{ended_with, ways};

/// Contents that are hard to keep: no text, control characters, nothing, what JSON escapes, the longest.
fn contents() -> Vec<Vec<u8>> {
    let all = (0..=255).collect();
    let mut contents =
        vec![all, b"\"\\\n\r\t\0\x1b[2J".to_vec(), Vec::new(), b"\xff\xfe\n".to_vec()];
    contents.extend(["plain", "\u{202e}\u{2028}zażółć 🙂"].map(|text| text.as_bytes().to_vec()));
    contents.push(vec![b'x'; 65_530]);
    contents.push(vec![0xff; 65_530]);
    contents
}

fn posts(ops: &mut Control, room: &str, number: usize, content: &[u8]) {
    let mut fields = json!({"room": room});
    proto::client::put_content(fields.as_object_mut().unwrap(), content);
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let reply = ops.asks_as(&id, "post", fields);
    assert_eq!(reply["ok"], true, "{reply}");
}

/// What a daemon has: room, id and content of each message, in order.
fn kept(daemon: &Daemon) -> Vec<(String, String, Vec<u8>)> {
    let (lines, _) = ended_with(0, &daemon.ctl(&["export"]));
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        let content = proto::client::content(line.as_object().unwrap()).unwrap();
        (text("room"), text("message_id"), content)
    };
    lines.lines().map(of).collect()
}

#[test]
fn a_history_comes_over_whole_in_order_and_once() {
    let first = Daemon::start();
    let mut ops = first.control();
    let contents = contents();
    let mut number = 0;
    for _ in 0..3 {
        for content in &contents {
            for room in ["work", "lobby"] {
                number += 1;
                posts(&mut ops, room, number, content);
            }
        }
    }
    for number in 1_000..1_600 {
        posts(&mut ops, "many", number, number.to_string().as_bytes());
    }
    let all = kept(&first);
    assert_eq!(all.len(), number + 600);
    assert!(all.is_sorted_by(|a, b| a.0 <= b.0), "rooms come by name");
    let exported = first.ctl(&["export"]).stdout;
    let second = Daemon::start();
    for way in ways(&second).iter().cycle().take(3) {
        // Nobody is an administrator over TCP, and there are limits: the first time is over the control socket.
        let mut command = second.chatctl(&["-s", way, "import", "--timeout", "60s"]);
        let lines = if way.starts_with("tcp") { few(&exported) } else { exported.clone() };
        let (_, words) = ended_with(0, &program::run(&mut command, &lines));
        assert!(words.contains("lines refused: 0"), "{words}");
        assert_eq!(kept(&second), all);
    }
}

/// The last lines: as many as a stranger may post at once.
fn few(lines: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    lines[lines.len() - 20..].concat()
}

#[test]
fn an_export_goes_on_where_the_last_one_ended() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    for number in 1..=1_200 {
        posts(&mut ops, if number % 2 == 0 { "even" } else { "odd" }, number, b"x");
    }
    let export =
        |arguments: &[&str]| ended_with(0, &daemon.ctl(&[&["export"], arguments].concat())).0;
    let all = export(&[]);
    assert_eq!(all.lines().count(), 1_200);
    for cut in [1, 500, 599, 600, 601, 1_100, 1_199] {
        let last: Value = serde_json::from_str(all.lines().nth(cut - 1).unwrap()).unwrap();
        let place = format!("{}:{}", last["room"].as_str().unwrap(), last["seq"]);
        let rest: Vec<_> = all.lines().skip(cut).collect();
        assert_eq!(export(&["--after", &place]).lines().collect::<Vec<_>>(), rest, "{place}");
    }
    assert_eq!(export(&["odd", "--after", "590"]).lines().count(), 10);
    ended_with(7, &daemon.ctl(&["export", "nowhere"]));
}

/// What another has said under an id stays, and the others come in.
#[test]
fn a_line_that_is_refused_keeps_no_other_out() {
    let daemon = Daemon::start();
    posts(&mut daemon.control(), "ops", 2, b"mine");
    let line = |number: u64| {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        json!({"room": "ops", "message_id": id, "text": "theirs"}).to_string() + "\n"
    };
    let lines = [line(1), line(2), line(3), "{".to_owned()].concat();
    let output = program::run(&mut daemon.chatctl(&["import"]), lines.as_bytes());
    let (_, words) = ended_with(1, &output);
    assert!(words.contains("stdin line 2: Another message has this id"), "{words}");
    assert!(words.contains("stdin line 4: it is no JSON object"), "{words}");
    let texts: Vec<_> = kept(&daemon).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, [&b"mine"[..], b"theirs", b"theirs"]);
}

#[test]
fn history_finds_what_matches_in_many_pages() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    for number in 1..=1_300 {
        posts(&mut ops, "ops", number, number.to_string().as_bytes());
    }
    let history = |arguments: &[&str]| {
        let all = [&["history", "ops", "--raw"][..], arguments].concat();
        ended_with(0, &daemon.ctl(&all)).0
    };
    assert_eq!(history(&["--grep", "^.?77$"]), "77\n177\n277\n377\n477\n577\n677\n777\n877\n977\n");
    assert_eq!(history(&["--grep", "^.?77$", "-n", "2"]), "877\n977\n");
    assert_eq!(history(&["--grep", "^.?77$", "--after", "100", "--limit", "2"]), "177\n277\n");
    assert_eq!(history(&["--limit", "2"]), "1299\n1300\n");
    assert_eq!(history(&["--after", "3", "--limit", "2"]), "4\n5\n");
    assert_eq!(history(&["-n", "700"]).lines().count(), 700);
    assert_eq!(history(&["--search", "77"]), "77\n");
    let daemon = Setup::new().config("[history]\nsearch = false\n").start();
    posts(&mut daemon.control(), "ops", 1, b"77");
    let (_, words) = ended_with(1, &daemon.ctl(&["history", "ops", "--search", "77"]));
    assert!(words.contains("keeps no history that could be searched"), "{words}");
}

/// Who names a place or a time that lies before what is kept is told so, by the status, too.
#[test]
fn what_is_kept_no_more_is_status_6() {
    let daemon =
        Setup::new().config("[history]\ndurability = \"none\"\nrecent = \"1000B\"\n").start();
    let mut ops = daemon.control();
    let _ada = daemon.named("Ada");
    for number in 1..=9 {
        posts(&mut ops, "lobby", number, number.to_string().as_bytes());
    }
    for (begin, words) in [
        (["--after", "1"], "messages 2 to 4 of #lobby are gone"),
        (["--since", "1h"], "messages 1 to 4 of #lobby are gone, perhaps some from that time"),
    ] {
        let tail = [&["tail", "lobby", "--raw", "--count", "5"][..], &begin].concat();
        let (printed, said) = ended_with(6, &daemon.ctl(&tail));
        assert_eq!(printed, "5\n6\n7\n8\n9\n");
        assert!(said.contains(words), "{said}");
        let history = [&["history", "lobby", "--raw"][..], &begin].concat();
        let (printed, said) = ended_with(6, &daemon.ctl(&history));
        assert_eq!((printed.as_str(), said), ("5\n6\n7\n8\n9\n", format!("chatctl: {words}\n")));
    }
    let (printed, _) = ended_with(6, &daemon.ctl(&["export", "lobby", "--after", "1"]));
    assert_eq!(printed.lines().count(), 5);
    ended_with(0, &daemon.ctl(&["export"]));
    // A time that lies within what is kept.
    let (fifth, _) = ended_with(0, &daemon.ctl(&["history", "lobby", "-n", "1", "--json"]));
    let since = serde_json::from_str::<Value>(&fifth).unwrap()["time"].as_str().unwrap().to_owned();
    let mut tail = Program::start(
        &mut daemon.chatctl(&["tail", "lobby", "--since", &since, "--count", "1", "--raw"]),
    );
    assert_eq!((tail.exit_code(), tail.stdout.all()), (0, "9".to_owned()));
}
