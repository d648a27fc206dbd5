//! What is stored and served: a fitted method, its calibration and its threshold, as bytes that never change.
//!
//! The bytes are JSON with a format number, the same for the same model; every format ever written stays
//! readable (`testdata/model`). What is read is checked: a damaged model is refused, never half-used.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibrator;
use crate::error::quote;
use crate::{Error, FittedBoosted, FittedLogistic, Frame, Predict, Schema, Value};

/// The format that [`Model::to_bytes`] writes.
pub const FORMAT_VERSION: u32 = 1;
const FORMAT: &str = "maschinenraum-model";

/// A fitted method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fitted {
    /// Logistic regression.
    Logistic(FittedLogistic),
    /// Gradient boosted trees.
    Boosted(FittedBoosted),
}

/// A fitted method with its calibration and threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What scores.
    pub fitted: Fitted,
    /// What turns scores into probabilities.
    pub calibrator: Calibrator,
    /// The probability from which to act.
    pub threshold: f64,
}

/// What a model says about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Calibrated probability of yes.
    pub probability: f64,
    /// Log-odds before calibration: `base` plus all contributions.
    pub logit: f64,
    /// Log-odds of an average row.
    pub base: f64,
    /// What each feature adds, in the order of the schema.
    pub contributions: Vec<Contribution>,
}

/// What one feature adds to the log-odds of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The feature.
    pub feature: Arc<str>,
    /// Log-odds before calibration.
    pub logit: f64,
}

#[derive(Serialize)]
struct Written<'a> {
    format: &'static str,
    version: u32,
    model: &'a Model,
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
struct Body {
    model: Model,
}

impl Model {
    /// Scores one row given as feature names and values, in any order; names the model does not know are passed
    /// over. Fastest in the order of [`Model::schema`].
    ///
    /// # Errors
    /// [`Error::MissingColumn`] where a feature is not given at all (an unknown value is [`Value::Missing`]),
    /// [`Error::WrongKind`], [`Error::NotFinite`].
    pub fn score<N: AsRef<str>>(&self, features: &[(N, Value<'_>)]) -> Result<Score, Error> {
        let mut row = Vec::with_capacity(self.schema().fields().len());
        self.schema().encode_row(features, &mut row)?;
        let mut parts = Vec::with_capacity(row.len());
        let base = self.method().explain(&row, &mut parts);
        let logit = base + parts.iter().sum::<f64>();
        let contributions = self
            .schema()
            .fields()
            .iter()
            .zip(parts)
            .map(|(field, logit)| Contribution { feature: field.name.clone(), logit })
            .collect();
        Ok(Score { probability: self.calibrator.probability(logit), logit, base, contributions })
    }

    /// Calibrated probabilities of all rows.
    ///
    /// # Errors
    /// As [`Predict::logits`].
    pub fn predict(&self, frame: &Frame) -> Result<Vec<f64>, Error> {
        let encoded = self.schema().encode(frame)?;
        let mut parts = Vec::new();
        // the same sum as `score`, so that a row scored alone has the same bits
        let logits = encoded.rows().map(|row| {
            let base = self.method().explain(&row, &mut parts);
            base + parts.iter().sum::<f64>()
        });
        Ok(logits.map(|logit| self.calibrator.probability(logit)).collect())
    }

    /// The features it needs.
    pub fn schema(&self) -> &Schema {
        self.method().schema()
    }

    /// `logistic regression` or `boosted trees`.
    pub fn method_name(&self) -> &'static str {
        match self.fitted {
            Fitted::Logistic(_) => "logistic regression",
            Fitted::Boosted(_) => "boosted trees",
        }
    }

    /// Its bytes: the same for the same model.
    ///
    /// # Errors
    /// [`Error::Unreadable`] where it could not be read back.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let written = Written { format: FORMAT, version: FORMAT_VERSION, model: self };
        let bytes = serde_json::to_vec(&written).map_err(unreadable)?;
        // what is written can be read: a number that JSON cannot hold is noticed now, not when it is needed
        Self::from_bytes(&bytes)?;
        Ok(bytes)
    }

