//! Waiting for a condition with a deadline.

use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollTimeout, poll};

/// How long anything may take before it counts as never. A loaded machine is slow, so this is generous.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Between two looks at a condition that nothing announces.
const LOOK_MS: u8 = 5;

/// Waits until `condition` gives a value.
///
/// # Panics
/// Where it has given none within [`DEADLINE`].
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain: {what}");
        let nobody: &mut [PollFd<'_>] = &mut [];
        let _ = poll(nobody, PollTimeout::from(LOOK_MS));
    }
}
