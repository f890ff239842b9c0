//! Golden scripts: what the hub answers to what peers say, in a form that people read and review.
//!
//! A script is a text file under `scripts/`. `UPDATE_GOLDEN=1 cargo test -p tests --test golden` writes what the hub says now
//! into the files; the difference is reviewed like code. The form is described in `script.rs`, the commands in `command.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics is a test that fails"
)]

mod command;
mod covered;
mod documented;
mod fields;
mod literal;
mod rights;
mod said;
mod script;
mod world;

use std::path::{Path, PathBuf};
use std::{env, fs};

use script::Script;
use world::World;

/// Every script, by name.
fn scripts() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/scripts");
    let mut scripts: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "script"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    scripts.sort();
    scripts
}

/// Runs a script; gives it back with what the hub said.
fn carried_out(name: &str, text: &str) -> String {
    let mut world = World::new(text);
    let mut script = Script::parse(text);
    for at in 0..script.steps.len() {
        let step = &mut script.steps[at];
        step.output.clear();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            command::carry_out(&mut world, &step.command);
            world.take_output()
        }));
        let Ok(output) = done else {
            let (line, command) = (step.line, step.command.clone());
            panic!("{name}, line {line}: `{command}` failed; so far:\n{}", script.shown());
        };
        step.output = output;
    }
    world.ends();
    script.shown()
}

#[test]
fn scripts_say_what_they_said() {
    let update = env::var_os("UPDATE_GOLDEN").is_some_and(|value| value != "0");
    let only = env::var("GOLDEN").unwrap_or_default();
    let mut different = Vec::new();
    for (name, path) in scripts() {
        if !name.contains(&only) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let now = carried_out(&name, &text);
        if now == text {
            continue;
        }
        if update {
            fs::write(&path, now).unwrap();
        } else {
            different.push(format!("{name}: {}", first_difference(&text, &now)));
        }
    }
    assert!(
        different.is_empty(),
        "{} scripts say something else now (UPDATE_GOLDEN=1 rewrites them):\n{}",
        different.len(),
        different.join("\n")
    );
}

fn first_difference(before: &str, now: &str) -> String {
    let mut before = before.lines();
    let mut now = now.lines();
    for line in 1.. {
        match (before.next(), now.next()) {
            (None, None) => break,
            (was, is) if was == is => {}
            (was, is) => {
                let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return format!("line {line}\n  was: {}\n  now: {}", shown(was), shown(is));
            }
        }
    }
    String::from("only the ends of lines differ")
}
