//! How long the disk takes to have what was just written: the measure for whatever acknowledges only then.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::clock::Clock;
use crate::histogram::Histogram;
use crate::report::Report;

/// So many syncs of each kind.
const TIMES: u64 = 300;
/// The file is as long as a write-ahead log becomes, and is written again and again as that is.
const FILE_BYTES: u64 = 16 << 20;

/// Measures both kinds of sync in a folder, each after a write of so many bytes; how long `fdatasync` takes in the median.
pub(crate) fn measure(folder: &Path, bytes: u64, report: &mut Report) -> io::Result<u64> {
    let path = folder.join("bench-syncs");
    let outcome = measure_in(&path, bytes.clamp(1, FILE_BYTES), report);
    fs::remove_file(&path)?;
    outcome
}

fn measure_in(path: &Path, bytes: u64, report: &mut Report) -> io::Result<u64> {
    let mut file = File::create(path)?;
    let block = vec![1; usize::try_from(bytes).map_err(io::Error::other)?];
    for _ in 0..FILE_BYTES.div_ceil(bytes) {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    report.count("synced_bytes", bytes);
    let full = times(&mut file, &block, File::sync_all)?;
    report.count("fsync_p50_us", full.percentile(50));
    report.count("fsync_p99_us", full.percentile(99));
    let data = times(&mut file, &block, File::sync_data)?;
    report.count("fdatasync_p50_us", data.percentile(50));
    report.count("fdatasync_p99_us", data.percentile(99));
    Ok(data.percentile(50))
}

fn times(
    file: &mut File,
    block: &[u8],
    sync: impl Fn(&File) -> io::Result<()>,
) -> io::Result<Histogram> {
    let (clock, mut all) = (Clock::start(), Histogram::new());
    file.seek(SeekFrom::Start(0))?;
    for _ in 0..TIMES {
        if file.stream_position()? >= FILE_BYTES {
            file.seek(SeekFrom::Start(0))?;
        }
        let before = clock.micros();
        file.write_all(block)?;
        sync(file)?;
        all.record(clock.micros() - before);
    }
    Ok(all)
}
