//! What the hub promises, sentence by sentence, through its public inputs.

mod deadlines;
mod native;
mod rooms;
mod slow;
