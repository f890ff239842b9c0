//! The log in a real journal: its fields, its limits, a journal that cannot be reached, and one that has stopped.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::systemd_box::boxed;

/// A service of the daemon that logs everything and binds by itself: `start_chatd [PROPERTY...]`
const START: &str = r#"
install -m 755 /shipped/chatd /shipped/chatctl /usr/bin/
export CHATD_SERVER=/run/chatd/control
cat >/etc/chatd.toml <<END
[log]
level = "debug"
[limits]
clients_per_ip = "off"
accept_rate = "off"
END
start_chatd() {
    systemd-run --quiet --unit chatd --property RuntimeDirectory=chatd "$@" /usr/bin/chatd --config /etc/chatd.toml --control /run/chatd/control
    await "the daemon" chatctl --quiet ping >/dev/null 2>&1
}
# Connects and goes, so many times: visit COUNT
visit() {
    for ((at = 0; at < $1; at++)); do exec 9<>/dev/tcp/127.0.0.1/33333; done
    exec 9>&-
}
# What the daemon sent to the journal: entries [MATCH...]
entries() {
    journalctl --sync
    journalctl --quiet --output json _SYSTEMD_UNIT=chatd.service "$@"
}
"#;

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a Value> {
    entries.iter().filter(|entry| entry["CHATD_KIND"] == kind).collect()
}

#[test]
fn an_entry_has_its_fields_and_is_found_by_them() {
    let script = r#"
        start_chatd
        exec 8<>/dev/tcp/127.0.0.1/33333
        printf '@takes_name@' >&8
        await "Eve" chatctl whois Eve >/dev/null 2>&1
        chatctl --quiet kick Eve please be kind >/dev/null
        entered CHATD_KIND=closed CHATD_NICK=Eve
        entries MESSAGE_ID=@administered@
        entries CHATD_KIND=closed CHATD_NICK=Eve
        entries CHATD_KIND=capacity
    "#;
    let id = |kind: chatd::log::Kind| kind.row().message_id;
    let administered = id(chatd::log::Kind::Administered);
    let mut frame = Vec::new();
    proto::native::set_nickname(proto::Guid([7; 16]), b"Eve", &mut frame);
    let frame = frame.iter().map(|byte| format!("\\{byte:03o}")).collect::<Vec<_>>().concat();
    let script = script.replace("@administered@", administered).replace("@takes_name@", &frame);
    let Some(said) = boxed(&format!("{START}{script}")) else { return };
    let entries = objects(&said);
    let [kicked, closed, capacity] = &entries[..] else { panic!("{said}") };
    for (entry, kind, message_id, priority) in [
        (kicked, "administered", administered, "6"),
        (closed, "closed", id(chatd::log::Kind::Closed), "6"),
        (capacity, "capacity", id(chatd::log::Kind::Capacity), "6"),
    ] {
        assert_eq!(
            (&entry["CHATD_KIND"], &entry["MESSAGE_ID"]),
            (&kind.into(), &message_id.into())
        );
        assert_eq!(entry["PRIORITY"], priority, "{entry}");
        assert_eq!(entry["SYSLOG_IDENTIFIER"], "chatd");
        assert_eq!(entry["_TRANSPORT"], "journal");
        assert!(entry["CHATD_TIME"].as_str().unwrap().ends_with('Z'), "{entry}");
    }
    assert_eq!(kicked["CHATD_NICK"], "root");
    let message = kicked["MESSAGE"].as_str().unwrap();
    assert!(message.contains("root kicks Eve: please be kind"), "{message}");
    assert_eq!(closed["CHATD_REASON"], "kicked");
    assert!(closed["CHATD_PEER"].as_str().unwrap().starts_with("127.0.0.1:"), "{closed}");
    assert!(closed["CHATD_CONNECTION"].as_str().unwrap().parse::<u64>().is_ok(), "{closed}");
    for field in ["CHATD_CONNECTION", "CHATD_PEER", "CHATD_NICK", "CHATD_ROOM", "CHATD_REASON"] {
        assert_eq!(capacity[field], Value::Null, "{field} is there only where it is known");
    }
}

#[test]
fn a_kind_has_a_hundred_entries_a_second_in_the_journal_too_and_the_rest_is_counted() {
    const VISITS: u64 = 400;
    let script = format!(
        r#"
        start_chatd
        visit {VISITS}
        entered CHATD_KIND=log_limited --grep "'closed'"
        # Another second, another share: nothing is behind this one.
        sleep 2
        entries
        "#
    );
    let Some(said) = boxed(&format!("{START}{script}")) else { return };
    let entries = objects(&said);
    let limited = of_kind(&entries, "log_limited");
    for kind in ["accepted", "closed"] {
        let named = format!("more '{kind}' lines");
        let texts = limited.iter().filter_map(|entry| entry["MESSAGE"].as_str());
        let left_out: u64 = texts
            .filter(|text| text.contains(&named))
            .map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        let mut seconds = BTreeMap::<&str, u64>::new();
        for entry in of_kind(&entries, kind) {
            let (second, _) = entry["CHATD_TIME"].as_str().unwrap().split_once('.').unwrap();
            *seconds.entry(second).or_default() += 1;
        }
        assert!(left_out > 0 && seconds.values().all(|count| *count <= 100), "{seconds:?}");
        // Those of chatctl come and go, too.
        assert!(
            left_out + seconds.values().sum::<u64>() >= VISITS,
            "{kind}: {left_out} {seconds:?}"
        );
    }
    assert!(of_kind(&entries, "log_lost").is_empty(), "nothing was lost unseen");
}

