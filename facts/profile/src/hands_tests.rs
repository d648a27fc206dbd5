//! Whatever is done by hand and taken back is as if it had never been done; and what stood then is seen as of then.

use std::collections::BTreeMap;

use event::{Instant, Record, RecordId, StreamName};
use proptest::prelude::*;
use store::{Emissions, Fold};

use crate::identity::tests::{folded, link, subject};
use crate::link::LinkedId;
use crate::*;

const NAMES: [&str; 9] = ["u1", "u2", "u3", "e1", "e2", "p1", "a1", "a2", "a3"];

fn id(name: &str) -> LinkedId {
    let kind = match name.as_bytes()[0] {
        b'u' => "user_id",
        b'e' => "email",
        b'p' => "phone",
        _ => "anonymous_id",
    };
    LinkedId { kind: kind.to_owned(), subject: subject(name) }
}

pub(crate) fn act(deed: Deed, names: &[&str], undoes: Option<RecordId>, known: i64) -> Record {
    let ids = names.iter().map(|name| id(name)).collect();
    let act = Act { deed, ids, undoes, by: "ann".into(), reference: "T-1".into() };
    let payload = act.to_payload();
    let key = format!("{}{known}", String::from_utf8_lossy(&payload));
    Record {
        id: RecordId::external(MERGES, key.as_bytes()),
        stream: StreamName::new(MERGES),
        payload: event::Payload { open: payload.into(), cells: Vec::new() },
        ..link("a1 a1", known)
    }
}

fn fold(tables: &mut Identities, record: &Record) {
    LinkFold::new(Rules::default()).fold(tables, record, &mut Emissions::default()).unwrap();
    HandFold.fold(tables, record, &mut Emissions::default()).unwrap();
    MembershipFold.fold(tables, record, &mut Emissions::default()).unwrap();
}

fn all(records: &[Record]) -> Identities {
    let mut tables = folded(&[]);
    records.iter().for_each(|record| fold(&mut tables, record));
    tables
}

fn seen(tables: &Identities) -> BTreeMap<&'static str, Members> {
    NAMES.iter().map(|name| (*name, tables.members(subject(name)).unwrap())).collect()
}

fn seen_at(tables: &Identities, t: i64) -> BTreeMap<&'static str, Members> {
    let t = Instant::from_micros(t);
    NAMES.iter().map(|name| (*name, tables.members_as_of(subject(name), t).unwrap())).collect()
}

fn together(tables: &Identities, a: &str) -> Vec<String> {
    let text =
        |bytes: &[u8]| String::from_utf8(bytes.iter().copied().take_while(|b| *b != 0).collect()).unwrap();
    tables.members(subject(a)).unwrap().subjects.iter().map(|s| text(s.as_bytes())).collect()
}

#[test]
fn two_users_are_one_where_somebody_says_so_and_two_again() {
    let merge = act(Deed::Merge, &["u1", "u2"], None, 3);
    let mut records = vec![link("u1 a1", 1), link("u2 e2", 2), merge.clone(), link("u2 p1", 4)];
    let tables = all(&records);
    assert_eq!(together(&tables, "a1"), ["a1", "e2", "p1", "u1", "u2"]);
    assert_eq!(tables.members(subject("p1")).unwrap().id, subject("u1"), "the older profile's name stays");
    records.push(act(Deed::Merge, &["u1", "u2"], Some(merge.id), 5));
    let tables = all(&records);
    assert_eq!(together(&tables, "a1"), ["a1", "u1"]);
    assert_eq!(together(&tables, "u2"), ["e2", "p1", "u2"]);
    assert_eq!(tables.done_to(subject("u1")).unwrap()[0].until, Some(Instant::from_micros(5)));
    let mut n = 0;
    tables.scan(|_| n += 1).unwrap();
    assert_eq!(n, 2);
}

#[test]
fn a_shared_device_is_taken_out_and_may_go_elsewhere() {
    let split = act(Deed::Split, &["a1"], None, 4);
    let mut records =
        vec![link("u1 a1", 1), link("a1 e1", 2), link("u1 e1", 3), link("u2 a1", 3), split.clone()];
    let tables = all(&records);
    assert_eq!(tables.shared(subject("a1")).unwrap().n_left_out, 1);
    assert_eq!(together(&tables, "u1"), ["e1", "u1"], "they are together without the device");
    assert_eq!(together(&tables, "a1"), ["a1"]);
    records.push(act(Deed::Merge, &["a1", "u2"], None, 5));
    assert_eq!(together(&all(&records), "a1"), ["a1", "u2"]);
    records.push(act(Deed::Split, &["a1"], Some(split.id), 6));
    assert_eq!(together(&all(&records), "u1"), ["a1", "e1", "u1", "u2"], "what is not taken back stays");
}

