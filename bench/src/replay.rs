//! One follower that is replayed a whole room over the control socket, again and again, and takes it as fast as it comes; or who searches.

use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::clock::{Clock, seconds};
use crate::control::{asking, number};
use crate::process;
use crate::report::Report;

/// The server's memory is looked at this often.
const LOOK_MICROS: u64 = 100_000;
/// Taken from the socket at once.
const READ_BYTES_MAX: usize = 256 * 1024;
/// How the line begins that is the reply, and no message.
const REPLY: &str = r#"{"reply":"1","#;

/// What `bench replay` is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The server's control socket
    #[arg(long)]
    control: PathBuf,
    /// The server's process, for its CPU time and memory
    #[arg(long)]
    pid: u32,
    /// Which room
    #[arg(long, default_value = "posts")]
    room: String,
    /// Asks for the latest 500 messages with these words, in place of all
    #[arg(long)]
    search: Option<String>,
    /// So many messages a replay has at least
    #[arg(long, default_value_t = 1)]
    messages: u64,
    /// So many messages a second a replay has at least, in the median
    #[arg(long)]
    rate: Option<u64>,
    /// The server's memory grows by so many bytes at most
    #[arg(long)]
    growth: Option<u64>,
    /// Begins once more until so many seconds are over
    #[arg(long, default_value_t = 0)]
    duration: u64,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// What came of one replay.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    messages: u64,
    last: u64,
    /// Messages that did not follow the one before.
    mismatches: u64,
    micros: u64,
}

/// Runs it; whether every message came, in order, and as fast as it is to be.
pub(crate) fn run(replay: &Replay) -> io::Result<bool> {
    let clock = Clock::start();
    let (before, cpu, own) = (
        process::resident_bytes(replay.pid)?,
        process::cpu_micros(replay.pid)?,
        process::cpu_micros(std::process::id())?,
    );
    let (mut all, mut peak) = (Vec::new(), before);
    while all.is_empty() || clock.micros() < seconds(replay.duration) {
        all.push(once(replay, clock, &mut peak)?);
    }
    let micros = clock.micros().max(1) as f64;
    let mut report = Report::default();
    report.count("replays", all.len() as u64);
    let least = all.iter().map(|came| came.messages).min().unwrap_or(0);
    report.at_least("messages", least, replay.messages);
    report.at_most("mismatches", all.iter().map(|came| came.mismatches).sum(), 0);
    let mut rates: Vec<u64> =
        all.iter().map(|came| came.messages * seconds(1) / came.micros.max(1)).collect();
    rates.sort_unstable();
    let median = rates[rates.len() / 2];
    match replay.rate {
        Some(rate) => report.at_least("messages_per_second", median, rate),
        None => report.count("messages_per_second", median),
    }
    let longest = all.iter().map(|came| came.micros).max().unwrap_or(0);
    report.share("seconds_longest", longest as f64 / 1e6);
    let used = |now: u64, then: u64| (now - then) as f64 / micros;
    report.share("server_cpu_share", used(process::cpu_micros(replay.pid)?, cpu));
    report.share("loader_cpu_share", used(process::cpu_micros(std::process::id())?, own));
    report.count("server_rss_before", before);
    report.count("server_rss_peak", peak);
    if let Some(growth) = replay.growth {
        report.at_most("server_rss_growth", peak - before, growth);
    }
    let is_kept = report.is_kept();
    report.print(replay.json);
    Ok(is_kept)
}

/// Follows the room from its first message on, until the reply says that it is live.
fn once(replay: &Replay, clock: Clock, peak: &mut u64) -> io::Result<Came> {
    let room = &replay.room;
    let request = match &replay.search {
        None => format!(r#"{{"request":"tail","id":"1","rooms":["{room}"],"after":0}}"#),
        Some(words) => format!(
            r#"{{"request":"history","id":"1","room":"{room}","search":"{words}","limit":500}}"#
        ),
    };
    let (start, mut came) = (clock.micros(), Came::default());
    let mut stream = asking(&replay.control, &request)?;
    let (mut bytes, mut kept, mut look) = (vec![0; READ_BYTES_MAX], 0, 0);
    loop {
        let count = stream.read(&mut bytes[kept..])?;
        if count == 0 {
            return Err(io::Error::other("the server ended the replay"));
        }
        let end = kept + count;
        let mut begin = 0;
        while let Some(length) = bytes[begin..end].iter().position(|&byte| byte == b'\n') {
            if !came.takes(&bytes[begin..begin + length], replay.search.is_some())? {
                came.micros = clock.micros() - start;
                return Ok(came);
            }
            begin += length + 1;
        }
        bytes.copy_within(begin..end, 0);
        kept = end - begin;
        let now = clock.micros();
        if now >= look {
            *peak = process::resident_bytes(replay.pid)?.max(*peak);
            look = now + LOOK_MICROS;
        }
    }
}

impl Came {
    /// Takes a line; false where it is the reply.
    fn takes(&mut self, line: &[u8], skips: bool) -> io::Result<bool> {
        let line = std::str::from_utf8(line).map_err(io::Error::other)?;
        if line.starts_with(REPLY) {
            return Ok(false);
        }
        let seq = number(line, "seq")
            .ok_or_else(|| io::Error::other(format!("the server says: {line}")))?;
        self.mismatches += u64::from(if skips { seq <= self.last } else { seq != self.last + 1 });
        self.messages += 1;
        self.last = seq;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_follow_is_counted_and_the_reply_ends_it() {
        let mut came = Came::default();
        let event =
            |seq: u64| format!(r#"{{"event":"message","room":"posts","seq":{seq},"time":""}}"#);
        for seq in [1, 2, 4, 4] {
            assert!(came.takes(event(seq).as_bytes(), false).expect("a message"));
        }
        assert_eq!((came.messages, came.last, came.mismatches), (4, 4, 2));
        assert!(came.takes(event(9).as_bytes(), true).expect("a message that was found"));
        assert_eq!(came.mismatches, 2);
        let gap = br#"{"event":"gap","room":"posts","from_seq":10,"to_seq":12}"#;
        came.takes(gap, false).expect_err("nothing is missing");
        assert!(
            !came.takes(br#"{"reply":"1","ok":true,"rooms":["posts"]}"#, false).expect("the end")
        );
    }
}
