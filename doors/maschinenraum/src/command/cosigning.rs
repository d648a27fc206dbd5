//! `audit witness` and `audit cosign`: both sides of a witness's signature.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use audit::{Checkpoint, Signer, Verifier, witness};
use zeroize::Zeroizing;

use super::audit::entries;
use crate::cli::AuditCosign;
use crate::out::{self, Code};

/// The longest answer of a witness that is read.
const MAX_ANSWER: u64 = 64 << 10;

/// Asks a witness to cosign the checkpoint of now.
pub fn ask(house: &house::House, url: &str, key: &str) -> anyhow::Result<Code> {
    let witness: Verifier = key.parse()?;
    let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(std::time::Duration::from_secs(30)))
        .build()
        .into();
    let send = |body: &str| -> anyhow::Result<(u16, String)> {
        let mut answer = agent.post(&url).content_type("text/plain").send(body)?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string()?;
        Ok((answer.status().as_u16(), text))
    };
    let mut old = 0;
    for _ in 0..2 {
        let (status, text) = send(&house.audit_request(old)?.to_string())?;
        match status {
            200 => {
                let signed = house.audit_cosigned(&text, &witness)?;
                let n = entries(signed.checkpoint.size);
                out::line(&format!("{} cosigned the checkpoint of {n}", witness.name()));
                return Ok(Code::Fine);
            }
            // It says how many entries it has seen; from there the proof has to go on.
            409 => old = text.trim().parse().context("the witness's answer names no size")?,
            _ => {
                let said = text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
                let witness = witness.name().to_owned();
                return Err(
                    audit::Error::Witness { witness, why: format!("it answers {status}: {said}") }.into()
                );
            }
        }
    }
    let witness = witness.name().to_owned();
    Err(audit::Error::Witness { witness, why: format!("it goes on from {old} entries, and yet does not") }
        .into())
}

/// Is a witness.
pub fn cosign(args: &AuditCosign) -> anyhow::Result<Code> {
    let seed = seed(&args.key_file)?;
    let me = Signer::witness(&args.name, &seed)?;
    let Some(((request, state), log)) = args.request.as_ref().zip(args.state.as_ref()).zip(args.log.as_ref())
    else {
        out::line(&me.verifier().to_string());
        return Ok(Code::Fine);
    };
    let log: Verifier = log.parse()?;
    let text =
        std::fs::read_to_string(request).with_context(|| format!("cannot read `{}`", request.display()))?;
    // A terminal's copy may have lost the last newline.
    let text = if text.ends_with('\n') { text } else { format!("{text}\n") };
    let request: witness::Request = text.parse()?;
    // One file for each log, named after its whole key.
    let name: String =
        log.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let path = state.join(name);
    let last: Option<Checkpoint> = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text.parse()?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(e).with_context(|| format!("cannot read `{}`", path.display())),
    };
    let seconds = u64::try_from(event::Instant::now().micros() / 1_000_000).unwrap_or(0);
    let (seen, lines) = witness::answer(&request, &log, last.as_ref(), &me, seconds)?;
    std::fs::create_dir_all(state).with_context(|| format!("cannot make `{}`", state.display()))?;
    keep(&path, &seen.to_string()).with_context(|| format!("cannot write `{}`", path.display()))?;
    out::line(lines.trim_end());
    Ok(Code::Fine)
}

/// What was seen is on disk before the signature is given away.
fn keep(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |dir| std::fs::File::open(dir)?.sync_all())
}

/// The witness's seed, made where it is missing.
fn seed(path: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let at = || format!("cannot use `{}`", path.display());
    if !path.exists() {
        let fresh: [u8; 32] = vault::random()?;
        let text: Zeroizing<String> =
            Zeroizing::new(fresh.iter().map(|byte| format!("{byte:02x}")).collect());
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).with_context(at)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(at)?;
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).with_context(at)?);
    let digits = text.trim();
    if digits.len() != 64 || !digits.is_ascii() {
        bail!("`{}` is no seed: 64 hexadecimal digits are expected", path.display());
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (i, byte) in bytes.iter_mut().enumerate() {
        let pair = digits.get(2 * i..2 * i + 2).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).with_context(|| {
            format!("`{}` is no seed: 64 hexadecimal digits are expected", path.display())
        })?;
    }
    Ok(bytes)
}
