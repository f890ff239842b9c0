//! The two programs as they ship, built once by test process.
//!
//! The test crates switch the feature `planted` on, and Cargo would leave programs with it in the usual place. What runs here is
//! built by itself, without it, and put aside; `tests/run` does so once for all and says where in `CHATD_BIN_DIR`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::{env, fs};

static FOLDER: LazyLock<PathBuf> =
    LazyLock::new(|| env::var_os("CHATD_BIN_DIR").map_or_else(build, PathBuf::from));

/// The daemon.
pub fn chatd() -> PathBuf {
    FOLDER.join("chatd")
}

/// The tool.
pub fn chatctl() -> PathBuf {
    FOLDER.join("chatctl")
}

/// The checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn build() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "-p", "chatd", "-p", "chatctl"])
        .current_dir(checkout())
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(built.success(), "the programs do not build");
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| checkout().join("target"), |folder| checkout().join(folder));
    let shipped = target.join("shipped");
    fs::create_dir_all(&shipped).unwrap();
    for name in ["chatd", "chatctl"] {
        // Another test process may be running the one that is there: it is replaced, not written over.
        let fresh = shipped.join(format!("{name}.{}", std::process::id()));
        fs::copy(target.join("debug").join(name), &fresh).unwrap();
        fs::rename(&fresh, shipped.join(name)).unwrap();
    }
    shipped
}
