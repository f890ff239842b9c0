//! Answers over HTTP: what they say, and how they are written.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proto::ErrorCode;
use proto::encode;
use proto::http::origin::NOT_EMBEDDED;
use proto::http::response::{self, API_FIELDS, JSON, JSON_LINES};
use proto::http::{Asset, Content, DOWNLOAD_FIELDS, Manner, Refusal, Response, Status};
use proto::reply::Reply;
use proto::vocabulary::Error;

use super::Exchange;
use crate::Hub;
use crate::connection::{ConnId, Phase};
use crate::outbox::Outbox;

/// What the page and its files say: a browser asks each time whether it has the latest, runs what comes from here and nothing else, and
/// shows it in no foreign frame.
const PAGE_FIELDS: [(&str, &str); 5] = [
    ("Cache-Control", "no-cache"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    NOT_EMBEDDED,
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// What a message carries of which nobody said what it is.
const OCTETS: &str = "application/octet-stream";

/// An answer, but for what depends on the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    status: Status,
    content_type: Option<Cow<'static, str>>,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    body: Cow<'static, [u8]>,
}

impl Answer {
    /// Some JSON.
    pub(super) fn json(body: String) -> Self {
        Self::of(Status::Ok, JSON, body.into_bytes())
    }

    /// Some text of this type.
    pub(super) fn text(content_type: &'static str, body: String) -> Self {
        Self::of(Status::Ok, content_type, body.into_bytes())
    }

    /// A body of the API.
    fn of(status: Status, content_type: impl Into<Cow<'static, str>>, body: Vec<u8>) -> Self {
        let fields = API_FIELDS.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)));
        let (content_type, body) = (Some(content_type.into()), Cow::Owned(body));
        Self { status, content_type, fields: fields.collect(), body }
    }

    /// An answer that has no body by its nature.
    pub(super) fn bodiless(status: Status) -> Self {
        assert!(status.is_bodiless(), "a body has a type");
        Self { status, content_type: None, fields: vec![], body: Cow::Borrowed(&[]) }
    }

    /// The client has this file already.
    pub(super) fn unchanged(asset: &'static Asset) -> Self {
        let answer = Self::bodiless(Status::NotModified).with("ETag", &*asset.etag);
        PAGE_FIELDS.iter().fold(answer, |answer, (name, value)| answer.with(name, *value))
    }

    /// A refusal.
    pub(super) fn refused(status: Status, message: &str) -> Self {
        Self::of(status, JSON, response::error_body(status.word(), message, None))
    }

    /// An error of the vocabulary.
    pub(super) fn error(error: &Error) -> Self {
        let seconds = error.retry_after.map(|span| span.as_millis().div_ceil(1_000));
        let body = response::error_body(error.code.word(), &error.message, seconds);
        let answer = Self::of(Status::of(error.code), JSON, body);
        match seconds {
            Some(seconds) => answer.with("Retry-After", format!("{seconds}")),
            None => answer,
        }
    }

    /// The server is there, and takes nothing.
    pub(super) fn unhealthy(message: &'static str) -> Self {
        Self::error(&Error::new(ErrorCode::StoreUnavailable, message))
    }

    /// A field more.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Whether the request was not carried out.
    pub(super) const fn is_refusal(&self) -> bool {
        self.status.code() >= 400
    }

    /// Appends it, with fields that depend on who asked.
    pub(super) fn write(&self, manner: Manner, more: &[(&str, &str)], out: &mut Vec<u8>) {
        let own = self.fields.iter().map(|(name, value)| (*name, &**value));
        let fields: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        let content = Content::Whole(&self.body);
        let (status, content_type) = (self.status, self.content_type.as_deref());
        Response { status, content_type, fields: &fields, content }.write(manner, out);
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let answer = Self::refused(refusal.status, &refusal.message);
        refusal.fields.iter().fold(answer, |answer, (name, value)| answer.with(name, *value))
    }
}

