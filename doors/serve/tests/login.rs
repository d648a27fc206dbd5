//! People log in through a provider; every token that does not count is refused and says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;
mod provider;

use std::path::Path;

use common::Served;
use provider::{Provider, encode};
use serde_json::{Value, json};

/// A server, its provider, and a browser that follows no redirect by itself.
struct World {
    served: Served,
    provider: Provider,
    agent: ureq::Agent,
}

struct Answer {
    status: u16,
    location: String,
    cookies: Vec<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// `name=value` of the cookie that is set.
    fn cookie(&self, name: &str) -> String {
        let found = self.cookies.iter().find(|cookie| cookie.starts_with(&format!("{name}=")));
        found
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.cookies))
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    }
}

/// A login under way.
struct Begun {
    state: String,
    nonce: String,
    challenge: String,
    browser: String,
}

impl World {
    fn new() -> Self {
        let provider = Provider::start();
        let dir = tempfile::tempdir().unwrap();
        common::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project"), dir.path());
        let settings = dir.path().join("maschinenraum.toml");
        let mut text = std::fs::read_to_string(&settings).unwrap();
        text.push_str(&format!(
            "\n[login]\nissuer = \"{}\"\nclient_id = \"engine\"\nname_claim = \"name\"\n\
             url = \"http://127.0.0.1:8600\"\n\
             [login.roles]\nstaff = \"analyst\"\nmarketing = \"marketer\"\nchiefs = \"admin\"\n",
            provider.url
        ));
        std::fs::write(&settings, text).unwrap();
        let served = common::serve_project(dir.path(), |_| ());
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        Self { served, provider, agent }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.served.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(body.to_string()).unwrap())
            }
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.unwrap();
        let text = |name: &str| answer.headers().get_all(name).iter().map(|v| v.to_str().unwrap().to_owned());
        Answer {
            status: answer.status().as_u16(),
            location: text("location").next().unwrap_or_default(),
            cookies: text("set-cookie").collect(),
            body: answer.body_mut().read_to_string().unwrap(),
        }
    }

    fn begin(&self) -> Begun {
        let begun = self.ask("GET", "/v1/login?back=/v1/streams", &[], None);
        assert_eq!(begun.status, 302, "{}", begun.body);
        assert!(
            begun.location.starts_with(&format!("{}/auth?x=1&", self.provider.url)),
            "{}",
            begun.location
        );
        let part = |name: &str| {
            let found =
                begun.location.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            found.unwrap_or_else(|| panic!("no {name} in {}", begun.location)).to_owned()
        };
        assert_eq!(part("code_challenge_method"), "S256");
        assert_eq!(part("client_id"), "engine");
        assert_eq!(part("scope"), "openid%20profile%20email");
        assert_eq!(part("redirect_uri"), "http%3A%2F%2F127.0.0.1%3A8600%2Fv1%2Flogin%2Fcallback");
        let tie = &begun.cookies[0];
        assert!(tie.contains("HttpOnly") && tie.contains("SameSite=Lax"), "{tie}");
        Begun {
            state: part("state"),
            nonce: part("nonce"),
            challenge: part("code_challenge"),
            browser: begun.cookie("mr_login"),
        }
    }

    fn claims(&self, nonce: &str) -> Value {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        json!({
            "iss": self.provider.url, "aud": "engine", "sub": "4711", "iat": now, "exp": now + 300,
            "nonce": nonce, "name": "Mara", "groups": ["staff", "choir"],
        })
    }

    fn gives(&self, token: String) {
        self.provider.script.lock().unwrap().token = token;
    }

    fn come_back(&self, begun: &Begun) -> Answer {
        let path = format!("/v1/login/callback?code=c1&state={}", begun.state);
        self.ask("GET", &path, &[("cookie", &begun.browser)], None)
    }

    /// The session's cookie of somebody in these groups.
    fn log_in(&self, groups: &[&str]) -> String {
        let begun = self.begin();
        let mut claims = self.claims(&begun.nonce);
        claims["groups"] = json!(groups);
        self.gives(self.provider.signed(json!({"alg": "ES256", "kid": "ec"}), &claims));
        let entered = self.come_back(&begun);
        assert_eq!((entered.status, entered.location.as_str()), (302, "/v1/streams"), "{}", entered.body);
        let set = entered.cookies.iter().find(|cookie| cookie.starts_with("mr_session=")).unwrap();
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Max-Age=3600"),
            "{set}"
        );
        entered.cookie("mr_session")
    }

    fn refused(&self, answer: &Answer, code: &str, word: &str) {
        let body = answer.json();
        assert_eq!(body["code"], code, "{body}");
        assert!(body["message"].as_str().unwrap().contains(word), "no `{word}` in {body}");
        assert!(
            !answer
                .cookies
                .iter()
                .any(|cookie| cookie.starts_with("mr_session=") && !cookie.contains("Max-Age=0"))
        );
    }

    /// What becomes of a token made by `make` from the claims that would count.
    fn token(&self, word: &str, make: impl FnOnce(&Provider, Value) -> String) {
        let begun = self.begin();
        self.gives(make(&self.provider, self.claims(&begun.nonce)));
        self.refused(&self.come_back(&begun), "MR3413", word);
    }
}

