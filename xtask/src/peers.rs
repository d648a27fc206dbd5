//! Installs the pinned peers that `show` and `bench` run beside us, once, away from the user's own Python and Node.

use crate::place::Place;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python with `bench/requirements.txt` installed, in `target/peers`.
pub fn python(place: &Place) -> Result<PathBuf> {
    let home = place.target().join("peers");
    let python = home.join("bin/python");
    install(&home, &[place.read("bench/requirements.txt")?], || {
        eprintln!("installing the Python peers into {} (once)", home.display());
        must(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let list = place.root.join("bench/requirements.txt");
        must(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(list))
    })?;
    Ok(python)
}

/// The `airflow` of `bench/peers/airflow/requirements.txt`, in `target/peers-airflow`.
pub fn airflow(place: &Place) -> Result<PathBuf> {
    let home = place.target().join("peers-airflow");
    let list = "bench/peers/airflow/requirements.txt";
    install(&home, &[place.read(list)?], || {
        eprintln!("installing Airflow into {} (once)", home.display());
        must(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let mut pip = Command::new(home.join("bin/python"));
        must(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(place.root.join(list)))
    })?;
    Ok(home.join("bin/airflow"))
}

/// The Python with `bench/peers/contracts-requirements.txt` installed, in `target/peers-contract`.
pub fn contracts(place: &Place) -> Result<PathBuf> {
    let home = place.target().join("peers-contract");
    let python = home.join("bin/python");
    let list = "bench/peers/contracts-requirements.txt";
    install(&home, &[place.read(list)?], || {
        eprintln!("installing datacontract-cli into {} (once)", home.display());
        must(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let mut pip = Command::new(&python);
        must(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(place.root.join(list)))
    })?;
    Ok(python)
}

/// The Python with `bench/peers/contract-check-requirements.txt` installed, in `target/peers-contract-check`: its libraries
/// want another pandas than datacontract-cli.
pub fn contract_check(place: &Place) -> Result<PathBuf> {
    let home = place.target().join("peers-contract-check");
    let python = home.join("bin/python");
    let list = "bench/peers/contract-check-requirements.txt";
    install(&home, &[place.read(list)?], || {
        eprintln!("installing pandera and Great Expectations into {} (once)", home.display());
        must(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let mut pip = Command::new(&python);
        must(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(place.root.join(list)))
    })?;
    Ok(python)
}

/// The Python with `bench/peers/audit-requirements.txt` installed, in `target/peers-audit`.
pub fn audit(place: &Place) -> Result<PathBuf> {
    let home = place.target().join("peers-audit");
    let python = home.join("bin/python");
    let list = "bench/peers/audit-requirements.txt";
    install(&home, &[place.read(list)?], || {
        eprintln!("installing pymerkle into {} (once)", home.display());
        must(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let mut pip = Command::new(&python);
        must(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(place.root.join(list)))
    })?;
    Ok(python)
}

/// The folder with `bench/package.json` installed (`node_modules` inside), `target/peers-node`.
pub fn node(place: &Place) -> Result<PathBuf> {
    let home = place.target().join("peers-node");
    let files = ["package.json", "package-lock.json"];
    let pinned = files.iter().map(|file| place.read(&format!("bench/{file}"))).collect::<Result<Vec<_>>>()?;
    install(&home, &pinned, || {
        eprintln!("installing the Node peers into {} (once)", home.display());
        std::fs::create_dir_all(&home)?;
        for (file, text) in files.iter().zip(&pinned) {
            std::fs::write(home.join(file), text)?;
        }
        must(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&home))
    })?;
    Ok(home)
}

/// Runs `work` unless `home` was filled from the same pinned lists before; what a changed list leaves is removed first.
fn install(home: &Path, pinned: &[String], work: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = home.join("installed");
    let wanted = pinned.concat();
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if home.exists() {
        std::fs::remove_dir_all(home)?;
    }
    work()?;
    Ok(std::fs::write(stamp, wanted)?)
}

fn must(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{program} is not installed"))?;
    if !status.success() {
        bail!("{program} failed ({status}); peers need a reachable PyPI and npm registry");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_once_per_list() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("peers");
        let mut installs = 0;
        for list in ["a==1", "a==1", "a==2"] {
            install(&home, &[list.to_owned()], || {
                installs += 1;
                Ok(std::fs::create_dir_all(&home)?)
            })
            .unwrap();
        }
        assert_eq!(installs, 2);
    }
}
