//! The blindness matrix: faults that leave nobody seeing, and how soon the verdict says BLIND, or a blind spot names them.
//!
//! `cargo run --release --example blindness`

mod matrix;

fn main() {
    println!("{:<58} {:<22} {:>8} {:>8}", "fault", "told as", "within", "after");
    let rows = matrix::rows();
    for row in &rows {
        let after = row.after.map_or("never".to_owned(), |after| after.to_string());
        let mark = if row.holds() { "" } else { "  TOO LATE" };
        println!("{:<58} {:<22} {:>8} {after:>8}{mark}", row.fault, row.code, row.within.to_string());
    }
    println!("\n{} of {} within the stated time.", rows.iter().filter(|row| row.holds()).count(), rows.len());
}
