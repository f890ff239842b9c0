//! The opening handshake, the server's side (RFC 6455, section 4.2): an HTTP request becomes a WebSocket connection, or has its
//! refusal.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::http::{Content, Head, Manner, Method, Refusal, Response, Status, Version};
use crate::time::WallTime;

/// The name of the chat's vocabulary in text messages.
pub const SUBPROTOCOL: &str = "chat.v1";

/// What every key is hashed with (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that may be answered with 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The proof that the key was understood.
    accept: String,
    /// The subprotocol that was agreed on; none where the client offered none.
    subprotocol: Option<&'static str>,
}

/// Checks a request for the chat or, without a `subprotocol` of ours, for the echo.
///
/// # Errors
/// 426 where the request is no upgrade or of another version, 400 where it is not as it should be.
pub fn handshake(head: &Head<'_>, subprotocol: Option<&'static str>) -> Result<Accepted, Refusal> {
    if head.method != Method::Get || head.version != Version::Http11 || !head.upgrade {
        return Err(upgrade_required(
            "This is a WebSocket; ask with Upgrade: websocket and Connection: Upgrade.",
        ));
    }
    let version = head.fields.text("sec-websocket-version");
    if version != Ok(Some("13")) {
        return Err(upgrade_required("The WebSocket version is 13."));
    }
    let bad = |message: &'static str| Refusal::new(Status::BadRequest, message);
    let key = head.fields.text("sec-websocket-key").ok().flatten();
    let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let key = key.ok_or_else(|| bad("The one Sec-WebSocket-Key is 16 bytes in base64."))?;
    let mut offered = head.fields.list("sec-websocket-protocol").peekable();
    let subprotocol = subprotocol.filter(|_| offered.peek().is_some());
    if subprotocol.is_some_and(|ours| offered.all(|theirs| theirs != ours.as_bytes())) {
        return Err(bad("The subprotocol is chat.v1; offer it, or none."));
    }
    Ok(Accepted { accept: accept(key), subprotocol })
}

impl Accepted {
    /// Appends the answer. Whatever is read behind the request is frames.
    pub fn write(&self, date: WallTime, out: &mut Vec<u8>) {
        let mut fields = alloc::vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", &*self.accept),
        ];
        fields.extend(self.subprotocol.map(|name| ("Sec-WebSocket-Protocol", name)));
        let content = Content::Whole(&[]);
        let status = Status::SwitchingProtocols;
        let response = Response { status, content_type: None, fields: &fields, content };
        response.write(Manner { date, head_only: false, close: false }, out);
    }
}

/// The proof for a key (RFC 6455, section 4.2.2, step 5.4).
pub(crate) fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// 426 says what to upgrade to (RFC 9110, section 15.5.22), and which version of it (RFC 6455, section 4.4).
fn upgrade_required(message: &'static str) -> Refusal {
    let fields =
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")];
    let status = Status::UpgradeRequired;
    Refusal { status, message: message.into(), fields: fields.to_vec() }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const REST: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13";

    fn asked(line: &str, fields: &str, ours: Option<&'static str>) -> Result<String, u16> {
        let head = format!("{line}\r\nHost: h\r\n{fields}\r\n\r\n");
        let accepted = handshake(&Head::parse(head.as_bytes()).unwrap(), ours);
        let accepted = accepted.map_err(|refusal| refusal.status.code())?;
        let mut out = Vec::new();
        accepted.write(WallTime::from_micros(0), &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    fn get(fields: &str) -> Result<String, u16> {
        asked("GET /ws HTTP/1.1", fields, Some(SUBPROTOCOL))
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_so() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let answer =
            get(&format!("{REST}\r\n{KEY}\r\nSec-WebSocket-Protocol: x, chat.v1")).unwrap();
        assert_eq!(
            answer,
            "HTTP/1.1 101 Switching Protocols\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat.v1\r\n\r\n"
        );
    }

    #[test]
    fn a_subprotocol_is_only_answered_where_it_was_offered() {
        let answer = get(&format!("{REST}\r\n{KEY}")).unwrap();
        assert!(!answer.contains("Sec-WebSocket-Protocol"), "{answer}");
        for other in ["chat.v2", "CHAT.V1", "xchat.v1"] {
            assert_eq!(
                get(&format!("{REST}\r\n{KEY}\r\nSec-WebSocket-Protocol: {other}")),
                Err(400)
            );
        }
        let offers = format!("{REST}\r\n{KEY}\r\nSec-WebSocket-Protocol: x");
        let answer = asked("GET /echo HTTP/1.1", &offers, None).unwrap();
        assert!(!answer.contains("Sec-WebSocket-Protocol"), "{answer}");
    }

    #[test]
    fn no_extension_is_agreed_on() {
        let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
        let answer = get(&format!("{REST}\r\n{KEY}\r\n{offer}")).unwrap();
        assert!(!answer.contains("Extensions"), "{answer}");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let version = |version: &str| {
            get(&format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{KEY}\r\n{version}"))
        };
        assert_eq!(version("Sec-WebSocket-Version: 8"), Err(426));
        assert_eq!(version("A: b"), Err(426));
        assert_eq!(version("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8"), Err(426));
        assert_eq!(get(KEY), Err(426), "no upgrade");
        assert_eq!(
            get(&format!("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{KEY}")),
            Err(426)
        );
        assert_eq!(asked("OPTIONS /ws HTTP/1.1", &format!("{REST}\r\n{KEY}"), None), Err(426));
        assert_eq!(asked("GET /ws HTTP/1.0", &format!("{REST}\r\n{KEY}"), None), Err(426));
        for key in [
            "A: b",
            "Sec-WebSocket-Key:",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Key: \u{e9}",
        ] {
            assert_eq!(get(&format!("{REST}\r\n{key}")), Err(400), "{key}");
        }
    }
}
