//! What alerts should reach: the targets that the report on accuracy holds them to.
//!
//! ```yaml
//! accuracy: {precision: 98, recall: 99.5, early_warning: 99}   # percent, or shares below 1; these if left out
//! ```

use crate::backtest::Share;
use crate::confidence::{AccuracyTargets, Claim, claim};

use super::error::ConfigError;
use super::loader::Loader;
use super::section::Field;

/// Cases without a failure that a target may need: no team has more.
const CASES_MAX: usize = 100_000;

/// Reads the section.
pub(super) fn read(field: &Field<'_>, loader: &mut Loader<'_>) -> Result<AccuracyTargets, ConfigError> {
    let mut section = field.section("accuracy")?;
    let mut targets = AccuracyTargets::default();
    for (key, target) in [
        ("precision", &mut targets.precision),
        ("recall", &mut targets.recall),
        ("early_warning", &mut targets.early_warning),
    ] {
        if let Some(field) = section.get(key) {
            *target = share(&field)?;
        }
    }
    loader.notes.extend(section.finish("accuracy")?);
    Ok(targets)
}

/// `98`, `98%` or `0.98`.
fn share(field: &Field<'_>) -> Result<f64, ConfigError> {
    let text = field.word()?;
    let digits = text.strip_suffix('%').map(str::trim_end);
    let number: f64 = digits
        .unwrap_or(&text)
        .parse()
        .map_err(|_| field.error(format!("\"{text}\" is not a target; write it like 98 or 0.98")))?;
    let share = if digits.is_some() || number > 1.0 { number / 100.0 } else { number };
    // 99.9 / 100 is 0.9990000000000001; twelve digits are what a person meant.
    let share = (share * 1e12).round() / 1e12;
    let key = field.key;
    if share >= 1.0 {
        let message = format!(
            "a {key} of {text} can never be shown: any number of cases leaves room for a failure; write a target below \
             100, like 99"
        );
        return Err(field.error(message));
    }
    if share.is_nan() || share <= 0.0 {
        return Err(field.error(format!("a {key} of {text} asks for nothing; write a target above 0, like 98")));
    }
    match claim(Share { k: 0, n: 0 }, share) {
        Claim::NeedsCases(cases) if cases > CASES_MAX => {
            let message = format!("a {key} of {text} needs {cases} cases without a failure to be shown; lower it");
            Err(field.error(message))
        }
        _ => Ok(share),
    }
}
