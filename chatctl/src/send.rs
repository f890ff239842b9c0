//! `chatctl send`: messages to a room or to one person, each sent exactly once, also over a lost connection.
//!
//! A message keeps its id until it has an answer: what was not answered when the connection broke is sent again,
//! in order, under the same ids, so that the daemon sees a repeat and makes no second message. Under which name is the
//! business of `speaker`.

mod source;
pub mod speaker;

use crate::args::{Send, Wait};
use crate::ask::{Context, nick, room};
use crate::client::{Client, Event, Fields, Happening};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::input::{Input, Piece};
use crate::reconnect::Backoff;
use nix::poll::PollFlags;
use proto::{Now, Span};
use serde_json::Value;
pub use source::opened;
use speaker::Speaker;
use std::collections::VecDeque;
use std::io::IsTerminal;
use uuid::Uuid;

/// How many messages may wait for their answers at once.
const UNANSWERED_MAX: usize = 64;

/// So long a daemon over a network has, where nobody waits for its answers, to take what it was told before the
/// connection is closed: closing before could take it back.
const FAREWELL: Span = Span::from_secs(1);

/// The limit that is assumed where the daemon names none; it has the last word.
const MESSAGE_BYTES_ASSUMED: usize = 16 << 20;

/// `chatctl send`.
pub fn send(context: &mut Context, args: &Send) -> Result<(), Failure> {
    let to = match args.to.strip_prefix('@') {
        Some(name) => ("to", nick(name)?),
        None => ("room", room(&args.to)?),
    };
    let source = source::source(args)?;
    if args.text.is_empty() && args.file.is_none() && std::io::stdin().is_terminal() {
        context.voice.say("typing", "type the message; Ctrl-D on a line of its own ends it");
    }
    let mut client = context.connect()?;
    let (speaker, hello) = Speaker::greet(context, &mut client)?;
    let limit = message_limit(&hello);
    let mut input = source::input(args, source, limit);
    let mut sender = Sender {
        context,
        args,
        to,
        speaker,
        limit,
        unanswered: VecDeque::new(),
        taken: 0,
        unacknowledged: None,
        backoff: Backoff::default(),
        refused: None,
    };
    sender.run(&mut client, &mut input)
}

/// The most content of a message, by what the daemon says of itself.
pub fn message_limit(hello: &Fields) -> usize {
    let limit = hello.get("limits").and_then(|limits| limits["message"].as_u64());
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MESSAGE_BYTES_ASSUMED)
}

/// A message that has no answer yet, or no receipt where one is waited for.
struct Unanswered {
    id: String,
    number: u64,
    content: Vec<u8>,
    /// When the wait for its receipt is over; none before its answer.
    receipt_until: Option<Now>,
}