impl Hub {
    /// Answers a connection's request.
    pub(super) fn answer(&mut self, id: ConnId, answer: &Answer, out: &mut Outbox) {
        let mut bytes = Vec::new();
        self.write_answer(id, answer, &mut bytes);
        self.push_private(id, bytes, out);
    }

    /// Writes what a request of the vocabulary did.
    pub(crate) fn write_reply(&self, id: ConnId, reply: &Reply<'_>, out: &mut Vec<u8>) {
        let answer = Answer::of(Status::Ok, JSON, encode::reply_body(reply));
        self.write_answer(id, &answer, out);
    }

    /// Writes why a request was not carried out.
    pub(crate) fn write_error(&self, id: ConnId, error: &Error, out: &mut Vec<u8>) {
        self.write_answer(id, &Answer::error(error), out);
    }

    /// Past messages, one a line. What their reply says stands before them.
    pub(crate) fn write_page(&self, id: ConnId, page: Vec<u8>, reply: &Reply<'_>) -> Vec<u8> {
        let mut answer = Answer::of(Status::Ok, JSON_LINES, page);
        if let Reply::History { more, forgotten, .. } = reply {
            answer = answer.with("X-More", if *more { "true" } else { "false" });
            answer = answer.with("X-Forgotten", format!("{forgotten}"));
        }
        let mut bytes = Vec::new();
        self.write_answer(id, &answer, &mut bytes);
        bytes
    }

    /// What one message carries: to be saved, never shown or run.
    pub(crate) fn write_content(&self, id: ConnId, page: &[u8], reply: &Reply<'_>) -> Vec<u8> {
        let is_there = matches!(reply, Reply::History { count: 1, .. });
        let answer = if is_there {
            // What it is stands before it, on a line of its own.
            let end = page.iter().position(|byte| *byte == b'\n').expect("it says what it is");
            let named = String::from_utf8_lossy(&page[..end]).into_owned();
            let named = if named.is_empty() { Cow::Borrowed(OCTETS) } else { Cow::Owned(named) };
            let answer = Answer::of(Status::Ok, named, page[end + 1..].to_vec());
            let own = DOWNLOAD_FIELDS.iter().filter(|field| !API_FIELDS.contains(field));
            own.fold(answer, |answer, (name, value)| answer.with(name, *value))
        } else {
            Answer::refused(Status::NotFound, "The room has no such message, or has it no more.")
        };
        let mut bytes = Vec::new();
        self.write_answer(id, &answer, &mut bytes);
        bytes
    }

    /// Answers with a file of the web client, of which no copy is made.
    pub(super) fn serve(&mut self, id: ConnId, asset: &'static Asset, out: &mut Outbox) {
        let manner = self.manner(id);
        let mut fields = PAGE_FIELDS.to_vec();
        fields.push(("ETag", &asset.etag));
        let response = Response {
            status: Status::Ok,
            content_type: Some(asset.content_type),
            fields: &fields,
            content: Content::Behind(asset.bytes.len()),
        };
        let mut head = Vec::new();
        response.write(manner, &mut head);
        self.push_answer(id, head, if manner.head_only { &[] } else { asset.bytes }, out);
    }

    fn manner(&self, id: ConnId) -> Manner {
        let exchange = self.exchange(id);
        let leaves = self.connections.get(id).is_none_or(|it| it.phase != Phase::Http);
        Manner {
            date: self.wall,
            head_only: exchange.is_some_and(|exchange| exchange.head_only),
            close: leaves || exchange.is_none_or(|exchange| exchange.close),
        }
    }

    fn write_answer(&self, id: ConnId, answer: &Answer, out: &mut Vec<u8>) {
        let listed = self.exchange(id).and_then(Exchange::readable);
        answer.write(self.manner(id), listed.as_ref().map_or(&[], |fields| fields), out);
    }

    /// How the last answer of a connection is written that is closed for something else than its request.
    pub(super) const fn last_manner(&self) -> Manner {
        Manner { date: self.wall, head_only: false, close: true }
    }
}
