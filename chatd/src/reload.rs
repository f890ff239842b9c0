//! Reload: the configuration is read anew, all or nothing.
//!
//! A file or a name service may block, so the reading is done by a thread of its own, one at a time. What it found is compared with what
//! is in effect: a key that holds for a daemon's whole life is to be as it was. The driver then changes its listeners, and the hub
//! its settings; what goes wrong on the way leaves everything as it was.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

use crate::args::Args;
use crate::config::Config;
use crate::users::Users;

/// Reads the configuration anew, and knows what is in effect.
pub struct Reader {
    args: Args,
    /// What is in effect.
    pub(crate) config: Config,
    /// How many connections the descriptors allow.
    pub(crate) capacity: usize,
    /// The service manager gave the sockets for clients: they are not ours to change.
    is_given: bool,
    reads: Sender<Result<Fresh, String>>,
    read: Receiver<Result<Fresh, String>>,
}

/// What was read.
pub(crate) struct Fresh {
    pub(crate) config: Config,
    pub(crate) users: Users,
}

impl Reader {
    /// For a daemon that was started by these arguments and serves this.
    pub fn new(args: Args, config: Config, capacity: usize, is_given: bool) -> Self {
        let (reads, read) = channel();
        Self { args, config, capacity, is_given, reads, read }
    }

    /// Begins to read; `waker` is woken when [`Self::take`] has something.
    pub(crate) fn begin(&self, waker: &Arc<Waker>) {
        let (args, reads, waits) = (self.args.clone(), self.reads.clone(), Arc::clone(waker));
        let read = move || {
            // The loop is gone where nobody takes it.
            let _ = reads.send(read(&args));
            let _ = waits.wake();
        };
        if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(read) {
            let _ = self.reads.send(Err(format!("cannot start a thread to read it: {error}")));
            let _ = waker.wake();
        }
    }

    /// What was read, if that is done: something that may take the place of what is in effect, or why not.
    pub(crate) fn take(&mut self) -> Option<Result<Fresh, String>> {
        let read = self.read.try_recv().ok()?;
        Some(read.and_then(|fresh| {
            self.config.may_become(&fresh.config, self.is_given)?;
            Ok(fresh)
        }))
    }
}

fn read(args: &Args) -> Result<Fresh, String> {
    let config = Config::load(args).map_err(|error| error.to_string())?;
    Ok(Fresh { config, users: Users::of_this_machine() })
}
