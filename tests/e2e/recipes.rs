//! The recipes of README.md and docs/http.md, as they stand there: with curl, a scrape, nginx and Caddy.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::binaries::{chatctl, checkout};
use tests::{Daemon, Exposition, Folder, Http, Program, Setup, left_out, program};
use tungstenite::client::IntoClientRequest;

const MESSAGES: &str = "/api/rooms/lobby/messages";
const EVENTS: &str = "/api/rooms/lobby/events";

/// What a document says, of this daemon.
fn for_daemon(text: &str, daemon: &Daemon) -> String {
    let address = daemon.address().to_string();
    text.replace("localhost:33333", &address).replace("127.0.0.1:33333", &address)
}

/// The blocks of a kind that the document has, in their order, for this daemon.
fn blocks_for(kind: &str, daemon: &Daemon) -> Vec<String> {
    blocks(kind).iter().map(|block| for_daemon(block, daemon)).collect()
}

fn page() -> String {
    document("docs/http.md")
}

fn document(name: &str) -> String {
    fs::read_to_string(checkout().join(name)).unwrap()
}

fn blocks(kind: &str) -> Vec<String> {
    blocks_of(&page(), kind)
}

fn blocks_of(page: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(str::to_owned).collect()
}

/// What the README shows of a scrape and of proxies is what docs/http.md has, which the other tests run.
#[test]
fn the_readme_shows_what_the_document_does() {
    let (readme, page) = (document("README.md"), page());
    for kind in ["yaml", "caddyfile", "nginx"] {
        let [shown] = &blocks_of(&readme, kind)[..] else { panic!("one {kind} in the README") };
        assert_eq!(blocks_of(&page, kind), [&**shown], "{kind}");
    }
    assert_eq!(blocks_of(&readme, "toml"), [config()]);
}

fn shell(script: &str, folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder.path());
    command
}

/// The same, where `chatctl` is on the PATH and knows this daemon.
fn shell_with_chatctl(script: &str, daemon: &Daemon) -> Command {
    let mut command = shell(script, daemon.folder());
    let (programs, path) = (chatctl(), std::env::var_os("PATH").unwrap_or_default());
    let places = std::iter::once(programs.parent().unwrap().to_owned());
    let places = std::env::join_paths(places.chain(std::env::split_paths(&path))).unwrap();
    command.env("PATH", places).env("CHATD_SERVER", daemon.control_path());
    command
}

/// What was said in a room, the oldest first.
fn said_in(room: &str, daemon: &Daemon) -> Vec<String> {
    let said = daemon.ctl(&["history", room, "--json"]).stdout;
    let lines = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
    lines.filter_map(|line| Some(line["text"].as_str()?.to_owned())).collect()
}

#[test]
fn what_the_document_says_works_with_curl() {
    if Command::new("curl").arg("--version").output().is_err() {
        return left_out("the recipes of docs/http.md: needs curl (Debian package curl)");
    }
    assert!(page().contains("`POST` fails with curl's status 22 under `--fail-with-body`"));
    let (daemon, folder) = (Daemon::start(), Folder::new());
    let blocks = blocks_for("sh", &daemon);
    let (streams, others): (Vec<&String>, Vec<&String>) =
        blocks.iter().partition(|block| block.contains("curl -N"));
    assert_eq!((streams.len(), others.len()), (1, 4), "{blocks:?}");
    let (in_a_row, others) = others.split_last().unwrap();
    assert!(in_a_row.contains("--next"), "{in_a_row}");
    for script in others {
        let output = program::run(&mut shell(script, &folder), &[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !said.contains("\"ok\":false"), "{script}: {said}");
    }
    let said = Http::connect(daemon.address()).gets("/api/rooms/ops/messages").lines();
    let texts: Vec<&str> = said.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["backup done", "backup done"]);
    assert_eq!(fs::read_to_string(folder.join("report.png")).unwrap(), "backup done");
    hears_what_is_posted(streams[0], &folder, &daemon);
    let refused =
        format!("curl --fail-with-body -d x http://{}/api/rooms/%20/messages", daemon.address());
    let output = program::run(&mut shell(&refused, &folder), &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(22), "{said}");
    assert!(said.contains("\"error\":\"bad_request\""), "{said}");
}

