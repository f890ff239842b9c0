//! One run of load: connects a room full of members, lets them speak in one of three ways, counts every delivery,
//! and reports what it cost the server and what it cost this process itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::clock::{Clock, seconds};
use crate::control;
use crate::crowd::{Crowd, PATIENCE_MICROS, Sink, Tally};
use crate::histogram::Histogram;
use crate::ledger::Ledger;
use crate::process;
use crate::report::Report;
use crate::socket::{self, Manner};
use crate::wire::{self, Frame, STAMP_BYTES, Stamp};

/// Connections made, or members speaking in idle mode, before the answers are waited for.
const BATCH: usize = 64;
/// Connections from one loopback address, well within its port range.
const PER_SOURCE_MAX: usize = 20_000;
/// Spoken before the measurement begins.
const WARM_UP_MICROS: u64 = seconds(1);
/// Above this share of a core the loader itself may be what is measured.
const OWN_SHARE_MAX: f64 = 0.8;

/// What `bench load` is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The server's address
    #[arg(long)]
    addr: SocketAddr,
    /// The server's process, for its CPU time and memory
    #[arg(long)]
    pid: u32,
    /// The server's control socket, for how long its commits take
    #[arg(long)]
    control: Option<PathBuf>,
    /// Members of the room
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..))]
    connections: u16,
    /// Each member chats once, then all are quiet but for keepalives
    #[arg(long, conflicts_with_all = ["speakers", "rate", "outstanding"])]
    idle: bool,
    /// One speaker keeps so many messages under way; a message is done when every receiver has it
    #[arg(long, conflicts_with_all = ["speakers", "rate"])]
    outstanding: Option<u16>,
    /// So many members speak, each --rate messages a second, spread evenly
    #[arg(long, default_value_t = 1)]
    speakers: u16,
    /// Messages a second of each speaker
    #[arg(long, default_value_t = 10)]
    rate: u16,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// Bytes of text of each message
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(STAMP_BYTES as i64..=65_000))]
    size: u16,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

struct Run {
    load: Load,
    clock: Clock,
    crowd: Crowd,
    desk: Desk,
    report: Report,
    /// Messages sent by each speaker.
    sequences: Vec<u32>,
}

/// What came in, of all connections.
struct Desk {
    ledger: Ledger,
    answers: usize,
    refusal: Option<String>,
    lost: Vec<String>,
}

/// What had been used up at some time.
struct Meter {
    at: u64,
    server: u64,
    own: u64,
    delivered: u64,
}

impl Sink for Desk {
    fn frame(&mut self, link: usize, frame: Frame<'_>, now: u64) {
        match frame {
            Frame::Broadcast { text } => self.ledger.took(link, text, now),
            Frame::Ack => self.answers += 1,
            Frame::Nak { message } => {
                self.refusal = Some(String::from_utf8_lossy(message).into_owned());
            }
            Frame::Chat { .. }
            | Frame::Keepalive
            | Frame::SetNickname { .. }
            | Frame::V1 { .. } => {}
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
        self.answers as u64 + self.ledger.delivered
    }
}

/// Runs it; whether every delivery was made exactly once.
pub(crate) fn run(load: Load) -> io::Result<bool> {
    socket::raise_descriptors()?;
    let clock = Clock::start();
    let (members, speakers) = (usize::from(load.connections), usize::from(load.speakers));
    let ledger = if load.idle {
        Ledger::of_single_messages(members)
    } else {
        Ledger::of_streams(members, speakers)
    };
    if speakers > members {
        return Err(io::Error::other("there are more speakers than connections"));
    }
    let desk = Desk { ledger, answers: 0, refusal: None, lost: Vec::new() };
    let (crowd, report) = (Crowd::new(clock)?, Report::default());
    let sequences = vec![0; members];
    Run { load, clock, crowd, desk, report, sequences }.go()
}

impl Run {
    fn go(mut self) -> io::Result<bool> {
        let empty = process::resident_bytes(self.load.pid)?;
        self.connect()?;
        self.report.count("connections", u64::from(self.load.connections));
        if self.load.idle {
            self.chat_once()?;
            let chatted = process::resident_bytes(self.load.pid)?;
            self.rest()?;
            let rested = process::resident_bytes(self.load.pid)?;
            let growth =
                |bytes: u64| bytes.saturating_sub(empty) as f64 / f64::from(self.load.connections);
            self.report.share("rss_growth_per_connection", growth(rested));
            self.report.share("rss_growth_when_all_had_chatted", growth(chatted));
        } else {
            self.desk.ledger.measured_from = self.clock.micros() + WARM_UP_MICROS;
            match self.load.outstanding {
                Some(most) => self.juggle(usize::from(most))?,
                None => self.speak()?,
            }
        }
        self.settle(empty)
    }

