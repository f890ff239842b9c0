//! How often a daemon that went away is called again.
//!
//! It knows pauses only; whoever looks for the daemon waits and calls.

use proto::Span;

/// Between two tries to reach a daemon that went away.
pub const RETRY_PAUSE: Span = Span::from_millis(100);

/// The first pause between two tries to reach the daemon; each is twice as long as the one before, up to the last.
const PAUSE_FIRST: Span = Span::from_millis(100);
const PAUSE_LAST: Span = Span::from_secs(2);

/// The pauses of one search.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSE_FIRST }
    }
}

impl Backoff {
    /// The pause before the next try.
    pub fn pause(&mut self) -> Span {
        let pause = self.next;
        self.next = Span::from_micros(pause.as_micros() * 2).min(PAUSE_LAST);
        pause
    }
}
