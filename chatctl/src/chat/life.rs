//! The model's life: its wishes carried out on a socket, what comes told to it, and the front between.
//!
//! One loop, and one wait in it. The daemon is called in a thread of its own, since that may take as long as `--timeout` and
//! the person types on.

use super::front::Front;
use super::model::{Model, Moment, Output, Request};
use super::straight::Straight;
use crate::background::Background;
use crate::client::{Client, Happening, poll};
use crate::failure::{Exit, Failure};
use crate::server::Server;
use crate::{chance, clock};
use nix::poll::{PollFd, PollFlags};
use proto::Span;
use std::os::fd::BorrowedFd;

/// So long the server has at the end to hear that the talk is over.
const PARTING_SPAN_MAX: Span = Span::from_secs(1);

/// The present, and a throw of the dice.
pub(super) fn moment() -> Moment {
    Moment { now: clock::now(), wall: clock::wall().timestamp(), chance: chance::thrown() }
}

/// Lives until the front says that it is over.
pub(super) fn live(
    server: Server,
    timeout: Span,
    model: &mut Model,
    front: &mut dyn Front,
) -> Result<Exit, Failure> {
    let straight = Straight::default();
    let mut life = Life { server, timeout, client: None, calling: None, straight };
    let ended = life.run(model, front);
    front.give_up(model);
    life.part(model);
    ended
}

/// The connection, or the call for one, and what there is past the server.
struct Life {
    server: Server,
    timeout: Span,
    client: Option<Client>,
    calling: Option<Calling>,
    straight: Straight,
}

/// A call: the server is lent to it, and comes back with what came of it.
type Calling = Background<(Server, Result<Client, Failure>)>;

impl Life {
    fn run(&mut self, model: &mut Model, front: &mut dyn Front) -> Result<Exit, Failure> {
        loop {
            model.tick(moment());
            self.carry_out(model, front)?;
            let now = clock::now();
            let ended = front.ended(model, now)?;
            front.show(model, now)?;
            if let Some(exit) = ended {
                return Ok(exit);
            }
            let (ready, past) = self.wait(model, front)?;
            front.look(model, &ready, &mut moment)?;
            self.carry_out(model, front)?;
            self.answered(model)?;
            self.hear(&past, model, front)?;
            self.listen(model, front)?;
            if let Some(refusal) = model.hopeless() {
                return Err(refusal.clone().into());
            }
        }
    }

    /// Ends the talk, where there is one, and the connection. Nobody is shown anything any more.
    fn part(&mut self, model: &mut Model) {
        model.part(moment());
        let mut asked = None;
        while let Some(output) = model.take() {
            match output {
                Output::Ask(request) => asked = self.ask(request),
                Output::Past(past) => {
                    self.straight.carry_out(past, self.client.as_ref(), model, clock::now());
                }
                Output::News(_) | Output::Call | Output::HangUp => {}
            }
        }
        self.straight.close(clock::now());
        if let Some(asked) = asked {
            self.see_off(&asked);
        }
        self.leave();
    }

    /// Waits until the server has heard this, and not for long.
    fn see_off(&mut self, asked: &str) {
        let until = clock::now().after(PARTING_SPAN_MAX);
        let is_it = |happening| match happening {
            Happening::Replied(id, _) | Happening::TimedOut(id) => id == asked,
            Happening::Event(_) | Happening::Complaint(_) | Happening::Lost { .. } => false,
        };
        while let Some(client) = self.client.as_mut().filter(|client| !client.is_lost()) {
            let now = clock::now();
            if now >= until || client.step(now, Some(until), &[]).is_err() {
                return;
            }
            if std::iter::from_fn(|| client.take()).any(is_it) {
                return;
            }
        }
    }

    /// Asks the server; under which id, where there is one to ask.
    fn ask(&mut self, request: Request) -> Option<String> {
        let client = self.client.as_mut()?;
        client.ask_as(&request.id, request.name, request.fields, request.deadline);
        Some(request.id)
    }

