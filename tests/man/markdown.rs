//! The part of Markdown that the documents use, written into a page of the manual: headings, paragraphs, lists, tables, blocks.

use super::roff::Page;

/// Writes a document into a page. Its title is left out, since the page has a name.
pub(crate) fn write(document: &str, page: &mut Page) {
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with("# ") || line.starts_with("<!--") {
            continue;
        }
        if let Some(text) = line.strip_prefix("## ") {
            page.heading(text);
        } else if let Some(text) = line.strip_prefix("### ") {
            page.subheading(text);
        } else if line.starts_with("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            page.verbatim(&inside.join("\n"));
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            table(&rows, page);
        } else {
            let (mark, text) = entry(line).unwrap_or(("none", line));
            let mut text = text.to_owned();
            while let Some(more) = lines.next_if(|line| goes_on(line)) {
                text.push(' ');
                text.push_str(more.trim_start());
            }
            match mark {
                "none" => page.paragraph(&text),
                mark => page.bullet(mark, &text),
            }
        }
    }
}

/// The mark and the text of a list's entry; the mark is nothing where the list is not numbered.
fn entry(line: &str) -> Option<(&str, &str)> {
    if let Some(text) = line.strip_prefix("- ") {
        return Some(("", text));
    }
    let (mark, text) = line.split_once(' ')?;
    let is_number = mark.strip_suffix('.')?.chars().all(|c| c.is_ascii_digit());
    is_number.then_some((mark, text))
}

/// Whether a line belongs to the paragraph or the entry before it.
fn goes_on(line: &str) -> bool {
    !line.is_empty()
        && !line.starts_with(['#', '|', '<'])
        && !line.starts_with("```")
        && entry(line).is_none()
}

fn cells(row: &str) -> Vec<&str> {
    let row = row.strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    row.expect("a row is between bars").split('|').map(str::trim).collect()
}

/// A table as a list, since its cells are sentences: the first cell, and below it the others by their columns' names.
fn table(rows: &[Vec<&str>], page: &mut Page) {
    let [names, _, rows @ ..] = rows else { panic!("a table has a head") };
    for row in rows {
        assert_eq!(row.len(), names.len(), "{row:?}");
        let cells = names.iter().zip(row).skip(1).filter(|(_, cell)| !cell.is_empty());
        let texts: Vec<String> = cells
            .map(|(name, cell)| match names.len() {
                2 => (*cell).to_owned(),
                _ => format!("*{name}*: {cell}"),
            })
            .collect();
        page.item(row[0], &texts.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
