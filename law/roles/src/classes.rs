//! Classes of fields, several at once.

use contract::Classification;

/// A set of field classes: what one query reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

/// Every class, in the order of their bits.
pub(crate) const ALL: [Classification; 4] =
    [Classification::Public, Classification::Internal, Classification::Personal, Classification::Special];

impl Classes {
    /// Fields about nobody.
    pub const INTERNAL: Self = Self(1 << 1);
    /// Fields about a person.
    pub const PERSONAL: Self = Self(1 << 2);

    /// True where nothing is read at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// With one more.
    #[must_use]
    pub fn with(self, class: Classification) -> Self {
        Self(self.0 | bit(class))
    }

    /// With those of another set.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True where `class` is among them.
    pub fn contains(self, class: Classification) -> bool {
        self.0 & bit(class) != 0
    }

    /// Each of them, the least sensitive first.
    pub fn iter(self) -> impl Iterator<Item = Classification> {
        ALL.into_iter().filter(move |class| self.contains(*class))
    }

    /// `internal, personal`
    pub fn text(self) -> String {
        self.iter().map(Classification::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl FromIterator<Classification> for Classes {
    fn from_iter<I: IntoIterator<Item = Classification>>(classes: I) -> Self {
        classes.into_iter().fold(Self::default(), Self::with)
    }
}

fn bit(class: Classification) -> u8 {
    match class {
        Classification::Public => 1,
        Classification::Internal => 1 << 1,
        Classification::Personal => 1 << 2,
        Classification::Special => 1 << 3,
    }
}

/// The class of this name, as files write it.
pub(crate) fn class(text: &str) -> Option<Classification> {
    ALL.into_iter().find(|class| class.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Classes = [Classification::Special, Classification::Public].into_iter().collect();
        assert_eq!(set.text(), "public, special");
        assert!(!set.contains(Classification::Personal) && !set.is_empty());
        assert_eq!(set.and(Classes::PERSONAL).iter().count(), 3);
        assert_eq!(Classes::INTERNAL, Classes::default().with(Classification::Internal));
        for class_ in ALL {
            assert_eq!(class(class_.as_str()), Some(class_));
        }
    }
}
