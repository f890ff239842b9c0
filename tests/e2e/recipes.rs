//! The recipes of docs/http.md, as they stand there, with curl.

use std::fs;
use std::process::Command;

use tests::binaries::checkout;
use tests::{Daemon, Folder, Http, Program, left_out, program};

/// The blocks of a kind that the document has, in their order, for this daemon.
fn blocks(kind: &str, daemon: &Daemon) -> Vec<String> {
    let page = fs::read_to_string(checkout().join("docs/http.md")).unwrap();
    let fence = format!("```{kind}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    let address = daemon.address().to_string();
    blocks.map(|block| block.replace("localhost:33333", &address)).collect()
}

fn shell(script: &str, folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder.path());
    command
}

#[test]
fn what_the_document_says_works_with_curl() {
    if Command::new("curl").arg("--version").output().is_err() {
        return left_out("the recipes of docs/http.md: needs curl (Debian package curl)");
    }
    let (daemon, folder) = (Daemon::start(), Folder::new());
    let blocks = blocks("sh", &daemon);
    let (streams, others): (Vec<&String>, Vec<&String>) =
        blocks.iter().partition(|block| block.contains("curl -N"));
    assert_eq!((streams.len(), others.len()), (1, 3), "{blocks:?}");
    for script in others {
        let output = program::run(&mut shell(script, &folder), &[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !said.contains("\"ok\":false"), "{script}: {said}");
    }
    let said = Http::connect(daemon.address()).gets("/api/rooms/ops/messages").lines();
    let texts: Vec<&str> = said.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["backup done", "backup done"]);
    assert_eq!(fs::read_to_string(folder.join("report.png")).unwrap(), "backup done");
    let follower = Program::start(&mut shell(streams[0], &folder));
    follower.stdout.line_with(&["retry:"]);
    Http::connect(daemon.address()).posts("/api/rooms/ops/messages", "", "it goes on");
    follower.stdout.line_with(&["data: ", "it goes on"]);
}
