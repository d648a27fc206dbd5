//! A rule over a million profiles: how long it takes to say who belongs, from values in memory.
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::time::Instant;

use event::Subject;
use feature::expr::{Facts, Truth, Value};
use profile::{Audience, Segment};

const N: u32 = 1_000_000;
const RULE: &str = "(orders.n_90d >= 3 or orders.spent_cents > 25000) and trait.country in ['DE', 'AT', 'CH'] \
                    and not (trait.city = 'City 7' or visits.last_days > 60) and trait.newsletter";
const CITIES: u64 = 5_000;

struct Row<'a>(&'a [Option<Value>]);

impl Facts for Row<'_> {
    fn value(&self, slot: usize) -> Option<&Value> {
        self.0.get(slot).and_then(Option::as_ref)
    }

    fn consent(&self, _: &str) -> bool {
        false
    }
}

/// splitmix64: the same people on every machine.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn person(seed: &mut u64, inputs: &[String]) -> Vec<Option<Value>> {
    let value = |name: &String| {
        let dice = next(seed);
        // One in ten is not known.
        if dice.is_multiple_of(10) {
            return None;
        }
        let dice = dice / 10;
        Some(match name.as_str() {
            "orders.n_90d" => Value::Number((dice % 12) as f64),
            "orders.spent_cents" => Value::Number((dice % 200_000) as f64),
            "visits.last_days" => Value::Number((dice % 365) as f64),
            "trait.country" => Value::Text(
                ["DE", "FR", "AT", "PL", "CH"].get((dice % 5) as usize).copied().unwrap_or("DE").to_owned(),
            ),
            "trait.city" => Value::Text(format!("City {}", dice % CITIES)),
            _ => Value::Flag(dice.is_multiple_of(2)),
        })
    };
    inputs.iter().map(value).collect()
}

fn main() {
    let yaml = format!("segment: bench\nowner: bench\npurpose: bench\nrule: \"{RULE}\"\n");
    let Ok(segment) = Segment::parse(&yaml, "bench.yaml") else { return println!("the rule cannot be read") };
    let mut audience = Audience::new(event::Instant::from_micros(1), segment.inputs.clone());
    let (mut seed, mut expected) = (7, 0_u64);
    for n in 0..N {
        let values = person(&mut seed, &segment.inputs);
        // The plain way, as the independent count.
        expected += u64::from(segment.rule.eval(&Row(&values)) == Truth::True);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
        audience.set(Subject::from_bytes(bytes), values);
    }
    let mut took: Vec<f64> = (0..15)
        .map(|_| {
            let began = Instant::now();
            let found = audience.select(&segment.rule, &segment.inputs).len();
            assert_eq!(found, expected, "not who the plain way finds");
            began.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    println!(
        "{{\"n_profiles\":{N},\"n_found\":{expected},\"median_ms\":{median:.2},\"slowest_ms\":{:.2}}}",
        took.last().copied().unwrap_or_default()
    );
}
