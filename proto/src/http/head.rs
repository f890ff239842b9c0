//! Request heads: what the request line and the fields say, as far as the protocol itself is concerned (RFC 9112, sections 3 and 6;
//! RFC 9110, section 7).
//!
//! A whole head is taken apart once, by `httparse`, after [`super::lines`] found its end and refused what that parser lets pass.
//! What a field means for a route is not known here.

use alloc::vec::Vec;

use super::fault::HttpFault;
use super::lines::FIELDS_MAX;
use super::target::{Authority, Target, Written};

/// A method. CONNECT is none: chatd is no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads, and wants no body.
    Head,
    /// Says something.
    Post,
    /// Not served by any route.
    Put,
    /// Not served by any route.
    Delete,
    /// Asks which methods there are.
    Options,
    /// Not served by any route.
    Trace,
    /// Not served by any route.
    Patch,
}

impl Method {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => return None,
        })
    }

    /// Whether a request with it says how long its body is.
    const fn needs_length(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: one request a connection, no upgrade, no chunks.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the body's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// It has so many bytes, one at least.
    Bytes(u64),
    /// It comes in chunks.
    Chunked,
}

/// A request's head.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<'a> {
    /// What is to be done.
    pub method: Method,
    /// With what.
    pub target: Target<'a>,
    /// In which version.
    pub version: Version,
    /// For whom: HTTP/1.0 may leave it out.
    pub host: Option<Authority<'a>>,
    /// All fields.
    pub fields: Fields<'a>,
    /// How long the body is.
    pub body: BodyLength,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Another request may follow.
    pub keep_alive: bool,
    /// The client wishes to go on in the WebSocket protocol.
    pub upgrade: bool,
}

impl<'a> Head<'a> {
    /// Takes a whole head apart, its empty line included.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, HttpFault> {
        let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX_USIZE];
        let mut request = httparse::Request::new(&mut slots);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HttpFault::RequestLine),
            Err(error) => return Err(refused(error, bytes)),
        }
        let method = Method::parse(request.method.unwrap_or_default()).ok_or(HttpFault::Method)?;
        let version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
        let written = Written::parse(request.path.unwrap_or_default())?;
        if written.target == Target::Server && method != Method::Options {
            return Err(HttpFault::TargetForm);
        }
        let pairs = request.headers.iter().map(|header| (header.name, header.value.trim_ascii()));
        let fields = Fields(pairs.collect());
        let host = host(&fields, version, written.authority)?;
        let body = body(&fields, version, method)?;
        let is_11 = version == Version::Http11;
        let upgrade = is_11 && fields.lists("connection", "upgrade");
        if upgrade && body != BodyLength::None && fields.all("upgrade").next().is_some() {
            return Err(HttpFault::BodyWithUpgrade);
        }
        Ok(Self {
            method,
            target: written.target,
            version,
            host,
            body,
            expects_continue: expectation(&fields)? && is_11 && body != BodyLength::None,
            keep_alive: is_11 && !fields.lists("connection", "close"),
            upgrade: upgrade && fields.lists("upgrade", "websocket"),
            fields,
        })
    }
}

/// As many as the lines may have.
const FIELDS_MAX_USIZE: usize = 64;
const _: () = assert!(FIELDS_MAX == 64 && FIELDS_MAX_USIZE == 64);

/// What the parser did not like, in our words. A version of the right form that is not ours is another matter than no version.
fn refused(error: httparse::Error, bytes: &[u8]) -> HttpFault {
    match error {
        httparse::Error::HeaderName => HttpFault::FieldName,
        httparse::Error::HeaderValue => HttpFault::Control,
        httparse::Error::TooManyHeaders => HttpFault::FieldsTooMany,
        // Line ends were looked at before: what is left of these is something behind the version.
        httparse::Error::Token | httparse::Error::Status | httparse::Error::NewLine => {
            HttpFault::RequestLine
        }
        httparse::Error::Version => {
            let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let mut words = line.split(|byte| *byte == b' ');
            let last = words.nth(2).unwrap_or_default();
            match (last.strip_prefix(b"HTTP/"), words.next()) {
                (Some([major, b'.', minor]), None)
                    if major.is_ascii_digit() && minor.is_ascii_digit() =>
                {
                    HttpFault::Version
                }
                (Some(_) | None, _) => HttpFault::RequestLine,
            }
        }
    }
}

