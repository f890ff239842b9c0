//! One-to-one talks: what clients do in them by their dice, the state that each side must be in by what it was told, and what the
//! oracle holds of both sides together.
//!
//! Replies and events of one connection come in the order in which the daemon decided, so that a client knows its own state
//! exactly whenever it hears something; what it asks may come too late for that state.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::asking::{Asked, Greeting, ask, ask_under, new_id, uuid_text};
use crate::clients::{Client, Sort};
use crate::naming::same;
use crate::oracle::Oracle;
use crate::talking::somebody;

/// What the events of a talk take at most.
pub const TALK_BYTES_MAX: usize = 1_024;

/// What somebody wants of a talk.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    peer: Option<String>,
    turns: &'static str,
}

impl Wish {
    /// Whether two go together, as far as turns go.
    fn turns_with(&self, other: &Self) -> bool {
        self.turns == other.turns || self.turns == "any" || other.turns == "any"
    }

    fn wants(&self, name: &str) -> bool {
        self.peer.as_deref().is_none_or(|peer| same(peer, name))
    }
}

/// What was asked of a talk.
#[derive(Clone, Debug)]
pub enum Ask {
    Bridge(Wish),
    Unbridge,
    /// With whom, if that was said.
    Chat(Option<String>),
    /// Which message, and to whom, if that was said.
    Say(usize, Option<String>),
    Pass,
    Hangup,
    /// Of a message of whom, and which.
    Receipt((usize, usize)),
}

/// Where a connection is, as far as it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Registered,
    Waiting,
    Ready {
        turns: bool,
    },
    /// The talk is open: whether it is its turn, where there are turns, and whether the talk goes over the server.
    Open {
        mine: Option<bool>,
        direct: bool,
    },
    /// The talk is over, and it is to be told at once that it waits again.
    Left,
}

impl State {
    fn has_peer(self) -> bool {
        self.is_open() || matches!(self, Self::Ready { .. })
    }

    fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// A client's side.
#[derive(Debug, Default)]
pub struct Side {
    state: State,
    peer: String,
    /// What the peer was called before, as long as it is the peer.
    former: String,
    wish: Wish,
    /// It was told an address of its peer.
    has_address: bool,
    /// It asked to open the talk first: it is told next that it is open.
    opens: bool,
    owes: VecDeque<(String, (usize, usize))>,
    /// It has asked for a talk at some time.
    pub begun: bool,
}

impl Side {
    /// Whether somebody is meant who is not the peer.
    fn is_another(&self, to: Option<&String>) -> bool {
        to.is_some_and(|to| !same(to, &self.peer) && !same(to, &self.former))
    }
}

/// A message of a talk.
#[derive(Debug)]
pub struct Said {
    id: String,
    to: Option<String>,
    refused: bool,
    /// Who got it.
    heard: Option<usize>,
    /// Its receiver sent a receipt, which was accepted; the author was told.
    receipt: (bool, bool),
    delivered: bool,
}

/// What the oracle knows of talks.
#[derive(Debug, Default)]
pub struct Talks {
    /// Each connection's messages.
    said: BTreeMap<usize, Vec<Said>>,
    /// The last message of one that another heard.
    last: BTreeMap<(usize, usize), usize>,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

// ---- what clients do -----------------------------------------------------------------------------

/// Whether this client can ask for talks at all.
pub fn may_talk(client: &Client) -> bool {
    client.sort == Sort::Control || client.asking.greeting == Greeting::Done
}

/// Does something in its talk, or about one.
pub fn one(client: &mut Client, oracle: &mut Oracle) -> Vec<u8> {
    client.asking.side.begun = true;
    if client.rng.chance(700)
        && let Some((id, said)) = client.asking.side.owes.pop_front()
    {
        oracle.talks.said_by(said).receipt.0 = true;
        let request = json!({"request": "receipt", "message_id": id});
        return ask(client, request, Asked::Talk(Ask::Receipt(said)));
    }
    let anything = client.rng.chance(100);
    let state = client.asking.side.state;
    let dice = client.rng.below(100);
    match state {
        _ if anything => match dice {
            0..20 => simple(client, "unbridge", Ask::Unbridge),
            20..40 => simple(client, "hangup", Ask::Hangup),
            40..60 => chat(client),
            60..80 => say(client, oracle),
            _ => simple(client, "pass", Ask::Pass),
        },
        State::Registered | State::Left => bridge(client, oracle),
        State::Waiting => match dice {
            0..60 => bridge(client, oracle),
            60..70 => simple(client, "unbridge", Ask::Unbridge),
            _ => chat(client),
        },
        State::Ready { .. } => match dice {
            0..80 => chat(client),
            80..90 => simple(client, "unbridge", Ask::Unbridge),
            _ => simple(client, "hangup", Ask::Hangup),
        },
        State::Open { mine, .. } => match dice {
            0..13 if mine.is_some() => simple(client, "pass", Ask::Pass),
            13..17 => simple(client, "hangup", Ask::Hangup),
            17..20 => chat(client),
            _ => say(client, oracle),
        },
    }
}

fn simple(client: &mut Client, request: &str, asked: Ask) -> Vec<u8> {
    ask(client, json!({"request": request}), Asked::Talk(asked))
}

fn bridge(client: &mut Client, oracle: &Oracle) -> Vec<u8> {
    let peer = client.rng.chance(300).then(|| somebody(client, oracle));
    let turns = client.rng.pick(&["any", "any", "yes", "no"]);
    let mut request = json!({"request": "bridge", "turns": turns});
    if let Some(peer) = &peer {
        request["peer"] = json!(peer);
    }
    if client.rng.chance(600) {
        request["direct"] = json!(4711);
    }
    ask(client, request, Asked::Talk(Ask::Bridge(Wish { peer, turns })))
}

/// Mostly it names whom it means.
fn named(client: &mut Client) -> Option<String> {
    let peer = client.asking.side.peer.clone();
    (!peer.is_empty() && client.rng.chance(700)).then_some(peer)
}

fn chat(client: &mut Client) -> Vec<u8> {
    let peer = named(client);
    let mut request = json!({"request": "chat"});
    if let Some(peer) = &peer {
        request["peer"] = json!(peer);
    }
    if client.asking.side.has_address && client.rng.chance(400) {
        request["direct"] = json!(true);
    }
    ask(client, request, Asked::Talk(Ask::Chat(peer)))
}

fn say(client: &mut Client, oracle: &mut Oracle) -> Vec<u8> {
    let (no, to) = (client.no, named(client));
    let id = uuid_text(&new_id(client));
    let mine = oracle.talks.said.entry(no).or_default();
    let which = mine.len();
    let more = client.rng.scale(1, client.temper.size) as usize - 1;
    let content = format!("t{no}.{which}|{}", "x".repeat(more.saturating_sub(16)));
    let (refused, heard) = (false, None);
    mine.push(Said {
        id: id.clone(),
        to: to.clone(),
        refused,
        heard,
        receipt: (false, false),
        delivered: false,
    });
    oracle.under_way.insert((no, usize::MAX - which), 512 + content.len());
    let mut request = json!({"request": "say", "id": id, "text": content});
    if let Some(to) = &to {
        request["peer"] = json!(to);
    }
    ask_under(client, &id, &request, Asked::Talk(Ask::Say(which, to)))
}

// ---- what clients are told -----------------------------------------------------------------------

/// A request about talks was answered.
pub fn answered(client: &mut Client, asked: &Ask, value: &Value, oracle: &mut Oracle) {
    let no = client.no;
    let ok = value["ok"] == true;
    let side = &mut client.asking.side;
    let before = side.state;
    let fail = |what: &str| -> ! { panic!("#{no}, {before:?}: {what}: {asked:?} {value}") };
    match asked {
        Ask::Say(which, to) => {
            let gone = value["message"].as_str().is_some_and(|why| why.contains("too slowly"));
            let state = (before, before.has_peer() && side.is_another(to.as_ref()));
            said(no, side, state, (*which, gone), value, oracle);
        }
        _ if !ok => {
            let code = text(value, "error");
            let itself = matches!(asked, Ask::Bridge(Wish { peer: Some(peer), .. })
                if oracle.may_be_called(no, peer));
            if code == "no_nickname" {
                assert_ne!(client.sort, Sort::Control, "#{no} has a login name: {value}");
                oracle.reach("talk", "has no name");
            }
            if !itself && !may_refuse(side, asked, code) {
                fail("that was to be refused otherwise, or not at all");
            }
        }
        Ask::Bridge(wish) => {
            if !matches!(before, State::Registered | State::Waiting) {
                fail("it has a peer");
            }
            (side.state, side.wish) = (State::Waiting, wish.clone());
            oracle.reach("talk", "waits");
        }
        Ask::Unbridge | Ask::Hangup => {
            let takes_back = before == State::Waiting || before.has_peer();
            if !takes_back || (before.is_open() && matches!(asked, Ask::Unbridge)) {
                fail("there was nothing to end");
            }
            side.state = State::Registered;
        }
        Ask::Chat(to) => {
            assert!(!side.is_another(to.as_ref()), "#{no} has another peer: {value}");
            opened(no, side, value, oracle);
        }
        Ask::Pass => {
            let passes = State::Open { mine: Some(true), direct: false };
            assert_eq!((before, text(value, "turn")), (passes, "theirs"), "#{no} {value}");
            side.state = State::Open { mine: Some(false), direct: false };
            oracle.reach("talk", "turn passed");
        }
        Ask::Receipt(of) => oracle.talks.said_by(*of).receipt.1 = true,
    }
}

/// Whether a request may be refused so, in the state that the connection is in.
fn may_refuse(side: &Side, asked: &Ask, code: &str) -> bool {
    let (state, no_turns) = (side.state, State::Open { mine: None, direct: false });
    match (asked, code) {
        // A name that is asked for may be none.
        (Ask::Bridge(_), "no_nickname") | (Ask::Bridge(_) | Ask::Chat(Some(_)), "bad_nickname") => {
            true
        }
        (Ask::Bridge(_), "bad_request") => state.has_peer(),
        (Ask::Unbridge | Ask::Hangup, "not_in_talk") => state == State::Registered,
        (Ask::Unbridge, "bad_request") => state.is_open(),
        (Ask::Chat(to), "not_in_talk") => !state.has_peer() || side.is_another(to.as_ref()),
        (Ask::Chat(_), "bad_request") => !side.has_address && !state.is_open(),
        (Ask::Pass, "bad_request") => {
            state == no_turns || matches!(state, State::Open { direct: true, .. })
        }
        (Ask::Pass, "not_your_turn") => state == State::Open { mine: Some(false), direct: false },
        (Ask::Pass, "not_in_talk") => !state.is_open(),
        (Ask::Receipt(_), code) => code == "no_such_message",
        _ => false,
    }
}

/// The talk is open, by this side's doing or before it.
fn opened(no: usize, side: &mut Side, value: &Value, oracle: &mut Oracle) {
    let turn = value["turn"].as_str();
    match side.state {
        State::Open { mine, direct } => {
            assert_eq!(value["direct"], direct, "#{no} {value}");
            assert!(direct || turn == mine.map(word), "#{no}, {mine:?}: {value}");
            oracle.reach("talk", "opened by both");
        }
        State::Ready { turns } => {
            assert_eq!(turn, turns.then_some("yours"), "#{no} opens it: {value}");
            side.opens = true;
        }
        State::Registered | State::Waiting | State::Left => {
            panic!("#{no}, {:?}: nothing was to be opened: {value}", side.state)
        }
    }
}

const fn word(mine: bool) -> &'static str {
    if mine { "yours" } else { "theirs" }
}

/// A message was taken or refused.
fn said(
    no: usize,
    side: &mut Side,
    (before, is_for_another): (State, bool),
    (which, is_gone): (usize, bool),
    value: &Value,
    oracle: &mut Oracle,
) {
    oracle.under_way.remove(&(no, usize::MAX - which));
    let is_relayed = |mine: &Option<bool>| *mine != Some(false);
    let code = if value["ok"] == true { "" } else { text(value, "error") };
    let fits = match (before, code) {
        (State::Open { mine, direct: false }, "") => is_relayed(&mine) && !is_for_another,
        (State::Open { direct: false, .. }, "not_in_talk") => is_for_another || is_gone,
        (State::Open { mine: Some(false), direct: false }, "not_your_turn") => !is_for_another,
        (State::Open { mine, direct: false }, "limit_reached") => is_relayed(&mine),
        (State::Open { direct: true, .. }, "bad_request") => true,
        (State::Open { direct: true, .. }, "not_in_talk") => is_for_another,
        (State::Open { .. }, _) => false,
        (_, code) => code == "not_in_talk",
    };
    assert!(fits, "#{no}, {before:?}, {is_for_another}: {value}");
    let message = &mut oracle.talks.said.get_mut(&no).expect("it said something")[which];
    if !code.is_empty() {
        message.refused = true;
        // Whoever reads too slowly may have got it before it was closed.
        assert!(
            message.heard.is_none() || is_gone,
            "#{no}: message {which} was refused, and heard"
        );
        match code {
            "not_your_turn" => oracle.reach("talk", "out of turn"),
            "limit_reached" => oracle.reach("talk", "too slow a peer"),
            _ if is_for_another => oracle.reach("talk", "for another peer"),
            _ => {}
        }
        return;
    }
    if let State::Open { mine: Some(_), direct } = before {
        assert_eq!(value["turn"], "theirs", "#{no} {value}");
        side.state = State::Open { mine: Some(false), direct };
    }
}

/// Something happened in a talk.
pub fn event(client: &mut Client, value: &Value, oracle: &mut Oracle) {
    let no = client.no;
    let side = &mut client.asking.side;
    let before = side.state;
    let fail = || -> ! { panic!("#{no}, {before:?} with `{}`: {value}", side.peer) };
    match (text(value, "event"), before) {
        ("talk_ready", State::Waiting) => {
            let turns = value["turns"] == true;
            let wished = match side.wish.turns {
                "yes" => turns,
                "no" => !turns,
                _ => true,
            };
            let peer = text(value, "peer");
            assert!(wished && side.wish.wants(peer), "#{no} wanted {:?}: {value}", side.wish);
            side.has_address = value.get("address").is_some();
            (side.state, side.opens, side.peer) = (State::Ready { turns }, false, peer.to_owned());
            side.former.clear();
            oracle.reach("talk", if side.wish.peer.is_some() { "found by name" } else { "found" });
        }
        ("talk_started", State::Ready { turns }) => {
            let turn = value["turn"].as_str();
            assert_eq!(turn, turns.then_some(word(side.opens)), "#{no} {value}");
            assert_eq!(text(value, "peer"), side.peer, "#{no} {value}");
            let direct = value["direct"] == true;
            side.state = State::Open { mine: turns.then_some(side.opens), direct };
            oracle.reach("talk", if direct { "direct" } else { "open" });
        }
        ("talk_turn", State::Open { mine: Some(mine), direct: false }) => {
            let late = value["reason"] == "timeout";
            assert!(late || !mine, "#{no} passed no turn: {value}");
            assert_eq!(text(value, "turn"), word(!mine), "#{no} {value}");
            side.state = State::Open { mine: Some(!mine), direct: false };
            oracle.reach("talk", if late { "turn too long" } else { "turn was passed" });
        }
        ("talk_message", State::Open { mine, direct: false }) => {
            assert!(mine != Some(true), "#{no}: both write by turns: {value}");
            assert_eq!(value["turn"].as_str(), mine.map(|_| "yours"), "#{no} {value}");
            assert_eq!(text(value, "from"), side.peer, "#{no} {value}");
            side.state = State::Open { mine: mine.map(|_| true), direct: false };
            let said = oracle.talk_message(no, value);
            if client.rng.chance(800) {
                client.asking.side.owes.push_back((text(value, "message_id").to_owned(), said));
            }
        }
        ("talk_ended", State::Waiting) if value["reason"] == "timeout" => {
            side.state = State::Registered;
            oracle.reach("talk", "waited too long");
        }
        ("talk_ended", State::Ready { .. } | State::Open { .. }) => {
            assert_eq!(text(value, "peer"), side.peer, "#{no} {value}");
            side.state = State::Left;
            match text(value, "reason") {
                "left" => oracle.reach("talk", "left"),
                "hangup" => oracle.reach("talk", "hung up"),
                "gone" => oracle.reach("talk", "peer gone"),
                _ => fail(),
            }
        }
        ("talk_waiting", State::Left) => {
            assert_eq!(value["peer"].as_str(), side.wish.peer.as_deref(), "#{no} {value}");
            side.state = State::Waiting;
            side.peer.clear();
        }
        ("renamed", State::Ready { .. } | State::Open { .. }) => {
            assert_eq!(text(value, "nick"), side.peer, "#{no} {value}");
            side.former = std::mem::replace(&mut side.peer, text(value, "new_nick").to_owned());
            oracle.reach("talk", "renamed");
        }
        _ => fail(),
    }
}

// ---- both sides ----------------------------------------------------------------------------------

impl Talks {
    fn said_by(&mut self, (who, which): (usize, usize)) -> &mut Said {
        &mut self.said.get_mut(&who).expect("whoever is heard said something")[which]
    }
}

impl Oracle {
    /// A message of a talk was heard: once, by one, in its author's order, and by whom it is for.
    fn talk_message(&mut self, no: usize, value: &Value) -> (usize, usize) {
        let mark = text(value, "text").split('|').next().and_then(|mark| mark.strip_prefix('t'));
        let (who, which) = mark.and_then(|mark| mark.split_once('.')).expect("it has its mark");
        let (who, which): (usize, usize) = (who.parse().unwrap(), which.parse().unwrap());
        let last = self.talks.last.insert((who, no), which);
        assert!(last.is_none_or(|last| last < which), "#{no} got message {which} of #{who} late");
        let (to, id) = {
            let message = self.talks.said_by((who, which));
            assert!(message.heard.is_none(), "message {which} of #{who} was heard twice");
            assert!(!message.refused, "message {which} of #{who} was refused, and heard");
            message.heard = Some(no);
            (message.to.clone(), message.id.clone())
        };
        assert_eq!(text(value, "message_id"), id, "message {which} of #{who}");
        assert!(
            to.as_deref().is_none_or(|to| self.may_be_called(no, to)),
            "message {which} of #{who} was for {to:?}, and #{no} got it"
        );
        self.deliveries += 1;
        self.reach("talk", "message");
        (who, which)
    }

