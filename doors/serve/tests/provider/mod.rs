//! An OpenID Connect provider that says whatever a test wants it to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};

/// What the next code is worth.
#[derive(Clone, Default)]
pub struct Script {
    /// The ID token.
    pub token: String,
    /// Another answer than a token: status and body.
    pub instead: Option<(u16, String)>,
    /// What it calls itself.
    pub issuer: Option<String>,
    /// The code verifiers that came.
    pub verifiers: Vec<String>,
    /// How often its keys were asked for.
    pub n_keys: usize,
}

pub struct Provider {
    pub url: String,
    pub script: Arc<Mutex<Script>>,
    pub ec: EcdsaKeyPair,
    pub ed: Ed25519KeyPair,
    pub rsa: RsaKeyPair,
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    pub fn start() -> Self {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
        // Made for this test; it opens nothing.
        let rsa = RsaKeyPair::from_der(include_bytes!("../data/rsa.der")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let provider = Self { url: url.clone(), script: Arc::clone(&script), ec, ed, rsa };
        let keys = provider.keys();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &url, &keys, &script);
            }
        });
        provider
    }

    fn keys(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": encode(&point[1..33]), "y": encode(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(self.ed.public_key().as_ref())},
            {"kty": "RSA", "kid": "rsa", "alg": "RS256", "use": "sig", "n": encode(n), "e": encode(e)},
            {"kty": "oct", "kid": "oct", "k": encode("shared")},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": encode("x"), "e": "AQAB"},
        ]})
    }

    /// The public key as a forger would use it for an HMAC.
    pub fn rsa_public(&self) -> Vec<u8> {
        self.rsa.public().as_ref().to_vec()
    }

    pub fn signed(&self, header: Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match header["alg"].as_str().unwrap() {
            "ES256" => self.ec.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(signed.as_bytes()).as_ref().to_vec(),
            "RS256" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            other => panic!("{other}"),
        };
        format!("{signed}.{}", encode(signature))
    }
}

fn answer(stream: TcpStream, url: &str, keys: &Value, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let (mut n_bytes, mut line) = (0, String::new());
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            n_bytes = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; n_bytes];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let mut script = script.lock().unwrap();
    let (status, text) = match path {
        "/.well-known/openid-configuration" => {
            let issuer = script.issuer.clone().unwrap_or(url.to_owned());
            let said = json!({
                "issuer": issuer, "authorization_endpoint": format!("{url}/auth?x=1"), "token_endpoint": format!("{url}/token"),
                "jwks_uri": format!("{url}/jwks"), "end_session_endpoint": format!("{url}/end"),
            });
            (200, said.to_string())
        }
        "/jwks" => {
            script.n_keys += 1;
            (200, keys.to_string())
        }
        "/token" => {
            let fields = body.split('&').filter_map(|pair| pair.split_once('='));
            let verifier = fields.clone().find(|(name, _)| *name == "code_verifier").unwrap().1.to_owned();
            script.verifiers.push(verifier);
            match script.instead.clone() {
                Some(instead) => instead,
                None => (
                    200,
                    json!({"id_token": script.token, "token_type": "Bearer", "access_token": "x"})
                        .to_string(),
                ),
            }
        }
        _ => (404, "{}".to_owned()),
    };
    let mut stream = reader.into_inner();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
}
