//! Request targets (RFC 9112, section 3.2), the authority in them and in Host, and percent-encoding (RFC 3986, section 2.1), all
//! read strictly.
//!
//! Nothing is normalised: `.` and `..` are segments like others, and a path is split before it is decoded.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use super::fault::HttpFault;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A path, still percent-encoded, and what follows its question mark.
    Resource {
        /// From the first slash on.
        path: &'a str,
        /// Without the question mark.
        query: Option<&'a str>,
    },
    /// `*`: the server as a whole.
    Server,
}

/// A target as it was written, with the authority that only the absolute form has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) authority: Option<Authority<'a>>,
}

impl<'a> Written<'a> {
    /// Reads the origin-form, the absolute-form of `http` and `https`, and the asterisk-form.
    ///
    /// # Errors
    /// [`HttpFault::TargetForm`] for another form, [`HttpFault::Target`] for a wrong character, [`HttpFault::HostWrong`] for a
    /// wrong authority.
    pub(crate) fn parse(text: &'a str) -> Result<Self, HttpFault> {
        if text == "*" {
            return Ok(Self { target: Target::Server, authority: None });
        }
        if text.starts_with('/') {
            return Ok(Self { target: resource(text)?, authority: None });
        }
        let (scheme, rest) = text.split_once("://").ok_or(HttpFault::TargetForm)?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(HttpFault::TargetForm);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(HttpFault::TargetForm)?;
        let authority = Some(Authority::parse(authority).ok_or(HttpFault::HostWrong)?);
        let target = match path.strip_prefix('?') {
            Some(query) if is_query(query) => Target::Resource { path: "/", query: Some(query) },
            Some(_) => return Err(HttpFault::Target),
            None if path.is_empty() => Target::Resource { path: "/", query: None },
            None => resource(path)?,
        };
        Ok(Self { target, authority })
    }
}

fn resource(text: &str) -> Result<Target<'_>, HttpFault> {
    let (path, query) =
        text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    if !has_only(path, is_path_byte) || !query.is_none_or(is_query) {
        return Err(HttpFault::Target);
    }
    Ok(Target::Resource { path, query })
}

fn is_query(query: &str) -> bool {
    has_only(query, |byte| is_path_byte(byte) || byte == b'?')
}

/// Whether there are only such characters, and each percent sign has two digits behind it.
fn has_only(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    first.bytes().all(&fits)
        && parts.all(|part| {
            let digits = part.as_bytes().first_chunk::<2>();
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
                && part.bytes().all(&fits)
        })
}

