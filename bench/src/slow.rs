//! Receivers that keep their connection alive and never read, among witnesses that do: each slow one must get a
//! beginning without a hole and then be closed, and the witnesses must notice nothing.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::{Clock, seconds};
use crate::crowd::{Crowd, Sink};
use crate::follower::Follower;
use crate::ledger::Ledger;
use crate::process;
use crate::report::Report;
use crate::socket::{self, Manner};
use crate::wire::{self, Frame, Split, Stamp};

/// The server's memory is looked at this often.
const LOOK_MICROS: u64 = 250_000;
/// What is under way at the end has so long to arrive.
const PATIENCE_MICROS: u64 = seconds(20);
/// The rest of a slow connection comes within this time, or is not coming.
const REST: Duration = Duration::from_secs(2);

/// What `bench slow` is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Slow {
    /// The server's address
    #[arg(long)]
    addr: SocketAddr,
    /// The server's process, for its memory
    #[arg(long)]
    pid: u32,
    /// The server's control socket: --followers of it stop reading for 5 s, then read again
    #[arg(long)]
    control: Option<PathBuf>,
    /// Followers of the control socket
    #[arg(long, default_value_t = 10)]
    followers: u16,
    /// Receivers that never read
    #[arg(long, default_value_t = 100)]
    receivers: u16,
    /// Receivers that read everything
    #[arg(long, default_value_t = 10)]
    witnesses: u16,
    /// `SO_RCVBUF` of those that never read
    #[arg(long, default_value_t = 16_384)]
    receive_buffer: usize,
    /// Messages a second
    #[arg(long, default_value_t = 40)]
    rate: u16,
    /// Bytes of text of each message
    #[arg(long, default_value_t = 8192)]
    size: u16,
    /// Seconds of speaking
    #[arg(long, default_value_t = 60)]
    duration: u64,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// What came in. Connection 0 speaks, then come the witnesses, then the slow ones.
struct Desk {
    ledger: Ledger,
    answers: usize,
    clock: Clock,
    closed_at: BTreeMap<usize, u64>,
}

impl Sink for Desk {
    fn frame(&mut self, link: usize, frame: Frame<'_>, now: u64) {
        match frame {
            Frame::Broadcast { text } => self.ledger.took(link, text, now),
            Frame::Ack => self.answers += 1,
            Frame::Chat { .. }
            | Frame::Keepalive
            | Frame::SetNickname { .. }
            | Frame::Nak { .. }
            | Frame::V1 { .. } => {}
        }
    }

    fn closed(&mut self, link: usize, _why: &str) {
        self.closed_at.insert(link, self.clock.micros());
    }
}

/// What one slow receiver had got when it was over.
#[derive(Default)]
struct Beginning {
    bytes: u64,
    messages: u32,
    is_contiguous: bool,
    is_closed: bool,
}

/// Runs it; whether everybody got what is promised.
pub(crate) fn run(slow: &Slow) -> io::Result<bool> {
    socket::raise_descriptors()?;
    let clock = Clock::start();
    let readers = 1 + usize::from(slow.witnesses);
    let ledger = Ledger::of_streams(readers, 1);
    let mut desk = Desk { ledger, answers: 0, clock, closed_at: BTreeMap::new() };
    desk.ledger.measured_from = 0;
    let mut crowd = Crowd::new(clock)?;
    let before = process::resident_bytes(slow.pid)?;
    for number in 0..readers + usize::from(slow.receivers) {
        let receive_bytes = (number >= readers).then_some(slow.receive_buffer);
        let link = crowd.connect(slow.addr, Manner { receive_bytes, source: None })?;
        wire::set_nickname(&format!("slow-{number:05}"), crowd.out(link));
        crowd.flush(link)?;
        let patience = clock.micros() + PATIENCE_MICROS;
        while desk.answers <= number {
            crowd.turn(patience, &mut desk)?;
            if clock.micros() >= patience {
                return Err(io::Error::other("the server does not answer"));
            }
        }
        if number >= readers {
            crowd.stop_reading(link)?;
        }
    }
    let mut followers = Vec::new();
    if let Some(control) = &slow.control {
        for _ in 0..slow.followers {
            followers.push(Follower::start(control, clock.micros())?);
        }
    }
    let (sent, peak) = speak(slow, &mut crowd, &mut desk, &mut followers)?;
    let mut beginnings = Vec::new();
    for link in readers..readers + usize::from(slow.receivers) {
        beginnings.push(rest(&crowd.take(link)?)?);
    }
    report(slow, sent, &desk, &followers, &beginnings, (before, peak))
}

/// Speaks by the clock while the others read; how many messages, and the most memory the server had.
fn speak(
    slow: &Slow,
    crowd: &mut Crowd,
    desk: &mut Desk,
    followers: &mut [Follower],
) -> io::Result<(u32, u64)> {
    let (clock, start) = (desk.clock, desk.clock.micros());
    let end = start + seconds(slow.duration);
    let due =
        |sequence: u32| start + u64::from(sequence) * seconds(1) / u64::from(slow.rate).max(1);
    let (mut sequence, mut peak, mut look) = (0, 0, start);
    let is_done = |desk: &Desk, followers: &[Follower], sequence: u32| {
        let owed = u64::from(sequence);
        let has_all = |follower: &Follower| follower.messages + follower.skipped >= owed;
        desk.ledger.delivered >= owed * u64::from(slow.witnesses)
            && followers.iter().all(|follower| follower.is_over() || has_all(follower))
    };
    loop {
        let now = clock.micros();
        if now >= look {
            peak = process::resident_bytes(slow.pid)?.max(peak);
            look = now + LOOK_MICROS;
        }
        if now >= end && (is_done(desk, followers, sequence) || now >= end + PATIENCE_MICROS) {
            return Ok((sequence, peak));
        }
        while due(sequence) <= now.min(end - 1) {
            let stamp = Stamp { stream: 0, sequence, micros: due(sequence) };
            stamp.chat(usize::from(slow.size), crowd.out(0));
            crowd.flush(0)?;
            sequence += 1;
        }
        // The followers are looked at by the clock, since they are not among the crowd.
        let next = if followers.is_empty() { look } else { look.min(now + 20_000) };
        let next = if now < end { next.min(due(sequence)) } else { next };
        crowd.turn(next, desk)?;
        for follower in followers.iter_mut() {
            follower.read(now);
        }
    }
}

