//! What all simulated clients share: a life, a stream of bytes that goes out, bytes that come in, a
//! manner of reading. What a client says is in `native` and, for v1, in `asking`; what it understands is
//! in `native`, `control` and `v1`. Those over HTTP are in `poster`, `reader` and `socket`.

use crate::asking::Greeting;
use crate::clock::{MS, SECOND, Wake};
use crate::net::{Net, Stage, take};
use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::swarm::Temper;
use crate::trace::Kind;
use crate::{asking, control, native, poster, reader, socket, v1, web};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// TcpChat v0.5.
    Native,
    /// TcpChat v0.5, but only listens.
    Mute,
    /// TCP, which becomes v1 with `hello`: JSON in frames of type 16.
    V1,
    /// JSON lines on the control socket.
    Control,
    /// Something that is no chat protocol.
    Foreign,
    /// Posts and questions over HTTP.
    Poster,
    /// A room's events over HTTP.
    Reader,
    /// v1 over a WebSocket.
    Socket,
}

impl Sort {
    /// Whether it begins with an HTTP request.
    pub fn is_web(self) -> bool {
        matches!(self, Self::Poster | Self::Reader | Self::Socket)
    }

    /// Whether its machine may lose its power, and the daemon see it by its silence: who only reads is noticed by the kernel alone
    /// (`TCP_USER_TIMEOUT`), and this one has no timers of its own.
    pub fn may_vanish(self) -> bool {
        !matches!(self, Self::Control | Self::Reader)
    }

    /// Whether somebody comes again when the connection is lost.
    pub fn comes_back(self) -> bool {
        matches!(self, Self::Poster | Self::Reader)
    }
}

/// How far a client's life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Says and hears.
    Living,
    /// Has said what it had to say, ended its direction, still hears.
    Finished,
    /// Reset the connection or lost its power.
    Gone,
    /// Has seen the daemon's close.
    Ended,
}

/// How a client takes what is there for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// At once.
    Eager,
    /// A few bytes each so often.
    Slow { bytes: usize, every: u64 },
    /// Not at all.
    Never,
}

/// One client, which is one connection.
pub struct Client {
    pub no: usize,
    pub sort: Sort,
    pub life: Life,
    pub rng: Rng,
    pub temper: Temper,
    pub reading: Reading,
    /// How many bytes it has sent.
    pub sent: u64,
    pub heard: Vec<u8>,
    /// From this byte of its stream on, the daemon cannot follow it and must close.
    pub bad_from: Option<u64>,
    /// The rest of a frame that it began to send.
    pub rest: Vec<u8>,
    /// Where each of its frames ends in its stream.
    pub ends: Vec<u64>,
    sipping: bool,
    pub sent_at: u64,
    pub count: u64,
    pub asking: asking::Memory,
    pub web: web::Memory,
    /// It has no rate limits.
    pub exempt: bool,
}

impl Client {
    /// A client that has just dialled.
    pub fn new(no: usize, sort: Sort, rng: Rng, temper: Temper) -> Self {
        Self {
            no,
            sort,
            life: Life::Living,
            rng,
            temper,
            reading: Reading::Eager,
            sent: 0,
            heard: Vec::new(),
            bad_from: None,
            rest: Vec::new(),
            ends: Vec::new(),
            sipping: false,
            sent_at: 0,
            count: 0,
            asking: asking::Memory::default(),
            web: web::Memory::default(),
            exempt: false,
        }
    }

    /// Sends bytes in a manner of its own: whole, in pieces, a byte at a time.
    pub fn send(&mut self, net: &mut Net, bytes: &[u8]) {
        let pieces = match self.rng.below(10) {
            0 if bytes.len() <= 64 => bytes.len(),
            1..=3 => self.rng.size(2, 6),
            _ => 1,
        };
        let apart = self.rng.scale(1, self.temper.apart);
        net.note(Kind::Send, self.no, bytes.len() as u64, self.sent);
        net.send(self.no, bytes, pieces, apart);
        self.sent += bytes.len() as u64;
        self.sent_at = net.clock.now();
    }

