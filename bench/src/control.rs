//! Questions over the control socket.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection that has asked this: a JSON object.
pub(crate) fn asking(control: &Path, request: &str) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(control)?;
    stream.write_all(request.as_bytes())?;
    stream.write_all(b"\n")?;
    Ok(stream)
}

/// The reply to `stats`.
pub(crate) fn stats(control: &Path) -> io::Result<String> {
    let mut line = String::new();
    let stream = asking(control, r#"{"request":"stats","id":"1"}"#)?;
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// The number of this name in a JSON text.
pub(crate) fn number(json: &str, name: &str) -> Option<u64> {
    let rest = json.split_once(&format!("\"{name}\":"))?.1.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// What the server says of its history: how many microseconds a commit takes, in the median and 99 of 100 at most, and how much of the
/// disk it takes.
pub(crate) fn history(control: &Path) -> io::Result<[u64; 3]> {
    let stats = stats(control)?;
    Ok(["commit_p50_us", "commit_p99_us", "database_bytes"]
        .map(|name| number(&stats, name).unwrap_or(0)))
}
