//! People in a room whose networks fail: half-open connections are found by both sides, and what was typed meanwhile is there once.

use std::time::{Duration, Instant};

use tests::network::{self, Elsewhere};
use tests::{DEADLINE, Daemon, Fault, Proxy, Setup, eventually};

use crate::chat::Person;

/// So long there is no network.
const OUTAGE: Duration = Duration::from_secs(30);

/// A connection is given up after so long without a word, by the daemon and by the client alike; a machine that has other things to
/// do notices a little later.
const IDLE: Duration = Duration::from_secs(15);
const SLACK: Duration = Duration::from_secs(8);

/// Lets a moment pass, as people do between two lines.
fn moment(millis: u16) {
    let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(millis));
}

/// Ada and Bob, and what they say.
struct Two {
    people: [Person; 2],
    said: [Vec<String>; 2],
}

impl Two {
    fn new(people: [Person; 2]) -> Self {
        Self { people, said: Default::default() }
    }

    /// Both say something.
    fn speak(&mut self, about: &str) {
        for ((person, said), name) in self.people.iter_mut().zip(&mut self.said).zip(["Ada", "Bob"])
        {
            let line = format!("{name} {} {about}", said.len());
            person.types(&line);
            said.push(format!("{name}: {line}"));
        }
    }

    /// Whether either has seen all that was said so far.
    fn are_even(&self) -> bool {
        let lasts = || self.said.iter().filter_map(|said| said.last());
        self.people.iter().all(|person| {
            let printed = person.program.stdout.all();
            lasts().all(|last| printed.contains(last))
        })
    }

    /// Both end in good order with the same transcript, in which each line is once, in the order of its author.
    fn end(mut self) {
        // Pauses between two calls, and a call into the hole, come first.
        let until = Instant::now() + 2 * DEADLINE;
        while !self.are_even() {
            assert!(Instant::now() < until, "{}", self.people[0].program.stdout.all());
            moment(50);
        }
        let ended = [0, 1].map(|one| self.people[one].ends());
        assert_eq!(ended, [0, 0], "{}", self.people[0].program.stderr.all());
        let transcripts = [0, 1].map(|one: usize| self.people[one].transcript());
        assert_eq!(transcripts[0], transcripts[1]);
        for (name, said) in ["Ada: ", "Bob: "].iter().zip(&self.said) {
            let all = transcripts[0].iter().filter(|line| line.starts_with(name));
            assert!(all.eq(said), "{said:#?}\n{:#?}", transcripts[0]);
        }
        assert_eq!(transcripts[0].len(), self.said[0].len() + self.said[1].len());
    }
}

/// Two hosts, a daemon on this one, and somebody on each of the others.
fn on_two_hosts(daemon: &Daemon) -> ([Elsewhere; 2], Two) {
    let hosts = [Elsewhere::new(), Elsewhere::another()];
    let people = [0, 1].map(|one: usize| {
        let address = format!("tcp://{}", daemon.addresses()[one + 1]);
        let mut command = daemon.chatctl(&["chat", &address, "--plain"]);
        command.args(["--as", ["Ada", "Bob"][one]]);
        hosts[one].runs(move || Person::begin(command))
    });
    (hosts, Two::new(people))
}

#[test]
fn two_people_on_two_hosts_lose_the_network_for_30_s_and_have_the_same_transcript() {
    let name =
        "outage::two_people_on_two_hosts_lose_the_network_for_30_s_and_have_the_same_transcript";
    if !network::is_own_for(name, OUTAGE + 4 * DEADLINE) {
        return;
    }
    let listen = Setup::new().listen("127.0.0.1:0");
    let daemon = listen.listen("192.0.2.1:0").listen("198.51.100.1:0").start();
    let (hosts, mut two) = on_two_hosts(&daemon);
    for _ in 0..10 {
        two.speak("before");
    }
    // In the midst of what they say: Ada's plug is pulled, and Bob's words fall into a hole of which nobody tells him.
    hosts[0].is_cut_off();
    two.speak("as it goes");
    hosts[1].falls_silent();
    let gone = Instant::now();
    let mut found = Vec::new();
    while gone.elapsed() < OUTAGE {
        two.speak("meanwhile");
        moment(1_000);
        let lost =
            two.people.iter().map(|one| one.program.stderr.all().contains("lost the daemon"));
        let log = daemon.log();
        let closed = |nick: &str| {
            log.lines().any(|line| {
                line.contains(&format!("closed {nick} ")) && line.contains("reason=\"idle\"")
            })
        };
        let found_now = lost.chain(["Ada", "Bob"].map(closed)).filter(|is| *is).count();
        found.resize(found_now, gone.elapsed());
    }
    assert_eq!(found.len(), 4, "both sides of both: {found:?}\n{}", daemon.log());
    assert!(found.iter().all(|took| *took < IDLE + SLACK), "{found:?}");
    hosts[0].is_plugged_in();
    hosts[1].is_heard_again();
    two.speak("again");
    two.end();
}

/// Shorter than anybody waits for: no connection is lost, and what was said comes late.
#[test]
fn a_network_that_hesitates_costs_a_moment() {
    let name = "outage::a_network_that_hesitates_costs_a_moment";
    if !network::is_own_for(name, 4 * DEADLINE) {
        return;
    }
    let listen = Setup::new().listen("127.0.0.1:0");
    let daemon = listen.listen("192.0.2.1:0").listen("198.51.100.1:0").start();
    let (hosts, mut two) = on_two_hosts(&daemon);
    // A cable that holds little: what is said waits in it, and some of it falls out.
    for host in &hosts {
        host.is_slow("rate 64kbit burst 2kb limit 6kb");
    }
    for round in 0..3 {
        for _ in 0..10 {
            two.speak(&"narrow ".repeat(30));
        }
        hosts[round % 2].falls_silent();
        two.speak("into the hole");
        moment(500);
        hosts[round % 2].is_heard_again();
    }
    for person in &two.people {
        assert!(!person.program.stderr.all().contains("lost"), "{}", person.program.stderr.all());
    }
    two.end();
}

#[test]
fn connections_that_break_again_and_again_lose_and_double_nothing() {
    let daemon = Daemon::start();
    let proxy = Proxy::start(daemon.address(), Fault::None);
    let way = format!("tcp://{}", proxy.address());
    let mut two =
        Two::new(["Ada", "Bob"].map(|nick| Person::start(&daemon, &[&way, "--as", nick])));
    for round in 0..8 {
        let connections = proxy.accepted();
        two.speak("before");
        match round % 4 {
            0 => proxy.break_all(),
            1 => proxy.set(Fault::Cut(1_500 + 37 * round)),
            2 => proxy.set(Fault::Reset(2_000 + 41 * round)),
            _ => {
                proxy.set(Fault::Refuse);
                proxy.break_all();
            }
        }
        for _ in 0..20 {
            two.speak("as it breaks");
        }
        eventually("somebody calls again", || (proxy.accepted() > connections).then_some(()));
        proxy.set(Fault::None);
        two.speak("again");
    }
    two.end();
}
