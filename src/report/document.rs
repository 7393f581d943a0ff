//! A report as lines and tables, and its four forms: text, Markdown, HTML, CSV.

use std::fmt::Write;

use super::svg::escape;

/// Lines and tables under a title.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// What it is.
    pub title: String,
    /// What is said first.
    pub lines: Vec<String>,
    /// The tables.
    pub tables: Vec<Table>,
    /// How the numbers were made.
    pub notes: Vec<String>,
}

/// A table; every row has as many cells as the head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The names of its columns.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// The style of a page that needs nothing else; it prints on A4.
const STYLE: &str = ":root{color-scheme:light dark;--line:#8884}\
body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
footer{margin-top:3rem;font-size:.85rem}";

impl Document {
    /// For a terminal: columns under each other.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for line in &self.lines {
            let _ = writeln!(out, "{line}");
        }
        for table in &self.tables {
            let _ = writeln!(out, "\n{}", table.title);
            let wide = |n: usize| table.all().map(|row| row[n].chars().count()).max().unwrap_or(0);
            let widths: Vec<usize> = (0..table.head.len()).map(wide).collect();
            for row in table.all() {
                let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
                let line = cells.collect::<Vec<_>>().join("  ");
                let _ = writeln!(out, "  {}", line.trim_end());
            }
        }
        if !self.notes.is_empty() {
            out.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(out, "{note}");
        }
        out
    }

    /// Markdown with tables as GitHub reads them.
    pub fn markdown(&self) -> String {
        let cell = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('\n', " ");
        let mut out = format!("# {}\n\n", self.title);
        for line in &self.lines {
            let _ = writeln!(out, "{}\n", cell(line));
        }
        for table in &self.tables {
            let _ = writeln!(out, "## {}\n", table.title);
            let row = |row: &[String]| row.iter().map(|text| cell(text)).collect::<Vec<_>>().join(" | ");
            let _ = writeln!(out, "| {} |\n|{}", row(&table.head), "---|".repeat(table.head.len()));
            for cells in &table.rows {
                let _ = writeln!(out, "| {} |", row(cells));
            }
            out.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(out, "{}\n", cell(note));
        }
        out
    }

    /// A page that needs nothing else.
    pub fn html(&self) -> String {
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{0}</title><style>{STYLE}</style></head>\n\
<body><h1>{0}</h1>\n",
            escape(&self.title)
        );
        for line in &self.lines {
            let _ = writeln!(out, "<p>{}</p>", escape(line));
        }
        for table in &self.tables {
            let cells = |row: &[String], tag: &str| -> String {
                row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect()
            };
            let _ = writeln!(
                out,
                "<h2>{}</h2>\n<table><thead><tr>{}</tr></thead><tbody>",
                escape(&table.title),
                cells(&table.head, "th")
            );
            for row in &table.rows {
                let _ = writeln!(out, "<tr>{}</tr>", cells(row, "td"));
            }
            out.push_str("</tbody></table>\n");
        }
        out.push_str("<footer>");
        for note in &self.notes {
            let _ = writeln!(out, "<p>{}</p>", escape(note));
        }
        out.push_str("</footer></body></html>\n");
        out
    }

    /// Its tables as CSV (RFC 4180), each after its title.
    pub fn csv(&self) -> String {
        let quoted = |text: &String| match text.contains(['"', ',', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.clone(),
        };
        let line = |row: &[String]| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n";
        let table = |table: &Table| -> String {
            line(std::slice::from_ref(&table.title)) + &table.all().map(|row| line(row)).collect::<String>()
        };
        self.tables.iter().map(table).collect::<Vec<_>>().join("\r\n")
    }
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.head).chain(&self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_says_the_same_and_escapes_what_it_must() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = Table {
            title: "T".to_owned(),
            head: row(["name", "n"]),
            rows: vec![row(["a|b<\"", "1,5"]), row(["long name", "2"])],
        };
        let document =
            Document { title: "R".to_owned(), lines: vec!["first".to_owned()], tables: vec![table], notes: vec![] };
        assert_eq!(document.text(), "R\nfirst\n\nT\n  name       n\n  a|b<\"      1,5\n  long name  2\n");
        assert_eq!(
            document.markdown(),
            "# R\n\nfirst\n\n## T\n\n| name | n |\n|---|---|\n| a\\|b&lt;\" | 1,5 |\n| long name | 2 |\n\n"
        );
        assert_eq!(document.csv(), "T\r\nname,n\r\n\"a|b<\"\"\",\"1,5\"\r\nlong name,2\r\n");
        let html = document.html();
        assert!(html.contains("<tr><td>a|b&lt;&quot;</td><td>1,5</td></tr>"), "{html}");
    }
}
