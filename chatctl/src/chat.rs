//! `chatctl chat`: people in a terminal.
//!
//! `model` is what the person wants and what there is of it, pure; `command` understands what is typed.

pub mod command;
pub mod model;