    /// Connects all members; each takes a nickname, since its Ack proves that the server counts it in.
    fn connect(&mut self) -> io::Result<()> {
        for number in 0..usize::from(self.load.connections) {
            let spread = usize::from(self.load.connections) > PER_SOURCE_MAX;
            let last = u8::try_from(2 + number / PER_SOURCE_MAX).unwrap_or(u8::MAX);
            let source = spread.then(|| Ipv4Addr::new(127, 0, 0, last));
            let link =
                self.crowd.connect(self.load.addr, Manner { source, receive_bytes: None })?;
            wire::set_nickname(&format!("load-{number:05}"), self.crowd.out(link));
            self.crowd.flush(link)?;
            if number % BATCH == BATCH - 1 {
                self.crowd.turn_until(&mut self.desk, |desk| desk.answers == number + 1)?;
            }
        }
        let members = usize::from(self.load.connections);
        self.crowd.turn_until(&mut self.desk, |desk| desk.answers == members)
    }

    /// Each member says one message, a batch at a time, so that nobody's queue grows beyond a batch.
    fn chat_once(&mut self) -> io::Result<()> {
        let members = u64::from(self.load.connections);
        for number in 0..usize::from(self.load.connections) {
            self.send(number, self.clock.micros())?;
            self.crowd.flush(number)?;
            if number % BATCH == BATCH - 1 {
                let said = number as u64 + 1;
                self.crowd.turn_until(&mut self.desk, |desk| {
                    desk.ledger.delivered >= said * (members - 1)
                })?;
            }
        }
        self.crowd
            .turn_until(&mut self.desk, |desk| desk.ledger.delivered >= members * (members - 1))
    }

    /// Nobody says anything but keepalives.
    fn rest(&mut self) -> io::Result<()> {
        let begin = self.meter()?;
        let end = begin.at + seconds(self.load.duration);
        while self.clock.micros() < end {
            self.crowd.peaceful_turn(end, &mut self.desk)?;
        }
        self.measured(&begin)
    }

    /// Speakers speak by the clock, whatever has arrived: message k is due at k / (speakers x rate) seconds, on a whole
    /// millisecond, and its latency counts from when it was due.
    fn speak(&mut self) -> io::Result<()> {
        let (speakers, rate) = (u64::from(self.load.speakers), u64::from(self.load.rate));
        let due = |number: u64| (number * 1_000 / (speakers * rate).max(1)) * 1_000;
        let start = self.clock.micros();
        let (warm, end) =
            (start + WARM_UP_MICROS, start + WARM_UP_MICROS + seconds(self.load.duration));
        let (mut number, mut begin, mut late) = (0, None, Histogram::new());
        loop {
            let now = self.clock.micros();
            if begin.is_none() && now >= warm {
                begin = Some(self.meter()?);
            }
            if now >= end {
                break;
            }
            while start + due(number) <= now {
                let speaker = usize::try_from(number % speakers).map_err(io::Error::other)?;
                self.send(speaker, start + due(number))?;
                self.crowd.flush(speaker)?;
                late.record(self.clock.micros() - start - due(number));
                number += 1;
            }
            self.crowd.peaceful_turn((start + due(number)).min(end), &mut self.desk)?;
        }
        self.report.count("loader_late_p99_us", late.percentile(99));
        self.measured(&begin.ok_or_else(|| io::Error::other("nothing was measured"))?)
    }