#[test]
fn where_the_journals_socket_cannot_be_reached_lines_begin_with_their_priority() {
    let script = r"
        start_chatd --property InaccessiblePaths=/run/systemd/journal/socket
        entered _SYSTEMD_UNIT=chatd.service PRIORITY=7
        entries PRIORITY=4
        entries PRIORITY=6
        entries PRIORITY=7
    ";
    let Some(said) = boxed(&format!("{START}{script}")) else { return };
    let entries = objects(&said);
    let of = |priority: &str, words: &str| {
        let has = |entry: &&Value| {
            entry["PRIORITY"] == priority && entry["MESSAGE"].as_str().unwrap().contains(words)
        };
        let entry = entries.iter().find(has).unwrap_or_else(|| panic!("no {words} in {said}"));
        assert_eq!(entry["_TRANSPORT"], "stdout");
        entry["MESSAGE"].as_str().unwrap().to_owned()
    };
    let complaint = of("4", "cannot reach the journal");
    assert!(
        complaint.starts_with("cannot reach") && complaint.contains("no_journal"),
        "{complaint}"
    );
    of("6", "connections, by");
    of("7", "connected from");
}

#[test]
fn a_standard_error_that_is_not_the_journals_has_text() {
    let script = r"
        start_chatd --property StandardError=file:/run/chatd.log
        await 'the line' grep -q capacity /run/chatd.log
        cat /run/chatd.log
    ";
    let Some(said) = boxed(&format!("{START}{script}")) else { return };
    // What is said before it depends on the groups that the machine has.
    let line = said.lines().find(|line| line.contains("kind=\"capacity\""));
    assert!(line.is_some_and(|line| line.contains("Z  INFO ")), "{said}");
}

#[test]
fn a_bad_configuration_is_an_error_in_the_journal() {
    let script = r"
        install -m 755 /shipped/chatd /usr/bin/
        echo nonsense >/etc/chatd.toml
        systemd-run --quiet --wait --unit chatd /usr/bin/chatd --config /etc/chatd.toml || status=$?
        echo $status
        journalctl --sync
        journalctl --quiet --output cat _SYSTEMD_UNIT=chatd.service PRIORITY=3
    ";
    let Some(said) = boxed(script) else { return };
    assert!(said.starts_with("78\nchatd: ") && said.contains("/etc/chatd.toml"), "{said}");
}

/// How long a round trip may take while the journal takes nothing. It is some ten milliseconds, most of them the program's start.
const ROUND_TRIP_MS_MAX: u64 = 1000;
/// How long the end may take then: the log has a second.
const END_MS_MAX: u64 = 5000;

#[test]
fn a_journal_that_has_stopped_delays_nobody_and_what_was_lost_is_counted() {
    let script = r"
        start_chatd
        now() { echo $(($(date +%s%N) / 1000000)); }
        journald=$(pidof systemd-journald)
        kill -STOP $journald
        # More than the journal's socket and the daemon's queue hold: two entries each.
        for ((round = 0; round < 10; round++)); do
            visit 800
            begin=$(now)
            chatctl --quiet --timeout 5s send lobby hello >/dev/null
            echo trip $(($(now) - begin))
        done
        kill -CONT $journald
        await 'the log' chatctl --quiet ping >/dev/null
        # Nobody has to say another word for it.
        entered CHATD_KIND=log_lost
        kill -STOP $journald
        visit 800
        pid=$(cat /sys/fs/cgroup/system.slice/chatd.service/cgroup.procs)
        begin=$(now)
        kill -TERM $pid
        gone() { ! kill -0 $pid 2>/dev/null; }
        await 'the end' gone
        echo end $(($(now) - begin))
        kill -CONT $journald
        entries CHATD_KIND=log_lost
    ";
    let Some(said) = boxed(&format!("{START}{script}")) else { return };
    let times = |what: &str| -> Vec<u64> {
        let lines = said.lines().filter_map(|line| line.strip_prefix(what));
        lines.map(|line| line.trim().parse().unwrap()).collect()
    };
    let (trips, end) = (times("trip "), times("end "));
    assert_eq!((trips.len(), end.len()), (10, 1), "{said}");
    assert!(trips.iter().all(|trip| *trip <= ROUND_TRIP_MS_MAX), "{trips:?}");
    assert!(end[0] <= END_MS_MAX, "{end:?}");
    let lost = objects(&said[said.find('{').unwrap()..]);
    let count = |entry: &Value| {
        entry["MESSAGE"].as_str().unwrap().split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert!(!lost.is_empty() && lost.iter().all(|entry| count(entry) > 0), "{lost:?}");
}

#[test]
fn the_shipped_service_reaches_the_journal() {
    let script = r"
        install_chatd
        systemctl start chatd.socket chatd-control.socket chatd.service
        entered _SYSTEMD_UNIT=chatd.service CHATD_KIND=capacity
        journalctl --quiet --output json _SYSTEMD_UNIT=chatd.service CHATD_KIND=capacity
    ";
    let Some(said) = boxed(script) else { return };
    let entries = objects(&said);
    assert_eq!(entries.len(), 1, "{said}");
    assert_eq!(entries[0]["_TRANSPORT"], "journal");
    assert_eq!(entries[0]["MESSAGE_ID"], chatd::log::Kind::Capacity.row().message_id);
}