fn es() -> Value {
    json!({"alg": "ES256", "kid": "ec"})
}

#[test]
fn a_person_comes_in_does_what_the_role_may_and_leaves() {
    let world = World::new();
    let cookie = world.log_in(&["staff", "choir"]);
    let headers = [("cookie", cookie.as_str())];

    // PKCE: the verifier that came with the code is what the challenge was made of.
    let begun = world.begin();
    world.gives(world.provider.signed(es(), &world.claims(&begun.nonce)));
    world.come_back(&begun);
    let verifier = world.provider.script.lock().unwrap().verifiers.last().unwrap().clone();
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    assert_eq!(encode(digest.as_ref()), begun.challenge);

    let me = world.ask("GET", "/v1/me", &headers, None).json();
    assert_eq!((me["name"].as_str(), me["kind"].as_str()), (Some("Mara"), Some("person")), "{me}");
    assert_eq!(me["roles"], json!(["analyst"]));
    assert_eq!(me["scopes"], json!(["read", "train", "export"]));

    assert_eq!(world.ask("GET", "/v1/streams", &headers, None).status, 200);
    world.refused(&world.ask("GET", "/v1/keys", &headers, None), "MR7023", "admin");
    let asked = json!({"identifier": {"kind": "user_id", "value": "u1"}, "purpose": "analytics", "views": ["orders"]});
    let here =
        [("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:8600"), ("sec-fetch-site", "same-origin")];
    let features = world.ask("POST", "/v1/features", &here, Some(&asked));
    assert_eq!(features.status, 200, "{}", features.body);
    // An analyst counts and does not look who somebody is.
    let profile = world.ask("GET", "/v1/profiles/user_id/u1?purpose=analytics", &headers, None);
    world.refused(&profile, "MR3401", "`Mara` (analyst) may not read_profile");

    // Another site may not ask in their name.
    let there = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
    world.refused(&world.ask("POST", "/v1/features", &there, Some(&asked)), "MR3416", "another site");
    let there = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    world.refused(&world.ask("POST", "/v1/logout", &there, None), "MR3416", "another site");

    let left = world.ask("POST", "/v1/logout", &headers, None);
    assert_eq!(left.json()["ended"], true, "{}", left.body);
    assert!(left.cookie("mr_session").ends_with('='));
    world.refused(&world.ask("GET", "/v1/me", &headers, None), "MR3415", "over");
    world.refused(&world.ask("GET", "/v1/streams", &headers, None), "MR3415", "over");

    // A key is who it is, too.
    let bearer = format!("Bearer {}", world.served.key);
    let me = world.ask("GET", "/v1/me", &[("authorization", &bearer)], None).json();
    assert_eq!((me["kind"].as_str(), me["roles"].clone()), (Some("key"), json!(["admin"])));
    world.refused(&world.ask("GET", "/v1/me", &[], None), "MR7021", "API key");
    world.served.close();
}

