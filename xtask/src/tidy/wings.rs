//! A wing uses only wings below it: that one rule is the architecture.

use super::{Findings, Room};
use std::collections::BTreeMap;

/// Storeys from below; wings on one storey do not know each other.
const STOREYS: [&[&str]; 6] =
    [&["methods", "ground"], &["law"], &["facts"], &["answers"], &["doors"], &["xtask"]];
const NO_NAMES: [&str; 5] = ["core", "common", "utils", "util", "manager"];

/// Refuses a crate outside the wings, a dependency that climbs, and a circle.
pub fn check(rooms: &[Room], found: &mut Findings) {
    let by_name: BTreeMap<_, _> = rooms.iter().map(|room| (room.name.as_str(), room)).collect();
    for room in rooms {
        if storey(room).is_none() {
            found.findings.push(format!("{}: lies in none of the wings", room.folder));
        }
        if room.folder.rsplit('/').next() != Some(room.name.as_str()) {
            found.findings.push(format!("{}: folder and package name `{}` differ", room.folder, room.name));
        }
        if NO_NAMES.contains(&room.name.as_str()) {
            found.findings.push(format!("{}: no crate is called `{}`", room.folder, room.name));
        }
        for used in room.rooms.iter().filter_map(|name| by_name.get(name.as_str())) {
            let allowed = wing(used) == wing(room) && wing(room) != "xtask" || storey(used) < storey(room);
            if !allowed {
                let (from, to) = (&room.folder, &used.folder);
                found.findings.push(format!(
                    "{from}/Cargo.toml: {from} may not use {to}: a wing uses only wings below it"
                ));
            }
        }
        if let Some(circle) = circle(room, &by_name) {
            found.findings.push(format!("{}/Cargo.toml: circle {circle}", room.folder));
        }
    }
}

fn wing(room: &Room) -> &str {
    room.folder.split('/').next().unwrap_or_default()
}

fn storey(room: &Room) -> Option<usize> {
    STOREYS.iter().position(|wings| wings.contains(&wing(room)))
}

/// A way from the room back to itself, dev-dependencies included.
fn circle(start: &Room, rooms: &BTreeMap<&str, &Room>) -> Option<String> {
    let mut ways = vec![vec![start.name.as_str()]];
    let mut seen = Vec::new();
    while let Some(way) = ways.pop() {
        let room = rooms.get(way.last()?)?;
        for next in room.rooms.iter().map(String::as_str).filter(|name| rooms.contains_key(name)) {
            let mut longer = way.clone();
            longer.push(next);
            if next == start.name {
                return Some(longer.join(" → "));
            }
            if !seen.contains(&next) {
                seen.push(next);
                ways.push(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rooms: &[(&str, &[&str])], expected: &[&str]) {
        let rooms: Vec<_> = rooms
            .iter()
            .map(|(folder, uses)| Room {
                name: folder.rsplit('/').next().unwrap().to_owned(),
                folder: (*folder).to_owned(),
                rooms: uses.iter().map(|name| (*name).to_owned()).collect(),
                externals: vec![],
            })
            .collect();
        let mut found = Findings::default();
        super::check(&rooms, &mut found);
        assert_eq!(found.findings, expected);
    }

    #[test]
    fn below_and_beside_is_allowed() {
        check(
            &[
                ("ground/event", &[]),
                ("law/vault", &["event"]),
                ("law/policy", &["vault", "event"]),
                ("xtask", &["policy"]),
            ],
            &[],
        );
    }

    #[test]
    fn climbing_is_refused() {
        check(
            &[("ground/event", &["vault"]), ("law/vault", &[])],
            &["ground/event/Cargo.toml: ground/event may not use law/vault: a wing uses only wings below it"],
        );
    }

    #[test]
    fn methods_and_ground_do_not_know_each_other() {
        check(
            &[("methods/learn", &["event"]), ("ground/event", &[])],
            &[
                "methods/learn/Cargo.toml: methods/learn may not use ground/event: a wing uses only wings below it",
            ],
        );
    }

    #[test]
    fn circles_and_strangers_are_refused() {
        check(
            &[("law/a", &["b"]), ("law/b", &["a"]), ("attic/utils", &[])],
            &[
                "law/a/Cargo.toml: circle a → b → a",
                "law/b/Cargo.toml: circle b → a → b",
                "attic/utils: lies in none of the wings",
                "attic/utils: no crate is called `utils`",
            ],
        );
    }
}
