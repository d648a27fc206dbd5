//! Where a database is.

use std::fmt;

use crate::Error;

/// Where a database is and who logs in: `postgresql://USER@HOST:PORT/DATABASE`. A host that begins with `/`
/// (percent-encoded as `%2F`) is the folder of a Unix socket. Never a password: that is a secret and stands elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The role that logs in.
    pub user: String,
    /// Name or number of the machine, or the folder of its socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`Error::Password`] where it holds a password, [`Error::Address`] where it is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
        let (login, place) = match rest.map(|rest| rest.rsplit_once('@')) {
            Some(Some((login, _))) if login.contains(':') => return Err(Error::Password),
            Some(Some(parts)) => parts,
            Some(None) => return Err(bad(text, "it names no user")),
            None => return Err(bad(text, "it begins with neither postgresql:// nor postgres://")),
        };
        if place.contains('?') {
            return Err(bad(text, "it has parameters, which are settings of their own here"));
        }
        let (host_port, database) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = match host_port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((v6, rest)) => (v6, rest.strip_prefix(':')),
            None => host_port.rsplit_once(':').map_or((host_port, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None | Some("") => 5432,
            Some(port) => port.parse().map_err(|_| bad(text, "its port is no number up to 65535"))?,
        };
        let plain = |part: &str| decode(part).ok_or_else(|| bad(text, "it is not encoded well"));
        let (user, host, mut database) = (plain(login)?, plain(host)?, plain(database)?);
        if user.is_empty() {
            return Err(bad(text, "it names no user"));
        }
        if host.is_empty() {
            return Err(bad(text, "it names no host"));
        }
        if database.is_empty() {
            database = user.clone();
        }
        Ok(Self { user, host, port, database })
    }

    /// True where the way there stays on this machine.
    pub fn is_local(&self) -> bool {
        let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
        self.is_socket() || self.host == "localhost" || self.host.parse().is_ok_and(is_loopback)
    }

    /// True where the host is the folder of a Unix socket.
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, .. } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}/{database}")
        } else {
            write!(f, "{host}:{port}/{database}")
        }
    }
}

fn bad(text: &str, reason: &'static str) -> Error {
    Error::Address { text: text.chars().take(120).collect(), reason }
}

/// Undoes `%2F` and its like.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        };
        out.push(byte);
    }
    String::from_utf8(out).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, user: &str, host: &str, port: u16, database: &str) {
        let address = Address::parse(text).unwrap();
        assert_eq!(
            (address.user.as_str(), address.host.as_str(), address.port, address.database.as_str()),
            (user, host, port, database)
        );
    }

    #[test]
    fn reads_what_people_write() {
        check("postgresql://ada@db.example:5433/shop", "ada", "db.example", 5433, "shop");
        check("postgres://ada@db.example/shop", "ada", "db.example", 5432, "shop");
        check("postgres://ada@[::1]:5433/shop", "ada", "::1", 5433, "shop");
        check("postgres://ada@%2Frun%2Fpostgresql", "ada", "/run/postgresql", 5432, "ada");
        check("postgres://a%40b@h/d%C3%B6rfer", "a@b", "h", 5432, "dörfer");
    }

    #[test]
    fn refuses_what_is_no_address_and_never_repeats_a_password() {
        for text in [
            "",
            "mysql://a@b/c",
            "postgres://b/c",
            "postgres://a@b:x/c",
            "postgres://a@/c",
            "postgres://@b/c",
            "postgres://a@b/c?sslmode=require",
            "postgres://a@b/%zz",
            "postgres://a@b/%00",
        ] {
            assert_eq!(Address::parse(text).unwrap_err().code(), "MR2201", "{text}");
        }
        let error = Address::parse("postgres://ada:hunter2@b/c").unwrap_err();
        assert_eq!(error.code(), "MR2202");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn knows_what_stays_on_this_machine() {
        let is_local = |text: &str| Address::parse(text).unwrap().is_local();
        assert!(is_local("postgres://a@localhost/b") && is_local("postgres://a@127.0.0.2/b"));
        assert!(is_local("postgres://a@[::1]/b") && is_local("postgres://a@%2Ftmp/b"));
        assert!(!is_local("postgres://a@10.0.0.1/b"));
    }
}
