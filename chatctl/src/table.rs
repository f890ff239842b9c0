//! Tables for people: a headline, then a line by row, each column as wide as its widest cell.
//!
//! Cells are shown as they are; making strangers' text harmless on a terminal is the business of whoever prints.

/// Which way the cells of a column lean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lean {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// The lines of a table, without space at their ends.
pub fn lines<const N: usize>(head: [(&str, Lean); N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = head.map(|(name, _)| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for ((cell, width), (_, lean)) in cells.iter().zip(widths).zip(head) {
            let pad = " ".repeat(width - cell.chars().count());
            match lean {
                Lean::Left => line.extend([*cell, &pad, "  "]),
                Lean::Right => line.extend([&pad, *cell, "  "]),
            }
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(head.map(|(name, _)| name))];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines
}

#[cfg(test)]
mod tests {
    use super::{Lean, lines};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let head = [("NICK", Lean::Left), ("LAG", Lean::Right), ("WHY", Lean::Left)];
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["åsa", "12345", "their window"]), row(["bartholomew", "7", ""])];
        let expected =
            ["NICK           LAG  WHY", "åsa          12345  their window", "bartholomew      7"];
        assert_eq!(lines(head, &rows), expected);
        assert_eq!(lines(head, &[]).len(), 1);
    }
}
