//! Names of hosts to addresses, within a deadline.
//!
//! The system's look-up takes as long as it likes and cannot be called off: it has a thread of its own, which is left
//! behind where it is too slow. Nothing else in this program has threads that outlive their work.

use crate::clock;
use nix::sys::signal::SigSet;
use proto::Now;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;

/// The addresses of a host, the system's favourite first; or why there are none.
pub fn addresses(host: &str, port: u16, deadline: Now) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (said, heard) = mpsc::channel();
    let name = host.to_owned();
    let thread = thread::Builder::new().spawn(move || {
        // The signals of the process are for the thread that does the work.
        let _ = SigSet::all().thread_block();
        let found = (name.as_str(), port).to_socket_addrs();
        // Nobody may be waiting any more.
        let _ = said.send(found.map(|all| all.take(ADDRESSES_MAX).collect::<Vec<_>>()));
    });
    thread.map_err(|error| error.to_string())?;
    let patience = Duration::from_micros(deadline.since(clock::now()).as_micros());
    match heard.recv_timeout(patience) {
        Ok(Ok(all)) => Ok(distinct(all)),
        Ok(Err(error)) => Err(reason(&error)),
        Err(RecvTimeoutError::Timeout) => Err("its name could not be looked up in time".to_owned()),
        Err(RecvTimeoutError::Disconnected) => Err("its name could not be looked up".to_owned()),
    }
}

/// Each address once, in the order given.
fn distinct(all: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut kept: Vec<SocketAddr> = Vec::new();
    for address in all {
        if !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}

fn reason(error: &io::Error) -> String {
    let said = error.to_string();
    // The standard library puts its own words before the system's.
    let said = said.rsplit_once(": ").map_or(said.as_str(), |(_, last)| last);
    format!("its name cannot be looked up: {said}")
}

#[cfg(test)]
mod tests {
    use super::{addresses, distinct};
    use crate::clock;
    use proto::Span;

    #[test]
    fn an_address_is_not_looked_up() {
        let now = clock::now();
        for (host, shown) in [("192.0.2.7", "192.0.2.7:5"), ("::1", "[::1]:5")] {
            let found = addresses(host, 5, now).expect(host);
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, [shown]);
        }
    }

    #[test]
    fn a_name_is_looked_up_and_one_that_nobody_has_is_said() {
        let deadline = clock::now().after(Span::from_secs(20));
        let found = addresses("localhost", 5, deadline).expect("this machine");
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 5));
        let why = addresses("nowhere.invalid", 5, deadline).expect_err("a name that cannot be");
        assert!(why.contains("looked up"), "{why}");
    }

    #[test]
    fn an_address_is_tried_once() {
        let twice = vec!["192.0.2.7:5".parse().expect("one"), "192.0.2.7:5".parse().expect("one")];
        assert_eq!(distinct(twice).len(), 1);
    }
}
