//! The recipes of docs/http.md, as they stand there, with curl and with nginx.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use tests::binaries::checkout;
use tests::{Daemon, Folder, Http, Program, Setup, left_out, program};
use tungstenite::client::IntoClientRequest;

/// The blocks of a kind that the document has, in their order, for this daemon.
fn blocks_for(kind: &str, daemon: &Daemon) -> Vec<String> {
    let address = daemon.address().to_string();
    let blocks = blocks(kind).into_iter();
    blocks
        .map(|block| {
            block.replace("localhost:33333", &address).replace("127.0.0.1:33333", &address)
        })
        .collect()
}

fn blocks(kind: &str) -> Vec<String> {
    let page = fs::read_to_string(checkout().join("docs/http.md")).unwrap();
    let fence = format!("```{kind}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(str::to_owned).collect()
}

fn shell(script: &str, folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder.path());
    command
}

#[test]
fn what_the_document_says_works_with_curl() {
    if Command::new("curl").arg("--version").output().is_err() {
        return left_out("the recipes of docs/http.md: needs curl (Debian package curl)");
    }
    let (daemon, folder) = (Daemon::start(), Folder::new());
    let blocks = blocks_for("sh", &daemon);
    let (streams, others): (Vec<&String>, Vec<&String>) =
        blocks.iter().partition(|block| block.contains("curl -N"));
    assert_eq!((streams.len(), others.len()), (1, 3), "{blocks:?}");
    for script in others {
        let output = program::run(&mut shell(script, &folder), &[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !said.contains("\"ok\":false"), "{script}: {said}");
    }
    let said = Http::connect(daemon.address()).gets("/api/rooms/ops/messages").lines();
    let texts: Vec<&str> = said.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["backup done", "backup done"]);
    assert_eq!(fs::read_to_string(folder.join("report.png")).unwrap(), "backup done");
    let follower = Program::start(&mut shell(streams[0], &folder));
    follower.stdout.line_with(&["retry:"]);
    Http::connect(daemon.address()).posts("/api/rooms/ops/messages", "", "it goes on");
    follower.stdout.line_with(&["data: ", "it goes on"]);
}

/// Starts an nginx with this block in its one server; none where a port was taken meanwhile.
fn nginx(block: &str, folder: &Folder) -> Option<(Program, SocketAddr)> {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let place = folder.path().display();
    let kept = kept.map(|what| format!("{what}_temp_path {place}/{what};\n")).concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr notice;\nevents {{}}\n\
         http {{\naccess_log off;\n{kept}server {{\nlisten {address};\n{block}}}\n}}\n"
    );
    let config = folder.write("nginx.conf", config);
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(config);
    let mut nginx = Program::start(&mut command);
    tests::eventually("nginx listens", || {
        let is_there = TcpStream::connect(address).is_ok();
        (is_there || !nginx.runs()).then_some(is_there)
    })
    .then_some((nginx, address))
}

#[test]
fn nginx_in_front_hands_on_everything_below_its_path() {
    if Command::new("nginx").arg("-v").output().is_err() {
        return left_out(
            "the proxy in front of docs/http.md: needs nginx (Debian package nginx-light)",
        );
    }
    let config = blocks("toml").into_iter().find(|block| block.contains("base_path")).unwrap();
    let daemon = Setup::new().config(&config).start();
    let block = blocks_for("nginx", &daemon).remove(0);
    let folder = Folder::new();
    let (_nginx, address) = (0..10).find_map(|_| nginx(&block, &folder)).expect("a free port");
    let mut browser = Http::connect(address);
    let page = browser.gets("/chat/");
    assert!(page.text().starts_with("<!doctype html>"), "{page:?}");
    let messages = "/chat/api/rooms/lobby/messages";
    let mut reader = Http::connect(address);
    reader.sends("GET /chat/api/rooms/lobby/events HTTP/1.0\r\nHost: chat.example\r\n\r\n");
    assert!(reader.head().starts_with("HTTP/1.1 200 "));
    let origin = "Origin: https://chat.example\r\nSec-Fetch-Site: same-origin\r\n";
    browser.sends(format!(
        "POST {messages} HTTP/1.1\r\nHost: chat.example\r\n{origin}X-Forwarded-For: 203.0.113.9\r\nContent-Length: 5\r\n\r\nhello"
    ));
    assert_eq!(browser.hears(false).json()["ok"], true);
    // It is heard at once: nothing in between keeps the stream.
    assert_eq!(reader.event_called("message").1["text"], "hello");
    let mut request = format!("ws://{address}/chat/ws").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "chat.v1".parse().unwrap());
    request.headers_mut().insert("Host", "chat.example".parse().unwrap());
    request.headers_mut().insert("Origin", "https://chat.example".parse().unwrap());
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(tests::DEADLINE)).unwrap();
    let (mut socket, _) = tungstenite::client(request, stream).unwrap();
    socket.send(tungstenite::Message::text(r#"{"request":"ping","id":"1"}"#)).unwrap();
    let reply = socket.read().unwrap();
    assert!(reply.to_text().unwrap().contains("\"ok\":true"), "{reply}");
}
