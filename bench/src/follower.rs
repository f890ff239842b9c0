//! A v1 follower over the control socket that stops reading for a while and then reads again: what it is owed is
//! everything, or a `gap` that names exactly what it did not get. It takes the numbers out of the JSON lines itself.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::clock::seconds;
use crate::control::{asking, number};

/// Reads on from here after the start: by then something has arrived.
const PAUSE_FROM_MICROS: u64 = seconds(2);
/// Reads nothing for so long, which is less than the server's patience with a peer that takes nothing.
const PAUSE_MICROS: u64 = seconds(5);

/// One follower of the lobby.
pub(crate) struct Follower {
    stream: UnixStream,
    line: Vec<u8>,
    started_at: u64,
    last: Option<u64>,
    is_over: bool,
    /// Messages received.
    pub(crate) messages: u64,
    /// Gaps that began right after the last message received.
    pub(crate) gaps: u64,
    /// Messages that gaps named.
    pub(crate) skipped: u64,
    /// Events that did not follow the one before.
    pub(crate) mismatches: u64,
    /// Lines that were neither.
    pub(crate) others: u64,
}

impl Follower {
    /// Connects and asks for the lobby.
    pub(crate) fn start(control: &Path, now: u64) -> io::Result<Self> {
        let mut stream = asking(control, r#"{"request":"tail","id":"1","rooms":["lobby"]}"#)?;
        let mut reply = Vec::new();
        while reply.last() != Some(&b'\n') {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            reply.push(byte[0]);
        }
        if !reply.windows(9).any(|window| window == b"\"ok\":true") {
            return Err(io::Error::other(String::from_utf8_lossy(&reply).into_owned()));
        }
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            line: Vec::new(),
            started_at: now,
            last: None,
            is_over: false,
            messages: 0,
            gaps: 0,
            skipped: 0,
            mismatches: 0,
            others: 0,
        })
    }

    /// Reads what there is, unless this is the time of not reading.
    pub(crate) fn read(&mut self, now: u64) {
        let pause = self.started_at + PAUSE_FROM_MICROS;
        if (pause..pause + PAUSE_MICROS).contains(&now) {
            return;
        }
        let mut scratch = vec![0; 64 * 1024];
        while !self.is_over {
            match self.stream.read(&mut scratch) {
                Ok(0) => self.is_over = true,
                Ok(count) => self.take(&scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.is_over = true,
            }
        }
    }

    /// Whether the server ended the connection.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&bytes[..end]);
            self.event(&String::from_utf8_lossy(&line));
            bytes = &bytes[end + 1..];
        }
        self.line.extend_from_slice(bytes);
    }

    fn event(&mut self, line: &str) {
        let follows = |first: u64, last: Option<u64>| last.is_none_or(|last| first == last + 1);
        if let (Some(from), Some(to)) = (number(line, "from_seq"), number(line, "to_seq")) {
            self.mismatches += u64::from(!follows(from, self.last) || to < from);
            self.gaps += 1;
            self.skipped += (to + 1).saturating_sub(from);
            self.last = Some(to);
        } else if let (true, Some(seq)) = (line.contains("\"message_id\""), number(line, "seq")) {
            self.mismatches += u64::from(!follows(seq, self.last));
            self.messages += 1;
            self.last = Some(seq);
        } else {
            self.others += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_must_begin_where_the_messages_ended() {
        let (stream, _other) = UnixStream::pair().expect("a pair of sockets");
        let mut follower = Follower {
            stream,
            line: Vec::new(),
            started_at: 0,
            last: None,
            is_over: false,
            messages: 0,
            gaps: 0,
            skipped: 0,
            mismatches: 0,
            others: 0,
        };
        follower
            .take(b"{\"event\":\"message\",\"seq\":4,\"message_id\":\"x\"}\n{\"event\":\"gap\",");
        follower.take(b"\"from_seq\":5, \"to_seq\":9}\n{\"event\":\"message\",\"seq\":10,");
        follower.take(b"\"message_id\":\"y\"}\n");
        let Follower { messages, gaps, skipped, mismatches, others, .. } = follower;
        assert_eq!((messages, gaps, skipped, mismatches, others), (2, 1, 5, 0, 0));
        follower.take(b"{\"event\":\"message\",\"seq\":12,\"message_id\":\"z\"}\n");
        assert_eq!(follower.mismatches, 1);
    }
}
