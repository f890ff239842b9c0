//! A client of v0.5: it says things in the lobby and hears others, comes back when its connection is gone, and says nothing twice, since
//! nobody answers it.

use crate::clock::MS;
use crate::native::{KEEPALIVE, chat};
use crate::net::Net;
use crate::reach::Reach;
use crate::rng::Rng;
use crate::swarm::Temper;
use crate::world::TCP;

use super::line::Line;
use super::scene::SERVER_NAME;

/// Something that was said, and never again.
#[derive(Debug)]
pub struct Said {
    pub at: u64,
    pub conn: u64,
    pub text: String,
}

/// See the module.
#[derive(Debug)]
pub struct Chatter {
    pub line: Line,
    pub name: String,
    pub said: Vec<Said>,
    /// What it heard, by connection.
    pub heard: Vec<(u64, String)>,
    rng: Rng,
    temper: Temper,
    lets_go: u64,
}

impl Chatter {
    pub fn new(no: usize, rng: Rng, temper: Temper, lets_go: u64) -> Self {
        let (line, name) = (Line::new(), format!("chatter-{no}"));
        Self { line, name, said: Vec::new(), heard: Vec::new(), rng, temper, lets_go }
    }

    /// Does its next thing; returns how long until the one after it, and the connection that it makes, if it makes one.
    pub fn act(&mut self, net: &mut Net, calm: bool) -> (u64, Option<usize>) {
        let Self { line, rng, temper, .. } = self;
        let pause = rng.scale(temper.think.0.max(MS), temper.think.1.max(2 * MS));
        let pause = if calm { pause.min(temper.keepalive) } else { pause };
        if line.link.is_none() {
            return (pause, Some(line.dial(net, TCP)));
        }
        if !calm && rng.chance(self.lets_go) {
            line.let_go(net, rng, false);
            return (pause, None);
        }
        if !calm {
            line.turn_page(net, rng, temper);
        }
        if !line.may_speak(net) {
            return (pause, None);
        }
        if !calm && rng.chance(400) {
            let text = format!("{}.{}|{}", self.name, self.said.len(), "x".repeat(rng.size(0, 40)));
            line.send(net, rng, temper, &chat(text.as_bytes()));
            self.said.push(Said { at: net.clock.now(), conn: line.conn, text });
        } else if net.clock.now() > line.sent_at + temper.keepalive {
            line.send(net, rng, temper, &KEEPALIVE);
        }
        (pause, None)
    }

    /// Reads what has come.
    pub fn sip(&mut self, net: &mut Net, reached: &mut Reach) {
        let is_over = self.line.sip(net);
        let conn = self.line.conn;
        while let Some(frame) = tests::native::take_frame(&mut self.line.heard).expect("a frame") {
            if let tests::Heard::Broadcast(from, text) = frame
                && from != SERVER_NAME
            {
                reached.count("hear", "v0.5");
                self.heard.push((conn, text));
            }
        }
        if is_over {
            self.line.end();
        }
    }
}
