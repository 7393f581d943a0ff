//! Two lists of lines as one list of what is only in the one, only in the other, and in both.

/// The lines of both, in order, each behind `-` (only in `a`), `+` (only in `b`) or a space.
pub(super) fn difference(a: &[String], b: &[String]) -> Vec<String> {
    // The length of the longest common part of what is left of each list.
    let mut common = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(format!("  {}", a[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("- {}", a[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", b[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_stands_once() {
        let check = |a: &str, b: &str, expected: &str| {
            let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            let found: String = difference(&list(a), &list(b)).concat();
            assert_eq!(found, expected, "{a} {b}");
        };
        check("abc", "abc", "  a  b  c");
        check("abc", "adc", "  a- b+ d  c");
        check("", "x", "+ x");
        check("xy", "", "- x- y");
    }
}
