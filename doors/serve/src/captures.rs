//! Captures on the wire: how they stand; and the threads that run them while the server is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::extract::State;
use house::{CaptureView, House, OpCounts, Until};
use policy::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::door::{Door, Json};
use crate::error::Error;
use crate::gate::RequestId;
use crate::metrics::Page;
use crate::problem::Problem;
use crate::routes::{Spec, Table};

/// How long a capture rests after what does not pass by itself, before it tries again: somebody may have mended it.
const REST: Duration = Duration::from_secs(60);

/// The threads that run captures.
pub(crate) struct Captures {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Captures {
    /// Runs every capture of the settings that is the server's to run.
    pub(crate) fn start(house: &Arc<House>) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (name, _) in house.settings().captures.iter().filter(|(_, capture)| capture.serve) {
            let (house, name, stop) = (Arc::clone(house), name.clone(), Arc::clone(&stop));
            let thread = std::thread::Builder::new().name(format!("capture-{name}"));
            let thread = thread.spawn(move || run(&house, &name, &stop));
            threads.push(thread.map_err(|source| Error::Runtime { source })?);
        }
        Ok(Self { stop, threads })
    }

    /// Ends them; what is under way is appended first.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn run(house: &House, name: &str, stop: &AtomicBool) {
    let mut said = String::new();
    while !stop.load(Ordering::Acquire) {
        let Err(error) = house.capture(name, Until::Stopped, stop, &mut |_| {}) else { return };
        // Once, not every minute.
        if !stop.load(Ordering::Acquire) && std::mem::replace(&mut said, error.to_string()) != said {
            tracing::error!(capture = name, code = error.code(), %error, "the capture stands still");
        }
        let until = Instant::now() + REST;
        while Instant::now() < until && !stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The routes of captures.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let list = "Every capture of a database: how far it is, how its changes fared, what was noticed.";
    table.add(
        Spec::get("/v1/captures", "operation", list).scope(Scope::Admin).gives::<AllCaptures>(),
        self::list,
    )
}

/// Every capture.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllCaptures {
    /// By name.
    captures: Vec<OneCapture>,
}

/// A capture.
#[derive(Serialize, ToSchema)]
struct OneCapture {
    /// Its name.
    name: String,
    /// The database, without who logs in.
    database: String,
    /// `new`, `intended`, `copying`, `streaming` or `dropped`.
    #[schema(example = "streaming")]
    stage: String,
    /// Everything committed before that place of the database's log is here.
    #[schema(example = "0/16B3748")]
    reached: Option<String>,
    /// When the last note of it was made.
    #[schema(format = DateTime)]
    noted_at: Option<String>,
    /// True while this server is connected to the database.
    connected: bool,
    /// Bytes of the database's log that are not here yet, as far as the database has said.
    behind_bytes: u64,
    /// What went wrong last, while it is not mended.
    error: Option<Wrong>,
    /// Changes that became records.
    accepted: u64,
    /// Changes in quarantine.
    quarantined: u64,
    /// Changes of tables that the settings send nowhere.
    skipped: u64,
    /// Changes by table.
    tables: Vec<OneTable>,
    /// What was noticed lately.
    noticed: Vec<Notice>,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct Wrong {
    /// Its code.
    #[schema(example = "MR2203")]
    code: &'static str,
    /// What it is.
    message: String,
}

/// Changes of a table.
#[derive(Serialize, ToSchema)]
struct OneTable {
    /// The table.
    #[schema(example = "public.orders")]
    table: String,
    /// Rows that were there when the capture began.
    snapshot: u64,
    /// New rows.
    insert: u64,
    /// Changed rows.
    update: u64,
    /// Rows that are gone.
    delete: u64,
    /// Times it was emptied.
    truncate: u64,
}

/// Something noticed.
#[derive(Serialize, ToSchema)]
struct Notice {
    /// Its code.
    #[schema(example = "MR2220")]
    code: String,
    /// The table.
    table: String,
    /// What it is.
    message: String,
    /// Where in the database's log.
    lsn: String,
}

/// `GET /v1/captures`
async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<AllCaptures>, Problem> {
    let captures = door.ask(&id, |house| house.captures()).await?;
    Ok(Json(AllCaptures { captures: captures.into_iter().map(of_view).collect() }))
}

fn of_view(view: CaptureView) -> OneCapture {
    let live = view.live.unwrap_or_default();
    let stage =
        view.state.as_ref().map_or_else(|| "new".to_owned(), |s| format!("{:?}", s.stage).to_lowercase());
    let counts = view.state.as_ref().map(|state| state.counts.clone()).unwrap_or_default();
    let table = |(table, ops): (String, OpCounts)| {
        let OpCounts { snapshot, insert, update, delete, truncate } = ops;
        OneTable { table, snapshot, insert, update, delete, truncate }
    };
    let notice = |one: house::Noticed| Notice {
        code: one.code,
        table: one.table,
        message: one.message,
        lsn: one.lsn.to_string(),
    };
    OneCapture {
        name: view.name,
        database: view.database,
        stage,
        reached: view.state.as_ref().map(|state| state.reached.to_string()),
        noted_at: view.state.as_ref().map(|state| state.noted_at.to_string()),
        connected: live.connected,
        behind_bytes: live.behind_bytes,
        error: live.error.map(|(code, message)| Wrong { code, message }),
        accepted: counts.n_accepted,
        quarantined: counts.n_quarantined,
        skipped: counts.n_skipped,
        tables: counts.tables.into_iter().map(table).collect(),
        noticed: view.state.map(|state| state.noticed).unwrap_or_default().into_iter().map(notice).collect(),
    }
}

/// What of captures is counted for Prometheus.
pub(crate) fn of_captures(page: &mut Page, captures: &[CaptureView]) {
    if captures.is_empty() {
        return;
    }
    let (connected, behind, changes) = (
        "maschinenraum_capture_connected",
        "maschinenraum_capture_behind_bytes",
        "maschinenraum_capture_changes_total",
    );
    let live = |view: &CaptureView| view.live.clone().unwrap_or_default();
    page.family(connected, "gauge", "1 while a capture is connected to its database.");
    for view in captures {
        page.sample(connected, &[("capture", &view.name)], f64::from(u8::from(live(view).connected)));
    }
    page.family(behind, "gauge", "Bytes of the database's log that are not here yet.");
    for view in captures {
        page.sample(behind, &[("capture", &view.name)], live(view).behind_bytes as f64);
    }
    page.family(changes, "counter", "Changes of databases, by what became of them.");
    for view in captures {
        let Some(state) = &view.state else { continue };
        for (became, n) in
            [("accepted", state.counts.n_accepted), ("quarantined", state.counts.n_quarantined)]
        {
            page.sample(changes, &[("capture", &view.name), ("became", became)], n as f64);
        }
    }
}
