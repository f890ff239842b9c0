//! The history as the loop has it: submitted, woken, answered.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use hub::{Answer, Durability, Outcome, StoreState};
use proto::{MessageId, Seq, Span};

use super::{Folder, HISTORY, Maker, OPTIONS, fail_disk};
use crate::history::{
    Deliver, DurableStore, Found, Limits, Opening, Options, Retention, StateFolder, Wake,
};
use crate::turn::Store;

/// Long enough on any machine, and never waited for in full.
const DEADLINE: Duration = Duration::from_secs(30);

/// A store, and what its threads wake.
struct Loop {
    store: DurableStore,
    woken: Receiver<()>,
    found: Found,
}

impl Loop {
    fn begin(folder: &Folder, durability: Durability, retention: Retention) -> Self {
        Self::delivering(folder, durability, (retention, Deliver::Stored))
    }

    fn delivering(
        folder: &Folder,
        durability: Durability,
        (retention, deliver): (Retention, Deliver),
    ) -> Self {
        let path = folder.database();
        let folder = StateFolder::take(path.parent().unwrap(), false).unwrap();
        assert_eq!(folder.database(), path);
        let (wakes, woken) = sync_channel(1);
        let wake: Wake = Arc::new(move || {
            // Who was woken and has not looked yet looks once.
            let _ = wakes.try_send(());
        });
        let options = Options { durability, ..OPTIONS };
        let opening = Opening::begin(folder, (options, retention, deliver), HISTORY, wake).unwrap();
        let Ok((store, found)) = opening.wait(DEADLINE).unwrap() else { panic!("it hangs") };
        Self { store, woken, found }
    }

    /// Waits until `look` finds something.
    fn until<T>(&mut self, mut look: impl FnMut(&mut DurableStore) -> Option<T>) -> T {
        loop {
            if let Some(found) = look(&mut self.store) {
                return found;
            }
            self.woken.recv_timeout(DEADLINE).unwrap();
        }
    }

    /// The next so many answers.
    fn outcomes(&mut self, count: usize) -> Vec<Outcome> {
        let mut answers: Vec<Answer> = Vec::new();
        self.until(|store| {
            store.answers(&mut answers);
            (answers.len() >= count).then_some(())
        });
        assert_eq!(answers.len(), count, "each post is answered once");
        answers.into_iter().map(|answer| answer.outcome).collect()
    }
}

#[test]
fn posts_are_answered_in_their_order_and_are_there_when_it_is_opened_again() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = Loop::begin(&folder, Durability::Sync, Retention::default());
    assert_eq!((it.found.history, it.found.messages, it.found.rooms.len()), (HISTORY, 0, 0));
    for at in 1..=200 {
        it.store.submit(maker.record("lobby", at, at, b"hello"));
    }
    it.store.submit(maker.record("lobby", 201, 7, b"hello"));
    it.store.submit(maker.record("lobby", 202, 8, b"another"));
    let outcomes = it.outcomes(202);
    assert_eq!(outcomes[..200], [Outcome::Stored; 200]);
    assert_eq!(outcomes[200], Outcome::Repeated { seq: Seq(7), time: super::time_of(7) });
    assert_eq!(outcomes[201], Outcome::Conflict);
    assert_eq!(it.store.condition().state, StoreState::Well);
    assert!(it.store.condition().free_bytes > 0);
    assert_eq!(it.store.failure(), None);
    it.store.close().unwrap();
    let it = Loop::begin(&folder, Durability::Sync, Retention::default());
    assert_eq!((it.found.history, it.found.messages), (HISTORY, 200));
    assert_eq!(it.found.rooms[0].last, Seq(202), "also numbers that no message has are given once");
}

/// It took up to a second until the first commit was told of.
#[test]
fn how_long_the_first_commit_took_is_known_with_its_answer() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = Loop::begin(&folder, Durability::Sync, Retention::default());
    it.store.submit(maker.record("lobby", 1, 1, b"hello"));
    assert_eq!(it.outcomes(1), [Outcome::Stored]);
    assert!(it.store.condition().commit_p50_us > 0);
}

/// Nobody is told that it is stored or not, each is looked up, and the next post is stored.
#[test]
fn a_sync_that_fails_is_unknown_to_its_senders_and_then_all_is_well() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = Loop::begin(&folder, Durability::Sync, Retention::default());
    it.store.submit(maker.record("lobby", 1, 1, b"hello"));
    assert_eq!(it.outcomes(1), [Outcome::Stored]);
    fail_disk(&folder.database());
    it.store.submit(maker.record("lobby", 2, 2, b"hello"));
    assert_eq!(it.outcomes(1), [Outcome::Unknown { stored: false }]);
    it.store.submit(maker.record("lobby", 3, 2, b"hello"));
    it.store.submit(maker.record("lobby", 4, 1, b"hello"));
    let repeated = Outcome::Repeated { seq: Seq(1), time: super::time_of(1) };
    assert_eq!(it.outcomes(2), [Outcome::Stored, repeated]);
    assert_eq!((it.store.failure(), it.store.condition().state), (None, StoreState::Well));
    let remarks: Vec<_> = std::iter::from_fn(|| it.store.remark()).collect();
    assert!(remarks.iter().any(|(_, kind, _)| *kind == crate::log::Kind::HistoryBroken));
    it.store.close().unwrap();
}