#[test]
fn every_kind_of_key_that_is_believed_opens_and_no_other() {
    let world = World::new();
    for header in [
        es(),
        json!({"alg": "EdDSA", "kid": "ed"}),
        json!({"alg": "RS256", "kid": "rsa"}),
        json!({"alg": "RS256"}),
    ] {
        let begun = world.begin();
        world.gives(world.provider.signed(header.clone(), &world.claims(&begun.nonce)));
        let entered = world.come_back(&begun);
        assert_eq!(entered.status, 302, "{header}: {}", entered.body);
    }
    let forged = |header: Value, claims: Value, signature: &[u8]| {
        format!("{}.{}.{}", encode(header.to_string()), encode(claims.to_string()), encode(signature))
    };
    world.token("`none`", |_, claims| forged(json!({"alg": "none"}), claims, b""));
    world.token("`nOnE`", |_, claims| forged(json!({"alg": "nOnE", "kid": "ec"}), claims, b""));
    // The public key as the secret of an HMAC, and the shared key of the set.
    for (kid, secret) in [("rsa", world.provider.rsa_public()), ("oct", b"shared".to_vec())] {
        world.token("`HS256`", |_, claims| {
            let signed = forged(json!({"alg": "HS256", "kid": kid}), claims, b"");
            let signed = signed.trim_end_matches('.');
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
            format!("{signed}.{}", encode(ring::hmac::sign(&key, signed.as_bytes()).as_ref()))
        });
    }
    // Another key, a key of another kind under this name, and nobody's.
    let stranger = Provider::start();
    world.token("signature", |_, claims| stranger.signed(es(), &claims));
    world.token("no key", |provider, claims| provider.signed(json!({"alg": "ES256", "kid": "rsa"}), &claims));
    world.token("no key", |provider, claims| provider.signed(json!({"alg": "RS256", "kid": "enc"}), &claims));
    world.token("`gone` and ES256", |provider, claims| {
        provider.signed(json!({"alg": "ES256", "kid": "gone"}), &claims)
    });
    world.token("`crit`", |provider, claims| {
        provider.signed(json!({"alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": false}), &claims)
    });
    // Claims changed after they were signed.
    world.token("signature", |provider, mut claims| {
        let signed = provider.signed(es(), &claims);
        claims["groups"] = json!(["chiefs"]);
        let mut parts: Vec<String> = signed.split('.').map(str::to_owned).collect();
        parts[1] = encode(claims.to_string());
        parts.join(".")
    });
    for (token, word) in [
        ("", "three parts"),
        ("a.b", "three parts"),
        ("a.b.c.d", "three parts"),
        ("!.!.!", "base64url"),
        ("e30.e30.", "header"),
    ] {
        world.token(word, |_, _| token.to_owned());
    }
    world.token("bytes", |_, _| "a".repeat(100_000));
    // However often, the provider's keys are not fetched for each of them.
    assert!(world.provider.script.lock().unwrap().n_keys <= 2);
    world.served.close();
}

#[test]
fn expired_replayed_and_misdirected_tokens_are_refused() {
    let world = World::new();
    let changed = |word: &str, change: &dyn Fn(&mut Value)| {
        world.token(word, |provider, mut claims| {
            change(&mut claims);
            provider.signed(es(), &claims)
        });
    };
    let at = |claims: &Value, name: &str| claims[name].as_i64().unwrap();
    changed("expired", &|claims| claims["exp"] = json!(at(claims, "iat") - 61));
    changed("no end", &|claims| claims["exp"] = json!("tomorrow"));
    changed("no beginning", &|claims| claims["iat"] = Value::Null);
    changed("of the future (`iat`)", &|claims| claims["iat"] = json!(at(claims, "exp") + 3_600));
    changed("of the future (`nbf`)", &|claims| claims["nbf"] = json!(at(claims, "exp") + 3_600));
    changed("for another login", &|claims| claims["iat"] = json!(at(claims, "iat") - 4_000));
    changed("`https://evil.example` issued it", &|claims| claims["iss"] = json!("https://evil.example"));
    changed("issued it", &|claims| claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap())));
    changed("made for `shop`", &|claims| claims["aud"] = json!("shop"));
    changed("made for", &|claims| claims["aud"] = json!([]));
    changed("asked for it", &|claims| claims["aud"] = json!(["engine", "shop"]));
    changed("`shop` asked for it", &|claims| claims["azp"] = json!("shop"));
    changed("nonce", &|claims| claims["nonce"] = json!("another"));
    changed("nonce", &|claims| claims["nonce"] = Value::Null);
    changed("names nobody", &|claims| claims["sub"] = json!(""));

    // A clock that is a minute off is no reason to refuse anybody.
    let begun = world.begin();
    let mut claims = world.claims(&begun.nonce);
    (claims["exp"], claims["nbf"]) = (json!(at(&claims, "iat") - 30), json!(at(&claims, "iat") + 30));
    (claims["aud"], claims["azp"]) = (json!(["engine", "shop"]), json!("engine"));
    let token = world.provider.signed(es(), &claims);
    world.gives(token);
    assert_eq!(world.come_back(&begun).status, 302);

    // The same answer again: its state is spent. The same token in another login: its nonce is another's.
    world.refused(&world.come_back(&begun), "MR3412", "used before");
    world.refused(&world.come_back(&world.begin()), "MR3413", "nonce");
    // A state that nobody made, one that another browser began, an answer of another provider.
    let path = "/v1/login/callback?code=c&state=AAAA";
    world.refused(&world.ask("GET", path, &[], None), "MR3412", "not begun here");
    world.refused(&world.ask("GET", "/v1/login/callback", &[], None), "MR3412", "not begun here");
    let begun = world.begin();
    world.gives(world.provider.signed(es(), &world.claims(&begun.nonce)));
    let path = format!("/v1/login/callback?code=c&state={}", begun.state);
    world.refused(
        &world.ask("GET", &path, &[("cookie", "mr_login=other")], None),
        "MR3412",
        "another browser",
    );
    world.refused(&world.come_back(&begun), "MR3412", "used before");
    let begun = world.begin();
    let path = format!("/v1/login/callback?code=c&iss=https://evil.example&state={}", begun.state);
    world.refused(
        &world.ask("GET", &path, &[("cookie", &begun.browser)], None),
        "MR3413",
        "another provider's",
    );
    world.served.close();
}

