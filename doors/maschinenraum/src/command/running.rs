//! `serve`, `replay`, `keys`, `status`, `backup`, `restore`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use event::Span;
use house::House;
use policy::Scope;

use super::Ctx;
use super::data::user;
use super::decisions::Webhook;
use crate::cli::Keys;
use crate::out::{self, Code};

/// Runs the server.
pub fn serve(ctx: &Ctx, listen: Option<&str>) -> anyhow::Result<Code> {
    let house = ctx.open_unfilled()?;
    serve_house(house, listen)?;
    Ok(Code::Fine)
}

/// Folds the journal anew.
pub fn replay(ctx: &Ctx, verify: bool) -> anyhow::Result<Code> {
    let bar = out::bar(0, "folding");
    if !verify {
        house::rebuild_state(&ctx.project)?;
        let house = ctx.open()?;
        out::say(&format!(
            "rebuilt: {} entries",
            house.engine().digest(std::time::Duration::from_secs(600))?.n_entries()
        ));
        house.close();
        return Ok(Code::Fine);
    }
    let house = ctx.open()?;
    let verdict = house.verify(|progress| {
        bar.set_length(progress.n_total);
        bar.set_position(progress.n_done);
    })?;
    bar.finish_and_clear();
    let rate = verdict.n_records as f64 / verdict.took.as_secs_f64().max(1e-9);
    out::line(&format!("live     {} ({} entries)", verdict.live, verdict.live.n_entries()));
    out::line(&format!("replayed {} ({} entries)", verdict.replayed, verdict.replayed.n_entries()));
    out::line(&format!(
        "{}: {} records in {:.1} s, {rate:.0} records/s",
        if verdict.holds() { "the same" } else { "NOT the same" },
        verdict.n_records,
        verdict.took.as_secs_f64()
    ));
    house.close();
    Ok(if verdict.holds() { Code::Fine } else { Code::Findings })
}

/// API keys.
pub fn keys(ctx: &Ctx, args: Keys) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    match args {
        Keys::Create { name, scopes, role, days } => {
            let scopes = scopes.iter().map(|scope| scope.parse::<Scope>()).collect::<Result<Vec<_>, _>>()?;
            let expires = days.map(|days| house.now() + Span::from_days(days));
            let key = house.create_key_in(&user(), &name, &scopes, role.as_deref(), expires)?;
            out::line(&key.text);
            out::say(&format!("key {} of {name}: it is shown this once", key.id));
        }
        Keys::List if ctx.json => {
            let keys = house.keys()?;
            let keys: Vec<_> = keys
                .iter()
                .map(|(key, revoked)| {
                    serde_json::json!({
                        "id": key.id, "name": key.name, "scopes": key.scopes, "role": key.role, "created": key.created,
                        "expires": key.expires, "revoked": revoked,
                    })
                })
                .collect();
            out::json(&keys)?;
        }
        Keys::List => {
            let rows: Vec<Vec<String>> = house
                .keys()?
                .iter()
                .map(|(key, revoked)| {
                    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
                    let state = match (revoked, key.expires) {
                        (Some(at), _) => format!("revoked {at}"),
                        (None, Some(at)) => format!("until {at}"),
                        (None, None) => "in force".to_owned(),
                    };
                    {
                        let role = key.role.clone().unwrap_or_default();
                        vec![
                            key.id.clone(),
                            key.name.clone(),
                            role,
                            scopes.join(","),
                            key.created.to_string(),
                            state,
                        ]
                    }
                })
                .collect();
            out::table(&["id", "name", "role", "scopes", "made", "state"], &rows);
        }
        Keys::Revoke { id } => {
            house.revoke_key(&user(), &id)?;
            out::say(&format!("key {id} is revoked"));
        }
    }
    house.close();
    Ok(Code::Fine)
}

/// How the instance is.
pub fn status(ctx: &Ctx) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let (status, streams, budgets) = (house.status(), house.streams()?, house.budgets()?);
    if ctx.json {
        out::json(&serde_json::json!({ "status": status, "streams": streams, "budgets": budgets }))?;
    } else {
        let rows: Vec<Vec<String>> = streams
            .iter()
            .map(|(name, count)| {
                let last = count.last_known_at.map(|at| at.to_string()).unwrap_or_default();
                vec![name.clone(), count.n_records.to_string(), count.n_refused.to_string(), last]
            })
            .collect();
        out::table(&["stream", "records", "refused", "latest"], &rows);
        for budget in &budgets {
            out::line(&format!(
                "budget of {}: {} {}; {} spent in settled allowances, {} in open ones (`report` has the cost)",
                budget.use_case, budget.total, budget.currency, budget.spent, budget.granted
            ));
        }
        let mb = status.disk_bytes as f64 / 1e6;
        out::line(&format!(
            "{} partitions, {} records behind, {mb:.1} MB on disk",
            status.n_partitions, status.lag_records
        ));
        if let Some(stopped) = &status.stopped {
            out::line(&format!("STOPPED: {stopped}"));
        }
    }
    house.close();
    Ok(if status.stopped.is_some() { Code::Findings } else { Code::Fine })
}

