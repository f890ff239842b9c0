//! One room with readers of every dialect: as many native v1 ones, v0.5 ones, ones by WebSocket and streams of events, and ten speakers. It
//! reports by kind whether each reader got every message once and in order, and how often the server encoded one.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::clock::{Clock, seconds};
use crate::control;
use crate::crowd::{Crowd, Sink, Speaks, Tally};
use crate::histogram::Histogram;
use crate::ledger::Ledger;
use crate::process;
use crate::report::Report;
use crate::socket::{self, Manner};
use crate::web;
use crate::wire::{self, Frame, STAMP_BYTES, Stamp};

/// Connections made before the answers are waited for.
const BATCH: usize = 64;
/// Those who come are told to a large room within a second, which is not to be measured.
const WARM_UP_MICROS: u64 = seconds(2);
/// How many speak, over v0.5; they are the first connections.
const SPEAKERS: usize = 10;
/// How many kinds of connections there are, the speakers being the first.
const KINDS: usize = 5;
/// Above this share of a core the loader itself may be what is measured.
const OWN_SHARE_MAX: f64 = 0.8;

const HELLO: &str = r#"{"request":"hello","id":"h"}"#;
const JOIN: &str = r#"{"request":"join","id":"j","room":"lobby"}"#;

/// What `bench readers` is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Readers {
    /// The server's address
    #[arg(long)]
    addr: SocketAddr,
    /// The server's process, for its CPU time
    #[arg(long)]
    pid: u32,
    /// The server's control socket, for what it counts
    #[arg(long)]
    control: PathBuf,
    /// Native v1 connections
    #[arg(long, default_value_t = 1_000)]
    v1: usize,
    /// Connections of v0.5 that only listen
    #[arg(long, default_value_t = 1_000)]
    v05: usize,
    /// Connections by WebSocket
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Streams of events
    #[arg(long, default_value_t = 1_000)]
    events: usize,
    /// Messages a second of all speakers together
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    rate: u64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// Bytes of text of each message
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(STAMP_BYTES as i64..=16_000))]
    size: u16,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

impl Readers {
    /// How many there are of each kind, and what they are called.
    fn kinds(&self) -> [(&'static str, usize); KINDS] {
        [
            ("speakers", SPEAKERS),
            ("v1", self.v1),
            ("v05", self.v05),
            ("sockets", self.sockets),
            ("events", self.events),
        ]
    }
}

/// What came in, of all connections.
struct Desk {
    /// Where the connections of each kind end.
    ends: [usize; KINDS],
    ledgers: Vec<Ledger>,
    size: usize,
    answers: usize,
    lost: Vec<String>,
    refusal: Option<String>,
}

impl Desk {
    fn delivered(&self) -> u64 {
        self.ledgers.iter().map(|ledger| ledger.delivered).sum()
    }

    fn took(&mut self, link: usize, text: &[u8], now: u64) {
        let kind = self.ends.iter().position(|end| link < *end).expect("a link has its kind");
        self.ledgers[kind].took(link, text, now);
    }

    /// One object of v1: a message, whose text is the last of it, or the answer to a `join`.
    fn object(&mut self, link: usize, json: &[u8], now: u64) {
        let text = json.len().checked_sub(self.size + 2).map(|at| json.split_at(at));
        if let Some((before, text)) = text
            && before.ends_with(br#""text":""#)
        {
            self.took(link, &text[..self.size], now);
        } else if json.starts_with(br#"{"reply":"j","ok":true"#) {
            self.answers += 1;
        } else if json.windows(10).any(|part| part == br#""ok":false"#) {
            self.refusal = Some(String::from_utf8_lossy(json).into_owned());
        }
    }
}

impl Sink for Desk {
    fn frame(&mut self, link: usize, frame: Frame<'_>, now: u64) {
        match frame {
            Frame::Broadcast { text } => self.took(link, text, now),
            Frame::V1 { json } => self.object(link, json, now),
            Frame::Ack => self.answers += 1,
            Frame::Nak { message } => {
                self.refusal = Some(String::from_utf8_lossy(message).into_owned());
            }
            Frame::Chat { .. } | Frame::Keepalive | Frame::SetNickname { .. } => {}
        }
    }

