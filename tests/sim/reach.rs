//! What seldom happens, counted: a campaign in which something of this never happens proves nothing about it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hub::CloseReason;

/// What must happen, by kind.
pub type Wanted = [(&'static str, &'static [&'static str])];

/// What must happen at least once in a campaign of the usual length.
pub const WANTED: &Wanted = &[
    (
        "close",
        &[
            "peer_closed",
            "reset",
            "idle",
            "frame_timeout",
            "stall",
            "outbox_full",
            "memory_budget",
            "input_budget",
            "too_large",
            "fault",
            "store_unavailable",
            "kicked",
            "banned",
            "drain",
            "answered",
            "socket_closed",
        ],
    ),
    ("store", &["page", "again", "known"]),
    ("refuse", &["connections_limit", "clients_per_ip", "accept_rate", "banned", "stands"]),
    ("hear", &["message", "gap", "direct", "direct in v0.5", "joined", "left", "presence"]),
    ("replay", &["message", "message of others meanwhile", "gap", "whole", "cut"]),
    ("receipt", &["accepted", "refused", "again", "delivered"]),
    ("direct", &["delivered", "nobody"]),
    (
        "talk",
        &[
            "waits",
            "has no name",
            "found",
            "found by name",
            "open",
            "opened by both",
            "direct",
            "message",
            "delivered",
            "for another peer",
            "out of turn",
            "turn passed",
            "turn was passed",
            "turn too long",
            "left",
            "hung up",
            "peer gone",
            "renamed",
            "waited too long",
        ],
    ),
    ("kick", &["closes", "is refused"]),
    ("ban", &["closes", "closes nobody", "keeps out", "is lifted", "is none"]),
    ("notice", &["paused", "skipped", "memory_pressure", "store_refused"]),
    (
        "web",
        &[
            "post",
            "post again",
            "post refused",
            "in line",
            "continue",
            "page",
            "message",
            "refused",
            "cannot be read",
            "cut off",
            "stream",
            "stream again",
            "stream again with a gap",
            "no stream",
            "socket",
            "pong",
            "close frame",
        ],
    ),
];

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(BTreeMap<(&'static str, &'static str), u64>);

impl Reach {
    /// It happened.
    pub fn count(&mut self, kind: &'static str, what: &'static str) {
        *self.0.entry((kind, what)).or_default() += 1;
    }

    /// A connection was closed. What cannot be read is one kind of it.
    pub fn closed(&mut self, reason: &CloseReason) {
        let is_fault = matches!(reason, CloseReason::Fault(_));
        self.count("close", if is_fault { "fault" } else { reason.word() });
    }

    /// What happened in another run happened, too.
    pub fn add(&mut self, other: &Self) {
        for (key, times) in &other.0 {
            *self.0.entry(*key).or_default() += times;
        }
    }

    /// What should have happened and never did.
    pub fn missing(&self, wanted: &Wanted) -> Vec<String> {
        let all =
            wanted.iter().flat_map(|(kind, words)| words.iter().map(move |word| (*kind, *word)));
        all.filter(|key| !self.0.contains_key(key))
            .map(|(kind, word)| format!("{kind} {word}"))
            .collect()
    }

    /// How often each thing happened, a kind a line.
    pub fn lines(&self) -> String {
        let (mut out, mut last) = (String::new(), "");
        for ((kind, word), times) in &self.0 {
            if *kind != last {
                let _ = write!(out, "{}{kind}:", if last.is_empty() { "" } else { "\n" });
                last = kind;
            }
            let _ = write!(out, " {word} {times},");
        }
        out
    }
}
