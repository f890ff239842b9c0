//! The form of a script.
//!
//! A line that begins with `> ` is a command; the lines below it are what came of it. Comments (`#`) and empty lines stand before
//! a command and are kept as they are. A script opens with a comment that says what it shows.

/// A parsed script.
#[derive(Debug, Default)]
pub struct Script {
    /// Its commands in order.
    pub steps: Vec<Step>,
    /// What is behind the last command's output.
    rest: Vec<String>,
}

/// A command, what is written before it, what came of it.
#[derive(Debug)]
pub struct Step {
    /// The command's line, from 1.
    pub line: usize,
    /// Comments and empty lines before it.
    before: Vec<String>,
    /// The command without its mark.
    pub command: String,
    /// What came of it.
    pub output: Vec<String>,
}

impl Script {
    pub fn parse(text: &str) -> Self {
        let mut script = Self::default();
        let mut before = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(command) = line.strip_prefix("> ") {
                let before = std::mem::take(&mut before);
                let command = command.to_owned();
                script.steps.push(Step { line: number + 1, before, command, output: Vec::new() });
            } else if line.is_empty() || line.starts_with('#') {
                before.push(line.to_owned());
            } else if let Some(step) = script.steps.last_mut().filter(|_| before.is_empty()) {
                step.output.push(line.to_owned());
            } else {
                panic!("line {}: output without a command: {line}", number + 1);
            }
        }
        script.rest = before;
        script
    }

    pub fn shown(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for step in &self.steps {
            lines.extend(step.before.iter().cloned());
            lines.push(format!("> {}", step.command));
            lines.extend(step.output.iter().cloned());
        }
        lines.extend(self.rest.iter().cloned());
        lines.join("\n") + "\n"
    }
}

#[test]
fn a_script_is_shown_as_it_was_written() {
    let text =
        "# What it shows.\n> connect ada\nada: nothing\n\n# And then\n> ada keepalive\n\n# end\n";
    assert_eq!(Script::parse(text).shown(), text);
}
