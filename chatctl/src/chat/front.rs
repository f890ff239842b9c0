//! The seam between the model and what a person sees: whoever shows the model and takes the typing is a `Front`.
//!
//! A front draws the whole model when it is shown it, or prints the news one by one; it asks the server nothing.

use super::model::{Model, Moment, News};
use crate::failure::{Exit, Failure};
use nix::poll::PollFlags;
use proto::Now;
use std::os::fd::BorrowedFd;

/// What shows the model.
pub trait Front {
    /// Something is new; the model has it already.
    fn news(&mut self, model: &Model, news: &News) -> Result<(), Failure>;

    /// Brings what there is to see out, without waiting; called before every wait.
    fn show(&mut self, model: &Model, now: Now) -> Result<(), Failure>;

    /// Whether so much is still to be written that nothing more is to be heard meanwhile.
    fn is_behind(&self) -> bool;

    /// What to wait for besides the server: the keyboard, or a stdout that takes nothing for now.
    fn watched(&self, model: &Model) -> Vec<(BorrowedFd<'_>, PollFlags)>;

    /// What became of these, in their order: takes the typing, and tells the model. `moment` gives a new one each time.
    fn look(
        &mut self,
        model: &mut Model,
        ready: &[PollFlags],
        moment: &mut dyn FnMut() -> Moment,
    ) -> Result<(), Failure>;

    /// When it wants to be shown again though nothing happens: for a countdown.
    fn next(&self, model: &Model, now: Now) -> Option<Now>;

    /// All is over, and what was not sent is not going to be: it is said, or will be when the front is left.
    fn give_up(&mut self, model: &Model);

    /// What all ends with, where it is to end now.
    fn ended(&mut self, model: &Model, now: Now) -> Result<Option<Exit>, Failure>;
}
