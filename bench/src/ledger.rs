//! Who got what: every receiver gets every message of every stream exactly once, in order, and no speaker gets
//! its own. Counting is one look at a number or a bit, so that it is never what is measured.

use std::collections::VecDeque;

use crate::histogram::Histogram;
use crate::wire::Stamp;

/// What each receiver has of each stream.
enum Memory {
    /// The sequence number that comes next, by receiver and stream.
    Next(Vec<u32>),
    /// Whether the one message of a stream was seen, one bit by receiver and stream.
    Once(Vec<u64>),
}

/// All deliveries of a run.
pub(crate) struct Ledger {
    streams: usize,
    memory: Memory,
    /// Deliveries in order, each for the first time.
    pub(crate) delivered: u64,
    /// Deliveries that came before already.
    pub(crate) doubles: u64,
    /// Places where a message is missing.
    pub(crate) holes: u64,
    /// A speaker got its own message.
    pub(crate) echoes: u64,
    /// Broadcasts that are none of ours.
    pub(crate) strangers: u64,
    /// Latencies of the messages stamped from `measured_from` on.
    pub(crate) latency: Histogram,
    pub(crate) measured_from: u64,
    window: Window,
}

/// How many deliveries each outstanding message of stream 0 still lacks.
#[derive(Default)]
struct Window {
    first: u32,
    lacking: VecDeque<usize>,
}

impl Ledger {
    /// For streams of any length.
    pub(crate) fn of_streams(receivers: usize, streams: usize) -> Self {
        Self::new(streams, Memory::Next(vec![0; receivers * streams]))
    }

    /// For streams of one message each, one a receiver.
    pub(crate) fn of_single_messages(receivers: usize) -> Self {
        Self::new(receivers, Memory::Once(vec![0; (receivers * receivers).div_ceil(64)]))
    }

    fn new(streams: usize, memory: Memory) -> Self {
        Self {
            streams,
            memory,
            delivered: 0,
            doubles: 0,
            holes: 0,
            echoes: 0,
            strangers: 0,
            latency: Histogram::new(),
            measured_from: u64::MAX,
            window: Window::default(),
        }
    }

    /// A message of stream 0 is on its way to so many receivers.
    pub(crate) fn sent(&mut self, receivers: usize) {
        self.window.lacking.push_back(receivers);
    }

    /// How many messages of stream 0 some receiver still lacks.
    pub(crate) fn outstanding(&self) -> usize {
        self.window.lacking.len()
    }

    /// A receiver got a text.
    pub(crate) fn took(&mut self, receiver: usize, text: &[u8], now: u64) {
        let Some(stamp) =
            Stamp::read(text).filter(|stamp| usize::from(stamp.stream) < self.streams)
        else {
            self.strangers += 1;
            return;
        };
        if usize::from(stamp.stream) == receiver {
            self.echoes += 1;
        }
        if !self.is_next(receiver, stamp) {
            return;
        }
        self.delivered += 1;
        if stamp.micros >= self.measured_from {
            self.latency.record(now.saturating_sub(stamp.micros));
        }
        if stamp.stream == 0 {
            self.window.took(stamp.sequence);
        }
    }

    /// Whether this is what the receiver should get next; counts what is wrong.
    fn is_next(&mut self, receiver: usize, stamp: Stamp) -> bool {
        let place = receiver * self.streams + usize::from(stamp.stream);
        match &mut self.memory {
            Memory::Next(next) => {
                let next = &mut next[place];
                if stamp.sequence < *next {
                    self.doubles += 1;
                    return false;
                }
                self.holes += u64::from(stamp.sequence - *next);
                *next = stamp.sequence + 1;
            }
            Memory::Once(seen) => {
                let (word, bit) = (&mut seen[place / 64], 1 << (place % 64));
                if *word & bit != 0 {
                    self.doubles += 1;
                    return false;
                }
                *word |= bit;
            }
        }
        true
    }

    /// Whether so many deliveries were made and nothing went wrong.
    pub(crate) fn is_exact(&self, expected: u64) -> bool {
        self.delivered == expected && self.doubles + self.holes + self.echoes == 0
    }
}

impl Window {
    fn took(&mut self, sequence: u32) {
        let place = sequence.checked_sub(self.first).map(|place| place as usize);
        if let Some(lacking) = place.and_then(|place| self.lacking.get_mut(place)) {
            *lacking = lacking.saturating_sub(1);
        }
        while self.lacking.front() == Some(&0) {
            self.lacking.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stream: u16, sequence: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        Stamp { stream, sequence, micros: 5 }.chat(40, &mut bytes);
        bytes.split_off(10)
    }

    #[test]
    fn each_fault_is_counted_as_what_it_is() {
        let mut ledger = Ledger::of_streams(3, 2);
        ledger.measured_from = 0;
        ledger.took(1, &text(0, 0), 9);
        ledger.took(2, &text(0, 0), 9);
        assert!(ledger.is_exact(2) && !ledger.is_exact(3));
        assert_eq!(ledger.latency.most(), 4);
        ledger.took(2, &text(0, 0), 9);
        ledger.took(2, &text(0, 3), 9);
        ledger.took(1, &text(1, 0), 9);
        ledger.took(1, &text(7, 0), 9);
        ledger.took(1, b"words", 9);
        let Ledger { delivered, doubles, holes, echoes, strangers, .. } = ledger;
        assert_eq!((delivered, doubles, holes, echoes, strangers), (4, 1, 2, 1, 2));
    }

    #[test]
    fn single_messages_come_once() {
        let mut ledger = Ledger::of_single_messages(70);
        for receiver in 1..70 {
            ledger.took(receiver, &text(0, 0), 9);
        }
        assert!(ledger.is_exact(69));
        ledger.took(69, &text(0, 0), 9);
        assert_eq!(ledger.doubles, 1);
    }

    #[test]
    fn a_message_is_outstanding_until_the_last_has_it() {
        let mut ledger = Ledger::of_streams(3, 1);
        ledger.sent(2);
        ledger.sent(2);
        ledger.took(1, &text(0, 0), 9);
        ledger.took(1, &text(0, 1), 9);
        assert_eq!(ledger.outstanding(), 2);
        ledger.took(2, &text(0, 0), 9);
        assert_eq!(ledger.outstanding(), 1);
        ledger.took(2, &text(0, 1), 9);
        assert_eq!(ledger.outstanding(), 0);
    }
}
