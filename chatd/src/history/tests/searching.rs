//! Searches.

use hub::{Durability, Fetch, FetchError, Order};
use proto::{Seq, Span};

use super::pages::{everything, page, seqs};
use super::{Folder, HISTORY, Maker, opened};
use crate::history::{Options, Reader, open};

const SAID: [&[u8]; 6] = [
    b"the disk is full",
    b"a full backup of the disk",
    b"Backups: none",
    b"\xff\xfe full disk",
    "Gr\u{fc}\u{df}e aus K\u{f6}ln".as_bytes(),
    b"nothing else",
];

fn said(folder: &Folder) -> Reader {
    let maker = Maker::new();
    let mut writer = opened(&folder.database()).writer;
    for (seq, content) in (1..).zip(SAID) {
        let others = maker.record("ops", seq, 100 + seq, content);
        writer.commit(&[maker.record("lobby", seq, seq, content), others]).unwrap();
    }
    Reader::open(&folder.database()).unwrap()
}

#[test]
fn a_search_finds_all_words_phrases_and_beginnings() {
    let folder = Folder::new();
    let mut reader = said(&folder);
    let cases: [(&str, &[u64]); 14] = [
        ("full", &[1, 2]),
        ("full disk", &[1, 2]),
        ("FULL DISK", &[1, 2]),
        ("\"disk is\"", &[1]),
        ("\"is disk\"", &[]),
        ("backup", &[2]),
        ("backup*", &[2, 3]),
        ("back* none", &[3]),
        ("koln", &[5]),
        ("full OR none", &[]),
        ("NOT full", &[]),
        ("content:full", &[]),
        ("full) OR (disk", &[]),
        ("!!", &[]),
    ];
    for (words, expected) in cases {
        let fetch = Fetch { search: Some(words.into()), ..everything() };
        let forward = page(&mut reader, &fetch);
        assert_eq!(seqs(&forward), expected, "{words}");
        let backward = page(&mut reader, &Fetch { order: Order::Backward, ..fetch });
        assert_eq!(backward, forward, "{words}");
    }
}

#[test]
fn a_search_has_bounds_and_pages() {
    let folder = Folder::new();
    let mut reader = said(&folder);
    let search = Fetch { search: Some("full".into()), ..everything() };
    let latest = page(&mut reader, &Fetch { latest: Some(1), ..search.clone() });
    assert_eq!((seqs(&latest), latest.more), (vec![2], false));
    let first = page(&mut reader, &Fetch { most: 1, ..search.clone() });
    assert_eq!((seqs(&first), first.more), (vec![1], true));
    let rest = page(&mut reader, &Fetch { first: Seq(2), ..search });
    assert_eq!((seqs(&rest), rest.more), (vec![2], false));
}

#[test]
fn a_search_that_takes_too_long_ends() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut writer = opened(&folder.database()).writer;
    let batch: Vec<_> = (1..500).map(|seq| maker.record("lobby", seq, seq, b"same")).collect();
    writer.commit(&batch).unwrap();
    let mut reader = Reader::open(&folder.database()).unwrap();
    let search = Fetch { search: Some("same".into()), ..everything() };
    assert_eq!(page(&mut reader, &search).count, 499);
    reader.search_max = Span::from_micros(0);
    assert_eq!(reader.fetch(&search).outcome, Err(FetchError::TooLong));
    assert_eq!(page(&mut reader, &everything()).count, 499, "others are not limited");
}

#[test]
fn search_is_left_out_and_made_again() {
    let folder = Folder::new();
    drop(said(&folder));
    let without = Options { durability: Durability::Write, search: false };
    drop(open(&folder.database(), without, HISTORY).unwrap());
    let search = Fetch { search: Some("full".into()), ..everything() };
    let mut reader = Reader::open(&folder.database()).unwrap();
    assert_eq!(reader.fetch(&search).outcome, Err(FetchError::NoSearch));
    drop(opened(&folder.database()));
    assert_eq!(seqs(&page(&mut reader, &search)), [1, 2]);
}

/// Nothing that is typed is an error of the index's own language.
#[test]
fn anything_can_be_searched_for() {
    let folder = Folder::new();
    let mut reader = said(&folder);
    let signs = [
        "\"", "*", "a", " ", "(", "NEAR", "\0", "-", ":", "'", "\u{fc}", "+", "^", "{", "\u{2013}",
    ];
    let mut random = 1_u64;
    for _ in 0..2_000 {
        let mut words = String::new();
        for _ in 0..8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            words.push_str(signs[usize::try_from(random >> 33).unwrap() % signs.len()]);
        }
        let search = Fetch { search: Some(words.as_str().into()), ..everything() };
        assert!(reader.fetch(&search).outcome.is_ok(), "{words:?} {:?}", reader.complaints());
    }
}
