//! Every route there is.

use std::sync::Arc;

use policy::Scope;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::door::Door;
use crate::keeper::Keeper;
use crate::routes::{Spec, Table};
use crate::{
    cards, deciding, explaining, explanation, health, keys, models, operate, people, track, usecases,
};

/// Tracking calls with the names that browsers use for them.
const CALLS: [(&str, &str, &str); 8] = [
    ("/v1/identify", "/v1/i", "Says who somebody is."),
    ("/v1/track", "/v1/t", "Says what somebody did."),
    ("/v1/page", "/v1/p", "Says which page somebody saw."),
    ("/v1/screen", "/v1/s", "Says which screen of an app somebody saw."),
    ("/v1/group", "/v1/g", "Says what somebody belongs to."),
    ("/v1/alias", "/v1/a", "Says that two names are one person's."),
    ("/v1/batch", "/v1/b", "Several calls at once: up to 2,500 and 500 KiB."),
    ("/v1/import", "", "Several calls of the past, whose times are taken as they are."),
];

/// A document as its contract or its protocol wants it.
pub(crate) struct Document;

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        let said = "As the tracking protocol, or the stream's contract, wants it.";
        RefOr::T(Schema::Object(
            ObjectBuilder::new().schema_type(Type::Object).description(Some(said)).build(),
        ))
    }
}

impl ToSchema for Document {}

/// The table of routes, each guarded by `keeper`.
pub(crate) fn table(keeper: Arc<Keeper>) -> Table<Arc<Door>> {
    let table = crate::consents::routes(tracking(Table::new(keeper)));
    let table = crate::lake::routes(crate::lineage::routes(operating(reading(table))));
    let table = crate::features::routes(crate::quality::routes(crate::contracts::routes(table)));
    let table = crate::policies::routes(table);
    let table = crate::audit::routes(crate::erasing::routes(crate::requests::routes(table)));
    let table = crate::segments::routes(crate::merging::routes(table));
    let table = crate::registers::routes(table);
    let table = crate::sources::routes(crate::captures::routes(crate::jobs::routes(table)));
    table
        .add(Spec::get("/", "about", "What this is.").gives::<health::Welcome>(), health::welcome)
        .add(Spec::get("/openapi.json", "about", "This document.").gives::<Document>(), health::openapi)
        .add(Spec::get("/healthz", "about", "Whether it lives.").gives::<health::Alive>(), health::healthz)
        .add(Spec::get("/readyz", "about", "Whether it can work.").gives::<health::Ready>(), health::readyz)
        .add(
            Spec::get(
                "/metrics",
                "about",
                "What it counts, for Prometheus. Needs an admin key beyond loopback.",
            )
            .gives_media("text/plain"),
            health::metrics,
        )
}

fn tracking(mut table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    for (path, short, summary) in CALLS {
        for path in [path, short].into_iter().filter(|path| !path.is_empty()) {
            let spec = Spec::post(path, "tracking", summary).scope(Scope::Track).or_in_body().for_browsers();
            table = table.add(spec.takes::<Document>().gives::<track::Tracked>(), track::track);
        }
    }
    let counts =
        Spec::post("/v1/m", "tracking", "What browser clients count about themselves; taken and dropped.");
    let settings =
        Spec::get("/v1/projects/{key}/settings", "tracking", "What browser clients ask before they begin.");
    let post = Spec::post(
        "/v1/streams/{stream}",
        "tracking",
        "A document for a stream, or several as NDJSON lines.",
    );
    table
        .add(counts.for_browsers().gives::<Document>(), track::client_metrics)
        .add(settings.for_browsers().gives::<Document>(), track::client_settings)
        .add(post.scope(Scope::Track).takes::<Document>().gives::<track::Tracked>(), track::post)
}

