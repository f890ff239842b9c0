//! Two witnesses who chat by v1 in a room of their own, by turns in quiet and beside hostile clients: they must get everything in
//! order, and their latency must stay below twice the quiet one. The server must stay within its memory and its turns, give back
//! its descriptors, and cut each attacker in its time.
//!
//! Latencies are the medians of some rounds, each a quiet window and then an attacked one as long, on a machine whose own mood changes
//! by the minute. The attack's process is there in both: that it wakes is no doing of the server.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::attack::Attack;
use crate::clock::{Clock, seconds};
use crate::control;
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
/// A turn of the server's loop takes at most this long.
const TURN_MICROS_MAX: u64 = 10_000;
/// What may wait for all receivers, and unfinished frames of all: the server's own budgets, `store` and the input buffers.
const STORE_BYTES: u64 = 128 << 20;
const INPUT_BYTES: u64 = 32 << 20;
/// What the server has for one connection besides, generously: 352 bytes of its own state, its rows of the tables of sockets, timers
/// and rooms, its name, and an unfinished frame of the 1,000 bytes that attackers send. Tables grow by doubling, and an allocator
/// keeps what those who are gone had.
const BY_CONNECTION_BYTES: u64 = 8 << 10;
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
    /// Seconds of quiet, and then as many of attack, that are measured in each round
    #[arg(long, default_value_t = 20)]
    duration: u64,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: usize,
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
    sockets_peak: u64,
}

/// How the server was before the attack.
struct Before {
    resident: u64,
    sockets: u64,
    descriptors: u64,
    cpu: u64,
    at: u64,
}

/// Latencies of one window: the median, the 99th percentile, the longest.
type Latency = [u64; 3];

/// What the rounds measured.
#[derive(Default)]
struct Rounds {
    quiet: Vec<Latency>,
    attacked: Vec<Latency>,
    /// What the attackers of each round say became of them.
    became: Vec<String>,
    /// All of them were cut in their time.
    were_cut: bool,
}

