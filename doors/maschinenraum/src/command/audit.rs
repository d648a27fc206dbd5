//! `audit`: the log of privileged acts, for those who run the house and for those who do not trust it.

use std::path::Path;

use anyhow::{Context, bail};
use audit::{Proof, Signed, Verifier};
use house::{AuditEntry, AuditSought};

use super::data::user;
use super::{Ctx, cosigning, identifier};
use crate::cli::{Audit, AuditList, AuditVerify};
use crate::out::{self, Code};

/// Characters of an entry's detail that a list shows.
const MOST_DETAIL: usize = 100;

/// Does what is asked.
///
/// # Errors
/// Whatever the house or the log says.
pub fn run(ctx: &Ctx, args: &Audit) -> anyhow::Result<Code> {
    match args {
        Audit::Verify(args) => return judged(verify(ctx, args)),
        Audit::Cosign(args) => return cosigning::cosign(args),
        _ => {}
    }
    let house = ctx.open()?;
    let done = match args {
        Audit::List(args) => list(ctx, &house, args),
        Audit::Show { index, open } => show(ctx, &house, *index, *open),
        Audit::Prove { indexes, to } => prove(&house, indexes, to.as_deref()),
        Audit::Consistency { old } => {
            out::line(house.audit_request(*old)?.to_string().trim_end());
            Ok(Code::Fine)
        }
        Audit::Checkpoint => {
            out::line(house.audit_checkpoint()?.note.trim_end());
            Ok(Code::Fine)
        }
        Audit::Key => {
            out::line(&house.audit_key()?.to_string());
            Ok(Code::Fine)
        }
        Audit::Export { to } => export(ctx, &house, to),
        Audit::Witness { url, key } => cosigning::ask(&house, url, key),
        Audit::Verify(_) | Audit::Cosign(_) => Ok(Code::Fine),
    };
    house.close();
    done
}

/// `1 entry`, `2 entries`.
pub fn entries(n: u64) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") }
}

/// A log that does not hold is what was asked about, not a failure of the asking.
fn judged(done: anyhow::Result<Code>) -> anyhow::Result<Code> {
    let Err(error) = done else { return done };
    let of_log = match error.downcast_ref::<house::Error>() {
        Some(house::Error::Audit(error)) => Some(error),
        _ => error.downcast_ref::<audit::Error>(),
    };
    let is_judged = of_log.is_some_and(|error| {
        !matches!(
            error,
            audit::Error::Io { .. } | audit::Error::NoSuch { .. } | audit::Error::TooLarge { .. }
        )
    });
    if !is_judged {
        return Err(error);
    }
    out::complain(&error);
    Ok(Code::Findings)
}

