//! Responses: heads and bodies to bytes (RFC 9112, sections 4 and 6; RFC 9110, section 6.6.1 for Date).
//!
//! What is answered is decided elsewhere; here it gets the fields without which a client could not find its end.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::fault::HttpFault;
use super::origin::NOT_EMBEDDED;
use super::status::Status;
use crate::time::WallTime;

/// What a request lets its answer be, besides what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// What time it is.
    pub date: WallTime,
    /// The request was HEAD: the body is left out, but not its length.
    pub head_only: bool,
    /// Nothing is read after this answer.
    pub close: bool,
}

/// A response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// So many bytes, which whoever writes the response puts behind it.
    Behind(usize),
    /// It follows as it comes, and ends when the connection does.
    UntilClose,
}

/// A response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// How it went.
    pub status: Status,
    /// What the body is; none where there is no body.
    pub content_type: Option<&'a str>,
    /// Other fields. None of them says where the body ends.
    pub fields: &'a [(&'a str, &'a str)],
    /// The body.
    pub content: Content<'a>,
}

/// What every answer says that is no file of the page: it is true now, is what it says it is, and is no part of a foreign page.
pub const API_FIELDS: [(&str, &str); 3] =
    [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), NOT_EMBEDDED];

/// JSON, as the API speaks it.
pub const JSON: &str = "application/json";
/// JSON lines, as past messages are given.
pub const JSON_LINES: &str = "application/x-ndjson";

impl Response<'_> {
    /// Appends the head, and the body where it is here.
    pub fn write(&self, manner: Manner, out: &mut Vec<u8>) {
        let status = self.status;
        let line = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
        out.extend_from_slice(line.as_bytes());
        field("Date", &http_date(manner.date), out);
        if let Some(content_type) = self.content_type {
            field("Content-Type", content_type, out);
        }
        for (name, value) in self.fields {
            debug_assert!(!name.eq_ignore_ascii_case("content-length"), "the body says that");
            field(name, value, out);
        }
        let bodiless = status.is_bodiless();
        match self.content {
            Content::Whole(body) if !bodiless => {
                field("Content-Length", &format!("{}", body.len()), out);
            }
            Content::Behind(length) => {
                debug_assert!(!bodiless, "{status:?} has no body");
                field("Content-Length", &format!("{length}"), out);
            }
            Content::Whole(body) => debug_assert!(body.is_empty(), "{status:?} has no body"),
            Content::UntilClose => {}
        }
        if manner.close || self.content == Content::UntilClose {
            field("Connection", "close", out);
        }
        out.extend_from_slice(b"\r\n");
        if let Content::Whole(body) = self.content
            && !manner.head_only
            && !bodiless
        {
            out.extend_from_slice(body);
        }
    }
}

/// `100 Continue`: the client may send the body now (RFC 9110, section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends one field. A value that a peer had a say in cannot end the line: control characters come out as spaces.
fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

/// The JSON body of an error.
pub fn error_body(error: &str, message: &str, retry_after: Option<u64>) -> Vec<u8> {
    /// The same as an error reply's, without the request's id.
    #[derive(Serialize)]
    struct Refused<'a> {
        ok: bool,
        error: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    }
    let body = serde_json::to_vec(&Refused { ok: false, error, message, retry_after });
    debug_assert!(body.is_ok(), "texts always serialise");
    let mut body = body.unwrap_or_default();
    body.push(b'\n');
    body
}

/// Appends the answer to a fault, after which the connection is closed.
pub fn fault(fault: HttpFault, date: WallTime, out: &mut Vec<u8>) {
    let manner = Manner { date, head_only: false, close: true };
    let status = fault.status();
    let body = error_body(status.word(), fault.message(), None);
    let (content_type, content) = (Some(JSON), Content::Whole(&body));
    Response { status, content_type, fields: &API_FIELDS, content }.write(manner, out);
}

/// A time as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
pub fn http_date(time: WallTime) -> String {
    let moment = jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or_default();
    format!("{}", moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: WallTime = WallTime::from_micros(784_111_777_000_000);
    const MANNER: Manner = Manner { date: DATE, head_only: false, close: false };

    fn written(response: Response<'_>, manner: Manner) -> String {
        let mut out = Vec::new();
        response.write(manner, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_are_those_of_the_rfc() {
        assert_eq!(http_date(DATE), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_response_says_how_long_it_is() {
        let response = Response {
            status: Status::Ok,
            content_type: Some("text/plain"),
            fields: &[("ETag", "\"x\"")],
            content: Content::Whole(b"hello"),
        };
        let head = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nETag: \"x\"\r\n\
                    Content-Length: 5\r\n";
        assert_eq!(written(response, MANNER), format!("{head}\r\nhello"));
        let close = Manner { close: true, ..MANNER };
        assert_eq!(written(response, close), format!("{head}Connection: close\r\n\r\nhello"));
        let head_only = Manner { head_only: true, ..MANNER };
        assert_eq!(written(response, head_only), format!("{head}\r\n"));
    }

    #[test]
    fn what_has_no_body_has_no_length() {
        for status in [Status::NoContent, Status::NotModified] {
            let content = Content::Whole(b"");
            let text =
                written(Response { status, content_type: None, fields: &[], content }, MANNER);
            assert!(!text.contains("Content-Length") && text.ends_with("\r\n\r\n"), "{text}");
        }
    }

    #[test]
    fn a_stream_ends_with_the_connection() {
        let stream = |content| {
            let response =
                Response { status: Status::Ok, content_type: Some("a/b"), fields: &[], content };
            written(response, MANNER)
        };
        assert!(stream(Content::UntilClose).ends_with("a/b\r\nConnection: close\r\n\r\n"));
    }

    #[test]
    fn no_value_ends_a_line() {
        let fields = [("Content-Type", "a/b\r\nSet-Cookie: x\n\0")];
        let content = Content::Whole(b"");
        let response =
            Response { status: Status::Ok, content_type: None, fields: &fields, content };
        assert!(written(response, MANNER).contains("Content-Type: a/b  Set-Cookie: x  \r\n"));
    }

    #[test]
    fn errors_have_json_bodies() {
        let mut out = Vec::new();
        fault(HttpFault::HostMissing, DATE, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
        for (name, value) in API_FIELDS {
            assert!(text.contains(&format!("\r\n{name}: {value}\r\n")), "{name}: {text}");
        }
        assert!(text.contains("Connection: close\r\n"), "{text}");
        assert!(text.ends_with(
            "{\"ok\":false,\"error\":\"bad_request\",\"message\":\"The request has no Host.\"}\n"
        ));
        let text = String::from_utf8(error_body("rate_limited", "Slow.", Some(2))).unwrap();
        let body =
            "{\"ok\":false,\"error\":\"rate_limited\",\"message\":\"Slow.\",\"retry_after\":2}\n";
        assert_eq!(text, body);
    }
}
