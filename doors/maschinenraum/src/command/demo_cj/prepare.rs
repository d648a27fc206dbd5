//! The Complete Journey files as a grocer would have had them: what lies before campaign 18, and what came after.
//!
//! Two of the source's tables name no moment. A campaign is received when it starts (its descriptions say when) and
//! known one second later, so that it does not count among its own past; a redemption, of which only the day is
//! known, counts as the end of that day. Knows nothing of the house.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use event::{Instant, Span};
use serde_json::{Map, Value, json};

/// The campaign that is decided for and tested on.
pub const CAMPAIGN: &str = "18";

/// The project's files, with places for the clock and the campaign that tests.
const FILES: [(&str, &str); 12] = [
    ("maschinenraum.toml", include_str!("../../../templates/complete_journey/maschinenraum.toml")),
    (
        "contracts/transactions.yaml",
        include_str!("../../../templates/complete_journey/contracts/transactions.yaml"),
    ),
    (
        "contracts/campaigns.yaml",
        include_str!("../../../templates/complete_journey/contracts/campaigns.yaml"),
    ),
    (
        "contracts/redemptions.yaml",
        include_str!("../../../templates/complete_journey/contracts/redemptions.yaml"),
    ),
    (
        "contracts/card_holders.yaml",
        include_str!("../../../templates/complete_journey/contracts/card_holders.yaml"),
    ),
    (
        "contracts/demographics.yaml",
        include_str!("../../../templates/complete_journey/contracts/demographics.yaml"),
    ),
    ("features/shopping.yaml", include_str!("../../../templates/complete_journey/features/shopping.yaml")),
    ("features/received.yaml", include_str!("../../../templates/complete_journey/features/received.yaml")),
    ("features/redeemed.yaml", include_str!("../../../templates/complete_journey/features/redeemed.yaml")),
    ("models/redeem.yaml", MODEL),
    (
        "usecases/campaign_18.yaml",
        include_str!("../../../templates/complete_journey/usecases/campaign_18.yaml"),
    ),
    ("goldsets/README.md", include_str!("../../../templates/complete_journey/goldsets/README.md")),
];
const MODEL: &str = include_str!("../../../templates/complete_journey/models/redeem.yaml");

/// What is known of the campaigns.
pub struct Journey {
    /// Where the files come from.
    from: PathBuf,
    campaigns: BTreeMap<String, Campaign>,
    received: Vec<(String, String)>,
    redemptions: Vec<Redemption>,
}

struct Campaign {
    kind: String,
    starts: String,
    ends: String,
}

struct Redemption {
    household: String,
    coupon: String,
    campaign: String,
    day: String,
}

