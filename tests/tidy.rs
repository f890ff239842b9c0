//! What clippy cannot check: the floors, the size and head of files, leftovers, and documents that promise what is there.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics is a test that fails")]

mod man;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tests::binaries::checkout;

/// A file that is longer has become the place where everything meets.
const FILE_LINES_MAX: usize = 900;

/// The crates and what each may know of the others.
const FLOORS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("hub", &["proto"]),
    ("chatd", &["proto", "hub"]),
    ("chatctl", &["proto"]),
    ("bench", &["proto"]),
    ("tests", &["proto", "hub", "chatd", "chatctl"]),
];

/// Every file under the checkout whose name ends so, generated and foreign ones left out.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![checkout().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(checkout()).unwrap().display().to_string()
}

/// Fails with every complaint at once.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The names on the left side of a manifest's section.
fn section(manifest: &str, name: &str) -> Vec<String> {
    let heading = format!("[{name}]");
    let lines = manifest.lines().skip_while(|line| line.trim() != heading).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', '=', ' ']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn manifests_keep_the_floors() {
    let mut complaints = Vec::new();
    for (name, below) in FLOORS {
        let manifest = read(&checkout().join(name).join("Cargo.toml"));
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for dependency in section(&manifest, kind) {
                let ours = FLOORS.iter().any(|(known, _)| *known == dependency);
                if ours && !below.contains(&dependency.as_str()) {
                    complaints.push(format!("{name} must not depend on {dependency} ({kind})"));
                }
            }
        }
        if !manifest.contains("[lints]\nworkspace = true") {
            complaints.push(format!("{name} does not take the workspace's lints"));
        }
    }
    none(&complaints);
}

#[test]
fn every_member_has_a_floor() {
    let manifest = read(&checkout().join("Cargo.toml"));
    let members = manifest.lines().find(|line| line.starts_with("members")).unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        assert!(FLOORS.iter().any(|(name, _)| *name == member), "{member} has no floor");
    }
}

#[test]
fn imports_keep_the_floors() {
    let mut complaints = Vec::new();
    for (name, below) in FLOORS.iter().filter(|(name, _)| *name != "tests") {
        for path in files(".rs").iter().filter(|path| path.starts_with(checkout().join(name))) {
            for (number, line) in read(path).lines().enumerate() {
                for (other, _) in
                    FLOORS.iter().filter(|(other, _)| other != name && *other != "tests")
                {
                    let code = line.split("//").next().unwrap_or_default();
                    if names_crate(code, other) && !below.contains(other) {
                        complaints.push(format!("{}:{}: uses {other}", shown(path), number + 1));
                    }
                }
            }
        }
    }
    none(&complaints);
}

/// Whether a line of code has `other::` as the beginning of a path.
fn names_crate(code: &str, other: &str) -> bool {
    let path = format!("{other}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '"'))
    })
}

#[test]
fn the_pure_floors_have_no_std() {
    let mut complaints = Vec::new();
    for name in ["proto", "hub"] {
        let folder = checkout().join(name).join("src");
        let root = read(&folder.join("lib.rs"));
        for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !root.contains(attribute) {
                complaints.push(format!("{name}/src/lib.rs lacks {attribute}"));
            }
        }
        // These two names are what only tests have; the root must say so.
        for module in ["mod testing;", "mod tests;"] {
            if root.contains(module) && !root.contains(&format!("#[cfg(test)]\n{module}")) {
                complaints.push(format!("{name}/src/lib.rs: {module} without #[cfg(test)]"));
            }
        }
        for path in files(".rs").iter().filter(|path| path.starts_with(&folder)) {
            let text = read(path);
            let is_test = path.starts_with(folder.join("tests")) || path.ends_with("testing.rs");
            let at = text.find("extern crate std").filter(|_| !is_test);
            if at.is_some_and(|at| !text[..at].contains("#[cfg(test)]")) {
                complaints.push(format!("{}: std outside of tests", shown(path)));
            }
        }
    }
    none(&complaints);
}