    /// One speaker has so many messages under way: the next is sent when the oldest has reached everyone.
    fn juggle(&mut self, most: usize) -> io::Result<()> {
        let start = self.clock.micros();
        let (warm, end) =
            (start + WARM_UP_MICROS, start + WARM_UP_MICROS + seconds(self.load.duration));
        let others = usize::from(self.load.connections) - 1;
        let (mut begin, mut moved) = (None, start);
        loop {
            let now = self.clock.micros();
            if begin.is_none() && now >= warm {
                begin = Some(self.meter()?);
            }
            if now >= end {
                break;
            }
            if self.desk.ledger.outstanding() < most {
                moved = now;
                while self.desk.ledger.outstanding() < most {
                    self.desk.ledger.sent(others);
                    self.send(0, now)?;
                }
                self.crowd.flush(0)?;
            } else if now > moved + PATIENCE_MICROS {
                return Err(io::Error::other("the messages under way do not arrive"));
            }
            self.crowd.peaceful_turn(end, &mut self.desk)?;
        }
        self.measured(&begin.ok_or_else(|| io::Error::other("nothing was measured"))?)
    }

    fn send(&mut self, speaker: usize, micros: u64) -> io::Result<()> {
        let stream = u16::try_from(speaker).map_err(io::Error::other)?;
        let sequence = self.sequences[speaker];
        self.sequences[speaker] += 1;
        Stamp { stream, sequence, micros }
            .chat(usize::from(self.load.size), self.crowd.out(speaker));
        Ok(())
    }

    fn meter(&self) -> io::Result<Meter> {
        Ok(Meter {
            at: self.clock.micros(),
            server: process::cpu_micros(self.load.pid)?,
            own: process::cpu_micros(std::process::id())?,
            delivered: self.desk.ledger.delivered,
        })
    }

    /// Reports what was used since `begin`.
    fn measured(&mut self, begin: &Meter) -> io::Result<()> {
        let end = self.meter()?;
        let micros = (end.at - begin.at) as f64;
        let (server, own) = ((end.server - begin.server) as f64, (end.own - begin.own) as f64);
        let delivered = end.delivered - begin.delivered;
        self.report.share("measured_seconds", micros / 1e6);
        self.report.count("deliveries_measured", delivered);
        self.report.share("deliveries_per_second", delivered as f64 * 1e6 / micros);
        self.report.share("server_cpu_share", server / micros);
        if delivered > 0 {
            self.report.share("server_cpu_us_per_delivery", server / delivered as f64);
        }
        self.report.share("loader_cpu_share", own / micros);
        if own / micros > OWN_SHARE_MAX {
            self.report.words("warning", "the loader itself was busy: it may be what was measured");
        }
        Ok(())
    }

    /// Waits for what is still under way, and reports what arrived.
    fn settle(mut self, empty: u64) -> io::Result<bool> {
        let sent: u64 = self.sequences.iter().map(|&count| u64::from(count)).sum();
        let expected = sent * (u64::from(self.load.connections) - 1);
        // What does not arrive is reported below.
        let _ = self.crowd.turn_until(&mut self.desk, |desk| {
            desk.ledger.delivered >= expected || !desk.lost.is_empty()
        });
        let (ledger, report) = (&self.desk.ledger, &mut self.report);
        report.count("messages", sent);
        report.count("deliveries_expected", expected);
        report.count("deliveries", ledger.delivered);
        report.count("doubles", ledger.doubles);
        report.count("holes", ledger.holes);
        report.count("echoes", ledger.echoes);
        report.count("strangers", ledger.strangers);
        report.count("connections_lost", self.desk.lost.len() as u64);
        if ledger.latency.len() > 0 {
            report.count("latency_p50_us", ledger.latency.percentile(50));
            report.count("latency_p90_us", ledger.latency.percentile(90));
            report.count("latency_p99_us", ledger.latency.percentile(99));
            report.count("latency_max_us", ledger.latency.most());
        }
        if let Some(control) = &self.load.control {
            let [p50, p99, _] = control::history(control)?;
            report.count("commit_p50_us", p50);
            report.count("commit_p99_us", p99);
        }
        report.count("server_rss_before", empty);
        report.count("server_rss_after", process::resident_bytes(self.load.pid)?);
        if let Some(lost) = self.desk.lost.first() {
            report.words("first_lost", lost);
        }
        let is_exact = ledger.is_exact(expected) && self.desk.lost.is_empty();
        report.words("exact", if is_exact { "yes" } else { "no" });
        self.report.print(self.load.json);
        Ok(is_exact)
    }
}
