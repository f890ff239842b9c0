//! The two threads of the history: one writes, one reads. They wait for the disk, so that the loop does not.
//!
//! The writer takes whatever waits into one transaction, and sends what became of it back as one batch. Between two batches, and each
//! second where there is nothing to do, it tends the database. When a commit breaks, it opens the database anew and finds out what is
//! stored; where that cannot be done, it says so and ends, and the process with it: what is in memory and was never written must not be
//! taken for what is on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hub::{Answer, Durability, Fetch, Fetched, Level, Outcome, Pruned, Record, StoreState};
use nix::sys::statvfs::statvfs;
use proto::{MessageId, Now, Seq, Span};

use super::durable::{Deliver, Found, StartError, Wake};
use super::fault::CommitError;
use super::figures::{Figures, Latencies};
use super::filter::Filter;
use super::{Opened, Options, Reader, Retention, Writer, open, size};
use crate::clock::Clock;
use crate::log::Kind;

/// A transaction has at most so many messages.
const BATCH_MESSAGES_MAX: usize = 4_096;
/// And at most about so many bytes of content.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How often the database is tended where nobody posts.
const TICK: Duration = Duration::from_secs(1);
/// How often something is tried on a disk that was full.
const TRY_EVERY: Span = Span::from_millis(250);
/// As much of the disk is to be free, or posts are refused: a smaller disk is asked for an eighth of it.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// A step of retention takes at most so many messages.
const PRUNED_AT_ONCE: usize = 500;
/// How often it is said that the disk is full.
const COMPLAIN_EVERY: Span = Span::from_secs(60);
/// Numbers are reserved so many at once.
const RESERVED_AT_ONCE: u64 = 65_536;

/// What the writer is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// A message is to be stored.
    Store(Record),
    /// Messages are to be kept so long from now on.
    Keep(Retention),
}

/// What a thread says to the loop.
#[derive(Debug)]
pub(super) enum Said {
    /// What became of posts.
    Answers(Vec<Answer>),
    /// A page was found.
    Fetched(Fetched),
    /// Retention took something.
    Pruned(Pruned),
    /// For the log.
    Remark(Level, Kind, String),
    /// The process is to end.
    Failed(String),
}

/// A thread's ends of what leads to the loop.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) says: Sender<Said>,
    pub(super) wake: Wake,
    pub(super) figures: Arc<Figures>,
}

impl Ends {
    /// A loop that is gone hears nothing, and needs not.
    fn say(&self, said: Said) {
        let _ = self.says.send(said);
        (self.wake)();
    }

    fn remark(&self, level: Level, kind: Kind, text: String) {
        self.say(Said::Remark(level, kind, text));
    }
}

/// Says so where its thread panics: nobody would hear of it otherwise, and posts would wait for ever. What ships ends at once.
struct Watched(Ends);

impl Drop for Watched {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.say(Said::Failed("a thread of the history panicked".to_owned()));
        }
    }
}

/// Starts a thread.
pub(super) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// What is said once the history is open: what was found, the thread that reads, and all ids, where these are needed.
pub(super) type Start = Result<(Found, JoinHandle<()>, Option<Filter>), StartError>;

