//! The machine against its own promises, and the queue against a search through everybody.

extern crate std;

use std::format;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use proto::{Nick, Turns};

use crate::connection::ConnId;
use crate::talks::machine::{Ending, Input, Pair, Refused, State, Step, Tale, Turn, transition};
use crate::talks::queue::{Queue, Waiter};

/// Every pair that there can be between two inputs.
fn pairs() -> Vec<Pair> {
    let turns = [Turn::Free, Turn::Mine, Turn::Theirs];
    let mut states = vec![State::Registered, State::Waiting];
    states.extend([true, false].map(|turns| State::Ready { turns }));
    states.extend(turns.map(State::Relayed));
    states.extend(turns.map(State::Direct));
    let pair = |mine: State| Pair { mine, theirs: mine.mirrored().unwrap_or(State::Registered) };
    states.into_iter().map(pair).collect()
}

/// What a client can ask for in whatever state it is, and what may happen to it.
const ASKED: [Input; 8] = [
    Input::Bridge,
    Input::Unbridge,
    Input::Chat { direct: false },
    Input::Chat { direct: true },
    Input::Say,
    Input::Pass,
    Input::Hangup,
    Input::Gone,
];

fn told(pair: Pair, input: Input) -> (&'static [Tale], &'static [Tale]) {
    let step = transition(pair, input).unwrap();
    (step.to_me, step.to_them)
}

#[test]
fn whatever_is_asked_in_whatever_state_both_sides_agree_or_nothing_changes() {
    for pair in pairs() {
        assert!(pair.is_sound());
        for input in ASKED {
            let Ok(step) = transition(pair, input) else { continue };
            let is_over = pair.mine.has_peer() && !step.pair.mine.has_peer();
            if is_over {
                let left = Pair { mine: State::Registered, theirs: State::Waiting };
                assert_eq!(step.pair, left, "{pair:?} {input:?}");
                assert!(matches!(step.to_them, [Tale::Ended(_), Tale::Waiting { .. }]));
            } else {
                assert!(step.pair.is_sound(), "{pair:?} {input:?} {step:?}");
            }
            if step.pair.theirs != pair.theirs {
                assert!(!step.to_them.is_empty(), "nobody's state changes behind its back");
            }
            if !pair.mine.has_peer() {
                assert!(step.to_them.is_empty(), "nobody is told where there is nobody");
            }
        }
    }
}

#[test]
fn each_state_refuses_what_it_does_not_allow() {
    use Refused::{HasPeer, IsDirect, IsOpen, NoTurns, NotInTalk, NotYourTurn};
    let all = |pair| ASKED.map(|input| transition(pair, input).err());
    let mirrored = |mine: State| Pair { mine, theirs: mine.mirrored().unwrap() };
    let (talk, turn) = (Some(NotInTalk), Some(NotYourTurn));
    assert_eq!(
        all(Pair::alone(State::Registered)),
        [None, talk, talk, talk, talk, talk, talk, None]
    );
    assert_eq!(all(Pair::alone(State::Waiting)), [None, None, talk, talk, talk, talk, None, None]);
    let found = [Some(HasPeer), None, None, None, talk, talk, None, None];
    for turns in [true, false] {
        assert_eq!(all(mirrored(State::Ready { turns })), found);
    }
    let open = |say, pass| [Some(HasPeer), Some(IsOpen), None, None, say, pass, None, None];
    assert_eq!(all(mirrored(State::Relayed(Turn::Free))), open(None, Some(NoTurns)));
    assert_eq!(all(mirrored(State::Relayed(Turn::Mine))), open(None, None));
    assert_eq!(all(mirrored(State::Relayed(Turn::Theirs))), open(turn, turn));
    for turn in [Turn::Free, Turn::Mine, Turn::Theirs] {
        let direct = Some(IsDirect);
        assert_eq!(all(mirrored(State::Direct(turn))), open(direct, direct));
    }
}

#[test]
fn the_opener_writes_first_and_each_message_passes_the_turn() {
    let waiting = Pair { mine: State::Waiting, theirs: State::Waiting };
    let ready = transition(waiting, Input::Found { turns: true }).unwrap().pair;
    let Step { pair, to_me, to_them } = transition(ready, Input::Chat { direct: false }).unwrap();
    assert_eq!((to_me, to_them), (&[Tale::Started][..], &[Tale::Started][..]));
    assert_eq!(pair.mine, State::Relayed(Turn::Mine));
    // The other side opens it at the same time: it is open already, and not its turn.
    let other = Pair { mine: pair.theirs, theirs: pair.mine };
    let again = transition(other, Input::Chat { direct: true }).unwrap();
    assert_eq!(again, Step { pair: other, to_me: &[], to_them: &[] });
    let said = transition(pair, Input::Say).unwrap();
    assert_eq!(
        (said.pair.mine, said.to_them),
        (State::Relayed(Turn::Theirs), &[Tale::Message][..])
    );
    let late = transition(pair, Input::TurnTooLong).unwrap();
    assert_eq!(late.pair, said.pair);
    assert_eq!((late.to_me, late.to_them), (late.to_them, &[Tale::Turn { late: true }][..]));
}

