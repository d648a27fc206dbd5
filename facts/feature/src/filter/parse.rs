//! Reads filters: words first, then sentences. Every mistake points at its column.

use super::{Expr, Literal, Mistake, Name, Test};

const MAX_CHARS: usize = 2_000;
const MAX_DEPTH: usize = 32;
const MAX_TESTS: usize = 100;
const MAX_LITERALS: usize = 1_000;

/// Reads a filter.
pub(crate) fn parse(text: &str) -> Result<Expr<Name>, Mistake> {
    let words = words(text)?;
    let end = text.chars().count() + 1;
    let mut reader = Reader { words, next: 0, end, depth: 0, n_tests: 0, n_literals: 0 };
    let expr = reader.filter()?;
    match reader.peek() {
        None => Ok(expr),
        Some(word) => {
            Err(mistake(word.column, format!("expected `and`, `or` or the end, found {}", word.token)))
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A word without quotes: a field, `and`, `true`, …
    Bare(String),
    /// A field in backticks.
    Field(String),
    Text(String),
    Number(Literal),
    Test(Test),
    /// One of `( ) [ ] ,`
    Mark(char),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bare(text) | Self::Field(text) => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(literal) => write!(f, "{literal}"),
            Self::Test(test) => write!(f, "`{}`", test.as_str()),
            Self::Mark(mark) => write!(f, "`{mark}`"),
        }
    }
}

#[derive(Clone, Debug)]
struct Word {
    column: usize,
    token: Token,
}

fn mistake(column: usize, message: impl Into<String>) -> Mistake {
    Mistake { column, message: message.into() }
}