/// The least that an address may connect makes each curl beyond the first wait.
#[test]
fn many_messages_in_a_row_come_through_as_the_document_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        return left_out("the recipes of docs/http.md: needs curl (Debian package curl)");
    }
    let limits = "[limits]\naccept_burst = 1\n";
    let daemon = Setup::new().limits_addresses().config(limits).start();
    let script = blocks_for("sh", &daemon).pop().unwrap();
    let output = program::run(&mut shell_with_chatctl(&script, &daemon), &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(!stderr.contains("Empty reply"), "{stderr}");
    let heard = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(heard.contains("\"error\":\"rate_limited\""), "what curl waits for: {heard}");
    let said = said_in("ops", &daemon);
    assert_eq!(said, ["one", "two", "three", "four", "step 5", "step 6", "step 7"]);
}

/// Each of 45 curls in a row was an empty reply beyond the first 32.
#[test]
fn a_script_that_connects_too_often_is_told_so() {
    if Command::new("curl").arg("--version").output().is_err() {
        return left_out("the recipes of docs/http.md: needs curl (Debian package curl)");
    }
    let daemon = Setup::new().limits_addresses().start();
    let script = "for post in $(seq 45); do curl -s -S -w '%{http_code}\\n' -d x URL; done";
    let script = script.replace("URL", &format!("http://{}{MESSAGES}", daemon.address()));
    let output = program::run(&mut shell(&script, daemon.folder()), &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = |status: &str| said.lines().filter(|line| *line == status).count();
    let (taken, refused) = (count("200"), count("429"));
    assert!(taken >= 32 && refused > 0 && taken + refused == 45, "{taken}, {refused}: {said}");
    let why = said.lines().find(|line| line.contains("\"ok\":false")).unwrap();
    assert!(why.contains("\"error\":\"rate_limited\"") && why.contains("retry_after"), "{why}");
    assert!(why.contains("accept_rate"), "{why}");
    let stats = daemon.control().asks("stats", serde_json::json!({}));
    assert_eq!(stats["stats"]["refused_accept_rate"], refused, "each counts once: {stats}");
}

#[test]
fn what_the_readme_says_works_with_curl() {
    if Command::new("curl").arg("--version").output().is_err() {
        return left_out("the recipes of README.md: needs curl (Debian package curl)");
    }
    let (daemon, folder) = (Daemon::start(), Folder::new());
    let readme = for_daemon(&fs::read_to_string(checkout().join("README.md")).unwrap(), &daemon);
    let lines: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let recipes: Vec<&str> = lines.into_iter().filter(|line| line.starts_with("curl ")).collect();
    let [post, stream] = recipes[..] else { panic!("{recipes:?}") };
    let output = program::run(&mut shell(post, &folder), &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("\"ok\":true"), "{said}");
    hears_what_is_posted(stream, &folder, &daemon);
}

/// A recipe that follows a room prints what is said there.
fn hears_what_is_posted(recipe: &str, folder: &Folder, daemon: &Daemon) {
    let room = recipe.split("/api/rooms/").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let follower = Program::start(&mut shell(recipe, folder));
    follower.stdout.line_with(&["retry:"]);
    let path = format!("/api/rooms/{room}/messages");
    assert_eq!(Http::connect(daemon.address()).posts(&path, "", "it goes on").status, 200);
    follower.stdout.line_with(&["data: ", "it goes on"]);
}

#[test]
fn a_scrape_gets_what_the_document_says() {
    let daemon = Daemon::start();
    let job = blocks_for("yaml", &daemon).remove(0);
    assert!(!job.contains("metrics_path") && !job.contains("scheme"), "the defaults: {job}");
    let target = job.split('"').nth(1).unwrap();
    let mut scraper = Http::connect(target.parse().unwrap());
    scraper.sends(format!(
        "GET /metrics HTTP/1.1\r\nHost: {target}\r\nAccept: text/plain;version=0.0.4\r\n\r\n"
    ));
    let answer = scraper.hears(false);
    assert_eq!(answer.status, 200);
    let figures = Exposition::read(answer.text());
    assert!(figures.families.keys().all(|name| name.starts_with("chatd_")), "{figures:?}");
    let page = page();
    let named: Vec<&str> = page.split('`').filter(|word| word.starts_with("chatd_")).collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(figures.families.contains_key(name), "{name} is not there");
    }
}

