//! `chatctl import`: posts messages that are lines of JSON, in their order, each under its own id.
//!
//! The id makes it safe to do again, after a lost connection or as a whole: what is there already is not added again. Numbers,
//! times and the author are the daemon's to say, so that nobody can forge another's words or change what was said when.

mod line;

use crate::args::Import;
use crate::ask::Context;
use crate::client::{Client, Fields, Happening, Refusal};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::input::{Cut, Input, Piece};
use crate::progress::{Progress, Work};
use crate::reconnect::Backoff;
use crate::send::speaker::Speaker;
use crate::send::{message_limit, opened};
use line::{Post, understand};
use nix::poll::PollFlags;
use proto::Now;
use serde_json::Value;
use std::collections::VecDeque;

/// How many messages, and how many bytes of them, may wait for their answers at once: what a connection may say in the time that
/// `--timeout` usually gives.
const UNANSWERED_MAX: usize = 64;
const UNANSWERED_BYTES_MAX: usize = 1 << 20;

/// What a line may have beside six times its content: names, an id, a time.
const LINE_BYTES_MORE: usize = 4 << 10;

/// What is to be done where it could not be finished.
const AGAIN: &str = "import it again: what is there already is not added again";

/// `chatctl import`.
pub fn import(context: &mut Context, args: &Import) -> Result<(), Failure> {
    let path = args.file.as_deref().filter(|path| path.as_os_str() != "-");
    let source = opened(path)?;
    let size = source.metadata().ok().filter(std::fs::Metadata::is_file).map(|about| about.len());
    let mut client = context.connect()?;
    let (speaker, hello) = Speaker::greet(context, &mut client)?;
    let limit = message_limit(&hello);
    let lines = limit.saturating_mul(6).saturating_add(LINE_BYTES_MORE);
    let progress = Progress::new(&context.flags, Work::Import, size);
    let mut importer = Importer {
        name: path.map_or("stdin".to_owned(), |path| path.display().to_string()),
        context,
        speaker,
        limit,
        input: Input::new(source, Cut::At(b'\n'), lines),
        progress,
        bytes: 0,
        line: 0,
        next: None,
        unanswered: VecDeque::new(),
        stored: 0,
        refused: 0,
        lost: None,
        backoff: Backoff::default(),
        stopped: None,
    };
    importer.run(&mut client)
}

/// A message that has no answer yet.
struct Waiting {
    line: u64,
    post: Post,
}

/// One run of `import`.
struct Importer<'a> {
    context: &'a mut Context,
    /// What is read, for people.
    name: String,
    speaker: Speaker,
    limit: usize,
    input: Input,
    progress: Progress,
    /// How much has been read, of how many lines.
    bytes: u64,
    line: u64,
    /// A message whose id still waits for an answer: it is there twice.
    next: Option<Waiting>,
    unanswered: VecDeque<Waiting>,
    stored: u64,
    refused: u64,
    /// Since the daemon is gone: until when it is looked for.
    lost: Option<Now>,
    /// How long to wait before it is called again.
    backoff: Backoff,
    /// Why nothing more is posted.
    stopped: Option<Failure>,
}

