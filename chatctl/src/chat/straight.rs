//! The hands of a talk past the server: the door, the call and the connection of the two, as the model wants them.
//!
//! It decides nothing: what comes of the model's wishes is told to the model.

use super::life::moment;
use super::model::{Model, Past};
use crate::client::Client;
use crate::direct::{Happening, Link, Opening, listening_address};
use nix::poll::PollFlags;
use proto::Now;
use std::os::fd::BorrowedFd;

/// What there is past the server.
#[derive(Default)]
pub(super) struct Straight {
    opening: Option<Opening>,
    link: Option<Link>,
    /// A connection that we have hung up, until the other side knows.
    leaving: Option<Link>,
}

impl Straight {
    /// Does what the model wants done.
    pub(super) fn carry_out(
        &mut self,
        past: Past,
        client: Option<&Client>,
        model: &mut Model,
        now: Now,
    ) {
        match past {
            Past::Listen { port } => {
                self.close(now);
                model.listens(moment(), self.listen(client, port));
            }
            Past::Close => self.close(now),
            Past::Find { us, peer, turns, address } => {
                if let Some(opening) = &mut self.opening {
                    opening.find(&us, &peer, turns, address, now);
                }
            }
            Past::Forget => self.hang_up(now),
            Past::Rename { us, peer } => {
                if let Some(opening) = &mut self.opening {
                    opening.rename(&us, &peer);
                }
            }
            Past::Call => {
                if let Some(opening) = &mut self.opening {
                    opening.call(now);
                }
            }
            Past::Open => {
                self.link = self.opening.as_mut().and_then(Opening::link);
                model.opened(moment(), self.link.as_ref().map(|link| link.peer.turn()));
            }
            Past::Say { id, content } => {
                self.speak(now, |link| {
                    // Where it may not, the connection has ended, and the model is about to be told.
                    if link.peer.may_say(content.len()) {
                        link.peer.say(&id, &content, now);
                        model.said(moment(), &id);
                    }
                });
            }
            Past::Acknowledge(id) => self.speak(now, |link| link.peer.acknowledge(&id)),
            Past::Pass => self.speak(now, |link| link.peer.pass()),
        }
    }

    fn listen(&mut self, client: Option<&Client>, port: u16) -> Result<u16, String> {
        let client = client.ok_or("there is no connection to the server")?;
        let address = listening_address(client, port);
        let opened = Opening::new(address).and_then(|opening| Ok((opening.port()?, opening)));
        let (port, opening) =
            opened.map_err(|error| format!("cannot listen at {address} ({error})"))?;
        self.opening = Some(opening);
        Ok(port)
    }

    fn speak(&mut self, now: Now, word: impl FnOnce(&mut Link)) {
        if let Some(link) = &mut self.link {
            word(link);
            link.flush(now);
        }
    }

    fn hang_up(&mut self, now: Now) {
        if let Some(opening) = &mut self.opening {
            opening.forget();
        }
        if let Some(mut link) = self.link.take() {
            link.peer.hang_up(now);
            link.flush(now);
            self.leaving = Some(link);
        }
    }

    /// Ends all there is.
    pub(super) fn close(&mut self, now: Now) {
        self.hang_up(now);
        self.opening = None;
    }

    /// The descriptors to wait for, and what for. `step` takes what became of them in this order.
    pub(super) fn watched(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        // One that has ended would end every wait.
        let links = self.link.iter().chain(&self.leaving).filter(|link| !link.is_done());
        let links = links.map(Link::watched);
        self.opening.iter().flat_map(Opening::watched).chain(links).collect()
    }

    /// When to look again, whatever the descriptors say.
    pub(super) fn next(&self) -> Option<Now> {
        let links = self.link.iter().chain(&self.leaving).filter_map(|link| link.peer.next());
        links.chain(self.opening.as_ref().and_then(Opening::next)).min()
    }

    /// Does what can be done now.
    pub(super) fn step(&mut self, ready: &[PollFlags], model: &mut Model, now: Now) {
        if let Some(opening) = &mut self.opening {
            opening.step(ready, now);
            if let Some(outcome) = opening.take() {
                model.reached(moment(), outcome);
            }
        }
        for link in self.link.iter_mut().chain(&mut self.leaving) {
            link.read(now);
            link.peer.expire(now);
            link.flush(now);
        }
        self.leaving.take_if(|link| link.is_done());
    }

    /// The next thing that happened in the talk.
    pub(super) fn take(&mut self) -> Option<Happening> {
        let happening = self.link.as_mut()?.peer.take();
        if happening.is_none() {
            self.link.take_if(|link| link.is_done());
        }
        happening
    }
}