#[test]
fn acts_that_make_no_sense_change_nothing() {
    let before = seen(&all(&[link("u1 a1", 1)]));
    let alone = act(Deed::Merge, &["u1", "u1"], None, 2);
    let three = act(Deed::Merge, &["u1", "u2", "u3"], None, 2);
    let never = act(Deed::Merge, &["u1", "u2"], Some(alone.id), 2);
    let two = act(Deed::Split, &["u1", "u2"], None, 2);
    let mut broken = act(Deed::Split, &["u1"], None, 2);
    broken.payload.open = b"{\"deed\":\"divide\"}".to_vec().into();
    assert_eq!(seen(&all(&[link("u1 a1", 1), alone, three, never, two, broken])), before);
}

#[test]
fn an_identifier_of_ten_thousand_people_harms_one_profile_at_most() {
    let mut records = vec![link("u1 a1", 1)];
    for n in 0..10_000 {
        records.push(link(&format!("u{n}x p1"), n + 2));
    }
    let tables = all(&records);
    assert!(tables.members(subject("p1")).unwrap().subjects.len() <= 2);
    assert_eq!(tables.shared(subject("p1")).unwrap().n_left_out, 9_999);
    // The same with identifiers that a profile may have more of.
    let records: Vec<_> = (0..10_000).map(|n| link(&format!("e{n}x p1"), n)).collect();
    let tables = all(&records);
    assert_eq!(tables.members(subject("p1")).unwrap().subjects.len(), 6);
    assert_eq!(tables.shared(subject("p1")).unwrap().n_left_out, 9_995);
}

fn belongs(entity: &str, member: &str, belongs: bool, occurred: i64, known: i64) -> Record {
    let entity = LinkedId { kind: "household".into(), subject: subject(entity) };
    let role = belongs.then(|| "adult".to_owned());
    let payload = Membership { entity, member: id(member), belongs, role }.to_payload();
    Record {
        id: RecordId::external(MEMBERSHIPS, format!("{member}{belongs}{occurred}{known}").as_bytes()),
        stream: StreamName::new(MEMBERSHIPS),
        payload: event::Payload { open: payload.into(), cells: Vec::new() },
        occurred_at: Instant::from_micros(occurred),
        ..link("a1 a1", known)
    }
}

#[test]
fn households_have_members_for_a_time() {
    let records =
        [belongs("h1", "u1", true, 1, 1), belongs("h1", "u2", true, 2, 2), belongs("h1", "u2", false, 5, 7)];
    let tables = all(&records);
    let at = |t| tables.belonging_to(subject("h1"), Instant::from_micros(t)).unwrap().len();
    assert_eq!([at(0), at(1), at(2), at(5), at(6), at(7)], [0, 1, 2, 2, 2, 1], "known, not only spoken");
    let places = tables.belongs_to(subject("u1"), Instant::from_micros(9)).unwrap();
    assert_eq!(
        (places.len(), places[0].kind.as_str(), places[0].role.as_deref()),
        (1, "household", Some("adult"))
    );
    assert!(tables.belongs_to(subject("u2"), Instant::from_micros(9)).unwrap().is_empty());
    let mut turned = records.to_vec();
    turned.reverse();
    let turned = all(&turned);
    let all_places = |t: &Identities| t.belonging_to(subject("h1"), Instant::from_micros(9)).unwrap();
    assert_eq!(all_places(&tables), all_places(&turned));
}

#[test]
fn a_household_of_ten_thousand_is_bounded() {
    let records: Vec<_> = (0..3_000).map(|n| belongs("h1", &format!("u{n}x"), true, n, n)).collect();
    let tables = all(&records);
    let members = tables.belonging_to(subject("h1"), Instant::from_micros(9_999)).unwrap();
    assert_eq!(members.len(), MOST_MEMBERS);
    assert_eq!(tables.n_left_out_of(subject("h1")).unwrap(), 2_000);
}

