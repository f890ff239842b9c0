//! The power is cut: the daemon's disk is an image with a file system of its own, and what the image holds in the moment after the
//! kill is all that the next daemon finds. What was written and not synced is not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::apart::{Own, is_apart};
use tests::checker::{Anomaly, Deliver};
use tests::{Folder, left_out, program};

use crate::amount;
use crate::crowd::Crowd;
use crate::rng::Rng;
use crate::scene::{Home, Scene};

/// How many talk.
const CLIENTS: usize = 6;

/// How large the disk is.
const DISK_BYTES: u64 = 160 << 20;

/// How long a whole campaign may take.
const CAMPAIGN_WAIT: Duration = Duration::from_mins(30);

/// Runs a program of the system.
fn does(line: &str, paths: &[&Path]) -> bool {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(paths);
    program::run(&mut command, &[]).status.success()
}

/// A disk that can lose its power.
struct Disk {
    folder: Folder,
    number: u32,
}

impl Disk {
    /// A new one, in its place; none where this machine does not have what it takes.
    fn new() -> Option<Self> {
        let disk = Self { folder: Folder::new(), number: 0 };
        fs::create_dir(disk.place()).unwrap();
        fs::File::create(disk.image()).unwrap().set_len(DISK_BYTES).unwrap();
        let works = does("mkfs.ext4 -q", &[&disk.image()]) && disk.mounts();
        works.then_some(disk)
    }

    /// Where its content is seen.
    fn place(&self) -> PathBuf {
        self.folder.join("disk")
    }

    fn image(&self) -> PathBuf {
        self.folder.join(&format!("image-{}", self.number))
    }

    fn mounts(&self) -> bool {
        // The file system's own timer must not write what the daemon did not ask for: it would hide what is missing.
        does("mount -o loop,commit=300,noatime", &[&self.image(), &self.place()])
    }

    /// What is on it now is all that will ever be: nobody may write to it any more.
    fn loses_power(&mut self) {
        let before = self.image();
        self.number += 1;
        assert!(does("cp --sparse=always", &[&before, &self.image()]));
        assert!(does("umount", &[&self.place()]));
        fs::remove_file(before).unwrap();
        assert!(self.mounts(), "the file system is whole after the cut");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = does("umount", &[&self.place()]);
    }
}

/// Cuts the power so many times while a crowd talks.
fn cut(disk: &mut Disk, durability: &str, cycles: u64) -> (Arc<Scene>, Vec<String>) {
    let home = Home::new(durability).state(&disk.place().join("state"));
    let scene = Arc::new(Scene::new());
    let mut rng = Rng::new(8);
    scene.fault("not started");
    let crowd = Crowd::start(&scene, CLIENTS, 8, None);
    for _ in 0..cycles {
        let mut daemon = home.setup().start();
        scene.serves(&daemon);
        scene.after_acknowledgments(rng.range(1, 400));
        scene.fault("no power");
        daemon.signal(Signal::SIGKILL);
        daemon.ends();
        disk.loses_power();
    }
    let daemon = home.setup().start();
    scene.serves(&daemon);
    scene.after_acknowledgments(100);
    let lacking = crowd.finish();
    (scene, lacking)
}

/// A disk, in a process that may mount it; none where the test is run elsewhere or left out.
fn disk(test: &str) -> Option<Disk> {
    if !is_apart(test, Own::Mounts, CAMPAIGN_WAIT) {
        return None;
    }
    let disk = Disk::new();
    if disk.is_none() {
        left_out(&format!("{test}: no image with an ext4 can be mounted here"));
    }
    disk
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut() {
    let test = "power::nothing_acknowledged_is_lost_when_the_power_is_cut";
    let Some(mut disk) = disk(test) else { return };
    let (scene, lacking) = cut(&mut disk, "sync", amount(20, 200));
    assert!(lacking.is_empty(), "{lacking:?}");
    scene.is_clean("power");
    assert_eq!(scene.histories().len(), 1, "the history is one");
}

/// The same run loses what the operating system alone had: the cut is one. No number is given twice, all the same.
#[test]
fn what_was_not_synced_is_lost_when_the_power_is_cut() {
    let test = "power::what_was_not_synced_is_lost_when_the_power_is_cut";
    let Some(mut disk) = disk(test) else { return };
    let (scene, _) = cut(&mut disk, "write", amount(5, 20));
    let report = scene.report(Deliver::Stored);
    assert!(report.of(Anomaly::Lost).count > 0, "nothing is lost, which proves nothing:\n{report}");
    for anomaly in [Anomaly::Reused, Anomaly::Split, Anomaly::Changed, Anomaly::Invented] {
        assert_eq!(report.of(anomaly).count, 0, "{report}");
    }
}
