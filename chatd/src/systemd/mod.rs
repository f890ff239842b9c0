//! What passes between chatd and the service manager that started it: sockets come, and words about how it goes leave.
//!
//! Both are a few environment variables, see `sd_listen_fds(3)` and `sd_notify(3)`. They are taken once, before there is a second
//! thread, and are gone from the environment then. Who started chatd otherwise gave none of them, and nothing here matters.

mod given;
mod notify;

use std::ffi::OsString;

pub use self::given::{Given, GivenError};
pub use self::notify::{Notify, recovering, reloading};

/// Everything that is taken from the environment.
const VARIABLES: [&str; 6] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// What the service manager gave.
#[derive(Debug, Default)]
pub struct Systemd {
    /// Sockets that already listen.
    pub given: Given,
    /// Where it wants to hear of us.
    pub notify: Option<Notify>,
}

impl Systemd {
    /// Takes what there is. It is called before anything is opened and any thread is started.
    ///
    /// # Errors
    /// A descriptor is not what its unit is to give.
    pub fn take() -> Result<Self, GivenError> {
        let [listen_pid, fds, names, socket, watchdog_pid, watchdog] =
            VARIABLES.map(std::env::var_os);
        crate::sys::forget_variables(&VARIABLES);
        let given = if is_ours(listen_pid.as_ref()) {
            Given::take(&text(fds.as_ref()), names.map(|names| text(Some(&names))).as_deref())?
        } else {
            Given::default()
        };
        // Without a pid it is for whoever has the variable.
        let watchdog = watchdog
            .filter(|_| watchdog_pid.is_none() || is_ours(watchdog_pid.as_ref()))
            .map(|span| text(Some(&span)));
        let notify = socket.and_then(|socket| Notify::to(&socket, watchdog.as_deref()));
        Ok(Self { given, notify })
    }

    /// The daemon cannot be started as it is configured: whoever waits at the sockets is let go. Otherwise the service manager would
    /// start it for them until it gives up and closes the sockets, which somebody would have to open again.
    pub fn turn_away() {
        if let Ok(systemd) = Self::take() {
            systemd.given.turn_away();
        }
    }
}

fn text(variable: Option<&OsString>) -> String {
    variable.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a variable with a process in it is meant for this one, not for who started it.
fn is_ours(pid: Option<&OsString>) -> bool {
    text(pid).parse() == Ok(std::process::id())
}
