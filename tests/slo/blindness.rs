//! Every fault of the blindness matrix is told of within its time.

use crate::blindness::rows;

#[test]
fn every_fault_is_told_of_within_its_time() {
    let rows = rows();
    assert!(rows.len() >= 21);
    let late = rows.iter().filter(|row| !row.holds());
    let late: Vec<_> = late.map(|row| (row.fault, row.code, row.within, row.after)).collect();
    assert!(late.is_empty(), "{late:#?}");
}
