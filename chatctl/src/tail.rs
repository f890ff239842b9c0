//! `chatctl tail`: follows rooms, and goes on where it was when the daemon went away and came back, or when it was ended
//! itself and started anew with a cursor file.
//!
//! It keeps the last sequence number of each room. What it missed it lets the daemon replay, holding meanwhile what comes
//! live of that room; (room, seq) tells doubles. What the daemon no longer has is said, and is the exit status. One
//! connection is the business of `following`, the file of `cursor`, programs run by message of `exec`.

mod cursor;
mod exec;
mod following;
mod places;

use crate::args::{Count, Reconnect, Tail};
use crate::ask::{Context, room};
use crate::catching::Catching;
use crate::client::{Client, Event};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::moments;
use crate::reconnect::{self, Backoff};
use crate::signals::Signals;
use crate::voice::Look;
use cursor::Cursor;
use nix::poll::{PollFd, PollFlags};
use places::Places;
use proto::{Now, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// So long the reader of stdout has, after a signal, to take what was begun: what it does not take comes again.
const LAST_WORDS: Span = Span::from_secs(1);

/// `chatctl tail`.
pub fn tail(context: &mut Context, args: &Tail) -> Result<(), Failure> {
    let rooms = args.rooms.iter().map(|name| room(name)).collect::<Result<BTreeSet<_>, _>>()?;
    let start = start(args, &rooms)?;
    exec::check(&args.exec)?;
    let opened = args.cursor_file.as_deref().map(|path| Cursor::open(path, &rooms)).transpose()?;
    let (cursor, position) = opened.map_or((None, None), |(cursor, at)| (Some(cursor), at));
    // Without something to finish a signal may end it at any moment.
    let finishes = cursor.is_some() || !args.exec.is_empty();
    let signals = finishes.then(Signals::new).transpose()?;
    let mut follower = Follower {
        look: look(args, &rooms),
        rooms,
        start,
        places: Places::default(),
        listed: BTreeMap::new(),
        history: None,
        began: position.is_some(),
        end: args.during.map(|span| clock::now().after(span)),
        left: args.count,
        gap: false,
        failed_runs: 0,
        catching: Catching::default(),
        todo: VecDeque::new(),
        bye: None,
        reached: None,
        found: position.is_some(),
        lost: None,
        backoff: Backoff::default(),
        cursor,
        signals,
        context,
        args,
    };
    if let Some(position) = position {
        follower.history = position.history;
        for (room, seq) in position.rooms {
            follower.places.begin(&room, seq);
        }
    }
    let outcome = follower.run();
    follower.finish(outcome)
}

/// Where the first run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Now,
    Last(u32),
    Since(String),
    After(u64),
    All,
}

/// How a stretch of following ended.
enum Ended {
    /// As was wished: enough messages, enough time.
    Done,
    /// A signal waits to be obeyed.
    Signal,
    /// The daemon is gone, for this reason.
    Lost(String),
}

/// One run of `tail`.
struct Follower<'a> {
    context: &'a mut Context,
    args: &'a Tail,
    look: Look,
    rooms: BTreeSet<String>,
    start: Start,
    places: Places,
    /// The last number of each room when following began.
    listed: BTreeMap<String, u64>,
    /// Which history the sequence numbers belong to.
    history: Option<String>,
    /// Whether the beginning is behind: what was asked for first has come.
    began: bool,
    end: Option<Now>,
    left: Option<u64>,
    gap: bool,
    /// How many runs of `--exec` failed.
    failed_runs: u64,
    catching: Catching,
    /// Events that wait for their program.
    todo: VecDeque<Event>,
    bye: Option<String>,
    /// When a daemon has answered first in this run.
    reached: Option<Now>,
    /// Whether this goes on from an earlier connection: then what is missing is owed.
    found: bool,
    /// Since when the daemon is lost.
    lost: Option<Now>,
    /// How long to wait before the daemon is called again.
    backoff: Backoff,
    cursor: Option<Cursor>,
    signals: Option<Signals>,
}

