//! The kernel under the daemon, as far as its system calls show it: short, interrupted and refused
//! ones, and readiness that is reported once per change. It works on the connections of `net`.

use crate::clock::{SECOND, Wake};
use crate::net::{Edge, Errno, Net, Stage, take};
use crate::trace::Kind;

impl Net {
    // ---- system calls of the daemon --------------------------------------------------------------

    /// Takes the first waiting connection.
    pub fn accept(&mut self, listener: usize) -> Result<usize, Errno> {
        self.cost();
        if self.rng.chance(self.plan.interrupted) {
            return Err(Errno::Interrupted);
        }
        let Some(&no) = self.backlogs[listener].front() else {
            self.listener_armed[listener] = true;
            return Err(Errno::Again);
        };
        let open = self.by_token.len();
        if self.starved || open >= self.plan.descriptors {
            self.note(Kind::AcceptFailed, no, 24, 0);
            return Err(Errno::TooManyFiles);
        }
        self.backlogs[listener].pop_front();
        self.accepted_at = self.clock.now();
        if self.links[no].reset && self.rng.chance(500) {
            self.links[no].stage = Stage::Closed;
            self.note(Kind::AcceptFailed, no, 103, 0);
            return Err(Errno::Aborted);
        }
        self.links[no].stage = Stage::Accepted;
        self.note(Kind::Accept, no, listener as u64, 0);
        Ok(no)
    }

    /// Accepts one connection with the reserve descriptor and closes it at once.
    pub fn shed(&mut self, listener: usize) -> Result<(), Errno> {
        self.cost();
        let Some(no) = self.backlogs[listener].pop_front() else {
            self.listener_armed[listener] = true;
            return Err(Errno::Again);
        };
        self.accepted_at = self.clock.now();
        self.note(Kind::Shed, no, 0, 0);
        self.close(no);
        Ok(())
    }

    /// The poll watches a connection from here on, both directions, edges only.
    pub fn register(&mut self, no: usize, token: u64) {
        let now = self.clock.now();
        let link = &mut self.links[no];
        assert_eq!(link.stage, Stage::Accepted, "only what was accepted is registered");
        (link.stage, link.token) = (Stage::Open, token);
        (link.registered_at, link.read_at, link.wrote_at) = (now, now, now);
        let readable = !link.inbox.is_empty() || link.fin_seen || link.reset;
        link.read_armed = !readable;
        let read_closed = link.fin_seen || link.reset;
        let edge = Edge {
            token,
            readable,
            writable: true,
            read_closed,
            hang_up: link.reset,
            stale: false,
        };
        let before = self.by_token.insert(token, no);
        let ever = self.owners.insert(token, no);
        assert!(before.is_none() && ever.is_none(), "a token names one connection, ever");
        self.note(Kind::Register, no, token, 0);
        self.raise(edge);
        self.haunt();
    }

    /// One read: 0 at the end.
    pub fn read(&mut self, no: usize, into: &mut [u8]) -> Result<usize, Errno> {
        self.cost();
        if self.rng.chance(self.plan.interrupted) {
            return Err(Errno::Interrupted);
        }
        let pretend = self.rng.chance(self.plan.pretended_again);
        let short = self.rng.chance(self.plan.short_reads);
        let now = self.clock.now();
        let link = &mut self.links[no];
        if link.reset {
            self.note(Kind::ReadFailed, no, 104, 0);
            return Err(Errno::Reset);
        }
        if link.inbox.is_empty() && link.fin_seen {
            self.note(Kind::Read, no, 0, 0);
            return Ok(0);
        }
        if link.inbox.is_empty() || pretend {
            link.read_armed = link.inbox.is_empty();
            if !link.inbox.is_empty() {
                self.clock.after(self.plan.delay.1, Wake::Again(no, true));
            }
            return Err(Errno::Again);
        }
        let mut count = link.inbox.len().min(into.len());
        if short {
            count = self.rng.scale(1, count as u64) as usize;
        }
        let link = &mut self.links[no];
        into[..count].copy_from_slice(&take(&mut link.inbox, count));
        link.read_total += count as u64;
        link.read_at = now;
        link.reads.push((link.read_total, now));
        if link.flight.front().is_some_and(|(at, _)| *at <= now) {
            self.clock.after(self.plan.delay.0, Wake::Arrive(no));
        }
        self.note(Kind::Read, no, count as u64, 0);
        Ok(count)
    }