    /// An author hears that its message has come; false where it is no message of a talk.
    pub fn talk_delivered(&mut self, no: usize, id: &str) -> bool {
        let mine = self.talks.said.get_mut(&no);
        let Some(message) = mine.and_then(|mine| mine.iter_mut().find(|said| said.id == id)) else {
            return false;
        };
        assert!(message.receipt.0, "#{no}: nobody gave a receipt of {id}");
        assert!(!message.delivered, "#{no} hears again that {id} has come");
        message.delivered = true;
        self.reach("talk", "delivered");
        true
    }

    /// At the end, after everything flowed: both sides of each talk agree, no two who go together wait, and each receipt that was
    /// accepted was told.
    pub fn check_talks(&self, open: &[&Client]) {
        let name = |client: &Client| self.called(client.no).unwrap_or_default().to_owned();
        for client in open {
            let (no, side) = (client.no, &client.asking.side);
            let others = || open.iter().filter(|other| other.no != no);
            let mirrored = match side.state {
                State::Registered => continue,
                State::Left => panic!("#{no} was not told that it waits again"),
                State::Waiting => {
                    let fits = |other: &&&Client| {
                        let theirs = &other.asking.side;
                        theirs.state == State::Waiting
                            && side.wish.turns_with(&theirs.wish)
                            && side.wish.wants(&name(other))
                            && theirs.wish.wants(&name(client))
                    };
                    let fitting = others().find(fits).map(|other| other.no);
                    assert_eq!(fitting, None, "#{no} waits, and another that goes with it");
                    continue;
                }
                State::Ready { turns } => State::Ready { turns },
                State::Open { mine, direct } => {
                    State::Open { mine: mine.map(|mine| !mine), direct }
                }
            };
            let agrees = |other: &&&Client| {
                let theirs = &other.asking.side;
                theirs.state == mirrored
                    && same(&theirs.peer, &name(client))
                    && same(&side.peer, &name(other))
            };
            let peer = others().find(agrees).map(|other| other.no);
            assert!(peer.is_some(), "#{no} is {:?} with `{}` alone", side.state, side.peer);
            let untold = self.talks.said.get(&no).into_iter().flatten();
            let untold = untold.filter(|said| said.receipt.1 && !said.delivered).count();
            assert_eq!(untold, 0, "#{no} was not told of receipts that were accepted");
        }
    }
}
