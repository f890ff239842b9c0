//! The sweep over everything that must hold between two inputs. Tests and the simulator call it after each.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proto::encode::DIALECTS;

use crate::Hub;
use crate::block::BlockNo;
use crate::connection::{Connection, Pause, Phase};
use crate::leave::Course;
use crate::rooms::{Pending, Room, RoomNo, Standing, Ticket};

impl Hub {
    /// Checks everything against everything; the work grows with all of it.
    pub fn check_invariants(&self) {
        self.wheel.check_invariants();
        self.check_blocks();
        self.check_connections();
        self.check_names();
        for (no, room) in self.rooms.iter() {
            self.check_room(no, room);
        }
        self.rooms.check_makers();
        self.check_lasting_rooms();
        self.check_waiting();
        self.check_refused();
        self.check_replays();
        self.check_quotas();
        self.check_turned_away();
        self.check_bans();
        self.check_directs();
        if self.connections.len() == 0 {
            assert_eq!(self.wheel.len(), 0, "no connections, no timers");
            assert_eq!(
                self.private_bytes + self.kept_bytes,
                0,
                "no connections, no bytes of theirs"
            );
            if self.rooms.dirty.is_empty() {
                assert_eq!(self.blocks.len(), 0, "no connections, no blocks");
            }
        }
    }

    /// Each block has as many readers as there are runs in queues, and none is kept for nobody.
    fn check_blocks(&self) {
        let mut runs: BTreeMap<BlockNo, u32> = BTreeMap::new();
        for connection in self.connections.iter() {
            for run in connection.queue.runs() {
                *runs.entry(run.block).or_default() += 1;
                let block = self.blocks.get(run.block);
                assert!(run.from < run.to && run.to <= block.len(), "a run lies in its block");
                assert_eq!(block.frame_end(run.from), run.from, "a run begins with a frame");
                assert_eq!(block.frame_end(run.to), run.to, "a run ends with a frame");
                assert!(
                    block.dialect == connection.dialect
                        || (connection.dialect == proto::Dialect::NativeV1
                            && block.dialect == proto::Dialect::Native05),
                    "a run is in its reader's dialect, or from before its `hello`"
                );
            }
        }
        let mut bytes = 0;
        for (no, block) in self.blocks.iter() {
            let readers = runs.get(&no).copied().unwrap_or(0);
            assert_eq!(block.readers(), readers, "a block has one reader for each run in it");
            assert!(readers > 0 || block.is_open(), "a block without a reader is freed");
            if block.is_open() {
                let room = self.rooms.known(block.room);
                let open = room.open[block.dialect.index()];
                assert_eq!(open, Some(no), "an open block is its room's");
                assert!(self.rooms.dirty.contains(&block.room), "its room is to be settled");
            }
            bytes += block.weight();
        }
        assert_eq!(bytes, self.blocks.bytes(), "the sum of all blocks is right");
    }

    fn check_connections(&self) {
        let (mut private, mut kept, mut timers) = (0, 0, 0);
        for connection in self.connections.iter() {
            self.check_connection(connection);
            private += connection.private;
            kept += connection.kept_bytes();
            timers += usize::from(connection.timer.is_some());
        }
        assert_eq!(private, self.private_bytes, "the sum of private bytes is right");
        assert_eq!(kept, self.kept_bytes, "the sum of kept bytes is right");
        assert!(kept <= self.settings.kept, "kept bytes keep within their limit");
        assert_eq!(
            timers + self.check_gatherings() + self.check_talks() + self.refused.timers(),
            self.wheel.len(),
            "each connection, gathering and talker has at most one timer, and so has what is held back"
        );
    }

    fn check_connection(&self, connection: &Connection) {
        let id = connection.id;
        let queue = &connection.queue;
        let bytes: usize = queue.chunks().map(crate::queue::Chunk::len).sum();
        assert_eq!(
            bytes,
            queue.bytes() + queue.offset() as usize,
            "a queue has as many bytes as its chunks"
        );
        let private: usize = queue.chunks().map(crate::queue::Chunk::private).sum();
        assert_eq!(private, connection.private, "private bytes are those of private chunks");
        assert!(
            connection.timer.is_none_or(|timer| self.wheel.is_armed(timer)),
            "its timer is armed"
        );
        assert!(connection.rooms.is_sorted(), "a connection's rooms are sorted");
        self.check_own_rooms(connection);
        let skipped = connection.rooms.iter().map(|no| {
            let member = self.rooms.known(*no).member(id).expect("a connection is in its rooms");
            u32::from(member.gap_from().is_some())
        });
        assert_eq!(skipped.sum::<u32>(), connection.gaps, "it is skipped in so many rooms");
        self.check_phase(connection);
        let waits = connection.phase.is_written() && !queue.is_empty();
        assert!(!waits || connection.listed, "the caller knows of all that waits");
        assert!(
            connection.phase.is_live() || connection.pause == Pause::No,
            "only who lives is paused"
        );
        let stall = self.settings.stall.is_some() && connection.phase != Phase::Closing;
        assert!(!(waits && stall) || connection.timer.is_some(), "what waits has a deadline");
    }

