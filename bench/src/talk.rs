//! Round trips of a talk without a server: one `chatctl talk` listens, another calls and says what comes through a pipe. The round trip
//! is the one that the caller itself shows, from its clock, for every message.
//!
//! Beside it, at the same pace, two threads that do nothing but to give each other as many bytes back over TCP: what the machine takes for
//! that alone, waking up included.

use std::io::{self, BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use nix::poll::{PollTimeout, poll};

use crate::clock::Clock;
use crate::control;
use crate::histogram::Histogram;
use crate::report::Report;

/// The median that a caller shows on loopback stays below this.
const ROUND_TRIP_MICROS_MAX: u64 = 200;

/// The first ones are not counted: programs have not met all of their pages yet.
const WARM_UP: u32 = 50;

#[derive(clap::Args)]
pub(crate) struct Talk {
    /// The chatctl to measure
    #[arg(long)]
    chatctl: PathBuf,
    /// Messages that are measured
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Milliseconds from one message to the next; 0: each as soon as the one before is acknowledged
    #[arg(long, default_value_t = 0)]
    every_ms: u64,
    /// Bytes of each message
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4_000))]
    size: u16,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// Runs it; whether the median is below what it may be.
pub(crate) fn run(talk: &Talk) -> io::Result<bool> {
    let clock = Clock::start();
    let mut report = Report::default();
    let bare = {
        let mut echo = Echo::start(usize::from(talk.size))?;
        paced(clock, talk, |text| echo.round_trip(clock, text))?
    };
    let shown = {
        let listener = Listener::start(&talk.chatctl)?;
        let mut caller = Caller::start(&talk.chatctl, listener.addr)?;
        paced(clock, talk, |text| caller.round_trip(text))?
    };
    report.count("messages", shown.len());
    report.count("bare_p50_us", bare.percentile(50));
    report.count("bare_p99_us", bare.percentile(99));
    report.at_most("shown_p50_us", shown.percentile(50), ROUND_TRIP_MICROS_MAX);
    report.count("shown_p99_us", shown.percentile(99));
    report.print(talk.json);
    Ok(report.is_kept())
}

/// Says one message after the other, at the pace that is asked for; how long each took there and back.
fn paced(
    clock: Clock,
    talk: &Talk,
    mut round_trip: impl FnMut(&[u8]) -> io::Result<u64>,
) -> io::Result<Histogram> {
    let text = vec![b'x'; usize::from(talk.size)];
    let mut trips = Histogram::new();
    let mut due = clock.micros();
    for number in 0..WARM_UP + talk.messages {
        let wait = due.saturating_sub(clock.micros()) / 1_000;
        poll(&mut [], PollTimeout::try_from(wait).map_err(io::Error::other)?)?;
        let micros = round_trip(&text)?;
        if number >= WARM_UP {
            trips.record(micros);
        }
        due += talk.every_ms * 1_000;
    }
    Ok(trips)
}

/// A thread gives back what is sent to it.
struct Echo(TcpStream);

impl Echo {
    fn start(size: usize) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let here = TcpStream::connect(listener.local_addr()?)?;
        let (mut there, _) = listener.accept()?;
        for stream in [&here, &there] {
            stream.set_nodelay(true)?;
        }
        // It ends with the connection.
        thread::spawn(move || {
            let mut bytes = vec![0; size];
            while there.read_exact(&mut bytes).is_ok() && there.write_all(&bytes).is_ok() {}
        });
        Ok(Self(here))
    }

    fn round_trip(&mut self, clock: Clock, text: &[u8]) -> io::Result<u64> {
        let mut back = vec![0; text.len()];
        let sent = clock.micros();
        self.0.write_all(text)?;
        self.0.read_exact(&mut back)?;
        Ok(clock.micros() - sent)
    }
}

/// A `chatctl talk` that listens, and whose messages nobody reads.
struct Listener {
    child: Child,
    addr: SocketAddr,
}

impl Listener {
    fn start(chatctl: &Path) -> io::Result<Self> {
        let mut command = Command::new(chatctl);
        command.args(["talk", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().expect("it was asked for");
        let mut lines = BufReader::new(stderr).lines();
        let addr = loop {
            let Some(line) = lines.next().transpose()? else {
                return Err(io::Error::other("chatctl talk --listen does not listen"));
            };
            if let Some((_, addr)) = line.rsplit_once("listening at ") {
                break addr.parse().map_err(io::Error::other)?;
            }
        };
        // What else it says is taken from it: it is not to wait for somebody who reads.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, addr })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `chatctl talk` that calls, with our messages and its words as JSON.
struct Caller {
    child: Child,
    says: ChildStdin,
    words: Lines<BufReader<ChildStdout>>,
}

impl Caller {
    fn start(chatctl: &Path, addr: SocketAddr) -> io::Result<Self> {
        let mut command = Command::new(chatctl);
        command.args(["--json", "talk", &addr.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let says = child.stdin.take().expect("it was asked for");
        let words = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        Ok(Self { child, says, words })
    }

    /// Says one message, and waits for the word that the other side has it.
    fn round_trip(&mut self, text: &[u8]) -> io::Result<u64> {
        self.says.write_all(&[text, b"\n"].concat())?;
        loop {
            let Some(line) = self.words.next().transpose()? else {
                return Err(io::Error::other("the talk ended"));
            };
            if line.contains(r#""event":"delivered""#) {
                let nothing = || io::Error::other(format!("no round trip is shown in {line}"));
                return control::number(&line, "round_trip_us").ok_or_else(nothing);
            }
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
