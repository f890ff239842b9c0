//! Every kind of log line, once: its word, the id that the journal knows it by, and what an operator makes of it.
//!
//! docs/log.md is made from this table. An id never changes and is never given to another kind: people's alerts are set on it.

use std::fmt::Write as _;

use hub::Notice;

/// What an operator may know of a kind of log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub kind: Kind,
    /// The kind as one word.
    pub word: &'static str,
    /// `MESSAGE_ID` in the journal: 128 random bits.
    pub message_id: &'static str,
    /// How much it matters.
    pub level: &'static str,
    /// What else a line has, where it is known.
    pub fields: &'static [&'static str],
    /// What has happened.
    pub meaning: &'static str,
    /// What is to be done about it.
    pub action: &'static str,
}

macro_rules! kinds {
    ($($kind:ident $word:literal $id:literal $level:literal [$($field:ident),*] $meaning:literal => $action:literal;)*) => {
        /// A kind of log line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $meaning] $kind,)*
        }

        /// The table, in the order of [`Kind`].
        pub const KINDS: &[Row] = &[$(Row {
            kind: Kind::$kind,
            word: $word,
            message_id: $id,
            level: $level,
            fields: &[$(stringify!($field)),*],
            meaning: $meaning,
            action: $action,
        }),*];

        impl Kind {
            /// What there is to know of it.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$kind => const {
                        &KINDS[Kind::$kind as usize]
                    },)*
                }
            }
        }
    };
}

kinds! {
    Capacity "capacity" "4bba03f8525c4807927a8c09e7310574" "info, warn" []
        "how many may be connected; a warning where that is fewer than the configuration asks for" =>
        "raise `LimitNOFILE=` where it warns";
    NotBound "not_bound" "07004a8eefb8426f9b754de24a3fad67" "warn" []
        "something of the configuration is not listened on, since the service manager gave sockets" =>
        "set the addresses in the socket unit, and take them out of the configuration";
    NoGroup "no_group" "4a197747be01463d8ea1d92e1e4f9408" "info, warn" []
        "a group of `[control]` that is there by default is not on this machine: nobody has rights by it" =>
        "make it with `groupadd` and start again, or name others";
    Accepted "accepted" "a19c8c5531114f7289086b8b8e84addf" "debug" [connection, peer]
        "a connection came" => "nothing";
    Refused "refused" "8f7fd69b534c4830a7c9303932eb8764" "warn" [peer, reason]
        "a connection was turned away: a limit, a ban, or the daemon ends" =>
        "look at `chatctl status`; raise the limit that `reason` names, or put the peer's network into `limits.exempt`";
    Forbidden "forbidden" "c37242c24b074347b9389f46c41071fb" "info" [connection, nick]
        "a user of the control socket asked for what they may not; `nick` is who" =>
        "nothing, or add that user to the group that the refusal names";
    CannotAccept "cannot_accept" "58cd4e8d4b334a9aa8e5e1a0887ea8d8" "error" []
        "nobody can be taken in, mostly for want of descriptors; said every 10 s at most" =>
        "raise `LimitNOFILE=`, or lower `limits.connections`";
    Decided "decided" "639b0a52970045bd90a27841327cb701" "debug" [connection]
        "a connection chose its protocol" => "nothing";
    Named "named" "a7cd0d0aae4f46f997fd98e9aeb5a63c" "debug" [connection, nick]
        "a connection took a nickname" => "nothing";
    Paused "paused" "fc5ae81a0777410ab5b7604a1ab0b732" "debug" [connection]
        "a connection said more than its share, and is not read for a while" =>
        "nothing; a bot that is to say more needs higher `limits.messages` or `limits.bytes`";
    Skipped "skipped" "ee5c3b6e1bf445e195387baf7050bf40" "warn" [connection]
        "a receiver was too slow: what waited for it was left out, and it is told so" =>
        "nothing for one; for many look at the network, or raise `limits.outbox`";
    MemoryPressure "memory_pressure" "39c3c809942640f1a18502c16e0876b8" "warn" []
        "what waits for receivers passed `limits.store`; the slowest are left behind or cut" =>
        "find them by `chatctl clients --slow`; raise `limits.store` if the machine has the memory";
    StoreRefused "store_refused" "9ec2ffddfc3645c38e7c1c9567dc70c7" "debug" [room]
        "a message could not be stored; its sender knows" =>
        "see `history_full` and `history_broken`, which say so once a minute";
    History "history" "685fa9ac35caa1f0f8f97f9fc445ef24" "info" []
        "where the history is, what was found there at the start, and how it was closed at the end" => "nothing";
    HistoryFull "history_full" "b230a7eafb42baf1ebb49f6637ef36da" "error" []
        "the disk of the history is full: posts are refused until there is room; said once a minute at most" =>
        "make room on that disk, or lower `history.max_bytes`: the daemon goes on by itself";
    HistoryBroken "history_broken" "d7b5e5a8f4cab4c1d8f65c7fbbadac73" "error" []
        "the history could not be written: it was opened anew, and whoever posted meanwhile has no answer and sends again" =>
        "look at the disk and the kernel's log; where it is damaged see `--recover`";
    HistoryWell "history_well" "58ff942d0b0bb1a30fa9fd2875175907" "info" []
        "posts are stored again" => "nothing";
    HistoryDamaged "history_damaged" "39f2d25c179cf94043c6773348d3bc95" "error" []
        "something of the history is not what was written: it is left out of what is replayed" =>
        "look at the disk, and put a good copy of the history in place";
    Administered "administered" "c4b9a00d1dcf41c9917c5d1a1ffcc040" "info" [connection, nick]
        "an administrator did something to others, or to the daemon; `nick` is who" => "nothing: it is the record";
    Closed "closed" "9b31b586645e408d959f2cb72e08284e" "debug, info, warn" [connection, peer, nick, reason]
        "a connection was closed; a warning where it was too slow or memory was short" =>
        "nothing for one; for many of one `reason` look for its cause";
    StopAsked "stop_asked" "0c302c2342df42b0bd4e292575f067c8" "info" [connection, nick]
        "an administrator asked the daemon to end; `nick` is who" => "nothing: it is the record";
    Draining "draining" "06aed89934bd49b1b5c07b3d74944340" "info" []
        "the daemon ends: nobody is taken in, and the queues are written for `server.shutdown_timeout` at most" =>
        "nothing";
    Reloaded "reloaded" "95ba199ef4f20cc047c16ca4b0000bc9" "info" []
        "the configuration was read anew and holds; who listens where since then" => "nothing";
    ReloadFailed "reload_failed" "99a287348041dad2d0ade10dd5d4f018" "error" []
        "the configuration was read anew and is wrong, or takes a restart; everything is as it was" =>
        "mend what the line names with its file, and reload again";
    Summary "summary" "681a761cafbb473d9f2a678dc144538b" "info" []
        "what the daemon counts, since somebody asked for it by the signal USR1; written at any level" => "nothing";
    NoJournal "no_journal" "4042f10169f94e44b1bcc094d7ff435f" "warn" []
        "the journal cannot be reached, and the log goes to standard error" =>
        "see why `/run/systemd/journal/socket` cannot be written from where the daemon runs";
    LogLimited "log_limited" "76b1e7a46c314c1e850ef85bc642e1eb" "warn" []
        "a kind had more than 100 lines within a second; this is how many were left out" =>
        "see who causes them by the lines that are there";
    LogLost "log_lost" "9b1489ea7b6d473ca3d8fd085c9515dd" "warn" []
        "so many lines were lost, since whoever takes the log took none for a while" =>
        "look at the journal, the terminal or the program that reads the log";
}