    /// Does what the model wants done.
    fn carry_out(&mut self, model: &mut Model, front: &mut dyn Front) -> Result<(), Failure> {
        while let Some(output) = model.take() {
            match output {
                Output::News(news) => front.news(model, &news)?,
                Output::HangUp => self.leave(),
                Output::Call => {
                    let deadline = clock::now().after(self.timeout);
                    let server = self.server.clone();
                    let calling = Calling::start(move || {
                        let outcome = server.connect(deadline);
                        (server, outcome)
                    });
                    let failed = |error: std::io::Error| Failure::unreachable(error.to_string());
                    self.calling = Some(calling.map_err(failed)?);
                }
                Output::Past(past) => {
                    self.straight.carry_out(past, self.client.as_ref(), model, clock::now());
                }
                Output::Ask(request) => {
                    self.ask(request);
                }
            }
        }
        Ok(())
    }

    /// Tells the model what came of a call.
    fn answered(&mut self, model: &mut Model) -> Result<(), Failure> {
        let Some((server, outcome)) = self.calling.as_ref().and_then(Background::take) else {
            return Ok(());
        };
        (self.server, self.calling) = (server, None);
        match outcome {
            Ok(client) => {
                self.client = Some(client);
                model.called(moment());
            }
            Err(failure) if failure.exit == Exit::NotReachable => {
                model.not_called(moment(), &failure.message);
            }
            // No daemon ever answers there, or not to us.
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Tells the model what happened past the server, as long as it can be shown: what cannot is not acknowledged.
    fn hear(
        &mut self,
        ready: &[PollFlags],
        model: &mut Model,
        front: &mut dyn Front,
    ) -> Result<(), Failure> {
        self.straight.step(ready, model, clock::now());
        self.carry_out(model, front)?;
        while !front.is_behind()
            && let Some(happening) = self.straight.take()
        {
            model.talked(moment(), happening);
            self.carry_out(model, front)?;
        }
        Ok(())
    }

    /// Tells the model what the server says, and does after each word what it wants done.
    fn listen(&mut self, model: &mut Model, front: &mut dyn Front) -> Result<(), Failure> {
        self.carry_out(model, front)?;
        while let Some(happening) = self.client.as_mut().and_then(Client::take) {
            model.happened(moment(), happening);
            self.carry_out(model, front)?;
        }
        if let Some(client) = &mut self.client {
            client.expire(clock::now());
            if client.is_lost() && client.is_idle() {
                self.client = None;
            }
        }
        Ok(())
    }

    /// Waits until something can be done; what became of what the front watches, and of what there is past the server.
    fn wait(
        &mut self,
        model: &Model,
        front: &dyn Front,
    ) -> Result<(Vec<PollFlags>, Vec<PollFlags>), Failure> {
        let now = clock::now();
        let until = [model.next(), front.next(model, now), self.straight.next()];
        let until = until.into_iter().flatten().min();
        let watched = front.watched(model);
        let mut others: Vec<(BorrowedFd<'_>, PollFlags)> = watched.clone();
        others.extend(self.straight.watched());
        let past = others.len();
        if let Some(calling) = &self.calling {
            others.push((calling.bell(), PollFlags::POLLIN));
        }
        let ready = match &mut self.client {
            Some(client) if front.is_behind() => client.rest(now, until, &others),
            Some(client) => client.step(now, until, &others),
            None => {
                let mut fds: Vec<_> =
                    others.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
                let polled = poll(&mut fds, until.map(|until| until.since(now)));
                let flags = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::empty());
                polled.map(|()| fds.iter().map(flags).collect())
            }
        };
        let mut ready = ready.map_err(|error| Failure::unreachable(error.to_string()))?;
        ready.truncate(past);
        let past = ready.split_off(watched.len());
        Ok((ready, past))
    }

    /// Ends the connection, where there is one.
    fn leave(&mut self) {
        if let Some(mut client) = self.client.take() {
            let _ = client.finish();
        }
    }
}
