//! What people are told (AI Act article 50): short, in their language, with the first turn or the asset itself.

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// Which notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Article 50(1)
    Chat,
    /// Article 50(2) and (4)
    Generated,
    /// Article 50(3)
    Emotion,
    /// Article 50(4)
    Deepfake,
}

/// A notice, to be shown as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Which.
    pub kind: NoticeKind,
    /// Where the duty stands.
    pub article: &'static str,
    /// The language.
    pub language: Language,
    /// The text.
    pub text: &'static str,
}

/// The text of a notice.
pub fn notice(kind: NoticeKind, language: Language) -> Notice {
    let (article, en, de) = match kind {
        NoticeKind::Chat => (
            "AI Act Art. 50(1)",
            "You are talking to an AI system, not to a person.",
            "Sie sprechen mit einem KI-System, nicht mit einem Menschen.",
        ),
        NoticeKind::Generated => (
            "AI Act Art. 50(2), 50(4)",
            "This content was generated with the help of AI.",
            "Dieser Inhalt wurde mithilfe von KI erzeugt.",
        ),
        NoticeKind::Emotion => (
            "AI Act Art. 50(3)",
            "An AI system infers emotions or biometric categories here.",
            "Hier leitet ein KI-System Emotionen oder biometrische Kategorien ab.",
        ),
        NoticeKind::Deepfake => (
            "AI Act Art. 50(4)",
            "This content was artificially generated or manipulated.",
            "Dieser Inhalt wurde künstlich erzeugt oder verändert.",
        ),
    };
    Notice { kind, article, language, text: language.say(en, de) }
}
