//! The PROXY protocol, versions 1 and 2: what a proxy in front says before the first byte of the client (`HAProxy`,
//! `doc/proxy-protocol.txt`).
//!
//! Only for listeners that say so: there every connection begins with it, and what does not is refused. It holds no bytes; its
//! caller offers all of them again until the header is whole.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its line end included (section 2.1).
const V1_BYTES_MAX: usize = 107;
/// What version 2 begins with (section 2.2).
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes of version 2 before the addresses.
const V2_FIXED_BYTES: usize = 16;
/// The most bytes of addresses and extensions in version 2. Known senders need some hundred.
const V2_REST_BYTES_MAX: u16 = 2_048;

/// What the beginning of the bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// More bytes are needed.
    Partial,
    /// A whole header of so many bytes.
    Header {
        /// Bytes that are not the client's.
        consumed: usize,
        /// The client's address; none where the proxy speaks for itself, or of no address.
        source: Option<SocketAddr>,
    },
}

/// A connection that does not begin with a PROXY header as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadProxy;

impl fmt::Display for BadProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection does not begin with a PROXY header, which this listener wants")
    }
}

impl core::error::Error for BadProxy {}

/// Looks at what a connection sent first.
///
/// # Errors
/// [`BadProxy`] as soon as the bytes can be no header.
pub fn parse(bytes: &[u8]) -> Result<Proxied, BadProxy> {
    match bytes.first() {
        None => Ok(Proxied::Partial),
        Some(b'P') => version_1(bytes),
        Some(b'\r') => version_2(bytes),
        Some(_) => Err(BadProxy),
    }
}

/// `PROXY TCP4 SOURCE DESTINATION PORT PORT` and a line end, one space between two words.
fn version_1(bytes: &[u8]) -> Result<Proxied, BadProxy> {
    let seen = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let begin = b"PROXY ";
    if !seen.iter().zip(begin).all(|(byte, wanted)| byte == wanted) {
        return Err(BadProxy);
    }
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        let printable =
            seen.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r'));
        let may_go_on = printable && seen.len() < V1_BYTES_MAX;
        return if may_go_on { Ok(Proxied::Partial) } else { Err(BadProxy) };
    };
    let line = seen.get(begin.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| core::str::from_utf8(line).ok()).ok_or(BadProxy)?;
    let mut words = line.split(' ');
    let source = match words.next() {
        // Whatever else the line has is to be ignored.
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => {
            let (source, destination) = (words.next(), words.next());
            let ports = (words.next(), words.next());
            let address = |text: Option<&str>| match family {
                "TCP4" => text?.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
                _ => text?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            };
            let port = |text: Option<&str>| {
                let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
                digits.parse::<u16>().ok()
            };
            let (ip, _) = address(source).zip(address(destination)).ok_or(BadProxy)?;
            let (source_port, _) = port(ports.0).zip(port(ports.1)).ok_or(BadProxy)?;
            if words.next().is_some() {
                return Err(BadProxy);
            }
            Some(SocketAddr::new(ip.to_canonical(), source_port))
        }
        Some(_) | None => return Err(BadProxy),
    };
    Ok(Proxied::Header { consumed: end.saturating_add(1), source })
}

/// The signature, command and family, a length, addresses, and extensions that are skipped.
fn version_2(bytes: &[u8]) -> Result<Proxied, BadProxy> {
    if !bytes.iter().zip(V2_SIGNATURE).all(|(byte, wanted)| byte == wanted) {
        return Err(BadProxy);
    }
    let command = bytes.get(12).copied();
    if !matches!(command, None | Some(0x20 | 0x21)) {
        return Err(BadProxy);
    }
    let Some(fixed) = bytes.first_chunk::<V2_FIXED_BYTES>() else { return Ok(Proxied::Partial) };
    let [.., family, high, low] = *fixed;
    let length = u16::from_be_bytes([high, low]);
    if length > V2_REST_BYTES_MAX {
        return Err(BadProxy);
    }
    let consumed = V2_FIXED_BYTES.saturating_add(usize::from(length));
    let Some(rest) = bytes.get(V2_FIXED_BYTES..consumed) else { return Ok(Proxied::Partial) };
    let source = match (command, family) {
        // LOCAL: the proxy speaks for itself, to see whether we are there. Or no address (0x00), a Unix socket, a datagram:
        // nothing that we know a client by.
        (Some(0x20), _) | (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => None,
        (_, 0x11) => {
            let (ip, rest) = rest.split_first_chunk::<4>().ok_or(BadProxy)?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(*ip)), port_behind(rest, 4)?))
        }
        (_, 0x21) => {
            let (ip, rest) = rest.split_first_chunk::<16>().ok_or(BadProxy)?;
            let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
            Some(SocketAddr::new(ip, port_behind(rest, 16)?))
        }
        _ => return Err(BadProxy),
    };
    Ok(Proxied::Header { consumed, source })
}