/// A character of a path (RFC 3986, section 3.3), percent signs apart.
const fn is_path_byte(byte: u8) -> bool {
    is_name_byte(byte)
        || matches!(
            byte,
            b'/' | b':'
                | b'@'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

/// An unreserved character (RFC 3986, section 2.3).
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Undoes the percent-encoding of a segment or of a part of a query. A `+` stays a `+`: times have one.
///
/// Nothing where a percent sign has no two digits, or where the bytes are no UTF-8 or have a control character.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return (!text.contains(char::is_control)).then_some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let ([high, low], after) = rest.split_first_chunk::<2>()?;
            bytes.push(digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains(char::is_control)).then_some(Cow::Owned(text))
}

/// What a hexadecimal digit stands for.
pub(crate) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A host and perhaps a port, as Host, a target and an Origin have them (RFC 3986, section 3.2; user information is refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: &'a str,
    /// Where one is given.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `HOST` or `HOST:PORT`; nothing where it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        } else {
            let (host, port) =
                text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or((text, ""));
            if host.is_empty() || !host.bytes().all(is_name_byte) {
                return None;
            }
            (host, port)
        };
        let port = match port.strip_prefix(':') {
            // `example.com:` has an empty port, which is the scheme's (RFC 3986, section 3.2.3).
            Some("") => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            None if port.is_empty() => None,
            Some(_) | None => return None,
        };
        Some(Self { host, port })
    }

    /// The address that the host is, if it is one. A page cannot make the browser call such a host by another address.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether it is this host: without regard to case, to a last dot, or to how an address is written.
    pub fn has_host(&self, other: &str) -> bool {
        let bare = |host: &'a str| host.strip_suffix('.').unwrap_or(host);
        let other_bare = other.strip_suffix('.').unwrap_or(other);
        bare(self.host).eq_ignore_ascii_case(other_bare)
            || self.address().is_some_and(|ours| other.parse() == Ok(ours))
    }

    /// Whether both are the same host and port, where a scheme has this port.
    pub fn is_same(&self, other: &Self, default: u16) -> bool {
        self.has_host(other.host) && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<(&str, Option<&str>), HttpFault> {
        Written::parse(text).map(|written| match written.target {
            Target::Resource { path, query } => (path, query),
            Target::Server => ("*", None),
        })
    }

    #[test]
    fn a_target_is_a_path_a_url_or_an_asterisk() {
        assert_eq!(path("/"), Ok(("/", None)));
        assert_eq!(path("/a/b?x=1&y=?/"), Ok(("/a/b", Some("x=1&y=?/"))));
        assert_eq!(path("*"), Ok(("*", None)));
        assert_eq!(path("http://h:80/a?b"), Ok(("/a", Some("b"))));
        assert_eq!(path("HTTPS://h"), Ok(("/", None)));
        assert_eq!(path("http://[::1]:9?x"), Ok(("/", Some("x"))));
        for form in ["h:80", "", "ftp://h/", "a/b", "**"] {
            assert_eq!(path(form), Err(HttpFault::TargetForm), "{form}");
        }
        for wrong in ["/a#b", "/a b", "/%", "/%2", "/%2g", "/é", "/a\\b", "/?a{", "/\"", "/%%41"] {
            assert_eq!(path(wrong), Err(HttpFault::Target), "{wrong}");
        }
        for wrong in ["http:///", "http://a@h/", "http://h:x/", "http://h:65536/"] {
            assert_eq!(path(wrong), Err(HttpFault::HostWrong), "{wrong}");
        }
    }

    #[test]
    fn percent_encoding_is_undone_once_and_strictly() {
        assert_eq!(decode("a+b").as_deref(), Some("a+b"));
        assert_eq!(decode("a%2Fb%2e%C3%A9").as_deref(), Some("a/b.é"));
        assert_eq!(decode("%252F").as_deref(), Some("%2F"));
        for wrong in ["%", "%4", "%zz", "%00", "%0a", "%C3", "%C3%28", "%C0%AF", "%ED%A0%80", "%7f"]
        {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let host = |text| Authority::parse(text).map(|authority| (authority.host, authority.port));
        assert_eq!(host("a.example"), Some(("a.example", None)));
        assert_eq!(host("a:33333"), Some(("a", Some(33333))));
        assert_eq!(host("a:"), Some(("a", None)));
        assert_eq!(host("[::1]:80"), Some(("::1", Some(80))));
        for wrong in [
            "", ":80", "a:b", "a:1:2", "[::1", "[::1]x", "[a]", "::1", "a/b", "a b", "a@b", "é",
            "a:+1",
        ] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hosts_are_compared_without_regard_to_case_dots_and_spelling() {
        let same = |one, other| Authority::parse(one).unwrap().has_host(other);
        assert!(same("Chat.Example.", "chat.example"));
        assert!(same("[::1]", "0:0:0:0:0:0:0:1"));
        assert!(!same("chat.example", "chat.example.org") && !same("127.0.0.1", "127.0.0.2"));
        let is_same = |one, other| {
            Authority::parse(one).unwrap().is_same(&Authority::parse(other).unwrap(), 80)
        };
        assert!(is_same("a", "a:80") && !is_same("a", "a:443"));
    }
}
