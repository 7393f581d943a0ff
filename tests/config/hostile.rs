//! Files that nobody meant: each gets an answer.

use evenkeel::config::{parse_objectives, parse_rules};
use evenkeel::env::Rng;

use super::*;

#[test]
fn deep_and_swelling_files_are_refused() {
    let deep = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut swelling = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        swelling += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    for text in [deep.as_str(), swelling.as_str(), "{", "\u{0}", "a: *a", "? [a, b]\n: c\n", "&a [*a]"] {
        let error = error_with(text, &[]);
        assert!(error.starts_with("prometheus.yml:"), "{error}");
    }
    let error = error_with("rule_files: [bad.yml]", &[]);
    assert!(error.contains("there is no such file"), "{error}");
}

#[test]
fn bytes_that_are_not_text_are_named_by_their_line() {
    let files = Files::new(&[]);
    std::fs::write(files.path("prometheus.yml"), b"global: {}\n# \xff\n").unwrap();
    let error = files.relative(&files.load().unwrap_err().to_string());
    assert_eq!(error, "prometheus.yml: line 2 is not UTF-8; save the file as UTF-8");
}

#[test]
fn changed_files_never_stop_the_program() {
    const RULES: &str = include_str!("../../src/config/host/rules.yml");
    const OBJECTIVES: &str = include_str!("../../src/config/host/objectives.yml");
    let marks: Vec<char> = "{}[]:,\"'|>-?&*!%@`#\n\t é\u{2028}$0a".chars().collect();
    let mut rng = Rng::new(7);
    for round in 0..300 {
        for text in [RULES, OBJECTIVES] {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..=rng.below(3) {
                let at = rng.below(chars.len() as u64) as usize;
                let mark = marks[rng.below(marks.len() as u64) as usize];
                match rng.below(3) {
                    0 => chars[at] = mark,
                    1 => chars.insert(at, mark),
                    _ => chars.truncate(at + 1),
                }
            }
            let changed: String = chars.into_iter().collect();
            // Either answer is fine; the place must be inside the text.
            let lines = changed.lines().count() + 1;
            for error in [parse_rules("f", &changed).err(), parse_objectives("f", &changed).err()].into_iter().flatten()
            {
                assert!(error.line <= lines, "round {round}: {error}");
            }
        }
    }
}
