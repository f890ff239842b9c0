//! Programs under test: what they print is collected as it comes, and each wait has a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::deadline::{DEADLINE, eventually};

/// Lines that a program has printed so far.
#[derive(Debug, Default)]
pub struct Lines {
    printed: Mutex<Printed>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Printed {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn follow(stream: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let ours = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                ours.printed.lock().unwrap().lines.push(line);
                ours.news.notify_all();
            }
            ours.printed.lock().unwrap().ended = true;
            ours.news.notify_all();
        });
        lines
    }

    /// Waits until `look` finds something in what was printed; none at the end of the stream or after the deadline.
    pub fn find<T>(&self, mut look: impl FnMut(&[String]) -> Option<T>) -> Option<T> {
        let end = Instant::now() + DEADLINE;
        let mut printed = self.printed.lock().unwrap();
        loop {
            if let Some(found) = look(&printed.lines) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || printed.ended {
                return None;
            }
            printed = self.news.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// Waits for a line that has all of these words in it.
    pub fn line_with(&self, words: &[&str]) -> String {
        let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
        let found = self.find(|lines| lines.iter().find(has_all).cloned());
        found.unwrap_or_else(|| panic!("it never says {words:?}:\n{}", self.all()))
    }

    /// Waits for the line of this number, from 0.
    pub fn line(&self, number: usize) -> String {
        let found = self.find(|lines| lines.get(number).cloned());
        found.unwrap_or_else(|| panic!("there is no line {number}:\n{}", self.all()))
    }

    /// Everything so far.
    pub fn all(&self) -> String {
        self.printed.lock().unwrap().lines.join("\n")
    }
}

/// A program that runs. It is killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// What it prints on its standard output.
    pub stdout: Arc<Lines>,
    /// What it prints on its standard error.
    pub stderr: Arc<Lines>,
}

impl Program {
    /// Starts it, both its outputs collected.
    pub fn start(command: &mut Command) -> Self {
        Self::start_into(command, Stdio::piped())
    }

    /// Starts it, its standard output collected, its standard error going there.
    pub fn start_into(command: &mut Command, stderr: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let stdout = Lines::follow(child.stdout.take().unwrap());
        let stderr = child.stderr.take().map(Lines::follow).unwrap_or_default();
        Self { child, stdout, stderr }
    }

    /// Its standard input, where that is a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub fn ends(&mut self) -> ExitStatus {
        eventually("the program ends", || self.child.try_wait().unwrap())
    }

    /// Waits for its end; 128 and the signal's number where one ended it, as a shell says it.
    pub fn exit_code(&mut self) -> i32 {
        let status = self.ends();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program that is expected to end soon, with these bytes as its input, and takes what it printed.
///
/// # Panics
/// Where it has not ended after the deadline.
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    run_within(command, input, DEADLINE)
}

/// The same with a deadline of its own.
///
/// # Panics
/// Where it has not ended after the deadline.
pub fn run_within(command: &mut Command, input: &[u8], deadline: Duration) -> Output {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take();
    let input = input.to_vec();
    // Each stream has a thread, so that none fills up while another is waited for.
    let fed = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let end = Instant::now() + deadline;
    let mut in_time = true;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end && in_time {
            in_time = false;
            child.kill().unwrap();
        }
        let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(2_u8));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    drop(fed.join());
    let text = String::from_utf8_lossy;
    assert!(
        in_time,
        "a program did not end in time; it said:\n{}\n{}",
        text(&stdout),
        text(&stderr)
    );
    Output { status, stdout, stderr }
}

fn collect(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}
