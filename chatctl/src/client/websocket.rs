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
            match ws::upgraded(&self.raw, key).map_err(io::Error::other)? {
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
                Item::Fault(fault) => return Err(io::Error::other(fault.to_string())),
            }
        }
        self.raw = raw.get(from..).unwrap_or_default().to_vec();
        Ok(())
    }
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
