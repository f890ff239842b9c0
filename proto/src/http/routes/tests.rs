//! Which paths lead where, and what the others are answered.

use alloc::format;

use super::*;

const fn file(name: &'static str) -> Asset {
    Asset { name, content_type: "text/plain", etag: String::new(), bytes: b"" }
}

const SITE: Site<'static> = Site {
    base_path: "/",
    assets: &[file(PAGE), file("app.js"), file("web/style.css")],
    echo: Some("/echo"),
};

/// What a request line leads to, shown.
fn to(site: &Site<'_>, line: &str) -> String {
    let length = if line.starts_with('P') { "Content-Length: 1\r\n" } else { "" };
    let head = format!("{line} HTTP/1.1\r\nHost: h\r\n{length}\r\n");
    let head = Head::parse(head.as_bytes()).unwrap();
    match route(&head, site) {
        Ok(Route::Asset(asset)) => asset.name.into(),
        Ok(route) => format!("{route:?}"),
        Err(refusal) => {
            let allow = refusal.fields.first().map(|(name, value)| format!(" {name}: {value}"));
            format!("{}{}", refusal.status.code(), allow.unwrap_or_default())
        }
    }
}

fn at(line: &str) -> String {
    to(&SITE, line)
}

#[test]
fn each_path_has_its_route() {
    for (line, route) in [
        ("GET /", "index.html"),
        ("HEAD /?x", "index.html"),
        ("GET /index.html", "index.html"),
        ("GET /app.js", "app.js"),
        ("GET /web/style.css?v=1", "web/style.css"),
        ("GET /ws", "Socket"),
        ("GET /echo", "Echo"),
        ("GET /api/rooms", "Rooms"),
        ("GET /api/stats", "Stats"),
        ("HEAD /metrics", "Metrics"),
        ("GET /healthz", "Health"),
        ("POST /api/rooms/Ops/messages", "Post { room: RoomName(\"ops\") }"),
        ("POST /api/rooms/%23ops/messages", "Post { room: RoomName(\"ops\") }"),
        ("GET /api/rooms/ops/messages/7", "Message { room: RoomName(\"ops\"), seq: Seq(7) }"),
        ("OPTIONS *", "Options { allow: \"GET, HEAD, POST, OPTIONS\" }"),
        ("OPTIONS /ws", "Options { allow: \"GET, OPTIONS\" }"),
    ] {
        assert_eq!(at(line), route, "{line}");
    }
}

#[test]
fn without_files_there_is_no_page() {
    let site = Site { assets: &[], ..SITE };
    assert_eq!(to(&site, "GET /"), "404");
    assert_eq!(to(&site, "GET /metrics"), "Metrics");
}

#[test]
fn what_is_not_there_is_said_so() {
    for line in [
        "GET /APP.JS",
        "GET //",
        "GET /api",
        "GET /api/",
        "GET /api/rooms/",
        "GET /api/rooms/ops",
        "GET /api/rooms/ops/messages/",
        "GET /api/rooms/ops/messages/1/2",
        "GET /api/rooms/ops/messages/+1",
        "GET /api/rooms/ops/messages/x",
        "GET /ws/",
        "GET /api/../metrics",
        "GET /./metrics",
        "GET /web%2Fstyle.css",
        "GET /%61pp.js",
        "POST /app",
        "GET /metrics%00",
    ] {
        assert_eq!(at(line), "404", "{line}");
    }
}

#[test]
fn methods_that_are_not_there_are_answered_with_those_that_are() {
    for (line, answer) in [
        ("POST /api/rooms/ops/messages/7", "405 Allow: GET, HEAD, OPTIONS"),
        ("POST /", "405 Allow: GET, HEAD, OPTIONS"),
        ("DELETE /api/rooms/ops/messages", "405 Allow: GET, HEAD, POST, OPTIONS"),
        ("PUT /api/rooms/ops/messages", "405 Allow: GET, HEAD, POST, OPTIONS"),
        ("TRACE /metrics", "405 Allow: GET, HEAD, OPTIONS"),
        ("HEAD /ws", "405 Allow: GET, OPTIONS"),
        ("HEAD /api/rooms/ops/events", "405 Allow: GET, OPTIONS"),
        ("POST /app.js", "405 Allow: GET, HEAD, OPTIONS"),
    ] {
        assert_eq!(at(line), answer, "{line}");
    }
}

#[test]
fn rooms_are_decoded_once_and_strictly() {
    for segment in ["", "a%2Fb", "a%00", "%C3", "a%20b", "..%2F", "%252e", "a;b"] {
        assert_eq!(at(&format!("POST /api/rooms/{segment}/messages")), "400", "{segment}");
    }
    let long = "x".repeat(65);
    assert_eq!(at(&format!("POST /api/rooms/{long}/messages")), "400");
}

#[test]
fn queries_are_read_strictly_where_they_are_known() {
    let get = |query: &str| {
        let head = format!("GET /api/rooms/a/messages?{query} HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = Head::parse(head.as_bytes()).unwrap();
        match route(&head, &SITE) {
            Ok(Route::History(past)) => Some(past),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => {
                assert_eq!(refusal.status, Status::BadRequest);
                None
            }
        }
    };
    let nothing = get("").unwrap();
    assert_eq!(nothing, get("x=1&x=2&&y&=&%zz".replace("%zz", "").as_str()).unwrap());
    let all = get(
        "after=1&before=9&limit=3&since=2026-01-31T12:00:00Z&until=2026-01-31T12%3A00%3A01%2B00:00",
    );
    let all = all.unwrap();
    assert_eq!((all.after, all.before, all.limit), (Some(Seq(1)), Some(Seq(9)), Some(3)));
    assert_eq!(all.since, Some("2026-01-31T12:00:00Z".parse().unwrap()));
    assert_eq!(all.until, Some("2026-01-31T12:00:01Z".parse().unwrap()));
    let plain = get("since=2026-01-31T12:00:00+01:00").unwrap();
    assert_eq!(plain.since, Some("2026-01-31T11:00:00Z".parse().unwrap()), "a + is a +");
    for wrong in [
        "after",
        "after=",
        "after=-1",
        "after=+1",
        "after=1&after=1",
        "%61fter=1&after=2",
        "limit=x",
        "since=today",
        "limit=4294967296",
    ] {
        assert_eq!(get(wrong), None, "{wrong}");
    }
    assert_eq!(
        at("GET /api/rooms/a/events?after=7"),
        "Events { room: RoomName(\"a\"), after: Some(Seq(7)) }"
    );
    assert_eq!(at("GET /api/rooms/a/events?after=x"), "400");
}

#[test]
fn everything_is_under_the_base_path() {
    let site = Site { base_path: "/chat/", ..SITE };
    for (line, route) in [
        ("GET /chat/", "index.html"),
        ("GET /chat", "ToBase"),
        ("GET /chat/app.js", "app.js"),
        ("GET /chat/api/stats", "Stats"),
        ("GET /", "404"),
        ("GET /metrics", "404"),
        ("GET /chatter", "404"),
        ("GET /echo", "Echo"),
    ] {
        assert_eq!(to(&site, line), route, "{line}");
    }
}
