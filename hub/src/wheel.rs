//! The timer wheel: who is to be woken when.
//!
//! It owns every deadline of the server and nothing else: what a deadline means is its user's
//! business. Nobody drives it but the hub, which arms and cancels while it decides, takes what is
//! due one at a time within a budget, and asks for the next time to sleep until. It reads no clock.
//!
//! This is scheme 7 of George Varghese and Tony Lauck, "Hashed and Hierarchical Timing Wheels: Data
//! Structures for the Efficient Implementation of a Timer Facility" (SOSP 1987): wheels of 64
//! slots, each slot of one wheel as wide as the whole wheel below it. A timer lies on the lowest
//! wheel on which its tick and the current one share everything to the left; when the time reaches
//! its slot, the slot's timers are dealt out over the wheels below, so each timer moves at most
//! once per wheel. Arming and cancelling touch a constant number of words.
//!
//! Ticks are milliseconds. A deadline is rounded up to a tick and the time down, so nothing is ever
//! early.
#![allow(
    clippy::missing_panics_doc,
    reason = "a panic here is a bug of the wheel, no condition on its user"
)]

use core::num::NonZeroU32;

use proto::Now;
use slab::Slab;

/// Slots of one wheel, as a power of two: a word has a bit for each.
const SLOT_BITS: u32 = 6;
/// Slots of one wheel.
const SLOTS: usize = 1 << SLOT_BITS;
/// Wheels above one another: enough for every deadline that can be named, so there is no list of
/// far ones.
const LEVELS: usize = 10;
/// All wheels together, as a power of two of ticks.
const REACH_BITS: u32 = 60;
/// One tick, in microseconds.
const TICK_MICROS: u64 = 1_000;
/// The list of what is due: it comes after those of all slots.
const DUE: u16 = 640;
/// Instead of an index: no timer.
const NOBODY: u32 = u32::MAX;

const _: () = assert!(SLOTS == u64::BITS as usize, "a wheel's slots are the bits of one word");
const _: () = assert!(REACH_BITS as usize == LEVELS * SLOT_BITS as usize, "level by level");
const _: () = assert!(DUE as usize == LEVELS * SLOTS, "the due list follows the slots");
const _: () = assert!(
    u64::MAX / TICK_MICROS < 1 << REACH_BITS,
    "the wheels together reach beyond the last nameable deadline"
);

/// Names one armed timer; it names no other once that timer has fired or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    index: u32,
    serial: NonZeroU32,
}

/// A set of deadlines, each with something of type `T` to hand back.
#[derive(Debug)]
pub struct Wheel<T> {
    /// Everything up to and including this tick has been moved to the due list.
    reached: u64,
    /// For each wheel, which of its slots hold a timer.
    occupied: [u64; LEVELS],
    /// The first timer of each slot, wheel by wheel, then of the due list.
    first: [u32; LEVELS * SLOTS + 1],
    timers: Slab<Timer<T>>,
    /// The serial number of the next timer.
    serial: NonZeroU32,
    #[cfg(feature = "planted")]
    cascade_error: bool,
}

/// One armed timer, a link in the ring of its slot.
#[derive(Debug)]
struct Timer<T> {
    tick: u64,
    what: T,
    serial: NonZeroU32,
    next: u32,
    previous: u32,
    /// The list it is in: `level * SLOTS + slot`, or `DUE`.
    list: u16,
}

impl<T> Wheel<T> {
    /// An empty wheel whose time has come to `now`.
    pub fn new(now: Now) -> Self {
        Self {
            reached: now.as_micros() / TICK_MICROS,
            occupied: [0; LEVELS],
            first: [NOBODY; LEVELS * SLOTS + 1],
            timers: Slab::new(),
            serial: NonZeroU32::MIN,
            #[cfg(feature = "planted")]
            cascade_error: false,
        }
    }