/// What the document has `chatd.toml` say where a proxy is in front.
fn config() -> String {
    blocks("toml").into_iter().find(|block| block.contains("base_path")).unwrap()
}

/// A proxy that runs, started anew where a port that was free a moment ago is taken; `start` is given a port.
fn proxy(mut start: impl FnMut(u16) -> Program) -> (Program, SocketAddr) {
    let found = (0..10).find_map(|_| {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut program = start(address.port());
        let listens = tests::eventually("the proxy listens", || {
            let is_there = TcpStream::connect(address).is_ok();
            (is_there || !program.runs()).then_some(is_there)
        });
        listens.then_some((program, address))
    });
    found.expect("a free port")
}

/// Starts an nginx with this block in its one server, with TLS where there is a certificate and its key.
fn nginx(block: &str, folder: &Folder, keys: Option<(&Path, &Path)>) -> (Program, SocketAddr) {
    let place = folder.path().display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let kept = kept.map(|what| format!("{what}_temp_path {place}/{what};\n")).concat();
    let tls = keys.map(|(certificate, key)| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("ssl_certificate {certificate};\nssl_certificate_key {key};\n")
    });
    let ssl = if tls.is_some() { " ssl" } else { "" };
    let tls = tls.unwrap_or_default();
    proxy(|port| {
        let config = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr notice;\nevents {{}}\n\
             http {{\naccess_log off;\n{kept}server {{\nlisten 127.0.0.1:{port}{ssl};\n\
             server_name chat.example;\n{tls}{block}}}\n}}\n"
        );
        let config = folder.write("nginx.conf", config);
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(config);
        Program::start(&mut command)
    })
}

/// Whether there is an nginx; else it is said that the test is left out.
fn has_nginx() -> bool {
    let is_there = Command::new("nginx").arg("-v").output().is_ok();
    if !is_there {
        left_out("the proxy in front of docs/http.md: needs nginx (Debian package nginx-light)");
    }
    is_there
}