/// The writer's thread, from opening to closing.
pub(super) fn write(
    (path, options, fresh): (&Path, Options, MessageId),
    (retention, deliver): (Retention, Deliver),
    tasks: &Receiver<Task>,
    fetches: Receiver<Fetch>,
    opened: &Sender<Start>,
    ends: Ends,
) {
    let _watched = Watched(ends.clone());
    let clock = Clock::start();
    let start = open(path, options, fresh).map_err(StartError::Open).and_then(|opened| {
        let mut reader = Reader::open(path).map_err(StartError::Open)?;
        let mut ids = (deliver == Deliver::AtOnce).then(|| Filter::for_ids(opened.writer.count()));
        if let Some(ids) = &mut ids {
            let add = |id| {
                // Each of them is new to a filter that is.
                ids.add(id);
            };
            reader.ids(add).map_err(StartError::Open)?;
        }
        let reading = ends.clone();
        let work = move || read(reader, &fetches, &reading);
        let reader = spawn("history-reader", work).map_err(StartError::Thread)?;
        Ok((opened, reader, ids))
    });
    let (writer, found) = match start {
        Err(error) => return drop(opened.send(Err(error))),
        Ok((Opened { writer, history, rooms, floor, unknown }, reader, ids)) => {
            let messages = writer.count();
            ends.figures.set_reserved(floor);
            (writer, (Found { history, rooms, floor, unknown, messages }, reader, ids))
        }
    };
    let mut work = Writing {
        path: path.to_owned(),
        retention,
        prunes: false,
        // Numbers are known to others before the disk has them.
        reserves: options.durability == Durability::Write || deliver == Deliver::AtOnce,
        ends,
        clock,
        latencies: Latencies::default(),
        state: StoreState::Well,
        tried: clock.now(),
        refusals: Refusals::default(),
        ticked: None,
    };
    work.look_at_disk();
    if opened.send(Ok(found)).is_err() {
        return;
    }
    if let Err(why) = work.serve(writer, tasks) {
        work.ends.say(Said::Failed(why));
    }
}

/// The reader's thread: one page after the other.
fn read(mut reader: Reader, asked: &Receiver<Fetch>, ends: &Ends) {
    let _watched = Watched(ends.clone());
    for fetch in asked {
        let fetched = reader.fetch(&fetch);
        for complaint in reader.complaints() {
            ends.remark(Level::Error, Kind::HistoryDamaged, complaint);
        }
        ends.say(Said::Fetched(fetched));
    }
}

/// What the writer's thread knows.
struct Writing {
    path: PathBuf,
    retention: Retention,
    /// Retention has perhaps more to take.
    prunes: bool,
    /// Numbers are known to others before the disk has them: they are reserved there.
    reserves: bool,
    ends: Ends,
    clock: Clock,
    latencies: Latencies,
    state: StoreState,
    /// When something was tried last on a disk that was full.
    tried: Now,
    refusals: Refusals,
    /// When the disk was looked at last.
    ticked: Option<Now>,
}

/// Posts that are refused: told of at once, and from then on once in [`COMPLAIN_EVERY`].
#[derive(Default)]
struct Refusals {
    told: Option<Now>,
    /// How many there were since.
    untold: u64,
}

