//! Connections that wait to be cut: unfinished frames, receivers that never read, the silent, the too many, and those that come and go.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{FRAME_TIMEOUT_MICROS, IDLE_MICROS, SLACK_MICROS, STALL_MICROS, STEP_MICROS, Troop};
use crate::clock::{Clock, seconds};
use crate::report::Report;
use crate::socket::{self, Manner};
use crate::wire;

/// A frame that never ends gets a byte this often.
const TRICKLE_MICROS: u64 = seconds(1);
/// A receiver that never reads says that it is there this often.
const ALIVE_MICROS: u64 = seconds(4);
/// New attackers in one step, so that their coming is no attack of another kind.
const COMERS_MAX: usize = 50;
/// Connections of each kind looked at in one step.
const LOOKS_MAX: usize = 64;
const _: () = assert!(
    LOOKS_MAX as u64 * SLACK_MICROS / STEP_MICROS > 10_000,
    "each of ten thousand is looked at well before its end is noticed too late"
);

/// What the kernels hold for one that never reads before anything waits in the server: its send buffer and the small receive
/// buffer, both of which the kernel doubles.
const KERNEL_BYTES: u64 = 2 * (64 * 1024 + 8192);
/// Bytes of each message of the busy room.
const SHOUT_BYTES: usize = 8190;

/// The peer has ended its direction: Linux's own flag, which nix does not name.
const POLLRDHUP: i16 = 0x2000;

/// One hostile connection.
pub(super) struct Attacker {
    stream: TcpStream,
    since: u64,
    next: u64,
}

/// All of one kind, which the server is to cut within a time.
pub(super) struct Gang {
    name: &'static str,
    addr: SocketAddr,
    count: usize,
    comers_max: usize,
    deadline: u64,
    comes: fn(SocketAddr, u64) -> Option<Attacker>,
    /// What one does when it is looked at; whether its connection is still there.
    acts: fn(&mut Attacker, u64) -> bool,
    pub(super) members: Vec<Attacker>,
    /// Who is looked at next.
    at: usize,
    pub(super) closed: u64,
    longest: u64,
}

impl Gang {
    fn new(
        name: &'static str,
        (addr, count): (SocketAddr, usize),
        deadline: u64,
        comes: fn(SocketAddr, u64) -> Option<Attacker>,
        acts: fn(&mut Attacker, u64) -> bool,
    ) -> Self {
        let (members, at, closed, longest) = (Vec::new(), 0, 0, 0);
        let comers_max = COMERS_MAX;
        Self { name, addr, count, comers_max, deadline, comes, acts, members, at, closed, longest }
    }

    /// Frames that never end.
    pub(super) fn slowloris(addr: SocketAddr, count: usize) -> Self {
        Self::new("slowloris", (addr, count), FRAME_TIMEOUT_MICROS, begin_frame, trickle)
    }

    /// Peers that say something once, and then nothing any more.
    pub(super) fn silent(addr: SocketAddr, count: usize) -> Self {
        Self::new("silent", (addr, count), IDLE_MICROS, say_once, |one, _| is_there(&one.stream))
    }

    /// Those who are missing come, some of them.
    fn fill(&mut self, now: u64) {
        for _ in 0..self.comers_max.min(self.count - self.members.len()) {
            self.members.extend((self.comes)(self.addr, now));
        }
    }

