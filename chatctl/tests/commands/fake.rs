//! A small daemon that says what a test tells it to, and a way to run `chatctl` against it with a deadline.
//!
//! It understands nothing: each test is the script of one conversation.

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long anything in a test may take before the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The history that the fake daemon says it has.
pub(crate) const HISTORY: &str = "11111111-1111-4111-8111-111111111111";

/// A folder of the test's own, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chatctl-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The fake daemon: a script in a thread.
pub(crate) struct Fake {
    pub(crate) folder: Folder,
    address: PathBuf,
    script: Option<JoinHandle<()>>,
}

/// Where callers come in.
pub(crate) enum Door {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

/// One conversation.
pub(crate) struct Caller {
    heard: BufReader<Box<dyn Read + Send>>,
    said: Box<dyn Write + Send>,
    /// Whether objects are in frames of type 16; lines otherwise.
    framed: bool,
}

impl Fake {
    /// Begins to listen, and plays the script.
    pub(crate) fn new(script: impl FnOnce(&mut Door) + Send + 'static) -> Self {
        Self::within(Folder::new(), script)
    }

    /// Begins to listen in a folder that is there already.
    pub(crate) fn within(folder: Folder, script: impl FnOnce(&mut Door) + Send + 'static) -> Self {
        let mut door = Door::Unix(UnixListener::bind(folder.socket()).unwrap(), folder.socket());
        let address = folder.socket();
        let script = thread::spawn(move || script(&mut door));
        Self { folder, address, script: Some(script) }
    }

    /// Begins to listen on a free port of this machine.
    pub(crate) fn over_tcp(script: impl FnOnce(&mut Door) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = PathBuf::from(format!("tcp://{}", listener.local_addr().unwrap()));
        let script = thread::spawn(move || script(&mut Door::Tcp(listener)));
        Self { folder: Folder::new(), address, script: Some(script) }
    }

    /// What `-s` takes.
    pub(crate) fn address(&self) -> &Path {
        &self.address
    }

    /// A daemon with one caller, who is greeted first.
    pub(crate) fn greeting(script: impl FnOnce(&mut Caller) + Send + 'static) -> Self {
        Self::new(move |door| {
            let mut caller = door.open();
            caller.greet();
            script(&mut caller);
        })
    }

    /// Runs `chatctl` against this daemon, and ends the script.
    pub(crate) fn run(self, args: &[&str], stdin: &[u8]) -> Ran {
        let ran = run(&self.address, args, stdin);
        self.end(ran)
    }

