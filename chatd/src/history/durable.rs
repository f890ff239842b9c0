//! The loop's side of the history on disk: what it submits and asks goes to two threads, what they say comes back, and nothing here
//! waits. The loop is woken for it.
//!
//! How much may wait is the hub's to bound: it stops reading those who talk, and asks for so many pages at once.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hub::{
    Answer, Condition, Fetch, Fetched, KeptRoom, Level, Outcome, Pruned, Record, StoreState,
};
use proto::{MessageId, Seq};

use super::figures::Figures;
use super::filter::Filter;
use super::lock::StateFolder;
use super::threads::{self, Said, Task};
use super::{OpenError, Options, Retention};
use crate::log::Kind;
use crate::turn::Store;

/// More than the hub lets wait for the store.
const POSTS_MAX: usize = 10_000;
/// More than it asks for at once.
const FETCHES_MAX: usize = 16;

/// When a message is delivered to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deliver {
    /// When it is stored.
    #[default]
    Stored,
    /// When it was taken, where its id is certainly new and its number is never given again.
    AtOnce,
}

/// Wakes the loop.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What was found when the history was opened.
#[derive(Debug)]
pub struct Found {
    /// Names its sequence numbers.
    pub history: MessageId,
    /// All rooms of which something is known.
    pub rooms: Vec<KeptRoom>,
    /// No number up to this one may be given again in any room.
    pub floor: Seq,
    /// No room that is forgotten had a higher number.
    pub unknown: Seq,
    /// How many messages there are.
    pub messages: u64,
}

impl Found {
    /// Nothing was kept, and what will be is named so.
    pub const fn nothing(history: MessageId) -> Self {
        Self { history, rooms: Vec::new(), floor: Seq(0), unknown: Seq(0), messages: 0 }
    }
}

/// Why there is no history.
#[derive(Debug)]
pub enum StartError {
    /// It cannot be opened.
    Open(OpenError),
    /// A thread cannot be started.
    Thread(io::Error),
    /// The thread that opens it is gone: a bug of ours.
    Gone,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start a thread for the history: {error}"),
            Self::Gone => f.write_str("the thread that opens the history is gone"),
        }
    }
}

impl std::error::Error for StartError {}

/// A history that is being opened, which may take long.
pub struct Opening {
    opened: Receiver<threads::Start>,
    store: DurableStore,
}

impl Opening {
    /// Begins to open the history of this folder, or to make it and name it `fresh`.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn begin(
        folder: StateFolder,
        (options, retention, deliver): (Options, Retention, Deliver),
        fresh: MessageId,
        wake: Wake,
    ) -> Result<Self, StartError> {
        let (tasks, taken) = channel();
        let (fetches, asked) = channel();
        let (says, said) = channel();
        let (opens, opened) = channel();
        let figures = Arc::new(Figures::default());
        let ends = threads::Ends { says, wake, figures: Arc::clone(&figures) };
        let path = folder.database();
        let work = move || {
            threads::write(
                (&path, options, fresh),
                (retention, deliver),
                &taken,
                asked,
                &opens,
                ends,
            );
        };
        let writer = threads::spawn("history", work).map_err(StartError::Thread)?;
        let store = DurableStore {
            tasks: Some(tasks),
            fetches: Some(fetches),
            said,
            figures,
            threads: vec![writer],
            ids: None,
            posts: 0,
            fetching: 0,
            answers: Vec::new(),
            fetched: VecDeque::new(),
            pruned: VecDeque::new(),
            remarks: VecDeque::new(),
            failure: None,
            _folder: folder,
        };
        Ok(Self { opened, store })
    }

    /// Waits so long for it; this itself where it takes longer.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn wait(
        mut self,
        most: Duration,
    ) -> Result<Result<(DurableStore, Found), Self>, StartError> {
        match self.opened.recv_timeout(most) {
            Ok(Ok((found, reader, ids))) => {
                self.store.threads.insert(0, reader);
                self.store.ids = ids;
                Ok(Ok((self.store, found)))
            }
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(Err(self)),
            Err(RecvTimeoutError::Disconnected) => Err(StartError::Gone),
        }
    }
}