#[test]
fn unsafe_lives_in_one_folder() {
    let complaints: Vec<String> = files(".rs")
        .iter()
        .filter(|path| !path.starts_with(checkout().join("chatd/src/sys")))
        .filter(|path| {
            let text = read(path);
            let words = ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code"];
            words.iter().any(|word| text.lines().any(|line| line.trim_start().starts_with(word)))
        })
        .map(|path| format!("{}: unsafe outside of chatd/src/sys", shown(path)))
        .collect();
    none(&complaints);
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut complaints = Vec::new();
    for path in files(".rs") {
        let text = read(&path);
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            complaints.push(format!("{}: {lines} lines, over {FILE_LINES_MAX}", shown(&path)));
        }
        if !text.starts_with("//! ") {
            complaints.push(format!("{}: does not open with //!", shown(&path)));
        }
        if text.starts_with("//! Placeholder") {
            complaints.push(format!("{}: is a placeholder", shown(&path)));
        }
    }
    none(&complaints);
}

#[test]
fn nothing_is_left_over() {
    let mark = ["FIX", "ME"].concat();
    let bare = ["#[ign", "ore]"].concat();
    let mut complaints = Vec::new();
    for path in
        files(".rs").into_iter().chain(files("/run")).chain(files(".toml")).chain(files(".md"))
    {
        for (number, line) in read(&path).lines().enumerate() {
            if line.contains(&mark) {
                complaints.push(format!("{}:{}: {mark}", shown(&path), number + 1));
            }
            if line.trim() == bare {
                complaints.push(format!(
                    "{}:{}: ignored without a reason",
                    shown(&path),
                    number + 1
                ));
            }
        }
    }
    none(&complaints);
}

#[test]
fn each_dependency_has_one_line_of_why() {
    let manifest = read(&checkout().join("Cargo.toml"));
    let ours: Vec<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    let lines = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let complaints: Vec<String> = lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !ours.contains(&line.split(' ').next().unwrap()))
        .filter(|line| !line.contains(" # "))
        .map(|line| format!("Cargo.toml does not say why: {line}"))
        .collect();
    none(&complaints);
}

#[test]
fn the_pinned_compiler_is_the_one_that_is_claimed() {
    let pinned = read(&checkout().join("rust-toolchain.toml"));
    let manifest = read(&checkout().join("Cargo.toml"));
    let quoted = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let (channel, claimed) = (quoted(&pinned, "channel"), quoted(&manifest, "rust-version"));
    assert!(
        channel == claimed || channel.starts_with(&format!("{claimed}.")),
        "{channel}, {claimed}"
    );
}

#[test]
fn the_protocol_documents_tables_are_the_codes() {
    tables_are_the_codes("docs/protocol.md", &protocol_tables());
}

fn protocol_tables() -> [(&'static str, String); 3] {
    [
        ("requests", proto::docs::request_table()),
        ("events", proto::docs::event_table()),
        ("errors", proto::docs::error_table()),
    ]
}

#[test]
fn the_log_documents_table_is_the_codes() {
    tables_are_the_codes("docs/log.md", &[("kinds", chatd::log::table())]);
}

/// The tables of a document are those of the code.
fn tables_are_the_codes(place: &str, tables: &[(&str, String)]) {
    let path = checkout().join(place);
    let (document, different) = with_tables(&read(&path), tables);
    if !different.is_empty() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        // Other tests read it meanwhile: it is replaced, not written over.
        let fresh = path.with_extension("fresh");
        fs::write(&fresh, document).unwrap();
        fs::rename(fresh, path).unwrap();
        return;
    }
    assert!(different.is_empty(), "{place}, tables of {different:?}: UPDATE_GOLDEN=1 writes them");
}

/// The document with the code's tables, between `<!-- table of NAME, made from the code -->` and `<!-- end -->`, and which it had not.
fn with_tables<'a>(document: &str, tables: &[(&'a str, String)]) -> (String, Vec<&'a str>) {
    let mut document = document.to_owned();
    let mut different = Vec::new();
    for (name, table) in tables {
        let begin = format!("<!-- table of {name}, made from the code -->\n");
        let from = document.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
        let to = from + document[from..].find("<!-- end -->").unwrap();
        if document[from..to] != *table {
            document.replace_range(from..to, table);
            different.push(*name);
        }
    }
    (document, different)
}

