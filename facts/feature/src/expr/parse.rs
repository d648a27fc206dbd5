//! Reads expressions: a hand-written parser of one token's foresight whose every error says what it saw and what
//! would do.

use super::function::Function;
use super::scan::{KEYWORDS, Token, scan};
use super::{Comparison, Expr, Name, Sign, Term, Value, short};

/// The longest expression that is read.
const MAX_BYTES: usize = 4_096;
/// The deepest nesting of brackets and `not`.
const MAX_DEPTH: usize = 32;

/// What keeps an expression from being read.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// It cannot be read: what it does wrong, to be put after the expression.
    Syntax(String),
    /// It names what is not declared.
    Undeclared(String),
}

/// Reads an expression; `slot` finds a declared input's place.
///
/// # Errors
/// [`Problem`], in words.
pub fn parse(text: &str, slot: impl Fn(&str) -> Option<usize>) -> Result<Expr, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::Syntax(format!("is {} bytes long; {MAX_BYTES} are the most", text.len())));
    }
    let tokens = scan(text).map_err(Problem::Syntax)?;
    let mut parser = Parser { tokens: &tokens, slot: &slot };
    let term = parser.or(0)?;
    match parser.tokens.first() {
        None => Ok(Expr(term)),
        Some(token) => Err(Problem::Syntax(format!(
            "goes on with {} where it could end; join conditions with `and` or `or`",
            token.shown()
        ))),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    slot: &'a dyn Fn(&str) -> Option<usize>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Takes the next token if it is this word or sign.
    fn take(&mut self, text: &str) -> bool {
        let is = match self.tokens.first() {
            Some(Token::Word(word)) => word == text,
            Some(Token::Sign(sign)) => *sign == text,
            _ => false,
        };
        if is {
            self.next();
        }
        is
    }

    fn expect(&mut self, text: &str, after: &str) -> Result<(), Problem> {
        if self.take(text) {
            return Ok(());
        }
        Err(Problem::Syntax(format!("has {} where `{text}` is expected after {after}", self.here())))
    }

    fn here(&self) -> String {
        self.tokens.first().map_or_else(|| "its end".to_owned(), Token::shown)
    }

    fn or(&mut self, depth: usize) -> Result<Term, Problem> {
        let mut parts = vec![self.and(depth)?];
        while self.take("or") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() > 1 { Term::Or(parts) } else { parts.pop().unwrap_or(Term::Or(Vec::new())) })
    }

    fn and(&mut self, depth: usize) -> Result<Term, Problem> {
        let mut parts = vec![self.not(depth)?];
        while self.take("and") {
            parts.push(self.not(depth)?);
        }
        Ok(if parts.len() > 1 { Term::And(parts) } else { parts.pop().unwrap_or(Term::And(Vec::new())) })
    }

    fn not(&mut self, depth: usize) -> Result<Term, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Syntax(format!("nests deeper than {MAX_DEPTH} brackets")));
        }
        if self.take("not") {
            return Ok(Term::Not(Box::new(self.not(depth + 1)?)));
        }
        self.comparison(depth)
    }

    fn comparison(&mut self, depth: usize) -> Result<Term, Problem> {
        let left = self.sum(depth)?;
        if self.take("is") {
            let wanted = !self.take("not");
            self.expect("missing", "`is`")?;
            return match left {
                Term::Literal(value) => Err(Problem::Syntax(format!("asks whether {value} is missing"))),
                other => Ok(Term::Missing(Box::new(other), wanted)),
            };
        }
        let negated = self.take("not");
        if negated || matches!(self.tokens.first(), Some(Token::Word(word)) if word == "in") {
            self.expect("in", "`not`")?;
            return Ok(Term::In(Box::new(left), !negated, self.list()?));
        }
        let comparison = match self.tokens.first() {
            Some(Token::Sign("=" | "==")) => Comparison::Equal,
            Some(Token::Sign("!=" | "<>")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::AtMost,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::AtLeast,
            _ => return Ok(left),
        };
        self.next();
        let right = self.sum(depth)?;
        Ok(Term::Compare(Box::new(left), comparison, Box::new(right)))
    }

    fn sum(&mut self, depth: usize) -> Result<Term, Problem> {
        let mut left = self.product(depth)?;
        loop {
            let sign = match self.tokens.first() {
                Some(Token::Sign("+")) => Sign::Plus,
                Some(Token::Sign("-")) => Sign::Minus,
                _ => return Ok(left),
            };
            self.next();
            left = Term::Arithmetic(Box::new(left), sign, Box::new(self.product(depth)?));
        }
    }

    fn product(&mut self, depth: usize) -> Result<Term, Problem> {
        let mut left = self.primary(depth)?;
        loop {
            let sign = match self.tokens.first() {
                Some(Token::Sign("*")) => Sign::Times,
                Some(Token::Sign("/")) => Sign::Over,
                _ => return Ok(left),
            };
            self.next();
            left = Term::Arithmetic(Box::new(left), sign, Box::new(self.primary(depth)?));
        }
    }

    fn primary(&mut self, depth: usize) -> Result<Term, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Syntax(format!("nests deeper than {MAX_DEPTH} brackets")));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            self.expect(")", "the bracket's content")?;
            return Ok(inner);
        }
        if self.take("-") {
            return Ok(Term::Negative(Box::new(self.primary(depth + 1)?)));
        }
        if self.take("consent") {
            self.expect("(", "`consent`")?;
            let Some(Token::Literal(Value::Text(purpose))) = self.next() else {
                return Err(Problem::Syntax(
                    "`consent` wants a purpose in quotes, like consent('email')".to_owned(),
                ));
            };
            self.expect(")", "the purpose")?;
            return Ok(Term::Consent(purpose.clone()));
        }
        if let [Token::Word(word), Token::Sign("("), ..] = self.tokens
            && !KEYWORDS.contains(&word.as_str())
        {
            return self.call(word, depth);
        }
        self.operand()
    }

    fn call(&mut self, word: &str, depth: usize) -> Result<Term, Problem> {
        let Some(function) = Function::find(word) else {
            let known = Function::known();
            return Err(Problem::Syntax(format!("calls `{}`; the functions are {known}", short(word))));
        };
        self.next();
        self.next();
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                arguments.push(self.or(depth + 1)?);
                if self.take(")") {
                    break;
                }
                self.expect(",", "a value in brackets")?;
            }
        }
        function.check(&arguments).map_err(Problem::Syntax)?;
        Ok(Term::Call(function, arguments))
    }

    fn list(&mut self) -> Result<Vec<Value>, Problem> {
        self.expect("[", "`in`")?;
        let mut values = Vec::new();
        loop {
            match self.next() {
                Some(Token::Literal(value)) => values.push(value.clone()),
                _ => {
                    return Err(Problem::Syntax(
                        "wants a list after `in`, like ['DE', 'AT'] or [1, 2]".to_owned(),
                    ));
                }
            }
            if self.take("]") {
                return Ok(values);
            }
            self.expect(",", "a list's item")?;
        }
    }

    fn operand(&mut self) -> Result<Term, Problem> {
        let name = match self.next() {
            Some(Token::Literal(value)) => return Ok(Term::Literal(value.clone())),
            Some(Token::Quoted(name)) => name,
            Some(Token::Word(word)) if !KEYWORDS.contains(&word.as_str()) => word,
            Some(token) => {
                return Err(Problem::Syntax(format!(
                    "has {} where a name or a value is expected",
                    token.shown()
                )));
            }
            None => return Err(Problem::Syntax("ends where a name or a value is expected".to_owned())),
        };
        match (self.slot)(name) {
            Some(slot) => Ok(Term::Name(Name { slot, name: name.clone() })),
            None => Err(Problem::Undeclared(name.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Facts, Kind, Truth};
    use event::Instant;
    use proptest::prelude::*;

    const NAMES: [&str; 5] = ["orders", "shop.country", "churned", "gone", "odd name"];

    struct World;
    impl Facts for World {
        fn value(&self, slot: usize) -> Option<&Value> {
            static VALUES: std::sync::LazyLock<[Option<Value>; 5]> = std::sync::LazyLock::new(|| {
                [
                    Some(Value::Number(3.0)),
                    Some(Value::from("DE")),
                    Some(Value::Flag(false)),
                    None,
                    Some(Value::Number(-1.0)),
                ]
            });
            VALUES[slot].as_ref()
        }
        fn consent(&self, purpose: &str) -> bool {
            purpose == "email"
        }
        fn at(&self) -> Option<Instant> {
            // A Sunday morning on which Berlin's clocks have gone from 2 to 3.
            "2026-03-29T01:30:00Z".parse().ok()
        }
    }

    fn read(text: &str) -> Result<Expr, Problem> {
        parse(text, |name| NAMES.iter().position(|n| *n == name))
    }

    fn check(text: &str, expected: Truth) {
        let expr = read(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(expr.eval(&World), expected, "{text}");
        let printed = expr.to_string();
        assert_eq!(read(&printed).unwrap(), expr, "{text} printed as {printed}");
    }

    #[test]
    fn conditions_hold_or_not() {
        check("orders >= 3", Truth::True);
        check("orders > 3", Truth::False);
        check("orders = 3 and shop.country == 'DE'", Truth::True);
        check("shop.country in ['AT', \"DE\"]", Truth::True);
        check("shop.country not in ['AT', 'DE']", Truth::False);
        check("`odd name` < -0.5e0", Truth::True);
        check("not churned", Truth::True);
        check("consent('email') and not consent('phone')", Truth::True);
        check("gone is missing", Truth::True);
        check("orders is not missing", Truth::True);
        check("churned or orders <> 4 and false", Truth::False);
        check("(churned or orders <> 4) and true", Truth::True);
    }

    #[test]
    fn what_is_missing_or_does_not_compare_is_unknown() {
        check("gone = 1", Truth::Unknown);
        check("not (gone = 1)", Truth::Unknown);
        check("gone = 1 or orders = 3", Truth::True);
        check("gone = 1 and orders = 4", Truth::False);
        check("orders = '3'", Truth::Unknown);
        check("orders", Truth::Unknown);
        check("gone in [1]", Truth::Unknown);
    }

    fn says(text: &str, expected: impl Into<Option<Value>>) {
        let expr = read(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(expr.value(&World), expected.into(), "{text}");
        let printed = expr.to_string();
        assert_eq!(read(&printed).unwrap(), expr, "{text} printed as {printed}");
    }

    #[test]
    fn numbers_and_texts_are_computed() {
        says("1 + 2 * 3 - 4 / 2", Value::Number(5.0));
        says("(1 + 2) * -(3)", Value::Number(-9.0));
        says("10 - 2 - 3 - (4 - 5)", Value::Number(6.0));
        says("orders-1", Value::Number(2.0));
        says("orders - -1", Value::Number(4.0));
        says("-orders * 2", Value::Number(-6.0));
        says("orders / 0", None);
        says("gone + 1", None);
        says("shop.country + 1", None);
        says("coalesce(gone, orders, 9)", Value::Number(3.0));
        says("if(orders > 2, 'many', 'few')", Value::from("many"));
        says("if(gone > 2, 'many', 'few')", None);
        says("round(10 / 3, 2)", Value::Number(3.33));
        says("max(orders, 7, abs(`odd name`))", Value::Number(7.0));
        says("min(orders, gone)", None);
        says("sqrt(16) + log(1) + floor(1.5) + ceil(1.5)", Value::Number(7.0));
        says("sqrt(-1)", None);
        says("length(lower('ÄÖ')) = 2", Value::Flag(true));
        says("contains(shop.country, 'E') and not starts_with(shop.country, 'E')", Value::Flag(true));
        says("orders + 1 in [4] and (orders + gone) is missing", Value::Flag(true));
    }

    #[test]
    fn the_clock_is_that_of_a_place() {
        says("hour('UTC')", Value::Number(1.0));
        says("hour('Europe/Berlin')", Value::Number(3.0));
        says("hour('America/New_York')", Value::Number(21.0));
        says("weekday('Europe/Berlin') + day('America/New_York')", Value::Number(35.0));
        says("month('Europe/Berlin')", Value::Number(3.0));
        assert!(read("hour('UTC') > 3 or churned").unwrap().asks_the_clock());
    }

    #[test]
    fn kinds_are_known_before_values() {
        let kind = |text: &str| {
            let of = |slot: usize| match slot {
                0 => Some(Kind::Number),
                1 => Some(Kind::Text),
                2 => Some(Kind::Flag),
                _ => None,
            };
            read(text).unwrap().kind(&of)
        };
        assert_eq!(kind("orders / 2"), Ok(Some(Kind::Number)));
        assert_eq!(kind("if(churned, shop.country, 'x')"), Ok(Some(Kind::Text)));
        assert_eq!(kind("gone"), Ok(None));
        for (text, expected) in [
            ("shop.country + 1", "computes with `shop.country`, which is a text"),
            ("orders = 'x'", "compares `orders`, which is a number, with a text"),
            ("orders and churned", "joins `orders`"),
            ("if(orders, 1, 2)", "not of a condition"),
            ("if(churned, 1, 'a')", "a number or a text"),
            ("shop.country in [1]", "with a number"),
            ("length(orders)", "where it takes a text"),
        ] {
            let error = kind(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    fn refuse(text: &str, expected: &str) {
        match read(text) {
            Err(Problem::Syntax(message)) => assert!(message.contains(expected), "{text}: {message}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn errors_say_what_would_do() {
        refuse("orders && churned", "write `and`");
        refuse("orders >= ", "ends where a name");
        refuse("orders churned", "join conditions with `and`");
        refuse("(orders > 1", "`)` is expected");
        refuse("orders in 'DE'", "`[` is expected");
        refuse("orders in []", "wants a list");
        refuse("consent(email)", "consent('email')");
        refuse("shop.country = 'DE", "never closes");
        refuse("größe > 1", "`ö` where a name");
        refuse("€", "backticks");
        refuse("1.2.3 = orders", "no number");
        refuse("1e999 = orders", "no number");
        refuse("", "ends where");
        refuse("3 is missing", "asks whether 3");
        refuse("median(orders)", "calls `median`; the functions are abs, ");
        refuse("abs(1, 2)", "gives `abs` 2 values; it takes 1");
        refuse("min(1)", "it takes 2 to 16");
        refuse("hour('Mars/Olympus')", "which there is not");
        refuse("hour(shop.country)", "hour('Europe/Berlin')");
        refuse("round(1, 0.5)", "whole number of decimals");
        refuse("orders +", "ends where a name");
        refuse("orders > 1 > 2", "join conditions");
        refuse(&format!("{}1", "- ".repeat(900)), "nests deeper");
        refuse(&"abs(".repeat(900), "nests deeper");
        refuse(&"(".repeat(5_000), "4096 are the most");
        refuse(&"(".repeat(3_000), "nests deeper");
        refuse(&"not ".repeat(900), "nests deeper");
        assert_eq!(read("age > 1"), Err(Problem::Undeclared("age".into())));
    }

    #[test]
    fn the_failing_part_is_named_with_its_values() {
        let failure = |text: &str| read(text).unwrap().failure(&World).unwrap();
        let found = failure("orders >= 3 and (shop.country = 'AT' or churned) and gone > 1");
        assert_eq!(found.condition, "shop.country = 'AT' or churned");
        assert_eq!(found.observed.len(), 2);
        assert_eq!(failure("orders >= 3 and gone > 1").condition, "gone > 1");
        assert!(read("orders >= 3").unwrap().failure(&World).is_none());
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "[a-z0-9 ()<>=!'\"`,.&|+*/\\[\\]-]{0,60}") {
            let _ = read(&text);
        }

        #[test]
        fn any_text_never_panics(text in ".{0,80}") {
            let _ = read(&text);
        }
    }
}
