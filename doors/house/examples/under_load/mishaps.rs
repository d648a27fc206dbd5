//! What goes wrong with a disk and a clock: each must give a clear error or go on, and lose nothing.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::load::{Dice, Tried};
use super::project::Trial;
use super::rounds::{Again, answer, checked};

/// How one mishap ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mishap {
    /// What went wrong.
    pub name: String,
    /// What the house said, or how it went on; `SKIPPED: …` where this machine cannot try it.
    pub said: String,
    /// What does not hold.
    pub wrong: Vec<String>,
}

/// Tries all of them, each in a folder of its own below `root`.
pub fn run(root: &Path, again: Again<'_>) -> Result<Vec<Mishap>> {
    type Try = fn(&Trial, Again<'_>) -> Result<Mishap>;
    let tries: [(&str, Try); 5] = [
        ("disk full", disk_full),
        ("read-only directory", read_only),
        ("corrupted tail", corrupted_tail),
        ("corrupted middle", corrupted_middle),
        ("clock jump", clock_jump),
    ];
    tries
        .into_iter()
        .map(|(name, attempt)| {
            let trial = Trial::make(&root.join(name.replace(' ', "-")), 50)?;
            std::fs::create_dir_all(trial.data())?;
            let tried = attempt(&trial, again).with_context(|| name.to_owned());
            let mut mishap =
                tried.unwrap_or_else(|e| Mishap { wrong: vec![format!("{e:#}")], ..Mishap::default() });
            name.clone_into(&mut mishap.name);
            Ok(mishap)
        })
        .collect()
}

fn steps(trial: &Trial, again: Again<'_>, round: u64, n: u64) -> Result<Tried> {
    answer(again(&["steps", &trial.root.to_string_lossy(), &round.to_string(), &n.to_string()]))
}

/// Steps that must go well.
fn good_steps(trial: &Trial, again: Again<'_>, round: u64, n: u64) -> Result<Tried> {
    let tried = steps(trial, again, round, n)?;
    ensure!(tried.n_done == n, "{} of {n} steps: {:?}", tried.n_done, tried.error);
    Ok(tried)
}

/// Steps that must end with an error that has a code.
fn failing_steps(trial: &Trial, again: Again<'_>, round: u64, n: u64) -> Result<String> {
    let tried = steps(trial, again, round, n)?;
    let said = tried.error.with_context(|| format!("all {n} steps went well"))?;
    ensure!(said.starts_with("MR"), "the error has no code: {said}");
    Ok(said)
}

fn checked_mishap(trial: &Trial, again: Again<'_>, said: String) -> Result<Mishap> {
    let found = checked(trial, again, false)?;
    Ok(Mishap {
        said: format!("{said}; {} acknowledged, all there", found.n_acked),
        wrong: found.wrong,
        ..Mishap::default()
    })
}

fn mount(args: &[&str]) -> bool {
    Command::new("mount").args(args).output().is_ok_and(|output| output.status.success())
}

/// Unmounts when dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Left behind it would only be in the way of the folder's removal.
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

fn disk_full(trial: &Trial, again: Again<'_>) -> Result<Mishap> {
    let data = trial.data();
    let at = data.to_string_lossy().into_owned();
    if !mount(&["-t", "tmpfs", "-o", "size=6m", "tmpfs", &at]) {
        let said = "SKIPPED: only root may mount a small disk".to_owned();
        return Ok(Mishap { said, ..Mishap::default() });
    }
    let _mounted = Mounted(data);
    let said = failing_steps(trial, again, 0, 100_000)?;
    // Still full: it must say so when it opens, or go on as far as there is room.
    let again_full = steps(trial, again, 1, 100_000)?.error.unwrap_or_default();
    ensure!(again_full.starts_with("MR"), "opened on a full disk: {again_full}");
    ensure!(mount(&["-o", "remount,size=64m", &at]), "the disk does not grow");
    good_steps(trial, again, 2, 50)?;
    checked_mishap(trial, again, format!("{said}; opened while full: {again_full}"))
}

fn read_only(trial: &Trial, again: Again<'_>) -> Result<Mishap> {
    good_steps(trial, again, 0, 20)?;
    let data = trial.data();
    let at = data.to_string_lossy().into_owned();
    if mount(&["--bind", &at, &at]) {
        let _mounted = Mounted(data);
        ensure!(mount(&["-o", "remount,bind,ro", &at]), "the folder does not become read-only");
        let said = failing_steps(trial, again, 1, 1)?;
        drop(_mounted);
        good_steps(trial, again, 2, 20)?;
        return checked_mishap(trial, again, said);
    }
    let probe = Command::new("chmod").args(["-R", "a-w", &at]).status()?;
    ensure!(probe.success(), "chmod");
    let said = failing_steps(trial, again, 1, 1);
    ensure!(Command::new("chmod").args(["-R", "u+w", &at]).status()?.success(), "chmod");
    good_steps(trial, again, 2, 20)?;
    checked_mishap(trial, again, said?)
}

/// The newest file of the log and where its last whole frame ends.
fn end_of_log(trial: &Trial) -> Result<(PathBuf, u64)> {
    let options = journal::Options { n_partitions: 4, segment_bytes: 1 << 20, ..journal::Options::default() };
    let journal = journal::Journal::open(trial.data().join("journal"), options)?;
    let end = journal.files().last().cloned().context("the log has no file")?;
    journal.close();
    Ok(end)
}

fn write_at(path: &Path, at: u64, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(file.write_all(bytes)?)
}

fn noise(seed: u64, n: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..n).map(|_| u8::try_from(dice.below(256)).unwrap_or_default()).collect()
}

