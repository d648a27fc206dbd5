//! Amounts and what they are in: euros and francs do not add up, nor is one more than the other.
//!
//! Where a contract says that another field names an amount's currency, a feature that computes with amounts must let
//! one currency through and no other, by its `where`. First and last values, and counts, are of one record each and free.

use std::collections::BTreeSet;

use contract::{Contract, Currency, Field};

use crate::building::{Building, codes, line};
use crate::filter::{self, Expr, Literal, Name, Test};
use crate::path::FieldPath;
use crate::suggest::short;
use crate::yaml::{Agg, RawFeature};

impl Building<'_> {
    /// The one currency that a feature computes with; a finding where there may be several.
    fn currency(&mut self, raw: &RawFeature, contract: &Contract) -> Option<String> {
        let computes = matches!(raw.agg, Agg::Sum | Agg::Mean | Agg::Min | Agg::Max | Agg::DecayedSum);
        let of = raw.of.as_ref().filter(|_| computes)?;
        let (_, field) = FieldPath::find(contract, &of.value)?;
        let named_by = match field.currency.as_ref()? {
            Currency::Code(code) => return Some(code.clone()),
            Currency::Field(beside) => beside_of(&of.value, field, beside),
        };
        let filter = raw.filter.as_ref().and_then(|text| filter::parse(&text.value).ok());
        let lets_through = filter.as_ref().and_then(|filter| values_let_through(filter, &named_by));
        let codes: Vec<String> = lets_through.into_iter().flatten().collect();
        if let [code] = codes.as_slice() {
            return Some(code.clone());
        }
        let agg = raw.agg.as_str();
        let told = if codes.is_empty() {
            format!("amounts in whatever `{}` says", short(&named_by))
        } else {
            format!("amounts in {} together", codes.join(" and in "))
        };
        let message = format!(
            "`agg: {agg}` takes {told}: let one currency through, `where: {named_by} == 'EUR'`, and make a feature of \
             each that is needed"
        );
        let at = raw.filter.as_ref().map_or_else(|| line(of), line);
        self.error(codes::CURRENCY, at, Some(&raw.name.value), message);
        None
    }

    /// Looks at what the view's features compute with; a ratio of two currencies is an exchange rate of nobody.
    pub(crate) fn currencies(&mut self, all: &[RawFeature], contract: &Contract) {
        let known: Vec<Option<String>> = all.iter().map(|raw| self.currency(raw, contract)).collect();
        let of = |name: Option<&str>| {
            let place = all.iter().position(|other| Some(other.name.value.as_str()) == name)?;
            known.get(place)?.as_deref()
        };
        for raw in all.iter().filter(|raw| raw.agg == Agg::Ratio) {
            let part =
                |part: &Option<serde_saphyr::Spanned<String>>| part.as_ref().map(|part| part.value.clone());
            let (numerator, denominator) = (part(&raw.numerator), part(&raw.denominator));
            if let (Some(a), Some(b)) = (of(numerator.as_deref()), of(denominator.as_deref()))
                && a != b
            {
                let message = format!(
                    "it divides {a} by {b}; take amounts of one currency, or convert them before they come in"
                );
                self.error(codes::CURRENCY, line(&raw.name), Some(&raw.name.value), message);
            }
        }
    }
}

/// The path of the field that stands beside `field` in the same object.
fn beside_of(path: &str, field: &Field, beside: &str) -> String {
    format!("{}{beside}", path.strip_suffix(field.name.as_str()).unwrap_or_default())
}

