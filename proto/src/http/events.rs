//! Server-sent events (HTML standard, section 9.2): each event of the vocabulary is one event of the stream, its JSON the data.
//!
//! The id of a message's event is its place in the room's order, with the history that the order is of: a browser that comes back
//! names it in `Last-Event-ID`, and goes on behind it. The stream ends with the connection, so that one encoded event is the same
//! for all who read it, whatever version of HTTP they speak.

use alloc::format;
use alloc::vec::Vec;

use super::head::Fields;
use super::response::API_FIELDS;
use super::routes::Refusal;
use super::status::Status;
use crate::command::Seq;

/// What the stream is.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Fields of the answer: those of every other, and nothing in between keeps the stream, or waits for its end (nginx).
pub const STREAM_FIELDS: [(&str, &str); 4] = {
    let [lasting, sniffing, embedding] = API_FIELDS;
    [lasting, sniffing, embedding, ("X-Accel-Buffering", "no")]
};
/// What the stream begins with: how long a browser waits before it comes back.
pub const HELLO: &[u8] = b"retry: 1000\n\n";
/// A line that means nothing, so that everybody in between knows that the stream lives.
pub const KEEPALIVE: &[u8] = b":\n\n";

/// A UUID that names a history, as `hello` says it.
pub type HistoryId = [u8; 16];

/// Appends one event: a JSON object of one line, and where the reader is behind it. Whatever has no place in the room's order (who
/// joined) leaves the reader where it was.
pub fn event(place: Option<(HistoryId, Seq)>, json: &[u8], out: &mut Vec<u8>) {
    debug_assert!(
        !json.contains(&b'\n') && !json.contains(&b'\r'),
        "JSON as we write it is one line"
    );
    if let Some(place) = place {
        id(place, out);
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
}

/// Appends where the stream begins, which is no event: a reader that comes back before it has heard any goes on there.
pub fn begins_at(place: (HistoryId, Seq), out: &mut Vec<u8>) {
    id(place, out);
    out.push(b'\n');
}

fn id((history, seq): (HistoryId, Seq), out: &mut Vec<u8>) {
    let history = uuid::Uuid::from_bytes(history);
    out.extend_from_slice(format!("id: {}-{seq}\n", history.as_simple()).as_bytes());
}

/// How far a reader had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEvent {
    /// Of which history; none where a script gives the number alone.
    pub history: Option<HistoryId>,
    /// Everything later than this is missing.
    pub seq: Seq,
}

/// What `Last-Event-ID` says; nothing where the reader is new.
///
/// # Errors
/// Where it is none of our ids.
pub fn last_event(fields: &Fields<'_>) -> Result<Option<LastEvent>, Refusal> {
    let wrong = || {
        let form =
            "Last-Event-ID is none that this server gave; leave it out, or give a sequence number.";
        Refusal::new(Status::BadRequest, form)
    };
    let text = fields.text("last-event-id").map_err(|_| wrong())?;
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let (history, seq) = match text.split_once('-') {
        Some((history, seq)) => {
            let simple = history.len() == uuid::fmt::Simple::LENGTH;
            let history = uuid::Uuid::try_parse(history).ok().filter(|_| simple);
            (Some(history.ok_or_else(wrong)?.into_bytes()), seq)
        }
        None => (None, text),
    };
    let digits = seq.bytes().all(|byte| byte.is_ascii_digit());
    let seq = seq.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    Ok(Some(LastEvent { history, seq: Seq(seq) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Head;

    fn last(value: &[u8]) -> Result<Option<LastEvent>, Refusal> {
        let head = [b"GET / HTTP/1.1\r\nHost: h\r\nLast-Event-ID: ", value, b"\r\n\r\n"].concat();
        last_event(&Head::parse(&head).unwrap().fields)
    }

    #[test]
    fn an_event_is_its_id_and_its_json() {
        let mut out = Vec::new();
        event(Some(([0xab; 16], Seq(7))), b"{\"event\":\"message\"}", &mut out);
        event(None, b"{}", &mut out);
        let id = "abababababababababababababababab-7";
        let text = format!("id: {id}\ndata: {{\"event\":\"message\"}}\n\ndata: {{}}\n\n");
        assert_eq!(core::str::from_utf8(&out), Ok(&*text));
        let last = last(id.as_bytes()).unwrap().unwrap();
        assert_eq!(last, LastEvent { history: Some([0xab; 16]), seq: Seq(7) });
    }

    #[test]
    fn a_place_alone_is_an_id_without_an_event() {
        let mut out = Vec::new();
        begins_at(([0xab; 16], Seq(0)), &mut out);
        assert_eq!(out, b"id: abababababababababababababababab-0\n\n");
    }

    #[test]
    fn a_reader_says_how_far_it_had_come() {
        assert_eq!(last(b""), Ok(None));
        assert_eq!(last(b"12"), Ok(Some(LastEvent { history: None, seq: Seq(12) })));
        for wrong in [
            &b"x"[..],
            b"-1",
            b"+1",
            b"7-7",
            b"ab-1",
            b"18446744073709551616",
            b"1 ",
            b"\xe9",
            b"abababababababababababababababab-",
        ] {
            let is_number = wrong == b"1 ";
            assert_eq!(last(wrong).is_ok(), is_number, "{}", wrong.escape_ascii());
        }
    }
}