/// Reads a slow connection to its end and looks at what it held.
fn rest(mut stream: &TcpStream) -> io::Result<Beginning> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(REST))?;
    let mut beginning = Beginning { is_contiguous: true, ..Beginning::default() };
    let (mut bytes, mut scratch) = (Vec::new(), vec![0; 256 * 1024]);
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => beginning.is_closed = true,
            Ok(count) => {
                bytes.extend_from_slice(&scratch[..count]);
                continue;
            }
            Err(error) => {
                beginning.is_closed = error.kind() == io::ErrorKind::ConnectionReset;
            }
        }
        break;
    }
    beginning.bytes = bytes.len() as u64;
    let mut start = 0;
    loop {
        match wire::split(&bytes[start..]) {
            Split::Frame(frame, taken) => {
                start += taken;
                if let Frame::Broadcast { text } = frame {
                    let sequence = Stamp::read(text).map(|stamp| stamp.sequence);
                    beginning.is_contiguous &= sequence == Some(beginning.messages);
                    beginning.messages += 1;
                }
            }
            Split::More => {
                let last = wire::begun(&bytes[start..]).and_then(Stamp::read);
                let follows = last.is_none_or(|stamp| stamp.sequence == beginning.messages);
                beginning.is_contiguous &= follows;
                return Ok(beginning);
            }
            Split::Malformed => {
                beginning.is_contiguous = false;
                return Ok(beginning);
            }
        }
    }
}

fn report(
    slow: &Slow,
    sent: u32,
    desk: &Desk,
    followers: &[Follower],
    beginnings: &[Beginning],
    (before, peak): (u64, u64),
) -> io::Result<bool> {
    let (mut report, ledger) = (Report::default(), &desk.ledger);
    let witnessed = u64::from(sent) * u64::from(slow.witnesses);
    let contiguous = beginnings.iter().filter(|beginning| beginning.is_contiguous).count();
    let closed = beginnings.iter().filter(|beginning| beginning.is_closed).count();
    let mut bytes: Vec<u64> = beginnings.iter().map(|beginning| beginning.bytes).collect();
    bytes.sort_unstable();
    let messages = beginnings.iter().map(|beginning| u64::from(beginning.messages));
    let lost = desk.closed_at.range(..=usize::from(slow.witnesses)).count();
    let noticed =
        desk.closed_at.range(1 + usize::from(slow.witnesses)..).map(|(_, at)| *at / 1_000);
    report.count("messages", u64::from(sent));
    report.count("slow_receivers", beginnings.len() as u64);
    report.count("slow_contiguous", contiguous as u64);
    report.count("slow_closed", closed as u64);
    report.count("slow_noticed_first_ms", noticed.clone().min().unwrap_or(0));
    report.count("slow_noticed_last_ms", noticed.max().unwrap_or(0));
    report.count("slow_messages_least", messages.clone().min().unwrap_or(0));
    report.count("slow_messages_most", messages.max().unwrap_or(0));
    report.count("slow_bytes_least", bytes.first().copied().unwrap_or(0));
    report.count("slow_bytes_median", bytes.get(bytes.len() / 2).copied().unwrap_or(0));
    report.count("slow_bytes_most", bytes.last().copied().unwrap_or(0));
    report.count("witness_deliveries_expected", witnessed);
    report.count("witness_deliveries", ledger.delivered);
    report.count("witness_faults", ledger.doubles + ledger.holes + ledger.echoes);
    report.count("witnesses_lost", lost as u64);
    report.count("witness_latency_p50_us", ledger.latency.percentile(50));
    report.count("witness_latency_p99_us", ledger.latency.percentile(99));
    report.count("witness_latency_max_us", ledger.latency.most());
    let sum = |what: fn(&Follower) -> u64| followers.iter().map(what).sum::<u64>();
    let is_whole = |follower: &&Follower| {
        follower.messages + follower.skipped == u64::from(sent) && follower.mismatches == 0
    };
    let whole = followers.iter().filter(is_whole).count();
    report.count("followers", followers.len() as u64);
    report.count("followers_whole", whole as u64);
    report.count("followers_ended", sum(|follower| u64::from(follower.is_over())));
    report.count("follower_messages", sum(|follower| follower.messages));
    report.count("follower_gaps", sum(|follower| follower.gaps));
    report.count("follower_skipped", sum(|follower| follower.skipped));
    report.count("follower_mismatches", sum(|follower| follower.mismatches));
    report.count("server_rss_before", before);
    report.count("server_rss_peak", peak);
    report.count("server_rss_after", process::resident_bytes(slow.pid)?);
    // Whoever got not even one message proves nothing about order.
    let proves = beginnings.iter().all(|beginning| beginning.messages > 0);
    let is_kept = proves
        && ledger.is_exact(witnessed)
        && lost == 0
        && contiguous == beginnings.len()
        && closed == beginnings.len()
        && whole == followers.len();
    report.words("kept", if is_kept { "yes" } else { "no" });
    report.print(slow.json);
    Ok(is_kept)
}
