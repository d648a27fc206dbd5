//! How a capture begins, and how it finds its place again.

use capture::{Client, Error as DbError, Identity, Lsn, NewSlot, Published, System, codes, copy_tables};
use contract::{Contracts, Finding, Severity};
use event::{Partition, Position};
use process::Receipt;

use super::ledger::{CaptureStage, CaptureState, Note, Noticed};
use super::run::Work;
use super::settings::CaptureSettings;
use super::spool;
use crate::Error;
use crate::house::{House, WAIT};

/// The oldest server whose publications and catalogues are known here: 13.
const OLDEST: u32 = 130_000;

/// The slot of a capture: named after this instance, so that two instances never take each other's.
pub(super) fn slot_name(house: &House, name: &str, spec: &CaptureSettings) -> String {
    if !spec.slot.is_empty() {
        return spec.slot.clone();
    }
    let mark = house.vault().pseudonym("capture", name).to_string();
    let mark: String = mark.chars().take(8).collect();
    format!("maschinenraum_{}_{mark}", name.replace('-', "_"))
}

/// How a capture stands by the ledger, with everything that is durable folded.
pub(super) fn known(house: &House, name: &str) -> Result<Option<CaptureState>, Error> {
    let engine = house.engine();
    if let Some(last) = engine.journal().end(Partition::CONTROL).0.checked_sub(1) {
        let receipt = Receipt { partition: Partition::CONTROL, position: Position(last) };
        engine.wait_folded(&[receipt], WAIT)?;
    }
    house.in_control(|rooms| rooms.captures.get(name))
}

/// The tables as the database has them, or why they cannot be captured.
pub(super) fn fit(
    client: &mut Client,
    system: &System,
    spec: &CaptureSettings,
    publication: &str,
) -> Result<Vec<Published>, Error> {
    let unfit = |reason: String, remedy: &str| DbError::Unfit { reason, remedy: remedy.to_owned() };
    if system.version < OLDEST {
        let reason = format!("its version is {}", system.version);
        return Err(unfit(reason, "PostgreSQL 13 or newer is needed").into());
    }
    if !system.is_logical {
        let remedy = "run: ALTER SYSTEM SET wal_level = logical; and restart PostgreSQL";
        return Err(unfit("its log does not hold what logical replication needs".to_owned(), remedy).into());
    }
    let names: Vec<String> = spec.tables.keys().cloned().collect();
    let tables = client.tables(publication, &names, system.version)?;
    for Published { table, quoted, names_rows, is_readable, .. } in &tables {
        if !names_rows {
            // To publish it would break whoever updates it.
            return Err(unfit(
                format!("the table `{}` has nothing that names its rows, and PostgreSQL refuses to update or delete \
                    rows of such a table once it is published", table.name),
                &format!("give it a primary key, or run: ALTER TABLE {quoted} REPLICA IDENTITY FULL;"),
            )
            .into());
        }
        if spec.snapshot && !is_readable {
            return Err(unfit(
                format!("the role may not read the table `{}`", table.name),
                &format!("let the table's owner run: GRANT SELECT ON {quoted} TO the role; with USAGE on its schema"),
            )
            .into());
        }
    }
    Ok(tables)
}

/// What is no obstacle and should be known.
pub(super) fn noticed(
    contracts: &Contracts,
    spec: &CaptureSettings,
    system: &System,
    tables: &[Published],
    at: Lsn,
) -> Vec<Noticed> {
    let mut out = Vec::new();
    let mut notice = |code: &str, table: &str, message: String| {
        out.push(Noticed { code: code.to_owned(), table: table.to_owned(), message, lsn: at });
    };
    if system.keeps_mb.is_none() {
        let message = "the database keeps its log for this capture without limit: should nothing run here for long, its \
            disk fills; `max_slot_wal_keep_size` limits it, at the price of a new capture";
        notice(codes::NO_LIMIT, "", message.to_owned());
    }
    for Published { table, quoted, .. } in tables.iter().filter(|one| one.table.identity != Identity::Full) {
        let Some(contract) = spec.stream(&table.name, true).and_then(|stream| contracts.newest_named(stream))
        else {
            continue;
        };
        let is_key = |name: &str| table.columns.iter().any(|column| column.name == name && column.is_key);
        let lacks = contract.fields.iter().filter(|field| field.required).find_map(|field| {
            let source = field.source.to_string();
            let name = source.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
            (!is_key(&name) && !name.starts_with("__")).then_some(name)
        });
        if let Some(lacks) = lacks {
            let message = format!(
                "of a deleted row only the key is told, and the contract of `{}` requires `{lacks}`: deletes will go to \
                 quarantine; run ALTER TABLE {quoted} REPLICA IDENTITY FULL, or name a stream of their own under `deletes`",
                contract.stream
            );
            notice(codes::KEY_ONLY, &table.name, message);
        }
    }
    out
}

impl Noticed {
    /// As a finding of the command line.
    pub fn to_finding(&self, code: &'static str) -> Finding {
        Finding {
            code,
            severity: Severity::Warning,
            stream: self.table.clone(),
            field: None,
            message: self.message.clone(),
            file: None,
            line: None,
        }
    }
}

