//! A WebSocket as a transport: lines go in and come out, each a text message on the wire.
//!
//! The request that opens it goes out before the first line. Pings are answered here; an empty line, which says nothing, goes out
//! as a sign of life.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use proto::ws::{self, Item, Limits, Opcode, Reader, Role, Upgraded};

use super::framing::OBJECT_BYTES_MAX;
use super::transport::{SocketTransport, Transport};

/// What may wait to be written here before no more is taken.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How much is read at once.
const READ_BYTES_MAX: usize = 64 << 10;
/// Nobody who reads messages on a command line wants more of the server than this.
const LIMITS: Limits = Limits { message: OBJECT_BYTES_MAX, fragments: 64 };

/// Throws dice: the bits of each key and mask.
pub type Thrown = fn() -> u128;

/// See the module.
pub struct WebSocketTransport<S> {
    socket: SocketTransport<S>,
    thrown: Thrown,
    /// The key of the request, while it is not answered.
    key: Option<[u8; 16]>,
    reader: Reader,
    /// What has come of the message that is not whole.
    message: Vec<u8>,
    /// Bytes that are no whole answer or frame yet.
    raw: Vec<u8>,
    /// Lines that nobody took yet.
    lines: VecDeque<u8>,
    /// The line that is not whole yet, and the frames that wait to be written.
    line: Vec<u8>,
    out: Vec<u8>,
    /// Frames that have their turn when the server has agreed to them.
    held: Vec<u8>,
    /// The server said that it is over.
    is_over: bool,
}

impl WebSocketTransport<TcpStream> {
    /// Asks for a WebSocket at a path, over a connected stream.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn tcp(stream: TcpStream, (host, path): (&str, &str), thrown: Thrown) -> io::Result<Self> {
        Ok(Self::over(SocketTransport::tcp(stream)?, (host, path), thrown))
    }
}

impl<S: Read + Write + AsFd + Send> WebSocketTransport<S> {
    fn over(socket: SocketTransport<S>, (host, path): (&str, &str), thrown: Thrown) -> Self {
        let key = thrown().to_be_bytes();
        Self {
            socket,
            thrown,
            key: Some(key),
            reader: Reader::new(Role::Client),
            message: Vec::new(),
            raw: Vec::new(),
            lines: VecDeque::new(),
            line: Vec::new(),
            held: Vec::new(),
            out: ws::request(host, path, key),
            is_over: false,
        }
    }

    fn frame(&mut self, opcode: Opcode, body: &[u8]) {
        let [.., a, b, c, d] = (self.thrown)().to_be_bytes();
        let to = if self.key.is_some() { &mut self.held } else { &mut self.out };
        ws::masked_frame(opcode, body, [a, b, c, d], to);
    }