impl Refusals {
    /// So many more; how many are to be told of now, if it is time.
    fn add(&mut self, count: u64, now: Now) -> Option<u64> {
        self.untold = self.untold.saturating_add(count);
        if self.told.is_some_and(|at| now.since(at) < COMPLAIN_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

/// Why the process is to end.
type Failure = String;

impl Writing {
    /// Stores what comes until nothing can come any more, and closes the database then.
    fn serve(&mut self, mut writer: Writer, tasks: &Receiver<Task>) -> Result<(), Failure> {
        let mut batch = Vec::new();
        self.tick();
        loop {
            let patience = if self.prunes { Duration::ZERO } else { TICK };
            let over = match tasks.recv_timeout(patience) {
                Ok(task) => {
                    self.gather(task, tasks, &mut batch);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if !batch.is_empty() {
                writer = self.store(writer, &batch)?;
                batch.clear();
            }
            if over {
                break;
            }
            let due = self.tick();
            writer = match self.tend(&mut writer, due) {
                Ok(()) | Err(CommitError::Full) => writer,
                Err(error) => self.mend(writer, &error, &[])?,
            };
        }
        writer
            .close()
            .map_err(|error| format!("the history is not closed as it should be: {error}"))
    }

    /// Stores a batch, and says what became of it.
    fn store(&mut self, mut writer: Writer, batch: &[Record]) -> Result<Writer, Failure> {
        assert!(!batch.is_empty(), "an empty transaction is none");
        let begun = self.clock.now();
        if self.state == StoreState::Full {
            if begun.since(self.tried) < TRY_EVERY || !self.has_room() {
                self.refuse(&mut writer, batch, &CommitError::Full);
                return Ok(writer);
            }
            self.tried = begun;
        }
        let done = self.reserve(&mut writer, batch).and_then(|()| writer.commit(batch));
        match done {
            Ok(outcomes) => {
                let is_first = self.latencies.is_empty();
                self.latencies.add(self.clock.now().since(begun));
                if is_first {
                    // Who asks before the next look at the disk is told of a commit.
                    self.ends.figures.set_commits(&self.latencies);
                }
                self.is_well();
                self.answer(batch, outcomes.into_iter());
                Ok(writer)
            }
            Err(CommitError::Full) => {
                self.tried = self.clock.now();
                self.set_state(StoreState::Full);
                self.refuse(&mut writer, batch, &CommitError::Full);
                Ok(writer)
            }
            Err(error) => self.mend(writer, &error, batch),
        }
    }

    /// Reserves the numbers of a batch and many more, where that is needed.
    fn reserve(&self, writer: &mut Writer, batch: &[Record]) -> Result<(), CommitError> {
        let Some(last) = batch.iter().map(|record| record.seq).max().filter(|_| self.reserves)
        else {
            return Ok(());
        };
        let reserved = self.ends.figures.reserved();
        // The next block is there before this one ends, so that whoever needs a number that is reserved has one.
        if last.0.saturating_add(RESERVED_AT_ONCE / 2) <= reserved.0 {
            return Ok(());
        }
        let through = Seq(last.0.saturating_add(RESERVED_AT_ONCE));
        assert!(through > reserved, "what is reserved only grows");
        writer.reserve(through)?;
        self.ends.figures.set_reserved(through);
        Ok(())
    }

    /// Does what an error asks for that is no full disk. The batch is answered.
    fn mend(
        &mut self,
        mut writer: Writer,
        error: &CommitError,
        batch: &[Record],
    ) -> Result<Writer, Failure> {
        self.set_state(StoreState::Broken);
        if matches!(error, CommitError::Damaged(_)) {
            self.refuse(&mut writer, batch, error);
            return Ok(writer);
        }
        self.ends.remark(Level::Error, Kind::HistoryBroken, format!("{error}; it is opened anew"));
        let failed = |what: &dyn std::fmt::Display| format!("{error}; opened anew: {what}");
        let mut writer = writer.reopen().map_err(|error| failed(&error))?;
        let found = writer.find(batch).map_err(|error| failed(&error))?;
        let outcomes = found.into_iter().map(|stored| Outcome::Unknown { stored });
        self.answer(batch, outcomes);
        self.is_well();
        Ok(writer)
    }

    fn answer(&self, batch: &[Record], outcomes: impl Iterator<Item = Outcome>) {
        let tickets = batch.iter().map(|record| record.ticket);
        let answers: Vec<Answer> =
            tickets.zip(outcomes).map(|(ticket, outcome)| Answer { ticket, outcome }).collect();
        assert_eq!(answers.len(), batch.len(), "each message has its answer");
        if !answers.is_empty() {
            self.ends.say(Said::Answers(answers));
        }
    }

    /// Nothing of a batch can be stored: what was stored before is told of again, and all else is refused.
    fn refuse(&mut self, writer: &mut Writer, batch: &[Record], why: &CommitError) {
        // Where not even that can be found out, nobody is told anything.
        let unknown = |_| batch.iter().map(|_| Outcome::Unknown { stored: false }).collect();
        let outcomes: Vec<Outcome> = writer.look_up(batch).unwrap_or_else(unknown);
        let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::Refused).count();
        self.answer(batch, outcomes.into_iter());
        let Some(count) = self.refusals.add(refused as u64, self.clock.now()) else { return };
        let path = self.path.display();
        let (kind, text) = match why {
            CommitError::Full => {
                let free = free(&self.path).map_or(0, |disk| disk.free) >> 20;
                let text =
                    format!("the disk of {path} is full ({free} MiB free): {count} posts refused");
                (Kind::HistoryFull, text)
            }
            CommitError::Broken(_) | CommitError::Damaged(_) => {
                (Kind::HistoryBroken, format!("{path}: {why}: {count} posts refused"))
            }
        };
        self.ends.remark(Level::Error, kind, text);
    }

    fn is_well(&mut self) {
        if self.state == StoreState::Well {
            return;
        }
        self.set_state(StoreState::Well);
        let refused = std::mem::take(&mut self.refusals).untold;
        let more =
            if refused > 0 { format!("; {refused} more were refused") } else { String::new() };
        let text = format!("posts are stored again{more}");
        self.ends.remark(Level::Info, Kind::HistoryWell, text);
    }

    fn set_state(&mut self, state: StoreState) {
        if self.state != state {
            // Who looks for the reason finds it.
            self.look_at_disk();
        }
        self.state = state;
        self.ends.figures.set_state(state);
    }

    /// Whether a disk that was full has room again.
    fn has_room(&self) -> bool {
        free(&self.path).is_none_or(|disk| disk.free >= FREE_BYTES_MIN.min(disk.all / 8))
    }

    /// What is done between two batches: a little, so that the next one does not wait long.
    fn tend(&mut self, writer: &mut Writer, due: bool) -> Result<(), CommitError> {
        writer.tend()?;
        if !due && !self.prunes {
            return Ok(());
        }
        // Should it fail, it is tried again a second later.
        self.prunes = false;
        let pruned = writer.prune(&self.retention, Clock::wall(), PRUNED_AT_ONCE)?;
        self.prunes = !pruned.is_empty();
        for pruned in pruned {
            self.ends.say(Said::Pruned(pruned));
        }
        Ok(())
    }

    /// Looks at the disk once a second; whether it was time. A disk is full before its last bytes are taken: what must be written to
    /// make room again, and others on it, have some left.
    fn tick(&mut self) -> bool {
        let now = self.clock.now();
        let tick = Span::from_micros(u64::try_from(TICK.as_micros()).unwrap_or(u64::MAX));
        if self.ticked.is_some_and(|at| now.since(at) < tick) {
            return false;
        }
        self.ticked = Some(now);
        self.look_at_disk();
        match self.state {
            StoreState::Full if self.has_room() => self.is_well(),
            StoreState::Well if !self.has_room() => self.set_state(StoreState::Full),
            StoreState::None | StoreState::Well | StoreState::Full | StoreState::Broken => {}
        }
        true
    }

    /// Takes what waits into one batch.
    fn gather(&mut self, first: Task, tasks: &Receiver<Task>, batch: &mut Vec<Record>) {
        assert!(batch.is_empty(), "a batch is stored before the next");
        let mut bytes = 0;
        let mut task = Some(first);
        while let Some(taken) = task {
            match taken {
                Task::Store(record) => {
                    bytes += record.content.len();
                    batch.push(record);
                }
                Task::Keep(retention) => {
                    self.retention = retention;
                    self.prunes = true;
                }
            }
            if batch.len() >= BATCH_MESSAGES_MAX || bytes >= BATCH_BYTES_MAX {
                break;
            }
            task = tasks.try_recv().ok();
        }
    }

    fn look_at_disk(&self) {
        let free = free(&self.path).map_or(0, |disk| disk.free);
        self.ends.figures.set_disk(size(&self.path).unwrap_or(0), free);
        self.ends.figures.set_commits(&self.latencies);
    }
}

/// How large a disk is, and how much of it we may still take.
struct Disk {
    all: u64,
    free: u64,
}

fn free(path: &Path) -> Option<Disk> {
    let found = statvfs(path.parent()?).ok()?;
    let unit = found.fragment_size();
    Some(Disk {
        all: found.blocks().saturating_mul(unit),
        free: found.blocks_available().saturating_mul(unit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_of_at_once_and_then_once_a_minute() {
        let mut refusals = Refusals::default();
        let told: Vec<(u64, u64)> = (0..=150)
            .filter_map(|second| {
                Some((second, refusals.add(2, Now::from_micros(second * 1_000_000))?))
            })
            .collect();
        assert_eq!(told, [(0, 2), (60, 120), (120, 120)]);
        assert_eq!(refusals.untold, 60, "for who says that all is well again");
    }
}
