//! A folder of a test's own, gone when the test is.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that only this user may enter.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one. Its path is short, as paths of sockets must be.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("chatd-test-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            if DirBuilder::new().mode(0o700).create(&path).is_ok() {
                return Self(path);
            }
            assert!(
                number < 1_000_000,
                "no folder can be made in {}",
                std::env::temp_dir().display()
            );
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Puts a copy of a program in it. Another process makes it: a copy of ours could still be open for writing in what another
    /// test just started, and nobody can run it then.
    pub fn give(&self, name: &str, program: &Path) -> PathBuf {
        let path = self.join(name);
        assert!(Command::new("cp").arg(program).arg(&path).status().unwrap().success());
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
