//! A message as a row: its key, its checksum, and how it is read back. What does not agree with its checksum is never handed on.

use hub::KeptMessage;
use proto::{MessageId, Seq, WallTime};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use twox_hash::{XxHash3_64, XxHash3_128};

/// How many bits of a key are the message's place in its room; those above are the room's number.
const SEQ_BITS: u32 = 40;
/// No place is later: at a thousand messages a second a room comes to it after 34 years.
pub(super) const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;
/// No room's number is higher, so that no key is negative.
pub(super) const ROOM_NO_MAX: i64 = (1 << (63 - SEQ_BITS)) - 1;

/// A room's number in the database; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoomNo(pub(super) i64);

/// Where a message is in the one tree that has all of them: room by room, each in its own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(pub(super) i64);

impl Key {
    /// The key of a place. A place that is later than any can be stands for the last one.
    pub(super) fn of(room: RoomNo, seq: Seq) -> Self {
        assert!((1..=ROOM_NO_MAX).contains(&room.0), "a room's number has its range");
        let seq = i64::try_from(seq.0.min(SEQ_MAX)).expect("it is at most SEQ_MAX");
        Self(room.0 << SEQ_BITS | seq)
    }

    /// The message's place in its room.
    pub(super) fn seq(self) -> Seq {
        assert!(self.0 >= 0, "no key is negative");
        Seq(self.0.unsigned_abs() & SEQ_MAX)
    }

    /// Which room.
    pub(super) const fn room(self) -> RoomNo {
        RoomNo(self.0 >> SEQ_BITS)
    }
}

/// Makes checksums. It is kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Seal(Vec<u8>);

impl Seal {
    /// The checksum of a message: over all that is kept of it, and over where.
    pub(super) fn of_message(&mut self, key: Key, kept: &KeptMessage<'_>) -> i64 {
        let Self(bytes) = self;
        bytes.clear();
        bytes.extend_from_slice(&key.0.to_le_bytes());
        bytes.extend_from_slice(&kept.time.as_micros().to_le_bytes());
        bytes.extend_from_slice(&kept.message_id.0);
        bytes.extend_from_slice(&kept.from.len().to_le_bytes());
        bytes.extend_from_slice(kept.from.as_bytes());
        bytes.extend_from_slice(kept.content);
        if let Some(name) = kept.content_type {
            // What has none has the checksum that it had before there were any.
            bytes.extend_from_slice(&kept.content.len().to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
        }
        self.finish()
    }

    /// The checksum of what is kept of a room.
    pub(super) fn of_room(&mut self, name: &str, numbers: &[i64]) -> i64 {
        let Self(bytes) = self;
        bytes.clear();
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(name.as_bytes());
        self.finish()
    }

    fn finish(&self) -> i64 {
        XxHash3_64::oneshot(&self.0).cast_signed()
    }
}

/// What two contents have in common that are the same.
pub(super) fn digest(content: &[u8]) -> [u8; 16] {
    XxHash3_128::oneshot(content).to_le_bytes()
}

/// What [`read`] expects of a row, in this order.
pub(super) const COLUMNS: &str = "key, time, message_id, author, content, checksum, content_type";

/// [`COLUMNS`] as a database has them, which perhaps an earlier version wrote: it said of no message what it is.
pub(super) fn columns(connection: &Connection) -> &'static str {
    let is_there = connection.prepare("SELECT content_type FROM messages LIMIT 0").is_ok();
    if is_there { COLUMNS } else { "key, time, message_id, author, content, checksum, NULL" }
}

/// The message of a row with [`COLUMNS`]; none where it is not what was written.
pub(super) fn read<'row>(row: &'row Row<'_>, seal: &mut Seal) -> Option<(Key, KeptMessage<'row>)> {
    let key = Key(integer(row, 0)?);
    let time = WallTime::from_micros(integer(row, 1)?);
    let message_id = MessageId(bytes(row, 2)?.try_into().ok()?);
    let Ok(ValueRef::Text(author)) = row.get_ref(3) else { return None };
    let from = std::str::from_utf8(author).ok()?;
    let content_type = match row.get_ref(6) {
        Ok(ValueRef::Null) => None,
        Ok(ValueRef::Text(name)) => Some(std::str::from_utf8(name).ok()?),
        _ => return None,
    };
    let (seq, content) = (key.seq(), bytes(row, 4)?);
    let kept = KeptMessage { seq, time, message_id, from, content, content_type };
    (seal.of_message(key, &kept) == integer(row, 5)?).then_some((key, kept))
}

/// The integer in a column, if it is one.
pub(super) fn integer(row: &Row<'_>, column: usize) -> Option<i64> {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(value)) => Some(value),
        _ => None,
    }
}

/// The bytes in a column, if it has some.
pub(super) fn bytes<'row>(row: &'row Row<'_>, column: usize) -> Option<&'row [u8]> {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(value)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_room_and_a_place() {
        for (room, seq) in [(1, 0), (1, 1), (7, 12), (ROOM_NO_MAX, SEQ_MAX)] {
            let key = Key::of(RoomNo(room), Seq(seq));
            assert_eq!((key.room(), key.seq()), (RoomNo(room), Seq(seq)));
        }
        assert_eq!(Key::of(RoomNo(1), Seq(u64::MAX)).seq(), Seq(SEQ_MAX));
        assert!(Key::of(RoomNo(1), Seq(SEQ_MAX)) < Key::of(RoomNo(2), Seq(0)));
    }

    #[test]
    fn a_checksum_is_of_everything() {
        let kept = KeptMessage {
            seq: Seq(1),
            time: WallTime::from_micros(5),
            message_id: MessageId([1; 16]),
            from: "ann",
            content: b"bob",
            content_type: None,
        };
        let key = Key::of(RoomNo(1), Seq(1));
        let mut seal = Seal::default();
        let all = [
            seal.of_message(key, &kept),
            seal.of_message(Key::of(RoomNo(2), Seq(1)), &kept),
            seal.of_message(key, &KeptMessage { time: WallTime::from_micros(6), ..kept }),
            seal.of_message(key, &KeptMessage { message_id: MessageId([2; 16]), ..kept }),
            seal.of_message(key, &KeptMessage { from: "annb", content: b"ob", ..kept }),
            seal.of_message(key, &KeptMessage { content: b"bo", ..kept }),
            seal.of_message(key, &KeptMessage { content_type: Some("a/b"), ..kept }),
            seal.of_message(
                key,
                &KeptMessage { content: b"boba", content_type: Some("/b"), ..kept },
            ),
        ];
        let mut different = all.to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), all.len(), "{all:?}");
    }
}
