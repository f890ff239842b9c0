//! Posts as fast as they are acknowledged: each sender, a v1 connection, has some of them under way, and posts one more for each reply.
//! Nobody is in the room: what is measured is the way to the disk and back, and not to the readers.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::clock::{Clock, seconds};
use crate::control;
use crate::crowd::{Crowd, PATIENCE_MICROS, Sink, Tally};
use crate::histogram::Histogram;
use crate::process;
use crate::report::Report;
use crate::socket::{self, Manner};
use crate::syncs;
use crate::wire::{self, Frame};

/// Posted before the measurement begins.
const WARM_UP_MICROS: u64 = seconds(1);
/// What fewer posts a second than this ask for an excuse: a slow disk.
const POSTS_PER_SECOND_MIN: u64 = 20_000;

/// What `bench posts` is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Posts {
    /// The server's address
    #[arg(long)]
    addr: SocketAddr,
    /// The server's process, for its CPU time and memory
    #[arg(long)]
    pid: u32,
    /// The server's control socket, for how long its commits take
    #[arg(long)]
    control: PathBuf,
    /// Where the history is: the syncs of that disk are measured afterwards, and what they allow is compared
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Connections that post
    #[arg(long, default_value_t = 64)]
    senders: u16,
    /// Posts that each of them has under way
    #[arg(long, default_value_t = 64)]
    outstanding: u16,
    /// Bytes of text of each
    #[arg(long, default_value_t = 64)]
    size: u16,
    /// Where they go
    #[arg(long, default_value = "posts")]
    room: String,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// So many posts in all, however long that takes, instead
    #[arg(long, conflicts_with = "duration")]
    count: Option<u64>,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// What came in.
struct Desk {
    /// When each sender posted what is not acknowledged yet: replies come in that order.
    under_way: Vec<VecDeque<u64>>,
    /// Who may post once more.
    free: Vec<usize>,
    acknowledged: u64,
    latency: Histogram,
    measured_from: u64,
    hellos: usize,
    refusal: Option<String>,
}

impl Sink for Desk {
    fn frame(&mut self, link: usize, frame: Frame<'_>, now: u64) {
        let Frame::V1 { json } = frame else { return };
        if !json.windows(9).any(|window| window == b"\"ok\":true") {
            self.refusal = Some(String::from_utf8_lossy(json).into_owned());
        } else if let Some(at) = self.under_way[link].pop_front() {
            self.acknowledged += 1;
            self.free.push(link);
            if at >= self.measured_from {
                self.latency.record(now - at);
            }
        } else {
            self.hellos += 1;
        }
    }

    fn closed(&mut self, _link: usize, why: &str) {
        self.refusal = Some(why.to_owned());
    }
}

impl Tally for Desk {
    fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    fn lost(&self) -> Option<&str> {
        None
    }

    fn came(&self) -> u64 {
        self.hellos as u64 + self.acknowledged
    }
}

/// What had been used up at some time.
struct Meter {
    at: u64,
    acknowledged: u64,
    server: u64,
    own: u64,
    written: u64,
}

struct Run {
    posts: Posts,
    clock: Clock,
    crowd: Crowd,
    desk: Desk,
    random: u64,
    sent: u64,
}

/// Runs it; whether everything was acknowledged, and as fast as it is to be where a folder was given.
pub(crate) fn run(posts: Posts) -> io::Result<bool> {
    socket::raise_descriptors()?;
    let clock = Clock::start();
    let desk = Desk {
        under_way: vec![VecDeque::new(); usize::from(posts.senders)],
        free: Vec::new(),
        acknowledged: 0,
        latency: Histogram::new(),
        measured_from: u64::MAX,
        hellos: 0,
        refusal: None,
    };
    // Another run is not to have the same ids.
    let random = RandomState::new().build_hasher().finish();
    Run { posts, clock, crowd: Crowd::new(clock)?, desk, random, sent: 0 }.go()
}