fn words(text: &str) -> Result<Vec<Word>, Mistake> {
    let mut words = Vec::new();
    let mut chars = text.chars().zip(1_usize..).peekable();
    while let Some(&(c, column)) = chars.peek() {
        if column > MAX_CHARS {
            return Err(mistake(column, format!("the filter is longer than {MAX_CHARS} characters")));
        }
        let mut take_while = |wanted: &dyn Fn(char) -> bool| {
            let mut taken = String::new();
            while let Some((c, _)) = chars.next_if(|(c, _)| wanted(*c)) {
                taken.push(c);
            }
            taken
        };
        let token = match c {
            _ if c.is_whitespace() => {
                chars.next();
                continue;
            }
            '(' | ')' | '[' | ']' | ',' => {
                chars.next();
                Token::Mark(c)
            }
            '\'' | '"' | '`' => quoted(&mut chars, c, column)?,
            '=' | '!' | '<' | '>' => {
                let sign = take_while(&|c| matches!(c, '=' | '!' | '<' | '>'));
                Token::Test(match sign.as_str() {
                    "==" | "=" => Test::Equal,
                    "!=" | "<>" => Test::NotEqual,
                    "<" => Test::Less,
                    "<=" => Test::LessOrEqual,
                    ">" => Test::Greater,
                    ">=" => Test::GreaterOrEqual,
                    _ => return Err(mistake(column, format!("`{sign}` is no comparison"))),
                })
            }
            '0'..='9' | '-' | '.' => {
                let number = take_while(&|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'));
                Token::Number(
                    number_in(&number).ok_or_else(|| mistake(column, format!("`{number}` is no number")))?,
                )
            }
            _ if c.is_alphabetic() || c == '_' => {
                Token::Bare(take_while(&|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-')))
            }
            _ => {
                let shown = c.escape_debug();
                return Err(mistake(column, format!("`{shown}` has no meaning here; put texts in quotes")));
            }
        };
        words.push(Word { column, token });
    }
    Ok(words)
}

/// A quote inside is doubled, as in SQL.
fn quoted(
    chars: &mut std::iter::Peekable<impl Iterator<Item = (char, usize)>>,
    quote: char,
    column: usize,
) -> Result<Token, Mistake> {
    chars.next();
    let mut text = String::new();
    loop {
        match chars.next() {
            None => return Err(mistake(column, format!("the {quote} that opens here is never closed"))),
            Some((_, at)) if at > MAX_CHARS => {
                return Err(mistake(at, format!("the filter is longer than {MAX_CHARS} characters")));
            }
            Some((c, _)) if c == quote => {
                if chars.next_if(|(c, _)| *c == quote).is_none() {
                    break;
                }
                text.push(quote);
            }
            Some((c, _)) => text.push(c),
        }
    }
    Ok(if quote == '`' { Token::Field(text) } else { Token::Text(text) })
}

fn number_in(text: &str) -> Option<Literal> {
    if let Ok(n) = text.parse::<i64>() {
        return Some(Literal::Integer(n));
    }
    // `inf` and `nan` do not begin like a number; `1e999` is infinite.
    text.parse::<f64>().ok().filter(|float| float.is_finite()).map(Literal::Number)
}

struct Reader {
    words: Vec<Word>,
    next: usize,
    /// The column behind the last character.
    end: usize,
    depth: usize,
    n_tests: usize,
    n_literals: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.next)
    }

    fn column(&self) -> usize {
        self.peek().map_or(self.end, |word| word.column)
    }

    /// What comes next, as a message shows it.
    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end".to_owned(), |word| word.token.to_string())
    }

    fn expected(&self, what: &str) -> Mistake {
        mistake(self.column(), format!("expected {what}, found {}", self.found()))
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Word { token: Token::Bare(word), .. }) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn take_mark(&mut self, mark: char) -> bool {
        let found = matches!(self.peek(), Some(Word { token: Token::Mark(m), .. }) if *m == mark);
        self.next += usize::from(found);
        found
    }

    fn filter(&mut self) -> Result<Expr<Name>, Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(mistake(self.column(), format!("brackets lie more than {MAX_DEPTH} deep")));
        }
        let mut any = vec![self.all()?];
        while self.take_keyword("or") {
            any.push(self.all()?);
        }
        self.depth -= 1;
        Ok(one_or(any, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr<Name>, Mistake> {
        let mut all = vec![self.one()?];
        while self.take_keyword("and") {
            all.push(self.one()?);
        }
        Ok(one_or(all, Expr::All))
    }

    fn one(&mut self) -> Result<Expr<Name>, Mistake> {
        let mut negated = false;
        while self.take_keyword("not") {
            negated = !negated;
        }
        let inner = if self.take_mark('(') {
            let inner = self.filter()?;
            if !self.take_mark(')') {
                return Err(self.expected("`)`"));
            }
            inner
        } else {
            self.test()?
        };
        Ok(negate(inner, negated))
    }

    fn test(&mut self) -> Result<Expr<Name>, Mistake> {
        self.n_tests += 1;
        if self.n_tests > MAX_TESTS {
            return Err(mistake(self.column(), format!("there are more than {MAX_TESTS} comparisons")));
        }
        let field = self.field()?;
        if self.take_keyword("is") {
            let negated = self.take_keyword("not");
            if !self.take_keyword("null") {
                return Err(self.expected("`null`"));
            }
            return Ok(negate(Expr::IsNull { field }, negated));
        }
        let negated = self.take_keyword("not");
        if self.take_keyword("in") {
            return Ok(negate(Expr::In { field, literals: self.list()? }, negated));
        }
        if negated {
            return Err(self.expected("`in`"));
        }
        let Some(Word { token: Token::Test(test), .. }) = self.peek() else {
            return Err(self.expected("a comparison like `==`, `in` or `is null`"));
        };
        let test = *test;
        self.next += 1;
        Ok(Expr::Compare { field, test, literal: self.literal()? })
    }

    fn field(&mut self) -> Result<Name, Mistake> {
        const KEYWORDS: [&str; 8] = ["and", "or", "not", "in", "is", "null", "true", "false"];
        let column = self.column();
        let text = match self.peek().map(|word| &word.token) {
            Some(Token::Bare(word)) if !KEYWORDS.iter().any(|k| word.eq_ignore_ascii_case(k)) => word.clone(),
            Some(Token::Field(field)) => field.clone(),
            _ => return Err(self.expected("a field's name")),
        };
        self.next += 1;
        Ok(Name { text, column })
    }

    fn list(&mut self) -> Result<Vec<Literal>, Mistake> {
        let close = if self.take_mark('[') {
            ']'
        } else if self.take_mark('(') {
            ')'
        } else {
            return Err(self.expected("a list like ['a', 'b']"));
        };
        let mut literals = vec![self.literal()?];
        while self.take_mark(',') {
            literals.push(self.literal()?);
        }
        if self.take_mark(close) { Ok(literals) } else { Err(self.expected(&format!("`,` or `{close}`"))) }
    }

    fn literal(&mut self) -> Result<Literal, Mistake> {
        self.n_literals += 1;
        if self.n_literals > MAX_LITERALS {
            return Err(mistake(self.column(), format!("there are more than {MAX_LITERALS} values")));
        }
        let literal = match self.peek().map(|word| &word.token) {
            Some(Token::Text(text)) => Literal::Text(text.clone()),
            Some(Token::Number(literal)) => literal.clone(),
            Some(Token::Bare(word)) if word.eq_ignore_ascii_case("true") => Literal::Boolean(true),
            Some(Token::Bare(word)) if word.eq_ignore_ascii_case("false") => Literal::Boolean(false),
            Some(Token::Bare(word)) if word.eq_ignore_ascii_case("null") => {
                let message = "nothing equals null: say `is null` or `is not null`";
                return Err(mistake(self.column(), message));
            }
            Some(Token::Bare(word)) => {
                let message =
                    format!("fields are compared with values only; is `{word}` a text? Then write '{word}'");
                return Err(mistake(self.column(), message));
            }
            _ => return Err(self.expected("a value like 'text', 12 or true")),
        };
        self.next += 1;
        Ok(literal)
    }
}

fn one_or(mut all: Vec<Expr<Name>>, many: fn(Vec<Expr<Name>>) -> Expr<Name>) -> Expr<Name> {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            many(all)
        }
        None => many(all),
    }
}

fn negate(inner: Expr<Name>, negated: bool) -> Expr<Name> {
    if negated { Expr::Not(Box::new(inner)) } else { inner }
}
