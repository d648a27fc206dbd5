//! Which rows teach and which rows test. By time where time matters: a random split lets a model learn from the
//! future of the rows it is tested on.

use std::collections::BTreeMap;

use crate::Error;
use crate::rng::Rng;

/// Rows to learn from and rows to test with; rising, and no row in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows to test with.
    pub test: Vec<usize>,
}

/// By chance.
///
/// * `test_share`: between 0 and 1
///
/// # Errors
/// [`Error::BadParameter`], or [`Error::EmptySplit`] where one side would be empty.
pub fn random(n_rows: usize, test_share: f64, seed: u64) -> Result<Split, Error> {
    check_share(test_share)?;
    let mut rows: Vec<usize> = (0..n_rows).collect();
    Rng::new(seed, 1).shuffle(&mut rows);
    let n_test = share_of(n_rows, test_share);
    let is_test: Vec<bool> = {
        let mut marks = vec![false; n_rows];
        for row in rows.iter().take(n_test) {
            if let Some(mark) = marks.get_mut(*row) {
                *mark = true;
            }
        }
        marks
    };
    divide(n_rows, &format!("random, {test_share} to test"), |row| is_test.get(row) == Some(&true))
}

/// By time: the latest rows test. Rows of one instant stay together, on the test side.
///
/// * `instants`: by row, any unit that grows with time
///
/// # Errors
/// As [`random`].
pub fn chronological(instants: &[i64], test_share: f64) -> Result<Split, Error> {
    check_share(test_share)?;
    let mut sorted = instants.to_vec();
    sorted.sort_unstable();
    let n_train = instants.len() - share_of(instants.len(), test_share);
    let boundary = sorted.get(n_train).copied().unwrap_or(i64::MAX);
    from(instants, boundary)
}

/// By time: rows at `boundary` or later test.
///
/// # Errors
/// [`Error::EmptySplit`] where one side would be empty.
pub fn from(instants: &[i64], boundary: i64) -> Result<Split, Error> {
    divide(instants.len(), &format!("from {boundary} on to test"), |row| {
        instants.get(row).is_some_and(|t| *t >= boundary)
    })
}

/// By chance, but rows of one group (a person, a household) stay on one side.
///
/// # Errors
/// As [`random`].
pub fn grouped<G: Ord>(groups: &[G], test_share: f64, seed: u64) -> Result<Split, Error> {
    check_share(test_share)?;
    let mut members: BTreeMap<&G, usize> = BTreeMap::new();
    for group in groups {
        *members.entry(group).or_default() += 1;
    }
    let mut order: Vec<(&G, usize)> = members.into_iter().collect();
    Rng::new(seed, 2).shuffle(&mut order);
    let n_test = share_of(groups.len(), test_share);
    let mut n_taken = 0;
    let mut is_test: BTreeMap<&G, bool> = BTreeMap::new();
    for (group, n_rows) in order {
        is_test.insert(group, n_taken < n_test);
        n_taken += n_rows;
    }
    divide(groups.len(), &format!("random by group, {test_share} to test"), |row| {
        groups.get(row).and_then(|g| is_test.get(g)) == Some(&true)
    })
}

/// The fold (0 to `n_folds` − 1) of each row; both outcomes are spread evenly over the folds.
///
/// # Errors
/// [`Error::BadParameter`] for fewer than 2 folds, [`Error::TooFew`] for fewer than 2 rows of an outcome.
pub fn stratified_folds(labels: &[bool], n_folds: usize, seed: u64) -> Result<Vec<usize>, Error> {
    if n_folds < 2 {
        return Err(Error::BadParameter {
            name: "n_folds",
            value: n_folds.to_string(),
            expected: "2 or more",
        });
    }
    let mut folds = vec![0; labels.len()];
    let mut rng = Rng::new(seed, 3);
    for outcome in [true, false] {
        let mut rows: Vec<usize> =
            labels.iter().enumerate().filter(|(_, l)| **l == outcome).map(|(i, _)| i).collect();
        if rows.len() < 2 {
            let (purpose, n_given) = ("dividing into folds", rows.len());
            return Err(Error::TooFew { purpose, n_needed: 2, outcome, n_given });
        }
        rng.shuffle(&mut rows);
        for (i, row) in rows.into_iter().enumerate() {
            if let Some(fold) = folds.get_mut(row) {
                *fold = i % n_folds;
            }
        }
    }
    Ok(folds)
}

