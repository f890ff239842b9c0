//! A command line as clap has it, written into a page of the manual.

use clap::builder::StyledStr;
use clap::{Arg, Command};

use super::roff::Page;

/// How the command is written.
pub(crate) fn synopsis(command: &mut Command, page: &mut Page) {
    page.heading("Synopsis");
    page.paragraph(&format!("`{}`", usage(command)));
}

/// The options of the command itself.
pub(crate) fn options(command: &Command, page: &mut Page) {
    page.heading("Options");
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        argument(arg, page);
    }
}

/// A part for each command inside of it, in its order.
pub(crate) fn subcommands(command: &mut Command, page: &mut Page) {
    page.heading("Commands");
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
        if sub.get_name() == "help" {
            continue;
        }
        page.subheading(sub.get_name());
        let usage = usage(sub);
        page.paragraph(&format!("`{usage}`"));
        page.paragraph(&sentence(sub.get_about().expect("each command has a line of help")));
        let is_own = |arg: &&Arg| {
            !arg.is_hide_set() && !arg.is_global_set() && arg.get_id().as_str() != "help"
        };
        for arg in sub.get_arguments().filter(is_own) {
            argument(arg, page);
        }
        examples(sub, page);
        if let Some(text) = sub.get_after_help() {
            page.paragraph(&text.to_string());
        }
    }
}

/// The examples that the help begins with, as they stand.
pub(crate) fn examples(command: &Command, page: &mut Page) {
    let Some(text) = command.get_before_help() else { return };
    let text = text.to_string();
    let text = text.strip_prefix("Examples:\n").expect("the help begins with examples");
    page.paragraph("Examples:");
    page.verbatim(
        &text.lines().map(|line| line.trim_start().to_owned() + "\n").collect::<String>(),
    );
}

fn usage(command: &mut Command) -> String {
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage:").expect("so it begins");
    usage.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A flag or a word of the command line, and what it does.
fn argument(arg: &Arg, page: &mut Page) {
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let takes = arg.get_action().takes_values();
    let mut names: Vec<String> = Vec::new();
    names.extend(arg.get_short().map(|short| format!("`-{short}`")));
    names.extend(arg.get_long().map(|long| format!("`--{long}`")));
    let mut head = names.join(", ");
    if takes {
        if !head.is_empty() {
            head.push(' ');
        }
        head += &["*", &values, "*"].concat();
    }
    let help = arg.get_help().unwrap_or_else(|| panic!("{head} has no help"));
    let mut texts = vec![sentence(help)];
    let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    if takes && !defaults.is_empty() {
        texts.push(format!("Default: `{}`.", defaults.join(" ")));
    }
    let possible = arg.get_possible_values();
    let choices: Vec<_> = possible.iter().filter(|value| !value.is_hide_set()).collect();
    if takes && !choices.is_empty() {
        let words: Vec<_> = choices.iter().map(|value| format!("`{}`", value.get_name())).collect();
        texts.push(format!("One of {}.", words.join(", ")));
        for value in choices {
            if let Some(help) = value.get_help() {
                texts.push(format!("`{}`: {}", value.get_name(), sentence(help)));
            }
        }
    }
    if let Some(name) = arg.get_env() {
        texts.push(format!("Without it, what `{}` says.", name.to_string_lossy()));
    }
    page.item(&head, &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

/// A line of help as a sentence of its own.
fn sentence(help: &StyledStr) -> String {
    let text = help.to_string();
    let end = if text.ends_with(['.', ']', ')']) { "" } else { "." };
    text + end
}