#[test]
fn what_is_said_again_is_so_since_it_was_said_first() {
    let mut records: Vec<_> = (0..500).map(|n| belongs("h1", "u1", true, n, n)).collect();
    let since = |records: &[Record], t| {
        let places = all(records).belonging_to(subject("h1"), Instant::from_micros(t)).unwrap();
        places.first().map(|place| place.since.micros())
    };
    assert_eq!([since(&records, 0), since(&records, 300), since(&records, 900)], [Some(0); 3]);
    records.push(belongs("h1", "u1", false, 600, 600));
    records.extend((700..900).map(|n| belongs("h1", "u1", true, n, n)));
    assert_eq!(
        [since(&records, 300), since(&records, 650), since(&records, 999)],
        [Some(0), None, Some(700)]
    );
}

#[test]
fn somebody_in_ten_thousand_accounts_is_bounded() {
    let records: Vec<_> = (0..1_200).map(|n| belongs(&format!("h{n}x"), "u1", true, n, n)).collect();
    let tables = all(&records);
    let places = tables.belongs_to(subject("u1"), Instant::from_micros(9_999)).unwrap();
    assert_eq!(places.len(), MOST_ENTITIES);
    assert_eq!(tables.n_left_out_of(subject("h1100x")).unwrap(), 1);
    assert!(tables.belonging_to(subject("h1100x"), Instant::from_micros(9_999)).unwrap().is_empty());
}

#[test]
fn a_household_is_nobodys_identifier() {
    let mut record = link("u1 a1", 1);
    let ids = [("user_id", "u1"), ("household", "h1"), ("account", "c1"), ("anonymous_id", "a1")];
    record.payload.open = Link::new(ids.map(|(kind, name)| (kind, subject(name)))).to_payload().into();
    assert_eq!(together(&all(&[record]), "u1"), ["a1", "u1"]);
}

/// 128, or as many as `PROPTEST_CASES` says: the acceptance table asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(128)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Links come in between acts; every act is taken back at some later place. In the end everybody is where links
    /// alone would have put them, and every instant is seen as it was seen then.
    #[test]
    fn what_is_taken_back_was_never_done(
        links in prop::collection::vec((prop::sample::subsequence(NAMES.to_vec(), 2..4), any::<prop::sample::Index>()), 0..10),
        acts in prop::collection::vec((prop::sample::subsequence(NAMES.to_vec(), 1..3), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
    ) {
        // Places on a line of 100; at each place what happens, in order.
        let mut happens: BTreeMap<usize, Vec<(usize, bool)>> = BTreeMap::new();
        for (n, (_, place)) in links.iter().enumerate() {
            happens.entry(place.index(100)).or_default().push((n, false));
        }
        for (n, (_, from, _)) in acts.iter().enumerate() {
            happens.entry(from.index(100)).or_default().push((n, true));
        }
        let (mut records, mut plain, mut undo) = (Vec::new(), Vec::new(), Vec::new());
        for (known, (n, is_act)) in (1_i64..).zip(happens.into_values().flatten()) {
            let known = known * 10;
            if is_act {
                let (names, _, back) = &acts[n];
                let deed = if names.len() == 2 { Deed::Merge } else { Deed::Split };
                let done = act(deed, names, None, known);
                undo.push((known + back.index(500) as i64 * 10 + 5, deed, names.clone(), done.id));
                records.push(done);
            } else {
                let record = link(&links[n].0.join(" "), known);
                records.push(record.clone());
                plain.push(record);
            }
        }
        records.extend(undo.iter().map(|(known, deed, names, id)| act(*deed, names, Some(*id), *known)));
        records.sort_by_key(|record| record.known_at);
        let never = all(&plain);
        let mut live = all(&[]);
        let mut then = Vec::new();
        for record in &records {
            fold(&mut live, record);
            then.push((record.known_at.micros(), seen(&live)));
        }
        prop_assert_eq!(seen(&live), seen(&never));
        prop_assert_eq!(seen_at(&live, 1_000_000), seen(&never));
        // Two acts taken back in one instant are seen after both.
        for pair in then.windows(2).filter(|pair| pair[0].0 < pair[1].0) {
            prop_assert_eq!(seen_at(&live, pair[0].0), pair[0].1.clone());
        }
        let mut reversed_scan = 0;
        live.scan(|members| reversed_scan += members.subjects.len()).unwrap();
        let alone = NAMES.iter().filter(|name| live.members(subject(name)).unwrap().subjects.len() == 1).count();
        prop_assert_eq!(reversed_scan + alone, NAMES.len());
    }
}
