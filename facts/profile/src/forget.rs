//! Erased subjects leave the identity graph: their links, what hands did to them, what they belonged to (LAW 4).

use std::collections::BTreeSet;

use event::Subject;

use crate::{Identities, TraitTables};

impl Identities {
    /// Forgets subjects. Who is left of a profile stays together only where a link of their own holds them. Returns how
    /// many rows were removed.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn forget(&mut self, gone: &BTreeSet<Subject>) -> Result<u64, store::Error> {
        let mut n_rows = 0;
        let mut broken = BTreeSet::new();
        for subject in gone {
            if let Some(profile) = self.profiles.get(subject)?.copied() {
                broken.insert(profile);
                self.profiles.remove(subject);
                n_rows += 1;
            }
            if let Some(hand) = self.hands.get(subject)?.cloned() {
                for other in hand.ever() {
                    if self.hands.get(&other)?.is_some()
                        && self.hands.update(&other, |h| h.forget(*subject))?
                    {
                        self.hands.remove(&other);
                    }
                }
                self.hands.remove(subject);
                n_rows += 1;
            }
            if self.shared.get(subject)?.is_some() {
                self.shared.remove(subject);
                n_rows += 1;
            }
            n_rows += self.leave_entities(*subject)?;
        }
        for profile in broken {
            let Some(component) = self.components.get(&profile)?.cloned() else { continue };
            self.components.remove(&profile);
            n_rows += 1;
            for part in component.without(gone) {
                let members: Vec<Subject> = part.members().map(|(member, _)| member).collect();
                match (members.as_slice(), part.id()) {
                    ([alone], _) => self.profiles.remove(alone),
                    (_, Some(id)) => {
                        members.iter().for_each(|member| self.profiles.put(*member, id));
                        self.components.put(id, part);
                    }
                    (_, None) => {}
                }
            }
        }
        Ok(n_rows)
    }

    fn leave_entities(&mut self, subject: Subject) -> Result<u64, store::Error> {
        let mut n_rows = 0;
        if let Some(belongs) = self.belongs.get(&subject)?.cloned() {
            for entity in belongs.keys() {
                if self.entities.get(entity)?.is_some()
                    && self.entities.update(entity, |e| e.forget(subject))?
                {
                    self.entities.remove(entity);
                }
            }
            self.belongs.remove(&subject);
            n_rows += 1;
        }
        // It may be a household itself.
        if let Some(entity) = self.entities.get(&subject)?.cloned() {
            for member in entity.all() {
                let left = self.belongs.update(&member, |all| {
                    all.remove(&subject);
                    all.len()
                })?;
                if left == 0 {
                    self.belongs.remove(&member);
                }
            }
            self.entities.remove(&subject);
            n_rows += 1;
        }
        Ok(n_rows)
    }
}

impl TraitTables {
    /// Forgets a subject. Returns how many rows were removed.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn forget(&mut self, subject: Subject) -> Result<u64, store::Error> {
        if self.traits.get(&subject)?.is_none() {
            // A row that no longer opens is absent, but its bytes may be there.
            self.traits.remove(&subject);
            return Ok(0);
        }
        self.traits.remove(&subject);
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::{folded, link, subject};
    use event::Record;

    fn members(tables: &Identities, name: &str) -> usize {
        tables.members(subject(name)).unwrap().subjects.len()
    }

    fn check(links: &[(&str, i64)], gone: &[&str], left: &[(&str, usize)]) {
        let records: Vec<Record> = links.iter().map(|(names, known)| link(names, *known)).collect();
        let mut tables = folded(&records);
        let gone: BTreeSet<Subject> = gone.iter().map(|name| subject(name)).collect();
        tables.forget(&gone).unwrap();
        for (name, n) in left {
            assert_eq!(members(&tables, name), *n, "{name} after {links:?} without {gone:?}");
        }
        // Again: nothing left to forget.
        assert_eq!(tables.forget(&gone).unwrap(), 0);
    }

    #[test]
    fn the_whole_profile_goes() {
        check(&[("u1 a1", 1), ("u1 e1", 2)], &["u1", "a1", "e1"], &[("u1", 1), ("a1", 1), ("e1", 1)]);
    }

    #[test]
    fn who_was_held_by_the_erased_alone_stands_alone() {
        check(&[("u1 a1", 1), ("u1 e1", 2)], &["u1"], &[("a1", 1), ("e1", 1)]);
        check(&[("u1 a1", 1), ("a1 e1", 2), ("u1 p1", 3)], &["u1"], &[("a1", 2), ("e1", 2), ("p1", 1)]);
        check(&[("u1 a1", 1), ("u2 a2", 2)], &["u1"], &[("u2", 2), ("a2", 2)]);
    }
}
