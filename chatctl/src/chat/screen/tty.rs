//! The terminal's own state: taken when the screen begins, given back at every end, a panic and a stop included.
//!
//! It draws nothing. While the terminal is ours its lines are not edited, its other screen is shown, pasted text comes marked, and
//! the wheel is ours.

use crate::failure::{Exit, Failure};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

/// The other screen, marks around what is pasted.
const TAKE: &str = "\x1b[?1049h\x1b[?2004h";

/// Presses of the mouse and turns of the wheel, told in numbers.
const MOUSE_OURS: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_THEIRS: &str = "\x1b[?1006l\x1b[?1000l";

/// All of it undone; the cursor shown, the letters plain.
const GIVE_BACK: &str = "\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";

/// Whether the terminal is ours: a panic must know it, wherever it happens.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The terminal, while it is ours. It is given back when this is dropped.
pub(super) struct Tty {
    is_mouse_ours: bool,
}

impl Tty {
    /// Takes it; a panic gives it back before its message is printed.
    pub(super) fn take() -> Result<Self, Failure> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = give_back();
            before(info);
        }));
        let tty = Self { is_mouse_ours: true };
        tty.take_again()?;
        Ok(tty)
    }

    /// Takes it once more: others may have had it.
    pub(super) fn take_again(&self) -> Result<(), Failure> {
        // What it was before is kept by whoever makes it raw; it is so only once.
        let _ = disable_raw_mode();
        IS_OURS.store(true, Ordering::SeqCst);
        enable_raw_mode().and_then(|()| print(TAKE)).map_err(|error| failed(&error))?;
        set_mouse(self.is_mouse_ours)
    }

    /// Gives the mouse to the terminal, which marks text with it, or takes it.
    pub(super) fn give_mouse(&mut self, is_ours: bool) -> Result<(), Failure> {
        self.is_mouse_ours = is_ours;
        set_mouse(is_ours)
    }

    /// Gives it back, for now or for good.
    pub(super) fn give_back() -> Result<(), Failure> {
        give_back().map_err(|error| failed(&error))
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = give_back();
    }
}

fn set_mouse(is_ours: bool) -> Result<(), Failure> {
    print(if is_ours { MOUSE_OURS } else { MOUSE_THEIRS }).map_err(|error| failed(&error))
}

fn give_back() -> io::Result<()> {
    if !IS_OURS.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let printed = print(GIVE_BACK);
    disable_raw_mode().and(printed)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Refused, "terminal", format!("the terminal: {error}"))
}
