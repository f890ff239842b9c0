//! What the writer does when it broke, and before anybody sees a number that is not stored: what is certain is made certain on disk.

use hub::{Durability, Record};
use proto::{MessageId, Seq};
use rusqlite::OptionalExtension;

use super::fault::{CommitError, OpenError};
use super::row::{Key, SEQ_MAX};
use super::schema;
use super::write::{Writer, open};

impl Writer {
    /// Lets numbers up to this one be shown before their messages are stored: after a crash they are not given again, to no room. The
    /// disk has it when this returns, however durable messages are.
    ///
    /// # Errors
    /// See [`CommitError`]; then no number beyond the former may be shown.
    pub fn reserve(&mut self, through: Seq) -> Result<(), CommitError> {
        let value = i64::try_from(through.0.min(SEQ_MAX)).expect("it is at most SEQ_MAX");
        schema::set_synchronous(&self.connection, Durability::Sync)?;
        let outcome = self.transact(|it| schema::set_number(&it.connection, "reserved", value));
        schema::set_synchronous(&self.connection, self.options.durability)?;
        outcome
    }

    /// Drops the connection, whose memory may hold what never came to the disk, and opens the database anew. All that is in it then
    /// has passed another sync.
    ///
    /// # Errors
    /// The database cannot be trusted: the daemon is to end.
    pub fn reopen(self) -> Result<Self, OpenError> {
        let Self { connection, path, options, rooms, .. } = self;
        // What it says about closing is about what it could not do before.
        drop(connection);
        // A name is only given to a database that is made, and none may be made now.
        if !path.exists() {
            return Err(OpenError::Damaged(path, "it is not there any more".to_owned()));
        }
        let mut writer = open(&path, options, MessageId([0; 16]))?.writer;
        writer
            .checkpoint("truncate")
            .map_err(|error| OpenError::of(&path, "sync it after a failure", &error))?;
        writer.rooms.outlive(&rooms);
        Ok(writer)
    }

    /// Which messages of a batch are stored, after the commit of it broke and the database was opened anew.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn find(&mut self, batch: &[Record]) -> Result<Vec<bool>, CommitError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM messages WHERE key = ?1 AND message_id = ?2")?;
        let mut found = Vec::with_capacity(batch.len());
        for record in batch {
            found.push(match self.rooms.known(&record.room) {
                Some(room) if record.seq.0 <= SEQ_MAX => {
                    let key = Key::of(room.no, record.seq);
                    let id = &record.message_id.0[..];
                    statement.query_row((key.0, id), |_| Ok(())).optional()?.is_some()
                }
                _ => false,
            });
        }
        Ok(found)
    }
}
