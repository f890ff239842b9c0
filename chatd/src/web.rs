//! The web client, as it is in the folder `web` beside this crate's sources: every file is part of the program.
//!
//! What it does is the business of its own files; who gets them, and with which fields, is the hub's.

use std::sync::LazyLock;

use proto::http::{Asset, PAGE, etag};
use twox_hash::XxHash3_128;

/// The folder's files, by name: the one table of what is served.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../web/", $name)))),*]
    };
}

const FILES: &[(&str, &[u8])] = files![
    "index.html",
    "acts.js",
    "app.js",
    "banner.js",
    "commands.js",
    "composer.js",
    "core.js",
    "dom.js",
    "files.js",
    "heard.js",
    "keys.js",
    "lines.js",
    "link.js",
    "log.js",
    "model.js",
    "moments.js",
    "name.js",
    "notify.js",
    "outgoing.js",
    "replies.js",
    "rooms.js",
    "side.js",
    "socket.js",
    "store.js",
    "style.css",
    "talk.js",
    "views.js",
    "visible.js",
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| FILES.iter().map(asset).collect());

/// What is served of the web client.
pub fn assets() -> &'static [Asset] {
    assert!(FILES.iter().any(|(name, _)| *name == PAGE), "the page is among its files");
    &ASSETS
}

fn asset(&(name, bytes): &(&'static str, &'static [u8])) -> Asset {
    let etag = etag::tag(XxHash3_128::oneshot(bytes));
    Asset { name, content_type: content_type(name), etag, bytes }
}

fn content_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => unreachable!("no file of the web client ends so: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_has_its_own_tag() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let there: BTreeSet<String> = fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("a file").file_name().into_string().expect("a plain name"))
            .collect();
        let served: BTreeSet<String> = assets().iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(there, served);
        let tags: BTreeSet<&str> = assets().iter().map(|asset| &*asset.etag).collect();
        assert_eq!(tags.len(), assets().len());
    }

    #[test]
    fn nothing_of_it_needs_another_server_or_an_inline_script() {
        for asset in assets() {
            let text = std::str::from_utf8(asset.bytes).expect("text");
            for word in ["http://", "https://", "<style", "onclick=", "javascript:", "eval("] {
                assert!(!text.contains(word), "{}: {word}", asset.name);
            }
            for (at, script) in text.match_indices("<script") {
                let tag = &text[at..at + text[at..].find('>').expect("its end")];
                assert!(tag.contains("src="), "{}: {script} at {at}", asset.name);
            }
        }
    }
}
