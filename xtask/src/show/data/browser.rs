//! Browsers: the unmodified @segment/analytics-next in headless Chromium, one call per request and batched, and our own
//! snippet, which sends nothing before a yes.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{folder, printed};
use crate::peers;
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};

const PROJECT: &str = "bench/projects/browser";
/// Calls of each page, of every kind.
const N_CALLS: u64 = 300;

/// The item.
pub const ITEM: Item = Item {
    id: "browser",
    title: "@segment/analytics-next, unmodified, in headless Chromium: one by one and batched; our snippet before and after a \
            yes, and after a no",
    bar: "300 calls of each page: all there once, 0 quarantined, 0 errors in the page; the snippet sends and keeps nothing \
          before a yes or after a no",
    run,
};

#[derive(Deserialize)]
struct Said {
    browser: Option<String>,
    #[serde(default)]
    sdk: String,
    pages: Vec<Page>,
    #[serde(default)]
    consents: Value,
}

#[derive(Deserialize)]
struct Page {
    name: String,
    sent: i64,
    stored: i64,
    early: i64,
    errors: Vec<String>,
    stored_before: Option<u64>,
    stored_after: Option<u64>,
}

fn run(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let node = peers::node(place)?;
    let project = folder(place, "browser")?;
    std::fs::create_dir_all(project.join("contracts"))?;
    std::fs::write(
        project.join("contracts/calls.yaml"),
        place.read(&format!("{PROJECT}/contracts/calls.yaml"))?,
    )?;
    // The pages' origin is another one than the server's, as it is in life.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let settings = place.read(&format!("{PROJECT}/maschinenraum.toml"))?;
    let origins = format!("browser_origins = [\"http://localhost:{port}\"]\n");
    std::fs::write(project.join("maschinenraum.toml"), settings + &origins)?;
    let key = served::make_key(&binary, &project)?;
    let server = Served::start(&binary, &project, &key)?;
    let mut pages = Command::new("node");
    pages.arg(place.root.join("bench/peers/segment_browser.cjs")).arg(&node);
    pages.arg(format!("http://{}", server.address)).args([&key, &N_CALLS.to_string(), &port.to_string()]);
    let said: Result<Said> = printed(&mut pages);
    server.settle()?;
    let mut http = server.client()?;
    let mut fetch =
        |path: &str| -> Result<Value> { Ok(serde_json::from_slice(&http.fetch("GET", path, b"")?)?) };
    let (sources, refused) = (fetch("/v1/sources")?, fetch("/v1/quarantine")?);
    server.stop()?;
    let said = said?;
    let Some(browser) = said.browser else {
        bail!(
            "Chromium is not installed (Debian: apt install chromium); without a browser this item says nothing"
        );
    };
    let web = sources
        .get("sources")
        .and_then(serde_json::Value::as_array)
        .and_then(|all| all.iter().find(|one| one.get("name").is_some_and(|name| name == "web")));
    let web = web.with_context(|| format!("no source `web` in {sources}"))?;
    let n_sent: i64 = said.pages.iter().map(|page| page.sent).sum();
    let n_refused = refused.get("records").and_then(serde_json::Value::as_array).map_or(usize::MAX, Vec::len);
    let granted = said.consents.to_string().contains("granted");
    let page_holds = |page: &Page| {
        let wanted = if page.name == "snippet, no" { 0 } else { N_CALLS as i64 };
        let silent =
            page.early == 0 && page.stored_before.unwrap_or(0) == 0 && page.stored_after.unwrap_or(0) == 0;
        page.sent == wanted
            && page.stored == wanted
            && page.errors.is_empty()
            && (silent || !page.name.starts_with("snippet"))
    };
    let named = web["records"].as_i64() == Some(n_sent) && web["healthy"] == true;
    let holds =
        said.pages.len() == 4 && said.pages.iter().all(page_holds) && n_refused == 0 && named && granted;
    let shown: Vec<String> = said
        .pages
        .iter()
        .map(|page| {
            let errors = page.errors.first().map(|first| format!(", error {first}")).unwrap_or_default();
            format!(
                "{}: {} sent, {} there, {} before a word{errors}",
                page.name, page.sent, page.stored, page.early
            )
        })
        .collect();
    let text = format!(
        "{browser}, analytics-next {}; {}; {n_refused} quarantined; source `web`: {} records, healthy {}; consent recorded: {granted}",
        said.sdk,
        shown.join("; "),
        web["records"],
        web["healthy"],
    );
    Ok(Figure { text, holds })
}