/// Where the database cannot be opened anew nobody is answered, and the daemon is to end.
#[test]
fn a_sync_that_fails_on_a_database_that_is_gone_is_the_end() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = Loop::begin(&folder, Durability::Sync, Retention::default());
    it.store.submit(maker.record("lobby", 1, 1, b"hello"));
    assert_eq!(it.outcomes(1), [Outcome::Stored]);
    fail_disk(&folder.database());
    std::fs::remove_file(folder.database()).unwrap();
    it.store.submit(maker.record("lobby", 2, 2, b"hello"));
    let why = it.until(DurableStore::failure);
    assert!(why.contains("opened anew"), "{why}");
    let mut answers = Vec::new();
    it.store.answers(&mut answers);
    assert!(answers.is_empty(), "nobody is told anything");
    assert!(it.store.close().is_err());
}

#[test]
fn what_was_submitted_is_stored_before_it_is_closed() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = Loop::begin(&folder, Durability::Write, Retention::default());
    for at in 1..=50 {
        it.store.submit(maker.record("lobby", at, at, b"hello"));
    }
    it.store.close().unwrap();
    let it = Loop::begin(&folder, Durability::Write, Retention::default());
    assert_eq!(it.found.messages, 50);
}

/// Where the disk may forget the latest messages, it has at least the numbers beyond all that anybody saw.
#[test]
fn numbers_that_may_be_forgotten_are_reserved() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = Loop::begin(&folder, Durability::Write, Retention::default());
    it.store.submit(maker.record("lobby", 5, 1, b"hello"));
    it.outcomes(1);
    // As if it were killed: nothing is closed.
    let copy = Folder::new();
    for file in ["history.db", "history.db-wal"] {
        let to = copy.database().with_file_name(file);
        std::fs::copy(folder.database().with_file_name(file), to).unwrap();
    }
    assert!(Loop::begin(&copy, Durability::Write, Retention::default()).found.floor >= Seq(5));
    it.store.close().unwrap();
    let it = Loop::begin(&folder, Durability::Write, Retention::default());
    assert_eq!(it.found.floor, Seq(0), "a clean end knows which numbers were given");
}

#[test]
fn only_what_is_certainly_new_and_has_a_reserved_number_is_delivered_at_once() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let at_once = (Retention::default(), Deliver::AtOnce);
    let mut it = Loop::delivering(&folder, Durability::Sync, at_once.clone());
    it.store.submit(maker.record("lobby", 1, 1, b"hello"));
    assert_eq!(it.outcomes(1), [Outcome::Stored], "no number is reserved yet");
    it.store.submit(maker.record("lobby", 2, 2, b"hello"));
    let mut answers = Vec::new();
    it.store.answers(&mut answers);
    assert_eq!(answers[0].outcome, Outcome::Taken, "in the same turn");
    if answers.len() == 1 {
        assert_eq!(it.outcomes(1), [Outcome::Stored]);
    }
    it.store.submit(maker.record("lobby", 3, 1, b"hello"));
    let repeated = Outcome::Repeated { seq: Seq(1), time: super::time_of(1) };
    assert_eq!(it.outcomes(1), [repeated]);
    it.store.close().unwrap();
    let mut it = Loop::delivering(&folder, Durability::Sync, at_once);
    it.store.submit(maker.record("lobby", 4, 4, b"hello"));
    assert_eq!(it.outcomes(1), [Outcome::Stored]);
    it.store.submit(maker.record("lobby", 5, 2, b"hello"));
    let repeated = Outcome::Repeated { seq: Seq(2), time: super::time_of(2) };
    assert_eq!(it.outcomes(1), [repeated], "also ids of an earlier life are known");
}

#[test]
fn retention_goes_on_beside_the_posts() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = Loop::begin(&folder, Durability::Sync, Retention::default());
    for at in 1..=1_200 {
        it.store.submit(maker.record("lobby", at, at, b"old"));
    }
    it.outcomes(1_200);
    let max_age = Some(Span::from_secs(3_600));
    let usual = Limits { max_age, ..Limits::default() };
    it.store.keep(Retention { usual, ..Retention::default() });
    let through = it.until(|store| {
        // It goes on in steps: who is woken once for several of them looks at all.
        let mut steps = std::iter::from_fn(|| store.pruned());
        steps.find(|pruned| pruned.is_empty).map(|pruned| pruned.through)
    });
    assert_eq!(through, Seq(1_200));
    it.store.submit(maker.record("lobby", 1_201, 1_201, b"new"));
    assert_eq!(it.outcomes(1), [Outcome::Stored]);
    it.store.close().unwrap();
}

#[test]
fn a_history_that_is_damaged_is_not_begun_anew() {
    let folder = Folder::new();
    std::fs::write(folder.database(), "precious").unwrap();
    let state = StateFolder::take(folder.database().parent().unwrap(), false).unwrap();
    let wake: Wake = Arc::new(|| {});
    let opening = Opening::begin(
        state,
        (OPTIONS, Retention::default(), Deliver::Stored),
        MessageId([1; 16]),
        wake,
    );
    let Err(error) = opening.unwrap().wait(DEADLINE) else { panic!("it was opened") };
    assert!(error.to_string().contains("history.db"), "{error}");
    assert_eq!(read(&folder.database()), "precious");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