/// Runs it; whether everything was as promised.
pub(crate) fn run(hostile: &Hostile) -> io::Result<bool> {
    let clock = Clock::start();
    let ledger = Ledger::of_streams(2, 2);
    let desk = Desk { ledger, answers: 0, lost: None };
    let crowd = Crowd::new(clock)?;
    let (said, rss_peak, sockets_peak) = ([0; 2], 0, 0);
    let mut witnesses = Witnesses { crowd, desk, clock, said, rss_peak, sockets_peak };
    witnesses.connect(hostile)?;
    witnesses.talk(hostile, 1)?;
    let before = Before {
        resident: process::resident_bytes(hostile.pid)?,
        sockets: process::socket_bytes()?,
        descriptors: process::descriptors(hostile.pid)?,
        cpu: process::cpu_micros(hostile.pid)?,
        at: clock.micros(),
    };
    let mut rounds = Rounds { were_cut: true, ..Rounds::default() };
    for _ in 0..hostile.rounds {
        witnesses.round(hostile, &mut rounds)?;
    }
    let mut report = Report::default();
    witnesses.report(&rounds, &mut report);
    witnesses.report_server(hostile, &before, &mut report)?;
    let is_kept = report.is_kept() && rounds.were_cut;
    report.print(false);
    for (number, became) in (1..).zip(&rounds.became) {
        Report::default().print_line(&format!("round {number}\n{}", became.trim_end()));
    }
    let mut verdict = Report::default();
    verdict.words("kept", if is_kept { "yes" } else { "no" });
    verdict.print(false);
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

    /// A quiet window, and one beside the attack.
    fn round(&mut self, hostile: &Hostile, rounds: &mut Rounds) -> io::Result<()> {
        let mut attack = start_attack(&hostile.attack)?;
        let mut says = BufReader::new(attack.stdout.take().expect("it is piped"));
        let mut hears = attack.stdin.take().expect("it is piped");
        rounds.quiet.push(self.window(hostile)?);
        hears.write_all(b"begin\n")?;
        self.until_ready(hostile, &mut says)?;
        rounds.attacked.push(self.window(hostile)?);
        drop(hears);
        let mut became = String::new();
        says.read_to_string(&mut became)?;
        rounds.became.push(became);
        rounds.were_cut &= attack.wait()?.success();
        // The server sees that those who were left are gone, before it is quiet again.
        self.talk(hostile, 2)
    }

    /// What is said from now on, for as long as a window is.
    fn window(&mut self, hostile: &Hostile) -> io::Result<Latency> {
        self.measure_from_now();
        self.talk(hostile, hostile.duration)?;
        Ok(self.percentiles())
    }

    fn check(&self) -> io::Result<()> {
        self.desk.lost.as_ref().map_or(Ok(()), |lost| Err(io::Error::other(lost.clone())))
    }

    /// What is said from now on is what is measured.
    fn measure_from_now(&mut self) {
        self.desk.ledger.latency = crate::histogram::Histogram::new();
        self.desk.ledger.measured_from = self.clock.micros();
    }

    fn percentiles(&self) -> Latency {
        let latency = &self.desk.ledger.latency;
        [latency.percentile(50), latency.percentile(99), latency.most()]
    }

    fn said(&self) -> u64 {
        self.said.iter().map(|said| u64::from(*said)).sum()
    }

    /// What the witnesses noticed.
    fn report(&self, rounds: &Rounds, report: &mut Report) {
        let ledger = &self.desk.ledger;
        let quiet = [0, 1, 2].map(|at| median(&rounds.quiet, at));
        let attacked = [0, 1, 2].map(|at| median(&rounds.attacked, at));
        report.at_least("witness_messages", ledger.delivered, self.said());
        report.at_most("witness_faults", ledger.doubles + ledger.holes + ledger.echoes, 0);
        report.count("quiet_p50_us", quiet[0]);
        report.count("quiet_p99_us", quiet[1]);
        report.count("attacked_p50_us", attacked[0]);
        report.at_most("attacked_p99_us", attacked[1], (2 * quiet[1]).saturating_sub(1));
        report.count("attacked_max_us", attacked[2]);
        let p99 = |windows: &[Latency]| {
            windows.iter().map(|latency| latency[1].to_string()).collect::<Vec<_>>().join(" ")
        };
        report.words("quiet_p99_by_round", p99(&rounds.quiet));
        report.words("attacked_p99_by_round", p99(&rounds.attacked));
    }

    /// What the server took, and whether it gave it back.
    fn report_server(
        &mut self,
        hostile: &Hostile,
        before: &Before,
        report: &mut Report,
    ) -> io::Result<()> {
        let stats = control::stats(&hostile.control)?;
        let number = |name: &str| control::number(&stats, name).unwrap_or(u64::MAX);
        report.at_most("turn_longest_us", number("turn_longest_us"), TURN_MICROS_MAX);
        let connections = hostile.attack.connections();
        let budget = STORE_BYTES + INPUT_BYTES + connections * BY_CONNECTION_BYTES;
        report.count("server_rss_before", before.resident);
        report.count("server_rss_peak", self.rss_peak);
        let growth = self.rss_peak.saturating_sub(before.resident);
        report.at_most("server_rss_growth", growth, budget);
        let sockets = self.sockets_peak.saturating_sub(before.sockets);
        report.count("sockets_growth_both_ends", sockets);
        let queued = number("block_bytes").saturating_add(number("private_bytes"));
        report.at_most("queued_bytes", queued, STORE_BYTES);
        let cpu = process::cpu_micros(hostile.pid)?.saturating_sub(before.cpu);
        let time = self.clock.micros() - before.at;
        report.share("server_cpu_share", cpu as f64 / time.max(1) as f64);
        // The attackers are gone: their descriptors come back as soon as the server has seen it.
        let end = self.clock.micros() + PATIENCE_MICROS;
        let mut descriptors = process::descriptors(hostile.pid)?;
        while descriptors > before.descriptors && self.clock.micros() < end {
            self.talk(hostile, 1)?;
            descriptors = process::descriptors(hostile.pid)?;
        }
        report.at_most("descriptors", descriptors, before.descriptors);
        Ok(())
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
                self.sockets_peak = self.sockets_peak.max(process::socket_bytes()?);
                look = now + LOOK_MICROS;
            }
            while due(number) <= now.min(end - 1) {
                self.say(due(number))?;
                number += 1;
            }
            let has_all = self.desk.ledger.delivered >= self.said();
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

/// The median of one figure of some windows.
fn median(windows: &[Latency], at: usize) -> u64 {
    let mut all: Vec<u64> = windows.iter().map(|latency| latency[at]).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

/// The attack is another process that runs only where nobody else wants to: at a mere low priority the scheduler lets it keep the
/// witnesses waiting for a slice, 2 ms and more, which is no doing of the server.
fn start_attack(attack: &Attack) -> io::Result<Child> {
    Command::new("chrt")
        .args(["--idle", "0"])
        .arg(std::env::current_exe()?)
        .args(attack.arguments())
        .arg("--waits")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}