/// The host that a request is for: exactly one Host in HTTP/1.1, the same as in an absolute target (RFC 9112, section 3.2).
fn host<'a>(
    fields: &Fields<'a>,
    version: Version,
    authority: Option<Authority<'a>>,
) -> Result<Option<Authority<'a>>, HttpFault> {
    let mut hosts = fields.all("host");
    let Some(first) = hosts.next() else {
        return match version {
            Version::Http10 => Ok(authority),
            Version::Http11 => Err(HttpFault::HostMissing),
        };
    };
    if hosts.next().is_some() {
        return Err(HttpFault::HostRepeated);
    }
    let host = core::str::from_utf8(first).ok().and_then(Authority::parse);
    match (host, authority) {
        (Some(host), Some(named)) if !named.is_same(&host, HTTP_PORT) => Err(HttpFault::HostWrong),
        (Some(host), _) => Ok(Some(host)),
        (None, _) => Err(HttpFault::HostWrong),
    }
}

/// The port of `http` URLs that name none.
pub(crate) const HTTP_PORT: u16 = 80;

/// How long the body is (RFC 9112, section 6.3). Whatever two readers could answer differently is refused.
fn body(fields: &Fields<'_>, version: Version, method: Method) -> Result<BodyLength, HttpFault> {
    let mut lengths = fields.all("content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(HttpFault::LengthRepeated);
    }
    let codings = fields.all("transfer-encoding").next().is_some();
    match (length, codings) {
        (Some(_), true) => Err(HttpFault::LengthAndCoding),
        (Some(length), false) => match digits(length)? {
            0 => Ok(BodyLength::None),
            length => Ok(BodyLength::Bytes(length)),
        },
        (None, true) => chunked(fields, version).map(|()| BodyLength::Chunked),
        (None, false) if method.needs_length() => Err(HttpFault::LengthMissing),
        (None, false) => Ok(BodyLength::None),
    }
}

fn digits(value: &[u8]) -> Result<u64, HttpFault> {
    if value.contains(&b',') {
        return Err(HttpFault::LengthRepeated);
    }
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HttpFault::LengthWrong);
    }
    // Digits that no number has room for are a length beyond every limit.
    let length = core::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    length.ok_or(HttpFault::BodyTooLong)
}

/// The one transfer coding that is understood, once and at the end (RFC 9112, sections 6.1 and 7).
fn chunked(fields: &Fields<'_>, version: Version) -> Result<(), HttpFault> {
    let mut codings = fields.list("transfer-encoding");
    let (first, second) = (codings.next(), codings.next());
    if version == Version::Http10 {
        return Err(HttpFault::CodingWrong);
    }
    match (first, second) {
        (Some(one), None) if one.eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(one), _) if !one.eq_ignore_ascii_case(b"chunked") => Err(HttpFault::Coding),
        (Some(_) | None, _) => Err(HttpFault::CodingWrong),
    }
}

/// Whether the client waits for `100 Continue` (RFC 9110, section 10.1.1).
fn expectation(fields: &Fields<'_>) -> Result<bool, HttpFault> {
    let mut expects = false;
    for expectation in fields.list("expect") {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(HttpFault::Expectation);
        }
        expects = true;
    }
    Ok(expects)
}

/// The fields of a head, in their order. Names are compared without regard to case; ask with small letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Fields<'a> {
    /// The values of every field of this name.
    pub fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
        let named = move |field: &&(&'a str, &'a [u8])| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|field| field.1)
    }

    /// The value of a field that has one; nothing where it is not there.
    ///
    /// # Errors
    /// Where it is there more than once.
    pub fn one(&self, name: &str) -> Result<Option<&'a [u8]>, HttpFault> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(HttpFault::FieldRepeated),
            (value, None) => Ok(value),
        }
    }

    /// The same as text: printable ASCII.
    ///
    /// # Errors
    /// Where it is there more than once, or has other characters.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, HttpFault> {
        let Some(value) = self.one(name)? else { return Ok(None) };
        let text = core::str::from_utf8(value).ok().filter(|text| {
            text.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
        });
        text.map(Some).ok_or(HttpFault::FieldValue)
    }

    /// The members of a list over all its fields, empty ones left out (RFC 9110, section 5.6.1). Members with quoted commas are
    /// no members of the lists that are asked for.
    pub fn list(&self, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let members = |value: &'a [u8]| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        self.all(name).flat_map(members).filter(|member| !member.is_empty())
    }

    /// Whether a list has this member, without regard to case.
    pub fn lists(&self, name: &str, member: &str) -> bool {
        self.list(name).any(|known| known.eq_ignore_ascii_case(member.as_bytes()))
    }
}