    /// Writes what waits, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        let outcome = loop {
            let rest = self.out.get(written..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.socket.write(rest) {
                Ok(0) => break Ok(()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.out.drain(..written);
        outcome
    }

    /// Makes lines of what came.
    fn understand(&mut self) -> io::Result<()> {
        if let Some(key) = self.key {
            match ws::upgraded(&self.raw, key).map_err(|why| nonsense(&why))? {
                Upgraded::Partial => return Ok(()),
                Upgraded::Yes { consumed } => self.raw.drain(..consumed),
            };
            self.key = None;
            self.out.append(&mut self.held);
        }
        let raw = std::mem::take(&mut self.raw);
        let mut from = 0;
        loop {
            let rest = raw.get(from..).unwrap_or_default();
            let step = self.reader.feed(rest, &mut self.message, LIMITS);
            from += step.consumed;
            match step.item {
                Item::More => break,
                Item::Message(_) => {
                    // JSON has no line break that is not a space between two of its words.
                    let said = self.message.drain(..);
                    self.lines.extend(said.map(|byte| if byte == b'\n' { b' ' } else { byte }));
                    self.lines.push_back(b'\n');
                }
                Item::Ping(ping) => self.frame(Opcode::Pong, ping.bytes()),
                Item::Pong(_) => {}
                Item::Close(_) => {
                    self.frame(Opcode::Close, &[]);
                    self.is_over = true;
                    break;
                }
                Item::Fault(fault) => return Err(nonsense(&fault)),
            }
        }
        self.raw = raw.get(from..).unwrap_or_default().to_vec();
        Ok(())
    }
}

/// What the server said is no answer of its kind.
fn nonsense(why: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

impl<S: Read + Write + AsFd + Send> Transport for WebSocketTransport<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        if self.out.len() > WAITING_BYTES_MAX {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let opcode = if line.is_empty() { Opcode::Pong } else { Opcode::Text };
            self.frame(opcode, &line);
        }
        self.flush()?;
        Ok(bytes.len())
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        while self.lines.is_empty() {
            if self.is_over {
                return Ok(0);
            }
            let before = self.raw.len();
            self.raw.resize(before + READ_BYTES_MAX, 0);
            let outcome = self.socket.read(self.raw.get_mut(before..).unwrap_or_default());
            self.raw.truncate(before + outcome.as_ref().map_or(0, |count| *count));
            if outcome? == 0 {
                return Ok(0);
            }
            self.understand()?;
        }
        // What a server said is read before its answer is written.
        let _ = self.flush();
        self.lines.read(into)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.socket.finish()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.descriptor()
    }

    fn wants_write(&self) -> bool {
        !self.out.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use proto::http::Item as HttpItem;

    use super::*;

    /// A transport and the server's end; the request is answered.
    fn opened() -> (WebSocketTransport<UnixStream>, UnixStream) {
        let (mut transport, mut server) = asked();
        let answer = answer(&mut server);
        // It comes a byte at a time, and the first message in the same bytes.
        for byte in answer.iter().chain(b"\x81\x02{}") {
            assert_eq!(reads(&mut transport), "");
            server.write_all(&[*byte]).expect("it is read");
        }
        assert_eq!(reads(&mut transport), "{}\n");
        (transport, server)
    }

    fn asked() -> (WebSocketTransport<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        theirs.set_nonblocking(true).expect("a flag");
        let socket = SocketTransport::unix(ours).expect("a flag");
        let mut transport = WebSocketTransport::over(socket, ("h", "/ws"), || 7);
        assert!(transport.wants_write());
        // What is said before the answer has its turn behind it.
        assert_eq!(transport.write(b"{\"early\":1}\n").expect("it is kept"), 12);
        assert!(!transport.wants_write(), "the request is written, and nothing else");
        (transport, theirs)
    }

    fn answer(server: &mut UnixStream) -> Vec<u8> {
        let request = heard(server);
        let HttpItem::Head(head) = proto::http::Reader::new().feed(&request, 0).item else {
            panic!("a request: {request:?}")
        };
        let mut answer = Vec::new();
        let accepted = ws::handshake(&head, Some(ws::SUBPROTOCOL)).expect("it is one");
        accepted.write(proto::WallTime::from_micros(0), &mut answer);
        answer
    }

    fn heard(server: &mut UnixStream) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let count = server.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    /// All lines that are there now.
    fn reads(transport: &mut dyn Transport) -> String {
        let mut into = [0; 4096];
        match transport.read(&mut into) {
            Ok(count) => String::from_utf8(into[..count].to_vec()).expect("text"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => String::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// What the client said in frames.
    fn frames(bytes: &[u8]) -> Vec<String> {
        let (mut reader, mut message, mut from) = (Reader::new(Role::Server), Vec::new(), 0);
        let mut all = Vec::new();
        loop {
            let step = reader.feed(&bytes[from..], &mut message, LIMITS);
            from += step.consumed;
            match step.item {
                Item::More => return all,
                Item::Message(_) => {
                    all.push(String::from_utf8(std::mem::take(&mut message)).expect("text"));
                }
                item => all.push(format!("{item:?}")),
            }
        }
    }

    #[test]
    fn lines_are_messages_and_pings_are_answered() {
        let (mut transport, mut server) = opened();
        assert_eq!(transport.write(b"{\"a\":1}\n\n{\"b\"").expect("room"), 13);
        assert_eq!(transport.write(b":2}\n").expect("room"), 4);
        server.write_all(b"\x89\x01p\x01\x02[1\x80\x03,\n2\x81\x01]").expect("it is read");
        assert_eq!(reads(&mut transport), "[1, 2\n]\n");
        let said = frames(&heard(&mut server));
        let expected = ["{\"early\":1}", "{\"a\":1}", "Pong(\"\")", "{\"b\":2}", "Pong(\"p\")"];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_close_is_answered_and_is_the_end() {
        let (mut transport, mut server) = opened();
        heard(&mut server);
        server.write_all(b"\x81\x02{}\x88\x02\x03\xe9").expect("it is read");
        assert_eq!(reads(&mut transport), "{}\n");
        assert_eq!(transport.read(&mut [0; 8]).expect("the end"), 0);
        assert!(frames(&heard(&mut server))[0].starts_with("Close("));
    }

    #[test]
    fn another_answer_says_why() {
        for (answer, why) in [
            (&b"HTTP/1.1 403 Forbidden\r\n\r\n"[..], "403"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "no WebSocket server"),
        ] {
            let (mut transport, mut server) = asked();
            heard(&mut server);
            server.write_all(answer).expect("it is read");
            let error = transport.read(&mut [0; 64]).expect_err("it is none");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
