//! One port: the first bytes choose the protocol (docs/protocol.md, "One port").

use crate::fault::Foreign;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detected {
    /// More bytes are needed.
    Undecided,
    /// Native frames.
    Native,
    /// An HTTP request.
    Http,
    /// Another protocol.
    Foreign(Foreign),
}

/// The words with which an IRC client begins.
const IRC_WORDS: [&[u8]; 8] =
    [b"CAP", b"NICK", b"USER", b"PASS", b"WEBIRC", b"AUTHENTICATE", b"PING", b"QUIT"];
/// The methods of RFC 9110 and PATCH (RFC 5789).
const HTTP_METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];
/// Longest word that is waited for: AUTHENTICATE, and its end.
const WORD_BYTES_MAX: usize = 13;

/// Looks at what a connection sent first.
pub(crate) fn detect(bytes: &[u8]) -> Detected {
    match bytes {
        [] | [0x16] => Detected::Undecided,
        [0x00, ..] => Detected::Native,
        [0x16, 0x03, ..] => Detected::Foreign(Foreign::Tls),
        [b':' | b'@', ..] => Detected::Foreign(Foreign::Irc),
        [first, ..] if first.is_ascii_alphabetic() => word(bytes),
        [_, ..] => Detected::Foreign(Foreign::Unknown),
    }
}

/// A first word of letters: an HTTP method is followed by a space and a path, an IRC word by a space or the line's end.
fn word(bytes: &[u8]) -> Detected {
    let end = bytes.iter().position(|byte| !byte.is_ascii_alphabetic());
    let Some((word, rest)) = end.and_then(|end| bytes.split_at_checked(end)) else {
        let too_long = bytes.len() > WORD_BYTES_MAX;
        return if too_long { Detected::Foreign(Foreign::BadHttp) } else { Detected::Undecided };
    };
    if IRC_WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)) {
        return match rest.first() {
            Some(b' ' | b'\r' | b'\n') => Detected::Foreign(Foreign::Irc),
            Some(_) | None => Detected::Foreign(Foreign::BadHttp),
        };
    }
    match rest {
        [b' '] if HTTP_METHODS.contains(&word) => Detected::Undecided,
        [b' ', b'/' | b'*' | b'h', ..] if HTTP_METHODS.contains(&word) => Detected::Http,
        _ => Detected::Foreign(Foreign::BadHttp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_choose() {
        assert_eq!(detect(b""), Detected::Undecided);
        assert_eq!(detect(b"\0"), Detected::Native);
        assert_eq!(detect(b"\x16"), Detected::Undecided);
        assert_eq!(detect(b"\x16\x03\x01"), Detected::Foreign(Foreign::Tls));
        assert_eq!(detect(b"\x16\x04"), Detected::Foreign(Foreign::Unknown));
        assert_eq!(detect(b"GET"), Detected::Undecided);
        assert_eq!(detect(b"GET "), Detected::Undecided);
        assert_eq!(detect(b"GET / HTTP/1.1\r\n"), Detected::Http);
        assert_eq!(detect(b"POST /NICK"), Detected::Http);
        assert_eq!(detect(b"NICK ada\r\n"), Detected::Foreign(Foreign::Irc));
        assert_eq!(detect(b"NICKNAME ada"), Detected::Foreign(Foreign::BadHttp));
        assert_eq!(detect(b":x NICK"), Detected::Foreign(Foreign::Irc));
        assert_eq!(detect(b"hello there"), Detected::Foreign(Foreign::BadHttp));
        assert_eq!(detect(b"AUTHENTICATEXX"), Detected::Foreign(Foreign::BadHttp));
        assert_eq!(detect(b"hello "), Detected::Foreign(Foreign::BadHttp));
        assert_eq!(detect(b"{\"request\""), Detected::Foreign(Foreign::Unknown));
        assert_eq!(detect(b"\xff"), Detected::Foreign(Foreign::Unknown));
    }

    /// A word too long for any protocol was waited for once more, where its end came with it.
    #[test]
    fn a_word_too_long_is_no_http_however_it_is_cut() {
        let line = b"ppppppsecondspppe ";
        let seen = |cut: usize| detect(line.get(..cut).unwrap());
        assert_eq!(seen(WORD_BYTES_MAX), Detected::Undecided);
        for cut in WORD_BYTES_MAX + 1..=line.len() {
            assert_eq!(seen(cut), Detected::Foreign(Foreign::BadHttp), "{cut}");
        }
    }

    #[test]
    fn an_http_verb_never_becomes_irc_however_it_is_cut() {
        for line in [&b"POST / HTTP/1.1\r\nNICK x\r\n"[..], b"PUT NICK x\r\n", b"GET :x\r\n"] {
            let first = (1..=line.len())
                .map(|cut| detect(line.get(..cut).unwrap()))
                .find(|seen| *seen != Detected::Undecided);
            assert!(matches!(first, Some(Detected::Http | Detected::Foreign(Foreign::BadHttp))));
        }
    }
}
