//! Which rows teach, calibrate and test.

use event::Instant;
use learn::split::{self, Split};

use crate::{Dataset, Error, Example, Holdout, Part};

/// Rows of each outcome that each part needs.
const LEAST: usize = 5;

pub(crate) struct Rows {
    /// All that teach.
    pub(crate) train: Vec<usize>,
    /// Of these, those a calibrator's model is fitted on,
    pub(crate) early: Vec<usize>,
    /// and those the calibrator is fitted on.
    pub(crate) calibrate: Vec<usize>,
    pub(crate) test: Vec<usize>,
    /// How the test rows were chosen, for people.
    pub(crate) how: String,
}

pub(crate) fn choose(dataset: &Dataset, holdout: Holdout, calibration_share: f64) -> Result<Rows, Error> {
    let examples = &dataset.examples;
    let seed = dataset.manifest.seed;
    let (mut split, how) = match holdout {
        Holdout::Latest(share) => {
            (split::chronological(&micros(examples), share)?, format!("the latest {} %", percent(share)))
        }
        Holdout::From(instant) => {
            (split::from(&micros(examples), instant.micros())?, format!("from {instant} on"))
        }
        Holdout::Marked => (marked(examples)?, "the marked examples".to_owned()),
        Holdout::Random(share) => {
            (split::random(examples.len(), share, seed)?, format!("{} % at random", percent(share)))
        }
    };
    let random = matches!(holdout, Holdout::Random(_));
    let mut n_open = 0;
    if !random {
        n_open = drop_open(examples, &mut split);
    }
    check(examples, &split.test, Part::Test)?;
    check(examples, &split.train, Part::Training)?;
    let teaching: Vec<Example> = split.train.iter().filter_map(|i| examples.get(*i).copied()).collect();
    let inner = if random {
        split::random(teaching.len(), calibration_share, seed.wrapping_add(1))?
    } else {
        split::chronological(&micros(&teaching), calibration_share)?
    };
    let of =
        |rows: &[usize]| rows.iter().filter_map(|i| split.train.get(*i).copied()).collect::<Vec<usize>>();
    let (early, calibrate) = (of(&inner.train), of(&inner.test));
    check(examples, &calibrate, Part::Calibration)?;
    check(examples, &early, Part::Training)?;
    let open = if n_open > 0 {
        format!(", {n_open} with an outcome still open then left out")
    } else {
        String::new()
    };
    let how = format!("{how}: {} rows, taught by {}{open}", split.test.len(), split.train.len());
    Ok(Rows { train: split.train, early, calibrate, test: split.test, how })
}

fn micros(examples: &[Example]) -> Vec<i64> {
    examples.iter().map(|e| e.at.micros()).collect()
}

fn percent(share: f64) -> f64 {
    (share * 1_000.0).round() / 10.0
}

/// Marked rows test; rows before the first of them teach; the rest stays out.
fn marked(examples: &[Example]) -> Result<Split, Error> {
    let first = first_test(examples, |e| e.marked).ok_or(Error::NothingMarked)?;
    let rows = |wanted: &dyn Fn(&Example) -> bool| -> Vec<usize> {
        examples.iter().enumerate().filter(|(_, e)| wanted(e)).map(|(i, _)| i).collect()
    };
    Ok(Split { train: rows(&|e| !e.marked && e.at < first), test: rows(&|e| e.marked) })
}

fn first_test(examples: &[Example], tests: impl Fn(&Example) -> bool) -> Option<Instant> {
    examples.iter().filter(|e| tests(e)).map(|e| e.at).min()
}

/// Drops teaching rows whose outcome was not known when the test began: nobody could have learned from them.
fn drop_open(examples: &[Example], split: &mut Split) -> usize {
    let began = split.test.iter().filter_map(|i| examples.get(*i)).map(|e| e.at).min();
    let before = split.train.len();
    split.train.retain(|i| examples.get(*i).is_some_and(|e| began.is_none_or(|began| e.settled <= began)));
    before - split.train.len()
}

fn check(examples: &[Example], rows: &[usize], part: Part) -> Result<(), Error> {
    let n_yes = rows.iter().filter_map(|i| examples.get(*i)).filter(|e| e.label).count();
    let n_no = rows.len() - n_yes;
    if n_yes < LEAST || n_no < LEAST {
        return Err(Error::TooFew { part, n_rows: rows.len(), n_yes, n_no, least: LEAST });
    }
    Ok(())
}
