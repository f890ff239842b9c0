//! Why a command did not do what it was asked: the exit codes, and the two forms (a sentence, an object)
//! in which a person or a script reads it.
//!
//! It prints nothing and ends nothing; `main` does both.

use crate::client::{NO_DAEMON, Refusal};
use proto::ErrorCode;
use std::fmt;

/// The exit codes that scripts can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// The server said no.
    Refused = 1,
    /// The command line cannot be carried out as it is.
    Usage = 2,
    /// No daemon answers where it was looked for, or it went away.
    NotReachable = 3,
    /// The server knows who asks, and does not allow it.
    NotPermitted = 4,
    /// The answer, or what was waited for, did not come in time.
    TimedOut = 5,
    /// Some messages were left out: history no longer has them, or they came too fast.
    HistoryGap = 6,
    /// There is no such room or nick.
    NotFound = 7,
    /// A limit was hit: size, rate or number.
    LimitHit = 8,
}

/// The sentence about exit codes at the end of the help.
pub fn exit_statuses() -> String {
    let statuses = Exit::ALL.map(|exit| format!("{} {}", exit.code(), exit.words()));
    format!("Exit status: {}, 128+N ended by signal N.", statuses.join(", "))
}

impl Exit {
    /// All of them, by their numbers.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Refused,
        Self::Usage,
        Self::NotReachable,
        Self::NotPermitted,
        Self::TimedOut,
        Self::HistoryGap,
        Self::NotFound,
        Self::LimitHit,
    ];

    /// What it means, as the help and the manual say it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Usage => "usage",
            Self::NotReachable => "daemon not reachable",
            Self::NotPermitted => "not permitted",
            Self::TimedOut => "timed out",
            Self::HistoryGap => "messages were missed",
            Self::NotFound => "no such room or nick",
            Self::LimitHit => "limit hit",
        }
    }

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The exit code for an error code of the protocol, or for the client's own word that no daemon answers.
    pub fn of_code(code: &str) -> Self {
        if code == NO_DAEMON {
            return Self::NotReachable;
        }
        match ErrorCode::from_word(code) {
            Some(ErrorCode::Forbidden) => Self::NotPermitted,
            Some(ErrorCode::NoSuchRoom | ErrorCode::NoSuchNick) => Self::NotFound,
            Some(ErrorCode::TooLarge | ErrorCode::LimitReached | ErrorCode::RateLimited) => {
                Self::LimitHit
            }
            _ => Self::Refused,
        }
    }
}

/// A command's failure: a code word for scripts, a sentence for people, the exit code for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the process ends with.
    pub exit: Exit,
    /// A `snake_case` word: the protocol's where the server refused, else one of this program's own.
    pub code: String,
    /// What went wrong, and what to do about it.
    pub message: String,
    /// Nobody is told, since nobody listens any more: the reader of stdout went away.
    pub silent: bool,
}

impl Failure {
    /// A failure with all its parts.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into(), silent: false }
    }

    /// The command line asks for what cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// The command line asks for what a later version will do.
    pub fn not_built(what: &str) -> Self {
        Self::new(Exit::Usage, "not_built_yet", format!("{what}: not built yet"))
    }

    /// The connection went away, or never was.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::NotReachable, "unreachable", message)
    }

    /// What was waited for did not come in time.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(Exit::TimedOut, "timed_out", message)
    }

    /// The server answered with what this program does not understand.
    pub fn strange(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, "strange_reply", message)
    }

    /// Reading or writing a file, or the standard streams, failed.
    pub fn file(what: &str, error: &std::io::Error) -> Self {
        Self::new(Exit::Usage, "file", format!("{what}: {error}"))
    }

    /// The reader of stdout went away: the command ends, quietly and content.
    pub fn quiet() -> Self {
        Self { silent: true, ..Self::new(Exit::Done, "closed_pipe", "") }
    }

    /// The failure as the one object that `--json` promises on stderr.
    pub fn as_json(&self) -> String {
        serde_json::json!({"error": self.code, "message": self.message, "exit": self.exit.code()})
            .to_string()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let mut message = refusal.message;
        if let Some(seconds) = refusal.retry_after {
            message = format!("{message} Try again in {seconds} s.");
        }
        Self::new(Exit::of_code(&refusal.code), &refusal.code, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure, NO_DAEMON};

    #[test]
    fn the_codes_of_the_protocol_have_exit_codes() {
        assert_eq!(Exit::of_code("forbidden"), Exit::NotPermitted);
        assert_eq!(Exit::of_code("no_such_room"), Exit::NotFound);
        assert_eq!(Exit::of_code("no_such_nick"), Exit::NotFound);
        assert_eq!(Exit::of_code("too_large"), Exit::LimitHit);
        assert_eq!(Exit::of_code(NO_DAEMON), Exit::NotReachable);
        assert_eq!(Exit::of_code("id_conflict"), Exit::Refused);
        assert_eq!(Exit::of_code("what nobody knows"), Exit::Refused);
    }

    #[test]
    fn a_failure_is_one_json_object() {
        let said = Failure::timed_out("no answer within 10 s").as_json();
        let read: serde_json::Value = serde_json::from_str(&said).expect("an object");
        assert_eq!(read["error"], "timed_out");
        assert_eq!(read["exit"], 5);
    }
}