    /// One gathering write.
    pub fn write<'a>(
        &mut self,
        no: usize,
        from: impl Iterator<Item = &'a [u8]>,
        offered: usize,
    ) -> Result<usize, Errno> {
        self.cost();
        assert!(offered > 0, "nothing is written for nothing");
        if self.rng.chance(self.plan.interrupted) {
            return Err(Errno::Interrupted);
        }
        let pretend = self.rng.chance(self.plan.pretended_again);
        let short = self.rng.chance(self.plan.short_writes);
        let now = self.clock.now();
        let link = &mut self.links[no];
        if link.reset {
            self.note(Kind::WriteFailed, no, 32, 0);
            return Err(Errno::Pipe);
        }
        let room = self.plan.send_max.saturating_sub(link.sendq.len());
        if room == 0 || pretend {
            if room > 0 {
                self.clock.after(self.plan.delay.1, Wake::Again(no, false));
            }
            let link = &mut self.links[no];
            if !std::mem::replace(&mut link.write_blocked, true) {
                link.blocked_at = now;
            }
            self.note(Kind::WriteFailed, no, 11, 0);
            return Err(Errno::Again);
        }
        let mut count = room.min(offered);
        if short {
            count = self.rng.scale(1, count as u64) as usize;
        }
        let link = &mut self.links[no];
        let mut left = count;
        for slice in from {
            let part = slice.len().min(left);
            link.sendq.extend(&slice[..part]);
            left -= part;
            if left == 0 {
                break;
            }
        }
        assert_eq!(left, 0, "what is offered is there");
        link.wrote_total += count as u64;
        link.wrote_at = now;
        self.note(Kind::Write, no, count as u64, offered as u64);
        self.pump(no);
        Ok(count)
    }

    /// The daemon refuses an accepted connection with some words, then closes it.
    pub fn refuse(&mut self, no: usize, words: &[u8]) {
        self.cost();
        self.note(Kind::Refuse, no, words.len() as u64, 0);
        self.links[no].sendq.extend(words);
        self.close(no);
        self.pump(no);
    }

    /// The daemon ends its direction of a connection.
    pub fn half_close(&mut self, no: usize) {
        self.cost();
        self.note(Kind::HalfClose, no, 0, 0);
        let link = &mut self.links[no];
        (link.half_closed, link.heard_total) = (true, link.read_total);
        // The client sees the end behind what is still to be delivered.
        self.clock.after(self.plan.delay.1, Wake::Sip(no));
        self.pump(no);
    }

    /// The daemon closes a connection, both directions.
    pub fn shutdown(&mut self, no: usize) {
        self.cost();
        self.note(Kind::Shutdown, no, 0, 0);
        let token = self.links[no].token;
        let known = self.by_token.remove(&token);
        assert_eq!(known, Some(no), "a connection is closed once");
        self.edges.retain(|edge| edge.token != token || edge.stale);
        self.close(no);
        // What the daemon did not read makes the kernel reset the connection, and what was not yet
        // delivered may be lost by it.
        if !self.links[no].inbox.is_empty() && self.rng.chance(300) {
            self.links[no].sendq.clear();
            self.links[no].cut = true;
        }
        self.pump(no);
        self.dead_tokens.push(token);
        self.haunt();
    }

    /// The daemon's process is gone: the kernel closes all that it had, and nobody listens any more.
    pub fn process_ends(&mut self) {
        self.by_token.clear();
        self.owners.clear();
        self.edges.clear();
        self.dead_tokens.clear();
        for backlog in &mut self.backlogs {
            backlog.clear();
        }
        (self.listener_armed, self.listener_edges) = ([true; 2], [false; 2]);
        for no in 0..self.links.len() {
            if matches!(self.links[no].stage, Stage::Waiting | Stage::Accepted | Stage::Open) {
                self.close(no);
                // Of what the kernel was to send some goes out.
                if self.rng.chance(500) {
                    self.links[no].sendq.clear();
                    self.links[no].cut = true;
                }
                self.pump(no);
            }
        }
    }

    /// Nobody listens: a connection is refused at once.
    pub fn refuse_dial(&mut self, no: usize) {
        self.close(no);
    }

    fn close(&mut self, no: usize) {
        self.links[no].stage = Stage::Closed;
        // The client sees the end behind what is still to be delivered.
        self.clock.after(self.plan.delay.1, Wake::Sip(no));
    }

    // ---- readiness -------------------------------------------------------------------------------

    pub fn raise(&mut self, edge: Edge) {
        let same = self.edges.iter_mut().find(|known| known.token == edge.token && !known.stale);
        match same {
            Some(known) => {
                known.readable |= edge.readable;
                known.writable |= edge.writable;
                known.read_closed |= edge.read_closed;
                known.hang_up |= edge.hang_up;
            }
            None => self.edges.push(edge),
        }
    }

    /// Readiness of a connection that is long closed, as a late event of the kernel would be.
    fn haunt(&mut self) {
        if self.dead_tokens.is_empty() || !self.rng.chance(self.plan.stale_events) {
            return;
        }
        let recent = self.dead_tokens.len().saturating_sub(4);
        let token = self.dead_tokens[self.rng.size(recent, self.dead_tokens.len() - 1)];
        let hang_up = self.rng.chance(700);
        let edge = Edge {
            token,
            readable: true,
            writable: true,
            read_closed: hang_up,
            hang_up,
            stale: true,
        };
        if !self.by_token.contains_key(&token) {
            self.edges.push(edge);
        }
    }

    /// True if the daemon would not sleep.
    pub fn anything_ready(&self) -> bool {
        !self.edges.is_empty() || self.listener_edges.contains(&true)
    }

    /// What is ready, in some order; `partial`: perhaps only some of it, the rest with the next poll.
    pub fn take_edges(&mut self, partial: bool) -> (Vec<Edge>, [bool; 2]) {
        let mut edges = std::mem::take(&mut self.edges);
        self.rng.shuffle(&mut edges);
        if partial && edges.len() > 1 && self.rng.chance(self.plan.partial_polls) {
            let kept = self.rng.size(1, edges.len());
            self.edges = edges.split_off(kept);
        }
        for edge in &edges {
            let who = self.by_token.get(&edge.token).copied().unwrap_or(0);
            self.trace.note(self.clock.now(), Kind::Ready, who as u32, edge.flags(), edge.token);
        }
        (edges, std::mem::take(&mut self.listener_edges))
    }

    /// Descriptors run out, or are there again.
    pub fn descriptors(&mut self, starved: bool) {
        self.starved = starved;
        self.accepted_at = self.clock.now();
    }

    /// A waiting connection that nobody took for this long, though descriptors were there, is a dead
    /// listener.
    pub fn forgotten_listener(&self) -> bool {
        let waiting = self.backlogs.iter().any(|backlog| !backlog.is_empty());
        let free = !self.starved && self.by_token.len() < self.plan.descriptors;
        waiting && free && self.clock.now() > self.accepted_at + 3 * SECOND
    }
}
