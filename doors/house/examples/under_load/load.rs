//! The load: until it is killed it sends, agrees, decides, tells, delivers, and writes down what was acknowledged.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use event::RecordId;
use house::{Handed, House, Identifier, Project, Told};
use intake::segment::Endpoint;
use policy::{Principal, Scope, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::project::{N_PEOPLE, SENDER, STREAM, Trial, USE_CASE};

/// What was acknowledged: a line of the file that lies outside the data directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// A message id.
    Event(String),
    /// A record of a consent.
    Consent(RecordId),
    /// A decision and its cost in parts of a cent.
    Decision(RecordId, i64),
    /// A record of an outcome.
    Outcome(RecordId),
}

/// A file of lines, each written whole.
#[derive(Clone)]
pub struct Lines(Arc<Mutex<File>>);

impl Lines {
    /// Appends to `path`.
    pub fn open(path: &std::path::Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Writes one line with one write: a kill may come before or after it.
    pub fn add(&self, line: &str, durable: bool) -> std::io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{line}\n").as_bytes())?;
        if durable { file.sync_data() } else { Ok(()) }
    }

    fn ack(&self, ack: &Ack) -> Result<()> {
        Ok(self.add(&serde_json::to_string(ack)?, false)?)
    }
}

/// A generator good enough to choose people; its seed differs from round to round.
pub struct Dice(pub u64);

impl Dice {
    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }

    fn user(&mut self) -> Identifier {
        identifier("user_id", format!("u{:05}", self.below(N_PEOPLE)))
    }
}

fn identifier(kind: &str, value: String) -> Identifier {
    Identifier { kind: kind.to_owned(), value }
}

/// Everything a worker needs.
#[derive(Clone)]
struct Site {
    house: Arc<House>,
    acks: Lines,
    sent: Lines,
    round: u64,
}

/// What came of a few steps without a kill.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tried {
    /// Steps that were acknowledged.
    pub n_done: u64,
    /// The first error with its code, and whether a retry helps.
    pub error: Option<String>,
    /// How far the machine's clock was found behind, in seconds.
    pub clock_behind_seconds: f64,
}

/// Opens the house and takes `n_steps` steps, or as many as go well.
pub fn take_steps(trial: &Trial, round: u64, n_steps: u64) -> Result<Tried> {
    let told = |error: &house::Error| format!("{}: {error}", error.code());
    let house = match House::open(Project::load(&trial.project())?) {
        Ok(house) => Arc::new(house),
        Err(error) => return Ok(Tried { error: Some(told(&error)), ..Tried::default() }),
    };
    let clock_behind_seconds = house.status().clock_behind_seconds;
    let site = Site { house, acks: Lines::open(&trial.acks())?, sent: Lines::open(&trial.sent())?, round };
    let mut tried = Tried { clock_behind_seconds, ..Tried::default() };
    let mut dice = Dice(round);
    for step in 0..n_steps {
        let done = events(&site, &mut dice, 0, step)
            .and_then(|()| consents(&site, &mut dice, 2, step))
            .and_then(|()| chores(&site, &mut dice, 7, step))
            .and_then(|()| decisions(&site, &mut dice, 3, step));
        match done {
            Ok(()) => tried.n_done += 1,
            Err(error) => {
                let text = error.downcast_ref::<house::Error>().map_or_else(|| format!("{error:#}"), told);
                tried.error = Some(text);
                break;
            }
        }
    }
    site.house.close();
    Ok(tried)
}

/// Opens the trial's house and loads it until somebody kills the process; `n_rounds` of work per worker at most, so
/// that a forgotten child ends.
pub fn run(trial: &Trial, round: u64, n_rounds: u64) -> Result<()> {
    let house = Arc::new(House::open(Project::load(&trial.project())?)?);
    let site = Site { house, acks: Lines::open(&trial.acks())?, sent: Lines::open(&trial.sent())?, round };
    // The parent counts its milliseconds from here.
    std::fs::write(trial.root.join("ready"), round.to_string())?;
    let mut threads = Vec::new();
    for (number, work) in [events, events, consents, decisions, decisions, decisions, deliveries, chores]
        .into_iter()
        .enumerate()
    {
        let site = site.clone();
        let mut dice =
            Dice(round.wrapping_mul(1_000_003) ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        threads.push(std::thread::spawn(move || {
            for step in 0..n_rounds {
                if let Err(error) = work(&site, &mut dice, number, step) {
                    // A refusal is an answer; what was not acknowledged is not counted.
                    let _ = site.sent.add(&format!("# {error:#}"), false);
                    std::thread::yield_now();
                }
            }
        }));
    }
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?;
    }
    site.house.close();
    Ok(())
}