/// Each row of docs/protocol.md's limits that names a key of the configuration has that key's default, and each limit has a row.
#[test]
fn the_protocol_documents_limits_are_the_defaults() {
    let defaults = defaults();
    let document = read(&checkout().join("docs/protocol.md"));
    let (_, limits) = document.split_once("\n## 5. Limits\n").unwrap();
    let limits = limits.split("\n## ").next().unwrap();
    let (mut complaints, mut named) = (Vec::new(), Vec::new());
    for row in limits.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for keys in cells[1].split("(`").skip(1).filter_map(|rest| rest.split("`)").next()) {
            for key in keys.split("`, `") {
                let of_key: Vec<_> = defaults.iter().filter(|(_, name, _)| name == key).collect();
                let [(_, _, value)] = &of_key[..] else {
                    complaints.push(format!("`{key}` is no key, or several: {row}"));
                    continue;
                };
                named.push(key);
                let wanted = value.as_deref().map_or("descriptors".to_owned(), in_words);
                if !has_value(cells[2], &wanted) {
                    complaints.push(format!("`{key}` is {wanted}, not {}", cells[2]));
                }
            }
        }
    }
    for (section, key, _) in defaults.iter().filter(|(section, _, _)| section == "limits") {
        if !named.contains(&key.as_str()) && key != "exempt" {
            complaints.push(format!("no row of the limits names `{key}` of [{section}]"));
        }
    }
    none(&complaints);
}

/// The file that packages install is the table's: everything in it is a comment, so that it changes nothing.
#[test]
fn the_shipped_configuration_is_every_key_at_its_default() {
    let path = checkout().join("systemd/chatd.toml");
    let printed = chatd::config::Config::print_default();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &printed).unwrap();
    }
    assert_eq!(read(&path), printed, "UPDATE_GOLDEN=1 cargo test -p tests --test tidy rewrites it");
}

/// Every key of the configuration: its section, its name and its default, where that does not depend on the machine.
fn defaults() -> Vec<(String, String, Option<String>)> {
    let printed = chatd::config::Config::print_default();
    let mut section = String::new();
    let mut all = Vec::new();
    for line in printed.lines() {
        if line.trim_start_matches("# ").starts_with('[') {
            line.trim_matches(['#', ' ', '[', ']']).clone_into(&mut section);
        } else if let Some((key, value)) = line.trim_start_matches("# ").split_once(" = ") {
            all.push((section.clone(), key.to_owned(), Some(value.trim_matches('"').to_owned())));
        } else if let Some(key) = line.strip_suffix(": depends on the machine") {
            all.push((section.clone(), key.trim_start_matches("# ").to_owned(), None));
        }
    }
    assert!(all.len() > 30, "there are many keys: {printed}");
    all
}

/// A value as the document writes it: `256KiB/s` is 256 KiB/s, and `10000` is 10,000.
fn in_words(value: &str) -> String {
    let unit = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(unit);
    let mut words = String::new();
    for (at, digit) in number.chars().enumerate() {
        if at > 0 && (number.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    if unit.starts_with(char::is_alphabetic) {
        words.push(' ');
    }
    words + unit
}

/// Whether a cell has a value, and not only as a part of another one.
fn has_value(cell: &str, value: &str) -> bool {
    cell.match_indices(value).any(|(at, _)| {
        let (before, after) = (&cell[..at], &cell[at + value.len()..]);
        let goes_on = after.strip_prefix(',').unwrap_or(after).starts_with(char::is_alphanumeric);
        !before.ends_with(|c: char| c.is_alphanumeric() || c == ',')
            && !goes_on
            && !after.starts_with('/')
    })
}

/// The rows of the table in a section of docs/operating.md, their cells.
fn operating_rows(heading: &str) -> Vec<Vec<String>> {
    let page = read(&checkout().join("docs/operating.md"));
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields of an object, those of objects in it behind a dot, those of a list's behind `[]`.
fn fields(of: &str, value: &serde_json::Value, all: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                let separator = if of.is_empty() { "" } else { "." };
                fields(&format!("{of}{separator}{name}"), value, all);
            }
        }
        serde_json::Value::Array(list) if list.iter().all(serde_json::Value::is_object) => {
            let first = list.first().unwrap_or_else(|| panic!("{of} is empty in the example"));
            fields(&format!("{of}[]"), first, all);
        }
        _ => all.push(of.to_owned()),
    }
}

#[test]
fn the_operators_page_tells_every_field_of_stats_and_no_other() {
    let listeners = ["127.0.0.1:33333".to_owned()];
    let stats = proto::reply::Stats {
        who: Some(vec![proto::reply::Hit { limit: "messages", who: "Ada", times: 1, ago_ms: 0 }]),
        process: Some(proto::reply::Process { pid: 1, descriptors_max: 1, listeners: &listeners }),
        ..Default::default()
    };
    let source = read(&checkout().join("proto/src/reply.rs"));
    let (_, block) = source.split_once("\npub struct Stats<'a> {\n").unwrap();
    let left_out = block.split("\n}").next().unwrap().matches("skip_serializing_if").count();
    assert_eq!(left_out, 2, "the example above is to have every field that may be left out");
    let mut there = Vec::new();
    fields("", &serde_json::to_value(&stats).unwrap(), &mut there);
    let mut told: Vec<String> =
        operating_rows("What `status` tells").iter().flat_map(|row| quoted(&row[0])).collect();
    there.sort();
    told.sort();
    assert_eq!(told, there, "docs/operating.md's table of fields, and the fields of stats");
}

