//! Two witnesses who chat by v1 in a room of their own, first alone and then beside hostile clients: they must get everything in
//! order, and their latency must stay below twice the quiet one.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::attack::Attack;
use crate::clock::{Clock, seconds};
use crate::crowd::{Crowd, Sink};
use crate::ledger::Ledger;
use crate::process;
use crate::report::Report;
use crate::socket::Manner;
use crate::wire::{self, Frame, Stamp};

/// The server's memory is looked at this often.
const LOOK_MICROS: u64 = 250_000;
/// What is under way at the end has so long to arrive.
const PATIENCE_MICROS: u64 = seconds(20);
/// What comes before a text in an event.
const BEFORE_TEXT: &[u8] = b"\"text\":\"";
/// `ok` replies before the witnesses speak: `hello` and `join` of each.
const ANSWERS: usize = 4;

/// What `bench hostile` is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Hostile {
    #[command(flatten)]
    attack: Attack,
    /// The server's process, for its memory
    #[arg(long)]
    pid: u32,
    /// The server's control socket, for what it counts
    #[arg(long)]
    control: PathBuf,
    /// Messages a second of both witnesses together
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// Seconds of quiet, before the attack
    #[arg(long, default_value_t = 10)]
    quiet: u64,
    /// Seconds of attack that are measured
    #[arg(long, default_value_t = 30)]
    duration: u64,
}

/// What the witnesses hear.
struct Desk {
    ledger: Ledger,
    answers: usize,
    lost: Option<String>,
}

impl Sink for Desk {
    fn frame(&mut self, link: usize, frame: Frame<'_>, now: u64) {
        let Frame::V1 { json } = frame else { return };
        let at = json.windows(BEFORE_TEXT.len()).position(|window| window == BEFORE_TEXT);
        if let Some(at) = at {
            self.ledger.took(link, &json[at + BEFORE_TEXT.len()..], now);
        } else if json.windows(9).any(|window| window == b"\"ok\":true") {
            self.answers += 1;
        } else if json.windows(10).any(|window| window == b"\"ok\":false") {
            self.lost = Some(String::from_utf8_lossy(json).into_owned());
        }
    }

    fn closed(&mut self, _link: usize, why: &str) {
        self.lost = Some(why.to_owned());
    }
}

struct Witnesses {
    crowd: Crowd,
    desk: Desk,
    clock: Clock,
    /// Messages of each so far.
    said: [u32; 2],
    rss_peak: u64,
}

/// Runs it; whether the witnesses noticed nothing.
pub(crate) fn run(hostile: &Hostile) -> io::Result<bool> {
    let clock = Clock::start();
    let ledger = Ledger::of_streams(2, 2);
    let desk = Desk { ledger, answers: 0, lost: None };
    let crowd = Crowd::new(clock)?;
    let mut witnesses = Witnesses { crowd, desk, clock, said: [0; 2], rss_peak: 0 };
    witnesses.connect(hostile)?;
    let before = process::resident_bytes(hostile.pid)?;
    witnesses.talk(hostile, 1)?;
    witnesses.measure_from_now();
    witnesses.talk(hostile, hostile.quiet)?;
    let quiet = witnesses.percentiles();
    let mut attack = start_attack(&hostile.attack)?;
    let mut said = BufReader::new(attack.stdout.take().expect("it is piped"));
    witnesses.until_ready(hostile, &mut said)?;
    witnesses.measure_from_now();
    witnesses.talk(hostile, hostile.duration)?;
    let attacked = witnesses.percentiles();
    drop(attack.stdin.take());
    let mut became = String::new();
    said.read_to_string(&mut became)?;
    attack.wait()?;
    let stats = stats(&hostile.control)?;
    let number = |name: &str| number(&stats, name).unwrap_or(u64::MAX);
    let mut report = Report::default();
    let ledger = &witnesses.desk.ledger;
    report.count("witness_messages", witnesses.said.iter().map(|said| u64::from(*said)).sum());
    report.count("witness_faults", ledger.doubles + ledger.holes + ledger.echoes);
    report.count("quiet_p50_us", quiet[0]);
    report.count("quiet_p99_us", quiet[1]);
    report.count("attacked_p50_us", attacked[0]);
    report.count("attacked_p99_us", attacked[1]);
    report.count("attacked_max_us", attacked[2]);
    report.count("server_rss_before", before);
    report.count("server_rss_peak", witnesses.rss_peak);
    report.count("turn_longest_us", number("turn_longest_us"));
    report.count("queued_bytes", number("block_bytes") + number("private_bytes"));
    let said: u64 = witnesses.said.iter().map(|said| u64::from(*said)).sum();
    let is_kept = ledger.is_exact(said) && attacked[1] < 2 * quiet[1];
    report.words("kept", if is_kept { "yes" } else { "no" });
    report.print(false);
    Report::default().print_line(became.trim_end());
    Ok(is_kept)
}

