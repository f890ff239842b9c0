//! `chatctl send`: messages to a room, each stored exactly once, also over a lost connection.
//!
//! A message keeps its id until it has an answer: what was not answered when the connection broke is sent again,
//! in order, under the same ids, so that the daemon sees a repeat and makes no second message.

use crate::args::{Send, Wait};
use crate::ask::{Context, room};
use crate::client::{Client, Fields, Happening};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::input::{Cut, Input, Piece};
use crate::server::pause;
use nix::poll::PollFlags;
use proto::{Now, Span};
use serde_json::Value;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use uuid::Uuid;

/// How many messages may wait for their answers at once.
const UNANSWERED_MAX: usize = 64;

/// Between two tries to reach a daemon that went away.
const RETRY_PAUSE: Span = Span::from_millis(100);

/// The limit that is assumed where the daemon names none; it has the last word.
const MESSAGE_BYTES_ASSUMED: usize = 16 << 20;

/// `chatctl send`.
pub fn send(context: &mut Context, args: &Send) -> Result<(), Failure> {
    if args.to.starts_with('@') {
        return Err(Failure::not_built(&format!("direct messages (`{}`)", args.to)));
    }
    if args.wait == Wait::Delivered {
        return Err(Failure::not_built("--wait delivered"));
    }
    let room = room(&args.to)?;
    let source = source(args)?;
    if args.text.is_empty() && args.file.is_none() && std::io::stdin().is_terminal() {
        context.talk.say("typing", "type the message; Ctrl-D on a line of its own ends it");
    }
    let mut client = context.connect()?;
    let hello = context.greet(&mut client)?;
    let limit = hello.get("limits").and_then(|limits| limits["message"].as_u64());
    let limit =
        limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MESSAGE_BYTES_ASSUMED);
    let mut input = match source {
        None => Input::of(&words(&args.text), limit),
        Some(file) => Input::new(file, cut(args), limit),
    };
    let as_nick = context.flags.as_nick.clone();
    let mut sender = Sender {
        context,
        args,
        room,
        as_nick,
        limit,
        unanswered: VecDeque::new(),
        taken: 0,
        unacknowledged: None,
        refused: None,
    };
    sender.run(&mut client, &mut input)
}

/// A message that has no answer yet.
struct Unanswered {
    id: String,
    number: u64,
    content: Vec<u8>,
}

/// One run of `send`.
struct Sender<'a> {
    context: &'a mut Context,
    args: &'a Send,
    room: String,
    as_nick: Option<String>,
    limit: usize,
    unanswered: VecDeque<Unanswered>,
    /// How many messages the input gave.
    taken: u64,
    /// Since when the daemon is gone, and until when it is looked for.
    unacknowledged: Option<Now>,
    /// The first refusal; nothing more is sent after it.
    refused: Option<Failure>,
}

