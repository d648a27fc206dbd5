//! What a column's name says about it, in German and English.

use crate::Classification;

/// What a name, or the values under it, suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) class: Classification,
    pub(super) identifier: Option<&'static str>,
    /// Why, for the comment in the proposed file.
    pub(super) why: &'static str,
}

const fn personal(why: &'static str) -> Guess {
    Guess { class: Classification::Personal, identifier: None, why }
}

const fn identifier(kind: &'static str, why: &'static str) -> Guess {
    Guess { class: Classification::Personal, identifier: Some(kind), why }
}

/// A name in small words: `kundenNr`, `Kunden-Nr.` and `KUNDEN_NR` are `kunden nr`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before_lower = false;
    for c in name.chars() {
        let begins_word = !c.is_alphanumeric() || (c.is_uppercase() && before_lower);
        if begins_word && !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        before_lower = c.is_lowercase() || c.is_numeric();
        match c {
            c if !c.is_alphanumeric() => {}
            'ä' | 'Ä' => word.push_str("ae"),
            'ö' | 'Ö' => word.push_str("oe"),
            'ü' | 'Ü' => word.push_str("ue"),
            'ß' => word.push_str("ss"),
            c => word.extend(c.to_lowercase()),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

/// The name of a column as a field's name: `Unit Price` → `unit_price`. Empty where nothing of it is left.
pub(super) fn snake_case(name: &str) -> String {
    let joined = words(name).join("_");
    let out: String = joined.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect();
    let out = out.trim_matches('_');
    if out.starts_with(|c: char| c.is_ascii_digit()) { format!("n_{out}") } else { out.to_owned() }
}

const PERSONS: [&str; 17] = [
    "user",
    "customer",
    "client",
    "kunden",
    "kunde",
    "member",
    "mitglied",
    "mitglieds",
    "account",
    "konto",
    "contact",
    "kontakt",
    "person",
    "personen",
    "shopper",
    "buyer",
    "subscriber",
];
const IDS: [&str; 10] = ["id", "nr", "no", "number", "nummer", "key", "ref", "uid", "uuid", "code"];

pub(super) fn guess(name: &str) -> Option<Guess> {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let joined = words.concat();
    let has = |list: &[&str]| words.iter().any(|w| list.contains(w));
    let is = |list: &[&str]| list.contains(&joined.as_str());
    if has(&[
        "diagnosis",
        "diagnose",
        "health",
        "gesundheit",
        "religion",
        "konfession",
        "ethnicity",
        "ethnic",
        "race",
        "political",
        "politisch",
        "partei",
        "gewerkschaft",
        "biometric",
        "genetic",
        "disability",
        "behinderung",
        "krankheit",
        "sexual",
        "orientation",
        "medication",
    ]) {
        return Some(Guess {
            class: Classification::Special,
            identifier: None,
            why: "a special category (GDPR article 9)",
        });
    }
    if has(&["email", "mail", "emailadresse", "mailadresse"]) || is(&["emailaddress", "email"]) {
        let counted = has(&["count", "n", "anzahl", "sent", "opened", "opt", "optin", "segment", "campaign"]);
        return (!counted).then_some(identifier("email", "an e-mail address"));
    }
    if has(&[
        "phone",
        "telephone",
        "telefon",
        "tel",
        "mobile",
        "handy",
        "mobil",
        "telefonnummer",
        "mobilnummer",
        "msisdn",
    ]) {
        return Some(identifier("phone", "a phone number"));
    }
    if has(&["anonymous", "visitor", "cookie", "besucher"]) && has(&["id"])
        || is(&["anonymousid", "visitorid", "cookieid"])
    {
        return Some(identifier("anonymous_id", "an identifier of a browser"));
    }
    if has(&["device", "geraete", "idfa", "gaid", "advertising"]) && (has(&IDS) || words.len() == 1) {
        return Some(identifier("device_id", "an identifier of a device"));
    }
    if has(&["household", "haushalt", "haushalts"]) && has(&IDS)
        || is(&["householdid", "haushaltsid", "haushaltid"])
    {
        return Some(identifier("household_id", "an identifier of a household"));
    }
    let person_id = has(&PERSONS) && has(&IDS) && words.len() <= 3;
    if person_id
        || is(&[
            "userid",
            "customerid",
            "kundennummer",
            "kundennr",
            "kundenid",
            "clientid",
            "memberid",
            "uid",
            "mitgliedsnummer",
        ])
    {
        return Some(identifier("user_id", "an identifier of a person"));
    }
    personal_word(&words, &joined)
}

fn personal_word(words: &[&str], joined: &str) -> Option<Guess> {
    let has = |list: &[&str]| words.iter().any(|w| list.contains(w));
    let is = |list: &[&str]| list.contains(&joined);
    if is(&[
        "name",
        "firstname",
        "lastname",
        "fullname",
        "surname",
        "forename",
        "givenname",
        "familyname",
        "username",
    ]) || has(&["vorname", "nachname", "familienname", "firstname", "lastname", "surname"])
        || (has(&["name"])
            && has(&["first", "last", "full", "customer", "user", "person", "contact", "given", "family"]))
    {
        return Some(personal("a person's name"));
    }
    if has(&[
        "address",
        "adresse",
        "anschrift",
        "street",
        "strasse",
        "hausnummer",
        "zip",
        "plz",
        "postcode",
        "postleitzahl",
        "postal",
        "wohnort",
        "city",
        "ort",
    ]) {
        return Some(personal("a part of an address"));
    }
    if has(&[
        "birth",
        "birthday",
        "birthdate",
        "dob",
        "geburtsdatum",
        "geburtstag",
        "geburtsjahr",
        "age",
        "alter",
    ]) {
        return Some(personal("an age or a date of birth"));
    }
    if has(&["ip", "ipaddress", "useragent"]) || is(&["useragent", "remoteaddr"]) {
        return Some(personal("an address of a device"));
    }
    if has(&["iban", "bic", "creditcard", "cardnumber", "kreditkarte", "kontonummer", "bankverbindung"])
        || is(&["creditcard", "cardnumber"])
    {
        return Some(personal("an account or card"));
    }
    if has(&["ssn", "passport", "reisepass", "steuernummer", "steuerid", "personalausweis", "kennzeichen"])
        || is(&["taxid", "licenseplate"])
    {
        return Some(personal("an official number"));
    }
    if has(&["latitude", "longitude", "lat", "lon", "lng", "geo", "geolocation", "standort"]) {
        return Some(personal("a place"));
    }
    if has(&[
        "gender",
        "geschlecht",
        "sex",
        "income",
        "einkommen",
        "salary",
        "gehalt",
        "marital",
        "familienstand",
        "job",
        "beruf",
        "occupation",
        "education",
        "bildung",
        "nationality",
        "staatsangehoerigkeit",
        "kids",
        "children",
    ]) {
        return Some(personal("a trait of a person"));
    }
    if has(&[
        "comment",
        "kommentar",
        "note",
        "notes",
        "notiz",
        "message",
        "nachricht",
        "freitext",
        "bemerkung",
    ]) {
        return Some(personal("free text, in which anything may stand"));
    }
    None
}

/// How much a name sounds like the time something happened; 0: not at all.
pub(super) fn time_rank(name: &str) -> u8 {
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|w| list.contains(&w.as_str()));
    let joined = words.concat();
    if matches!(
        joined.as_str(),
        "timestamp" | "eventtime" | "occurredat" | "zeitpunkt" | "zeitstempel" | "ts" | "datetime"
    ) {
        4
    } else if has(&["timestamp", "occurred", "zeitpunkt"])
        || matches!(joined.as_str(), "date" | "datum" | "time" | "day" | "createdat")
    {
        3
    } else if has(&["order", "invoice", "transaction", "purchase", "bestell", "kauf", "redemption", "visit"])
        || has(&["bestelldatum", "kaufdatum", "rechnungsdatum", "invoicedate", "orderdate"])
    {
        2
    } else if has(&["date", "datum", "time", "datetime", "at", "zeit", "when"]) {
        1
    } else {
        0
    }
}

/// True where a name sounds like the name of one thing.
pub(super) fn is_key(name: &str) -> bool {
    let words = words(name);
    words.last().is_some_and(|w| {
        IDS.contains(&w.as_str())
            || ["nummer", "nr", "id"].iter().any(|end| w.ends_with(end) && w.len() <= 24)
    })
}

/// True where a name sounds like money.
pub(crate) fn is_money(name: &str) -> bool {
    const MONEY: [&str; 19] = [
        "price", "amount", "total", "revenue", "cost", "value", "preis", "betrag", "umsatz", "kosten",
        "spend", "sales", "discount", "disc", "rabatt", "wert", "fee", "tax", "balance",
    ];
    words(name).iter().any(|w| MONEY.contains(&w.as_str()) || w.ends_with("preis") || w.ends_with("betrag"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, class: Option<Classification>, identifier: Option<&str>) {
        let guess = guess(name);
        assert_eq!(guess.map(|g| g.class), class, "{name}");
        assert_eq!(guess.and_then(|g| g.identifier), identifier, "{name}");
    }

    #[test]
    fn names_in_two_languages() {
        use Classification::{Personal, Special};
        check("E-Mail", Some(Personal), Some("email"));
        check("EmailAddress", Some(Personal), Some("email"));
        check("CustomerID", Some(Personal), Some("user_id"));
        check("Kunden-Nr.", Some(Personal), Some("user_id"));
        check("userId", Some(Personal), Some("user_id"));
        check("household_id", Some(Personal), Some("household_id"));
        check("anonymousId", Some(Personal), Some("anonymous_id"));
        check("Telefonnummer", Some(Personal), Some("phone"));
        check("Geburtsdatum", Some(Personal), None);
        check("Straße", Some(Personal), None);
        check("ip", Some(Personal), None);
        check("name", Some(Personal), None);
        check("product_name", None, None);
        check("Konfession", Some(Special), None);
        for name in [
            "InvoiceNo",
            "StockCode",
            "Quantity",
            "UnitPrice",
            "campaign_id",
            "emails_sent",
            "shipping",
            "week",
        ] {
            check(name, None, None);
        }
    }

    #[test]
    fn names_become_snake_case() {
        assert_eq!(snake_case("Unit Price"), "unit_price");
        assert_eq!(snake_case("InvoiceNo"), "invoice_no");
        assert_eq!(snake_case("Größe (cm)"), "groesse_cm");
        assert_eq!(snake_case("2nd"), "n_2nd");
        assert_eq!(snake_case("名前"), "");
        assert_eq!(snake_case("user-item_affinity_0"), "user_item_affinity_0");
    }
}