    /// Whether a connection is as its phase says.
    fn check_phase(&self, connection: &Connection) {
        let queue = &connection.queue;
        match connection.phase {
            Phase::Undecided => {
                assert!(
                    connection.nick.is_none() && !connection.listed,
                    "who is undecided is neither shown nor written"
                );
                assert_eq!((connection.private, queue.offset()), (0, 0), "and is told nothing");
                let frames =
                    queue.runs().map(|run| self.blocks.get(run.block).count_frames(&run.range()));
                assert_eq!(frames.sum::<u32>(), connection.held_frames, "held frames are counted");
            }
            Phase::TurnedAway => assert!(queue.is_empty(), "who stands is told when it has asked"),
            Phase::Listening => assert!(connection.nick.is_none(), "a listener is not shown"),
            Phase::Native => {}
            Phase::V1 => {
                assert!(connection.nick.is_some(), "who said hello has a name");
                let speaks = [proto::Dialect::NativeV1, proto::Dialect::WebSocket];
                assert!(speaks.contains(&connection.dialect), "and is answered in v1");
            }
            Phase::Control => {
                let begun = connection.unfinished.is_some();
                assert!(!begun || !connection.kept.is_empty(), "a line is kept until it ends");
            }
            Phase::Http => {
                assert!(connection.rooms.is_empty(), "who asks over HTTP hears no room");
                assert_eq!(connection.dialect, proto::Dialect::Http, "and is answered over HTTP");
                let waits = matches!(connection.pause, Pause::Answer { .. });
                assert!(!waits || connection.exchange.is_some(), "it waits for its own answer");
            }
            Phase::Events => {
                assert_eq!(connection.dialect, proto::Dialect::Events, "it hears events");
                let waits = connection.pause != Pause::No;
                assert!(
                    connection.kept.is_empty() || waits,
                    "what it says is dropped, at its quota"
                );
            }
            Phase::Echo => {
                assert!(connection.rooms.is_empty(), "the echo hears no room");
            }
            Phase::Leaving(_) => {
                assert!(connection.kept.is_empty(), "nothing is heard from who leaves");
                let bounded = !connection.flushes_at_its_pace() || self.settings.stall.is_some();
                assert!(!bounded || connection.timer.is_some(), "leaving has its deadline");
            }
            Phase::Lingering { .. } => {
                assert!(queue.is_empty() && connection.kept.is_empty(), "all is said and heard");
                assert!(connection.dialect.is_web(), "only who came over HTTP lingers");
                assert!(connection.timer.is_some(), "and not for ever");
                let goes = connection.rooms.is_empty() || self.lingering.contains(&connection.id);
                assert!(goes, "nor in its rooms");
            }
            Phase::Closing => {
                assert!(
                    queue.is_empty() && connection.kept.is_empty() && connection.timer.is_none(),
                    "nothing is left of who is closed"
                );
            }
        }
    }

    /// Each name has one owner, who has it.
    fn check_names(&self) {
        let is_login = |connection: &&Connection| connection.login().is_some();
        let logins = self.connections.iter().filter(is_login).count();
        self.names.check_invariants(logins, |id| {
            let connection = self.connections.get(id).expect("a name's owner is there");
            connection.nick.clone().expect("a name's owner has it")
        });
        let mut owners = 0;
        for connection in self.connections.iter() {
            let named = connection.dialect != proto::Dialect::Control;
            let Some(nick) = connection.nick.as_ref().filter(|_| named) else { continue };
            let owns = self.names.owner(nick) == Some(connection.id);
            owners += usize::from(owns);
            let is_out = matches!(connection.phase, Phase::Lingering { .. } | Phase::Closing);
            let is_out = is_out && connection.rooms.is_empty();
            assert!(
                owns || is_out,
                "each TCP connection with a name owns it, until nobody meets it"
            );
        }
        assert_eq!(owners, self.names.len(), "each name has an owner");
    }

