//! The binary's server on a project, as a process of its own: started, asked, killed, stopped.

use crate::http::Client;
use crate::place::Place;
use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Linux tells processor time in these, on every architecture that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(120);

/// The binary as a user has it, brought up to date; `MASCHINENRAUM_BINARY` names one that is to be taken as it is.
pub fn binary(place: &Place) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("MASCHINENRAUM_BINARY") {
        return Ok(PathBuf::from(named));
    }
    if !place.cargo(&["build", "--release", "--quiet", "--package", "maschinenraum"]).status()?.success() {
        bail!("the binary does not build");
    }
    Ok(place.target().join("release").join(format!("maschinenraum{}", std::env::consts::EXE_SUFFIX)))
}

/// A new key of the project with every scope the measurements need. The server must not run.
pub fn make_key(binary: &Path, project: &Path) -> Result<String> {
    let mut command = Command::new(binary);
    command.arg("--project").arg(project).args(["keys", "create", "workshop"]);
    for scope in ["track", "consent", "read", "decide", "admin"] {
        command.args(["--scope", scope]);
    }
    let output = command.stderr(Stdio::null()).output().context("the binary does not start")?;
    let key = String::from_utf8(output.stdout)?.trim().to_owned();
    if !output.status.success() || key.is_empty() {
        bail!("`keys create` failed ({}) in {}", output.status, project.display());
    }
    Ok(key)
}

/// A running server.
pub struct Served {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// A key with all scopes.
    pub key: String,
    /// From start to ready.
    pub ready_after: Duration,
}

impl Served {
    /// Starts the server and waits until it is ready.
    pub fn start(binary: &Path, project: &Path, key: &str) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = std::fs::File::create(project.join("serve.log"))?;
        let started = Instant::now();
        let child = Command::new(binary)
            .arg("--project")
            .arg(project)
            .args(["serve", "--listen", &address.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("the binary does not start")?;
        let mut served = Self { child, address, key: key.to_owned(), ready_after: Duration::ZERO };
        while !served.is_ready() {
            if let Some(status) = served.child.try_wait()? {
                bail!("the server ended ({status}); see {}", project.join("serve.log").display());
            }
            if started.elapsed() > PATIENCE {
                bail!("the server is not ready after {} s", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        served.ready_after = started.elapsed();
        Ok(served)
    }

    fn is_ready(&self) -> bool {
        let asked = self.client().and_then(|mut client| client.ask("GET", "/readyz", b""));
        asked.is_ok_and(|answer| answer.status == 200)
    }

    /// A new connection.
    pub fn client(&self) -> Result<Client> {
        Client::connect(self.address, &self.key)
    }

    /// A figure of `/metrics`, its labels summed.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = self.client()?.fetch("GET", "/metrics", b"")?;
        Ok(metric(&String::from_utf8_lossy(&text), name))
    }

    /// Processor time it has taken so far: what a machine shared with others cannot blur. Zero where it is not told.
    pub fn processor_seconds(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = text.rsplit(") ").next().unwrap_or_default();
        let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }

    /// Waits until everything durable is folded; how long that took.
    pub fn settle(&self) -> Result<Duration> {
        let started = Instant::now();
        while self.metric("maschinenraum_fold_lag_records")? > 0.0 {
            if started.elapsed() > PATIENCE {
                bail!("the folds do not catch up");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(started.elapsed())
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn metric(text: &str, name: &str) -> f64 {
    let of_name = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    });
    of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_labels_and_of_no_other_name() {
        let text = "# HELP a x\na{b=\"1\"} 2\na{b=\"2\"} 3\na_b 7\n";
        assert_eq!((metric(text, "a"), metric(text, "a_b"), metric(text, "c")), (5.0, 7.0, 0.0));
    }
}
