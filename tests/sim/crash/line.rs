//! The end of a connection at a client that outlives it: how it dials, sends and reads.

use crate::clients::Reading;
use crate::clock::{MS, Wake};
use crate::net::{Net, Stage, take};
use crate::rng::Rng;
use crate::swarm::Temper;

/// See the module.
#[derive(Debug)]
pub struct Line {
    /// The network's number of the connection; none where there is none.
    pub link: Option<usize>,
    /// Which of the client's connections it is, or was the last.
    pub conn: u64,
    pub sent_at: u64,
    /// What has come and is no whole frame or line yet.
    pub heard: Vec<u8>,
    reading: Reading,
    sipping: bool,
    /// Its own direction is ended.
    is_finished: bool,
}

impl Line {
    /// None yet.
    pub fn new() -> Self {
        Self {
            link: None,
            conn: 0,
            sent_at: 0,
            heard: Vec::new(),
            reading: Reading::Eager,
            sipping: false,
            is_finished: false,
        }
    }

    /// Whether it may say something.
    pub fn may_speak(&self, net: &Net) -> bool {
        // A peer that floods has no more than this under way: the rest waits in its own program.
        !self.is_finished && self.link.is_some_and(|no| net.links[no].flight.len() < 64)
    }

    /// A connection is on its way to a listener.
    pub fn dial(&mut self, net: &mut Net, listener: usize) -> usize {
        assert!(self.link.is_none(), "one connection at a time");
        let no = net.dial(listener);
        self.conn += 1;
        self.link = Some(no);
        (self.sent_at, self.is_finished, self.sipping) = (net.clock.now(), false, false);
        self.heard.clear();
        no
    }

    /// Says something, in some pieces.
    pub fn send(&mut self, net: &mut Net, rng: &mut Rng, temper: &Temper, bytes: &[u8]) {
        let no = self.link.expect("who says something is connected");
        let pieces = if rng.chance(200) { rng.size(2, 5) } else { 1 };
        let apart = rng.scale(1, temper.apart);
        net.send(no, bytes, pieces, apart);
        self.sent_at = net.clock.now();
    }

    /// Lets go of it in some manner; true where it is over for the client. Whoever is on the same machine does not vanish.
    pub fn let_go(&mut self, net: &mut Net, rng: &mut Rng, is_local: bool) -> bool {
        let no = self.link.expect("there is a connection");
        match rng.below(4) {
            0 if !self.is_finished => {
                net.finish(no);
                self.is_finished = true;
                // It waits for the end of the other side, and is to hear of it.
                self.read(net, Reading::Eager);
                return false;
            }
            1 if !is_local => net.vanish(no),
            _ => net.abort(no),
        }
        self.link = None;
        true
    }

    /// Reads in another manner, perhaps.
    pub fn turn_page(&mut self, net: &mut Net, rng: &mut Rng, temper: &Temper) {
        if self.is_finished || !rng.chance(temper.moods) {
            return;
        }
        let reading = match rng.below(4) {
            0 => Reading::Never,
            1 => {
                let bytes = rng.scale(1, 4_000) as usize;
                Reading::Slow { bytes, every: rng.scale(MS, 400 * MS) }
            }
            _ => Reading::Eager,
        };
        self.read(net, reading);
    }

    /// Reads in this manner from now on.
    pub fn read(&mut self, net: &mut Net, reading: Reading) {
        self.reading = reading;
        self.wake(net);
    }

    /// There is something to be read.
    pub fn wake(&mut self, net: &mut Net) {
        let Some(no) = self.link else { return };
        if !self.sipping && self.reading != Reading::Never {
            self.sipping = true;
            net.clock.after(0, Wake::Sip(no));
        }
    }

    /// Takes what is there, in its manner; true where the connection is over.
    pub fn sip(&mut self, net: &mut Net) -> bool {
        self.sipping = false;
        let no = self.link.expect("who reads is connected");
        let closed = net.links[no].stage == Stage::Closed;
        let (bytes, every) = match self.reading {
            Reading::Eager => (usize::MAX, 1),
            Reading::Slow { bytes, every } => (bytes, every),
            // Who reads nothing learns of the end when it says something.
            Reading::Never if closed => (usize::MAX, 1),
            Reading::Never => return false,
        };
        let link = &mut net.links[no];
        let count = link.client_inbox.len().min(bytes);
        self.heard.extend(take(&mut link.client_inbox, count));
        if !link.client_inbox.is_empty() {
            self.sipping = true;
            net.clock.after(every.max(1), Wake::Sip(no));
        } else if closed && link.sendq.is_empty() {
            return true;
        }
        net.pump(no);
        false
    }

    /// It is over.
    pub fn end(&mut self) {
        self.link = None;
        self.reading = Reading::Eager;
    }
}
