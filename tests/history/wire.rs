//! A v1 connection that takes its end as news and not as a failure, over TCP or the control socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Map, Value};
use tests::native::frame;

/// The type of its frames over TCP.
const V1: u32 = 16;

/// A server that takes nothing for so long is as good as gone.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// The way to a daemon.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Tcp(SocketAddr),
    Control(PathBuf),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Control(UnixStream),
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    kept: Vec<u8>,
    /// The bytes of `kept` that were taken.
    taken: usize,
}

impl Wire {
    pub(crate) fn connect(way: &Way) -> io::Result<Self> {
        let stream = match way {
            Way::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(WRITE_WAIT))?;
                Stream::Tcp(stream)
            }
            Way::Control(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(WRITE_WAIT))?;
                Stream::Control(stream)
            }
        };
        Ok(Self { stream, kept: Vec::new(), taken: 0 })
    }

    /// Sends a request.
    pub(crate) fn sends(&mut self, request: &str, id: &str, fields: Value) -> io::Result<()> {
        let mut object = match fields {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        object.insert("request".into(), request.into());
        object.insert("id".into(), id.into());
        let text = Value::Object(object).to_string();
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(&frame(V1, text.as_bytes())),
            Stream::Control(stream) => stream.write_all(format!("{text}\n").as_bytes()),
        }
    }

    /// What comes next within so many milliseconds; an error at the end of the stream.
    pub(crate) fn hears(&mut self, wait_ms: u16) -> io::Result<Option<Value>> {
        loop {
            if let Some(object) = self.take() {
                return Ok(Some(object));
            }
            let fd = match &self.stream {
                Stream::Tcp(stream) => stream.as_fd(),
                Stream::Control(stream) => stream.as_fd(),
            };
            let mut ready = [PollFd::new(fd, PollFlags::POLLIN)];
            if poll(&mut ready, PollTimeout::from(wait_ms))? == 0 {
                return Ok(None);
            }
            self.reads()?;
        }
    }

    fn reads(&mut self) -> io::Result<()> {
        self.kept.drain(..self.taken);
        self.taken = 0;
        let mut buffer = [0; 16_384];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer)?,
            Stream::Control(stream) => stream.read(&mut buffer)?,
        };
        self.kept.extend_from_slice(&buffer[..read]);
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// The next whole object; keepalives are left out.
    fn take(&mut self) -> Option<Value> {
        loop {
            let rest = &self.kept[self.taken..];
            let (object, whole) = match self.stream {
                Stream::Control(_) => {
                    let end = rest.iter().position(|byte| *byte == b'\n')?;
                    (Some(&rest[..end]), end + 1)
                }
                Stream::Tcp(_) => {
                    let number = |at: usize| {
                        Some(u32::from_be_bytes(rest.get(at..at + 4)?.try_into().unwrap()))
                    };
                    let (length, kind) = (number(0)? as usize, number(4)?);
                    let payload = rest.get(8..4 + length)?;
                    (Some(payload).filter(|_| kind == V1), 4 + length)
                }
            };
            let object = object.map(|object| serde_json::from_slice(object).unwrap());
            self.taken += whole;
            if object.is_some() {
                return object;
            }
        }
    }
}