impl Witnesses {
    fn connect(&mut self, hostile: &Hostile) -> io::Result<()> {
        for name in ["Ada", "Bob"] {
            let link = self.crowd.connect(hostile.attack.address(), Manner::default())?;
            let hello = format!(r#"{{"request":"hello","id":"1","nick":"{name}"}}"#);
            wire::request(&hello, self.crowd.out(link));
            let join = r#"{"request":"join","id":"2","room":"witnesses"}"#;
            wire::request(join, self.crowd.out(link));
            self.crowd.flush(link)?;
        }
        let end = self.clock.micros() + PATIENCE_MICROS;
        while self.desk.answers < ANSWERS && self.clock.micros() < end {
            self.crowd.turn(end, &mut self.desk)?;
        }
        self.check()
    }

    fn check(&self) -> io::Result<()> {
        self.desk.lost.as_ref().map_or(Ok(()), |lost| Err(io::Error::other(lost.clone())))
    }

    /// What is said from now on is what is measured.
    fn measure_from_now(&mut self) {
        self.desk.ledger.latency = crate::histogram::Histogram::new();
        self.desk.ledger.measured_from = self.clock.micros();
    }

    fn percentiles(&self) -> [u64; 3] {
        let latency = &self.desk.ledger.latency;
        [latency.percentile(50), latency.percentile(99), latency.most()]
    }

    /// Both speak by the clock for so long, and what they said arrives.
    fn talk(&mut self, hostile: &Hostile, duration: u64) -> io::Result<()> {
        let start = self.clock.micros();
        let end = start + seconds(duration);
        let due = |number: u64| start + number * seconds(1) / hostile.rate.max(1);
        let (mut number, mut look) = (0, start);
        loop {
            let now = self.clock.micros();
            if now >= look {
                self.rss_peak = self.rss_peak.max(process::resident_bytes(hostile.pid)?);
                look = now + LOOK_MICROS;
            }
            while due(number) <= now.min(end - 1) {
                self.say(due(number))?;
                number += 1;
            }
            let said: u64 = self.said.iter().map(|said| u64::from(*said)).sum();
            let has_all = self.desk.ledger.delivered >= said;
            if now >= end && (has_all || now >= end + PATIENCE_MICROS) {
                return self.check();
            }
            let next = if now < end { due(number).min(look) } else { look };
            // The kernel's timeouts are whole milliseconds: the last one is not slept, so that what is measured is the server.
            self.crowd.turn(next.saturating_sub(1_000), &mut self.desk)?;
        }
    }

    fn say(&mut self, micros: u64) -> io::Result<()> {
        let link = usize::from(self.said[0] > self.said[1]);
        let stream = u16::from(self.said[0] > self.said[1]);
        let sequence = self.said[link];
        self.said[link] += 1;
        let text = Stamp { stream, sequence, micros }.text();
        let post = format!(
            r#"{{"request":"post","id":"00000000-0000-4000-8{stream:03x}-{sequence:012x}","room":"witnesses","text":"{text}"}}"#
        );
        wire::request(&post, self.crowd.out(link));
        self.crowd.flush(link)
    }

    /// Talks on until the attackers are all there.
    fn until_ready(
        &mut self,
        hostile: &Hostile,
        said: &mut BufReader<std::process::ChildStdout>,
    ) -> io::Result<()> {
        let ready = std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let mut line = String::new();
                said.read_line(&mut line).map(|_| line.trim() == "ready")
            });
            while !waits.is_finished() {
                self.talk(hostile, 1)?;
            }
            waits.join().map_err(|_| io::Error::other("nobody waits for the attack"))?
        })?;
        if ready { Ok(()) } else { Err(io::Error::other("the attack failed")) }
    }
}

/// The attack is another process that runs only where nobody else wants to: at a mere low priority the scheduler lets it keep the
/// witnesses waiting for a slice, 2 ms and more, which is no doing of the server.
fn start_attack(attack: &Attack) -> io::Result<Child> {
    Command::new("chrt")
        .args(["--idle", "0"])
        .arg(std::env::current_exe()?)
        .args(attack.arguments())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// The reply to `stats`.
fn stats(control: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(control)?;
    stream.write_all(b"{\"request\":\"stats\",\"id\":\"1\"}\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// The number of this name in a JSON text.
fn number(json: &str, name: &str) -> Option<u64> {
    let rest = json.split_once(&format!("\"{name}\":"))?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}
