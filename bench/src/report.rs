//! Figures in the order they were measured: a line each for people and scripts, or one JSON object.
#![allow(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::fmt::Write as _;

/// Named figures.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(&'static str, Figure)>);

#[derive(Debug)]
enum Figure {
    Count(u64),
    Share(f64),
    Words(String),
}

impl Report {
    pub(crate) fn count(&mut self, name: &'static str, count: u64) {
        self.0.push((name, Figure::Count(count)));
    }

    pub(crate) fn share(&mut self, name: &'static str, share: f64) {
        self.0.push((name, Figure::Share(share)));
    }

    pub(crate) fn words(&mut self, name: &'static str, words: impl Into<String>) {
        self.0.push((name, Figure::Words(words.into())));
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
                    Figure::Count(count) => write!(text, "\"{name}\": {count}"),
                    Figure::Share(share) => write!(text, "\"{name}\": {share:.4}"),
                    Figure::Words(words) => write!(text, "\"{name}\": {words:?}"),
                }
            } else {
                match figure {
                    Figure::Count(count) => writeln!(text, "{name:<32} {count}"),
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
