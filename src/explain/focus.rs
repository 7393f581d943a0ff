//! Which elements and series matter to one alert.

use crate::model::Labels;

/// Whether an element may belong to an alert: where both have a label, it has the same value.
pub fn is_alike(focus: &Labels, labels: &Labels) -> bool {
    labels.iter().all(|label| {
        let of_focus = focus.get(label.name);
        label.name == Labels::METRIC_NAME || of_focus.is_empty() || of_focus == label.value
    })
}

/// How many labels an element shares with an alert; of two that may belong to it, the one that shares more is nearer.
pub(super) fn shared(focus: &Labels, labels: &Labels) -> usize {
    labels.iter().filter(|label| label.name != Labels::METRIC_NAME && focus.get(label.name) == label.value).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_does_not_belong() {
        let focus = Labels::new([("job", "a"), ("code", "500")]).unwrap();
        let check = |pairs: &[(&str, &str)], alike: bool, count: usize| {
            let labels = Labels::new(pairs.iter().copied()).unwrap();
            assert_eq!((is_alike(&focus, &labels), shared(&focus, &labels)), (alike, count), "{pairs:?}");
        };
        check(&[("__name__", "x"), ("job", "a")], true, 1);
        check(&[("job", "b")], false, 0);
        check(&[("instance", "1"), ("job", "a"), ("code", "500")], true, 2);
        check(&[], true, 0);
    }
}
