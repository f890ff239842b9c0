//! The command line of what shells ask for.

use clap::{Args, ValueEnum};
use std::ffi::OsString;

/// `chatctl completion`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  source <(chatctl completion bash)      in ~/.bashrc
  source <(chatctl completion zsh)       in ~/.zshrc, behind compinit
  chatctl completion fish > ~/.config/fish/completions/chatctl.fish")]
pub struct Completion {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `chatctl __complete`.
#[derive(Args, Debug)]
pub struct Complete {
    /// Who asks
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
    /// The words up to the cursor, the last one perhaps empty; bash gives the line, its first word, and what it would replace
    #[arg(value_name = "TEXT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// The shells that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// From version 4.4 on.
    Bash,
    /// With its `compinit`.
    Zsh,
    /// From version 3 on.
    Fish,
}