impl Work<'_> {
    /// Sees to it that the slot is there and stands where the ledger says; makes it, and copies the tables into the
    /// spool, where the capture is new.
    pub(super) fn settle(&mut self, client: &mut Client, system: &System) -> Result<(), Error> {
        let known = known(self.house, &self.name)?;
        match known {
            Some(state) if matches!(state.stage, CaptureStage::Copying | CaptureStage::Streaming) => {
                self.state = Some(state);
                self.go_on(client, system)
            }
            known => self.begin(client, system, known),
        }
    }

    fn go_on(&self, client: &mut Client, system: &System) -> Result<(), Error> {
        let state = self.state()?;
        if (&state.system, &state.database) != (&system.identifier, &system.database) {
            return Err(DbError::OtherDatabase {
                found: format!("{}/{}", system.identifier, system.database),
                known: format!("{}/{}", state.system, state.database),
            }
            .into());
        }
        let refused = |reason: String| Error::CaptureRefused {
            reason: format!(
                "{reason}; `maschinenraum capture {} --drop` and a new capture begin anew",
                self.name
            ),
        };
        let (slot, publication) =
            (slot_name(self.house, &self.name, self.spec), self.spec.publication(&self.name));
        if (&slot, &publication) != (&state.slot, &state.publication) {
            return Err(refused(format!(
                "capture `{}` began with slot `{}` and publication `{}`, the settings now say `{slot}` and \
                 `{publication}`",
                self.name, state.slot, state.publication
            )));
        }
        if let Some(new) = self.spec.tables.keys().find(|table| !state.tables.contains_key(*table)) {
            return Err(refused(format!(
                "table `{new}` was not among the tables when capture `{}` began, so its rows are not here; a capture of \
                 its own takes it beside this one",
                self.name
            )));
        }
        let gone = |what| DbError::SlotGone { slot: slot.clone(), what, reached: state.reached };
        let stands = client.slot(&slot)?.ok_or_else(|| gone("is gone"))?;
        if stands.is_lost {
            return Err(gone("was given up by the database, which kept its log only so long").into());
        }
        match stands.confirmed {
            Some(found) if found > state.reached => {
                Err(DbError::Moved { slot, found, reached: state.reached }.into())
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        client: &mut Client,
        system: &System,
        known: Option<CaptureState>,
    ) -> Result<(), Error> {
        let (house, spec, name) = (self.house, self.spec, self.name.clone());
        let slot = slot_name(house, &name, spec);
        let publication = spec.publication(&name);
        let tables = fit(client, system, spec, &publication)?;
        if let Some(found) = client.slot(&slot)? {
            // One that we meant to make and of which nothing followed is an orphan of a kill in between.
            let is_ours = known.is_some_and(|known| {
                known.stage == CaptureStage::Intended && known.slot == slot && !found.is_active
            });
            if !is_ours {
                let reason = if found.is_active { "somebody reads it" } else { "nobody reads it" };
                return Err(DbError::SlotTaken { slot, reason: reason.to_owned() }.into());
            }
            client.drop_slot(&slot)?;
        }
        client.publish(&publication, &tables)?;
        // With the publication there, its columns and rows are known.
        let tables = fit(client, system, spec, &publication)?;
        spool::remove(house.layout(), &name)?;
        let intended = Note::Intended {
            capture: name.clone(),
            system: system.identifier.clone(),
            database: system.database.clone(),
            slot: slot.clone(),
            publication,
        };
        // Each attempt is told apart, or a second one would be taken for the first.
        let key = format!("{}/{slot} intended {}", system.identifier, house.now());
        self.note(intended, &key)?;
        let made = client.make_slot(&slot)?;
        let at = house.now();
        let n_snapshot = if spec.snapshot { self.copy_to_spool(&made, &tables)? } else { 0 };
        let contracts = &house.composition().contracts;
        let noticed = noticed(contracts, spec, system, &tables, made.from);
        for one in &noticed {
            tracing::warn!(capture = name, table = one.table, "{} ({})", one.message, one.code);
        }
        let key = format!("{}/{slot}/{} began", system.identifier, made.from);
        let tables = tables.into_iter().map(|published| published.table).collect();
        let began = Note::Began { capture: name, from: made.from, at, n_snapshot, tables, noticed };
        self.note(began, &key)
    }

    fn copy_to_spool(&self, slot: &NewSlot, tables: &[Published]) -> Result<u64, Error> {
        let login = self.spec.login(&self.house.project().dir)?;
        let mut reader = Client::connect(&login, false)?;
        let (vault, layout) = (self.house.vault(), self.house.layout());
        let mut spool = spool::Writer::begin(vault, layout, &self.name, slot.from)?;
        copy_tables(&mut reader, slot, tables, |table, line| {
            if self.stop.load(std::sync::atomic::Ordering::Acquire) {
                return Err(Error::CaptureRefused {
                    reason: "stopped while the tables were copied".to_owned(),
                });
            }
            spool.add(table, line)
        })?;
        reader.close();
        spool.complete()
    }
}
