//! The audit log over HTTP: what a client of tlog-tiles needs, for keys that may see it, and for no others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use audit::{Proof, Signed, Tile, Tree, Verifier, entries_of_bundle, leaf_hash, verify_consistency, witness};
use common::serve;
use policy::Scope;
use serde_json::json;

/// What is no text.
fn bytes(served: &common::Served, path: &str) -> Vec<u8> {
    let bearer = format!("Bearer {}", served.key);
    let mut answer =
        ureq::get(format!("{}{path}", served.url)).header("authorization", bearer).call().unwrap();
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    answer.body_mut().read_to_vec().unwrap()
}

#[test]
fn a_stranger_with_the_key_verifies_the_log_over_http() {
    let served = serve(|_| {});
    let log: Verifier = served.get("/v1/audit/key").body.parse().unwrap();
    let head = |note: &str| Signed::open(note, &log).unwrap().checkpoint;
    let old = served.get("/v1/audit/checkpoint");
    assert_eq!(old.headers["content-type"], "text/plain; charset=utf-8");
    let old = head(&old.body);
    for n in 0..5 {
        let made = served.post("/v1/keys", &json!({"name": format!("k{n}"), "scopes": ["track"]}));
        assert_eq!(made.status, 200, "{}", made.body);
    }
    let new = head(&served.get("/v1/audit/checkpoint").body);
    assert_eq!(new.size, old.size + 5);

    let asked: witness::Request =
        served.get(&format!("/v1/audit/consistency?old={}", old.size)).body.parse().unwrap();
    assert!(verify_consistency(old.size, new.size, old.root, new.root, &asked.proof));
    // Bundles and tiles, by the paths that the size names.
    for tile in Tile::of_size(new.size) {
        let got = bytes(&served, &format!("/v1/audit/{tile}"));
        assert!(tile.level.is_none() || got.len() == 32 * usize::from(tile.width), "{tile}");
    }
    let bundle = Tile { level: None, index: 0, width: new.size as u16 };
    let bundle = bytes(&served, &format!("/v1/audit/{bundle}"));
    let entries = entries_of_bundle(&bundle).unwrap();
    assert_eq!(Tree::of(entries.iter().map(|entry| leaf_hash(entry))).root(), new.root);
    for (index, entry) in entries.iter().enumerate() {
        let proof: Proof = served.get(&format!("/v1/audit/proof/{index}")).body.parse().unwrap();
        assert_eq!(proof.verify(entry, &log).unwrap().checkpoint, new);
    }

    let page = served.get("/v1/audit/entries?what=key.issue&limit=3").json();
    assert_eq!(page["entries"].as_array().unwrap().len(), 3);
    assert_eq!((page["entries"][0]["by"].as_str(), page["size"].as_u64()), (Some("tests"), Some(new.size)));
    let next = page["next"].as_u64().unwrap();
    let rest = served.get(&format!("/v1/audit/entries?what=key.issue&before={next}")).json();
    assert_eq!(
        rest["entries"].as_array().unwrap().len(),
        3,
        "two of the five, and the tests' own key: {rest}"
    );
    assert!(rest["next"].is_null());
    served.close();
}

#[test]
fn what_is_not_there_or_not_allowed_is_said() {
    let served = serve(|_| {});
    for (path, status, code) in [
        ("/v1/audit/tile/0/000", 404, "MR3208"),
        ("/v1/audit/tile/0/x999/x999/999.p/7", 404, "MR3208"),
        ("/v1/audit/tile/zero/000", 400, "MR7032"),
        ("/v1/audit/tile/0/0", 400, "MR7032"),
        ("/v1/audit/proof/999999", 404, "MR3208"),
        ("/v1/audit/proof/-1", 400, "MR7032"),
        ("/v1/audit/consistency?old=999999", 404, "MR3208"),
        ("/v1/audit/consistency", 400, "MR7031"),
        ("/v1/audit/entries?until=now", 400, "MR7031"),
        ("/v1/audit/entries?subject=ann", 400, "MR7032"),
    ] {
        let answer = served.get(path);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.body);
    }
    let reader = format!("Bearer {}", served.key(&[Scope::Read, Scope::Track]));
    let auditor = format!("Bearer {}", served.key(&[Scope::Protect]));
    for path in ["/v1/audit/checkpoint", "/v1/audit/entries", "/v1/audit/proof/0", "/v1/audit/key"] {
        assert_eq!(served.ask("GET", path, &[("authorization", "")], None).status, 401, "{path}");
        assert_eq!(served.ask("GET", path, &[("authorization", &reader)], None).status, 403, "{path}");
        assert_eq!(served.ask("GET", path, &[("authorization", &auditor)], None).status, 200, "{path}");
    }
    served.close();
}
