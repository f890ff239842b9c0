//! Limits by address, with clients that really come from several, and a speaker that its quota silenced.

use std::net::SocketAddr;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;
use tests::network::{self, ip};
use tests::{Daemon, Heard, Native, Setup, eventually, native};

/// A connection from one of this machine's addresses.
fn from(address: &str, to: SocketAddr) -> Native {
    Native::over(network::connect_from(address, to))
}

/// Whether the daemon keeps it: it gets its nickname.
fn is_kept(client: &mut Native, nick: &str) -> bool {
    use std::io::Write;
    // One that is turned away may be closed before it has said anything.
    let _ = client.stream().write_all(&native::set_nickname([1; 16], nick.as_bytes()));
    loop {
        match client.next_frame() {
            Some(Heard::Ack(_)) => return true,
            Some(Heard::Keepalive | Heard::Broadcast(_, _)) => {}
            Some(Heard::Nak(_, text)) => panic!("{text}"),
            None => return false,
        }
    }
}

fn limited(lines: &str) -> Daemon {
    Setup::new().limits_addresses().config(&format!("[limits]\n{lines}\n")).start()
}

#[test]
fn two_addresses_of_this_machine_have_a_share_each() {
    let daemon = limited("clients_per_ip = 2");
    let to = daemon.address();
    let mut first = from("127.0.0.1", to);
    let mut second = from("127.0.0.1", to);
    assert!(is_kept(&mut first, "Ada") && is_kept(&mut second, "Bob"));
    assert!(!is_kept(&mut from("127.0.0.1", to), "Carol"));
    daemon.logs(&["127.0.0.1", "clients_per_ip"]);
    let mut other = from("127.0.0.2", to);
    assert!(is_kept(&mut other, "Carol"));
    first.chats("from the first address");
    assert_eq!(other.hears_message().1, "from the first address");

    let status = daemon.ctl(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("refused clients per ip 1\n"), "{status}");
    assert!(status.contains("hit clients per ip     127.0.0.1, once"), "{status}");

    drop(second);
    eventually("there is room for one more", || {
        let mut again = from("127.0.0.1", to);
        is_kept(&mut again, "Dave").then_some(again)
    });
}

#[test]
fn an_address_that_connects_too_often_is_turned_away_unless_it_is_exempt() {
    let daemon =
        limited("accept_rate = \"1/min\"\naccept_burst = 3\nexempt = [\"127.0.0.3\", \"::1\"]");
    let to = daemon.address();
    for number in 0..3 {
        assert!(is_kept(&mut from("127.0.0.1", to), &format!("n{number}")));
    }
    assert!(!is_kept(&mut from("127.0.0.1", to), "late"));
    daemon.logs(&["127.0.0.1", "accept_rate"]);
    assert!(is_kept(&mut from("127.0.0.2", to), "Bob"));
    let crowd: Vec<Native> = (0..40).map(|_| from("127.0.0.3", to)).collect();
    let kept =
        crowd.into_iter().enumerate().all(|(at, mut one)| is_kept(&mut one, &format!("m{at}")));
    assert!(kept, "exempt networks have no limits by address");
}

/// This machine has addresses of several networks only in a network of its own.
#[test]
fn an_ipv6_network_of_64_bits_has_one_share() {
    if !network::is_own("addresses::an_ipv6_network_of_64_bits_has_one_share") {
        return;
    }
    ip("link set lo up");
    for end in ["1::1", "1:2:3:4:5", "1::3", "2::3"] {
        ip(&format!("-6 addr add 2001:db8:0:{end}/128 dev lo nodad"));
    }
    let daemon = Setup::new()
        .listen("[::1]:0")
        .limits_addresses()
        .config("[limits]\nclients_per_ip = 2\n")
        .start();
    let to = daemon.address();
    let mut first = from("2001:db8:0:1::1", to);
    let mut second = from("2001:db8:0:1:2:3:4:5", to);
    assert!(is_kept(&mut first, "Ada") && is_kept(&mut second, "Bob"));
    assert!(!is_kept(&mut from("2001:db8:0:1::3", to), "Carol"));
    assert!(is_kept(&mut from("2001:db8:0:2::3", to), "Carol"));
    let status = String::from_utf8(daemon.ctl(&["status"]).stdout).unwrap();
    assert!(status.contains("2001:db8:0:1::/64, once"), "{status}");
}

#[test]
fn a_speaker_that_its_quota_silenced_is_gone_at_once_when_it_breaks() {
    let daemon = Setup::new()
        .config("[limits]\nmessage_burst = 2\nmessages = \"1/s\"\n[log]\nlevel = \"debug\"\n")
        .start();
    let mut flood = daemon.named("Flood");
    let mut ada = daemon.named("Ada");
    for number in 0..100 {
        flood.chats(format!("{number}"));
    }
    ada.hears_that("Flood", "0");
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(flood.stream(), Linger, &linger).unwrap();
    drop(flood);
    // What it said and nobody read would have kept it there for more than a minute.
    daemon.logs(&["Flood", "reset"]);
    assert_eq!(ada.asks_nick(2, b"Flood"), Heard::Ack([2; 16]), "its name is free");
}