/// See the module.
pub struct DurableStore {
    /// To the writer; none once it is to end.
    tasks: Option<Sender<Task>>,
    /// To the reader; none once it is to end.
    fetches: Option<Sender<Fetch>>,
    said: Receiver<Said>,
    figures: Arc<Figures>,
    /// The reader and then the writer: who closes the database is the last.
    threads: Vec<JoinHandle<()>>,
    /// All that are known, where messages are delivered before they are stored.
    ids: Option<Filter>,
    /// Posts without their answer.
    posts: usize,
    /// Pages that were asked for and have not come.
    fetching: usize,
    answers: Vec<Answer>,
    fetched: VecDeque<Fetched>,
    pruned: VecDeque<Pruned>,
    remarks: VecDeque<(Level, Kind, String)>,
    failure: Option<String>,
    /// Ours until everything of it is closed.
    _folder: StateFolder,
}

impl DurableStore {
    /// Why nothing can be trusted any more: the process is to end, and nobody is to be answered.
    pub fn failure(&mut self) -> Option<String> {
        self.take();
        self.failure.clone()
    }

    /// Stores what was submitted and closes the database. It waits for the disk: the loop is over.
    ///
    /// # Errors
    /// What could not be done; nothing that was acknowledged is lost.
    pub fn close(mut self) -> Result<Vec<(Level, Kind, String)>, String> {
        self.fetches = None;
        self.tasks = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                return Err("a thread of the history panicked".to_owned());
            }
        }
        self.take();
        match self.failure {
            None => Ok(self.remarks.into()),
            Some(failure) => Err(failure),
        }
    }

    /// Takes what the threads have said.
    fn take(&mut self) {
        loop {
            match self.said.try_recv() {
                Ok(Said::Answers(answers)) => {
                    assert!(answers.len() <= self.posts, "each post is answered once");
                    self.posts -= answers.len();
                    self.answers.extend(answers);
                }
                Ok(Said::Fetched(fetched)) => {
                    assert!(self.fetching > 0, "each question is answered once");
                    self.fetching -= 1;
                    self.fetched.push_back(fetched);
                }
                Ok(Said::Pruned(pruned)) => self.pruned.push_back(pruned),
                Ok(Said::Remark(level, kind, text)) => {
                    self.remarks.push_back((level, kind, text));
                }
                Ok(Said::Failed(why)) => self.failure = Some(why),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    if self.tasks.is_some() && self.failure.is_none() {
                        self.failure = Some("the threads of the history are gone".to_owned());
                    }
                    return;
                }
            }
        }
    }
}

impl Store for DurableStore {
    fn submit(&mut self, record: Record) {
        // Each id is noted, also where nothing is said at once.
        let is_new = self.ids.as_mut().is_some_and(|ids| ids.add(record.message_id));
        if is_new
            && record.seq <= self.figures.reserved()
            && self.figures.condition().state == StoreState::Well
        {
            self.answers.push(Answer { ticket: record.ticket, outcome: Outcome::Taken });
        }
        self.posts += 1;
        assert!(self.posts <= POSTS_MAX, "the hub bounds what waits for the store");
        // A thread that is gone is noticed after the turn, which ends the process: nobody is answered.
        let _ = self.tasks.as_ref().expect("the loop is not over").send(Task::Store(record));
    }

    fn answers(&mut self, into: &mut Vec<Answer>) {
        self.take();
        if self.failure.is_none() {
            into.append(&mut self.answers);
        }
    }

    fn fetch(&mut self, fetch: Fetch) {
        self.fetching += 1;
        assert!(self.fetching <= FETCHES_MAX, "the hub bounds what is asked for at once");
        let _ = self.fetches.as_ref().expect("the loop is not over").send(fetch);
    }

    fn fetched(&mut self) -> Option<Fetched> {
        self.take();
        self.fetched.pop_front()
    }

    fn pruned(&mut self) -> Option<Pruned> {
        self.take();
        self.pruned.pop_front()
    }

    fn remark(&mut self) -> Option<(Level, Kind, String)> {
        self.take();
        self.remarks.pop_front()
    }

    fn keep(&mut self, retention: Retention) {
        let _ = self.tasks.as_ref().expect("the loop is not over").send(Task::Keep(retention));
    }

    fn condition(&self) -> Condition {
        self.figures.condition()
    }
}