fn check_share(test_share: f64) -> Result<(), Error> {
    if test_share > 0.0 && test_share < 1.0 {
        return Ok(());
    }
    Err(Error::BadParameter {
        name: "test_share",
        value: test_share.to_string(),
        expected: "more than 0 and less than 1",
    })
}

fn share_of(n_rows: usize, share: f64) -> usize {
    (n_rows as f64 * share).round() as usize
}

fn divide(n_rows: usize, split: &str, is_test: impl Fn(usize) -> bool) -> Result<Split, Error> {
    let (test, train): (Vec<usize>, Vec<usize>) = (0..n_rows).partition(|row| is_test(*row));
    if train.is_empty() || test.is_empty() {
        let (n_train, n_test) = (train.len(), test.len());
        return Err(Error::EmptySplit { split: split.into(), n_train, n_test });
    }
    Ok(Split { train, test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(split: &Split, n_rows: usize) {
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..n_rows).collect::<Vec<_>>());
        assert!(split.train.is_sorted() && split.test.is_sorted());
    }

    proptest! {
        #[test]
        fn each_row_is_on_one_side(n in 2_usize..200, share in 0.3_f64..0.7, seed in any::<u64>()) {
            let split = random(n, share, seed).unwrap();
            check(&split, n);
            prop_assert_eq!(&split, &random(n, share, seed).unwrap());
        }

        #[test]
        fn no_training_row_is_later_than_a_test_row(times in prop::collection::vec(-9_i64..9, 4..100)) {
            if let Ok(split) = chronological(&times, 0.3) {
                check(&split, times.len());
                let latest = split.train.iter().map(|i| times[*i]).max();
                let earliest = split.test.iter().map(|i| times[*i]).min();
                prop_assert!(latest < earliest);
            }
        }

        #[test]
        fn a_group_stays_together(groups in prop::collection::vec(0_u8..12, 20..100), seed in any::<u64>()) {
            if let Ok(split) = grouped(&groups, 0.4, seed) {
                check(&split, groups.len());
                for row in &split.test {
                    prop_assert!(split.train.iter().all(|other| groups[*other] != groups[*row]));
                }
            }
        }

        #[test]
        fn folds_are_even(labels in prop::collection::vec(any::<bool>(), 30..100), seed in any::<u64>()) {
            if let Ok(folds) = stratified_folds(&labels, 5, seed) {
                for outcome in [true, false] {
                    let count = |f| folds.iter().zip(&labels).filter(|(g, l)| **g == f && **l == outcome).count();
                    let counts: Vec<usize> = (0..5).map(count).collect();
                    prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
                }
            }
        }
    }

    #[test]
    fn the_share_is_kept() {
        assert_eq!(random(1_000, 0.3, 1).unwrap().test.len(), 300);
        let times: Vec<i64> = (0..10).rev().collect();
        assert_eq!(chronological(&times, 0.3).unwrap().test, [0, 1, 2]);
        assert_eq!(from(&times, 8).unwrap().test, [0, 1]);
    }

    #[test]
    fn refuses_what_leaves_nothing() {
        let code = |r: Result<Split, Error>| r.unwrap_err().to_string()[..6].to_owned();
        assert_eq!(code(random(10, 0.0, 1)), "MR4511");
        assert_eq!(code(random(10, f64::NAN, 1)), "MR4511");
        assert_eq!(code(random(1, 0.5, 1)), "MR4516");
        assert_eq!(code(chronological(&[5; 10], 0.3)), "MR4516");
        assert_eq!(code(from(&[1, 2], 9)), "MR4516");
        assert_eq!(code(grouped(&[7; 10], 0.3, 1)), "MR4516");
    }
}
