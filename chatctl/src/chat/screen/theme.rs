//! The looks: what each piece of text means, and how it is shown with the 16 colours of any terminal, or with none.

use ratatui_core::style::{Color, Modifier, Style};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// What people say.
    Plain,
    /// What may be overlooked: times, marks that all is well.
    Faint,
    /// A nickname, by a number made of it.
    Nick(u8),
    /// Our own nickname.
    Own,
    /// Somebody means us.
    Mention,
    /// Something is unread.
    Unread,
    /// What this client says.
    Note,
    /// What happened in a room.
    Event,
    /// What went wrong, or is missing.
    Fault,
    /// The line before the first unread message.
    New,
    /// The title, the view that is seen.
    Bar,
    /// A word about the connection, or a question.
    Alert,
    /// The state of the talk.
    State,
    /// A heading.
    Head,
}

/// The colours of nicknames: those that can be read on light and on dark.
const NICKS: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Magenta, Color::Blue, Color::LightCyan, Color::LightMagenta];

/// How all looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theme {
    /// Whether there are colours.
    pub(super) colour: bool,
    /// Whether the terminal can show more than ASCII.
    pub(super) lines: bool,
}

impl Theme {
    /// How this is shown.
    pub(super) fn style(self, ink: Ink) -> Style {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let dim = plain.add_modifier(Modifier::DIM);
        let reversed = plain.add_modifier(Modifier::REVERSED);
        let coloured = |style: Style, colour| if self.colour { style.fg(colour) } else { style };
        match ink {
            Ink::Plain | Ink::State => plain,
            Ink::Faint => dim,
            Ink::Nick(number) => {
                let colour = NICKS.get(usize::from(number) % NICKS.len());
                coloured(plain, colour.copied().unwrap_or(Color::Reset))
            }
            Ink::Own | Ink::Unread | Ink::Head => bold,
            Ink::Mention => coloured(bold, Color::Yellow),
            Ink::Note => coloured(plain, Color::Cyan),
            Ink::Event => coloured(dim, Color::Reset),
            Ink::Fault | Ink::New => coloured(bold, Color::Red),
            Ink::Bar => reversed,
            Ink::Alert => coloured(reversed.add_modifier(Modifier::BOLD), Color::Yellow),
        }
    }

    /// A stroke from top to bottom.
    pub(super) fn upright(self) -> &'static str {
        if self.lines { "\u{2502}" } else { "|" }
    }

    /// A stroke from left to right.
    pub(super) fn level(self) -> &'static str {
        if self.lines { "\u{2500}" } else { "-" }
    }
}

/// The ink of a nickname: the same wherever it stands, whatever its case.
pub(super) fn nick(nick: &str) -> Ink {
    let sum = nick
        .to_lowercase()
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    Ink::Nick(u8::try_from(sum % 6).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Ink, Theme, nick};
    use ratatui_core::style::Color;

    #[test]
    fn without_colours_there_are_none_and_with_them_16_at_most() {
        let all = [
            Ink::Plain,
            Ink::Faint,
            nick("ada"),
            Ink::Own,
            Ink::Mention,
            Ink::Unread,
            Ink::Note,
            Ink::Event,
            Ink::Fault,
            Ink::New,
            Ink::Bar,
            Ink::Alert,
            Ink::State,
            Ink::Head,
        ];
        for ink in all {
            let bare = Theme { colour: false, lines: true }.style(ink);
            assert_eq!((bare.fg, bare.bg), (None, None), "{ink:?}");
            let style = Theme { colour: true, lines: true }.style(ink);
            let is_named = |colour| !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
            assert!(style.fg.is_none_or(is_named) && style.bg.is_none_or(is_named), "{ink:?}");
        }
        assert_eq!(nick("Ada"), nick("ada"));
    }
}