impl Sender<'_> {
    fn run(&mut self, client: &mut Client, input: &mut Input) -> Result<(), Failure> {
        loop {
            self.fill(client, input)?;
            let answered = self.unanswered.is_empty() || self.args.wait == Wait::None;
            if answered && client.is_written() && (input.is_done() || self.refused.is_some()) {
                break;
            }
            self.wait(client, input)?;
            self.listen(client)?;
        }
        self.context.talk.flush()?;
        if self.args.wait == Wait::None {
            // Half a goodbye: what was written still arrives, and no reply comes to a closed door.
            let _ = client.finish();
        }
        match self.refused.take() {
            Some(failure) => Err(failure),
            None if self.taken == 0 && !self.args.allow_empty => Err(empty()),
            None => Ok(()),
        }
    }

    /// Takes messages from the input as long as there is room for them.
    fn fill(&mut self, client: &mut Client, input: &mut Input) -> Result<(), Failure> {
        while self.refused.is_none() && self.unanswered.len() < UNANSWERED_MAX {
            let Some(piece) = input.take() else { return Ok(()) };
            match piece {
                Piece::Message(content) if content.is_empty() && !self.args.allow_empty => {
                    let single = !self.args.lines && !self.args.nul;
                    if single {
                        return Err(empty());
                    }
                }
                Piece::Message(content) => {
                    self.taken += 1;
                    let id = self.args.id.unwrap_or_else(Uuid::new_v4).hyphenated().to_string();
                    let message = Unanswered { id, number: self.taken, content };
                    if client.is_lost() {
                        self.unanswered.push_back(message);
                        self.again(client, "it went away between two messages")?;
                    } else {
                        self.post(client, &message, self.context.deadline());
                        self.unanswered.push_back(message);
                    }
                }
                Piece::TooLong { bytes, more } => {
                    self.taken += 1;
                    self.refused = Some(self.too_long(bytes, more));
                }
            }
        }
        Ok(())
    }

    fn post(&self, client: &mut Client, message: &Unanswered, deadline: Now) {
        let mut fields = Fields::new();
        fields.insert("room".to_owned(), Value::from(self.room.as_str()));
        if let Some(nick) = &self.as_nick {
            fields.insert("nick".to_owned(), Value::from(nick.as_str()));
        }
        proto::client::put_content(&mut fields, &message.content);
        client.ask_as(&message.id, "post", fields, deadline);
    }

    fn wait(&self, client: &mut Client, input: &mut Input) -> Result<(), Failure> {
        let hungry = self.refused.is_none() && self.unanswered.len() < UNANSWERED_MAX;
        let ready = {
            let source = input.descriptor().filter(|_| hungry);
            let others: Vec<_> = source.iter().map(|fd| (*fd, PollFlags::POLLIN)).collect();
            client.step(clock::now(), None, &others)
        };
        let ready = ready.map_err(|error| Failure::unreachable(error.to_string()))?;
        if ready.first().is_some_and(|flags| !flags.is_empty()) {
            input.read().map_err(|error| self.unreadable(&error))?;
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
                Happening::Replied(id, Err(refusal)) => self.no(&id, refusal.into()),
                Happening::TimedOut(_) => return Err(self.unknown(self.context.no_answer())),
                Happening::Complaint(refusal) => return Err(refusal.into()),
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

    fn stored(&mut self, id: &str, mut reply: Fields) -> Result<(), Failure> {
        self.unanswered.retain(|message| message.id != id);
        self.unacknowledged = None;
        let seq = reply.get("seq").and_then(Value::as_u64).unwrap_or(0);
        self.context.talk.whisper("stored", &format!("stored as #{} {seq}", self.room));
        if self.context.talk.is_json() {
            reply.insert("message_id".to_owned(), Value::from(id));
            self.context.talk.object(&Value::Object(reply).to_string())?;
            self.context.talk.flush()?;
        }
        Ok(())
    }

    fn no(&mut self, id: &str, mut failure: Failure) {
        let place = self.unanswered.iter().position(|message| message.id == id);
        let message = place.and_then(|place| self.unanswered.remove(place));
        if let Some(message) = message.filter(|_| self.args.lines || self.args.nul) {
            failure.message = format!("message {}: {}", message.number, failure.message);
        }
        self.refused.get_or_insert(failure);
    }

    /// The connection broke: a new one is made within the timeout, and what has no answer is sent again.
    fn again(&mut self, client: &mut Client, reason: &str) -> Result<(), Failure> {
        if self.unacknowledged.is_none() {
            self.context.talk.say("lost", &format!("lost the daemon ({reason}); trying again"));
        }
        let until = *self.unacknowledged.get_or_insert(self.context.deadline());
        loop {
            // A connection that the daemon closes at once is a loss as well: the pause is before every try.
            pause(RETRY_PAUSE)?;
            match self.context.server.connect(until) {
                Ok(fresh) => {
                    *client = fresh;
                    self.unanswered.iter().for_each(|message| self.post(client, message, until));
                    return Ok(());
                }
                Err(failure) if clock::now() >= until => return Err(self.unknown(failure)),
                Err(failure) if failure.exit != Exit::NotReachable => return Err(failure),
                Err(_) => {}
            }
        }
    }

    /// A failure after which nobody knows whether the first unanswered message was stored.
    fn unknown(&self, mut failure: Failure) -> Failure {
        if let Some(message) = self.unanswered.front() {
            let (said, id) = (failure.message, &message.id);
            failure.message = format!(
                "{said}; whether the message was stored is not known: send it again with --id {id}"
            );
        }
        failure
    }

    fn too_long(&self, bytes: usize, more: bool) -> Failure {
        let which = if self.args.lines || self.args.nul {
            format!("message {}", self.taken)
        } else {
            "the message".to_owned()
        };
        let size = if more { format!("more than {bytes}") } else { bytes.to_string() };
        let limit = self.limit;
        let message = format!("{which} has {size} bytes; the limit is {limit} bytes");
        Failure::new(Exit::LimitHit, "too_large", message)
    }

    fn unreadable(&self, error: &std::io::Error) -> Failure {
        let name = self.args.file.as_ref().map(|path| path.display().to_string());
        Failure::file(name.as_deref().unwrap_or("stdin"), error)
    }
}

fn empty() -> Failure {
    Failure::usage("the message is empty; --allow-empty sends it all the same")
}

fn cut(args: &Send) -> Cut {
    match (args.lines, args.nul) {
        (true, _) => Cut::At(b'\n'),
        (_, true) => Cut::At(0),
        _ => Cut::Whole { raw: args.raw },
    }
}

/// The words of the command line as one message, byte for byte.
fn words(text: &[OsString]) -> Vec<u8> {
    let words: Vec<_> = text.iter().map(|word| word.clone().into_vec()).collect();
    words.join(&b' ')
}

/// Where the messages are read from; `None` where they are on the command line, and stdin is not touched.
fn source(args: &Send) -> Result<Option<File>, Failure> {
    if !args.text.is_empty() {
        return Ok(None);
    }
    if let Some(path) = args.file.as_ref().filter(|path| path.as_os_str() != "-") {
        let open = File::open(path);
        return open.map(Some).map_err(|error| Failure::file(&path.display().to_string(), &error));
    }
    let stdin = std::io::stdin();
    let handle = stdin.as_fd().try_clone_to_owned();
    handle.map(|handle| Some(File::from(handle))).map_err(|error| Failure::file("stdin", &error))
}
