//! Hostile clients, all in one process that runs where nobody else wants to: one kind of them, or the three that hurt most at once.
//! Whoever is closed comes again, so that the pressure lasts.
//!
//! The kinds are in `crowds` (connections that wait to be cut) and `talkers` (those that say what nobody should); here is the clock
//! they live by, and the end, at which each says what became of it.

mod crowds;
mod talkers;

use std::io;
use std::net::SocketAddr;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::crowds::{Churn, Expiry, Gang, Squatters, Unread};
use self::talkers::{Flood, Malformed, Names};
use crate::clock::{Clock, seconds};
use crate::report::Report;
use crate::socket;

/// How often each attacker is looked after.
const STEP_MICROS: u64 = 10_000;
/// How late an attacker may notice that it was cut: it is looked at in its turn, by a process that runs when nobody else does.
const SLACK_MICROS: u64 = seconds(4);

/// The limits of a daemon with nothing set: an unfinished frame, taking nothing, silence.
const FRAME_TIMEOUT_MICROS: u64 = seconds(10);
const STALL_MICROS: u64 = seconds(10);
const IDLE_MICROS: u64 = seconds(15);

/// What sort of hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Unfinished frames, receivers that never read, and churn, all at once
    All,
    /// One receiver that never reads
    Slow,
    /// Thousands whose time is up at the same moment
    Expiry,
    /// Peers that fall silent, and peers with a closed window that say all the time that they are there
    Halfopen,
    /// More connections than the server has descriptors for
    Emfile,
    /// Connections that come and go
    Churn,
    /// Speakers who say as much as they can, from 127.0.0.2
    Flood,
    /// Frames of all wrong kinds
    Malformed,
    /// Nicknames that look like the witnesses', and nicknames that drive terminals
    Names,
}

/// What `bench attack` is asked to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Attack {
    /// The server's address
    #[arg(long)]
    addr: SocketAddr,
    /// What sort of hostile
    #[arg(long, value_enum, default_value_t = Kind::All)]
    kind: Kind,
    /// Of `all`: connections that send a byte of a frame each second
    #[arg(long, default_value_t = 5000)]
    slowloris: usize,
    /// Of `all`: receivers of a busy room that never read
    #[arg(long, default_value_t = 500)]
    unread: usize,
    /// Of `all` and `churn`: connections that come and go each second
    #[arg(long, default_value_t = 1000)]
    churn: u64,
    /// Of the other kinds: how many connections; by default what suits the kind
    #[arg(long)]
    count: Option<usize>,
    /// Wait for a line on standard input before the attack begins
    #[arg(long)]
    waits: bool,
}

/// One sort of attackers.
trait Troop {
    /// Does what is due.
    fn step(&mut self, now: u64) -> io::Result<()>;

    /// Whether all of it is there.
    fn is_ready(&self) -> bool {
        true
    }

    /// What became of it, with the limits that the server promises. It may end here.
    fn report(&mut self, now: u64, report: &mut Report) -> io::Result<()>;
}

impl Attack {
    pub(crate) const fn address(&self) -> SocketAddr {
        self.addr
    }

    /// Connections that it has at once, or within a second.
    pub(crate) fn connections(&self) -> u64 {
        let churn = if matches!(self.kind, Kind::All | Kind::Churn) { self.churn } else { 0 };
        churn
            + if self.kind == Kind::All { self.slowloris + self.unread } else { self.count() }
                as u64
    }

    fn count(&self) -> usize {
        self.count.unwrap_or(match self.kind {
            Kind::All | Kind::Churn => 0,
            Kind::Slow => 1,
            Kind::Expiry => 5000,
            Kind::Halfopen => 500,
            Kind::Emfile => 600,
            Kind::Flood => 50,
            Kind::Malformed => 100,
            Kind::Names => 20,
        })
    }

    /// The arguments that say the same.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let kind = clap::ValueEnum::to_possible_value(&self.kind).expect("each kind has a name");
        let (slowloris, unread) = (self.slowloris, self.unread);
        let text = format!(
            "attack --addr {} --kind {} --slowloris {slowloris} --unread {unread} --churn {} --count {}",
            self.addr,
            kind.get_name(),
            self.churn,
            self.count()
        );
        text.split(' ').map(str::to_owned).collect()
    }

    fn troops(&self) -> io::Result<Vec<Box<dyn Troop>>> {
        let (addr, count) = (self.addr, self.count());
        Ok(match self.kind {
            Kind::All => vec![
                Box::new(Gang::slowloris(addr, self.slowloris)),
                Box::new(Unread::new(addr, self.unread)?),
                Box::new(Churn::new(addr, self.churn)),
            ],
            Kind::Slow => vec![Box::new(Unread::new(addr, count)?)],
            Kind::Expiry => vec![Box::new(Expiry::new(addr, count))],
            Kind::Halfopen => vec![
                Box::new(Gang::silent(addr, count / 2)),
                Box::new(Unread::new(addr, count - count / 2)?),
            ],
            Kind::Emfile => vec![Box::new(Squatters::new(addr, count))],
            Kind::Churn => vec![Box::new(Churn::new(addr, self.churn))],
            Kind::Flood => vec![Box::new(Flood::new(addr, count))],
            Kind::Malformed => vec![Box::new(Malformed::new(addr, count))],
            Kind::Names => vec![Box::new(Names::new(addr, count))],
        })
    }
}

/// Attacks until standard input ends; then says what became of the attackers, and whether the server kept to its limits.
pub(crate) fn run(attack: &Attack) -> io::Result<bool> {
    socket::raise_descriptors()?;
    let clock = Clock::start();
    if attack.waits {
        await_word(clock)?;
    }
    let mut troops = attack.troops()?;
    let (mut step, mut announced) = (clock.micros(), false);
    while !has_ended(step.saturating_sub(clock.micros()))? {
        step = clock.micros() + STEP_MICROS;
        for troop in &mut troops {
            troop.step(clock.micros())?;
        }
        if !announced && troops.iter().all(|troop| troop.is_ready()) {
            announced = true;
            Report::default().print_line("ready");
        }
    }
    let mut report = Report::default();
    for troop in &mut troops {
        troop.report(clock.micros(), &mut report)?;
    }
    report.print(false);
    Ok(report.is_kept())
}

/// Waits for a line on standard input, awake as often as later on.
fn await_word(clock: Clock) -> io::Result<()> {
    let mut step = clock.micros() + STEP_MICROS;
    while !has_ended(step.saturating_sub(clock.micros()))? {
        step = clock.micros() + STEP_MICROS;
    }
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Waits for so long; whether standard input has ended, or said something, meanwhile.
fn has_ended(micros: u64) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut waits = [PollFd::new(std::os::fd::AsFd::as_fd(&stdin), PollFlags::POLLIN)];
    let millis = u16::try_from(micros.div_ceil(1000)).unwrap_or(u16::MAX);
    Ok(poll(&mut waits, PollTimeout::from(millis))? > 0)
}
