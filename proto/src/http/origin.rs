//! Whether a page may ask for something: Host, Origin (RFC 6454) and Sec-Fetch-Site (W3C Fetch Metadata), as a pure function.
//!
//! A browser sends requests to us for whatever page it shows. Two things keep foreign pages out: the Host must be one of our
//! names, so that nobody's name can be pointed at us (DNS rebinding); and a page that says where it comes from must be ours or
//! listed. Scripts say neither Origin nor Sec-Fetch-Site, and are let through.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use super::head::Head;
use super::routes::Refusal;
use super::status::Status;
use super::target::Authority;

/// Which names and pages are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed<'a> {
    /// The names by which we are called, without ports. Addresses need not be listed: a name cannot be rebound to an address.
    pub hosts: &'a [String],
    /// Foreign pages that may ask all the same, as browsers write them: `https://chat.example`.
    pub origins: &'a [String],
}

/// A request that may be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed<'a> {
    /// Our own page, or no page at all.
    Own,
    /// A listed page of another origin: it reads the answer only if that names it. Never `*`.
    Listed(&'a str),
}

/// Checks who asks. `guarded` is whether the route reads or changes what people say; what does not only needs one of our names.
///
/// # Errors
/// Where a foreign page asks, or the Host is not ours.
pub fn check<'a>(
    head: &Head<'a>,
    guarded: bool,
    allowed: &Allowed<'_>,
) -> Result<Passed<'a>, Refusal> {
    if let Some(host) = &head.host
        && host.address().is_none()
        && !LOOPBACK.iter().any(|name| host.has_host(name))
        && !allowed.hosts.iter().any(|name| host.has_host(name))
    {
        let host = host.host;
        let message = format!(
            "'{host}' is none of this server's names; the setting `[http] hosts` adds names."
        );
        return Err(forbidden(message));
    }
    let origin = head.fields.text("origin");
    if let Ok(Some(origin)) = origin
        && allowed.origins.iter().any(|listed| listed == origin)
    {
        return Ok(Passed::Listed(origin));
    }
    if !guarded {
        return Ok(Passed::Own);
    }
    let repeated = |_| forbidden("The request's Origin or Sec-Fetch-Site cannot be read.");
    let origin = origin.map_err(repeated)?;
    let site = head.fields.text("sec-fetch-site").map_err(repeated)?;
    if !matches!(site, None | Some("same-origin" | "none")) {
        return Err(foreign());
    }
    match origin {
        None => Ok(Passed::Own),
        Some(origin) if is_own(origin, head.host.as_ref()) => Ok(Passed::Own),
        Some(_) => Err(foreign()),
    }
}

/// The field that keeps an answer out of foreign pages (Fetch standard, "Cross-Origin-Resource-Policy header"). An image or a script is
/// asked for without an Origin, and over plain HTTP without Sec-Fetch-Site, too; only a request that says who asks is checked here.
pub const NOT_EMBEDDED: (&str, &str) = ("Cross-Origin-Resource-Policy", "same-origin");

/// Names of the machine itself, which nobody else's page has.
const LOOPBACK: &[&str] = &["localhost"];

/// Whether an origin has the Host that the request is for. Without encryption here there may be some in front of us.
fn is_own(origin: &str, host: Option<&Authority<'_>>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return false,
    };
    let authority = Authority::parse(authority);
    host.zip(authority.as_ref()).is_some_and(|(host, origin)| host.is_same(origin, default))
}

fn forbidden(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Status::Forbidden, message)
}

fn foreign() -> Refusal {
    forbidden("The page that asks is not this server's; the setting `[http] origins` adds pages.")
}

