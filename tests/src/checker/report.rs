//! What was found: each anomaly with a count and its first witnesses.

use std::fmt;

use super::Op;
use super::history::{Event, History};

/// So many witnesses of an anomaly are told; the others are counted.
const WITNESSES_MAX: usize = 5;

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// A1: acknowledged, and not in the final log.
    Lost,
    /// A2: in the final log, and never posted.
    Invented,
    /// A3: one id at two places.
    Doubled,
    /// A4: two observers heard different messages at one place.
    Split,
    /// A5: one connection heard, or one author's posts stand, out of order.
    Disordered,
    /// A6: passed over without a word.
    Hole,
    /// A7: heard live, and not in the final log.
    Phantom,
    /// A8: one place given to two messages.
    Reused,
    /// A9: other content than was posted.
    Changed,
    /// A10: refused, and yet in the final log.
    FalseNo,
    /// A11: posted after another was acknowledged, and yet before it.
    TimeTurned,
    /// A12: the reply told of another place than the final log has.
    Misplaced,
    /// A13: not served, or not given its due, 5 s after all was healed.
    Late,
    /// A14: a receipt that is told twice, or that nobody asked for or gave.
    Receipts,
}

/// All of them, by number.
const ALL: [Anomaly; 14] = [
    Anomaly::Lost,
    Anomaly::Invented,
    Anomaly::Doubled,
    Anomaly::Split,
    Anomaly::Disordered,
    Anomaly::Hole,
    Anomaly::Phantom,
    Anomaly::Reused,
    Anomaly::Changed,
    Anomaly::FalseNo,
    Anomaly::TimeTurned,
    Anomaly::Misplaced,
    Anomaly::Late,
    Anomaly::Receipts,
];

impl Anomaly {
    /// All of them, by number.
    pub const fn all() -> &'static [Self; 14] {
        &ALL
    }

    /// Its number: 1 is A1.
    pub fn number(self) -> usize {
        ALL.iter().position(|one| *one == self).unwrap() + 1
    }

    /// What it is, in a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Lost => "acknowledged, not in the final log",
            Self::Invented => "in the final log, never posted",
            Self::Doubled => "one id at two places",
            Self::Split => "two observers, two messages at one place",
            Self::Disordered => "a connection or an author out of order",
            Self::Hole => "passed over without a gap",
            Self::Phantom => "heard live, not in the final log",
            Self::Reused => "one place given twice",
            Self::Changed => "other content than was posted",
            Self::FalseNo => "refused, yet in the final log",
            Self::TimeTurned => "posted after an acknowledgment, placed before it",
            Self::Misplaced => "acknowledged at another place",
            Self::Late => "not given its due within 5 s",
            Self::Receipts => "a receipt twice or unasked",
        }
    }
}

/// How often an anomaly was found, and where first.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// How often.
    pub count: u64,
    /// The first of them, in words.
    pub witnesses: Vec<String>,
}

/// What was found in a history.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many events it has.
    pub events: usize,
    /// How many different messages were posted.
    pub posted: usize,
    /// How many of them were acknowledged.
    pub acknowledged: usize,
    /// How often a message was heard, replays included.
    pub heard: usize,
    /// How many messages the final log has.
    pub kept: usize,
    /// How many faults there were.
    pub faults: usize,
    findings: [Finding; ALL.len()],
}

impl Report {
    pub(super) fn new(history: &History) -> Self {
        let messages = || history.messages.iter().filter(|known| !known.posts.is_empty());
        Self {
            events: history.len(),
            posted: messages().count(),
            acknowledged: messages().filter(|known| known.acknowledged.is_some()).count(),
            heard: history.events.iter().filter(|event| event.hears()).count(),
            kept: history.rooms.iter().map(|room| room.seqs.len()).sum(),
            faults: history.events.iter().filter(|event| event.op == Op::Fault).count(),
            findings: Default::default(),
        }
    }

    /// Notes one; `beside` is what it contradicts.
    pub(super) fn found(
        &mut self,
        anomaly: Anomaly,
        history: &History,
        event: &Event,
        beside: Option<&Event>,
    ) {
        self.found_often(anomaly, 1, history, event, beside);
    }

    /// Notes several with one witness.
    pub(super) fn found_often(
        &mut self,
        anomaly: Anomaly,
        times: u64,
        history: &History,
        event: &Event,
        beside: Option<&Event>,
    ) {
        let finding = &mut self.findings[anomaly.number() - 1];
        finding.count += times;
        if finding.witnesses.len() < WITNESSES_MAX {
            let beside = beside.map(|beside| format!("; {}", history.tell(beside)));
            finding.witnesses.push(history.tell(event) + &beside.unwrap_or_default());
        }
    }

    /// What was found of an anomaly.
    pub fn of(&self, anomaly: Anomaly) -> &Finding {
        &self.findings[anomaly.number() - 1]
    }

    /// Which were found.
    pub fn anomalies(&self) -> Vec<Anomaly> {
        ALL.into_iter().filter(|anomaly| self.of(*anomaly).count > 0).collect()
    }

    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.anomalies().is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, posted, acknowledged, heard, kept, faults, .. } = self;
        writeln!(
            to,
            "{events} events, {faults} faults: {posted} messages posted, {acknowledged} acknowledged, {kept} in the final log, heard {heard} times"
        )?;
        for anomaly in ALL {
            let Finding { count, witnesses } = self.of(anomaly);
            writeln!(
                to,
                "{:>4} {count:>8}  {}",
                format!("A{}", anomaly.number()),
                anomaly.words()
            )?;
            for witness in witnesses {
                writeln!(to, "               {witness}")?;
            }
        }
        Ok(())
    }
}