#[test]
fn nobody_comes_in_without_a_role_or_through_a_provider_that_errs() {
    let world = World::new();
    for groups in [json!([]), json!(["choir"]), Value::Null, json!({"staff": true}), json!("STAFF")] {
        let begun = world.begin();
        let mut claims = world.claims(&begun.nonce);
        claims["groups"] = groups;
        world.gives(world.provider.signed(es(), &claims));
        world.refused(&world.come_back(&begun), "MR3414", "`Mara` has no role here");
    }
    let cookie = world.log_in(&["marketing", "staff"]);
    let me = world.ask("GET", "/v1/me", &[("cookie", &cookie)], None).json();
    assert_eq!(me["roles"], json!(["analyst", "marketer"]), "{me}");

    for (instead, word) in [
        ((400, r#"{"error":"invalid_grant","error_description":"used"}"#.to_owned()), "invalid_grant used"),
        ((500, "oops".to_owned()), "status 500"),
        ((200, "{}".to_owned()), "id_token"),
        ((302, String::new()), "status 302"),
    ] {
        let begun = world.begin();
        world.provider.script.lock().unwrap().instead = Some(instead);
        world.refused(&world.come_back(&begun), "MR3411", word);
        world.provider.script.lock().unwrap().instead = None;
    }
    let path = "/v1/login/callback?error=access_denied&error_description=no%0Away&state=x";
    world.refused(&world.ask("GET", path, &[], None), "MR3411", "access_denied no");
    // Cookies that are nobody's, and links that lead elsewhere.
    world.refused(&world.ask("GET", "/v1/me", &[("cookie", "a=b; mr_session=AAAA")], None), "MR3415", "over");
    for back in ["https://evil.example", "//evil.example", "/%5Cevil.example", ""] {
        let begun = world.ask("GET", &format!("/v1/login?back={back}"), &[], None);
        let part = |name: &str| {
            begun.location.split(['?', '&']).find_map(|p| p.strip_prefix(name)).unwrap().to_owned()
        };
        world.gives(world.provider.signed(es(), &world.claims(&part("nonce="))));
        let path = format!("/v1/login/callback?code=c&state={}", part("state="));
        let entered = world.ask("GET", &path, &[("cookie", &begun.cookie("mr_login"))], None);
        assert_eq!(entered.location, "/v1/me", "{back}");
    }
    world.served.close();

    // One that calls itself otherwise than the settings do.
    let world = World::new();
    world.provider.script.lock().unwrap().issuer = Some("https://evil.example".to_owned());
    world.refused(&world.ask("GET", "/v1/login", &[], None), "MR3411", "https://evil.example");
    world.served.close();

    // No provider at all.
    let served = common::serve(|_| ());
    let answer = served.get("/v1/login");
    assert_eq!((answer.status, answer.code().as_str()), (404, "MR3410"));
    served.close();
}
