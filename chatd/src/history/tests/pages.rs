//! Pages of past messages.

use hub::{Fetch, Order, Page};
use proto::{Dialect, RequestId, RoomName, Seq};

use super::{Folder, HISTORY, Maker, opened, time_of};
use crate::history::Reader;

/// Everything of the lobby.
pub(super) fn everything() -> Fetch {
    Fetch {
        of: HISTORY,
        no: 5,
        room: RoomName::parse("lobby").unwrap(),
        first: Seq(0),
        last: Seq(u64::MAX),
        since: None,
        until: None,
        latest: None,
        search: None,
        order: Order::Forward,
        most: 1000,
        bytes: 1 << 20,
        dialect: Dialect::Control,
        request: RequestId::parse("r").unwrap(),
    }
}

pub(super) fn page(reader: &mut Reader, fetch: &Fetch) -> Page {
    let fetched = reader.fetch(fetch);
    assert_eq!(fetched.no, fetch.no);
    fetched.outcome.unwrap()
}

/// The places in a page, as its frames have them.
pub(super) fn seqs(page: &Page) -> Vec<u64> {
    String::from_utf8(page.bytes.clone())
        .unwrap()
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let place = if value["event"] == "gap" { "from_seq" } else { "seq" };
            value[place].as_u64().unwrap()
        })
        .collect()
}

/// Two rooms; the lobby has the places 2, 4, .. 100.
fn two_rooms(folder: &Folder) -> Reader {
    let maker = Maker::new();
    let mut writer = opened(&folder.database()).writer;
    for seq in 1..=50 {
        let content = format!("message number {seq} of all");
        let batch = [
            maker.record("lobby", 2 * seq, seq, content.as_bytes()),
            maker.record("ops", seq, 1000 + seq, content.as_bytes()),
        ];
        writer.commit(&batch).unwrap();
    }
    Reader::open(&folder.database()).unwrap()
}

fn even(from: u64, to: u64) -> Vec<u64> {
    (from..=to).filter(|seq| seq % 2 == 0).collect()
}

#[test]
fn a_page_has_what_is_within_the_bounds() {
    let folder = Folder::new();
    let mut reader = two_rooms(&folder);
    let all = everything();
    let cases = [
        (all.clone(), even(1, 100)),
        (Fetch { first: Seq(11), last: Seq(20), ..all.clone() }, even(11, 20)),
        (Fetch { first: Seq(101), ..all.clone() }, vec![]),
        (Fetch { first: Seq(20), last: Seq(19), ..all.clone() }, vec![]),
        (Fetch { first: Seq(1 << 40), ..all.clone() }, vec![]),
        (Fetch { since: Some(time_of(10)), ..all.clone() }, even(10, 100)),
        (Fetch { since: Some(time_of(9)), until: Some(time_of(14)), ..all.clone() }, even(9, 13)),
        (Fetch { until: Some(time_of(1)), ..all.clone() }, vec![]),
        (Fetch { since: Some(time_of(101)), ..all.clone() }, vec![]),
        (Fetch { since: Some(time_of(50)), until: Some(time_of(40)), ..all.clone() }, vec![]),
        (Fetch { latest: Some(3), ..all.clone() }, even(96, 100)),
        (Fetch { latest: Some(0), ..all.clone() }, vec![]),
        (Fetch { latest: Some(90), ..all.clone() }, even(1, 100)),
        (Fetch { latest: Some(2), last: Seq(50), ..all.clone() }, even(48, 50)),
        (Fetch { latest: Some(2), until: Some(time_of(50)), ..all.clone() }, even(46, 48)),
        (Fetch { room: RoomName::parse("nowhere").unwrap(), ..all }, vec![]),
    ];
    for (fetch, expected) in cases {
        let forward = page(&mut reader, &fetch);
        assert_eq!(seqs(&forward), expected, "{fetch:?}");
        assert_eq!((forward.count, forward.more), (expected.len(), false));
        let edges = (expected.first().copied().map(Seq), expected.last().copied().map(Seq));
        assert_eq!((forward.first, forward.last), edges);
        let backward = page(&mut reader, &Fetch { order: Order::Backward, ..fetch });
        assert_eq!(backward, forward);
    }
}

#[test]
fn pages_follow_each_other() {
    let folder = Folder::new();
    let mut reader = two_rooms(&folder);
    let (mut fetch, mut found) = (Fetch { most: 7, ..everything() }, Vec::new());
    loop {
        let page = page(&mut reader, &fetch);
        found.extend(seqs(&page));
        if !page.more {
            break;
        }
        assert_eq!(page.count, 7);
        fetch.first = page.last.unwrap().next();
    }
    assert_eq!(found, even(1, 100));
    let (mut fetch, mut found) =
        (Fetch { bytes: 1000, order: Order::Backward, ..everything() }, Vec::new());
    loop {
        let page = page(&mut reader, &fetch);
        found = [seqs(&page), found].concat();
        if !page.more {
            break;
        }
        assert!(page.count > 2 && page.bytes.len() <= 1000);
        fetch.last = Seq(page.first.unwrap().0 - 1);
    }
    assert_eq!(found, even(1, 100));
}

#[test]
fn a_reader_sees_what_is_committed_since_and_all_ids() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut writer = opened(&folder.database()).writer;
    let mut reader = Reader::open(&folder.database()).unwrap();
    assert_eq!(page(&mut reader, &everything()).count, 0);
    writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    assert_eq!(page(&mut reader, &everything()).count, 1);
    let mut ids = Vec::new();
    reader.ids(|id| ids.push(id)).unwrap();
    assert_eq!(ids, [maker.record("lobby", 1, 1, b"a").message_id]);
}
