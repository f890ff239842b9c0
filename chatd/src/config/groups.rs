//! The groups of `[control]`: from names to numbers, once, while the configuration is loaded.
//!
//! One that the operator chose must be there. Those of the defaults need not, also where a file says the same (`--print-config`
//! wrote it, perhaps): then nobody is in them, and nobody is told to join.

use nix::unistd::{Gid, Group};

use super::load::{ConfigError, Settings};
use super::table::Value;
use super::wrong;
use crate::callers::Access;

/// What the kernel calls a group that it cannot name to us: one of another user namespace. Whoever gives it something gives that
/// to strangers.
const NOBODYS: u32 = 65_534;

/// The groups with their numbers, and with the names that people know them by.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) access: Access,
    pub(super) named: hub::Groups,
    /// Groups of the defaults that there are not on this machine.
    pub(super) missing: Vec<String>,
}

/// Looks a group up by its name.
pub(super) fn of_this_machine(name: &str) -> Result<Option<Gid>, String> {
    let found = Group::from_name(name).map_err(|error| error.desc().to_owned())?;
    Ok(found.map(|group| group.gid))
}

/// Finds the groups that the settings name.
pub(super) fn find(
    settings: &Settings,
    look_up: impl Fn(&str) -> Result<Option<Gid>, String>,
) -> Result<Found, ConfigError> {
    let (mut found, defaults) = (Found::default(), Settings::new());
    for (key, gids, names) in [
        ("admin_groups", &mut found.access.admin, &mut found.named.admin),
        ("send_groups", &mut found.access.send, &mut found.named.send),
        ("watch_groups", &mut found.access.watch, &mut found.named.watch),
    ] {
        let Some(Value::Groups(groups)) = value(settings, key) else { continue };
        let is_default = value(&defaults, key) == Some(&Value::Groups(groups.clone()));
        for name in groups {
            match number(name, &look_up) {
                Ok(gid) => {
                    gids.push(gid);
                    names.push(name.clone());
                }
                Err(_) if is_default => {
                    if !found.missing.contains(name) {
                        found.missing.push(name.clone());
                    }
                }
                Err(message) => return Err(wrong(settings, "control", key, &message)),
            }
        }
    }
    assert_eq!(found.access.admin.len(), found.named.admin.len(), "each number has its name");
    Ok(found)
}

fn value<'a>(settings: &'a Settings, key: &str) -> Option<&'a Value> {
    settings.get("control", key).map(|setting| &setting.value)
}

/// A group's number: of its name, or written itself.
fn number(
    name: &str,
    look_up: impl Fn(&str) -> Result<Option<Gid>, String>,
) -> Result<Gid, String> {
    let by_name =
        look_up(name).map_err(|why| format!("cannot look up the group '{name}': {why}"))?;
    let by_number = || name.parse().ok().filter(|number| *number != u32::MAX).map(Gid::from_raw);
    let gid = by_name.or_else(by_number).ok_or_else(|| {
        format!("there is no group '{name}'; make it with 'groupadd {name}', or choose another")
    })?;
    if gid.as_raw() == NOBODYS {
        return Err(format!(
            "'{name}' ({NOBODYS}) is what strangers of other namespaces are in; choose another group"
        ));
    }
    Ok(gid)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A machine with the groups `ops` (7) and `nogroup`.
    fn found(text: &str) -> Result<Found, String> {
        let mut settings = Settings::new();
        settings.read(Path::new("chatd.toml"), text).map_err(|error| error.to_string())?;
        let look_up = |name: &str| match name {
            "ops" => Ok(Some(Gid::from_raw(7))),
            "nogroup" => Ok(Some(Gid::from_raw(NOBODYS))),
            "broken" => Err("it does not answer".to_owned()),
            _ => Ok(None),
        };
        find(&settings, look_up).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_that_are_not_there_are_told_of_and_given_nothing() {
        let found = found("").unwrap();
        assert_eq!(found.access, Access::default());
        assert_eq!(found.named, hub::Groups::default());
        assert_eq!(found.missing, ["chatd-admin", "chat"]);
        let written = self::found("[control]\nsend_groups = [\"chat\"]\n").unwrap();
        assert_eq!(
            written.missing,
            ["chatd-admin", "chat"],
            "the printed defaults may be taken in"
        );
    }

    #[test]
    fn groups_are_written_by_name_or_by_number() {
        let text = "[control]\nadmin_groups = []\nsend_groups = [\"ops\", \"9\"]\nwatch_groups = [9, \"ops\"]\n";
        let found = found(text).unwrap();
        assert_eq!(found.access.admin, []);
        assert_eq!(found.access.send, [Gid::from_raw(7), Gid::from_raw(9)]);
        assert_eq!(found.access.watch, [Gid::from_raw(9), Gid::from_raw(7)]);
        assert_eq!((found.named.send[0].as_str(), found.named.send[1].as_str()), ("ops", "9"));
        assert!(found.missing.is_empty());
        let one = self::found("[control]\nsend_groups = \"ops\"\n").unwrap();
        assert_eq!(one.access.send, [Gid::from_raw(7)]);
    }

    #[test]
    fn a_written_group_that_is_not_there_is_an_error_with_its_line() {
        let refusal =
            |value: &str| found(&format!("[control]\nsend_groups = {value}\n")).unwrap_err();
        assert_eq!(
            refusal("[\"ops\", \"cat\"]"),
            "chatd.toml:2: control.send_groups: there is no group 'cat'; make it with 'groupadd cat', or choose another"
        );
        assert!(refusal("[4294967295]").contains("no group '4294967295'"));
        assert!(refusal("[-1]").contains("no group '-1'"));
        assert!(
            refusal("[65534]").contains("strangers")
                && refusal("[\"nogroup\"]").contains("strangers")
        );
        assert!(refusal("[\"broken\"]").contains("it does not answer"));
        assert!(refusal("[1.5]").contains("texts and whole numbers"));
        assert!(refusal("[\"ops\", \"\"]").contains("empty"));
    }
}
