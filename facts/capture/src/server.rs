//! What is asked of a database before and around streaming: is it fit, which tables, which slot.

use crate::{Client, Column, Error, Identity, Lsn, Table};

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// The number its cluster got when it was made; the same for ever, whatever the address.
    pub identifier: String,
    /// The database.
    pub database: String,
    /// Up to where its log is durable now.
    pub end: Lsn,
    /// Its version, like 150018.
    pub version: u32,
    /// True where its log has what logical replication needs.
    pub is_logical: bool,
    /// How much it keeps for a slot that nobody reads, in megabytes; `None`: as much as there is.
    pub keeps_mb: Option<u64>,
}

/// A replication slot as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Up to where its reader confirmed.
    pub confirmed: Option<Lsn>,
    /// True where somebody reads it.
    pub is_active: bool,
    /// True where the database has thrown away what it needs.
    pub is_lost: bool,
    /// Bytes of log the database keeps for it.
    pub kept_bytes: u64,
}

/// A new slot, and the snapshot of the tables as they were at its first place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSlot {
    /// Where it begins: changes committed behind it will be streamed.
    pub from: Lsn,
    /// Names the snapshot, as long as the connection that made the slot does nothing else.
    pub snapshot: String,
}

/// A table as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The table.
    pub table: Table,
    /// Its schema and its name, quoted for SQL.
    pub quoted: String,
    /// The rows that are published, as SQL; `None`: all.
    pub filter: Option<String>,
    /// True for a table that is partitions.
    pub is_partitioned: bool,
    /// True where it has a primary key, or an index in its place, or tells whole rows.
    pub names_rows: bool,
    /// True where the role may read it.
    pub is_readable: bool,
}

