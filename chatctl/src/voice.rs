//! The command's voice: data to stdout, words about it to stderr, both in the form that was asked for.
//!
//! It owns the two streams and knows whether they are terminals; it knows no protocol beyond the look of a
//! message. Nothing else in this program prints.

use crate::args::{Color, Global};
use crate::client::Event;
use crate::failure::{Exit, Failure};
use crate::{clock, moments, visible};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use proto::Span;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// How much is written at once where the reader of stdout shall not be waited for: a pipe that can be written at all
/// takes so much.
const PIECE_BYTES_MAX: usize = 4096;

/// stdout and stderr, and how to write there.
pub struct Voice {
    out: io::Stdout,
    gathered: Vec<u8>,
    terminal: bool,
    color: bool,
    json: bool,
    volume: Volume,
}

/// How much is said on stderr beside errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Volume {
    Quiet,
    Usual,
    Verbose,
}

/// What of a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Time, who, what.
    Line,
    /// Time, room, who, what.
    LineWithRoom,
    /// The bytes and a newline.
    Raw,
}

impl Voice {
    /// The streams of this process, in the form that the flags ask for.
    pub fn new(flags: &Global) -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let color = match flags.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                terminal && !unwanted && env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let volume = match (flags.quiet, flags.verbose) {
            (true, _) => Volume::Quiet,
            (false, false) => Volume::Usual,
            (false, true) => Volume::Verbose,
        };
        Self { out, gathered: Vec::new(), terminal, color, json: flags.json, volume }
    }

    /// Whether objects are printed instead of words.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether what is printed may have colours.
    pub fn is_coloured(&self) -> bool {
        self.color
    }

    /// Whether what only a curious person wants to know is said, too.
    pub fn is_verbose(&self) -> bool {
        self.volume == Volume::Verbose
    }

    /// The descriptor on which a reader's going away can be seen.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.out.as_fd()
    }

    /// Whether the reader of stdout is gone.
    pub fn is_deserted(&self) -> bool {
        let mut fds = [PollFd::new(self.out.as_fd(), PollFlags::empty())];
        let polled = crate::client::poll(&mut fds, Some(Span::from_micros(0)));
        polled.is_ok() && fds[0].revents().is_some_and(is_gone)
    }

    /// Prints an event's object as it came.
    pub fn object(&mut self, line: &str) -> Result<(), Failure> {
        if self.terminal {
            let shown = visible::json(line);
            self.gathered.extend_from_slice(shown.as_bytes());
        } else {
            self.gathered.extend_from_slice(line.as_bytes());
        }
        self.end_line();
        Ok(())
    }

    /// Prints a line of words.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        let shown = if self.terminal { visible::line(text) } else { text.to_owned() };
        self.gathered.extend_from_slice(shown.as_bytes());
        self.end_line();
        Ok(())
    }

    /// Prints bytes as they are; for a terminal what could drive it is made visible.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if !self.terminal {
            return self.gathered.extend_from_slice(bytes);
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, end) = line.strip_suffix(b"\n").map_or((line, ""), |text| (text, "\n"));
            let shown = match std::str::from_utf8(text) {
                Ok(text) => visible::line(text),
                Err(_) => visible::hex(text),
            };
            self.gathered.extend_from_slice(shown.as_bytes());
            self.gathered.extend_from_slice(end.as_bytes());
        }
    }

    /// Prints text that was made safe already, whoever reads it.
    pub fn shown(&mut self, text: &str) {
        self.gathered.extend_from_slice(text.as_bytes());
        self.end_line();
    }

    /// Prints what was drawn: bytes that are to drive the terminal.
    pub fn drawn(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
    }

    /// Prints what a person is asked to type behind.
    pub fn prompt(&mut self, text: &str) {
        self.gathered.extend_from_slice(visible::line(text).as_bytes());
    }

    /// Prints a message.
    pub fn message(&mut self, event: &Event, look: Look) -> Result<(), Failure> {
        if self.json {
            return self.object(&event.line);
        }
        let content = proto::client::content(&event.fields).unwrap_or_default();
        if look != Look::Raw {
            self.head(event, look);
        }
        if self.terminal {
            let shown = match std::str::from_utf8(&content) {
                Ok(text) => visible::paragraph(text),
                Err(_) => visible::hex(&content),
            };
            self.gathered.extend_from_slice(shown.as_bytes());
        } else {
            self.gathered.extend_from_slice(&content);
        }
        self.end_line();
        Ok(())
    }

    /// Prints what happened beside messages, as people say it.
    pub fn event(&mut self, event: &Event, look: Look) -> Result<(), Failure> {
        if self.json {
            return self.object(&event.line);
        }
        let text = |field: &str| event.text(field).unwrap_or("?");
        let room = match look {
            Look::LineWithRoom => format!(" #{}", text("room")),
            Look::Line | Look::Raw => String::new(),
        };
        let what = match event.name.as_str() {
            "joined" => format!("{} joined", text("nick")),
            "left" => format!("{} left", text("nick")),
            "renamed" => format!("{} is now {}", text("nick"), text("new_nick")),
            "topic" if text("topic").is_empty() => format!("{} took the topic away", text("nick")),
            "topic" => format!("{} set the topic: {}", text("nick"), text("topic")),
            "away" if text("away").is_empty() => format!("{} is back", text("nick")),
            "away" => format!("{} is {}", text("nick"), away_words(text("away"))),
            "presence" => {
                let number = |field: &str| event.number(field).unwrap_or(0);
                format!(
                    "{} joined, {} left, {} are there",
                    number("joined_count"),
                    number("left_count"),
                    number("members")
                )
            }
            "gap" => {
                let number = |field: &str| event.number(field).unwrap_or(0);
                format!("messages {} to {} are gone", number("from_seq"), number("to_seq"))
            }
            name => format!("{name} {}", serde_json::Value::Object(event.fields.clone())),
        };
        self.line(&format!("{}{room} -- {what}", self.time_of_day()))
    }

    /// Writes what was gathered, however long its reader takes. Called before every wait, so that no line ever waits
    /// for the next one.
    pub fn flush(&mut self) -> Result<(), Failure> {
        while !self.hand_out()? {
            let mut fds = [PollFd::new(self.out.as_fd(), PollFlags::POLLOUT)];
            crate::client::poll(&mut fds, None).map_err(|error| closed(&error))?;
        }
        Ok(())
    }

    /// Writes of what was gathered what stdout takes without a wait; whether that was all.
    pub fn hand_out(&mut self) -> Result<bool, Failure> {
        let mut written = 0;
        while let Some(rest) = self.gathered.get(written..).filter(|rest| !rest.is_empty()) {
            let mut fds = [PollFd::new(self.out.as_fd(), PollFlags::POLLOUT)];
            let polled = crate::client::poll(&mut fds, Some(Span::from_micros(0)));
            if polled.is_ok() && fds[0].revents().is_none_or(|flags| flags.is_empty()) {
                break;
            }
            // Past the standard library's own buffer, which would have to be waited for.
            match nix::unistd::write(&self.out, rest.get(..PIECE_BYTES_MAX).unwrap_or(rest)) {
                Ok(count) => written += count,
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(closed(&errno.into())),
            }
        }
        self.gathered.drain(..written);
        Ok(self.gathered.is_empty())
    }

    /// Says something about the work on stderr: what a person should know and a script may.
    pub fn say(&self, code: &str, text: &str) {
        if self.volume >= Volume::Usual {
            self.tell(code, text);
        }
    }

    /// Says on stderr what only a curious person wants to know.
    pub fn whisper(&self, code: &str, text: &str) {
        if self.is_verbose() {
            self.tell(code, text);
        }
    }

    /// Says on stderr why the command failed.
    pub fn fail(&self, failure: &Failure) {
        if failure.silent {
            return;
        }
        let line = if self.json {
            visible::json(&failure.as_json())
        } else {
            format!("chatctl: {}", visible::line(&failure.message))
        };
        // Nobody is left to be told that stderr is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn tell(&self, code: &str, text: &str) {
        let line = if self.json {
            visible::json(&serde_json::json!({"notice": code, "message": text}).to_string())
        } else {
            format!("chatctl: {}", visible::line(text))
        };
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn head(&mut self, event: &Event, look: Look) {
        let text = |field: &str| event.text(field).unwrap_or("?");
        let time = moments::shown(text("time"), &clock::wall(), self.terminal);
        let (from, room) = if self.terminal {
            (visible::line(text("from")), visible::line(text("room")))
        } else {
            (text("from").to_owned(), text("room").to_owned())
        };
        let (dim, bold, plain) =
            if self.color { ("\x1b[2m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let room = match look {
            Look::LineWithRoom => format!(" {dim}#{room}{plain}"),
            Look::Line | Look::Raw => String::new(),
        };
        let head = format!("{dim}{time}{plain}{room} {bold}{from}{plain}: ");
        self.gathered.extend_from_slice(head.as_bytes());
    }

    fn time_of_day(&self) -> String {
        let now = clock::wall();
        moments::shown(&now.timestamp().to_string(), &now, self.terminal)
    }

    fn end_line(&mut self) {
        self.gathered.push(b'\n');
    }
}

/// That somebody is away, and what they say of it, where that is more than the word itself.
pub fn away_words(text: &str) -> String {
    if text == "away" { text.to_owned() } else { format!("away: {text}") }
}

/// Why nothing can be written any more.
fn closed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::quiet(),
        _ => Failure::new(Exit::Refused, "stdout", format!("stdout: {error}")),
    }
}

