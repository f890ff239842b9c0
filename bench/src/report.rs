//! Figures in the order they were measured: a line each for people and scripts, or one JSON object.
#![allow(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::fmt::Write as _;

/// Named figures.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(String, Figure)>);

#[derive(Debug)]
enum Figure {
    Count(u64),
    /// With a limit that it must not pass.
    AtMost(u64, u64),
    /// With a number that it must reach.
    AtLeast(u64, u64),
    Share(f64),
    Words(String),
}

impl Report {
    pub(crate) fn count(&mut self, name: impl Into<String>, count: u64) {
        self.0.push((name.into(), Figure::Count(count)));
    }

    /// A figure that is part of the verdict: it keeps a limit.
    pub(crate) fn at_most(&mut self, name: impl Into<String>, count: u64, limit: u64) {
        self.0.push((name.into(), Figure::AtMost(count, limit)));
    }

    /// A figure that is part of the verdict: it reaches a number, where something else would show nothing.
    pub(crate) fn at_least(&mut self, name: impl Into<String>, count: u64, least: u64) {
        self.0.push((name.into(), Figure::AtLeast(count, least)));
    }

    /// Whether every figure with a limit keeps it.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.iter().all(|(_, figure)| match figure {
            Figure::AtMost(count, limit) => count <= limit,
            Figure::AtLeast(count, least) => count >= least,
            Figure::Count(_) | Figure::Share(_) | Figure::Words(_) => true,
        })
    }

    pub(crate) fn share(&mut self, name: impl Into<String>, share: f64) {
        self.0.push((name.into(), Figure::Share(share)));
    }

    pub(crate) fn words(&mut self, name: impl Into<String>, words: impl Into<String>) {
        self.0.push((name.into(), Figure::Words(words.into())));
    }

    /// A line of its own to stdout, at once.
    pub(crate) fn print_line(&self, text: &str) {
        assert!(self.0.is_empty(), "figures are printed with their names");
        println!("{text}");
    }

    /// To stdout, whole.
    pub(crate) fn print(&self, json: bool) {
        let mut text = String::new();
        for (name, figure) in &self.0 {
            if json {
                text.push_str(if text.is_empty() { "{" } else { ", " });
                match figure {
                    Figure::Count(count) | Figure::AtMost(count, _) | Figure::AtLeast(count, _) => {
                        write!(text, "\"{name}\": {count}")
                    }
                    Figure::Share(share) => write!(text, "\"{name}\": {share:.4}"),
                    Figure::Words(words) => write!(text, "\"{name}\": {words:?}"),
                }
            } else {
                match figure {
                    Figure::Count(count) => writeln!(text, "{name:<32} {count}"),
                    Figure::AtMost(count, limit) => {
                        writeln!(
                            text,
                            "{name:<32} {count} at most {limit}{}",
                            broken(count <= limit)
                        )
                    }
                    Figure::AtLeast(count, least) => {
                        writeln!(
                            text,
                            "{name:<32} {count} at least {least}{}",
                            broken(count >= least)
                        )
                    }
                    Figure::Share(share) => writeln!(text, "{name:<32} {share:.4}"),
                    Figure::Words(words) => writeln!(text, "{name:<32} {words}"),
                }
            }
            .expect("a string takes everything");
        }
        if json {
            text.push_str("}\n");
        }
        print!("{text}");
    }
}

const fn broken(is_kept: bool) -> &'static str {
    if is_kept { "" } else { " BROKEN" }
}