/// One run of `send`.
struct Sender<'a> {
    context: &'a mut Context,
    args: &'a Send,
    /// The field that says to whom, and its value.
    to: (&'static str, String),
    speaker: Speaker,
    limit: usize,
    unanswered: VecDeque<Unanswered>,
    /// How many messages the input gave.
    taken: u64,
    /// Since when the daemon is gone, and until when it is looked for.
    unacknowledged: Option<Now>,
    /// How long to wait before it is called again.
    backoff: Backoff,
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
        self.context.voice.flush()?;
        if self.args.wait == Wait::None {
            self.farewell(client);
        }
        match self.refused.take() {
            Some(failure) => Err(failure),
            None if self.taken == 0 && !self.args.allow_empty => Err(empty()),
            None => Ok(()),
        }
    }

    /// Half a goodbye: what was written still arrives, and no reply comes to a closed door. Over a network answers that
    /// nobody takes would make the door fall shut on what is under way, so they are taken until the other side closes.
    fn farewell(&self, client: &mut Client) {
        let _ = client.finish();
        let until = clock::now().after(FAREWELL.min(self.context.flags.timeout));
        while self.context.server.is_remote() && !client.is_lost() {
            let now = clock::now();
            if now >= until || client.step(now, Some(until), &[]).is_err() {
                return;
            }
            while client.take().is_some() {}
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
                    let message =
                        Unanswered { id, number: self.taken, content, receipt_until: None };
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
        fields.insert(self.to.0.to_owned(), Value::from(self.to.1.as_str()));
        if let Some(nick) = self.speaker.spoken_for() {
            fields.insert("nick".to_owned(), Value::from(nick));
        }
        if self.args.wait == Wait::Delivered {
            fields.insert("receipt".to_owned(), Value::from(true));
        }
        proto::client::put_content(&mut fields, &message.content);
        client.ask_as(&message.id, "post", fields, deadline);
    }

    fn wait(&self, client: &mut Client, input: &mut Input) -> Result<(), Failure> {
        let hungry = self.refused.is_none() && self.unanswered.len() < UNANSWERED_MAX;
        let ready = {
            let source = input.descriptor().filter(|_| hungry);
            let others: Vec<_> = source.iter().map(|fd| (*fd, PollFlags::POLLIN)).collect();
            let until = self.unanswered.iter().filter_map(|message| message.receipt_until).min();
            client.step(clock::now(), until, &others)
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
                Happening::Event(event) => self.heard(&event)?,
            }
        }
        self.without_receipt(lost.as_deref())?;
        match lost {
            // Where nothing is owed the next message opens the new connection.
            Some(reason) if !self.unanswered.is_empty() => self.again(client, &reason),
            _ => Ok(()),
        }
    }

    fn stored(&mut self, id: &str, mut reply: Fields) -> Result<(), Failure> {
        (self.unacknowledged, self.backoff) = (None, Backoff::default());
        if self.args.wait == Wait::Delivered {
            let until = self.context.deadline();
            let waits = self.unanswered.iter_mut().find(|message| message.id == id);
            if let Some(message) = waits {
                message.receipt_until = Some(until);
            }
        } else {
            self.unanswered.retain(|message| message.id != id);
        }
        let what = match (self.to.0, reply.get("seq").and_then(Value::as_u64)) {
            ("room", seq) => format!("stored as #{} {}", self.to.1, seq.unwrap_or(0)),
            _ => format!("sent to @{}", self.to.1),
        };
        self.context.voice.whisper("stored", &what);
        if self.context.voice.is_json() {
            reply.insert("message_id".to_owned(), Value::from(id));
            self.context.voice.object(&Value::Object(reply).to_string())?;
            self.context.voice.flush()?;
        }
        Ok(())
    }

    /// A receipt is all that is of interest.
    fn heard(&mut self, event: &Event) -> Result<(), Failure> {
        let id = event.text("message_id").filter(|_| event.name == "delivered");
        let place = self.unanswered.iter().position(|message| Some(message.id.as_str()) == id);
        let Some(message) = place.and_then(|place| self.unanswered.remove(place)) else {
            return Ok(());
        };
        let by = event.text("by").unwrap_or("?");
        self.context.voice.whisper("delivered", &format!("{by} has message {}", message.number));
        if self.context.voice.is_json() {
            self.context.voice.object(&event.line)?;
            self.context.voice.flush()?;
        }
        Ok(())
    }

    /// Fails where a receipt can be waited for no longer: its time is over, or the connection that it would come to.
    fn without_receipt(&self, lost: Option<&str>) -> Result<(), Failure> {
        let now = clock::now();
        let over = |until: Now| lost.is_some() || now >= until;
        let Some(message) =
            self.unanswered.iter().find(|message| message.receipt_until.is_some_and(over))
        else {
            return Ok(());
        };
        let number = message.number;
        Err(match lost {
            Some(reason) => Failure::unreachable(format!(
                "message {number} was taken, but the daemon is gone ({reason}) and with it the word of who has it"
            )),
            None => Failure::timed_out(format!(
                "message {number} was taken, but nobody said in time to have it"
            )),
        })
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
            self.context.voice.say("lost", &format!("lost the daemon ({reason}); trying again"));
        }
        let until = *self.unacknowledged.get_or_insert(self.context.deadline());
        let fresh = self.speaker.call_again(self.context, &mut self.backoff, until);
        *client =
            fresh.map_err(
                |failure| {
                    if clock::now() >= until { self.unknown(failure) } else { failure }
                },
            )?;
        self.unanswered.iter().for_each(|message| self.post(client, message, until));
        Ok(())
    }

    /// A failure after which nobody knows whether the first unanswered message was stored.
    fn unknown(&self, mut failure: Failure) -> Failure {
        let unknown = self.unanswered.iter().find(|message| message.receipt_until.is_none());
        if let Some(message) = unknown {
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