    fn closed(&mut self, link: usize, why: &str) {
        self.lost.push(format!("connection {link}: {why}"));
    }
}

impl Tally for Desk {
    fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    fn lost(&self) -> Option<&str> {
        self.lost.first().map(String::as_str)
    }

    fn came(&self) -> u64 {
        self.answers as u64 + self.delivered()
    }
}

struct Run {
    readers: Readers,
    clock: Clock,
    crowd: Crowd,
    desk: Desk,
    report: Report,
    /// Messages sent by each speaker.
    sequences: [u32; SPEAKERS],
}

/// Runs it; whether every delivery was made exactly once, and each message encoded twice.
pub(crate) fn run(readers: Readers) -> io::Result<bool> {
    socket::raise_descriptors()?;
    let clock = Clock::start();
    let mut ends = [0; KINDS];
    let mut links = 0;
    for (end, (_, count)) in ends.iter_mut().zip(readers.kinds()) {
        links += count;
        *end = links;
    }
    let ledgers = (0..KINDS).map(|_| Ledger::of_streams(links, SPEAKERS)).collect();
    let (size, lost) = (usize::from(readers.size), Vec::new());
    let desk = Desk { ends, ledgers, size, answers: 0, lost, refusal: None };
    let (crowd, report) = (Crowd::new(clock)?, Report::default());
    Run { readers, clock, crowd, desk, report, sequences: [0; SPEAKERS] }.go()
}

impl Run {
    fn go(mut self) -> io::Result<bool> {
        self.connect()?;
        let warm = self.clock.micros() + WARM_UP_MICROS;
        while self.clock.micros() < warm {
            self.crowd.peaceful_turn(warm, &mut self.desk)?;
        }
        let before = self.counted()?;
        self.speak()?;
        self.settle(before)
    }

    /// Connects all, and waits until the server has counted each in.
    fn connect(&mut self) -> io::Result<()> {
        let (mut link, mut answers) = (0, 0);
        for (kind, (_, count)) in self.readers.kinds().into_iter().enumerate() {
            for _ in 0..count {
                answers += self.greet(link, kind)?;
                link += 1;
                if link % BATCH == 0 {
                    self.crowd.turn_until(&mut self.desk, |desk| desk.answers >= answers)?;
                }
            }
        }
        self.crowd.turn_until(&mut self.desk, |desk| desk.answers >= answers)
    }

    /// Makes a connection of a kind; how many answers show that it hears the room.
    fn greet(&mut self, link: usize, kind: usize) -> io::Result<usize> {
        let number = self.crowd.connect(self.readers.addr, Manner::default())?;
        assert_eq!(number, link, "connections are numbered as they are made");
        let answers = match kind {
            0 | 2 => {
                wire::set_nickname(&format!("reader-{link:05}"), self.crowd.out(link));
                1
            }
            1 => {
                wire::request(HELLO, self.crowd.out(link));
                wire::request(JOIN, self.crowd.out(link));
                1
            }
            3 => {
                self.crowd.speaks(link, Speaks::Socket { begun: false });
                self.crowd.out(link).extend_from_slice(web::UPGRADE);
                web::text(JOIN.as_bytes(), self.crowd.out(link));
                2
            }
            _ => {
                self.crowd.speaks(link, Speaks::Events { begun: false });
                self.crowd.out(link).extend_from_slice(web::EVENTS);
                1
            }
        };
        self.crowd.flush(link)?;
        Ok(answers)
    }

    /// Speakers speak by the clock: message k is due at k / rate seconds, on a whole millisecond, and its latency counts from then.
    fn speak(&mut self) -> io::Result<()> {
        let rate = self.readers.rate;
        let due = |number: u64| (number * 1_000 / rate) * 1_000;
        let start = self.clock.micros();
        for ledger in &mut self.desk.ledgers {
            ledger.measured_from = start;
        }
        let end = start + seconds(self.readers.duration);
        let (server, own) = self.cpu()?;
        let (mut number, mut late) = (0, Histogram::new());
        while self.clock.micros() < end {
            while start + due(number) <= self.clock.micros().min(end - 1) {
                self.send(number % SPEAKERS as u64, start + due(number))?;
                late.record(self.clock.micros() - start - due(number));
                number += 1;
            }
            self.crowd.turn((start + due(number)).min(end), &mut self.desk)?;
        }
        let (server_end, own_end) = self.cpu()?;
        let micros = (self.clock.micros() - start) as f64;
        let delivered = self.desk.delivered();
        let (server, own) = ((server_end - server) as f64, (own_end - own) as f64);
        self.report.count("loader_late_p99_us", late.percentile(99));
        self.report.share("measured_seconds", micros / 1e6);
        self.report.share("deliveries_per_second", delivered as f64 * 1e6 / micros);
        self.report.share("server_cpu_share", server / micros);
        self.report.share("server_cpu_us_per_delivery", server / delivered.max(1) as f64);
        self.report.share("loader_cpu_share", own / micros);
        if own / micros > OWN_SHARE_MAX {
            self.report.words("warning", "the loader itself was busy: it may be what was measured");
        }
        Ok(())
    }

