//! Hostile clients, all in one process of low priority: frames that never end, receivers that never read, connections that
//! come and go. Whoever is closed comes again, so that the pressure lasts.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock::{Clock, seconds};
use crate::report::Report;
use crate::socket::{self, Manner};
use crate::wire;

/// How often each attacker is looked after.
const STEP_MICROS: u64 = 10_000;
/// A frame that never ends gets a byte this often.
const TRICKLE_MICROS: u64 = seconds(1);
/// A receiver that never reads says that it is there this often.
const ALIVE_MICROS: u64 = seconds(4);
/// New attackers in one step, so that their coming is no attack of another kind.
const COMERS_MAX: usize = 50;
/// Connections of each kind looked at in one step.
const LOOKS_MAX: usize = 64;

/// The peer has ended its direction: Linux's own flag, which nix does not name.
const POLLRDHUP: i16 = 0x2000;

/// What `bench attack` is asked to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Attack {
    /// The server's address
    #[arg(long)]
    addr: SocketAddr,
    /// Connections that send a byte of a frame each second
    #[arg(long, default_value_t = 5000)]
    slowloris: usize,
    /// Receivers of a busy room that never read
    #[arg(long, default_value_t = 500)]
    unread: usize,
    /// Connections that come and go each second
    #[arg(long, default_value_t = 1000)]
    churn: u64,
}

impl Attack {
    pub(crate) const fn address(&self) -> SocketAddr {
        self.addr
    }

    /// The arguments that say the same.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let (slowloris, unread) = (self.slowloris, self.unread);
        let text = format!(
            "attack --addr {} --slowloris {slowloris} --unread {unread} --churn {}",
            self.addr, self.churn
        );
        text.split(' ').map(str::to_owned).collect()
    }
}

/// One hostile connection.
struct Attacker {
    stream: TcpStream,
    since: u64,
    next: u64,
}

/// All of one kind.
#[derive(Default)]
struct Gang {
    members: Vec<Attacker>,
    /// Who is looked at next.
    at: usize,
    closed: u64,
    longest: u64,
}

impl Gang {
    /// Looks after some of its members: what `act` finds closed is gone.
    fn tend(&mut self, now: u64, mut act: impl FnMut(&mut Attacker) -> bool) {
        for _ in 0..LOOKS_MAX.min(self.members.len()) {
            self.at = (self.at + 1) % self.members.len();
            if act(&mut self.members[self.at]) {
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
}

/// Attacks until standard input ends; then says what became of the attackers.
pub(crate) fn run(attack: &Attack) -> io::Result<bool> {
    socket::raise_descriptors()?;
    let clock = Clock::start();
    let (mut slowloris, mut unread) = (Gang::default(), Gang::default());
    let (mut churned, mut refused, mut announced) = (0_u64, 0_u64, false);
    let mut speaker = Speaker::new(attack.addr)?;
    let start = clock.micros();
    let mut step = start;
    while !has_ended(step.saturating_sub(clock.micros()))? {
        step = clock.micros() + STEP_MICROS;
        let now = clock.micros();
        for _ in 0..COMERS_MAX.min(attack.slowloris - slowloris.members.len()) {
            slowloris.members.extend(begin_frame(attack.addr, now));
        }
        for _ in 0..(COMERS_MAX / 10).min(attack.unread - unread.members.len()) {
            unread.members.extend(never_read(attack.addr, now));
        }
        slowloris.tend(now, |attacker| trickle(attacker, now));
        unread.tend(now, |attacker| stay(attacker, now));
        speaker.speak(now)?;
        while churned + refused < (now - start) * attack.churn / seconds(1) {
            match come_and_go(attack.addr) {
                Ok(()) => churned += 1,
                Err(_) => refused += 1,
            }
        }
        let all = slowloris.members.len() >= attack.slowloris * 9 / 10
            && unread.members.len() >= attack.unread * 9 / 10;
        if all && !announced {
            announced = true;
            Report::default().print_line("ready");
        }
    }
    let mut report = Report::default();
    report.count("slowloris_closed", slowloris.closed);
    report.count("slowloris_longest_ms", slowloris.longest / 1000);
    report.count("unread_closed", unread.closed);
    report.count("unread_longest_ms", unread.longest / 1000);
    report.count("churned", churned);
    report.count("churn_refused", refused);
    report.print(false);
    Ok(true)
}

/// Waits for so long; whether standard input has ended meanwhile.
fn has_ended(micros: u64) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut waits = [PollFd::new(std::os::fd::AsFd::as_fd(&stdin), PollFlags::POLLIN)];
    let millis = u16::try_from(micros.div_ceil(1000)).unwrap_or(u16::MAX);
    Ok(poll(&mut waits, PollTimeout::from(millis))? > 0)
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
    let mut scratch = [0; 4096];
    let lives = |result: io::Result<usize>| match result {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    lives((&attacker.stream).read(&mut scratch)) && lives((&attacker.stream).write(b"."))
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
    let fd = std::os::fd::AsFd::as_fd(&attacker.stream);
    let mut waits = [PollFd::new(fd, PollFlags::from_bits_retain(POLLRDHUP))];
    if poll(&mut waits, PollTimeout::ZERO).unwrap_or(0) > 0 {
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

fn come_and_go(addr: SocketAddr) -> io::Result<()> {
    let stream = socket::dial(addr, Manner::default())?;
    let mut out = Vec::new();
    wire::keepalive(&mut out);
    (&stream).write_all(&out)
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
        let (id, text) = (self.said, "shout ".repeat(1365));
        let json = format!(
            r#"{{"request":"post","id":"00000000-0000-4000-9000-{id:012x}","room":"busy","text":"{text}"}}"#
        );
        let mut out = Vec::new();
        wire::request(&json, &mut out);
        match (&self.stream).write(&out) {
            Ok(count) if count == out.len() => Ok(()),
            Ok(_) | Err(_) => Err(io::Error::other("the speaker of the busy room is not heard")),
        }
    }
}
