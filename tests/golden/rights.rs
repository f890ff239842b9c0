//! Every request and every role, in the hub alone: what docs/protocol.md lets somebody is carried out or fails for another reason,
//! everything else is forbidden and changes nothing.

use std::net::{IpAddr, Ipv4Addr};

use hub::Rights;
use serde_json::Value;
use tests::roles::{Cell, Role, cells};

use crate::world::World;

const ASKER: &str = "asker";
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// What a role is given when it comes.
fn rights(role: Role) -> Rights {
    match role {
        Role::Root | Role::Own | Role::Admin => Rights::ADMIN,
        Role::Send => Rights::SEND,
        Role::Watch => Rights::WATCH,
        Role::SendAndWatch | Role::Tcp => Rights::TALK,
        Role::Nobody => Rights::NONE,
    }
}

/// The reply to one request of this role, and all that happened with it.
fn asked(role: Role, cell: &Cell) -> (Value, Vec<String>) {
    let mut world = World::new("");
    let groups = &mut world.settings().groups;
    (groups.admin, groups.send, groups.watch) =
        (vec!["ruling".to_owned()], vec!["sending".to_owned()], vec!["watching".to_owned()]);
    world.connect("witness", HOME, true, proto::Protocols::ALL);
    world.asks("witness", r#"{"request":"hello","id":"1","nick":"Witness"}"#);
    world.asks("witness", r#"{"request":"join","id":"2","room":"ops"}"#);
    if role == Role::Tcp {
        world.connect(ASKER, HOME, true, proto::Protocols::ALL);
        world.asks(ASKER, r#"{"request":"hello","id":"1","nick":"Asker"}"#);
    } else {
        world.connect_control(ASKER, "asker", rights(role));
    }
    world.take_output();
    let mut object = cell.fields.clone();
    object["request"] = cell.request.into();
    if object.get("id").is_none() {
        object["id"] = "7".into();
    }
    world.asks(ASKER, &object.to_string());
    let mut output = world.take_output();
    if output.iter().any(|line| line == "the configuration is to be read") {
        let same = world.hub().settings().clone();
        world.reloaded(Ok(same));
        output.extend(world.take_output());
    }
    let start = format!("{ASKER}: {{\"reply\":");
    let reply = output.iter().find(|line| line.starts_with(&start));
    let reply = reply.unwrap_or_else(|| panic!("{role:?}: no reply to {object}: {output:?}"));
    let reply = serde_json::from_str(reply.split_once(": ").unwrap().1).unwrap();
    (reply, output)
}

#[test]
fn every_request_is_for_whom_the_document_says() {
    let mut allowed = 0;
    for cell in cells() {
        for role in Role::ALL {
            let (reply, output) = asked(role, &cell);
            let forbidden = reply["error"] == "forbidden";
            let what = format!("{role:?} {} {}", cell.request, cell.fields);
            assert_eq!(!forbidden, cell.is_for(role), "{what}: {reply}");
            allowed += usize::from(!forbidden);
            if !forbidden {
                continue;
            }
            // One reply, and on the control socket a line of the log: nobody else noticed anything.
            let told = usize::from(role != Role::Tcp);
            assert_eq!(output.len(), 1 + told, "{what}: {output:?}");
            let said = reply["message"].as_str().unwrap();
            if role == Role::Tcp {
                assert!(said.contains("control socket"), "{what}: {said}");
            } else {
                let missing = |word: &str| {
                    cell.needs.iter().any(|need| need.contains(word) && !role.may(word))
                };
                for (word, group) in
                    [("send", "sending"), ("watch", "watching"), ("admin", "ruling")]
                {
                    let named = said.contains(&format!("`{group}`"));
                    let first = cell.needs.iter().find(|need| !role.may(need)).unwrap();
                    assert_eq!(named, first.contains(word) && missing(word), "{what}: {said}");
                }
                assert!(said.contains("usermod -aG"), "{what}: {said}");
            }
        }
    }
    assert!(allowed > 0);
}