#[test]
fn whose_peer_goes_before_the_talk_keeps_its_place() {
    let waits = |pair, input| match told(pair, input) {
        ([], [Tale::Ended(ending), Tale::Waiting { keeps_place }]) => (*ending, *keeps_place),
        other => panic!("{other:?}"),
    };
    let ready = Pair { mine: State::Ready { turns: true }, theirs: State::Ready { turns: true } };
    let open = Pair { mine: State::Direct(Turn::Free), theirs: State::Direct(Turn::Free) };
    assert_eq!(waits(ready, Input::Unbridge), (Ending::Left, true));
    assert_eq!(waits(ready, Input::Hangup), (Ending::Hangup, true));
    assert_eq!(waits(ready, Input::Gone), (Ending::Gone, true));
    assert_eq!(waits(open, Input::Hangup), (Ending::Hangup, false));
    assert_eq!(waits(open, Input::Gone), (Ending::Gone, false));
}

proptest! {
    /// However they go on: with turns exactly one side may write, at any moment, and a talk has turns from its beginning to its
    /// end or never.
    #[test]
    fn exactly_one_side_writes_by_turns(
        turns in any::<bool>(),
        inputs in proptest::collection::vec((any::<bool>(), 0_usize..6), 1..60),
    ) {
        let waiting = Pair { mine: State::Waiting, theirs: State::Waiting };
        let mut pair = transition(waiting, Input::Found { turns }).unwrap().pair;
        for (swapped, input) in inputs {
            if swapped {
                pair = Pair { mine: pair.theirs, theirs: pair.mine };
            }
            let late = pair.mine == State::Relayed(Turn::Mine) && input == 5;
            let input = if late { Input::TurnTooLong } else { ASKED[input] };
            if let Ok(step) = transition(pair, input) {
                pair = step.pair;
            }
            if !pair.mine.has_peer() {
                break;
            }
            let writes = |mine: State| matches!(mine, State::Relayed(Turn::Free | Turn::Mine));
            if matches!(pair.mine, State::Relayed(_)) {
                let both = usize::from(writes(pair.mine)) + usize::from(writes(pair.theirs));
                prop_assert_eq!(both, if turns { 1 } else { 2 });
            }
        }
    }

    /// Whoever comes finds the first of all who go with it, as a look at each of them finds it.
    #[test]
    fn the_queue_finds_what_a_look_at_everybody_finds(
        steps in proptest::collection::vec((0_u32..12, 0_usize..5, 0_usize..9, 0_usize..3), 1..80),
    ) {
        let key = |name: usize| Nick::parse(&format!("n{name}")).unwrap().key();
        // Two of them share a name, as those of one user on the control socket do; one name is not its owner's.
        let name = |who: u32| usize::try_from(who % 11).unwrap();
        let is_meant = |waiter: &Waiter| waiter.called != key(3);
        let mut queue = Queue::default();
        let mut all: Vec<Waiter> = Vec::new();
        for (place, (who, leaves, wanted, turns)) in steps.into_iter().enumerate() {
            let id = ConnId::new(who, 1);
            let gone = queue.leave(id);
            prop_assert_eq!(gone.is_some(), all.iter().any(|waiter| waiter.who == id));
            all.retain(|waiter| waiter.who != id);
            if leaves == 0 {
                continue;
            }
            let waiter = Waiter {
                who: id,
                called: key(name(who)),
                wanted: (wanted < 6).then(|| key(wanted)),
                turns: Turns::ALL[turns],
                place: place as u64,
            };
            let first = all.iter().filter(|other| other.goes_with(&waiter, &is_meant));
            let first = first.min_by_key(|other| other.place).map(|other| other.who);
            let found = queue.first_for(&waiter, &is_meant).map(|other| other.who);
            prop_assert_eq!(found, first);
            if let Some(found) = found {
                queue.leave(found);
                all.retain(|waiter| waiter.who != found);
            } else {
                queue.enter(waiter.clone());
                all.push(waiter);
            }
            queue.check_invariants();
            prop_assert_eq!(queue.unmatched(&is_meant).next(), None);
        }
        prop_assert_eq!(queue.len(), all.len());
    }
}
