//! The life of a connection's talk: one enum of its states, and the one function that leads from one to the next.
//!
//! Both sides of a talk are looked at together, so that neither is ever in a state that the other does not know of. What happens
//! to one who has no peer is the pair of that one and nobody. It knows no connection, no name and no time: who the other side is, and
//! how somebody is told, is its caller's business.

/// Whose turn it is in a talk, seen from one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There are no turns: both write at will.
    Free,
    Mine,
    Theirs,
}

impl Turn {
    /// The same, seen from the other side.
    pub(crate) const fn reversed(self) -> Self {
        match self {
            Self::Free => Self::Free,
            Self::Mine => Self::Theirs,
            Self::Theirs => Self::Mine,
        }
    }

    /// The turn as clients are told it; nothing where there are none.
    pub(crate) const fn word(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::Mine => Some("yours"),
            Self::Theirs => Some("theirs"),
        }
    }
}

/// The state of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It asks for no talk. Whoever is not in the hub's list of talkers is this.
    Registered,
    /// It waits for a peer.
    Waiting,
    /// A peer was found, and nobody has opened the talk yet.
    Ready {
        /// They will write by turns.
        turns: bool,
    },
    /// The talk is open, and goes through the server.
    Relayed(Turn),
    /// The talk is open, and goes over a connection of their own. The turn is the one that it began with: the server hears no
    /// more of it.
    Direct(Turn),
}

impl State {
    /// Whether there is a peer.
    pub(crate) const fn has_peer(self) -> bool {
        match self {
            Self::Registered | Self::Waiting => false,
            Self::Ready { .. } | Self::Relayed(_) | Self::Direct(_) => true,
        }
    }

    /// Whether the talk is open.
    pub(crate) const fn is_open(self) -> bool {
        match self {
            Self::Registered | Self::Waiting | Self::Ready { .. } => false,
            Self::Relayed(_) | Self::Direct(_) => true,
        }
    }

    /// What the peer's state must be; nothing where there is no peer.
    pub(crate) const fn mirrored(self) -> Option<Self> {
        match self {
            Self::Registered | Self::Waiting => None,
            Self::Ready { turns } => Some(Self::Ready { turns }),
            Self::Relayed(turn) => Some(Self::Relayed(turn.reversed())),
            Self::Direct(turn) => Some(Self::Direct(turn.reversed())),
        }
    }
}

/// One side and its peer; `Registered` on the other side where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) mine: State,
    pub(crate) theirs: State,
}

impl Pair {
    /// One that has no peer.
    pub(crate) const fn alone(mine: State) -> Self {
        Self { mine, theirs: State::Registered }
    }

    /// Whether there can be such a pair between two inputs.
    pub(crate) fn is_sound(self) -> bool {
        match self.mine.mirrored() {
            Some(mirrored) => self.theirs == mirrored,
            None => self.theirs == State::Registered,
        }
    }
}

/// What happens to the first side of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// It says that it is ready for a talk.
    Bridge,
    /// Somebody who waits as well goes with it: the one input with two who wait.
    Found {
        /// Their wishes together.
        turns: bool,
    },
    Unbridge,
    Chat {
        /// It has connected to its peer.
        direct: bool,
    },
    Say,
    Pass,
    Hangup,
    /// Its connection is gone.
    Gone,
    /// It has waited for as long as one may.
    WaitedTooLong,
    /// It had the turn for as long as one may.
    TurnTooLong,
}

/// Why an input is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NotInTalk,
    NotYourTurn,
    /// A peer was found already: it hangs up first.
    HasPeer,
    /// The talk is open: it hangs up.
    IsOpen,
    NoTurns,
    /// The talk does not go through the server.
    IsDirect,
}

/// Why a talk is over, or will not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Left,
    Hangup,
    Gone,
    Timeout,
}

impl Ending {
    /// The reason as clients are told it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Hangup => "hangup",
            Self::Gone => "gone",
            Self::Timeout => "timeout",
        }
    }
}

/// What one side is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tale {
    /// It waits again: in its old place where no talk had begun, else behind all others.
    Waiting {
        keeps_place: bool,
    },
    Ready,
    Started,
    /// Somebody passed the turn, or let it pass.
    Turn {
        late: bool,
    },
    /// What was said.
    Message,
    Ended(Ending),
}

/// What comes of an input: the new states, and what each side is told besides the reply to its request, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) pair: Pair,
    pub(crate) to_me: &'static [Tale],
    pub(crate) to_them: &'static [Tale],
}

impl Step {
    const fn quiet(pair: Pair) -> Self {
        Self { pair, to_me: &[], to_them: &[] }
    }
}