fn corrupted_tail(trial: &Trial, again: Again<'_>) -> Result<Mishap> {
    good_steps(trial, again, 0, 20)?;
    for round in 1..5 {
        let (path, end) = end_of_log(trial)?;
        write_at(&path, end, &noise(round, 700 * round))?;
        good_steps(trial, again, round, 20)?;
    }
    // Opening appends a record of the house's own: the last frame holds nothing that was acknowledged. The state knows
    // it though, and says so; thrown away, it is folded anew.
    good_steps(trial, again, 5, 0)?;
    let (path, end) = end_of_log(trial)?;
    write_at(&path, end - 12, &noise(6, 900))?;
    let said = failing_steps(trial, again, 6, 1)?;
    house::rebuild_state(&trial.project())?;
    good_steps(trial, again, 7, 20)?;
    checked_mishap(
        trial,
        again,
        format!("noise behind the last frame is cut; a torn frame that was folded: {said}"),
    )
}

fn corrupted_middle(trial: &Trial, again: Again<'_>) -> Result<Mishap> {
    good_steps(trial, again, 0, 60)?;
    let (path, end) = end_of_log(trial)?;
    let at = end / 2;
    let mut byte = [0_u8; 16];
    let mut file = std::fs::File::open(&path)?;
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    let damaged: Vec<u8> = byte.iter().map(|b| b ^ 0x55).collect();
    write_at(&path, at, &damaged)?;
    let length = std::fs::metadata(&path)?.len();
    let said = failing_steps(trial, again, 1, 1)?;
    ensure!(std::fs::metadata(&path)?.len() == length, "the damaged file was cut");
    write_at(&path, at, &byte)?;
    good_steps(trial, again, 2, 20)?;
    checked_mishap(trial, again, said)
}

fn clock_jump(trial: &Trial, again: Again<'_>) -> Result<Mishap> {
    good_steps(trial, again, 0, 20)?;
    let settings = trial.project().join("maschinenraum.toml");
    let plain = std::fs::read_to_string(&settings)?;
    let with_clock = |clock: &str| plain.replace("[instance]", &format!("[instance]\nclock = \"{clock}\""));
    let mut said = Vec::new();
    for (round, (what, text)) in [
        ("eleven years back", with_clock("2015-01-01T00:00:00Z")),
        ("years ahead", with_clock("2031-01-01T00:00:00Z")),
        ("and back", plain.clone()),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&settings, text)?;
        let tried = good_steps(trial, again, round as u64 + 1, 20)?;
        said.push(format!("{what}: goes on, {:.0} s behind", tried.clock_behind_seconds));
    }
    checked_mishap(trial, again, said.join("; "))
}