    /// How many timers are armed, due ones included.
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// Arms a timer that hands back `what` at `at` or within the millisecond after it; a time
    /// already past is due at once.
    pub fn arm(&mut self, at: Now, what: T) -> TimerId {
        let serial = self.serial;
        self.serial = serial.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let tick = at.as_micros().div_ceil(TICK_MICROS);
        let timer = Timer { tick, what, serial, next: NOBODY, previous: NOBODY, list: DUE };
        let index = u32::try_from(self.timers.insert(timer)).expect("fewer than 2^32 timers");
        assert_ne!(index, NOBODY, "the mark of no timer is not a timer");
        self.place(index);
        debug_assert!(self.is_armed(TimerId { index, serial }));
        TimerId { index, serial }
    }

    /// Takes a timer back; `None` if it has fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        if !self.is_armed(id) {
            return None;
        }
        self.unlink(id.index);
        Some(self.remove(id.index))
    }

    /// Whether this timer has neither fired nor been cancelled.
    pub fn is_armed(&self, id: TimerId) -> bool {
        self.timers.get(id.index as usize).is_some_and(|timer| timer.serial == id.serial)
    }

    /// Hands out one timer whose deadline is at or before `now`, in the order of their ticks;
    /// `None` if there is no other.
    ///
    /// The time never runs back: an earlier `now` than before counts as the latest one.
    pub fn expire_one(&mut self, now: Now) -> Option<T> {
        let tick = now.as_micros() / TICK_MICROS;
        while self.first[usize::from(DUE)] == NOBODY {
            match self.earliest_slot() {
                Some((level, slot, start)) if start <= tick => self.turn_to(level, slot, start),
                Some(_) | None => {
                    self.reached = self.reached.max(tick);
                    return None;
                }
            }
        }
        let index = self.first[usize::from(DUE)];
        assert!(self.timers[index as usize].tick <= self.reached, "what is due is not early");
        self.unlink(index);
        Some(self.remove(index))
    }

    /// When to look again: never later than the tick of the earliest deadline, and later than the
    /// time of the last `expire_one` that found nothing. `None` if no timer is armed.
    ///
    /// It can be earlier than the earliest deadline, by the width of a slot: whoever wakes then
    /// finds nothing due and asks again, at most once per wheel.
    pub fn next(&self) -> Option<Now> {
        let tick = if self.first[usize::from(DUE)] == NOBODY {
            self.earliest_slot().map(|(_, _, start)| start)
        } else {
            Some(self.reached)
        };
        tick.map(|tick| Now::from_micros(tick.saturating_mul(TICK_MICROS)))
    }

    /// Makes every later cascade put all timers of a slot but the first one whole turn of that
    /// wheel too late: the classic error of a wheel, for the simulator to find.
    #[cfg(feature = "planted")]
    pub fn plant_cascade_error(&mut self) {
        self.cascade_error = true;
    }

    /// Checks every list against every timer; the work grows with both.
    pub fn check_invariants(&self) {
        let mut seen = 0;
        for list in 0..=DUE {
            let first = self.first[usize::from(list)];
            if list < DUE {
                let (level, slot) = (usize::from(list) / SLOTS, usize::from(list) % SLOTS);
                let marked = self.occupied[level] >> slot & 1 == 1;
                assert_eq!(
                    marked,
                    first != NOBODY,
                    "a slot is marked if and only if it is occupied"
                );
            }
            let mut index = first;
            while index != NOBODY {
                let timer = &self.timers[index as usize];
                assert_eq!(timer.list, list, "a timer knows its list");
                assert_eq!(self.list_of(timer.tick), list, "a timer lies where its tick says");
                assert_eq!(self.timers[timer.next as usize].previous, index, "a ring closes");
                seen += 1;
                assert!(seen <= self.timers.len(), "no timer is in two lists");
                index = if timer.next == first { NOBODY } else { timer.next };
            }
        }
        assert_eq!(seen, self.timers.len(), "every timer is in a list");
    }

    /// The list a timer of this tick belongs in, as things stand.
    fn list_of(&self, tick: u64) -> u16 {
        if tick <= self.reached {
            return DUE;
        }
        let level = (tick ^ self.reached).ilog2() / SLOT_BITS;
        let slot = tick >> (SLOT_BITS * level) & (SLOTS as u64 - 1);
        let list = u64::from(level) * SLOTS as u64 + slot;
        u16::try_from(list).expect("all slots together are far fewer than 2^16")
    }

    /// The occupied slot that the time comes to first: its wheel, its place there, and its first
    /// tick. Timers of a lower wheel always come before those of a higher one, since they share
    /// more of their tick with the current one.
    fn earliest_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = SLOT_BITS * u32::try_from(level).expect("ten wheels");
        let above = u64::MAX.checked_shl(shift + SLOT_BITS).unwrap_or(0);
        let start = (self.reached & above) | u64::from(slot) << shift;
        assert!(start > self.reached, "no occupied slot is left behind");
        Some((level, slot as usize, start))
    }

    /// Moves the time to the start of a slot and deals its timers out: to the wheels below, or as
    /// due.
    fn turn_to(&mut self, level: usize, slot: usize, start: u64) {
        assert!(start > self.reached, "the time only goes forward");
        self.reached = start;
        let list = level * SLOTS + slot;
        let first = core::mem::replace(&mut self.first[list], NOBODY);
        self.occupied[level] &= !(1 << slot);
        assert_ne!(first, NOBODY, "only an occupied slot is turned to");
        let end = self.timers[first as usize].previous;
        let mut index = first;
        loop {
            let next = self.timers[index as usize].next;
            self.spoil(index, index == first, level);
            self.place(index);
            if index == end {
                break;
            }
            index = next;
        }
    }

    /// Appends a timer that is in no list to the ring where its tick belongs.
    fn place(&mut self, index: u32) {
        let list = self.list_of(self.timers[index as usize].tick);
        let first = self.first[usize::from(list)];
        let (next, previous) = if first == NOBODY {
            self.first[usize::from(list)] = index;
            (index, index)
        } else {
            let end = core::mem::replace(&mut self.timers[first as usize].previous, index);
            self.timers[end as usize].next = index;
            (first, end)
        };
        let timer = &mut self.timers[index as usize];
        (timer.list, timer.next, timer.previous) = (list, next, previous);
        if list != DUE {
            self.occupied[usize::from(list) / SLOTS] |= 1 << (usize::from(list) % SLOTS);
        }
    }

    /// Takes a timer out of its ring.
    fn unlink(&mut self, index: u32) {
        let Timer { next, previous, list, .. } = self.timers[index as usize];
        let first = &mut self.first[usize::from(list)];
        assert_ne!(*first, NOBODY, "the list of a timer is not empty");
        if next == index {
            assert_eq!(*first, index, "a timer alone is the first");
            *first = NOBODY;
            if list != DUE {
                self.occupied[usize::from(list) / SLOTS] &= !(1 << (usize::from(list) % SLOTS));
            }
            return;
        }
        if *first == index {
            *first = next;
        }
        self.timers[next as usize].previous = previous;
        self.timers[previous as usize].next = next;
    }

    /// Forgets a timer that is in no list any more.
    fn remove(&mut self, index: u32) -> T {
        let timer = self.timers.remove(index as usize);
        if self.timers.is_empty() {
            assert!(self.occupied.iter().all(|&slots| slots == 0), "no timers, no marked slots");
            assert_eq!(self.first[usize::from(DUE)], NOBODY, "no timers, nothing due");
        }
        timer.what
    }

    /// Where the planted error strikes.
    #[cfg(feature = "planted")]
    fn spoil(&mut self, index: u32, is_first: bool, level: usize) {
        if self.cascade_error && !is_first && level > 0 {
            let shift = SLOT_BITS * (u32::try_from(level).expect("ten wheels") + 1);
            let timer = &mut self.timers[index as usize];
            timer.tick = timer.tick.saturating_add(1_u64.checked_shl(shift).unwrap_or(0));
        }
    }

    #[cfg(not(feature = "planted"))]
    #[allow(clippy::unused_self, reason = "the shipped build plants nothing")]
    const fn spoil(&mut self, _index: u32, _is_first: bool, _level: usize) {}
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Now {
        Now::from_micros(millis * 1_000)
    }

    fn all_due(wheel: &mut Wheel<u32>, now: Now) -> Vec<u32> {
        core::iter::from_fn(|| wheel.expire_one(now)).collect()
    }

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        let mut wheel = Wheel::new(millis(5));
        wheel.arm(Now::from_micros(7_001), 1);
        assert_eq!(wheel.next(), Some(millis(8)));
        assert_eq!(wheel.expire_one(Now::from_micros(7_999)), None);
        assert_eq!(wheel.expire_one(millis(8)), Some(1));
        assert_eq!(wheel.expire_one(millis(8)), None);
        assert_eq!(wheel.next(), None);
        wheel.check_invariants();
    }

    #[test]
    fn a_time_already_past_is_due_at_once() {
        let mut wheel = Wheel::new(millis(1_000));
        wheel.arm(millis(10), 1);
        assert_eq!(wheel.next(), Some(millis(1_000)));
        assert_eq!(wheel.expire_one(millis(1_000)), Some(1));
    }

    #[test]
    fn a_stale_name_cancels_nothing_though_its_place_is_taken_again() {
        let mut wheel = Wheel::new(millis(0));
        let old = wheel.arm(millis(3), 1);
        assert_eq!(wheel.cancel(old), Some(1));
        let new = wheel.arm(millis(3), 2);
        assert_eq!(old.index, new.index);
        assert_eq!(wheel.cancel(old), None);
        assert!(!wheel.is_armed(old) && wheel.is_armed(new));
        assert_eq!(wheel.expire_one(millis(3)), Some(2));
        assert_eq!(wheel.cancel(new), None);
    }

    #[test]
    fn timers_fire_in_the_order_of_their_ticks_over_all_wheels() {
        let mut wheel = Wheel::new(millis(63));
        let delays = [86_400_000_u32, 1, 70_000, 64, 4_097, 65, 262_145, 4_096, 5_000, 1];
        for delay in delays {
            wheel.arm(millis(63 + u64::from(delay)), delay);
            wheel.check_invariants();
        }
        let mut sorted = Vec::from(delays);
        sorted.sort_unstable();
        assert_eq!(all_due(&mut wheel, millis(63 + 86_400_000)), sorted);
    }

    #[test]
    fn the_farthest_deadline_has_a_place() {
        let mut wheel = Wheel::new(millis(0));
        let never = wheel.arm(Now::from_micros(u64::MAX), 1);
        wheel.check_invariants();
        assert!(wheel.next().is_some());
        assert_eq!(wheel.expire_one(Now::from_micros(u64::MAX / 2)), None);
        wheel.check_invariants();
        assert_eq!(wheel.cancel(never), Some(1));
        assert!(wheel.is_empty());
    }

    #[test]
    fn whoever_sleeps_until_next_wakes_at_most_once_per_wheel() {
        let mut wheel = Wheel::new(millis(1));
        wheel.arm(millis(400_000_000), 7);
        let mut wakes = 0;
        while !wheel.is_empty() {
            let now = wheel.next().expect("a timer is armed");
            let fired = wheel.expire_one(now);
            assert!(fired.is_none() || now == millis(400_000_000));
            wakes += 1;
        }
        assert!(wakes <= LEVELS, "woke {wakes} times");
    }

    #[test]
    fn ten_thousand_timers_cost_their_bytes_and_no_more() {
        assert_eq!(size_of::<Option<TimerId>>(), 8);
        assert_eq!(size_of::<Timer<u64>>(), 32);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn the_planted_error_makes_a_timer_late() {
        let mut wheel = Wheel::new(millis(0));
        wheel.plant_cascade_error();
        wheel.arm(millis(100), 1);
        wheel.arm(millis(101), 2);
        assert_eq!(all_due(&mut wheel, millis(200)), [1]);
        assert_eq!(all_due(&mut wheel, millis(5_000)), [2]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Arm { delay: u64 },
        ArmInThePast { by: u64 },
        Cancel { pick: usize },
        Advance { by: u64 },
        AdvanceToNext,
        ExpireSome { most: usize },
    }

    /// From a microsecond to some days, every size as likely as the next.
    fn span() -> impl Strategy<Value = u64> {
        (0_u32..40, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1) | 1 << bits)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => span().prop_map(|delay| Step::Arm { delay }),
            1 => span().prop_map(|by| Step::ArmInThePast { by }),
            2 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
            2 => span().prop_map(|by| Step::Advance { by }),
            2 => Just(Step::AdvanceToNext),
            1 => (0_usize..3).prop_map(|most| Step::ExpireSome { most }),
        ]
    }

    /// The wheel and what it should be: deadlines in microseconds by the number each timer hands
    /// back.
    struct Pair {
        wheel: Wheel<u32>,
        model: BTreeMap<u32, u64>,
        names: BTreeMap<u32, TimerId>,
        now: u64,
        armed: u32,
    }

    impl Pair {
        fn arm(&mut self, at: u64) {
            let name = self.wheel.arm(Now::from_micros(at), self.armed);
            self.model.insert(self.armed, at);
            self.names.insert(self.armed, name);
            self.armed += 1;
        }

        fn expire(&mut self, most: usize) {
            for _ in 0..most {
                let Some(fired) = self.wheel.expire_one(Now::from_micros(self.now)) else {
                    let earliest = self.model.values().min();
                    let over = earliest.is_some_and(|&at| at + TICK_MICROS <= self.now);
                    assert!(!over, "a deadline was over by a millisecond and did not fire");
                    return;
                };
                let at = self.model.remove(&fired).expect("it was armed and fired once");
                assert!(at <= self.now, "fired {} µs early", at - self.now);
            }
        }

        fn apply(&mut self, step: &Step) {
            match *step {
                Step::Arm { delay } => self.arm(self.now.saturating_add(delay)),
                Step::ArmInThePast { by } => self.arm(self.now.saturating_sub(by)),
                Step::Cancel { pick } if self.armed > 0 => {
                    let number = u32::try_from(pick % self.armed as usize).expect("below a u32");
                    let was_armed = self.model.remove(&number).map(|_| number);
                    assert_eq!(self.wheel.cancel(self.names[&number]), was_armed);
                }
                Step::Cancel { .. } => {}
                Step::Advance { by } => {
                    self.now += by;
                    self.expire(usize::MAX);
                }
                Step::AdvanceToNext => {
                    if let Some(next) = self.wheel.next() {
                        self.now = self.now.max(next.as_micros());
                    }
                    self.expire(usize::MAX);
                }
                Step::ExpireSome { most } => self.expire(most),
            }
        }

        fn check(&self) {
            self.wheel.check_invariants();
            assert_eq!(self.wheel.len(), self.model.len());
            let earliest =
                self.model.values().min().map(|at| at.div_ceil(TICK_MICROS) * TICK_MICROS);
            match (self.wheel.next(), earliest) {
                (Some(next), Some(tick)) => assert!(next.as_micros() <= tick.max(self.now)),
                (next, tick) => assert!(next.is_none() && tick.is_none()),
            }
        }
    }

    proptest! {
        #[test]
        fn the_wheel_does_what_an_ordered_map_does(
            start in span(),
            steps in proptest::collection::vec(step(), 1..200),
        ) {
            let wheel = Wheel::new(Now::from_micros(start));
            let (model, names) = (BTreeMap::new(), BTreeMap::new());
            let mut pair = Pair { wheel, model, names, now: start, armed: 0 };
            for step in &steps {
                pair.apply(step);
                pair.check();
            }
            while let Some(next) = pair.wheel.next() {
                pair.now = pair.now.max(next.as_micros());
                pair.expire(usize::MAX);
                pair.check();
            }
            prop_assert!(pair.model.is_empty());
        }
    }
}