#[test]
fn the_operators_page_has_every_limit_with_its_default() {
    let there: Vec<(String, String)> = defaults()
        .into_iter()
        .filter(|(section, _, _)| section == "limits")
        .map(|(_, key, value)| match value.as_deref() {
            None => (key, "descriptors less 64".to_owned()),
            Some("[]") => (key, "none".to_owned()),
            Some(value) => (key, in_words(value)),
        })
        .collect();
    let rows = operating_rows("Limits");
    let told: Vec<(String, String)> =
        rows.iter().map(|row| (quoted(&row[0]).concat(), row[1].clone())).collect();
    assert_eq!(told, there, "docs/operating.md's limits, and the configuration's");
}

#[test]
fn the_operators_page_names_the_keys_that_take_a_restart() {
    let printed = chatd::config::Config::print_default();
    let (mut section, mut takes, mut there) = (String::new(), false, Vec::new());
    for line in printed.lines() {
        if line.trim_start_matches("# ").starts_with('[') {
            line.trim_matches(['#', ' ', '[', ']']).clone_into(&mut section);
        } else if line.ends_with("(takes a restart)") {
            takes = true;
        } else if let Some((key, _)) = line.split_once(" = ").or_else(|| line.split_once(": "))
            && std::mem::take(&mut takes)
        {
            there.push(format!("{section}.{}", key.trim_start_matches("# ")));
        }
    }
    let page = read(&checkout().join("docs/operating.md"));
    let (_, told) = page.split_once("<!-- keys that take a restart -->").unwrap();
    assert_eq!(quoted(told.split("<!-- end -->").next().unwrap()), there);
}

#[test]
fn links_lead_somewhere() {
    let mut complaints = Vec::new();
    for path in files(".md") {
        let text = read(&path);
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split([')', '#', ' ']).next().unwrap();
            let there = link.is_empty()
                || link.contains("://")
                || path.parent().unwrap().join(link).exists();
            if !there {
                complaints.push(format!("{}: {link} is not there", shown(&path)));
            }
        }
    }
    none(&complaints);
}

/// The README's first two commands are the two that everything hangs on, and every package and script it names is there.
#[test]
fn the_readmes_commands_are_there() {
    let readme = read(&checkout().join("README.md"));
    let commands: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(commands.first(), Some(&"cargo run --release -p chatd"));
    assert_eq!(commands.get(1), Some(&"tests/run"));
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["cargo", "run", "--release", "-p", package, ..] = words[..] {
            assert!(FLOORS.iter().any(|(name, _)| *name == package), "{command}");
        }
        if let [script @ ("tests/run" | ".ci/run" | "bench/run"), ..] = words[..] {
            let mode = checkout().join(script).metadata().unwrap().permissions().mode();
            assert!(mode & 0o111 != 0, "{script} cannot be run");
        }
    }
}

/// The functions that ARCHITECTURE.md walks through exist, in the crate it says.
#[test]
fn the_architectures_functions_are_there() {
    let text = read(&checkout().join("ARCHITECTURE.md"));
    let code: BTreeMap<PathBuf, String> =
        files(".rs").into_iter().map(|path| (path.clone(), read(&path))).collect();
    let mut functions = 0;
    for part in text.split('`').skip(1).step_by(2) {
        let Some((kind, name)) = part.split_once("::") else {
            if part.contains(".rs") {
                assert!(
                    checkout().join(part).exists(),
                    "ARCHITECTURE.md names {part}, which is not there"
                );
            }
            continue;
        };
        let is_type = kind.starts_with(char::is_uppercase);
        if is_type && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            let defined = format!("fn {name}");
            let there = code.values().any(|text| text.contains(kind) && text.contains(&defined));
            assert!(there, "ARCHITECTURE.md names {part}, which is not there");
            functions += 1;
        }
    }
    assert!(functions >= 6, "a message passes six functions, and {functions} are named");
}