/// The fields that let a listed page read an answer, those of its fields included that say more of it (Fetch standard, "CORS protocol").
pub const fn readable_by(page: &str) -> [(&'static str, &str); 3] {
    [
        ("Access-Control-Allow-Origin", page),
        ("Access-Control-Expose-Headers", "Retry-After, X-Forgotten, X-More"),
        ("Vary", "Origin"),
    ]
}

/// The fields that let a listed page send what a form could not: to be added to those of [`readable_by`] in the answer to OPTIONS.
pub const PREFLIGHT: [(&str, &str); 3] = [
    ("Access-Control-Allow-Methods", "GET, HEAD, POST"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Message-Id",
    ),
    ("Access-Control-Max-Age", "600"),
];

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn with_allowed<T>(then: impl FnOnce(&Allowed<'_>) -> T) -> T {
        let hosts = ["chat.example".to_string()];
        let origins = ["https://friend.example".to_string()];
        then(&Allowed { hosts: &hosts, origins: &origins })
    }

    /// Own, the listed origin, or nothing.
    fn asked(fields: &str, guarded: bool) -> Option<&'static str> {
        let head = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
        with_allowed(|allowed| seen(&Head::parse(head.as_bytes()).unwrap(), guarded, allowed))
    }

    fn seen(head: &Head<'_>, guarded: bool, allowed: &Allowed<'_>) -> Option<&'static str> {
        match check(head, guarded, allowed) {
            Ok(Passed::Own) => Some("own"),
            Ok(Passed::Listed("https://friend.example")) => Some("listed"),
            Ok(Passed::Listed(other)) => panic!("{other} is not listed"),
            Err(refusal) => {
                assert_eq!(refusal.status, Status::Forbidden);
                None
            }
        }
    }

    fn guarded(fields: &str) -> Option<&'static str> {
        asked(fields, true)
    }

    #[test]
    fn scripts_are_let_through() {
        for host in [
            "localhost:33333",
            "127.0.0.1",
            "[::1]:80",
            "192.0.2.7:33333",
            "CHAT.example.",
            "chat.example:8080",
        ] {
            assert_eq!(guarded(&format!("Host: {host}")), Some("own"), "{host}");
        }
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused() {
        for host in [
            "evil.example",
            "chat.example.evil.example",
            "xlocalhost",
            "localhost.evil",
            "127.0.0.1.evil",
            "2130706433",
        ] {
            assert_eq!(guarded(&format!("Host: {host}")), None, "{host}");
            assert_eq!(asked(&format!("Host: {host}"), false), None, "the page, too");
        }
    }

    #[test]
    fn our_own_page_may_ask() {
        for fields in [
            "Host: localhost:33333\r\nOrigin: http://localhost:33333",
            "Host: localhost:33333\r\nOrigin: http://localhost:33333\r\nSec-Fetch-Site: same-origin",
            "Host: localhost:33333\r\nSec-Fetch-Site: same-origin",
            "Host: localhost:33333\r\nSec-Fetch-Site: none",
            "Host: chat.example\r\nOrigin: https://chat.example",
            "Host: chat.example\r\nOrigin: https://chat.example:443",
            "Host: chat.example:80\r\nOrigin: http://chat.example",
            "Host: [::1]:1\r\nOrigin: http://[::1]:1",
        ] {
            assert_eq!(guarded(fields), Some("own"), "{fields}");
        }
    }

    #[test]
    fn foreign_pages_may_not_ask() {
        for fields in [
            "Origin: http://evil.example",
            "Origin: http://localhost",
            "Origin: http://localhost:33334",
            "Origin: http://localhost:33333.evil.example",
            "Origin: http://evil.example@localhost:33333",
            "Origin: ftp://localhost:33333",
            "Origin: localhost:33333",
            "Origin: null",
            "Origin:",
            "Origin: *",
            "Origin: https://friend.example.evil.example",
            "Origin: http://friend.example",
            "Origin: https://FRIEND.example",
            "Origin: http://localhost:33333\r\nOrigin: http://localhost:33333",
            "Origin: http://localhost:33333\r\nSec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
            "Sec-Fetch-Site: ",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none",
            "Origin: \u{e9}",
        ] {
            let fields = format!("Host: localhost:33333\r\n{fields}");
            assert_eq!(guarded(&fields), None, "{fields}");
            assert_eq!(asked(&fields, false), Some("own"), "links are followed");
        }
    }

    #[test]
    fn listed_pages_may_ask_and_read() {
        let fields =
            "Host: chat.example\r\nOrigin: https://friend.example\r\nSec-Fetch-Site: cross-site";
        assert_eq!(guarded(fields), Some("listed"));
        assert_eq!(asked(fields, false), Some("listed"), "before it asks, it asks for OPTIONS");
    }
}