    /// Looks after some of its members: who is closed is gone.
    fn tend(&mut self, now: u64) {
        for _ in 0..LOOKS_MAX.min(self.members.len()) {
            self.at = (self.at + 1) % self.members.len();
            if (self.acts)(&mut self.members[self.at], now) {
                continue;
            }
            let gone = self.members.swap_remove(self.at);
            self.closed += 1;
            self.longest = self.longest.max(now - gone.since);
            if self.members.is_empty() {
                return;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.members.len() * 10 >= self.count * 9
    }

    /// Nobody lived longer than this, neither who was cut nor who is still there.
    fn tell(&self, now: u64, report: &mut Report) {
        let (name, limit) = (self.name, (self.deadline + SLACK_MICROS) / 1000);
        let oldest = self.members.iter().map(|one| now - one.since).max().unwrap_or(0);
        report.at_least(format!("{name}_closed"), self.closed, 1);
        report.at_most(format!("{name}_longest_ms"), self.longest / 1000, limit);
        report.at_most(format!("{name}_living_oldest_ms"), oldest / 1000, limit);
    }
}

impl Troop for Gang {
    fn step(&mut self, now: u64) -> io::Result<()> {
        self.fill(now);
        self.tend(now);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.is_full()
    }

    fn report(&mut self, now: u64, report: &mut Report) -> io::Result<()> {
        self.tell(now, report);
        Ok(())
    }
}

/// Receivers of a busy room that never read, and who makes it busy.
pub(super) struct Unread {
    gang: Gang,
    speaker: Speaker,
    began: Option<u64>,
}

impl Unread {
    pub(super) fn new(addr: SocketAddr, count: usize) -> io::Result<Self> {
        let mut gang = Gang::new("unread", (addr, count), STALL_MICROS, never_read, stay);
        gang.comers_max = COMERS_MAX / 10;
        Ok(Self { gang, speaker: Speaker::new(addr)?, began: None })
    }
}

impl Troop for Unread {
    fn step(&mut self, now: u64) -> io::Result<()> {
        self.began.get_or_insert(now);
        self.gang.fill(now);
        self.gang.tend(now);
        self.speaker.speak(now)
    }

    fn is_ready(&self) -> bool {
        self.gang.is_full()
    }

    fn report(&mut self, now: u64, report: &mut Report) -> io::Result<()> {
        // Nothing waits in the server until the kernels are full, at the pace at which the room was really busy.
        let took = now - self.began.unwrap_or(now);
        let fill = KERNEL_BYTES * took / (self.speaker.said * SHOUT_BYTES as u64).max(1);
        report.count("unread_fill_ms", fill / 1000);
        self.gang.deadline = STALL_MICROS + fill;
        self.gang.tell(now, report);
        Ok(())
    }
}

/// A crowd that says something all at once and then nothing: its time is up all at once, too.
pub(super) struct Expiry {
    gang: Gang,
    silent_since: Option<u64>,
}

impl Expiry {
    pub(super) fn new(addr: SocketAddr, count: usize) -> Self {
        Self { gang: Gang::silent(addr, count), silent_since: None }
    }
}

impl Troop for Expiry {
    fn step(&mut self, now: u64) -> io::Result<()> {
        if self.silent_since.is_none() {
            self.gang.fill(now);
            if self.gang.members.len() < self.gang.count {
                return Ok(());
            }
            for one in &mut self.gang.members {
                one.since = now;
                say_keepalive(&one.stream);
            }
            self.silent_since = Some(now);
        }
        // Who is gone does not come again: all are to go at once.
        self.gang.tend(now);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.silent_since.is_some()
    }

    fn report(&mut self, now: u64, report: &mut Report) -> io::Result<()> {
        let is_over = self.silent_since.is_some_and(|at| now > at + IDLE_MICROS + SLACK_MICROS);
        let due = if is_over { self.gang.count } else { 0 };
        report.count("silent", self.gang.count as u64);
        self.gang.tell(now, report);
        report.at_least("silent_expired", self.gang.closed, due as u64);
        Ok(())
    }
}

/// More connections than there are descriptors: those who are turned away come again.
pub(super) struct Squatters {
    gang: Gang,
    steps: u64,
}

impl Squatters {
    pub(super) fn new(addr: SocketAddr, count: usize) -> Self {
        let gang = Gang::new("squatters", (addr, count), u64::MAX, say_once, |one, now| {
            if now >= one.next {
                one.next = now + ALIVE_MICROS;
                say_keepalive(&one.stream);
            }
            read_away(&one.stream)
        });
        Self { gang, steps: 0 }
    }
}

impl Troop for Squatters {
    fn step(&mut self, now: u64) -> io::Result<()> {
        self.steps += 1;
        self.gang.fill(now);
        self.gang.tend(now);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.gang.closed > 0
    }

    fn report(&mut self, _now: u64, report: &mut Report) -> io::Result<()> {
        report.count("squatters_there", self.gang.members.len() as u64);
        report.at_least("squatters_turned_away", self.gang.closed, 1);
        self.gang.members.clear();
        let clock = Clock::start();
        while !is_served(self.gang.addr, clock)? && clock.micros() < seconds(20) {}
        report.at_most("recovered_ms", clock.micros() / 1000, 1_000);
        Ok(())
    }
}

/// Whether the server answers somebody new within a moment.
fn is_served(addr: SocketAddr, clock: Clock) -> io::Result<bool> {
    let stream = socket::dial(addr, Manner::default())?;
    let mut out = Vec::new();
    wire::request(r#"{"request":"hello","id":"1"}"#, &mut out);
    if (&stream).write(&out).is_err() {
        return Ok(false);
    }
    let end = clock.micros() + seconds(1);
    let mut scratch = [0; 4096];
    loop {
        match (&stream).read(&mut scratch) {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Ok(false),
        }
        if clock.micros() > end {
            return Ok(false);
        }
        let fd = std::os::fd::AsFd::as_fd(&stream);
        poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::from(10_u8))?;
    }
}

/// Connections that come, say that they are there, and go.
pub(super) struct Churn {
    addr: SocketAddr,
    rate: u64,
    began: Option<u64>,
    came: u64,
    refused: u64,
}

impl Churn {
    pub(super) const fn new(addr: SocketAddr, rate: u64) -> Self {
        Self { addr, rate, began: None, came: 0, refused: 0 }
    }
}

impl Troop for Churn {
    fn step(&mut self, now: u64) -> io::Result<()> {
        let began = *self.began.get_or_insert(now);
        while self.came + self.refused < (now - began) * self.rate / seconds(1) {
            match socket::dial(self.addr, Manner::default()) {
                Ok(stream) => {
                    say_keepalive(&stream);
                    self.came += 1;
                }
                Err(_) => self.refused += 1,
            }
        }
        Ok(())
    }

    fn report(&mut self, _now: u64, report: &mut Report) -> io::Result<()> {
        report.count("churned", self.came);
        report.at_most("churn_refused", self.refused, 0);
        Ok(())
    }
}

/// A chat of 1,000 bytes of which the header comes at once, and the rest never.
fn begin_frame(addr: SocketAddr, now: u64) -> Option<Attacker> {
    let stream = socket::dial(addr, Manner::default()).ok()?;
    (&stream).write_all(&[0, 0, 3, 0xee, 0, 0, 0, 0, 3, 0xe8]).ok()?;
    Some(Attacker { stream, since: now, next: now + TRICKLE_MICROS })
}

/// Sends one byte more, and reads away what came; whether the connection is still there.
fn trickle(attacker: &mut Attacker, now: u64) -> bool {
    if now < attacker.next {
        return true;
    }
    attacker.next = now + TRICKLE_MICROS;
    read_away(&attacker.stream) && lives((&attacker.stream).write(b"."))
}

fn lives(result: io::Result<usize>) -> bool {
    match result {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

fn read_away(mut stream: &TcpStream) -> bool {
    lives(stream.read(&mut [0; 4096]))
}

/// A member of the busy room with little place for what it never reads.
fn never_read(addr: SocketAddr, now: u64) -> Option<Attacker> {
    let manner = Manner { receive_bytes: Some(8192), source: None };
    let stream = socket::dial(addr, manner).ok()?;
    let mut out = Vec::new();
    wire::request(r#"{"request":"hello","id":"1"}"#, &mut out);
    wire::request(r#"{"request":"join","id":"2","room":"busy"}"#, &mut out);
    (&stream).write_all(&out).ok()?;
    Some(Attacker { stream, since: now, next: now + ALIVE_MICROS })
}

/// Says that it is there; whether the connection is, without reading a byte.
fn stay(attacker: &mut Attacker, now: u64) -> bool {
    if !is_there(&attacker.stream) {
        return false;
    }
    if now < attacker.next {
        return true;
    }
    attacker.next = now + ALIVE_MICROS;
    let mut out = Vec::new();
    wire::keepalive(&mut out);
    (&attacker.stream).write(&out).is_ok()
}

/// Whether the server has not ended the connection; nothing is read for it.
pub(super) fn is_there(stream: &TcpStream) -> bool {
    let fd = std::os::fd::AsFd::as_fd(stream);
    let mut waits = [PollFd::new(fd, PollFlags::from_bits_retain(POLLRDHUP))];
    poll(&mut waits, PollTimeout::ZERO).unwrap_or(0) == 0
}

fn say_once(addr: SocketAddr, now: u64) -> Option<Attacker> {
    let stream = socket::dial(addr, Manner::default()).ok()?;
    say_keepalive(&stream);
    Some(Attacker { stream, since: now, next: now + ALIVE_MICROS })
}

/// Whoever is gone is noticed when it is looked at.
fn say_keepalive(mut stream: &TcpStream) {
    let mut out = Vec::new();
    wire::keepalive(&mut out);
    let _ = stream.write(&out);
}

/// Who makes the busy room busy: 20 messages of 8 KiB each second, so that who does not read is behind within a second.
struct Speaker {
    stream: TcpStream,
    next: u64,
    said: u64,
}

impl Speaker {
    fn new(addr: SocketAddr) -> io::Result<Self> {
        let stream = socket::dial(addr, Manner::default())?;
        let mut out = Vec::new();
        wire::request(r#"{"request":"hello","id":"1","nick":"Shouter"}"#, &mut out);
        wire::request(r#"{"request":"join","id":"2","room":"busy"}"#, &mut out);
        (&stream).write_all(&out)?;
        Ok(Self { stream, next: 0, said: 0 })
    }

    fn speak(&mut self, now: u64) -> io::Result<()> {
        let mut scratch = [0; 16_384];
        while (&self.stream).read(&mut scratch).is_ok_and(|count| count == scratch.len()) {}
        if now < self.next {
            return Ok(());
        }
        self.next = now + seconds(1) / 20;
        self.said += 1;
        let (id, text) = (self.said, "shout ".repeat(SHOUT_BYTES / 6));
        // Each attack's own: an id that was there before would be no new message.
        let attack = std::process::id();
        let json = format!(
            r#"{{"request":"post","id":"{attack:08x}-0000-4000-9000-{id:012x}","room":"busy","text":"{text}"}}"#
        );
        let mut out = Vec::new();
        wire::request(&json, &mut out);
        match (&self.stream).write(&out) {
            Ok(count) if count == out.len() => Ok(()),
            Ok(_) | Err(_) => Err(io::Error::other("the speaker of the busy room is not heard")),
        }
    }
}
