//! The checker itself is checked: clean histories pass, and each anomaly that is planted in one is found, and nothing but it and what
//! follows from it.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tests::checker::{self, Anomaly, Deliver, History, Op, Record, Report, hash_of};

use crate::planted::{PLANTS, Plant};
use crate::rng::Rng;
use crate::{amount, clean};

/// How long the histories are.
const STEPS: u64 = 400;

/// Of so many seeds at least one gives a place for an anomaly.
const TRIES_MAX: u64 = 50;

fn report(records: &[Record]) -> Report {
    checker::check(&History::of(records).unwrap(), Deliver::Stored)
}

#[test]
fn clean_histories_pass() {
    for seed in 0..amount(200, 5_000) {
        let records = clean::history(seed, STEPS);
        let report = report(&records);
        assert!(report.is_clean(), "seed {seed}:\n{report}");
        assert!(report.kept > 0 && report.heard > report.kept, "seed {seed}: it shows something");
    }
}

#[test]
fn each_planted_anomaly_is_found() {
    let mut wrong = Vec::new();
    for plant in PLANTS {
        wrong.extend((0..amount(40, 1_000)).find_map(|number| is_found(plant, number).err()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for anomaly in Anomaly::all() {
        assert!(PLANTS.iter().any(|plant| plant.anomaly == *anomaly), "{anomaly:?} is planted");
    }
}

/// Plants it and looks; what is wrong where it is not found, or more is than follows from it.
fn is_found(plant: &Plant, number: u64) -> Result<(), String> {
    let name = plant.name;
    for attempt in 0..TRIES_MAX {
        let seed = number * TRIES_MAX + attempt;
        let mut records = clean::history(seed, STEPS);
        if !(plant.into)(&mut records, &mut Rng::new(!seed)) {
            continue;
        }
        let report = report(&records);
        let found = report.anomalies();
        let follows = |one: &Anomaly| *one == plant.anomaly || plant.follows.contains(one);
        return match found.contains(&plant.anomaly) {
            true if found.iter().all(follows) => Ok(()),
            true => Err(format!("{name}, seed {seed}: finds more:\n{report}")),
            false => Err(format!("{name}, seed {seed}: is not found:\n{report}")),
        };
    }
    Err(format!("{name}: no place for it in {TRIES_MAX} histories"))
}

/// Where messages are heard at once, less is promised, and the rest is.
#[test]
fn what_is_heard_at_once_may_be_gone_and_nothing_else() {
    let excused = ["a message is heard that is not kept", "two replies to one message"];
    for plant in PLANTS.iter().filter(|plant| !excused.contains(&plant.name)) {
        for seed in 0..amount(5, 50) {
            let mut records = clean::history(seed, STEPS);
            let at_once = |records: &[Record]| {
                checker::check(&History::of(records).unwrap(), Deliver::AtOnce).anomalies()
            };
            assert_eq!(at_once(&records), [], "seed {seed}");
            if (plant.into)(&mut records, &mut Rng::new(seed)) {
                let found = at_once(&records);
                assert!(found.contains(&plant.anomaly), "{}, seed {seed}: {found:?}", plant.name);
            }
        }
    }
}

/// A million events take seconds: most of the time goes into reading them.
#[test]
fn long_histories_are_checked_in_seconds() {
    let steps = amount(30_000, 280_000);
    let records = clean::history(7, steps);
    let mut text = String::new();
    for record in &records {
        text.push_str(&record.line());
        text.push('\n');
    }
    // This thread's own time: another test may have the processor.
    let spent = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let begun = spent();
    let history = History::read(&text).unwrap();
    let report = checker::check(&history, Deliver::Stored);
    let took = spent().saturating_sub(begun);
    assert!(report.is_clean(), "{report}");
    let line = format!("{} events are checked in {took:.1?}\n", report.events);
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    let micros_by_event = took.as_micros() / report.events as u128;
    assert!(micros_by_event < 20, "{line}");
}

#[test]
fn records_are_lines_and_back() {
    for record in clean::history(3, STEPS) {
        assert_eq!(serde_json::from_str::<Record>(&record.line()).unwrap(), record);
    }
    let line = r#"{"t":5,"client":"a","op":"gap","room":"ops","seq":3,"to":4,"later":true}"#;
    let record = Record::new(5, "a", 0, Op::Gap).room("ops").seq(3).to(4);
    assert_eq!(serde_json::from_str::<Record>(line).unwrap(), record, "others may add fields");
}

#[test]
fn what_no_recorder_writes_is_refused() {
    let last = Record::new(9, "final", 1, Op::Close).line();
    for (line, why) in [
        ("{", "EOF"),
        (r#"{"t":1,"client":"a","op":"sings"}"#, "unknown variant"),
        (r#"{"t":1,"client":"a","op":"ok","room":"ops","id":"1"}"#, "`seq`"),
        (r#"{"t":1,"client":"a","op":"recv","room":"ops","id":"1","seq":1}"#, "`hash`"),
        (r#"{"t":1,"client":"a","op":"gap","room":"ops","seq":4,"to":3}"#, "`to`"),
        (r#"{"t":1,"client":"a","op":"delivered","id":"1"}"#, "`by`"),
    ] {
        let unreadable = History::read(&format!("{last}\n\n{line}\n")).unwrap_err();
        assert!(unreadable.line == 3 && unreadable.why.contains(why), "{line}: {unreadable}");
    }
    let nothing = History::read(r#"{"t":1,"client":"a","op":"close"}"#).unwrap_err();
    assert!(nothing.why.contains("no final log"), "{nothing}");
}

/// What retention took is named by the final log itself.
#[test]
fn what_the_final_log_says_it_does_not_have_is_not_lost() {
    let hash = hash_of(b"x");
    let said = |t, client: &str, op, id: &str| {
        Record::new(t, client, 1, op).room("ops").id(id).hash(&hash)
    };
    let mut records = vec![
        said(1, "a", Op::Post, "one"),
        said(2, "b", Op::Recv, "one").seq(1),
        said(3, "a", Op::Ok, "one").seq(1),
        Record::new(9, "final", 1, Op::Join).room("ops").seq(0),
    ];
    assert_eq!(report(&records).anomalies(), [Anomaly::Lost, Anomaly::Phantom]);
    records.push(Record::new(10, "final", 1, Op::Gap).room("ops").seq(1).to(1));
    assert!(report(&records).is_clean());
}
