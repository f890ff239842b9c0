//! What comes out of the model: wishes for the connection, requests, and news for whoever shows it.

use super::ViewName;
use super::entry::Content;
use super::past::Past;
use crate::client::Fields;
use crate::failure::Exit;
use proto::Now;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Call the daemon; `called` or `not_called` says what came of it.
    Call,
    /// Close the connection: nothing is expected of it any more, not even that it is lost.
    HangUp,
    /// Ask this.
    Ask(Request),
    /// Do this past the server.
    Past(Past),
    /// Show this, or ring.
    News(News),
}

/// A request to the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its id; of a post and of what is said in a talk that of the message.
    pub id: String,
    /// Which.
    pub name: &'static str,
    /// Its fields.
    pub fields: Fields,
    /// Until when an answer is waited for.
    pub deadline: Now,
}

/// What is new: a line client prints it, a screen draws what there is and rings where it is worth it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A line came to a view.
    Entry {
        /// Where.
        view: ViewName,
        /// Which.
        number: u64,
    },
    /// A message of ours has come further, or will not.
    Mark {
        /// Where.
        view: ViewName,
        /// Which line.
        number: u64,
    },
    /// Messages of before were asked for, and came: older ones, or what was missing.
    Older {
        /// Where.
        view: ViewName,
        /// Which lines, the oldest first.
        numbers: Vec<u64>,
    },
    /// Something about the connection; it is in the server's view, too.
    Connection(String),
    /// This could not be sent: it belongs back into the input line.
    Returned {
        /// Where it was to be said.
        view: ViewName,
        /// What.
        content: Content,
        /// Whether a line of a view has it, too.
        is_shown: bool,
    },
    /// What was asked for is not done, as a line of a view says: a script ends with this.
    NotDone(Exit),
    /// Somebody means us: worth a bell.
    Mention(ViewName),
}