/// Whether these flags say that the other end is gone.
pub fn is_gone(flags: PollFlags) -> bool {
    flags.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL)
}

#[cfg(test)]
mod tests {
    use super::{Look, Voice, Volume};
    use crate::client::Event;
    use serde_json::{Value, json};

    fn voice(terminal: bool, color: bool, json: bool) -> Voice {
        let (out, gathered) = (std::io::stdout(), Vec::new());
        Voice { out, gathered, terminal, color, json, volume: Volume::Usual }
    }

    fn event(fields: &Value) -> Event {
        let mut fields = fields.as_object().expect("an object").clone();
        for (name, value) in [("event", "message"), ("room", "lobby"), ("from", "eve")] {
            fields.entry(name).or_insert(Value::from(value));
        }
        fields.entry("time").or_insert(Value::from("nonsense"));
        let line = Value::Object(fields.clone()).to_string();
        Event { name: "message".to_owned(), fields, line }
    }

    fn said(mut voice: Voice, fields: &Value, look: Look) -> String {
        voice.message(&event(fields), look).expect("gathered");
        String::from_utf8(voice.gathered).expect("text")
    }

    #[test]
    fn a_terminal_is_never_driven_by_a_message() {
        let evil =
            json!({"text": "\u{1b}[2J\n00:00:00 root: forged\u{9b}1m", "from": "e\u{202e}ve"});
        for (look, head) in [(Look::Line, "nonsense e\\u{202e}ve: "), (Look::Raw, "")] {
            let shown = said(voice(true, false, false), &evil, look);
            assert_eq!(shown, format!("{head}\\e[2J\n    00:00:00 root: forged\\x9b1m\n"));
        }
        let shown = said(voice(true, false, true), &evil, Look::Line);
        assert!(shown.contains("\\u001b[2J") && shown.contains("\\u009b"), "{shown}");
        assert_eq!(shown.lines().count(), 1);
    }

    #[test]
    fn bytes_are_bytes_in_a_pipe_and_visible_on_a_terminal() {
        let bytes = b"a\x1b[2J\n\xff\x00\nb";
        for (terminal, shown) in [(false, &bytes[..]), (true, b"a\\e[2J\n[2 bytes: ff 00]\nb")] {
            let mut voice = voice(terminal, false, false);
            voice.bytes(bytes);
            assert_eq!(voice.gathered, shown);
        }
    }

    #[test]
    fn data_is_hex_on_a_terminal() {
        let shown = said(voice(true, false, false), &json!({"data": "/wA="}), Look::Line);
        assert_eq!(shown, "nonsense eve: [2 bytes: ff 00]\n");
    }

    #[test]
    fn the_room_is_named_where_there_are_several_and_colour_is_ours_alone() {
        let shown = said(voice(true, true, false), &json!({"text": "hello"}), Look::LineWithRoom);
        let expected =
            "\u{1b}[2mnonsense\u{1b}[0m \u{1b}[2m#lobby\u{1b}[0m \u{1b}[1meve\u{1b}[0m: hello\n";
        assert_eq!(shown, expected);
    }
}
