//! Handing out: every member of a room gets what was said since it last got something, as runs of the room's blocks.
//!
//! This is the only loop over members. It encodes nothing, formats nothing, writes nothing and, for receivers that keep up,
//! allocates nothing: a run is three numbers.

use core::ops::Range;

use proto::{Dialect, Now};

use crate::Hub;
use crate::block::{Block, BlockNo};
use crate::connection::{ConnId, Connection, Phase};
use crate::deadlines::arm_by;
use crate::outbox::Outbox;
use crate::planted::Planted;
use crate::rooms::{Excluded, RoomNo};
use crate::settings::{BACKLOG_BYTES_MAX, BACKLOG_FRAMES_MAX};

impl Hub {
    /// The end of a turn's deciding: this turn's blocks are sealed, and every member gets its runs; whoever is past a
    /// limit is skipped or cut.
    pub fn settle(&mut self, now: Now, out: &mut Outbox) {
        self.tick(now);
        self.settle_talks(out);
        if self.settings.plants(Planted::SeamDoublesOne) {
            self.replay(out);
        }
        while let Some(&no) = self.rooms.dirty.last() {
            for dialect in Dialect::ALL {
                self.hand_out(no, dialect, out);
            }
            let done = self.rooms.dirty.pop();
            assert_eq!(done, Some(no), "handing out says nothing new");
            self.sweep(no);
        }
        self.replay(out);
        self.limit_store(out);
        self.sweep_idle();
        assert!(self.rooms.dirty.is_empty(), "nothing is left to be handed out");
        assert!(self.past_limit.is_empty(), "everybody past a limit was dealt with");
    }

    /// Seals a room's open block of a dialect and gives each member the part of it that it does not have yet.
    pub(crate) fn hand_out(&mut self, no: RoomNo, dialect: Dialect, out: &mut Outbox) {
        let Some(room) = self.rooms.get_mut(no) else { return };
        let Some(block_no) = room.open[dialect.index()].take() else { return };
        self.blocks.seal(block_no);
        let block = self.blocks.get(block_no);
        let len = block.len();
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let across = self.settings.plants(Planted::RunAcrossExcluded);
        let skips = self.settings.plants(Planted::SkippedReceiver);
        let excluded = &mut room.excluded[dialect.index()];
        excluded.sort_unstable();
        let mut own = if across { &[][..] } else { &excluded[..] };
        let mut runs = 0;
        let mut messages = 0;
        for (index, member) in room.members.iter_mut().enumerate() {
            if member.dialect != dialect {
                continue;
            }
            let from = core::mem::replace(&mut member.from, 0);
            let (mine, others) = own_frames(own, member.conn);
            own = others;
            if from == len || !member.is_live() {
                continue;
            }
            if skips && index == 1 && len.is_multiple_of(5) {
                continue;
            }
            let connection = self.connections.known(member.conn);
            if !connection.phase.is_live() {
                continue;
            }
            let was_empty = connection.queue.is_empty();
            let given = give(connection, block_no, block, from..len, mine);
            runs += given.runs;
            messages += given.messages;
            if was_empty && !connection.queue.is_empty() {
                connection.waiting_since = self.now;
                if let Some(at) = self.settings.stall.map(|stall| self.now.after(stall)) {
                    arm_by(connection, &mut self.wheel, at);
                }
            }
            if connection.has_news(false, self.now) {
                out.flush.push(member.conn);
            }
            if is_past_limit(connection, limit) {
                self.past_limit.push(member.conn);
            }
        }
        excluded.clear();
        self.counters.deliveries += messages;
        self.blocks.read_by(block_no, runs);
        while let Some(id) = self.past_limit.pop() {
            self.fell_behind(id, out);
        }
    }

    /// Gives one connection what its rooms said this turn, before something private comes behind it.
    pub(crate) fn settle_connection(&mut self, id: ConnId, out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        // Who hears no room perhaps speaks a dialect that no room is heard in.
        let hears = !connection.rooms.is_empty() && connection.phase.is_live();
        if self.rooms.dirty.is_empty() || !hears {
            return;
        }
        let was_empty = connection.queue.is_empty();
        for at in 0..self.rooms.dirty.len() {
            let no = self.rooms.dirty[at];
            let Some(room) = self.rooms.get_mut(no) else { continue };
            let dialect = connection.dialect.index();
            let Some(block_no) = room.open[dialect] else { continue };
            let block = self.blocks.get(block_no);
            let excluded = core::mem::take(&mut room.excluded[dialect]);
            let Some(member) = room.member_mut(id) else {
                room.excluded[dialect] = excluded;
                continue;
            };
            let from = core::mem::replace(&mut member.from, block.len());
            if member.is_live() {
                let mine = excluded.iter().filter(|own| own.conn == id);
                let given = give(connection, block_no, block, from..block.len(), mine);
                self.counters.deliveries += given.messages;
                self.blocks.read_by(block_no, given.runs);
            }
            room.excluded[dialect] = excluded;
        }
        let queued = was_empty && !connection.queue.is_empty();
        let past_limit = is_past_limit(connection, self.settings.outbox.unwrap_or(usize::MAX));
        if queued {
            self.queued(id, true, out);
        }
        if past_limit {
            self.fell_behind(id, out);
        }
    }
}

/// What a connection was given.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    /// Runs that became chunks of its queue.
    runs: u32,
    messages: u64,
}

/// Queues a range of a block for a connection, without its own frames.
fn give<'a>(
    connection: &mut Connection,
    no: BlockNo,
    block: &Block,
    range: Range<u32>,
    own: impl IntoIterator<Item = &'a Excluded>,
) -> Given {
    let mut given = Given::default();
    for range in gaps_between(range, own) {
        given.runs += u32::from(connection.queue.push_run(no, &range));
        given.messages += u64::from(block.count_messages(&range));
        if connection.phase == Phase::Undecided {
            connection.held_frames += block.count_frames(&range);
        }
    }
    given
}

/// Whether more waits for a connection than may.
fn is_past_limit(connection: &Connection, limit: usize) -> bool {
    if connection.phase != Phase::Undecided {
        return connection.queue.bytes() > limit;
    }
    connection.queue.bytes() > limit.min(BACKLOG_BYTES_MAX)
        || connection.held_frames > BACKLOG_FRAMES_MAX
}

/// A connection's own frames at the beginning of a list sorted by connection, and those of the connections after it.
fn own_frames(list: &[Excluded], conn: ConnId) -> (&[Excluded], &[Excluded]) {
    if list.first().is_none_or(|own| own.conn > conn) {
        return (&[], list);
    }
    let begin = list.partition_point(|own| own.conn < conn);
    let end = list.partition_point(|own| own.conn <= conn);
    (&list[begin..end], &list[end..])
}

/// The parts of a range that lie between some frames, which are in order.
fn gaps_between<'a>(
    range: Range<u32>,
    frames: impl IntoIterator<Item = &'a Excluded>,
) -> impl Iterator<Item = Range<u32>> {
    let mut from = range.start;
    let to = range.end;
    let mut frames = frames.into_iter();
    core::iter::from_fn(move || {
        loop {
            match frames.next() {
                Some(own) if own.to <= from => {}
                Some(own) => {
                    let gap = from..own.from;
                    from = own.to;
                    if !gap.is_empty() {
                        return Some(gap);
                    }
                }
                None if from < to => {
                    let gap = from..to;
                    from = to;
                    return Some(gap);
                }
                None => return None,
            }
        }
    })
}
