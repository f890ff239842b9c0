//! `chatctl man`: whole pages, without any daemon.

use crate::fake::{self, Folder, command, ended, run};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// What a terminal is shown that `chatctl man chatd.toml` has for its output, with these folders of programs.
fn shown_on_a_terminal(path: &std::path::Path) -> (String, String) {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = command(&path.join("nobody"), &["man", "chatd.toml"]);
    command.env("PATH", path).stdin(Stdio::null()).stdout(Stdio::from(terminal.slave));
    let child = command.spawn().unwrap();
    drop(command);
    let reader = fake::shown(terminal.master);
    let ran = ended(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    (reader.join().unwrap(), ran.err)
}

#[test]
fn into_a_pipe_goes_the_source_of_the_page() {
    let socket = Folder::new().socket();
    for (args, title) in [
        (&["man"][..], ".TH chatctl 1 "),
        (&["man", "chatctl"], ".TH chatctl 1 "),
        (&["man", "chatd"], ".TH chatd 8 "),
        (&["man", "chatd.toml"], ".TH chatd.toml 5 "),
        (&["man", "chatd-protocol"], ".TH chatd\\-protocol 7 "),
        // A daemon that is named wrongly is no reason not to read how it is named.
        (&["man", "-s", "wss://chat.example", "--as", " "], ".TH chatctl 1 "),
    ] {
        let ran = run(&socket, args, b"");
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{args:?}");
        assert!(ran.out.lines().any(|line| line.starts_with(title)), "{args:?}");
    }
}

#[test]
fn an_unknown_page_is_wrong_use_and_the_four_are_named() {
    let socket = Folder::new().socket();
    let ran = run(&socket, &["man", "chat"], b"");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("chatd, chatctl, chatd.toml, chatd-protocol"), "{ran:?}");
    assert_eq!(run(&socket, &["man", "--json"], b"").code, Some(2));
}

#[test]
fn on_a_terminal_man_shows_the_page_and_without_man_it_is_the_source() {
    let folder = Folder::new();
    let (shown, said) = shown_on_a_terminal(&folder.path(""));
    assert!(shown.contains(".TH chatd.toml 5 "), "{shown}");
    assert!(said.contains("there is no `man`"), "{said}");
    let man = folder.file("man", b"#!/bin/sh\necho shown with \"$@\"\nwhile read -r line; do case $line in .TH*) echo \"$line\" ;; esac; done\n");
    std::fs::set_permissions(man, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (shown, said) = shown_on_a_terminal(&folder.path(""));
    assert!(shown.starts_with("shown with -l -\n.TH chatd.toml 5 "), "{shown}");
    assert_eq!((shown.lines().count(), &*said), (2, ""), "{shown}");
}
