//! What an expression's values are, known before there are any.

use super::{Kind, Term};

type Known = Result<Option<Kind>, String>;

impl Term {
    pub(super) fn kind(&self, of: &dyn Fn(usize) -> Option<Kind>) -> Known {
        match self {
            Self::Name(name) => Ok(of(name.slot)),
            Self::Literal(value) => Ok(Some(value.kind())),
            Self::Consent(_) => Ok(Some(Kind::Flag)),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().try_for_each(|part| part.wants(Kind::Flag, "joins", of))?;
                Ok(Some(Kind::Flag))
            }
            Self::Not(part) => {
                part.wants(Kind::Flag, "negates", of)?;
                Ok(Some(Kind::Flag))
            }
            Self::Missing(part, _) => part.kind(of).map(|_| Some(Kind::Flag)),
            Self::In(part, _, values) => {
                let kind = part.kind(of)?;
                if let Some(other) = values.iter().find(|value| kind.is_some_and(|kind| kind != value.kind()))
                {
                    return Err(differ(part, kind, other.kind()));
                }
                Ok(Some(Kind::Flag))
            }
            Self::Compare(left, _, right) => {
                let (kind, other) = (left.kind(of)?, right.kind(of)?);
                match other {
                    Some(other) if kind.is_some_and(|kind| kind != other) => Err(differ(left, kind, other)),
                    _ => Ok(Some(Kind::Flag)),
                }
            }
            Self::Arithmetic(left, _, right) => {
                left.wants(Kind::Number, "computes with", of)?;
                right.wants(Kind::Number, "computes with", of)?;
                Ok(Some(Kind::Number))
            }
            Self::Negative(part) => {
                part.wants(Kind::Number, "computes with", of)?;
                Ok(Some(Kind::Number))
            }
            Self::Call(function, arguments) => {
                let kinds =
                    arguments.iter().map(|argument| argument.kind(of)).collect::<Result<Vec<_>, _>>()?;
                function.kind(&kinds)
            }
        }
    }

    fn wants(&self, wanted: Kind, verb: &str, of: &dyn Fn(usize) -> Option<Kind>) -> Result<(), String> {
        match self.kind(of)? {
            Some(kind) if kind != wanted => {
                Err(format!("{verb} `{self}`, which is {}, not {}", kind.as_str(), wanted.as_str()))
            }
            _ => Ok(()),
        }
    }
}

fn differ(left: &Term, kind: Option<Kind>, other: Kind) -> String {
    let kind = kind.map_or("", Kind::as_str);
    format!("compares `{left}`, which is {kind}, with {}: nobody knows the answer", other.as_str())
}