/// Files of one side of the campaign's start, as (stream, path).
pub type Files = Vec<(&'static str, PathBuf)>;

impl Journey {
    /// Reads the small tables.
    pub fn read(from: &Path) -> anyhow::Result<Self> {
        let mut campaigns = BTreeMap::new();
        for row in rows(from, "campaign_descriptions")? {
            let campaign = Campaign {
                kind: text(&row, "campaign_type")?,
                starts: text(&row, "start_date")?,
                ends: text(&row, "end_date")?,
            };
            campaigns.insert(text(&row, "campaign_id")?, campaign);
        }
        let mut received = Vec::new();
        for row in rows(from, "campaigns")? {
            received.push((text(&row, "campaign_id")?, text(&row, "household_id")?));
        }
        let mut redemptions = Vec::new();
        for row in rows(from, "coupon_redemptions")? {
            redemptions.push(Redemption {
                household: text(&row, "household_id")?,
                coupon: text(&row, "coupon_upc")?,
                campaign: text(&row, "campaign_id")?,
                day: text(&row, "redemption_date")?,
            });
        }
        let journey = Self { from: from.to_path_buf(), campaigns, received, redemptions };
        journey.campaign(CAMPAIGN)?;
        Ok(journey)
    }

    /// When campaign 18 starts.
    pub fn starts(&self) -> anyhow::Result<Instant> {
        Ok(self.campaign(CAMPAIGN)?.starts.parse()?)
    }

    /// When every campaign is over.
    pub fn over(&self) -> anyhow::Result<Instant> {
        let last = self.campaigns.values().map(|campaign| campaign.ends.as_str()).max();
        Ok(last.context("there is no campaign")?.parse::<Instant>()? + Span::from_days(1))
    }

    /// The newest campaign that was over when campaign 18 started.
    pub fn newest_over(&self) -> anyhow::Result<&str> {
        let start = &self.campaign(CAMPAIGN)?.starts;
        let over = self.campaigns.iter().filter(|(_, campaign)| campaign.ends < *start);
        let newest = over.max_by_key(|(_, campaign)| &campaign.starts).map(|(id, _)| id.as_str());
        newest.context("no campaign was over by then")
    }

    /// The households that received a campaign, in the order of their numbers.
    pub fn households(&self, campaign: &str) -> Vec<String> {
        let of_it = self.received.iter().filter(|(id, _)| id == campaign);
        let all: BTreeSet<&str> = of_it.map(|(_, household)| household.as_str()).collect();
        let mut all: Vec<String> = all.into_iter().map(str::to_owned).collect();
        all.sort_by_key(|household| (household.len(), household.clone()));
        all
    }

    /// The households that redeemed a coupon of a campaign, each with the end of the first day on which it did.
    pub fn redeemers(&self, campaign: &str) -> anyhow::Result<BTreeMap<String, Instant>> {
        let mut first = BTreeMap::new();
        for redemption in self.redemptions.iter().filter(|redemption| redemption.campaign == campaign) {
            let at: Instant = end_of(&redemption.day).parse()?;
            let known = first.entry(redemption.household.clone()).or_insert(at);
            *known = at.min(*known);
        }
        Ok(first)
    }

    /// Writes the project as of campaign 18's start.
    pub fn write_project(&self, dir: &Path) -> anyhow::Result<()> {
        let clock = self.starts()?.to_string();
        let tests = self.newest_over()?;
        for (name, template) in FILES {
            write(&dir.join(name), template.replace("{clock}", &clock).replace("{test_campaign}", tests))?;
        }
        let redeemers = self.redeemers(tests)?;
        let mut gold = String::new();
        for household in self.households(tests).iter().step_by(5) {
            let redeemed = redeemers.contains_key(household);
            let row = json!({
                "identifier": {"kind": "user_id", "value": household},
                "at": self.campaign(tests)?.starts,
                "context": {"offer": self.campaign(tests)?.kind},
                "outcome": redeemed,
            });
            gold += &format!("{row}\n");
        }
        write(&dir.join("goldsets/campaign_18.jsonl"), gold)
    }

    /// Sets the project's clock behind all campaigns, and campaign 18 to test the model.
    pub fn move_on(&self, dir: &Path) -> anyhow::Result<()> {
        let settings = dir.join("maschinenraum.toml");
        let said = fs::read_to_string(&settings)?;
        let (before, after) = (self.starts()?.to_string(), self.over()?.to_string());
        write(&settings, said.replace(&format!("clock = \"{before}\""), &format!("clock = \"{after}\"")))?;
        write(&dir.join("models/redeem.yaml"), MODEL.replace("{test_campaign}", CAMPAIGN))
    }

    /// Writes the tables into `dir`: (what lies before campaign 18's start, what came from then on).
    pub fn write_tables(&self, dir: &Path) -> anyhow::Result<(Files, Files)> {
        let start = &self.campaign(CAMPAIGN)?.starts;
        let mut campaigns = Vec::new();
        for (id, household) in &self.received {
            let campaign = self.campaign(id)?;
            campaigns.push((
                campaign.starts.as_str(),
                json!({
                    "campaign_id": id, "household_id": household, "campaign_type": campaign.kind,
                    "starts_at": format!("{}T00:00:00Z", campaign.starts),
                    "recorded_at": format!("{}T00:00:01Z", campaign.starts),
                    "ends_at": end_of(&campaign.ends),
                }),
            ));
        }
        let redemption = |one: &Redemption| {
            json!({
                "household_id": one.household, "coupon_upc": one.coupon, "campaign_id": one.campaign,
                "redeemed_at": end_of(&one.day),
            })
        };
        let redemptions = self.redemptions.iter().map(|one| (one.day.as_str(), redemption(one))).collect();
        let transactions = rows(&self.from, "transactions_sample")?;
        let mut first_baskets: BTreeMap<String, &str> = BTreeMap::new();
        for row in &transactions {
            let at = moment(row)?;
            let known = first_baskets.entry(text(row, "household_id")?).or_insert(at);
            *known = at.min(*known);
        }
        let holder = |(household, at)| (at, json!({"household_id": household, "first_basket_at": at}));
        let holders = first_baskets.into_iter().map(holder).collect();
        let moments =
            transactions.iter().map(|row| Ok((moment(row)?, row.clone()))).collect::<anyhow::Result<_>>()?;
        let (mut before, mut after) = (Files::new(), Files::new());
        let tables = [
            ("card_holders", holders),
            ("transactions", moments),
            ("campaigns", campaigns),
            ("redemptions", redemptions),
        ];
        for (stream, table) in tables {
            let (past, rest): (Vec<_>, Vec<_>) = table.into_iter().partition(|(at, _)| *at < start.as_str());
            before.push((stream, write_rows(&dir.join("before").join(format!("{stream}.ndjson")), &past)?));
            after.push((stream, write_rows(&dir.join("after").join(format!("{stream}.ndjson")), &rest)?));
        }
        before.push(("demographics", table(&self.from, "demographics")));
        Ok((before, after))
    }

    fn campaign(&self, id: &str) -> anyhow::Result<&Campaign> {
        self.campaigns.get(id).with_context(|| format!("campaign {id} has no description"))
    }
}

fn table(from: &Path, name: &str) -> PathBuf {
    for ending in [".parquet", "_sample.parquet"] {
        let path = from.join(format!("cj_{name}{ending}"));
        if path.exists() {
            return path;
        }
    }
    from.join(format!("cj_{name}.parquet"))
}

fn rows(from: &Path, name: &str) -> anyhow::Result<Vec<Value>> {
    let path = table(from, name);
    let file = intake::file::inspect(&path, |_| {})
        .with_context(|| format!("`{}` is no folder with the Complete Journey files", from.display()))?;
    let mut all = Vec::new();
    for row in file.rows(0)? {
        let row = row?;
        if let Some(finding) = row.finding {
            bail!("{}, row {}: {finding}", path.display(), row.number);
        }
        all.push(row.raw);
    }
    Ok(all)
}

fn text(row: &Value, column: &str) -> anyhow::Result<String> {
    let found = row.get(column).and_then(Value::as_str).map(str::to_owned);
    found.with_context(|| format!("a row has no `{column}`: {row}"))
}

fn moment(row: &Value) -> anyhow::Result<&str> {
    let found = row.get("transaction_timestamp").and_then(Value::as_str);
    found.with_context(|| format!("a row has no `transaction_timestamp`: {row}"))
}

fn end_of(day: &str) -> String {
    format!("{day}T23:59:59Z")
}

fn write(path: &Path, text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

fn write_rows(path: &Path, rows: &[(&str, Value)]) -> anyhow::Result<PathBuf> {
    write(path, [])?;
    let mut file = BufWriter::new(fs::File::create(path)?);
    for (_, row) in rows {
        serde_json::to_writer(&mut file, row)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    Ok(path.to_path_buf())
}

/// Figures for `report.json`, beside what is printed.
#[derive(Default)]
pub struct Figures(Map<String, Value>);

impl Figures {
    /// Keeps a figure.
    pub fn keep(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Writes what was kept.
    pub fn write(self, path: &Path) -> anyhow::Result<()> {
        write(path, serde_json::to_vec_pretty(&Value::Object(self.0))?)
    }
}