    fn check_room(&self, no: RoomNo, room: &Room) {
        assert_eq!(self.rooms.find(&room.name), Some(no), "a room is found by its name");
        assert!(room.members.is_sorted_by(|a, b| a.conn < b.conn), "members are sorted, each once");
        let mut audience = [0; DIALECTS];
        for member in &room.members {
            let connection = self.connections.get(member.conn).expect("a member is there");
            assert!(connection.rooms.contains(&no), "a member knows its room");
            assert_eq!(
                connection.dialect, member.dialect,
                "a member's dialect is its connection's"
            );
            assert_eq!(
                member.standing == Standing::Held,
                connection.phase == Phase::Undecided || was_held(connection, member.standing),
                "who is undecided is held"
            );
            let open = room.open[member.dialect.index()];
            let len = open.map_or(0, |block| self.blocks.get(block).len());
            assert!(member.from <= len, "nobody is ahead of the room");
            assert!(
                member.gap_from().is_none_or(|from| from <= room.last_released),
                "a gap begins with what was released"
            );
            audience[member.dialect.index()] += 1;
        }
        assert_eq!(audience, room.audience, "the audience is counted");
        let shown = room.members.iter().filter(|member| member.standing.is_shown()).count();
        assert_eq!(shown, room.shown, "those who are shown are counted");
        self.check_keepers(no, room);
        let frames: Vec<_> = room.recent.iter().map(|recent| recent.seq).collect();
        assert!(frames.is_sorted_by(|a, b| a < b), "recent messages are in their order");
        assert!(
            frames.last().is_none_or(|last| *last <= room.last_released),
            "what is recent is released"
        );
        assert!(
            room.queue.front().is_none_or(Pending::waits_for_store) || self.portion.holds(no),
            "what can be released is, or is held until the next flush"
        );
        let dirty = self.rooms.dirty.contains(&no);
        assert!(
            dirty || room.open.iter().all(Option::is_none),
            "an open block is to be handed out"
        );
    }

    /// The rooms that count for who follows everything are those that it does not only overhear.
    fn check_own_rooms(&self, connection: &Connection) {
        let Some(own) = self.rooms.own_rooms_of_everywhere(connection.id) else { return };
        let is_own = |no: &&RoomNo| {
            let member = self.rooms.known(**no).member(connection.id);
            member.is_some_and(|member| member.standing != Standing::Overhearing)
        };
        let counted = connection.rooms.iter().filter(is_own).count();
        assert_eq!(counted, own, "own rooms are counted");
    }

    /// Who follows everything is in each room and keeps none; a room that nothing keeps is gone, or looked at soon.
    fn check_keepers(&self, no: RoomNo, room: &Room) {
        let count = |of: fn(Standing) -> bool| {
            room.members.iter().filter(|member| of(member.standing)).count()
        };
        let followers = count(|one| matches!(one, Standing::Overhearing | Standing::Following));
        assert_eq!(followers, room.followers, "followers are counted");
        let overhearing = count(|one| one == Standing::Overhearing);
        assert_eq!(overhearing, room.overhearing, "and those of them who keep no room");
        for member in &room.members {
            assert!(
                member.standing != Standing::Overhearing
                    || self.rooms.hears_everything(member.conn),
                "only who follows everything overhears"
            );
        }
        for id in self.rooms.everywhere() {
            let is_live = self.connections.get(id).is_some_and(|one| one.phase.is_live());
            assert!(
                !is_live || room.member(id).is_some() || self.is_to_enter(id, no),
                "who follows everything is in each room"
            );
        }
        let stays = room.is_lasting() || !room.is_idle();
        assert!(stays || self.rooms.is_awaited(no), "a room that nothing keeps goes");
    }

    /// An id names one message, in a room or to one nickname; whoever waits for receipts is there.
    fn check_directs(&self) {
        self.directs.check_invariants(|id| {
            assert!(!self.recents.ids.contains_key(&id), "an id names one message");
        });
        self.receipts.check_invariants(|author| self.connections.get(author).is_some());
    }

    /// What waits for the store is counted, its ids are known, and so are those of recent messages.
    fn check_waiting(&self) {
        let (mut messages, mut bytes, mut recent) = (0, 0, 0);
        for (no, room) in self.rooms.iter() {
            for pending in &room.queue {
                if let Pending::Post(post) = pending {
                    messages += 1;
                    let message = &post.message;
                    bytes += message.content.len();
                    let known = self.recents.ids.get(&message.message_id);
                    assert!(
                        known.is_some_and(|known| known.room == no && known.seq == message.seq),
                        "an id is known while it waits"
                    );
                }
            }
            recent += room.recent.len();
            let said = self.said.range(Ticket::all_of(no)).count();
            assert_eq!(said, room.said, "what is said before it is stored keeps its room");
        }
        let waiting = messages;
        messages += self.said.len();
        bytes += self.said.values().map(|said| said.bytes).sum::<usize>();
        assert_eq!(messages, self.store_queue.messages, "what waits for the store is counted");
        assert_eq!(bytes, self.store_queue.bytes, "and so are its bytes");
        assert_eq!(recent, self.recents.len(), "the order names each recent message");
        assert_eq!(
            recent + waiting,
            self.recents.ids.len(),
            "each id names a message that is recent or waits"
        );
        assert!(
            self.course != Course::Draining || messages > 0,
            "a drain goes on when the store is done"
        );
    }
}

/// A connection that was closed while it was undecided stays held until it is reaped.
fn was_held(connection: &Connection, standing: Standing) -> bool {
    standing == Standing::Held && !connection.phase.is_live()
}