#[test]
fn nginx_in_front_hands_on_everything_below_its_path() {
    if !has_nginx() {
        return;
    }
    let (daemon, folder) = (Setup::new().config(&config()).start(), Folder::new());
    let (_nginx, address) = nginx(&blocks_for("nginx", &daemon).remove(0), &folder, None);
    let mut browser = Http::connect(address);
    let page = browser.gets("/chat/");
    assert!(page.text().starts_with("<!doctype html>"), "{page:?}");
    let mut reader = Http::connect(address);
    reader.sends(format!("GET /chat{EVENTS} HTTP/1.0\r\nHost: chat.example\r\n\r\n"));
    assert!(reader.head().starts_with("HTTP/1.1 200 "));
    // The page of another server of that name is a foreign one: it has another port.
    for (host, origin, status) in [
        ("chat.example", "https://chat.example", 200),
        ("chat.example:8443", "https://chat.example:8443", 200),
        ("chat.example:8443", "https://chat.example", 403),
        ("chat.example", "https://chat.example:8443", 403),
    ] {
        let fields = format!(
            "Host: {host}\r\nOrigin: {origin}\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: 5\r\n"
        );
        browser.sends(format!("POST /chat{MESSAGES} HTTP/1.1\r\n{fields}\r\nhello"));
        assert_eq!(browser.hears(false).status, status, "{host} {origin}");
    }
    // It is heard at once: nothing in between keeps the stream.
    assert_eq!(reader.event_called("message").1["text"], "hello");
    let mut request = format!("ws://{address}/chat/ws").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "chat.v1".parse().unwrap());
    request.headers_mut().insert("Host", "chat.example:8443".parse().unwrap());
    request.headers_mut().insert("Origin", "https://chat.example:8443".parse().unwrap());
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(tests::DEADLINE)).unwrap();
    let (mut socket, _) = tungstenite::client(request, stream).unwrap();
    socket.send(tungstenite::Message::text(r#"{"request":"ping","id":"1"}"#)).unwrap();
    let reply = socket.read().unwrap();
    assert!(reply.to_text().unwrap().contains("\"ok\":true"), "{reply}");
}

#[test]
fn nginx_in_front_encrypts() {
    if !has_nginx() {
        return;
    }
    let folder = Folder::new();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]);
    openssl.args(["-subj", "/CN=chat.example", "-addext", "subjectAltName=DNS:chat.example"]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let Ok(made) = openssl.output() else {
        return left_out("TLS in front of docs/http.md: needs openssl (Debian package openssl)");
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let daemon = Setup::new().config(&config()).start();
    let block = blocks_for("nginx", &daemon).remove(0);
    let (_nginx, address) = nginx(&block, &folder, Some((&certificate, &key)));
    Site { base: "/chat", port: address.port(), authority: certificate }.is_served(&folder);
}

#[test]
fn caddy_in_front_encrypts() {
    if Command::new("caddy").arg("version").output().is_err() {
        return left_out("the other proxy of docs/http.md: needs caddy (Debian package caddy)");
    }
    let folder = Folder::new();
    // The whole site is chatd's, as the document says.
    let config = config().replace("base_path = \"/chat/\"\n", "");
    let daemon = Setup::new().config(&config).start();
    let block = blocks_for("caddyfile", &daemon).remove(0);
    let (_caddy, address) = proxy(|port| {
        // What a test cannot have: a name that the world knows, and port 443.
        let place = folder.path().display();
        let test = format!(
            "{{\nadmin off\nauto_https disable_redirects\nlocal_certs\nskip_install_trust\nhttps_port {port}\n\
             default_bind 127.0.0.1\nstorage file_system {place}/caddy\n}}\n"
        );
        let config = folder.write("Caddyfile", format!("{test}{block}"));
        let mut command = Command::new("caddy");
        tests::daemon::at_home(&mut command, &folder);
        Program::start(command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config))
    });
    let authority = folder.path().join("caddy/pki/authorities/local/root.crt");
    Site { base: "", port: address.port(), authority }.is_served(&folder);
}

/// chatd behind a proxy that encrypts, below a path, as those see it who trust this authority.
struct Site {
    base: &'static str,
    port: u16,
    authority: PathBuf,
}

impl Site {
    fn is_served(&self, folder: &Folder) {
        let page = self.curl(folder, &["/"]);
        assert!(page.starts_with("<!doctype html>"), "{page}");
        let reader = Program::start(&mut self.command(folder, &["-N", EVENTS]));
        reader.stdout.line_with(&["retry:"]);
        let own = format!("Origin: https://chat.example:{}", self.port);
        let said = self.curl(folder, &["-H", &own, "-d", "over TLS", MESSAGES]);
        assert!(said.contains("\"ok\":true"), "{said}");
        reader.stdout.line_with(&["data: ", "over TLS"]);
        let said = self.curl(folder, &["-H", "Origin: https://chat.example", "-d", "x", MESSAGES]);
        assert!(said.contains("\"ok\":false"), "{said}");
        let upgrade = ["-i", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
        let version = [
            "-H",
            "Sec-WebSocket-Version: 13",
            "-H",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        let socket = Program::start(
            &mut self.command(folder, &[&upgrade[..], &version[..], &["-N", "/ws"]].concat()),
        );
        socket.stdout.line_with(&["HTTP/1.1 101 "]);
    }

    /// curl with these arguments, the last of which is a path.
    fn command(&self, folder: &Folder, arguments: &[&str]) -> Command {
        let (path, arguments) = arguments.split_last().unwrap();
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--resolve"]);
        command.arg(format!("chat.example:{}:127.0.0.1", self.port));
        command.arg("--cacert").arg(&self.authority).args(arguments);
        command.arg(format!("https://chat.example:{}{}{path}", self.port, self.base));
        command.current_dir(folder.path());
        command
    }

    fn curl(&self, folder: &Folder, arguments: &[&str]) -> String {
        let output = program::run(&mut self.command(folder, arguments), &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
