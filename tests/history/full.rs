//! A disk that is really full: a small one of memory, in mounts of the test's own, and a file that takes all the rest of it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::apart::{Own, is_apart};
use tests::checker::Op;
use tests::{Control, Daemon, Folder, Setup, eventually, left_out, program};

use crate::amount;
use crate::crowd::Crowd;
use crate::scene::{Home, Scene};

/// How many talk.
const CLIENTS: usize = 4;

/// Less than an eighth of the small disk, and much more than what a crowd says meanwhile.
const LEFT_BYTES: u64 = 12 << 20;

/// After so long with space again posts are taken.
const RETURN_WAIT: Duration = Duration::from_secs(1);

/// Takes all that is free.
fn fills(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = vec![0x5a; 1 << 16];
    while file.write_all(&block).is_ok() {}
    // And what a block did not fit into.
    while file.write_all(&[0x5a; 512]).is_ok() {}
}

/// Who reads gets what there is.
fn reads_go_on(daemon: &Daemon) {
    let mut control = daemon.control();
    let page = control.asks("history", json!({ "room": "ops", "limit": 10 }));
    assert_eq!((&page["ok"], &page["count"]), (&json!(true), &json!(10)), "{page}");
    let tail = control.asks("tail", json!({ "rooms": ["dev"], "last": 10 }));
    assert_eq!(tail["ok"], true, "{tail}");
}

#[test]
fn a_full_disk_refuses_posts_and_service_returns_with_space() {
    let test = "full::a_full_disk_refuses_posts_and_service_returns_with_space";
    if !is_apart(test, Own::Mounts, Duration::from_mins(10)) {
        return;
    }
    let home = Home::new("sync");
    let Some(disk) = small_disk(test, home.folder()) else { return };
    let home = home.state(&disk.join("state"));
    let scene = Arc::new(Scene::new());
    scene.fault("not started");
    let crowd = Crowd::start(&scene, CLIENTS, 9, None);
    let daemon = home.setup().start();
    scene.serves(&daemon);
    let mut number = 0;
    for _ in 0..amount(3, 50) {
        scene.after_acknowledgments(200);
        goes_full_and_back(&scene, &daemon, &disk.join("filler"), &mut number);
    }
    scene.after_acknowledgments(200);
    is_full_before_its_last_bytes(&scene, &daemon, &disk, &mut number);
    scene.after_acknowledgments(200);
    let lacking = crowd.finish();
    assert!(lacking.is_empty(), "{lacking:?}");
    assert!(scene.refusals("store_unavailable") > 0, "the crowd has met it");
    scene.is_clean("full");
    drop(daemon);
    unmounts(&disk);
}

/// A disk of its own, so small that it is soon full; none where that is not allowed here.
fn small_disk(test: &str, folder: &Folder) -> Option<PathBuf> {
    let disk = folder.join("small");
    fs::create_dir(&disk).unwrap();
    let mounts = ["-t", "tmpfs", "-o", "size=112m", "none"];
    if !program::run(Command::new("mount").args(mounts).arg(&disk), &[]).status.success() {
        left_out(&format!("{test}: no tmpfs can be mounted here"));
        return None;
    }
    Some(disk)
}

fn unmounts(disk: &Path) {
    let _ = program::run(Command::new("umount").arg("-l").arg(disk), &[]);
}