    /// One frame of its stream ends here.
    pub fn framed(&mut self, at: u64, frame: &[u8]) {
        self.ends.push(at + frame.len() as u64);
    }

    /// Sends one frame.
    pub fn send_frame(&mut self, net: &mut Net, frame: &[u8]) {
        self.framed(self.sent, frame);
        self.send(net, frame);
    }

    /// Sends one frame, of which sometimes only the beginning goes out now.
    pub fn send_framed(&mut self, net: &mut Net, frame: &[u8], half: bool) {
        self.framed(self.sent, frame);
        self.send_maybe_half(net, frame, half);
    }

    /// Sends bytes of which sometimes only the beginning goes out now.
    pub fn send_maybe_half(&mut self, net: &mut Net, bytes: &[u8], half: bool) {
        if !half || bytes.len() < 2 {
            self.send(net, bytes);
            return;
        }
        let cut = self.rng.size(1, bytes.len() - 1);
        self.rest = bytes[cut..].to_vec();
        self.send(net, &bytes[..cut]);
    }

    /// Sends the rest of a frame that it began.
    pub fn send_rest(&mut self, net: &mut Net) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.send(net, &rest);
        }
    }

    /// Does its next thing, and says when the next one comes.
    pub fn act(&mut self, net: &mut Net, oracle: &mut Oracle, calm: bool) {
        if self.life != Life::Living {
            return;
        }
        let pause = if calm {
            self.send_rest(net);
            self.keep_alive(net, oracle);
            self.temper.keepalive
        } else {
            self.live(net, oracle);
            self.rng.scale(self.temper.think.0, self.temper.think.1)
        };
        net.clock.after(pause.max(MS), Wake::Act(self.no));
    }

    fn keep_alive(&mut self, net: &mut Net, oracle: &mut Oracle) {
        if self.bad_from.is_some() {
            return;
        }
        match self.sort {
            Sort::Native | Sort::V1 => self.send_frame(net, &native::KEEPALIVE),
            Sort::Control => self.send_frame(net, b"\n"),
            Sort::Socket => socket::keep_alive(self, net),
            Sort::Poster => poster::act(self, net, oracle, true),
            Sort::Reader => reader::act(self, net, oracle, true),
            Sort::Mute | Sort::Foreign => {}
        }
    }

    fn live(&mut self, net: &mut Net, oracle: &mut Oracle) {
        self.turn_page(net);
        if self.die(net) || web::is_cut_off(self, net, oracle) {
            oracle.voices[self.no].leaving = true;
            return;
        }
        if !self.rest.is_empty() {
            if !self.rng.chance(self.temper.abandon) {
                self.send_rest(net);
            }
            return;
        }
        // A peer that floods has no more than this under way: the rest waits in its own program.
        if net.links[self.no].flight.len() > 64 || self.bad_from.is_some() {
            return;
        }
        if net.clock.now() > self.sent_at + self.temper.keepalive
            && !self.rng.chance(self.temper.silence)
        {
            self.keep_alive(net, oracle);
            if !self.rest.is_empty() {
                return;
            }
        }
        match self.sort {
            Sort::Native => native::act(self, net, oracle),
            Sort::V1 => v1::act(self, net, oracle),
            Sort::Control => asking::act(self, net, oracle),
            Sort::Foreign => self.greet_foreign(net),
            Sort::Poster => poster::act(self, net, oracle, false),
            Sort::Reader => reader::act(self, net, oracle, false),
            Sort::Socket => socket::act(self, net, oracle),
            Sort::Mute => {}
        }
        oracle.voices[self.no].leaving |= self.bad_from.is_some() || self.web.is_last;
    }

    /// Says the first words of another protocol.
    fn greet_foreign(&mut self, net: &mut Net) {
        let words: [&[u8]; 6] = [
            &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"NICK somebody\r\nUSER a b c d\r\n",
            b"{\"request\":\"ping\",\"id\":\"1\"}\n",
            b"hello, is anybody there?\n",
            &[0xff, 0xfe, 0x00, 0x01],
        ];
        let greeting = self.rng.pick(&words);
        self.bad_from = Some(0);
        self.send_frame(net, greeting);
    }

    /// Now and then reads in another manner.
    fn turn_page(&mut self, net: &mut Net) {
        if !self.rng.chance(self.temper.moods) {
            return;
        }
        self.reading = match self.rng.below(4) {
            0 => Reading::Never,
            1 => Reading::Slow {
                bytes: self.rng.scale(1, 4_000) as usize,
                every: self.rng.scale(MS, 400 * MS),
            },
            _ => Reading::Eager,
        };
        self.wake_reader(net);
    }

    /// Sees to it that a client that reads comes to read.
    pub fn wake_reader(&mut self, net: &mut Net) {
        if !self.sipping && self.reading != Reading::Never {
            self.sipping = true;
            net.clock.after(0, Wake::Sip(self.no));
        }
    }

    /// Ends its direction.
    pub fn finish(&mut self, net: &mut Net) {
        net.finish(self.no);
        self.life = Life::Finished;
    }

    /// Now and then ends.
    fn die(&mut self, net: &mut Net) -> bool {
        let dice = self.rng.below(1_000);
        let Temper { finish, reset, vanish, .. } = self.temper;
        if dice < finish {
            if self.rng.chance(500) {
                self.send_rest(net);
            }
            self.finish(net);
        } else if dice < finish + reset {
            net.abort(self.no);
            self.life = Life::Gone;
        } else if dice < finish + reset + vanish && self.sort.may_vanish() {
            net.vanish(self.no);
            self.life = Life::Gone;
        }
        self.life != Life::Living
    }

    /// Takes what its kernel holds, in its manner of reading.
    pub fn sip(&mut self, net: &mut Net, oracle: &mut Oracle) {
        self.sipping = false;
        if matches!(self.life, Life::Gone | Life::Ended) {
            return;
        }
        let no = self.no;
        let (bytes, every) = match self.reading {
            Reading::Eager => (usize::MAX, 0),
            Reading::Slow { bytes, every } => (bytes, every),
            Reading::Never => return,
        };
        let link = &mut net.links[no];
        let count = link.client_inbox.len().min(bytes);
        self.heard.extend(take(&mut link.client_inbox, count));
        if count > 0 {
            match self.sort {
                Sort::Native | Sort::Mute => native::hear(self, net, oracle),
                Sort::V1 => v1::hear(self, net, oracle),
                Sort::Control => control::hear(self, net, oracle),
                Sort::Foreign => self.heard.clear(),
                Sort::Poster => poster::hear(self, net, oracle),
                Sort::Reader => reader::hear(self, net, oracle),
                Sort::Socket => socket::hear(self, net, oracle),
            }
        }
        let link = &net.links[no];
        if !link.client_inbox.is_empty() {
            self.sipping = true;
            net.clock.after(every.max(1), Wake::Sip(no));
        } else if link.stage == Stage::Closed && (link.sendq.is_empty() || link.vanished) {
            net.note(Kind::ClientClosed, no, 0, 0);
            let speaks_v1 = self.sort == Sort::Control || self.asking.greeting == Greeting::Done;
            let due = speaks_v1 && oracle.voices[no].bye_due && !net.links[no].cut;
            assert!(self.asking.bye || !due, "#{no} was closed by an administrator without a bye");
            self.life = Life::Ended;
        } else if link.half_closed && link.sendq.is_empty() && self.life == Life::Living {
            self.finish(net);
        }
        net.pump(no);
    }

    /// The faults are over: it reads, ends its half frames and does nothing but stay.
    pub fn calm(&mut self, net: &mut Net) {
        self.reading = Reading::Eager;
        self.wake_reader(net);
        let soon = self.rng.below(SECOND / 4);
        net.clock.after(soon, Wake::Act(self.no));
    }
}
