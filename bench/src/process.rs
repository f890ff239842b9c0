//! What the kernel says about a process: its CPU time and its resident memory.

use std::fs;
use std::io;

/// Microseconds of one tick of `utime` and `stime`: the kernel's `USER_HZ` is 100 wherever this runs.
const TICK_MICROS: u64 = 10_000;

/// The kernel counts sockets' memory in pages, 4 KiB wherever this is measured.
const PAGE_BYTES: u64 = 4096;

/// User and system time of all threads of a process so far, in microseconds.
pub(crate) fn cpu_micros(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')').ok_or_else(malformed)?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>().map_err(|_| malformed())?;
    Ok(ticks * TICK_MICROS)
}

/// Resident memory of a process, in bytes, counted page by page where the kernel offers that.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let exact = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let (text, key) = match exact {
        Ok(text) => (text, "Rss:"),
        Err(_) => (fs::read_to_string(format!("/proc/{pid}/status"))?, "VmRSS:"),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(key)).ok_or_else(malformed)?;
    let kibibytes = line.trim().trim_end_matches("kB").trim().parse::<u64>();
    kibibytes.map(|kibibytes| kibibytes * 1024).map_err(|_| malformed())
}

/// How many bytes a process has sent to disks so far.
pub(crate) fn written_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).ok_or_else(malformed)
}

/// How many descriptors a process has.
pub(crate) fn descriptors(pid: u32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

/// What the kernel has in the buffers of all TCP sockets of this machine, both ends where both are here, in bytes.
pub(crate) fn socket_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:")).ok_or_else(malformed)?;
    let pages = line.split_once(" mem ").ok_or_else(malformed)?.1;
    let pages = pages.split(' ').next().ok_or_else(malformed)?.parse::<u64>();
    pages.map(|pages| pages * PAGE_BYTES).map_err(|_| malformed())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "/proc is not as expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_cpu_time() {
        assert!(resident_bytes(std::process::id()).expect("own memory") > 4096);
        cpu_micros(std::process::id()).expect("own time");
        written_bytes(std::process::id()).expect("own writes");
        assert!(descriptors(std::process::id()).expect("own descriptors") >= 3);
        socket_bytes().expect("sockets have some memory or none");
    }
}
