//! What the hub promises, sentence by sentence, through its public inputs.

mod administration;
mod anything;
mod catching_up;
mod deadlines;
mod direct;
pub(crate) mod disk;
mod durable;
mod everything;
mod farewell;
mod input;
mod lasting;
mod limits;
mod native;
mod presence;
mod quotas;
mod refused;
mod replay;
mod rooms;
mod slow;
mod talks;
mod web;
mod work;
