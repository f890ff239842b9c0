//! Reads recorded histories, JSON lines as `tests::checker::Record` describes them, and says what is wrong with them.
//!
//! `check-history [--at-once] FILE...`, each a history of its own; without a file, standard input. `--at-once` is for a daemon with
//! `deliver = "at_once"`, which promises less. It ends with 1 where an anomaly was found, with 2
//! where a history could not be read.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program says what it found")]

use std::io::Read;
use std::process::ExitCode;

use tests::checker::{self, Deliver, History};

fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let options = names.len();
    names.retain(|name| name != "--at-once");
    let deliver = if names.len() < options { Deliver::AtOnce } else { Deliver::Stored };
    if names.is_empty() {
        names.push("-".to_owned());
    }
    let mut worst = 0;
    for name in names {
        match read(&name).and_then(|text| History::read(&text).map_err(|why| why.to_string())) {
            Ok(history) => {
                let report = checker::check(&history, deliver);
                print!("{name}: {report}");
                worst = worst.max(u8::from(!report.is_clean()));
            }
            Err(why) => {
                eprintln!("check-history: {name}: {why}");
                worst = 2;
            }
        }
    }
    ExitCode::from(worst)
}

fn read(name: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = match name {
        "-" => std::io::stdin().read_to_string(&mut text).map(drop),
        name => std::fs::read_to_string(name).map(|content| text = content),
    };
    read.map(|()| text).map_err(|error| error.to_string())
}
