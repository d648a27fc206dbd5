//! A real house in a temporary directory behind a server on a free port, and a plain client for it.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::{Compression, write::GzEncoder};
use house::{House, Project};
use policy::Scope;
use serde_json::{Value, json};
use serve::{Running, Settings};

/// A house that serves.
pub struct Served {
    pub house: Arc<House>,
    pub running: Option<Running>,
    pub url: String,
    pub key: String,
    pub key_id: String,
    agent: ureq::Agent,
    _dir: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and body, for a snapshot.
    pub fn shown(&self) -> String {
        format!("{}\n{}", self.status, self.body)
    }
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Serves the test project with a key of every scope.
pub fn serve(change: impl FnOnce(&mut Settings)) -> Served {
    serve_project(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project"), change)
}

/// Serves another project.
pub fn serve_project(project: &Path, change: impl FnOnce(&mut Settings)) -> Served {
    let dir = tempfile::tempdir().unwrap();
    copy(project, dir.path());
    let project = Project::load(dir.path()).unwrap();
    let house = Arc::new(House::open(project).unwrap());
    // So that the first decision of a test finds money to spend.
    house.do_chores().unwrap();
    house.engine().settle(std::time::Duration::from_secs(30)).unwrap();
    let key = house.create_key("test", "tests", &Scope::ALL, None).unwrap();
    let mut settings = Settings::listening_at("127.0.0.1:0".parse().unwrap());
    change(&mut settings);
    let running = serve::start(Arc::clone(&house), &settings).unwrap();
    let url = format!("http://{}", running.address());
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    Served { house, running: Some(running), url, key: key.text.to_string(), key_id: key.id, agent, _dir: dir }
}

impl Served {
    /// Any request; `headers` replace the usual ones of the same name, an empty value leaves one out.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = BTreeMap::from([("authorization", bearer.as_str())]);
        if body.is_some() {
            all.insert("content-type", "application/json");
        }
        all.extend(headers.iter().copied());
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(name, value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.unwrap();
        let text = |v: &ureq::http::HeaderValue| v.to_str().unwrap_or_default().to_owned();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: answer.body_mut().read_to_string().unwrap(),
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[], Some(body.to_string().as_bytes()))
    }

    pub fn send(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.ask("POST", path, headers, Some(body.as_ref()))
    }

    /// A new key of these scopes.
    pub fn key(&self, scopes: &[Scope]) -> String {
        self.house.create_key("test", "other", scopes, None).unwrap().text.to_string()
    }

    /// Says yes to both purposes that a decision of `thanks` needs.
    pub fn consent(&self, user: &str) {
        for purpose in ["personalisation", "email_marketing"] {
            let said = json!({
                "identifier": {"kind": "user_id", "value": user}, "purpose": purpose, "status": "granted",
                "notice_version": "2026-01",
            });
            let answer = self.post("/v1/consents", &said);
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }

    /// Waits until everything durable is folded.
    pub fn settle(&self) {
        self.house.engine().settle(std::time::Duration::from_secs(30)).unwrap();
    }

    pub fn close(mut self) {
        let running = self.running.take().unwrap();
        running.shutdown().begin();
        running.wait().unwrap();
    }
}

/// A tracked order.
pub fn order(user: &str, id: &str, total_cents: i64) -> Value {
    json!({
        "type": "track", "event": "Order Completed", "userId": user, "messageId": id,
        "properties": {"total_cents": total_cents}, "timestamp": "2026-03-01T12:00:00Z",
    })
}

pub fn batch(calls: &[Value]) -> Value {
    json!({"batch": calls})
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