/// The one table of legal edges.
pub(crate) fn transition(pair: Pair, input: Input) -> Result<Step, Refused> {
    let step = match input {
        Input::Bridge => bridge(pair),
        Input::Found { turns } => Ok(found(pair, turns)),
        Input::Unbridge if pair.mine.is_open() => Err(Refused::IsOpen),
        Input::Unbridge => end(pair, Ending::Left),
        Input::Chat { direct } => chat(pair, direct),
        Input::Say => say(pair),
        Input::Pass => pass(pair, &[Tale::Turn { late: false }]),
        Input::Hangup => end(pair, Ending::Hangup),
        Input::Gone => end(pair, Ending::Gone),
        Input::WaitedTooLong => {
            assert_eq!(pair.mine, State::Waiting, "only who waits has a deadline for it");
            let to_me = &[Tale::Ended(Ending::Timeout)];
            Ok(Step { pair: Pair::alone(State::Registered), to_me, to_them: &[] })
        }
        Input::TurnTooLong => {
            assert_eq!(pair.mine, State::Relayed(Turn::Mine), "only a turn has a deadline");
            let late = &[Tale::Turn { late: true }];
            pass(pair, late).map(|step| Step { to_me: late, ..step })
        }
    }?;
    assert!(
        step.pair.is_sound()
            || step.pair == Pair { mine: State::Registered, theirs: State::Waiting },
        "both sides agree, or one is out of it and the other waits"
    );
    Ok(step)
}

fn bridge(pair: Pair) -> Result<Step, Refused> {
    match pair.mine {
        State::Registered | State::Waiting => Ok(Step::quiet(Pair::alone(State::Waiting))),
        State::Ready { .. } | State::Relayed(_) | State::Direct(_) => Err(Refused::HasPeer),
    }
}

fn found(pair: Pair, turns: bool) -> Step {
    let both = |state| Pair { mine: state, theirs: state };
    assert_eq!(pair, both(State::Waiting), "those who are found wait");
    let ready = &[Tale::Ready];
    Step { pair: both(State::Ready { turns }), to_me: ready, to_them: ready }
}

fn chat(pair: Pair, direct: bool) -> Result<Step, Refused> {
    let turns = match pair.mine {
        State::Registered | State::Waiting => return Err(Refused::NotInTalk),
        // The peer's came first, or it says so again: nothing changes.
        State::Relayed(_) | State::Direct(_) => return Ok(Step::quiet(pair)),
        State::Ready { turns } => turns,
    };
    let turn = if turns { Turn::Mine } else { Turn::Free };
    let open = if direct { State::Direct } else { State::Relayed };
    let pair = Pair { mine: open(turn), theirs: open(turn.reversed()) };
    let started = &[Tale::Started];
    Ok(Step { pair, to_me: started, to_them: started })
}

fn say(pair: Pair) -> Result<Step, Refused> {
    let turn = relayed(pair)?;
    let pair = match turn {
        Turn::Theirs => return Err(Refused::NotYourTurn),
        Turn::Free => pair,
        Turn::Mine => turned(Turn::Theirs),
    };
    Ok(Step { pair, to_me: &[], to_them: &[Tale::Message] })
}

fn pass(pair: Pair, to_them: &'static [Tale]) -> Result<Step, Refused> {
    match relayed(pair)? {
        Turn::Free => Err(Refused::NoTurns),
        Turn::Theirs => Err(Refused::NotYourTurn),
        Turn::Mine => Ok(Step { pair: turned(Turn::Theirs), to_me: &[], to_them }),
    }
}

/// Who goes is out of it, and a peer waits again.
fn end(pair: Pair, ending: Ending) -> Result<Step, Refused> {
    let kept: &'static [Tale] = match ending {
        Ending::Left => &[Tale::Ended(Ending::Left), Tale::Waiting { keeps_place: true }],
        Ending::Hangup => &[Tale::Ended(Ending::Hangup), Tale::Waiting { keeps_place: true }],
        Ending::Gone => &[Tale::Ended(Ending::Gone), Tale::Waiting { keeps_place: true }],
        Ending::Timeout => unreachable!("nobody ends a talk by waiting"),
    };
    let last: &'static [Tale] = match ending {
        Ending::Hangup => &[Tale::Ended(Ending::Hangup), Tale::Waiting { keeps_place: false }],
        Ending::Gone => &[Tale::Ended(Ending::Gone), Tale::Waiting { keeps_place: false }],
        Ending::Left | Ending::Timeout => kept,
    };
    let them_waiting = Pair { mine: State::Registered, theirs: State::Waiting };
    match pair.mine {
        State::Registered if ending == Ending::Gone => Ok(Step::quiet(pair)),
        State::Registered => Err(Refused::NotInTalk),
        State::Waiting => Ok(Step::quiet(Pair::alone(State::Registered))),
        State::Ready { .. } => Ok(Step { pair: them_waiting, to_me: &[], to_them: kept }),
        State::Relayed(_) | State::Direct(_) => {
            Ok(Step { pair: them_waiting, to_me: &[], to_them: last })
        }
    }
}

/// Whose turn it is in a talk that goes through the server.
const fn relayed(pair: Pair) -> Result<Turn, Refused> {
    match pair.mine {
        State::Registered | State::Waiting | State::Ready { .. } => Err(Refused::NotInTalk),
        State::Direct(_) => Err(Refused::IsDirect),
        State::Relayed(turn) => Ok(turn),
    }
}

const fn turned(mine: Turn) -> Pair {
    Pair { mine: State::Relayed(mine), theirs: State::Relayed(mine.reversed()) }
}