/// Copies an instance.
pub fn backup(ctx: &Ctx, to: &Path, server: Option<&str>) -> anyhow::Result<Code> {
    if let Some(server) = server {
        let key = std::env::var("MASCHINENRAUM_KEY").context("MASCHINENRAUM_KEY holds no admin key")?;
        let to = std::path::absolute(to)?;
        let body = serde_json::to_vec(&serde_json::json!({ "to": to }))?;
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent
            .post(format!("{}/v1/backup", server.trim_end_matches('/')))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {key}"))
            .send(body.as_slice())?;
        let text = answer.body_mut().read_to_string()?;
        if !answer.status().is_success() {
            bail!("the server answers {}: {text}", answer.status());
        }
        out::line(&text);
        return Ok(Code::Fine);
    }
    let house = ctx.open()?;
    house.audit(&::audit::Act::new("backup.take", &user()))?;
    let n_bytes = house.backup(to)?;
    out::say(&format!("{:.1} MB to {}; the master key is not in it", n_bytes as f64 / 1e6, to.display()));
    house.close();
    Ok(Code::Fine)
}

/// Puts a backup back.
pub fn restore(ctx: &Ctx, from: &Path, keys: Option<&Path>) -> anyhow::Result<Code> {
    std::fs::create_dir_all(&ctx.project)?;
    house::restore(from, &ctx.project)?;
    house::owe_entry(&ctx.project, &::audit::Act::new("backup.restore", &user()))?;
    if let Some(keys) = keys {
        house::restore_keys(keys, &ctx.project)?;
        out::say("restored; put the master key in its place, the next command folds the state anew");
    } else {
        out::say("restored; put master key and anchor in their place, the next command folds the state anew");
    }
    Ok(Code::Fine)
}

/// Serves a house until a signal comes.
pub fn serve_house(house: std::sync::Arc<House>, listen: Option<&str>) -> anyhow::Result<()> {
    let settings = &house.settings().server;
    let address = listen.unwrap_or(&settings.listen);
    let address = address.parse().with_context(|| format!("`{address}` is no address and port"))?;
    let mut door = serve::Settings::listening_at(address);
    door.rate_per_second = settings.rate_per_second;
    door.rate_burst = settings.rate_burst;
    door.timeout = std::time::Duration::from_secs(settings.timeout_seconds);
    door.browser_origins = settings.browser_origins.clone();
    if !settings.tls_certificate.as_os_str().is_empty() {
        let dir = &house.project().dir;
        door.tls = Some(serve::Tls {
            certificate: dir.join(&settings.tls_certificate),
            key: dir.join(&settings.tls_key),
        });
    }
    let otlp = &house.settings().telemetry.otlp;
    door.otlp = (!otlp.is_empty()).then(|| otlp.clone());
    let webhook = Webhook::of(&house)?;
    let running = serve::start(house.clone(), &door)?;
    let stopping = std::sync::Arc::new(AtomicBool::new(false));
    let sender = webhook.map(|webhook| {
        let (house, stopping) = (house.clone(), stopping.clone());
        std::thread::spawn(move || deliver_on(&house, &webhook, &stopping))
    });
    // New feature views are filled, and serving is held against training, while everything else goes on.
    let watcher = {
        let (house, stopping) = (house.clone(), stopping.clone());
        std::thread::spawn(move || {
            match house.fill(&stopping) {
                Ok(0) => {}
                Ok(n_records) => tracing::info!(n_records, "new feature views are filled"),
                Err(error) => tracing::error!(%error, "new feature views could not be filled"),
            }
            house.watch_skew(&stopping);
        })
    };
    out::say(&format!("serving on {}", running.address()));
    running.stop_on_signal();
    let ended = running.wait();
    stopping.store(true, Ordering::Release);
    let _ = watcher.join();
    if let Some(sender) = sender {
        // A panic there has been reported by the panic hook.
        let _ = sender.join();
    }
    Ok(ended?)
}

/// Hands chosen actions to the webhook, round after round, until the server stops.
fn deliver_on(house: &House, webhook: &Webhook, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        if let Err(error) = house.deliver("webhook", |delivery| webhook.hand(delivery))
            && !stopping.load(Ordering::Acquire)
        {
            tracing::warn!(%error, "delivery pauses");
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
