//! The driver's listeners: who is installed, and how a new configuration changes that, all or nothing.

use std::io;
use std::net::SocketAddr;

use mio::{Interest, Token};
use proto::Span;

use super::mio::{LISTENERS, MioDriver};
use crate::callers::Callers;
use crate::listen::{Listener, exempt};
use crate::reload::Fresh;
use crate::run::RunError;
use crate::turn::Reloaded;

/// What a change of listeners needs to know of what was decided.
type Decided<'a> = (&'a Fresh, Option<Span>);

impl MioDriver {
    /// Watches a listener from now on, at the first free place.
    pub(super) fn install(&mut self, mut listener: Listener) -> io::Result<usize> {
        let free = self.listeners.iter().position(Option::is_none);
        let index = free.unwrap_or(self.listeners.len());
        let token = Token(LISTENERS + index);
        self.poll.registry().register(listener.source(), token, Interest::READABLE)?;
        match self.listeners.get_mut(index) {
            Some(place) => *place = Some(listener),
            None => self.listeners.push(Some(listener)),
        }
        Ok(index)
    }

    /// Changes the listeners to what was read; where one cannot be had, all are as they were.
    pub(super) fn adopt(&mut self, fresh: Fresh) -> Result<Reloaded, String> {
        let reader = self.reader.as_mut().expect("it was read by somebody");
        let settings = fresh.config.settings(reader.capacity);
        let mut words = self.change_listeners((&fresh, settings.stall))?;
        words.extend(
            fresh.config.missing_groups.iter().map(|name| format!("no such group: {name}")),
        );
        for listener in self.listeners.iter_mut().flatten() {
            match listener {
                Listener::Control(control) => {
                    let access = fresh.config.access.clone();
                    control.decide_anew(Callers::new(fresh.users.clone(), access));
                }
                Listener::Tcp { .. } => {
                    let address = listener.wished().or_else(|| listener.address());
                    listener.is_for_clients(fresh.config.clients_at(address));
                    listener.decide_anew(settings.stall, exempt(&fresh.config.exempt));
                }
            }
        }
        let (paced, shutdown_timeout) = (fresh.config.pace, fresh.config.shutdown_timeout);
        let retention = fresh.config.retention.clone();
        self.reader.as_mut().expect("it is still there").config = fresh.config;
        let listeners = self.listeners.iter().flatten().filter_map(Listener::address);
        let listeners = listeners.map(|address| address.to_string()).collect();
        Ok(Reloaded { settings, paced, shutdown_timeout, retention, listeners, words })
    }

    /// Returns what is to be said of it.
    fn change_listeners(&mut self, decided: Decided<'_>) -> Result<Vec<String>, String> {
        let wished: Vec<SocketAddr> =
            decided.0.config.listen.iter().map(|listen| listen.address).collect();
        let there: Vec<(usize, SocketAddr)> = self.wished().collect();
        if there.is_empty() {
            // All were given.
            return Ok(Vec::new());
        }
        let gone: Vec<(usize, SocketAddr)> =
            there.iter().filter(|(_, address)| !wished.contains(address)).copied().collect();
        let is_new = |address: &&SocketAddr| !there.iter().any(|(_, is)| is == *address);
        // One that has the port of one that goes can only be had after that: 0.0.0.0 after 127.0.0.1, say.
        let collides = |address: &SocketAddr| {
            address.port() != 0 && gone.iter().any(|(_, other)| other.port() == address.port())
        };
        let new: Vec<SocketAddr> = wished.iter().filter(is_new).copied().collect();
        let (later, first): (Vec<SocketAddr>, Vec<SocketAddr>) =
            new.iter().partition(|address| collides(address));
        let mut installed = Vec::new();
        self.listen_on(&first, decided, &mut installed)?;
        for (index, _) in &gone {
            self.listeners[*index] = None;
        }
        if let Err(why) = self.listen_on(&later, decided, &mut installed) {
            for index in installed {
                self.listeners[index] = None;
            }
            let addresses: Vec<SocketAddr> = gone.iter().map(|(_, address)| *address).collect();
            let back = self.listen_on(&addresses, decided, &mut Vec::new());
            let lost = back.err().map(|error| format!("; and then: {error}"));
            return Err(why + &lost.unwrap_or_default());
        }
        let mut words = Vec::new();
        let listening = installed.iter().filter_map(|index| self.listeners[*index].as_ref());
        let addresses = listening.filter_map(Listener::address);
        words.extend(addresses.map(|address| format!("listening on {address}")));
        words.extend(gone.iter().map(|(_, address)| format!("no longer listening on {address}")));
        Ok(words)
    }

    /// Listens on these, too; where one cannot be had, on none of them. Adds their places to `installed`.
    fn listen_on(
        &mut self,
        addresses: &[SocketAddr],
        (fresh, stall): Decided<'_>,
        installed: &mut Vec<usize>,
    ) -> Result<(), String> {
        let before = installed.len();
        for address in addresses {
            let listener = Listener::tcp(*address, stall, exempt(&fresh.config.exempt));
            match listener.and_then(|listener| self.install(listener)) {
                Ok(index) => installed.push(index),
                Err(error) => {
                    for index in installed.drain(before..) {
                        self.listeners[index] = None;
                    }
                    return Err(RunError::Listen(*address, error).to_string());
                }
            }
        }
        Ok(())
    }

    fn wished(&self) -> impl Iterator<Item = (usize, SocketAddr)> {
        let there = self.listeners.iter().enumerate();
        there.filter_map(|(index, listener)| Some((index, listener.as_ref()?.wished()?)))
    }
}