/// A batch of events, one in ten from an earlier batch: retries are what real clients do after a crash.
fn events(site: &Site, dice: &mut Dice, number: usize, step: u64) -> Result<()> {
    let mut calls = Vec::new();
    let mut ids = Vec::new();
    for n in 0..20 {
        let again = dice.below(10) == 0;
        let (round, step) =
            if again && site.round > 0 { (site.round - 1, dice.below(5)) } else { (site.round, step) };
        // The content follows from the id alone, as a retry's would.
        let id = format!("m-{round}-{number}-{step}-{n}");
        let mut content = Dice(round * 7_919 + number as u64 * 104_729 + step * 1_299_709 + n * 15_485_863);
        let user = content.below(N_PEOPLE);
        let call = match content.below(4) {
            0 | 3 => json!({"type": "identify", "messageId": id, "userId": format!("u{user:05}"),
                "anonymousId": format!("a{:05}", user * 2 + content.below(2)),
                "traits": {"email": format!("u{user:05}@example.org")}, "timestamp": "2026-11-01T12:00:00Z"}),
            1 => json!({"type": "track", "event": "Seen", "messageId": id,
                "anonymousId": format!("a{:05}", user * 2 + content.below(2)),
                "properties": {"price_cents": content.below(5_000)}, "timestamp": "2026-11-02T12:00:00Z"}),
            _ => json!({"type": "track", "event": "Seen", "messageId": id, "userId": format!("u{user:05}"),
                "properties": {"price_cents": content.below(5_000)}, "timestamp": "2026-11-03T12:00:00Z"}),
        };
        ids.push(id);
        calls.push(call);
    }
    let (send, receive) = mpsc::sync_channel(1);
    let done: house::Done = Box::new(move |result| {
        let _ = send.send(result);
    });
    if number == 0 {
        let bodies = calls.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        site.house.post(STREAM, &bodies, done);
    } else {
        site.house.track(Endpoint::Batch, &serde_json::to_vec(&json!({"batch": calls}))?, done);
    }
    let report = receive.recv().context("nobody answered")??;
    anyhow::ensure!(report.counts.n_quarantined + report.counts.n_refused == 0, "refused: {report:?}");
    for id in ids {
        site.acks.ack(&Ack::Event(id))?;
    }
    Ok(())
}

fn consents(site: &Site, dice: &mut Dice, _: usize, _: u64) -> Result<()> {
    let user = dice.user();
    let purpose = *["personalisation", "email_marketing"].get(dice.below(2) as usize).unwrap_or(&"analytics");
    let status = if dice.below(6) == 0 { Status::Withdrawn } else { Status::Granted };
    for purpose in
        if status == Status::Granted { vec!["personalisation", "email_marketing"] } else { vec![purpose] }
    {
        let id = site.house.consent(&user, purpose, status, "2026-01", "web", None)?;
        site.acks.ack(&Ack::Consent(id))?;
    }
    Ok(())
}

fn decisions(site: &Site, dice: &mut Dice, number: usize, step: u64) -> Result<()> {
    let caller = Principal::new("load", [Scope::Decide]);
    // Few people over and over, so that caps are reached and profiles meet.
    let user = if dice.below(2) == 0 {
        identifier("user_id", format!("u{:05}", dice.below(40)))
    } else {
        dice.user()
    };
    let decision = match site.house.decide(&caller, USE_CASE, &user, &Map::new()) {
        Ok(decision) => decision,
        Err(house::Error::Denied(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    site.acks.ack(&Ack::Decision(decision.decision, decision.cost.parts()))?;
    if step % 5 == number as u64 % 5 {
        let told = Told {
            decision: decision.decision,
            kind: "click".to_owned(),
            value: None,
            occurred_at: None,
            id: Some("c1".to_owned()),
        };
        site.house.outcomes(&[told])?;
        let id = RecordId::external(decide::OUTCOMES, format!("{} c1", decision.decision).as_bytes());
        site.acks.ack(&Ack::Outcome(id))?;
    }
    Ok(())
}

fn deliveries(site: &Site, dice: &mut Dice, _: usize, _: u64) -> Result<()> {
    site.house.deliver(SENDER, |delivery| {
        // A receiver without this mailbox never had it: it answers the same under the same key.
        if delivery.idempotency_key.bytes().map(u64::from).sum::<u64>().is_multiple_of(20) {
            return Handed::Failed("no such mailbox".to_owned());
        }
        match site.sent.add(&delivery.idempotency_key, true) {
            // The answer was lost on its way: the same is sent again.
            Ok(()) if dice.below(20) == 0 => Handed::Later("no answer".to_owned()),
            Ok(()) => Handed::Sent,
            Err(error) => Handed::Later(error.to_string()),
        }
    })?;
    std::thread::sleep(Duration::from_millis(dice.below(300)));
    Ok(())
}

fn chores(site: &Site, dice: &mut Dice, _: usize, _: u64) -> Result<()> {
    site.house.do_chores()?;
    std::thread::sleep(Duration::from_millis(dice.below(40)));
    Ok(())
}