/// A name as SQL has it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL has it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Client {
    /// What the database says of itself; needs a replication session.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Lost`], [`Error::Protocol`].
    pub fn system(&mut self) -> Result<System, Error> {
        let rows = self.query("say which it is", "IDENTIFY_SYSTEM")?;
        let row = rows.into_iter().next().unwrap_or_default();
        let at = |at: usize| row.get(at).cloned().flatten();
        let (Some(identifier), Some(end), Some(database)) = (at(0), at(2), at(3)) else {
            return Err(self.odd(&"it does not say which it is".to_owned()));
        };
        let end = end.parse().map_err(|e: crate::lsn::ParseLsnError| self.odd(&e))?;
        let settings = self.query(
            "show its settings",
            "SELECT name, setting FROM pg_catalog.pg_settings \
             WHERE name IN ('server_version_num', 'wal_level', 'max_slot_wal_keep_size')",
        )?;
        let setting = |name: &str| {
            let found = settings.iter().find(|row| row.first().cloned().flatten().as_deref() == Some(name));
            found.and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default()
        };
        Ok(System {
            identifier,
            database,
            end,
            version: setting("server_version_num").parse().unwrap_or(0),
            is_logical: setting("wal_level") == "logical",
            keeps_mb: setting("max_slot_wal_keep_size").parse().ok(),
        })
    }

    /// A slot as it stands; `None` where there is none.
    ///
    /// # Errors
    /// As [`Client::system`].
    pub fn slot(&mut self, name: &str) -> Result<Option<Slot>, Error> {
        let sql = format!(
            "SELECT confirmed_flush_lsn, active, wal_status, \
             pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::bigint \
             FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
            literal(name)
        );
        let rows = self.query("show its replication slots", &sql)?;
        let slot = rows.into_iter().next().map(|row| {
            let at = |at: usize| row.get(at).cloned().flatten();
            Slot {
                confirmed: at(0).and_then(|lsn| lsn.parse().ok()),
                is_active: at(1).as_deref() == Some("t"),
                is_lost: at(2).as_deref() == Some("lost"),
                kept_bytes: at(3).and_then(|n| n.parse().ok()).unwrap_or(0),
            }
        });
        Ok(slot)
    }

    /// Makes a slot whose snapshot can be read while this connection does nothing else.
    ///
    /// # Errors
    /// As [`Client::system`].
    pub fn make_slot(&mut self, name: &str) -> Result<NewSlot, Error> {
        let command = format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT", quoted(name));
        let rows = self.query("make a replication slot", &command)?;
        let row = rows.into_iter().next().unwrap_or_default();
        let at = |at: usize| row.get(at).cloned().flatten();
        let from = at(1).and_then(|lsn| lsn.parse().ok());
        let missing = || self.odd(&"it made a slot and does not say where".to_owned());
        Ok(NewSlot { from: from.ok_or_else(missing)?, snapshot: at(2).ok_or_else(missing)? })
    }

    /// Removes a slot; nothing to do where there is none.
    ///
    /// # Errors
    /// As [`Client::system`], among others where somebody reads it.
    pub fn drop_slot(&mut self, name: &str) -> Result<(), Error> {
        if self.slot(name)?.is_some() {
            self.query("remove a replication slot", &format!("DROP_REPLICATION_SLOT {}", quoted(name)))?;
        }
        Ok(())
    }

    /// Sees to it that a publication has the tables, given like `public.orders`.
    ///
    /// # Errors
    /// [`Error::Unfit`] where it is there and lacks one, with the SQL that adds it.
    pub fn publish(&mut self, publication: &str, tables: &[Published]) -> Result<(), Error> {
        let sql = format!(
            "SELECT puballtables, pubviaroot, pubinsert AND pubupdate AND pubdelete \
             FROM pg_catalog.pg_publication WHERE pubname = {}",
            literal(publication)
        );
        let name = quoted(publication);
        let unfit = |reason: String, remedy: String| Error::Unfit { reason, remedy };
        let Some(row) = self.query("show its publications", &sql)?.into_iter().next() else {
            let list: Vec<&str> = tables.iter().map(|table| table.quoted.as_str()).collect();
            let sql = format!(
                "CREATE PUBLICATION {name} FOR TABLE {} WITH (publish_via_partition_root = true)",
                list.join(", ")
            );
            let made = self.query("make a publication", &sql);
            return match made {
                Err(Error::Refused { message, state, .. }) if state == "42501" => Err(unfit(
                    format!(
                        "the publication `{publication}` is not there, and the role may not make it: {message}"
                    ),
                    format!("let the tables' owner run: {sql};"),
                )),
                other => other.map(|_| ()),
            };
        };
        let is = |at: usize| row.get(at).and_then(Option::as_deref) == Some("t");
        if !is(2) {
            return Err(unfit(
                format!("the publication `{publication}` leaves out inserts, updates or deletes"),
                format!("run: ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');"),
            ));
        }
        if !is(1) && tables.iter().any(|table| table.is_partitioned) {
            return Err(unfit(
                format!(
                    "the publication `{publication}` tells changes of partitions under the partitions' names"
                ),
                format!("run: ALTER PUBLICATION {name} SET (publish_via_partition_root = true);"),
            ));
        }
        let sql = format!(
            "SELECT schemaname || '.' || tablename FROM pg_catalog.pg_publication_tables WHERE pubname = {}",
            literal(publication)
        );
        let published = self.query("show a publication's tables", &sql)?;
        let has =
            |name: &str| published.iter().any(|row| row.first().and_then(Option::as_deref) == Some(name));
        match tables.iter().find(|table| !has(&table.table.name)) {
            Some(missing) => Err(unfit(
                format!("the publication `{publication}` lacks the table `{}`", missing.table.name),
                format!("run: ALTER PUBLICATION {name} ADD TABLE {};", missing.quoted),
            )),
            None => Ok(()),
        }
    }

    /// Removes a publication; nothing to do where there is none.
    ///
    /// # Errors
    /// As [`Client::system`].
    pub fn unpublish(&mut self, publication: &str) -> Result<(), Error> {
        let sql = format!("DROP PUBLICATION IF EXISTS {}", quoted(publication));
        self.query("remove a publication", &sql).map(|_| ())
    }

    /// Looks up tables, given like `public.orders`, as a publication has them (it need not be there).
    ///
    /// # Errors
    /// [`Error::Unfit`] where one is not there.
    pub fn tables(
        &mut self,
        publication: &str,
        names: &[String],
        version: u32,
    ) -> Result<Vec<Published>, Error> {
        let mut found = Vec::new();
        for name in names {
            found.push(self.table(publication, name, version)?);
        }
        Ok(found)
    }

    fn table(&mut self, publication: &str, name: &str, version: u32) -> Result<Published, Error> {
        let sql = format!(
            "SELECT c.oid, n.nspname, c.relname, c.relreplident, c.relkind, \
             pg_catalog.has_table_privilege(c.oid, 'SELECT') \
               AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'), \
             EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident)) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname || '.' || c.relname = {} AND c.relkind IN ('r', 'p')",
            literal(name)
        );
        let rows = self.query("show its tables", &sql)?;
        let Some(row) = rows.into_iter().next() else {
            return Err(Error::Unfit {
                reason: format!("there is no table `{name}`"),
                remedy: "tables are named with their schema, like public.orders".to_owned(),
            });
        };
        let at = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let (oid, schema, relation) = (at(0), at(1), at(2));
        let identity = Identity::read(at(3).bytes().next().unwrap_or(b'd'));
        let published = if version >= 150_000 {
            let sql = format!(
                "SELECT rowfilter, pg_catalog.array_to_json(attnames) FROM pg_catalog.pg_publication_tables \
                 WHERE pubname = {} AND schemaname = {} AND tablename = {}",
                literal(publication),
                literal(&schema),
                literal(&relation)
            );
            self.query("show a publication's tables", &sql)?.into_iter().next()
        } else {
            None
        };
        let part = |at: usize| published.as_ref().and_then(|row| row.get(at).cloned().flatten());
        let named: Option<Vec<String>> = part(1).and_then(|names| serde_json::from_str(&names).ok());
        let columns = self.columns(&oid, identity)?;
        let is_published = |column: &Column| named.as_ref().is_none_or(|names| names.contains(&column.name));
        let has_key = at(6) == "t";
        Ok(Published {
            quoted: format!("{}.{}", quoted(&schema), quoted(&relation)),
            table: Table {
                name: format!("{schema}.{relation}"),
                identity,
                columns: columns.into_iter().filter(is_published).collect(),
            },
            filter: part(0),
            is_partitioned: at(4) == "p",
            names_rows: identity == Identity::Full || (has_key && identity != Identity::Nothing),
            is_readable: at(5) == "t",
        })
    }

    fn columns(&mut self, oid: &str, identity: Identity) -> Result<Vec<Column>, Error> {
        let key = match identity {
            Identity::Index => "i.indisreplident",
            _ => "i.indisprimary",
        };
        let sql = format!(
            "SELECT a.attname, a.atttypid, EXISTS (SELECT FROM pg_catalog.pg_index i \
               WHERE i.indrelid = a.attrelid AND {key} AND a.attnum = ANY (i.indkey)) \
             FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
             ORDER BY a.attnum"
        );
        let rows = self.query("show a table's columns", &sql)?;
        let column = |row: Vec<Option<String>>| {
            let at = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
            let is_key = identity == Identity::Full || at(2) == "t";
            Column { name: at(0), kind: at(1).parse().unwrap_or(0), is_key }
        };
        Ok(rows.into_iter().map(column).collect())
    }
}