fn reading(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::get("/v1/profiles/{kind}/{value}", "people", "What is known of a person, for a purpose.")
                .scope(Scope::Read)
                .query("purpose", true, "For what it is read.")
                .gives::<people::Profile>(),
            people::profile,
        )
        .add(
            Spec::post("/v1/features", "people", "Values of feature views for a person, for a purpose.")
                .scope(Scope::Read)
                .takes::<people::FeaturesAsked>()
                .gives::<people::Features>(),
            people::features,
        )
        .add(
            Spec::post("/v1/decide", "decisions", "Decides what to do for a person; durable when answered.")
                .scope(Scope::Decide)
                .takes::<deciding::DecisionAsked>()
                .gives::<deciding::Decision>(),
            deciding::decide,
        )
        .add(
            Spec::get("/v1/decisions/{decision}", "decisions", "A decision.")
                .scope(Scope::Decide)
                .gives::<deciding::Decision>(),
            deciding::decision,
        )
        .add(
            Spec::get(
                "/v1/decisions/{decision}/explanation",
                "decisions",
                "Why it came out so: JSON, or text with `Accept: text/plain`.",
            )
            .scope(Scope::Decide)
            .query("lang", false, "`en` or `de`, for text.")
            .gives::<explanation::Explanation>(),
            explaining::explanation,
        )
        .add(
            Spec::post("/v1/outcomes", "decisions", "What followed from decisions, however late.")
                .scope(Scope::Decide)
                .takes::<deciding::Outcomes>()
                .gives::<deciding::OutcomesRecorded>(),
            deciding::outcomes,
        )
}

fn operating(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::get("/v1/models", "models", "Every model and what serves.")
                .scope(Scope::Read)
                .gives::<models::Models>(),
            models::list,
        )
        .add(
            Spec::get("/v1/models/{name}", "models", "A version's card: the live one's, or the newest.")
                .scope(Scope::Read)
                .query("version", false, "Another version's number.")
                .gives::<cards::Card>(),
            cards::card,
        )
        .add(
            Spec::post("/v1/models/{name}/promote", "models", "Moves a version, through its gate.")
                .scope(Scope::Train)
                .takes::<models::Promotion>()
                .gives::<models::Model>(),
            models::promote,
        )
        .add(
            Spec::post("/v1/models/{name}/rollback", "models", "Takes the latest move to traffic back.")
                .scope(Scope::Train)
                .takes::<models::Rollback>()
                .gives::<models::Model>(),
            models::rollback,
        )
        .add(
            Spec::get("/v1/use-cases", "operations", "Use cases and their budgets.")
                .scope(Scope::Read)
                .gives::<usecases::UseCases>(),
            usecases::list,
        )
        .add(
            Spec::get("/v1/streams", "operations", "Streams and what came in.")
                .scope(Scope::Read)
                .gives::<operate::Streams>(),
            operate::streams,
        )
        .add(
            Spec::get(
                "/v1/quarantine",
                "operations",
                "Refused records with their reasons, the latest first.",
            )
            .scope(Scope::Admin)
            .query("after", false, "The `next` of the page before.")
            .query("limit", false, "Up to 1,000; 100 unless said.")
            .gives::<operate::Quarantine>(),
            operate::quarantine,
        )
        .add(
            Spec::post(
                "/v1/quarantine/replay",
                "operations",
                "Judges refused records anew, by the contracts of now.",
            )
            .scope(Scope::Admin)
            .takes::<operate::Replay>()
            .gives::<operate::Replayed>(),
            operate::replay,
        )
        .add(
            Spec::get("/v1/keys", "operations", "API keys, without their secrets.")
                .scope(Scope::Admin)
                .gives::<keys::Keys>(),
            keys::list,
        )
        .add(
            Spec::post("/v1/keys", "operations", "Makes an API key and shows it once.")
                .scope(Scope::Admin)
                .takes::<keys::KeyAsked>()
                .gives::<keys::KeyMade>(),
            keys::create,
        )
        .add(
            Spec::delete("/v1/keys/{id}", "operations", "Revokes an API key, at once.")
                .scope(Scope::Admin)
                .gives::<keys::KeyRevoked>(),
            keys::revoke,
        )
        .add(
            Spec::post(
                "/v1/backup",
                "operations",
                "Copies the running instance to a directory of its machine.",
            )
            .scope(Scope::Admin)
            .takes::<operate::BackupAsked>()
            .gives::<operate::BackupMade>(),
            operate::backup,
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rates;
    use crate::refusal::Refusal;
    use std::collections::BTreeMap;

    #[test]
    fn no_two_shapes_share_a_name() {
        let keeper = Keeper::new(Box::new(|_| Err(Refusal::NoKey.into())), Rates::new(1, 1));
        let (_, components) = table(Arc::new(keeper)).described();
        let mut known = BTreeMap::new();
        for (name, shape) in components {
            let shape = serde_json::to_value(&shape).unwrap();
            let first = known.entry(name.clone()).or_insert_with(|| shape.clone());
            assert_eq!(*first, shape, "two shapes are called {name}");
        }
        assert!(known.len() > 30);
    }
}