    /// Waits for the end of a run that was begun by hand, and ends the script.
    pub(crate) fn end(mut self, ran: Ran) -> Ran {
        let script = self.script.take().unwrap().join();
        if let Err(panic) = script {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("{said}\nchatctl: {ran:?}");
        }
        ran
    }
}

impl Door {
    /// Waits for a caller.
    pub(crate) fn open(&mut self) -> Caller {
        match self {
            Self::Unix(listener, _) => {
                let (stream, _): (UnixStream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                let heard = BufReader::new(Box::new(stream.try_clone().unwrap()) as Box<_>);
                Caller { heard, said: Box::new(stream), framed: false }
            }
            Self::Tcp(listener) => {
                let (stream, _): (TcpStream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_nodelay(true).unwrap();
                let heard = BufReader::new(Box::new(stream.try_clone().unwrap()) as Box<_>);
                Caller { heard, said: Box::new(stream), framed: true }
            }
        }
    }

    /// From now on nobody is found here.
    pub(crate) fn close(&mut self) {
        if let Self::Unix(_, path) = self {
            std::fs::remove_file(path).unwrap();
        }
    }
}

impl Caller {
    /// The next request, which must be this one.
    pub(crate) fn hear(&mut self, request: &str) -> Value {
        let object = if self.framed { self.frame_called(16) } else { self.line() };
        let value: Value = serde_json::from_slice(&object).unwrap_or(Value::Null);
        assert_eq!(value["request"], request, "{:?}", String::from_utf8_lossy(&object));
        value
    }

    /// The next request of a caller who says lines, whatever it is; none where the caller has hung up.
    pub(crate) fn request(&mut self) -> Option<Value> {
        assert!(!self.framed);
        serde_json::from_slice(&self.line()).ok()
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        match self.heard.read_until(b'\n', &mut line) {
            // The caller has gone with something unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            read => drop(read.unwrap()),
        }
        line
    }

    /// The next frame of this type; signs of life before it are passed over.
    pub(crate) fn frame_called(&mut self, wanted: u32) -> Vec<u8> {
        loop {
            let mut head = [0; 8];
            self.heard.read_exact(&mut head).unwrap();
            let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
            let mut payload = vec![0; usize::try_from(number(0)).unwrap() - 4];
            self.heard.read_exact(&mut payload).unwrap();
            if number(4) == wanted {
                return payload;
            }
            assert_eq!(number(4), 2, "a frame that nobody waits for");
        }
    }

    /// Says anything.
    pub(crate) fn say(&mut self, value: &Value) {
        if self.framed {
            self.say_frame(16, value.to_string().as_bytes());
        } else {
            self.say_raw(format!("{value}\n").as_bytes());
        }
    }

    /// Says a frame.
    pub(crate) fn say_frame(&mut self, kind: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap() + 4;
        self.say_raw(&[&length.to_be_bytes()[..], &kind.to_be_bytes(), payload].concat());
    }

    /// Says bytes as they are. The caller may have heard enough and gone.
    pub(crate) fn say_raw(&mut self, bytes: &[u8]) {
        let _ = self.said.write_all(bytes);
    }

    /// Says yes, with these fields.
    pub(crate) fn yes(&mut self, request: &Value, fields: Value) {
        let mut reply = json!({"reply": request["id"], "ok": true});
        let Value::Object(fields) = fields else { panic!("fields") };
        reply.as_object_mut().unwrap().extend(fields);
        self.say(&reply);
    }

    /// Says no.
    pub(crate) fn no(&mut self, request: &Value, code: &str, message: &str) {
        let id = &request["id"];
        self.say(&json!({"reply": id, "ok": false, "error": code, "message": message}));
    }

    /// Answers `hello`.
    pub(crate) fn greet(&mut self) {
        self.greet_as(HISTORY);
    }

    pub(crate) fn greet_as(&mut self, history: &str) {
        let hello = self.hear("hello");
        self.welcome(&hello, history, None);
    }

    /// Says what this daemon is, and how the caller is called.
    pub(crate) fn welcome(&mut self, hello: &Value, history: &str, nick: Option<&str>) {
        self.yes(
            hello,
            json!({"server": "fake", "version": "0", "history": history, "durability": "none", "nick": nick,
                "limits": {"message": 100}}),
        );
    }

    /// Waits until the caller has hung up, or has said that it will say no more.
    pub(crate) fn hung_up(&mut self) {
        let rest = self.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "", "nothing more was to be said");
    }

    /// All that is said until the caller hangs up.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // Whoever goes without having heard everything resets the connection: that is an end too.
        if let Err(error) = self.heard.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        rest
    }
}

/// A message event.
pub(crate) fn message(room: &str, seq: u64, from: &str, text: &str) -> Value {
    let mut event = bare(room, seq, from);
    event["text"] = Value::from(text);
    event
}

/// A message event whose content is no text.
pub(crate) fn data(room: &str, seq: u64, from: &str, base64: &str) -> Value {
    let mut event = bare(room, seq, from);
    event["data"] = Value::from(base64);
    event
}

fn bare(room: &str, seq: u64, from: &str) -> Value {
    json!({"event": "message", "room": room, "seq": seq, "time": "2026-01-02T03:04:05.000000Z",
        "message_id": "00000000-0000-4000-8000-000000000000", "from": from})
}

/// What a run of `chatctl` came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) bytes: Vec<u8>,
}

/// The command, without the environment of whoever runs the tests.
pub(crate) fn command(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command.args(args).env_clear().env("CHATD_SERVER", socket).env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same, started so that INT ends it: what is started in the background of a shell ignores that.
pub(crate) fn interruptible(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=INT,HUP").arg(env!("CARGO_BIN_EXE_chatctl")).args(args);
    command.env_clear().env("CHATD_SERVER", socket).env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `chatctl` to its end.
pub(crate) fn run(socket: &Path, args: &[&str], stdin: &[u8]) -> Ran {
    let mut child = command(socket, args).spawn().unwrap();
    // It may end without having read a word.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    ended(child)
}

/// Waits for the end of a child, and ends it where the deadline passes.
pub(crate) fn ended(child: Child) -> Ran {
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (said, heard) = mpsc::channel();
    let waiter = thread::spawn(move || said.send(child.wait_with_output().unwrap()));
    let output: Output = heard.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL);
        panic!("chatctl did not end in time: {:?}", heard.recv());
    });
    waiter.join().unwrap().unwrap();
    Ran {
        code: output.status.code(),
        signal: output.status.signal(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        bytes: output.stdout,
    }
}

/// Reads what a terminal is shown until nobody writes to it any more; that is an error to its reader. The terminal itself makes a
/// line feed two characters, which are one again here.
pub(crate) fn shown(terminal: OwnedFd) -> JoinHandle<String> {
    thread::spawn(move || {
        let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = nix::unistd::read(&terminal, &mut piece) {
            shown.extend_from_slice(&piece[..count]);
        }
        String::from_utf8(shown).unwrap().replace("\r\n", "\n")
    })
}