impl Run {
    fn go(mut self) -> io::Result<bool> {
        let senders = usize::from(self.posts.senders);
        for _ in 0..senders {
            let link = self.crowd.connect(self.posts.addr, Manner::default())?;
            wire::request(r#"{"request":"hello","id":"1"}"#, self.crowd.out(link));
            self.crowd.flush(link)?;
        }
        self.crowd.turn_until(&mut self.desk, |desk| desk.hellos == senders)?;
        let rss_before = process::resident_bytes(self.posts.pid)?;
        for _ in 0..self.posts.outstanding {
            self.desk.free.extend(0..senders);
        }
        let (begin, end) = self.post()?;
        let all = self.sent;
        self.crowd.turn_until(&mut self.desk, |desk| desk.acknowledged == all)?;
        self.report(&begin, &end, rss_before)
    }

    /// Posts until it is over; what had been used up when the measurement began, and at its end.
    fn post(&mut self) -> io::Result<(Meter, Meter)> {
        let warm = if self.posts.count.is_some() { 0 } else { WARM_UP_MICROS };
        let from = self.clock.micros() + warm;
        let until =
            if self.posts.count.is_some() { u64::MAX } else { from + seconds(self.posts.duration) };
        self.desk.measured_from = from;
        let (mut begin, mut moved) = (None, (0, from));
        loop {
            let now = self.clock.micros();
            if begin.is_none() && now >= from {
                begin = Some(self.meter()?);
            }
            let is_over = self.posts.count.is_some_and(|count| self.sent >= count) || now >= until;
            if let Some(begin) = begin.take_if(|_| is_over) {
                return Ok((begin, self.meter()?));
            }
            self.post_on()?;
            if moved.0 != self.desk.acknowledged {
                moved = (self.desk.acknowledged, now);
            } else if now > moved.1 + PATIENCE_MICROS {
                return Err(io::Error::other("nothing is acknowledged any more"));
            }
            self.crowd.peaceful_turn(now + 100_000, &mut self.desk)?;
        }
    }

    /// Whoever has had a reply posts once more.
    fn post_on(&mut self) -> io::Result<()> {
        let mut free = std::mem::take(&mut self.desk.free);
        free.sort_unstable();
        let now = self.clock.micros();
        for (at, &link) in free.iter().enumerate() {
            if self.posts.count.is_none_or(|count| self.sent < count) {
                self.add_post(link, now);
            }
            if free.get(at + 1) != Some(&link) {
                self.crowd.flush(link)?;
            }
        }
        Ok(())
    }

    /// 64 bytes and more are words, as people's messages are made of them: few often and many seldom.
    fn add_post(&mut self, link: usize, now: u64) {
        let (high, low) = (self.word(), self.word());
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        );
        let mut text = String::new();
        while text.len() < usize::from(self.posts.size) {
            let word = self.word();
            let most = 1 << (3 + word % 13);
            let _ = write!(text, "w{:x} ", (word >> 8) % most);
        }
        text.truncate(usize::from(self.posts.size));
        let room = &self.posts.room;
        let post = format!(r#"{{"request":"post","id":"{id}","room":"{room}","text":"{text}"}}"#);
        wire::request(&post, self.crowd.out(link));
        self.desk.under_way[link].push_back(now);
        self.sent += 1;
    }

    /// `SplitMix64`.
    fn word(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn meter(&self) -> io::Result<Meter> {
        Ok(Meter {
            at: self.clock.micros(),
            acknowledged: self.desk.acknowledged,
            server: process::cpu_micros(self.posts.pid)?,
            own: process::cpu_micros(std::process::id())?,
            written: process::written_bytes(self.posts.pid)?,
        })
    }

    fn report(self, begin: &Meter, end: &Meter, rss_before: u64) -> io::Result<bool> {
        let Self { posts, desk, .. } = self;
        let mut report = Report::default();
        let micros = (end.at - begin.at).max(1);
        let acknowledged = end.acknowledged - begin.acknowledged;
        let rate = acknowledged * seconds(1) / micros;
        let share = |used: u64| used as f64 / micros as f64;
        report.count("senders", u64::from(posts.senders));
        report.count("outstanding_each", u64::from(posts.outstanding));
        report.share("measured_seconds", micros as f64 / 1e6);
        report.count("acknowledged", acknowledged);
        report.count("latency_p50_us", desk.latency.percentile(50));
        report.count("latency_p99_us", desk.latency.percentile(99));
        report.share("server_cpu_share", share(end.server - begin.server));
        report.share("loader_cpu_share", share(end.own - begin.own));
        let written = (end.written - begin.written) / acknowledged.max(1);
        report.count("written_bytes_per_post", written);
        let [p50, p99, database] = control::history(&posts.control)?;
        report.count("commit_p50_us", p50);
        report.count("commit_p99_us", p99);
        report.count("database_bytes", database);
        report.count("server_rss_before", rss_before);
        report.count("server_rss_after", process::resident_bytes(posts.pid)?);
        match &posts.folder {
            None => report.count("acknowledged_per_second", rate),
            Some(folder) => {
                // The writer has the next batch as soon as it is done with one: what comes meanwhile is one batch.
                let batch = rate * p50 / seconds(1);
                report.count("posts_per_commit", batch);
                let sync = syncs::measure(folder, batch * written, &mut report)?;
                let allowed = batch * seconds(1) / sync.max(1);
                report.count("allowed_by_syncs_per_second", allowed);
                let least = POSTS_PER_SECOND_MIN.min(allowed * 9 / 10);
                report.at_least("acknowledged_per_second", rate, least);
            }
        }
        let is_kept = report.is_kept();
        report.print(posts.json);
        Ok(is_kept)
    }
}