impl Importer<'_> {
    fn run(&mut self, client: &mut Client) -> Result<(), Failure> {
        loop {
            self.fill(client)?;
            let is_read = self.stopped.is_some() || self.input.is_done() && self.next.is_none();
            if self.unanswered.is_empty() && is_read {
                return self.ended();
            }
            self.wait(client)?;
            self.listen(client)?;
            self.context.voice.flush()?;
            let told = format!("{} imported, {} refused", self.stored, self.refused);
            self.progress.at(self.bytes, told);
        }
    }

    fn ended(&mut self) -> Result<(), Failure> {
        let Self { stored, refused, .. } = *self;
        let told = format!("messages imported: {stored}, lines refused: {refused}");
        self.progress.aside(|| self.context.voice.say("imported", &told));
        match self.stopped.take() {
            Some(failure) => Err(advised(failure)),
            None if refused > 0 => {
                let message = format!(
                    "lines that were refused, as is said above: {refused} of {}",
                    self.line
                );
                Err(Failure::new(Exit::Refused, "refused", message))
            }
            None => Ok(()),
        }
    }

    fn has_room(&self) -> bool {
        let bytes: usize = self.unanswered.iter().map(|waiting| waiting.post.bytes).sum();
        self.unanswered.len() < UNANSWERED_MAX && bytes < UNANSWERED_BYTES_MAX
    }

    /// Posts what was read, as long as there is room for more answers.
    fn fill(&mut self, client: &mut Client) -> Result<(), Failure> {
        while self.stopped.is_none() && self.has_room() {
            let waiting = match self.next.take() {
                Some(waiting) => waiting,
                None => match self.input.take() {
                    Some(piece) => match self.understood(piece) {
                        Some(waiting) => waiting,
                        None => continue,
                    },
                    None => return Ok(()),
                },
            };
            // An id has one answer at a time.
            if self.unanswered.iter().any(|other| other.post.id == waiting.post.id) {
                self.next = Some(waiting);
                return Ok(());
            }
            let deadline = self.context.deadline();
            let is_lost = client.is_lost();
            if !is_lost {
                self.post(client, &waiting, deadline);
            }
            self.unanswered.push_back(waiting);
            if is_lost {
                self.again(client, "it went away between two messages")?;
            }
        }
        Ok(())
    }

    /// The message of a line, if it has one.
    fn understood(&mut self, piece: Piece) -> Option<Waiting> {
        self.line += 1;
        let line = self.line;
        let read = match piece {
            Piece::Message(text) => {
                self.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX) + 1;
                if text.trim_ascii().is_empty() {
                    return None;
                }
                understand(&text, self.limit).map_err(|why| ("bad_line", why))
            }
            Piece::TooLong { bytes, .. } => {
                self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX) + 1;
                Err(("too_large", "it is too long to be a message".to_owned()))
            }
        };
        match read {
            Ok(post) => Some(Waiting { line, post }),
            Err((code, why)) => {
                self.no(line, &Failure::new(Exit::Refused, code, why));
                None
            }
        }
    }

    fn post(&self, client: &mut Client, waiting: &Waiting, deadline: Now) {
        let mut fields = waiting.post.fields.clone();
        if let Some(nick) = self.speaker.spoken_for() {
            fields.insert("nick".to_owned(), Value::from(nick));
        }
        client.ask_as(&waiting.post.id, "post", fields, deadline);
    }

    fn wait(&mut self, client: &mut Client) -> Result<(), Failure> {
        let is_hungry = self.stopped.is_none() && self.next.is_none() && self.has_room();
        let ready = {
            let source = self.input.descriptor().filter(|_| is_hungry);
            let others: Vec<_> = source.iter().map(|fd| (*fd, PollFlags::POLLIN)).collect();
            client.step(clock::now(), None, &others)
        };
        let ready = ready.map_err(|error| Failure::unreachable(error.to_string()))?;
        if ready.first().is_some_and(|flags| !flags.is_empty()) {
            self.input.read().map_err(|error| advised(Failure::file(&self.name, &error)))?;
        }
        client.expire(clock::now());
        Ok(())
    }

    fn listen(&mut self, client: &mut Client) -> Result<(), Failure> {
        let mut lost = None;
        while let Some(happening) = client.take() {
            match happening {
                Happening::Replied(id, Ok(reply)) => self.stored(&id, reply)?,
                Happening::Replied(_, Err(refusal)) if refusal.code == "shutting_down" => {
                    lost = Some(refusal.message);
                }
                Happening::Replied(id, Err(refusal)) => self.refused(&id, refusal),
                Happening::TimedOut(_) => return Err(advised(self.context.no_answer())),
                Happening::Complaint(refusal) => return Err(advised(refusal.into())),
                Happening::Lost { reason, .. } => lost = Some(reason),
                Happening::Event(_) => {}
            }
        }
        match lost {
            // Where nothing is owed the next message opens the new connection.
            Some(reason) if !self.unanswered.is_empty() => self.again(client, &reason),
            _ => Ok(()),
        }
    }

    fn answered(&mut self, id: &str) -> Option<Waiting> {
        let place = self.unanswered.iter().position(|waiting| waiting.post.id == id)?;
        self.unanswered.remove(place)
    }

    fn stored(&mut self, id: &str, mut reply: Fields) -> Result<(), Failure> {
        (self.lost, self.backoff) = (None, Backoff::default());
        if self.answered(id).is_none() {
            return Ok(());
        }
        self.stored += 1;
        if self.context.voice.is_json() {
            reply.insert("message_id".to_owned(), Value::from(id));
            self.context.voice.object(&Value::Object(reply).to_string())?;
        }
        Ok(())
    }

    /// Some refusals are about the one message; others would meet each that follows as well.
    fn refused(&mut self, id: &str, refusal: Refusal) {
        let Some(waiting) = self.answered(id) else { return };
        let is_about_it = ["bad_request", "bad_room", "id_conflict", "limit_reached", "too_large"]
            .contains(&refusal.code.as_str());
        let failure = Failure::from(refusal);
        self.no(waiting.line, &failure);
        if !is_about_it {
            self.stopped.get_or_insert(failure);
        }
    }

    /// Says that a line was refused.
    fn no(&mut self, line: u64, failure: &Failure) {
        self.refused += 1;
        let mut told = failure.clone();
        told.message = format!("{} line {line}: {}", self.name, failure.message);
        self.progress.aside(|| self.context.voice.fail(&told));
    }

    /// The connection broke: a new one is made within the timeout, and what has no answer is posted again.
    fn again(&mut self, client: &mut Client, reason: &str) -> Result<(), Failure> {
        if self.lost.is_none() {
            let told = format!("lost the daemon ({reason}); trying again");
            self.progress.aside(|| self.context.voice.say("lost", &told));
        }
        let until = *self.lost.get_or_insert(self.context.deadline());
        let fresh = self.speaker.call_again(self.context, &mut self.backoff, until);
        *client = fresh.map_err(advised)?;
        for waiting in &self.unanswered {
            self.post(client, waiting, until);
        }
        Ok(())
    }
}

/// A failure, with what to do about it.
fn advised(mut failure: Failure) -> Failure {
    failure.message = format!("{}; {AGAIN}", failure.message);
    failure
}
