//! People log in through npm's oidc-provider, unmodified.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::peers;
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};

const PROJECT: &str = "bench/projects/clients";
/// Where the provider believes our server to be.
const URL: &str = "http://127.0.0.1:8600";

/// The item.
pub const ITEM: Item = Item {
    id: "login",
    title: "a person logs in through npm's oidc-provider (code, PKCE, RS256), does what the role may, and leaves; replays, \
            another browser's login, another site's request and a person without a role are refused",
    bar: "1 in, 6 refused, each with its code",
    run,
};

#[derive(Deserialize)]
struct Said {
    entered: Option<u16>,
    to: Option<String>,
    #[serde(default)]
    me: Value,
    streams: Option<u16>,
    keys: Option<String>,
    cross_site: Option<String>,
    replayed: Option<String>,
    spent_code: Option<String>,
    other_browser: Option<String>,
    stranger: Option<String>,
    left: Option<bool>,
    after: Option<u16>,
    error: Option<String>,
    entered_body: Option<String>,
}

fn run(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let node = peers::node(place)?;
    let project = super::folder(place, "login")?;
    let issuer = format!("http://{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?);
    for file in ["contracts/calls.yaml", "features/calls.yaml"] {
        let to = project.join(file);
        std::fs::create_dir_all(to.parent().context("no folder")?)?;
        std::fs::write(to, place.read(&format!("{PROJECT}/{file}"))?)?;
    }
    let mut settings = place.read(&format!("{PROJECT}/maschinenraum.toml"))?;
    settings.push_str(&format!(
        "\n[login]\nissuer = \"{issuer}\"\nclient_id = \"engine\"\nclient_secret = \"file:client.secret\"\nurl = \"{URL}\"\n\
         \n[login.roles]\nstaff = \"analyst\"\n"
    ));
    std::fs::write(project.join("maschinenraum.toml"), settings)?;
    std::fs::write(project.join("client.secret"), "only-for:this measurement&+%\n")?;
    let key = served::make_key(&binary, &project)?;
    let served = Served::start(&binary, &project, &key)?;
    let mut command = Command::new("node");
    command.arg(place.root.join("bench/peers/oidc_login.mjs")).arg(&node).args([
        issuer,
        format!("http://{}", served.address),
        format!("{URL}/v1/login/callback"),
    ]);
    let said: Said = super::printed(&mut command)?;
    served.stop()?;
    let name = said.me.get("name").and_then(Value::as_str).unwrap_or("nobody");
    let roles = said.me.get("roles").map(ToString::to_string).unwrap_or_default();
    let came = said.entered == Some(302)
        && said.to.as_deref() == Some("/v1/streams")
        && name == "mara@shop.example"
        && roles == r#"["analyst"]"#
        && said.streams == Some(200)
        && said.left == Some(true)
        && said.after == Some(401);
    let refused = [
        ("keys", &said.keys, "MR7023"),
        ("another site", &said.cross_site, "MR3416"),
        ("the same answer again", &said.replayed, "MR3412"),
        ("a spent code", &said.spent_code, "MR3411"),
        ("another browser", &said.other_browser, "MR3412"),
        ("without a role", &said.stranger, "MR3414"),
    ];
    let shown =
        refused.iter().map(|(what, code, _)| format!("{what} {}", code.as_deref().unwrap_or("let in")));
    let shown: Vec<String> = shown.collect();
    let mut text = format!("{name} in as {roles}; refused: {}", shown.join(", "));
    for odd in [said.error, said.entered_body].into_iter().flatten() {
        text.push_str(&format!(" ({odd})"));
    }
    let all = refused.iter().all(|(_, code, wanted)| code.as_deref() == Some(*wanted));
    Ok(Figure { text, holds: came && all })
}