/// The texts that `field` has where a filter is true; `None` where it may have any.
fn values_let_through(filter: &Expr<Name>, field: &str) -> Option<BTreeSet<String>> {
    let text = |literal: &Literal| match literal {
        Literal::Text(text) => Some(text.clone()),
        _ => None,
    };
    match filter {
        Expr::Compare { field: name, test: Test::Equal, literal } if name.text == field => {
            Some(text(literal).into_iter().collect())
        }
        Expr::In { field: name, literals } if name.text == field => {
            Some(literals.iter().filter_map(text).collect())
        }
        Expr::All(inner) => {
            let parts = inner.iter().filter_map(|one| values_let_through(one, field));
            parts.reduce(|all, one| all.intersection(&one).cloned().collect())
        }
        Expr::Any(inner) => {
            let parts = inner.iter().map(|one| values_let_through(one, field));
            let parts = parts.collect::<Option<Vec<_>>>()?;
            Some(parts.into_iter().flatten().collect())
        }
        Expr::Compare { .. } | Expr::In { .. } | Expr::IsNull { .. } | Expr::Not(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::View;
    use contract::Contracts;

    const CONTRACT: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: total, logicalType: number, classification: internal, customProperties: [{property: currencyField, value: currency}]}
      - {name: currency, logicalType: string, classification: internal}
      - {name: fee, logicalType: number, classification: internal, customProperties: [{property: currency, value: EUR}]}
      - {name: city, logicalType: string, classification: internal}
customProperties:
  - {property: purposes, value: [{name: analytics, basis: not_personal}]}
";

    /// The findings of a view of these features; each begins with its line and code.
    fn findings(features: &str) -> Vec<String> {
        let mut contracts = Contracts::new();
        contracts.insert(Contract::parse(CONTRACT, "orders.yaml").unwrap().contract).unwrap();
        let view =
            format!("view: v\nversion: 1\nstream: orders\npurposes: [analytics]\nfeatures:\n{features}");
        let (_, findings) = View::parse(&view, "v.yaml", &contracts);
        findings.iter().map(|f| format!("{} {} {}", f.line.unwrap_or_default(), f.code, f.message)).collect()
    }

    fn check(feature: &str, expected: Option<&str>) {
        let found = findings(&format!("  - {{name: f, {feature}}}\n"));
        match expected {
            None => assert_eq!(found, [""; 0], "{feature}"),
            Some(text) => {
                assert!(
                    found.len() == 1 && found[0].contains("MR4021") && found[0].contains(text),
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn amounts_of_one_currency_add_up() {
        for filter in [
            "currency == 'EUR'",
            "currency in ['EUR']",
            "city == 'Wien' and currency == 'EUR'",
            "(currency == 'EUR' and city == 'Wien') or (currency == 'EUR' and city == 'Graz')",
            "currency in ['EUR', 'CHF'] and not city == 'Wien' and currency in ['EUR', 'SEK']",
        ] {
            check(&format!("agg: sum, of: total, window: 30d, where: \"{filter}\""), None);
        }
        check("agg: sum, of: fee", None);
        check("agg: last, of: total", None);
        check("agg: distinct, of: total", None);
        check("agg: count", None);
    }

    #[test]
    fn amounts_of_several_currencies_do_not() {
        for agg in ["sum", "mean", "min", "max", "decayed_sum, half_life: 3d"] {
            check(&format!("agg: {agg}, of: total"), Some("amounts in whatever `currency` says"));
        }
        for filter in [
            "city == 'Wien'",
            "not currency == 'CHF'",
            "currency != 'CHF'",
            "currency is not null",
            "currency == 'EUR' or city == 'Wien'",
        ] {
            check(&format!("agg: sum, of: total, where: \"{filter}\""), Some("where: currency == 'EUR'"));
        }
        let two = "agg: mean, of: total, where: \"currency == 'EUR' or currency == 'CHF'\"";
        check(two, Some("amounts in CHF and in EUR together"));
    }

    #[test]
    fn a_ratio_is_of_one_currency() {
        let ratio = |code: &str| {
            findings(&format!(
                "  - {{name: a, agg: sum, of: total, where: \"currency == '{code}'\"}}\n  - {{name: b, agg: sum, of: fee}}\n  \
                 - {{name: n, agg: count}}\n  - {{name: r, agg: ratio, numerator: b, denominator: a}}\n  \
                 - {{name: q, agg: ratio, numerator: b, denominator: n}}\n"
            ))
        };
        assert_eq!(ratio("EUR"), [""; 0]);
        let found = ratio("CHF");
        assert!(
            found.len() == 1 && found[0].starts_with("9 MR4021 feature `r`: it divides EUR by CHF"),
            "{found:?}"
        );
    }
}
