//! Whose request a proxy hands on: `X-Forwarded-For` and `Forwarded` (RFC 7239), believed only as far as trusted proxies wrote them.
//!
//! Each proxy adds at the end who spoke to it. So the list is read from its end: the first address that is no trusted proxy is the
//! client, and whatever stands before it may be anybody's invention.

use core::net::{IpAddr, SocketAddr};

use super::head::Fields;
use crate::network::Network;

/// Which field the trusted proxies write. The other one is a stranger's, and not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedField {
    /// The usual one.
    XForwardedFor,
    /// The one of RFC 7239.
    Forwarded,
}

/// The address of whoever a request came from, behind trusted proxies.
pub fn client(
    peer: IpAddr,
    trusted: &[Network],
    field: ForwardedField,
    fields: &Fields<'_>,
) -> IpAddr {
    let name = match field {
        ForwardedField::XForwardedFor => "x-forwarded-for",
        ForwardedField::Forwarded => "forwarded",
    };
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    let mut hops = fields.all(name).rev().flat_map(|value| Members::of(value, field));
    while is_trusted(client) {
        // What is no address hides who is behind it; the last known one is all that can be said.
        let Some(Some(next)) = hops.next() else { break };
        client = next;
    }
    client.to_canonical()
}

/// The members of one field from its end, each the address it names, if it names one.
struct Members<'a> {
    rest: Option<&'a [u8]>,
    field: ForwardedField,
}

impl<'a> Members<'a> {
    const fn of(value: &'a [u8], field: ForwardedField) -> Self {
        Self { rest: Some(value), field }
    }
}

impl Iterator for Members<'_> {
    type Item = Option<IpAddr>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = self.rest?;
        // A comma in a quoted string would be taken for a member's end; what is left of such a string is no address.
        let comma = value.iter().rposition(|byte| *byte == b',');
        let (before, member) = match comma.and_then(|at| value.split_at_checked(at)) {
            Some((before, member)) => (Some(before), member.get(1..).unwrap_or_default()),
            None => (None, value),
        };
        self.rest = before;
        let member = core::str::from_utf8(member).unwrap_or_default().trim_ascii();
        Some(match self.field {
            ForwardedField::XForwardedFor => address(member),
            ForwardedField::Forwarded => forwarded_for(member),
        })
    }
}

/// The `for` of one member of Forwarded.
fn forwarded_for(member: &str) -> Option<IpAddr> {
    let mut named = member.split(';').filter_map(|pair| {
        let (name, value) = pair.trim_ascii().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let value = named.next().filter(|_| named.next().is_none())?;
    let bare = value.strip_prefix('"').map_or(Some(value), |value| value.strip_suffix('"'))?;
    address(bare)
}

/// An address, perhaps with a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let plain = bare.unwrap_or(text).parse().ok();
    plain.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use super::*;
    use crate::http::head::Head;

    fn from(peer: &str, field: ForwardedField, fields: &str) -> String {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        let head = Head::parse(head.as_bytes()).unwrap();
        let trusted: [Network; 2] = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        client(peer.parse().unwrap(), &trusted, field, &head.fields).to_string()
    }

    #[test]
    fn the_client_is_the_last_who_is_no_trusted_proxy() {
        let from = |peer, value: &str| {
            from(peer, ForwardedField::XForwardedFor, &format!("X-Forwarded-For: {value}"))
        };
        assert_eq!(from("192.0.2.1", "203.0.113.9"), "192.0.2.1", "a stranger is not believed");
        assert_eq!(from("10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(from("::ffff:10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(from("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.2.3.4"), "203.0.113.9");
        assert_eq!(from("10.0.0.1", "1.1.1.1\r\nX-Forwarded-For: 203.0.113.9 ,::1"), "203.0.113.9");
        assert_eq!(from("10.0.0.1", "203.0.113.9:5,[2001:db8::1]:7"), "2001:db8::1");
        assert_eq!(from("10.0.0.1", "2001:db8::2"), "2001:db8::2");
        assert_eq!(from("10.0.0.1", "10.0.0.2"), "10.0.0.2", "all are trusted");
        assert_eq!(from("10.0.0.1", ""), "10.0.0.1");
        assert_eq!(from("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2"), "10.0.0.2");
        assert_eq!(from("10.0.0.1", "203.0.113.9,"), "10.0.0.1", "nothing is no address");
    }

    #[test]
    fn only_the_field_that_the_proxies_write_is_believed() {
        let fields = "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=2.2.2.2";
        assert_eq!(from("10.0.0.1", ForwardedField::XForwardedFor, fields), "1.1.1.1");
        assert_eq!(from("10.0.0.1", ForwardedField::Forwarded, fields), "2.2.2.2");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let from = |value: &str| {
            from("10.0.0.1", ForwardedField::Forwarded, &format!("Forwarded: {value}"))
        };
        assert_eq!(from("for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(from("For=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17");
        assert_eq!(from("for=192.0.2.43, for=\"[2001:db8::1]\";host=x"), "2001:db8::1");
        assert_eq!(from("for=192.0.2.43, for=10.0.0.9"), "192.0.2.43");
        assert_eq!(from("for=\"_gazonk\""), "10.0.0.1");
        assert_eq!(from("for=unknown"), "10.0.0.1");
        assert_eq!(from("proto=http"), "10.0.0.1");
        assert_eq!(from("for=1.1.1.1;for=2.2.2.2"), "10.0.0.1", "which one?");
        assert_eq!(
            from("for=1.1.1.1, host=\"a, for=2.2.2.2\""),
            "10.0.0.1",
            "no address is taken from a string"
        );
    }
}