    fn send(&mut self, speaker: u64, micros: u64) -> io::Result<()> {
        let stream = u16::try_from(speaker).map_err(io::Error::other)?;
        let speaker = usize::from(stream);
        let sequence = self.sequences[speaker];
        self.sequences[speaker] += 1;
        Stamp { stream, sequence, micros }.chat(self.desk.size, self.crowd.out(speaker));
        self.crowd.flush(speaker)
    }

    fn cpu(&self) -> io::Result<(u64, u64)> {
        Ok((process::cpu_micros(self.readers.pid)?, process::cpu_micros(std::process::id())?))
    }

    /// How many messages the server says that it had, and how often it encoded one in v0.5 and in v1.
    fn counted(&self) -> io::Result<[u64; 3]> {
        let stats = control::stats(&self.readers.control)?;
        let number = |name| {
            let missing = || io::Error::other(format!("the server counts no {name}"));
            control::number(&stats, name).ok_or_else(missing)
        };
        Ok([number("messages")?, number("encoded_v05")?, number("encoded_v1")?])
    }

    /// Waits for what is still under way, and reports what arrived, by kind.
    fn settle(mut self, before: [u64; 3]) -> io::Result<bool> {
        let sent: u64 = self.sequences.iter().map(|&count| u64::from(count)).sum();
        let kinds = self.readers.kinds();
        let expected = kinds.map(|(name, count)| {
            // No speaker gets its own.
            sent * (count - usize::from(name == "speakers")) as u64
        });
        let all = expected.iter().sum();
        // What does not arrive is reported below.
        let _ = self
            .crowd
            .turn_until(&mut self.desk, |desk| desk.delivered() >= all || !desk.lost.is_empty());
        let after = self.counted()?;
        let report = &mut self.report;
        report.count("messages", sent);
        report.count("deliveries_expected", all);
        report.count("connections_lost", self.desk.lost.len() as u64);
        let mut is_exact = self.desk.lost.is_empty();
        for (((name, count), expected), ledger) in
            kinds.iter().zip(expected).zip(&self.desk.ledgers)
        {
            if *count == 0 {
                continue;
            }
            let is_mine = ledger.is_exact(expected);
            is_exact &= is_mine;
            report.count(format!("{name}_deliveries"), ledger.delivered);
            report.count(format!("{name}_doubles_and_holes"), ledger.doubles + ledger.holes);
            report.count(format!("{name}_latency_p50_us"), ledger.latency.percentile(50));
            report.count(format!("{name}_latency_p99_us"), ledger.latency.percentile(99));
            report.words(format!("{name}_exact"), if is_mine { "yes" } else { "no" });
        }
        let [messages, v05, v1] = [0, 1, 2].map(|at| after[at] - before[at]);
        report.count("server_messages", messages);
        report.count("encoded_v05", v05);
        report.count("encoded_v1", v1);
        report.share("encoded_per_message", (v05 + v1) as f64 / messages.max(1) as f64);
        if let Some(lost) = self.desk.lost.first() {
            report.words("first_lost", lost);
        }
        report.words("exact", if is_exact { "yes" } else { "no" });
        let hears_v1 = self.readers.v1 + self.readers.sockets + self.readers.events > 0;
        let is_once = messages == sent && v05 == sent && v1 == if hears_v1 { sent } else { 0 };
        report.words("encoded_once_each", if is_once { "yes" } else { "no" });
        self.report.print(self.readers.json);
        Ok(is_exact && is_once)
    }
}