    /// Reads what [`Model::to_bytes`] wrote, in this or an earlier build.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::UnknownFormat`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
        if head.format != FORMAT {
            return Err(Error::Unreadable { reason: format!("its format is `{}`", quote(&head.format)) });
        }
        if head.version != FORMAT_VERSION {
            return Err(Error::UnknownFormat { found: head.version, newest: FORMAT_VERSION });
        }
        let Body { model } = serde_json::from_slice(bytes).map_err(unreadable)?;
        let sound = match &model.fitted {
            Fitted::Logistic(fitted) => fitted.is_sound(),
            Fitted::Boosted(fitted) => fitted.is_sound(),
        };
        if !sound || !model.calibrator.is_sound() || !(0.0..=1.0).contains(&model.threshold) {
            return Err(Error::Unreadable { reason: "its numbers contradict each other".into() });
        }
        Ok(model)
    }

    fn method(&self) -> &dyn Predict {
        match &self.fitted {
            Fitted::Logistic(fitted) => fitted,
            Fitted::Boosted(fitted) => fitted,
        }
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::Unreadable { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Boosted, Calibration, Column, Fit, Logistic};

    fn data() -> (Frame, Vec<bool>) {
        let n = 600_u32;
        let x = |i: u32| f64::from(i * 37 % 101) / 10.0;
        let frame = Frame::new(vec![
            Column::numbers("x", (0..n).map(|i| if i % 17 == 0 { f64::NAN } else { x(i) }).collect()),
            Column::categories("c", (0..n).map(|i| ["a", "b", "ü-😀", "\"'"].get(i as usize % 5).copied())),
        ]);
        let labels = (0..n).map(|i| x(i) + f64::from(i % 5) > 6.0 + f64::from(i * 13 % 7)).collect();
        (frame.unwrap(), labels)
    }

    fn models() -> Vec<Model> {
        let (frame, labels) = data();
        let logistic = Fitted::Logistic(Logistic::default().fit(&frame, &labels).unwrap());
        let boosted = Fitted::Boosted(Boosted::default().fit(&frame, &labels).unwrap());
        let finish = |fitted: Fitted, how| {
            let plain = Model { fitted, calibrator: Calibrator::Identity, threshold: 0.25 };
            let logits: Vec<f64> = plain.predict(&frame).unwrap().into_iter().map(crate::logit).collect();
            Model { calibrator: Calibrator::fit(how, &logits, &labels).unwrap(), ..plain }
        };
        vec![finish(logistic, Calibration::Platt), finish(boosted, Calibration::Isotonic)]
    }

    #[test]
    fn a_row_alone_scores_as_in_the_table() {
        let (frame, _) = data();
        for model in models() {
            let all = model.predict(&frame).unwrap();
            for i in (0..600).step_by(13) {
                let row = ["c", "x"].map(|name| (name, frame.column(name).unwrap().value(i)));
                let score = model.score(&row).unwrap();
                assert_eq!(score.probability, all[i]);
                let sum = score.base + score.contributions.iter().map(|c| c.logit).sum::<f64>();
                assert_eq!(sum, score.logit);
            }
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        for model in models() {
            let bytes = model.to_bytes().unwrap();
            let back = Model::from_bytes(&bytes).unwrap();
            assert_eq!(back, model);
            assert_eq!(back.to_bytes().unwrap(), bytes);
        }
    }

    /// The stored format stays readable for ever: these files were written by the first build.
    #[test]
    fn format_1_stays_readable() {
        let (frame, _) = data();
        for (model, name) in models().into_iter().zip(["logistic", "boosted"]) {
            let path = format!("{}/testdata/model/v1/{name}.json", env!("CARGO_MANIFEST_DIR"));
            if std::env::var_os("WRITE_MODEL_SAMPLE").is_some() {
                std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
                std::fs::write(&path, model.to_bytes().unwrap()).unwrap();
            }
            let stored = Model::from_bytes(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(stored.to_bytes().unwrap(), std::fs::read(&path).unwrap());
            for p in stored.predict(&frame).unwrap() {
                assert!((0.0..=1.0).contains(&p));
            }
        }
    }

    fn check(from: &str, to: &str, code: &str) {
        let text = String::from_utf8(models().remove(0).to_bytes().unwrap()).unwrap();
        assert!(text.contains(from), "{from}");
        let error = Model::from_bytes(text.replace(from, to).as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(code), "{error}");
    }

    #[test]
    fn refuses_what_is_no_model() {
        check("\"maschinenraum-model\"", "\"<script>\"", "MR4513");
        check("\"version\":1", "\"version\":2", "MR4514");
        check("\"threshold\":0.25", "\"threshold\":7", "MR4513");
        check("\"threshold\":0.25", "\"threshold\":null", "MR4513");
        check("\"slope\":", "\"slope\":-", "MR4513");
        assert!(Model::from_bytes(b"").is_err() && Model::from_bytes(b"[[[[").is_err());
        let deep = "[".repeat(100_000);
        assert!(Model::from_bytes(deep.as_bytes()).is_err());
        let bytes = models().remove(1).to_bytes().unwrap();
        for cut in (0..bytes.len()).step_by(bytes.len() / 97) {
            assert!(Model::from_bytes(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn asks_for_what_is_missing() {
        let model = models().remove(0);
        let error = model.score(&[("x", 1.0.into())]).unwrap_err().to_string();
        assert!(error.contains("`c`"), "{error}");
        assert!(model.score(&[("x", Value::Missing), ("c", Value::Missing)]).is_ok());
    }
}
