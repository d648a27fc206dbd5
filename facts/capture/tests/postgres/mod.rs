//! A PostgreSQL server of one's own for tests: made in a temporary folder, killed and started at will, gone at the end.
//!
//! Also used, by path, by tests and measurements of other crates.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "a test may stop at the first surprise, and not each uses everything"
)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The password of the role `capture`.
pub const PASSWORD: &str = "not a secret, a test";

/// A server.
pub struct Server {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
    settings: Vec<String>,
}

impl Server {
    /// Makes and starts one with `settings` like `wal_level=logical`; `None`, said by name, where PostgreSQL is not
    /// installed.
    pub fn start(name: &str, settings: &[&str]) -> Option<Self> {
        let Some(bin) = find() else {
            eprintln!("SKIPPED {name}: PostgreSQL is not installed");
            return None;
        };
        static N: AtomicU32 = AtomicU32::new(0);
        // Short, as the names of sockets have to be.
        let own = format!("maschinenraum-pg-{}-{}", std::process::id(), N.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(own);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = dir.join("data");
        std::fs::create_dir(&data).unwrap();
        if let Some((user, _)) = other_user() {
            let done = Command::new("chown").arg("-R").arg(user).arg(&dir).status().unwrap();
            assert!(done.success());
        }
        let mut server = Self {
            bin,
            dir,
            port: free_port(),
            child: None,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        };
        let mut initdb = server.command("initdb");
        initdb
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data);
        let done = initdb.stdout(Stdio::null()).status().unwrap();
        assert!(done.success(), "initdb");
        let hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n\
                   host replication all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), hba).unwrap();
        server.go();
        server.sql(&format!(
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE capture LOGIN REPLICATION PASSWORD '{PASSWORD}'; \
             GRANT CREATE ON DATABASE postgres TO capture"
        ));
        Some(server)
    }

    /// Starts it, and waits until it answers.
    pub fn go(&mut self) {
        assert!(self.child.is_none());
        let data = self.dir.join("data");
        // What a killed server left behind would make the next one doubt itself.
        let _ = std::fs::remove_file(data.join("postmaster.pid"));
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let mut command = self.command("postgres");
            command.arg("-D").arg(&data).arg("-k").arg(&self.dir).arg("-p").arg(self.port.to_string());
            for setting in [
                "listen_addresses=127.0.0.1",
                "wal_level=logical",
                "fsync=off",
                "shared_buffers=32MB",
                "max_wal_senders=8",
                "max_replication_slots=8",
                "logging_collector=off",
            ] {
                command.args(["-c", setting]);
            }
            for setting in &self.settings {
                command.args(["-c", setting]);
            }
            let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log")).unwrap();
            let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
            while Instant::now() < until {
                if self.try_sql("SELECT 1").is_ok() {
                    self.child = Some(child);
                    return;
                }
                if child.try_wait().unwrap().is_some() {
                    // The memory of the one that was killed is still in use for a moment.
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("the server does not start: {}", std::fs::read_to_string(self.dir.join("log")).unwrap());
    }

    /// Starts with another setting from the next time on.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        // What was started is the server itself: setpriv and su replace themselves by it, or are its parent.
        let pid = self.pid();
        let done = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        assert!(done.success());
        let _ = child.wait();
    }

    /// Stops it as an operator does who is in a hurry: sessions are ended, senders flush first.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = self.pid();
        assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    }

    /// Asks in SQL as the superuser, with PostgreSQL's own client: unaligned rows, one per line.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap()
    }

    /// The same where it may fail.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.arg("-h").arg(&self.dir).args([
            "-p",
            &self.port.to_string(),
            "-U",
            "postgres",
            "-d",
            "postgres",
        ]);
        let output =
            psql.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().unwrap();
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// A number out of the database.
    pub fn count(&self, sql: &str) -> u64 {
        self.sql(sql).parse().unwrap()
    }

    /// Where it is, for the role `capture`.
    pub fn address(&self) -> String {
        format!("postgresql://capture@127.0.0.1:{}/postgres", self.port)
    }

    /// The same through its socket.
    pub fn socket_address(&self) -> String {
        let folder = self.dir.to_str().unwrap().replace('/', "%2F");
        format!("postgresql://capture@{folder}:{}/postgres", self.port)
    }

    /// The folder it lies in.
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// Gives the server a file it may read, such as a key.
    pub fn give(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.join(name);
        std::fs::write(&path, content).unwrap();
        if let Some((user, _)) = other_user() {
            assert!(Command::new("chown").arg(user).arg(&path).status().unwrap().success());
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn pid(&self) -> u32 {
        let text = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }

    /// A command of PostgreSQL's, run as somebody it accepts: it refuses root.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        match other_user() {
            None => Command::new(program),
            Some((_, id)) => {
                let mut command = Command::new("setpriv");
                command
                    .args([&format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups"])
                    .arg(program);
                command
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() && !std::thread::panicking() {
            self.kill();
        } else if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // What is left is in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Where PostgreSQL's programmes lie.
fn find() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().or_else(|| {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        let bin = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        bin.join("initdb").exists().then_some(bin)
    })
}

/// Whom to run the server as, where we are root: name and number.
fn other_user() -> Option<(String, u32)> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let id = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        Some((name.to_owned(), line.split(':').nth(2)?.parse().ok()?))
    };
    id("postgres").or_else(|| id("nobody"))
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