/// The source's port: it stands behind the destination's address, and the destination's port behind it.
fn port_behind(rest: &[u8], address: usize) -> Result<u16, BadProxy> {
    let ports = rest.get(address..).and_then(<[u8]>::first_chunk::<4>);
    ports.map(|[high, low, ..]| u16::from_be_bytes([*high, *low])).ok_or(BadProxy)
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;

    /// The source and what is left behind the header; the header is known as soon as it is whole, and not before.
    fn read(bytes: &[u8]) -> Seen {
        let whole = parse(bytes);
        for end in 0..bytes.len() {
            let cut = parse(bytes.get(..end).unwrap());
            match whole {
                Ok(Proxied::Header { consumed, .. }) if end >= consumed => assert_eq!(cut, whole),
                Ok(_) => assert_eq!(cut, Ok(Proxied::Partial), "cut at {end}"),
                Err(_) => assert!(!matches!(cut, Ok(Proxied::Header { .. })), "cut at {end}"),
            }
        }
        Ok(match whole? {
            Proxied::Partial => None,
            Proxied::Header { consumed, source } => {
                let source = source.map_or("-".to_string(), |source| source.to_string());
                Some((source, bytes.len().saturating_sub(consumed)))
            }
        })
    }

    type Seen = Result<Option<(String, usize)>, BadProxy>;

    #[allow(clippy::unnecessary_wraps, reason = "it is compared with what was read")]
    fn is(source: &str, left: usize) -> Seen {
        Ok(Some((source.to_string(), left)))
    }

    #[test]
    fn version_1_is_a_line() {
        assert_eq!(
            read(b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 33333\r\nGET"),
            is("192.0.2.1:5000", 3)
        );
        assert_eq!(read(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), is("[2001:db8::1]:1", 0));
        assert_eq!(read(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), is("192.0.2.1:1", 0));
        assert_eq!(read(b"PROXY UNKNOWN\r\n\0"), is("-", 1));
        assert_eq!(read(b"PROXY UNKNOWN ffff:: x\r\n"), is("-", 0));
        assert_eq!(read(b"PROXY TCP4 192.0"), Ok(None));
        for wrong in [
            &b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 33333\n"[..],
            b"PROXY TCP4 192.0.2.1 10.0.0.1 5000\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 33333 1\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 1\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +1 1\r\n",
            b"PROXY  TCP4\r\n",
            b"PROXY\r\n",
            b"POST / HTTP/1.1\r\n",
            b"proxy ",
            b"GET /",
            b"\0",
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
            b"PROXY TCP4\0",
        ] {
            assert_eq!(read(wrong), Err(BadProxy), "{}", wrong.escape_ascii());
        }
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat();
        assert_eq!(read(&long), Err(BadProxy));
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[test]
    fn version_2_is_binary() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0x13, 0x88, 0x82, 0x35];
        assert_eq!(read(&v2(0x21, 0x11, &four)), is("192.0.2.1:5000", 0));
        let extended = [&four[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
        assert_eq!(
            read(&v2(0x21, 0x11, &extended)),
            is("192.0.2.1:5000", 0),
            "extensions are skipped"
        );
        let mut six = [0_u8; 36];
        if let Some(last) = six.get_mut(15) {
            *last = 1;
        }
        if let Some(port) = six.get_mut(33) {
            *port = 7;
        }
        let six = [&v2(0x21, 0x21, &six)[..], b"GET"].concat();
        assert_eq!(read(&six), is("[::1]:7", 3));
        assert_eq!(read(&v2(0x20, 0x00, b"")), is("-", 0), "a health check of the proxy");
        assert_eq!(read(&v2(0x20, 0xff, b"xyz")), is("-", 0));
        assert_eq!(read(&v2(0x21, 0x00, b"")), is("-", 0));
        assert_eq!(read(&v2(0x21, 0x31, &[0; 216])), is("-", 0));
        for wrong in [
            v2(0x11, 0x11, &four),
            v2(0x22, 0x11, &four),
            v2(0x21, 0x11, &four[..11]),
            v2(0x21, 0x21, &four),
            v2(0x21, 0x44, &four),
            v2(0x21, 0x00, &[0; 3_000]),
            b"\r\n\r\nGET".to_vec(),
        ] {
            assert_eq!(read(&wrong), Err(BadProxy), "{}", wrong.escape_ascii());
        }
    }
}
