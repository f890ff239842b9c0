//! The first evening of an administrator: the commands of docs/operating.md, in their order, on a fresh machine.
//!
//! The blocks marked `sh` are run as they stand, each in the folder of a checkout that was built; one marked `sh fails` is one command,
//! and it has to fail. So page and test cannot drift.

use std::fmt::Write;

use tests::binaries::checkout;

use crate::systemd_box::boxed;

/// A block of the page: its commands, and whether they are to fail.
struct Block {
    commands: String,
    fails: bool,
}

/// The blocks of a page, in their order.
fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let fails = match line {
            "```sh" => false,
            "```sh fails" => true,
            _ => continue,
        };
        let inside = lines.by_ref().take_while(|line| *line != "```");
        let commands: Vec<&str> = inside.collect();
        assert!(!commands.is_empty() && (!fails || commands.len() == 1), "{commands:?}");
        found.push(Block { commands: commands.join("\n"), fails });
    }
    found
}

/// A script of the blocks, that stops at the first that does not do what the page says.
fn script(blocks: &[Block]) -> String {
    let mut script = String::from(
        r#"mkdir -p /root/chatd/target
        cp -r /src/systemd /src/docs /root/chatd/
        cp -r /shipped /root/chatd/target/release
        useradd --no-create-home ada
        cd /root/chatd
        # Whoever reads is slower than a script: an entry is there soon, not at once.
        journalctl() {
            case $* in
                *CHATD_KIND=reload_failed*) await 'the failed reload' said 'did you mean' ;;
            esac
            command journalctl "$@"
        }
        set -x
"#,
    );
    for Block { commands, fails } in blocks {
        let _ = match fails {
            false => writeln!(script, "{commands}"),
            true => {
                writeln!(script, "if {commands}; then echo 'it was to fail' >&2; exit 1; fi")
            }
        };
    }
    script
}

#[test]
fn what_the_page_says_is_what_happens() {
    let page = std::fs::read_to_string(checkout().join("docs/operating.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() > 10 && blocks.iter().filter(|block| block.fails).count() == 2);
    let left = r"set +x
        echo left:
        find /etc /usr/bin /usr/share /usr/local /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d /run /var/lib \
            ! -path '/run/credentials/*' ! -path '/usr/local/cargo/*' \( -name '*chatd*' -o -name '*chatctl*' \)
        getent group chat chatd-admin || true";
    let Some(said) = boxed(&format!("{}{left}", script(&blocks))) else { return };
    for words in [
        "Active: active (running)",
        "hello, is anybody here?",
        "/etc/chatd/conf.d/local.toml:3",
        "did you mean 'limits.messages'?",
        "CHATD OK",
    ] {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
    assert!(said.ends_with("left:\n"), "{said}");
}