fn verify(ctx: &Ctx, args: &AuditVerify) -> anyhow::Result<Code> {
    let Some((path, key)) = args.path.as_ref().zip(args.key.as_ref()) else {
        let house = ctx.open()?;
        let verified = house.verify_audit();
        house.close();
        let verified = verified?;
        if ctx.json {
            out::json(&verified)?;
        } else {
            out::line(&format!(
                "{}: {}, each the same in journal, state and tiles; {} of one tree, the latest with root {}",
                verified.origin,
                entries(verified.n_entries),
                out::count(usize::try_from(verified.n_checkpoints).unwrap_or(usize::MAX), "checkpoint"),
                verified.root,
            ));
            cosigned_by(&verified.other_signers);
        }
        return Ok(Code::Fine);
    };
    let log: Verifier = key.parse()?;
    if path.is_dir() {
        return verify_dir(ctx, path, &log, args.since.as_deref());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let proof: Proof = text.parse()?;
    let Some(entry) = &args.entry else {
        bail!("a proof is about an entry: name the file of its bytes with --entry");
    };
    let bytes = std::fs::read(entry).with_context(|| format!("cannot read `{}`", entry.display()))?;
    // An editor's newline at the end is none of the entry.
    let plain = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let signed = proof.verify(plain, &log).or_else(|_| proof.verify(&bytes, &log))?;
    out::line(&format!(
        "entry {} is in the log {} of {}",
        proof.index,
        signed.checkpoint.origin,
        entries(signed.checkpoint.size)
    ));
    Ok(Code::Fine)
}

fn verify_dir(ctx: &Ctx, dir: &Path, log: &Verifier, since: Option<&Path>) -> anyhow::Result<Code> {
    let checked = audit::check_dir(dir, log, |_, _| Ok(()))?;
    let head = &checked.signed.checkpoint;
    if let Some(since) = since {
        let note =
            std::fs::read_to_string(since).with_context(|| format!("cannot read `{}`", since.display()))?;
        let old = Signed::open(&note, log)?.checkpoint;
        audit::check_since(dir, &old, head)?;
        out::say(&format!("it goes on from the checkpoint of {}", entries(old.size)));
    }
    if ctx.json {
        out::json(&serde_json::json!({
            "origin": head.origin, "n_entries": head.size, "root": head.root.to_string(),
            "n_checkpoints": checked.n_checkpoints, "other_signers": checked.other_signers,
        }))?;
    } else {
        out::line(&format!(
            "{}: {} and their tiles, {} of one tree, the latest with root {}",
            head.origin,
            entries(head.size),
            out::count(usize::try_from(checked.n_checkpoints).unwrap_or(usize::MAX), "checkpoint"),
            head.root,
        ));
        cosigned_by(&checked.other_signers);
    }
    Ok(Code::Fine)
}

fn cosigned_by(names: &[String]) {
    if !names.is_empty() {
        out::say(&format!("also signed, not verified here, by {}", names.join(", ")));
    }
}

fn list(ctx: &Ctx, house: &house::House, args: &AuditList) -> anyhow::Result<Code> {
    let subject = args.id.as_deref().map(|id| anyhow::Ok(house.subject(&identifier(id)?)?)).transpose()?;
    let (what, by) = (args.what.clone(), args.by.clone());
    let sought = AuditSought { what, by, subject, from: args.from, to: args.to, before: None };
    let found = house.audit_entries(&sought, args.most)?;
    if ctx.json {
        out::json(&found)?;
        return Ok(Code::Fine);
    }
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    out::table(&["index", "at", "what", "by", "purpose", "subject", "detail"], &rows);
    Ok(Code::Fine)
}

fn row(found: &AuditEntry) -> Vec<String> {
    let Some(entry) = &found.entry else {
        return vec![found.index.to_string(), String::new(), "(no entry of this house)".to_owned()];
    };
    let mut detail = if entry.detail.is_null() { String::new() } else { entry.detail.to_string() };
    // The whole of it is what `audit show` is for.
    if detail.chars().count() > MOST_DETAIL {
        detail = detail.chars().take(MOST_DETAIL).chain(['…']).collect();
    }
    if entry.sealed.is_some() {
        detail.push_str(" +sealed");
    }
    vec![
        found.index.to_string(),
        entry.at.to_string(),
        entry.what.clone(),
        entry.by.clone(),
        entry.purpose.clone().unwrap_or_default(),
        entry.subject.map(|subject| subject.to_string()).unwrap_or_default(),
        detail,
    ]
}

fn show(ctx: &Ctx, house: &house::House, index: u64, open: bool) -> anyhow::Result<Code> {
    let bytes = house.audit_entry(index)?;
    let sealed = if open { house.open_audit_entry(index, &user())? } else { None };
    if ctx.json {
        let entry: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        out::json(&serde_json::json!({ "index": index, "entry": entry, "sealed": sealed }))?;
        return Ok(Code::Fine);
    }
    out::line(&String::from_utf8_lossy(&bytes));
    match sealed {
        Some(sealed) => out::line(&format!("sealed: {sealed}")),
        None if open => out::say("nothing is sealed with it, or its subject's key is destroyed"),
        None => {}
    }
    Ok(Code::Fine)
}

fn prove(house: &house::House, indexes: &[u64], to: Option<&Path>) -> anyhow::Result<Code> {
    let Some(to) = to else {
        let [index] = indexes else {
            bail!("several proofs go into a directory: name it with --to");
        };
        out::line(house.audit_proof(*index)?.to_string().trim_end());
        return Ok(Code::Fine);
    };
    std::fs::create_dir_all(to).with_context(|| format!("cannot make `{}`", to.display()))?;
    for index in indexes {
        let proof = house.audit_proof(*index)?.to_string();
        for (end, content) in [("tlog-proof", proof.into_bytes()), ("entry", house.audit_entry(*index)?)] {
            let path = to.join(format!("{index}.{end}"));
            std::fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
    }
    out::say(&format!("{} in {}", out::count(indexes.len(), "proof"), to.display()));
    Ok(Code::Fine)
}

fn export(ctx: &Ctx, house: &house::House, to: &Path) -> anyhow::Result<Code> {
    let (head, n_files, n_bytes) = house.export_audit(to, &user())?;
    if ctx.json {
        out::json(&serde_json::json!({
            "origin": head.origin, "n_entries": head.size, "root": head.root.to_string(), "n_files": n_files,
            "n_bytes": n_bytes,
        }))?;
    } else {
        let mb = n_bytes as f64 / 1e6;
        out::line(&format!("{} in {n_files} files, {mb:.1} MB in {}", entries(head.size), to.display()));
        out::say("whoever verifies it takes the key (`audit key`) by another way");
    }
    Ok(Code::Fine)
}
