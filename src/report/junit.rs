//! Results of tests as JUnit XML, which build servers read.

/// The tests of one file.
#[derive(Debug, Clone)]
pub struct JunitSuite {
    /// The file.
    pub name: String,
    /// Its tests.
    pub cases: Vec<JunitCase>,
}

/// A test.
#[derive(Debug, Clone)]
pub struct JunitCase {
    /// Its name.
    pub name: String,
    /// What was not as expected; nothing if it passed.
    pub failures: Vec<String>,
}

/// The document.
pub fn junit_xml(suites: &[JunitSuite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in suites {
        let failed = suite.cases.iter().filter(|case| !case.failures.is_empty()).count();
        let (name, tests) = (escaped(&suite.name), suite.cases.len());
        xml += &format!("<testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\">\n");
        for case in &suite.cases {
            xml += &format!("<testcase name=\"{}\">\n", escaped(&case.name));
            for failure in &case.failures {
                let message = escaped(failure.lines().next().unwrap_or_default().trim());
                xml += &format!("<failure message=\"{message}\">{}</failure>\n", escaped(failure));
            }
            xml += "</testcase>\n";
        }
        xml += "</testsuite>\n";
    }
    xml + "</testsuites>\n"
}

/// Text that may stand between tags and in quotes; what XML cannot say at all is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' | '\r' => out.push(c),
            c if c < ' ' || ('\u{fffe}'..='\u{ffff}').contains(&c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_escaped() {
        let case = |name: &str, failures: &[&str]| JunitCase {
            name: name.to_owned(),
            failures: failures.iter().map(|text| (*text).to_owned()).collect(),
        };
        let cases = vec![case("a<b", &[]), case("c", &["x > \"1\"\nmore \u{1}"])];
        let xml = junit_xml(&[JunitSuite { name: "f&g".to_owned(), cases }]);
        assert_eq!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n\
             <testsuite name=\"f&amp;g\" tests=\"2\" failures=\"1\" errors=\"0\">\n\
             <testcase name=\"a&lt;b\">\n</testcase>\n\
             <testcase name=\"c\">\n\
             <failure message=\"x &gt; &quot;1&quot;\">x &gt; &quot;1&quot;\nmore \u{fffd}</failure>\n\
             </testcase>\n</testsuite>\n</testsuites>\n"
        );
    }
}