impl Kind {
    /// The kind of a notice.
    pub const fn of(notice: &Notice) -> Self {
        match notice {
            Notice::Accepted { .. } => Self::Accepted,
            Notice::Refused { .. } => Self::Refused,
            Notice::Decided { .. } => Self::Decided,
            Notice::Named { .. } => Self::Named,
            Notice::Paused { .. } => Self::Paused,
            Notice::Skipped { .. } => Self::Skipped,
            Notice::MemoryPressure { .. } => Self::MemoryPressure,
            Notice::StoreRefused { .. } => Self::StoreRefused,
            Notice::Administered { .. } => Self::Administered,
            Notice::Forbidden { .. } => Self::Forbidden,
            Notice::StopAsked { .. } => Self::StopAsked,
            Notice::Draining { .. } => Self::Draining,
            Notice::Closed { .. } => Self::Closed,
        }
    }

    /// The kind as one word.
    pub const fn word(self) -> &'static str {
        self.row().word
    }
}

/// The table as Markdown, for docs/log.md.
pub fn table() -> String {
    let mut table = String::from(
        "| kind | level | fields | what it means | what to do | `MESSAGE_ID` |\n|---|---|---|---|---|---|\n",
    );
    for row in KINDS {
        let Row { kind: _, word, message_id, level, fields, meaning, action } = row;
        let fields = fields.join(", ");
        let _ = writeln!(
            table,
            "| `{word}` | {level} | {fields} | {meaning} | {action} | `{message_id}` |"
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_row_a_word_and_an_id_of_its_own() {
        let words: BTreeSet<_> = KINDS.iter().map(|row| row.word).collect();
        let ids: BTreeSet<_> = KINDS.iter().map(|row| row.message_id).collect();
        assert_eq!((words.len(), ids.len()), (KINDS.len(), KINDS.len()));
        for row in KINDS {
            assert_eq!(row.kind.row(), row);
            let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            assert!(row.message_id.len() == 32 && row.message_id.chars().all(is_hex), "{row:?}");
            assert!(!row.meaning.is_empty() && !row.action.is_empty(), "{row:?}");
        }
    }
}