/// How often a speaker was not read since the store did not take what it said.
fn paused(daemon: &Daemon) -> u64 {
    let stats = daemon.control().asks("stats", json!({}));
    stats["stats"]["paused_store"].as_u64().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the operator's commands say of a full disk, and the log.
fn the_operator_is_told(daemon: &Daemon, number: &mut u64) {
    let check = daemon.ctl(&["check"]);
    assert_eq!(check.status.code(), Some(2), "{check:?}");
    let told = words(&check);
    assert!(told.starts_with("CHATD CRITICAL - the history's disk is full ("), "{told}");
    assert!(told.contains("posts are refused until there is room on it"), "{told}");
    let status = words(&daemon.ctl(&["status"]));
    assert!(status.contains("full: its disk is, and posts are refused"), "{status}");
    let doctor = words(&daemon.ctl(&["doctor"]));
    assert!(doctor.contains("make room on that disk"), "{doctor}");
    for _ in 0..20 {
        assert_eq!(posts(&mut daemon.control(), number), Err("store_unavailable".to_owned()));
    }
    daemon.logs(&["the disk of", "is full", "posts refused"]);
    assert_eq!(daemon.log().matches(" is full (").count(), 1, "once a minute: {}", daemon.log());
}

#[test]
fn a_v05_sender_waits_for_space_and_the_operator_is_told() {
    let test = "full::a_v05_sender_waits_for_space_and_the_operator_is_told";
    if !is_apart(test, Own::Mounts, Duration::from_mins(5)) {
        return;
    }
    let folder = Folder::new();
    let Some(disk) = small_disk(test, &folder) else { return };
    let (state, filler) = (disk.join("state"), disk.join("filler"));
    let config = "[limits]\nstall = \"5s\"\nmessages = \"off\"\n[keepalive]\nidle = \"5m\"";
    let setup = Setup::new().config(config).argument("--state-dir");
    let daemon = setup.argument(state.to_str().unwrap()).start();
    let (mut ada, mut bob, mut eve) =
        (daemon.named("Ada"), daemon.named("Bob"), daemon.named("Eve"));
    let mut number = 0;
    ada.chats("zero");
    bob.hears_that("Ada", "zero");
    fills(&filler);
    let mut control = daemon.control();
    eventually("a post is refused", || posts(&mut control, &mut number).err());
    eve.chats("never");
    the_operator_is_told(&daemon, &mut number);
    // It hears what the others do, and is closed for what it said.
    eve.until_closed();
    daemon.logs(&["closed", "store_unavailable"]);
    let before = paused(&daemon);
    for text in ["one", "two"] {
        ada.chats(text);
    }
    eventually("it is not read", || (paused(&daemon) > before).then_some(()));
    ada.chats("three");
    fs::remove_file(&filler).unwrap();
    for text in ["one", "two", "three"] {
        bob.hears_that("Ada", text);
    }
    ada.chats("four");
    bob.hears_that("Ada", "four");
    let history = words(&daemon.ctl(&["history", "lobby"]));
    let said: Vec<&str> = history.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(said, ["zero", "one", "two", "three", "four"], "{history}");
    let line = daemon.logs(&["posts are stored again"]);
    assert!(line.contains("more were refused"), "{line}");
    // The whole disk is smaller than what is little.
    let check = daemon.ctl(&["check"]);
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert!(words(&daemon.ctl(&["status"])).contains("well"));
    drop(daemon);
    unmounts(&disk);
}

/// Posts once, in a room of its own that no client of the crowd is in; why not, where it is refused.
fn posts(control: &mut Control, number: &mut u64) -> Result<(), String> {
    *number += 1;
    let id = format!("00000000-0000-4000-b000-{number:012x}");
    let reply = control.asks_as(&id, "post", json!({ "room": "aside", "text": "is there space?" }));
    if reply["ok"] == true { Ok(()) } else { Err(reply["error"].as_str().unwrap().to_owned()) }
}

/// So much of a disk is left that some could still be written there: posts are refused.
fn is_full_before_its_last_bytes(scene: &Scene, daemon: &Daemon, disk: &Path, number: &mut u64) {
    let mut control = daemon.control();
    scene.notes(Op::Fault, "nearly full");
    let filler = disk.join("filler");
    let mut file = File::create(&filler).unwrap();
    let free = || {
        let found = nix::sys::statvfs::statvfs(disk).unwrap();
        found.blocks_available() * found.fragment_size()
    };
    while free() > LEFT_BYTES {
        file.write_all(&[0x5a; 1 << 12]).unwrap();
    }
    eventually("a post is refused", || posts(&mut control, number).err());
    assert!(free() > LEFT_BYTES / 2, "it was refused before the disk was really full");
    drop(file);
    fs::remove_file(filler).unwrap();
    scene.notes(Op::Heal, "space");
    eventually("posts are taken again", || posts(&mut control, number).ok());
}

fn goes_full_and_back(scene: &Scene, daemon: &Daemon, filler: &Path, number: &mut u64) {
    let mut control = daemon.control();
    scene.notes(Op::Fault, "full");
    fills(filler);
    eventually("a post is refused", || posts(&mut control, number).err());
    for _ in 0..5 {
        assert_eq!(posts(&mut control, number), Err("store_unavailable".to_owned()));
    }
    reads_go_on(daemon);
    let since = Instant::now();
    fs::remove_file(filler).unwrap();
    scene.notes(Op::Heal, "space");
    eventually("posts are taken again", || posts(&mut control, number).ok());
    let took = since.elapsed();
    let line = format!("full: service returned within {took:.1?}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    assert!(took < RETURN_WAIT, "{line}");
}