impl Follower<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut client = match self.context.connect() {
            Ok(client) => client,
            // Who says how long to look for the daemon means the beginning as well.
            Err(failure) if failure.exit == Exit::NotReachable && self.args.reconnect.is_some() => {
                match self.find(failure, "no daemon yet")? {
                    Some(client) => client,
                    None => return self.ended(),
                }
            }
            Err(failure) => return Err(failure),
        };
        loop {
            self.signals.as_ref().map_or(Ok(()), Signals::hold)?;
            let ended = self.follow(&mut client)?;
            let reason = match ended {
                Ended::Done => return self.ended(),
                Ended::Signal => return self.obey(&mut client),
                Ended::Lost(reason) => reason,
            };
            match self.hand_out(&mut client)? {
                Some(Ended::Signal) => return self.obey(&mut client),
                Some(_) => return self.ended(),
                None => {}
            }
            // All is in the file: while the daemon is looked for a signal may end this as it likes.
            self.let_go()?;
            let failure = self.context.lost(&client, &reason);
            // A daemon that was never reached is none that was lost.
            if self.reached.is_none() && self.args.reconnect.is_none() {
                return Err(failure);
            }
            let what = if client.has_heard() {
                format!("lost the daemon ({reason})")
            } else {
                failure.to_string()
            };
            match self.find(failure, &what)? {
                Some(found) => client = found,
                None => return self.ended(),
            }
            self.found |= self.began;
        }
    }

    /// The last thing: what is still to be written, and the file.
    fn finish(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        let saved = self.let_go();
        // From here on a reader who takes their time keeps nobody from ending this.
        let flushed = self.context.voice.flush();
        if flushed.is_ok() {
            self.note_all();
        }
        let noted = self.cursor.as_mut().map_or(Ok(()), Cursor::save);
        outcome.and(flushed).and(saved).and(noted)
    }

    /// A signal came: what was begun is finished, as far as the reader of stdout lets it; then the signal has its way.
    fn obey(&mut self, client: &mut Client) -> Result<(), Failure> {
        let until = clock::now().after(LAST_WORDS);
        if self.todo.is_empty() && self.context.hand_out(client, Some(until), &[])? {
            self.note_all();
        }
        self.let_go()?;
        Err(Failure::new(Exit::Refused, "signals", "a signal came, and did nothing"))
    }

    /// Saves the cursor, and lets signals do what they do.
    fn let_go(&mut self) -> Result<(), Failure> {
        let saved = self.cursor.as_mut().map_or(Ok(()), Cursor::save);
        let let_go = self.signals.as_ref().map_or(Ok(()), Signals::let_go);
        saved.and(let_go)
    }

    /// Writes what was gathered; something ends it where the time is over or a signal came before all was written.
    fn hand_out(&mut self, client: &mut Client) -> Result<Option<Ended>, Failure> {
        let others: Vec<_> = self.signals.iter().map(Signals::descriptor).collect();
        if self.context.hand_out(client, self.end, &others)? {
            self.note_all();
            return Ok(None);
        }
        let over = self.end.is_some_and(|end| clock::now() >= end);
        Ok(Some(if over { Ended::Done } else { Ended::Signal }))
    }

    /// All that was seen has been handed on, unless a program waits for its turn.
    fn note_all(&mut self) {
        let exact = self.is_exact() && self.todo.is_empty();
        let Some(cursor) = &mut self.cursor else { return };
        let now = clock::now();
        if exact {
            cursor.note(now, self.history.as_deref(), &self.places.all());
        }
        self.save_in_time(now);
    }

    /// From here on everything is owed, whatever ends this: the file says so before the first message is handed on.
    fn note_beginning(&mut self) {
        let Some(cursor) = &mut self.cursor else { return };
        let now = clock::now();
        cursor.note(now, self.history.as_deref(), &self.places.bases());
        if let Err(failure) = cursor.save() {
            self.cannot_keep(&failure);
        }
    }

    fn cannot_keep(&self, failure: &Failure) {
        let text = format!("{failure}; where this is cannot be kept for now");
        self.context.voice.say("cursor", &text);
    }

    /// The program for this event has had it.
    fn note_one(&mut self, event: &Event) {
        let exact = self.is_exact();
        let Some(cursor) = &mut self.cursor else { return };
        let now = clock::now();
        if let Some((room, seq)) = event.text("room").zip(event.number("seq")).filter(|_| exact) {
            cursor.note(now, self.history.as_deref(), &BTreeMap::from([(room.to_owned(), seq)]));
        }
        self.save_in_time(now);
    }

    /// Whether the places say all that another run must know. Before the beginning is behind a room of which nothing
    /// has come has none yet.
    fn is_exact(&self) -> bool {
        match self.start {
            _ if self.began => true,
            Start::After(_) | Start::All => true,
            _ => !self.rooms.is_empty() && self.rooms.iter().all(|room| self.places.has(room)),
        }
    }

    fn save_in_time(&mut self, now: Now) {
        let Some(cursor) = &mut self.cursor else { return };
        if let Err(failure) = cursor.save_in_time(now) {
            self.cannot_keep(&failure);
        }
    }

    /// The wished end has come: what is the exit status?
    fn ended(&self) -> Result<(), Failure> {
        if let (None, Some(during)) = (self.reached, self.args.during) {
            let waited = moments::span_shown(during.as_micros());
            let message = format!("no answer from {} within {waited}", self.context.server);
            return Err(Failure::timed_out(message));
        }
        if self.gap {
            let message = "messages were missed, or may have been, as is said above";
            return Err(Failure::new(Exit::HistoryGap, "gap", message));
        }
        if self.failed_runs > 0 {
            let message =
                format!("runs of --exec that failed: {}, as is said above", self.failed_runs);
            return Err(Failure::new(Exit::Refused, "exec", message));
        }
        match self.left {
            Some(left) if left > 0 => {
                let wanted = self.args.count.unwrap_or(left);
                let got = wanted.saturating_sub(left);
                Err(Failure::timed_out(format!("{got} of {wanted} messages came in time")))
            }
            _ => Ok(()),
        }
    }

    /// Looks for the daemon until it is found; `None` where the time to follow ends before.
    fn find(&mut self, failure: Failure, what: &str) -> Result<Option<Client>, Failure> {
        if self.args.reconnect == Some(Reconnect::Never) {
            return Err(failure);
        }
        let began = if let Some(began) = self.lost {
            began
        } else {
            self.context.voice.say("lost", &format!("{what}; looking for it"));
            *self.lost.insert(clock::now())
        };
        let within = match self.args.reconnect.unwrap_or(Reconnect::Forever) {
            Reconnect::Never | Reconnect::Forever => None,
            Reconnect::Within(span) => Some(began.after(span)),
        };
        let until = [within, self.end].into_iter().flatten().min();
        let mut backoff = self.backoff;
        let known = failure.clone();
        let mut pause = |next| self.pause(next);
        let found = reconnect::call_again(&mut backoff, known, until, &mut pause, &mut || {
            self.context.connect()
        });
        self.backoff = backoff;
        let is_over = self.end.is_some_and(|end| clock::now() >= end);
        match found {
            Ok(client) => Ok(Some(client)),
            Err(last) if last.exit != Exit::NotReachable || last.silent => Err(last),
            Err(_) if is_over && self.reached.is_some() => Ok(None),
            // How it was lost says more than why it cannot be called.
            Err(_) => Err(failure),
        }
    }

    /// Waits until then; ends quietly where the reader of stdout goes away meanwhile.
    fn pause(&self, until: Now) -> Result<(), Failure> {
        let mut fds = [PollFd::new(self.context.voice.descriptor(), PollFlags::empty())];
        crate::client::poll(&mut fds, Some(until.since(clock::now())))
            .map_err(|error| Failure::unreachable(error.to_string()))?;
        if self.context.voice.is_deserted() { Err(Failure::quiet()) } else { Ok(()) }
    }
}

/// Where to begin, if nothing is known from an earlier run.
fn start(args: &Tail, rooms: &BTreeSet<String>) -> Result<Start, Failure> {
    if let Some(after) = args.after {
        if rooms.len() != 1 {
            return Err(Failure::usage("--after is a place in one room: name that room"));
        }
        return Ok(Start::After(after));
    }
    if let Some(since) = &args.since {
        let moment = moments::moment(since, &clock::wall());
        let moment = moment.map_err(|why| Failure::usage(format!("--since: {why}")))?;
        return Ok(Start::Since(moments::rfc3339(moment)));
    }
    Ok(match args.number {
        Count::All => Start::All,
        Count::Some(0) => Start::Now,
        Count::Some(last) => Start::Last(last),
    })
}

fn look(args: &Tail, rooms: &BTreeSet<String>) -> Look {
    match (args.raw, rooms.len()) {
        (true, _) => Look::Raw,
        (false, 1) => Look::Line,
        (false, _) => Look::LineWithRoom,
    }
}
