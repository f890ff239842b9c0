//! Many messages, batch after batch, in each setting; and how fast they are stored, by hand:
//! `CHATD_SPEED=200000 cargo test --release -p chatd --lib history::tests::speed -- --nocapture`.
//! `CHATD_SPEED` is how many, `CHATD_SPEED_BATCH` how many a transaction has.

use std::fs::File;
use std::io::Write;

use hub::{Durability, Record};

use super::{Folder, HISTORY, Maker};
use crate::clock::Clock;
use crate::history::{Options, open};

/// 64 bytes of words, as people's messages are made of them: few often and many seldom.
fn content(random: &mut u64) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < 64 {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let choice = *random >> 33;
        let most = 1_u64 << (3 + choice % 13);
        text.extend_from_slice(format!("w{:x} ", (choice >> 8) % most).as_bytes());
    }
    text.truncate(64);
    text
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// How many microseconds a sync takes that follows a short write, in the median.
fn sync_micros(folder: &Folder, bytes: usize) -> u64 {
    let mut file = File::create(folder.0.join("sync")).unwrap();
    let (clock, block) = (Clock::start(), vec![1; bytes]);
    let mut all: Vec<u64> = (0..20)
        .map(|_| {
            let before = clock.now();
            file.write_all(&block).unwrap();
            file.sync_data().unwrap();
            clock.now().since(before).as_micros()
        })
        .collect();
    all.sort_unstable();
    all[all.len() / 2]
}

#[test]
#[allow(clippy::print_stdout, reason = "whoever runs it by hand reads it")]
fn batch_after_batch_is_stored_in_each_setting() {
    let most = from_environment("CHATD_SPEED", 1_000);
    let size = usize::try_from(from_environment("CHATD_SPEED_BATCH", 64)).unwrap();
    let clock = Clock::start();
    for (durability, search) in [
        (Durability::Sync, true),
        (Durability::Sync, false),
        (Durability::Write, true),
        (Durability::Write, false),
    ] {
        let (folder, maker, mut random) = (Folder::new(), Maker::new(), 1);
        let options = Options { durability, search };
        let mut writer = open(&folder.database(), options, HISTORY).unwrap().writer;
        let records: Vec<Record> = (1..=most)
            .map(|seq| {
                let content = content(&mut random);
                let mut record = maker.record("lobby", seq, 0, &content);
                record.message_id.0[..8].copy_from_slice(&random.to_be_bytes());
                record.message_id.0[8..].copy_from_slice(&seq.to_be_bytes());
                record
            })
            .collect();
        let (start, mut commits, mut tending) = (clock.now(), Vec::new(), 0);
        for batch in records.chunks(size) {
            let before = clock.now();
            writer.commit(batch).unwrap();
            let between = clock.now();
            writer.tend().unwrap();
            commits.push(between.since(before).as_micros());
            tending += clock.now().since(between).as_micros();
        }
        let micros = clock.now().since(start).as_micros();
        writer.close().unwrap();
        let again = open(&folder.database(), options, HISTORY).unwrap().writer;
        assert_eq!(again.count(), most, "{durability:?}, search {search}");
        again.close().unwrap();
        commits.sort_unstable();
        println!(
            "{durability:?}, search {search}: {} a second; a commit {} us, p99 {} us; checkpoints {} ms of {} ms; {} bytes a message; a sync of 16 KiB {} us",
            most * 1_000_000 / micros,
            commits[commits.len() / 2],
            commits[commits.len() * 99 / 100],
            tending / 1000,
            micros / 1000,
            super::super::size(&folder.database()).unwrap() / most,
            sync_micros(&folder, 16 << 10),
        );
    }
}
