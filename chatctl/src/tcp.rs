//! TCP: hosts and ports as people write them, and calls to them that keep to a deadline.
//!
//! It knows no protocol. Names are looked up in `resolve`.

use crate::clock;
use crate::resolve;
use proto::Now;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The host and the port of `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; the usual port where none is written. A slash at
/// the end is forgiven.
pub fn host_and_port(text: &str, usual: u16) -> Option<(String, u16)> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            let numeric = host.split_once('%').map_or(host, |(address, _)| address);
            numeric.parse::<Ipv6Addr>().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/@?#[]".contains(c);
    if host.is_empty() || host.contains(strange) {
        return None;
    }
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => usual,
    };
    Some((host.to_owned(), port))
}

/// Calls a host, each of its addresses in turn; why nobody answers, in words.
pub fn call(host: &str, port: u16, deadline: Now) -> Result<TcpStream, String> {
    let addresses = resolve::addresses(host, port, deadline)?;
    let mut why = "the name has no address".to_owned();
    let count = addresses.len();
    for (number, address) in addresses.into_iter().enumerate() {
        // Each address has its share of the time, so that one that swallows packets leaves some for the next.
        let left = deadline.since(clock::now()).as_micros();
        let share = left / u64::try_from(count - number).unwrap_or(u64::MAX).max(1);
        if share == 0 {
            return Err("no answer in time".to_owned());
        }
        match call_address(&address, Duration::from_micros(share)) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = reason(&error),
        }
    }
    Err(why)
}

fn call_address(address: &SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, patience)?;
    // A port of this machine where nobody listens can be given to the caller itself: it would talk to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}
